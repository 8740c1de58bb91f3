//! A finding: what is wrong with whom, since when, how sure, by which packets, and what to do.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::detect::catalog::{FindingId, Slot, SubjectKind, fill};
use crate::time::PacketTime;
use crate::track::site::Site;
use crate::track::vocabulary::{Confidence, Scope, Severity, vocabulary};

vocabulary! {
    /// The sub-case of a finding (DETECTION §9).
    Reason {
        /// The challenge was never answered with credentials.
        NoCredentials = "no-credentials",
        /// The same, where the challenge wants an algorithm that old phones do not know.
        Algorithm = "algorithm",
        /// Credentials were refused for a nonce that was just issued, as too old.
        StaleNonce = "stale-nonce",
        /// The credentials name another user.
        UsernameMismatch = "username-mismatch",
        /// Fresh credentials were refused; a PBX that hides accounts says the same of unknown ones.
        PasswordOrUnknown = "password-or-unknown",
        /// The registrar accepted the REGISTER and did not keep its Contact.
        ContactDropped = "contact-dropped",
        /// BYE went to an address where the device is not.
        ByeMisrouted = "bye-misrouted",
        /// A session refresh was refused.
        SessionRefreshFailed = "session-refresh-failed",
        /// A re-INVITE was never answered.
        ReinviteTimeout = "reinvite-timeout",
        /// A reliable provisional answer was never acknowledged.
        PrackMissing = "prack-missing",
        /// Calls to numbers without registration.
        InviteScan = "invite-scan",
        /// The PBX sends to the Contact as written, and the phone is behind a NAT.
        ContactAsWritten = "contact-as-written",
        /// The router forgot all its bindings at once.
        PortFlush = "port-flush",
        /// The device started again.
        Reboot = "reboot",
        /// The device changed its network.
        Network = "network",
        /// The NAT forgot the device.
        NatGap = "nat-gap",
        /// Another device of the same user.
        Duplicate = "duplicate",
    }
}

/// What a finding is about; with its id the key under which it is kept.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Subject {
    /// An address-of-record, `user@host`.
    Aor(Box<str>),
    /// A source address.
    Source(IpAddr),
    /// A public address behind which phones sit.
    Site(Site),
    /// The Call-ID of the caller's leg.
    Call(Box<str>),
    /// A PBX, or the sender of server errors.
    Pbx(SocketAddr),
    /// A trunk.
    Trunk(IpAddr),
    /// Calls with something in common: `ua:…`, a site, a trunk or a PBX.
    Group(Box<str>),
    /// The capture itself, where no PBX is known.
    Capture,
}

impl Subject {
    /// What kind of thing it is.
    pub const fn kind(&self) -> SubjectKind {
        match self {
            Self::Aor(_) => SubjectKind::Aor,
            Self::Source(_) => SubjectKind::Source,
            Self::Site(_) => SubjectKind::Site,
            Self::Call(_) => SubjectKind::Call,
            Self::Pbx(_) => SubjectKind::Pbx,
            Self::Trunk(_) => SubjectKind::Trunk,
            Self::Group(_) => SubjectKind::Group,
            Self::Capture => SubjectKind::Capture,
        }
    }
}

/// As the report prints it: `1001@pbx.example.com`, `198.51.100.7`, `203.0.113.10:5060`, `2001:db8:1:2::/64`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aor(text) | Self::Call(text) | Self::Group(text) => f.write_str(text),
            Self::Source(address) | Self::Trunk(address) => address.fmt(f),
            Self::Site(site) => site.fmt(f),
            Self::Pbx(address) => address.fmt(f),
            Self::Capture => f.write_str("capture"),
        }
    }
}

/// Whose trouble it is. In a full store that of strangers gives way: they can bring about as much of it as they like.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Standing {
    /// Nobody that the PBX ever served.
    Stranger,
    /// All others.
    Known,
}

/// A fact that a packet proves. Sorts by time, then by what it says: frame numbers differ between captures of the same traffic.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Evidence {
    /// When it happened.
    pub at: PacketTime,
    /// What it shows, one line.
    pub fact: String,
    /// The frame that shows it; none where a deadline passed without one.
    pub frame: Option<u64>,
}

