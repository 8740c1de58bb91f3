//! Many calls that end at the same moment (DETECTION §5.7).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use crate::config::Thresholds;
use crate::detect::catalog::{FindingId, Slot};
use crate::detect::finding::{Raise, Subject};
use crate::detect::parties::call_subject;
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::Span;
use crate::track::Tracker;
use crate::track::call::Call;
use crate::track::event::{Event, Sighting};
use crate::track::site::Site;
use crate::track::vocabulary::{Direction, EndedBy, Scope};

/// A call that was shorter proves nothing: where calls last seconds, many end at any moment.
const LONG: Span = Span::from_secs(10);
/// Calls whose lengths differ less than this were ended by a timer, not by an event.
const TIMED: Span = Span::from_secs(3);
/// The Q.850 cause of a call that ends as it should.
const NORMAL: u16 = 16;
/// After that long nothing comes from a place any more: who has a call sends something more often.
const SILENCE: Span = Span::from_secs(20);
/// Legs in progress that are looked at.
const LOOKED_AT: usize = 256;
/// Ends remembered.
const REMEMBERED: usize = 4096;

/// The end of one leg.
#[derive(Clone, Debug)]
struct Dropped {
    leg: Handle,
    at: Sighting,
    call_id: Box<str>,
    caller: Box<str>,
    callee: Box<str>,
    direction: Direction,
    pbx: SocketAddr,
    /// The addresses of its call other than the PBX's: that of this leg, and that of the other leg if it is known.
    peers: [Option<IpAddr>; 2],
    /// Whether the other end hung up, not the PBX.
    by_peer: bool,
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
        let mut ends: Vec<_> = self.recent.iter().filter(|dropped| dropped.pbx == pbx).collect();
        leave_out_bystanders(&mut ends, |count| mass_drop.is_reached(count));
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
        let place = common_place(tracker, &ends);
        let of = place.map_or_else(String::new, |place| format!(", all of {}", place.named()));
        let message = format!("{counted} calls ({percent} %) ended within {}{of}", mass_drop.window);
        let mut raise = Raise::new(FindingId::MassCallDrop, Subject::Pbx(pbx), message)
            .fill(Slot::Pbx, pbx.to_string())
            .fill(Slot::Time, tracker.clock(last.at.time));
        if let Some(place) = place.filter(|place| goes_on_elsewhere(tracker, pbx, *place) || is_by(*place, &ends)) {
            raise = place.laid_to(raise);
        }
        for dropped in &ends {
            let how = if dropped.lost { "is answered that it does not exist" } else { "is hung up" };
            raise = raise.evidence(dropped.at.time, dropped.at.frame, format!("call {} {how}", dropped.call_id));
            raise = call_subject(tracker, dropped.leg).into_iter().fold(raise, Raise::related);
        }
        findings.raise(raise, last.at.time);
    }
}

fn drop_of(tracker: &Tracker, leg: Handle, at: Sighting, lost: bool) -> Option<Dropped> {
    let call = tracker.calls.get(leg)?;
    let pbx = tracker.world.peers.pbx_of(call.flow())?;
    let other = tracker.calls.partners(leg).next().map(|(_, partner)| peer_of(tracker, partner));
    let talk = at.time.since(call.record.answered?);
    let direction = call.record.direction(&tracker.world.peers);
    let by_peer =
        matches!((direction, call.record.ended_by), (Direction::In, Some(EndedBy::Caller)) | (Direction::Out, Some(EndedBy::Callee)));
    (lost || talk >= LONG).then(|| Dropped {
        leg,
        at,
        call_id: call.record.call_id.clone(),
        caller: call.record.from.clone(),
        callee: call.record.to.clone(),
        direction,
        pbx,
        peers: [Some(peer_of(tracker, call)), other],
        by_peer: by_peer && !lost,
        talk,
        lost,
        by_application: !lost && is_by_application(tracker, call),
    })
}

/// The address of a leg that is not the PBX's.
fn peer_of(tracker: &Tracker, leg: &Call) -> IpAddr {
    let (record, peers) = (&leg.record, &tracker.world.peers);
    if record.direction(peers) != Direction::Out {
        return record.source.ip();
    }
    // Behind a proxy that is a PBX of its own stands who was called.
    let beyond = record.passed_on_to.filter(|_| peers.is_pbx_ip(record.destination.ip()));
    beyond.unwrap_or(record.destination).ip()
}

/// Whether the PBX answered a call without calling anybody for it, and hung up without giving an abnormal cause.
fn is_by_application(tracker: &Tracker, call: &Call) -> bool {
    let is_at_pbx = call.record.direction(&tracker.world.peers) == Direction::In && call.record.linked.is_empty() && call.further.is_none();
    is_at_pbx && call.record.ended_by == Some(EndedBy::Callee) && call.cause().is_none_or(|cause| cause == NORMAL)
}

