//! Legs that stay up although the other leg of their call has ended (DETECTION §6.4).

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Thresholds;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::absence::WATERMARK;
use crate::track::call::{Call, Calls};
use crate::track::event::{Event, Sighting};
use crate::track::vocabulary::{Confidence, Direction, EndedBy};
use crate::track::world::World;

/// How much later than the first leg the second may be answered where the two were rung together.
const TOGETHER: Span = Span::from_secs(1);
/// Legs that are watched at a time.
const WATCHED: usize = 65_536;
/// Calls from the PBX to the same parties among which a successor is looked for. Where more are in progress, what became of one leg is not to
/// be told.
const LOOKED_AT: usize = 1_024;
/// The Q.850 cause of an ordinary end.
const NORMAL: u16 = 16;

/// The leg that ended, and what was told of the one that did not.
#[derive(Clone, Copy, Debug)]
struct Left {
    ended: Handle,
    end: Sighting,
    told: Option<Confidence>,
    /// When it is looked at again, because the PBX has called somebody since, and what was told by the time that this was settled.
    again: Option<(PacketTime, Confidence)>,
}

/// The legs whose partner has ended.
#[derive(Debug)]
pub struct Orphans {
    left: BTreeMap<Handle, Left>,
    due: BTreeSet<(PacketTime, Handle, Confidence)>,
    /// The first of these; it is asked for with every packet.
    next: PacketTime,
    /// How long the other leg may stay up before it is suspected, and from when on it is certain.
    after: [(Span, Confidence); 2],
}

impl Orphans {
    /// No leg stays up.
    pub fn new(thresholds: &Thresholds) -> Self {
        let after = [(thresholds.leg_suspect, Confidence::Suspected), (thresholds.leg_confirm, Confidence::Confirmed)];
        Self { left: BTreeMap::new(), due: BTreeSet::new(), next: PacketTime::MAX, after }
    }

    /// Takes note that a call ended: its partners should end too.
    pub fn ended(&mut self, world: &mut World, calls: &mut Calls, call: Handle, at: Sighting) {
        if let Some(left) = self.forget(call)
            && let Some(told) = left.told
        {
            self.tell_end(world, calls, call, (left, told), at);
        }
        let calls = &*calls;
        for (up, _) in calls.partners(call).filter(|(_, partner)| partner.is_up()) {
            // The first partner to end tells since when; until then the last one does.
            if self.left.get(&up).is_some_and(|left| left.told.is_some()) {
                continue;
            }
            self.forget(up);
            if self.left.len() < WATCHED {
                self.left.insert(up, Left { ended: call, end: at, told: None, again: None });
                self.due.extend(self.after.map(|(after, confidence)| (at.time + after + WATERMARK, up, confidence)));
            }
        }
        self.find_next();
    }

    /// Takes note that a call was answered: the PBX may have made it for a party of a leg that is left up, be it minutes later. Whether it is
    /// a call of its own shows once its other leg was answered too.
    pub fn answered(&mut self, world: &World, calls: &Calls, call: Handle, at: Sighting) {
        if self.left.is_empty() {
            return;
        }
        let Some(answered) = calls.get(call).filter(|call| call.record.direction(&world.peers) == Direction::Out) else { return };
        let again = at.time + self.after[0].0 + WATERMARK;
        for (up, _) in calls.of_parties(answered).take(LOOKED_AT) {
            if let Some(left) = self.left.get_mut(&up).filter(|left| left.again.is_none())
                && let Some(told) = left.told
            {
                left.again = Some((again, told));
                self.due.insert((again, up, told));
            }
        }
        self.find_next();
    }

    /// Looks at the legs whose time has come by `now`.
    pub fn expire(&mut self, world: &mut World, calls: &mut Calls, now: PacketTime) {
        while let Some(&(due, up, confidence)) = self.due.first().filter(|(due, ..)| *due <= now) {
            self.due.pop_first();
            self.check(world, calls, up, due, confidence);
        }
        self.find_next();
    }

    /// When [`Self::expire`] next has something to do.
    pub fn next_deadline(&self) -> PacketTime {
        self.next
    }

    fn find_next(&mut self) {
        self.next = self.due.first().map_or(PacketTime::MAX, |(due, ..)| *due);
    }

    fn check(&mut self, world: &mut World, calls: &mut Calls, up: Handle, due: PacketTime, confidence: Confidence) {
        let Some(left) = self.left.get(&up).copied() else { return };
        let now = due - WATERMARK;
        let is_again = left.again == Some((due, confidence));
        if is_again && let Some(left) = self.left.get_mut(&up) {
            left.again = None;
        }
        match calls.get(up).map_or(Fate::GoesOn, |call| fate(world, calls, &left, up, call, now)) {
            Fate::StaysUp if is_again => return,
            Fate::StaysUp => {}
            // What was told holds until the leg ends.
            Fate::Unknown if left.told.is_some() => return,
            Fate::Unknown => {
                self.forget(up);
                return;
            }
            Fate::GoesOn => {
                self.forget(up);
                if left.told.is_some() {
                    goes_on_after_all(world, calls, &left, up, now);
                }
                return;
            }
        }
        let confidence = calls.get(up).map_or(confidence, |call| confidence.min(surest(world, call)));
        if let Some(left) = self.left.get_mut(&up) {
            left.told = Some(confidence);
        }
        calls.mark_left_up(up, Some(left.end.time));
        let at = Sighting { time: now, frame: 0 };
        world.tell(Event::LegLeftUp { ended: left.ended, left: up, end: left.end, at, confidence });
    }

