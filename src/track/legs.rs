//! Which two dialogs are the legs of one call through a B2BUA (DETECTION §6.3).
//!
//! A leg towards the PBX and a leg from it are scored by what they have in common when the second begins, and again when it rings and is
//! answered. They are linked at 60 points if no other candidate comes within 15; ambiguous ones stay apart, and nothing is concluded.

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
use index::Index;
use marks::Marks;
use remembered::Remembered;

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

#[derive(Clone, Debug)]
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
    /// What the best first leg that is not among those has in common with it: so much tells nobody apart.
    crowd: u32,
}

/// Where a leg is found again.
#[derive(Clone, Copy, Debug)]
struct Mate {
    call: Handle,
    begun: PacketTime,
}

impl Leg {
    fn of(world: &World, registrations: &Registrations, seen: &Seen<'_>, call: Handle) -> Self {
        let marks = Marks::of(world, registrations, seen);
        Self {
            number: 0,
            call,
            flow: seen.flow,
            begun: seen.at.time,
            marks,
            is_strangers: seen.rank <= Rank::Unanswered,
            near: Vec::new(),
            crowd: 0,
        }
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
    /// Times that all were looked at again.
    learned: u8,
}

impl Legs {
    /// Takes note of a call that began with the INVITE `seen`.
    pub fn begun(&mut self, world: &World, registrations: &Registrations, calls: &mut Calls, seen: &Seen<'_>, call: Handle) {
        self.forget(seen.at.time);
        let leg = Leg::of(world, registrations, seen, call);
        let direction = world.peers.direction(seen.flow);
        if direction != Direction::Out {
            self.add_first(leg.clone());
        }
        if direction != Direction::In {
            let leg = self.introduced(world, calls, leg);
            self.second.push(leg);
            self.decide(world, calls, call);
        }
    }

    /// Takes note that the caller sent its INVITE anew: with credentials, or to where it was redirected. The PBX goes on from here.
    pub fn renewed(&mut self, world: &World, registrations: &Registrations, calls: &mut Calls, seen: &Seen<'_>, call: Handle) {
        let Some(place) = self.first.position(calls.get(call).map(Call::leg_begun), call) else { return };
        if self.remove_first(place).is_some_and(|leg| leg.flow.source == seen.flow.source) {
            calls.renew_leg(call, seen.at.time);
            self.add_first(Leg::of(world, registrations, seen, call));
        }
    }

    /// Looks again at the legs of which one rang or was answered just now.
    pub fn progressed(&mut self, world: &World, calls: &mut Calls, call: Handle, now: PacketTime) {
        self.forget(now);
        if let Some(first) = self.first.position(calls.get(call).map(Call::leg_begun), call).and_then(|place| self.first.get(place)) {
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
                self.add_first(Leg { near: Vec::new(), ..leg });
            }
        }
        for leg in self.second.take() {
            if world.peers.direction(leg.flow) != Direction::In {
                let (call, leg) = (leg.call, self.introduced(world, calls, leg));
                self.second.push(leg);
                self.decide(world, calls, call);
            }
        }
    }

    fn add_first(&mut self, leg: Leg) {
        if let Some(leg) = self.first.push(leg) {
            self.by_mark.add(leg);
        }
    }

    fn remove_first(&mut self, place: usize) -> Option<Leg> {
        let leg = self.first.remove(place)?;
        self.by_mark.remove(&leg);
        Some(leg)
    }

    /// The second leg with the first legs that may be its partner, which get to know it too.
    fn introduced(&mut self, world: &World, calls: &Calls, leg: Leg) -> Leg {
        let fitting = self.alike(&leg).filter_map(|place| {
            let rest = score(world, calls, self.first.get(place)?, &leg).rest;
            (rest > 0).then_some((rest, place))
        });
        let (chosen, crowd) = foremost(fitting.collect());
        let mut near = Vec::with_capacity(chosen.len());
        for index in chosen {
            let Some(first) = self.first.get_mut(index) else { continue };
            near.push(Mate { call: first.call, begun: first.begun });
            if first.near.len() < LOOKED_AT {
                first.near.push(Mate { call: leg.call, begun: leg.begun });
            }
        }
        Leg { near, crowd, ..leg }
    }

