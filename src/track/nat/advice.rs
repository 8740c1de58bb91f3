//! What to recommend, and what it costs to leave things as they are (DETECTION §2.5, §2.6).

use crate::time::Span;

/// Keep-alive intervals that phones offer, in seconds.
const INTERVALS: [u32; 8] = [15, 20, 25, 30, 45, 60, 90, 120];
/// The UDP timeout that a NAT should have at least (RFC 4787 REQ-5).
const PROPER_TIMEOUT: u32 = 120;

/// The keep-alive interval that would do, in seconds: the largest common one that is safe with a lifetime between the bounds.
pub fn keepalive(lower: Option<Span>, upper: Span) -> u32 {
    let upper = upper.as_secs_f64();
    let lower = lower.map_or(0.0, Span::as_secs_f64);
    let safe = (0.8 * upper).min(lower.max(upper / 2.0));
    let fits = INTERVALS.iter().rev().find(|&&interval| f64::from(interval) <= safe);
    fits.copied().unwrap_or(INTERVALS[0])
}

/// The longest interval in seconds at which something may be sent if a binding is to outlive it: a fifth is left for delays.
pub fn longest_refresh(upper: Span) -> u32 {
    ((0.8 * upper.as_secs_f64()).floor() as u32).max(1)
}

/// The UDP timeout in seconds that the NAT needs at least for phones that stay silent for `gap`.
pub fn nat_timeout(gap: Span) -> u32 {
    let tenths = (gap.as_secs_f64() * 10.0).round();
    (tenths / 10.0).ceil() as u32 + 1
}

/// The UDP timeout in seconds that leaves room.
pub fn better_nat_timeout(gap: Span) -> u32 {
    ((2.0 * gap.as_secs_f64()).ceil() as u32).max(PROPER_TIMEOUT)
}

/// Smallest and largest share of moments in which a call would not arrive, given the silences of the phone: no binding dies before
/// `lower`, and none outlives `upper`.
pub fn loss(gaps: impl Iterator<Item = Span> + Clone, lower: Option<Span>, upper: Option<Span>) -> Option<[f64; 2]> {
    let total: f64 = gaps.clone().map(Span::as_secs_f64).sum();
    let beyond = |bound: Span| gaps.clone().map(|gap| (gap - bound).as_secs_f64().max(0.0)).sum::<f64>();
    (total > 0.0).then(|| [upper.map_or(0.0, beyond) / total, beyond(lower.unwrap_or(Span::ZERO)) / total])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: f64) -> Span {
        Span::from_secs_f64(seconds)
    }

    #[test]
    fn the_recommended_keepalive_is_that_of_the_rulings() {
        assert_eq!(keepalive(Some(secs(28.0)), secs(31.5)), 25);
        assert_eq!(keepalive(None, secs(30.0)), 15);
        assert_eq!(keepalive(Some(secs(10.0)), secs(45.0)), 20);
        assert_eq!(keepalive(None, secs(300.0)), 120);
        assert_eq!(keepalive(None, secs(10.0)), 15, "no phone offers less");
    }

    #[test]
    fn what_phones_offer_is_too_long_for_the_shortest_lifetimes() {
        assert_eq!([15.4, 18.7, 18.75, 0.5].map(|upper| longest_refresh(secs(upper))), [12, 14, 15, 1]);
    }

    #[test]
    fn a_nat_needs_a_second_more_than_the_silence() {
        assert_eq!(nat_timeout(secs(60.02)), 61);
        assert_eq!(nat_timeout(secs(60.3)), 62);
        assert_eq!((better_nat_timeout(secs(20.0)), better_nat_timeout(secs(90.0))), (120, 180));
    }

    #[test]
    fn the_loss_is_the_share_of_silence_beyond_the_lifetime() {
        let gaps = [secs(60.0), secs(60.0)];
        assert_eq!(loss(gaps.into_iter(), Some(secs(30.0)), Some(secs(45.0))), Some([0.25, 0.5]));
        assert_eq!(loss(gaps.into_iter(), Some(secs(30.0)), None), Some([0.0, 0.5]), "some outlive them all");
        assert_eq!(loss([].into_iter(), None, Some(secs(45.0))), None);
    }
}
