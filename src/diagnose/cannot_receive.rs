//! "The user cannot receive calls" (DETECTION §8.3; S2), and where the calls to a number go that no phone registers.

use std::net::SocketAddr;

use crate::detect::catalog::FindingId as F;
use crate::diagnose::answer::Answer;
use crate::diagnose::call_does_not_end;
use crate::diagnose::cannot_call::{age, people, suspected, unclaimed};
use crate::diagnose::cannot_connect::{OVER, REGISTRATION, STATE, disconnected};
use crate::diagnose::case::Case;
use crate::diagnose::facts;
use crate::diagnose::parties::Attempt;
use crate::diagnose::refusal::{self, Refusal};
use crate::diagnose::rule::{Check, Rule, Step};
use crate::diagnose::unrouted;
use crate::diagnose::unrung;
use crate::diagnose::ways::Refusals;
use crate::diagnose::words::{caller, clock, dialled, in_brackets, outcome, outcome_as_told, said};
use crate::report::filter::user_of;
use crate::report::model::{CallEntry, Escalation, Judgement, RegistrationEntry};
use crate::track::event::Unanswered;
use crate::track::vocabulary::{CallState, Confidence, Direction, Outcome, Scope};

/// Calls that are listed as evidence.
const LISTED: usize = 5;

pub(super) const STEPS: &[Step] = &[
    Step {
        runbook: "S2-f",
        rules: &[
            Rule::Finding(F::PbxRestarted, "the PBX was not seen to restart"),
            Rule::Finding(F::SourceIpChanged, "its public address was not seen to change"),
            Rule::Finding(F::NatBindingTimeout, "calls and probes were not seen to fail with the age of its NAT binding"),
            Rule::Finding(F::StaleBindingTarget, "the PBX was not seen to call an old address of it"),
            Rule::Finding(F::FragmentLoss, "no fragments were seen to get lost on the way"),
        ],
    },
    REGISTRATION,
    STATE,
    Step {
        runbook: "S2-f",
        rules: &[
            Rule::Finding(F::DuplicateRegistration, "no two devices were seen to take the registration from each other"),
            Rule::Finding(F::EndpointSleepSuspected, "it was not seen to come and go like a device that sleeps"),
            Rule::Finding(F::KeepaliveMissing, "it was not seen to lack keep-alives"),
        ],
    },
    Step {
        runbook: "S2-e",
        rules: &[
            Rule::Finding(F::CalleeNoResponse, "no call to it was seen to go unanswered"),
            Rule::Finding(F::LateDelivery, "no call was seen to reach it only after repeats"),
            Rule::Finding(F::CallFailedCalleeUnreachable, "the PBX was not seen to refuse calls to it without trying"),
            Rule::Finding(F::UnansweredBurst, "no series of calls to it was seen to fail"),
            Rule::Finding(F::PeerUnreachable, "the PBX was not seen to hold it for gone"),
            Rule::Check(Judgement::Finding(F::PeerUnreachable), disconnected),
            Rule::Finding(F::CodecMismatch, "no call of it was seen to fail for lack of a common codec"),
        ],
    },
    Step {
        runbook: "S2-d",
        rules: &[
            Rule::Check(Judgement::Finding(F::CallFailedCalleeUnreachable), unrouted::lost),
            Rule::Check(Judgement::DeliveredElsewhere, elsewhere),
        ],
    },
    OVER_IF_NONE_FAILED,
    Step { runbook: "S2-e", rules: &[Rule::Check(Judgement::CannotTell, last_call)] },
];

/// A trouble that is over, unless the last call to the user failed all the same.
const OVER_IF_NONE_FAILED: Step = Step { runbook: OVER.runbook, rules: &[Rule::Check(Judgement::Temporary, over)] };

fn over(case: &Case<'_>) -> Check {
    let failed = |attempt: &Attempt<'_>| leg_or_main(case, attempt).outcome != Outcome::Answered && case.past_trouble(attempt).is_none();
    if last_received(case).is_some_and(failed) { Check::Pass } else { crate::diagnose::cannot_connect::over(case) }
}

/// The call for the user that tells most: the last one that has come out, unless one in the making goes unheeded.
fn last_received<'s, 'a>(case: &'s Case<'a>) -> Option<&'s Attempt<'a>> {
    let received = || case.received().filter(|attempt| !attempt.takes_over());
    let latest = received().next().filter(|latest| case.unheeded(latest).is_some());
    latest.or_else(|| Case::last_settled(received()))
}

