//! The head of the report: what was captured, how it went, and whether the capture can be trusted.

use std::collections::BTreeMap;

use super::super::filter::{Filter, Section};
use super::super::model::{CallEntry, CaptureSummary, FindingEntry, LeftOut, RegistrationEntry, Report};
use super::super::style::Tone;
use super::page::{INDENT, Page};
use super::{calls, findings, words};
use crate::detect::catalog::FindingId;
use crate::track::vocabulary::{Outcome, RegistrationState, Severity};

/// PBX addresses named before the rest is only counted.
const NAMED_ADDRESSES: usize = 4;

pub(super) fn write(report: &Report, filter: &Filter, page: &mut Page) {
    let capture = &report.capture;
    page.line(0, &[(Tone::Strong, "siphound"), (Tone::Normal, "  "), (Tone::Normal, &files(capture))]);
    page.paragraph(INDENT, Tone::Faint, &extent(capture));
    let asked = filter.to_string();
    if !asked.is_empty() {
        page.paragraph(INDENT, Tone::Doubtful, &format!("Only {asked}"));
    }
    page.blank();
    if capture.sip_messages == 0 {
        let (tone, text) = silence(capture);
        page.paragraph(INDENT, tone, &text);
        page.blank();
    } else if filter.user.is_some() && report.registrations.is_empty() && report.calls.is_empty() {
        page.paragraph(INDENT, Tone::Doubtful, "Nothing from or to this user is in the capture.");
        page.blank();
    } else if filter.shows(Section::Findings) {
        verdict(&report.findings, page);
        page.blank();
    }
    if !report.registrations.is_empty() {
        page.labelled("Phones", Tone::Normal, &phones(&report.registrations));
    }
    if !report.calls.is_empty() {
        page.labelled("Calls", Tone::Normal, &outcomes(&report.calls));
    }
    if report.left_out != LeftOut::default() {
        page.labelled("Scanners", Tone::Normal, &scans(report.left_out));
    }
    if !report.pbx_addresses.is_empty() {
        page.labelled("PBX", Tone::Normal, &addresses(report));
    }
    let (tone, trust) = trust(capture);
    page.labelled("Capture", tone, &trust);
}

/// What scanners did, which the lists do not show.
fn scans(left_out: LeftOut) -> String {
    let users = words::counted(left_out.users as u64, "user", "users");
    let calls = words::counted(left_out.calls as u64, "call", "calls");
    format!("{users} and {calls} tried in vain, left out here (--format json has them)")
}

fn files(capture: &CaptureSummary) -> String {
    match capture.files.as_slice() {
        [] => "live".to_owned(),
        [first, second, third, .., last] => format!("{first}, {second}, {third}, … {last} ({} files)", capture.files.len()),
        few => few.join(", "),
    }
}

fn extent(capture: &CaptureSummary) -> String {
    let (Some(first), Some(last)) = (capture.first_packet, capture.last_packet) else {
        return "no packets".to_owned();
    };
    let lasted = words::lasting(last.0.since(first.0));
    let messages = words::counted(capture.sip_messages, "SIP message", "SIP messages");
    let again = match capture.retransmissions {
        0 => String::new(),
        n => format!(", {} of them sent again", words::count(n)),
    };
    format!("{} ({lasted}) · {messages}{again}", words::period(first, last))
}

/// What to say of a capture in which nobody spoke SIP.
fn silence(capture: &CaptureSummary) -> (Tone, String) {
    let encrypted = capture.skipped.get("encrypted").copied().unwrap_or_default();
    let text = match (capture.frames, encrypted) {
        (0, _) => "The capture holds no packets.".to_owned(),
        (frames, 0) => format!("No SIP message in {}.", words::counted(frames, "frame", "frames")),
        (frames, encrypted) => format!(
            "No SIP message in {}; {} encrypted (TLS), so there may be calls that cannot be seen here.",
            words::counted(frames, "frame", "frames"),
            words::counted(encrypted, "frame is", "frames are")
        ),
    };
    (Tone::Doubtful, text)
}

