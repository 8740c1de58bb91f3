//! Legs of one kind, in the order in which they began.

use std::collections::{BTreeSet, VecDeque};

use super::{Leg, Mate};
use crate::table::Handle;
use crate::time::{PacketTime, Span};

/// How long the ringing and the answer of a leg are waited for.
const PATIENCE: Span = Span::from_secs(120);
/// Legs that are remembered of each kind.
const REMEMBERED: usize = 4096;

/// The legs of one kind that may still be linked.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    legs: VecDeque<Leg>,
    /// Numbers of those that strangers began.
    strangers: BTreeSet<u64>,
    /// Number of the next one.
    next: u64,
}

impl Remembered {
    /// Takes a leg that began no earlier than those before; returns it as it is remembered, with its number.
    pub(super) fn push(&mut self, leg: Leg) -> Option<&Leg> {
        let number = self.next;
        self.next += 1;
        if leg.is_strangers {
            self.strangers.insert(number);
        }
        self.legs.push_back(Leg { number, ..leg });
        self.legs.back()
    }

    /// The place of a leg that goes before another comes at `now`: nobody waits for it any more, or there are too many. Of these one that a
    /// stranger began goes first, then the oldest.
    pub(super) fn leaving(&self, now: PacketTime) -> Option<usize> {
        if self.legs.front().is_some_and(|leg| now.since(leg.begun) > PATIENCE) {
            return Some(0);
        }
        let crowded = self.legs.len() >= REMEMBERED;
        crowded.then(|| self.strangers.first().and_then(|number| self.numbered(*number)).unwrap_or(0))
    }

    pub(super) fn remove(&mut self, place: usize) -> Option<Leg> {
        let leg = self.legs.remove(place)?;
        self.strangers.remove(&leg.number);
        Some(leg)
    }

    /// Where the leg of `call` that began at `begun` is.
    pub(super) fn position(&self, begun: Option<PacketTime>, call: Handle) -> Option<usize> {
        let begun = begun?;
        let from = self.legs.partition_point(|leg| leg.begun < begun);
        let near = self.legs.iter().enumerate().skip(from).take_while(|(_, leg)| leg.begun == begun);
        near.filter(|(_, leg)| leg.call == call).map(|(index, _)| index).last()
    }

    /// Where the leg with this number is.
    pub(super) fn numbered(&self, number: u64) -> Option<usize> {
        self.legs.binary_search_by_key(&number, |leg| leg.number).ok()
    }

    /// The places of the legs that began from `from` to `to`.
    pub(super) fn between(&self, from: PacketTime, to: PacketTime) -> std::ops::Range<usize> {
        self.legs.partition_point(|leg| leg.begun < from)..self.legs.partition_point(|leg| leg.begun <= to)
    }

    pub(super) fn find(&self, mate: &Mate) -> Option<&Leg> {
        self.get(self.position(Some(mate.begun), mate.call)?)
    }

    pub(super) fn get(&self, place: usize) -> Option<&Leg> {
        self.legs.get(place)
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut Leg> {
        self.legs.get_mut(place)
    }

    /// Takes all of them out, in order.
    pub(super) fn take(&mut self) -> VecDeque<Leg> {
        self.strangers.clear();
        std::mem::take(&mut self.legs)
    }
}