/// What happened at the user's own phone, or to the caller where no leg to it was captured.
fn leg_or_main<'a>(case: &Case<'a>, attempt: &Attempt<'a>) -> &'a CallEntry {
    attempt.leg_to(&case.party).unwrap_or(attempt.main)
}

/// The call was for the user and went to somebody else.
fn elsewhere(case: &Case<'_>) -> Check {
    let Some(attempt) = last_received(case) else { return Check::Pass };
    if attempt.leg_to(&case.party).is_some() {
        return Check::Unseen("the PBX did call a phone of this user");
    }
    let from = caller(attempt.main);
    let at = clock(case, attempt.started());
    let reached = reached(case, attempt);
    let (way, result) = (if attempt.main.forwarded { "was forwarded" } else { "went" }, outcome(attempt.main));
    let headline = match reached.as_slice() {
        [] => return answered_by_pbx(case, attempt),
        _ => format!("The call of {from} to {} at {at} {way} to {} and {result}.", case.asked(), reached.join(", ")),
    };
    let next_step = match attempt.main.forwarded {
        true => "If that is not meant, turn off call forwarding on the phone, and its forwarding on the PBX.",
        false => "If that is not meant, correct the forwarding, group or number routing on the PBX.",
    };
    let answer = Answer::new(Judgement::DeliveredElsewhere, headline)
        .scope(Scope::Call)
        .facts([facts::call(attempt.main)])
        .facts(attempt.legs.iter().chain(&attempt.forks).map(|leg| facts::call(leg)))
        .next_step(next_step);
    Check::met(answer)
}

/// The users that a call went to: the called sides of its legs, or whose phone is where a proxy passed it on to. Of several places the one
/// that answered counts.
fn reached(case: &Case<'_>, attempt: &Attempt<'_>) -> Vec<String> {
    let mut names: Vec<String> = attempt.legs.iter().map(|leg| dialled(leg).to_owned()).collect();
    let called = attempt.main.to.as_deref();
    let users_at = |place: SocketAddr| -> Vec<&str> {
        let is_there = |entry: &&RegistrationEntry| entry.devices.iter().any(|device| device.source == place);
        case.scene.report.registrations.iter().filter(is_there).map(|entry| user_of(&entry.aor)).collect()
    };
    let is_single = names.is_empty() && attempt.forks.is_empty();
    if let Some(place) = attempt.main.passed_on_to.filter(|place| is_single && !case.party.is_end(*place, called)) {
        // Behind an edge that many share, only the address is sure.
        match users_at(place).as_slice() {
            [only] => names.push((*only).to_owned()),
            [] => {}
            _ => names.push(place.to_string()),
        }
    }
    let is_answered = |fork: &&CallEntry| fork.outcome == Outcome::Answered;
    let has_answered = attempt.forks.iter().copied().any(|fork| is_answered(&fork));
    for fork in attempt.forks.iter().copied().filter(|fork| !has_answered || is_answered(fork)) {
        let name = match users_at(fork.destination).as_slice() {
            [only] => only,
            _ => dialled(fork),
        };
        names.push(name.to_owned());
    }
    names.dedup();
    names
}

/// Nobody was called on: a voicemail or an announcement took the call.
fn answered_by_pbx(case: &Case<'_>, attempt: &Attempt<'_>) -> Check {
    let main = attempt.main;
    let is_user = !case.party.registrations.is_empty();
    let alone = main.outcome == Outcome::Answered && main.direction == Direction::In && main.passed_on_to.is_none();
    if !alone || !is_user {
        return Check::Pass;
    }
    let headline = format!(
        "The call of {} to {} at {} was answered, but no call to its phone was captured: voicemail or an announcement may have taken it.",
        caller(main),
        case.asked(),
        clock(case, attempt.started())
    );
    let answer = Answer::new(Judgement::DeliveredElsewhere, headline)
        .confidence(Confidence::Suspected)
        .scope(Scope::Call)
        .facts([facts::call(main)])
        .next_step("Check forwarding and voicemail of this user on the PBX, and that the capture sees what the PBX sends to phones.");
    Check::met(answer)
}

fn last_call(case: &Case<'_>) -> Check {
    let Some(attempt) = last_received(case) else { return Check::met(no_call(case)) };
    let answer = match (case.unheeded(attempt), attempt.leg_to(&case.party)) {
        (Some(invite), _) => unheeded(case, attempt, &invite),
        (None, Some(leg)) => at_the_phone(case, attempt, leg),
        (None, None) => not_at_the_phone(case, attempt),
    };
    Check::met(answer.facts(facts::calls(case.received().take(LISTED))))
}

