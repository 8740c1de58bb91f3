//! Facts that every verdict gives: who was meant, how the registration stands, and how many others are well.

use std::collections::BTreeMap;

use crate::diagnose::case::Case;
use crate::diagnose::history;
use crate::diagnose::parties::Attempt;
use crate::diagnose::words::{caller, counted, dialled, outcome_as_told, registration, said};
use crate::report::model::{CallEntry, Evidence, Problem, RegistrationEntry, Stamp};
use crate::track::site::Site;
use crate::track::vocabulary::{Reachability, RegistrationState};

/// Calls that are listed at most.
const CALLS: usize = 5;
/// Users of an ambiguous question that are named.
const NAMED: usize = 5;

/// The facts of an answer together with those of the user, in order of time, each once.
pub(super) fn gather(case: &Case<'_>, mut facts: Vec<Evidence>) -> Vec<Evidence> {
    facts.extend(case.party.registrations.iter().take(NAMED).map(|entry| standing(case, entry)));
    facts.extend(neighbours(case));
    facts.extend(impostures(case));
    if matches!(case.question.problem, Some(Problem::LosesConnection) | None) {
        facts.extend(history::changes(case));
    }
    if facts.iter().all(|fact| !fact.fact.starts_with("call ")) {
        facts.extend(calls(case.attempts.iter().rev().take(CALLS)));
    }
    facts.sort_by(|a, b| (a.at, a.frame, &a.fact).cmp(&(b.at, b.frame, &b.fact)));
    facts.dedup();
    facts
}

/// One fact for each of some calls.
pub(super) fn calls<'s, 'a: 's>(attempts: impl IntoIterator<Item = &'s Attempt<'a>>) -> Vec<Evidence> {
    attempts.into_iter().map(|attempt| call(attempt.main)).collect()
}

/// How a call went.
pub(super) fn call(entry: &CallEntry) -> Evidence {
    let frame = (entry.first_frame > 0).then_some(entry.first_frame);
    let fact = format!("call of {} to {}: {}", caller(entry), dialled(entry), outcome_as_told(entry, said(entry)));
    Evidence { at: Stamp(entry.first_seen), frame, fact }
}

/// Which users an ambiguous question means, as a sentence behind the headline; nothing where it is clear.
pub(super) fn meant(case: &Case<'_>) -> String {
    let all = &case.party.registrations;
    if all.len() < 2 {
        return String::new();
    }
    let named: Vec<_> = all.iter().take(NAMED).map(|entry| entry.aor.as_str()).collect();
    let more = match all.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(" ({} means {}{more}.)", case.asked(), named.join(", "))
}

/// How a registration stands, with its first packet as the proof where it stands.
fn standing(case: &Case<'_>, entry: &RegistrationEntry) -> Evidence {
    let since = entry.devices.iter().filter_map(|device| device.registered_at).min();
    let at = since.or_else(|| entry.devices.iter().filter_map(|device| device.last_seen).max()).unwrap_or(Stamp(case.now));
    let device = entry.devices.iter().max_by_key(|device| (device.state == RegistrationState::Registered, device.last_seen));
    let place = device.map_or_else(String::new, |device| format!(" at {}", device.source));
    let reach = match device.map(|device| device.reachability) {
        Some(Reachability::Reachable) => ", and answers the OPTIONS of the PBX",
        Some(Reachability::Lagged) => ", and answers the OPTIONS of the PBX late",
        Some(Reachability::Unreachable) => ", and does not answer the OPTIONS of the PBX",
        _ => "",
    };
    Evidence { at, frame: None, fact: format!("{}{place} {}{reach}", entry.aor, registration(entry)) }
}

/// Calls in the user's name that were not the user's.
fn impostures(case: &Case<'_>) -> Option<Evidence> {
    let first = case.impostures.first()?;
    let calls = counted(case.impostures.len(), "call", "calls");
    let fact = format!("{calls} in the name of {} from {}, where no phone of it is: not this user's", case.asked(), first.source.ip());
    Some(Evidence { at: Stamp(first.first_seen), frame: (first.first_frame > 0).then_some(first.first_frame), fact })
}

/// How the other phones at the user's addresses are (S4-1).
fn neighbours(case: &Case<'_>) -> Option<Evidence> {
    let addresses = case.party.addresses();
    let sites: Vec<_> = addresses.iter().map(|address| Site::of(*address)).collect();
    let others = case.scene.report.registrations.iter().filter(|entry| !case.party.is_aor(&entry.aor));
    // A phone that began anew, as after a restart, is listed twice.
    let mut near: BTreeMap<_, bool> = BTreeMap::new();
    for (entry, device) in others.flat_map(|entry| entry.devices.iter().map(move |device| (entry, device))) {
        if sites.contains(&Site::of(device.source.ip())) {
            let is_well = device.state == RegistrationState::Registered && device.reachability != Reachability::Unreachable;
            *near.entry((&entry.aor, device.source)).or_default() |= is_well;
        }
    }
    let well = near.values().filter(|is_well| **is_well).count();
    let fact = match (near.len(), well) {
        (1, 1) => "the one other phone at its address is registered and not unreachable".to_owned(),
        (1, _) => "the one other phone at its address is not registered, or unreachable".to_owned(),
        (others, _) => format!("{well} of {others} other phones at its address are registered and not unreachable"),
    };
    (!near.is_empty()).then_some(Evidence { at: Stamp(case.now), frame: None, fact })
}
