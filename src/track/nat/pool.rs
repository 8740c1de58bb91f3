//! The observations of one site, within bounds: failures one by one, successes by hour and age (DETECTION §13, "What is kept").

use crate::table::append;
use crate::time::{PacketTime, Span};
use crate::track::nat::estimate::{Delivered, Failed, Observations};
use crate::track::nat::stage::Stage;

/// Failures kept; more say nothing new.
const FAILURES: usize = 256;
/// Age bins of successes kept, over all hours.
const BINS: usize = 128;
/// Bins for each doubling of the age.
const PER_DOUBLING: f64 = 4.0;

/// A request that the NAT let fall.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    pub(super) age: Span,
    /// The silence that it fell into.
    pub(super) gap: u32,
    /// The phone, by its number.
    pub(super) phone: u32,
    pub(super) stage: Stage,
    pub(super) kind: FailureKind,
}

/// What a failure was seen by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FailureKind {
    /// A probe was not answered.
    Options,
    /// A probe was not answered by a phone that never answered any, after a silence that other bindings of the site survive.
    Doubtful,
    /// Another request was not answered.
    Request,
    /// The phone came back on another port.
    NewPort,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    age: u32,
    gap: u32,
    phone: u32,
    hour: u32,
    stage: Stage,
    kind: FailureKind,
    /// The phone refreshes its binding in time since, so it does not suffer from the NAT any more.
    eased: bool,
}

impl FailureKind {
    fn is_probe(self) -> bool {
        matches!(self, Self::Options | Self::Doubtful)
    }
}

impl Kept {
    /// As an observation; however many are doubtful, they count as one silence.
    fn observed(&self) -> Failed {
        Failed { age: span(self.age), gap: if self.kind == FailureKind::Doubtful { 0 } else { self.gap } }
    }
}

/// Successes of one hour, stage and age bin; ages in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Bin {
    hour: u32,
    count: u32,
    longest: u32,
    bin: u8,
    stage: Stage,
}

/// The observations of one site.
#[derive(Debug)]
pub(super) struct Pool {
    /// How many hours observations count.
    hours: u32,
    failures: Vec<Kept>,
    successes: Vec<Bin>,
    answers_arrive: Option<u32>,
}

impl Pool {
    /// Nothing observed; observations count for `window`.
    pub(super) fn new(window: Span) -> Self {
        let hours = (window.as_secs() / 3600).clamp(1, i64::from(u32::MAX)) as u32;
        Self { hours, failures: Vec::new(), successes: Vec::new(), answers_arrive: None }
    }

    /// A request arrived at once after the flow had been idle for `age`. As long as nothing fails only the longest age of an hour is kept.
    pub(super) fn delivered(&mut self, age: Span, stage: Stage, now: PacketTime) {
        self.forget(now);
        let (hour, longest) = (hour(now), millis(age));
        let coarse = self.failures.is_empty();
        let number = bin(age);
        let known = self.successes.iter_mut().find(|bin| bin.hour == hour && bin.stage == stage && (coarse || bin.bin == number));
        if let Some(bin) = known {
            bin.count = bin.count.saturating_add(1);
            if longest >= bin.longest {
                (bin.longest, bin.bin) = (longest, number);
            }
            return;
        }
        if self.successes.len() >= BINS {
            self.merge_oldest();
        }
        append(&mut self.successes, Bin { hour, count: 1, longest, bin: number, stage });
    }

    /// An answer of the PBX arrived right after a packet of the phone.
    pub(super) fn answer_arrived(&mut self, now: PacketTime) {
        self.answers_arrive = Some(hour(now));
    }

    /// A request did not arrive.
    pub(super) fn failed(&mut self, failure: Failure, now: PacketTime) {
        self.forget(now);
        if self.failures.len() >= FAILURES {
            self.failures.remove(0);
        }
        let Failure { age, gap, phone, stage, kind } = failure;
        append(&mut self.failures, Kept { age: millis(age), gap, phone, hour: hour(now), stage, kind, eased: false });
    }

    /// Takes back the failed probes of a phone that turned out not to answer probes at all.
    pub(super) fn retract_probes(&mut self, phone: u32) {
        self.failures.retain(|failure| failure.phone != phone || !failure.kind.is_probe());
    }

    /// A phone answers probes after all: those that it missed were lost.
    pub(super) fn believe_probes(&mut self, phone: u32) {
        for failure in self.failures.iter_mut().filter(|failure| failure.phone == phone && failure.kind == FailureKind::Doubtful) {
            failure.kind = FailureKind::Options;
        }
    }

    /// Drops the failures at a stage whose lifetime was mended.
    pub(super) fn mend(&mut self, stage: Stage) {
        self.failures.retain(|failure| failure.stage != stage);
    }

