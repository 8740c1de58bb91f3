//! What a daemon keeps, asked for with the commands that read it.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use crossbeam_channel::never;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value as Json;
use siphound::capture::scripted::Scripted;
use siphound::capture::{FrameSource, SourceEvent};
use siphound::detect::store::Limits;
use siphound::history::{History, Loss, Place, Places, Status, Store};
use siphound::pipeline::engine::Engine;
use siphound::pipeline::live::{self, Control, Feed};
use siphound::pipeline::pulse::Pulse;
use siphound::pipeline::replay::{Threads, replay};
use siphound::pipeline::source::{CaptureError, CaptureFiles};
use siphound::pipeline::stage::PipelineError;
use siphound::pipeline::stop::stop;
use siphound::time::Span;
use siphound::track::Settings;
use support::capture::{CaptureFile, Record};
use support::wire::{Protocol, ipv4};
use support::{lab, pcaps};
use tempfile::TempDir;

fn places(state: &Path) -> Places {
    let place = |directory: PathBuf| Some(Place { directory, age: Span::from_secs(36_500 * 86_400), bytes: 1 << 30 });
    Places { database: place(state.to_owned()), traces: place(state.join("traces")) }
}

/// Runs a capture through an engine that keeps what it does.
fn keep(case: &str, places: Places) -> Status {
    let status = Status::default();
    let (history, recorder) = History::start(places, status.clone()).expect("a thread");
    let mut engine = lab::engine(&lab::roomy());
    engine.listen(Box::new(recorder));
    let ingest = lab::ingest();
    let mut source = CaptureFiles::open(&[pcaps::path(case)]).expect("a capture");
    let mut finished = replay(&mut source, ingest, engine, Threads::One, &|_| {}).expect("a replay");
    finished.engine.finish();
    drop(finished);
    history.finish();
    status
}

fn kept(case: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    keep(case, places(folder.path()));
    folder
}

fn siphound(arguments: &[&str], state: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_siphound"));
    command.args(arguments).arg("--state-dir").arg(state).env("NO_COLOR", "1").output().expect("siphound starts")
}

