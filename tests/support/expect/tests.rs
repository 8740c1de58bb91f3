use serde_json::json;

use super::*;
use crate::support::capture::EPOCH;

fn report() -> Json {
    json!({
        "capture": {"frames": 12, "skipped": {"duplicate": 2}, "first_packet": "2026-01-31T09:00:00.000000Z", "files": ["a.pcap"]},
        "registrations": [{"aor": "1001@pbx.example.com", "state": "auth_loop", "devices": [{"state": "auth_loop", "rtt_s": null}]}],
        "calls": [{"call_id": "c1", "outcome": "answered", "setup_s": 0.5, "started": "2026-01-31T09:00:01.000000Z", "ended": null}],
        "findings": [
            {"id": "auth-failed-loop", "subject": "1001@pbx.example.com", "severity": "error", "at": "2026-01-31T09:00:30.100000Z",
             "message": "credentials rejected", "evidence": [{"at": "2026-01-31T09:00:30.100000Z", "frame": 8, "fact": "401"}]},
            {"id": "expires-shortened", "subject": "1001@pbx.example.com", "severity": "info", "message": "granted 60"},
        ],
    })
}

fn verdict(case: &str) -> Verdict {
    check(&case.parse().unwrap(), &report(), EPOCH * 1_000_000)
}

#[test]
fn a_report_with_more_than_expected_keys_agrees() {
    let verdict = verdict(
        r#"
        count = { calls = 1, registrations = 1 }
        [capture.skipped]
        duplicate = 2
        not_sip = 0
        [[finding]]
        id = "auth-failed-loop"
        subject = "1001@pbx.example.com"
        at = 31.5
        message = "~rejected"
        [[call]]
        outcome = "answered"
        started = 1.0
        setup_s = "0.4..0.6"
        ended = "null"
        [[registration]]
        aor = "1001@pbx.example.com"
        devices = [{ state = "auth_loop", rtt_s = "null" }]
        "#,
    );
    assert_eq!(verdict, Verdict::default());
}

#[test]
fn each_difference_is_told_with_key_expected_and_found() {
    let verdict = verdict(
        r#"
        count = { calls = 2 }
        [capture]
        frames = 13
        [[finding]]
        id = "auth-failed-loop"
        subject = "1001@pbx.example.com"
        at = 40
        [[call]]
        outcome = "busy"
        setup_s = 0.6
        [[registration]]
        aor = "1002@pbx.example.com"
        state = "registered"
        "#,
    );
    assert_eq!(
        verdict.problems,
        [
            "call[0].outcome: expected \"busy\", found \"answered\"",
            "call[0].setup_s: expected 0.6, found 0.5",
            "capture.frames: expected 13, found 12",
            "count.calls: expected 2, found 1",
            "finding[auth-failed-loop 1001@pbx.example.com].at: expected 40, found 30.100 s",
            "registration[1002@pbx.example.com]: expected an entry, found none",
        ]
    );
}

#[test]
fn an_unexpected_finding_counts_from_warning_up_unless_allowed() {
    let surplus = "finding[auth-failed-loop 1001@pbx.example.com]: expected no such finding, found error: credentials rejected";
    assert_eq!(verdict("").problems, [surplus]);
    assert_eq!(verdict("only = false").problems, [""; 0]);
    assert_eq!(verdict("allow_findings = [\"auth-failed-loop\"]").problems, [""; 0]);
}

#[test]
fn a_forbidden_finding_counts_at_any_severity() {
    let verdict = verdict("only = false\nforbid_findings = [\"expires-shortened\"]");
    assert_eq!(verdict.problems, ["finding[expires-shortened 1001@pbx.example.com]: expected forbidden, found info: granted 60"]);
}

#[test]
fn a_later_expectation_is_skipped_and_lets_its_symptoms_pass() {
    let verdict = verdict(
        r#"
        [[finding]]
        id = "auth-bruteforce"
        subject = "198.51.100.7"
        explains = ["auth-failed-loop"]
        later = true
        "#,
    );
    assert_eq!(verdict, Verdict { problems: Vec::new(), skipped: 1 });
}

#[test]
fn unknown_keys_are_errors_wherever_they_stand() {
    let verdict = verdict(
        r#"
        only = false
        colour = "red"
        count = { phones = 1 }
        [capture]
        frame = 12
        [[call]]
        outcom = "answered"
        later = true
        [[registration]]
        aor = "1001@pbx.example.com"
        devices = [{ status = "x" }]
        "#,
    );
    assert_eq!(
        verdict.problems,
        [
            "call[0].outcom: expected a key of the report, found an unknown key",
            "capture.frame: expected a key of the report, found an unknown key",
            "colour: expected a key of case.toml, found an unknown key",
            "count.phones: expected a list of the report, found an unknown key",
            "registration[1001@pbx.example.com].devices[0].status: expected a key of the report, found an unknown key",
        ]
    );
}

#[test]
fn a_value_of_another_type_or_a_null_never_agrees() {
    let verdict = verdict("only = false\n[[call]]\noutcome = 1\nsetup_s = \"fast\"\nended = 3.0\n[capture]\nframes = true");
    assert_eq!(verdict.problems.len(), 4, "{:?}", verdict.problems);
}

#[test]
fn variants_may_differ_in_frames_but_in_nothing_else() {
    let mut variant = report();
    variant["capture"]["frames"] = json!(24);
    variant["capture"]["skipped"]["duplicate"] = json!(14);
    variant["findings"][0]["evidence"][0]["frame"] = json!(15);
    variant["findings"][0]["evidence"][0]["at"] = json!("2026-01-31T09:00:30.100200Z");
    assert_eq!(differences(&report(), &variant), [""; 0]);
    variant["calls"][0]["setup_s"] = json!(0.5002);
    variant["findings"][0]["evidence"][0]["at"] = json!("2026-01-31T09:00:32.100000Z");
    assert_eq!(differences(&report(), &variant).len(), 2);
}
