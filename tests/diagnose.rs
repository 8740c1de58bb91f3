//! What `siphound diagnose` says of the users of `pcaps/`: each runbook with cases that are broken, and cases that only look so.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value as Json;
use support::verdicts::VERDICTS;

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
fn a_password_of_the_pbx_is_for_the_second_level_and_that_of_a_phone_for_the_first() {
    for (case, user, scope, escalate) in
        [("trunk-account-refused", "4989100", "trunk", "L2"), ("reg-403-after-digest", "1001", "phone-or-site", "none")]
    {
        let verdict = json(case, user, "cannot-connect", &[]);
        assert_eq!((&verdict["scope"], &verdict["escalate"]), (&scope.into(), &escalate.into()), "{case}: {verdict}");
    }
}

#[test]
fn another_pbx_that_is_dead_is_not_said_to_be_that_of_everybody() {
    let of = |problem: &str| json("calls-to-dead-pbx", "1001", problem, &[]);
    let calls = of("cannot-call");
    let headline = calls["headline"].as_str().unwrap_or_default();
    assert!(headline.contains("another PBX than its own, 203.0.113.10;") && headline.contains("203.0.113.20:5060"), "{calls}");
    assert_ne!(calls["scope"], "server", "{calls}");
    let connects = of("cannot-connect");
    let why = connects["ruled_out"].as_array().into_iter().flatten().find(|item| item["verdict"] == "pbx-not-responding");
    assert!(why.and_then(|why| why["why"].as_str()).is_some_and(|why| why.ends_with("the PBX of this user is 203.0.113.10")), "{connects}");
}

#[test]
fn an_acknowledgement_that_has_nowhere_to_go_is_laid_to_the_address_that_the_pbx_names() {
    let text = |verdict: &Json, key: &str| verdict[key].as_str().unwrap_or_default().to_owned();
    let private = json("ack-missing-again", "2001", "call-dropped", &[]);
    assert!(text(&private, "headline").contains("reach it at 192.168.0.10"), "{private}");
    assert!(text(&private, "next_step").contains("external_signaling_address"), "{private}");
    let public = json("ack-missing-32", "1001", "call-dropped", &[]);
    assert!(!text(&public, "headline").contains("reach it") && text(&public, "next_step").contains("Record-Route"), "{public}");
}

