//! "The call dropped" (DETECTION §8.4; S3, maintenance).

use std::net::SocketAddr;

use crate::detect::catalog::FindingId as F;
use crate::detect::finding::Subject;
use crate::diagnose::answer::Answer;
use crate::diagnose::cannot_call::{people, suspected};
use crate::diagnose::case::Case;
use crate::diagnose::facts;
use crate::diagnose::line::{Line, called_in_vain};
use crate::diagnose::parties::Attempt;
use crate::diagnose::rule::{Check, Rule, Step};
use crate::diagnose::words::{caller, clock, dialled, lasting, outcome};
use crate::report::model::{CallEntry, Escalation, Judgement};
use crate::track::vocabulary::{CallState, Confidence, Direction, EndedBy, Outcome, Scope};

/// Calls that are listed as evidence.
const LISTED: usize = 5;

pub(super) const STEPS: &[Step] = &[Step {
    runbook: "S3-maint",
    rules: &[
        Rule::Finding(F::MassCallDrop, "no crowd of calls was seen to end at the same moment"),
        Rule::Finding(F::PbxRestarted, "the PBX was not seen to restart"),
        Rule::Finding(F::AckMissing, "no answer was seen to go without its acknowledgement"),
        Rule::Finding(F::AckMisrouted, "no acknowledgement was seen to go astray"),
        Rule::Finding(F::FixedDurationDrops, "its calls were not seen to end after the same time again and again"),
        Rule::Finding(F::SessionRefreshMissed, "no session timer was seen to run out"),
        Rule::Finding(F::DialogLost, "neither end was seen to have forgotten the call"),
        Rule::Finding(F::CallDroppedNoBye, "no call of it was seen to be over without a hang-up"),
        Rule::Finding(F::SourceIpChanged, "its public address was not seen to change"),
        Rule::Finding(F::ShortCalls, "its calls were not seen to end within seconds again and again"),
        Rule::Check(Judgement::NotAnIssue, last_call),
    ],
}];

fn last_call(case: &Case<'_>) -> Check {
    let mut answer = match (case.meant().find(|attempt| attempt.was_up(&case.party)), case.meant().next()) {
        (Some(attempt), _) => ended(case, attempt),
        (None, Some(attempt)) => {
            let main = attempt.main;
            let what = format!(
                "No call of {} that was answered was captured. The last one, of {} to {} at {}, {}.",
                case.asked(),
                caller(main),
                dialled(main),
                clock(case, attempt.started()),
                outcome(attempt.leg_to(&case.party).filter(|_| !attempt.is_by(&case.party)).unwrap_or(main))
            );
            let hint =
                format!("Ask for the time of the call; why calls are not answered: diagnose {} --problem cannot-call.", case.asked());
            cannot_tell(what).next_step(hint)
        }
        (None, None) => cannot_tell(format!("No call of {} was captured.", case.asked()))
            .next_step("Ask for the time of the call and look at a capture of that time."),
    };
    answer = answer.facts(facts::calls(case.meant().take(LISTED)));
    Check::met(answer)
}

/// Causes of Q.850 with which no person ends a call (DETECTION §5.6).
const ABNORMAL: [&str; 7] = ["18", "27", "34", "38", "41", "42", "102"];

/// Whether a reason as it is shown names such a cause.
fn is_abnormal(reason: &str) -> bool {
    let cause = reason.strip_prefix("Q.850 cause ").and_then(|rest| rest.split(|letter: char| !letter.is_ascii_digit()).next());
    cause.is_some_and(|cause| ABNORMAL.contains(&cause))
}

fn cannot_tell(headline: String) -> Answer {
    Answer::new(Judgement::CannotTell, headline).confidence(Confidence::Suspected).scope(Scope::Call)
}

