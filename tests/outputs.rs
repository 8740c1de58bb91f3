//! Everything from the wire is hostile again when it is shown: one set of nasty texts, in every field that a phone can write, and every
//! way out.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use siphound::history::{History, Place, Places, Status};
use siphound::pipeline::replay::{Threads, replay};
use siphound::pipeline::source::CaptureFiles;
use siphound::report::escape::is_hidden;
use siphound::time::Span;
use support::agent::cast::{a1, b1, pbx};
use support::{Scene, archive, lab};
use tempfile::TempDir;

/// What senders may write where a name is expected, without the line ends that would end the header.
const NASTY: [&[u8]; 16] = [
    b"\x1b[2J\x1b[31mred",
    b"\x1b]8;;http://evil/\x07click\x1b]8;;\x07",
    b"\x1b]0;title\x07\x08\x08",
    b"\xc2\x9b2J\xc2\x85c1",
    b"\xff\xfe\xc0\xaf",
    "user\u{202e}gnp\u{2066}\u{200b}\u{feff}".as_bytes(),
    b"nul\0byte",
    b"\"quoted' and `ticked`",
    b"<script>alert(1)</script>",
    b"=cmd|'/c calc'!A1",
    b"+1+1",
    b"@SUM(1)",
    b"-rf",
    b"../../../../tmp/x",
    b"%0d%0aSet-Cookie: a=b",
    b"'; DROP TABLE calls; --",
];

/// Where it may stand.
const LONG: usize = 3_000;

/// A phone that writes `nasty` everywhere: refused twice, then calling somebody who declines.
fn capture(nasty: &[u8]) -> Vec<u8> {
    let mut scene = Scene::new("nasty");
    scene.reg_ok(0.0, &mut b1());
    let (phone, pbx) = (a1(), pbx());
    for (number, (method, status)) in
        [("REGISTER", "404"), ("REGISTER", "404"), ("INVITE", "603"), ("OPTIONS", "200")].into_iter().enumerate()
    {
        let text = |text: &str| text.replace("METHOD", method).replace("NUMBER", &number.to_string()).into_bytes();
        let headers = [
            text("Via: SIP/2.0/UDP 192.168.1.20;branch=z9hG4bKNUMBERMETHOD\r\nFrom: \""),
            nasty.to_vec(),
            text("\" <sip:"),
            nasty.to_vec(),
            text("@pbx.example.com>;tag=1\r\nTo: <sip:"),
            nasty.to_vec(),
            text("@pbx.example.com>\r\nCall-ID: "),
            nasty.to_vec(),
            text("NUMBER\r\nCSeq: 1 METHOD\r\nContact: <sip:"),
            nasty.to_vec(),
            text("@192.168.1.20>;expires=60;+sip.instance=\"<urn:"),
            nasty.to_vec(),
            text(">\"\r\nUser-Agent: "),
            nasty.to_vec(),
            text("\r\nReason: Q.850;cause=21;text=\""),
            nasty.to_vec(),
            text("\"\r\nSubject: "),
            nasty.repeat(LONG / nasty.len()),
            text("\r\nContent-Length: 0\r\n\r\n"),
        ]
        .concat();
        let at = 1.0 + number as f64 * 5.0;
        scene.udp(at, phone.outer, pbx.outer, &[&text("METHOD sip:"), nasty, &text("@pbx.example.com SIP/2.0\r\n"), &headers].concat());
        scene.udp(at + 0.1, pbx.outer, phone.outer, &[&text(&format!("SIP/2.0 {status} ")), nasty, b"\r\n", &headers].concat());
    }
    scene.healthy(&mut b1(), 60.0, 120.0);
    scene.finish()
}

/// A capture of each nasty text, and a history of it.
struct Kept {
    folder: TempDir,
}

impl Kept {
    fn of(nasty: &[u8]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = Self { folder };
        std::fs::write(kept.capture(), capture(nasty)).expect("a file");
        let place = |directory: PathBuf| Some(Place { directory, age: Span::from_secs(36_500 * 86_400), bytes: 1 << 30 });
        let state = kept.folder.path().join("state");
        let places = Places { database: place(state.clone()), traces: place(state.join("traces")) };
        let (history, recorder) = History::start(places, Status::default()).expect("a thread");
        let mut engine = lab::engine(&lab::roomy());
        engine.listen(Box::new(recorder));
        let mut source = CaptureFiles::open(&[kept.capture()]).expect("a capture");
        drop(replay(&mut source, lab::ingest(), engine, Threads::One, &|_| {}).expect("a replay"));
        history.finish();
        kept
    }

    fn capture(&self) -> PathBuf {
        self.folder.path().join("nasty.pcap")
    }

    /// What a command prints, all of it.
    fn said(&self, arguments: &[&str]) -> String {
        let Output { stdout, stderr, .. } = self.run(arguments);
        String::from_utf8([stdout, stderr].concat()).expect("what is printed is UTF-8")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_siphound"));
        command.args(arguments).current_dir(self.folder.path()).output().expect("siphound starts")
    }

    /// What a command prints that asks the history.
    fn asked(&self, arguments: &[&str]) -> String {
        self.said(&[arguments, &["--state-dir", "state"]].concat())
    }
}

/// Fails if a terminal would obey or hide anything.
#[track_caller]
fn assert_visible(what: &str, nasty: &[u8], shown: &str) {
    let found = shown.chars().find(|&c| c != '\n' && is_hidden(c));
    assert_eq!(found, None, "{what} of {}: {shown}", nasty.escape_ascii());
}