/// One thing that was found, from when it was raised until it was cleared.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which.
    pub id: FindingId,
    /// How bad: the highest it reached.
    pub severity: Severity,
    /// How sure: the highest it reached.
    pub confidence: Confidence,
    /// The sub-case.
    pub reason: Option<Reason>,
    /// How far it reaches.
    pub scope: Scope,
    /// What it is about.
    pub subject: Subject,
    /// The number of the phone system that it concerns, where that is known.
    pub system: Option<usize>,
    /// Whose trouble it is.
    pub standing: Standing,
    /// Time of the earliest evidence.
    pub since: PacketTime,
    /// When it was first raised.
    pub at: PacketTime,
    /// When it was last raised.
    pub last: PacketTime,
    /// When it ended, if it did.
    pub cleared: Option<PacketTime>,
    /// How often it was raised.
    pub count: u64,
    /// What is the matter, one line.
    pub message: String,
    /// What proves it, in order of time: the first and the latest facts.
    pub evidence: Vec<Evidence>,
    /// How many facts between the first and the latest are not kept.
    pub evidence_omitted: u64,
    /// What to do, one sentence.
    pub remedy: String,
    /// The findings that it replaced.
    pub explains: BTreeSet<FindingId>,
    /// Users whose trouble it explains, where it is about more than one user; at most [`Self::RELATED`].
    pub sufferers: BTreeSet<Box<str>>,
    /// Other subjects that its subject belongs to, or that belong to it.
    pub related: Vec<Subject>,
}

impl Finding {
    /// How many facts a finding keeps: half of them the first, half the latest.
    pub const EVIDENCE: usize = 20;
    /// How many related subjects a finding keeps.
    pub const RELATED: usize = 16;

    /// Whose it is taken for where there is no room for all: what is critical is everybody's trouble.
    pub fn ranks_as(&self) -> Standing {
        if self.severity == Severity::Critical { Standing::Known } else { self.standing }
    }

    /// Whether the PBX at `host`, on whatever port, has to do with it.
    pub fn is_about_pbx(&self, host: IpAddr) -> bool {
        let is_it = |subject: &Subject| matches!(subject, Subject::Pbx(pbx) if pbx.ip() == host);
        is_it(&self.subject) || self.related.iter().any(is_it)
    }

    /// The finding that a detector's first word begins.
    pub(super) fn begin(raise: Raise, now: PacketTime) -> Self {
        let remedy = raise.filled_remedy();
        let mut finding = Self {
            id: raise.id,
            severity: raise.severity,
            confidence: raise.confidence,
            reason: raise.reason,
            scope: raise.scope,
            subject: raise.subject,
            system: None,
            standing: raise.standing,
            since: now,
            at: now,
            last: now,
            cleared: None,
            count: 1,
            message: raise.message,
            evidence: Vec::new(),
            evidence_omitted: raise.evidence_omitted,
            remedy,
            explains: BTreeSet::new(),
            sufferers: BTreeSet::new(),
            related: raise.related,
        };
        finding.related.truncate(Self::RELATED);
        finding.add_evidence(raise.evidence);
        finding
    }

    /// Merges what a detector says again into what is known, and returns the subjects that are newly related.
    pub(super) fn merge(&mut self, raise: Raise, now: PacketTime) -> Vec<Subject> {
        self.last = self.last.max(now);
        self.count += 1;
        self.reword(raise)
    }

    /// Takes over what a detector knows better, and returns the subjects that are newly related.
    pub(super) fn reword(&mut self, raise: Raise) -> Vec<Subject> {
        self.remedy = raise.filled_remedy();
        self.severity = self.severity.max(raise.severity);
        self.confidence = self.confidence.max(raise.confidence);
        self.reason = raise.reason.or(self.reason);
        self.scope = raise.scope;
        self.standing = self.standing.max(raise.standing);
        self.message = raise.message;
        self.evidence_omitted += raise.evidence_omitted;
        self.add_evidence(raise.evidence);
        let room = Self::RELATED.saturating_sub(self.related.len());
        let fresh: Vec<_> = raise.related.into_iter().filter(|subject| !self.related.contains(subject)).take(room).collect();
        self.related.extend(fresh.iter().cloned());
        fresh
    }

    /// Takes over what a finding of the same id says of a part of this one's subject.
    pub(super) fn take_over(&mut self, part: &Self) {
        self.since = self.since.min(part.since);
        self.evidence_omitted += part.evidence_omitted;
        self.add_evidence(part.evidence.clone());
    }

    /// Adds facts that are not known yet and drops those in the middle when there are too many.
    fn add_evidence(&mut self, facts: Vec<Evidence>) {
        for fact in facts {
            self.since = self.since.min(fact.at);
            self.evidence_omitted += u64::from(keep(&mut self.evidence, fact) == Kept::OneLess);
        }
    }
}

