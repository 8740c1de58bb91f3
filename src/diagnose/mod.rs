//! What is the matter with one user: the runbooks of a support desk, walked through by machine (DETECTION §8).
//!
//! Each problem is a list of steps in a file of its own, each step a list of rules, the first that is met gives the verdict.
//! Those before it that were not met are what was ruled out. Rules rest on findings by their ids wherever there is one, so a detector that
//! is new to the catalogue is taken into account where a list names its id.
//!
//! The engine tells "not seen" from "did not happen": what rests on something missing is only ruled out where the capture would have
//! shown it.

mod answer;
mod anything;
mod banned;
mod call_does_not_end;
mod call_dropped;
mod cannot_call;
mod cannot_connect;
mod cannot_receive;
mod case;
mod concern;
mod facts;
mod history;
mod judge;
mod line;
mod loses_connection;
mod mended;
mod nearby;
mod parties;
mod preamble;
mod radius;
mod refusal;
mod rule;
#[cfg(test)]
mod tests;
mod unrouted;
mod unrung;
mod ways;
mod words;

use crate::detect::store::FindingStore;
use crate::diagnose::case::Case;
use crate::diagnose::rule::Walk;
use crate::report::model::{Problem, Report, Stamp, Verdict};
use crate::time::PacketTime;
use crate::track::Tracker;

/// All that is known of a capture at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The state.
    pub tracker: &'a Tracker,
    /// What was concluded.
    pub findings: &'a FindingStore,
    /// The report on both, with its capture block.
    pub report: &'a Report,
}

/// Which moment of the past a question is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moment {
    /// Whatever the capture holds.
    Any,
    /// The end of what was fed in, because somebody named that time: of several calls the last is meant.
    Named,
}

/// What somebody asks.
#[derive(Clone, Debug)]
pub struct Question {
    /// An extension, an AoR, an address, a Contact, or a dialled number.
    pub user: String,
    /// The complaint, if there is one.
    pub problem: Option<Problem>,
    /// What was over before does not count.
    pub since: Option<PacketTime>,
    /// What began later does not count.
    pub until: Option<PacketTime>,
    /// Which moment is meant.
    pub moment: Moment,
}

/// The answer, as of the end of what the scene has seen.
pub fn diagnose(scene: Scene<'_>, question: &Question) -> Verdict {
    let case = Case::open(scene, question);
    let Walk { answer, ruled_out } = match question.problem {
        Some(problem) => walk(&case, problem),
        None => anything::walk(&case),
    };
    Verdict {
        schema: Verdict::SCHEMA,
        user: question.user.clone(),
        problem: question.problem,
        verdict: answer.judgement,
        confidence: answer.confidence,
        scope: answer.scope,
        headline: format!("{}{}", answer.headline, facts::meant(&case)),
        evidence: facts::gather(&case, answer.evidence),
        ruled_out,
        next_step: answer.next_step,
        escalate: answer.escalate,
        runbook: answer.runbook,
        now: Some(Stamp(case.now)),
        worst: case.worst(),
    }
}

/// Walks through the runbook of one problem.
fn walk(case: &Case<'_>, problem: Problem) -> Walk {
    let steps = match problem {
        Problem::CannotConnect => cannot_connect::STEPS,
        Problem::CannotCall => cannot_call::STEPS,
        Problem::CannotReceive => cannot_receive::STEPS,
        Problem::CallDropped => call_dropped::STEPS,
        Problem::CallDoesNotEnd => call_does_not_end::STEPS,
        Problem::LosesConnection => loses_connection::STEPS,
    };
    rule::walk(case, preamble::STEPS.iter().chain(steps))
}
