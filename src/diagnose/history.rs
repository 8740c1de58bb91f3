//! What changed about the user's phones: addresses, ports, software, restarts (S4-4).

use crate::detect::finding::Finding;
use crate::diagnose::case::Case;
use crate::report::model::{Evidence, Stamp};
use crate::time::{PacketTime, Span};
use crate::track::event::Sighting;
use crate::track::registration::changes::Change;

/// Changes that are listed, the latest.
const LISTED: usize = 8;
/// A phone that restarts is heard again this soon after its trouble ended (DETECTION §2.7).
const AFTER_RESTART: Span = Span::from_secs(60);

/// The changes as facts, in order of time.
pub(super) fn changes(case: &Case<'_>) -> Vec<Evidence> {
    let devices = case.tracked_devices().flat_map(|(_, device)| device.changes.iter());
    let mut all: Vec<Evidence> = devices.map(|(at, change)| fact(case, *at, change)).collect();
    all.sort_by_key(|fact| (fact.at, fact.frame));
    all.split_off(all.len().saturating_sub(LISTED))
}

/// When a phone of the user restarted during a trouble or right after it.
pub(super) fn restarted(case: &Case<'_>, finding: &Finding) -> Option<PacketTime> {
    let end = finding.cleared.unwrap_or(finding.last) + AFTER_RESTART;
    let changes = case.tracked_devices().flat_map(|(_, device)| device.changes.iter());
    let restarts = changes.filter(|(_, change)| matches!(change, Change::Restart { .. })).map(|(at, _)| at.time);
    restarts.filter(|at| (finding.since..=end).contains(at)).max().map(|at| case.printed(at))
}

fn fact(case: &Case<'_>, at: Sighting, change: &Change) -> Evidence {
    let fact = match change {
        Change::Address(from, to) if from.ip() == to.ip() => format!("port changed from {} to {} at {}", from.port(), to.port(), to.ip()),
        Change::Address(from, to) => format!("source address changed from {from} to {to}"),
        Change::Agent(from) => format!("User-Agent changed; before it was {from}"),
        Change::Restart { .. } => "registers under another Call-ID, as after a restart".to_owned(),
    };
    Evidence { at: Stamp(case.printed(at.time)), frame: (at.frame > 0).then_some(at.frame), fact }
}
