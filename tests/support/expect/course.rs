//! What must happen to findings in the course of a capture, and what the counters must hold at its end.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use siphound::detect::store::{ChangeKind, FindingChange};
use toml::{Table, Value as Toml};

use super::compare::Comparison;
use super::schema::{CHANGE, Shape};
use super::{entries, with_call_ids};

/// A change of a finding in the words of a `[[raised]]`.
pub(crate) fn of_change(change: &FindingChange) -> Json {
    let kind = match change.kind {
        ChangeKind::Raised => "raised",
        ChangeKind::Updated => "updated",
        ChangeKind::Cleared | ChangeKind::Dropped(_) => "cleared",
        ChangeKind::ReplacedBy(_) => "replaced",
    };
    let at = jiff::Timestamp::from_microsecond(change.at.as_nanos() / 1_000).expect("is a time of a capture");
    let finding = &change.finding;
    json!({
        "kind": kind,
        "id": finding.id.to_string(),
        "subject": finding.subject.to_string(),
        "severity": finding.severity,
        "confidence": finding.confidence,
        "reason": finding.reason,
        "at": at.to_string(),
        "message": finding.message,
    })
}

/// The `[[raised]]` of a case of which no change agrees in all that they say, and the `[[never]]` of which one does; `first` is the time
/// of the first packet in microseconds.
pub(crate) fn check_course(case: &Table, report: &Json, changes: &[Json], first: i64) -> Vec<String> {
    let mut problems = Vec::new();
    let none = Toml::Array(Vec::new());
    for entry in entries(&with_call_ids(case.get("raised").unwrap_or(&none), report)) {
        let name = format!("raised[{} {}]", text(entry, "id"), text(entry, "subject"));
        let about = changes.iter().filter(|change| is_about(change, entry));
        // Of several changes the one that comes nearest tells best what is wrong.
        match about.map(|change| differing(entry, change, first)).min_by_key(Vec::len) {
            None => problems.push(format!("{name}: did not happen")),
            Some(lines) => problems.extend(lines.into_iter().map(|line| format!("{name}{line}"))),
        }
    }
    for entry in entries(case.get("never").unwrap_or(&none)) {
        if let Some(change) = changes.iter().find(|change| is_about(change, entry) && differing(entry, change, first).is_empty()) {
            problems.push(format!("never[{}]: happened: {change}", text(entry, "id")));
        }
    }
    problems
}

fn differing(entry: &Table, change: &Json, first: i64) -> Vec<String> {
    let mut comparison = Comparison::new(first);
    comparison.check_keys("", CHANGE, entry);
    comparison.compare_object("", CHANGE, entry, change);
    comparison.into_problems()
}

fn is_about(change: &Json, entry: &Table) -> bool {
    let kind = change["kind"].as_str().unwrap_or("");
    let of_kind = entry.get("kind").map_or_else(|| ["raised", "updated"].contains(&kind), |wanted| wanted.as_str() == Some(kind));
    of_kind && ["id", "subject"].into_iter().all(|key| entry.get(key).is_none_or(|wanted| wanted.as_str() == change[key].as_str()))
}

fn text<'a>(entry: &'a Table, key: &str) -> &'a str {
    entry.get(key).and_then(Toml::as_str).unwrap_or("")
}

/// The `[metrics]` of a case that differ from the samples of a scrape.
pub(crate) fn check_metrics(case: &Table, scrape: &str) -> Vec<String> {
    let samples: Vec<Sample<'_>> = scrape.lines().filter_map(sample).collect();
    let mut comparison = Comparison::new(0);
    for (selector, wanted) in case.get("metrics").and_then(Toml::as_table).into_iter().flatten() {
        let path = format!("metrics.{selector}");
        let wanted_series = format!("{selector} 0");
        let Some(selected) = sample(&wanted_series) else {
            comparison.problem(&path, "a name and labels", "neither");
            continue;
        };
        let agrees = |sample: &&Sample<'_>| {
            sample.name == selected.name && selected.labels.iter().all(|(label, value)| sample.labels.get(label) == Some(value))
        };
        let sum: f64 = samples.iter().filter(agrees).map(|sample| sample.value).sum();
        comparison.compare(&path, &Shape::Measure, wanted, &Json::from(sum));
    }
    comparison.into_problems()
}

struct Sample<'a> {
    name: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
    value: f64,
}

/// A line of the text format, `name{label="value"} number`; the values of these cases hold neither commas nor braces.
fn sample(line: &str) -> Option<Sample<'_>> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let pairs = labels.strip_suffix('}')?.split(',').filter(|pair| !pair.is_empty());
    let labels = pairs.map(|pair| Some((pair.split_once('=')?.0, pair.split_once('=')?.1.trim_matches('"'))));
    Some(Sample { name, labels: labels.collect::<Option<_>>()?, value: value.parse().ok()? })
}
