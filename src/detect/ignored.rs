//! INVITEs that nobody answers: a caller that the PBX ignores, a trunk that is dead, packets too large for the way (DETECTION §4.3).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::config::Thresholds;
use crate::decode::flow::{Flow, Transport};
use crate::decode::signal::Signal;

use crate::detect::catalog::{FindingId, Slot};
use crate::detect::finding::{Raise, Standing, Subject, counted, sent};
use crate::detect::lately::Lately;
use crate::detect::parties::{related_parties, related_user, standing};
use crate::detect::served::Served;
use crate::detect::silence::{DROPS_INVITE, OTHERS_THERE_ARE_SERVED};
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::event::{AttemptEnd, AttemptReport, Event, Sighting, Unanswered};
use crate::track::site::Site;
use crate::track::vocabulary::{Confidence, Direction, Outcome, Severity};

/// Requests larger than this do not fit one packet on every way (RFC 3261 §18.1.1).
const LARGE: u32 = 1300;
/// Incomplete datagrams from which on it is no accident.
const NO_ACCIDENT: usize = 2;
/// How long calls to a trunk count that go unanswered one by one, where it answers none.
const ONE_BY_ONE: Span = Span::from_secs(3600);
/// Requests, sources and losses remembered, each.
const REMEMBERED: usize = 4096;

#[derive(Clone, Copy, Debug)]
struct Lost {
    at: Sighting,
    bytes: u32,
}

#[derive(Clone, Copy, Debug)]
struct TrunkCall {
    trunk: IpAddr,
    /// The number that was called.
    number: u64,
    request: Unanswered,
}

/// Watches INVITEs that go unanswered.
#[derive(Debug, Default)]
pub(super) struct IgnoredDetector {
    /// Sources that a PBX served.
    served: Served,
    trunk_calls: VecDeque<TrunkCall>,
    large: VecDeque<(IpAddr, Unanswered)>,
    fragments: Lately<IpAddr, Lost, REMEMBERED>,
}

