//! The catalogue of findings: one row an id, from which the code, the reports and `docs/findings.md` take what is fixed about it.

mod causes;
mod remedy;
mod rows;

pub use causes::{Reach, WINDOW_AFTER, WINDOW_BEFORE};
pub use remedy::{Slot, fill, rejection_remedy};
pub use rows::FindingId;

use std::fmt;

use crate::time::Span;
use crate::track::vocabulary::{Scope, Severity};

/// What kind of thing a finding is about (DETECTION §13, "Subject of a finding").
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum SubjectKind {
    /// An address-of-record, `user@host`.
    Aor,
    /// A source address without port.
    Source,
    /// A public address behind which phones sit.
    Site,
    /// A Call-ID, of the caller's leg where legs are linked.
    Call,
    /// The address and port of a PBX.
    Pbx,
    /// The address of a trunk without port.
    Trunk,
    /// Several calls that have something in common: `ua:…`, a site, a trunk or a PBX.
    Group,
    /// The capture itself, where no PBX is known.
    Capture,
}

impl SubjectKind {
    /// The kind in words, for the documentation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aor => "address-of-record",
            Self::Source => "source address",
            Self::Site => "public address",
            Self::Call => "Call-ID",
            Self::Pbx => "PBX address",
            Self::Trunk => "trunk address",
            Self::Group => "group of calls",
            Self::Capture => "capture",
        }
    }

    /// How far a finding about such a subject reaches unless its detector knows better.
    pub const fn scope(self) -> Scope {
        match self {
            Self::Aor => Scope::Phone,
            Self::Source => Scope::Source,
            Self::Site => Scope::Site,
            Self::Call => Scope::Call,
            Self::Pbx | Self::Group => Scope::Server,
            Self::Trunk => Scope::Trunk,
            Self::Capture => Scope::Capture,
        }
    }
}

/// What a finding needs of the capture to be believed (DETECTION §0.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// Something was seen; any capture will do.
    Presence,
    /// Something was not seen; the capture must be able to see both directions.
    Absence,
}

/// When an open finding ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Clears {
    /// Time without new evidence after which it ends by itself.
    pub quiet: Span,
    /// What its detector waits for to end it sooner; completes the sentence "ends when …".
    pub when: Option<&'static str>,
}

impl Clears {
    /// Ends after so many minutes without new evidence.
    const fn after_minutes(minutes: i64) -> Self {
        Self { quiet: Span::from_secs(60 * minutes), when: None }
    }

    /// Ends after so many hours without new evidence.
    const fn after_hours(hours: i64) -> Self {
        Self::after_minutes(60 * hours)
    }

    /// Ends sooner when something happens.
    const fn or_when(self, when: &'static str) -> Self {
        Self { when: Some(when), ..self }
    }
}

/// What is fixed about one id.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The stable name in reports, metrics and alerts.
    pub name: &'static str,
    /// What it means, one sentence.
    pub meaning: &'static str,
    /// How bad it is unless its detector knows better.
    pub severity: Severity,
    /// What it needs of the capture.
    pub proof: Proof,
    /// What it can be about.
    pub subjects: &'static [SubjectKind],
    /// The runbook steps that it automates.
    pub runbook: &'static [&'static str],
    /// When it ends.
    pub clears: Clears,
    /// What to do, one sentence with [`Slot`]s.
    pub remedy: &'static str,
}

impl FindingId {
    /// The stable name in reports, metrics and alerts.
    pub const fn as_str(self) -> &'static str {
        self.row().name
    }

    /// How bad it is unless its detector knows better.
    pub const fn severity(self) -> Severity {
        self.row().severity
    }

    /// The runbook steps that it automates.
    pub const fn runbook(self) -> &'static [&'static str] {
        self.row().runbook
    }

    /// The id of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|id| id.as_str() == name)
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl serde::Serialize for FindingId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
