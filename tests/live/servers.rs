//! Kamailio, SIPp and Prometheus: what they counted is what siphound counted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::Value as Json;

use super::daemon::{Daemon, get};
use super::lab::{Host, Lab, PBX, PHONES, Process, SOON, until};

const PROGRAMS: [&str; 5] = ["kamailio", "kamcmd", "sipp", "prometheus", "promtool"];
const PROMETHEUS: &str = "127.0.0.1:9090";

/// Phones that register and answer calls, and those of them that are always busy.
const PHONES_HERE: u64 = 20;
const BUSY: u64 = 5;
/// Phones with a wrong password.
const STRANGERS: u64 = 3;
/// Calls of each wave; each phone is called as often as any other.
const CALLS: u64 = 40;

#[test]
fn servers_count_what_siphound_counts() {
    let Some(lab) = Lab::build(&PROGRAMS) else { return };
    let kamailio = Kamailio::start(&lab);
    let daemon = Daemon::start(&lab, &[]);
    check_exposition(&lab, &daemon);
    let _prometheus = start_prometheus(&lab);

    let registered = sipp(&lab, "register", 5_090, &users(PHONES_HERE, 0, "right"), PHONES_HERE);
    let refused = sipp(&lab, "stranger", 5_091, &users(0, STRANGERS, "wrong"), STRANGERS);
    let _answering = start_callee(&lab, "answer", 5_070);
    let _busy = start_callee(&lab, "busy", 5_071);
    let mut called = call(&lab);
    daemon.counts(2 * BUSY, "session_outcomes_total", &["outcome=busy"]);
    // A rate needs a value from before: the rules are about the second wave.
    query(&lab, "sum(siphound_session_outcomes_total) >= 40");
    called = called.plus(&call(&lab));
    assert_eq!((registered.successful, refused.successful, called.successful), (PHONES_HERE, STRANGERS, 2 * CALLS), "SIPp's own verdict");

    let (busy, answered) = (called.created * BUSY / PHONES_HERE, called.created * (PHONES_HERE - BUSY) / PHONES_HERE);
    daemon.counts(registered.created + refused.created, "registration_attempts_total", &[]);
    daemon.counts(refused.created, "registration_failures_total", &["reason=auth", "code=401"]);
    daemon.counts(registered.created, "registrations", &["state=registered"]);
    daemon.counts(called.created, "session_attempts_total", &["dir=in", "peer_class=endpoint"]);
    daemon.counts(busy, "session_outcomes_total", &["dir=in", "outcome=busy", "code=486"]);
    daemon.counts(answered, "session_outcomes_total", &["dir=in", "outcome=answered", "code=200"]);
    daemon.counts(called.created, "session_outcomes_total", &[]);
    daemon.counts(answered, "sessions_completed_total", &["dir=in"]);
    daemon.counts(0, "calls_active", &[]);
    kamailio.agrees(&daemon);
    check_exposition(&lab, &daemon);
    check_prometheus(&lab, answered as f64 / called.created as f64);
}

/// One wave of calls from a phone that has an account to all others in turn.
fn call(lab: &Lab) -> Statistics {
    sipp(lab, "call", 5_092, &users(PHONES_HERE, 0, "right"), CALLS)
}

/// The file of users for SIPp: number, credentials, and the port at which the number's phone listens.
fn users(known: u64, strangers: u64, password: &str) -> String {
    let mut text = String::from("SEQUENTIAL\n");
    let numbers = (0..known).map(|n| 1_001 + n).chain((0..strangers).map(|n| 1_901 + n));
    for (index, number) in (0..).zip(numbers) {
        let port = if index < BUSY { 5_071 } else { 5_070 };
        let _ = writeln!(text, "{number};[authentication username={number} password={password}];{port}");
    }
    text
}

/// What SIPp says it did.
#[derive(Clone, Copy, Debug)]
struct Statistics {
    created: u64,
    successful: u64,
}

