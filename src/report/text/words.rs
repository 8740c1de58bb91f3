//! The vocabulary of the report in the words of a support desk.

use super::super::model::{Ratio, RegistrationEntry, Seconds, Stamp};
use super::super::style::Tone;
use crate::time::{PacketTime, Span};
use crate::track::vocabulary::{Confidence, EndedBy, Outcome, Reachability, RegistrationState, Scope, Severity};

/// Prints the times of one capture: the date only where there is more than one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    first: Option<PacketTime>,
    dates: Dates,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Dates {
    Shown,
    Implied,
}

impl Clock {
    pub(super) fn new(first: Option<Stamp>, last: Option<Stamp>) -> Self {
        let day = |stamp: Option<Stamp>| stamp.map(|stamp| part(&stamp.to_string(), 0, 10).to_owned());
        let dates = if day(first) == day(last) { Dates::Implied } else { Dates::Shown };
        Self { first: first.map(|stamp| stamp.0), dates }
    }

    /// `09:00:12`, or `01-31 09:00:12` where the capture spans several days.
    pub(super) fn time(self, stamp: Stamp) -> String {
        let text = stamp.to_string();
        match self.dates {
            Dates::Implied => part(&text, 11, 19).to_owned(),
            Dates::Shown => format!("{} {}", part(&text, 5, 10), part(&text, 11, 19)),
        }
    }

    /// Seconds since the first packet of the capture, as other tools number them: `+12.345s`.
    pub(super) fn offset(self, stamp: Stamp) -> String {
        match self.first {
            Some(first) => format!("{:+.3}s", (stamp.0 - first).as_secs_f64()),
            None => String::new(),
        }
    }
}

/// From when to when, to the second, the date once where it is the same.
pub(super) fn period(first: Stamp, last: Stamp) -> String {
    let (first, last) = (first.to_string(), last.to_string());
    let (day, last_day) = (part(&first, 0, 10), part(&last, 0, 10));
    let (from, to) = (part(&first, 11, 19), part(&last, 11, 19));
    if day == last_day { format!("{day} {from} to {to} UTC") } else { format!("{day} {from} to {last_day} {to} UTC") }
}

/// Part of a printed time; the whole of it where it is out of the range of calendars.
fn part(text: &str, start: usize, end: usize) -> &str {
    text.get(start..end).unwrap_or(text)
}

/// A length of time with the precision a person needs: `23 ms`, `4.1 s`, `60 s`, `2 min 03 s`, `1 h 02 min`.
pub(super) fn lasting(span: Span) -> String {
    let millis = span.as_nanos().saturating_add(500_000) / 1_000_000;
    let seconds = millis.saturating_add(500) / 1_000;
    match millis {
        ..1_000 => format!("{millis} ms"),
        10_000..119_950 if millis % 1_000 < 50 => format!("{} s", millis / 1_000),
        1_000..119_950 => format!("{:.1} s", millis as f64 / 1e3),
        119_950..3_599_500 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3_599_500..172_800_000 => format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

pub(super) fn lasting_or_nothing(seconds: Option<Seconds>) -> String {
    seconds.map(|seconds| lasting(seconds.0)).unwrap_or_default()
}

/// How long people talked, as a telephone shows it: `1:03`, `1:02:10`.
pub(super) fn talk(span: Span) -> String {
    let seconds = (span + Span::from_millis(500)).as_secs();
    match seconds / 3_600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

pub(super) fn percent(ratio: Ratio) -> String {
    format!("{:.1} %", ratio.as_f64() * 100.0)
}

/// A number with its thousands apart: `18,204`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A text that is not broken into lines within.
pub(super) fn unbroken(text: &str) -> String {
    text.replace(' ', "\u{a0}")
}

/// Texts side by side, broken into lines only between them.
pub(super) fn side_by_side(texts: impl IntoIterator<Item = String>) -> String {
    texts.into_iter().map(|text| unbroken(&text)).collect::<Vec<_>>().join(" · ")
}

/// `1 call`, `2 calls`.
pub(super) fn counted(number: u64, one: &str, more: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { more })
}

pub(super) fn severity(severity: Severity) -> (Tone, &'static str) {
    match severity {
        Severity::Critical => (Tone::Bad, "CRITICAL"),
        Severity::Error => (Tone::Bad, "ERROR"),
        Severity::Warning => (Tone::Doubtful, "WARNING"),
        Severity::Info => (Tone::Faint, "NOTE"),
    }
}

/// Counts of a severity in a sentence: `2 errors`.
pub(super) fn severities(severity: Severity, number: u64) -> String {
    match severity {
        Severity::Critical => format!("{} critical", count(number)),
        Severity::Error => counted(number, "error", "errors"),
        Severity::Warning => counted(number, "warning", "warnings"),
        Severity::Info => counted(number, "note", "notes"),
    }
}

pub(super) fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Suspected => "suspected only",
        Confidence::Probable => "probable",
        Confidence::Confirmed => "confirmed",
    }
}

