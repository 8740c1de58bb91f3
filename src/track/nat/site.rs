//! A site: the phones behind one public address, and what is known of its NAT.

use std::net::SocketAddr;

use crate::config::Thresholds;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::event::Sighting;
use crate::track::nat::estimate::Estimate;
use crate::track::nat::pool::{Failure, Pool};
use crate::track::nat::stage::Stage;
use crate::track::site::Site;
use crate::track::vocabulary::Confidence;

/// Phones of a site that are compared with each other.
const PHONES: usize = 64;
/// Changes of ports remembered.
const MOVES: usize = 64;
/// Silences that the successes of a mended NAT must fall into (DETECTION §13).
const MENDED_GAPS: usize = 3;
/// How far beyond the bound.
const BEYOND: Span = Span::from_secs(1);

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
    pub(super) bounds: (Option<Span>, Option<Span>),
    /// The shortest silence that a stream is proven not to outlive.
    pub(super) stream_lifetime: Option<Span>,
    moves: Vec<Moved>,
    mending: Mending,
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
            stream_lifetime: None,
            moves: Vec::new(),
            mending: Mending::default(),
        }
    }

    pub(super) fn arrived(&mut self, phone: Handle) {
        if self.phones.len() < PHONES && !self.phones.contains(&phone) {
            self.phones.push(phone);
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

    pub(super) fn failed(&mut self, failure: Failure, now: PacketTime) {
        self.first.get_or_insert(now);
        self.mending = Mending::default();
        self.pool.failed(failure, now);
        self.stream_lifetime = self.pool.shortest_failure(Stage::Stream);
        self.bounds.1 = self.bounds.1.or(Some(failure.age));
    }

    /// Draws the conclusions anew. Tells whether it became surer or less sure that bindings time out.
    pub(super) fn reconsider(&mut self, thresholds: &Thresholds) -> bool {
        if !self.pool.has_failures() && self.confidence.is_none() {
            return false;
        }
        let estimates = self.estimates(thresholds);
        let upper = estimates.iter().filter_map(|(_, estimate)| estimate.upper).max();
        let surest = self.surest(thresholds);
        self.bounds = (surest.and_then(|estimate| estimate.lower), upper);
        self.stream_lifetime = self.pool.shortest_failure(Stage::Stream);
        let confidence = surest.and_then(|estimate| estimate.confidence);
        std::mem::replace(&mut self.confidence, confidence) != confidence
    }

    /// Takes note of a request that arrived after `idle`. Tells whether the NAT is now known to be mended, which `enough` of them show.
    pub(super) fn delivered(&mut self, idle: Span, gap: u32, stage: Stage, enough: u32, now: PacketTime) -> bool {
        self.first.get_or_insert(now);
        self.pool.delivered(idle, stage, now);
        if self.bounds.1.is_none_or(|upper| idle < upper + BEYOND) {
            return false;
        }
        let mending = &mut self.mending;
        mending.successes += 1;
        let known = mending.gaps.iter().take(mending.distinct).any(|known| *known == gap);
        if let (false, Some(slot)) = (known, mending.gaps.get_mut(mending.distinct)) {
            *slot = gap;
            mending.distinct += 1;
        }
        let mended = mending.successes >= enough && mending.distinct >= MENDED_GAPS;
        if mended {
            self.pool.mend();
            self.mending = Mending::default();
        }
        mended
    }

    /// What follows from the observations: for all together, or for each stage where together they contradict each other and apart they
    /// do not.
    pub(super) fn estimates(&self, thresholds: &Thresholds) -> Vec<(Option<Stage>, Estimate)> {
        let all = self.pool.observations(None).estimate(thresholds);
        let apart = [Stage::Oneway, Stage::Stream].map(|stage| (Some(stage), self.pool.observations(Some(stage)).estimate(thresholds)));
        let agree = thresholds.nat_confirm_error.get();
        let is_observed = |estimate: &Estimate| estimate.successes + estimate.failures > 0 && estimate.error <= agree;
        if all.error > agree && apart.iter().all(|(_, estimate)| is_observed(estimate)) {
            return apart.to_vec();
        }
        vec![(None, all)]
    }

    /// The estimate that is surest that bindings time out.
    pub(super) fn surest(&self, thresholds: &Thresholds) -> Option<Estimate> {
        let estimates = self.estimates(thresholds).into_iter().map(|(_, estimate)| estimate);
        estimates.filter(|estimate| estimate.confidence.is_some()).max_by_key(|estimate| estimate.confidence)
    }
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
        assert!(site.surest(&Thresholds::default()).is_none());
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