#[track_caller]
fn said(arguments: &[&str], state: &Path) -> String {
    let output = siphound(arguments, state);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[track_caller]
fn json(arguments: &[&str], state: &Path) -> Json {
    serde_json::from_str(&said(&[arguments, &["--format", "json"]].concat(), state)).expect("JSON")
}

/// The report on a case, for comparison.
fn report(case: &str) -> Json {
    support::replay::report(&pcaps::path(case), &[]).expect("a report")
}

#[test]
fn calls_are_those_of_the_report() {
    for case in ["call-ok-auth", "call-bridged", "hung-call", "cancel-200-race"] {
        let state = kept(case);
        let (calls, report) = (json(&["calls"], state.path()), report(case));
        let ids = |list: &Json| -> Vec<String> {
            let keys = ["call_id", "from", "to", "outcome", "status", "started", "ended", "talk_s"];
            list.as_array().expect("a list").iter().map(|call| keys.map(|key| call[key].to_string()).join(" ")).collect()
        };
        let (mut kept, mut told) = (ids(&calls["calls"]), ids(&report["calls"]));
        kept.sort();
        told.sort();
        assert_eq!(kept, told, "{case}");
        assert_eq!(calls["schema"], 1);
    }
}

#[test]
fn users_and_findings_are_those_of_the_report() {
    for case in ["reg-ok", "reg-wrong-password", "nat-gap-pjsip", "never-registered"] {
        let state = kept(case);
        let report = report(case);
        let peers = json(&["peers"], state.path());
        let users = |list: &Json| -> Vec<String> {
            list.as_array().expect("a list").iter().map(|user| format!("{} {}", user["aor"], user["state"])).collect()
        };
        assert_eq!(users(&peers["registrations"]), users(&report["registrations"]), "{case}");
        let findings = json(&["findings"], state.path());
        let names = |list: &Json| -> Vec<String> {
            let mut names: Vec<String> =
                list.as_array().expect("a list").iter().map(|found| format!("{} {}", found["id"], found["subject"])).collect();
            names.sort();
            names
        };
        assert_eq!(names(&findings["findings"]), names(&report["findings"]), "{case}");
    }
}

#[test]
fn open_findings_of_an_id_come_with_the_command_that_looks_into_them() {
    let state = kept("nat-gap-pjsip");
    let all = json(&["findings", "--open"], state.path());
    let found =
        all["findings"].as_array().expect("a list").iter().find(|found| found["scope"] == "phone" || found["scope"] == "phone-or-site");
    let Some(found) = found else { panic!("no finding of a phone: {all}") };
    let (id, subject) = (found["id"].as_str().expect("an id"), found["subject"].as_str().expect("a subject"));
    let text = said(&["findings", "--open", "--id", id], state.path());
    let command = format!("siphound diagnose {subject} --pcap {}", state.path().join("traces").display());
    assert!(text.lines().any(|line| line == command), "{command} is not in\n{text}");
    let mut words = command.split(' ').skip(1);
    let answer = Command::new(env!("CARGO_BIN_EXE_siphound")).args(&mut words).output().expect("siphound starts");
    assert!(answer.status.success() && String::from_utf8_lossy(&answer.stdout).contains(subject), "{answer:?}");
    assert!(!said(&["findings", "--open"], state.path()).contains("siphound diagnose"));
}

#[test]
fn tables_and_spreadsheets_have_a_line_for_each() {
    let state = kept("call-ok-auth");
    let table = said(&["calls"], state.path());
    assert!(table.starts_with("start ") && table.lines().count() > 1, "{table}");
    let csv = said(&["calls", "--format", "csv"], state.path());
    assert!(csv.starts_with("\"start\",\"from\",") && csv.lines().count() == table.lines().count(), "{csv}");
    assert_eq!(said(&["calls", "nobody"], state.path()), "nothing of that kind is in the history\n");
}

#[test]
fn a_call_is_traced_with_its_other_leg() {
    let state = kept("call-bridged");
    let calls = json(&["calls"], state.path());
    let call_id = calls["calls"][0]["call_id"].as_str().expect("a Call-ID").to_owned();
    let text = said(&["trace", &call_id], state.path());
    assert!(text.contains("INVITE") && text.contains("200 OK") && text.contains(&format!("Call-ID: {call_id}")), "{text}");
    for linked in calls["calls"][0]["linked"].as_array().expect("a list") {
        assert!(text.contains(linked.as_str().expect("a Call-ID")), "{linked} is not in\n{text}");
    }
    assert!(text.contains("response=\"00000000000000000000000000000000\"") || !text.contains("response="), "secrets are blanked:\n{text}");
}

#[test]
fn a_trace_for_wireshark_is_a_capture_of_this_user_alone() {
    let state = kept("reg-ok");
    let peers = json(&["peers"], state.path());
    let user = peers["registrations"][0]["aor"].as_str().expect("a user").to_owned();
    let file = state.path().join("out.pcap");
    let path = file.to_str().expect("a path in UTF-8");
    said(&["trace", &user, "--pcap", path], state.path());
    let report = support::replay::report(&file, &[]).expect("a capture");
    assert_eq!(report["registrations"][0]["aor"], Json::String(user.clone()));

    said(&["trace", &user, "--anonymise", "--pcap", path], state.path());
    let bytes = std::fs::read(&file).expect("there");
    assert!(memchr::memmem::find(&bytes, user.as_bytes()).is_none(), "{user} is in it");
    let masked = support::replay::report(&file, &[]).expect("a capture");
    assert_eq!(masked["registrations"][0]["state"], report["registrations"][0]["state"]);
    assert_ne!(masked["registrations"][0]["aor"], report["registrations"][0]["aor"]);
}

/// siphound writes what came in a tunnel without it, so that a tunnel in a trace is none of its own.
#[test]
fn a_tunnel_in_a_trace_is_not_looked_into() {
    let ethernet = pcaps::load("call-ok-auth");
    let bare = |record: &Record| record.bytes.get(14..).expect("an IP packet").to_vec();
    let tunnelled = |record: &Record| ipv4([192, 0, 2, 1], [192, 0, 2, 2], Protocol::IpInIp, 0, 0, &bare(record));
    for (wrap, is_known) in [(&bare as &dyn Fn(&Record) -> Vec<u8>, true), (&tunnelled, false)] {
        let folder = tempfile::tempdir().expect("a folder");
        let traces = folder.path().join("traces");
        std::fs::create_dir(&traces).expect("made");
        let record = |record: &Record| {
            let bytes = wrap(record);
            Record { original_len: bytes.len() as u32, bytes, ..*record }
        };
        let file = CaptureFile { link: 101, records: ethernet.records.iter().map(record).collect(), tail: Vec::new() };
        std::fs::write(traces.join(format!("trace-{}.pcap", ethernet.first_micros() * 1_000)), file.to_bytes()).expect("written");
        let output = siphound(&["trace", "1001"], folder.path());
        assert_eq!(output.status.success(), is_known, "{output:?}");
    }
}

#[test]
fn what_is_not_there_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    for (arguments, parts) in [(&["calls"][..], ["no history at", "--state-dir"]), (&["trace", "1001"], ["no traces in", "--state-dir"])] {
        let output = siphound(arguments, folder.path());
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        for part in parts {
            assert!(error.contains(part) && error.contains(folder.path().to_str().expect("UTF-8")), "{error}");
        }
    }
    let state = kept("reg-ok");
    let output = siphound(&["trace", "no-such-call"], state.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("siphound calls"), "{output:?}");
}

