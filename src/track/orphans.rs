//! Legs that stay up although the other leg of their call has ended (DETECTION §6.4).

use std::collections::{BTreeMap, BTreeSet};

use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::absence::WATERMARK;
use crate::track::call::{Call, Calls};
use crate::track::event::{Event, Sighting};
use crate::track::vocabulary::Confidence;
use crate::track::world::World;

/// How long the other leg may stay up before it is suspected (DETECTION §9.2, `leg_suspect`).
const SUSPECT: Span = Span::from_secs(5);
/// From when on it is certain: longer than any BYE is repeated (DETECTION §9.2, `leg_confirm`).
const CONFIRM: Span = Span::from_secs(35);
/// How much later than the first leg the second may be answered where the two were rung together.
const TOGETHER: Span = Span::from_secs(1);
/// Legs that are watched at a time.
const WATCHED: usize = 65_536;

/// The leg that ended, and what was told of the one that did not.
#[derive(Clone, Copy, Debug)]
struct Left {
    ended: Handle,
    end: Sighting,
    told: Option<Confidence>,
    /// Whether the PBX called somebody else for the one that is up.
    renewed: bool,
}

/// The legs whose partner has ended.
#[derive(Debug, Default)]
pub struct Orphans {
    left: BTreeMap<Handle, Left>,
    due: BTreeSet<(PacketTime, Handle, Confidence)>,
}

impl Orphans {
    /// Takes note that a call ended: its partners should end too.
    pub fn ended(&mut self, world: &mut World, calls: &Calls, call: Handle, at: Sighting) {
        if let Some(left) = self.left.remove(&call) {
            self.disarm(call, left.end.time);
            if let Some(confidence) = left.told {
                world.tell(Event::LegEnded { ended: left.ended, left: call, end: left.end, at, confidence });
            }
        }
        for (up, _) in calls.partners(call).filter(|(_, partner)| partner.is_up()).take(WATCHED.saturating_sub(self.left.len())) {
            self.left.insert(up, Left { ended: call, end: at, told: None, renewed: false });
            self.due.insert((at.time + SUSPECT + WATERMARK, up, Confidence::Suspected));
            self.due.insert((at.time + CONFIRM + WATERMARK, up, Confidence::Confirmed));
        }
    }

    /// Takes note that the PBX began a leg: for a caller whose other leg has ended it may be the next in a queue.
    pub fn begun(&mut self, calls: &Calls, call: Handle) {
        let Some(begun) = calls.get(call).filter(|_| !self.left.is_empty()) else { return };
        for (up, left) in &mut self.left {
            let same_party = calls.get(*up).is_some_and(|call| {
                let parties = [&call.record.from, &call.record.to];
                parties.contains(&&begun.record.from) || parties.contains(&&begun.record.to)
            });
            left.renewed |= same_party;
        }
    }

    /// Looks at the legs whose time has come by `now`.
    pub fn expire(&mut self, world: &mut World, calls: &mut Calls, now: PacketTime) {
        while let Some(&(due, up, confidence)) = self.due.first().filter(|(due, ..)| *due <= now) {
            self.due.pop_first();
            self.check(world, calls, up, due - WATERMARK, confidence);
        }
    }

    /// When [`Self::expire`] next has something to do.
    pub fn next_deadline(&self) -> PacketTime {
        self.due.first().map_or(PacketTime::MAX, |(due, ..)| *due)
    }

    fn check(&mut self, world: &mut World, calls: &mut Calls, up: Handle, now: PacketTime, confidence: Confidence) {
        let Some(left) = self.left.get_mut(&up) else { return };
        let goes_on = match calls.get(up) {
            Some(call) => !call.is_up() || left.renewed || goes_on(calls, left, up, call),
            None => true,
        };
        if goes_on || !world.absence.is_sound_since(left.end.time) {
            let left = *left;
            self.left.remove(&up);
            self.disarm(up, left.end.time);
            if left.told.is_some() {
                world.tell(Event::LegGoesOn { ended: left.ended, left: up, at: Sighting { time: now, frame: 0 } });
            }
            return;
        }
        left.told = Some(confidence);
        calls.mark_left_up(up, left.end.time);
        let (ended, end) = (left.ended, left.end);
        world.tell(Event::LegLeftUp { ended, left: up, end, at: Sighting { time: now, frame: 0 }, confidence });
    }

    fn disarm(&mut self, up: Handle, end: PacketTime) {
        self.due.remove(&(end + SUSPECT + WATERMARK, up, Confidence::Suspected));
        self.due.remove(&(end + CONFIRM + WATERMARK, up, Confidence::Confirmed));
    }
}

/// Whether the leg has a life of its own: something happened in it since, it got another partner, a transfer took it over, or the PBX itself
/// had answered it before its partner was there.
fn goes_on(calls: &Calls, left: &Left, up: Handle, call: &Call) -> bool {
    let active = call.activity >= left.end.time - TOGETHER;
    let ended = calls.get(left.ended);
    let transferred = call.is_referred || ended.is_some_and(|ended| ended.is_referred);
    let other_partner = calls.partners(up).any(|(other, partner)| other != left.ended && partner.record.ended.is_none());
    let by_pbx = ended.is_some_and(|ended| {
        let ours = call.record.answered.zip(ended.record.answered);
        ours.is_some_and(|(ours, theirs)| theirs > ours + TOGETHER)
    });
    active || transferred || other_partner || by_pbx
}
