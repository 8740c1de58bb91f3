//! What a `case.toml` expects of a replay report.
//!
//! ```toml
//! args = ["--pbx", "203.0.113.10:5060"]     # further arguments of `siphound replay`
//! forbid_findings = ["auth-failed-loop"]    # never, at any severity
//! allow_findings = ["peer-state"]           # may come or not
//! only = true                               # the default: no other finding of severity warning or above
//! count = { calls = 1, registrations = 1 }  # lengths of the lists
//!
//! [[finding]]                               # found by id and subject
//! id = "registrar-silent"
//! subject = "198.51.100.80"
//! at = 132.0                                # seconds after the first packet, give or take 2 s or 10 %
//! message = "~fail2ban"                     # contains; "!~fail2ban" does not
//! later = true                              # its detector is still to come: skipped, and counted as skipped
//!
//! [[finding]]
//! id = "ack-missing"
//! subject = "call[0]"                       # the Call-ID of that call of the report
//!
//! [[call]]                                  # the first in the report, the next [[call]] the second, unless `index` or `call_id` says
//! outcome = "answered"
//! setup_s = 0.5                             # durations: give or take 10 ms or 2 %
//! talk_s = "59.5..60.5"                     # any number or time: a range
//! ended = "null"                            # null; "any" is anything else
//!
//! [[registration]]                          # found by `aor`
//! aor = "1001@pbx.example.com"
//! devices = [{ state = "registered" }]      # lists have as many entries as expected, objects at least these keys
//!
//! [capture.skipped]                         # maps of counts: what is absent is 0
//! duplicate = 0
//! ```
//!
//! `[[nat]]` (by `site`, and `stage` if given), `[messages]`, `[rfc6076]` and `pbx_addresses` are compared alike. A key that the report
//! does not know is an error.
//!
//! A case that is one of the scenarios with ground truth says more, which `tests/scenario_table.rs` checks:
//!
//! ```toml
//! scenario = 18                             # its number
//!
//! [[raised]]                                # what happened to findings in the course of the capture, seen or replaced by the end
//! id = "peer-unreachable"
//! subject = "1001@pbx.example.com"
//! kind = "raised"                           # or "updated", "cleared", "replaced"; without it, one of the first two
//! at = 48.0                                 # when it happened
//!
//! [[never]]                                 # no change says this
//! id = "peer-unreachable"
//! severity = "error"
//!
//! [metrics]                                 # samples at the end, summed over the labels that are not named; what is absent is 0
//! 'siphound_session_outcomes_total{outcome="answered"}' = 1
//! ```

mod compare;
mod course;
mod same;
mod schema;

use serde_json::Value as Json;
use toml::{Table, Value as Toml};

use compare::Comparison;
use schema::{CALL, FINDING, NAT, REGISTRATION, Shape};

pub(crate) use course::{check_course, check_metrics, of_change};
pub(crate) use same::differences;

/// How a report compares with a case.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    /// What differs, one line each: key, what was expected, what was found.
    pub(crate) problems: Vec<String>,
    /// Expectations skipped because they are marked `later`.
    pub(crate) skipped: usize,
}

/// Keys of a `case.toml` beside those that name parts of the report.
const OPTIONS: [&str; 9] = ["args", "forbid_findings", "allow_findings", "only", "count", "scenario", "raised", "never", "metrics"];