/// A capture goes on over a directory that cannot be written, and the stores say that they are down.
#[test]
fn a_directory_that_cannot_be_written_is_told_and_nothing_else_happens() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").expect("written");
    let status = keep("reg-ok", places(&file.join("state")));
    for store in [Store::Database, Store::Traces] {
        assert!(status.down_since(store).is_some(), "{store:?}");
    }
    assert!(status.lost(Store::Traces, Loss::Write) > 0);
    assert_eq!(status.lost(Store::Traces, Loss::Queue), 0);
}

/// Half a file system is not enough; what was written before it was full is whole.
#[test]
fn a_full_disk_leaves_what_was_written_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=128k", "tmpfs"]).arg(folder.path()).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("skipped: a small file system needs root and mount");
        return;
    }
    let directory = folder.path().join("traces");
    let place = Place { directory: directory.clone(), age: Span::MAX, bytes: 1 << 30 };
    let status = keep("quiet-day", Places { database: None, traces: Some(place) });
    let listed: Vec<_> = std::fs::read_dir(&directory).expect("there").map(|entry| entry.expect("an entry").path()).collect();
    let files = if listed.is_empty() { Err(siphound_error()) } else { support::replay::report(&directory, &[]) };
    let unmounted = Command::new("umount").arg("-l").arg(folder.path()).status().expect("umount runs");
    assert!(unmounted.success());
    assert!(status.down_since(Store::Traces).is_some() && status.lost(Store::Traces, Loss::Write) > 0, "{status:?}");
    let report = files.expect("what is there can be read");
    assert_eq!(report["capture"]["cut"], false);
}

fn siphound_error() -> String {
    "nothing was written".to_owned()
}

/// Each option that help names, in use.
#[test]
fn every_option_of_help_works() {
    let state = kept("call-ok-auth");
    let config = state.path().join("siphound.toml");
    std::fs::write(&config, "").expect("written");
    let config = config.to_str().expect("UTF-8");
    let common: &[&[&str]] = &[&["--since", "2020-01-01 00:00"], &["--until", "2100-01-01 00:00"], &["--config", config], &["-c", config]];
    let lists: &[&[&str]] = &[&["--open"], &["--limit", "1"], &["--format", "csv"], &["-f", "json"]];
    let out = state.path().join("o.pcap").display().to_string();
    let pcap = ["--pcap", out.as_str()];
    let commands: [(&[&str], Vec<&[&str]>); 4] = [
        (&["calls"], [common, lists, &[&["--outcome", "answered"]]].concat()),
        (&["peers"], [common, lists, &[&["--state", "registered"]]].concat()),
        (&["findings"], [common, lists, &[&["--id", "auth-failure"]]].concat()),
        (&["trace", "1001"], [common, &[&["--anonymise"], &pcap, &["--color", "never"]]].concat()),
    ];
    for (command, options) in commands {
        for option in &options {
            said(&[command, *option].concat(), state.path());
        }
        let help = Command::new(env!("CARGO_BIN_EXE_siphound")).arg(command[0]).arg("--help").output().expect("siphound starts");
        let help = String::from_utf8(help.stdout).expect("text");
        let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
        let words = lines.flat_map(|line| line.split([' ', ',']).take_while(|word| word.is_empty() || word.starts_with('-')));
        for word in words.filter(|word| word.len() > 1 && !["-h", "--help", "-V", "--version", "--state-dir", "-"].contains(word)) {
            assert!(options.iter().any(|option| option[0] == word), "{} {word} is not tried out", command[0]);
        }
    }
}

