//! Calls, the legs of one call together.

use std::collections::{BTreeMap, BTreeSet};

use super::super::filter::Filter;
use super::super::model::CallEntry;
use super::super::style::Tone;
use super::page::{INDENT, Page};
use super::table::{Cell, Table};
use super::words::{self, Clock};
use crate::track::vocabulary::{CallState, Direction};

/// Entries shown before a selection is made: of more, this half of those in trouble and this half of the latest.
const SHOWN: usize = 40;
/// Up to this many entries are shown with their addresses and Call-IDs.
const DETAILED: usize = 8;

pub(super) fn write(calls: &[CallEntry], filter: &Filter, clock: Clock, page: &mut Page) {
    if calls.is_empty() {
        return;
    }
    let chosen = choose(calls);
    let left_out = calls.len() - chosen.len();
    page.heading("Calls", if left_out > 0 { "those that failed, and the latest" } else { "" });
    let mut table = Table::new(&["start", "from", "to", "outcome", "ring", "talk", "ended by"]);
    for (leg, call) in together(chosen) {
        table.row(cells(leg, call, clock));
        if let Some((tone, note)) = note(call) {
            table.note(tone, note);
        }
        if calls.len() <= DETAILED {
            table.note(Tone::Faint, format!("{} → {}", call.source, call.destination));
            table.note(Tone::Faint, format!("Call-ID {}", call.call_id));
        }
    }
    page.table(&table);
    if left_out > 0 {
        page.paragraph(INDENT, Tone::Faint, &super::more(left_out, ["call or leg", "calls and legs"], filter));
    }
}

/// Whether an entry is the leg from the PBX to the callee of a call whose other leg is an entry too.
pub(super) fn is_second_leg(call: &CallEntry) -> bool {
    call.direction == Direction::Out && !call.linked.is_empty()
}

/// Where an entry stands among the legs of its call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Leg {
    First,
    Further,
}

/// All of them, or of many the first that are in trouble and the latest, in order of time.
fn choose(calls: &[CallEntry]) -> Vec<&CallEntry> {
    if calls.len() <= SHOWN {
        return calls.iter().collect();
    }
    let troubled = calls.iter().enumerate().filter(|(_, call)| is_troubled(call)).map(|(at, _)| at).take(SHOWN / 2);
    let latest = calls.len() - SHOWN / 2..calls.len();
    let chosen: BTreeSet<usize> = troubled.chain(latest).collect();
    chosen.into_iter().filter_map(|at| calls.get(at)).collect()
}

fn is_troubled(call: &CallEntry) -> bool {
    matches!(words::outcome(call.outcome).0, Tone::Bad | Tone::Doubtful) || call.overbilled_s.is_some()
}

/// The entries with further legs of a call right behind its first.
fn together(calls: Vec<&CallEntry>) -> Vec<(Leg, &CallEntry)> {
    let mut by_id: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, call) in calls.iter().enumerate() {
        by_id.entry(&call.call_id).or_default().push(at);
    }
    let mut placed = BTreeSet::new();
    let mut ordered = Vec::with_capacity(calls.len());
    for (at, call) in calls.iter().enumerate() {
        if !placed.insert(at) {
            continue;
        }
        ordered.push((Leg::First, *call));
        for other in call.linked.iter().filter_map(|id| by_id.get(id.as_str())).flatten() {
            if placed.insert(*other) {
                ordered.extend(calls.get(*other).map(|call| (Leg::Further, *call)));
            }
        }
    }
    ordered
}

fn cells(leg: Leg, call: &CallEntry, clock: Clock) -> Vec<Cell> {
    let start = call.started.map_or_else(|| "before".to_owned(), |started| clock.time(started));
    let start = match leg {
        Leg::First => Cell::new(start),
        Leg::Further => Cell::new(" └ leg").tone(Tone::Faint),
    };
    let (tone, _) = words::outcome(call.outcome);
    vec![
        start,
        Cell::new(call.from.as_deref().unwrap_or("?")),
        Cell::new(call.to.as_deref().unwrap_or("?")),
        Cell::new(outcome(call)).tone(tone),
        Cell::number(words::lasting_or_nothing(call.ring_s)),
        Cell::number(call.talk_s.map(|talk| words::talk(talk.0)).unwrap_or_default()),
        Cell::new(ended_by(call)),
    ]
}

/// The outcome, with the status code where the word does not say it.
fn outcome(call: &CallEntry) -> String {
    let (_, text) = words::outcome(call.outcome);
    match call.status {
        Some(status) if status >= 300 => format!("{text} {status}"),
        _ => text.to_owned(),
    }
}

fn ended_by(call: &CallEntry) -> &'static str {
    match (call.state, call.ended_by) {
        (CallState::Open, _) => "still up",
        (_, Some(side)) => words::ended_by(side),
        (_, None) => "",
    }
}

/// What else a person should know of the call.
fn note(call: &CallEntry) -> Option<(Tone, String)> {
    if let Some(overbilled) = call.overbilled_s {
        return Some((Tone::Bad, format!("one leg stayed up, {} too long", words::lasting(overbilled.0))));
    }
    call.end_reason.as_ref().filter(|reason| !is_ordinary(reason)).map(|reason| (Tone::Faint, reason.clone()))
}

/// Whether the reason given says no more than that somebody hung up: Q.850 cause 16, as the PBXs write it.
fn is_ordinary(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    reason.contains("cause=16") || (reason.contains("normal") && reason.contains("clearing"))
}
