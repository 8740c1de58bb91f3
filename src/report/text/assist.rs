//! A session of live assistance, printed line by line as it comes, at most [`COLUMNS`] wide: it stands beside other windows.

use super::super::model::{AssistLine, Noted, PacketSeen, Seconds, SentBy, SessionBegan, StepBegan, StepEnded, StepResult};
use super::super::style::{Style, Tone};
use super::page::{INDENT, Page};
use super::verdict;
use super::words::{self, Clock};

/// As wide as a terminal has been since 1928.
const COLUMNS: usize = 80;
/// Where the text of a packet begins, behind its time.
const TEXT: usize = 14;
/// Where a fact begins, behind its frame and its time.
const FACT: usize = 27;

pub(super) fn render(line: &AssistLine, style: Style) -> String {
    let mut page = Page::of_width(style, COLUMNS);
    match line {
        AssistLine::Began(began) => write_began(began, &mut page),
        AssistLine::Step(step) => write_step(step, &mut page),
        AssistLine::Packet(packet) => write_packet(packet, &mut page),
        AssistLine::Note(note) => write_note(note, &mut page),
        AssistLine::Result(ended) => write_result(ended, &mut page),
        AssistLine::Verdict(verdict) => {
            page.heading("VERDICT", "");
            verdict::write(verdict, &mut page);
        }
    }
    page.finish()
}

fn write_began(began: &SessionBegan, page: &mut Page) {
    let who = match began.aors.as_slice() {
        [] => format!("User {}: never seen so far", began.user),
        [aor] => format!("User {aor}"),
        several => format!("User {} may be any of {}: name one to be sure", began.user, several.join(", ")),
    };
    page.line(0, &[(Tone::Strong, &who)]);
    let Some(source) = began.source else { return };
    let registered = match began.registered {
        Some(true) => "registered",
        _ => "not registered",
    };
    let agent = began.user_agent.as_ref().map_or_else(String::new, |agent| format!(", {agent}"));
    let silent = began.silent_s.map_or_else(String::new, |silent| format!(", silent for {}", words::lasting(silent.0)));
    page.paragraph(INDENT, Tone::Normal, &format!("{registered}, last seen at {source}{silent}{agent}"));
}

fn write_step(step: &StepBegan, page: &mut Page) {
    let title = format!("STEP {}  {}", step.step.number(), step.step.as_str().replace('-', " "));
    let time = Clock::new(None, None).time(step.at);
    page.heading(&title, &format!("({})  {time} UTC", step.runbook.join(", ")));
    page.paragraph(INDENT, Tone::Normal, &step.instruction);
    let waiting = format!("Waiting up to {} s for {} …", step.timeout_s.0.as_secs(), step.waiting_for);
    page.paragraph(INDENT, Tone::Faint, &waiting);
}

fn write_packet(packet: &PacketSeen, page: &mut Page) {
    let arrow = match packet.from {
        SentBy::Phone => "→",
        SentBy::Pbx => "←",
    };
    let again = if packet.repeat { " again" } else { "" };
    let mut text = format!("{arrow} {}{again}", packet.message);
    if let Some(detail) = &packet.detail {
        text.push_str(&format!(" {detail}"));
    }
    if let Some(agent) = &packet.user_agent {
        text.push_str(&format!(" from {}, {agent}", packet.source));
    } else if packet.message == "INVITE"
        && !packet.repeat
        && !packet.detail.as_ref().is_some_and(|detail| detail.contains("with credentials"))
    {
        let (what, address) = match packet.from {
            SentBy::Phone => ("from", packet.source),
            SentBy::Pbx => ("at", packet.destination),
        };
        text.push_str(&format!(" {what} {address}"));
    }
    if let Some(rtt) = packet.rtt_s {
        text.push_str(&format!(" ({})", words::lasting(rtt.0)));
    }
    page.labelled_at(INDENT, TEXT, &after(packet.after_s), tone(packet), &text);
    if let Some(was) = packet.was {
        let moved =
            if was.ip() == packet.source.ip() { format!("NEW port (was {})", was.port()) } else { format!("NEW address (was {was})") };
        page.labelled_at(INDENT, TEXT + 2, "", Tone::Doubtful, &moved);
    }
}

fn tone(packet: &PacketSeen) -> Tone {
    match packet.message.as_bytes().first() {
        _ if packet.repeat => Tone::Faint,
        Some(b'4'..=b'6') if !packet.message.starts_with("401") && !packet.message.starts_with("407") => Tone::Doubtful,
        _ => Tone::Normal,
    }
}

