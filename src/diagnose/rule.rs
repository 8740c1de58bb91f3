//! Rules, and how a list of them is walked through: top down, the first that is met wins.

use crate::detect::catalog::{FindingId, Proof};
use crate::diagnose::answer::Answer;
use crate::diagnose::case::Case;
use crate::diagnose::nearby;
use crate::diagnose::words::clock;
use crate::report::model::{Escalation, Ground, Judgement, Problem, RuledOut};
use crate::track::vocabulary::Confidence;

/// A step of a runbook and the rules that take it.
pub(super) struct Step {
    /// Its name, `S2-f`.
    pub(super) runbook: &'static str,
    /// Its rules, the strongest first.
    pub(super) rules: &'static [Rule],
}

/// One rule.
pub(super) enum Rule {
    /// A finding about this user, its site, its calls or the PBX; and what was seen where there is none.
    Finding(FindingId, &'static str),
    /// Anything else, and what it would be.
    Check(Judgement, fn(&Case<'_>) -> Check),
}

/// What a rule says of a case.
pub(super) enum Check {
    /// This is it.
    Met(Box<Answer>),
    /// This is not it, because.
    Not(String),
    /// No sign of it was seen.
    Unseen(&'static str),
    /// Not worth a word.
    Pass,
}

impl Check {
    pub(super) fn met(answer: Answer) -> Self {
        Self::Met(Box::new(answer))
    }
}

/// The answer of a list, and what the rules before it ruled out.
pub(super) struct Walk {
    pub(super) answer: Answer,
    pub(super) ruled_out: Vec<RuledOut>,
}

/// Applies the rules one after the other.
pub(super) fn walk<'s>(case: &Case<'_>, steps: impl Iterator<Item = &'s Step>) -> Walk {
    let mut ruled_out: Vec<RuledOut> = Vec::new();
    for step in steps {
        for rule in step.rules {
            let (why, ground) = match rule.apply(case) {
                Check::Met(answer) => {
                    // What cannot be the matter with one rule may be what is left with another.
                    ruled_out.retain(|known| known.verdict != answer.judgement.as_str());
                    return Walk { answer: answer.at_step(step.runbook), ruled_out };
                }
                Check::Not(why) => (why, Ground::Told),
                Check::Unseen(why) => (why.to_owned(), Ground::NoSign),
                Check::Pass => continue,
            };
            if ruled_out.iter().all(|known| known.verdict != rule.verdict()) {
                ruled_out.push(RuledOut { verdict: rule.verdict(), why, ground });
            }
        }
    }
    Walk { answer: unexplained(case), ruled_out }
}

/// What remains where no rule is met.
fn unexplained(case: &Case<'_>) -> Answer {
    Answer::new(Judgement::CannotTell, format!("Nothing that was captured explains what {} complains about.", case.asked()))
        .confidence(Confidence::Suspected)
        .next_step("Capture while the user tries again, and hand the capture on.")
        .escalate(Escalation::L3)
}

impl Rule {
    const fn verdict(&self) -> &'static str {
        match self {
            Self::Finding(id, _) => id.as_str(),
            Self::Check(judgement, _) => judgement.as_str(),
        }
    }

    fn apply(&self, case: &Case<'_>) -> Check {
        match self {
            Self::Finding(id, otherwise) => finding(case, *id, otherwise),
            Self::Check(_, check) => check(case),
        }
    }
}

fn finding(case: &Case<'_>, id: FindingId, otherwise: &'static str) -> Check {
    match case.finding(id) {
        Some(finding) if case.is_over(finding) => {
            let end = finding.cleared.map_or_else(String::new, |end| format!(" until {}", clock(case, case.printed(end))));
            Check::Not(format!("it was so from {}{end}, and is over", clock(case, case.printed(finding.since))))
        }
        Some(finding) if case.silenced_since(finding).is_some() => {
            let since = case.silenced_since(finding).map_or_else(String::new, |silent| clock(case, case.printed(silent.since)));
            Check::Not(format!("it was so until {since}, and since then nothing is answered: {}", finding.message))
        }
        Some(finding) if case.is_of_another_device(finding) && case.question.problem != Some(Problem::CannotConnect) => {
            Check::Not(format!("so for another device than the phone that is registered: {}", finding.message))
        }
        Some(finding) if !case.counts(finding) => Check::Not(format!("seen, but harmless: {}", finding.message)),
        Some(finding) => match case.contradiction(finding) {
            Some(why) => Check::Not(why),
            None => Check::met(Answer::finding(case, finding)),
        },
        None => unseen(case, id, otherwise),
    }
}

/// No finding of the user's own: its neighbours may have one, and what rests on absence may have been missed.
fn unseen(case: &Case<'_>, id: FindingId, otherwise: &'static str) -> Check {
    if let Some(finding) = case.nearby(id) {
        return Check::Not(nearby::why(case, finding));
    }
    match case.blind_spot().filter(|_| id.row().proof == Proof::Absence) {
        Some(why) => Check::Not(format!("cannot be ruled out: {why}")),
        None => Check::Unseen(otherwise),
    }
}
