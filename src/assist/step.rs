//! What the steps have in common: what they look at, and how they end.

use crate::assist::Plan;
use crate::assist::pen::Pen;
use crate::assist::who::Who;
use crate::detect::catalog::FindingId;
use crate::report::model::StepResult;
use crate::track::Tracker;
use crate::track::event::Sighting;

/// What a step looks at while it handles one thing.
pub(super) struct Scene<'a> {
    pub(super) tracker: &'a Tracker,
    pub(super) who: &'a Who,
    pub(super) plan: &'a Plan,
    pub(super) pen: &'a mut Pen,
}

/// How a step ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) result: StepResult,
    pub(super) at: Sighting,
    /// Why, one line.
    pub(super) because: String,
    /// What to do about a failure that no finding explains.
    pub(super) next_step: Option<String>,
}

impl Ended {
    pub(super) fn new(result: StepResult, at: Sighting, because: impl Into<String>) -> Self {
        Self { result, at, because: because.into(), next_step: None }
    }

    pub(super) fn passed(at: Sighting, because: impl Into<String>) -> Self {
        Self::new(StepResult::Passed, at, because)
    }

    pub(super) fn failed(at: Sighting, because: impl Into<String>) -> Self {
        Self::new(StepResult::Failed, at, because)
    }

    pub(super) fn next_step(self, next_step: impl Into<String>) -> Self {
        Self { next_step: Some(next_step.into()), ..self }
    }
}

/// Findings that make a registration fail.
pub(super) const OF_RECONNECTION: &[FindingId] = &[
    FindingId::PbxNotResponding,
    FindingId::ResponseNotReachingClient,
    FindingId::AuthFailedLoop,
    FindingId::RegistrarSilent,
    FindingId::RegistrationRejected,
    FindingId::FragmentLoss,
    FindingId::WrongTransportOrPort,
    FindingId::WrongDomain,
    FindingId::ServerErrorBurst,
];

/// Findings that make a call of the user fail.
pub(super) const OF_TEST_CALL: &[FindingId] = &[
    FindingId::PbxNotResponding,
    FindingId::InviteIgnored,
    FindingId::ResponseNotReachingClient,
    FindingId::TrunkNoResponse,
    FindingId::RoutingLoop,
    FindingId::CodecMismatch,
    FindingId::FragmentLoss,
    FindingId::ServerErrorBurst,
];

/// Findings that end a call that should have gone on.
pub(super) const OF_HOLD: &[FindingId] = &[
    FindingId::PbxNotResponding,
    FindingId::AckMissing,
    FindingId::AckMisrouted,
    FindingId::SessionRefreshMissed,
    FindingId::DialogLost,
    FindingId::CallDroppedNoBye,
    FindingId::MassCallDrop,
];

/// Findings that keep a call from reaching the user.
pub(super) const OF_INBOUND_CALL: &[FindingId] = &[
    FindingId::PbxNotResponding,
    FindingId::NatBindingTimeout,
    FindingId::StaleBindingTarget,
    FindingId::CalleeNoResponse,
    FindingId::CallFailedCalleeUnreachable,
    FindingId::NeverRegistered,
    FindingId::CodecMismatch,
    FindingId::FragmentLoss,
    FindingId::PeerUnreachable,
    FindingId::LateDelivery,
    FindingId::DuplicateRegistration,
];
