//! A call as a ladder: one column for each address, one arrow for each message.
//!
//! At most 100 columns wide. Five addresses or more do not fit side by side: their messages are listed instead.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::escape;
use super::style::{Style, Tone};
use crate::time::{PacketTime, Span};

/// No line is wider.
const COLUMNS: usize = 100;
/// Addresses that fit side by side.
const PARTIES: usize = 4;
/// Columns before the first and behind the last lifeline, for the names above them.
const MARGIN: usize = 8;
/// Lifelines stand no farther apart.
const FARTHEST: usize = 34;
/// A pause that is drawn as one.
const PAUSE: Span = Span::from_secs(2);

/// What the messages of a call are drawn from.
#[derive(Clone, Debug, Default)]
pub struct Ladder {
    /// Names of addresses, such as `caller` or `PBX`.
    pub roles: BTreeMap<SocketAddr, String>,
    /// The messages in any order.
    pub messages: Vec<LadderMessage>,
}

/// One message of a ladder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LadderMessage {
    /// When it was captured.
    pub time: PacketTime,
    /// Number of its frame in the capture, from 1.
    pub frame: u64,
    /// Who sent it.
    pub source: SocketAddr,
    /// Whom to.
    pub destination: SocketAddr,
    /// What it says: `INVITE (SDP)`, `200 OK INVITE`.
    pub label: String,
    /// Whether it was sent before.
    pub repeat: Repeat,
}

/// Whether a message repeats an earlier one of its transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Repeat {
    /// Sent for the first time.
    First,
    /// Sent again: no answer had reached the sender in time.
    Retransmission,
}

/// The ladder as text.
pub fn render(ladder: &Ladder, style: Style) -> String {
    let mut messages: Vec<&LadderMessage> = ladder.messages.iter().collect();
    messages.sort_by_key(|message| (message.time, message.frame));
    let Some(first) = messages.first() else {
        return "no messages\n".to_owned();
    };
    let drawing = Drawing::new(&messages, &ladder.roles, first.time, style);
    drawing.render(&messages)
}

/// What all lines of one ladder share.
struct Drawing<'a> {
    parties: Vec<SocketAddr>,
    roles: &'a BTreeMap<SocketAddr, String>,
    start: PacketTime,
    style: Style,
    frame_width: usize,
    offset_width: usize,
}

impl<'a> Drawing<'a> {
    fn new(messages: &[&LadderMessage], roles: &'a BTreeMap<SocketAddr, String>, start: PacketTime, style: Style) -> Self {
        let mut parties = Vec::new();
        for address in messages.iter().flat_map(|message| [message.source, message.destination]) {
            if !parties.contains(&address) {
                parties.push(address);
            }
        }
        let widest = |texts: &mut dyn Iterator<Item = String>| texts.map(|text| text.len()).max().unwrap_or(0);
        Self {
            parties,
            roles,
            start,
            style,
            frame_width: widest(&mut messages.iter().map(|message| message.frame.to_string())).max("frame".len()),
            offset_width: widest(&mut messages.iter().map(|message| offset(message.time, start))),
        }
    }

    fn render(&self, messages: &[&LadderMessage]) -> String {
        let mut out = String::new();
        self.line(&mut out, &[(Tone::Faint, format!("+0.000s is {}", self.start))]);
        if self.parties.len() > PARTIES {
            self.write_legend(&mut out);
            messages.iter().for_each(|message| self.write_listed(message, &mut out));
        } else {
            self.write_names(&mut out);
            self.write_rungs(messages, &mut out);
        }
        if messages.iter().any(|message| message.repeat == Repeat::Retransmission) {
            self.line(&mut out, &[(Tone::Faint, "╌╌ sent again".to_owned())]);
        }
        out
    }

    fn write_rungs(&self, messages: &[&LadderMessage], out: &mut String) {
        let mut before = self.start;
        for message in messages {
            if message.time - before >= PAUSE {
                self.line(out, &[(Tone::Faint, self.lifelines('┊'))]);
            }
            before = message.time;
            self.write_rung(message, out);
        }
    }

