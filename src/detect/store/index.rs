//! Where findings are found by what they are about.

use std::collections::{BTreeMap, BTreeSet};

use crate::detect::catalog::{FindingId, SubjectKind};
use crate::detect::finding::{Finding, Subject};
use crate::detect::store::Seq;

/// Findings by id, and by their subject and the subjects related to it.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_id: BTreeMap<FindingId, BTreeSet<Seq>>,
    by_subject: BTreeMap<Subject, Ties>,
}

/// The findings that concern a subject.
#[derive(Debug, Default)]
struct Ties {
    /// About it or related to it.
    all: BTreeSet<(FindingId, Seq)>,
    /// About it.
    own: BTreeSet<(FindingId, Seq)>,
}

impl Index {
    pub(super) fn insert(&mut self, seq: Seq, finding: &Finding) {
        self.by_id.entry(finding.id).or_default().insert(seq);
        let ties = self.by_subject.entry(finding.subject.clone()).or_default();
        ties.all.insert((finding.id, seq));
        ties.own.insert((finding.id, seq));
        self.relate(seq, finding.id, &finding.related);
    }

    /// Finds a finding by `subjects` too. Related PBX addresses are left out: they relate everything to everything, and what concerns a
    /// whole PBX is found by id.
    pub(super) fn relate(&mut self, seq: Seq, id: FindingId, subjects: &[Subject]) {
        for subject in subjects.iter().filter(|subject| subject.kind() != SubjectKind::Pbx) {
            self.by_subject.entry(subject.clone()).or_default().all.insert((id, seq));
        }
    }

    pub(super) fn remove(&mut self, seq: Seq, finding: &Finding) {
        if let Some(set) = self.by_id.get_mut(&finding.id) {
            set.remove(&seq);
        }
        if let Some(ties) = self.by_subject.get_mut(&finding.subject) {
            ties.own.remove(&(finding.id, seq));
        }
        self.unrelate(seq, finding.id, std::iter::once(&finding.subject).chain(&finding.related));
    }

    /// Finds a finding by `subjects` no longer.
    pub(super) fn unrelate<'a>(&mut self, seq: Seq, id: FindingId, subjects: impl IntoIterator<Item = &'a Subject>) {
        for subject in subjects {
            let Some(ties) = self.by_subject.get_mut(subject) else {
                continue;
            };
            ties.all.remove(&(id, seq));
            if ties.all.is_empty() && ties.own.is_empty() {
                self.by_subject.remove(subject);
            }
        }
    }

    /// The findings of an id, oldest first.
    pub(super) fn of(&self, id: FindingId) -> impl Iterator<Item = Seq> {
        self.by_id.get(&id).into_iter().flatten().copied()
    }

    /// Whether there are any findings of an id.
    pub(super) fn knows(&self, id: FindingId) -> bool {
        self.by_id.get(&id).is_some_and(|set| !set.is_empty())
    }

    /// The findings of an id about a subject or related to it, oldest first. Of a site or a source that may be all its phones.
    pub(super) fn about(&self, subject: &Subject, id: FindingId) -> impl DoubleEndedIterator<Item = Seq> {
        self.by_subject.get(subject).into_iter().flat_map(move |ties| of(&ties.all, id))
    }

    /// The findings of an id whose subject it is, oldest first.
    pub(super) fn own(&self, subject: &Subject, id: FindingId) -> impl DoubleEndedIterator<Item = Seq> {
        self.by_subject.get(subject).into_iter().flat_map(move |ties| of(&ties.own, id))
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_subject.is_empty() && self.by_id.values().all(BTreeSet::is_empty)
    }
}

fn of(set: &BTreeSet<(FindingId, Seq)>, id: FindingId) -> impl DoubleEndedIterator<Item = Seq> {
    set.range((id, Seq::MIN)..=(id, Seq::MAX)).map(|&(_, seq)| seq)
}
