//! How many of all calls reach nobody's phone (DETECTION §4.4).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use crate::config::Thresholds;
use crate::decode::ends::end_key;
use crate::detect::catalog::{FindingId, Slot};
use crate::detect::finding::{Raise, Subject};
use crate::detect::parties::called_name;
use crate::detect::sighted::SightedLog;
use crate::detect::store::FindingStore;
use crate::detect::undelivered::is_refused_without_call;
use crate::table::Handle;
use crate::track::Tracker;
use crate::track::call::Call;
use crate::track::event::{Event, Sighting};
use crate::track::vocabulary::{Direction, Outcome, Scope};

/// Calls remembered.
const REMEMBERED: usize = 4096;
/// Undelivered calls that are shown.
const SHOWN: usize = 20;

/// A call attempt that came to an end.
#[derive(Clone, Copy, Debug)]
struct Tried {
    call: Handle,
    pbx: PbxKey,
}

/// The hash of the address of a PBX.
type PbxKey = u32;

/// Watches the share of calls that are not delivered.
#[derive(Debug, Default)]
pub(super) struct DeliveryDetector {
    tried: VecDeque<Tried>,
    /// Their ends.
    ends: SightedLog,
    /// How many came before the first of these.
    forgotten: u64,
    /// Whom those called that reached nobody's phone, by their number.
    missed: BTreeMap<u64, Box<str>>,
    /// Calls in progress of which a leg to a phone went unanswered.
    lost: BTreeSet<Handle>,
}

impl DeliveryDetector {
    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        match *event {
            Event::CallOutcome { call, outcome, status, at } => self.ended(tracker, call, outcome, status, at, findings),
            // At the end of a trunk there is no phone: that it is dead is told by itself.
            Event::InviteUnanswered { call, request }
                if tracker.world.peers.direction(request.flow) == Direction::Out
                    && !tracker.world.peers.is_trunk(request.flow.destination.ip()) =>
            {
                self.leg_lost(tracker, call, findings);
            }
            _ => {}
        }
    }

    fn ended(&mut self, tracker: &Tracker, handle: Handle, outcome: Outcome, status: u16, at: Sighting, findings: &mut FindingStore) {
        let was_lost = self.lost.remove(&handle);
        let Some(call) = tracker.calls.get(handle) else { return };
        let Some(pbx) = tracker.world.peers.pbx_of(call.flow()).filter(|_| counts(tracker, call, outcome)) else { return };
        let undelivered = outcome != Outcome::Answered && (was_lost || is_refused_without_call(tracker, call, status));
        while self.ends.first().is_some_and(|old| at.time.since(old.time) > tracker.thresholds().undelivered.window)
            || self.tried.len() >= REMEMBERED
        {
            self.tried.pop_front();
            self.ends.pop();
            self.missed.remove(&self.forgotten);
            self.forgotten += 1;
        }
        let pbx_key = key(tracker, pbx);
        self.tried.push_back(Tried { call: handle, pbx: pbx_key });
        self.ends.push(at, |_| {});
        if undelivered {
            let number = self.forgotten + self.tried.len() as u64 - 1;
            self.missed.insert(number, called_name(tracker, call));
            self.judge((pbx, pbx_key), tracker.thresholds(), at, findings);
        }
    }

    /// A leg went unanswered; its caller may have been told before.
    fn leg_lost(&mut self, tracker: &Tracker, leg: Handle, findings: &mut FindingStore) {
        let Some(own) = tracker.calls.get(leg) else { return };
        let from = match own.record.direction(&tracker.world.peers) {
            Direction::In => Some((leg, own)),
            _ => tracker.calls.partners(leg).find(|(_, call)| call.record.direction(&tracker.world.peers) == Direction::In),
        };
        let Some((caller, call)) = from.filter(|(_, call)| !call.is_answered()) else { return };
        if call.record.outcome.is_none() {
            if self.lost.len() < REMEMBERED {
                self.lost.insert(caller);
            }
            return;
        }
        let is_new = |(number, _, tried): &(u64, Sighting, Tried)| tried.call == caller && !self.missed.contains_key(number);
        let known = self.numbered().filter(is_new).last();
        if let Some((number, at, Tried { pbx, .. })) = known {
            self.missed.insert(number, called_name(tracker, call));
            if let Some(address) = tracker.world.peers.pbx_of(call.flow()) {
                self.judge((address, pbx), tracker.thresholds(), at, findings);
            }
        }
    }

    /// All that are remembered, each with its number and its end.
    fn numbered(&self) -> impl Iterator<Item = (u64, Sighting, Tried)> {
        (self.forgotten..).zip(self.ends.iter().zip(&self.tried)).map(|(number, ((at, _), tried))| (number, at, *tried))
    }

    fn judge(&self, (pbx, key): (SocketAddr, PbxKey), thresholds: &Thresholds, at: Sighting, findings: &mut FindingStore) {
        let enough = thresholds.undelivered;
        let counts = |(_, end, tried): &(u64, Sighting, Tried)| tried.pbx == key && at.time.since(end.time) <= enough.window;
        let all: Vec<_> = self.numbered().filter(counts).collect();
        let missed: Vec<_> = all.iter().filter_map(|(number, end, _)| Some((end, self.missed.get(number)?))).collect();
        let users: BTreeSet<_> = missed.iter().map(|(_, callee)| callee).collect();
        let is_burst = enough.is_reached(all.len())
            && thresholds.undelivered_share.is_reached(missed.len(), all.len())
            && users.len() >= thresholds.undelivered_users as usize;
        if !is_burst {
            return;
        }
        let percent = missed.len() * 100 / all.len();
        let message = format!(
            "{pbx}: {} of {} calls ({percent} %) in {} min reached no phone, to {} users",
            missed.len(),
            all.len(),
            enough.window.as_secs() / 60,
            users.len()
        );
        let raise = Raise::new(FindingId::UnansweredBurst, Subject::Pbx(pbx), message)
            .scope(Scope::Server)
            .fill(Slot::Callee, "each of the called users");
        let raise = missed
            .iter()
            .rev()
            .take(SHOWN)
            .fold(raise, |raise, (at, callee)| raise.evidence(at.time, at.frame, format!("a call to {callee} that reached no phone")));
        findings.raise(raise, at.time);
    }
}

