//! "The phone loses its connection" (DETECTION §8.6; S4).

use crate::detect::catalog::FindingId as F;
use crate::diagnose::answer::Answer;
use crate::diagnose::cannot_call::suspected;
use crate::diagnose::cannot_connect::{OVER, REGISTRATION, SITE, STATE, comes_and_goes, disconnected};
use crate::diagnose::case::Case;
use crate::diagnose::history;
use crate::diagnose::rule::{Check, Rule, Step};
use crate::diagnose::words::clock;
use crate::report::model::Judgement;
use crate::time::{PacketTime, Span};
use crate::track::vocabulary::Confidence;

/// How long a phone may take to register for the first time.
const AT_FIRST: Span = Span::from_secs(60);

pub(super) const STEPS: &[Step] = &[
    Step {
        runbook: "S4-4",
        rules: &[
            Rule::Finding(F::PbxRestarted, "the PBX was not seen to restart"),
            Rule::Finding(F::SourceIpChanged, "its public address was not seen to change"),
        ],
    },
    SITE,
    Step {
        runbook: "S4-nat",
        rules: &[
            Rule::Finding(F::NatBindingTimeout, "requests of the PBX were not seen to fail with the age of the NAT binding"),
            Rule::Finding(F::StaleBindingTarget, "the PBX was not seen to use an old address of it"),
            Rule::Finding(F::KeepaliveMissing, "it was not seen to lack keep-alives"),
            Rule::Finding(F::SipAlgSuspected, "no router was seen to rewrite its messages"),
        ],
    },
    Step {
        runbook: "S4-2",
        rules: &[
            Rule::Finding(F::EndpointSleepSuspected, "it was not seen to come and go like a device that sleeps"),
            Rule::Finding(F::ProbeLoss, "no packets between it and the PBX were seen to get lost at random"),
            Rule::Finding(F::PeerLagged, "it was not seen to answer late"),
            Rule::Finding(F::DuplicateRegistration, "no two devices were seen to take the registration from each other"),
        ],
    },
    Step {
        runbook: "S4-3",
        rules: &[
            Rule::Finding(F::RegistrationFlapping, "its registration was not seen to come and go"),
            Rule::Finding(F::RegistrationExpired, "its registration was not seen to run out"),
        ],
    },
    REGISTRATION,
    STATE,
    Step {
        runbook: "S4-log",
        rules: &[
            Rule::Finding(F::PeerUnreachable, "the PBX was not seen to hold it for gone"),
            Rule::Check(Judgement::Finding(F::PeerUnreachable), disconnected),
            Rule::Check(Judgement::Finding(F::RegistrationFlapping), comes_and_goes),
        ],
    },
    Step { runbook: "S4-4", rules: &[Rule::Check(Judgement::Finding(F::RegistrationFlapping), restarting)] },
    OVER,
    Step { runbook: "S4-2", rules: &[Rule::Check(Judgement::Healthy, steady)] },
];

/// A phone that starts again and again: that is no registration which runs out, and no silence that the PBX would notice.
fn restarting(case: &Case<'_>) -> Check {
    let Some((first, last, times)) = history::restarts(case) else { return Check::Unseen("it was not seen to restart again and again") };
    let headline = format!(
        "{} began anew at least {times} times between {} and {}, as a phone does that restarts: it is away each time until it has registered.",
        case.asked(),
        clock(case, first),
        clock(case, last)
    );
    let answer = suspected(F::RegistrationFlapping, headline).scope(case.scope());
    Check::met(answer.next_step("Check the power supply of the phone (adapter, PoE, cable), then its firmware and what provisions it."))
}

fn steady(case: &Case<'_>) -> Check {
    let Some(entry) = case.registration() else {
        let headline = format!("No REGISTER of {} was captured, so its connection cannot be judged.", case.asked());
        let hint = "Capture for at least one registration interval of the phone.";
        return Check::met(Answer::new(Judgement::CannotTell, headline).confidence(Confidence::Suspected).next_step(hint));
    };
    let now = clock(case, case.now);
    let headline = match returned(case) {
        Some((at, how)) => format!("{} {how} at {}, and was connected without a break from then to {now}.", entry.aor, clock(case, at)),
        None => format!("{} was connected without a break from {} to {now}.", entry.aor, clock(case, case.began())),
    };
    let hint = "If it happens again, ask at what time, and look at a capture of that time.";
    Check::met(Answer::new(Judgement::Healthy, headline).scope(case.scope()).next_step(hint))
}

/// When the user was registered again after a time in which no phone of it was, and how that came about.
fn returned(case: &Case<'_>) -> Option<(PacketTime, &'static str)> {
    let devices = || case.tracked_devices().map(|(_, device)| device);
    let at = devices().filter(|device| device.is_registered()).filter_map(|device| device.registered_at).map(|since| since.time).min()?;
    let first = devices().filter(|device| device.was_accepted()).map(|device| device.first_seen).min()?;
    let has_logged_off = devices().any(|device| device.is_logged_off() && !device.evicted);
    (at.since(first) > AT_FIRST).then(|| (case.printed(at), if has_logged_off { "logged off, registered anew" } else { "registered anew" }))
}
