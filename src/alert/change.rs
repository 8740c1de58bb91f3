//! What the policy hears of the engine.

use serde::Serialize;

use super::message::{Listed, Status};
use crate::detect::catalog::FindingId;
use crate::detect::finding::{Finding, Standing, Subject};
use crate::detect::store::{ChangeKind, FindingChange};
use crate::report::build;
use crate::report::mask::Mask;
use crate::report::model::FindingEntry;
use crate::time::PacketTime;
use crate::track::Tracker;
use crate::track::site::Site;
use crate::track::vocabulary::Scope;

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A finding changed.
    Finding(Box<Change>),
    /// A call that should have reached a phone did not.
    LostCall {
        /// Whose phone.
        aor: Box<str>,
        /// When the PBX called it.
        at: PacketTime,
    },
    /// What was heard before may have holes.
    Open(OpenFindings),
}

/// All findings that are open.
#[derive(Clone, Debug)]
pub struct OpenFindings {
    /// At this time.
    pub at: PacketTime,
    /// Each of them.
    pub findings: Vec<Change>,
}

/// Under which a finding is kept.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Key {
    pub(super) id: FindingId,
    pub(super) subject: Subject,
}

/// What became of a finding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// It is there, or worse than it was.
    Holds,
    /// It is over.
    Ended,
    /// There is no room for it any more; unless it is raised again it is over at this time.
    Dropped(PacketTime),
    /// This one explains it.
    ReplacedBy(FindingId),
}

/// A finding after a change.
#[derive(Clone, Debug)]
pub struct Change {
    pub(super) turn: Turn,
    /// Engine time, as are all others of a change but those of the entry, which are the packets'.
    pub(super) at: PacketTime,
    pub(super) since: PacketTime,
    pub(super) key: Key,
    pub(super) group: Group,
    /// Whose trouble it is where there is no room for all.
    pub(super) standing: Standing,
    /// The AoRs that it is about.
    pub(super) aors: Vec<Box<str>>,
    /// As it is told: numbers are hidden in it where they are to be.
    pub(super) entry: FindingEntry,
    /// A command line that shows more.
    pub(super) command: Option<String>,
}

/// What is told of in one message: a site with all its phones, a trunk, a PBX.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Group {
    /// What kind of thing it is.
    pub scope: Scope,
    /// Which.
    pub subject: String,
}

impl Change {
    pub(super) fn of(tracker: &Tracker, change: &FindingChange, mask: &Mask) -> Self {
        let turn = match change.kind {
            ChangeKind::Raised | ChangeKind::Updated => Turn::Holds,
            ChangeKind::Cleared => Turn::Ended,
            ChangeKind::Dropped(until) => Turn::Dropped(until),
            ChangeKind::ReplacedBy(cause) => Turn::ReplacedBy(cause),
        };
        Self::new(tracker, &change.finding, turn, change.at, mask)
    }

    /// A finding that is open.
    pub fn open(tracker: &Tracker, finding: &Finding, mask: &Mask) -> Self {
        Self::new(tracker, finding, Turn::Holds, finding.last, mask)
    }

    fn new(tracker: &Tracker, finding: &Finding, turn: Turn, at: PacketTime, mask: &Mask) -> Self {
        let subjects = std::iter::once(&finding.subject).chain(&finding.related);
        let aors = subjects.filter_map(|subject| match subject {
            Subject::Aor(name) => Some(name.clone()),
            _ => None,
        });
        let mut entry = build::finding(tracker, finding);
        mask.finding(&mut entry);
        let mut group = Group::of(finding);
        if group.scope == Scope::Phone {
            mask.user(&mut group.subject);
        }
        // Whom a pseudonym stands for cannot be asked.
        let command = command(&entry).filter(|_| entry.subject == finding.subject.to_string());
        Self {
            turn,
            at,
            since: finding.since,
            key: Key { id: finding.id, subject: finding.subject.clone() },
            group,
            standing: finding.ranks_as(),
            aors: aors.collect(),
            entry,
            command,
        }
    }
}

impl Change {
    /// The finding as a message lists it.
    pub(super) fn listed(&self, status: Status) -> Listed {
        Listed { command: self.command.clone(), ..Listed::new(status, self.entry.clone()) }
    }
}

/// What to type to learn more of a phone. A name that a shell could read otherwise is never made a part of it.
pub(super) fn command(finding: &FindingEntry) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '@' | '.' | '-' | '_' | '+' | ':');
    let subject = finding.subject.as_str();
    let is_safe = !subject.starts_with('-') && !subject.is_empty() && subject.chars().all(is_plain);
    let concerns_one = matches!(finding.scope, Scope::Phone | Scope::PhoneOrSite | Scope::Source | Scope::Site);
    (is_safe && concerns_one).then(|| format!("siphound diagnose {subject}"))
}

impl Group {
    /// The site of what has one, else the thing itself.
    fn of(finding: &Finding) -> Self {
        let group = |scope, subject: String| Self { scope, subject };
        let site = finding.related.iter().find_map(|subject| match subject {
            Subject::Site(site) => Some(site),
            _ => None,
        });
        if finding.scope == Scope::Capture {
            return group(Scope::Capture, finding.subject.to_string());
        }
        match (&finding.subject, site) {
            (Subject::Aor(_) | Subject::Call(_), Some(site)) | (Subject::Site(site), _) => group(Scope::Site, site.to_string()),
            (Subject::Source(address), _) => group(Scope::Site, Site::of(*address).to_string()),
            (Subject::Aor(name), None) => group(Scope::Phone, name.to_string()),
            (subject, _) => group(subject.kind().scope(), subject.to_string()),
        }
    }
}