fn no_call(case: &Case<'_>) -> Answer {
    if let Some(answer) = unclaimed(case, |call| !case.party.is_at(call.source), ["to", "for"]) {
        return answer.next_step("Place a test call to the user while capturing, and find it by its time and number.");
    }
    let state = match (case.is_registered(), case.is_unreachable()) {
        (true, false) => "is registered, but",
        _ => "was seen, but",
    };
    Answer::new(Judgement::CannotTell, format!("{} {state} no call to it was captured: none came as far as the PBX.", case.asked()))
        .confidence(Confidence::Suspected)
        .scope(case.scope())
        .next_step("Place a test call to the user while capturing; if none appears, the fault is before the PBX: number routing or trunk.")
}

/// Nothing has come back yet from where the call is being sent to.
fn unheeded(case: &Case<'_>, attempt: &Attempt<'_>, invite: &Unanswered) -> Answer {
    let what = format!(
        "The call of {} to {} is being set up since {}, and its INVITE to {} was sent {} times without an answer so far",
        caller(attempt.main),
        dialled(attempt.main),
        clock(case, attempt.started()),
        invite.flow.destination,
        invite.transmissions
    );
    let tracker = case.scene.tracker;
    let answer = match tracker.world.peers.direction(invite.flow) {
        Direction::In => suspected(F::InviteIgnored, format!("{what}: the PBX does not react, so it never came as far as this user."))
            .scope(Scope::Source)
            .next_step(format!("Treat the caller: run diagnose {} --problem cannot-call.", caller(attempt.main)))
            .escalate(Escalation::L2),
        _ => suspected(F::CalleeNoResponse, format!("{what}: the phone does not react."))
            .scope(case.scope())
            .next_step("Check that the phone is on; force a reconnection and call again."),
    };
    answer.fact(case.printed(invite.first.time), invite.first.frame, format!("INVITE to {}, not answered yet", invite.flow.destination))
}

/// The PBX called the user's phone.
fn at_the_phone(case: &Case<'_>, attempt: &Attempt<'_>, leg: &CallEntry) -> Answer {
    use Outcome as O;
    let what = format!("The call of {} at {} {}", caller(attempt.main), clock(case, attempt.started()), outcome(leg));
    let place = leg.passed_on_to.unwrap_or(leg.destination);
    let refused_at_once = leg.ring_s.is_none();
    if let Some(waited) = unrung::waited(leg) {
        return unrung::at_the_phone(case, attempt, place, waited);
    }
    if let Some((late, by)) = attempt.rang_on().filter(|(late, _)| std::ptr::eq(*late, leg)) {
        let which = format!("The call of {} at {}", caller(attempt.main), clock(case, attempt.started()));
        return call_does_not_end::rang_on(&which, late, by);
    }
    match leg.outcome {
        O::Answered => {
            Answer::new(Judgement::Healthy, format!("{what}: it gets calls (the last one {} ago).", age(case, attempt))).scope(case.scope())
        }
        O::Unavailable if leg.passed_on_to.is_some() && refused_at_once => {
            suspected(F::CalleeNoResponse, format!("{what}: it was passed on to the phone at {place}, which refused it or did not answer."))
                .scope(case.scope())
                .next_step("Check that the phone is on and not set to do not disturb; force a reconnection and call again.")
        }
        O::Busy | O::Declined | O::Unavailable if refused_at_once => people(format!("{what}: the phone refused at once, without ringing."))
            .next_step("Check whether the phone is set to do not disturb, or was in a call."),
        O::Busy | O::Declined | O::NoAnswer | O::Cancelled | O::Stalled18x | O::Unavailable => {
            people(format!("{what}: it reached the phone; what followed is what people did."))
        }
        O::Unknown if leg.state == CallState::Ringing && !leg.partial => {
            Answer::new(Judgement::Healthy, format!("{what} at the moment of the question: calls reach the phone.")).scope(case.scope())
        }
        O::CompletedElsewhere => people(format!("{what}: it rang here too.")),
        O::Redirected => {
            Answer::new(Judgement::DeliveredElsewhere, format!("{what}: the phone itself forwards its calls{}.", onwards(case, attempt)))
                .scope(case.scope())
                .next_step("Turn off call forwarding on the phone if it is not meant.")
        }
        O::NoResponse | O::Timeout => suspected(F::CalleeNoResponse, format!("{what} from {}.", refusal::place_in_words(case, place)))
            .scope(case.scope())
            .next_step("Check that the phone is on; force a reconnection and call again."),
        _ => match Refusal::at(leg) {
            Some(refusal) => {
                let what = format!(
                    "The call of {} at {} reached {}, which answered {}{}",
                    caller(attempt.main),
                    clock(case, attempt.started()),
                    refusal::place_in_words(case, place),
                    refusal.status,
                    in_brackets(said(leg))
                );
                refusal::of_the_place(case, refusal, &what).scope(case.scope())
            }
            None => not_captured(leg, &what),
        },
    }
}

