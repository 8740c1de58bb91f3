//! Findings, the worst first, each with its proof and what to do.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::super::filter::Filter;
use super::super::model::{Evidence, FindingEntry};
use super::super::style::Tone;
use super::page::{INDENT, Page};
use super::words::{self, Clock};
use crate::track::vocabulary::Severity;

/// Findings shown before the rest is only counted.
const FINDINGS: usize = 40;
/// Notes of one kind shown before the rest is only counted, unless one user or call is asked for: where each call brings about the same
/// one, the first say it.
const NOTES: usize = 3;
/// Evidence shown of one finding.
const EVIDENCE: usize = 8;
/// Where the body of a finding stands.
const BODY: usize = 4;
/// Where the values of its labelled lines stand.
const VALUE: usize = 14;
/// Where the facts of its evidence stand: room for seven digits of frame and five of seconds.
const FACT: usize = 31;

pub(super) fn write(findings: &[FindingEntry], filter: &Filter, clock: Clock, page: &mut Page) {
    if findings.is_empty() {
        return;
    }
    page.heading("Findings", "worst first");
    let mut notes: BTreeMap<&str, usize> = BTreeMap::new();
    let is_narrowed = super::is_narrowed(filter);
    let is_new = |finding: &&FindingEntry| {
        finding.severity > Severity::Info || is_narrowed || {
            let alike = notes.entry(finding.id).or_default();
            *alike += 1;
            *alike <= NOTES
        }
    };
    let listed: Vec<_> = worst_first(findings).into_iter().filter(is_new).collect();
    for finding in listed.iter().take(FINDINGS) {
        write_finding(finding, clock, page);
    }
    let alike =
        notes.into_iter().map(|(id, count)| (count.saturating_sub(NOTES), ["note", "notes"].map(|notes| format!("{notes} of {id}"))));
    let others = (listed.len().saturating_sub(FINDINGS), ["finding", "findings"].map(str::to_owned));
    for (count, [one, many]) in alike.chain([others]).filter(|(count, _)| *count > 0) {
        page.blank();
        page.paragraph(INDENT, Tone::Faint, &super::more(count, [&one, &many], filter));
    }
}

/// The findings in the order in which they matter: by severity, those still there before those
/// cleared, then the wider, the surer and the older first.
pub(super) fn worst_first(findings: &[FindingEntry]) -> Vec<&FindingEntry> {
    let mut ordered: Vec<&FindingEntry> = findings.iter().collect();
    ordered.sort_by_key(|finding| {
        let weight = (finding.severity, finding.cleared.is_none(), words::breadth(finding.scope), finding.confidence);
        (Reverse(weight), finding.since)
    });
    ordered
}

fn write_finding(finding: &FindingEntry, clock: Clock, page: &mut Page) {
    let (tone, severity) = words::severity(finding.severity);
    let about = format!("  {} · {}", words::confidence(finding.confidence), words::scope(finding.scope));
    page.blank();
    page.line(INDENT, &[(tone, severity), (Tone::Normal, "  "), (Tone::Strong, &title(finding)), (Tone::Faint, &about)]);
    page.paragraph(BODY, Tone::Normal, &finding.message);
    page.labelled_at(BODY, VALUE, "when", Tone::Normal, &when(finding, clock));
    for evidence in finding.evidence.iter().take(EVIDENCE) {
        write_evidence(evidence, clock, page);
    }
    if finding.evidence.len() > EVIDENCE {
        let more = format!("… {} more in --format json", words::count((finding.evidence.len() - EVIDENCE) as u64));
        page.labelled_at(BODY, VALUE, "", Tone::Faint, &more);
    }
    if !finding.remedy.is_empty() {
        page.labelled_at(BODY, VALUE, "do", Tone::Good, &finding.remedy);
    }
    if !finding.explains.is_empty() {
        page.labelled_at(BODY, VALUE, "explains", Tone::Faint, &finding.explains.join(", "));
    }
    if !finding.runbook.is_empty() {
        page.labelled_at(BODY, VALUE, "runbook", Tone::Faint, &finding.runbook.join(", "));
    }
}

fn title(finding: &FindingEntry) -> String {
    match finding.reason {
        Some(reason) => format!("{} ({reason})", finding.id),
        None => finding.id.to_owned(),
    }
}

fn when(finding: &FindingEntry, clock: Clock) -> String {
    let since = clock.time(finding.since);
    match finding.cleared {
        Some(cleared) => format!("from {since} to {}, over now", clock.time(cleared)),
        None => format!("since {since}"),
    }
}

/// `frame 351      +400.000s  INVITE to …`: number and time as other tools show them.
fn write_evidence(evidence: &Evidence, clock: Clock, page: &mut Page) {
    let frame = evidence.frame.map(|frame| format!("frame {frame}")).unwrap_or_default();
    let offset = clock.offset(evidence.at);
    page.labelled_at(BODY, FACT, &format!("{frame:<13} {offset:>11}"), Tone::Normal, &evidence.fact);
}