    /// The places of the first legs within [`WINDOW`] before a second one that may have something in common with it, the latest first.
    fn alike(&self, leg: &Leg) -> impl Iterator<Item = usize> {
        let within = self.first.between(leg.begun - WINDOW, leg.begun);
        let oldest = self.first.get(within.start);
        let numbers = oldest.map_or_else(Vec::new, |oldest| self.by_mark.alike(leg, oldest.number));
        numbers.into_iter().filter_map(|number| self.first.numbered(number)).filter(move |place| within.contains(place))
    }

    /// Links the second leg `call`, if it is clear to which first leg.
    fn decide(&mut self, world: &World, calls: &mut Calls, call: Handle) {
        let Some(place) = self.second.position(calls.get(call).map(|call| call.first.time), call) else { return };
        let Some(leg) = self.second.get(place) else { return };
        let (mut best, mut second) = (None, leg.crowd);
        for candidate in leg.near.iter().filter_map(|mate| self.first.find(mate)) {
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
            && points.rest >= second + LEAD
        {
            calls.link(partner, call);
            self.second.remove(place);
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

/// Of legs, each with its points and its place, those of most points, the last place first, and the points of the best of the others.
fn foremost(mut legs: Vec<(u32, usize)>) -> (Vec<usize>, u32) {
    let mut crowd = 0;
    if legs.len() > WEIGHED {
        let (_, best_of_others, _) = legs.select_nth_unstable_by_key(WEIGHED, |leg| Reverse(*leg));
        crowd = best_of_others.0;
        legs.truncate(WEIGHED);
    }
    legs.sort_unstable_by_key(|(_, place)| Reverse(*place));
    (legs.into_iter().map(|(_, place)| place).collect(), crowd)
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
    // Of two calls that begin, ring and are answered together only what they say tells which is which.
    let common = a.marks.in_common(&b.marks);
    if common == 0 || a.call == b.call || !may_lead_to(world, a, b) {
        return Score::default();
    }
    let (Some(first), Some(second)) = (calls.get(a.call), calls.get(b.call)) else { return Score::default() };
    if !first.is_open() || is_busy_with(calls, a, b, second) {
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

/// Whether the first leg arrives where the second leaves: at a PBX, or while none is known at the same address.
fn may_lead_to(world: &World, a: &Leg, b: &Leg) -> bool {
    let in_time = b.begun >= a.begun && b.begun.since(a.begun) <= WINDOW;
    let directions = (world.peers.direction(a.flow), world.peers.direction(b.flow));
    in_time
        && match directions {
            (Direction::In, Direction::Out) => true,
            (Direction::Through, Direction::Through) => a.flow.destination.ip() == b.flow.source.ip(),
            _ => false,
        }
}

/// Whether the first leg already has a second one in progress to the same callee: it does not need another.
fn is_busy_with(calls: &Calls, a: &Leg, b: &Leg, second: &Call) -> bool {
    calls.partners(a.call).any(|(partner, leg)| partner != b.call && leg.is_open() && leg.record.to == second.record.to)
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
        let (chosen, crowd) = foremost((0..4_096).map(|place| (if place == 7 { 90 } else { 50 }, place)).collect());
        assert_eq!(chosen, (4_081..4_096).rev().chain([7]).collect::<Vec<_>>());
        assert_eq!(crowd, 50, "the lead of the one before the crowd counts");
        assert_eq!(foremost(vec![(25, 3), (50, 1)]), (vec![3, 1], 0));
    }

    #[test]
    fn what_legs_share_counts_before_when_they_began() {
        let (early, late) = (Score { time: 5, rest: 75 }, Score { time: 25, rest: 50 });
        assert!(key(early) > key(late));
        assert!(is_linked_by(early) && is_linked_by(late));
        assert!(!is_linked_by(Score { time: 25, rest: 25 }), "the caller alone proves nothing");
    }
}
