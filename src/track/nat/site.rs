//! A site: the phones behind one public address, and what is known of its NAT.

use std::net::SocketAddr;

use crate::config::Thresholds;
use crate::table::{Handle, append};
use crate::time::{PacketTime, Span};
use crate::track::event::Sighting;
use crate::track::nat::dark::Lapses;
use crate::track::nat::estimate::Estimate;
use crate::track::nat::pool::{Failure, Pool};
use crate::track::nat::stage::Stage;
use crate::track::site::Site;
use crate::track::vocabulary::Confidence;

/// Phones of a site that are compared with each other.
const PHONES: usize = 64;
/// Changes of ports remembered.
const MOVES: usize = 64;
/// Ports remembered that keep-alives came from and no registration named.
const STRANGERS: usize = 16;
/// Silences that the successes of a mended NAT must fall into (DETECTION §13).
const MENDED_GAPS: usize = 3;
/// How far beyond the bound.
const BEYOND: Span = Span::from_secs(1);
/// By how much a bound must move to be told again.
const NOTICEABLE: f64 = 0.02;
/// How old what was told of a NAT may be: what it costs changes with each hour (DETECTION §2.5), also where the bounds stand.
const RETOLD: Span = Span::from_secs(600);

/// A phone that changed its port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    pub(super) phone: Handle,
    pub(super) old: SocketAddr,
    pub(super) at: Sighting,
}

/// Requests that arrived beyond the bound since the last failure.
#[derive(Clone, Copy, Debug, Default)]
struct Mending {
    successes: u32,
    gaps: [u32; MENDED_GAPS],
    distinct: usize,
}

impl Mending {
    /// Takes note of one more, in a silence. Tells whether they suffice.
    fn note(&mut self, gap: u32, enough: u32) -> bool {
        self.successes += 1;
        let known = self.gaps.iter().take(self.distinct).any(|known| *known == gap);
        if let (false, Some(slot)) = (known, self.gaps.get_mut(self.distinct)) {
            *slot = gap;
            self.distinct += 1;
        }
        self.successes >= enough && self.distinct >= MENDED_GAPS
    }
}

/// A port that keep-alives came from and no registration named.
#[derive(Clone, Copy, Debug)]
struct Stranger {
    address: SocketAddr,
    first: Sighting,
}

/// What became known by one more observation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum News {
    None,
    /// It is surer, or less sure, that bindings time out.
    Verdict,
    /// The bounds of the lifetime moved noticeably, or what was told of it is old.
    Bounds,
}

/// Bounds of the lifetime.
type Bounds = (Option<Span>, Option<Span>);

/// A site.
#[derive(Debug)]
pub(super) struct SiteNat {
    pub(super) site: Site,
    /// The first observation.
    pub(super) first: Option<PacketTime>,
    pub(super) pool: Pool,
    pub(super) phones: Vec<Handle>,
    /// How sure it is that bindings time out.
    pub(super) confidence: Option<Confidence>,
    /// The bounds, where anything failed.
    pub(super) bounds: Bounds,
    /// From which silence on a failure at a stage is the NAT's, as told.
    pub(super) uppers: [Option<Span>; 2],
    /// What each stage alone says of it.
    mendable: [Option<Span>; 2],
    /// Streams die and were not seen to outlive one-way bindings: what is learned of one kind holds for both.
    one_lifetime: bool,
    /// The bounds that were told, and for how many stages.
    told: (Bounds, usize),
    /// When.
    told_at: PacketTime,
    /// The shortest silence that a stream is proven not to outlive.
    pub(super) stream_lifetime: Option<Span>,
    moves: Vec<Moved>,
    /// When the router last forgot all its bindings at once.
    pub(super) flushed: PacketTime,
    strangers: Vec<Stranger>,
    pub(super) lapses: Lapses,
    mending: [Mending; 2],
}

impl SiteNat {
    pub(super) fn new(site: Site, thresholds: &Thresholds) -> Self {
        Self {
            site,
            first: None,
            pool: Pool::new(thresholds.nat_window),
            phones: Vec::new(),
            confidence: None,
            bounds: (None, None),
            uppers: [None; 2],
            mendable: [None; 2],
            one_lifetime: false,
            told: ((None, None), 1),
            told_at: PacketTime::MIN,
            stream_lifetime: None,
            moves: Vec::new(),
            flushed: PacketTime::MIN,
            strangers: Vec::new(),
            lapses: Lapses::default(),
            mending: [Mending::default(); 2],
        }
    }

