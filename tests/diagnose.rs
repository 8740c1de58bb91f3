//! What `siphound diagnose` says of the users of `pcaps/`: each runbook with cases that are broken, and cases that only look so.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value as Json;

/// Case, user, problem (or `-` for "is anything wrong?"), verdict.
const VERDICTS: &[(&str, &str, &str, &str)] = &[
    // Cannot connect.
    ("reg-wrong-password", "1001", "cannot-connect", "auth-failed-loop"),
    ("reg-403-after-digest", "1001", "cannot-connect", "auth-failed-loop"),
    ("reg-challenge-ignored", "1001", "cannot-connect", "auth-failed-loop"),
    ("reg-404", "1001", "cannot-connect", "registration-rejected"),
    ("reg-silent-source", "2001", "cannot-connect", "registrar-silent"),
    ("reg-silent-source", "1001", "cannot-connect", "ok"),
    ("reg-401-lost", "2001", "cannot-connect", "response-not-reaching-client"),
    ("reg-expired-alive", "1001", "cannot-connect", "registration-expired"),
    ("reg-mass-unregister", "1001", "cannot-connect", "mass-unregister"),
    ("reg-typo-once", "1001", "cannot-connect", "temporary-network-problem"),
    ("reg-503-once", "1001", "cannot-connect", "temporary-network-problem"),
    ("reg-ok", "1001", "cannot-connect", "ok"),
    ("reg-nonce-aged", "1001", "cannot-connect", "ok"),
    ("reg-423", "1001", "cannot-connect", "ok"),
    ("reg-shared-ok", "1001", "cannot-connect", "ok"),
    ("reg-ipv6", "2001:db8:1:2::20", "cannot-connect", "ok"),
    ("reg-tcp", "2001", "cannot-connect", "not-an-issue"),
    ("reg-ok", "4711", "cannot-connect", "no-traffic"),
    ("one-way", "1001", "cannot-connect", "cannot-tell"),
    ("server-outage", "1001", "cannot-connect", "temporary-network-problem"),
    ("scanner", "100", "cannot-connect", "no-traffic"),
    ("scanner", "192.0.2.66", "cannot-connect", "sip-scanner"),
    // Cannot call.
    ("call-bridged", "1001", "cannot-call", "ok"),
    ("reg-wrong-password", "1001", "cannot-call", "auth-failed-loop"),
    ("invite-ignored", "2001", "cannot-call", "invite-ignored"),
    ("callee-off", "2001", "cannot-call", "not-an-issue"),
    ("pbx-480-no-bleg", "2001", "cannot-call", "not-an-issue"),
    ("call-busy-decline-notfound", "1001", "cannot-call", "not-an-issue"),
    ("rang-out", "1001", "cannot-call", "not-an-issue"),
    ("call-loops", "2001", "cannot-call", "routing-loop"),
    ("trunk-dead", "2001", "cannot-call", "trunk-no-response"),
    ("ack-missing-32", "1001", "cannot-call", "ack-missing"),
    ("eof-open", "1001", "cannot-call", "cannot-tell"),
    ("server-outage", "2001", "cannot-call", "temporary-network-problem"),
    // Cannot receive.
    ("callee-off", "1001", "cannot-receive", "registration-expired"),
    ("pbx-480-no-bleg", "1001", "cannot-receive", "call-failed-callee-unreachable"),
    ("call-bridged", "2001", "cannot-receive", "ok"),
    ("proxy-two-hops", "2001", "cannot-receive", "ok"),
    ("nat-ok", "1001", "cannot-receive", "ok"),
    ("options-unsupported", "1001", "cannot-receive", "ok"),
    ("ring-group", "2101", "cannot-receive", "not-an-issue"),
    ("ring-group", "900", "cannot-receive", "delivered-elsewhere"),
    ("reg-ok", "1001", "cannot-receive", "cannot-tell"),
    ("never-registered", "2222", "cannot-receive", "never-registered"),
    ("reg-duplicate-evict", "1001", "cannot-receive", "duplicate-registration"),
    // Calls that drop, and calls that do not end.
    ("ack-missing-32", "1001", "call-dropped", "ack-missing"),
    ("ack-late", "1001", "call-dropped", "not-an-issue"),
    ("call-bridged", "1001", "call-dropped", "not-an-issue"),
    ("call-open-at-end", "1001", "call-dropped", "ok"),
    ("reg-ok", "1001", "call-dropped", "cannot-tell"),
    ("leg-left-up", "1001", "call-does-not-end", "leg-left-up"),
    ("leg-left-up", "2001", "call-does-not-end", "leg-left-up"),
    ("bye-unanswered", "1001", "call-does-not-end", "bye-unanswered"),
    ("bye-crossed", "1001", "call-does-not-end", "ok"),
    ("transfer", "1001", "call-does-not-end", "ok"),
    ("ivr-continues", "1001", "call-does-not-end", "ok"),
    // Loses connection.
    ("reg-flap", "1001", "loses-connection", "registration-flapping"),
    ("reg-duplicate-evict", "1001", "loses-connection", "duplicate-registration"),
    ("nat-ok", "1001", "loses-connection", "ok"),
    ("quiet-night", "1001", "loses-connection", "ok"),
    // Is anything wrong?
    ("reg-404", "1001", "-", "registration-rejected"),
    ("leg-left-up", "2001", "-", "leg-left-up"),
    ("nat-ok", "1001", "-", "ok"),
    ("quiet-day", "5000", "-", "ok"),
    ("call-bridged", "sip:1001@pbx.example.com", "-", "ok"),
];