impl Statistics {
    fn plus(self, other: &Self) -> Self {
        Self { created: self.created + other.created, successful: self.successful + other.successful }
    }
}

/// Plays a scenario of `tests/live` so many times and returns SIPp's statistics.
fn sipp(lab: &Lab, scenario: &str, port: u16, users: &str, calls: u64) -> Statistics {
    let (input, output) = (lab.path(&format!("{scenario}.users")), lab.path(&format!("{scenario}.csv")));
    std::fs::write(&input, users).expect("a file of users");
    let (scenario_file, port, calls) = (fixture(&format!("{scenario}.xml")), port.to_string(), calls.to_string());
    let [scenario_file, input, output] = [&scenario_file, &input, &output].map(|path| path.to_str().expect("a path in UTF-8"));
    let server = format!("{PBX}:5060");
    let command = [
        "sipp",
        &server,
        "-sf",
        scenario_file,
        "-inf",
        input,
        "-i",
        PHONES,
        "-p",
        &port,
        "-m",
        &calls,
        "-r",
        "40",
        "-nostdin",
        "-trace_stat",
        "-stf",
        output,
        "-fd",
        "1",
        "-timeout",
        "20s",
        "-timeout_error",
    ];
    let done = lab.run(Host::Phones, &command);
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "sipp {scenario}: {said}\n{}", String::from_utf8_lossy(&done.stdout));
    statistics(&std::fs::read_to_string(output).expect("statistics"))
}

/// The last line of a file of statistics.
fn statistics(text: &str) -> Statistics {
    let (Some(names), Some(values)) = (text.lines().next(), text.lines().last()) else { panic!("no statistics") };
    let columns: BTreeMap<_, _> = names.split(';').zip(values.split(';')).collect();
    let column = |name| columns[name].parse().expect("a number");
    assert_eq!(columns["FailedCall(C)"], "0");
    Statistics { created: column("TotalCallCreated"), successful: column("SuccessfulCall(C)") }
}

/// A phone, or rather many at one port, that does with each call what the scenario says.
fn start_callee(lab: &Lab, scenario: &str, port: u16) -> Process {
    let file = fixture(&format!("{scenario}.xml"));
    let port_text = port.to_string();
    let callee =
        lab.start(Host::Phones, scenario, &["sipp", "-sf", file.to_str().expect("a path"), "-i", PHONES, "-p", &port_text, "-nostdin"]);
    listens(lab, Host::Phones, port);
    callee
}

/// Waits until a UDP port is taken.
pub(crate) fn listens(lab: &Lab, host: Host, port: u16) {
    let taken = until(SOON, || {
        lab.on(host, || std::net::UdpSocket::bind((if host == Host::Pbx { PBX } else { PHONES }, port)).is_err()).then_some(())
    });
    assert!(taken.is_some(), "nobody listens on {port}");
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live")).join(name)
}

/// The PBX.
struct Kamailio<'a> {
    lab: &'a Lab,
    control: String,
    _process: Process,
}

impl<'a> Kamailio<'a> {
    fn start(lab: &'a Lab) -> Self {
        let folder = lab.path("kamailio");
        std::fs::create_dir(&folder).expect("a folder");
        let control = format!("unix:{}", folder.join("control").display());
        let config = fixture("kamailio.cfg");
        let (config, folder) = (config.to_str().expect("a path"), folder.to_str().expect("a path"));
        let define = format!("CONTROL=\"{control}\"");
        let process =
            lab.start(Host::Pbx, "kamailio", &["kamailio", "-f", config, "-DD", "-E", "-m", "32", "-M", "8", "-Y", folder, "-A", &define]);
        listens(lab, Host::Pbx, 5060);
        let kamailio = Self { lab, control, _process: process };
        assert!(until(SOON, || kamailio.counters().get("core.rcv_requests").map(drop)).is_some(), "{}", kamailio._process.log());
        kamailio
    }

