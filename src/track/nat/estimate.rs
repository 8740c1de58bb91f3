//! The lifetime of bindings, from the ages at which requests still arrived and at which they did not (DETECTION §2.5).

use std::collections::BTreeSet;

use crate::config::Thresholds;
use crate::time::Span;
use crate::track::vocabulary::Confidence;

/// How far beyond the upper bound that share is taken.
const BEYOND: Span = Span::from_secs(1);

/// No NAT forgets a binding so soon: what is lost after shorter silences is lost for another reason.
const SHORTEST_LIFETIME: Span = Span::from_secs(5);

/// Successes of about the same age.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Delivered {
    /// The largest age among them.
    pub age: Span,
    /// How many.
    pub count: u64,
}

/// A request that the NAT let fall.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Failed {
    /// How long the phone had been silent.
    pub age: Span,
    /// The silence that it fell into: several failures in one prove little more than one.
    pub gap: u32,
}

/// What was observed of one NAT.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// Requests that arrived at once.
    pub delivered: Vec<Delivered>,
    /// Requests that did not.
    pub failed: Vec<Failed>,
    /// Whether an answer of the PBX is known to have arrived right after a packet of the phone.
    pub answers_arrive: bool,
}

/// What follows from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The longest age at which requests provably still arrived.
    pub lower: Option<Span>,
    /// The shortest age at which they provably did not.
    pub upper: Option<Span>,
    /// Requests that arrived.
    pub successes: u64,
    /// Requests that did not.
    pub failures: u64,
    /// The balanced error of the best step, 0 where the observations agree.
    pub error: f64,
    /// How sure it is that bindings time out; none where nothing failed, or what failed was lost by accident.
    pub confidence: Option<Confidence>,
}

impl Observations {
    /// What follows from the observations.
    pub fn estimate(&self, thresholds: &Thresholds) -> Estimate {
        let successes = self.delivered.iter().map(|delivered| delivered.count).sum();
        let failures = self.failed.len() as u64;
        let longest = self.delivered.iter().map(|delivered| delivered.age).max();
        let weak = self.answers_arrive.then_some(Span::ZERO);
        let Some(shortest_failure) = self.failed.iter().map(|failed| failed.age).min() else {
            return Estimate { lower: longest.or(weak), upper: None, successes, failures, error: 0.0, confidence: None };
        };
        let informative = self.informative(shortest_failure);
        let (step, error) = self.best_step(&informative);
        let lower = self.delivered.iter().map(|delivered| delivered.age).filter(|age| *age <= step).max().or(weak);
        let upper = self.failed.iter().map(|failed| failed.age).filter(|age| *age >= step).min().unwrap_or(shortest_failure);
        let is_loss = error > thresholds.nat_confirm_error.get() && self.is_loss(thresholds, upper);
        if is_loss || upper < SHORTEST_LIFETIME {
            return Estimate { lower: longest.or(weak), upper: None, successes, failures, error, confidence: None };
        }
        let confidence = self.confidence(thresholds, upper, error, successes);
        Estimate { lower, upper: Some(upper), successes, failures, error, confidence: Some(confidence) }
    }

    /// The successes that say something: at an age of at least half the shortest failure, or else the single oldest one.
    fn informative(&self, shortest_failure: Span) -> Vec<Delivered> {
        let near: Vec<_> = self.delivered.iter().filter(|delivered| delivered.age.times(2) >= shortest_failure).copied().collect();
        if near.is_empty() { self.delivered.iter().max_by_key(|delivered| delivered.age).copied().into_iter().collect() } else { near }
    }

