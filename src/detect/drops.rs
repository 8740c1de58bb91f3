//! Many calls that end at the same moment (DETECTION §5.7).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use crate::config::Thresholds;
use crate::detect::catalog::{FindingId, Slot};
use crate::detect::finding::{Raise, Subject};
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::Span;
use crate::track::Tracker;
use crate::track::call::Call;
use crate::track::event::{Event, Sighting};
use crate::track::vocabulary::{Direction, EndedBy};

/// A call that was shorter proves nothing: where calls last seconds, many end at any moment.
const LONG: Span = Span::from_secs(10);
/// Calls whose lengths differ less than this were ended by a timer, not by an event.
const TIMED: Span = Span::from_secs(3);
/// The Q.850 cause of a call that ends as it should.
const NORMAL: u16 = 16;
/// Ends remembered.
const REMEMBERED: usize = 4096;

/// The end of one leg.
#[derive(Clone, Debug)]
struct Dropped {
    leg: Handle,
    at: Sighting,
    call_id: Box<str>,
    callee: Box<str>,
    direction: Direction,
    pbx: SocketAddr,
    peer: IpAddr,
    talk: Span,
    /// Whether one end answered that it knew nothing of it, rather than hung up.
    lost: bool,
    /// Whether the PBX took the call itself, and ended it in good order.
    by_application: bool,
}

/// Watches for calls that end together.
#[derive(Debug, Default)]
pub(super) struct DropDetector {
    recent: VecDeque<Dropped>,
    /// The legs of those.
    legs: BTreeSet<Handle>,
}

impl DropDetector {
    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        let dropped = match *event {
            Event::DialogLost { call, lost } => drop_of(tracker, call, lost.at, true),
            Event::CallEnded { call, at } if at.frame > 0 => drop_of(tracker, call, at, false),
            _ => None,
        };
        if let Some(dropped) = dropped {
            let pbx = dropped.pbx;
            self.remember(dropped, tracker.thresholds().mass_drop.window);
            self.judge(tracker, pbx, findings);
        }
    }

    fn remember(&mut self, dropped: Dropped, within: Span) {
        let now = dropped.at.time;
        while self.recent.front().is_some_and(|old| now.since(old.at.time) > within) || self.recent.len() >= REMEMBERED {
            if let Some(old) = self.recent.pop_front() {
                self.legs.remove(&old.leg);
            }
        }
        if self.legs.insert(dropped.leg) {
            self.recent.push_back(dropped);
        }
    }

    fn judge(&self, tracker: &Tracker, pbx: SocketAddr, findings: &mut FindingStore) {
        let Thresholds { mass_drop, mass_drop_share, .. } = *tracker.thresholds();
        // Where calls end all the time they are not looked at one by one: already of those that are up they would be too small a part.
        if !mass_drop.is_reached(self.recent.len()) || !mass_drop_share.is_reached(self.recent.len(), tracker.calls.established()) {
            return;
        }
        let ends: Vec<_> = self.recent.iter().filter(|dropped| dropped.pbx == pbx).collect();
        let counted = calls(&ends);
        if !mass_drop.is_reached(counted) {
            return;
        }
        let ended = ends.iter().filter(|dropped| tracker.calls.get(dropped.leg).is_none_or(|call| !call.is_up())).count();
        let up = tracker.calls.established() + ended;
        if !mass_drop_share.is_reached(ends.len(), up) || !is_event(&ends) {
            return;
        }
        let Some(last) = ends.last() else { return };
        let percent = (ends.len() * 100 / up.max(1)).min(100);
        let message = format!("{counted} calls ({percent} %) ended within {}{}", mass_drop.window, reach(tracker, &ends));
        let mut raise = Raise::new(FindingId::MassCallDrop, Subject::Pbx(pbx), message)
            .fill(Slot::Pbx, pbx.to_string())
            .fill(Slot::Time, tracker.printed(last.at.time).to_string());
        for dropped in &ends {
            let how = if dropped.lost { "is answered that it does not exist" } else { "is hung up" };
            raise = raise.evidence(dropped.at.time, dropped.at.frame, format!("call {} {how}", dropped.call_id));
        }
        findings.raise(raise, last.at.time);
    }
}

fn drop_of(tracker: &Tracker, leg: Handle, at: Sighting, lost: bool) -> Option<Dropped> {
    let call = tracker.calls.get(leg)?;
    let pbx = tracker.world.peers.pbx_of(call.flow())?;
    let peer = if call.record.source == pbx { call.record.destination } else { call.record.source };
    let talk = at.time.since(call.record.answered?);
    (lost || talk >= LONG).then(|| Dropped {
        leg,
        at,
        call_id: call.record.call_id.clone(),
        callee: call.record.to.clone(),
        direction: tracker.world.peers.direction(call.flow()),
        pbx,
        peer: peer.ip(),
        talk,
        lost,
        by_application: !lost && is_by_application(tracker, call),
    })
}