fn eth0() -> String {
    "eth0".to_owned()
}

/// The first 400 ms from the first INVITE of a capture, at the beginning of which what was known before is written.
fn moment(case: &str) -> Scripted {
    let file = pcaps::load(case);
    let is_invite = |bytes: &[u8]| bytes.windows(11).any(|word| word == b"INVITE sip:");
    let first = file.records.iter().position(|record| is_invite(&record.bytes)).expect("an INVITE");
    let begins = file.records[first].micros;
    let source = Scripted::new().event(SourceEvent::Idle { now: lab::time(begins) });
    let records = file.records.iter().enumerate().skip(first).take_while(|(_, record)| record.micros - begins < 400_000);
    records.fold(source, |source, (index, record)| source.frame(lab::header(index as u64 + 1, file.link, record), record.bytes.clone()))
}

/// What was heard in the half second before its end is in the history, also when siphound ends because it must be started anew.
#[test]
fn a_capture_that_must_be_begun_anew_leaves_all_it_knew() {
    let folder = tempfile::tempdir().expect("a folder");
    let (history, recorder) = History::start(places(folder.path()), Status::default()).expect("a thread");
    let mut engine = lab::engine(&lab::roomy());
    engine.listen(Box::new(recorder));
    let gone = CaptureError::Interface { name: eth0(), reason: "gone".to_owned() };
    let mut source = Some(Box::new(moment("call-ok-auth").error(gone)) as Box<dyn FrameSource>);
    let forbidden = || CaptureError::NoPermission { name: eth0(), program: "siphound".to_owned() };
    let open = Box::new(move || source.take().ok_or_else(forbidden));
    let opened = live::open(vec![Feed { name: eth0(), retry: Duration::ZERO, open }]).expect("a source");
    let (handle, stopped) = stop();
    let control = Control { stop: &stopped, handle: &handle, pulse: &Pulse::default(), observer: &|_| {} };
    let ended = live::run(opened, lab::ingest(), engine, never(), control).map(|_| ());
    assert!(matches!(ended, Err(PipelineError::MustRestart { .. })), "{ended:?}");
    history.finish();
    assert_eq!(json(&["calls"], folder.path())["calls"].as_array().map(Vec::len), Some(1));
}

/// A call that found no row in time, as others took its place, is counted.
#[test]
fn a_call_that_is_evicted_before_it_could_be_copied_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let status = Status::default();
    let (history, recorder) = History::start(places(folder.path()), status.clone()).expect("a thread");
    let mut engine = lab::engine(&Settings { calls: 1, ..lab::roomy() });
    engine.listen(Box::new(recorder));
    let mut source = moment("call-bridged");
    let mut finished = replay(&mut source, lab::ingest(), engine, Threads::One, &|_| {}).expect("a replay");
    finished.engine.finish();
    drop(finished);
    history.finish();
    let rows = json(&["calls"], folder.path())["calls"].as_array().map_or(0, Vec::len);
    assert_eq!((rows, status.lost(Store::Database, Loss::Evicted)), (1, 1), "there was room for one of two legs");
    assert_eq!(keep("call-bridged", places(folder.path())).lost(Store::Database, Loss::Evicted), 0, "there is room for both");
}

