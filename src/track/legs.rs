//! Which two dialogs are the legs of one call through a B2BUA (DETECTION §6.3).
//!
//! A leg towards the PBX and a leg from it are scored by what they have in common when the second begins, and again when it rings and is
//! answered. They are linked at 60 points if no other candidate comes within 15; ambiguous ones stay apart, and nothing is concluded. A first
//! leg may have several second ones: a group rings, or all devices of one user.

mod index;
mod marks;
mod remembered;

use std::cmp::Reverse;

use crate::decode::flow::Flow;
use crate::table::{Handle, Rank};
use crate::time::{PacketTime, Span};
use crate::track::call::{Call, Calls};
use crate::track::registration::Registrations;
use crate::track::vocabulary::Direction;
use crate::track::world::{Seen, World};
use index::{Entries, Index};
use marks::Marks;
use remembered::{PATIENCE, Place, Remembered};

/// Points that link two legs.
const LINK: u32 = 60;
/// By how much the best candidate must lead, without what the time between the INVITEs says: of two calls of the same pair the PBX may
/// well go on with the older one first.
const LEAD: u32 = 15;
/// How long after the first leg the second may begin.
const WINDOW: Span = Span::from_secs(10);
/// First legs that are weighed for a second one: those that have most in common with it.
const WEIGHED: usize = 16;
/// Second legs that are looked at again when a first one rings or is answered.
const LOOKED_AT: usize = 64;
/// How often all legs are looked at again because a PBX was learned: a host has few, and whoever pretends to be one can do so again and again.
const LEARNED: u8 = 64;
/// How closely ringing on one leg follows ringing on the other.
const RING_COUPLING: Span = Span::from_millis(300);
/// How soon the answer on the first leg follows the answer on the second.
const ANSWER_COUPLING: Span = Span::from_secs(1);

#[derive(Debug)]
struct Leg {
    /// Its place in the order of the remembered legs of its kind.
    number: u64,
    call: Handle,
    flow: Flow,
    begun: PacketTime,
    marks: Marks,
    /// Whether a stranger began it.
    is_strangers: bool,
    /// The legs of the other kind with which it may be one call, so that they are not looked for among all: of a second leg at most
    /// [`WEIGHED`], the latest first; of a first one at most [`LOOKED_AT`].
    near: Vec<Mate>,
    /// Of a first leg: its marks in the index.
    entries: Entries,
    /// Of a first leg: the number of the second one that it was weighed for last.
    weighed_for: Option<u64>,
    /// What the best first leg that is not among those has in common with it: so much tells nobody apart.
    crowd: u32,
}

/// Where a leg is found again.
#[derive(Clone, Copy, Debug)]
struct Mate {
    call: Handle,
    begun: PacketTime,
    place: Place,
}

impl Leg {
    fn of(seen: &Seen<'_>, call: Handle, marks: Marks) -> Self {
        Self {
            number: 0,
            call,
            flow: seen.flow,
            begun: seen.at.time,
            marks,
            is_strangers: is_strangers(seen),
            near: Vec::new(),
            entries: Entries::NONE,
            weighed_for: None,
            crowd: 0,
        }
    }

    fn mate(&self, place: Place) -> Mate {
        Mate { call: self.call, begun: self.begun, place }
    }
}

/// Why two legs may be one call, in points.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Score {
    /// How soon one INVITE followed the other.
    time: u32,
    /// All else.
    rest: u32,
}

/// The legs that may still be linked, each list in the order in which they began.
#[derive(Debug, Default)]
pub struct Legs {
    /// Not from the PBX, as far as the PBX is known.
    first: Remembered,
    by_mark: Index,
    /// Not towards the PBX, and without partner.
    second: Remembered,
    /// First legs that have something in common with a second one, while it is introduced: points, number and place of each.
    fitting: Vec<(u32, u64, Place)>,
    /// When nobody waits for any of them, unless another begins.
    idle_at: Option<PacketTime>,
    /// Times that all were looked at again.
    learned: u8,
}

impl Legs {
    /// Takes note of a call that began with the INVITE `seen`.
    pub fn begun(&mut self, world: &World, registrations: &Registrations, calls: &mut Calls, seen: &Seen<'_>, call: Handle) {
        self.forget(seen.at.time);
        self.idle_at = Some(seen.at.time + PATIENCE);
        let marks = Marks::of(world, registrations, seen);
        let direction = world.peers.direction(seen.flow);
        if direction != Direction::Out {
            self.add_first(calls, Leg::of(seen, call, marks));
        }
        if may_be_second(world, seen.flow, direction) {
            self.add_second(world, calls, Leg::of(seen, call, marks));
        }
    }