    /// All of its counters.
    fn counters(&self) -> BTreeMap<String, u64> {
        let said = self.lab.run(Host::Pbx, &["kamcmd", "-s", &self.control, "stats.fetch", "all"]).stdout;
        let said = String::from_utf8_lossy(&said);
        said.lines()
            .filter_map(|line| line.trim().split_once(": "))
            .filter_map(|(name, n)| Some((name.to_owned(), n.parse().ok()?)))
            .collect()
    }

    /// What it received and sent is what siphound saw.
    fn agrees(&self, daemon: &Daemon<'_>) {
        let counters = self.counters();
        for method in ["REGISTER", "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS"] {
            let received = counters[&format!("core.rcv_requests_{}", method.to_lowercase())];
            // Those for responses that it sent without keeping state end before they are counted as requests.
            let stateless = if method == "ACK" { counters["sl.received_ACKs"] } else { 0 };
            daemon.counts(received + stateless, "messages_total", &[&format!("method={method}"), "dir=in"]);
        }
        let codes = ["code=100", "code=180", "code=200", "code=401", "code=407", "code=486"];
        let replies = |dir: &str| -> u64 { codes.iter().map(|code| daemon.metrics().sum("messages_total", &[code, dir])).sum() };
        assert_eq!(replies("dir=in"), counters["core.rcv_replies"]);
        for code in ["401", "407"] {
            daemon.counts(counters[&format!("sl.{code}_replies")], "messages_total", &[&format!("code={code}"), "dir=out"]);
        }
        daemon.counts(counters["core.rcv_replies_486"], "messages_total", &["code=486", "dir=in"]);
        daemon.counts(counters["registrar.accepted_regs"], "registration_request_delay_seconds_count", &[]);
        daemon.counts(counters["usrloc.registered_users"], "registrations", &["state=registered"]);
    }
}

/// `promtool check metrics` has nothing to say.
pub(crate) fn check_exposition(lab: &Lab, daemon: &Daemon<'_>) {
    let file = lab.path("scrape");
    std::fs::write(&file, daemon.metrics().text).expect("a file");
    let checked = lab.run(Host::Pbx, &["sh", "-c", &format!("promtool check metrics < {}", file.display())]);
    let said = [checked.stdout, checked.stderr].concat();
    assert!(checked.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

fn start_prometheus(lab: &Lab) -> Process {
    let config = fixture("prometheus.yml");
    let process = lab.start(
        Host::Pbx,
        "prometheus",
        &[
            "prometheus",
            &format!("--config.file={}", config.display()),
            &format!("--storage.tsdb.path={}", lab.path("tsdb").display()),
            &format!("--web.listen-address={PROMETHEUS}"),
        ],
    );
    query(lab, "up{job=\"siphound\"} == 1");
    process
}

/// Waits until a query of Prometheus has a result, and returns its value.
fn query(lab: &Lab, expression: &str) -> f64 {
    let page = format!("/api/v1/query?query={}", escape(expression));
    let value = until(2 * SOON, || {
        let (_, body) = get(lab, PROMETHEUS, &page)?;
        let answer: Json = serde_json::from_str(&body).ok()?;
        answer.pointer("/data/result/0/value/1")?.as_str()?.parse().ok()
    });
    value.unwrap_or_else(|| panic!("{expression}: {:?}", get(lab, PROMETHEUS, &page)))
}

fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        let _ = write!(escaped, "%{byte:02X}");
        escaped
    })
}

/// The recording rule of the session establishment ratio gives the share of calls that were answered.
fn check_prometheus(lab: &Lab, answered: f64) {
    // Roughly: what a series counted before it was first scraped is no part of its rate.
    query(lab, &format!("abs(sip:ser:ratio5m - {answered}) < 0.15"));
    let log = std::fs::read_to_string(lab.path("prometheus.log")).expect("a log");
    let complaints: Vec<_> = log.lines().filter(|line| line.contains("level=warn") || line.contains("level=error")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}