impl IgnoredDetector {
    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        match *event {
            Event::ServerResponse { client, pbx, at, .. } if standing(tracker, client.ip()) == Standing::Known => {
                self.served.note((client.ip(), pbx.ip()), at);
            }
            Event::InviteUnanswered { call, request } => self.unanswered(tracker, call, &request, findings),
            Event::CallOutcome { call, outcome, at, .. } if outcome != Outcome::NoResponse && outcome != Outcome::Unknown => {
                let Some(call) = tracker.calls.get(call) else { return };
                findings.clear_of(FindingId::InviteIgnored, at.time, || Some(Subject::Source(call.record.source.ip())));
                let trunk = call.record.destination.ip();
                self.trunk_calls.retain(|known| known.trunk != trunk);
                findings.clear_of(FindingId::TrunkNoResponse, at.time, || Some(Subject::Trunk(trunk)));
            }
            Event::RegistrationEnded(ref report) if tracker.world.peers.direction(report.flow) == Direction::Out => {
                registrar_asked(tracker, report, findings);
            }
            Event::Noticed { signal: Signal::FragmentsLost { flow, bytes }, at } => self.fragments_lost(tracker, flow, bytes, at, findings),
            _ => {}
        }
    }

    fn unanswered(&mut self, tracker: &Tracker, call: Handle, request: &Unanswered, findings: &mut FindingStore) {
        let peers = &tracker.world.peers;
        match peers.direction(request.flow) {
            Direction::In if peers.scans(request.flow.source.ip()) => {}
            Direction::In if !self.is_too_large(tracker, request, findings) => self.ignored(tracker, call, request, findings),
            Direction::Out if peers.is_trunk(request.flow.destination.ip()) => self.trunk_silent(tracker, call, request, findings),
            Direction::Out => {
                self.is_too_large(tracker, request, findings);
            }
            _ => {}
        }
    }

    /// The PBX serves others but not this source.
    fn ignored(&self, tracker: &Tracker, call: Handle, request: &Unanswered, findings: &mut FindingStore) {
        let source = request.flow.source.ip();
        let since = request.first.time - tracker.thresholds().others_served;
        let others = self.served.others((source, request.flow.destination.ip()), |at| at >= since);
        let Some(entry) = tracker.calls.get(call).filter(|_| others > 0) else { return };
        let served = counted(others as u64, "other is served", "others are served");
        let is_alone = self.served.any_since(source, request.first.time);
        let guess = if is_alone { format!(": {OTHERS_THERE_ARE_SERVED}") } else { String::new() };
        let message = format!("{source}: INVITE unanswered ({}) while {served}{guess}", sent(request.transmissions));
        let raise = Raise::new(FindingId::InviteIgnored, Subject::Source(source), message);
        let raise = if is_alone { raise.remedy(DROPS_INVITE) } else { raise };
        let raise = raise
            .evidence(request.first.time, request.first.frame, format!("INVITE from {}", request.flow.source))
            .absence(request.deadline, format!("no answer within {}", request.patience))
            .related(Subject::Call(entry.record.call_id.clone()))
            .related(Subject::Site(Site::of(source)))
            .related(Subject::Pbx(request.flow.destination))
            .fill(Slot::Ip, source.to_string());
        findings.raise(related_parties(tracker, raise, call), request.deadline);
    }

    /// A trunk that answers no call: many within a minute, or one by one where few call outside, to several numbers, as a phone that the PBX
    /// calls has but one.
    fn trunk_silent(&mut self, tracker: &Tracker, call: Handle, request: &Unanswered, findings: &mut FindingStore) {
        let silent = tracker.thresholds().trunk_silent;
        let trunk = request.flow.destination.ip();
        let number = tracker.calls.get(call).map_or(0, |call| tracker.world.digester.bytes(call.record.to.as_bytes()).low64());
        push(&mut self.trunk_calls, TrunkCall { trunk, number, request: *request });
        let heard = tracker.world.flows.last_seen(request.flow.reversed());
        let within = |span: Span| -> Vec<&TrunkCall> {
            let is_mine = |call: &&TrunkCall| call.trunk == trunk && request.first.time.since(call.request.first.time) <= span;
            self.trunk_calls.iter().filter(is_mine).collect()
        };
        let at_once = within(silent.window);
        let (calls, severity) = match silent.is_reached(at_once.len()) {
            true => (at_once, Severity::Critical),
            false => (within(ONE_BY_ONE), Severity::Error),
        };
        let is_several = calls.iter().any(|call| call.number != number) || severity == Severity::Critical;
        let calls: Vec<&Unanswered> = calls.into_iter().map(|call| &call.request).collect();
        let is_enough = silent.is_reached(calls.len()) && is_several;
        let Some(first) = calls.first().filter(|first| is_enough && heard < first.first.time) else { return };
        let within = request.first.time.since(first.first.time);
        let message = format!("trunk {trunk}: {} INVITEs unanswered within {within}", calls.len());
        let subject = Subject::Trunk(trunk);
        let calls = untold(calls, findings.told(FindingId::TrunkNoResponse, &subject), |call| call.deadline);
        let raise = Raise::new(FindingId::TrunkNoResponse, subject, message).severity(severity).related(Subject::Pbx(request.flow.source));
        let raise = raise.facts(&calls, |raise, call| {
            raise.evidence(call.first.time, call.first.frame, format!("INVITE to {}, {}", call.flow.destination, sent(call.transmissions)))
        });
        findings.raise(raise.absence(request.deadline, "the trunk sent nothing"), request.deadline);
    }

    /// Counts a large request that went unanswered; tells whether size explains it.
    fn is_too_large(&mut self, tracker: &Tracker, request: &Unanswered, findings: &mut FindingStore) -> bool {
        if request.size <= LARGE || request.flow.transport != Transport::Udp {
            return false;
        }
        let Some(peer) = peer(tracker, request.flow) else { return false };
        let unanswered = tracker.thresholds().large_unanswered;
        push(&mut self.large, (peer, *request));
        let mine =
            self.large.iter().filter(|(known, call)| *known == peer && request.first.time.since(call.first.time) <= unanswered.window);
        let lost: Vec<&Unanswered> = mine.map(|(_, call)| call).collect();
        let Some(first) = lost.first().filter(|_| unanswered.is_reached(lost.len())) else { return false };
        let small_pass = match tracker.world.peers.direction(request.flow) {
            Direction::In => self.served.any_since(peer, first.first.time),
            _ => tracker.world.flows.seen_within(request.flow.reversed(), first.first.time),
        };
        if !small_pass {
            return false;
        }
        let message =
            format!("{peer}: {} INVITEs of up to {} B went unanswered while smaller requests are answered", lost.len(), size(&lost));
        let subject = Subject::Source(peer);
        let lost = untold(lost, findings.told(FindingId::FragmentLoss, &subject), |call| call.deadline);
        let raise = Raise::new(FindingId::FragmentLoss, subject.clone(), message).confidence(Confidence::Probable);
        let raise = raise.facts(&lost, |raise, call| {
            raise.evidence(call.first.time, call.first.frame, format!("INVITE of {} B, never answered", call.size))
        });
        findings.raise(beyond(tracker, raise, request.flow), request.deadline);
        findings.replace((FindingId::FragmentLoss, &subject), (FindingId::InviteIgnored, &subject), request.deadline);
        true
    }

    fn fragments_lost(&mut self, tracker: &Tracker, flow: Flow, bytes: u32, at: Sighting, findings: &mut FindingStore) {
        let Some(peer) = peer(tracker, flow).filter(|&peer| !tracker.world.peers.scans(peer)) else { return };
        let Thresholds { fragments_lost: accident, fragment_timeout, .. } = *tracker.thresholds();
        if !tracker.world.absence.is_sound_since(at.time - fragment_timeout) {
            return;
        }
        let lost = self.fragments.note(peer, Lost { at, bytes }, at.time, accident.window);
        if !accident.is_reached(lost.len()) {
            return;
        }
        let message =
            format!("{peer}: UDP message of at least {bytes} B fragmented, fragments lost ({} within {})", lost.len(), accident.window);
        let confidence = if lost.len() >= NO_ACCIDENT { Confidence::Confirmed } else { Confidence::Suspected };
        let subject = Subject::Source(peer);
        // The finding knows those from before it was raised last.
        let told = findings.told(FindingId::FragmentLoss, &subject);
        let untold = lost.partition_point(|lost| lost.at.time < told).min(lost.len() - 1);
        let untold = lost.get(untold..).unwrap_or_default();
        let raise = Raise::new(FindingId::FragmentLoss, subject, message).confidence(confidence);
        let raise = raise.facts(untold, |raise, lost| {
            let fact = format!("datagram from {} of at least {} B never came together", flow.source.ip(), lost.bytes);
            match lost.at.frame {
                0 => raise.absence(lost.at.time, fact),
                frame => raise.evidence(lost.at.time, frame, fact),
            }
        });
        findings.raise(beyond(tracker, raise, flow), at.time);
    }
}

