//! Same in, same out: two replays, any number of threads, any container, any data link, in one file or in two.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use siphound::capture::CaptureFiles;
use siphound::pipeline::replay::{Threads, replay};
use siphound::pipeline::stage::Finished;
use support::capture::{CaptureFile, Record};
use support::expect::differences;
use support::formats::{self, LINKS, on_link};
use support::{lab, pcaps};
use tempfile::TempDir;

/// Cases that between them have UDP and TCP, IPv4 and IPv6, fragments, NAT, losses, a server outage and every kind of call end.
const CASES: [&str; 12] = [
    "reg-ok",
    "reg-tcp",
    "reg-ipv6",
    "call-bridged",
    "call-tcp-coalesced",
    "fragmented-invite-ok",
    "callee-off",
    "server-outage",
    "scanner",
    "proxy-fork-2x200",
    "icmp-unreachable",
    "mid-call",
];
/// Files further apart than this leave a gap in the capture, in which no absence is concluded.
const GAP_MICROS: i64 = 2_000_000;

/// Writes captures to disk and has them replayed.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).expect("a capture can be written");
        path
    }

    /// The report about a capture in one file.
    fn report(&self, bytes: &[u8]) -> Json {
        replayed(&[self.write("one", bytes)], Threads::One)
    }
}

/// The report about capture files, without what only the command adds.
fn replayed(paths: &[PathBuf], threads: Threads) -> Json {
    let mut source = CaptureFiles::open(paths).expect("captures");
    let engine = lab::engine(&lab::roomy());
    let Finished { ingest, mut engine } = replay(&mut source, lab::ingest(), engine, threads, &|_| {}).expect("a replay");
    engine.finish();
    let mut report = lab::report(&engine);
    let counts = ingest.counts();
    report["capture"]["sip_messages"] = counts.sip_messages.into();
    report["capture"]["keepalives"] = counts.decode.keepalives.into();
    report["capture"]["anomalies"] = counts.anomalies.to_vec().into();
    report
}

fn same(what: &str, expected: &Json, found: &Json) {
    let lines = differences(expected, found);
    assert!(lines.is_empty(), "{what}:\n{}", lines.join("\n"));
}

fn part(file: &CaptureFile, records: &[Record]) -> Vec<u8> {
    CaptureFile { link: file.link, records: records.to_vec(), tail: Vec::new() }.to_bytes()
}

#[test]
fn two_replays_of_a_capture_are_the_same_to_the_byte() {
    let print = |case: &Path, format: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_siphound"));
        let output = command.args(["replay", "--format", format]).arg(case).output().expect("siphound starts");
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    for case in CASES {
        for format in ["json", "text"] {
            let path = pcaps::path(case);
            assert!(print(&path, format) == print(&path, format), "{case} as {format}");
        }
    }
}

#[test]
fn the_number_of_threads_does_not_show() {
    for case in CASES {
        let path = [pcaps::path(case)];
        let one = replayed(&path, Threads::One);
        assert_eq!(one, replayed(&path, Threads::Two), "{case} on two threads");
        assert_eq!(one, replayed(&path, Threads::Three), "{case} on three threads");
    }
}

#[test]
fn the_container_does_not_show() {
    let bench = Bench::new();
    for case in CASES {
        let file = pcaps::load(case);
        let plain = file.to_bytes();
        let expected = bench.report(&plain);
        let variants = [
            ("big-endian", formats::big_endian(&file)),
            ("nanoseconds", formats::nanoseconds(&file)),
            ("pcapng", formats::pcapng(&file)),
            ("pcapng, big-endian", formats::pcapng_big_endian(&file)),
            ("gzip", formats::gzip(&plain)),
            ("zstd", formats::zstd(&plain)),
            ("pcapng in gzip", formats::gzip(&formats::pcapng(&file))),
        ];
        for (name, bytes) in variants {
            assert_eq!(expected, bench.report(&bytes), "{case} as {name}");
        }
    }
}

#[test]
fn the_data_link_does_not_show() {
    let bench = Bench::new();
    for case in CASES {
        let file = pcaps::load(case);
        let expected = bench.report(&file.to_bytes());
        for (name, number, header) in LINKS {
            same(&format!("{case} on {name}"), &expected, &bench.report(&on_link(&file, number, header).to_bytes()));
        }
    }
}

/// The files are named in either order: what counts is their time.
#[test]
fn a_capture_cut_in_two_files_anywhere_is_the_whole() {
    let bench = Bench::new();
    for case in ["reg-ok", "reg-tcp", "call-bridged", "fragmented-invite-ok", "proxy-fork-2x200"] {
        let file = pcaps::load(case);
        let expected = bench.report(&file.to_bytes());
        for at in close_cuts(&file) {
            let (first, second) = file.records.split_at(at);
            let paths = [bench.write("b", &part(&file, second)), bench.write("a", &part(&file, first))];
            same(&format!("{case} cut before frame {}", at + 1), &expected, &replayed(&paths, Threads::One));
        }
    }
}

/// Where a capture can be cut without leaving a gap.
fn close_cuts(file: &CaptureFile) -> impl Iterator<Item = usize> {
    let gap = |at: usize| file.records[at].micros - file.records[at - 1].micros;
    (1..file.records.len()).filter(move |&at| gap(at) <= GAP_MICROS)
}

/// What was not captured between two files may hold the answer, so a cut takes conclusions away and never adds one. Where it takes away
/// a cause, the symptom shows that the cause had explained.
#[test]
fn a_cut_in_a_quiet_stretch_adds_no_finding() {
    let bench = Bench::new();
    for case in ["callee-off", "keepalive-missing", "bye-unanswered"] {
        let file = pcaps::load(case);
        let whole = concluded(&bench.report(&file.to_bytes()));
        let close: Vec<usize> = close_cuts(&file).collect();
        for at in (1..file.records.len()).filter(|at| !close.contains(at)).step_by(7) {
            let (first, second) = file.records.split_at(at);
            let paths = [bench.write("a", &part(&file, first)), bench.write("b", &part(&file, second))];
            let cut = concluded(&replayed(&paths, Threads::One));
            assert!(whole.is_superset(&cut), "{case} cut before frame {}: {:?}", at + 1, cut.difference(&whole));
        }
    }
}

/// The findings of a report and those they explain, with their subjects.
fn concluded(report: &Json) -> BTreeSet<(String, String)> {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let findings = report["findings"].as_array().into_iter().flatten();
    findings
        .flat_map(|finding| {
            let ids = std::iter::once(&finding["id"]).chain(finding["explains"].as_array().into_iter().flatten());
            ids.map(|id| (text(id), text(&finding["subject"])))
        })
        .collect()
}