/// A finding that others took the place of is over when it would have ended by itself: nothing more is heard of it.
#[test]
fn a_finding_that_was_evicted_does_not_stay_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let (history, recorder) = History::start(places(folder.path()), Status::default()).expect("a thread");
    let mut engine = Engine::new(&lab::roomy(), Limits { open: 1, ended: 1 });
    engine.listen(Box::new(recorder));
    let mut source = CaptureFiles::open(&[pcaps::path("many-users-away")]).expect("a capture");
    let mut finished = replay(&mut source, lab::ingest(), engine, Threads::One, &|_| {}).expect("a replay");
    finished.engine.finish();
    drop(finished);
    history.finish();
    let kept = json(&["findings"], folder.path());
    let kept = kept["findings"].as_array().expect("a list");
    let open = kept.iter().filter(|finding| finding["cleared"].is_null()).count();
    assert!(kept.len() > 2 && open <= 1, "{open} of {}", kept.len());
}

/// What was heard before the interface went down does not wait for it to come up again.
#[test]
fn what_was_heard_before_the_interface_went_down_is_there_while_it_is_down() {
    let folder = tempfile::tempdir().expect("a folder");
    let (history, recorder) = History::start(places(folder.path()), Status::default()).expect("a thread");
    let mut engine = lab::engine(&lab::roomy());
    engine.listen(Box::new(recorder));
    let mut source = Some(Box::new(moment("call-bridged").error(CaptureError::Down { name: eth0() })) as Box<dyn FrameSource>);
    let open = Box::new(move || Ok(source.take().expect("an interface that is down stays open")));
    // Nobody asks the source again before the end.
    let opened = live::open(vec![Feed { name: eth0(), retry: Duration::from_secs(86_400), open }]).expect("a source");
    let (handle, stopped) = stop();
    let pulse = Pulse::default();
    let control = Control { stop: &stopped, handle: &handle, pulse: &pulse, observer: &|_| {} };
    let is_there = std::thread::scope(|scope| {
        let running = scope.spawn(move || live::run(opened, lab::ingest(), engine, never(), control).map(|_| ()));
        let calls = || {
            let database = Connection::open_with_flags(folder.path().join("history.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            database.query_one("SELECT count(*) FROM calls", [], |row| row.get(0))
        };
        let is_there = comes_about(|| calls() == Ok(2));
        handle.stop();
        running.join().expect("the pipeline").expect("a run");
        is_there
    });
    history.finish();
    assert!(is_there, "both legs are in the history while the interface is down");
}

/// A store that could not be opened is taken up by itself once it can.
#[test]
fn what_was_in_the_way_is_gone_and_it_goes_on_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    std::fs::write(&state, "in the way").expect("written");
    let status = Status::default();
    let (history, recorder) = History::start(places(&state), status.clone()).expect("a thread");
    let both = |down: bool| [Store::Database, Store::Traces].iter().all(|store| status.down_since(*store).is_some() == down);
    wait_until(|| both(true));
    std::fs::remove_file(&state).expect("removed");
    wait_until(|| both(false));
    drop(recorder);
    history.finish();
    assert!(state.join("history.db").is_file() && state.join("traces").is_dir());
}

/// A database that somebody else holds loses nothing.
#[test]
fn a_lock_is_waited_out() {
    let folder = tempfile::tempdir().expect("a folder");
    keep("reg-ok", places(folder.path()));
    let other = Connection::open(folder.path().join("history.db")).expect("there");
    other.execute_batch("BEGIN IMMEDIATE; DELETE FROM registrations; DELETE FROM calls").expect("locked");
    let status = Status::default();
    let (history, recorder) = History::start(places(folder.path()), status.clone()).expect("a thread");
    let mut engine = lab::engine(&lab::roomy());
    engine.listen(Box::new(recorder));
    let mut source = CaptureFiles::open(&[pcaps::path("call-ok-auth")]).expect("a capture");
    drop(replay(&mut source, lab::ingest(), engine, Threads::One, &|_| {}).expect("a replay"));
    wait_until(|| status.down_since(Store::Database).is_some());
    other.execute_batch("COMMIT").expect("free");
    history.finish();
    assert_eq!(status.lost(Store::Database, Loss::Write) + status.lost(Store::Database, Loss::Queue), 0);
    assert!(!json(&["calls"], folder.path())["calls"].as_array().expect("a list").is_empty());
}

#[track_caller]
fn wait_until(ready: impl Fn() -> bool) {
    assert!(comes_about(ready), "it does not come about");
}

/// Whether it does within 20 s.
fn comes_about(ready: impl Fn() -> bool) -> bool {
    (0..2_000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        ready()
    })
}
