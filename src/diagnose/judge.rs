//! What the catalogue does not say of a finding: who acts on it, and what it is about.

use crate::detect::catalog::FindingId;
use crate::detect::finding::{Finding, Reason};
use crate::report::model::Escalation;
use crate::track::vocabulary::Scope;

/// Whether a finding is about what was captured and not about what happened.
pub(super) fn is_about_capture(id: FindingId) -> bool {
    matches!(id, FindingId::CaptureOneWay | FindingId::CaptureLossy | FindingId::CaptureStalled | FindingId::ClockStepped)
}

/// Whether the remedy of a finding is in the hands of the first level, or takes work on the side of the PBX.
pub(super) fn escalation(finding: &Finding) -> Escalation {
    use FindingId as F;
    match finding.id {
        // What the PBX and a carrier have between them no phone can mend.
        _ if finding.scope == Scope::Trunk => Escalation::L2,
        _ if is_contact_as_written(finding) => Escalation::L2,
        _ if matches!(finding.reason, Some(Reason::StaleNonce | Reason::Algorithm)) => Escalation::L2,
        F::PbxNotResponding | F::PbxRestarted | F::PbxSlow | F::AuthBackendSlow | F::SlowCallSetup | F::ServerErrorBurst => Escalation::L2,
        F::PbxAdvertisesPrivate | F::TrunkNoResponse | F::RegistrationStorm | F::RoutingLoop | F::MassCallDrop => Escalation::L2,
        F::RegistrarSilent | F::InviteIgnored | F::ResponseNotReachingClient | F::RegistrationRejected => Escalation::L2,
        F::AckMissing | F::AckMisrouted | F::SessionRefreshMissed | F::FixedDurationDrops => Escalation::L2,
        F::DialogLost | F::CallDroppedNoBye | F::ByeUnanswered | F::LegLeftUp | F::HungCall => Escalation::L2,
        F::CaptureOneWay | F::CaptureLossy | F::CaptureStalled | F::ClockStepped => Escalation::L2,
        F::SipScanner | F::AuthBruteforce | F::ScannerSucceeded => Escalation::L2,
        _ => Escalation::None,
    }
}

/// Whether the PBX calls a phone at its Contact, where it cannot be reached: the phone is there, and the PBX has to be mended.
pub(super) fn is_contact_as_written(finding: &Finding) -> bool {
    finding.id == FindingId::StaleBindingTarget && finding.reason == Some(Reason::ContactAsWritten)
}