/// The PBX asked the registrar of a trunk.
fn registrar_asked(tracker: &Tracker, report: &AttemptReport, findings: &mut FindingStore) {
    let trunk = report.flow.destination.ip();
    let is_answered = report.status != 0 && report.last.frame != 0;
    match report.end {
        _ if is_answered => findings.clear_of(FindingId::TrunkNoResponse, report.last.time, || Some(Subject::Trunk(trunk))),
        AttemptEnd::NoAnswer => {
            let Some(aor) = tracker.registrations.aor(report.aor).map(|aor| &aor.name) else { return };
            let waited = report.last.time.since(report.first.time);
            let message = format!("trunk {trunk}: REGISTER of {aor} {} without an answer in {waited}", sent(report.transmissions));
            let raise = Raise::new(FindingId::TrunkNoResponse, Subject::Trunk(trunk), message)
                .severity(Severity::Error)
                .evidence(report.first.time, report.first.frame, format!("REGISTER of {aor}, {}", sent(report.transmissions)))
                .absence(report.last.time, format!("no answer within {waited}"))
                .related(Subject::Pbx(report.flow.source))
                .related(Subject::Aor(aor.clone()));
            findings.raise(raise, report.last.time);
        }
        _ => {}
    }
}

/// The address of the end of a flow that is not the PBX.
fn peer(tracker: &Tracker, flow: Flow) -> Option<IpAddr> {
    far_end(tracker, flow).map(|end| end.ip())
}

fn far_end(tracker: &Tracker, flow: Flow) -> Option<SocketAddr> {
    match tracker.world.peers.direction(flow) {
        Direction::In => Some(flow.source),
        Direction::Out => Some(flow.destination),
        Direction::Through => None,
    }
}

/// Names the site and the user at the end of a flow that is not the PBX.
fn beyond(tracker: &Tracker, raise: Raise, flow: Flow) -> Raise {
    match far_end(tracker, flow) {
        Some(end) => related_user(tracker, raise.related(Subject::Site(Site::of(end.ip()))), end),
        None => raise,
    }
}

fn size(requests: &[&Unanswered]) -> u32 {
    requests.iter().map(|request| request.size).max().unwrap_or_default()
}

/// The latest of `items`, and those that came to light since a finding was raised last: it knows the others.
fn untold<T>(items: Vec<&T>, told: PacketTime, noticed: impl Fn(&T) -> PacketTime) -> Vec<&T> {
    let newest = items.len().saturating_sub(1);
    items.into_iter().enumerate().filter(|(index, item)| *index == newest || noticed(item) >= told).map(|(_, item)| item).collect()
}

fn push<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() >= REMEMBERED {
        queue.pop_front();
    }
    queue.push_back(item);
}