#[test]
fn a_terminal_obeys_nothing_that_was_on_the_wire() {
    for nasty in NASTY {
        let kept = Kept::of(nasty);
        let file = "nasty.pcap";
        for arguments in [
            &["replay", file][..],
            &["replay", "--format", "json", file],
            &["replay", "--metrics", file],
            &["diagnose", "1001", "--pcap", file],
            &["diagnose", "2001", "--pcap", file, "--format", "json"],
        ] {
            assert_visible(&arguments.join(" "), nasty, &kept.said(arguments));
        }
        for arguments in [
            &["calls"][..],
            &["peers"],
            &["findings"],
            &["calls", "--format", "json"],
            &["findings", "--format", "json"],
            &["calls", "--format", "csv"],
            &["peers", "--format", "csv"],
            &["findings", "--format", "csv"],
        ] {
            let shown = kept.asked(arguments).replace("\r\n", "\n");
            assert_visible(&arguments.join(" "), nasty, &shown);
        }
    }
}

#[test]
fn a_spreadsheet_computes_nothing_that_was_on_the_wire() {
    for nasty in NASTY {
        let kept = Kept::of(nasty);
        for what in ["calls", "peers", "findings"] {
            let table = kept.asked(&[what, "--format", "csv"]);
            let lines = table.split("\r\n").collect::<Vec<_>>();
            assert!(lines.len() > 2, "{what} of {} has no rows: {table}", nasty.escape_ascii());
            for cell in lines.iter().flat_map(|line| line.split("\",\"")) {
                let cell = cell.trim_start_matches('"');
                assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{what} of {}: {cell}", nasty.escape_ascii());
            }
        }
    }
}

/// A sender chooses neither names nor values of labels.
#[test]
fn no_label_says_what_a_sender_wrote() {
    let series = |nasty: &[u8]| -> Vec<String> {
        let shown = Kept::of(nasty).said(&["replay", "--metrics", "nasty.pcap"]);
        shown.lines().map(|line| line.rsplit_once(' ').map_or(line, |(series, _)| series).to_owned()).collect()
    };
    let plain = series(b"harmless");
    assert!(plain.len() > 50);
    for nasty in NASTY {
        let text = String::from_utf8_lossy(nasty).into_owned();
        for line in series(nasty).into_iter().filter(|line| !plain.contains(line)) {
            // What is wrong with the message may be counted under further values, all of our own.
            let values = line.split('"').skip(1).step_by(2);
            let is_ours = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
            let foreign = values.clone().find(|value| **value == text || !value.chars().all(is_ours));
            assert_eq!(foreign, None, "{}: {line}", nasty.escape_ascii());
        }
    }
}

/// The files of a bundle have names of our own, wherever it is unpacked.
#[test]
fn no_file_is_named_by_what_was_on_the_wire() {
    for nasty in NASTY {
        let kept = Kept::of(nasty);
        kept.run(&["diagnose", "198.51.100.7", "--pcap", "nasty.pcap", "--bundle", "case.tar.gz"]);
        kept.run(&["diagnose", "2001", "--pcap", "nasty.pcap", "--bundle", "other.tar.gz"]);
        let files: BTreeMap<_, _> = archive::unpacked(&kept.folder.path().join("other.tar.gz"));
        for name in files.keys() {
            let is_ours = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-');
            assert!(name.starts_with("siphound/") && !name.contains("..") && name.chars().all(is_ours), "{name}");
        }
        let mut names = Vec::new();
        walk(kept.folder.path(), &mut names);
        let known = ["nasty.pcap", "case.tar.gz", "other.tar.gz"];
        for name in &names {
            let is_trace = name.ends_with(".pcap") || name.contains("history") || name.contains("siphound");
            assert!(known.contains(&name.as_str()) || is_trace, "{name} in {names:?}");
        }
    }
}

fn walk(folder: &Path, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            walk(&entry, names);
        } else {
            names.push(entry.file_name().expect("a name").to_str().expect("a name in UTF-8").to_owned());
        }
    }
}

/// The history takes each text as a value: it is found under it, and what else is there stays.
#[test]
fn the_database_takes_every_text_as_a_value() {
    for nasty in NASTY {
        let kept = Kept::of(nasty);
        // An argument of the system has no NUL byte, and words of the wire that are no UTF-8 were replaced.
        let Some(user) = std::str::from_utf8(nasty).ok().filter(|user| !user.contains('\0')) else { continue };
        let calls = |user: &str| kept.said(&["calls", "--format", "json", "--state-dir", "state", "--", user]);
        let all = kept.asked(&["calls", "--format", "json"]);
        assert!(all.contains("\"outcome\""), "{user:?}: {all}");
        let listed: serde_json::Value = serde_json::from_str(&all).expect("JSON");
        let from = listed["calls"][0]["from"].as_str().unwrap_or_default();
        assert!(from.is_empty() || calls(from).contains("\"outcome\""), "{from:?} of {user:?}: {}", calls(from));
        for other in ["' OR '1'='1", "%", "_", "nobody'; DROP TABLE calls; --"] {
            assert!(!calls(other).contains("\"outcome\""), "{other:?}: {}", calls(other));
        }
        assert_eq!(kept.asked(&["calls", "--format", "json"]), all);
    }
}
