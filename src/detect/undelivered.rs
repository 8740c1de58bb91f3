//! Calls that never reached the phone of the called user (DETECTION §1.5, §3.2, §4.4).

use std::collections::{BTreeMap, VecDeque};

use crate::detect::call::callee;
use crate::detect::catalog::{FindingId, Slot};
use crate::detect::finding::{Finding, Raise, Subject};
use crate::detect::parties::{called, called_name};
use crate::detect::registration::{aor_subject, placed, status_text};
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::call::Call;
use crate::track::call::record::Beginning;
use crate::track::event::{Event, Sighting};
use crate::track::registration::device::Device;
use crate::track::vocabulary::{Direction, Outcome, Reachability, RegistrationState};

/// Q.850 cause 20, "subscriber absent".
const SUBSCRIBER_ABSENT: u16 = 20;
/// Users remembered at a time.
const REMEMBERED: usize = 65_536;

/// Watches calls that are not delivered.
#[derive(Debug, Default)]
pub(super) struct UndeliveredDetector {
    recent: BTreeMap<Box<str>, VecDeque<Sighting>>,
    pruned: Option<PacketTime>,
}

impl UndeliveredDetector {
    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        match *event {
            Event::CallOutcome { call, outcome, status, at } => self.outcome(tracker, call, outcome, status, at, findings),
            Event::InviteUnanswered { call, request } if tracker.world.peers.direction(request.flow) == Direction::Out => {
                let Some(entry) = tracker.calls.get(call) else { return };
                if let Some((aor, device)) = callee(tracker, entry, request.flow.destination) {
                    let device = device.and_then(|device| tracker.registrations.device(device));
                    self.count(tracker, aor, device, Sighting { time: request.deadline, ..request.first }, findings);
                }
            }
            Event::RegistrationState { aor, to: RegistrationState::Registered, at, .. } => {
                let subject = || aor_subject(tracker, aor);
                findings.clear_of(FindingId::NeverRegistered, at.time, subject);
                findings.clear_of(FindingId::CallFailedCalleeUnreachable, at.time, subject);
            }
            Event::Reachability { device, to: Reachability::Reachable | Reachability::Lagged, at, .. } => {
                let device = tracker.registrations.device(device);
                if let Some(aor) = device.and_then(|device| tracker.registrations.aor(device.aor)) {
                    findings.clear(FindingId::CallFailedCalleeUnreachable, &Subject::Aor(aor.name.clone()), at.time);
                }
            }
            _ => {}
        }
    }

    fn outcome(&mut self, tracker: &Tracker, handle: Handle, outcome: Outcome, status: u16, at: Sighting, findings: &mut FindingStore) {
        let Some(call) = tracker.calls.get(handle) else { return };
        if outcome == Outcome::Answered {
            if !self.recent.is_empty() {
                self.recent.remove(&called_name(tracker, call));
            }
            let subject = || Some(Subject::Aor(called_name(tracker, call)));
            findings.clear_of(FindingId::CallFailedCalleeUnreachable, at.time, subject);
            // Where the PBX answers itself, as with a voicemail, no phone was reached.
            if call.further.is_some() || call.record.direction(&tracker.world.peers) != Direction::In {
                findings.clear_of(FindingId::UnansweredBurst, at.time, subject);
            }
            return;
        }
        let Some(refused) = Refused::of(tracker, call, status) else { return };
        if refused.never_registered(tracker, at.time) {
            never_registered(tracker, &refused, at, findings);
        } else if !refused.name.is_empty() {
            callee_unreachable(tracker, &refused, at, findings);
        }
        let device = refused.devices(tracker).next();
        self.count(tracker, refused.name.clone(), device, at, findings);
    }

    /// Counts a call that did not reach the user.
    fn count(&mut self, tracker: &Tracker, name: Box<str>, device: Option<&Device>, at: Sighting, findings: &mut FindingStore) {
        let burst = tracker.thresholds().unanswered_burst;
        self.make_room(burst.window, at.time);
        if self.recent.len() >= REMEMBERED && !self.recent.contains_key(&name) {
            return;
        }
        let recent = self.recent.entry(name.clone()).or_default();
        recent.push_back(at);
        while recent.front().is_some_and(|first| at.time.since(first.time) > burst.window)
            || recent.len() > Finding::EVIDENCE.max(burst.count as usize)
        {
            recent.pop_front();
        }
        if !burst.is_reached(recent.len()) {
            return;
        }
        let message = format!("{} undelivered calls to {name} in {} min", recent.len(), burst.window.as_secs() / 60);
        let raise = Raise::new(FindingId::UnansweredBurst, Subject::Aor(name.clone()), message).fill(Slot::Callee, name);
        let raise = recent.iter().fold(raise, |raise, at| raise.evidence(at.time, at.frame, "a call that did not reach the phone"));
        findings.raise(located(tracker, raise, device), at.time);
    }

    /// Forgets users without undelivered calls in the window, at most once a minute.
    fn make_room(&mut self, window: Span, now: PacketTime) {
        if self.recent.len() >= REMEMBERED && self.pruned.is_none_or(|pruned| now.since(pruned) >= Span::from_secs(60)) {
            self.pruned = Some(now);
            self.recent.retain(|_, recent| recent.back().is_some_and(|last| now.since(last.time) <= window));
        }
    }
}