    /// The age that parts successes from failures best, and the balanced error that remains: half the share of successes above it and half
    /// the share of failures below. Balanced, because a thousand successes must not outvote the failures.
    fn best_step(&self, informative: &[Delivered]) -> (Span, f64) {
        let mut delivered = informative.to_vec();
        delivered.sort_unstable_by_key(|delivered| delivered.age);
        let mut failed: Vec<_> = self.failed.iter().map(|failed| failed.age).collect();
        failed.sort_unstable();
        let total: u64 = delivered.iter().map(|delivered| delivered.count).sum();
        let mut steps: Vec<_> = delivered.iter().map(|delivered| delivered.age).chain(failed.iter().copied()).collect();
        steps.sort_unstable();
        let (mut best, mut up_to, mut not_above) = ((Span::ZERO, f64::MAX), delivered.iter().peekable(), 0);
        for step in steps {
            while let Some(delivered) = up_to.next_if(|delivered| delivered.age <= step) {
                not_above += delivered.count;
            }
            let above = (total - not_above) as f64 / total.max(1) as f64;
            let below = failed.partition_point(|age| *age < step) as f64 / failed.len().max(1) as f64;
            let error = 0.5 * (above + below);
            if error < best.1 {
                best = (step, error);
            }
        }
        best
    }

    fn confidence(&self, thresholds: &Thresholds, upper: Span, error: f64, successes: u64) -> Confidence {
        // What failed before the bound is loss, not the NAT.
        let gaps = self.failed.iter().filter(|failed| failed.age >= upper).map(|failed| failed.gap).collect::<BTreeSet<_>>().len();
        let arrives = self.answers_arrive || self.delivered.iter().any(|delivered| delivered.age < upper);
        let enough = gaps >= thresholds.nat_confirm_failures as usize && successes >= u64::from(thresholds.nat_confirm_successes);
        if enough && error <= thresholds.nat_confirm_error.get() && self.guard(thresholds, upper) {
            Confidence::Confirmed
        } else if gaps >= thresholds.nat_probable_failures as usize && arrives {
            Confidence::Probable
        } else {
            Confidence::Suspected
        }
    }

    /// Whether nearly everything beyond the upper bound failed.
    fn guard(&self, thresholds: &Thresholds, upper: Span) -> bool {
        let (failed, all) = self.beyond(upper);
        all >= u64::from(thresholds.nat_confirm_failures) && thresholds.nat_confirm_guard.is_reached(failed as usize, all as usize)
    }

    /// Whether nearly everything arrived beyond the upper bound: then what failed was lost on the way, however long the silence (DETECTION §2.7).
    fn is_loss(&self, thresholds: &Thresholds, upper: Span) -> bool {
        let (_, beyond) = self.beyond(upper);
        let failed = self.failed.iter().filter(|failed| failed.age >= upper).count() as u64;
        let delivered = self.delivered_beyond(upper);
        let enough = beyond >= u64::from(thresholds.nat_confirm_failures);
        enough && thresholds.nat_confirm_guard.is_reached(delivered as usize, (failed + delivered) as usize)
    }

    /// Requests beyond the upper bound that failed, and all of them.
    fn beyond(&self, upper: Span) -> (u64, u64) {
        let beyond = upper + BEYOND;
        let failed = self.failed.iter().filter(|failed| failed.age >= beyond).count() as u64;
        (failed, failed + self.delivered_beyond(upper))
    }