/// How many calls these legs were: each has at most one leg towards the PBX, and legs need not be linked.
fn calls(ends: &[&Dropped]) -> usize {
    let towards = ends.iter().filter(|dropped| dropped.direction == Direction::In).count();
    towards.max(ends.len() - towards)
}

/// Keeps the ends of calls at one place, where they are a crowd and the others are few who hung up: on a PBX with many calls somebody does in
/// any moment. Of two places it is the one that hung up.
fn leave_out_bystanders(ends: &mut Vec<&Dropped>, is_crowd: impl Fn(usize) -> bool) {
    let mut at: BTreeMap<IpAddr, (usize, usize)> = BTreeMap::new();
    for dropped in ends.iter() {
        let [own, other] = dropped.peers;
        for peer in own.into_iter().chain(other.filter(|_| other != own)) {
            let (there, by_peer) = at.entry(peer).or_default();
            *there += 1;
            *by_peer += usize::from(dropped.by_peer && own == Some(peer));
        }
    }
    let Some((place, _)) = at.into_iter().max_by_key(|(_, counts)| *counts) else { return };
    let (there, elsewhere): (Vec<_>, Vec<_>) = ends.iter().copied().partition(|dropped| dropped.peers.contains(&Some(place)));
    let hung_up = elsewhere.iter().filter(|dropped| dropped.by_peer).count();
    if is_crowd(calls(&there)) && !is_crowd(calls(&elsewhere)) && hung_up >= calls(&elsewhere) {
        *ends = there;
    }
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
    callees.len() > 1 && longest - shortest > TIMED && !is_one_application(ends, callees.len()) && !is_called_together(ends)
}

/// Whether the PBX called all of them in one name, as it does for a conference: when its host leaves, all are let go. One leg at most is the
/// host's own.
fn is_called_together(ends: &[&Dropped]) -> bool {
    let called: Vec<_> = ends.iter().filter(|dropped| dropped.direction == Direction::Out).collect();
    let callers: BTreeSet<_> = called.iter().map(|dropped| &dropped.caller).collect();
    let is_named = callers.first().is_some_and(|caller| !caller.starts_with("anonymous"));
    callers.len() == 1
        && is_named
        && called.len() + 1 >= ends.len()
        && called.iter().all(|dropped| dropped.peers[1].is_none() && !dropped.by_peer)
}

/// Whether one application of the PBX, such as a conference that is reached by a few numbers, let go of those that were in it: a PBX that
/// crashes says no BYE, and one that ends takes leave of other calls too. Where each number was called once these may be anything.
fn is_one_application(ends: &[&Dropped], numbers: usize) -> bool {
    ends.iter().all(|dropped| dropped.by_application) && numbers * 2 <= ends.len()
}

/// Where calls go to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Trunk(IpAddr),
    Site(IpAddr),
}

impl Place {
    fn address(self) -> IpAddr {
        match self {
            Self::Trunk(ip) | Self::Site(ip) => ip,
        }
    }

    fn named(self) -> String {
        match self {
            Self::Trunk(ip) => format!("trunk {ip}"),
            Self::Site(ip) => format!("site {}", Site::of(ip)),
        }
    }

    /// It is not the PBX that dropped them.
    fn laid_to(self, raise: Raise) -> Raise {
        match self {
            Self::Trunk(ip) => raise.scope(Scope::Trunk).related(Subject::Trunk(ip)).fill(Slot::Ip, ip.to_string()).remedy(TRUNK),
            Self::Site(ip) => {
                let site = Site::of(ip);
                raise.scope(Scope::Site).related(Subject::Site(site)).fill(Slot::Site, site.to_string()).remedy(SITE)
            }
        }
    }
}

/// What to do where a trunk dropped them.
const TRUNK: &str = "Report the interruption at {time} to the carrier of trunk {ip}.";
/// What to do where those of one site were dropped.
const SITE: &str = "Check the internet line and the router of {site} for an interruption at {time}; the PBX went on with its other calls.";