/// Whether the PBX refused the call because the called user is not there, without calling anybody.
pub(super) fn is_refused_without_call(tracker: &Tracker, call: &Call, status: u16) -> bool {
    Refused::of(tracker, call, status).is_some()
}

/// A call that the PBX refused without calling anybody.
struct Refused<'a> {
    call: &'a Call,
    status: u16,
    /// The AoR, or the called `user@host` as dialled.
    name: Box<str>,
    aor: Option<Handle>,
}

impl<'a> Refused<'a> {
    /// The call as one that was refused because the called user is not there; `None` for any other.
    fn of(tracker: &Tracker, call: &'a Call, status: u16) -> Option<Self> {
        let peers = &tracker.world.peers;
        let is_candidate = matches!(status, 404 | 480 | 503)
            && call.record.beginning == Beginning::Captured
            && call.record.direction(peers) == Direction::In
            && !peers.scans(call.record.source.ip());
        if !is_candidate || call.record.rang.is_some() {
            return None;
        }
        let aor = called(tracker, call);
        let absent = call.cause() == Some(SUBSCRIBER_ABSENT);
        let known_to_be_away = status != 404 && aor.is_some_and(|aor| is_away(tracker, aor));
        ((absent || known_to_be_away) && !has_callee_leg(tracker, call)).then(|| Self {
            call,
            status,
            name: called_name(tracker, call),
            aor,
        })
    }

    fn devices<'t>(&self, tracker: &'t Tracker) -> impl Iterator<Item = &'t Device> {
        let handles = self.aor.and_then(|aor| tracker.registrations.aor(aor)).map_or(&[][..], |aor| &aor.devices);
        handles.iter().filter_map(|&device| tracker.registrations.device(device))
    }

    /// Whether nobody has registered this user for as long as a registration can last.
    fn never_registered(&self, tracker: &Tracker, now: PacketTime) -> bool {
        let accepted = self.aor.and_then(|aor| tracker.registrations.aor(aor)).is_some_and(|aor| aor.accepted > 0);
        let least = tracker.thresholds().warmup;
        let warm_up = least.max(tracker.registrations.longest_grant());
        let watched = tracker.started().is_some_and(|started| now.since(started) >= warm_up);
        let pbx = self.call.record.destination;
        watched && !accepted && tracker.world.absence.is_sound_since(now - warm_up) && tracker.world.peers.received_since(pbx, now - least)
    }
}

