//! Each threshold decides what it says: beside its default, the same capture concludes something else with another value.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use siphound::config::Thresholds;
use siphound::detect::catalog::FindingId;
use support::agent::cast::{a1, a2, b1, c1};
use support::capture::CaptureFile;
use support::{Agent, Brand, Leg, Scene, Side, replay, variants};
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
    trial("reg-silent-source", r#"others_served = "1s""#, "registrar-silent", Says("are served"), Says("other sources were served before")),
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
    trial("nat-gap-chan_sip", "nat_site_phones = 1", "nat-binding-timeout", Says(r#""scope":"phone-or-site""#), Says(r#""scope":"site""#)),
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
    trial("many-users-away", r#"undelivered = "4000/30min""#, "unanswered-burst", Says("reached no phone"), No),
    trial("many-users-away", "undelivered_share = 0.9", "unanswered-burst", Says("reached no phone"), No),
    trial("many-users-away", "undelivered_users = 1000", "unanswered-burst", Says("reached no phone"), No),
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
    trial("cut-at-a-limit", "fixed_duration_other = 1000", "fixed-duration-drops", ERROR, No),
    trial("rtp-timeout", r#"fixed_duration_spread = "100ms""#, "fixed-duration-drops", Says("±1.5"), Says("±100 ms")),
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

impl Trial {
    /// Holds the report with and without the setting against what must come out.
    fn judge(&self, report: impl Fn(&str) -> Json, failures: &mut String) {
        let (before, after) = (report(self.given), report(&format!("{}\n{}", self.given, self.setting)));
        for (side, report, out) in [("default", &before, self.with_default), (self.setting, &after, self.with_other)] {
            if !holds(report, self.id, out) {
                writeln!(failures, "{}, {side}: {} must be {out:?}, of {}", self.case, self.id, report["findings"]).unwrap();
            }
        }
        if before == after {
            writeln!(failures, "{}: {} changes nothing", self.case, self.setting).unwrap();
        }
    }
}

#[test]
fn another_value_concludes_something_else() {
    let mut failures = String::new();
    for trial in TRIALS {
        trial.judge(|thresholds| report_of_case(trial.case, thresholds), &mut failures);
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
    ("reappear_min", "track::nat::phone"),
    ("reappear_intervals", "track::nat::phone"),
    ("loop_passes", "detect::call"),
];

#[test]
fn every_key_is_tried() {
    let trials = TRIALS.iter().chain(SCRIPTS.iter().map(|(_, trial)| trial));
    let tried = trials.filter_map(|trial| trial.setting.split_once(' ')).map(|(key, _)| key);
    let beside = TESTED_BESIDE_THEIR_RULE.iter().map(|(key, _)| *key);
    let named: Vec<&str> = tried.chain(beside).collect();
    let known: BTreeSet<&str> = Thresholds::keys().iter().copied().collect();
    assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), known);
}

#[test]
fn every_finding_of_a_trial_names_its_key() {
    for trial in TRIALS.iter().chain(SCRIPTS.iter().map(|(_, trial)| trial)) {
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
    fs::write(config.path(), "[thresholds]\nreg_grace = \"10min\"\n").expect("the file is writable");
    let told = |with: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_siphound"))
            .args(["diagnose", "1001", "--problem", "cannot-connect"])
            .args(["--format", "json", "--pbx", "203.0.113.10:5060"])
            .args(with)
            .arg("--pcap")
            .arg(case("reg-expired-alive").join("input.pcap"))
            .output()
            .expect("siphound starts");
        let verdict: Json = serde_json::from_slice(&output.stdout).expect("a verdict");
        verdict["verdict"].clone()
    };
    let path = config.path().display().to_string();
    assert_eq!(told(&[]), "registration-expired");
    assert_eq!(told(&["--config", &path]), "ok");
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
    let (ordered, shuffled) = (capture_of("call-bridged"), variants::shuffled(&capture_of("call-bridged"), variants::DISORDER));
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
    let since = |thresholds: &str| findings(&report_of_case("fragment-loss", thresholds), "fragment-loss")[0]["since"].to_string();
    assert!(since(r#"fragment_timeout = "1s""#) < since(""));
}

#[test]
fn a_lost_answer_is_told_only_from_a_repeat_that_came_late_enough() {
    let told = |thresholds: &str| {
        let report = report_of_case("reg-401-lost", thresholds);
        findings(&report, "response-not-reaching-client")[0].to_string()
    };
    assert_ne!(told(r#"repeats_after = "30s""#), told(""));
}

/// Makes traffic that no case has.
type Script = fn(&mut Scene);

/// Such traffic, and the thresholds that decide on it.
const SCRIPTS: &[(Script, Trial)] = &[
    (
        three_ports,
        trial("ports", r#"nat_rebind = "2/1h""#, "nat-rebind", INFO, WARNING)
            .given("nat_probable_failures = 100\nnat_confirm_failures = 100"),
    ),
    (two_ports_within_half_a_minute, trial("flush", r#"port_flush = "2/1min""#, "source-ip-changed", No, Says("port-flush"))),
    (leaves_and_returns, trial("reload", r#"flap_reload = "30s""#, "registration-flapping", WARNING, No)),
    (two_guess_one_user, trial("guessers", "brute_sources = 2", "auth-bruteforce", No, WARNING)),
    (errors_among_refusals, trial("errors", "err_burst_share = 0.9", "server-error-burst", ERROR, No)),
    (large_and_ignored, trial("large", r#"large_unanswered = "1/1h""#, "fragment-loss", No, Is("error/probable"))),
    (half_of_the_calls_last_as_long, trial("half", "fixed_duration_share = 0.4", "fixed-duration-drops", No, ERROR)),
    (gone_but_in_a_call, trial("gone", r#"hung_silence = "10min""#, "hung-call", No, ERROR).given(r#"max_call_age = "5min""#)),
    (three_of_four_ask_in_vain, trial("asking", "pbx_silent_sources = 4", "pbx-not-responding", CRITICAL, No)),
];

#[test]
fn another_value_concludes_something_else_of_what_no_case_has() {
    let mut failures = String::new();
    for (script, trial) in SCRIPTS {
        let mut scene = Scene::new(trial.case);
        script(&mut scene);
        let capture = CaptureFile::from_bytes(&scene.finish());
        trial.judge(|thresholds| report_of(&capture, thresholds), &mut failures);
    }
    assert!(failures.is_empty(), "{failures}");
}

fn three_ports(scene: &mut Scene) {
    let mut phone = a1();
    scene.healthy(&mut c1(), 1.0, 700.0);
    scene.reg_ok(0.0, &mut phone);
    for (at, port) in [(150.0, 40_111), (300.0, 40_222), (450.0, 40_333)] {
        phone.outer.set_port(port);
        scene.refresh(at, &mut phone);
    }
}

fn two_ports_within_half_a_minute(scene: &mut Scene) {
    scene.healthy(&mut c1(), 1.0, 700.0);
    for (from, phone) in [(0.0, &mut a1()), (20.0, &mut a2())] {
        scene.reg_ok(from, phone);
        let port = phone.outer.port() + 100;
        phone.outer.set_port(port);
        scene.refresh(from + 150.0, phone);
        scene.refresh(from + 300.0, phone);
    }
}

fn leaves_and_returns(scene: &mut Scene) {
    let mut phone = a1();
    scene.healthy(&mut c1(), 1.0, 400.0);
    scene.reg_ok(0.0, &mut phone);
    for at in [60.0, 120.0, 180.0, 240.0] {
        scene.unregister(at, &mut phone);
        scene.reg_ok(at + 10.0, &mut phone);
    }
}

fn two_guess_one_user(scene: &mut Scene) {
    scene.healthy(&mut a1(), 0.0, 160.0);
    for (at, from) in [(20.0, "192.0.2.66:5070"), (40.0, "192.0.2.77:5070")] {
        let mut guess = Agent::phone("3000", Brand::Yealink, from, from);
        scene.reg_rejected(at, &mut guess, 401);
        scene.reg_rejected(at + 1.0, &mut guess, 401);
    }
}

fn errors_among_refusals(scene: &mut Scene) {
    let mut caller = b1();
    scene.healthy(&mut caller, 0.0, 140.0);
    let pbx = scene.pbx.clone();
    for (index, status) in [500, 486].into_iter().cycle().take(30).enumerate() {
        let at = 60.0 + index as f64;
        let mut leg = Leg::new(scene, &caller, &pbx, &caller.user, "900");
        leg.invite(scene, at, &[]);
        leg.fail(scene, at + 0.06, status, &[]);
    }
}

fn large_and_ignored(scene: &mut Scene) {
    for (phone, from) in [(&mut a1(), 0.0), (&mut b1(), 0.5), (&mut c1(), 1.0)] {
        phone.expires = 60;
        scene.healthy(phone, from, 140.0);
    }
    let pbx = scene.pbx.clone();
    let padding = "x".repeat(900);
    Leg::new(scene, &b1(), &pbx, "2001", "1001").invite_repeated(scene, 62.0, &[0.0, 0.5, 1.5, 3.5, 7.5], &[("X-Padding", &padding)]);
}

fn half_of_the_calls_last_as_long(scene: &mut Scene) {
    scene.healthy(&mut b1(), 0.0, 1500.0);
    for (at, talk) in [(20.0, 30.0), (120.0, 77.0), (300.0, 30.0), (420.0, 95.0), (600.0, 41.0), (700.0, 30.0)] {
        let pbx = scene.pbx.clone();
        let mut leg = Leg::new(scene, &b1(), &pbx, "2001", "900");
        leg.invite(scene, at, &[]);
        leg.progress(scene, at + 0.1, 180);
        leg.answer(scene, at + 2.0, &[]);
        leg.bye(scene, at + 2.0 + talk, Side::Callee);
    }
}

fn gone_but_in_a_call(scene: &mut Scene) {
    let (mut phone, pbx) = (a1().expiring(60), scene.pbx.clone());
    scene.healthy(&mut c1(), 1.0, 2400.0);
    scene.reg_ok(0.0, &mut phone);
    let mut leg = Leg::new(scene, &phone, &pbx, "1001", "900");
    leg.invite(scene, 10.0, &[]);
    leg.progress(scene, 10.1, 180);
    leg.answer(scene, 12.0, &[]);
    scene.keepalives(&phone, 1000.0, 60.0, 1001.0);
}

/// All but one of those that the PBX knows.
fn three_of_four_ask_in_vain(scene: &mut Scene) {
    let mut quiet = Agent::phone("4000", Brand::Yealink, "192.168.9.20:5060", "198.18.9.1:40000");
    scene.reg_ok(0.0, &mut quiet);
    scene.reg_ok(30.0, &mut quiet);
    for (from, phone) in [(1.0, &mut a1()), (2.0, &mut b1()), (3.0, &mut c1())] {
        scene.healthy(phone, from, 58.0);
        for at in [60.0, 64.0, 68.0, 72.0, 76.0] {
            scene.register(at + from, phone);
        }
    }
}