    fn forget(&mut self, up: Handle) -> Option<Left> {
        let left = self.left.remove(&up)?;
        for (after, confidence) in self.after {
            self.due.remove(&(left.end.time + after + WATERMARK, up, confidence));
        }
        if let Some((again, told)) = left.again {
            self.due.remove(&(again, up, told));
        }
        Some(left)
    }

    /// Tells what a leg that was left up turns out to have been, now that it has ended at `at` too.
    fn tell_end(&self, world: &mut World, calls: &mut Calls, up: Handle, (left, told): (Left, Confidence), at: Sighting) {
        let Some(call) = calls.get(up) else { return };
        if left.again.is_some() && with_successor(world, calls, &left, up, call) == Fate::GoesOn {
            goes_on_after_all(world, calls, &left, up, at.time);
            return;
        }
        let [_, (long, confirmed)] = self.after;
        let is_long = at.time.since(left.end.time) >= long + WATERMARK;
        let by_plan = is_callers(world, call) && is_ended_by_plan(call);
        let confidence = if is_long && !by_plan { confirmed } else { told };
        world.tell(Event::LegEnded { ended: left.ended, left: up, end: left.end, at, confidence });
    }
}

/// Takes back what was told of a leg: the PBX goes on with it.
fn goes_on_after_all(world: &mut World, calls: &mut Calls, left: &Left, up: Handle, now: PacketTime) {
    calls.mark_left_up(up, None);
    world.tell(Event::LegGoesOn { ended: left.ended, left: up, at: Sighting { time: now, frame: 0 } });
}

/// How sure it may be that a leg was left up, while it is. What the PBX does with a caller when the called side has left, its dial plan
/// says: an announcement or a survey shows in no packet.
fn surest(world: &World, call: &Call) -> Confidence {
    if is_callers(world, call) { Confidence::Probable } else { Confidence::Confirmed }
}

/// Whether the leg is that of the caller, with the PBX.
fn is_callers(world: &World, call: &Call) -> bool {
    call.record.direction(&world.peers) == Direction::In
}

/// Whether the called side, which is the PBX, ended the leg as it ends a call that is done.
fn is_ended_by_plan(call: &Call) -> bool {
    call.record.ended_by == Some(EndedBy::Callee) && call.cause().is_none_or(|cause| cause == NORMAL)
}

/// What a leg whose partner has ended does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    StaysUp,
    /// It is over as well, has a life of its own, or its end may have been missed.
    GoesOn,
    Unknown,
}

fn fate(world: &World, calls: &Calls, left: &Left, up: Handle, call: &Call, now: PacketTime) -> Fate {
    if !call.is_up() || goes_on(calls, left, up, call) || !is_visible(world, left, call, now) {
        return Fate::GoesOn;
    }
    with_successor(world, calls, left, up, call)
}

/// Whether a BYE of the leg would have been seen, whichever side sent it.
fn is_visible(world: &World, left: &Left, call: &Call, now: PacketTime) -> bool {
    let could_see = |flow| world.absence.could_see(flow, left.end.time, now, &world.flows, &world.peers);
    could_see(call.flow()) && could_see(call.flow().reversed())
}

/// Whether the leg alone shows a life of its own: something happened in it since, it has another partner, a transfer took it over, or the
/// PBX itself had answered it before its partner was there.
fn goes_on(calls: &Calls, left: &Left, up: Handle, call: &Call) -> bool {
    let active = call.activity >= left.end.time - TOGETHER;
    let ended = calls.get(left.ended);
    let transferred = call.is_referred || ended.is_some_and(|ended| ended.is_referred);
    let other_partner = calls.partners(up).any(|(other, partner)| other != left.ended && partner.record.ended.is_none());
    let answered_with =
        |other: &Call| call.record.answered.zip(other.record.answered).is_some_and(|(ours, theirs)| theirs <= ours + TOGETHER);
    // Whoever was there first may have handed the call on to the one that ended.
    let by_pbx = ended.is_some_and(|ended| ended.is_answered()) && !calls.partners(up).any(|(_, partner)| answered_with(partner));
    active || transferred || other_partner || by_pbx
}

/// The leg goes on where the PBX may have joined it with another one of the same party: the next agent of a queue, or somebody to whom a key
/// of the phone transferred it. A leg that is linked elsewhere is not it, nor one that the PBX did not begin, which a stranger may have.
fn with_successor(world: &World, calls: &Calls, left: &Left, up: Handle, call: &Call) -> Fate {
    let mut later = calls.of_parties(call).filter(|(handle, other)| {
        let is_later = *handle != up && *handle != left.ended && other.record.ended.is_none_or(|ended| ended >= left.end.time);
        is_later && other.record.direction(&world.peers) == Direction::Out
    });
    let is_free = |handle| calls.partners(handle).all(|(partner, _)| partner == up || partner == left.ended);
    if later.by_ref().take(LOOKED_AT).any(|(handle, _)| is_free(handle)) {
        return Fate::GoesOn;
    }
    if later.next().is_some() { Fate::Unknown } else { Fate::StaysUp }
}
