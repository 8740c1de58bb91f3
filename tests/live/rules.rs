//! The rules and dashboards that are shipped, with a real Prometheus.

#![expect(clippy::disallowed_types, reason = "Prometheus goes by the clock")]

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use super::daemon::{Daemon, get};
use super::lab::{Host, Lab, Process, SOON, installed, until};
use super::sip::Agent;

const HERE: &str = env!("CARGO_MANIFEST_DIR");
const SIPHOUND: &str = env!("CARGO_BIN_EXE_siphound");
const PROMETHEUS: &str = "127.0.0.1:9090";
/// When the captures of `pcaps/` begin, and after all of these have ended.
const CAPTURED: (u64, u64) = (1_769_850_000, 1_769_854_000);
/// Captures in which, taken together, everything happens that a dashboard shows.
const CAPTURES: [&str; 14] = [
    "bye-unanswered",
    "keepalive-missing",
    "leg-left-up",
    "nat-gap-chan_sip",
    "passwords-tried",
    "random-loss",
    "reg-404",
    "reg-flap",
    "reg-nat-rebind",
    "restart",
    "scanner",
    "server-errors",
    "short-calls",
    "slow-setup",
];
const CONFIG: &str = "[metrics]\nsite_labels = \"top\"\n\n[notify]\nwatch = [\"100\"]\ngroup_wait = \"0s\"\n";

/// Runs a program in the folder of the source and returns what it said; it must succeed.
fn run(command: &[&str]) -> String {
    let (program, arguments) = command.split_first().expect("a program");
    let done = Command::new(program).args(arguments).current_dir(HERE).output().expect("a process");
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success(), "{command:?}:\n{said}");
    said
}

#[test]
fn rules_are_valid_and_pass_their_tests() {
    if installed(&["promtool"]).is_none() {
        return;
    }
    run(&["promtool", "check", "config", "deploy/prometheus/prometheus.yml"]);
    let tests = std::fs::read_dir(Path::new(HERE).join("deploy/prometheus/tests")).expect("a folder");
    let tests: Vec<String> = tests.map(|entry| entry.expect("an entry").path().display().to_string()).collect();
    let arguments: Vec<&str> = ["promtool", "test", "rules"].into_iter().chain(tests.iter().map(String::as_str)).collect();
    assert_eq!(run(&arguments).matches("SUCCESS").count(), tests.len());
}

/// Whoever is woken up finds what to run and what to read.
#[test]
fn each_alert_names_a_command_and_a_page_that_are_there() {
    let file = |name: &str| std::fs::read_to_string(Path::new(HERE).join(name)).expect("a file");
    let (alerts, findings) = (file("deploy/prometheus/alerts.yml"), file("docs/findings.md"));
    let is_id = |id: &str| id.contains("$labels") || findings.lines().any(|line| line.strip_prefix("## ") == Some(id));
    for alert in alerts.split("- alert: ").skip(1) {
        let value = |key: &str| alert.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap_or_default().trim_matches('\'');
        let name = alert.lines().next().unwrap_or_default();
        for key in ["severity: ", "summary: ", "description: ", "command: ", "runbook_url: "] {
            assert!(!value(key).is_empty(), "{name} has no {key}");
        }
        let page = value("runbook_url: ").strip_prefix("file:///usr/share/doc/siphound/").expect("a page of the package");
        let (page, anchor) = page.split_once('#').unwrap_or((page, ""));
        assert!(["README.md", "docs/findings.md", "docs/metrics.md"].iter().any(|there| there.ends_with(page)), "{name}: {page}");
        assert!(anchor.is_empty() || is_id(anchor), "{name}: #{anchor}");
        let ids = value("command: ").split_once("--id ").map_or("", |(_, ids)| ids);
        assert!(ids.split(',').all(|id| id.is_empty() || is_id(id)), "{name}: {ids}");
    }
}

#[test]
fn replayed_incidents_fire_their_alerts_and_healthy_days_none() {
    if installed(&["promtool", "python3"]).is_some() {
        run(&["scripts/check-rules.py", "--siphound", SIPHOUND]);
    }
}