#[test]
fn each_user_gets_its_verdict() {
    let told = |&(case, user, problem, expected): &(&str, &str, &str, &str)| {
        let verdict = json(case, user, problem, &[])["verdict"].as_str().unwrap_or_default().to_owned();
        (verdict != expected).then(|| format!("{case}, {user}, {problem}: {verdict}, must be {expected}"))
    };
    let wrong: Vec<_> = VERDICTS.iter().filter_map(told).collect();
    assert!(wrong.is_empty(), "{} of {} verdicts:\n{}", wrong.len(), VERDICTS.len(), wrong.join("\n"));
}

#[test]
fn json_has_the_keys_of_the_contract() {
    let verdict = json("ack-missing-32", "1001", "call-dropped", &[]);
    let keys: Vec<_> = verdict.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut wanted = [
        "schema",
        "user",
        "problem",
        "verdict",
        "confidence",
        "scope",
        "headline",
        "evidence",
        "ruled_out",
        "next_step",
        "escalate",
        "runbook",
    ];
    wanted.sort_unstable();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, wanted);
    assert_eq!(verdict["problem"], "call-dropped");
    assert_eq!(verdict["escalate"], "L2");
    assert!(verdict["evidence"].as_array().is_some_and(|facts| facts.iter().any(|fact| fact["frame"].is_u64())), "{verdict}");
    assert!(
        verdict["ruled_out"].as_array().is_some_and(|all| all.iter().all(|item| item["why"].as_str().is_some_and(|why| !why.is_empty())))
    );
    assert!(verdict["runbook"].as_array().is_some_and(|steps| steps.iter().any(|step| step == "S3-maint")));
}

#[test]
fn a_page_is_no_wider_than_a_terminal_and_says_who_acts() {
    for (case, user, problem, _) in VERDICTS.iter().step_by(4) {
        let text = String::from_utf8(run(case, user, problem, &[]).stdout).expect("text");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{case}: {text}");
        assert!(text.contains("\nWhat to do\n") && (text.contains("Escalate to") || text.contains("Do not escalate")), "{case}: {text}");
    }
}

#[test]
fn a_time_that_is_named_decides_what_is_known() {
    let at = |time: &str| json("server-outage", "1001", "cannot-connect", &["--at", time])["verdict"].clone();
    assert_eq!(at("2026-01-31 09:01"), "ok");
    assert_eq!(at("2026-01-31 09:02"), "pbx-not-responding");
    assert_eq!(at("2026-01-31 09:03:30"), "temporary-network-problem");
    let until = json("server-outage", "1001", "cannot-connect", &["--until", "2026-01-31 09:02"]);
    assert_eq!(until["verdict"], "pbx-not-responding");
    let since = json("server-outage", "1001", "loses-connection", &["--since", "2026-01-31 09:03:30"]);
    assert_ne!(since["verdict"], "pbx-not-responding");
}

#[test]
fn what_ended_for_lack_of_news_is_not_mended() {
    let verdict = json("callee-off", "1001", "cannot-receive", &["--at", "2026-01-31 09:02"]);
    assert_eq!(verdict["verdict"], "callee-no-response");
}

#[test]
fn the_exit_code_tells_of_findings_about_this_user_alone() {
    let code = |user: &str| run("reg-wrong-password", user, "cannot-connect", &["--fail-on", "error"]).status.code();
    assert_eq!(code("1001"), Some(1));
    assert_eq!(code("2101"), Some(0), "the trouble of another user");
}

fn json(case: &str, user: &str, problem: &str, more: &[&str]) -> Json {
    let output = run(case, user, problem, &[&["--format", "json"], more].concat());
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{case}, {user}, {problem}: {complaint}");
    serde_json::from_slice(&output.stdout).expect("the verdict is JSON")
}

fn run(case: &str, user: &str, problem: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_siphound"));
    command.args(["diagnose", user]).args(more).arg("--pcap").arg(capture(case));
    if problem != "-" {
        command.args(["--problem", problem]);
    }
    if case == "one-way" {
        // Nothing in this capture tells which side is the PBX.
        command.args(["--pbx", "203.0.113.10:5060"]);
    }
    command.output().expect("siphound starts")
}

fn capture(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps").join(case).join("input.pcap")
}
