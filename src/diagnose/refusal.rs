//! What is said of a call that the other end refused: the PBX did its part (DETECTION §8.2, §8.3).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::detect::catalog::FindingId as F;
use crate::diagnose::answer::Answer;
use crate::diagnose::cannot_call::{called_side, people, suspected, treat};
use crate::diagnose::case::Case;
use crate::diagnose::parties::Attempt;
use crate::diagnose::ways::Refusals;
use crate::diagnose::words::{clock, counted, dialled, in_brackets, outcome_as_told, said};
use crate::report::model::{CallEntry, Escalation, Judgement};
use crate::track::vocabulary::{Confidence, Direction, Outcome, Scope};

/// A final answer of the end that the PBX called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    /// Where that end is.
    pub(super) place: SocketAddr,
    pub(super) status: u16,
    outcome: Outcome,
}

impl Refusal {
    /// The answer that an attempt failed with, where the other end gave it: the one that the PBX handed back, or that of the last leg where
    /// none came further.
    pub(super) fn of(attempt: &Attempt<'_>) -> Option<Self> {
        let main = attempt.main;
        let mut legs = attempt.legs.iter().rev().filter_map(|leg| Self::at(leg));
        if attempt.legs.is_empty() {
            return Self::at(main);
        }
        let handed_back = legs.clone().find(|refusal| main.status == Some(refusal.status));
        handed_back.or_else(|| legs.next().filter(|_| attempt.legs.iter().all(|leg| Self::at(leg).is_some())))
    }

    /// The answer of the end that `call` was sent to by the PBX, or passed on to, where no person gave it.
    pub(super) fn at(call: &CallEntry) -> Option<Self> {
        Self::by_whomever(call).filter(|refusal| is_refusal(refusal.outcome))
    }

    /// The same, and that a line is busy or somebody declined.
    pub(super) fn by_whomever(call: &CallEntry) -> Option<Self> {
        let place = match call.direction {
            Direction::Out => Some(call.destination),
            // A proxy answers 408 and 480 in its own name where nobody answers it.
            _ => call.passed_on_to.filter(|_| !matches!(call.outcome, Outcome::Timeout | Outcome::Unavailable)),
        };
        let is_answer = is_refusal(call.outcome) || matches!(call.outcome, Outcome::Busy | Outcome::Declined);
        let status = call.status.filter(|status| *status >= 400 && is_answer);
        Some(Self { place: place?, status: status?, outcome: call.outcome })
    }
}

/// Whether an outcome is an answer of the other end that no person gave.
const fn is_refusal(outcome: Outcome) -> bool {
    use Outcome as O;
    matches!(
        outcome,
        O::NotFound
            | O::Forbidden
            | O::AuthFailed
            | O::Unavailable
            | O::NotAcceptable
            | O::Timeout
            | O::ServerError
            | O::GlobalFailure
            | O::ClientError
    )
}

/// What the caller is told.
pub(super) fn to_the_caller(case: &Case<'_>, attempt: &Attempt<'_>, refusal: Refusal) -> Answer {
    let Refusal { place, status, .. } = refusal;
    let called = dialled(attempt.main);
    let which = format!("The call to {called} at {}", clock(case, attempt.started()));
    let said = in_brackets(reason(attempt));
    if case.scene.tracker.world.peers.is_trunk(place.ip()) {
        return of_the_carrier(refusal, &format!("{which} reached the trunk {}, which answered {status}{said}", place.ip()));
    }
    let what = format!("{which} reached {}, which answered {status}{said}", place_in_words(case, place));
    let answer = called_side(case, attempt, &what);
    match case.scene.tracker.registrations.is_edge_at(place) {
        true => answer.unwrap_or_else(|| of_the_edge(refusal, &what).scope(Scope::Call)),
        false => answer.unwrap_or_else(|| of_the_phone(refusal, &what).scope(Scope::Call)).next_step(treat(called)),
    }
}

/// A place that the PBX calls, by what is there: a phone, or a proxy that has phones behind it.
pub(super) fn place_in_words(case: &Case<'_>, place: SocketAddr) -> String {
    let what = if case.scene.tracker.registrations.is_edge_at(place) { "proxy" } else { "phone" };
    format!("the {what} at {place}")
}

