//! The vocabulary of the report in the words of a support desk.

use super::super::model::{Ratio, Seconds, Stamp};
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

/// The date and time of a stamp to the second.
pub(super) fn date_time(stamp: Stamp) -> String {
    let text = stamp.to_string();
    format!("{} {}", part(&text, 0, 10), part(&text, 11, 19))
}

/// Part of a printed time; the whole of it where it is out of the range of calendars.
fn part(text: &str, start: usize, end: usize) -> &str {
    text.get(start..end).unwrap_or(text)
}

/// A length of time with the precision a person needs: `23 ms`, `4.1 s`, `1 min 03 s`, `1 h 02 min`.
pub(super) fn lasting(span: Span) -> String {
    let millis = span.as_nanos().saturating_add(500_000) / 1_000_000;
    let seconds = millis.saturating_add(500) / 1_000;
    match millis {
        ..1_000 => format!("{millis} ms"),
        1_000..59_950 => format!("{:.1} s", millis as f64 / 1e3),
        59_950..3_599_500 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3_599_500..172_800_000 => format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

pub(super) fn lasting_or_nothing(seconds: Option<Seconds>) -> String {
    seconds.map(|seconds| lasting(seconds.0)).unwrap_or_default()
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

pub(super) fn registration(state: RegistrationState) -> (Tone, &'static str) {
    match state {
        RegistrationState::Registered => (Tone::Good, "registered"),
        RegistrationState::Unregistered => (Tone::Normal, "logged off"),
        RegistrationState::Unknown => (Tone::Faint, "cannot tell"),
        RegistrationState::Registering => (Tone::Doubtful, "registering"),
        RegistrationState::Challenged => (Tone::Doubtful, "no credentials sent"),
        RegistrationState::Expired => (Tone::Bad, "expired"),
        RegistrationState::Rejected => (Tone::Bad, "rejected"),
        RegistrationState::AuthLoop => (Tone::Bad, "wrong credentials"),
        RegistrationState::Silent => (Tone::Bad, "no answer from PBX"),
    }
}

pub(super) fn reachability(state: Reachability) -> (Tone, &'static str) {
    match state {
        Reachability::Unknown => (Tone::Faint, ""),
        Reachability::Reachable => (Tone::Normal, "yes"),
        Reachability::Lagged => (Tone::Doubtful, "slow"),
        Reachability::Unreachable => (Tone::Bad, "no"),
    }
}

/// What became of an attempt. What people did is no trouble, however it ended.
pub(super) fn outcome(outcome: Outcome) -> (Tone, &'static str) {
    match outcome {
        Outcome::Answered => (Tone::Normal, "answered"),
        Outcome::Redirected => (Tone::Normal, "forwarded"),
        Outcome::Cancelled => (Tone::Normal, "caller gave up"),
        Outcome::CompletedElsewhere => (Tone::Normal, "answered elsewhere"),
        Outcome::NoAnswer => (Tone::Normal, "nobody picked up"),
        Outcome::Busy => (Tone::Normal, "busy"),
        Outcome::Declined => (Tone::Normal, "declined"),
        Outcome::AuthFailed => (Tone::Bad, "credentials refused"),
        Outcome::Forbidden => (Tone::Bad, "not allowed"),
        Outcome::NotFound => (Tone::Doubtful, "no such number"),
        Outcome::Unavailable => (Tone::Doubtful, "not available"),
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
            (59_949, "59.9 s"),
            (59_950, "1 min 00 s"),
            (63_000, "1 min 03 s"),
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
