//! Changes to tell of, and the desk where they are heard.

use super::super::*;
use crate::alert::change::command;
use crate::detect::catalog::FindingId::{self, *};
use crate::detect::finding::Subject;
use crate::report::model::{FindingEntry, Stamp};
use crate::time::Span;
use crate::track::site::Site;
use crate::track::vocabulary::{Confidence, Scope, Severity};

pub(super) const ALICE: &str = "1001@pbx.example.com";
pub(super) const BOB: &str = "1002@pbx.example.com";

pub(super) fn at(seconds: i64) -> PacketTime {
    PacketTime::from_parts(1_769_850_000 + seconds, 0)
}

pub(super) fn rules() -> Rules {
    Rules {
        min_severity: Severity::Warning,
        scopes: vec![Scope::Site, Scope::Trunk, Scope::Server, Scope::Capture],
        watch: Vec::new(),
        group_wait: Span::from_secs(5),
        resolve_after: Span::from_secs(120),
        repeat: Span::from_secs(4 * 3_600),
        digest: Span::from_secs(3_600),
        max_per_hour: 30,
    }
}

pub(super) fn site(number: u8) -> Site {
    Site::of(std::net::IpAddr::from([198, 51, 100, number]))
}

/// A finding as it is raised at `seconds`.
pub(super) fn raised(id: FindingId, subject: Subject, seconds: i64) -> Change {
    let scope = subject.kind().scope();
    let aors = match &subject {
        Subject::Aor(name) => vec![name.clone()],
        _ => Vec::new(),
    };
    let group = match &subject {
        Subject::Source(address) => Group { scope: Scope::Site, subject: Site::of(*address).to_string() },
        subject => Group { scope, subject: subject.to_string() },
    };
    let entry = FindingEntry {
        id: id.as_str(),
        severity: id.severity(),
        confidence: Confidence::Confirmed,
        reason: None,
        scope,
        subject: subject.to_string(),
        since: Stamp(at(seconds)),
        at: Stamp(at(seconds)),
        cleared: None,
        count: 1,
        message: format!("{id} of {subject}"),
        evidence: Vec::new(),
        remedy: "Mend it.".to_owned(),
        runbook: Vec::new(),
        explains: Vec::new(),
    };
    let command = command(&entry);
    Change {
        turn: Turn::Holds,
        at: at(seconds),
        since: at(seconds),
        key: Key { id, subject },
        group,
        standing: Standing::Known,
        aors,
        entry,
        command,
    }
}

pub(super) fn phone(id: FindingId, aor: &str, seconds: i64) -> Change {
    raised(id, Subject::Aor(aor.into()), seconds)
}

pub(super) fn behind(change: Change, site: Site) -> Change {
    Change { group: Group { scope: Scope::Site, subject: site.to_string() }, ..change }
}

pub(super) fn pbx(id: FindingId, seconds: i64) -> Change {
    raised(id, Subject::Pbx("203.0.113.10:5060".parse().unwrap()), seconds)
}

pub(super) fn trunk(number: u8, seconds: i64) -> Change {
    raised(TrunkNoResponse, Subject::Trunk(std::net::IpAddr::from([192, 0, 2, number])), seconds)
}

pub(super) fn scanner(id: FindingId, number: u8, seconds: i64) -> Change {
    raised(id, Subject::Source(std::net::IpAddr::from([203, 0, 113, number])), seconds)
}

/// A policy, and what it said.
pub(super) struct Desk {
    pub(super) policy: Policy,
    pub(super) alerts: Vec<String>,
}

impl Desk {
    pub(super) fn new(rules: Rules) -> Self {
        Self { policy: Policy::new(rules, "pbx1".to_owned()), alerts: Vec::new() }
    }

    pub(super) fn hear(&mut self, change: Change) -> &mut Self {
        let now = change.at;
        self.policy.advance(now);
        self.policy.take(Input::Finding(Box::new(change)), now);
        self
    }

    pub(super) fn ends(&mut self, change: &Change, seconds: i64) -> &mut Self {
        self.hear(Change { turn: Turn::Ended, at: at(seconds), ..change.clone() })
    }

    pub(super) fn lost_call(&mut self, aor: &str, seconds: i64) -> &mut Self {
        self.policy.take(Input::LostCall { aor: aor.into(), at: at(seconds) }, at(seconds));
        self
    }

    /// The messages by then; alerts are kept apart.
    pub(super) fn by(&mut self, seconds: i64) -> Vec<Message> {
        self.policy.advance(at(seconds));
        let mut messages = Vec::new();
        while let Some(output) = self.policy.next() {
            match output {
                Output::Message(message) => messages.push(message),
                Output::Alert(alert) => {
                    let listed = &alert.listed;
                    self.alerts.push(format!("{} {} {}", listed.status, listed.finding.id, listed.finding.subject));
                }
            }
        }
        messages
    }

    /// The one message by then.
    pub(super) fn one_by(&mut self, seconds: i64) -> Message {
        let mut messages = self.by(seconds);
        assert_eq!(messages.len(), 1, "{messages:#?}");
        messages.remove(0)
    }

    pub(super) fn silent_until(&mut self, seconds: i64) -> &mut Self {
        let messages = self.by(seconds);
        assert!(messages.is_empty(), "{messages:#?}");
        self
    }
}

pub(super) fn ids(message: &Message) -> Vec<&'static str> {
    message.findings.iter().map(|listed| listed.finding.id).collect()
}
