//! "The call does not end, or was billed too long" (DETECTION §8.5; S3, tear-down).

use crate::detect::catalog::FindingId as F;
use crate::diagnose::answer::Answer;
use crate::diagnose::call_dropped::gone_in_words;
use crate::diagnose::cannot_call::suspected;
use crate::diagnose::case::Case;
use crate::diagnose::facts;
use crate::diagnose::parties::Attempt;
use crate::diagnose::rule::{Check, Rule, Step};
use crate::diagnose::words::{caller, clock, dialled, ender, lasting};
use crate::report::model::{CallEntry, Escalation, Judgement};
use crate::time::Span;
use crate::track::vocabulary::{CallState, Confidence, Scope};

/// Calls that are listed as evidence.
const LISTED: usize = 5;

pub(super) const STEPS: &[Step] = &[Step {
    runbook: "S3-tear",
    rules: &[
        Rule::Finding(F::LegLeftUp, "no leg was seen to stay up after the other had ended"),
        Rule::Finding(F::ByeUnanswered, "no hang-up was seen to go unanswered"),
        Rule::Finding(F::HungCall, "no call was seen to hang"),
        Rule::Finding(F::DialogLost, "neither end was seen to have forgotten the call"),
        Rule::Check(Judgement::Healthy, last_call),
    ],
}];

fn last_call(case: &Case<'_>) -> Check {
    let Some(attempt) = case.meant().find(|attempt| attempt.was_up(&case.party)) else {
        let headline = format!("No answered call of {} was captured.", case.asked());
        let hint = "Ask for the time of the call and look at a capture of that time.";
        return Check::met(
            Answer::new(Judgement::CannotTell, headline).confidence(Confidence::Suspected).scope(Scope::Call).next_step(hint),
        );
    };
    let answer = if attempt.entries().any(|call| call.state == CallState::Open) { open(case, attempt) } else { over(case, attempt) };
    Check::met(answer.scope(Scope::Call).facts(facts::calls(case.meant().take(LISTED))))
}

fn which(case: &Case<'_>, attempt: &Attempt<'_>) -> String {
    format!("The call of {} to {} at {}", caller(attempt.main), dialled(attempt.main), clock(case, attempt.started()))
}

/// Some leg is still up.
fn open(case: &Case<'_>, attempt: &Attempt<'_>) -> Answer {
    let ended = attempt.entries().find(|call| call.state != CallState::Open && call.ended.is_some());
    let which = which(case, attempt);
    match ended {
        Some(leg) => {
            let end = leg.ended.map_or(case.now, |end| end.0);
            suspected(F::LegLeftUp, format!("{which}: one leg ended at {}, another is still up.", clock(case, end)))
                .fact(end, 0, "one leg ended")
                .next_step("Second level: clear the channel on the PBX and correct the bill.")
                .escalate(Escalation::L2)
        }
        None if attempt.gone(case.scene.report).is_some() => {
            let gone = attempt.gone(case.scene.report).map_or_else(String::new, |(name, phone)| gone_in_words(case, name, phone));
            suspected(F::HungCall, format!("{which} is still up, but {gone}."))
                .next_step("Second level: clear the channel on the PBX, correct the bill, and enable session timers.")
                .escalate(Escalation::L2)
        }
        None => {
            let hint = "Ask whether somebody has hung up: if so, that phone never said so, or its BYE was lost before the capture.";
            Answer::new(Judgement::CannotTell, format!("{which} is still up: no hang-up of either side was captured."))
                .confidence(Confidence::Suspected)
                .next_step(hint)
        }
    }
}

/// A phone that rang on after the call was over, and was answered then: the PBX did not tell it, or it took no note.
pub(super) fn rang_on(which: &str, leg: &CallEntry, late: Span) -> Answer {
    let headline = format!(
        "{which} was over before it was answered, but the phone of {} at {} rang on and was answered {} later, when nobody was there.",
        dialled(leg),
        leg.destination,
        lasting(late)
    );
    Answer::new(Judgement::CannotTell, headline)
        .confidence(Confidence::Probable)
        .scope(Scope::Call)
        .next_step(
            "Second level: see whether the PBX sent the phone a CANCEL when the caller gave up; if it did, the phone ignores it (firmware, SIP \
             ALG), and if not, look in the log of the PBX why.",
        )
        .escalate(Escalation::L2)
}

fn over(case: &Case<'_>, attempt: &Attempt<'_>) -> Answer {
    let main = attempt.main;
    if let Some((leg, late)) = attempt.rang_on() {
        return rang_on(&which(case, attempt), leg, late);
    }
    let who = ender(main).map_or_else(String::new, |who| format!(" by {who}"));
    let after = main.talk_s.map_or_else(String::new, |talk| format!(" after {}", lasting(talk.0)));
    let legs = if attempt.legs.is_empty() || !attempt.ended_at_once() { "" } else { ", and every leg of it ended with it" };
    Answer::new(Judgement::Healthy, format!("{} was ended{who}{after}{legs}.", which(case, attempt)))
}
