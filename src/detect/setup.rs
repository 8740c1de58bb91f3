//! How long callers wait until it rings (DETECTION §4.2).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::config::Thresholds;
use crate::detect::catalog::{FindingId, Slot};
use crate::detect::finding::{Raise, Subject};
use crate::detect::parties::call_subject;
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::call::Call;
use crate::track::event::{Event, Sighting};
use crate::track::vocabulary::{Confidence, Direction, Outcome};

/// Calls that it is taken over.
const REMEMBERED: usize = 200;
/// How long a call counts.
const WINDOW: Span = Span::from_secs(3600);

/// What to do where the PBX is not what calls wait for.
const WAITS_THERE: &str =
    "L2: check {side}, a trunk or a phone, and the way there: the PBX passes calls on to it at once, and there they wait.";

#[derive(Clone, Copy, Debug)]
struct Setup {
    pbx: SocketAddr,
    at: PacketTime,
    delay: Span,
    /// Where it waited, if not at the PBX.
    waited_at: Option<IpAddr>,
}

/// Watches how long calls take to ring.
#[derive(Debug, Default)]
pub(super) struct SetupDetector {
    recent: VecDeque<Setup>,
}

impl SetupDetector {
    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        let Event::CallOutcome { call, outcome: Outcome::Answered, at, .. } = *event else { return };
        let Some(entry) = tracker.calls.get(call) else { return };
        let incoming = entry.record.direction(&tracker.world.peers) == Direction::In;
        let Some((pbx, delay)) = tracker.world.peers.pbx_of(entry.flow()).zip(entry.record.setup()).filter(|_| incoming) else { return };
        if was_delivered_late(tracker, call, entry) {
            return;
        }
        while self.recent.front().is_some_and(|old| at.time.since(old.at) > WINDOW) || self.recent.len() >= REMEMBERED {
            self.recent.pop_front();
        }
        let waited_at = waited_at(tracker, call, entry, delay);
        self.recent.push_back(Setup { pbx, at: at.time, delay, waited_at });
        let thresholds = tracker.thresholds();
        if delay > thresholds.pdd_warn_single {
            single(tracker, call, entry, pbx, delay, at, findings);
        } else if delay > thresholds.pdd_warn {
            self.many(thresholds, entry, pbx, at, findings);
        }
    }

    fn many(&self, thresholds: &Thresholds, call: &Call, pbx: SocketAddr, at: Sighting, findings: &mut FindingStore) {
        let mut delays: Vec<_> = self.recent.iter().filter(|setup| setup.pbx == pbx).map(|setup| setup.delay).collect();
        delays.sort_unstable();
        let Some(p95) = delays.get((delays.len() * 95).div_ceil(100).saturating_sub(1)).filter(|p95| **p95 > thresholds.pdd_warn) else {
            return;
        };
        if delays.len() < thresholds.pdd_calls as usize {
            return;
        }
        let message = format!("{pbx}: 5 % of {} calls took {p95} or longer until it rang", delays.len());
        let place = self.place(pbx, thresholds.pdd_warn);
        findings.raise(remedied(slow(call, pbx, message, at), place), at.time);
    }

    /// Where more than half of the slow calls waited, if that is one place and not the PBX.
    fn place(&self, pbx: SocketAddr, slow: Span) -> Option<IpAddr> {
        let slow: Vec<_> = self.recent.iter().filter(|setup| setup.pbx == pbx && setup.delay > slow).map(|setup| setup.waited_at).collect();
        let is_most = |place: &IpAddr| slow.iter().filter(|other| **other == Some(*place)).count() * 2 > slow.len();
        slow.iter().copied().flatten().find(is_most)
    }
}

fn single(tracker: &Tracker, handle: Handle, call: &Call, pbx: SocketAddr, delay: Span, at: Sighting, findings: &mut FindingStore) {
    let share = server_share(tracker, handle, call).map_or_else(String::new, |share| format!(", of which the PBX took {share}"));
    let message = format!("{pbx}: a call to {} took {delay} until it rang{share}", call.record.to);
    let raise = remedied(slow(call, pbx, message, at), waited_at(tracker, handle, call, delay)).confidence(Confidence::Suspected);
    let raise = call_subject(tracker, handle).into_iter().fold(raise, Raise::related);
    findings.raise(raise, at.time);
}

fn slow(call: &Call, pbx: SocketAddr, message: String, at: Sighting) -> Raise {
    let begun = format!("INVITE of {} to {}", call.record.from, call.record.to);
    let Some(progress) = call.record.progress.filter(|progress| *progress < at.time) else {
        return Raise::new(FindingId::SlowCallSetup, Subject::Pbx(pbx), message)
            .evidence(call.first.time, call.first.frame, begun)
            .evidence(at.time, at.frame, "its first response that tells the caller anything: 2xx");
    };
    Raise::new(FindingId::SlowCallSetup, Subject::Pbx(pbx), message).evidence(call.first.time, call.first.frame, begun).evidence(
        at.time,
        at.frame,
        format!("2xx; the first response that told the caller anything came {} after the INVITE", progress.since(call.first.time)),
    )
}

fn remedied(raise: Raise, place: Option<IpAddr>) -> Raise {
    place.into_iter().fold(raise, |raise, place| raise.remedy(WAITS_THERE).fill(Slot::Side, place.to_string()))
}

/// Where a call waited that the PBX passed on in less than a quarter of the time that it took.
fn waited_at(tracker: &Tracker, handle: Handle, call: &Call, delay: Span) -> Option<IpAddr> {
    let share = server_share(tracker, handle, call).filter(|share| share.times(4) < delay)?;
    let onward = tracker.calls.partners(handle).map(|(_, partner)| partner);
    let first = onward.into_iter().find(|partner| partner.first.time.since(call.first.time) == share)?;
    Some(first.record.destination.ip())
}

/// From the INVITE of the caller to that of the PBX.
fn server_share(tracker: &Tracker, handle: Handle, call: &Call) -> Option<Span> {
    let onward = tracker.calls.partners(handle).map(|(_, partner)| partner.first.time).min()?;
    Some(onward.since(call.first.time)).filter(|share| *share >= Span::ZERO)
}

/// Whether an INVITE had to be repeated until it arrived: towards the PBX, or from it.
fn was_delivered_late(tracker: &Tracker, handle: Handle, call: &Call) -> bool {
    let partners = tracker.calls.partners(handle).map(|(_, partner)| partner);
    std::iter::once(call).chain(partners).any(|leg| u32::from(leg.transmissions) >= tracker.thresholds().late_delivery)
}