    /// One message as an arrow between two lifelines.
    fn write_rung(&self, message: &LadderMessage, out: &mut String) {
        let (Some(from), Some(to)) = (self.column(message.source), self.column(message.destination)) else {
            return;
        };
        let (left, right) = (from.min(to), from.max(to));
        let mut columns = self.columns();
        columns.retain(|&column| column <= left || column >= right);
        let mut parts = vec![(Tone::Faint, self.gutter(message))];
        let mut at = self.gutter_width();
        for column in columns {
            parts.push((Tone::Faint, format!("{:>1$}", '│', column + 1 - at)));
            at = column + 1;
            if column == left {
                let drawn = if left == right { self.to_itself(left, &message.label) } else { arrow(message, right - left - 1, from < to) };
                at += escape::width(&drawn);
                parts.push((tone(message), drawn));
            }
        }
        self.line(out, &parts);
    }

    /// A message that an address sends to itself.
    fn to_itself(&self, column: usize, label: &str) -> String {
        let next = self.columns().into_iter().find(|&other| other > column).unwrap_or(COLUMNS);
        escape::fit(&format!("↺ {label}"), next - column - 1)
    }

    /// One message as a line of a list, its parties by their numbers in the legend.
    fn write_listed(&self, message: &LadderMessage, out: &mut String) {
        let number = |address| self.parties.iter().position(|&party| party == address).map_or(0, |at| at + 1);
        let ends =
            format!("{:>3} {} {:<3} ", number(message.source), if is_again(message) { '╌' } else { '→' }, number(message.destination));
        let room = COLUMNS.saturating_sub(self.gutter_width() + escape::width(&ends));
        let label = escape::fit(&message.label, room);
        self.line(out, &[(Tone::Faint, self.gutter(message)), (Tone::Normal, ends), (tone(message), label)]);
    }

    fn write_legend(&self, out: &mut String) {
        self.line(out, &[(Tone::Faint, format!("{} addresses, too many to draw side by side:", self.parties.len()))]);
        for (at, address) in self.parties.iter().enumerate() {
            let role = self.roles.get(address).map(|role| escape::fit(role, MARGIN * 4)).unwrap_or_default();
            self.line(out, &[(Tone::Normal, format!("{:>3}  {address}  ", at + 1)), (Tone::Strong, role)]);
        }
    }

    /// The names of the columns: role, address, port; addresses that had to be cut stand in full before them.
    fn write_names(&self, out: &mut String) {
        let room = (COLUMNS - self.gutter_width()) / self.parties.len().max(1) - 1;
        for address in self.parties.iter().filter(|address| address.ip().to_string().len() > room) {
            self.line(out, &[(Tone::Normal, address.to_string())]);
        }
        let roles = self.parties.iter().map(|address| self.roles.get(address).map(|role| escape::fit(role, room)).unwrap_or_default());
        self.write_centred(Tone::Strong, roles.collect(), out);
        self.write_centred(Tone::Normal, self.parties.iter().map(|address| escape::fit(&address.ip().to_string(), room)).collect(), out);
        self.write_centred(Tone::Normal, self.parties.iter().map(|address| format!(":{}", address.port())).collect(), out);
        let head = format!("{:>2$}  {:>3$}  ", "frame", "time", self.frame_width, self.offset_width);
        let lifelines = self.lifelines('│').split_off(self.gutter_width());
        self.line(out, &[(Tone::Faint, head), (Tone::Faint, lifelines)]);
    }

    /// Texts above their lifelines, moved aside where they would touch each other or leave the page.
    fn write_centred(&self, tone: Tone, texts: Vec<String>, out: &mut String) {
        if texts.iter().all(String::is_empty) {
            return;
        }
        let mut line = String::new();
        let mut at = 0;
        for (text, column) in texts.iter().zip(self.columns()) {
            let width = escape::width(text);
            let start = column.saturating_sub(width / 2).min(COLUMNS.saturating_sub(width)).max(at);
            line.extend(std::iter::repeat_n(' ', start - at));
            line.push_str(text);
            line.push(' ');
            at = start + width + 1;
        }
        self.line(out, &[(tone, line)]);
    }

    fn lifelines(&self, mark: char) -> String {
        let mut at = 0;
        let mut line = String::new();
        for column in self.columns() {
            line.extend(std::iter::repeat_n(' ', column - at));
            line.push(mark);
            at = column + 1;
        }
        line
    }

    /// Where the lifelines stand.
    fn columns(&self) -> Vec<usize> {
        let first = self.gutter_width() + MARGIN;
        let gaps = self.parties.len().saturating_sub(1).max(1);
        let distance = ((COLUMNS - 1 - MARGIN).saturating_sub(first) / gaps).min(FARTHEST);
        (0..self.parties.len()).map(|nth| first + nth * distance).collect()
    }