    /// A phone refreshes its binding in time: what it missed before stays proof of the lifetime, but is over.
    pub(super) fn ease(&mut self, phone: u32) {
        for failure in self.failures.iter_mut().filter(|failure| failure.phone == phone) {
            failure.eased = true;
        }
    }

    /// Whether anything was observed.
    pub(super) fn is_empty(&self) -> bool {
        self.failures.is_empty() && self.successes.is_empty()
    }

    /// Whether anything failed.
    pub(super) fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Whether a request to the phone failed that the NAT and no accident let fall: after at least the silence in
    /// `uppers`, by stage.
    pub(super) fn has_failed(&self, phone: u32, uppers: [Option<Span>; 2]) -> bool {
        let counts = |failure: &Kept| uppers[failure.stage as usize].is_some_and(|upper| span(failure.age) >= upper);
        self.failures.iter().any(|failure| failure.phone == phone && !failure.eased && counts(failure))
    }

    /// Probes that a phone missed after a silence of at most `age`.
    pub(super) fn missed_probes(&self, phone: u32, age: Span) -> usize {
        let missed = |failure: &&Kept| failure.phone == phone && failure.kind.is_probe() && span(failure.age) <= age;
        self.failures.iter().filter(missed).count()
    }

    /// The longest age at which a request arrived; a one-way binding lives no longer than a stream.
    pub(super) fn longest_success(&self, stage: Stage) -> Option<Span> {
        self.successes.iter().filter(|bin| bin.stage <= stage).map(|bin| span(bin.longest)).max()
    }

    /// The shortest age that is proven to fail at `stage`.
    pub(super) fn shortest_failure(&self, stage: Stage) -> Option<Span> {
        self.failures.iter().filter(|failure| failure.stage == stage).map(|failure| span(failure.age)).min()
    }

    /// What was observed at `stage`, or in all.
    pub(super) fn observations(&self, stage: Option<Stage>) -> Observations {
        let wanted = |of: Stage| stage.is_none_or(|stage| stage == of);
        let delivered = self.successes.iter().filter(|bin| wanted(bin.stage));
        let failed = self.failures.iter().filter(|failure| wanted(failure.stage));
        Observations {
            delivered: delivered.map(|bin| Delivered { age: span(bin.longest), count: u64::from(bin.count) }).collect(),
            failed: failed.map(Kept::observed).collect(),
            answers_arrive: self.answers_arrive.is_some(),
        }
    }

    /// Lets go of what is older than the window.
    pub(super) fn forget(&mut self, now: PacketTime) {
        let oldest = hour(now).saturating_sub(self.hours - 1);
        self.failures.retain(|failure| failure.hour >= oldest);
        self.successes.retain(|bin| bin.hour >= oldest);
        self.answers_arrive = self.answers_arrive.filter(|hour| *hour >= oldest);
    }

    /// Makes room: the oldest bin is counted with the nearest age of its stage, in whichever hour.
    fn merge_oldest(&mut self) {
        let oldest = self.successes.remove(0);
        let same = self.successes.iter_mut().filter(|bin| bin.stage == oldest.stage);
        if let Some(into) = same.min_by_key(|bin| (bin.bin.abs_diff(oldest.bin), bin.hour)) {
            into.count = into.count.saturating_add(oldest.count);
            into.longest = into.longest.max(oldest.longest);
        }
    }
}

fn hour(now: PacketTime) -> u32 {
    (now.as_nanos() / Span::from_secs(3600).as_nanos()).clamp(0, i64::from(u32::MAX)) as u32
}

/// The bin of an age: four for each doubling, from one second on.
fn bin(age: Span) -> u8 {
    (age.as_secs_f64().max(1.0).log2() * PER_DOUBLING) as u8
}

fn millis(age: Span) -> u32 {
    (age.as_nanos() / 1_000_000).clamp(0, i64::from(u32::MAX)) as u32
}