    /// Takes note that the caller sent its INVITE anew: with credentials, or to where it was redirected. The PBX goes on from here.
    pub fn renewed(&mut self, world: &World, registrations: &Registrations, calls: &mut Calls, seen: &Seen<'_>, call: Handle) {
        // Whether it is remembered or not: nothing is given back too early.
        self.idle_at = self.idle_at.map(|_| seen.at.time + PATIENCE);
        let Some((place, leg)) = self.first_of(calls, call) else { return };
        if leg.flow.source != seen.flow.source {
            self.remove_first(place);
            return;
        }
        let marks = Marks::of(world, registrations, seen);
        if leg.marks == marks && leg.flow == seen.flow && leg.is_strangers == is_strangers(seen) {
            // Mostly nothing but the credentials is new.
            self.by_mark.renew(leg.entries, seen.at.time);
            self.first.renew(place, seen.at.time);
        } else {
            self.remove_first(place);
            self.add_first(calls, Leg::of(seen, call, marks));
        }
    }

    /// Looks again at the legs of which one rang or was answered just now.
    pub fn progressed(&mut self, world: &World, calls: &mut Calls, call: Handle, now: PacketTime) {
        self.forget(now);
        if let Some((_, first)) = self.first_of(calls, call) {
            let mates = first.near.iter().filter_map(|mate| self.second.find(mate));
            let fitting: Vec<_> = mates.filter(|leg| is_linked_by(score(world, calls, first, leg))).map(|leg| leg.call).collect();
            for second in fitting {
                self.decide(world, calls, second);
            }
        }
        self.decide(world, calls, call);
    }

    /// Looks again at all legs: the PBX is known now.
    pub fn learned(&mut self, world: &World, calls: &mut Calls) {
        if self.learned >= LEARNED {
            return;
        }
        self.learned += 1;
        self.by_mark.clear();
        for leg in self.first.take() {
            if world.peers.direction(leg.flow) != Direction::Out {
                self.add_first(calls, Leg { near: Vec::new(), ..leg });
            }
        }
        for leg in self.second.take() {
            if may_be_second(world, leg.flow, world.peers.direction(leg.flow)) {
                self.add_second(world, calls, leg);
            }
        }
    }

    fn add_first(&mut self, calls: &mut Calls, leg: Leg) {
        let call = leg.call;
        let place = self.first.push(leg);
        if let Some(leg) = self.first.get_mut(place) {
            leg.entries = self.by_mark.add(place, leg.begun, leg.is_strangers, &leg.marks);
        }
        calls.note_leg(call, |legs| legs.first = Some(place));
    }

    fn remove_first(&mut self, place: Place) {
        if let Some(leg) = self.first.remove(place) {
            self.by_mark.remove(leg.entries);
        }
    }

    fn add_second(&mut self, world: &World, calls: &mut Calls, leg: Leg) {
        let call = leg.call;
        let place = self.second.push(leg);
        calls.note_leg(call, |legs| legs.second = Some(place));
        self.introduce(world, calls, place);
        self.decide(world, calls, call);
    }

    /// Tells the second leg there of the first legs that may be its partner, and these of it.
    fn introduce(&mut self, world: &World, calls: &Calls, place: Place) {
        let Some(leg) = self.second.get_mut(place) else { return };
        let mate = leg.mate(place);
        self.fitting.clear();
        for place in self.by_mark.alike(&leg.marks, leg.begun - WINDOW) {
            let Some(first) = self.first.get_mut(place).filter(|first| first.weighed_for != Some(leg.number)) else { continue };
            first.weighed_for = Some(leg.number);
            let rest = score(world, calls, first, leg).rest;
            if rest > 0 {
                self.fitting.push((rest, first.number, place));
            }
        }
        leg.crowd = foremost(&mut self.fitting);
        leg.near = Vec::with_capacity(self.fitting.len());
        for (.., place) in &self.fitting {
            let Some(first) = self.first.get_mut(*place) else { continue };
            leg.near.push(first.mate(*place));
            if first.near.len() < LOOKED_AT {
                first.near.push(mate);
            }
        }
    }

