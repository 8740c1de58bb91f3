//! Whether the numbers of a report can be.

use serde_json::Value as Json;

/// Ratios lie within 0 and 1, shares too, counts and durations are not negative. A number that is none is no JSON and shows as null.
pub(crate) fn assert_sensible(path: &str, value: &Json) {
    match value {
        Json::Object(map) => {
            map.iter().for_each(|(key, value)| assert_sensible(&format!("{path}.{key}"), value));
            assert_ordered(path, value);
        }
        Json::Array(list) => list.iter().for_each(|value| assert_sensible(path, value)),
        Json::Number(number) => {
            let number = number.as_f64().expect("a number");
            let most = if path.ends_with("_ratio") || path.ends_with("expected_loss") { 1.0 } else { f64::MAX };
            assert!((0.0..=most).contains(&number), "{path} is {number}");
        }
        _ => {}
    }
}

/// The numbers of a distribution are in order, and what was settled of a registration is no more than was tried.
fn assert_ordered(path: &str, value: &Json) {
    let number = |key: &str| value[key].as_f64();
    if let (Some(min), Some(mean), Some(p50), Some(p95), Some(max)) =
        (number("min"), number("mean"), number("p50"), number("p95"), number("max"))
    {
        // Numbers are printed with six digits behind the point.
        let near = |less: f64, more: f64| less <= more + 1e-6 * (1.0 + more.abs());
        assert!(near(min, p50) && near(p50, p95) && near(p95, max) && near(min, mean) && near(mean, max), "{path}: {value}");
    }
    if let (Some(attempts), Some(accepted), Some(rejected)) = (number("attempts"), number("accepted"), number("rejected")) {
        assert!(accepted + rejected <= attempts, "{path}: {value}");
    }
    if let Some([low, high]) = value["expected_loss"].as_array().map(Vec::as_slice) {
        assert!(low.as_f64() <= high.as_f64(), "{path}: {value}");
    }
}
