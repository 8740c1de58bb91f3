//! How regularly a phone is heard: its silences, its keep-alives, and what became better when their interval was changed (DETECTION §2.3,
//! §2.6).

use crate::config::Ratio;
use crate::time::{PacketTime, Span};

/// Silences remembered.
const GAPS: usize = 32;
/// Silences shorter than this are within one exchange and say nothing.
const SHORTEST_GAP: Span = Span::from_secs(1);
/// How far back silences are summed up for the expected loss.
const LOSS_WINDOW: Span = Span::from_secs(3600);
/// Keep-alive intervals remembered.
const INTERVALS: usize = 8;
/// Intervals needed before they are called regular here: keep-alives of a phone whose port changes are few.
const ENOUGH: usize = 3;
/// Intervals of this many usual ones lack a keep-alive.
const LEFT_OUT: f64 = 1.5;
/// By how much the interval must change to be another (DETECTION §2.6).
const CHANGED: f64 = 0.20;
/// Intervals of another length that make a change of them.
const CHANGED_INTERVALS: u32 = 3;
/// Intervals on both sides of a change that make a comparison (DETECTION §2.6).
pub(super) const COMPARED_INTERVALS: u32 = 10;

/// Tenths of a second.
type Tenths = u16;

/// Something regular.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Regular {
    /// The median.
    pub middle: Span,
    /// The longest.
    pub longest: Span,
}

/// The last silences of a phone.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// Grows with them: a phone that only registers has few.
    ring: Vec<Tenths>,
    count: u32,
}

impl Gaps {
    pub(super) fn note(&mut self, gap: Span) {
        if gap < SHORTEST_GAP {
            return;
        }
        match self.ring.get_mut(self.count as usize % GAPS) {
            Some(oldest) => *oldest = tenths(gap),
            None => self.ring.push(tenths(gap)),
        }
        self.count = self.count.saturating_add(1);
    }

    /// Silences remembered.
    pub(super) fn len(&self) -> usize {
        self.ring.len()
    }

    /// The latest silences that make up an hour, the latest first.
    pub(super) fn recent(&self) -> impl Iterator<Item = Span> + Clone {
        let (held, count) = (&self.ring, self.count as usize);
        let newest_first = (1..=held.len()).map(move |back| held[(count - back) % GAPS]);
        let mut before = Span::ZERO;
        newest_first.map(span).take_while(move |gap| {
            let within = before < LOSS_WINDOW;
            before = before + *gap;
            within
        })
    }

    /// The silence that 95 % of them do not exceed.
    pub(super) fn percentile_95(&self) -> Option<Span> {
        let mut sorted = self.ring.clone();
        sorted.sort_unstable();
        sorted.get((sorted.len() * 95).div_ceil(100).checked_sub(1)?).copied().map(span)
    }

    pub(super) fn regular(&self, deviation: Ratio) -> Option<Regular> {
        regular(&self.ring, deviation)
    }
}

/// The keep-alives of a phone, whichever port they come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    pub(super) last: PacketTime,
    ring: [Tenths; INTERVALS],
    count: u32,
}

impl Rhythm {
    pub(super) fn new() -> Self {
        Self { last: PacketTime::MIN, ring: [0; INTERVALS], count: 0 }
    }

    /// Takes note of a keep-alive. Returns the time since the one before.
    pub(super) fn note(&mut self, now: PacketTime) -> Option<Span> {
        let before = std::mem::replace(&mut self.last, now);
        if before == PacketTime::MIN {
            return None;
        }
        let interval = now.since(before);
        if let Some(slot) = self.ring.get_mut(self.count as usize % INTERVALS) {
            *slot = tenths(interval);
        }
        self.count = self.count.saturating_add(1);
        Some(interval)
    }

    /// Whether any keep-alive was seen.
    pub(super) fn has_begun(&self) -> bool {
        self.last > PacketTime::MIN
    }

    pub(super) fn regular(&self, deviation: Ratio) -> Option<Regular> {
        regular(self.ring.get(..(self.count as usize).min(INTERVALS))?, deviation)
    }

