//! The life of findings: raised, updated, cleared, replaced by a better explanation.
//!
//! A finding is kept under its id and subject. Raised again while open it is updated; raised again after it was cleared it is a new
//! entry, and the report lists both. It ends when its detector clears it, or by itself after its quiet time. A cause that
//! [explains](FindingId::explains) a symptom takes it off the list, whichever of the two comes first, and names it.
//!
//! Open and ended findings are bounded by [`Limits`]; those of strangers go first, then the least severe, and are counted.

mod amend;
mod change;
mod index;
mod ranked;
#[cfg(test)]
mod tests;

pub use change::{ChangeKind, FindingChange};

use std::collections::BTreeMap;

use crate::detect::catalog::{FindingId, Reach, SubjectKind, WINDOW_AFTER, WINDOW_BEFORE};
use crate::detect::finding::{Finding, Raise, Subject};
use crate::detect::store::change::Changes;
use crate::detect::store::index::Index;
use crate::detect::store::ranked::{Ranked, Worth};
use crate::time::PacketTime;
use crate::track::vocabulary::{Confidence, Severity};

/// Number of a finding in the order of raising.
type Seq = u64;

/// A finding that was raised, or reached a higher severity.
#[derive(Clone, Debug)]
pub struct Reached {
    seq: Seq,
    /// Which.
    pub id: FindingId,
    /// What it reached.
    pub severity: Severity,
    /// What it is about, then what it is related to.
    pub subjects: Vec<Subject>,
}

/// How many findings are kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Findings that are open at a time.
    pub open: usize,
    /// Findings that ended and are kept for the report.
    pub ended: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { open: 50_000, ended: 50_000 }
    }
}

impl Reached {
    fn of(seq: Seq, finding: &Finding) -> Self {
        let subjects = std::iter::once(&finding.subject).chain(&finding.related).cloned().collect();
        Self { seq, id: finding.id, severity: finding.severity, subjects }
    }
}

/// All findings of one engine.
#[derive(Debug, Default)]
pub struct FindingStore {
    limits: Limits,
    findings: BTreeMap<Seq, Finding>,
    index: Index,
    /// Open findings by the moment they end by themselves.
    open: Ranked,
    /// Ended findings by the moment they ended.
    ended: Ranked,
    next: Seq,
    reached: Vec<Reached>,
    evicted: u64,
    absorbed: u64,
    changes: Changes,
}

impl FindingStore {
    /// An empty store with its own limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Ends what has been quiet for too long by `now`, each finding at its own deadline.
    pub fn advance(&mut self, now: PacketTime) {
        while let Some((deadline, seq)) = self.open.pop_due(now) {
            self.end(seq, deadline);
        }
    }

    /// Raises a finding, or updates the open one of the same id and subject; one of a phone or a call that ended lately goes on, so that what
    /// comes and goes is one finding and not many. It keeps the highest severity and confidence, takes the new
    /// message and remedy, and adds the evidence. A symptom whose cause is known is added to what the cause explains instead.
    pub fn raise(&mut self, raise: Raise, now: PacketTime) {
        self.advance(now);
        if let Some(seq) = self.find_open(raise.id, &raise.subject) {
            self.update(seq, now, |finding| finding.merge(raise, now));
            return;
        }
        if let Some(seq) = self.find_recent(raise.id, &raise.subject, now) {
            self.reopen(seq, now);
            self.update(seq, now, |finding| finding.merge(raise, now));
            self.absorb_symptoms(seq, now);
            self.make_room(now);
            return;
        }
        let finding = Finding::begin(raise, now);
        if let Some(cause) = self.cause_of(&finding) {
            self.absorbed += 1;
            self.attribute(cause, &finding);
            return;
        }
        self.insert(finding);
    }