/// The place that all calls have a leg to: of several a trunk that hung up, or else the one that no other call goes on at; none where there
/// are none or several.
fn common_place(tracker: &Tracker, ends: &[&Dropped]) -> Option<Place> {
    let (first, others) = ends.split_first()?;
    let is_common = |ip: &IpAddr| others.iter().all(|dropped| dropped.peers.contains(&Some(*ip)));
    let common: BTreeSet<_> = first.peers.into_iter().flatten().filter(is_common).collect();
    let place = |ip: &IpAddr| if tracker.world.peers.is_trunk(*ip) { Place::Trunk(*ip) } else { Place::Site(*ip) };
    let mut places: Vec<_> = common.iter().map(place).collect();
    if let Some(trunk) = places.iter().find(|place| matches!(place, Place::Trunk(_))).copied().filter(|trunk| is_by(*trunk, ends)) {
        return Some(trunk);
    }
    if places.len() > 1 {
        let up: BTreeSet<_> = up(tracker).map(|(_, call)| peer_of(tracker, call)).collect();
        places.retain(|place| !up.contains(&place.address()));
    }
    if places.len() > 1 {
        // Of two sites that talked with each other the one that nothing came from.
        places.retain(|place| is_silent(tracker, *place, ends));
    }
    places.first().copied().filter(|_| places.len() == 1)
}

/// Whether nothing came from a place for a while before its calls ended.
fn is_silent(tracker: &Tracker, place: Place, ends: &[&Dropped]) -> bool {
    let legs = ends.iter().filter(|dropped| dropped.peers[0] == Some(place.address()));
    let heard = legs.filter_map(|dropped| {
        let flow = tracker.calls.get(dropped.leg)?.flow();
        Some(dropped.at.time.since(tracker.world.flows.last_seen(if dropped.direction == Direction::Out { flow.reversed() } else { flow })))
    });
    heard.min().is_some_and(|silence| silence >= SILENCE)
}

/// Legs that are up; of very many some, as they are looked at anew for each call that ends.
fn up(tracker: &Tracker) -> impl Iterator<Item = (Handle, &Call)> {
    tracker.calls.iter().filter(|(_, call)| call.is_up()).take(LOOKED_AT)
}

/// Whether the PBX has calls up that have nothing to do with a place.
fn goes_on_elsewhere(tracker: &Tracker, pbx: SocketAddr, place: Place) -> bool {
    up(tracker).any(|(leg, call)| {
        let legs = || std::iter::once(call).chain(tracker.calls.partners(leg).map(|(_, partner)| partner));
        tracker.world.peers.pbx_of(call.flow()) == Some(pbx) && legs().all(|leg| peer_of(tracker, leg) != place.address())
    })
}

/// Whether a trunk hung up itself, whatever else the PBX has to do.
fn is_by(place: Place, ends: &[&Dropped]) -> bool {
    let mut legs = ends.iter().filter(|dropped| dropped.peers[0] == Some(place.address())).peekable();
    matches!(place, Place::Trunk(_)) && legs.peek().is_some() && legs.all(|dropped| dropped.by_peer)
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
            caller: format!("caller of {callee}").into(),
            callee: callee.into(),
            direction,
            pbx: "203.0.113.10:5060".parse().unwrap(),
            peers: ["198.51.100.7".parse().ok(), None],
            by_peer: false,
            talk: Span::from_secs(talk),
            lost,
            by_application: false,
        }
    }

    #[test]
    fn a_call_of_two_neighbours_hides_no_trunk_that_hung_up() {
        let (site, trunk) = ("198.51.100.7".parse().ok(), "192.0.2.60".parse().ok());
        let leg = |peers, by_peer, direction| Dropped { peers, by_peer, ..dropped("1", direction, 60, false) };
        let own = leg([trunk, site], true, Direction::Out);
        let elsewhere = leg([trunk, None], true, Direction::Out);
        let left = |neighbours: [&Dropped; 2]| {
            let mut ends = vec![&own, &own, &own, &own, &elsewhere, &elsewhere];
            ends.extend(neighbours);
            leave_out_bystanders(&mut ends, |count| count >= 5);
            ends.iter().filter(|end| !end.peers.contains(&trunk)).count()
        };
        let [hung_up, told, lost] = [(true, Direction::In), (false, Direction::Out), (false, Direction::In)]
            .map(|(by_peer, direction)| leg([site, site], by_peer, direction));
        assert_eq!(left([&hung_up, &told]), 0);
        assert_eq!(left([&lost, &told]), 2, "nobody hung up that one");
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
    fn members_that_were_called_for_a_conference_are_no_event() {
        let members = |callers: [&str; 3]| {
            let ends = [("1", 60), ("2", 70), ("3", 80)].map(|(callee, talk)| dropped(callee, Direction::Out, talk, false));
            let mut ends: Vec<_> = ends.into_iter().zip(callers).map(|(end, caller)| Dropped { caller: caller.into(), ..end }).collect();
            ends.push(dropped("*90", Direction::In, 90, false));
            is_event(&ends.iter().collect::<Vec<_>>())
        };
        assert!(!members(["9000", "9000", "9000"]));
        assert!(members(["1001", "1002", "1003"]));
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
