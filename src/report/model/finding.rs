//! Findings of the report, each with the packets that prove it.

use schemars::JsonSchema;
use serde::Serialize;

use super::Stamp;
use crate::track::vocabulary::{Confidence, Scope, Severity};

/// Something that is wrong, or worth knowing.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct FindingEntry {
    /// The id of the catalogue (DETECTION §9).
    pub id: &'static str,
    /// The highest severity it reached.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// The sub-case, such as `no-credentials`.
    pub reason: Option<&'static str>,
    /// How far it reaches.
    pub scope: Scope,
    /// What it is about; the kind of the subject is fixed by the id (DETECTION §13).
    pub subject: String,
    /// Time of the first evidence.
    pub since: Stamp,
    /// When it was first raised.
    pub at: Stamp,
    /// When it ended, if it did.
    pub cleared: Option<Stamp>,
    /// How often it was seen.
    pub count: u64,
    /// One line that says what is wrong.
    pub message: String,
    /// The facts it rests on.
    pub evidence: Vec<Evidence>,
    /// One sentence that says what to do.
    pub remedy: String,
    /// Steps of the runbook it belongs to.
    pub runbook: Vec<&'static str>,
    /// Ids that it replaced for the same subject.
    pub explains: Vec<&'static str>,
}

/// A fact and where in the capture it stands.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Evidence {
    /// When it was so.
    pub at: Stamp,
    /// Number of the frame in the capture, from 1; `None` for a fact that no single frame shows, such as an answer that never came.
    pub frame: Option<u64>,
    /// What was seen.
    pub fact: String,
}

impl FindingEntry {
    pub(super) fn order(&self) -> impl Ord {
        (self.since, self.id, self.subject.as_str())
    }
}