    /// Words an open finding anew where its detector knows better by now: message, remedy, and the phones that it concerns. That is no
    /// further raise.
    pub fn revise(&mut self, raise: Raise, now: PacketTime) {
        self.advance(now);
        let Some(seq) = self.find_open(raise.id, &raise.subject) else { return };
        let Some(finding) = self.findings.get_mut(&seq) else { return };
        let is_over = |subject: &Subject| matches!(subject, Subject::Aor(_)) && !raise.related.contains(subject);
        let over: Vec<_> = finding.related.extract_if(.., |subject| is_over(subject)).collect();
        self.index.unrelate(seq, raise.id, &over);
        self.update(seq, now, |finding| finding.reword(raise));
    }

    /// Ends an open finding at `at`; tells whether there was one.
    pub fn clear(&mut self, id: FindingId, subject: &Subject, at: PacketTime) -> bool {
        self.advance(at);
        let Some(seq) = self.find_open(id, subject) else {
            return false;
        };
        if let Some(finding) = self.findings.get(&seq) {
            self.open.remove(worth(finding), deadline(finding), seq);
        }
        self.end(seq, at);
        true
    }

    /// As [`Self::clear`], of what is about a subject that is only named where there are findings of that id at all: ordinarily there are
    /// none.
    pub fn clear_of(&mut self, id: FindingId, at: PacketTime, subject: impl FnOnce() -> Option<Subject>) {
        self.advance(at);
        if self.knows(id)
            && let Some(subject) = subject()
        {
            self.clear(id, &subject, at);
        }
    }

    /// Whether anything waits for [`Self::take_reached`] or [`Self::next_change`].
    pub fn has_news(&self) -> bool {
        !self.reached.is_empty() || !self.changes.is_empty()
    }

    /// Takes an open symptom off the list in favour of an open cause, where the catalogue does not do it by itself. Tells whether both
    /// were open.
    pub fn replace(&mut self, cause: (FindingId, &Subject), symptom: (FindingId, &Subject), at: PacketTime) -> bool {
        let (Some(cause), Some(symptom)) = (self.find_open(cause.0, cause.1), self.find_open(symptom.0, symptom.1)) else {
            return false;
        };
        self.absorb(cause, symptom, at);
        true
    }

    /// The open finding of that id and subject.
    pub fn get(&self, id: FindingId, subject: &Subject) -> Option<&Finding> {
        self.find_open(id, subject).and_then(|seq| self.findings.get(&seq))
    }

    /// Whether any finding of that id is kept.
    pub fn knows(&self, id: FindingId) -> bool {
        self.index.knows(id)
    }

    /// Until when the open finding of that id and subject was told what there is to say; the beginning of time if none is open.
    pub fn told(&self, id: FindingId, subject: &Subject) -> PacketTime {
        self.get(id, subject).map_or(PacketTime::MIN, |finding| finding.last)
    }

    /// Whether a finding of that id and subject was open at any time since `since`.
    pub fn was_open_since(&self, id: FindingId, subject: &Subject, since: PacketTime) -> bool {
        let mut episodes = self.index.own(subject, id).rev().filter_map(|seq| self.findings.get(&seq));
        episodes.any(|finding| finding.cleared.is_none_or(|end| end >= since))
    }

    /// The open findings of that id about a subject or related to it, in the order in which they were raised.
    pub fn open_about<'a>(&'a self, id: FindingId, subject: &'a Subject) -> impl Iterator<Item = &'a Finding> {
        self.index.about(subject, id).filter_map(|seq| self.findings.get(&seq)).filter(|finding| finding.cleared.is_none())
    }

    /// Whether a finding of that id and subject is open.
    pub fn is_open(&self, id: FindingId, subject: &Subject) -> bool {
        self.find_open(id, subject).is_some()
    }

