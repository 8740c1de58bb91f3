//! How busy a capture is: how long it usually goes without a packet of anybody, and which silences that makes implausible.

use crate::time::{PacketTime, Span};

/// What follows sooner is of one exchange.
const EXCHANGE: Span = Span::from_secs(1);
/// How many times as long as the usual ones a silence is implausible. Where packets come by chance, a silence four times as long as the
/// longest of 32 comes about once in a million; where they come by the clock, as refreshes and probes do, never.
const IMPLAUSIBLE: i64 = 4;
/// The shortest silence that is implausible, however busy the capture is: a link may be down for so long, and everybody waits.
const SHORTEST: Span = Span::from_secs(30);
/// Exchanges from which on a capture has a pace.
const ENOUGH: u32 = 32;
/// How long a capture must have been watched to have one: phones refresh and are probed within that time.
const WATCHED: Span = Span::from_secs(300);
/// How long a part of the capture is. The pace is that of one to two parts, so that it follows the time of day.
const PART: Span = Span::from_secs(600);

/// The two longest silences of a part of the capture.
#[derive(Clone, Copy, Debug, Default)]
struct Longest {
    first: Span,
    second: Span,
}

impl Longest {
    fn note(&mut self, silence: Span) {
        if silence > self.first {
            *self = Self { first: silence, second: self.first };
        } else {
            self.second = self.second.max(silence);
        }
    }
}

/// The pace of a capture.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Whether anything was heard, and the last time.
    heard: Option<PacketTime>,
    /// When it first was.
    watched: PacketTime,
    exchange: PacketTime,
    part: PacketTime,
    /// Exchanges in this part and the one before.
    exchanges: (u32, u32),
    current: Longest,
    previous: Longest,
}

impl Pace {
    /// Nothing heard yet.
    pub fn new() -> Self {
        Self {
            heard: None,
            watched: PacketTime::MIN,
            exchange: PacketTime::MIN,
            part: PacketTime::MIN,
            exchanges: (0, 0),
            current: Longest::default(),
            previous: Longest::default(),
        }
    }

    /// Takes note of a packet; when the last one before came, if the silence between the two is implausible.
    pub fn hear(&mut self, now: PacketTime) -> Option<PacketTime> {
        let Some(last) = self.heard.replace(now) else {
            (self.watched, self.exchange, self.part) = (now, now, now);
            return None;
        };
        if now.since(self.exchange) < EXCHANGE {
            return None;
        }
        let silence = now.since(last);
        let is_implausible = self.is_implausible(silence, last);
        self.exchange = now;
        if now.since(self.part) >= PART && self.exchanges.0 >= ENOUGH {
            self.previous = std::mem::take(&mut self.current);
            self.exchanges = (0, self.exchanges.0);
            self.part = now;
        }
        self.exchanges.0 = self.exchanges.0.saturating_add(1);
        self.current.note(silence);
        is_implausible.then_some(last)
    }

    /// Whether the silence from the last packet to `end` is implausible.
    pub fn is_silent_until(&self, end: PacketTime) -> bool {
        self.heard.is_some_and(|last| self.is_implausible(end.since(last), last))
    }

    /// One silence alone is not yet the pace: the longest but one counts.
    fn is_implausible(&self, silence: Span, last: PacketTime) -> bool {
        let has_pace = last.since(self.watched) >= WATCHED && self.exchanges.0.saturating_add(self.exchanges.1) >= ENOUGH;
        if silence < SHORTEST || !has_pace {
            return false;
        }
        let mut both = self.current;
        both.note(self.previous.first);
        both.note(self.previous.second);
        silence > both.second.times(IMPLAUSIBLE)
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> PacketTime {
        PacketTime::from_parts(seconds, 0)
    }

    /// A packet every `interval` seconds from `from` until before `until`.
    fn hear(pace: &mut Pace, from: i64, until: i64, interval: usize) {
        for second in (from..until).step_by(interval) {
            assert_eq!(pace.hear(at(second)), None, "at {second}");
        }
    }

    #[test]
    fn a_silence_is_implausible_where_it_is_many_times_the_usual_one() {
        let mut pace = Pace::new();
        hear(&mut pace, 0, 401, 10);
        assert!(!pace.is_silent_until(at(440)));
        assert!(pace.is_silent_until(at(441)));
        assert_eq!(pace.hear(at(440)), None);
        assert_eq!(pace.hear(at(540)), Some(at(440)));
    }

    #[test]
    fn a_capture_without_a_pace_has_no_implausible_silence() {
        let mut pace = Pace::new();
        hear(&mut pace, 0, 290, 5);
        assert_eq!(pace.hear(at(800)), None, "watched for too short a time");
        let mut pace = Pace::new();
        hear(&mut pace, 0, 900, 60);
        assert_eq!(pace.hear(at(2_000)), None, "too little heard");
    }

    #[test]
    fn a_second_silence_is_judged_as_the_first_and_a_habit_is_the_pace() {
        let mut pace = Pace::new();
        hear(&mut pace, 0, 401, 10);
        assert_eq!(pace.hear(at(500)), Some(at(400)));
        assert_eq!(pace.hear(at(600)), Some(at(500)));
        assert_eq!(pace.hear(at(700)), None);
    }

    #[test]
    fn in_a_busy_capture_no_short_silence_is_implausible() {
        let mut pace = Pace::new();
        hear(&mut pace, 0, 1_000, 1);
        assert_eq!(pace.hear(at(1_028)), None);
        assert_eq!(pace.hear(at(1_058)), Some(at(1_028)));
    }

    #[test]
    fn the_pace_follows_the_time_of_day() {
        let mut pace = Pace::new();
        hear(&mut pace, 0, 7_200, 2);
        hear(&mut pace, 7_200, 14_400, 7);
        hear(&mut pace, 14_400, 36_000, 25);
        assert_eq!(pace.hear(at(36_060)), None);
    }
}
