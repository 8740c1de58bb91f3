//! Each threshold decides what it says: beside its default, the same capture concludes something else with another value.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use siphound::config::Thresholds;
use siphound::detect::catalog::FindingId;
use support::capture::CaptureFile;
use support::{replay, variants};
use toml::Table;

/// How a finding comes out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Out {
    /// There is none.
    No,
    /// There is one with this severity and confidence.
    Is(&'static str),
    /// There is one in which this is said.
    Says(&'static str),
}

use Out::{Is, No, Says};

const ERROR: Out = Is("error/confirmed");
const WARNING: Out = Is("warning/confirmed");
const INFO: Out = Is("info/confirmed");
const CRITICAL: Out = Is("critical/confirmed");

/// One value on trial.
struct Trial {
    case: &'static str,
    /// Settings that hold on both sides.
    given: &'static str,
    /// The key and its other value.
    setting: &'static str,
    id: &'static str,
    with_default: Out,
    with_other: Out,
}

/// A trial whose default is the whole configuration.
const fn trial(case: &'static str, setting: &'static str, id: &'static str, with_default: Out, with_other: Out) -> Trial {
    Trial { case, given: "", setting, id, with_default, with_other }
}

impl Trial {
    /// The same where other keys are set too.
    const fn given(self, given: &'static str) -> Self {
        Self { given, ..self }
    }
}

const TRIALS: &[Trial] = &[
    // The capture.
    trial("ack-missing-6.4", r#"dup_window = "200ms""#, "ack-missing", ERROR, Is("error/suspected")),
    trial("capture-stalls", r#"capture_hole = "24h""#, "capture-stalled", WARNING, No),
    trial("nat-ok", r#"capture_hole = "10s""#, "capture-stalled", No, WARNING),
    trial("one-way", "one_way_triggers = 10000", "capture-one-way", WARNING, No),
    // Registrations.
    trial("never-registered", r#"warmup = "24h""#, "never-registered", ERROR, No),
    trial("never-registered", r#"warmup = "24h""#, "call-failed-callee-unreachable", No, WARNING),
    trial("reg-404", r#"reg_rejected = "100/10min""#, "registration-rejected", ERROR, No),
    trial("reg-503-once", r#"reg_rejected = "1/10min""#, "registration-rejected", No, ERROR),
    trial("reg-wrong-password", "auth_loop = 100", "auth-failed-loop", ERROR, No),
    trial("reg-typo-once", "auth_loop = 1", "auth-failed-loop", No, ERROR),
    trial("reg-challenge-ignored", "auth_ignored = 100", "auth-failed-loop", ERROR, No),
    trial("reg-silent-source", "txn_timeout_t1 = 256", "registrar-silent", ERROR, No),
    trial("reg-silent-source", r#"others_served = "1s""#, "registrar-silent", ERROR, Is("error/suspected")),
    trial("reg-401-lost", "repeats_after_answer = 10", "response-not-reaching-client", ERROR, No),
    trial("reg-refresh-late", r#"reg_grace = "1s""#, "registration-expired", No, ERROR),
    trial("reg-expired-alive", r#"reg_grace = "10min""#, "registration-expired", ERROR, No),
    trial("reg-flap", r#"flap = "100/15min""#, "registration-flapping", WARNING, No),
    trial("reg-flap", r#"flap_long = "3/1h""#, "registration-flapping", No, WARNING).given(r#"flap = "100/15min""#),
    // NAT.
    trial("keepalive-missing", r#"keepalive_missing_gap = "1h""#, "keepalive-missing", WARNING, No),
    trial("reg-ok", "keepalive_missing_gaps = 1", "keepalive-missing", No, WARNING).given(r#"keepalive_missing_gap = "10s""#),
    trial("nat-gap-chan_sip", "nat_confirm_failures = 100", "nat-binding-timeout", ERROR, Is("error/probable")),
    trial("nat-gap-chan_sip", "nat_confirm_successes = 100", "nat-binding-timeout", ERROR, Is("error/probable")),
    trial("nat-gap-pjsip", "nat_probable_failures = 100", "nat-binding-timeout", Is("error/probable"), Is("info/suspected"))
        .given("nat_confirm_failures = 100"),
    trial("reg-nat-rebind", "nat_probable_failures = 1", "nat-binding-timeout", Is("info/suspected"), Is("error/probable")),
    trial("reg-nat-rebind", "nat_probable_failures = 1", "nat-rebind", INFO, No),
    trial("nat-gap-chan_sip", "nat_site_phones = 1", "nat-binding-timeout", Says("forgets 1001@"), Says("forgets 1 phones")),
    trial("nat-gap-chan_sip", "late_delivery = 10", "slow-call-setup", No, Is("warning/suspected")),
    trial("site-ip-change", r#"site_move = "1000/2min""#, "source-ip-changed", WARNING, INFO),
    trial("reg-moved", r#"site_move = "1/2min""#, "source-ip-changed", INFO, WARNING),
    // Reachability.
    trial("lagged", r#"qualify_max = "1min""#, "peer-lagged", WARNING, No),
    trial("nat-ok", r#"qualify_max = "10ms""#, "peer-lagged", No, WARNING),
    trial("lagged", "lagged_run = 100", "peer-lagged", WARNING, No),
    trial("lagged", "lagged_answers = 1", "peer-lagged", No, WARNING).given("lagged_run = 100"),
    trial("icmp-unreachable", r#"unreachable_error = "20s""#, "peer-unreachable", WARNING, ERROR),
    trial("pbx-480-no-bleg", r#"unreachable_error = "24h""#, "peer-unreachable", ERROR, WARNING),
    trial("icmp-unreachable", r#"unreachable_warning = "1h""#, "peer-unreachable", WARNING, INFO).given(r#"unreachable_error = "24h""#),
    trial("lan-sleep-sawtooth", r#"unreachable_often = "1000/1h""#, "peer-unreachable", ERROR, WARNING),
    trial("random-loss", "probe_loss = 1", "probe-loss", WARNING, No),
    trial("random-loss", "probe_loss_probes = 400", "probe-loss", WARNING, No),
    trial("random-loss", "probe_loss_repeats = 400", "probe-loss", WARNING, No),
    trial("qualify-retransmitted", "probe_loss_probes = 1", "probe-loss", No, WARNING).given("probe_loss_repeats = 1"),
    trial("options-unsupported", "options_ignored = 100", "options-unsupported", INFO, No),
    trial("lan-sleep-sawtooth", r#"sleep = "100/1h""#, "endpoint-sleep-suspected", INFO, No),
    // Calls.
    trial("nat-invite-lost-t1-100", "nat_probable_failures = 1", "callee-no-response", ERROR, No),
    trial("callee-off", "txn_timeout_t1 = 128", "callee-no-response", Says("within 32"), Says("within 64")),
    trial("invite-ignored", "txn_timeout_t1 = 256", "invite-ignored", ERROR, No),
    trial("trunk-dead", "txn_timeout_t1 = 256", "trunk-no-response", CRITICAL, No),
    trial("trunk-dead", r#"trunk_silent = "1000/1min""#, "trunk-no-response", CRITICAL, No),
    trial("undelivered-burst", r#"unanswered_burst = "1000/30min""#, "unanswered-burst", WARNING, No),
    trial("callee-off", r#"unanswered_burst = "1/30min""#, "unanswered-burst", No, WARNING),
    trial("ack-missing-6.4", "ack_suspect = 10", "ack-missing", ERROR, No),
    trial("ack-missing-32", "txn_timeout_t1 = 32", "ack-missing", ERROR, Is("error/suspected")),
    trial("slow-setup", r#"pdd_warn_single = "2min""#, "slow-call-setup", Is("warning/suspected"), No),
    trial("call-bridged", "pdd_calls = 1", "slow-call-setup", No, WARNING).given(r#"pdd_warn = "100ms""#),
    trial("call-bridged", r#"pdd_warn = "100ms""#, "slow-call-setup", No, WARNING).given("pdd_calls = 1"),
    trial("short-calls", r#"short_call = "1s""#, "short-calls", WARNING, No),
    trial("short-calls", "short_call_share = 1", "short-calls", WARNING, No),
    trial("short-calls", "short_call_calls = 10000", "short-calls", WARNING, No),
    trial("fragment-loss", r#"fragments_lost = "1000/1min""#, "fragment-loss", ERROR, No),
    trial("bye-unanswered", "txn_timeout_t1 = 256", "bye-unanswered", WARNING, No),
    trial("leg-left-up", r#"leg_confirm = "1h""#, "leg-left-up", ERROR, Is("error/suspected")),
    trial("leg-left-up", r#"leg_suspect = "1h""#, "leg-left-up", Is("error/suspected"), No).given(r#"leg_confirm = "1h""#),
    trial("leg-left-up", r#"bill_tolerance = "10min""#, "leg-left-up", Says(" s over-billed"), Says(": 0 s over-billed")),
    trial("hung-call", r#"max_call_age = "168h""#, "hung-call", ERROR, No),
    trial("restart", r#"mass_drop = "1000/2s""#, "mass-call-drop", CRITICAL, No),
    trial("restart", "mass_drop_share = 1", "mass-call-drop", CRITICAL, No),
    trial("rtp-timeout", "fixed_duration_calls = 1000", "fixed-duration-drops", ERROR, No),
    trial("quiet-day", "fixed_duration_other = 2", "fixed-duration-drops", No, ERROR),
    trial("rtp-timeout", r#"fixed_duration_spread = "100ms""#, "fixed-duration-drops", Says("±1.5"), Says("±0.1")),
    // The PBX.
    trial("server-outage", r#"pbx_silent = "10min""#, "pbx-not-responding", CRITICAL, No).given(r#"pbx_silent_small = "1h""#),
    trial("restart", r#"pbx_silent = "5s""#, "pbx-not-responding", No, CRITICAL),
    trial("server-outage", "pbx_silent_requests = 64", "pbx-not-responding", CRITICAL, No).given(r#"pbx_silent_small = "1h""#),
    trial("restart", r#"pbx_silent_small = "1s""#, "pbx-not-responding", No, CRITICAL),
    trial("db-slow", "slow_answers = 10000", "auth-backend-slow", WARNING, No),
    trial("db-slow", r#"slow_min = "1ms""#, "auth-backend-slow", WARNING, No),
    trial("db-slow", r#"db_slow = "1min""#, "auth-backend-slow", WARNING, No).given(r#"slow_min = "1min""#),
    trial("server-errors", "err_burst = 100000", "server-error-burst", ERROR, No),
    trial("reg-storm-recovery", "storm_attempts = 1000000", "registration-storm", INFO, No),
    trial("reg-storm-recovery", "storm_factor = 1000", "registration-storm", INFO, No),
    trial("reg-storm-recovery", "storm_success = 1", "registration-storm", INFO, ERROR),
    trial("restart", r#"restart = "100/1min""#, "pbx-restarted", Is("warning/probable"), No),
    trial("restart", r#"restart_silence = "5min""#, "pbx-restarted", Is("warning/probable"), No),
    // Attackers and strangers.
    trial("call-busy-decline-notfound", r#"scan = "1/1min""#, "sip-scanner", No, WARNING),
    trial("toll-fraud-probe", "scan_numbers = 32", "sip-scanner", WARNING, No),
    trial("passwords-tried", r#"brute = "1000/5min""#, "auth-bruteforce", WARNING, No),
    trial("reg-wrong-password", r#"brute = "2/5min""#, "auth-bruteforce", No, Is("warning/suspected")),
    trial("wrong-port", r#"wrong_port = "100/20min""#, "wrong-transport-or-port", WARNING, No),
    trial("wrong-domain", r#"wrong_port = "100/20min""#, "wrong-domain", WARNING, No),
];

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps").join(name)
}

/// The report of a capture with these thresholds.
fn report(capture: &Path, args: &[String], thresholds: &str) -> Json {
    let config = tempfile::NamedTempFile::new().expect("a file");
    fs::write(config.path(), format!("[thresholds]\n{thresholds}\n")).expect("the file is writable");
    let with_config = ["--config".to_owned(), config.path().display().to_string()];
    replay::report(capture, &[args, &with_config].concat()).expect("a report")
}

fn report_of_case(name: &str, thresholds: &str) -> Json {
    let case: Table = fs::read_to_string(case(name).join("case.toml")).expect(name).parse().expect(name);
    let args: Vec<String> = case.get("args").cloned().map_or_else(Vec::new, |args| args.try_into().expect("arguments"));
    report(&self::case(name).join("input.pcap"), &args, thresholds)
}

fn findings<'r>(report: &'r Json, id: &str) -> Vec<&'r Json> {
    report["findings"].as_array().into_iter().flatten().filter(|finding| finding["id"] == id).collect()
}

fn holds(report: &Json, id: &str, out: Out) -> bool {
    let findings = findings(report, id);
    let text = |finding: &Json, field: &str| finding[field].as_str().unwrap_or_default().to_owned();
    match out {
        No => findings.is_empty(),
        Is(wanted) => findings.iter().any(|finding| format!("{}/{}", text(finding, "severity"), text(finding, "confidence")) == wanted),
        Says(wanted) => findings.iter().any(|finding| finding.to_string().contains(wanted)),
    }
}

#[test]
fn another_value_concludes_something_else() {
    let mut failures = String::new();
    for trial in TRIALS {
        let before = report_of_case(trial.case, trial.given);
        let after = report_of_case(trial.case, &format!("{}\n{}", trial.given, trial.setting));
        for (side, report, out) in [("default", &before, trial.with_default), (trial.setting, &after, trial.with_other)] {
            if !holds(report, trial.id, out) {
                let found: Vec<_> = findings(report, trial.id).iter().map(|finding| finding.to_string()).collect();
                writeln!(failures, "{}, {side}: {} must be {out:?}, is {found:?}", trial.case, trial.id).unwrap();
            }
        }
        if before == after {
            writeln!(failures, "{}: {} changes nothing", trial.case, trial.setting).unwrap();
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// Keys whose rule has its own two-sided test, beside the rule or below.
const TESTED_BESIDE_THEIR_RULE: &[(&str, &str)] = &[
    ("reorder_window", "below"),
    ("clock_step", "below"),
    ("fragment_timeout", "below"),
    ("repeats_after", "below"),
    ("t1", "track::transaction"),
    ("one_way_share", "track::triggers"),
    ("lossy_share", "track::triggers"),
    ("ka_min_intervals", "track::flows"),
    ("ka_periodic_mad", "track::flows"),
    ("nat_confirm_error", "track::nat::estimate"),
    ("nat_confirm_guard", "track::nat::estimate"),
    ("nat_mended", "track::nat::site"),
    ("nat_window", "track::nat::pool"),
    ("ring_min", "track::call::outcome"),
    ("lagged_share", "detect::probes"),
    ("short_call_factor", "detect::short"),
    ("slow_factor", "detect::slowness"),
    ("db_slow_factor", "detect::slowness"),
    ("scan_failed", "track::scan"),
];

/// Keys that no test changes yet: what they decide on needs traffic that no case has.
const UNTRIED: &[&str] = &[
    "flap_reload",
    "nat_rebind",
    "port_flush",
    "reappear_min",
    "reappear_intervals",
    "loop_passes",
    "large_unanswered",
    "hung_silence",
    "fixed_duration_share",
    "pbx_silent_sources",
    "err_burst_share",
    "brute_sources",
];

#[test]
fn every_key_is_tried() {
    let tried = TRIALS.iter().filter_map(|trial| trial.setting.split_once(' ')).map(|(key, _)| key);
    let beside = TESTED_BESIDE_THEIR_RULE.iter().map(|(key, _)| *key);
    let named: Vec<&str> = tried.chain(beside).chain(UNTRIED.iter().copied()).collect();
    let known: BTreeSet<&str> = Thresholds::keys().iter().copied().collect();
    assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), known);
}

#[test]
fn every_finding_of_a_trial_names_its_key() {
    for trial in TRIALS {
        let key = trial.setting.split_once(' ').expect("a key").0;
        let id = FindingId::from_name(trial.id).expect(trial.id);
        let decides = |id: FindingId| id.keys().contains(&key);
        let explained = FindingId::ALL.iter().any(|cause| decides(*cause));
        let rule = siphound::detect::catalog::RULES.iter().any(|(_, keys)| keys.contains(&key));
        assert!(decides(id) || explained || rule, "{} does not name {key}", trial.id);
    }
}

#[test]
fn diagnose_honours_the_configuration() {
    let config = tempfile::NamedTempFile::new().expect("a file");
    fs::write(config.path(), "[thresholds]\nauth_loop = 100\n").expect("the file is writable");
    let told = |with: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_siphound"))
            .args(["diagnose", "1001", "--problem", "cannot-connect"])
            .args(with)
            .arg(case("reg-wrong-password").join("input.pcap"))
            .output()
            .expect("siphound starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let path = config.path().display().to_string();
    assert!(told(&[]).contains("auth-failed-loop"));
    assert!(!told(&["--config", &path]).contains("auth-failed-loop"));
}

fn capture_of(name: &str) -> CaptureFile {
    CaptureFile::from_bytes(&fs::read(case(name).join("input.pcap")).expect(name))
}

fn report_of(capture: &CaptureFile, thresholds: &str) -> Json {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("input.pcap");
    fs::write(&file, capture.to_bytes()).expect("the file is writable");
    report(&file, &[], thresholds)
}

#[test]
fn frames_are_sorted_only_within_the_reorder_window() {
    let (ordered, shuffled) = (capture_of("call-bridged"), variants::shuffled(&capture_of("call-bridged")));
    let calls = |capture: &CaptureFile, thresholds: &str| report_of(capture, thresholds)["calls"].clone();
    let strip = |calls: Json| calls.as_array().expect("calls").iter().map(|call| call["setup_s"].clone()).collect::<Vec<_>>();
    let expected = strip(calls(&ordered, ""));
    assert_eq!(strip(calls(&shuffled, "")), expected);
    assert_ne!(calls(&shuffled, r#"reorder_window = "0s""#), calls(&shuffled, ""));
}

#[test]
fn a_clock_that_goes_back_further_than_the_step_has_stepped() {
    let mut capture = capture_of("reg-ok");
    let middle = capture.records.len() / 2;
    let newest = capture.records[middle - 1].micros;
    capture.records[middle].micros = newest - 1_500_000;
    let steps = |thresholds: &str| findings(&report_of(&capture, thresholds), "clock-stepped").len();
    assert_eq!((steps(""), steps(r#"clock_step = "1s""#)), (0, 1));
}

#[test]
fn fragments_are_given_up_after_their_time() {
    let first_seen =
        |thresholds: &str| findings(&report_of_case("fragment-loss", thresholds), "fragment-loss")[0]["first_seen"].to_string();
    assert!(first_seen(r#"fragment_timeout = "1s""#) < first_seen(""));
}

#[test]
fn a_lost_answer_is_told_only_from_a_repeat_that_came_late_enough() {
    let first_seen = |thresholds: &str| {
        let report = report_of_case("reg-401-lost", thresholds);
        findings(&report, "response-not-reaching-client")[0].to_string()
    };
    assert_ne!(first_seen(r#"repeats_after = "30s""#), first_seen(""));
}
