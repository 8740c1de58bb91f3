//! What changed about the user's phones: addresses, ports, software, restarts (S4-4).

use crate::detect::OUTAGE_BEGINS;
use crate::detect::finding::Finding;
use crate::diagnose::case::Case;
use crate::report::model::{Evidence, Stamp};
use crate::time::{PacketTime, Span};
use crate::track::event::Sighting;
use crate::track::registration::changes::Change;
use crate::track::registration::device::Device;

/// Changes that are listed, the latest.
const LISTED: usize = 8;
/// A phone that restarts is heard again this soon after its trouble ended (DETECTION §2.7).
const AFTER_RESTART: Span = Span::from_secs(60);

/// Restarts within [`LATELY`] until a phone is one that restarts again and again.
const OFTEN: usize = 3;
/// How soon after one another so many outages must come (DETECTION §1.5); twice as many may within [`LATELY`].
const IN_A_ROW: Span = Span::from_secs(900);
/// How long ago a restart may be to count.
const LATELY: Span = Span::from_secs(3600);
/// A phone refreshes no earlier, in parts of what was granted (DETECTION §1.1).
const EARLIEST_REFRESH: f64 = 0.45;

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

/// The first and the last restart of a phone within the last hour, and how many there were, where it restarts again and again: not one that
/// registers under another Call-ID each time.
pub(super) fn restarts(case: &Case<'_>) -> Option<(PacketTime, PacketTime, usize)> {
    let accepted = case.registration().map_or(0, |entry| entry.accepted);
    let of_device = |device: &Device| {
        let is_restart = |(at, change): &&(Sighting, Change)| {
            matches!(change, Change::Restart { .. }) && case.now.since(case.printed(at.time)) <= LATELY
        };
        let restarts: Vec<PacketTime> = device.changes.iter().filter(is_restart).map(|(at, _)| at.time).collect();
        let soon = device.granted.as_secs_f64() * EARLIEST_REFRESH;
        let are_no_refreshes = restarts.windows(2).all(|pair| matches!(pair, [one, next] if next.since(*one).as_secs_f64() < soon));
        let is_often = restarts.len() >= OFTEN && (are_no_refreshes || accepted >= restarts.len() as u64 * 3);
        let (first, last) = (*restarts.first()?, *restarts.last()?);
        is_often.then(|| (case.printed(first), case.printed(last), restarts.len()))
    };
    case.tracked_devices().find_map(|(_, device)| of_device(device))
}

/// The outages of a phone that the PBX could not reach: since when, until when and how many are known, where there were many of late. Between
/// two of them nothing is over.
pub(super) fn outages(case: &Case<'_>, finding: &Finding) -> Option<(PacketTime, PacketTime, usize)> {
    let end = finding.cleared.filter(|end| case.now.since(case.printed(*end)) <= IN_A_ROW)?;
    let begins: Vec<PacketTime> = begins(finding).collect();
    let last = begins.iter().copied().max()?;
    let within = |span: Span| begins.iter().filter(|begin| last.since(**begin) <= span).count();
    let first = begins.iter().copied().filter(|begin| last.since(*begin) <= LATELY).min()?;
    let is_often = within(IN_A_ROW) >= OFTEN || within(LATELY) >= OFTEN * 2;
    is_often.then(|| (case.printed(first), case.printed(end), within(LATELY)))
}

/// How many outages of a phone a finding still knows; 0 where it is about none.
pub(super) fn times(finding: &Finding) -> usize {
    begins(finding).count()
}

fn begins(finding: &Finding) -> impl Iterator<Item = PacketTime> {
    finding.evidence.iter().filter(|fact| fact.fact.starts_with(OUTAGE_BEGINS)).map(|fact| fact.at)
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
