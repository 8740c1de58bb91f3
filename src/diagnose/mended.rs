//! Whether what ended for lack of news has been mended: something must have worked since that would not have worked with it.

use crate::detect::catalog::{FindingId as F, WINDOW_BEFORE};
use crate::detect::finding::{Finding, Subject};
use crate::diagnose::cannot_call::SLOW;
use crate::diagnose::case::Case;
use crate::report::build::{Kept, records};
use crate::track::call::record::CallView;
use crate::track::registration::device::Device;
use crate::track::vocabulary::Outcome;

/// What shows that a trouble is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Proof {
    /// A call that reached a phone of the user.
    Delivery,
    /// A call that went through where others failed; a registration stands with it or without.
    Call,
    /// Any answer of the PBX.
    Answer,
    /// A registration of the user since, or a call from there that went through.
    Request,
    /// A registration at the registrar that did not answer; another one may well serve the user.
    Registrar,
    /// The registration of the user.
    Registration,
}

const fn proof(id: F) -> Proof {
    match id {
        F::CalleeNoResponse | F::LateDelivery | F::UnansweredBurst | F::CallFailedCalleeUnreachable | F::StaleBindingTarget => {
            Proof::Delivery
        }
        F::TrunkNoResponse | F::ServerErrorBurst | F::InviteIgnored | F::SlowCallSetup | F::FragmentLoss => Proof::Call,
        F::PbxNotResponding => Proof::Answer,
        F::ResponseNotReachingClient => Proof::Request,
        F::RegistrarSilent => Proof::Registrar,
        _ => Proof::Registration,
    }
}

/// Whether only a request that gets through shows that a finding is over.
pub(super) fn is_tried_out(id: F) -> bool {
    proof(id) != Proof::Registration
}

impl<'a> Case<'a> {
    /// The findings that ended only because nothing was heard of them any more.
    pub(super) fn without_news(&self) -> Vec<&'a Finding> {
        let has_faded = |finding: &&Finding| finding.cleared == Some(finding.last + finding.id.row().clears.quiet);
        let faded: Vec<&Finding> = self.known().filter(has_faded).collect();
        let calls =
            self.trials(faded.iter().copied().filter(|finding| matches!(proof(finding.id), Proof::Call | Proof::Answer | Proof::Request)));
        let is_registered = !self.party.registrations.is_empty() && self.is_registered();
        let works = |finding: &Finding| {
            let trial = calls.iter().find(|trial| std::ptr::eq(trial.finding, finding));
            match (proof(finding.id), trial) {
                (Proof::Delivery, _) => self.delivered_since(self.printed(finding.last)).is_some(),
                (Proof::Call, Some(trial)) if trial.has_failed() => trial.works_again(),
                // The PBX asked a registrar: what shows that it answers again ends the finding, or is a call.
                (Proof::Call, trial) if finding.id == F::TrunkNoResponse => trial.is_some_and(Trial::has_any_success),
                (Proof::Answer, trial) => trial.is_some_and(Trial::has_any_success) || self.is_registered_since(finding),
                (Proof::Request, trial) => trial.is_some_and(|trial| trial.works[1]) || self.is_accepted_since(finding),
                (Proof::Registrar, _) => is_registered && self.is_served_by(finding),
                _ => is_registered,
            }
        };
        faded.into_iter().filter(|finding| !works(finding)).collect()
    }

    /// Whether a phone of the user is registered at a PBX that a finding is about.
    fn is_served_by(&self, finding: &Finding) -> bool {
        let is_meant = |device: &Device| finding.is_about_pbx(device.flow.destination.ip());
        self.tracked_devices().any(|(_, device)| device.is_registered() && is_meant(device))
    }

    /// Whether the PBX accepted a registration, anybody's, after the last sign of a finding.
    fn is_registered_since(&self, finding: &Finding) -> bool {
        self.scene.tracker.registrations.devices().any(|(_, device)| device.last_accepted.time > finding.last)
    }

    /// Whether the PBX accepted a registration of the user after the last sign of a finding.
    fn is_accepted_since(&self, finding: &Finding) -> bool {
        self.tracked_devices().any(|(_, device)| device.last_accepted.time > finding.last)
    }

    /// What became of the calls that those findings bear on; all calls are looked at once, for there may be a million.
    fn trials(&self, findings: impl Iterator<Item = &'a Finding>) -> Vec<Trial<'a>> {
        let mut trials: Vec<Trial<'a>> = findings.map(Trial::of).collect();
        if !trials.is_empty() {
            for kept in records(self.scene.tracker) {
                trials.iter_mut().for_each(|trial| trial.note(&kept));
            }
        }
        trials
    }
}

/// The calls that a finding bears on: those that failed while it was so, and those that went through since. Calls from an address are
/// told from those to it: that some work says nothing of the others.
struct Trial<'a> {
    finding: &'a Finding,
    failed: [bool; 2],
    works: [bool; 2],
}

impl<'a> Trial<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self { finding, failed: [false; 2], works: [false; 2] }
    }

    fn note(&mut self, kept: &Kept<'_>) {
        let Some(way) = way(&self.finding.subject, &kept.record) else { return };
        let started = kept.record.started;
        let ended = kept.record.ended.unwrap_or(started);
        let during = started <= self.finding.last && ended >= self.finding.since - WINDOW_BEFORE;
        self.failed[way] |= during && self.is_failure(kept);
        self.works[way] |= started > self.finding.last && went_through(kept) && !self.is_failure(kept);
    }

    /// Whether a call shows what was found.
    fn is_failure(&self, kept: &Kept<'_>) -> bool {
        match self.finding.id {
            F::SlowCallSetup => kept.record.setup().is_some_and(|setup| setup > SLOW),
            F::InviteIgnored | F::TrunkNoResponse | F::FragmentLoss => kept.outcome() == Outcome::NoResponse,
            _ => (500..600).contains(&kept.record.status),
        }
    }

    fn has_failed(&self) -> bool {
        self.failed != [false; 2]
    }

    fn works_again(&self) -> bool {
        self.failed.iter().zip(self.works).all(|(failed, works)| works || !failed)
    }

    fn has_any_success(&self) -> bool {
        self.works != [false; 2]
    }
}

/// Which way a call goes that a finding about `subject` bears on: 0 to it, by a proxy too, 1 from it.
fn way(subject: &Subject, call: &CallView<'_>) -> Option<usize> {
    match subject {
        Subject::Pbx(server) => (call.destination == *server).then_some(0),
        Subject::Trunk(trunk) => [Some(call.destination), call.passed_on_to].iter().flatten().any(|to| to.ip() == *trunk).then_some(0),
        Subject::Source(address) if call.source.ip() == *address => Some(1),
        Subject::Source(address) => (call.destination.ip() == *address).then_some(0),
        _ => None,
    }
}

/// Whether somebody was reached, or at least the line of somebody.
fn went_through(kept: &Kept<'_>) -> bool {
    use Outcome as O;
    let is_people = matches!(kept.outcome(), O::Answered | O::Busy | O::Declined | O::NoAnswer | O::CompletedElsewhere | O::Redirected);
    is_people || kept.record.ring().is_some()
}
