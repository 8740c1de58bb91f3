//! Calls that were given up before anything rang: whoever ended them, something had not done its part by then (DETECTION §4.3, §4.4).

use std::net::SocketAddr;

use crate::detect::catalog::FindingId as F;
use crate::diagnose::answer::Answer;
use crate::diagnose::cannot_call::{suspected, treat};
use crate::diagnose::case::Case;
use crate::diagnose::parties::Attempt;
use crate::diagnose::refusal::place_in_words;
use crate::diagnose::words::{caller, clock, dialled, lasting};
use crate::report::model::{CallEntry, Escalation};
use crate::time::Span;
use crate::track::vocabulary::{Direction, Outcome, Scope};

/// How long nothing rings until it is not the caller's impatience or second thought that a call is given up.
const PATIENCE: Span = Span::from_secs(10);

/// How long somebody waited for `call` to ring and gave it up then; `None` where it rang or was given up soon.
pub(super) fn waited(call: &CallEntry) -> Option<Span> {
    let waited = call.ended?.0.since(call.started?.0);
    (call.outcome == Outcome::Cancelled && call.ring_s.is_none() && !call.partial && waited >= PATIENCE).then_some(waited)
}

/// The same for the caller, where no phone that the PBX called rang either.
pub(super) fn in_vain(attempt: &Attempt<'_>) -> Option<Span> {
    let is_silent = attempt.legs.iter().all(|leg| leg.ring_s.is_none() && leg.answered.is_none());
    waited(attempt.main).filter(|_| is_silent)
}

/// Who left the caller waiting: the end that the PBX called, or the PBX where it was not seen to call anybody.
pub(super) fn verdict(case: &Case<'_>, attempt: &Attempt<'_>, waited: Span) -> Answer {
    let main = attempt.main;
    let which = format!(
        "The call of {} to {} at {} was given up after {} in which nothing rang",
        caller(main),
        dialled(main),
        clock(case, attempt.started()),
        lasting(waited)
    );
    let leg = attempt.legs.last().copied().or_else(|| Some(main).filter(|main| main.direction == Direction::Out));
    match leg.map(|leg| leg.destination).or(main.passed_on_to) {
        Some(place) if case.scene.tracker.world.peers.is_trunk(place.ip()) => {
            suspected(F::TrunkNoResponse, format!("{which}: the trunk {} was called and did not put it through.", place.ip()))
                .scope(Scope::Trunk)
                .next_step("Second level: check the trunk and the status page of the carrier.")
                .escalate(Escalation::L2)
        }
        Some(place) => of_the_phone(case, &which, place).next_step(treat(leg.map_or_else(|| dialled(main), dialled))),
        None => suspected(F::PbxSlow, format!("{which}: the PBX took it, and no call of the PBX to anybody was captured."))
            .scope(Scope::Server)
            .next_step("Second level: check the dial plan of the PBX, its database and its services at that time.")
            .escalate(Escalation::L2),
    }
}

/// The phone of the called user was called and did not ring.
pub(super) fn at_the_phone(case: &Case<'_>, attempt: &Attempt<'_>, place: SocketAddr, waited: Span) -> Answer {
    let which = format!(
        "The call of {} at {} was given up after {} in which nothing rang",
        caller(attempt.main),
        clock(case, attempt.started()),
        lasting(waited)
    );
    of_the_phone(case, &which, place)
        .scope(case.scope())
        .next_step("Restart the phone and call again; if it does not ring then either, look at its log and its software.")
}

fn of_the_phone(case: &Case<'_>, which: &str, place: SocketAddr) -> Answer {
    suspected(F::CalleeNoResponse, format!("{which}: the PBX called {}, and that did not ring.", place_in_words(case, place)))
}
