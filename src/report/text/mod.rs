//! The report for people: what is wrong first, then what it rests on.
//!
//! At most 100 columns wide, long lists shortened with a remark that says so, and nothing from the wire shown unescaped. Times are UTC.

mod calls;
mod capture;
mod findings;
mod page;
mod performance;
mod registrations;
mod sites;
mod summary;
mod table;
mod words;

use super::filter::{Filter, Section};
use super::model::Report;
use super::style::Style;
use page::Page;
use words::Clock;

/// The report as text. `report` is what `filter` left of it ([`Filter::apply`]).
pub fn render(report: &Report, filter: &Filter, style: Style) -> String {
    let clock = Clock::new(report.capture.first_packet, report.capture.last_packet);
    let mut page = Page::new(style);
    summary::write(report, filter, &mut page);
    for section in Section::ALL.into_iter().filter(|&section| filter.shows(section)) {
        match section {
            Section::Findings => findings::write(&report.findings, clock, &mut page),
            Section::Registrations => registrations::write(&report.registrations, clock, &mut page),
            Section::Calls => calls::write(&report.calls, clock, &mut page),
            Section::Nat => sites::write(&report.nat, &mut page),
            Section::Performance => performance::write(&report.rfc6076, &mut page),
            Section::Frames => capture::write(&report.capture, &mut page),
        }
    }
    page.finish()
}

/// What a section that was shortened says at its end.
fn more(left_out: usize, what: &str) -> String {
    format!("… {} more {what}: use --user, --since and --until, or --format json", words::count(left_out as u64))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    /// Prints the sample for a look at it: `cargo test sample_report -- --nocapture`.
    #[test]
    fn a_sample_report_has_every_section() {
        let report = sample::office();
        let text = render(&report, &Filter::default(), Style::Plain);
        println!("{text}");
        println!("{}", render(&report, &Filter::default(), Style::Colour));
        for heading in ["Findings", "Registrations", "Calls", "NAT", "Performance", "Frames"] {
            assert!(text.lines().any(|line| line.starts_with(heading)), "{heading}");
        }
    }
}