    /// The shortest interval that recurs: the rhythm of a phone while it is on, also of one that is off half of the time.
    pub(super) fn beat(&self, deviation: Ratio) -> Option<Span> {
        let mut sorted: Vec<_> = self.ring.get(..(self.count as usize).min(INTERVALS))?.to_vec();
        sorted.sort_unstable();
        let recurs = |interval: &Tenths| {
            let near = |other: &&Tenths| f64::from(other.abs_diff(*interval)) <= deviation.get() * f64::from(*interval);
            sorted.iter().filter(near).count() >= ENOUGH
        };
        sorted.iter().copied().find(recurs).map(span).filter(|beat| *beat >= SHORTEST_GAP)
    }

    /// The longest interval in which no keep-alive was left out: a phone that sleeps is not due only when it wakes.
    pub(super) fn longest_beat(&self, deviation: Ratio) -> Option<Span> {
        let longest = self.regular(deviation)?.longest;
        if self.beat(deviation).is_none() {
            return Some(longest);
        }
        let kept = self.ring.get(..(self.count as usize).min(INTERVALS))?.iter().map(|interval| span(*interval));
        kept.filter(|interval| !self.lacks_beats(deviation, *interval)).max()
    }

    /// Whether keep-alives were left out in a silence: the phone was off, or its line was down.
    pub(super) fn lacks_beats(&self, deviation: Ratio, silence: Span) -> bool {
        self.beat(deviation).is_some_and(|beat| silence.as_secs_f64() >= LEFT_OUT * beat.as_secs_f64())
    }

    /// Whether a keep-alive at `now` is in time: whole intervals after the last one, which is not long past.
    pub(super) fn continues_at(&self, deviation: Ratio, now: PacketTime) -> bool {
        let Some(interval) = self.regular(deviation).map(|regular| regular.middle.as_secs_f64()).filter(|interval| *interval > 0.0) else {
            return false;
        };
        let passed = now.since(self.last).as_secs_f64();
        let whole = (passed / interval).round().max(1.0);
        whole <= LONGEST_PAUSE && (passed - whole * interval).abs() <= 0.1 * interval + 1.0
    }
}

/// Intervals after which a rhythm is forgotten.
const LONGEST_PAUSE: f64 = 20.0;

/// What happened while the keep-alive interval was the same.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Era {
    /// The interval.
    pub interval: Span,
    /// Keep-alives.
    pub intervals: u32,
    /// Requests of the PBX to the phone whose fate is known.
    pub asked: u32,
    /// Of those, undelivered.
    pub failed: u32,
}

/// Compares what happened before and after the keep-alive interval was changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Experiment {
    before: Option<Era>,
    now: Era,
    /// What may be the beginning of another era.
    next: Era,
}

impl Experiment {
    /// Takes note of an interval. Returns the two eras when enough is known of both, once.
    pub(super) fn note(&mut self, interval: Span) -> Option<(Era, Era)> {
        if self.now.intervals == 0 {
            self.now.interval = interval;
        }
        if is_another(interval, self.now.interval) {
            if self.next.intervals > 0 && is_another(interval, self.next.interval) {
                self.next = Era::default();
            }
            self.next.interval = interval;
            self.next.intervals += 1;
            if self.next.intervals >= CHANGED_INTERVALS {
                let begun = std::mem::take(&mut self.next);
                self.before = Some(std::mem::replace(&mut self.now, begun)).filter(|era| era.intervals >= COMPARED_INTERVALS);
            }
            return None;
        }
        self.now.asked += self.next.asked;
        self.now.failed += self.next.failed;
        self.next = Era::default();
        self.now.intervals += 1;
        let before = self.before.filter(|_| self.now.intervals == COMPARED_INTERVALS)?;
        Some((before, self.now))
    }

    /// Takes note of a request that arrived, or did not.
    pub(super) fn asked(&mut self, failed: u32) {
        let era = if self.next.intervals > 0 { &mut self.next } else { &mut self.now };
        era.asked = era.asked.saturating_add(1);
        era.failed = era.failed.saturating_add(failed);
    }
}

fn is_another(interval: Span, than: Span) -> bool {
    (interval - than).abs().as_secs_f64() > CHANGED * than.as_secs_f64()
}

fn regular(values: &[Tenths], deviation: Ratio) -> Option<Regular> {
    if values.len() < ENOUGH {
        return None;
    }
    let longest = values.iter().copied().max()?;
    let middle = median(values.to_vec());
    let spread = median(values.iter().map(|value| value.abs_diff(middle)).collect());
    let is_regular = f64::from(spread) <= deviation.get() * f64::from(middle);
    is_regular.then(|| Regular { middle: span(middle), longest: span(longest) })
}

