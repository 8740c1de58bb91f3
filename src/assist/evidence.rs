//! The findings about the user, kept while the session lasts, so that a failure comes with what proves it.

use crate::assist::who::Who;
use crate::detect::catalog::FindingId;
use crate::detect::finding::{Finding, Subject};
use crate::detect::store::{ChangeKind, FindingChange, FindingStore};
use crate::report::model::{Evidence, Stamp};
use crate::table::Handle;
use crate::time::PacketTime;
use crate::track::Tracker;
use crate::track::site::Site;

/// Findings that are kept at a time.
const KEPT: usize = 32;
/// Facts that are shown of one finding: the first and the latest.
const SHOWN: usize = 6;

/// Open findings about the user or about everybody.
#[derive(Debug, Default)]
pub(super) struct Findings {
    open: Vec<Finding>,
}

impl Findings {
    /// Those that are open when the session begins.
    pub(super) fn of(store: &FindingStore, tracker: &Tracker, who: &Who) -> Self {
        let about = store.open().filter(|finding| concerns(tracker, who, &[], finding));
        Self { open: about.take(KEPT).cloned().collect() }
    }

    /// Takes note of a change; gives the finding if it is open and about the user or one of `calls`.
    pub(super) fn note(&mut self, tracker: &Tracker, who: &Who, calls: &[Handle], change: &FindingChange) -> Option<&Finding> {
        let same = |known: &Finding| known.id == change.finding.id && known.subject == change.finding.subject;
        self.open.retain(|known| !same(known));
        let open = matches!(change.kind, ChangeKind::Raised | ChangeKind::Updated);
        if !open || !concerns(tracker, who, calls, &change.finding) {
            return None;
        }
        if self.open.len() == KEPT {
            self.open.remove(0);
        }
        self.open.push(change.finding.clone());
        self.open.last()
    }

    /// The finding that explains a failure of a step since `since`: the first id of `ids` that there is.
    pub(super) fn explaining(&self, ids: &[FindingId], since: PacketTime) -> Option<&Finding> {
        let lately = |finding: &&Finding| finding.last >= since;
        ids.iter().find_map(|id| self.open.iter().filter(lately).find(|finding| finding.id == *id))
    }
}

/// The facts of a finding with printed times, the first and the latest of them.
pub(super) fn facts(tracker: &Tracker, finding: &Finding) -> Vec<Evidence> {
    let printed = |fact: &crate::detect::finding::Evidence| Evidence {
        at: Stamp(tracker.printed(fact.at)),
        frame: fact.frame,
        fact: fact.fact.clone(),
    };
    let count = finding.evidence.len();
    let shown = finding.evidence.iter().enumerate().filter(|(nth, _)| *nth < SHOWN / 2 || nth + SHOWN / 2 >= count);
    shown.map(|(_, fact)| printed(fact)).collect()
}

/// Whether a finding is about the user, its phones, their site, one of `calls`, or the PBX itself.
fn concerns(tracker: &Tracker, who: &Who, calls: &[Handle], finding: &Finding) -> bool {
    std::iter::once(&finding.subject).chain(&finding.related).any(|subject| match subject {
        Subject::Aor(name) => who.is_aor_name(name),
        Subject::Source(address) => who.is_there(tracker, *address),
        Subject::Site(site) => who.addresses(tracker).iter().any(|address| Site::of(*address) == *site),
        Subject::Call(id) => calls.iter().any(|call| tracker.calls.get(*call).is_some_and(|call| call.record.call_id == *id)),
        Subject::Pbx(_) => subject == &finding.subject,
        Subject::Trunk(_) | Subject::Group(_) | Subject::Capture => false,
    })
}