fn span(millis: u32) -> Span {
    Span::from_millis(i64::from(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> PacketTime {
        PacketTime::from_parts(1_700_000_000 + hour * 3600, 0)
    }

    fn failure(age: i64, phone: u32, kind: FailureKind) -> Failure {
        Failure { age: Span::from_secs(age), gap: age as u32, phone, stage: Stage::Stream, kind }
    }

    #[test]
    fn as_long_as_nothing_fails_only_the_longest_success_of_an_hour_is_kept() {
        let mut pool = Pool::new(Span::from_secs(24 * 3600));
        for age in [10, 59, 30] {
            pool.delivered(Span::from_secs(age), Stage::Stream, at(0));
        }
        assert_eq!(pool.observations(None).delivered, [Delivered { age: Span::from_secs(59), count: 3 }]);
    }

    #[test]
    fn with_failures_successes_are_told_apart_by_age() {
        let mut pool = Pool::new(Span::from_secs(24 * 3600));
        pool.failed(failure(40, 1, FailureKind::Request), at(0));
        for age in [10, 59, 30] {
            pool.delivered(Span::from_secs(age), Stage::Stream, at(0));
        }
        assert_eq!(pool.observations(None).delivered.len(), 3);
        assert!(pool.observations(Some(Stage::Oneway)).failed.is_empty());
        assert_eq!(pool.shortest_failure(Stage::Stream), Some(Span::from_secs(40)));
    }

    #[test]
    fn what_is_a_day_old_is_forgotten() {
        let mut pool = Pool::new(Span::from_secs(24 * 3600));
        pool.failed(failure(40, 1, FailureKind::Request), at(0));
        pool.delivered(Span::from_secs(10), Stage::Stream, at(0));
        pool.forget(at(23));
        assert!(!pool.is_empty());
        pool.forget(at(24));
        assert!(pool.is_empty());
    }

    #[test]
    fn probes_of_a_phone_that_answers_none_are_taken_back() {
        let mut pool = Pool::new(Span::from_secs(24 * 3600));
        pool.failed(failure(40, 1, FailureKind::Options), at(0));
        pool.failed(failure(50, 1, FailureKind::Request), at(0));
        pool.failed(failure(60, 2, FailureKind::Options), at(0));
        pool.retract_probes(1);
        assert_eq!(pool.observations(None).failed.len(), 2);
        let from = [Some(Span::ZERO); 2];
        assert!(pool.has_failed(1, from) && pool.has_failed(2, from));
        assert_eq!((pool.missed_probes(1, Span::from_secs(99)), pool.missed_probes(2, Span::from_secs(60))), (0, 1));
    }

    #[test]
    fn what_is_eased_or_fell_before_the_bound_is_no_trouble_of_the_phone() {
        let mut pool = Pool::new(Span::from_secs(24 * 3600));
        pool.failed(failure(40, 1, FailureKind::Request), at(0));
        let beyond = |seconds| [None, Some(Span::from_secs(seconds))];
        assert!(pool.has_failed(1, beyond(40)) && !pool.has_failed(1, beyond(41)));
        pool.ease(1);
        assert!(!pool.has_failed(1, beyond(40)) && pool.has_failures());
        pool.failed(failure(45, 1, FailureKind::Request), at(0));
        assert!(pool.has_failed(1, beyond(40)), "it missed one again");
    }

    #[test]
    fn doubtful_probes_count_as_one_silence_until_one_is_answered() {
        let mut pool = Pool::new(Span::from_secs(24 * 3600));
        for age in [40, 50] {
            pool.failed(failure(age, 1, FailureKind::Doubtful), at(0));
        }
        let silences = |pool: &Pool| pool.observations(None).failed.iter().map(|failed| failed.gap).collect::<Vec<_>>();
        assert_eq!(silences(&pool), [0, 0]);
        pool.believe_probes(1);
        assert_eq!(silences(&pool), [40, 50]);
    }

    #[test]
    fn streams_are_mended_apart_from_one_way_bindings() {
        let mut pool = Pool::new(Span::from_secs(24 * 3600));
        pool.failed(failure(40, 1, FailureKind::Request), at(0));
        pool.failed(Failure { stage: Stage::Oneway, ..failure(30, 1, FailureKind::Request) }, at(0));
        pool.mend(Stage::Stream);
        assert_eq!((pool.shortest_failure(Stage::Oneway), pool.shortest_failure(Stage::Stream)), (Some(Span::from_secs(30)), None));
    }

    #[test]
    fn however_much_is_observed_a_site_keeps_eight_kilobytes() {
        let mut pool = Pool::new(Span::from_secs(24 * 3600));
        for n in 0..10_000_i64 {
            pool.failed(failure(n, 1, FailureKind::Request), at(0));
            pool.delivered(Span::from_secs(n), if n % 2 == 0 { Stage::Oneway } else { Stage::Stream }, at(n / 1000));
        }
        let bytes = pool.failures.capacity() * size_of::<Kept>() + pool.successes.capacity() * size_of::<Bin>();
        assert!(bytes <= 8192, "{bytes}");
        assert_eq!(pool.observations(None).delivered.iter().map(|bin| bin.count).sum::<u64>(), 10_000, "merged, not lost");
    }

    #[test]
    fn how_long_observations_count_is_configured() {
        let held_after = |window: i64, hours: i64| {
            let mut pool = Pool::new(Span::from_secs(window * 3600));
            pool.delivered(Span::from_secs(10), Stage::Stream, at(0));
            pool.forget(at(hours));
            !pool.is_empty()
        };
        assert!(held_after(2, 1) && !held_after(2, 2));
        assert!(held_after(48, 47) && !held_after(48, 48));
    }
}