    /// The open findings, in the order in which they were raised.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.findings.values().filter(|finding| finding.cleared.is_none())
    }

    /// All findings that are kept, open and ended, by the time of their first evidence, then by id and subject.
    pub fn all(&self) -> Vec<&Finding> {
        self.listed(|_| true)
    }

    /// Those of [`all`](Self::all) that are wanted.
    pub fn listed(&self, wanted: impl Fn(&Finding) -> bool) -> Vec<&Finding> {
        let mut all: Vec<_> = self.findings.values().filter(|finding| wanted(finding)).collect();
        all.sort_by(|a, b| (a.since, a.id, &a.subject, a.at).cmp(&(b.since, b.id, &b.subject, b.at)));
        all
    }

    /// All findings that are kept, each with its number in the order of raising.
    pub fn numbered(&self) -> impl Iterator<Item = (u64, &Finding)> {
        self.findings.iter().map(|(&number, finding)| (number, finding))
    }

    /// What reached a severity since this was last asked, replaced and evicted ones included; to be asked after each message.
    pub fn take_reached(&mut self) -> Vec<Reached> {
        std::mem::take(&mut self.reached)
    }

    /// Notes which of several phone systems a finding concerns; nothing happens where it is gone already.
    pub fn set_system(&mut self, reached: &Reached, system: Option<usize>) {
        if let Some(finding) = self.findings.get_mut(&reached.seq) {
            finding.system = system;
        }
    }

    /// Findings that are kept, open and ended.
    pub fn len(&self) -> usize {
        self.findings.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// How many findings were dropped for lack of room.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many raises were taken for symptoms of a cause that was already known, and never listed.
    pub fn absorbed(&self) -> u64 {
        self.absorbed
    }

    /// Keeps what changes from now on, for [`next_change`](Self::next_change).
    pub fn record_changes(&mut self) {
        self.changes.wanted = true;
    }

    /// The next change that was not taken yet.
    pub fn next_change(&mut self) -> Option<FindingChange> {
        self.changes.pop()
    }

    /// How many changes were dropped because nobody took them.
    pub fn lost_changes(&self) -> u64 {
        self.changes.lost()
    }

    fn insert(&mut self, finding: Finding) {
        let seq = self.next;
        self.next += 1;
        self.reached.push(Reached::of(seq, &finding));
        self.changes.push(ChangeKind::Raised, &finding, finding.at);
        self.index.insert(seq, &finding);
        self.open.insert(worth(&finding), deadline(&finding), seq);
        let now = finding.at;
        self.findings.insert(seq, finding);
        self.absorb_symptoms(seq, now);
        self.make_room(now);
    }

    fn update(&mut self, seq: Seq, now: PacketTime, merge: impl FnOnce(&mut Finding) -> Vec<Subject>) {
        let Some(finding) = self.findings.get_mut(&seq) else {
            return;
        };
        let (severity, confidence, since) = (finding.severity, finding.confidence, finding.since);
        self.open.remove(worth(finding), deadline(finding), seq);
        let fresh = merge(finding);
        self.open.insert(worth(finding), deadline(finding), seq);
        self.index.relate(seq, finding.id, &fresh);
        let (worse, surer) = (finding.severity > severity, finding.confidence > confidence);
        let explains_more = surer || finding.since < since || !fresh.is_empty();
        if worse || surer {
            self.changes.push(ChangeKind::Updated, finding, now);
        }
        if worse {
            self.reached.push(Reached::of(seq, finding));
        }
        if explains_more {
            self.absorb_symptoms(seq, now);
        }
        if let Some(cause) = self.findings.get(&seq).and_then(|finding| self.cause_of(finding)) {
            self.absorb(cause, seq, now);
        }
    }

    fn end(&mut self, seq: Seq, at: PacketTime) {
        let Some(finding) = self.findings.get_mut(&seq) else {
            return;
        };
        let at = at.max(finding.at);
        finding.cleared = Some(at);
        self.ended.insert(worth(finding), at, seq);
        self.changes.push(ChangeKind::Cleared, finding, at);
        self.make_room(at);
    }

    /// The open finding of that id and subject: if any is, it is the latest.
    fn find_open(&self, id: FindingId, subject: &Subject) -> Option<Seq> {
        let (seq, latest) = self.latest(id, subject)?;
        latest.cleared.is_none().then_some(seq)
    }

    /// The latest finding of that id and subject if it ended within its quiet time, where the subject is a phone, a source or a call: an
    /// outage of the PBX is over when it is over.
    fn find_recent(&self, id: FindingId, subject: &Subject, now: PacketTime) -> Option<Seq> {
        if !matches!(subject, Subject::Aor(_) | Subject::Source(_) | Subject::Call(_)) {
            return None;
        }
        let (seq, latest) = self.latest(id, subject)?;
        latest.cleared.is_some_and(|end| now.since(end) <= id.row().clears.quiet).then_some(seq)
    }

    fn latest(&self, id: FindingId, subject: &Subject) -> Option<(Seq, &Finding)> {
        let seq = self.index.own(subject, id).next_back()?;
        Some((seq, self.findings.get(&seq)?))
    }

    fn reopen(&mut self, seq: Seq, now: PacketTime) {
        let Some(finding) = self.findings.get_mut(&seq) else { return };
        if let Some(end) = finding.cleared.take() {
            self.ended.remove(worth(finding), end, seq);
        }
        self.open.insert(worth(finding), deadline(finding), seq);
        self.changes.push(ChangeKind::Raised, finding, now);
    }

    /// The cause that explains `symptom`: the first of [`FindingId::CAUSES`] that does.
    fn cause_of(&self, symptom: &Finding) -> Option<Seq> {
        FindingId::CAUSES.into_iter().find_map(|id| {
            // The strongest confidence asks whether such a cause is possible at all; each candidate is then judged by its own.
            let reach = id.explains(symptom.id, Confidence::Confirmed)?;
            self.tied(reach, id, symptom).find(|seq| self.findings.get(seq).is_some_and(|cause| is_cause(cause, symptom)))
        })
    }

    /// The findings of an id that may be cause or symptom of `finding`. Two phones of one site have nothing to do with each other: their
    /// findings are both related to it, and are not looked at.
    fn tied(&self, reach: Reach, id: FindingId, finding: &Finding) -> impl Iterator<Item = Seq> {
        let (server, near) = match reach {
            Reach::Server | Reach::Moment => (Some(self.index.of(id)), None),
            Reach::Twin | Reach::Effect => {
                let own = finding.related.iter().flat_map(move |subject| self.index.own(subject, id));
                (None, Some(self.index.about(&finding.subject, id).chain(own)))
            }
        };
        server.into_iter().flatten().chain(near.into_iter().flatten())
    }

    /// Takes off the list what the finding `cause` explains.
    fn absorb_symptoms(&mut self, cause: Seq, now: PacketTime) {
        for symptom in self.symptoms_of(cause) {
            self.absorb(cause, symptom, now);
        }
    }

    fn symptoms_of(&self, cause: Seq) -> Vec<Seq> {
        let Some(finding) = self.findings.get(&cause) else {
            return Vec::new();
        };
        if !FindingId::CAUSES.contains(&finding.id) {
            return Vec::new();
        }
        let mut symptoms = Vec::new();
        for &id in FindingId::ALL {
            if let Some(reach) = finding.id.explains(id, finding.confidence) {
                symptoms.extend(self.tied(reach, id, finding));
            }
        }
        symptoms.retain(|symptom| self.findings.get(symptom).is_some_and(|symptom| is_cause(finding, symptom)));
        symptoms.sort_unstable();
        symptoms.dedup();
        symptoms
    }

    fn absorb(&mut self, cause: Seq, symptom: Seq, at: PacketTime) {
        let Some(symptom) = self.remove(symptom) else {
            return;
        };
        self.attribute(cause, &symptom);
        if let (Some(cause), None) = (self.findings.get(&cause), symptom.cleared) {
            self.changes.push(ChangeKind::ReplacedBy(cause.id), &symptom, at);
        }
    }

    fn attribute(&mut self, cause: Seq, symptom: &Finding) {
        if let Some(cause) = self.findings.get_mut(&cause) {
            cause.explains.insert(symptom.id);
            cause.explains.extend(&symptom.explains);
            cause.explains.remove(&cause.id);
            if let Subject::Aor(user) = &symptom.subject
                && symptom.severity > Severity::Info
                && cause.subject.kind() != SubjectKind::Aor
                && cause.sufferers.len() < Finding::RELATED
            {
                cause.sufferers.insert(user.clone());
            }
            if cause.id == symptom.id {
                cause.take_over(symptom);
            }
        }
    }

    fn make_room(&mut self, now: PacketTime) {
        if self.open.len() > self.limits.open
            && let Some(finding) = self.open.least().and_then(|seq| self.remove(seq))
        {
            self.evicted += 1;
            self.changes.push(ChangeKind::Dropped(deadline(&finding)), &finding, now);
        }
        if self.ended.len() > self.limits.ended && self.ended.least().is_some_and(|seq| self.remove(seq).is_some()) {
            self.evicted += 1;
        }
    }

    fn remove(&mut self, seq: Seq) -> Option<Finding> {
        let finding = self.findings.remove(&seq)?;
        self.index.remove(seq, &finding);
        match finding.cleared {
            Some(at) => self.ended.remove(worth(&finding), at, seq),
            None => self.open.remove(worth(&finding), deadline(&finding), seq),
        }
        Some(finding)
    }
}

