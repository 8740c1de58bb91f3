//! Findings by severity and time.

use std::collections::BTreeSet;

use crate::detect::store::Seq;
use crate::time::PacketTime;
use crate::track::vocabulary::Severity;

/// A set of findings, each with its severity and a moment.
#[derive(Debug, Default)]
pub(super) struct Ranked {
    /// One set a severity, the least severe first.
    by_severity: [BTreeSet<(PacketTime, Seq)>; Severity::ALL.len()],
}

impl Ranked {
    pub(super) fn insert(&mut self, severity: Severity, at: PacketTime, seq: Seq) {
        self.by_severity[severity as usize].insert((at, seq));
    }

    pub(super) fn remove(&mut self, severity: Severity, at: PacketTime, seq: Seq) {
        self.by_severity[severity as usize].remove(&(at, seq));
    }

    /// Takes out the earliest finding whose moment is not after `now`.
    pub(super) fn pop_due(&mut self, now: PacketTime) -> Option<(PacketTime, Seq)> {
        let earliest = self.by_severity.iter_mut().filter(|set| !set.is_empty()).min_by_key(|set| set.first().copied())?;
        let due = earliest.first().is_some_and(|&(at, _)| at <= now);
        if due { earliest.pop_first() } else { None }
    }

    /// The earliest of the least severe findings.
    pub(super) fn least(&self) -> Option<Seq> {
        self.by_severity.iter().find_map(|set| set.first()).map(|&(_, seq)| seq)
    }

    pub(super) fn len(&self) -> usize {
        self.by_severity.iter().map(BTreeSet::len).sum()
    }
}
