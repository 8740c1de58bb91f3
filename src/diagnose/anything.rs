//! "Is anything wrong with this user?": every runbook, and the answer that matters most.

use crate::diagnose::answer::Answer;
use crate::diagnose::case::Case;
use crate::diagnose::rule::{self, Walk};
use crate::diagnose::{preamble, walk as walk_one};
use crate::report::model::{Judgement, Problem};
use crate::track::vocabulary::{Confidence, Scope, Severity};

/// Every runbook, those first whose trouble brings about that of the others.
const ORDER: [Problem; 6] = [
    Problem::CannotConnect,
    Problem::LosesConnection,
    Problem::CannotReceive,
    Problem::CannotCall,
    Problem::CallDropped,
    Problem::CallDoesNotEnd,
];

/// Walks through all of them.
pub(super) fn walk(case: &Case<'_>) -> Walk {
    let mut best: Option<Walk> = None;
    let mut ruled_out = rule::walk(case, preamble::STEPS.iter()).ruled_out;
    for walk in ORDER.into_iter().map(|problem| walk_one(case, problem)) {
        for item in walk.ruled_out.iter().filter(|item| item.verdict.contains('-')) {
            if ruled_out.iter().all(|known| known.verdict != item.verdict) {
                ruled_out.push(item.clone());
            }
        }
        if best.as_ref().is_none_or(|best| weight(&walk.answer) > weight(&best.answer)) {
            best = Some(walk);
        }
    }
    let mut walk = best.unwrap_or_else(|| rule::walk(case, preamble::STEPS.iter()));
    ruled_out.retain(|item| item.verdict != walk.answer.judgement.as_str());
    walk.ruled_out = ruled_out;
    walk
}

/// How much an answer matters among those of all runbooks: what is wrong, then what was wrong, then that all is well, then what people
/// did; that a single question cannot be answered matters least.
fn weight(answer: &Answer) -> (u8, Option<Severity>, Confidence) {
    let rank = match answer.judgement {
        Judgement::Finding(_) => 6,
        Judgement::Temporary => 5,
        Judgement::DeliveredElsewhere => 4,
        // What people did with one call does not make a healthy phone less so; a phone or a site that is switched off does.
        Judgement::NotAnIssue if answer.scope != Scope::Call => 4,
        Judgement::Healthy => 3,
        Judgement::NotAnIssue => 2,
        Judgement::CannotTell => 1,
        Judgement::NoTraffic => 0,
    };
    (rank, answer.severity, answer.confidence)
}
