//! The catalogue of findings: one row an id, from which the code, the reports and `docs/findings.md` take what is fixed about it.

mod causes;
mod keys;
mod remedy;
mod rows;

pub use causes::{Reach, WINDOW_AFTER, WINDOW_BEFORE};
pub use keys::RULES;
pub use remedy::{Slot, fill, rejection_remedy, trunk_remedy};
pub use rows::FindingId;

use std::fmt;

use crate::time::Span;
use crate::track::vocabulary::{Scope, Severity};

/// What kind of thing a finding is about (DETECTION §13, "Subject of a finding").
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum SubjectKind {
    /// An address-of-record, `user@host`.
    Aor,
    /// A source address without port.
    Source,
    /// A public address behind which phones sit.
    Site,
    /// A Call-ID, of the caller's leg where legs are linked.
    Call,
    /// The address and port of a PBX.
    Pbx,
    /// The address of a trunk without port.
    Trunk,
    /// Several calls that have something in common: `ua:…`, a site, a trunk or a PBX.
    Group,
    /// The capture itself, where no PBX is known.
    Capture,
}

impl SubjectKind {
    /// The kind in words, for the documentation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aor => "address-of-record",
            Self::Source => "source address",
            Self::Site => "public address",
            Self::Call => "Call-ID",
            Self::Pbx => "PBX address",
            Self::Trunk => "trunk address",
            Self::Group => "group of calls",
            Self::Capture => "capture",
        }
    }

    /// How far a finding about such a subject reaches unless its detector knows better.
    pub const fn scope(self) -> Scope {
        match self {
            Self::Aor => Scope::Phone,
            Self::Source => Scope::Source,
            Self::Site => Scope::Site,
            Self::Call => Scope::Call,
            Self::Pbx | Self::Group => Scope::Server,
            Self::Trunk => Scope::Trunk,
            Self::Capture => Scope::Capture,
        }
    }
}

/// What a finding needs of the capture to be believed (DETECTION §0.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// Something was seen; any capture will do.
    Presence,
    /// Something was not seen; the capture must be able to see both directions.
    Absence,
}

/// When an open finding ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Clears {
    /// Time without new evidence after which it ends by itself.
    pub quiet: Span,
    /// What its detector waits for to end it sooner; completes the sentence "ends when …".
    pub when: Option<&'static str>,
}

impl Clears {
    /// Ends after so many minutes without new evidence.
    const fn after_minutes(minutes: i64) -> Self {
        Self { quiet: Span::from_secs(60 * minutes), when: None }
    }

    /// Ends after so many hours without new evidence.
    const fn after_hours(hours: i64) -> Self {
        Self::after_minutes(60 * hours)
    }

    /// Ends sooner when something happens.
    const fn or_when(self, when: &'static str) -> Self {
        Self { when: Some(when), ..self }
    }
}

/// What is fixed about one id.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The stable name in reports, metrics and alerts.
    pub name: &'static str,
    /// What it means, one sentence.
    pub meaning: &'static str,
    /// How bad it is unless its detector knows better.
    pub severity: Severity,
    /// What it needs of the capture.
    pub proof: Proof,
    /// What it can be about.
    pub subjects: &'static [SubjectKind],
    /// The runbook steps that it automates.
    pub runbook: &'static [&'static str],
    /// When it ends.
    pub clears: Clears,
    /// What to do, one sentence with [`Slot`]s.
    pub remedy: &'static str,
}

