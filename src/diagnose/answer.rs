//! What a rule that is met says.

use crate::detect::catalog::FindingId;
use crate::detect::finding::{Finding, Reason};
use crate::diagnose::case::Case;
use crate::diagnose::judge::escalation;
use crate::diagnose::radius::Radius;
use crate::diagnose::{mended, nearby};
use crate::report::model::{Escalation, Evidence, Judgement, Stamp};
use crate::time::PacketTime;
use crate::track::vocabulary::{Confidence, Scope, Severity};

/// A verdict in the making.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) judgement: Judgement,
    pub(super) confidence: Confidence,
    pub(super) scope: Scope,
    /// Of the finding, where it is one.
    pub(super) severity: Option<Severity>,
    pub(super) headline: String,
    pub(super) evidence: Vec<Evidence>,
    pub(super) next_step: String,
    pub(super) escalate: Escalation,
    pub(super) runbook: Vec<&'static str>,
}

impl Answer {
    /// An answer about the phone, sure, with nothing to do.
    pub(super) fn new(judgement: Judgement, headline: impl Into<String>) -> Self {
        Self {
            judgement,
            confidence: Confidence::Confirmed,
            scope: Scope::Phone,
            severity: None,
            headline: headline.into(),
            evidence: Vec::new(),
            next_step: "Nothing to do; close the incident.".to_owned(),
            escalate: Escalation::None,
            runbook: Vec::new(),
        }
    }

    /// What a finding amounts to.
    pub(super) fn finding(case: &Case<'_>, finding: &Finding) -> Self {
        let meaning = match finding.reason {
            Some(Reason::PrackMissing) => "A provisional answer to a call was never acknowledged, so the call fails.",
            Some(Reason::ContactAsWritten) => "The PBX calls a phone behind a NAT at an address where nothing reaches it.",
            Some(Reason::StaleNonce) => "The registrar refuses its own nonces, so that no credentials are accepted.",
            Some(Reason::Algorithm) => "The registrar wants a digest that the phone may not know.",
            _ => finding.id.row().meaning,
        };
        let mut evidence = case.evidence_of(finding);
        if finding.id == FindingId::NatBindingTimeout {
            evidence.extend(nearby::silences(case));
        }
        let private = case.private_address(finding);
        evidence.extend(private.into_iter().flat_map(|cause| case.evidence_of(cause)));
        let cause = private.map_or_else(String::new, |cause| format!(" {}.", cause.message));
        let remedy = case.remedy(private.unwrap_or(finding));
        let message = finding.message.trim_end_matches('.');
        let faded = finding.cleared.is_some() && mended::is_tried_out(finding.id);
        let since = if faded { " Nothing has shown since that it works again." } else { "" };
        let is_elsewhere = case.is_elsewhere(finding);
        let headline = match is_elsewhere {
            true => format!(
                "Calls of {} went to another PBX than its own, {}; what is wrong is there. {message}.{since}",
                case.asked(),
                nearby::servers(case)
            ),
            false => format!("{meaning} {message}.{cause}{since}"),
        };
        let answer = Self {
            severity: Some(finding.severity),
            evidence,
            runbook: finding.id.runbook().to_vec(),
            ..Self::new(Judgement::Finding(finding.id), headline)
                .confidence(finding.confidence)
                .scope(if is_elsewhere { Scope::Trunk } else { finding.scope })
                .next_step(remedy)
                .escalate(escalation(finding))
        };
        answer.shared(case, finding)
    }

    /// Says how many have a finding alike, where it is more than one phone (DETECTION §8.0).
    pub(super) fn shared(self, case: &Case<'_>, finding: &Finding) -> Self {
        let Some(radius) = Radius::of(case, finding) else { return self };
        let headline = self.headline.clone() + &radius.sentence();
        let answer = Self { headline, ..self }.scope(radius.scope());
        match (finding.id, radius.address) {
            (FindingId::AuthFailedLoop | FindingId::RegistrationRejected, None) => answer
                .next_step(
                    "Second level: find what changed on the PBX for so many at once (accounts, domain, realm, database); no phone is to be set \
                     anew before.",
                )
                .escalate(Escalation::L2),
            (FindingId::AuthFailedLoop | FindingId::RegistrationRejected, Some(address)) => answer.next_step(format!(
                "Find what changed for the phones at {address} at once: their provisioning, or their accounts on the PBX."
            )),
            _ => answer,
        }
    }

    pub(super) fn confidence(self, confidence: Confidence) -> Self {
        Self { confidence, ..self }
    }

    pub(super) fn scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    pub(super) fn next_step(self, next_step: impl Into<String>) -> Self {
        Self { next_step: next_step.into(), ..self }
    }

    pub(super) fn escalate(self, escalate: Escalation) -> Self {
        Self { escalate, ..self }
    }

    /// Adds a fact that a frame shows, or none where it is 0.
    pub(super) fn fact(mut self, at: PacketTime, frame: u64, fact: impl Into<String>) -> Self {
        self.evidence.push(Evidence { at: Stamp(at), frame: (frame > 0).then_some(frame), fact: fact.into() });
        self
    }

    /// Adds facts.
    pub(super) fn facts(mut self, facts: impl IntoIterator<Item = Evidence>) -> Self {
        self.evidence.extend(facts);
        self
    }

    /// Puts the step of the runbook that led here in front.
    pub(super) fn at_step(mut self, step: &'static str) -> Self {
        if !self.runbook.contains(&step) {
            self.runbook.insert(0, step);
        }
        self
    }
}
