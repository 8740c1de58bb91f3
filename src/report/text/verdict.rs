//! A verdict on one page: what the matter is, what was seen, what it is not, what to do and who has to.

use super::super::model::{Escalation, Evidence, Ground, Judgement, Problem, Stamp, Verdict};
use super::super::style::Tone;
use super::page::{INDENT, Page};
use super::words::{self, Clock};
use crate::detect::catalog::FindingId;

/// Facts shown before the rest is only counted.
const FACTS: usize = 12;
/// Where a fact begins: behind its frame and its time.
const FACT: usize = 30;
/// Where the reason begins why something is ruled out: behind the longest name.
const REASON: usize = 34;

pub(super) fn write(verdict: &Verdict, page: &mut Page) {
    page.line(0, &[(Tone::Strong, &question(verdict))]);
    if let Some(now) = verdict.now {
        page.paragraph(INDENT, Tone::Faint, &format!("as of {} UTC", now.to_string().replace('T', " ").get(..19).unwrap_or_default()));
    }
    page.blank();
    let about = format!("  {} · {}", words::confidence(verdict.confidence), words::scope(verdict.scope));
    page.line(INDENT, &[(tone(verdict.verdict), verdict.verdict.as_str()), (Tone::Faint, &about)]);
    page.paragraph(INDENT, Tone::Normal, &verdict.headline);
    if !verdict.evidence.is_empty() {
        page.heading("What was seen", "");
        write_evidence(verdict, page);
    }
    if !verdict.ruled_out.is_empty() {
        page.heading("What it is not", "");
        write_ruled_out(verdict, page);
    }
    page.heading("What to do", "");
    page.paragraph(INDENT, Tone::Good, &verdict.next_step);
    page.paragraph(INDENT, Tone::Normal, escalation(verdict.escalate));
    if !verdict.runbook.is_empty() {
        page.paragraph(INDENT, Tone::Faint, &format!("Runbook: {}", verdict.runbook.join(", ")));
    }
}

/// The question in words, as the first line.
fn question(verdict: &Verdict) -> String {
    let complaint = match verdict.problem {
        Some(Problem::CannotConnect) => "cannot connect",
        Some(Problem::CannotCall) => "cannot call",
        Some(Problem::CannotReceive) => "cannot receive calls",
        Some(Problem::CallDropped) => "had a call dropped",
        Some(Problem::CallDoesNotEnd) => "has a call that does not end",
        Some(Problem::LosesConnection) => "loses its connection",
        None => "- is anything wrong?",
    };
    format!("User {} {complaint}", verdict.user)
}

fn tone(judgement: Judgement) -> Tone {
    match judgement {
        Judgement::Finding(_) => Tone::Bad,
        Judgement::Healthy | Judgement::NotAnIssue => Tone::Good,
        Judgement::Temporary | Judgement::DeliveredElsewhere | Judgement::NoTraffic | Judgement::CannotTell => Tone::Doubtful,
    }
}

fn write_evidence(verdict: &Verdict, page: &mut Page) {
    let times = || verdict.evidence.iter().map(|fact| fact.at);
    let clock = Clock::new(times().min().map(|first| Stamp(first.0)), times().max().map(|last| Stamp(last.0)));
    for fact in verdict.evidence.iter().take(FACTS) {
        page.labelled_at(INDENT, FACT, &place(fact, clock), Tone::Normal, &fact.fact);
    }
    if let Some(more @ 1..) = verdict.evidence.len().checked_sub(FACTS) {
        page.labelled_at(INDENT, FACT, "", Tone::Faint, &format!("… {} more in --format json", words::count(more as u64)));
    }
}

/// What tells something line by line, and the names alone of what no sign was seen of.
fn write_ruled_out(verdict: &Verdict, page: &mut Page) {
    let (told, unseen): (Vec<_>, Vec<_>) = verdict.ruled_out.iter().partition(|ruled_out| ruled_out.ground == Ground::Told);
    for ruled_out in told {
        page.labelled_at(INDENT, REASON, ruled_out.verdict, Tone::Normal, &ruled_out.why);
    }
    // The answers that are no findings are not looked for; they are what remains.
    if !unseen.is_empty() {
        let findings = unseen.iter().map(|ruled_out| ruled_out.verdict).filter(|name| FindingId::from_name(name).is_some());
        let names: Vec<_> = findings.collect();
        if !names.is_empty() {
            page.paragraph(INDENT, Tone::Faint, &format!("No sign was seen of {}.", names.join(", ")));
        }
    }
}

/// `frame 351      09:06:40`, where a frame shows it.
fn place(fact: &Evidence, clock: Clock) -> String {
    let frame = fact.frame.map(|frame| format!("frame {frame}")).unwrap_or_default();
    format!("{frame:<12} {:>14}", clock.time(fact.at))
}

fn escalation(escalation: Escalation) -> &'static str {
    match escalation {
        Escalation::None => "Do not escalate: the first level can act.",
        Escalation::L2 => "Escalate to the second level: it takes work on the PBX, its network or the account.",
        Escalation::L3 => "Escalate to the third level: nothing that was captured explains it.",
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::escape;
    use super::super::super::model::RuledOut;
    use super::super::super::sample;
    use super::super::super::style::Style;
    use super::super::{page, render_verdict};
    use super::*;
    use crate::track::vocabulary::{Confidence, Scope};

    fn verdict(wire: &str) -> Verdict {
        Verdict {
            schema: Verdict::SCHEMA,
            user: wire.to_owned(),
            problem: Some(Problem::CannotReceive),
            verdict: Judgement::DeliveredElsewhere,
            confidence: Confidence::Confirmed,
            scope: Scope::Phone,
            headline: format!("{wire}: {wire}"),
            evidence: (0..40).map(|nth| Evidence { at: sample::at(1.0), frame: Some(nth), fact: wire.to_owned() }).collect(),
            ruled_out: vec![RuledOut { verdict: "call-failed-callee-unreachable", why: wire.to_owned(), ground: Ground::Told }],
            next_step: wire.to_owned(),
            escalate: Escalation::L2,
            runbook: vec!["S2-f"],
            now: Some(sample::at(2.0)),
            worst: None,
        }
    }

    #[test]
    fn nasty_values_stay_on_the_page() {
        let long = "x".repeat(3_000);
        for wire in ["\x1b[2J\x07", "\u{202e}gnp.exe", "a\r\nb", "山田太郎太郎太郎太郎太郎太郎太郎", "", &long] {
            let text = render_verdict(&verdict(wire), Style::Plain);
            assert!(text.lines().all(|line| escape::width(line) <= page::COLUMNS && !line.chars().any(escape::is_hidden)), "{text}");
        }
    }

    #[test]
    fn the_page_says_the_verdict_the_next_step_and_who_acts() {
        let text = render_verdict(&verdict("1001"), Style::Plain);
        for part in
            ["User 1001 cannot receive calls", "delivered-elsewhere", "What it is not", "… 28 more", "second level", "Runbook: S2-f"]
        {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