/// The count of the findings and the worst of them in its own words.
fn verdict(all: &[FindingEntry], page: &mut Page) {
    let Some(worst) = findings::worst_first(all).into_iter().next() else {
        page.paragraph(INDENT, Tone::Good, "Nothing wrong was found.");
        return;
    };
    let counts = Severity::ALL.iter().rev().filter_map(|&severity| {
        let number = all.iter().filter(|finding| finding.severity == severity).count() as u64;
        (number > 0).then(|| words::severities(severity, number))
    });
    page.paragraph(INDENT, Tone::Strong, &counts.collect::<Vec<_>>().join(", "));
    let (tone, _) = words::severity(worst.severity);
    page.paragraph(INDENT, tone, &worst.message);
}

fn phones(registrations: &[RegistrationEntry]) -> String {
    let mut states: BTreeMap<(RegistrationState, &str), u64> = BTreeMap::new();
    for registration in registrations.iter().filter(|registration| registration.state != RegistrationState::Registered) {
        *states.entry((registration.state, words::registration(registration).1)).or_default() += 1;
    }
    let registered = registrations.len() as u64 - states.values().sum::<u64>();
    let first = format!("{} of {} registered", words::count(registered), words::count(registrations.len() as u64));
    let others = states.into_iter().map(|((_, text), number)| format!("{} {text}", words::count(number)));
    words::side_by_side(std::iter::once(first).chain(others))
}

fn outcomes(entries: &[CallEntry]) -> String {
    let mut outcomes: BTreeMap<Outcome, u64> = BTreeMap::new();
    for call in entries.iter().filter(|call| !calls::is_second_leg(call)) {
        *outcomes.entry(call.outcome).or_default() += 1;
    }
    let counts = outcomes.iter().map(|(&outcome, &number)| format!("{} {}", words::count(number), words::outcome(outcome).1));
    format!("{}: {}", words::count(outcomes.values().sum()), words::side_by_side(counts))
}

fn addresses(report: &Report) -> String {
    let named = |address| report.pbx_names.get(address).map_or_else(|| address.to_string(), |name| format!("{address} ({name})"));
    let named: Vec<String> = report.pbx_addresses.iter().take(NAMED_ADDRESSES).map(named).collect();
    match report.pbx_addresses.len() - named.len() {
        0 => named.join(", "),
        more => format!("{}, … {} more", named.join(", "), words::count(more as u64)),
    }
}

/// What the capture lacks: where it lacks something, silence proves nothing.
fn trust(capture: &CaptureSummary) -> (Tone, String) {
    let found = |id: FindingId| capture.doubts.contains(&id);
    let (is_one_way, is_stalled) = (found(FindingId::CaptureOneWay), found(FindingId::CaptureStalled));
    // What a missing direction lacks is not counted.
    let missing = if is_one_way { 0 } else { capture.missing };
    let lost = |reason: &str| capture.skipped.get(reason).copied().unwrap_or_default();
    let evicted: u64 = capture.evicted.values().sum();
    let flaws = [
        capture.cut.then(|| "a file ends in the middle of a packet".to_owned()),
        is_one_way.then(|| "one direction is missing".to_owned()),
        is_stalled.then(|| "nothing at all was captured for a while".to_owned()),
        (capture.silences > 0 && !is_stalled).then(|| "nothing was captured for a while, or the clock was set forward".to_owned()),
        found(FindingId::ClockStepped).then(|| "the clock was set back".to_owned()),
        flaw(missing, "message is missing, as others prove", "messages are missing, as others prove"),
        (missing == 0 && found(FindingId::CaptureLossy)).then(|| "packets are missing".to_owned()),
        flaw(lost("encrypted"), "frame is encrypted", "frames are encrypted"),
        flaw(lost("truncated"), "frame is cut by the snap length", "frames are cut by the snap length"),
        flaw(lost("incomplete_fragment"), "fragment lacks its others", "fragments lack their others"),
        flaw(lost("incomplete_stream"), "TCP segment lacks its others", "TCP segments lack their others"),
        flaw(lost("evicted"), "frame was dropped for lack of memory", "frames were dropped for lack of memory"),
        flaw(evicted, "entry was dropped for lack of room", "entries were dropped for lack of room"),
    ];
    let flaws: Vec<String> = flaws.into_iter().flatten().collect();
    if flaws.is_empty() {
        (Tone::Normal, "whole: nothing in it is known to be missing".to_owned())
    } else {
        (Tone::Doubtful, words::side_by_side(flaws))
    }
}

fn flaw(number: u64, one: &str, more: &str) -> Option<String> {
    (number > 0).then(|| words::counted(number, one, more))
}
