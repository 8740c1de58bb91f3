//! "The call dropped" (DETECTION §8.4; S3, maintenance).

use std::net::SocketAddr;

use crate::detect::MOVED;
use crate::detect::catalog::FindingId as F;
use crate::detect::finding::{Finding, Subject};
use crate::diagnose::answer::Answer;
use crate::diagnose::cannot_call::{people, suspected};
use crate::diagnose::case::Case;
use crate::diagnose::facts;
use crate::diagnose::line::{CALLED_WITHIN, Line, called_in_vain};
use crate::diagnose::parties::{Attempt, TOGETHER};
use crate::diagnose::rule::{Check, Rule, Step};
use crate::diagnose::words::{caller, clock, dialled, in_brackets, lasting, outcome};
use crate::report::model::{CallEntry, DeviceEntry, Escalation, Judgement};
use crate::track::call::{ABNORMAL, REFUSED_CHANGE};
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
        Rule::Finding(F::CallDroppedNoBye, "no call of it was seen to be over without a hang-up"),
        Rule::Finding(F::DialogLost, "neither end was seen to have forgotten the call"),
        Rule::Finding(F::SourceIpChanged, "its public address was not seen to change"),
        Rule::Finding(F::ShortCalls, "its calls were not seen to end within seconds again and again"),
        Rule::Check(Judgement::NotAnIssue, last_call),
    ],
}];

/// The call that dropped most likely: the last one that joined two and that neither of them hung up; or else the last one that ended.
fn meant<'s, 'a>(case: &'s Case<'a>) -> Option<&'s Attempt<'a>> {
    let up = || case.meant().filter(|attempt| attempt.was_up(&case.party));
    let is_dropped = |attempt: &&Attempt<'a>| {
        let line = Line::of(case, attempt);
        let by_nobody =
            matches!(line.own.ended_by, Some(EndedBy::Pbx | EndedBy::Timeout)) || reason(line.own, attempt).is_some_and(is_abnormal);
        let joined = attempt.legs.iter().any(|leg| leg.answered.is_some());
        (by_nobody && joined && line.transferred(case).is_none()) || attempt.gone(case.scene.report).is_some()
    };
    up().find(is_dropped).or_else(|| up().find(|attempt| attempt.main.state != CallState::Open)).or_else(|| up().next())
}

impl Answer {
    /// Adds how the last call of the user ended, where that is another one.
    fn and_since(self, case: &Case<'_>, attempt: &Attempt<'_>) -> Self {
        let last = case.meant().find(|other| other.was_up(&case.party)).filter(|last| last.started() > attempt.started());
        let since = last.map_or_else(String::new, |last| {
            let line = Line::of(case, last);
            let by = line.ender().map_or_else(|| " is still up".to_owned(), |who| format!(" was ended by {who}"));
            format!(" The last call, of {} to {} at {},{by}.", caller(line.own), dialled(line.own), clock(case, last.started()))
        });
        Self { headline: self.headline + &since, ..self }
    }
}

