//! NAT in front of the sites: how long it remembers a phone, and what that costs.

use super::super::filter::Filter;
use super::super::model::{NatEntry, NatStage, Ratio, Seconds};
use super::super::style::Tone;
use super::page::{INDENT, Page};
use super::table::{Cell, Table};
use super::words;
use crate::track::vocabulary::Confidence;

/// Sites shown before the rest is only counted.
const SHOWN: usize = 20;

pub(super) fn write(sites: &[NatEntry], filter: &Filter, page: &mut Page) {
    if sites.is_empty() {
        return;
    }
    page.heading("NAT", "silence after which a call still arrived, and after which it did not");
    let mut table = Table::new(&["site", "phones", "arrived", "did not", "gap", "lost", "keep-alive", "router", ""]);
    for site in worst_first(sites).into_iter().take(SHOWN) {
        table.row(cells(site));
    }
    page.table(&table);
    if sites.len() > SHOWN {
        page.paragraph(INDENT, Tone::Faint, &super::more(sites.len() - SHOWN, ["site", "sites"], filter));
    }
}

fn worst_first(sites: &[NatEntry]) -> Vec<&NatEntry> {
    let mut ordered: Vec<&NatEntry> = sites.iter().collect();
    ordered.sort_by_key(|site| std::cmp::Reverse(site.confidence));
    ordered
}

fn cells(site: &NatEntry) -> Vec<Cell> {
    let name = match site.stage {
        NatStage::Any => site.site.clone(),
        NatStage::Oneway => format!("{} one-way", site.site),
        NatStage::Stream => format!("{} two-way", site.site),
    };
    let (tone, verdict) = match site.confidence {
        None => (Tone::Good, "fine"),
        Some(Confidence::Suspected) => (Tone::Doubtful, "suspected"),
        Some(Confidence::Probable) => (Tone::Bad, "probable"),
        Some(Confidence::Confirmed) => (Tone::Bad, "confirmed"),
    };
    vec![
        Cell::new(name),
        Cell::number(words::count(site.devices)),
        Cell::number(bound(site.lifetime_min_s, site.successes)),
        Cell::number(bound(site.lifetime_max_s, site.failures)),
        Cell::number(words::lasting_or_nothing(site.keepalive_gap_s)),
        Cell::number(site.expected_loss.map(loss).unwrap_or_default()),
        Cell::number(site.recommended_keepalive_s.map(|seconds| format!("≤ {seconds} s")).unwrap_or_default()),
        Cell::number(site.recommended_nat_timeout_s.map(|seconds| format!("≥ {seconds} s")).unwrap_or_default()),
        Cell::new(verdict).tone(tone),
    ]
}

/// `31.5 s (4×)`: the bound and how often it was seen.
fn bound(seconds: Option<Seconds>, times: u64) -> String {
    seconds.map(|seconds| format!("{} ({}×)", words::lasting(seconds.0), words::count(times))).unwrap_or_default()
}

fn loss([least, most]: [Ratio; 2]) -> String {
    let percent = |ratio: Ratio| format!("{:.0}", ratio.as_f64() * 100.0);
    let (least, most) = (percent(least), percent(most));
    if least == most { format!("{least} %") } else { format!("{least}–{most} %") }
}
