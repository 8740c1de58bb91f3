//! Whether what looks like a pattern may be chance: where much is looked at, some of it stands out of itself.

/// How likely `hits` of `tries` are where `expected` are usual, against the likelihood where as many are: 1 where it is just that, less the
/// farther it is from it. Chance brings about that many hits or more, or that few or fewer, no more often than that (the bound of Chernoff
/// and Hoeffding). Of two samples that may be alike the product tells.
///
/// `expected` lies between 0 and `tries`, and is more than 0 where there are hits.
pub(super) fn likelihood(hits: usize, tries: usize, expected: f64) -> f64 {
    let [hits, tries] = [hits, tries].map(|count| count as f64);
    let part = |seen: f64, expected: f64| if seen > 0.0 { seen * (expected / seen).ln() } else { 0.0 };
    (part(hits, expected) + part(tries - hits, tries - expected)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_above_the_probability_and_not_far() {
        // Of ten tries at one in ten, that many hits or more: sums of the binomial distribution.
        for (hits, probability) in [(2, 0.2639), (3, 0.0702), (4, 0.0128), (5, 0.001_635), (6, 0.000_146_9), (10, 1e-10)] {
            let bound = likelihood(hits, 10, 1.0);
            assert!((1.0 - 1e-9..10.0).contains(&(bound / probability)), "{hits}: {bound}");
        }
    }

    #[test]
    fn what_is_usual_is_likely_and_all_else_is_less() {
        let of_ten = [0, 1, 2, 3, 4, 5, 10].map(|hits| likelihood(hits, 10, 3.0));
        assert!((of_ten[3] - 1.0).abs() < 1e-9, "{of_ten:?}");
        assert!(of_ten[..4].is_sorted() && of_ten[3..].is_sorted_by(|one, other| one > other), "{of_ten:?}");
        assert!((likelihood(10, 10, 10.0) - 1.0).abs() < 1e-9);
        assert!((likelihood(0, 10, 0.0) - 1.0).abs() < 1e-9);
    }
}