fn write_note(note: &Noted, page: &mut Page) {
    page.labelled_at(INDENT, TEXT, &after(note.after_s), Tone::Doubtful, &format!("! {}", note.text));
}

fn write_result(ended: &StepEnded, page: &mut Page) {
    let (tone, result) = match ended.result {
        StepResult::Passed => (Tone::Good, "PASSED"),
        StepResult::Failed => (Tone::Bad, "FAILED"),
        StepResult::Undecided => (Tone::Doubtful, "UNDECIDED"),
        StepResult::Skipped => (Tone::Faint, "SKIPPED"),
    };
    let finding = ended.finding.map_or_else(String::new, |finding| format!(" [{finding}]"));
    page.paragraph(INDENT, tone, &format!("STEP {} {result}: {}{finding}", ended.step.number(), ended.because));
    let clock = Clock::new(None, None);
    for fact in &ended.evidence {
        let frame = fact.frame.map(|frame| format!("frame {frame}")).unwrap_or_default();
        let place = format!("{frame:<12} {:>8}", clock.time(fact.at));
        page.labelled_at(INDENT + 2, FACT, &place, Tone::Normal, &fact.fact);
    }
    if let Some(next) = &ended.next_step {
        page.labelled_at(INDENT + 2, INDENT + 8, "Next", Tone::Normal, next);
    }
}

/// `[t+3.1s]`
fn after(span: Seconds) -> String {
    format!("[t+{:.1}s]", span.as_f64())
}

#[cfg(test)]
mod tests {
    use super::super::super::escape;
    use super::super::super::model::{AssistStep, Evidence};
    use super::super::super::sample;
    use super::*;
    use crate::time::Span;

    fn lines(wire: &str) -> Vec<AssistLine> {
        let (at, after_s, step) = (sample::at(1.0), Seconds(Span::from_secs(1)), AssistStep::Reconnection);
        let source = "198.51.100.7:40311".parse().expect("an address");
        vec![
            AssistLine::Began(SessionBegan {
                at,
                user: wire.to_owned(),
                aors: vec![wire.to_owned(), wire.to_owned()],
                source: Some(source),
                user_agent: Some(wire.to_owned()),
                registered: Some(true),
                silent_s: Some(after_s),
            }),
            AssistLine::Step(StepBegan {
                step,
                at,
                instruction: wire.to_owned(),
                waiting_for: wire.to_owned(),
                timeout_s: after_s,
                runbook: step.runbook(),
            }),
            AssistLine::Packet(PacketSeen {
                step,
                at,
                after_s,
                frame: u64::MAX,
                from: SentBy::Phone,
                message: wire.to_owned(),
                detail: Some(wire.to_owned()),
                source,
                destination: source,
                user_agent: Some(wire.to_owned()),
                was: "198.51.100.7:1".parse().ok(),
                repeat: false,
                rtt_s: Some(after_s),
            }),
            AssistLine::Note(Noted { step, at, after_s, text: wire.to_owned() }),
            AssistLine::Result(StepEnded {
                step,
                at,
                after_s,
                result: StepResult::Failed,
                because: wire.to_owned(),
                finding: Some("registrar-silent"),
                evidence: vec![Evidence { at, frame: Some(u64::MAX), fact: wire.to_owned() }],
                next_step: Some(wire.to_owned()),
            }),
        ]
    }

    #[test]
    fn nasty_values_stay_within_eighty_columns() {
        let long = "x".repeat(3_000);
        for wire in ["\x1b[2J\x07", "\u{202e}gnp.exe", "a\r\nb", "山田太郎太郎太郎太郎太郎太郎太郎", "", &long] {
            for line in lines(wire) {
                let text = render(&line, Style::Plain);
                assert!(text.lines().all(|line| escape::width(line) <= COLUMNS && !line.chars().any(escape::is_hidden)), "{text}");
            }
        }
    }

    #[test]
    fn a_new_port_and_a_failure_are_plain_to_see() {
        let text: String = lines("REGISTER").iter().map(|line| render(line, Style::Plain)).collect();
        for part in
            ["STEP 1  reconnection", "[t+1.0s]", "NEW port (was 1)", "STEP 1 FAILED", "[registrar-silent]", "frame 18446744073709551615"]
        {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