/// Whether no device of a user is both registered and reachable: it answers no probes, or the connection of its registration has ended.
fn is_away(tracker: &Tracker, aor: Handle) -> bool {
    let devices = tracker.registrations.aor(aor).map_or(&[][..], |aor| &aor.devices);
    let mut known = devices.iter().filter_map(|&device| tracker.registrations.device(device)).peekable();
    known.peek().is_some()
        && known.all(|device| match device.state {
            RegistrationState::Registered => {
                device.probes.reachability == Reachability::Unreachable || disconnected(tracker, device).is_some()
            }
            state => state != RegistrationState::Unknown,
        })
}

/// When the connection ended over which a device registered, if it did.
fn disconnected(tracker: &Tracker, device: &Device) -> Option<Sighting> {
    tracker.registrations.connection_end(&tracker.world, device).map(|end| end.at)
}

/// Whether the PBX called anybody for this call: a linked leg, a further hop, or a leg to the same user that could not be linked.
fn has_callee_leg(tracker: &Tracker, call: &Call) -> bool {
    let is_leg = |other: &Call| {
        other.record.to == call.record.to
            && other.record.started >= call.record.started
            && other.record.direction(&tracker.world.peers) == Direction::Out
    };
    call.further.is_some() || !call.record.linked.is_empty() || tracker.calls.iter().any(|(_, other)| is_leg(other))
}

fn never_registered(tracker: &Tracker, refused: &Refused<'_>, at: Sighting, findings: &mut FindingStore) {
    let uptime = tracker.started().map_or(Span::ZERO, |started| at.time.since(started));
    let aor = refused.aor.and_then(|aor| tracker.registrations.aor(aor));
    let seen = match aor.and_then(|aor| aor.last_status) {
        Some(status) => format!("REGISTER answered {}", status_text(status)),
        None if aor.is_some() => "REGISTER without a final answer".to_owned(),
        None => "no REGISTER at all".to_owned(),
    };
    let message = format!("{}: no successful registration since capture start ({uptime}); last seen: {seen}", refused.name);
    let raise = Raise::new(FindingId::NeverRegistered, Subject::Aor(refused.name.clone()), message)
        .evidence(at.time, at.frame, format!("a call to it was answered {} without calling a phone", status_text(refused.status)))
        .absence(at.time, format!("no REGISTER of it was accepted within {uptime}"))
        .related(Subject::Call(refused.call.record.call_id.clone()));
    findings.raise(located(tracker, raise, refused.devices(tracker).next()), at.time);
}

fn callee_unreachable(tracker: &Tracker, refused: &Refused<'_>, at: Sighting, findings: &mut FindingStore) {
    let registered = refused.devices(tracker).find(|device| device.is_registered());
    let ended = registered.and_then(|device| Some((device, disconnected(tracker, device)?)));
    let state = match registered {
        Some(device) if device.probes.reachability == Reachability::Unreachable => "unreachable: its OPTIONS go unanswered",
        Some(_) if ended.is_some() => "unreachable: the connection over which it registered has ended",
        Some(device) if device.expires_at.is_some_and(|end| end <= at.time) => "absent, since what was granted to it ran out",
        Some(_) => "absent, though it is registered",
        None => "not registered",
    };
    let answer = status_text(refused.status);
    let name = &refused.name;
    let message = format!("PBX answered {answer} without calling {name}: it considers it {state}");
    let raise = Raise::new(FindingId::CallFailedCalleeUnreachable, Subject::Aor(name.clone()), message);
    let raise = match ended {
        Some((device, at)) => raise.evidence(at.time, at.frame, format!("end of the connection of {} to the registrar", device.source())),
        None => raise,
    };
    let raise = raise
        .evidence(refused.call.first.time, refused.call.first.frame, format!("INVITE from {}", refused.call.record.source))
        .evidence(at.time, at.frame, format!("answered {answer}, and no INVITE left the PBX"))
        .related(Subject::Call(refused.call.record.call_id.clone()))
        .fill(Slot::Callee, name.to_string());
    findings.raise(located(tracker, raise, registered.or_else(|| refused.devices(tracker).next())), at.time);
}

fn located(tracker: &Tracker, raise: Raise, device: Option<&Device>) -> Raise {
    match device {
        Some(device) => placed(tracker, raise, device.source()),
        None => raise,
    }
}