/// Every query of the dashboards has data: of captures that were loaded, or of a daemon that was scraped.
#[test]
fn dashboards_show_data() {
    let Some(lab) = Lab::build(&["prometheus", "promtool", "python3"]) else { return };
    let config = lab.path("siphound.toml");
    std::fs::write(&config, CONFIG).expect("a file");
    let daemon = Daemon::start(&lab, &["--config", config.to_str().expect("a path in UTF-8")]);
    for capture in CAPTURES {
        load(&lab, &config, capture);
    }
    // A rule that needs another one sees what that one gave in the run before.
    for _ in 0..2 {
        let prometheus = start(&lab);
        backfill_rules(&lab);
        drop(prometheus);
    }
    let _prometheus = start(&lab);
    let phone = Agent::new(&lab, Host::Phones, "192.0.2.2:5080");
    let pbx = Agent::new(&lab, Host::Pbx, "192.0.2.1:5060");
    phone.send("192.0.2.1:5060", &register(1));
    pbx.send("192.0.2.2:5080", &accepted(1));
    for call in 2..=4 {
        phone.send("192.0.2.1:5060", &register(call));
        pbx.send("192.0.2.2:5080", &refused(call));
        if call == 2 {
            // The series of a site begin with what was counted first; an increase needs a scrape before the next one.
            assert!(
                until(2 * SOON, || has_data(&lab, "siphound_site_registration_failures_total")).is_some(),
                "Prometheus does not scrape"
            );
        }
    }
    daemon.counts(1, "notifications_total", &["sink=log", "result=sent"]);
    let scraped = until(2 * SOON, || has_data(&lab, "count_over_time(siphound_notifications_total%5B5m%5D)%3E2"));
    assert!(scraped.is_some(), "Prometheus does not scrape");
    let risen = until(2 * SOON, || has_data(&lab, "increase(siphound_site_registration_failures_total%5B5m%5D)%3E0"));
    assert!(risen.is_some(), "no refused registration of the site");

    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    let windows = [format!("{},{}", CAPTURED.0, CAPTURED.1), format!("{},{now}", now - 120)];
    let script = format!("{HERE}/scripts/check-dashboards.py");
    let said = lab.run(Host::Pbx, &[&script, "--window", &windows[0], "--window", &windows[1], "http://127.0.0.1:9090"]);
    assert!(said.status.success(), "{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
}

/// Whether Prometheus has an answer to a query, as it stands in a URL.
fn has_data(lab: &Lab, query: &str) -> Option<()> {
    let (_, body) = get(lab, PROMETHEUS, &format!("/api/v1/query?query={query}"))?;
    body.contains("\"metric\"").then_some(())
}

/// Loads the metrics over the time of a capture.
fn load(lab: &Lab, config: &Path, capture: &str) {
    let (series, data) = (lab.path("series.om").display().to_string(), lab.path("tsdb").display().to_string());
    let input = format!("pcaps/{capture}/input.pcap");
    let config = config.to_str().expect("a path in UTF-8");
    run(&[SIPHOUND, "replay", "--config", config, "--metrics-out", &series, "--metrics-instance", capture, &input]);
    run(&["promtool", "tsdb", "create-blocks-from", "openmetrics", &series, &data]);
}

/// Has the recording rules evaluated over the time of the captures; the next Prometheus reads what came of it.
fn backfill_rules(lab: &Lab) {
    let [start, end] = [CAPTURED.0, CAPTURED.1].map(|moment| moment.to_string());
    let (data, rules) = (lab.path("tsdb").display().to_string(), format!("{HERE}/deploy/prometheus/recording.yml"));
    let command = ["promtool", "tsdb", "create-blocks-from", "rules", "--start", &start, "--end", &end, "--eval-interval", "30s"];
    let command = [&command[..], &["--url", "http://127.0.0.1:9090", "--output-dir", &data, &rules]].concat();
    let done = lab.run(Host::Pbx, &command);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A Prometheus that scrapes the daemon each second and keeps what is old.
fn start(lab: &Lab) -> Process {
    let config = lab.path("prometheus.yml");
    let text = "global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: siphound\n    static_configs:\n      - targets: [\"127.0.0.1:15060\"]\n";
    std::fs::write(&config, text).expect("a file");
    let options = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", lab.path("tsdb").display()),
        "--storage.tsdb.retention.time=10y".to_owned(),
        format!("--web.listen-address={PROMETHEUS}"),
    ];
    let command: Vec<&str> = ["prometheus"].into_iter().chain(options.iter().map(String::as_str)).collect();
    let process = lab.start(Host::Pbx, "prometheus", &command);
    let ready = until(2 * SOON, || (get(lab, PROMETHEUS, "/-/ready")?.0 == 200).then_some(()));
    assert!(ready.is_some(), "{}", process.log());
    process
}

fn register(call: u32) -> String {
    format!("REGISTER sip:192.0.2.1 SIP/2.0\r\nMax-Forwards: 70\r\nTo: <sip:100@192.0.2.1>\r\n{}", common(call))
}

fn accepted(call: u32) -> String {
    format!("SIP/2.0 200 OK\r\nTo: <sip:100@192.0.2.1>;tag=t{call}\r\n{}", common(call))
}

fn refused(call: u32) -> String {
    format!("SIP/2.0 403 Forbidden\r\nTo: <sip:100@192.0.2.1>;tag=t{call}\r\n{}", common(call))
}

fn common(call: u32) -> String {
    format!(
        "Via: SIP/2.0/UDP 192.0.2.2:5080;branch=z9hG4bK{call}\r\nFrom: <sip:100@192.0.2.1>;tag=f{call}\r\nCall-ID: r100\r\n\
         CSeq: {call} REGISTER\r\nContact: <sip:100@192.0.2.2:5080>;expires=3600\r\nContent-Length: 0\r\n\r\n"
    )
}