/// What a finding is worth.
fn worth(finding: &Finding) -> Worth {
    (finding.ranks_as(), finding.severity)
}

/// When an open finding ends by itself.
fn deadline(finding: &Finding) -> PacketTime {
    finding.last + finding.id.row().clears.quiet
}

/// Whether `cause` explains `symptom`: the catalogue says so, they concern the same, and the symptom falls into the cause's window.
fn is_cause(cause: &Finding, symptom: &Finding) -> bool {
    let from = cause.since - WINDOW_BEFORE;
    let to = cause.cleared.map_or(PacketTime::MAX, |end| end + WINDOW_AFTER);
    let window = from..=to;
    let moment = from..=cause.last + WINDOW_AFTER;
    match cause.id.explains(symptom.id, cause.confidence) {
        None => false,
        Some(Reach::Twin) => related(cause, symptom) && symptom.last >= from && symptom.since <= to,
        Some(Reach::Effect) => related(cause, symptom) && (window.contains(&symptom.since) || window.contains(&symptom.at)),
        Some(reach @ (Reach::Server | Reach::Moment)) => {
            let is_of_a_place = cause.related.iter().any(|subject| matches!(subject, Subject::Site(_) | Subject::Trunk(_)));
            if is_of_a_place {
                let is_there = |own: &Subject| *own == symptom.subject || symptom.related.contains(own);
                return cause.related.iter().any(is_there) && window.contains(&symptom.at);
            }
            same_server(cause, symptom) && if reach == Reach::Server { window } else { moment }.contains(&symptom.at)
        }
    }
}

fn related(cause: &Finding, symptom: &Finding) -> bool {
    cause.subject == symptom.subject || symptom.related.contains(&cause.subject) || cause.related.contains(&symptom.subject)
}

/// Whether the symptom names the host of the PBX that is the cause, or none at all: a PBX may use several ports. What concerns a whole site
/// has its cause there.
fn same_server(cause: &Finding, symptom: &Finding) -> bool {
    if matches!(symptom.subject, Subject::Site(_)) {
        return false;
    }
    let pbx = |subject: &Subject| if let Subject::Pbx(address) = subject { Some(address.ip()) } else { None };
    let mut named = symptom.related.iter().filter_map(pbx).peekable();
    named.peek().is_none() || named.any(|host| Some(host) == pbx(&cause.subject))
}