    /// The first leg of a call.
    fn first_of(&self, calls: &Calls, call: Handle) -> Option<(Place, &Leg)> {
        self.first.of(call, calls.get(call)?.legs.first)
    }

    /// Links the second leg `call`, if it is clear to which first leg.
    fn decide(&mut self, world: &World, calls: &mut Calls, call: Handle) {
        let Some((place, leg)) = calls.get(call).and_then(|known| self.second.of(call, known.legs.second)) else { return };
        // A call that is already on its way to the callee goes to another device of it, unless a call that is not may be meant.
        for is_on_its_way in [false, true] {
            let (mut best, mut second) = (None, leg.crowd);
            for candidate in leg.near.iter().filter_map(|mate| self.first.find(mate)) {
                if !is_on_its_way && busy(calls, candidate, leg) != Busy::Not {
                    continue;
                }
                let points = score(world, calls, candidate, leg);
                match best {
                    Some((_, most)) if key(points) <= key(most) => second = second.max(points.rest),
                    _ => {
                        second = second.max(best.map_or(0, |(_, most): (_, Score)| most.rest));
                        best = Some((candidate.call, points));
                    }
                }
            }
            if let Some((partner, points)) = best
                && is_linked_by(points)
            {
                if points.rest >= second + LEAD {
                    calls.link(partner, call);
                    self.second.remove(place);
                }
                return;
            }
        }
    }

    /// When [`Self::expire`] has something to do.
    pub fn next_deadline(&self) -> PacketTime {
        self.idle_at.unwrap_or(PacketTime::MAX)
    }

    /// Gives the room of all back, once it is not needed.
    pub fn expire(&mut self, now: PacketTime) {
        if self.next_deadline() <= now {
            *self = Self { learned: self.learned, ..Self::default() };
        }
    }

    fn forget(&mut self, now: PacketTime) {
        while let Some(place) = self.first.leaving(now) {
            self.remove_first(place);
        }
        while let Some(place) = self.second.leaving(now) {
            self.second.remove(place);
        }
    }
}

/// Leaves of legs, each with its points, its number and its place, those of most points, the last one first; returns the points of the best
/// of the others.
fn foremost(legs: &mut Vec<(u32, u64, Place)>) -> u32 {
    let mut crowd = 0;
    if legs.len() > WEIGHED {
        let (_, best_of_others, _) = legs.select_nth_unstable_by_key(WEIGHED, |leg| Reverse(*leg));
        crowd = best_of_others.0;
        legs.truncate(WEIGHED);
    }
    legs.sort_unstable_by_key(|(_, number, _)| Reverse(*number));
    crowd
}

fn is_strangers(seen: &Seen<'_>) -> bool {
    seen.rank <= Rank::Unanswered
}

fn is_linked_by(score: Score) -> bool {
    score.time + score.rest >= LINK
}

/// Orders candidates: what they have in common first, then time.
fn key(score: Score) -> (u32, u32) {
    (score.rest, score.time)
}

/// How much speaks for `b` being the second leg of the call of `a`; nothing where it cannot be.
fn score(world: &World, calls: &Calls, a: &Leg, b: &Leg) -> Score {
    if a.call == b.call || !may_lead_to(world, calls, a, b) {
        return Score::default();
    }
    // Of two calls that begin, ring and are answered together only what they say tells which is which.
    let common = a.marks.in_common(&b.marks, world.peers.is_trunk(b.flow.destination.ip()));
    if common == 0 {
        return Score::default();
    }
    let (Some(first), Some(second)) = (calls.get(a.call), calls.get(b.call)) else { return Score::default() };
    if !first.is_open() || busy(calls, a, b) == Busy::There {
        return Score::default();
    }
    let delay = b.begun.since(a.begun);
    let time = if delay <= Span::from_millis(500) {
        25
    } else if delay <= Span::from_secs(2) {
        15
    } else {
        5
    };
    Score { time, rest: common + coupling(first, second) }
}

/// Whether a leg may be one of the PBX's own: it leaves from there, or no PBX is known at either end. What stands towards one PBX may come
/// from another on its host.
fn may_be_second(world: &World, flow: Flow, direction: Direction) -> bool {
    direction != Direction::In || world.peers.is_pbx_ip(flow.source.ip())
}