impl FindingId {
    /// The stable name in reports, metrics and alerts.
    pub const fn as_str(self) -> &'static str {
        self.row().name
    }

    /// How bad it is unless its detector knows better.
    pub const fn severity(self) -> Severity {
        self.row().severity
    }

    /// The runbook steps that it automates.
    pub const fn runbook(self) -> &'static [&'static str] {
        self.row().runbook
    }

    /// The id of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|id| id.as_str() == name)
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl serde::Serialize for FindingId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::track::vocabulary::Confidence;

    /// The steps of the runbooks, and the runbooks where a finding concerns one as a whole.
    const STEPS: [&str; 38] = [
        "S0-a", "S0-b", "S0-c", "S0-d", "S0-e", "S0-f", "S0-g", "S0-h", "S0-i", "S1", "S1-a", "S1-b", "S1-c", "S1-d", "S1-e", "S1-f",
        "S1-g", "S1-h", "S2", "S2-a", "S2-b", "S2-c", "S2-d", "S2-e", "S2-f", "S2-g", "S3-setup", "S3-maint", "S3-tear", "S4", "S4-2",
        "S4-3", "S4-4", "S4-5", "S4-6", "S4-7", "S4-log", "S4-nat",
    ];

    fn rows() -> impl Iterator<Item = &'static Row> {
        FindingId::ALL.iter().map(|id| id.row())
    }

    #[test]
    fn names_are_unique_and_fit_for_labels_and_urls() {
        let names: BTreeSet<_> = rows().map(|row| row.name).collect();
        assert_eq!(names.len(), FindingId::ALL.len());
        for name in names {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
            assert_eq!(FindingId::from_name(name).map(FindingId::as_str), Some(name));
        }
        assert_eq!(FindingId::from_name("no-such-finding"), None);
    }

    #[test]
    fn meanings_and_remedies_are_one_sentence_each() {
        for row in rows() {
            for sentence in [row.meaning, row.remedy] {
                assert!(sentence.ends_with('.') && !sentence.contains(". ") && !sentence.contains('\n'), "{}: {sentence}", row.name);
                assert!(sentence.starts_with(|first: char| first.is_uppercase()), "{}: {sentence}", row.name);
            }
        }
    }

    #[test]
    fn every_gap_of_a_remedy_is_a_slot_and_every_slot_is_used() {
        let mut used = BTreeSet::new();
        for row in rows() {
            for gap in row.remedy.split('{').skip(1) {
                let name = gap.split_once('}').expect("a gap is closed").0;
                assert!(Slot::ALL.iter().any(|slot| slot.name() == name), "{}: {{{name}}}", row.name);
                used.insert(name);
            }
            assert!(!fill(row.remedy, &[]).contains(['{', '}']), "{}", row.name);
        }
        assert_eq!(used.len(), Slot::ALL.len());
    }

    #[test]
    fn runbook_steps_are_steps_of_the_runbooks() {
        for row in rows() {
            assert!(row.runbook.iter().all(|step| STEPS.contains(step)), "{}: {:?}", row.name, row.runbook);
        }
    }

    #[test]
    fn every_finding_ends_some_day() {
        assert!(rows().all(|row| row.clears.quiet > Span::ZERO && row.clears.quiet <= Span::from_secs(48 * 3600)));
    }

    #[test]
    fn causes_are_all_that_explains_and_explain_neither_themselves_nor_each_other_in_a_circle() {
        let explains = |cause: FindingId, symptom| cause.explains(symptom, Confidence::Confirmed).is_some();
        for &cause in FindingId::ALL {
            let any = FindingId::ALL.iter().any(|&symptom| explains(cause, symptom));
            assert_eq!(any, FindingId::CAUSES.contains(&cause), "{cause}");
            assert!(FindingId::ALL.iter().all(|&other| !(explains(cause, other) && explains(other, cause))), "{cause}");
        }
    }

    #[test]
    fn an_outage_explains_what_happens_to_phones_and_calls_and_nothing_that_an_attacker_does() {
        let outage = |symptom| FindingId::PbxNotResponding.explains(symptom, Confidence::Confirmed);
        for symptom in [FindingId::PeerUnreachable, FindingId::ByeUnanswered, FindingId::RegistrarSilent, FindingId::DialogLost] {
            assert_eq!(outage(symptom), Some(Reach::Server), "{symptom}");
        }
        for other in [FindingId::SipScanner, FindingId::TrunkNoResponse, FindingId::DeviceMoved, FindingId::CaptureOneWay] {
            assert_eq!(outage(other), None, "{other}");
        }
        let drop = |symptom| FindingId::MassCallDrop.explains(symptom, Confidence::Confirmed);
        assert_eq!(drop(FindingId::CallDroppedNoBye), Some(Reach::Server));
        assert_eq!(drop(FindingId::RegistrationRejected), None, "it was seen, not missed");
    }
}
