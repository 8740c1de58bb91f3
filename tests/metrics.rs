//! The metrics as Prometheus reads them: each family counts something in some capture, each phone system has its own numbers, and no flood
//! makes their number grow.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;

use siphound::config::Config;
use siphound::detect::catalog::FindingId;
use siphound::metrics::{DropPlace, markdown};
use siphound::pipeline::engine::Engine;
use siphound::sip::anomaly::Anomaly;
use siphound::track::Settings;
use support::agent::cast::{a1, b1};
use support::agent::{Agent, Brand, address};
use support::call::{Bridge, Leg, Plan};
use support::capture::{CaptureFile, EPOCH, Record};
use support::lab::{Lab, limited, roomy};
use support::wire::{self, Protocol};
use support::{Scene, Side, pcaps, replay};

/// The series of a scrape, with their values.
#[derive(Clone, Debug)]
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        Self(lines.map(|(series, value)| (series.to_owned(), value.parse().expect("a number"))).collect())
    }

    fn of(engine: &Engine) -> Self {
        let lost = [(DropPlace::Kernel, 0), (DropPlace::Interface, 0), (DropPlace::Queue, 0)];
        let text = engine.snapshot(&lost).to_text().expect("valid families");
        Self::parse(&String::from_utf8(text).expect("text"))
    }

    /// The sum of the series of `siphound_FAMILY` with all of these labels, each written as it stands in the series.
    fn sum(&self, family: &str, labels: &[&str]) -> f64 {
        let of_family = |series: &str| series.split(['{', ' ']).next() == Some(&format!("siphound_{family}"));
        self.0.iter().filter(|(series, _)| of_family(series) && labels.iter().all(|label| series.contains(label))).map(|(_, n)| n).sum()
    }

    /// The values of a label.
    fn values(&self, label: &str) -> BTreeSet<&str> {
        let start = format!("{label}=\"");
        let value = |series: &'_ String| series.find(&start).map(|at| at + start.len());
        self.0.keys().filter_map(|series| series[value(series)?..].split('"').next()).collect()
    }
}

