//! What happened to findings, for those who tell somebody.

use std::collections::VecDeque;

use crate::detect::catalog::FindingId;
use crate::detect::finding::{Finding, Subject};
use crate::time::PacketTime;
use crate::track::vocabulary::Severity;

/// What happened to a finding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChangeKind {
    /// It is new.
    Raised,
    /// It is worse, or surer.
    Updated,
    /// It is over, or was dropped for lack of room.
    Cleared,
    /// It is a symptom of this cause and not listed any more.
    ReplacedBy(FindingId),
}

/// A change of one finding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FindingChange {
    /// When.
    pub at: PacketTime,
    /// What happened.
    pub kind: ChangeKind,
    /// To which.
    pub id: FindingId,
    /// About what.
    pub subject: Subject,
    /// How bad it is after the change.
    pub severity: Severity,
}

/// Changes that wait to be drained: the latest [`Changes::CAPACITY`].
#[derive(Debug, Default)]
pub(super) struct Changes {
    waiting: VecDeque<FindingChange>,
    lost: u64,
}

impl Changes {
    /// More than the busiest batch of messages gives rise to.
    pub(super) const CAPACITY: usize = 65_536;

    pub(super) fn push(&mut self, kind: ChangeKind, finding: &Finding, at: PacketTime) {
        if self.waiting.len() == Self::CAPACITY {
            self.waiting.pop_front();
            self.lost += 1;
        }
        self.waiting.push_back(FindingChange { at, kind, id: finding.id, subject: finding.subject.clone(), severity: finding.severity });
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = FindingChange> {
        self.waiting.drain(..)
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost
    }
}