fn last_call(case: &Case<'_>) -> Check {
    let mut answer = match (meant(case), case.meant().next()) {
        (Some(attempt), _) => ended(case, attempt).and_since(case, attempt).facts([facts::call(attempt.main)]),
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

/// Whether a reason as it is shown names a cause with which no person ends a call.
fn is_abnormal(reason: &str) -> bool {
    let cause = reason.strip_prefix("Q.850 cause ").and_then(|rest| rest.split(|letter: char| !letter.is_ascii_digit()).next());
    cause.and_then(|cause| cause.parse().ok()).is_some_and(|cause| ABNORMAL.contains(&cause))
}

/// Whether a reason as it is shown is that a change of the call was refused.
fn is_refused_change(reason: &str) -> bool {
    reason.starts_with(REFUSED_CHANGE)
}

/// Why the call ended, as the end says that ended it: on the leg of the user, or where another one that ended with it names what no person
/// brings about, there.
fn reason<'a>(own: &'a CallEntry, attempt: &Attempt<'a>) -> Option<&'a str> {
    let end = own.ended?.0;
    let is_with = |leg: &&CallEntry| leg.ended.is_some_and(|other| (other.0 - end).abs() <= TOGETHER);
    let other = attempt
        .entries()
        .filter(is_with)
        .filter_map(|leg| leg.end_reason.as_deref())
        .find(|reason| is_abnormal(reason) || is_refused_change(reason));
    other.or(own.end_reason.as_deref())
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
        return open(case, attempt, &which);
    }
    let after = main.talk_s.map_or_else(String::new, |talk| format!(" after {}", lasting(talk.0)));
    let why = reason(main, attempt);
    let reason = in_brackets(why);
    let Some(who) = line.ender() else {
        return cannot_tell(format!("{which} ended{after}{reason}; who ended it was not captured."))
            .next_step("Capture where both phones and the PBX are seen, from before the call begins.");
    };
    let what = format!("{which} was ended by {who}{after}{reason}");
    if let Some(answer) = went_on(attempt, main, &which, &after) {
        return answer;
    }
    if let Some(answer) = vanished(case, attempt, &what).or_else(|| handed_on(case, attempt, &which)) {
        return answer.scope(Scope::Call);
    }
    let answer = match main.ended_by {
        Some(EndedBy::Caller | EndedBy::Callee) if why.is_some_and(is_abnormal) => {
            cannot_tell(format!("{what}: that cause is one of networks and devices, not of somebody who hangs up."))
                .next_step("Second level: look at the line, the trunk or the phone of the side that gave this cause.")
                .escalate(Escalation::L2)
        }
        _ if why.is_some_and(is_refused_change) => cannot_tell(format!(
            "{what}: one end wanted to change it (hold, T.38, codecs, session refresh), was refused, and it ended with that."
        ))
        .confidence(Confidence::Probable)
        .next_step("Second level: align what both ends may do in a call: hold, T.38, codecs and session timers.")
        .escalate(Escalation::L2),
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

/// The PBX took the call from the user's phone, and went on with the caller: keys of the phone that transfer a call show in no packet.
fn went_on(attempt: &Attempt<'_>, own: &CallEntry, which: &str, after: &str) -> Option<Answer> {
    let (left, end) = (own.ended?.0, attempt.main.ended?.0);
    let is_taken = !std::ptr::eq(own, attempt.main) && end - left > TOGETHER && own.ended_by != Some(EndedBy::Callee);
    let next =
        attempt.legs.iter().filter(|leg| !std::ptr::eq(**leg, own)).find(|leg| leg.answered.is_some_and(|at| at.0 + CALLED_WITHIN >= left));
    let with = next.map_or_else(String::new, |leg| format!(" with {}", dialled(leg)));
    let headline =
        format!("{which} was taken from this phone by the PBX{after}, and the caller's went on{with}: as after a transfer by keys.");
    let answer = people(headline).confidence(Confidence::Probable).next_step("Ask the called side whether it transferred the call.");
    is_taken.then(|| answer.facts(next.map(|leg| facts::call(leg))))
}

/// What is said of a call that the capture shows no end of.
fn open(case: &Case<'_>, attempt: &Attempt<'_>, which: &str) -> Answer {
    match attempt.gone(case.scene.report) {
        Some((name, phone)) => {
            cannot_tell(format!("{which} is still up for the PBX, but {}: it left in the call.", gone_in_words(case, name, phone)))
                .confidence(Confidence::Probable)
                .next_step(format!(
                    "Check power, line and Wi-Fi of the phone at {}; second level: clear the call, if the PBX still holds it.",
                    phone.source
                ))
        }
        None => cannot_tell(format!("{which} was still up when the capture ended: no end of it was captured.")).next_step(
            "Ask for the time of the call that dropped; if it is this one, nobody hung up where it was captured, and the audio is the matter.",
        ),
    }
}

/// That a phone is there no more, and since when nothing was heard of it.
pub(super) fn gone_in_words(case: &Case<'_>, name: &str, phone: &DeviceEntry) -> String {
    let since = phone.last_seen.map_or_else(String::new, |last| format!(" since {}", clock(case, last.0)));
    format!("nothing was heard of the phone of {name} at {}{since}", phone.source)
}

/// The end that did not answer when it was told that the call is over: it had gone before anybody hung up (DETECTION §5.4, §8.4).
fn vanished(case: &Case<'_>, attempt: &Attempt<'_>, what: &str) -> Option<Answer> {
    let is_of = |subject: &Subject| matches!(subject, Subject::Call(id) if attempt.entries().any(|call| *call.call_id == **id));
    let finding = case.findings().find(|found| found.id == F::ByeUnanswered && is_of(&found.subject))?;
    if finding.reason.is_some() {
        return moved(case, finding, what);
    }
    // The evidence names who was told that the call is over.
    let is_target = |place: SocketAddr| finding.evidence.iter().any(|fact| fact.fact.ends_with(&format!(" to {place}")));
    let (name, place) = attempt.ends().find(|(_, place)| is_target(*place))?;
    let headline = format!("{what}, and {name} at {place} had gone by then: it did not answer the BYE, so nobody hung up there.");
    let answer = Answer::new(Judgement::Finding(F::ByeUnanswered), headline)
        .confidence(Confidence::Probable)
        .facts(case.evidence_of(finding))
        .next_step(format!("Check power, line and Wi-Fi of the phone at {place} at that time, and whether it restarted."));
    Some(answer)
}

/// The end that the hang-up did not reach because it had another address by then.
fn moved(case: &Case<'_>, finding: &Finding, what: &str) -> Option<Answer> {
    let moved = finding.evidence.iter().map(|fact| &fact.fact).find(|fact| fact.starts_with(MOVED))?;
    let headline = format!("{what}, and the BYE did not arrive: {moved}. Its address changed in the call.");
    let answer = Answer::new(Judgement::Finding(F::ByeUnanswered), headline).confidence(Confidence::Probable);
    Some(answer.facts(case.evidence_of(finding)).next_step(case.remedy(finding)))
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