/// What became of the facts that are kept when one was added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kept {
    /// All are there.
    All,
    /// One in the middle gave way.
    OneLess,
}

/// Puts a fact in its place among `facts`, which are in order; of too many that in the middle goes. A known fact is not added again.
fn keep(facts: &mut Vec<Evidence>, fact: Evidence) -> Kept {
    let Err(place) = facts.binary_search(&fact) else { return Kept::All };
    if facts.len() < Finding::EVIDENCE {
        facts.insert(place, fact);
        return Kept::All;
    }
    if place != Finding::EVIDENCE / 2 {
        facts.insert(place, fact);
        facts.remove(Finding::EVIDENCE / 2);
    }
    Kept::OneLess
}

/// What a detector says: this is the matter, now.
#[derive(Clone, Debug)]
pub struct Raise {
    pub(super) id: FindingId,
    pub(super) subject: Subject,
    pub(super) standing: Standing,
    pub(super) severity: Severity,
    pub(super) confidence: Confidence,
    pub(super) reason: Option<Reason>,
    pub(super) scope: Scope,
    pub(super) message: String,
    pub(super) evidence: Vec<Evidence>,
    /// Facts between those of `evidence`.
    evidence_omitted: u64,
    pub(super) related: Vec<Subject>,
    template: &'static str,
    values: Vec<(Slot, String)>,
    advice: Option<String>,
}

impl Raise {
    /// A finding with the severity and the remedy of the catalogue, the scope of its subject, and full confidence.
    pub fn new(id: FindingId, subject: Subject, message: impl Into<String>) -> Self {
        let row = id.row();
        debug_assert!(row.subjects.contains(&subject.kind()), "{id} is not about {subject:?}");
        Self {
            id,
            scope: subject.kind().scope(),
            subject,
            standing: Standing::Known,
            severity: row.severity,
            confidence: Confidence::Confirmed,
            reason: None,
            message: message.into(),
            evidence: Vec::new(),
            evidence_omitted: 0,
            related: Vec::new(),
            template: row.remedy,
            values: Vec::new(),
            advice: None,
        }
    }

    /// What it is about.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Sets how bad it is.
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Sets how sure it is.
    pub fn confidence(mut self, confidence: Confidence) -> Self {
        self.confidence = confidence;
        self
    }