/// Where a call went that the user's phone forwarded.
fn onwards(case: &Case<'_>, attempt: &Attempt<'_>) -> String {
    let mut others = attempt
        .legs
        .iter()
        .filter(|leg| !case.party.is_called(leg.to.as_deref()) && !case.party.is_end(leg.destination, leg.to.as_deref()));
    others.next_back().map_or_else(String::new, |leg| format!(", this one to {}", dialled(leg)))
}

/// The PBX did not call the user's phone.
fn not_at_the_phone(case: &Case<'_>, attempt: &Attempt<'_>) -> Answer {
    use Outcome as O;
    let main = attempt.main;
    if let Some(refusals) = Refusals::like(case, attempt).filter(|refusals| refusals.trunk.is_none()) {
        return refusal::alike(case, attempt, &refusals);
    }
    let told = outcome_as_told(main, said(main));
    let what = format!("The call of {} to {} at {} {told}", caller(main), dialled(main), clock(case, attempt.started()));
    let is_user = !case.party.registrations.is_empty();
    if let Some(waited) = unrung::in_vain(attempt).filter(|_| is_user) {
        return unrung::verdict(case, attempt, waited);
    }
    match main.outcome {
        O::Answered => Answer::new(Judgement::Healthy, format!("{what}.")).scope(Scope::Call),
        O::NotFound if !is_user => people(format!("{what} on this PBX.")).next_step("Check the number, and its routing on the PBX."),
        O::Unavailable | O::ServerError | O::NotFound | O::Timeout if is_user => {
            let why = if case.is_registered() { "although it is registered" } else { "and holds it for not registered" };
            suspected(F::CallFailedCalleeUnreachable, format!("{what}: the PBX did not even call the phone, {why}."))
                .scope(case.scope())
                .next_step("Force a reconnection, then compare the account, its number and its status on the PBX.")
                .escalate(if case.is_registered() { Escalation::L2 } else { Escalation::None })
        }
        O::Unavailable => people(format!("{what}: no phone was seen to register it."))
            .confidence(Confidence::Suspected)
            .next_step("Check that the user exists and that its phone is on."),
        O::NoResponse if main.direction == Direction::In => {
            suspected(F::InviteIgnored, format!("{what} at all from the PBX: it never came as far as this user."))
                .scope(Scope::Source)
                .next_step(format!("Treat the caller: run diagnose {} --problem cannot-call.", caller(main)))
                .escalate(Escalation::L2)
        }
        O::NoResponse | O::Stalled100 | O::ServerError | O::Timeout => {
            suspected(F::ServerErrorBurst, format!("{what}: the PBX did not handle the call."))
                .scope(Scope::Server)
                .next_step("Second level: check the services of the PBX and its database at that time.")
                .escalate(Escalation::L2)
        }
        O::Busy | O::Declined | O::NoAnswer | O::Cancelled | O::Redirected | O::CompletedElsewhere | O::Forbidden => {
            people(format!("{what}: busy, do not disturb, forwarded, or given up."))
        }
        _ => not_captured(main, &what),
    }
}

/// What a call says whose outcome tells nothing of the user.
fn not_captured(call: &CallEntry, what: &str) -> Answer {
    let why = match call.status.filter(|_| call.outcome != Outcome::Unknown) {
        Some(status) => format!(": {status} says no more than that"),
        None => "; the capture ends before it came out, or does not show the answer".to_owned(),
    };
    Answer::new(Judgement::CannotTell, format!("{what}{why}."))
        .confidence(Confidence::Suspected)
        .scope(Scope::Call)
        .next_step("Place a test call to the user while capturing, and wait until it has ended.")
}
