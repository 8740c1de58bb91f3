//! The performance metrics of RFC 6076.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Ratio, Seconds};
use crate::time::Span;

/// Delays and ratios over the attempts towards the PBX, or over all where no PBX is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Rfc6076 {
    /// Registration request delay, successes only (§4.1).
    pub rrd_s: Distribution,
    /// Session request delay of attempts that succeeded (§4.3.1).
    pub srd_success_s: Distribution,
    /// Session request delay of attempts that failed (§4.3.2).
    pub srd_failure_s: Distribution,
    /// Session disconnect delay (§4.4).
    pub sdd_s: Distribution,
    /// Session duration time (§4.5).
    pub sdt_s: Distribution,
    /// Ineffective registration attempts (§4.2).
    pub ira_ratio: Option<Ratio>,
    /// Session establishment ratio (§4.6).
    pub ser_ratio: Option<Ratio>,
    /// Session establishment effectiveness ratio (§4.7).
    pub seer_ratio: Option<Ratio>,
    /// Ineffective session attempts (§4.8).
    pub isa_ratio: Option<Ratio>,
    /// Session completion ratio (§4.9).
    pub scr_ratio: Option<Ratio>,
}

/// How a set of delays spreads. Percentiles are nearest-rank: always one of the delays measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Distribution {
    /// How many delays.
    pub count: u64,
    /// The smallest.
    pub min: Option<Seconds>,
    /// The arithmetic mean.
    pub mean: Option<Seconds>,
    /// The median.
    pub p50: Option<Seconds>,
    /// What 95 of 100 do not exceed.
    pub p95: Option<Seconds>,
    /// The largest.
    pub max: Option<Seconds>,
}

impl Distribution {
    /// The distribution of `delays`, in any order.
    pub fn of(mut delays: Vec<Span>) -> Self {
        delays.sort_unstable();
        Self {
            count: delays.len() as u64,
            min: delays.first().copied().map(Seconds),
            mean: mean(&delays).map(Seconds),
            p50: nearest_rank(&delays, 50).map(Seconds),
            p95: nearest_rank(&delays, 95).map(Seconds),
            max: delays.last().copied().map(Seconds),
        }
    }
}

fn mean(delays: &[Span]) -> Option<Span> {
    let sum: i128 = delays.iter().map(|delay| i128::from(delay.as_nanos())).sum();
    let mean = sum.checked_div(delays.len() as i128)?;
    Some(Span::from_nanos(mean as i64))
}

/// The smallest of the `sorted` delays that at least `percent` of 100 do not exceed.
fn nearest_rank(sorted: &[Span], percent: usize) -> Option<Span> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(values: impl IntoIterator<Item = i64>) -> Vec<Span> {
        values.into_iter().map(Span::from_secs).collect()
    }

    #[test]
    fn no_delays_leave_everything_unknown() {
        assert_eq!(Distribution::of(Vec::new()), Distribution::default());
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let hundred = Distribution::of(seconds((1..=100).rev()));
        assert_eq!(hundred.p50, Some(Seconds(Span::from_secs(50))));
        assert_eq!(hundred.p95, Some(Seconds(Span::from_secs(95))));
        assert_eq!(hundred.mean, Some(Seconds(Span::from_millis(50_500))));

        let two = Distribution::of(seconds([4, 2]));
        assert_eq!(two.p50, Some(Seconds(Span::from_secs(2))), "the median of two is the smaller, never a value nobody measured");
        assert_eq!(two.p95, Some(Seconds(Span::from_secs(4))));
    }

    #[test]
    fn one_delay_is_all_of_them() {
        let one = Distribution::of(seconds([7]));
        let seven = Some(Seconds(Span::from_secs(7)));
        assert_eq!(one, Distribution { count: 1, min: seven, mean: seven, p50: seven, p95: seven, max: seven });
    }

    proptest! {
        #[test]
        fn values_stand_in_order_whatever_the_delays(nanos in prop::collection::vec(any::<i64>(), 1..50)) {
            let spread = Distribution::of(nanos.into_iter().map(Span::from_nanos).collect());
            prop_assert!(spread.min <= spread.p50 && spread.p50 <= spread.p95 && spread.p95 <= spread.max);
            prop_assert!(spread.min <= spread.mean && spread.mean <= spread.max);
        }
    }
}
