//! What happens to one user does not change what is concluded about another: two cases on disjoint users and addresses, at the same time
//! and at the same PBX, give the findings of both.

mod support;

use std::collections::BTreeSet;

use serde_json::Value as Json;
use siphound::track::Settings;
use support::agent::address;
use support::capture::{CaptureFile, Record};
use support::lab::{self, Lab};
use support::pcaps;

/// Pairs whose troubles have nothing to do with each other. Where one is about a server, the other would rightly change it, so there is none.
const PAIRS: [(&str, &str); 12] = [
    ("reg-ok", "reg-wrong-password"),
    ("reg-wrong-password", "bye-unanswered"),
    ("reg-404", "call-bridged"),
    ("reg-flap", "call-busy-decline-notfound"),
    ("bye-unanswered", "ack-missing-32"),
    ("reg-wrong-password", "reg-403-after-digest"),
    ("call-hold", "reg-404"),
    ("reg-423", "leg-left-up"),
    ("reg-403-after-digest", "early-media"),
    ("rang-out", "reg-ok"),
    ("reg-duplicate-evict", "cancel-200-race"),
    ("ack-missing-6.4", "reg-reboot"),
];

/// Users of the cases and their namesakes, of the same length, so that no length field and no offset changes.
const USERS: [(&str, &str); 6] =
    [("1001", "7101"), ("1002", "7102"), ("2001", "7201"), ("2101", "7301"), ("3001", "7401"), ("2002", "7202")];
/// The public networks of the sites and those of their namesakes, as text and as they stand in packets.
const NETWORKS: [(&str, &str); 2] = [("198.51.100.", "198.52.100."), ("192.168.", "192.169.")];
const NETWORK_BYTES: [([u8; 3], [u8; 3]); 1] = [([198, 51, 100], [198, 52, 100])];

/// The same case happening to others.
fn namesakes(file: &CaptureFile) -> CaptureFile {
    let rename = |record: &Record| {
        let mut bytes = record.bytes.clone();
        for (from, to) in USERS.iter().chain(&NETWORKS) {
            replace(&mut bytes, from.as_bytes(), to.as_bytes());
        }
        for (from, to) in NETWORK_BYTES {
            replace(&mut bytes, &from, &to);
        }
        Record { bytes, ..record.clone() }
    };
    CaptureFile { records: file.records.iter().map(rename).collect(), ..file.clone() }
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let found: Vec<usize> = bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from).map(|(at, _)| at).collect();
    for at in found {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
}

/// Both captures as one, by time.
fn interleaved(one: &CaptureFile, other: &CaptureFile) -> CaptureFile {
    let mut records: Vec<Record> = one.records.iter().chain(&other.records).cloned().collect();
    records.sort_by_key(|record| record.micros);
    CaptureFile { records, ..one.clone() }
}

/// The report about a capture that ends at `end`, whenever its last frame came.
fn replayed_until(end: i64, file: &CaptureFile) -> Json {
    let mut lab = Lab::new(&Settings { pbxs: vec![address("203.0.113.10:5060")], ..lab::roomy() });
    lab.capture(file);
    lab.tick(end);
    lab::report(&lab.finish().engine)
}

fn last(file: &CaptureFile) -> i64 {
    file.records.iter().map(|record| record.micros).max().unwrap_or(0)
}

/// What was found, about whom, since when and how bad.
fn findings(report: &Json) -> BTreeSet<String> {
    let findings = report["findings"].as_array().into_iter().flatten();
    findings.map(|finding| ["id", "subject", "severity", "reason", "since"].map(|key| finding[key].to_string()).join(" ")).collect()
}

/// What became of the calls.
fn calls(report: &Json) -> BTreeSet<String> {
    let calls = report["calls"].as_array().into_iter().flatten();
    calls.map(|call| ["call_id", "outcome", "status", "state", "ended_by", "talk_s"].map(|key| call[key].to_string()).join(" ")).collect()
}

/// Where the registrations stand.
fn registrations(report: &Json) -> BTreeSet<String> {
    let registrations = report["registrations"].as_array().into_iter().flatten();
    registrations.map(|entry| ["aor", "state", "attempts", "accepted", "rejected"].map(|key| entry[key].to_string()).join(" ")).collect()
}

#[test]
fn two_cases_at_once_conclude_what_each_does_alone() {
    let mut differences = Vec::new();
    for (one, other) in PAIRS {
        let (first, second) = (pcaps::load(one), namesakes(&pcaps::load(other)));
        let end = last(&first).max(last(&second));
        let (alone, beside) = (replayed_until(end, &first), replayed_until(end, &second));
        let both = replayed_until(end, &interleaved(&first, &second));
        for (what, read) in [("findings", findings as fn(&Json) -> BTreeSet<String>), ("calls", calls), ("registrations", registrations)] {
            let expected = &read(&alone) | &read(&beside);
            let found = read(&both);
            let lines = expected.symmetric_difference(&found);
            differences.extend(
                lines.map(|line| format!("{one} and {other}, {what}: {line} {}", if found.contains(line) { "more" } else { "missing" })),
            );
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The names are changed and nothing else: what is concluded about the namesakes is what was about those they stand for.
#[test]
fn namesakes_meet_the_same_fate() {
    for (_, case) in PAIRS {
        let file = pcaps::load(case);
        let (original, renamed) = (replayed_until(last(&file), &file), replayed_until(last(&file), &namesakes(&file)));
        for list in ["findings", "calls", "registrations"] {
            assert_eq!(original[list].as_array().map(Vec::len), renamed[list].as_array().map(Vec::len), "{list} of {case}");
        }
        assert_eq!(original["messages"], renamed["messages"], "{case}");
    }
}