/// What an answer of whatever is at the place that refused means.
pub(super) fn of_the_place(case: &Case<'_>, refusal: Refusal, what: &str) -> Answer {
    match case.scene.tracker.registrations.is_edge_at(refusal.place) {
        true => of_the_edge(refusal, what),
        false => of_the_phone(refusal, what),
    }
}

/// What an answer of a proxy means, which may be its own or that of what is behind it.
fn of_the_edge(refusal: Refusal, what: &str) -> Answer {
    use Outcome as O;
    match refusal.outcome {
        O::Unavailable => people(format!("{what}: the phone behind it refused without ringing, or is not there."))
            .next_step("Check whether the phone is set to do not disturb, and force a reconnection."),
        O::NotAcceptable => of_the_phone(refusal, what),
        O::NotFound => suspected(F::CallFailedCalleeUnreachable, format!("{what}: it knows no place where this user is."))
            .next_step("Force a reconnection; if that changes nothing, second level: compare the locations that the proxy knows with the registrar.")
            .escalate(Escalation::L2),
        O::Timeout => suspected(F::CalleeNoResponse, format!("{what}: what it passed the call on to does not react."))
            .next_step("Second level: see in the log of the proxy where it sent the call, and whether that is a phone or a trunk.")
            .escalate(Escalation::L2),
        _ => Answer::new(Judgement::CannotTell, format!("{what}: the fault is in it or behind it, and the answer does not tell where."))
            .confidence(Confidence::Suspected)
            .next_step("Second level: look in the log of the proxy for this call, or capture on both of its sides.")
            .escalate(Escalation::L2),
    }
}

/// What an answer of a phone means; it is not told why it gave it.
fn of_the_phone(refusal: Refusal, what: &str) -> Answer {
    use Outcome as O;
    match refusal.outcome {
        O::Unavailable => people(format!("{what}: it refused without ringing."))
            .next_step("Check whether the phone is set to do not disturb, or was in a call."),
        O::NotAcceptable => extension(refusal.status, what).unwrap_or_else(|| {
            suspected(F::CodecMismatch, format!("{what}: it takes none of the media that the PBX offers."))
                .next_step("Compare codecs and encryption of the phone with the account on the PBX.")
        }),
        O::NotFound | O::Forbidden | O::AuthFailed | O::ClientError => {
            suspected(F::StaleBindingTarget, format!("{what}: what is there does not take calls for this user."))
                .next_step("Force a reconnection; check the contact user and the line of the phone against the account.")
        }
        _ => Answer::new(Judgement::CannotTell, format!("{what}: the fault is in the phone, and the answer does not tell which."))
            .confidence(Confidence::Suspected)
            .next_step("Restart the phone and call again; if it answers so again, look at its log and its software."),
    }
}

/// An extension of SIP that one end asks for and the other has not (RFC 3261 §21.4.15, §21.4.16; RFC 3329 §2), and the encryption of what is
/// within a message (RFC 3261 §21.4.29): no matter of the media.
pub(super) fn extension(status: u16, what: &str) -> Option<Answer> {
    let why = match status {
        420 => "it does not know an extension of SIP that the call requires",
        421 | 494 => "it requires an extension of SIP that the call does not offer",
        493 => "it cannot read the encrypted part of the message",
        _ => return None,
    };
    let answer = Answer::new(Judgement::CannotTell, format!("{what}: {why}."))
        .confidence(Confidence::Probable)
        .next_step(
            "Turn the extension that the answer names (100rel, timer, precondition and the like) off at the end that asks for it, or on at the \
             other one.",
        )
        .escalate(Escalation::L2);
    Some(answer)
}

/// A session timer that is shorter than the other end takes (RFC 4028 §6).
pub(super) fn interval(what: String) -> Answer {
    Answer::new(Judgement::CannotTell, format!("{what}: the session interval that was asked for is shorter than the other end takes."))
        .confidence(Confidence::Probable)
        .scope(Scope::Call)
        .next_step(
            "Align the session timers: set Session-Expires of the phone to at least the Min-SE of the answer, or lower Min-SE on the PBX; if the \
             phone goes on asking for less, turn its session timer off.",
        )
        .escalate(Escalation::L2)
}