#[test]
fn a_provisional_answer_is_not_called_the_answer_to_a_call() {
    let headline = |case: &str| json(case, "1001", "cannot-call", &[])["headline"].as_str().unwrap_or_default().to_owned();
    assert!(
        headline("prack-missing").starts_with("A provisional answer to a call was never acknowledged"),
        "{}",
        headline("prack-missing")
    );
    assert!(headline("ack-missing-32").starts_with("The answer to a call was never acknowledged"), "{}", headline("ack-missing-32"));
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
fn an_invite_that_is_repeated_in_vain_answers_before_its_time_is_up() {
    let at = |case: &str, time: &str| json(case, "1001", "cannot-receive", &["--at", time]);
    let early = at("nat-invite-lost-t1-100", "2026-01-31 09:00:44");
    assert_eq!(early["verdict"], "callee-no-response");
    assert_eq!(early["confidence"], "suspected");
    assert!(early["headline"].as_str().is_some_and(|headline| headline.contains("without an answer so far")), "{early}");
    assert_ne!(at("nat-invite-lost-t1-100", "2026-01-31 09:00:39")["verdict"], "callee-no-response", "nobody has called yet");
}

#[test]
fn a_refusal_is_told_in_the_words_of_the_registrar() {
    let says = |verdict: &Json, key: &str, words: &str| verdict[key].as_str().is_some_and(|text| text.contains(words));
    let typo = json("reg-403-once", "1001", "cannot-connect", &[]);
    assert!(says(&typo, "headline", "403 Wrong password") && says(&typo, "next_step", "password"), "{typo}");
    assert_eq!((&typo["confidence"], &typo["escalate"]), (&Json::from("suspected"), &Json::from("none")));
    let barred = json("reg-403-once", "2001", "cannot-connect", &[]);
    assert!(says(&barred, "headline", "with 403.") && says(&barred, "next_step", "ACL"), "{barred}");
    let twice = json("reg-refused-in-words", "1001", "cannot-connect", &[]);
    let facts: Vec<_> = twice["evidence"].as_array().into_iter().flatten().filter_map(|fact| fact["fact"].as_str()).collect();
    let answered: Vec<_> = facts.iter().filter_map(|fact| fact.split_once("answered ")).map(|(_, words)| words).collect();
    assert_eq!(answered, ["403 Wrong password", "401 Credentials are wrong"]);
}

#[test]
fn what_ended_for_lack_of_news_is_not_mended() {
    let verdict = json("callee-off", "1001", "cannot-receive", &["--at", "2026-01-31 09:02"]);
    assert_eq!(verdict["verdict"], "callee-no-response");
}

#[test]
fn a_fault_is_not_over_because_the_phone_is_registered() {
    for (case, user, time, verdict) in [
        ("trunk-dead-mended", "1001", "2026-01-31 09:14", "trunk-no-response"),
        ("trunk-dead-mended-by-proxy", "1001", "2026-01-31 09:14", "trunk-no-response"),
        ("server-errors-mended", "2001", "2026-01-31 09:05", "server-error-burst"),
        ("invite-ignored-mended", "2001", "2026-01-31 09:14", "invite-ignored"),
        ("register-errors-mended", "2001", "2026-01-31 09:05", "temporary-network-problem"),
    ] {
        let told = json(case, user, "cannot-call", &["--at", time]);
        assert_eq!(told["verdict"], verdict, "{case}");
        // A burst of errors goes on for some minutes after the last of them.
        let lasts = !["temporary-network-problem", "server-error-burst"].contains(&verdict);
        assert_eq!(told["headline"].as_str().is_some_and(|headline| headline.ends_with("it works again.")), lasts, "{told}");
    }
}

#[test]
fn a_refusal_is_laid_to_the_end_that_gave_it() {
    let ask = |case: &str, user: &str, problem: &str, time: &str| {
        let verdict = json(case, user, problem, &["--at", time]);
        let text = |key: &str| verdict[key].as_str().unwrap_or_default().to_owned();
        (text("verdict"), text("escalate"), text("headline"))
    };
    let minute = ["2026-01-31 09:00:40", "2026-01-31 09:01:20", "2026-01-31 09:02:00", "2026-01-31 09:02:40"];
    for (time, status, wanted) in [
        (minute[0], "404", "stale-binding-target"),
        (minute[1], "403", "stale-binding-target"),
        (minute[2], "500", "cannot-tell"),
        (minute[3], "480", "not-an-issue"),
    ] {
        for (user, problem) in [("1001", "cannot-call"), ("2001", "cannot-receive")] {
            let (verdict, escalate, headline) = ask("callee-refuses", user, problem, time);
            assert_eq!((verdict.as_str(), escalate.as_str()), (wanted, "none"), "{status}, {user}: {headline}");
            assert!(headline.contains(status) && !headline.contains("does not show the answer"), "{headline}");
        }
    }
    for (time, wanted, level) in
        [(minute[0], "not-an-issue", "none"), (minute[1], "cannot-tell", "L2"), (minute[2], "server-error-burst", "L2")]
    {
        let (verdict, escalate, headline) = ask("carrier-refuses", "1001", "cannot-call", time);
        assert_eq!((verdict.as_str(), escalate.as_str()), (wanted, level), "{headline}");
        assert!(headline.contains("reached the trunk 192.0.2.50, which answered"), "{headline}");
    }
}

#[test]
fn who_refuses_a_call_is_quoted() {
    let headline = |case: &str, user: &str, problem: &str, more: &[&str]| {
        json(case, user, problem, more)["headline"].as_str().unwrap_or_default().to_owned()
    };
    let told = headline("refused-in-words", "1001", "cannot-call", &[]);
    assert!(told.contains("403 (Calling number not allowed; Warning: 399 sbc.carrier \"CLI not provisioned\""), "{told}");
    let overloaded = ["1001", "2001"].map(|user| {
        let problem = if user == "1001" { "cannot-call" } else { "cannot-receive" };
        headline("pbx-overloaded", user, problem, &["--at", "2026-01-31 09:07:50"])
    });
    assert!(overloaded.iter().all(|told| told.contains("PBX itself") && told.contains("(Maximum Calls In Progress)")), "{overloaded:?}");
    let interval = headline("call-422-again", "1001", "cannot-call", &[]);
    assert!(interval.contains("(422: Min-SE: 1800): the session interval"), "{interval}");
}

#[test]
fn how_many_share_a_trouble_is_told() {
    for (case, user, scope, told) in [
        ("refused-everywhere", "1021", "server", "The same for 6 of all 6 users"),
        ("refused-at-a-site", "1001", "site", "The same for 2 of the 2 users at 198.51.100.7"),
    ] {
        let verdict = json(case, user, "cannot-connect", &[]);
        assert_eq!(verdict["scope"], scope, "{verdict}");
        assert!(verdict["headline"].as_str().is_some_and(|headline| headline.contains(told)), "{verdict}");
    }
    let alone = json("reg-wrong-password", "1001", "cannot-connect", &[]);
    assert!(alone["headline"].as_str().is_some_and(|headline| !headline.contains("The same for")), "{alone}");
    let banned = json("banned-after-refusals", "1002", "cannot-connect", &[]);
    assert!(
        banned["next_step"].as_str().is_some_and(|step| step.contains("Correct the credentials of 1001@pbx.example.com first")),
        "{banned}"
    );
}

#[test]
fn nobody_is_sent_in_circles() {
    for (time, wanted) in [("2026-01-31 09:03:20", "unanswered-burst"), ("2026-01-31 09:06:00", "temporary-network-problem")] {
        let verdict = json("undelivered-burst-over", "1001", "cannot-receive", &["--at", time]);
        assert!(verdict["next_step"].as_str().is_some_and(|step| !step.contains("called")), "{verdict}");
        assert!(wanted != "temporary-network-problem" || verdict["verdict"] == wanted, "{verdict}");
    }
}

#[test]
fn a_call_that_dropped_is_told_by_who_left_it_first() {
    let headline = |case: &str, user: &str| json(case, user, "call-dropped", &[])["headline"].as_str().unwrap_or_default().to_owned();
    let gone = headline("caller-gone-in-call", "2001");
    assert!(gone.contains("1001 at 198.51.100.7:40001 had gone by then"), "{gone}");
    let transferred = headline("transfer-to-busy", "1001");
    assert!(
        transferred.contains("was transferred by 2001 at 09:00:40. The PBX then called 2101 for 1001, which found the line busy (486)"),
        "{transferred}"
    );
    let rung_out = headline("transfer-rings-out", "2001");
    assert!(rung_out.ends_with("The PBX then called 2101 for 1001, which rang and was not picked up (487)."), "{rung_out}");
    let joined = headline("transfer-attended-by-callee", "1001");
    assert!(joined.contains("1001 to 2001 at 09:00:10, at last with 2101, was ended by 2101"), "{joined}");
    assert!(headline("transfer-attended-by-callee", "2001").ends_with("2101 talked to 1001 then."));
    assert!(headline("pickup-replaces", "1001").contains("at last with 2101, was ended by 2101"));
    assert!(headline("transfer-refused", "2001").contains("was ended by the PBX itself"));
    assert!(headline("call-bridged", "1001").contains("somebody hung up"));
}

#[test]
fn who_waits_in_vain_is_not_what_people_did() {
    for (time, wanted) in
        [("2026-01-31 09:01:02", "pbx-slow"), ("2026-01-31 09:01:37", "pbx-slow"), ("2026-01-31 09:03:10", "not-an-issue")]
    {
        let verdict = json("pbx-calls-nobody", "1001", "cannot-call", &["--at", time]);
        assert_eq!(verdict["verdict"], wanted, "{verdict}");
    }
}

#[test]
fn calls_of_others_behind_the_same_socket_are_not_the_users() {
    let headline = |user: &str| json("handsets-one-socket", user, "cannot-call", &[])["headline"].as_str().unwrap_or_default().to_owned();
    assert!(headline("1001").contains("0301234") && headline("1001").contains("403"), "{}", headline("1001"));
    assert!(headline("1002").contains("0305678") && headline("1002").contains("486"), "{}", headline("1002"));
    assert!(headline("1003").contains("0309999"), "{}", headline("1003"));
}

#[test]
fn a_bundle_holds_what_an_escalation_needs_and_nothing_of_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("case.tar.gz");
    let path = file.to_str().expect("a path in UTF-8");
    let output = run("site-30-phones", "1100", "-", &["--bundle", path]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.metadata().expect("it is there").permissions()) & 0o777, 0o600);
    let files = support::archive::unpacked(&file);
    assert_eq!(String::from_utf8_lossy(&files["siphound/verdict.txt"]), String::from_utf8_lossy(&output.stdout));
    let report: Json = serde_json::from_slice(&files["siphound/report.json"]).expect("JSON");
    assert_eq!(report["registrations"].as_array().map(Vec::len), Some(1), "the user alone");
    let packets = folder.path().join("packets.pcap");
    std::fs::write(&packets, &files["siphound/packets.pcap"]).expect("a file");
    let replayed = support::replay::report(&packets, &[]).expect("a capture");
    assert_eq!(replayed["registrations"].as_array().map(Vec::len), Some(1), "no packet of another phone");
    assert_eq!(replayed["registrations"][0]["aor"], report["registrations"][0]["aor"]);
    assert_eq!(replayed["registrations"][0]["attempts"], report["registrations"][0]["attempts"]);
}

