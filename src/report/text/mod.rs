//! The report for people: what is wrong first, then what it rests on.
//!
//! At most 100 columns wide, long lists shortened with a remark that says so, and nothing from the wire shown unescaped. Times are UTC.

mod assist;
mod calls;
mod capture;
mod findings;
mod page;
mod performance;
mod registrations;
mod sites;
mod summary;
mod table;
mod verdict;
mod words;

use super::filter::{Filter, Section};
use super::model::{AssistLine, Report, Verdict};
use super::style::Style;
use page::Page;
use words::Clock;

/// A verdict as text, for somebody who has a user on the phone.
pub fn render_verdict(verdict: &Verdict, style: Style) -> String {
    let mut page = Page::new(style);
    verdict::write(verdict, &mut page);
    page.finish()
}

/// A line of a session of live assistance as text, at most 80 columns wide.
pub fn render_assist(line: &AssistLine, style: Style) -> String {
    assist::render(line, style)
}

/// The report as text. `report` is what `filter` left of it ([`Filter::apply`]).
pub fn render(report: &Report, filter: &Filter, style: Style) -> String {
    let clock = Clock::new(report.capture.first_packet, report.capture.last_packet);
    let mut page = Page::new(style);
    summary::write(report, filter, &mut page);
    for section in Section::ALL.into_iter().filter(|&section| is_wanted(section, filter)) {
        match section {
            Section::Findings => findings::write(&report.findings, filter, clock, &mut page),
            Section::Registrations => registrations::write(&report.registrations, filter, clock, &mut page),
            Section::Calls => calls::write(&report.calls, filter, clock, &mut page),
            Section::Nat => sites::write(&report.nat, filter, &mut page),
            Section::Performance => performance::write(&report.rfc6076, &mut page),
            Section::Frames => capture::write(&report.capture, &mut page),
        }
    }
    page.finish()
}

/// Whether to show a section: where one user or call is asked for, numbers of the whole capture only on request.
fn is_wanted(section: Section, filter: &Filter) -> bool {
    let whole = matches!(section, Section::Performance | Section::Frames);
    filter.shows(section) && !(whole && is_narrowed(filter) && filter.only.is_empty())
}

/// Whether one user or call is asked for.
fn is_narrowed(filter: &Filter) -> bool {
    filter.user.is_some() || filter.call_id.is_some()
}