/// Compares a report with what `case` expects; `first` is the smallest timestamp of the capture in microseconds.
pub(crate) fn check(case: &Table, report: &Json, first: i64) -> Verdict {
    let mut verdict = Verdict::default();
    let mut comparison = Comparison::new(first);
    for (key, expected) in case {
        match key.as_str() {
            "finding" => check_findings(&with_call_ids(expected, report), report, &mut comparison, &mut verdict.skipped),
            "call" => check_calls(&with_call_ids(expected, report), report, &mut comparison, &mut verdict.skipped),
            "registration" => check_list(
                expected,
                &report["registrations"],
                "registration",
                &["aor"],
                REGISTRATION,
                &mut comparison,
                &mut verdict.skipped,
            ),
            "nat" => check_list(expected, &report["nat"], "nat", &["site", "stage"], NAT, &mut comparison, &mut verdict.skipped),
            "count" => check_counts(expected, report, &mut comparison),
            key if OPTIONS.contains(&key) => {}
            key => match schema::top_level(key) {
                Some(shape) => {
                    comparison.check_value(key, shape, expected);
                    comparison.compare(key, shape, expected, &report[key]);
                }
                None => comparison.problem(key, "a key of case.toml", "an unknown key"),
            },
        }
    }
    check_forbidden(case, report, &mut comparison);
    check_evidence(report, &mut comparison);
    verdict.problems = comparison.into_problems();
    verdict
}

/// The keys of `case` that no report has, one line each.
pub(crate) fn unknown_keys(case: &Table) -> Vec<String> {
    let mut problems = check(case, &Json::Null, 0).problems;
    problems.retain(|problem| problem.ends_with("an unknown key"));
    problems
}

fn check_findings(expected: &Toml, report: &Json, comparison: &mut Comparison, skipped: &mut usize) {
    check_list(expected, &report["findings"], "finding", &["id", "subject"], FINDING, comparison, skipped);
    for entry in entries(expected) {
        if !(entry.contains_key("id") && entry.contains_key("subject")) {
            comparison.problem("finding", "id and subject", &entry.to_string());
        }
    }
}

/// The expected findings or calls with `call[n]` in `subject` and `linked` replaced by the Call-ID of that call.
fn with_call_ids(expected: &Toml, report: &Json) -> Toml {
    let mut expected = expected.clone();
    for entry in expected.as_array_mut().into_iter().flatten() {
        let Some(entry) = entry.as_table_mut() else { continue };
        let linked = entry.get_mut("linked").and_then(Toml::as_array_mut).into_iter().flatten().collect::<Vec<_>>();
        linked.into_iter().for_each(|name| resolve(name, report));
        if let Some(subject) = entry.get_mut("subject") {
            resolve(subject, report);
        }
    }
    expected
}

fn resolve(name: &mut Toml, report: &Json) {
    let index = name.as_str().and_then(|text| text.strip_prefix("call[")?.strip_suffix(']')?.parse::<usize>().ok());
    if let Some(call_id) = index.and_then(|index| list(&report["calls"]).get(index)?["call_id"].as_str()) {
        *name = Toml::from(call_id);
    }
}

/// What a frame is said to show is shown by one of the capture.
fn check_evidence(report: &Json, comparison: &mut Comparison) {
    let Some(frames) = report["capture"]["frames"].as_u64() else { return };
    for finding in list(&report["findings"]) {
        for fact in list(&finding["evidence"]) {
            if fact["frame"].as_u64().is_some_and(|frame| !(1..=frames).contains(&frame)) {
                comparison.problem(&format!("finding[{}].evidence", finding["id"]), &format!("a frame of {frames}"), &fact.to_string());
            }
        }
    }
}

fn check_calls(expected: &Toml, report: &Json, comparison: &mut Comparison, skipped: &mut usize) {
    for (position, entry) in entries(expected).enumerate() {
        let index = entry.get("index").and_then(Toml::as_integer).map_or(position, |index| index as usize);
        let path = format!("call[{index}]");
        let found = match entry.get("call_id").and_then(Toml::as_str) {
            Some(id) => list(&report["calls"]).iter().find(|call| call["call_id"] == id),
            None => list(&report["calls"]).get(index),
        };
        check_entry(&path, entry, found, CALL, comparison, skipped);
    }
}

