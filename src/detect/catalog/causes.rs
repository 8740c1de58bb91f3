//! One cause, one finding: which finding explains which others (DETECTION §9 and §13).

use crate::detect::catalog::{FindingId, Proof, SubjectKind};
use crate::time::Span;
use crate::track::vocabulary::{Confidence, Severity};

/// How long before its first evidence a cause already explains symptoms (DETECTION §9).
pub const WINDOW_BEFORE: Span = Span::from_secs(30);
/// How long after its end a cause still explains symptoms (DETECTION §9).
pub const WINDOW_AFTER: Span = Span::from_secs(60);

/// How a cause and a symptom that it explains belong together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// The same trouble of the same or a related subject, known better: whenever both are there at once.
    Twin,
    /// What the cause does to the same or a related subject: what began in its window.
    Effect,
    /// What the cause does to every phone and every call of a PBX: what was raised in its window.
    Server,
    /// What the cause, a single event, did to calls of a PBX: what was raised until shortly after its last evidence.
    Moment,
}

/// What a call to a phone that cannot be reached looks like.
const UNDELIVERED: [FindingId; 4] =
    [FindingId::CalleeNoResponse, FindingId::PeerUnreachable, FindingId::LateDelivery, FindingId::UnansweredBurst];

impl FindingId {
    /// Every id that can explain others.
    pub const CAUSES: [Self; 21] = [
        Self::PbxNotResponding,
        Self::PbxRestarted,
        Self::MassCallDrop,
        Self::NatBindingTimeout,
        Self::StaleBindingTarget,
        Self::SourceIpChanged,
        Self::RegistrationExpired,
        Self::RegistrarSilent,
        Self::TrunkNoResponse,
        Self::ResponseNotReachingClient,
        Self::AuthFailedLoop,
        Self::SipAlgSuspected,
        Self::OptionsUnsupported,
        Self::PbxAdvertisesPrivate,
        Self::SessionRefreshMissed,
        Self::DialogLost,
        Self::AckMissing,
        Self::LegLeftUp,
        Self::WrongTransportOrPort,
        Self::FragmentLoss,
        Self::ScannerSucceeded,
    ];

    /// Whether this finding, once it is so sure, explains a `symptom`, and how the two belong together.
    pub fn explains(self, symptom: Self, confidence: Confidence) -> Option<Reach> {
        let (explains, reach) = match self {
            Self::NatBindingTimeout if confidence < Confidence::Probable => return None,
            Self::NatBindingTimeout if matches!(symptom, Self::NatRebind | Self::StaleBindingTarget) => (true, Reach::Twin),
            Self::NatBindingTimeout | Self::StaleBindingTarget | Self::SourceIpChanged | Self::RegistrationExpired => {
                (UNDELIVERED.contains(&symptom), Reach::Effect)
            }
            Self::AuthFailedLoop => (symptom == Self::RegistrationRejected, Reach::Twin),
            Self::RegistrarSilent | Self::TrunkNoResponse | Self::ResponseNotReachingClient => {
                (symptom == Self::RegistrationExpired, Reach::Twin)
            }
            Self::SipAlgSuspected => (symptom == Self::ClientSideNatTraversal, Reach::Twin),
            Self::OptionsUnsupported => (symptom == Self::PeerUnreachable, Reach::Twin),
            Self::PbxAdvertisesPrivate => (symptom == Self::SdpPrivateToPublic, Reach::Server),
            Self::SessionRefreshMissed | Self::DialogLost => (symptom == Self::CallDroppedNoBye, Reach::Twin),
            Self::AckMissing => (symptom == Self::DialogLost, Reach::Twin),
            Self::LegLeftUp => (symptom == Self::HungCall, Reach::Twin),
            Self::WrongTransportOrPort => {
                (matches!(symptom, Self::RegistrarSilent | Self::RegistrationRejected | Self::InviteIgnored), Reach::Twin)
            }
            Self::FragmentLoss => (matches!(symptom, Self::InviteIgnored | Self::CalleeNoResponse | Self::UnansweredBurst), Reach::Effect),
            Self::ScannerSucceeded => (matches!(symptom, Self::AuthFailedLoop | Self::DuplicateRegistration), Reach::Twin),
            Self::PbxNotResponding | Self::PbxRestarted => (symptom.is_symptom_of_outage(), Reach::Server),
            Self::MassCallDrop if matches!(symptom, Self::DialogLost | Self::CallDroppedNoBye) => (true, Reach::Server),
            Self::MassCallDrop => (symptom.is_symptom_of_outage() && symptom.row().proof == Proof::Absence, Reach::Moment),
            _ => return None,
        };
        explains.then_some(reach)
    }

    /// Whether it is about one phone or one call and may be nothing but the PBX being away. What is only worth knowing is no symptom,
    /// and what a source address does is one only where it goes unanswered.
    fn is_symptom_of_outage(self) -> bool {
        let row = self.row();
        row.severity > Severity::Info
            && row.subjects.iter().any(|subject| match subject {
                SubjectKind::Aor | SubjectKind::Call => true,
                SubjectKind::Source => row.proof == Proof::Absence,
                _ => false,
            })
    }
}
