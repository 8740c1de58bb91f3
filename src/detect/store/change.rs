//! What happened to findings, for those who tell somebody.

use std::collections::VecDeque;

use crate::detect::catalog::FindingId;
use crate::detect::finding::Finding;
use crate::time::PacketTime;

/// What happened to a finding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChangeKind {
    /// It is new, or is there again.
    Raised,
    /// It is worse, or surer.
    Updated,
    /// It is over.
    Cleared,
    /// It was dropped for lack of room, and would have ended at this time had it not been raised again.
    Dropped(PacketTime),
    /// It is a symptom of this cause and not listed any more.
    ReplacedBy(FindingId),
}

/// A change of one finding.
#[derive(Clone, Debug)]
pub struct FindingChange {
    /// When.
    pub at: PacketTime,
    /// What happened.
    pub kind: ChangeKind,
    /// The finding after the change.
    pub finding: Finding,
}

/// Changes that wait to be drained: the latest [`Changes::CAPACITY`], once somebody wants them.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) wanted: bool,
    waiting: VecDeque<FindingChange>,
    lost: u64,
}

impl Changes {
    /// More than one message gives rise to.
    pub(super) const CAPACITY: usize = 65_536;

    pub(super) fn push(&mut self, kind: ChangeKind, finding: &Finding, at: PacketTime) {
        if !self.wanted {
            return;
        }
        if self.waiting.len() == Self::CAPACITY {
            self.waiting.pop_front();
            self.lost += 1;
        }
        self.waiting.push_back(FindingChange { at, kind, finding: finding.clone() });
    }

    pub(super) fn pop(&mut self) -> Option<FindingChange> {
        self.waiting.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost
    }
}