    fn column(&self, address: SocketAddr) -> Option<usize> {
        let nth = self.parties.iter().position(|&party| party == address)?;
        self.columns().get(nth).copied()
    }

    fn gutter(&self, message: &LadderMessage) -> String {
        format!("{:>2$}  {:>3$}  ", message.frame, offset(message.time, self.start), self.frame_width, self.offset_width)
    }

    fn gutter_width(&self) -> usize {
        self.frame_width + self.offset_width + 4
    }

    /// A line of parts that are safe to show already.
    fn line(&self, out: &mut String, parts: &[(Tone, String)]) {
        let last = parts.len().saturating_sub(1);
        for (nth, (tone, text)) in parts.iter().enumerate() {
            self.style.paint(out, *tone, if nth == last { text.trim_end() } else { text });
        }
        out.push('\n');
    }
}

/// An arrow of exactly `width` columns with the label in its middle; the label is cut where it is too long.
fn arrow(message: &LadderMessage, width: usize, rightwards: bool) -> String {
    let dash = if is_again(message) { '╌' } else { '─' };
    let label = escape::fit(&message.label, width.saturating_sub(5));
    let slack = width.saturating_sub(escape::width(&label) + 3);
    let dashes = |count| String::from_iter(std::iter::repeat_n(dash, count));
    let (before, after) = (dashes(slack / 2), dashes(slack - slack / 2));
    if rightwards { format!("{before} {label} {after}►") } else { format!("◄{before} {label} {after}") }
}

fn is_again(message: &LadderMessage) -> bool {
    message.repeat == Repeat::Retransmission
}

/// Failures stand out, repeats stand back; a challenge is no failure.
fn tone(message: &LadderMessage) -> Tone {
    match (message.repeat, message.label.get(..3).and_then(|code| code.parse::<u16>().ok())) {
        (Repeat::Retransmission, _) => Tone::Doubtful,
        (Repeat::First, Some(200..=299)) => Tone::Good,
        (Repeat::First, Some(401 | 407)) => Tone::Normal,
        (Repeat::First, Some(400..)) => Tone::Bad,
        (Repeat::First, _) => Tone::Normal,
    }
}

