//! What a detector comes to know of a finding that it has told.

use crate::detect::catalog::FindingId;
use crate::detect::finding::Subject;
use crate::detect::store::{ChangeKind, FindingStore};
use crate::time::PacketTime;

impl FindingStore {
    /// Takes an open finding off the list that turns out not to be so; for who was told of it, it ends at `at`.
    pub fn take_back(&mut self, id: FindingId, subject: &Subject, at: PacketTime) {
        self.advance(at);
        if let Some(mut finding) = self.find_open(id, subject).and_then(|seq| self.remove(seq)) {
            finding.cleared = Some(at.max(finding.at));
            self.changes.push(ChangeKind::Cleared, &finding, at);
        }
    }

    /// Gives an open finding the remedy of the cause that it comes from, so that one cause has one remedy.
    pub fn advise(&mut self, id: FindingId, subject: &Subject, remedy: &str) {
        if let Some(finding) = self.find_open(id, subject).and_then(|seq| self.findings.get_mut(&seq)) {
            remedy.clone_into(&mut finding.remedy);
        }
    }
}