/// Whether the PBX answered a call without calling anybody for it, and hung up without giving an abnormal cause.
fn is_by_application(tracker: &Tracker, call: &Call) -> bool {
    let is_at_pbx = tracker.world.peers.direction(call.flow()) == Direction::In && call.record.linked.is_empty() && call.further.is_none();
    is_at_pbx && call.record.ended_by == Some(EndedBy::Callee) && call.cause().is_none_or(|cause| cause == NORMAL)
}

/// How many calls these legs were: each has at most one leg towards the PBX, and legs need not be linked.
fn calls(ends: &[&Dropped]) -> usize {
    let towards = ends.iter().filter(|dropped| dropped.direction == Direction::In).count();
    towards.max(ends.len() - towards)
}

/// Whether something happened to these calls: they are neither the members of one conference nor were they ended by one application, or by a
/// timer, each for itself.
fn is_event(ends: &[&Dropped]) -> bool {
    if ends.iter().any(|dropped| dropped.lost) {
        return true;
    }
    let callees: BTreeSet<_> = ends.iter().map(|dropped| &dropped.callee).collect();
    let shortest = ends.iter().map(|dropped| dropped.talk).min().unwrap_or(Span::ZERO);
    let longest = ends.iter().map(|dropped| dropped.talk).max().unwrap_or(Span::ZERO);
    callees.len() > 1 && longest - shortest > TIMED && !is_one_application(ends, callees.len())
}

/// Whether one application of the PBX, such as a conference that is reached by a few numbers, let go of those that were in it: a PBX that
/// crashes says no BYE, and one that ends takes leave of other calls too. Where each number was called once these may be anything.
fn is_one_application(ends: &[&Dropped], numbers: usize) -> bool {
    ends.iter().all(|dropped| dropped.by_application) && numbers * 2 <= ends.len()
}

/// Where all calls have one peer in common, which.
fn reach(tracker: &Tracker, ends: &[&Dropped]) -> String {
    let mut peers: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for dropped in ends {
        *peers.entry(dropped.peer).or_default() += 1;
    }
    match peers.first_key_value() {
        Some((peer, _)) if peers.len() == 1 && tracker.world.peers.is_trunk(*peer) => format!(", all of trunk {peer}"),
        Some((peer, _)) if peers.len() == 1 => format!(", all of site {peer}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Digester, ExpiringTable, Rank};
    use crate::time::PacketTime;

    fn dropped(callee: &str, direction: Direction, talk: i64, lost: bool) -> Dropped {
        Dropped {
            leg: ExpiringTable::new(1).insert(Digester::new(0).bytes(b""), (), PacketTime::MAX, Rank::Ordinary).0,
            at: Sighting::default(),
            call_id: "x".into(),
            callee: callee.into(),
            direction,
            pbx: "203.0.113.10:5060".parse().unwrap(),
            peer: "198.51.100.7".parse().unwrap(),
            talk: Span::from_secs(talk),
            lost,
            by_application: false,
        }
    }

    #[test]
    fn the_two_legs_of_a_call_are_one_call() {
        let (a, b) = (dropped("1", Direction::In, 60, false), dropped("1", Direction::Out, 60, false));
        assert_eq!(calls(&[&a, &b, &a, &b]), 2);
        assert_eq!(calls(&[&b, &b, &b]), 3);
    }

    #[test]
    fn a_conference_and_a_timer_are_no_event() {
        let ends = |callees: [&str; 2], talks: [i64; 2], lost| {
            let both = [0, 1].map(|index| dropped(callees[index], Direction::In, talks[index], lost));
            is_event(&[&both[0], &both[1]])
        };
        assert!(ends(["1", "2"], [60, 90], false));
        assert!(!ends(["8000", "8000"], [60, 90], false), "all were in one conference");
        assert!(!ends(["1", "2"], [60, 61], false), "a timer ended each");
        assert!(ends(["8000", "8000"], [60, 60], true), "nobody hung up");
    }

    #[test]
    fn a_conference_that_is_reached_by_two_numbers_is_one_application() {
        let members = |by_application, callees: [&str; 4]| {
            let ends = [60, 70, 80, 90].into_iter().zip(callees).map(|(talk, callee)| dropped(callee, Direction::In, talk, false));
            let ends: Vec<_> = ends.map(|dropped| Dropped { by_application, ..dropped }).collect();
            is_event(&ends.iter().collect::<Vec<_>>())
        };
        assert!(!members(true, ["8000", "8001", "8000", "8001"]));
        assert!(members(false, ["8000", "8001", "8000", "8001"]), "their members hung up, or others were called for them");
        assert!(members(true, ["8000", "8001", "8002", "8003"]), "nothing shows that they belong together");
    }
}