/// Compares each expected entry with the first of `found` that agrees in those of `selectors` that the entry names.
fn check_list(
    expected: &Toml,
    found: &Json,
    name: &str,
    selectors: &[&str],
    shape: &'static [(&'static str, Shape)],
    comparison: &mut Comparison,
    skipped: &mut usize,
) {
    for entry in entries(expected) {
        let wanted: Vec<(&str, &str)> = selectors.iter().filter_map(|key| Some((*key, entry.get(*key)?.as_str()?))).collect();
        let path = format!("{name}[{}]", wanted.iter().map(|(_, value)| *value).collect::<Vec<_>>().join(" "));
        let candidate = list(found).iter().find(|candidate| wanted.iter().all(|(key, value)| candidate[*key] == *value));
        check_entry(&path, entry, candidate, shape, comparison, skipped);
    }
}

fn check_entry(
    path: &str,
    entry: &Table,
    found: Option<&Json>,
    shape: &'static [(&'static str, Shape)],
    comparison: &mut Comparison,
    skipped: &mut usize,
) {
    let mut entry = entry.clone();
    entry.remove("index");
    let later = entry.remove("later") == Some(Toml::Boolean(true));
    comparison.check_keys(path, shape, &entry);
    match found {
        _ if later => *skipped += 1,
        Some(found) => comparison.compare_object(path, shape, &entry, found),
        None => comparison.problem(path, "an entry", "none"),
    }
}

fn check_counts(expected: &Toml, report: &Json, comparison: &mut Comparison) {
    let Some(expected) = expected.as_table() else { return };
    for (key, wanted) in expected {
        let path = format!("count.{key}");
        match schema::LISTS.contains(&key.as_str()) {
            true => comparison.compare(&path, &Shape::Count, wanted, &Json::from(list(&report[key]).len())),
            false => comparison.problem(&path, "a list of the report", "an unknown key"),
        }
    }
}

/// Findings that must not be there: forbidden by name, or neither expected nor allowed and at least a warning.
fn check_forbidden(case: &Table, report: &Json, comparison: &mut Comparison) {
    let only = case.get("only").and_then(Toml::as_bool).unwrap_or(true);
    let forbidden = names(case.get("forbid_findings"));
    let mut allowed = names(case.get("allow_findings"));
    let findings = case.get("finding").map(|list| with_call_ids(list, report));
    let expected: Vec<&Table> = findings.as_ref().map(|list| entries(list).collect()).unwrap_or_default();
    // As long as the better explanation is still to come, the symptom that it will replace may show.
    let pending = expected.iter().filter(|entry| entry.contains_key("later"));
    allowed.extend(pending.flat_map(|entry| names(entry.get("explains"))));
    for finding in list(&report["findings"]) {
        let (id, subject) = (text(&finding["id"]), text(&finding["subject"]));
        let is_expected = expected.iter().any(|entry| {
            entry.get("id").and_then(Toml::as_str) == Some(id) && entry.get("subject").and_then(Toml::as_str) == Some(subject)
        });
        let is_forbidden = forbidden.contains(&id);
        let is_surplus = only && finding["severity"] != "info" && !is_expected && !allowed.contains(&id);
        if is_forbidden || is_surplus {
            let wanted = if is_forbidden { "forbidden" } else { "no such finding" };
            comparison.problem(
                &format!("finding[{id} {subject}]"),
                wanted,
                &format!("{}: {}", text(&finding["severity"]), text(&finding["message"])),
            );
        }
    }
}

fn entries(list: &Toml) -> impl Iterator<Item = &Table> {
    list.as_array().into_iter().flatten().filter_map(Toml::as_table)
}

fn names(list: Option<&Toml>) -> Vec<&str> {
    list.and_then(Toml::as_array).into_iter().flatten().filter_map(Toml::as_str).collect()
}

fn list(found: &Json) -> &[Json] {
    found.as_array().map_or(&[], Vec::as_slice)
}

fn text(found: &Json) -> &str {
    found.as_str().unwrap_or("")
}

#[cfg(test)]
mod tests;
