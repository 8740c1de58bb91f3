//! Whether two reports about the same traffic are the same where they must be.

use serde_json::Value as Json;

/// Keys of `capture` that may differ between captures of the same traffic (REPORT.md, "Same in, same out").
const FREE: [&str; 7] = [
    "capture.files",
    "capture.frames",
    "capture.sip_frames",
    "capture.keepalive_frames",
    "capture.skipped",
    "capture.first_packet",
    "capture.last_packet",
];

/// The differences between two reports, one line each. Times of evidence may differ by less than a second, its frame numbers by any.
pub(crate) fn differences(plain: &Json, variant: &Json) -> Vec<String> {
    let mut lines = Vec::new();
    compare("", plain, variant, &mut lines);
    lines
}

fn compare(path: &str, plain: &Json, variant: &Json, lines: &mut Vec<String>) {
    if FREE.contains(&path) || (path.contains(".evidence[") && is_free_in_evidence(path, plain, variant)) {
        return;
    }
    match (plain, variant) {
        (Json::Object(left), Json::Object(right)) => {
            let keys = left.keys().chain(right.keys().filter(|key| !left.contains_key(*key)));
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&path, left.get(key).unwrap_or(&Json::Null), right.get(key).unwrap_or(&Json::Null), lines);
            }
        }
        (Json::Array(left), Json::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                compare(&format!("{path}[{index}]"), left, right, lines);
            }
        }
        _ if plain == variant => {}
        _ => lines.push(format!("{path}: {plain} in the plain capture, {variant} here")),
    }
}

fn is_free_in_evidence(path: &str, plain: &Json, variant: &Json) -> bool {
    let micros = |time: &Json| Some(time.as_str()?.parse::<jiff::Timestamp>().ok()?.as_microsecond());
    path.ends_with(".frame")
        || (path.ends_with(".at")
            && matches!((micros(plain), micros(variant)), (Some(left), Some(right)) if (left - right).abs() < 1_000_000))
}
