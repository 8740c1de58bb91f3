//! A number by which calls reached the user, until the PBX did not know it any more (DETECTION §8.3).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::detect::catalog::FindingId as F;
use crate::diagnose::answer::Answer;
use crate::diagnose::cannot_call::suspected;
use crate::diagnose::case::Case;
use crate::diagnose::facts;
use crate::diagnose::parties::Attempt;
use crate::diagnose::rule::Check;
use crate::diagnose::words::{clock, counted};
use crate::report::model::Escalation;
use crate::track::vocabulary::{Confidence, Direction, Outcome, Scope};

/// Calls that are listed as evidence.
const LISTED: usize = 5;

/// The last call that reached the user by a number, and where such calls came from.
struct Reached<'s, 'a> {
    last: &'s Attempt<'a>,
    sources: BTreeSet<IpAddr>,
}

/// A number that stopped to reach the user, or the number asked for that stopped to reach anybody.
pub(super) fn lost(case: &Case<'_>) -> Check {
    let mut reached: BTreeMap<&str, Reached<'_, '_>> = BTreeMap::new();
    for attempt in &case.attempts {
        let Some(number) = attempt.main.to.as_deref().filter(|_| is_reached(case, attempt)) else { continue };
        let known = reached.entry(number).or_insert_with(|| Reached { last: attempt, sources: BTreeSet::new() });
        known.last = attempt;
        known.sources.insert(attempt.main.source.ip());
    }
    if reached.is_empty() {
        return Check::Pass;
    }
    let all = Attempt::all(case.scene.report);
    let unknown = |number: &str, reached: &Reached<'_, '_>| -> Vec<&Attempt<'_>> {
        let is_lost = |call: &&Attempt<'_>| {
            call.main.to.as_deref() == Some(number)
                && (reached.last.started()..=case.now).contains(&call.started())
                && reached.sources.contains(&call.main.source.ip())
                && is_unknown(call)
        };
        all.iter().filter(is_lost).collect()
    };
    let lost = reached.iter().map(|(number, reached)| (*number, reached, unknown(number, reached)));
    let latest = |calls: &[&Attempt<'_>]| calls.last().map(|call| call.started());
    match lost.filter(|(_, _, calls)| !calls.is_empty()).max_by_key(|(_, _, calls)| latest(calls)) {
        Some((number, reached, calls)) => Check::met(told(case, number, reached.last, &calls)),
        None => Check::Unseen("no number by which calls reached it was seen to be unknown later"),
    }
}

/// Whether a call reached the user by another number than its own, or the number asked for anybody at all.
fn is_reached(case: &Case<'_>, attempt: &Attempt<'_>) -> bool {
    let main = attempt.main;
    if main.direction == Direction::Out {
        return false;
    }
    let is_own = case.party.is_called(main.to.as_deref());
    match case.party.registrations.is_empty() {
        true => is_own && (main.outcome == Outcome::Answered || main.ring_s.is_some() || !attempt.legs.is_empty()),
        false => !is_own && attempt.leg_to(&case.party).is_some(),
    }
}

/// Whether the PBX itself knew nobody of that number.
fn is_unknown(call: &Attempt<'_>) -> bool {
    call.main.outcome == Outcome::NotFound && call.main.status == Some(404) && call.legs.is_empty() && call.main.passed_on_to.is_none()
}

fn told(case: &Case<'_>, number: &str, last: &Attempt<'_>, calls: &[&Attempt<'_>]) -> Answer {
    let whom = if case.party.is_called(Some(number)) { "somebody" } else { case.asked() };
    let since = calls.first().map_or(case.now, |call| call.started());
    let headline = format!(
        "The PBX does not know the number {number} any more: a call to it reached {whom} at {}, and since {} {} got 404.",
        clock(case, last.started()),
        clock(case, since),
        counted(calls.len(), "call", "calls")
    );
    suspected(F::CallFailedCalleeUnreachable, headline)
        .confidence(Confidence::Probable)
        .scope(Scope::Call)
        .facts([facts::call(last.main)])
        .facts(facts::calls(calls.iter().rev().take(LISTED).copied()))
        .next_step(format!("Second level: restore the routing of {number} on the PBX, unless it was taken away on purpose."))
        .escalate(Escalation::L2)
}