fn config(text: &str) -> Config {
    Config::parse(text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// What cannot come out of a capture, and where it comes from.
const ELSEWHERE: [(&str, &str); 10] = [
    ("siphound_history_up", "a daemon that keeps a history: tests/history.rs"),
    ("siphound_history_down_timestamp_seconds", "a disk that fails: tests/history.rs"),
    ("siphound_history_oldest_timestamp_seconds", "a daemon that keeps a history: tests/history.rs"),
    ("siphound_history_bytes", "a daemon that keeps a history: tests/history.rs"),
    ("siphound_history_dropped_total", "a disk that cannot follow: tests/history.rs"),
    ("siphound_notifications_total", "a daemon that tells somebody: tests/live"),
    ("siphound_api_event_streams_cut_total", "a client that does not read: tests/api.rs"),
    ("siphound_capture_dropped_total", "a live capture that loses packets: tests/live"),
    ("siphound_evicted_total", "a flood: below, and tests/bounds.rs"),
    ("siphound_label_overflow_total", "more sites and users than there is room for: below"),
];

/// The families of the catalogue.
fn families() -> BTreeSet<String> {
    let page = markdown();
    page.lines().filter_map(|line| line.strip_prefix("| `siphound_")?.split('`').next()).map(|name| format!("siphound_{name}")).collect()
}

/// The families that count something after a capture, or after half of it.
fn counted_in(case: &str, counted: &mut BTreeSet<String>) {
    let table: toml::Table = fs::read_to_string(pcaps::root().join(case).join("case.toml")).expect("a case").parse().expect("TOML");
    let args: Vec<String> = table.get("args").cloned().map_or_else(Vec::new, |args| args.try_into().expect("strings"));
    let pbxs = args.iter().skip_while(|arg| *arg != "--pbx").skip(1).take(1).map(|pbx| address(pbx)).collect();
    let mut lab = Lab::new(&Settings { pbxs, ..roomy() });
    lab.engine.label(&config(
        "[trunks]\ncarrier = [\"192.0.2.50\"]\n[watch]\ndesk = [\"1001\", \"2001\"]\n[metrics]\nsite_labels = \"top\"\naor_labels = \"top\"\n",
    ));
    let file = pcaps::load(case);
    let (first, second) = file.halves(file.records.len() / 2);
    for half in [first, second] {
        lab.capture(&half);
        note(&Scrape::of(&lab.engine), counted);
    }
    lab.tick(file.last() + 60_000_000);
    note(&Scrape::of(&lab.engine), counted);
}

fn note(scrape: &Scrape, counted: &mut BTreeSet<String>) {
    for (series, _) in scrape.0.iter().filter(|(_, value)| **value != 0.0) {
        let name = series.split('{').next().unwrap_or_default();
        let name = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
        if !counted.contains(name) {
            counted.insert(name.to_owned());
        }
    }
}

#[test]
fn no_family_of_the_catalogue_is_dead() {
    let all = families();
    assert!(all.len() > 70, "the page was read: {}", all.len());
    let mut counted = BTreeSet::new();
    for case in pcaps::names() {
        counted_in(&case, &mut counted);
        if all.iter().all(|name| counted.contains(name) || ELSEWHERE.iter().any(|(elsewhere, _)| elsewhere == name)) {
            break;
        }
    }
    let elsewhere: BTreeSet<_> = ELSEWHERE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(elsewhere.difference(&all).collect::<Vec<_>>(), [""; 0], "not in the catalogue");
    assert_eq!(elsewhere.intersection(&counted).collect::<Vec<_>>(), [""; 0], "counted in a case, so no exception");
    let dead: Vec<_> = all.iter().filter(|name| !counted.contains(*name) && !elsewhere.contains(*name)).collect();
    assert_eq!(dead, [""; 0], "nothing in pcaps/ is counted there");
    assert_eq!(counted.difference(&all).collect::<Vec<_>>(), [""; 0], "not in the catalogue");
}

/// Two phone systems on one host, their names and addresses as in the configuration.
const TWO: &str = r#"
    [[pbx]]
    name = "berlin"
    addresses = ["203.0.113.10"]
    [[pbx]]
    name = "munich"
    addresses = ["203.0.113.10:5080"]
    ports = [5080]
    [trunks]
    carrier = ["192.0.2.50"]
    [watch]
    reception = ["1001@pbx.example.com"]
    [metrics]
    site_labels = "top"
    aor_labels = ["2001@pbx.example.com"]
"#;

/// Two phones of berlin talk; a phone of munich is refused there; berlin calls munich and the carrier.
fn two_systems() -> CaptureFile {
    let mut scene = Scene::new("two-systems");
    let (mut caller, mut callee) = (a1(), b1());
    scene.reg_ok(0.0, &mut caller);
    scene.reg_ok(0.5, &mut callee);
    Bridge::new(&mut scene, &caller, &callee).ordinary(&mut scene, 2.0, 3.0, 20.0, Side::Caller);
    scene.qualify(28.0, &caller);
    let berlin = scene.pbx.clone();
    let carrier = Agent::server("trunk", Brand::Carrier, "192.0.2.50:5060");
    let plan = |at: f64| Plan { invite: at, ring: at + 1.0, answer: at + 2.0, bye: at + 12.0, bye_by: Side::Caller };
    Leg::new(&mut scene, &berlin, &carrier, "1001", "0301234567").ordinary(&mut scene, plan(30.0));
    let munich = Agent::server("pbx", Brand::Asterisk, "203.0.113.10:5080");
    Leg::new(&mut scene, &berlin, &munich, "1001", "3001").ordinary(&mut scene, plan(45.0));
    scene.pbx = munich;
    let mut refused = Agent::phone("3001", Brand::Yealink, "10.9.0.5:5060", "198.51.100.99:5060");
    scene.reg_ok(60.0, &mut refused);
    for attempt in 0..4 {
        scene.reg_rejected(70.0 + 20.0 * f64::from(attempt), &mut refused, 403);
    }
    CaptureFile::from_bytes(&scene.finish())
}

/// What `siphound replay` prints of a capture under a configuration.
fn printed(file: &CaptureFile, config: &str, args: &[&str]) -> (String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let (capture, path) = (folder.path().join("input.pcap"), folder.path().join("siphound.toml"));
    fs::write(&capture, file.to_bytes()).expect("a capture");
    fs::write(&path, config).expect("a configuration");
    let config = ["--config".to_owned(), path.display().to_string()];
    let args: Vec<String> = config.iter().cloned().chain(args.iter().map(|arg| (*arg).to_owned())).collect();
    let metrics = replay::metrics(&capture, &args).expect("metrics");
    let report = replay::report(&capture, &args).expect("a report");
    (metrics, report.to_string())
}

#[test]
fn each_number_is_that_of_its_phone_system() {
    let (metrics, report) = printed(&two_systems(), TWO, &[]);
    assert!(report.contains(r#""pbx_names":{"203.0.113.10:5060":"berlin","203.0.113.10:5080":"munich"}"#), "{report}");
    let scrape = Scrape::parse(&metrics);
    let sum = |family: &str, labels: &[&str]| scrape.sum(family, labels);
    let [berlin, munich] = [r#"pbx="berlin""#, r#"pbx="munich""#];
    for (family, labels, of_berlin, of_munich) in [
        ("registration_attempts_total", &[][..], 2.0, 5.0),
        ("registration_failures_total", &[], 0.0, 4.0),
        ("registration_request_delay_seconds_count", &[], 2.0, 1.0),
        ("registrations", &[r#"state="registered""#], 2.0, 0.0),
        ("registrations", &[], 2.0, 1.0),
        ("session_attempts_total", &[r#"dir="in""#], 1.0, 1.0),
        ("session_attempts_total", &[r#"dir="out""#], 3.0, 0.0),
        ("session_outcomes_total", &[r#"outcome="answered""#], 4.0, 1.0),
        ("sessions_completed_total", &[], 4.0, 1.0),
        ("messages_total", &[r#"method="REGISTER""#], 4.0, 6.0),
        ("messages_total", &[r#"method="INVITE""#], 5.0, 1.0),
        ("qualify_probes_total", &[r#"result="ok""#], 1.0, 0.0),
        ("findings_total", &[], 0.0, 1.0),
        ("findings_active", &[], 0.0, 1.0),
        ("server_response_seconds_count", &[r#"class="challenge""#], 3.0, 1.0),
        ("peer_session_attempts_total", &[r#"peer="carrier""#], 1.0, 0.0),
        ("peer_session_attempts_total", &[r#"peer="reception""#], 1.0, 0.0),
        ("peer_registrations", &[r#"peer="reception""#, r#"state="registered""#], 1.0, 0.0),
        ("aor_session_attempts_total", &[r#"aor="2001@pbx.example.com""#, r#"dir="out""#], 1.0, 0.0),
        ("aor_registration_failures_total", &[r#"aor="__other__""#], 0.0, 4.0),
        ("site_registration_failures_total", &[r#"site="198.51.100.99""#], 0.0, 4.0),
    ] {
        for (pbx, expected) in [(berlin, of_berlin), (munich, of_munich)] {
            assert_eq!(sum(family, &[labels, &[pbx]].concat()), expected, "{family} {labels:?} {pbx}");
        }
    }
    assert_eq!(scrape.values("pbx"), BTreeSet::from(["berlin", "munich"]), "everything belongs to one of them");
}

#[test]
fn one_phone_system_is_named_as_the_configuration_names_it() {
    let file = pcaps::load("call-bridged");
    let names =
        |config: &str| Scrape::parse(&printed(&file, config, &[]).0).values("pbx").into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(names(""), ["default"]);
    assert_eq!(names("[pbx]\nname = \"office\"\n"), ["office"], "though its address is learned");
    let other = "[[pbx]]\nname = \"elsewhere\"\naddresses = [\"192.0.2.200\"]\n";
    assert_eq!(names(other), ["elsewhere"], "one that is alone is it");
}

/// Users and Call-IDs of the flood.
const FLOOD: usize = 100_000;
/// The addresses that they come from.
const SOURCES: usize = 1_000;
/// Of these, those that show all that any of them can bring about.
const SAMPLE: usize = 4_000;

/// A request that a stranger sends, and what the PBX says to it.
fn flood_of(index: usize) -> [Record; 2] {
    let pbx = address("203.0.113.10:5060");
    let source: SocketAddr = ([198, 18, (index % SOURCES / 200) as u8, 1 + (index % 200) as u8], 5060).into();
    let (user, method) = (format!("zz{index:x}-{}", index * 7_919), if index.is_multiple_of(2) { "REGISTER" } else { "INVITE" });
    let request = format!(
        "{method} sip:{user}@pbx.example.com SIP/2.0\r\nVia: SIP/2.0/UDP {source};branch=z9hG4bK{index}\r\nMax-Forwards: 70\r\n\
         From: <sip:{user}@pbx.example.com>;tag=t{index}\r\nTo: <sip:{user}@pbx.example.com>\r\nCall-ID: flood-{index}\r\n\
         CSeq: 1 {method}\r\nContact: <sip:{user}@{source}>\r\nUser-Agent: agent {index}\r\nContent-Length: 0\r\n\r\n"
    );
    let answer = ["403 Forbidden", "404 Not Found", "486 Busy Here", "503 Service Unavailable"][index / 2 % 4];
    let response = format!("SIP/2.0 {answer}\r\n{}", request.split_once("\r\n").map_or("", |(_, headers)| headers));
    let micros = (EPOCH + 100) * 1_000_000 + index as i64 * 10_000;
    let record = |micros, from: SocketAddr, to: SocketAddr, text: &str| {
        let packet = wire::ip_packets(from.ip(), to.ip(), Protocol::Udp, 1, &wire::datagram(from, to, text.as_bytes())).swap_remove(0);
        let bytes = wire::Link::Ethernet.frame(&packet);
        Record { micros, original_len: bytes.len() as u32, bytes }
    };
    [record(micros, source, pbx, &request), record(micros + 2_000, pbx, source, &response)]
}

/// Every value that a label can have: those of the page, the ids of findings and anomalies, the tables, and whom the PBX accepted.
fn closed_sets(engine: &Engine) -> BTreeSet<(String, String)> {
    let page = markdown();
    let labels = page.split("## Labels").nth(1).expect("a list of labels");
    let mut closed = BTreeSet::new();
    for line in labels.lines().filter_map(|line| line.strip_prefix("| `")) {
        let (name, values) = line.split_once("` |").expect("a name and values");
        closed.extend(values.split('`').skip(1).step_by(2).map(|value| (name.to_owned(), value.to_owned())));
    }
    let findings = FindingId::ALL.iter().map(|id| ("finding", id.as_str()));
    let anomalies = Anomaly::ALL.iter().map(|anomaly| ("reason", anomaly.as_str()));
    let tables = engine.evictions().into_iter().map(|(table, _)| ("kind", table));
    let accepted = [("site", "198.51.100.7"), ("site", "198.51.100.80"), ("aor", "1001@pbx.example.com"), ("aor", "2001@pbx.example.com")];
    let own = [("pbx", "default"), ("version", env!("CARGO_PKG_VERSION"))];
    let all = findings.chain(anomalies).chain(tables).chain(accepted).chain(own);
    closed.extend(all.map(|(name, value)| (name.to_owned(), value.to_owned())));
    closed
}

/// Two phones that register and talk, before the flood.
fn calm() -> CaptureFile {
    let mut scene = Scene::new("cardinality");
    let (mut phone, mut other) = (a1().expiring(3600), b1().expiring(3600));
    scene.reg_ok(0.0, &mut phone);
    scene.reg_ok(0.5, &mut other);
    Bridge::new(&mut scene, &phone, &other).ordinary(&mut scene, 2.0, 3.0, 20.0, Side::Caller);
    CaptureFile::from_bytes(&scene.finish())
}

/// Sites and users have series of their own, and none of the flood is among them: any number of strangers brings about what a few thousand
/// do, in values that the catalogue knows.
#[test]
fn a_flood_of_strangers_adds_no_names() {
    let mut lab = Lab::new(&limited(2_000));
    lab.engine.label(&config("[metrics]\nsite_labels = \"top\"\naor_labels = \"top\"\nlabel_limit = 10\n"));
    lab.capture(&calm());
    (0..SAMPLE).flat_map(flood_of).for_each(|record| lab.frame(1, &record));
    let before = Scrape::of(&lab.engine);
    (SAMPLE..FLOOD).flat_map(flood_of).for_each(|record| lab.frame(1, &record));
    let after = Scrape::of(&lab.engine);
    let named = |scrape: &Scrape| scrape.0.keys().filter(|series| series.contains("site=") || series.contains("aor=")).count();
    println!(
        "{FLOOD} users and Call-IDs of {SOURCES} strangers: {} series before, {} after; of these {} and {} of sites and users",
        before.0.len(),
        after.0.len(),
        named(&before),
        named(&after)
    );
    let requests = |scrape: &Scrape| scrape.sum("messages_total", &[r#"dir="in""#, "method"]);
    assert_eq!(requests(&after) - requests(&before), (FLOOD - SAMPLE) as f64, "all of it was counted");
    let added: Vec<_> = after.0.keys().filter(|series| !before.0.contains_key(*series)).collect();
    println!("added: {added:?}");
    let closed = closed_sets(&lab.engine);
    let open = |series: &str| {
        let labels = series.split_once('{').map_or("", |(_, labels)| labels.trim_end_matches('}'));
        let pairs = labels.split(',').filter_map(|label| label.split_once('='));
        pairs
            .filter(|(name, _)| *name != "le")
            .any(|(name, value)| !closed.contains(&(name.to_owned(), value.trim_matches('"').to_owned())))
    };
    assert_eq!(after.0.keys().filter(|series| open(series)).collect::<Vec<_>>(), [""; 0], "values that the catalogue does not know");
    assert!(added.len() <= 16, "what a scanner is taken for depends on when it is found out, and on nothing else");
    let shows = |text: &str| after.0.keys().any(|series| series.contains(text));
    assert!(!["flood-", "agent ", "198.18.", "zz"].into_iter().any(shows), "a name that a stranger chose");
    assert_eq!(after.values("site"), BTreeSet::from(["198.51.100.7", "198.51.100.80"]), "those that the PBX accepted");
}

/// More users than there is room for, each accepted: the first few have series, the others share one.
#[test]
fn users_and_sites_beyond_the_limit_share_their_series() {
    let mut lab = Lab::new(&roomy());
    lab.engine.label(&config("[metrics]\nsite_labels = \"top\"\naor_labels = \"top\"\nlabel_limit = 5\n"));
    let mut scene = Scene::new("limit");
    for index in 0..40 {
        let outer = format!("198.51.{}.7:5060", 100 + index);
        let mut phone = Agent::phone(&format!("{}", 4000 + index), Brand::Snom, "192.168.1.20:5060", &outer);
        scene.reg_ok(f64::from(index), &mut phone);
        scene.refresh(100.0 + f64::from(index), &mut phone);
    }
    lab.capture(&CaptureFile::from_bytes(&scene.finish()));
    lab.tick((EPOCH + 200) * 1_000_000);
    let scrape = Scrape::of(&lab.engine);
    for (label, family) in [("site", "site_registration_attempts_total"), ("aor", "aor_registration_attempts_total")] {
        assert_eq!(scrape.values(label).len(), 6, "{:?}", scrape.values(label));
        assert!(scrape.values(label).contains("__other__"));
        assert_eq!(scrape.sum(family, &[]), 40.0, "each refresh is counted somewhere");
        assert_eq!(scrape.sum(family, &["__other__"]), 35.0);
        assert!(scrape.sum("label_overflow_total", &[&format!("label=\"{label}\"")]) >= 35.0);
    }
}