/// A call that came back to somebody whose phone had forwarded it before.
pub(super) fn forwarded_round(case: &Case<'_>, attempt: &Attempt<'_>) -> Option<Answer> {
    let redirected = attempt.legs.iter().filter(|leg| leg.outcome == Outcome::Redirected);
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    redirected.filter_map(|leg| leg.to.as_deref()).for_each(|name| *times.entry(name).or_default() += 1);
    let forwarders: Vec<&str> = times.into_iter().filter(|(_, times)| *times > 1).map(|(name, _)| name).collect();
    let headline = format!(
        "The call to {} at {} {}: it came back to {} again and again, and was forwarded each time.",
        dialled(attempt.main),
        clock(case, attempt.started()),
        outcome_as_told(attempt.main, reason(attempt)),
        forwarders.join(" and ")
    );
    let next_step = format!("Turn off call forwarding on the phone of {}, or set another target.", forwarders.join(" or "));
    (!forwarders.is_empty()).then(|| suspected(F::RoutingLoop, headline).scope(Scope::Call).next_step(next_step))
}

/// The call was put through as far as a carrier.
fn of_the_carrier(refusal: Refusal, what: &str) -> Answer {
    use Outcome as O;
    match refusal.outcome {
        O::NotFound => people(format!("{what}: the number is not known there."))
            .next_step("Check the number that was dialled, and how the PBX writes it towards the trunk."),
        O::Unavailable => people(format!("{what}: whoever has that number is not there.")),
        O::NotAcceptable => extension(refusal.status, what)
            .unwrap_or_else(|| {
                suspected(F::CodecMismatch, format!("{what}: it takes none of the media that the PBX offers."))
                    .next_step("Check the codec and SRTP settings of the trunk.")
            })
            .scope(Scope::Call),
        O::Forbidden | O::AuthFailed | O::ClientError | O::GlobalFailure => {
            Answer::new(Judgement::CannotTell, format!("{what}: it does not let the PBX make this call, and only the carrier knows why."))
                .confidence(Confidence::Suspected)
                .scope(Scope::Trunk)
                .next_step("Second level: check the account at the carrier, what it may call, and the number it shows.")
                .escalate(Escalation::L2)
        }
        _ => suspected(F::ServerErrorBurst, format!("{what}: the fault is beyond the PBX."))
            .scope(Scope::Trunk)
            .next_step("Second level: check the trunk and the status page of the carrier.")
            .escalate(Escalation::L2),
    }
}

/// Why the end that refused a call says that it does.
pub(super) fn reason<'a>(attempt: &Attempt<'a>) -> Option<&'a str> {
    attempt.legs.iter().rev().chain([&attempt.main]).find_map(|call| said(call))
}

/// A trunk or a PBX that refuses many numbers alike: that is the matter of no number, and of no person.
pub(super) fn alike(case: &Case<'_>, attempt: &Attempt<'_>, refusals: &Refusals) -> Answer {
    let Refusals { trunk, status, calls, of, numbers, callers, .. } = refusals;
    let (by, so) = match trunk {
        Some(trunk) => (format!("trunk {trunk}"), "that is no matter of one number or of who was called"),
        None if *numbers > 1 => ("PBX itself".to_owned(), "it was up and called nobody for them, and that is no matter of who was called"),
        None => ("PBX itself".to_owned(), "it was up and called nobody for them, and put others through to that number in between"),
    };
    let headline = format!(
        "The {by} answered {calls} of {of} calls, by {} to {}, with {status}, the one to {} at {} among them{}: {so}.",
        counted(*callers, "caller", "callers"),
        counted(*numbers, "number", "numbers"),
        dialled(attempt.main),
        clock(case, attempt.started()),
        in_brackets(reason(attempt))
    );
    if trunk.is_none() {
        return suspected(F::ServerErrorBurst, headline)
            .scope(Scope::Server)
            .next_step(
                "Second level: look in the log of the PBX for a limit that was reached at these times (calls, channels, licences, load), \
                 or a service that failed.",
            )
            .escalate(Escalation::L2);
    }
    let answer = match status {
        500..600 => suspected(F::ServerErrorBurst, headline),
        _ => Answer::new(Judgement::CannotTell, format!("{headline} Why, only the carrier knows.")).confidence(Confidence::Suspected),
    };
    answer
        .scope(Scope::Trunk)
        .next_step("Second level: check the account at the carrier, its channels, what it may call, and how the PBX writes numbers to it.")
        .escalate(Escalation::L2)
}
