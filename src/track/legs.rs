//! Which two dialogs are the legs of one call through a B2BUA (DETECTION §6.3).
//!
//! A leg towards the PBX and a leg from it are scored by what they have in common when the second begins, and again when it rings and is
//! answered. They are linked at 60 points if no other candidate comes within 15; ambiguous ones stay apart, and nothing is concluded.

use std::collections::VecDeque;

use crate::sip::message::Message;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::call::Calls;
use crate::track::vocabulary::Direction;
use crate::track::world::{Seen, World};

/// Points that link two legs.
const LINK: u32 = 60;
/// By how much the best candidate must lead.
const LEAD: u32 = 15;
/// How long after the first leg the second may begin.
const WINDOW: Span = Span::from_secs(10);
/// Legs towards the PBX that are candidates at a time.
const CANDIDATES: usize = 4096;
/// Legs from the PBX that wait for their partner to become clear.
const UNDECIDED: usize = 4096;
/// How closely ringing on one leg follows ringing on the other.
const RING_COUPLING: Span = Span::from_millis(300);
/// How closely the answer on one leg follows the answer on the other.
const ANSWER_COUPLING: Span = Span::from_secs(1);
/// Digits at the end of a number that make two numbers the same, whatever prefixes stand before them.
const SUFFIX: usize = 7;
/// Headers in which a B2BUA names the Call-ID of the other leg, as sngrep looks for them.
const CROSS_REFERENCES: [&str; 2] = ["X-Call-ID", "X-CID"];

/// What a leg has that its partner may have too, as hashes; 0 where it is missing.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    call_id: u64,
    other_call_id: u64,
    session_id: u64,
    media: u64,
    session: u64,
    caller: u64,
    caller_suffix: u64,
    callee: u64,
    callee_suffix: u64,
}

#[derive(Clone, Copy, Debug)]
struct Leg {
    call: Handle,
    begun: PacketTime,
    marks: Marks,
}

/// The legs that may still be linked.
#[derive(Debug, Default)]
pub struct Legs {
    towards: VecDeque<Leg>,
    undecided: VecDeque<Leg>,
}

impl Legs {
    /// Takes note of a call that began with the INVITE `seen`.
    pub fn begun(&mut self, world: &World, calls: &mut Calls, seen: &Seen<'_>, call: Handle) {
        let now = seen.at.time;
        self.forget(now);
        let leg = Leg { call, begun: now, marks: Marks::of(world, &seen.message) };
        match world.peers.direction(seen.flow) {
            Direction::In => self.towards.push_back(leg),
            Direction::Out => {
                self.undecided.push_back(leg);
                self.decide(calls, call);
            }
            Direction::Through => {}
        }
    }

    /// Looks again at the legs of which one rang or was answered just now.
    pub fn progressed(&mut self, calls: &mut Calls, call: Handle, now: PacketTime) {
        self.forget(now);
        if self.undecided.is_empty() {
            return;
        }
        let waiting: Vec<_> = self.undecided.iter().map(|leg| leg.call).collect();
        let is_first_leg = self.towards.iter().any(|leg| leg.call == call);
        for other in waiting.into_iter().filter(|&other| is_first_leg || other == call) {
            self.decide(calls, other);
        }
    }

    fn decide(&mut self, calls: &mut Calls, call: Handle) {
        let Some(leg) = self.undecided.iter().find(|leg| leg.call == call) else { return };
        let (mut best, mut second) = (None, 0);
        for candidate in &self.towards {
            let points = score(calls, candidate, leg);
            match best {
                Some((_, most)) if points <= most => second = second.max(points),
                _ => {
                    second = best.map_or(0, |(_, most)| most);
                    best = Some((candidate.call, points));
                }
            }
        }
        if let Some((partner, _)) = best.filter(|(_, points)| *points >= LINK && *points >= second + LEAD) {
            calls.link(partner, call);
            self.undecided.retain(|leg| leg.call != call);
        }
    }

    fn forget(&mut self, now: PacketTime) {
        let is_old = |leg: &Leg| now.since(leg.begun) > WINDOW.times(12);
        while self.towards.len() > CANDIDATES || self.towards.front().is_some_and(is_old) {
            self.towards.pop_front();
        }
        while self.undecided.len() > UNDECIDED || self.undecided.front().is_some_and(is_old) {
            self.undecided.pop_front();
        }
    }
}

/// How much speaks for `b` being the second leg of the call of `a`.
fn score(calls: &Calls, a: &Leg, b: &Leg) -> u32 {
    let (ours, theirs) = (&a.marks, &b.marks);
    let delay = b.begun.since(a.begun);
    if b.begun < a.begun || delay > WINDOW {
        return 0;
    }
    let same = |one: u64, other: u64| one != 0 && one == other;
    let mut points = if delay <= Span::from_millis(500) {
        25
    } else if delay <= Span::from_secs(2) {
        15
    } else {
        5
    };
    let is_named = same(theirs.other_call_id, ours.call_id) || same(ours.session_id, theirs.session_id);
    points += if is_named { 100 } else { 0 };
    points += if same(ours.media, theirs.media) { 40 } else { 0 };
    points += if same(ours.session, theirs.session) { 20 } else { 0 };
    points += if same(ours.caller, theirs.caller) || same(ours.caller_suffix, theirs.caller_suffix) { 25 } else { 0 };
    points += if same(ours.callee, theirs.callee) || same(ours.callee_suffix, theirs.callee_suffix) { 25 } else { 0 };
    let (Some(first), Some(second)) = (calls.get(a.call), calls.get(b.call)) else { return points };
    let near = |one: Option<PacketTime>, other: Option<PacketTime>, span: Span| {
        one.zip(other).is_some_and(|(one, other)| (one - other).abs() <= span)
    };
    points += if near(first.record.rang, second.record.rang, RING_COUPLING) { 10 } else { 0 };
    points += if near(first.record.answered, second.record.answered, ANSWER_COUPLING) { 25 } else { 0 };
    points
}

impl Marks {
    fn of(world: &World, message: &Message<'_>) -> Self {
        let hash = |bytes: &[u8]| if bytes.is_empty() { 0 } else { world.digester.bytes(bytes).low64() };
        let sdp = message.sdp();
        let media = sdp.as_ref().and_then(|sdp| {
            let media = sdp.media().next()?;
            let address = media.connection_ip().or_else(|| sdp.connection_ip())?;
            Some(hash(format!("{address}:{}", media.port).as_bytes()))
        });
        let caller = message.p_asserted_identity().map_or_else(|| message.from().uri.user, |identity| identity.uri.user);
        let callee = message.to().uri.user;
        let suffix = |number: &[u8]| {
            let digits: Vec<u8> = number.iter().copied().filter(u8::is_ascii_digit).collect();
            digits.len().checked_sub(SUFFIX).and_then(|start| digits.get(start..)).map_or(0, hash)
        };
        Self {
            call_id: hash(message.call_id()),
            other_call_id: CROSS_REFERENCES.iter().find_map(|name| message.header(*name)).map_or(0, hash),
            session_id: message.header("Session-ID").map_or(0, |id| hash(id.split(|&byte| byte == b';').next().unwrap_or(id))),
            media: media.unwrap_or(0),
            session: sdp.map_or(0, |sdp| hash(sdp.session_id)),
            caller: hash(caller),
            caller_suffix: suffix(caller),
            callee: hash(callee),
            callee_suffix: suffix(callee),
        }
    }
}
