//! A NAT in front of one phone, and what the estimate makes of it.

use proptest::prelude::*;

use crate::config::Thresholds;
use crate::time::{PacketTime, Span};
use crate::track::nat::estimate::Estimate;
use crate::track::nat::pool::{Failure, FailureKind};
use crate::track::nat::site::{News, SiteNat, surest};
use crate::track::nat::stage::Stage;
use crate::track::site::Site;
use crate::track::vocabulary::Confidence;

/// Offsets of the transmissions of a probe in seconds.
const SCHEDULE: [f64; 3] = [0.0, 0.5, 1.5];
/// How long a day of one phone lasts here, in seconds.
const DAY: f64 = 6.0 * 3600.0;

/// A network: lifetime of a binding, keep-alive and probe intervals in seconds, and the share of lost packets.
#[derive(Clone, Copy, Debug)]
struct Network {
    lifetime: f64,
    keepalive: f64,
    probe: f64,
    loss: f64,
}

/// A deterministic source of numbers from 0 to 1.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A keep-alive that leaves the phone, and whether it reaches the PBX.
fn keepalives(network: Network, random: &mut Random) -> Vec<(f64, bool)> {
    let mut sent = vec![(0.0, true)];
    let mut at = network.keepalive * random.next();
    while at < DAY {
        sent.push((at, random.next() >= network.loss));
        at += network.keepalive;
    }
    sent
}

/// Replays a day and gives the observations that siphound would make of it.
fn observe(network: Network, seed: u64) -> Estimate {
    let mut random = Random(seed);
    let keepalives = keepalives(network, &mut random);
    let arrived: Vec<f64> = keepalives.iter().filter(|(_, arrived)| *arrived).map(|(sent, _)| *sent).collect();
    let thresholds = Thresholds::default();
    let mut site = SiteNat::new(Site::of("198.51.100.7".parse().unwrap()), &thresholds);
    let mut last_answer = 0.0_f64;
    let mut at = network.probe * random.next();
    while at < DAY {
        let refreshed = |time: f64| keepalives[keepalives.partition_point(|(sent, _)| *sent <= time) - 1].0.max(last_answer);
        let next = arrived.partition_point(|sent| *sent <= at);
        let seen = arrived[next - 1].max(last_answer);
        let back = arrived.get(next);
        let arrives = SCHEDULE.iter().position(|offset| {
            let time = at + offset;
            time - refreshed(time) <= network.lifetime && random.next() >= network.loss && random.next() >= network.loss
        });
        let now = PacketTime::from_parts(1_700_000_000 + at as i64, 0);
        let silence = at - seen;
        match (arrives.map(|n| at + SCHEDULE[n]), back) {
            (Some(time), _) if time == at => site.delivered(Span::from_secs_f64(silence), seen as u32, Stage::Stream, 5, now),
            (Some(time), Some(back)) if time > *back => lost(&mut site, silence, seen, now),
            (None, Some(_)) => lost(&mut site, silence, seen, now),
            _ => false,
        };
        if let Some(n) = arrives {
            last_answer = at + SCHEDULE[n] + 0.03;
        }
        at += network.probe;
    }
    let estimates = site.estimates(&thresholds);
    surest(&estimates).unwrap_or(estimates[0].1)
}

fn lost(site: &mut SiteNat, silence: f64, since: f64, now: PacketTime) -> bool {
    site.failed(failure(silence, since), now);
    site.reconsider(&Thresholds::default(), now) != News::None
}

fn failure(silence: f64, since: f64) -> Failure {
    Failure { age: Span::from_secs_f64(silence), gap: since as u32, phone: 1, stage: Stage::Stream, kind: FailureKind::Options }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_confirmed_contains_the_lifetime(
        lifetime in 20.0..58.0, probe in 43.0..77.0, loss in 0.0..0.10, seed: u64,
    ) {
        let estimate = observe(Network { lifetime, keepalive: 60.0, probe, loss }, seed);
        if estimate.confidence == Some(Confidence::Confirmed) {
            let (lower, upper) = (estimate.lower.unwrap().as_secs_f64(), estimate.upper.unwrap().as_secs_f64());
            prop_assert!(lower - 2.0 <= lifetime && lifetime <= upper + 2.0, "{lifetime} not in {lower}..{upper}");
        }
    }

    #[test]
    fn without_a_gap_loss_alone_never_confirms(lifetime in 130.0..600.0, probe in 43.0..77.0, loss in 0.02..0.10, seed: u64) {
        let estimate = observe(Network { lifetime, keepalive: 60.0, probe, loss }, seed);
        prop_assert_ne!(estimate.confidence, Some(Confidence::Confirmed), "{:?}", estimate);
    }
}

#[test]
fn most_days_with_a_gap_are_confirmed() {
    let confirmed = (0..40_u64).filter(|seed| {
        let network = Network { lifetime: 30.0, keepalive: 60.0, probe: 53.0, loss: 0.02 };
        observe(network, *seed * 7919 + 1).confidence == Some(Confidence::Confirmed)
    });
    assert!(confirmed.count() >= 28);
}