fn key(tracker: &Tracker, pbx: SocketAddr) -> PbxKey {
    tracker.world.digester.bytes(&end_key(&pbx)).low64() as u32
}

/// Whether an attempt says anything of delivery: a call towards the PBX whose fate is known.
fn counts(tracker: &Tracker, call: &Call, outcome: Outcome) -> bool {
    let peers = &tracker.world.peers;
    !matches!(outcome, Outcome::Unknown | Outcome::Redirected | Outcome::CompletedElsewhere)
        && call.record.direction(peers) == Direction::In
        && !peers.scans(call.record.source.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::store::Limits;
    use crate::table::{Digester, ExpiringTable, Rank};
    use crate::time::PacketTime;

    fn pbx() -> SocketAddr {
        "203.0.113.10:5060".parse().unwrap()
    }

    /// Whether that many calls of which `missed` reached none of `users` users are a burst.
    fn is_burst(calls: usize, missed: usize, users: usize) -> bool {
        let mut table = ExpiringTable::new(1);
        let (call, _) = table.insert(Digester::new(1).bytes(b"call"), (), PacketTime::MAX, Rank::Ordinary);
        let at = Sighting { time: PacketTime::from_parts(100, 0), frame: 1 };
        let mut detector = DeliveryDetector::default();
        for number in 0..calls {
            detector.tried.push_back(Tried { call, pbx: 7 });
            detector.ends.push(at, |_| {});
            if number < missed {
                detector.missed.insert(number as u64, format!("{}@pbx.example.com", 1000 + number % users).into());
            }
        }
        let mut findings = FindingStore::new(Limits { open: 10, ended: 10 });
        detector.judge((pbx(), 7), &Thresholds::default(), at, &mut findings);
        findings.is_open(FindingId::UnansweredBurst, &Subject::Pbx(pbx()))
    }

    #[test]
    fn one_call_in_five_to_several_users_is_a_burst() {
        assert!(is_burst(20, 4, 3));
        assert!(!is_burst(20, 3, 3), "15 %");
        assert!(!is_burst(19, 19, 3), "too few calls");
        assert!(!is_burst(40, 40, 2), "the matter of two phones");
    }
}
