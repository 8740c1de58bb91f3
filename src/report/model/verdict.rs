//! The answer to a question about one user: a page of its own beside the report.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Evidence, SCHEMA, Stamp};
use crate::detect::catalog::FindingId;
use crate::track::vocabulary::{Confidence, Scope, Severity, vocabulary};

vocabulary! {
    /// What a user complains about; each has its runbook.
    Problem {
        /// The phone does not register.
        CannotConnect = "cannot-connect",
        /// Calls of the user fail.
        CannotCall = "cannot-call",
        /// Calls to the user do not arrive.
        CannotReceive = "cannot-receive",
        /// A call broke off.
        CallDropped = "call-dropped",
        /// A call went on although somebody had hung up.
        CallDoesNotEnd = "call-does-not-end",
        /// The phone comes and goes.
        LosesConnection = "loses-connection",
    }
}

vocabulary! {
    /// Who has to act.
    Escalation {
        /// The first level can.
        None = "none",
        /// Work on the server, the network or the account on the side of the PBX.
        L2 = "L2",
        /// Nothing that was captured explains it.
        L3 = "L3",
    }
}

/// What the matter is: a finding of the catalogue, or one of the answers that are no finding.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Judgement {
    /// This is it.
    Finding(FindingId),
    /// Nothing wrong was seen, and the last try worked.
    Healthy,
    /// Something was wrong and is over.
    Temporary,
    /// People, not technology: busy, not picked up, hung up, switched off.
    NotAnIssue,
    /// The call went to another user than the one it was for.
    DeliveredElsewhere,
    /// Nothing from this user was captured.
    NoTraffic,
    /// The capture does not show it: one-way, lossy, too short, or without the try in question.
    CannotTell,
}

impl Judgement {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Finding(id) => id.as_str(),
            Self::Healthy => "ok",
            Self::Temporary => "temporary-network-problem",
            Self::NotAnIssue => "not-an-issue",
            Self::DeliveredElsewhere => "delivered-elsewhere",
            Self::NoTraffic => "no-traffic",
            Self::CannotTell => "cannot-tell",
        }
    }
}

impl Serialize for Judgement {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl JsonSchema for Judgement {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Judgement".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "The id of a finding, or ok, temporary-network-problem, not-an-issue, delivered-elsewhere, no-traffic, cannot-tell.",
        })
    }
}

/// The answer, in the order of the JSON keys.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Verdict {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// The user as asked for.
    pub user: String,
    /// The complaint; `None` where the question was whether anything is wrong.
    pub problem: Option<Problem>,
    /// What the matter is.
    pub verdict: Judgement,
    /// How sure that is.
    pub confidence: Confidence,
    /// How far it reaches.
    pub scope: Scope,
    /// What to tell the user, one or two sentences.
    pub headline: String,
    /// What it rests on, and what speaks against it.
    pub evidence: Vec<Evidence>,
    /// What was looked at before and is not the matter.
    pub ruled_out: Vec<RuledOut>,
    /// What to do, one or two sentences.
    pub next_step: String,
    /// Who has to act.
    pub escalate: Escalation,
    /// The steps of the runbook that were taken.
    pub runbook: Vec<&'static str>,
    /// The moment that the answer holds for; not printed as JSON.
    #[serde(skip)]
    pub now: Option<Stamp>,
    /// The worst finding about this user, or about everybody; not printed as JSON.
    #[serde(skip)]
    pub worst: Option<Severity>,
}

/// Something that was looked at and is not the matter.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, JsonSchema)]
pub struct RuledOut {
    /// What it would have been.
    pub verdict: &'static str,
    /// Why it is not, or why the capture cannot show it.
    pub why: String,
    /// On what ground; not printed as JSON.
    #[serde(skip)]
    pub ground: Ground,
}

/// On what ground something is ruled out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ground {
    /// It was looked for and no sign of it was seen.
    NoSign,
    /// Something was seen that speaks for or against it: worth reading.
    Told,
}

impl Verdict {
    /// Version of the JSON form.
    pub const SCHEMA: u32 = SCHEMA;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_those_of_the_contract_in_their_order() {
        let verdict = Verdict {
            schema: Verdict::SCHEMA,
            user: "1001".to_owned(),
            problem: Some(Problem::CannotReceive),
            verdict: Judgement::Finding(FindingId::NatBindingTimeout),
            confidence: Confidence::Confirmed,
            scope: Scope::Phone,
            headline: "h".to_owned(),
            evidence: Vec::new(),
            ruled_out: vec![RuledOut { verdict: "callee-no-response", why: "w".to_owned(), ground: Ground::Told }],
            next_step: "n".to_owned(),
            escalate: Escalation::None,
            runbook: vec!["S2-f"],
            now: None,
            worst: None,
        };
        assert_eq!(
            serde_json::to_string(&verdict).expect("it serialises"),
            r#"{"schema":1,"user":"1001","problem":"cannot-receive","verdict":"nat-binding-timeout","confidence":"confirmed","scope":"phone","headline":"h","evidence":[],"ruled_out":[{"verdict":"callee-no-response","why":"w"}],"next_step":"n","escalate":"none","runbook":["S2-f"]}"#
        );
    }
}