    fn delivered_beyond(&self, upper: Span) -> u64 {
        self.delivered.iter().filter(|delivered| delivered.age >= upper + BEYOND).map(|delivered| delivered.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Ratio;

    fn secs(seconds: i64) -> Span {
        Span::from_secs(seconds)
    }

    fn observations(delivered: &[(i64, u64)], failed: &[i64]) -> Observations {
        Observations {
            delivered: delivered.iter().map(|&(age, count)| Delivered { age: secs(age), count }).collect(),
            failed: failed.iter().map(|&age| Failed { age: secs(age), gap: age as u32 }).collect(),
            answers_arrive: true,
        }
    }

    #[test]
    fn without_failures_the_longest_success_is_the_bound() {
        let estimate = observations(&[(10, 5), (59, 1)], &[]).estimate(&Thresholds::default());
        assert_eq!((estimate.lower, estimate.upper, estimate.confidence), (Some(secs(59)), None, None));
    }

    #[test]
    fn enough_on_both_sides_confirms() {
        let estimate = observations(&[(1, 20), (25, 2), (26, 1)], &[39, 44, 45, 58]).estimate(&Thresholds::default());
        assert_eq!((estimate.lower, estimate.upper), (Some(secs(26)), Some(secs(39))));
        assert_eq!(estimate.confidence, Some(Confidence::Confirmed));
    }

    #[test]
    fn failures_alone_are_probable_at_most() {
        assert_eq!(observations(&[], &[300]).estimate(&Thresholds::default()).confidence, Some(Confidence::Suspected));
        let estimate = observations(&[], &[300, 700, 900]).estimate(&Thresholds::default());
        assert_eq!((estimate.lower, estimate.upper, estimate.confidence), (Some(Span::ZERO), Some(secs(300)), Some(Confidence::Probable)));
    }

    #[test]
    fn one_stray_failure_does_not_move_the_bound() {
        let estimate = observations(&[(20, 50), (28, 50)], &[10, 31, 33, 35, 36, 40, 41, 42, 45, 50, 55]).estimate(&Thresholds::default());
        assert_eq!((estimate.lower, estimate.upper), (Some(secs(28)), Some(secs(31))));
        assert!(estimate.error > 0.0);
    }

    #[test]
    fn a_loss_before_the_bound_makes_nothing_surer() {
        let estimate = observations(&[(5, 60), (15, 60)], &[4, 20]).estimate(&Thresholds::default());
        assert_eq!((estimate.lower, estimate.upper, estimate.confidence), (Some(secs(15)), Some(secs(20)), Some(Confidence::Suspected)));
    }

    #[test]
    fn a_loss_among_many_that_arrived_after_longer_silences_is_no_bound() {
        let estimate = observations(&[(3, 20), (15, 99)], &[6]).estimate(&Thresholds::default());
        assert_eq!((estimate.lower, estimate.upper, estimate.confidence), (Some(secs(15)), None, None));
        let estimate = observations(&[(3, 20), (15, 2)], &[6]).estimate(&Thresholds::default());
        assert_eq!(estimate.confidence, Some(Confidence::Suspected), "too few to tell");
    }

    #[test]
    fn no_binding_dies_within_moments() {
        let estimate = observations(&[], &[0, 1, 4]).estimate(&Thresholds::default());
        assert_eq!((estimate.upper, estimate.confidence), (None, None));
        assert_eq!(observations(&[], &[6, 7]).estimate(&Thresholds::default()).confidence, Some(Confidence::Probable));
    }

    #[test]
    fn failures_at_any_age_are_loss_and_not_confirmed() {
        let estimate = observations(&[(10, 30), (30, 30), (50, 30), (59, 30)], &[3, 17, 29, 41, 55]).estimate(&Thresholds::default());
        assert_ne!(estimate.confidence, Some(Confidence::Confirmed));
    }

    #[test]
    fn the_error_and_the_share_of_failures_that_confirm_are_configured() {
        // One success in ten lies beyond the bound, and one of four requests beyond it arrived.
        let observed = observations(&[(20, 9), (60, 1)], &[40, 50, 70, 80]);
        let confidence = |error, guard| {
            let (nat_confirm_error, nat_confirm_guard) = (Ratio::from_percent(error), Ratio::from_percent(guard));
            observed.estimate(&Thresholds { nat_confirm_error, nat_confirm_guard, ..Thresholds::default() }).confidence
        };
        assert_eq!(confidence(10, 75), Some(Confidence::Confirmed));
        assert_eq!(confidence(10, 80), Some(Confidence::Probable), "the share");
        assert_eq!(confidence(4, 75), Some(Confidence::Probable), "the error");
    }
}
