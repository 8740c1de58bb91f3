//! What comes before every runbook: whether the capture can be trusted, whether the PBX is well, whether the user was seen at all
//! (DETECTION §8.0).

use crate::detect::catalog::FindingId as F;
use crate::detect::finding::{Finding, Subject};
use crate::diagnose::answer::Answer;
use crate::diagnose::case::Case;
use crate::diagnose::rule::{Check, Rule, Step};
use crate::diagnose::words::{clock, counted};
use crate::report::filter::is_user;
use crate::report::model::{Escalation, Judgement};
use crate::track::probed::Probed;
use crate::track::vocabulary::{Confidence, Scope};

pub(super) const STEPS: &[Step] = &[
    Step { runbook: "S0-g", rules: &[Rule::Check(Judgement::CannotTell, capture)] },
    Step {
        runbook: "S0-h",
        rules: &[
            Rule::Finding(F::PbxNotResponding, "the PBX was not seen to leave everybody unanswered"),
            Rule::Finding(F::ServerErrorBurst, "no burst of server errors was seen"),
        ],
    },
    Step {
        runbook: "S0-e",
        rules: &[
            Rule::Finding(F::ScannerSucceeded, "no scanner at its address was seen to get in"),
            Rule::Finding(F::SipScanner, "nothing at its address was seen to scan"),
            Rule::Finding(F::WrongTransportOrPort, "nothing was seen that came from its address in another protocol or to another port"),
            Rule::Finding(F::WrongDomain, "it was not seen to ask for a domain that the PBX does not serve"),
            Rule::Check(Judgement::NoTraffic, absent),
        ],
    },
];

/// Findings that make every absence doubtful.
const DOUBTS: [F; 3] = [F::CaptureOneWay, F::CaptureLossy, F::CaptureStalled];

fn capture(case: &Case<'_>) -> Check {
    let Some(doubt) = DOUBTS.into_iter().filter_map(|id| case.finding(id)).find(|finding| !case.is_over(finding)) else {
        return Check::Unseen("both directions were captured, as far as the capture itself shows");
    };
    let answer = Answer::new(Judgement::CannotTell, format!("The capture cannot be trusted, so nothing is said. {}.", doubt.message))
        .scope(Scope::Capture)
        .facts(case.evidence_of(doubt))
        .next_step(doubt.remedy.clone())
        .escalate(Escalation::L2);
    Check::met(answer)
}

/// Nothing at all from or to the user.
fn absent(case: &Case<'_>) -> Check {
    let found = case.findings().any(|finding| !matches!(finding.scope, Scope::Server | Scope::Capture));
    if !case.party.registrations.is_empty() || !case.attempts.is_empty() || found {
        return Check::Pass;
    }
    if let Some(answer) = probed(case) {
        return Check::met(answer);
    }
    let encrypted = case.scene.report.capture.skipped.get("encrypted").copied().unwrap_or_default();
    let (headline, next_step) = match (encrypted, knocks(case)) {
        (0, Some(knocks)) => (
            format!(
                "Nothing that names {} was captured, but somebody knocks in vain, and that may be this phone. {}.",
                case.asked(),
                knocks.message
            ),
            format!("Ask for the public address of the phone. If it is {}: {} Otherwise: {CHECK_PHONE}", knocks.subject, knocks.remedy),
        ),
        (0, None) => (
            match case.scene.findings.listed(|finding| finding.id == F::SipScanner).first() {
                // What a scanner sends in the name of users is not kept by user.
                Some(scanner) => {
                    format!("Nothing from or to {} is known, unless {} sent it, which tries out users.", case.asked(), scanner.subject)
                }
                None => format!("Nothing from or to {} was captured: its packets never came by here.", case.asked()),
            },
            CHECK_PHONE.to_owned(),
        ),
        (frames, _) => (
            format!(
                "Nothing from or to {} can be seen, but {} encrypted: it may use TLS, which is invisible here.",
                case.asked(),
                counted(frames as usize, "frame of the capture is", "frames of the capture are")
            ),
            "Check whether the phone is set to TLS (port 5061); if so, look at the log of the PBX in place of a capture.".to_owned(),
        ),
    };
    Check::met(Answer::new(Judgement::NoTraffic, headline).confidence(Confidence::Probable).scope(Scope::PhoneOrSite).next_step(next_step))
}

/// Something answers the OPTIONS of the PBX to the user, and nothing else was captured of it.
fn probed(case: &Case<'_>) -> Option<Answer> {
    let is_meant = |probed: &&Probed| is_user(case.asked(), &probed.user) || case.party.is_at(probed.place);
    let probed = case.scene.tracker.probed.iter().filter(is_meant).max_by_key(|probed| probed.last.time)?;
    let Probed { place, answers, status, last, .. } = probed;
    let headline = format!(
        "No registration and no call of {} was captured. The PBX probes it at {place}, and {} answered, at last with {status} at {}: something \
         is there, but that does not tell whether it serves this user.",
        case.asked(),
        counted(*answers as usize, "OPTIONS was", "OPTIONS were"),
        clock(case, case.printed(last.time))
    );
    let answer = Answer::new(Judgement::CannotTell, headline)
        .confidence(Confidence::Suspected)
        .scope(Scope::Phone)
        .fact(case.printed(last.time), last.frame, format!("OPTIONS for {} at {place} answered {status}", probed.user))
        .next_step(format!(
            "Force a reconnection while capturing, so that its registration is seen; check that the device at {place} is set up for this user."
        ));
    Some(answer)
}

/// What to do about a phone of which nothing is seen.
const CHECK_PHONE: &str =
    "Check power and LAN of the phone and the server address, port and transport set in it; then force a reconnection while capturing.";

/// The last who tried in vain to speak SIP with the PBX, and does not say who it is: nobody ever registered from there.
fn knocks<'a>(case: &Case<'a>) -> Option<&'a Finding> {
    let devices = || case.scene.report.registrations.iter().flat_map(|entry| &entry.devices);
    let is_nobodys = |finding: &Finding| match finding.subject {
        Subject::Source(source) => {
            matches!(finding.id, F::WrongTransportOrPort | F::RegistrarSilent) && devices().all(|device| device.source.ip() != source)
        }
        _ => false,
    };
    case.scene.findings.listed(is_nobodys).into_iter().max_by_key(|finding| finding.last)
}