    pub(super) fn arrived(&mut self, phone: Handle) {
        if self.phones.len() < PHONES && !self.phones.contains(&phone) {
            append(&mut self.phones, phone);
        }
    }

    pub(super) fn left(&mut self, phone: Handle) {
        self.phones.retain(|&known| known != phone);
    }

    pub(super) fn moved(&mut self, moved: Moved, together: Span) {
        self.moves.retain(|earlier| moved.at.time.since(earlier.at.time) <= together.times(3));
        if self.moves.len() < MOVES {
            self.moves.push(moved);
        }
    }

    /// The phones that changed their port within `together` of `at`.
    pub(super) fn moved_near(&self, together: Span, at: PacketTime) -> Vec<Moved> {
        let mut near: Vec<_> = self.moves.iter().filter(|moved| (moved.at.time - at).abs() <= together).copied().collect();
        near.sort_by_key(|moved| moved.phone);
        near.dedup_by_key(|moved| moved.phone);
        near.sort_by_key(|moved| moved.at.time);
        near
    }

    /// Takes note of a keep-alive from a port that no registration named and that nobody can be given yet.
    pub(super) fn stranger(&mut self, address: SocketAddr, at: Sighting) {
        if self.strangers.iter().any(|stranger| stranger.address == address) {
            return;
        }
        if self.strangers.len() >= STRANGERS {
            self.strangers.remove(0);
        }
        self.strangers.push(Stranger { address, first: at });
    }

    /// The first keep-alive from a port since `since`, once it is known whose the port is.
    pub(super) fn identify(&mut self, address: SocketAddr, since: PacketTime) -> Option<Sighting> {
        let position = self.strangers.iter().position(|stranger| stranger.address == address)?;
        Some(self.strangers.remove(position).first).filter(|first| first.time > since)
    }

    /// The longest silence that a binding at a stage provably survives.
    pub(super) fn survived(&self, stage: Stage) -> Option<Span> {
        let longest = self.pool.longest_success(stage);
        match self.bounds {
            (lower, Some(_)) => longest.min(lower),
            (_, None) => longest,
        }
    }

    pub(super) fn failed(&mut self, failure: Failure, now: PacketTime) {
        self.first.get_or_insert(now);
        let (stage, age) = (failure.stage as usize, Some(failure.age));
        if self.one_lifetime {
            self.mending = [Mending::default(); 2];
        }
        self.mending[stage] = Mending::default();
        self.mendable[stage] = self.mendable[stage].or(age);
        self.uppers[stage] = self.uppers[stage].or(age);
        self.pool.failed(failure, now);
        self.stream_lifetime = self.pool.shortest_failure(Stage::Stream);
        self.bounds.1 = self.bounds.1.or(Some(failure.age));
    }

    /// Draws the conclusions anew, and tells what is new about them.
    pub(super) fn reconsider(&mut self, thresholds: &Thresholds, now: PacketTime) -> News {
        if !self.pool.has_failures() && self.confidence.is_none() {
            return News::None;
        }
        let apart = self.apart(thresholds);
        let estimates = self.together_or(&apart, thresholds);
        let upper = estimates.iter().filter_map(|(_, estimate)| estimate.upper).max();
        let surest = surest(&estimates);
        self.bounds = (surest.and_then(|estimate| estimate.lower), upper);
        self.uppers = match estimates[..] {
            [(None, all)] => [all.upper; 2],
            _ => apart.map(|estimate| estimate.upper),
        };
        if self.mending[Stage::Stream as usize].successes == 0 {
            let [oneway, stream] = apart;
            let outlives = oneway.upper.zip(stream.lower).is_some_and(|(upper, lower)| lower > upper + BEYOND);
            self.one_lifetime = stream.upper.is_some() && !outlives;
        }
        self.mendable = if self.one_lifetime { [upper; 2] } else { apart.map(|estimate| estimate.upper) };
        self.stream_lifetime = self.pool.shortest_failure(Stage::Stream);
        let confidence = surest.and_then(|estimate| estimate.confidence);
        if std::mem::replace(&mut self.confidence, confidence) != confidence {
            self.told = (self.bounds, estimates.len());
            self.told_at = now;
            return News::Verdict;
        }
        let (told, stages) = self.told;
        let is_old = confidence.is_some() && now - self.told_at >= RETOLD;
        if has_moved(told, self.bounds) || stages != estimates.len() || is_old {
            self.told = (self.bounds, estimates.len());
            self.told_at = now;
            return News::Bounds;
        }
        News::None
    }

