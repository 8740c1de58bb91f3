//! Findings by what they are worth, and time.

use std::collections::BTreeSet;

use crate::detect::finding::Standing;
use crate::detect::store::Seq;
use crate::time::PacketTime;
use crate::track::vocabulary::Severity;

/// Which finding goes first where there is no room: the least.
pub(super) type Worth = (Standing, Severity);

const SEVERITIES: usize = Severity::ALL.len();

/// A set of findings, each with its worth and a moment.
#[derive(Debug, Default)]
pub(super) struct Ranked {
    /// One set a worth, the least first.
    by_worth: [BTreeSet<(PacketTime, Seq)>; 2 * SEVERITIES],
}

impl Ranked {
    pub(super) fn insert(&mut self, worth: Worth, at: PacketTime, seq: Seq) {
        self.by_worth[index(worth)].insert((at, seq));
    }

    pub(super) fn remove(&mut self, worth: Worth, at: PacketTime, seq: Seq) {
        self.by_worth[index(worth)].remove(&(at, seq));
    }

    /// Takes out the earliest finding whose moment is not after `now`.
    pub(super) fn pop_due(&mut self, now: PacketTime) -> Option<(PacketTime, Seq)> {
        let earliest = self.by_worth.iter_mut().filter(|set| !set.is_empty()).min_by_key(|set| set.first().copied())?;
        let due = earliest.first().is_some_and(|&(at, _)| at <= now);
        if due { earliest.pop_first() } else { None }
    }

    /// The earliest of the findings that are worth least.
    pub(super) fn least(&self) -> Option<Seq> {
        self.by_worth.iter().find_map(|set| set.first()).map(|&(_, seq)| seq)
    }

    pub(super) fn len(&self) -> usize {
        self.by_worth.iter().map(BTreeSet::len).sum()
    }
}

fn index((standing, severity): Worth) -> usize {
    standing as usize * SEVERITIES + severity as usize
}
