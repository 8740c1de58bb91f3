//! One cause, one finding: which finding explains which others (DETECTION §9 and §13).

use crate::detect::catalog::{FindingId, Proof, SubjectKind};
use crate::time::Span;
use crate::track::vocabulary::{Confidence, Severity};

/// How long before its first evidence a cause already explains symptoms (DETECTION §9).
pub const WINDOW_BEFORE: Span = Span::from_secs(30);
/// How long after its end a cause still explains symptoms (DETECTION §9).
pub const WINDOW_AFTER: Span = Span::from_secs(60);

/// What a cause has in common with the symptoms that it explains.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// The same subject, or one related to it.
    Related,
    /// The PBX: every phone and every call of it.
    Server,
}

/// What a call to a phone that cannot be reached looks like.
const UNDELIVERED: [FindingId; 4] =
    [FindingId::CalleeNoResponse, FindingId::PeerUnreachable, FindingId::LateDelivery, FindingId::UnansweredBurst];

impl FindingId {
    /// Every id that can explain others.
    pub const CAUSES: [Self; 9] = [
        Self::PbxNotResponding,
        Self::PbxRestarted,
        Self::MassCallDrop,
        Self::NatBindingTimeout,
        Self::StaleBindingTarget,
        Self::SourceIpChanged,
        Self::RegistrationExpired,
        Self::RegistrarSilent,
        Self::AuthFailedLoop,
    ];

    /// Whether this finding, once it is so sure, explains a `symptom`, and for whom.
    pub fn explains(self, symptom: Self, confidence: Confidence) -> Option<Reach> {
        let related = match self {
            Self::NatBindingTimeout => {
                confidence >= Confidence::Probable
                    && (UNDELIVERED.contains(&symptom) || matches!(symptom, Self::NatRebind | Self::StaleBindingTarget))
            }
            Self::StaleBindingTarget | Self::SourceIpChanged | Self::RegistrationExpired => UNDELIVERED.contains(&symptom),
            Self::AuthFailedLoop => symptom == Self::RegistrationRejected,
            Self::RegistrarSilent => symptom == Self::RegistrationExpired,
            Self::PbxNotResponding | Self::PbxRestarted => return symptom.is_symptom_of_outage().then_some(Reach::Server),
            Self::MassCallDrop => {
                return (symptom.is_symptom_of_outage() && symptom.row().proof == Proof::Absence).then_some(Reach::Server);
            }
            _ => false,
        };
        related.then_some(Reach::Related)
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