    /// Takes note of a request that arrived after `idle`. Tells whether the NAT is now known to be mended, which `enough` of them show:
    /// requests to streams say so of streams only, unless streams were never seen to outlive one-way bindings.
    pub(super) fn delivered(&mut self, idle: Span, gap: u32, stage: Stage, enough: u32, now: PacketTime) -> bool {
        self.first.get_or_insert(now);
        self.pool.delivered(idle, stage, now);
        let mut mended = false;
        // What a one-way binding survives a stream survives too.
        let one_lifetime = self.one_lifetime;
        for stage in [Stage::Oneway, Stage::Stream].into_iter().filter(|of| one_lifetime || *of >= stage) {
            let beyond = self.mendable[stage as usize].is_some_and(|upper| idle >= upper + BEYOND);
            if beyond && self.mending[stage as usize].note(gap, enough) {
                self.pool.mend(stage);
                self.mending[stage as usize] = Mending::default();
                self.mendable[stage as usize] = None;
                mended = true;
            }
        }
        mended && !self.pool.has_failures()
    }

    /// What follows from the observations: for all together, or for each stage where together they contradict each other and apart they
    /// do not.
    pub(super) fn estimates(&self, thresholds: &Thresholds) -> Vec<(Option<Stage>, Estimate)> {
        self.together_or(&self.apart(thresholds), thresholds)
    }

    fn apart(&self, thresholds: &Thresholds) -> [Estimate; 2] {
        [Stage::Oneway, Stage::Stream].map(|stage| self.pool.observations(Some(stage)).estimate(thresholds))
    }

    fn together_or(&self, apart: &[Estimate; 2], thresholds: &Thresholds) -> Vec<(Option<Stage>, Estimate)> {
        let all = self.pool.observations(None).estimate(thresholds);
        let agree = thresholds.nat_confirm_error.get();
        let is_observed = |estimate: &Estimate| estimate.successes + estimate.failures > 0 && estimate.error <= agree;
        if all.error > agree && apart.iter().all(is_observed) {
            let [oneway, stream] = *apart;
            return vec![(Some(Stage::Oneway), oneway), (Some(Stage::Stream), stream)];
        }
        vec![(None, all)]
    }
}

/// The estimate that is surest that bindings time out.
pub(super) fn surest(estimates: &[(Option<Stage>, Estimate)]) -> Option<Estimate> {
    let failing = estimates.iter().map(|(_, estimate)| *estimate).filter(|estimate| estimate.confidence.is_some());
    failing.max_by_key(|estimate| estimate.confidence)
}

