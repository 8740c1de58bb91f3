//! Legs of one kind, in the order in which they began.
//!
//! A leg stays where it was put, so that it is found without a search, and goes without moving others.

use super::{Leg, Mate};
use crate::table::{Handle, append};
use crate::time::{PacketTime, Span};

/// How long the ringing and the answer of a leg are waited for.
pub(super) const PATIENCE: Span = Span::from_secs(120);
/// Legs that are remembered of each kind.
const REMEMBERED: usize = 4096;

/// Where a leg is; another may be there once it has gone.
pub(super) type Place = u16;
/// Where a line ends.
const NOWHERE: Place = Place::MAX;

const _: () = assert!(REMEMBERED < NOWHERE as usize, "each leg has a place");

#[derive(Debug)]
struct Slot {
    leg: Option<Leg>,
    /// The leg of the same line that began before.
    before: Place,
    /// The one that began after it.
    after: Place,
}

/// Legs in the order in which they began.
#[derive(Clone, Copy, Debug)]
struct Line {
    first: Place,
    last: Place,
}

/// The legs of one kind that may still be linked.
#[derive(Debug)]
pub(super) struct Remembered {
    slots: Vec<Slot>,
    free: Vec<Place>,
    /// Those that strangers began come second.
    lines: [Line; 2],
    /// Number of the next one.
    next: u64,
}

impl Default for Remembered {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), lines: [Line { first: NOWHERE, last: NOWHERE }; 2], next: 0 }
    }
}

impl Remembered {
    /// Takes a leg that began no earlier than those before, and gives it its number.
    pub(super) fn push(&mut self, mut leg: Leg) -> Place {
        leg.number = self.next;
        self.next += 1;
        let line = usize::from(leg.is_strangers);
        let slot = Slot { leg: Some(leg), before: NOWHERE, after: NOWHERE };
        let place = if let Some(place) = self.free.pop() {
            self.slots[usize::from(place)] = slot;
            place
        } else {
            append(&mut self.slots, slot);
            (self.slots.len() - 1) as Place
        };
        self.line_up(place, line);
        place
    }

    /// Takes note that a leg begins anew at `begun`, no earlier than all others; nobody is known to be its partner.
    pub(super) fn renew(&mut self, place: Place, begun: PacketTime) {
        let Some(leg) = self.get_mut(place) else { return };
        (leg.begun, leg.crowd) = (begun, 0);
        leg.near.clear();
        let line = usize::from(leg.is_strangers);
        let number = self.next;
        self.next += 1;
        self.step_out(place, line);
        self.line_up(place, line);
        if let Some(leg) = self.get_mut(place) {
            leg.number = number;
        }
    }

    /// The place of a leg that goes before another comes at `now`: nobody waits for it any more, or there are too many. Of these one that a
    /// stranger began goes first, then the oldest.
    pub(super) fn leaving(&self, now: PacketTime) -> Option<Place> {
        let (place, oldest) = self.oldest()?;
        if now.since(oldest.begun) > PATIENCE {
            return Some(place);
        }
        let crowded = self.slots.len() - self.free.len() >= REMEMBERED;
        let [_, strangers] = self.lines;
        crowded.then_some(if strangers.first == NOWHERE { place } else { strangers.first })
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<Leg> {
        let leg = self.slots.get_mut(usize::from(place))?.leg.take()?;
        self.step_out(place, usize::from(leg.is_strangers));
        append(&mut self.free, place);
        Some(leg)
    }

    /// The leg of `call` that is remembered to be there.
    pub(super) fn of(&self, call: Handle, place: Option<Place>) -> Option<(Place, &Leg)> {
        let place = place?;
        self.get(place).filter(|leg| leg.call == call).map(|leg| (place, leg))
    }

    pub(super) fn find(&self, mate: &Mate) -> Option<&Leg> {
        self.get(mate.place).filter(|leg| leg.call == mate.call && leg.begun == mate.begun)
    }

    pub(super) fn get(&self, place: Place) -> Option<&Leg> {
        self.slots.get(usize::from(place))?.leg.as_ref()
    }

    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Leg> {
        self.slots.get_mut(usize::from(place))?.leg.as_mut()
    }

    /// Takes all of them out, in order.
    pub(super) fn take(&mut self) -> Vec<Leg> {
        let next = || {
            let (place, _) = self.oldest()?;
            self.remove(place)
        };
        std::iter::from_fn(next).collect()
    }

    fn oldest(&self) -> Option<(Place, &Leg)> {
        let [ours, strangers] = self.lines.map(|line| self.get(line.first).map(|leg| (line.first, leg)));
        match (ours, strangers) {
            (Some((_, one)), Some((_, other))) => {
                if one.number < other.number {
                    ours
                } else {
                    strangers
                }
            }
            _ => ours.or(strangers),
        }
    }

    /// Puts a leg at the end of its line.
    fn line_up(&mut self, place: Place, line: usize) {
        let last = std::mem::replace(&mut self.lines[line].last, place);
        match self.slots.get_mut(usize::from(last)) {
            Some(last) => last.after = place,
            None => self.lines[line].first = place,
        }
        let slot = &mut self.slots[usize::from(place)];
        (slot.before, slot.after) = (last, NOWHERE);
    }

    fn step_out(&mut self, place: Place, line: usize) {
        let Slot { before, after, .. } = self.slots[usize::from(place)];
        match self.slots.get_mut(usize::from(before)) {
            Some(before) => before.after = after,
            None => self.lines[line].first = after,
        }
        match self.slots.get_mut(usize::from(after)) {
            Some(after) => after.before = before,
            None => self.lines[line].last = before,
        }
    }
}
