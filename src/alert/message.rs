//! What somebody is told: one message about one group of findings.

use serde::Serialize;

use super::change::Group;
use crate::report::escape;
use crate::report::model::{FindingEntry, Stamp};
use crate::time::PacketTime;
use crate::track::vocabulary::{Severity, vocabulary};

/// Findings that a message lists; of further ones it says how many there are.
pub(super) const LISTED: usize = 20;
/// Columns of a text in one line.
const COLUMNS: usize = 400;

vocabulary! {
    /// Why there is a message.
    MessageKind {
        /// Findings of one site, trunk, PBX, phone or call.
        Findings = "findings",
        /// Findings of several of these: there were more messages than are allowed.
        Digest = "digest",
        /// Who scanned lately.
        Scanners = "scanners",
        /// Somebody tries out whether messages arrive.
        Test = "test",
    }
}

vocabulary! {
    /// Whether something still is the matter.
    Status {
        /// It is.
        Firing = "firing",
        /// It is over.
        Resolved = "resolved",
    }
}

/// One message, also as JSON: names and meanings stay, new keys may be added.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// The version of this form.
    pub schema: u32,
    /// The same for each attempt to deliver it, and for no other message.
    pub id: String,
    /// Why there is a message.
    pub kind: MessageKind,
    /// Whether any of it is still the matter.
    pub status: Status,
    /// The highest severity of what it lists.
    pub severity: Severity,
    /// Which siphound tells it.
    pub instance: String,
    /// When, by the packets.
    pub at: Stamp,
    /// The message in one line, safe to show.
    pub text: String,
    /// What it is about; nothing for a digest.
    pub group: Option<Group>,
    /// The findings, what is new and severe first.
    pub findings: Vec<Listed>,
    /// How many more there are.
    pub more: usize,
}

/// A finding in a message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listed {
    /// Whether it still holds.
    pub status: Status,
    /// The finding that explains it and took its place.
    pub replaced_by: Option<&'static str>,
    /// A command line that shows more.
    pub command: Option<String>,
    /// The finding, as in the report.
    #[serde(flatten)]
    pub finding: FindingEntry,
}

impl Listed {
    pub(super) fn new(status: Status, finding: FindingEntry) -> Self {
        Self { status, replaced_by: None, command: None, finding }
    }
}

/// What a message is made from.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) kind: MessageKind,
    pub(super) status: Status,
    pub(super) group: Option<Group>,
    pub(super) findings: Vec<Listed>,
    pub(super) more: usize,
}

impl Draft {
    /// How bad the worst of it is.
    pub(super) fn severity(&self) -> Severity {
        self.findings.iter().map(|listed| listed.finding.severity).max().unwrap_or(Severity::Info)
    }

    /// Lists at most [`LISTED`] findings and counts the others.
    pub(super) fn shorten(&mut self) {
        self.more += self.findings.len().saturating_sub(LISTED);
        self.findings.truncate(LISTED);
    }

    /// The message; `number` tells messages of the same moment apart.
    pub(super) fn finish(mut self, instance: &str, number: u64, now: PacketTime) -> Message {
        let severity = self.severity();
        self.shorten();
        Message {
            schema: 1,
            id: format!("{instance}-{}-{number}", now.as_nanos()),
            kind: self.kind,
            status: self.status,
            severity,
            instance: instance.to_owned(),
            at: Stamp(now),
            text: self.text(severity),
            group: self.group,
            findings: self.findings,
            more: self.more,
        }
    }

    fn text(&self, severity: Severity) -> String {
        let state = match self.status {
            Status::Firing => severity.as_str(),
            Status::Resolved => Status::Resolved.as_str(),
        };
        let about = match (&self.group, self.kind) {
            (Some(group), _) => format!("{} {}: ", group.scope, escape::fit(&group.subject, 80)),
            (None, MessageKind::Scanners) => format!("{} scanning sources: ", self.findings.len() + self.more),
            (None, MessageKind::Digest) => format!("{} findings: ", self.findings.len() + self.more),
            (None, _) => String::new(),
        };
        let first = self.findings.first().map_or("a test of the notifications of siphound", |listed| listed.finding.message.as_str());
        let others = match (self.findings.len() + self.more).saturating_sub(1) {
            0 => String::new(),
            others => format!(" … and {others} more"),
        };
        format!("[{state}] {about}{}{others}", escape::fit(first, COLUMNS))
    }
}