pub(super) fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Phone => "this phone only",
        Scope::PhoneOrSite => "this phone or its site",
        Scope::Site => "the whole site",
        Scope::Call => "this call",
        Scope::Trunk => "this trunk",
        Scope::Source => "this address",
        Scope::Server => "the PBX, so everybody",
        Scope::Capture => "the capture itself",
    }
}

/// Where a user stands: an open challenge is told from one that came to nothing.
pub(super) fn registration(entry: &RegistrationEntry) -> (Tone, &'static str) {
    match entry.state {
        RegistrationState::Challenged if !entry.awaits_credentials() => (Tone::Doubtful, "no credentials sent"),
        other => device(other),
    }
}

/// Where a device stands.
pub(super) fn device(state: RegistrationState) -> (Tone, &'static str) {
    match state {
        RegistrationState::Registered => (Tone::Good, "registered"),
        RegistrationState::Unregistered => (Tone::Normal, "logged off"),
        RegistrationState::Unknown => (Tone::Faint, "cannot tell"),
        RegistrationState::Registering => (Tone::Doubtful, "registering"),
        RegistrationState::Challenged => (Tone::Doubtful, "asked for credentials"),
        RegistrationState::Expired => (Tone::Bad, "expired"),
        RegistrationState::Rejected => (Tone::Bad, "rejected"),
        RegistrationState::AuthLoop => (Tone::Bad, "wrong credentials"),
        RegistrationState::Silent => (Tone::Bad, "no answer from PBX"),
    }
}

/// Whether the PBX reaches a device, and how fast.
pub(super) fn reachability(state: Reachability, round_trip: Option<Seconds>) -> (Tone, String) {
    let round_trip = lasting_or_nothing(round_trip);
    match state {
        Reachability::Unknown => (Tone::Faint, String::new()),
        Reachability::Reachable => (Tone::Normal, if round_trip.is_empty() { "yes".to_owned() } else { round_trip }),
        Reachability::Lagged => (Tone::Doubtful, format!("slow {round_trip}")),
        Reachability::Unreachable => (Tone::Bad, "no".to_owned()),
    }
}

/// What became of an attempt. What people did is no trouble, however it ended.
pub(super) fn outcome(outcome: Outcome) -> (Tone, &'static str) {
    match outcome {
        Outcome::Answered => (Tone::Normal, "answered"),
        Outcome::Redirected => (Tone::Normal, "forwarded"),
        Outcome::Cancelled => (Tone::Normal, "caller gave up"),
        Outcome::CompletedElsewhere => (Tone::Normal, "taken elsewhere"),
        Outcome::NoAnswer => (Tone::Normal, "not picked up"),
        Outcome::Busy => (Tone::Normal, "busy"),
        Outcome::Declined => (Tone::Normal, "declined"),
        Outcome::AuthFailed => (Tone::Bad, "auth failed"),
        Outcome::Forbidden => (Tone::Bad, "not allowed"),
        Outcome::NotFound => (Tone::Doubtful, "no such number"),
        Outcome::Unavailable => (Tone::Doubtful, "unavailable"),
        Outcome::NotAcceptable => (Tone::Bad, "no common media"),
        Outcome::Loop => (Tone::Bad, "routing loop"),
        Outcome::Merged => (Tone::Doubtful, "arrived twice"),
        Outcome::Timeout => (Tone::Bad, "timed out"),
        Outcome::ServerError => (Tone::Bad, "server error"),
        Outcome::GlobalFailure => (Tone::Bad, "refused for good"),
        Outcome::ClientError => (Tone::Bad, "refused"),
        Outcome::NoResponse => (Tone::Bad, "no response"),
        Outcome::Stalled100 => (Tone::Bad, "never rang"),
        Outcome::Stalled18x => (Tone::Bad, "rang without end"),
        Outcome::Glare => (Tone::Normal, "collided"),
        Outcome::Unknown => (Tone::Faint, "cannot tell"),
    }
}

