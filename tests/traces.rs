//! A trace is as good as the capture: each case of `pcaps/` replayed from its trace concludes the same.
//!
//! `CASE=reg-ok cargo test --test traces` runs one case alone.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;
use siphound::decode::ports::PortFilter;
use siphound::detect::store::Limits;
use siphound::history::{History, Place, Places, Status};
use siphound::pipeline::engine::Engine;
use siphound::pipeline::ingest::{Ingest, IngestConfig};
use siphound::pipeline::replay::{Threads, replay};
use siphound::pipeline::source::CaptureFiles;
use siphound::table::Digester;
use siphound::time::Span;
use siphound::track::Settings;
use support::{pcaps, replay as binary};
use toml::Table;

/// Findings that rest on what a pcap of messages cannot say: frames lost, cut or fragmented on their way to the capture, and time that
/// passed with nothing but other traffic. They may be missing, and what rests on them may differ.
const OF_THE_CAPTURE: [&str; 5] = ["capture-lossy", "capture-stalled", "clock-stepped", "fragments-lost", "capture-truncated"];

/// Writes the trace of a capture into `directory`, as a daemon would.
fn trace(capture: &Path, directory: &Path) {
    let status = Status::default();
    let place = Place { directory: directory.to_owned(), age: Span::MAX, bytes: 1 << 30 };
    let places = Places { database: None, traces: Some(place) };
    let (history, recorder) = History::start(places, status).expect("a thread");
    let settings = Settings {
        seed: 1,
        pbxs: Vec::new(),
        own: Vec::new(),
        trunks: Vec::new(),
        transactions: 10_000,
        calls: 10_000,
        bindings: 10_000,
        flows: 10_000,
        sources: 10_000,
        finished: 10_000,
    };
    let mut engine = Engine::new(&settings, Limits::default());
    engine.listen(Box::new(recorder));
    let ingest = Ingest::new(IngestConfig { ports: PortFilter::Any, digester: Digester::new(1) });
    let mut source = CaptureFiles::open(&[capture.to_owned()]).expect("a capture");
    let finished = replay(&mut source, ingest, engine, Threads::One, &|_| {}).expect("a replay");
    drop(finished);
    history.finish();
}

fn arguments(folder: &Path) -> Vec<String> {
    let case: Table = std::fs::read_to_string(folder.join("case.toml")).expect("a case").parse().expect("TOML");
    case.get("args").cloned().map_or_else(Vec::new, |args| args.try_into().unwrap_or_default())
}

fn chosen() -> Vec<String> {
    let wanted = std::env::var("CASE").ok();
    pcaps::names().into_iter().filter(|name| wanted.as_ref().is_none_or(|wanted| wanted == name)).collect()
}

/// What a finding says, without where the frames are.
fn finding(finding: &Json) -> String {
    ["id", "subject", "severity", "confidence", "reason"].map(|key| finding[key].to_string()).join(" ")
}

fn list<'a>(report: &'a Json, key: &str) -> &'a [Json] {
    report[key].as_array().map_or(&[], Vec::as_slice)
}

/// The differences between what two reports conclude.
fn differences(plain: &Json, traced: &Json) -> Vec<String> {
    let mut counts: BTreeMap<String, i32> = BTreeMap::new();
    let mut count = |report: &Json, by: i32| {
        for entry in list(report, "findings") {
            *counts.entry(format!("finding {}", finding(entry))).or_default() += by;
        }
        for key in ["calls", "registrations", "nat"] {
            for entry in list(report, key) {
                *counts.entry(format!("{key} {entry}")).or_default() += by;
            }
        }
        *counts.entry(format!("messages {}", report["messages"])).or_default() += by;
    };
    count(plain, 1);
    count(traced, -1);
    let sides = counts.into_iter().filter(|(_, count)| *count != 0);
    sides.map(|(what, count)| format!("{} {what}", if count > 0 { "capture:" } else { "trace:  " })).collect()
}

#[test]
fn a_trace_replayed_concludes_what_its_capture_does() {
    let mut failures = Vec::new();
    let mut excepted = Vec::new();
    for name in chosen() {
        let folder = pcaps::root().join(&name);
        let arguments = arguments(&folder);
        let directory = tempfile::tempdir().expect("a folder");
        trace(&folder.join("input.pcap"), directory.path());
        let plain = binary::report(&folder.join("input.pcap"), &arguments).expect("a report");
        if list(&plain, "calls").is_empty() && plain["capture"]["sip_messages"] == 0 {
            excepted.push(name);
            continue;
        }
        let traced = binary::report(directory.path(), &arguments).unwrap_or_else(|error| panic!("{name}: {error}"));
        let lines = differences(&plain, &traced);
        if lines.is_empty() {
            continue;
        }
        if list(&plain, "findings").iter().any(|finding| OF_THE_CAPTURE.iter().any(|id| finding["id"] == *id)) {
            excepted.push(name);
            continue;
        }
        failures.push(format!("{name}:\n  {}", lines.join("\n  ")));
    }
    println!("without a claim: {}", excepted.join(", "));
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}