fn median(mut values: Vec<Tenths>) -> Tenths {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn tenths(span: Span) -> Tenths {
    (span.as_secs_f64() * 10.0).round().clamp(0.0, f64::from(Tenths::MAX)) as Tenths
}

fn span(tenths: Tenths) -> Span {
    Span::from_millis(i64::from(tenths) * 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Thresholds;

    fn secs(seconds: i64) -> Span {
        Span::from_secs(seconds)
    }

    fn at(seconds: i64) -> PacketTime {
        PacketTime::from_parts(seconds, 0)
    }

    #[test]
    fn a_phone_that_is_off_half_of_the_time_has_the_rhythm_of_when_it_is_on() {
        let deviation = Thresholds::default().ka_periodic_mad;
        let rhythm = |intervals: &[i64]| {
            let mut rhythm = Rhythm::new();
            let mut now = PacketTime::from_parts(100, 0);
            rhythm.note(now);
            for seconds in intervals {
                now += secs(*seconds);
                rhythm.note(now);
            }
            rhythm
        };
        let beat = |intervals: &[i64]| rhythm(intervals).beat(deviation);
        assert_eq!(rhythm(&[20, 21, 20, 20, 120]).longest_beat(deviation), Some(secs(21)), "it slept once");
        assert_eq!(rhythm(&[60, 61, 60, 59]).longest_beat(deviation), Some(secs(61)));
        assert_eq!(beat(&[20, 50, 20, 50, 20, 50]), Some(secs(20)));
        assert_eq!(beat(&[25, 25, 25, 25]), Some(secs(25)));
        assert_eq!(beat(&[3, 50, 9, 110, 31, 70]), None, "nothing recurs");
    }

    #[test]
    fn silences_of_the_last_hour_count() {
        let mut gaps = Gaps::default();
        for _ in 0..5 {
            gaps.note(secs(1800));
        }
        gaps.note(Span::from_millis(60));
        assert_eq!(gaps.recent().count(), 2);
        assert_eq!(gaps.percentile_95(), Some(secs(1800)));
        assert_eq!(gaps.regular(Ratio::from_percent(15)), Some(Regular { middle: secs(1800), longest: secs(1800) }));
    }

    #[test]
    fn wild_silences_are_not_regular() {
        let mut gaps = Gaps::default();
        for gap in [2, 300, 17, 80, 5] {
            gaps.note(secs(gap));
        }
        assert_eq!(gaps.regular(Ratio::from_percent(15)), None);
    }

    #[test]
    fn a_keepalive_whole_intervals_later_continues_the_rhythm() {
        let mut rhythm = Rhythm::new();
        for second in [20, 40, 60, 80] {
            rhythm.note(at(second));
        }
        assert!(rhythm.continues_at(Ratio::from_percent(15), at(100)) && rhythm.continues_at(Ratio::from_percent(15), at(141)));
        assert!(!rhythm.continues_at(Ratio::from_percent(15), at(110)) && !rhythm.continues_at(Ratio::from_percent(15), at(83)));
        assert!(!Rhythm::new().continues_at(Ratio::from_percent(15), at(100)));
    }

    #[test]
    fn an_experiment_compares_ten_intervals_with_ten() {
        let mut experiment = Experiment::default();
        for _ in 0..12 {
            assert_eq!(experiment.note(secs(60)), None);
            experiment.asked(1);
        }
        let told: Vec<_> = (0..20)
            .filter_map(|_| {
                let told = experiment.note(secs(25));
                experiment.asked(0);
                told
            })
            .collect();
        let [(before, after)] = told[..] else { panic!("told {} times", told.len()) };
        assert_eq!((before.interval, before.asked, before.failed), (secs(60), 12, 12));
        assert_eq!((after.interval, after.intervals, after.failed), (secs(25), 10, 0));
    }

    #[test]
    fn a_single_late_keepalive_is_no_experiment() {
        let mut experiment = Experiment::default();
        let told = (0..60).filter_map(|n| experiment.note(secs(if n % 7 == 0 { 90 } else { 60 }))).count();
        assert_eq!(told, 0);
    }
}