/// Whether the first leg arrives where the second leaves: at a PBX, or while none is known at the same address.
fn may_lead_to(world: &World, calls: &Calls, a: &Leg, b: &Leg) -> bool {
    let in_time = b.begun >= a.begun && b.begun.since(a.begun) <= WINDOW;
    in_time
        && match (world.peers.direction(a.flow), world.peers.direction(b.flow)) {
            (Direction::In, Direction::Out) => true,
            (Direction::Out, _) => false,
            directions => meets(world, calls, [a, b], directions),
        }
}

/// Whether the first leg ends at the host at which the second begins, where proxies stand on the way of either.
fn meets(world: &World, calls: &Calls, [a, b]: [&Leg; 2], directions: (Direction, Direction)) -> bool {
    let passed_on_to = calls.get(a.call).and_then(|call| call.record.passed_on_to);
    let (end, begin) = (passed_on_to.unwrap_or(a.flow.destination), b.flow.source);
    let is_pbx = match directions {
        (Direction::Through, Direction::Through) => true,
        // A gateway on the host of the PBX calls there too.
        (_, Direction::In) => passed_on_to.is_some() && world.peers.is_pbx_ip(begin.ip()),
        _ => world.peers.is_pbx_ip(begin.ip()),
    };
    // Two that leave from one socket are both the PBX's, even where it asks a proxy on its own host.
    is_pbx && end.ip() == begin.ip() && a.flow.source != begin
}

/// Whether a first leg has a second one in progress to the callee of another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Busy {
    Not,
    /// To other devices of it.
    Elsewhere,
    /// To the same device: it does not need another.
    There,
}

fn busy(calls: &Calls, a: &Leg, b: &Leg) -> Busy {
    let Some(second) = calls.get(b.call) else { return Busy::Not };
    let mut busy = Busy::Not;
    for (partner, leg) in calls.partners(a.call) {
        if partner != b.call && leg.is_open() && leg.record.to == second.record.to {
            // Behind a proxy several devices have one first hop.
            let [ours, theirs] = [leg, second].map(|leg| (leg.record.passed_on_to.unwrap_or(leg.record.destination), leg.phones[1]));
            if ours == theirs {
                return Busy::There;
            }
            busy = Busy::Elsewhere;
        }
    }
    busy
}

/// What the ringing and the answers say.
fn coupling(first: &Call, second: &Call) -> u32 {
    let rang = first.record.rang.zip(second.record.rang).is_some_and(|(a, b)| (a - b).abs() <= RING_COUPLING);
    // The PBX answers because it was answered, not the other way round.
    let answered = first.record.answered.zip(second.record.answered).is_some_and(|(a, b)| a >= b && a - b <= ANSWER_COUPLING);
    (if rang { 10 } else { 0 }) + (if answered { 25 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_legs_have_something_in_common_few_are_weighed() {
        let mut legs = (0..4_096).map(|place: Place| (if place == 7 { 90 } else { 50 }, place.into(), place)).collect();
        assert_eq!(foremost(&mut legs), 50, "the lead of the one before the crowd counts");
        let chosen: Vec<_> = legs.into_iter().map(|(.., place)| place).collect();
        assert_eq!(chosen, (4_081..4_096).rev().chain([7]).collect::<Vec<_>>());
        let mut few = vec![(50, 1, 9), (25, 3, 2)];
        assert_eq!(foremost(&mut few), 0);
        assert_eq!(few, [(25, 3, 2), (50, 1, 9)]);
    }

    #[test]
    fn what_legs_share_counts_before_when_they_began() {
        let (early, late) = (Score { time: 5, rest: 75 }, Score { time: 25, rest: 50 });
        assert!(key(early) > key(late));
        assert!(is_linked_by(early) && is_linked_by(late));
        assert!(!is_linked_by(Score { time: 25, rest: 25 }), "the caller alone proves nothing");
    }

    #[test]
    fn room_is_given_back_once_nobody_waits_for_a_leg() {
        let idle_at = PacketTime::from_parts(100, 0);
        let mut legs = Legs { fitting: Vec::with_capacity(8), idle_at: Some(idle_at), learned: 3, ..Legs::default() };
        legs.expire(idle_at - Span::from_millis(1));
        assert!(legs.fitting.capacity() >= 8 && legs.next_deadline() == idle_at);
        legs.expire(idle_at);
        assert!(legs.fitting.capacity() == 0 && legs.next_deadline() == PacketTime::MAX);
        assert_eq!(legs.learned, 3, "how often a PBX was learned is remembered");
    }
}