/// Whether bounds differ so much that who reads them would want to know.
fn has_moved(told: Bounds, bounds: Bounds) -> bool {
    let moved = |told: Option<Span>, bound: Option<Span>| match (told, bound) {
        (Some(told), Some(bound)) => (told - bound).abs().as_secs_f64() > NOTICEABLE * told.max(bound).as_secs_f64(),
        (told, bound) => told.is_some() != bound.is_some(),
    };
    moved(told.0, bounds.0) || moved(told.1, bounds.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::nat::pool::FailureKind;

    fn site() -> SiteNat {
        SiteNat::new(Site::of("198.51.100.7".parse().unwrap()), &Thresholds::default())
    }

    fn at(seconds: i64) -> PacketTime {
        PacketTime::from_parts(1_700_000_000 + seconds, 0)
    }

    fn failure(age: i64, stage: Stage) -> Failure {
        Failure { age: Span::from_secs(age), gap: age as u32, phone: 1, stage, kind: FailureKind::Request }
    }

    #[test]
    fn two_stages_that_contradict_each_other_are_told_apart() {
        let mut site = site();
        for age in [40, 45] {
            site.failed(failure(age, Stage::Oneway), at(age));
        }
        site.delivered(Span::from_secs(5), 1, Stage::Oneway, 5, at(50));
        assert_eq!(site.estimates(&Thresholds::default()).len(), 1);
        for age in [70, 100] {
            site.delivered(Span::from_secs(age), age as u32, Stage::Stream, 5, at(100 + age));
        }
        let [(Some(Stage::Oneway), oneway), (Some(Stage::Stream), stream)] = site.estimates(&Thresholds::default())[..] else {
            panic!("not apart")
        };
        assert_eq!((oneway.upper, stream.lower), (Some(Span::from_secs(40)), Some(Span::from_secs(100))));
        assert_eq!(stream.confidence, None);
    }

    #[test]
    fn five_successes_in_three_silences_beyond_the_bound_mend_a_nat() {
        let mut site = site();
        site.failed(failure(40, Stage::Stream), at(0));
        let mut mended = |gap: u32, age: i64| site.delivered(Span::from_secs(age), gap, Stage::Stream, 5, at(100));
        assert!(!mended(1, 50) && !mended(1, 51) && !mended(1, 52) && !mended(1, 53) && !mended(2, 50));
        assert!(!mended(3, 40), "not beyond");
        assert!(mended(3, 55));
        assert!(surest(&site.estimates(&Thresholds::default())).is_none());
    }

    #[test]
    fn streams_that_outlive_one_way_bindings_mend_nothing() {
        let mut site = site();
        site.failed(failure(37, Stage::Oneway), at(0));
        site.reconsider(&Thresholds::default(), at(100));
        for gap in 0..20 {
            assert!(!site.delivered(Span::from_secs(45), gap, Stage::Stream, 5, at(100)));
            site.reconsider(&Thresholds::default(), at(100));
        }
        assert_eq!(site.uppers, [Some(Span::from_secs(37)), None], "told apart");
        for gap in 0..4 {
            assert!(!site.delivered(Span::from_secs(45), gap, Stage::Oneway, 5, at(200)));
        }
        assert!(site.delivered(Span::from_secs(45), 4, Stage::Oneway, 5, at(200)), "one-way bindings live longer as well");
    }

    #[test]
    fn a_nat_with_one_lifetime_is_mended_by_what_arrives_at_streams() {
        let mut site = site();
        for stage in [Stage::Oneway, Stage::Stream] {
            site.failed(failure(20, stage), at(0));
            site.reconsider(&Thresholds::default(), at(100));
        }
        let mended = (0..9).position(|gap| {
            let mended = site.delivered(Span::from_secs(25), gap, Stage::Stream, 5, at(100));
            site.reconsider(&Thresholds::default(), at(100));
            mended
        });
        assert_eq!(mended, Some(4));
    }

    #[test]
    fn bounds_are_told_again_when_they_moved() {
        let mut site = site();
        site.failed(failure(40, Stage::Stream), at(0));
        assert_eq!(site.reconsider(&Thresholds::default(), at(100)), News::Verdict);
        let mut news = |age: i64| {
            site.delivered(Span::from_secs(age), age as u32, Stage::Stream, 5, at(100));
            site.reconsider(&Thresholds::default(), at(100))
        };
        assert_eq!([20, 20, 30].map(&mut news), [News::Bounds, News::None, News::Bounds]);
    }

    #[test]
    fn a_port_is_dated_by_the_first_keepalive_from_it() {
        let mut site = site();
        let sighting = |second, frame| Sighting { time: at(second), frame };
        let port = |port: u16| SocketAddr::from(([198, 51, 100, 7], port));
        for second in [10, 20] {
            site.stranger(port(1), sighting(second, second as u64));
            site.stranger(port(2), sighting(second, second as u64));
        }
        assert_eq!(site.identify(port(1), at(5)), Some(sighting(10, 10)));
        assert_eq!(site.identify(port(1), at(5)), None, "once");
        assert_eq!(site.identify(port(2), at(15)), None, "that was another phone");
    }

    #[test]
    fn phones_that_move_together_are_counted_once_each() {
        let mut site = site();
        let mut table = crate::table::ExpiringTable::new(4);
        let digester = crate::table::Digester::new(0);
        let [a, b] = [b"a", b"b"].map(|name| table.insert(digester.bytes(name), (), PacketTime::MAX, crate::table::Rank::Ordinary).0);
        let old = "198.51.100.7:1".parse().unwrap();
        for (phone, second) in [(a, 0), (b, 5), (a, 8), (b, 100)] {
            site.moved(Moved { phone, old, at: Sighting { time: at(second), frame: 1 } }, Span::from_secs(10));
        }
        assert_eq!(site.moved_near(Span::from_secs(10), at(100)).len(), 1);
    }

    #[test]
    fn how_many_successes_mend_a_nat_is_configured() {
        let mended_by = |enough: u32| {
            let mut site = site();
            site.failed(failure(40, Stage::Stream), at(0));
            (0..10).position(|n: u32| site.delivered(Span::from_secs(500), n, Stage::Stream, enough, at(1000)))
        };
        assert_eq!((mended_by(4), mended_by(5)), (Some(3), Some(4)));
    }
}