/// How wide a finding reaches, to name first what hits most people.
pub(super) fn breadth(scope: Scope) -> u8 {
    match scope {
        Scope::Server => 4,
        Scope::Trunk => 3,
        Scope::Site => 2,
        Scope::PhoneOrSite | Scope::Capture => 1,
        Scope::Phone | Scope::Call | Scope::Source => 0,
    }
}

pub(super) fn ended_by(side: EndedBy) -> &'static str {
    match side {
        EndedBy::Caller => "caller",
        EndedBy::Callee => "callee",
        EndedBy::Pbx => "PBX",
        EndedBy::Timeout => "timeout",
    }
}

/// Why frames were of no use, in words; a reason that has none shows by its name.
pub(super) fn skipped(reason: &'static str) -> &'static str {
    match reason {
        "duplicate" => "captured twice, or TCP sent again",
        "tcp_control" => "TCP without payload",
        "not_sip" => "neither SIP nor keep-alive",
        "not_ip" => "not IP, such as ARP",
        "other_port" => "on a port that is not watched",
        "encrypted" => "encrypted (TLS): what they say cannot be seen",
        "icmp" => "ICMP",
        "truncated" => "cut by the snap length of the capture",
        "malformed" => "headers that contradict themselves",
        "incomplete_fragment" => "fragments whose datagram never became whole",
        "incomplete_stream" => "TCP segments whose message never became whole",
        "evicted" => "dropped for lack of memory",
        "filtered" => "left out on request",
        "vxlan_tunnel" => "inside VXLAN, which is not read",
        "gre_tunnel" => "inside GRE, which is not read",
        "erspan_tunnel" => "inside ERSPAN, which is not read",
        "gtp_tunnel" => "inside GTP, which is not read",
        "ipip_tunnel" => "inside an IP packet, which is not read",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_read_like_speech() {
        for (millis, text) in [
            (0, "0 ms"),
            (23, "23 ms"),
            (4_100, "4.1 s"),
            (31_500, "31.5 s"),
            (60_049, "60 s"),
            (119_949, "119.9 s"),
            (119_950, "2 min 00 s"),
            (123_000, "2 min 03 s"),
            (3_599_499, "59 min 59 s"),
            (3_599_500, "1 h 00 min"),
            (90_061_000, "25 h 01 min"),
            (864_000_000, "10 days"),
        ] {
            assert_eq!(lasting(Span::from_millis(millis)), text);
        }
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(["0", "999", "1,000", "1,234,567"].map(str::to_owned), [0, 999, 1_000, 1_234_567].map(count));
    }

    #[test]
    fn the_date_shows_only_where_it_differs() {
        let start = Stamp(PacketTime::from_parts(1_769_850_000, 0));
        let next_day = Stamp(start.0 + Span::from_secs(86_400));
        assert_eq!(Clock::new(Some(start), Some(start)).time(start), "09:00:00");
        assert_eq!(Clock::new(Some(start), Some(next_day)).time(start), "01-31 09:00:00");
        assert_eq!(Clock::new(Some(start), Some(start)).offset(Stamp(start.0 + Span::from_millis(1_500))), "+1.500s");
        assert_eq!(Clock::new(None, None).offset(start), "");
    }
}