fn ended<'a>(case: &Case<'a>, attempt: &Attempt<'a>) -> Answer {
    let line = Line::of(case, attempt);
    if let Some(answer) = line.transferred(case) {
        return answer;
    }
    let (main, which) = (line.own, line.which(case));
    if main.state == CallState::Open {
        return Answer::new(Judgement::Healthy, format!("{which} was still up when the capture ended.")).scope(Scope::Call);
    }
    let after = main.talk_s.map_or_else(String::new, |talk| format!(" after {}", lasting(talk.0)));
    let reason = main.end_reason.as_deref().map_or_else(String::new, |reason| format!(" ({reason})"));
    let Some(who) = line.ender() else {
        return cannot_tell(format!("{which} ended{after}{reason}; who ended it was not captured."))
            .next_step("Capture where both phones and the PBX are seen, from before the call begins.");
    };
    let what = format!("{which} was ended by {who}{after}{reason}");
    if let Some(answer) = vanished(case, attempt, &what).or_else(|| handed_on(case, attempt, &which)) {
        return answer.scope(Scope::Call);
    }
    let answer = match main.ended_by {
        Some(EndedBy::Caller | EndedBy::Callee) if main.end_reason.as_deref().is_some_and(is_abnormal) => {
            cannot_tell(format!("{what}: that cause is one of networks and devices, not of somebody who hangs up."))
                .next_step("Second level: look at the line, the trunk or the phone of the side that gave this cause.")
                .escalate(Escalation::L2)
        }
        Some(EndedBy::Caller | EndedBy::Callee) if main.outcome == Outcome::Answered || main.partial => {
            people(format!("{what}: somebody hung up, or a phone did."))
                .next_step("Ask both sides whether they hung up; if not, look at the phone of the one that did.")
        }
        Some(EndedBy::Timeout) => suspected(F::CallDroppedNoBye, format!("{what}, without anybody hanging up."))
            .next_step("Check for a reboot or a crash of either end at that time."),
        _ => suspected(F::CallDroppedNoBye, format!("{what}, without either side hanging up."))
            .next_step("Second level: look in the log of the PBX why it ended the call at that time.")
            .escalate(Escalation::L2),
    };
    let end = main.ended.map(|end| end.0).unwrap_or(case.now);
    answer.scope(Scope::Call).fact(end, 0, format!("ended by {who}{reason}"))
}

/// The end that did not answer when it was told that the call is over: it had gone before anybody hung up (DETECTION §5.4, §8.4).
fn vanished(case: &Case<'_>, attempt: &Attempt<'_>, what: &str) -> Option<Answer> {
    let is_of = |subject: &Subject| matches!(subject, Subject::Call(id) if attempt.entries().any(|call| *call.call_id == **id));
    let finding = case.findings().find(|found| found.id == F::ByeUnanswered && found.reason.is_none() && is_of(&found.subject))?;
    // The evidence names who was told that the call is over.
    let is_target = |place: SocketAddr| finding.evidence.iter().any(|fact| fact.fact.ends_with(&format!(" to {place}")));
    let ends = attempt.entries().flat_map(|call| match call.direction {
        Direction::Out => [None, Some((dialled(call), call.passed_on_to.unwrap_or(call.destination)))],
        _ => [Some((caller(call), call.source)), call.passed_on_to.map(|place| (dialled(call), place))],
    });
    let (name, place) = ends.flatten().find(|(_, place)| is_target(*place))?;
    let headline = format!("{what}, and {name} at {place} had gone by then: it did not answer the BYE, so nobody hung up there.");
    let answer = Answer::new(Judgement::Finding(F::ByeUnanswered), headline)
        .confidence(Confidence::Probable)
        .facts(case.evidence_of(finding))
        .next_step(format!("Check power, line and Wi-Fi of the phone at {place} at that time, and whether it restarted."));
    Some(answer)
}

/// The called side left, and the PBX called somebody else for the caller, as for a transfer, who did not take the call.
fn handed_on(case: &Case<'_>, attempt: &Attempt<'_>, which: &str) -> Option<Answer> {
    let main = attempt.main;
    let end = main.ended?.0;
    let left = attempt.legs.iter().filter_map(|leg| leg.answered.and(leg.ended)).map(|left| left.0).max().filter(|left| *left <= end)?;
    let is_left = main.ended_by != Some(EndedBy::Caller);
    let in_vain = attempt.legs.iter().filter(|_| is_left).find_map(|leg| called_in_vain(case, leg));
    let is_next = |call: &&CallEntry| {
        let fits = call.direction == Direction::Out && call.linked.is_empty() && call.from == main.from;
        fits && (left..=end).contains(&call.first_seen) && call.status.is_some_and(|status| status >= 400)
    };
    let next = || case.scene.report.calls.iter().rfind(is_next).filter(|_| main.ended_by == Some(EndedBy::Callee));
    let next = in_vain.or_else(next)?;
    let how = match in_vain {
        Some(_) => format!("transferred by {} at {}", dialled(main), clock(case, left)),
        None => format!("left by the called side, {}, at {}, as after a transfer", dialled(main), clock(case, left)),
    };
    let headline = format!(
        "{which} was {how}. The PBX then called {} for {}, which {}, and ended the call of {}{}.",
        dialled(next),
        caller(main),
        outcome(next),
        caller(main),
        main.end_reason.as_deref().map_or_else(String::new, |reason| format!(" ({reason})"))
    );
    let hint = "Ask the called side whether it transferred the call; the PBX can hand a transfer that fails back to whoever began it.";
    Some(people(headline).confidence(Confidence::Probable).facts([facts::call(next)]).next_step(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_of_networks_is_abnormal_and_that_of_a_hang_up_is_not() {
        assert!(["Q.850 cause 41", "Q.850 cause 102", "Q.850 cause 38: Network out of order"].into_iter().all(is_abnormal));
        assert!(!["Q.850 cause 16", "Q.850 cause 4", "SIP cause 200", "41"].into_iter().any(is_abnormal));
    }
}
