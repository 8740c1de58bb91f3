//! What became of the frames, and what was odd about messages.

use super::super::model::CaptureSummary;
use super::super::style::Tone;
use super::page::{INDENT, Page};
use super::table::{Cell, Table};
use super::words;

pub(super) fn write(capture: &CaptureSummary, page: &mut Page) {
    if capture.frames == 0 {
        return;
    }
    page.heading("Frames", "every frame is accounted for");
    let mut table = Table::new(&["", ""]);
    add(&mut table, capture.frames, "read", Tone::Strong);
    add(&mut table, capture.sip_frames, "carried SIP", Tone::Normal);
    add(&mut table, capture.keepalive_frames, "carried keep-alives", Tone::Normal);
    for (reason, &frames) in &capture.skipped {
        add(&mut table, frames, words::skipped(reason), Tone::Faint);
    }
    page.table(&table);
    list("Odd messages", &capture.anomalies, page);
    list("Dropped for lack of room", &capture.evicted, page);
}

fn add(table: &mut Table, frames: u64, what: &str, tone: Tone) {
    if frames > 0 {
        table.row(vec![Cell::number(words::count(frames)).tone(tone), Cell::new(what).tone(tone)]);
    }
}

fn list(title: &str, counts: &std::collections::BTreeMap<&'static str, u64>, page: &mut Page) {
    if !counts.is_empty() {
        let counts: Vec<String> = counts.iter().map(|(code, &number)| format!("{} {code}", words::count(number))).collect();
        page.paragraph(INDENT, Tone::Normal, &format!("{title}: {}", counts.join(" · ")));
    }
}