fn offset(time: PacketTime, start: PacketTime) -> String {
    format!("{:+.3}s", (time - start).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::{START, address};
    use super::*;

    const PHONE: &str = "198.51.100.7:40311";
    const PBX: &str = "203.0.113.10:5060";
    const CALLEE: &str = "192.0.2.60:5060";

    fn message(millis: i64, frame: u64, source: &str, destination: &str, label: &str) -> LadderMessage {
        LadderMessage {
            time: START + Span::from_millis(millis),
            frame,
            source: address(source),
            destination: address(destination),
            label: label.to_owned(),
            repeat: Repeat::First,
        }
    }

    fn again(message: LadderMessage) -> LadderMessage {
        LadderMessage { repeat: Repeat::Retransmission, ..message }
    }

    fn call() -> Ladder {
        let messages = vec![
            message(0, 101, PHONE, PBX, "INVITE (SDP)"),
            message(12, 102, PBX, PHONE, "401 Unauthorized"),
            message(25, 103, PHONE, PBX, "ACK"),
            message(31, 104, PHONE, PBX, "INVITE (SDP)"),
            message(33, 105, PBX, PHONE, "100 Trying"),
            message(40, 106, PBX, CALLEE, "INVITE (SDP)"),
            again(message(540, 107, PBX, CALLEE, "INVITE (SDP)")),
            message(561, 108, CALLEE, PBX, "180 Ringing"),
            message(563, 109, PBX, PHONE, "180 Ringing"),
            message(4_700, 131, CALLEE, PBX, "486 Busy Here"),
            message(4_702, 132, PBX, PHONE, "486 Busy Here"),
        ];
        let roles = [(PHONE, "caller 1001"), (PBX, "PBX"), (CALLEE, "1004")];
        Ladder { roles: roles.map(|(party, role)| (address(party), role.to_owned())).into(), messages }
    }

    #[test]
    fn a_call_through_the_pbx() {
        let expected = "\
+0.000s is 2026-01-31T09:00:00.000000Z
                   caller 1001                          PBX                             1004
                  198.51.100.7                     203.0.113.10                      192.0.2.60
                     :40311                            :5060                            :5060
frame     time          │                                │                                │
  101  +0.000s          │──────── INVITE (SDP) ─────────►│                                │
  102  +0.012s          │◄────── 401 Unauthorized ───────│                                │
  103  +0.025s          │───────────── ACK ─────────────►│                                │
  104  +0.031s          │──────── INVITE (SDP) ─────────►│                                │
  105  +0.033s          │◄───────── 100 Trying ──────────│                                │
  106  +0.040s          │                                │──────── INVITE (SDP) ─────────►│
  107  +0.540s          │                                │╌╌╌╌╌╌╌╌ INVITE (SDP) ╌╌╌╌╌╌╌╌╌►│
  108  +0.561s          │                                │◄───────── 180 Ringing ─────────│
  109  +0.563s          │◄───────── 180 Ringing ─────────│                                │
                        ┊                                ┊                                ┊
  131  +4.700s          │                                │◄──────── 486 Busy Here ────────│
  132  +4.702s          │◄──────── 486 Busy Here ────────│                                │
╌╌ sent again
";
        assert_eq!(render(&call(), Style::Plain), expected);
    }

    #[test]
    fn order_of_capture_does_not_matter() {
        let mut shuffled = call();
        shuffled.messages.reverse();
        assert_eq!(render(&shuffled, Style::Plain), render(&call(), Style::Plain));
    }

    #[test]
    fn a_retransmission_is_marked_and_explained() {
        let text = render(&call(), Style::Plain);
        let rungs: Vec<&str> = text.lines().filter(|line| line.contains('╌')).collect();
        assert_eq!(rungs.len(), 2, "the message and the legend:\n{text}");
        let without = Ladder { messages: vec![message(0, 1, PHONE, PBX, "BYE")], ..Ladder::default() };
        assert!(!render(&without, Style::Plain).contains('╌'));
    }

    #[test]
    fn five_parties_are_listed_with_all_their_addresses() {
        let mut ladder = call();
        let others = ["[2001:db8:1:2:3:4:5:6]:5060", "192.0.2.99:5060"];
        ladder.messages.extend(others.iter().zip(5_000..).map(|(other, millis)| message(millis, 200, PBX, other, "BYE")));
        let text = render(&ladder, Style::Plain);
        for party in [PHONE, PBX, CALLEE, others[0], others[1]] {
            assert!(text.contains(party), "{party}\n{text}");
        }
        assert_eq!(text.matches("BYE").count(), 2);
    }

    #[test]
    fn an_address_that_is_cut_stands_in_full_too() {
        let long = "[2001:db8:1111:2222:3333:4444:5555:6666]:5060";
        let mut ladder = call();
        ladder.messages.push(message(5_000, 140, PBX, long, "BYE"));
        assert!(render(&ladder, Style::Plain).lines().any(|line| line == long));
    }

    #[test]
    fn no_messages_are_said_to_be_none() {
        assert_eq!(render(&Ladder::default(), Style::Colour), "no messages\n");
    }

    fn party() -> impl Strategy<Value = SocketAddr> {
        (any::<bool>(), 0u8..6, any::<u16>()).prop_map(|(v6, host, port)| match v6 {
            true => SocketAddr::from(([0x2001, 0xdb8, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xfff0 + u16::from(host)], port)),
            false => SocketAddr::from(([255, 255, 255, 250 + host % 6], port)),
        })
    }

    fn any_message() -> impl Strategy<Value = LadderMessage> {
        (any::<i64>(), any::<u64>(), party(), party(), "(?s:.{0,80})", any::<bool>()).prop_map(
            |(nanos, frame, source, destination, label, again)| LadderMessage {
                time: PacketTime::from_nanos(nanos),
                frame,
                source,
                destination,
                label,
                repeat: if again { Repeat::Retransmission } else { Repeat::First },
            },
        )
    }

    proptest! {
        #[test]
        fn any_messages_fit_the_page_and_show_nothing_hidden(
            messages in prop::collection::vec(any_message(), 0..8),
            role in "(?s:.{0,50})",
        ) {
            let roles = messages.iter().map(|message| (message.source, role.clone())).collect();
            let text = render(&Ladder { roles, messages }, Style::Plain);
            for line in text.lines() {
                prop_assert!(escape::width(line) <= COLUMNS, "{} columns:\n{text}", escape::width(line));
                prop_assert!(!line.chars().any(escape::is_hidden), "{line:?}");
            }
        }
    }
}