#[test]
fn the_packets_of_a_bundle_tell_the_same_calls() {
    for case in ["call-bridged", "fragmented-invite-ok", "call-tcp-coalesced", "any-dup"] {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("case.tar.gz");
        run(case, "1001", "-", &["--bundle", file.to_str().expect("a path in UTF-8")]);
        let files = support::archive::unpacked(&file);
        let report: Json = serde_json::from_slice(&files["siphound/report.json"]).expect("JSON");
        let packets = folder.path().join("packets.pcap");
        std::fs::write(&packets, &files["siphound/packets.pcap"]).expect("a file");
        let replayed = support::replay::report(&packets, &[]).expect("a capture");
        assert!(report["calls"].as_array().is_some_and(|calls| !calls.is_empty()), "{case}");
        assert_eq!(replayed["calls"], report["calls"], "{case}");
        assert!(String::from_utf8_lossy(&files["siphound/calls/001.txt"]).contains("INVITE"), "{case}");
    }
}

#[test]
fn a_bundle_overwrites_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("case.tar.gz");
    std::fs::write(&file, "mine").expect("a file");
    let output = run("reg-ok", "1001", "-", &["--bundle", file.to_str().expect("a path in UTF-8")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("case.tar.gz"));
    assert!(output.stdout.is_empty(), "told before anything is read");
    assert_eq!(std::fs::read(&file).expect("it is there"), b"mine");
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