/// What a section that was shortened says at its end: how much it leaves out, and the options that show it, of which `filter` has some.
fn more(left_out: usize, [one, many]: [&str; 2], filter: &Filter) -> String {
    let options = [("--user", filter.user.is_none()), ("--since and --until", filter.since.is_none() && filter.until.is_none())];
    let unused: String = options.into_iter().filter(|(_, is_unused)| *is_unused).map(|(option, _)| format!("{option}, ")).collect();
    let or = if unused.is_empty() { "" } else { "or " };
    let what = if left_out == 1 { one } else { many };
    format!("… {} more {what}: use {unused}{or}--format json", words::count(left_out as u64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::model::{Evidence, FindingEntry};
    use super::super::{escape, sample};
    use super::*;
    use crate::track::vocabulary::{Outcome, RegistrationState, Scope, Severity};

    fn plain(report: &Report) -> String {
        render(report, &Filter::default(), Style::Plain)
    }

    fn by_user(user: &str) -> String {
        let filter = Filter { user: Some(user.to_owned()), ..Filter::default() };
        let mut report = sample::office();
        filter.apply(&mut report);
        render(&report, &filter, Style::Plain)
    }

    /// Each wide or hidden thing that a rendered page must not contain.
    fn faults(text: &str) -> Vec<String> {
        let wide = text.lines().filter(|line| escape::width(line) > page::COLUMNS);
        let hidden = text.lines().filter(|line| line.chars().any(escape::is_hidden));
        wide.chain(hidden).map(str::to_owned).collect()
    }

    /// The office with `wire` in every place where text from the wire can stand.
    fn poisoned(wire: &str) -> Report {
        let mut report = sample::office();
        report.capture.files = vec![wire.to_owned()];
        for registration in &mut report.registrations {
            registration.aor = format!("{wire}@{wire}");
            for device in &mut registration.devices {
                device.contact = wire.to_owned();
                device.user_agent = Some(wire.to_owned());
                device.instance = Some(wire.to_owned());
            }
        }
        for call in &mut report.calls {
            call.from = Some(wire.to_owned());
            call.to = Some(wire.to_owned());
            call.call_id = wire.to_owned();
            call.end_reason = Some(wire.to_owned());
        }
        for finding in &mut report.findings {
            finding.subject = wire.to_owned();
            finding.message = format!("{wire}: {wire}");
            finding.remedy = wire.to_owned();
            finding.evidence.push(Evidence { at: finding.at, frame: Some(u64::MAX), fact: wire.to_owned() });
        }
        for site in &mut report.nat {
            site.site = wire.to_owned();
        }
        report
    }

    /// A look at the whole page: `cargo test text_for_the_eye -- --nocapture`.
    #[test]
    fn text_for_the_eye() {
        let report = sample::office();
        println!("{}\n{}\n{}", plain(&report), render(&report, &Filter::default(), Style::Colour), by_user("1001"));
        for heading in ["Findings", "Registrations", "Calls", "NAT", "Performance", "Frames"] {
            assert!(plain(&report).lines().any(|line| line.starts_with(heading)), "{heading}");
        }
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let coloured = render(&sample::office(), &Filter::default(), Style::Colour);
        let mut stripped = String::new();
        for part in coloured.split("\x1b[") {
            stripped.push_str(if stripped.is_empty() { part } else { part.split_once('m').map_or("", |(_, text)| text) });
        }
        assert_eq!(stripped.trim_start_matches("1m"), plain(&sample::office()));
    }

    #[test]
    fn the_worst_comes_first_and_is_the_headline() {
        let text = plain(&sample::office());
        let order: Vec<usize> = ["nat-binding-timeout  ", "auth-failed-loop (", "capture-lossy  ", "device-moved  "]
            .iter()
            .filter_map(|id| text.find(id))
            .collect();
        assert!(order.len() == 4 && order.is_sorted(), "{order:?}");
        assert!(text.find("NAT forgets").is_some_and(|headline| headline < text.find("Findings").unwrap_or(0)));
    }

    #[test]
    fn evidence_gives_frame_and_time_as_other_tools_show_them() {
        let text = plain(&sample::office());
        assert!(text.contains("frame 351       +400.000s  INVITE to 198.51.100.7:40311"), "{text}");
    }

    #[test]
    fn a_capture_that_cannot_be_trusted_says_so() {
        let text = plain(&sample::office());
        assert!(text.contains("a file ends in the middle of a packet"));
        assert!(text.contains("44 frames are encrypted"));
        let mut whole = sample::office();
        whole.capture.cut = false;
        whole.capture.skipped.clear();
        assert!(plain(&whole).contains("nothing in it is known to be missing"));
    }

    #[test]
    fn an_empty_capture_is_not_called_healthy() {
        let text = plain(&Report::default());
        assert!(text.contains("no packets") && !text.contains("Nothing wrong"), "{text}");
        let mut encrypted = Report::default();
        encrypted.capture.frames = 300;
        encrypted.capture.skipped.insert("encrypted", 300);
        assert!(plain(&encrypted).contains("300 frames are encrypted (TLS), so there may be calls"), "{}", plain(&encrypted));
    }

    #[test]
    fn nothing_wrong_is_said_in_words() {
        let mut report = sample::office();
        report.findings.clear();
        assert!(plain(&report).contains("Nothing wrong was found."));
        assert!(by_user("4711").contains("Nothing from or to this user is in the capture."));
    }

    #[test]
    fn one_user_is_shown_with_what_the_phone_says_of_itself() {
        let text = by_user("1001");
        assert!(text.contains("Only user 1001"), "{text}");
        assert!(text.contains("Yealink SIP-T46U 108.86.0.45"), "{text}");
        assert!(text.contains("Call-ID a84b4c76e66710@192.168.77.11"), "{text}");
        assert!(!text.contains("auth-failed-loop") && !text.contains("\nPerformance"), "{text}");
    }

    #[test]
    fn only_the_sections_asked_for_are_shown() {
        let filter = Filter { only: BTreeSet::from([Section::Calls]), ..Filter::default() };
        let mut report = sample::office();
        filter.apply(&mut report);
        let text = render(&report, &filter, Style::Plain);
        assert!(text.contains("\nCalls"));
        assert!(!text.contains("\nFindings") && !text.contains("\nPerformance") && !text.contains("\nFrames"), "{text}");
    }

    #[test]
    fn long_lists_keep_those_in_trouble_and_say_what_they_leave_out() {
        let mut report = sample::office();
        report.calls = (0..1_000)
            .map(|nth| {
                let (outcome, status) = if nth == 500 { (Outcome::ServerError, 503) } else { (Outcome::Busy, 486) };
                sample::call(&format!("{nth}@x"), "1001", &format!("to-{nth}"), f64::from(nth), outcome, Some(status))
            })
            .collect();
        report.registrations = (0..1_000)
            .map(|nth| {
                let state = if nth == 900 { RegistrationState::AuthLoop } else { RegistrationState::Registered };
                sample::registration(&format!("user-{nth}@pbx.example.com"), state, Some(200), Vec::new())
            })
            .collect();
        let scan = |nth| sample::finding("sip-scanner", Severity::Warning, Scope::Source, &format!("192.0.2.{nth}"), 5.0, "scan");
        report.findings.extend((0..200).map(scan));
        let text = plain(&report);
        assert!(text.contains("to-500 ") && text.contains("to-999 ") && text.contains("… 979 more calls and legs"), "{text}");
        assert!(text.contains("user-900 ") && text.contains("… 960 more users"), "{text}");
        assert!(text.contains("… 164 more findings"), "{text}");
        assert!(text.lines().count() < 500);
    }

    #[test]
    fn what_is_left_out_is_counted_and_only_options_are_named_that_were_not_used() {
        let (all, time) = (Filter::default(), Some(sample::at(1.0).0));
        let of = |filter: &Filter, count| more(count, ["site", "sites"], filter);
        assert_eq!(of(&all, 1), "… 1 more site: use --user, --since and --until, or --format json");
        let user = Filter { user: Some("1001".to_owned()), ..all };
        assert_eq!(of(&user, 2), "… 2 more sites: use --since and --until, or --format json");
        assert_eq!(of(&Filter { until: time, ..user }, 2), "… 2 more sites: use --format json");
    }

    #[test]
    fn of_notes_of_one_kind_the_first_are_shown() {
        let mut report = sample::office();
        let note =
            |severity, nth: u32| sample::finding("sdp-private-to-public", severity, Scope::Call, &format!("{nth}@x"), nth.into(), "note");
        report.findings = (0..30).map(|nth| note(Severity::Info, nth)).chain([note(Severity::Warning, 40)]).collect();
        let text = plain(&report);
        assert_eq!((text.matches("NOTE  sdp-private-to-public").count(), text.matches("WARNING  sdp-private-to-public").count()), (3, 1));
        assert!(text.contains("… 27 more notes of sdp-private-to-public: use --user"), "{text}");
        let all = render(&report, &Filter { user: Some("1001".to_owned()), ..Filter::default() }, Style::Plain);
        assert_eq!(all.matches("NOTE  sdp-private-to-public").count(), 30, "all are shown of the user that was asked for");
        assert!(!text.contains("more findings"), "{text}");
    }

    #[test]
    fn a_finding_with_endless_evidence_is_cut_and_says_so() {
        let mut report = sample::office();
        report.findings = vec![FindingEntry {
            evidence: (0..50).map(|nth| Evidence { at: sample::at(1.0), frame: Some(nth), fact: "x".repeat(5_000) }).collect(),
            ..sample::finding("sip-scanner", Severity::Warning, Scope::Source, "192.0.2.1", 5.0, "scan")
        }];
        let text = plain(&report);
        assert!(text.contains("… 42 more in --format json"), "{text}");
        assert_eq!(faults(&text), [""; 0]);
    }

    #[test]
    fn nasty_values_stay_on_the_page() {
        let long = "x".repeat(3_000);
        for wire in ["\x1b[2J\x1b]0;owned\x07", "\u{202e}gnp.exe", "a\r\nb", "山田太郎太郎太郎太郎太郎太郎太郎", "\\", "@", "", &long]
        {
            assert_eq!(faults(&plain(&poisoned(wire))), [""; 0], "{wire:?}");
        }
    }

    #[test]
    fn the_same_report_gives_the_same_text() {
        assert_eq!(plain(&sample::office()), plain(&sample::office()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn hostile_text_neither_acts_nor_overflows(wire in "(?s:.{0,120})|[\\x00-\\x1f\u{80}-\u{9f}\u{202a}-\u{202e} ]{1,60}") {
            let text = plain(&poisoned(&wire));
            prop_assert!(faults(&text).is_empty(), "{:?}", faults(&text));
        }
    }
}
