//! The metrics of RFC 6076 as a block.

use super::super::model::{Distribution, Ratio, Rfc6076, Seconds};
use super::super::style::Tone;
use super::page::Page;
use super::table::{Cell, Table};
use super::words;

pub(super) fn write(performance: &Rfc6076, page: &mut Page) {
    let delays = [
        ("RRD", "registration takes", &performance.rrd_s),
        ("SRD", "setup, where it worked", &performance.srd_success_s),
        ("SRD", "setup, where it failed", &performance.srd_failure_s),
        ("SDD", "hanging up takes", &performance.sdd_s),
        ("SDT", "calls last", &performance.sdt_s),
    ];
    let ratios = [
        ("SER", "attempts answered", performance.ser_ratio),
        ("SEER", "answered or ended by a person", performance.seer_ratio),
        ("SCR", "calls ended as they should", performance.scr_ratio),
        ("ISA", "attempts failed by a server", performance.isa_ratio),
        ("IRA", "registrations failed", performance.ira_ratio),
    ];
    if delays.iter().all(|(_, _, spread)| spread.count == 0) && ratios.iter().all(|(_, _, ratio)| ratio.is_none()) {
        return;
    }
    page.heading("Performance", "RFC 6076, measured at the PBX over the whole capture");
    write_delays(&delays, page);
    write_ratios(&ratios, page);
}

fn write_delays(delays: &[(&str, &str, &Distribution)], page: &mut Page) {
    let mut table = Table::new(&["", "", "count", "median", "95 of 100", "mean", "longest"]);
    for (name, meaning, spread) in delays.iter().filter(|(_, _, spread)| spread.count > 0) {
        let value = |seconds: Option<Seconds>| Cell::number(words::lasting_or_nothing(seconds));
        table.row(vec![
            Cell::new(name).tone(Tone::Faint),
            Cell::new(meaning),
            Cell::number(words::count(spread.count)),
            value(spread.p50),
            value(spread.p95),
            value(spread.mean),
            value(spread.max),
        ]);
    }
    page.table(&table);
}

fn write_ratios(ratios: &[(&str, &str, Option<Ratio>)], page: &mut Page) {
    let mut table = Table::new(&["", "", ""]);
    for (name, meaning, ratio) in ratios {
        if let Some(ratio) = ratio {
            table.row(vec![Cell::new(name).tone(Tone::Faint), Cell::new(meaning), Cell::number(words::percent(*ratio))]);
        }
    }
    page.table(&table);
}