    /// Sets the sub-case.
    pub fn reason(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Sets whose trouble it is.
    pub fn standing(mut self, standing: Standing) -> Self {
        self.standing = standing;
        self
    }

    /// Sets how far it reaches.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Adds a fact that a frame shows.
    pub fn evidence(self, at: PacketTime, frame: u64, fact: impl Into<String>) -> Self {
        self.fact(Evidence { at, frame: Some(frame), fact: fact.into() })
    }

    /// Adds a fact that no frame shows: a deadline passed.
    pub fn absence(self, at: PacketTime, fact: impl Into<String>) -> Self {
        self.fact(Evidence { at, frame: None, fact: fact.into() })
    }

    /// Adds the facts of the first and the latest of `items`, which are in order of time: no more than a finding keeps are put into words.
    pub(super) fn facts<T>(mut self, items: &[T], tell: impl Fn(Self, &T) -> Self) -> Self {
        let (first, latest) = (items.len().min(Finding::EVIDENCE / 2), items.len().saturating_sub(Finding::EVIDENCE / 2));
        self.evidence_omitted += latest.saturating_sub(first) as u64;
        let latest = items.get(latest.max(first)..).unwrap_or_default();
        items.get(..first).unwrap_or_default().iter().chain(latest).fold(self, tell)
    }

    fn fact(mut self, fact: Evidence) -> Self {
        self.evidence_omitted += u64::from(keep(&mut self.evidence, fact) == Kept::OneLess);
        self
    }

    /// Names another subject: one that this one belongs to (the site and the source address of an AoR, the AoRs of a call, the PBX), or
    /// that belongs to it. A cause explains the symptoms of its own subject and of related ones.
    pub fn related(mut self, subject: Subject) -> Self {
        if !self.related.contains(&subject) {
            self.related.push(subject);
        }
        self
    }

    /// Sets a sentence in place of the catalogue's remedy.
    pub fn remedy(mut self, template: &'static str) -> Self {
        self.template = template;
        self
    }

    /// Sets the remedy of another finding in place of its own: that of the cause.
    pub(super) fn advice(mut self, remedy: Option<String>) -> Self {
        self.advice = remedy.or(self.advice);
        self
    }

    /// Fills a gap of the remedy.
    pub fn fill(mut self, slot: Slot, value: impl Into<String>) -> Self {
        self.values.push((slot, value.into()));
        self
    }

    /// The remedy with its gaps filled.
    pub(super) fn filled_remedy(&self) -> String {
        self.advice.clone().unwrap_or_else(|| fill(self.template, &self.values))
    }
}

/// `1 packet`, `2 packets`.
pub(super) fn counted(number: u64, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

/// How often a request was transmitted: `sent once`, `sent 11 times`.
pub(super) fn sent(times: u16) -> String {
    if times == 1 { "sent once".to_owned() } else { format!("sent {times} times") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_print_as_the_report_has_them() {
        let printed = |subject: Subject| subject.to_string();
        assert_eq!(printed(Subject::Aor("1001@pbx.example.com".into())), "1001@pbx.example.com");
        assert_eq!(printed(Subject::Source("2001:db8::7".parse().unwrap())), "2001:db8::7");
        assert_eq!(printed(Subject::Site(Site::of("2001:db8:1:2::7".parse().unwrap()))), "2001:db8:1:2::/64");
        assert_eq!(printed(Subject::Pbx("[2001:db8::1]:5060".parse().unwrap())), "[2001:db8::1]:5060");
    }

    #[test]
    fn the_catalogue_fills_in_what_a_detector_does_not_say() {
        let raise = Raise::new(FindingId::InviteIgnored, Subject::Source("198.51.100.7".parse().unwrap()), "ignored");
        assert_eq!((raise.severity, raise.scope, raise.confidence), (Severity::Error, Scope::Source, Confidence::Confirmed));
        let raise = raise.fill(Slot::Ip, "198.51.100.7");
        assert_eq!(raise.filled_remedy(), "On the PBX check fail2ban/iptables/ACL for 198.51.100.7 and unban it.");
    }

    #[test]
    fn of_many_facts_only_those_that_are_kept_are_put_into_words() {
        let at = |second: u64| PacketTime::from_parts(second as i64, 0);
        let items: Vec<u64> = (0..16_384).collect();
        let told = std::cell::Cell::new(0);
        let raise = Raise::new(FindingId::SipScanner, Subject::Source("198.51.100.7".parse().unwrap()), "");
        let raise = raise.facts(&items, |raise, &second| {
            told.set(told.get() + 1);
            raise.evidence(at(second), second, "seen")
        });
        assert_eq!(told.get(), Finding::EVIDENCE);
        let mut finding = Finding::begin(raise.clone(), at(20_000));
        let frames = |finding: &Finding| finding.evidence.iter().filter_map(|fact| fact.frame).collect::<Vec<_>>();
        assert_eq!(frames(&finding), (0..10).chain(16_374..16_384).collect::<Vec<_>>());
        assert_eq!((finding.evidence_omitted, finding.since), (16_364, at(0)));
        finding.merge(raise.evidence(at(20_000), 20_000, "seen"), at(20_000));
        assert_eq!(frames(&finding), (0..10).chain(16_375..16_384).chain([20_000]).collect::<Vec<_>>());
        for few in [0, 1, 10, 11, 20, 21] {
            let raise = Raise::new(FindingId::SipScanner, Subject::Source("198.51.100.7".parse().unwrap()), "");
            let raise = raise.facts(&items[..few], |raise, &second| raise.evidence(at(second), second, "seen"));
            assert_eq!((raise.evidence.len(), raise.evidence_omitted), (few.min(20), few.saturating_sub(20) as u64));
        }
    }

    #[test]
    fn a_raise_holds_no_more_facts_than_a_finding_keeps_whatever_their_order() {
        let at = |second: u64| PacketTime::from_parts(second as i64, 0);
        let raise = Raise::new(FindingId::SipScanner, Subject::Source("198.51.100.7".parse().unwrap()), "");
        let raise = (0..1_000).map(|n| n * 617 % 1_000).fold(raise, |raise, second| raise.evidence(at(second), second, "seen"));
        let frames: Vec<_> = raise.evidence.iter().filter_map(|fact| fact.frame).collect();
        assert_eq!(frames, (0..10).chain(990..1_000).collect::<Vec<_>>());
        assert_eq!(raise.evidence_omitted, 980);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "callee-no-response is not about")]
    fn a_detector_that_mixes_up_subjects_is_caught_in_tests() {
        let _ = Raise::new(FindingId::CalleeNoResponse, Subject::Capture, "");
    }
}
