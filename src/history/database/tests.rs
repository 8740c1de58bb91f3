use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::history::record::Change;
use crate::report::model::{CallEntry, FindingEntry, Stamp};
use crate::track::vocabulary::{CallState, Confidence, Direction, Outcome, Scope, Severity};

fn at(seconds: i64) -> PacketTime {
    PacketTime::from_parts(1_700_000_000 + seconds, 0)
}

fn call(call_id: &str, second: i64, ended: Option<i64>) -> Row {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    Row::Call(Box::new(CallEntry {
        first_seen: at(second),
        first_frame: 1,
        passed_on_to: None,
        forks: Vec::new(),
        by_scanner: false,
        forwarded: false,
        call_id: call_id.to_owned(),
        from: Some("1001".to_owned()),
        to: Some("2002".to_owned()),
        source: address("198.51.100.7:40311"),
        destination: address("203.0.113.10:5060"),
        direction: Direction::In,
        started: Some(Stamp(at(second))),
        answered: None,
        ended: ended.map(|second| Stamp(at(second))),
        partial: false,
        outcome: Outcome::Answered,
        status: Some(200),
        state: if ended.is_some() { CallState::Ended } else { CallState::Open },
        setup_s: None,
        ring_s: None,
        talk_s: None,
        ended_by: None,
        end_reason: None,
        linked: Vec::new(),
        overbilled_s: None,
    }))
}

fn finding(subject: &str, second: i64, cleared: Option<i64>) -> Box<FindingEntry> {
    Box::new(FindingEntry {
        id: "nat-binding-timeout",
        severity: Severity::Error,
        confidence: Confidence::Confirmed,
        reason: None,
        scope: Scope::Phone,
        subject: subject.to_owned(),
        since: Stamp(at(second)),
        at: Stamp(at(second)),
        cleared: cleared.map(|second| Stamp(at(second))),
        count: 1,
        message: "m".to_owned(),
        evidence: Vec::new(),
        remedy: "r".to_owned(),
        runbook: Vec::new(),
        explains: Vec::new(),
    })
}

fn open(directory: &Path) -> Database {
    Database::open(directory, at(0)).expect("opened")
}

fn ask(directory: &Path, kind: Kind, asked: Asked) -> Vec<Json> {
    let asked = Asked { limit: 1_000, ..asked };
    Reader::open(directory).expect("there").read(kind, &asked).expect("read").into_iter().map(|hit| hit.entry).collect()
}

use serde_json::Value as Json;

fn names(entries: &[Json], key: &str) -> Vec<String> {
    entries.iter().map(|entry| entry[key].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn what_is_written_is_read_while_it_is_open_and_by_what_was_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut database = open(folder.path());
    database.write(&[call("a", 0, None), call("b", 10, Some(20)), call("a", 0, Some(5))]).expect("written");
    let calls = |asked| names(&ask(folder.path(), Kind::Calls, asked), "call_id");
    assert_eq!(calls(Asked::default()), ["a", "b"], "a call that goes on stays one");
    assert_eq!(calls(Asked { since: Some(at(6)), ..Asked::default() }), ["b"]);
    assert_eq!(calls(Asked { until: Some(at(9)), ..Asked::default() }), ["a"]);
    for user in ["1001", "1001@pbx", "2002", "198.51.100.7", "198.51.100.7:40311", "203.0.113.10"] {
        assert_eq!(calls(Asked { user: Some(user.to_owned()), ..Asked::default() }).len(), 2, "{user}");
    }
    for user in ["100", "198.51.100.8", "198.51.100.7:1", "c", "%"] {
        assert_eq!(calls(Asked { user: Some(user.to_owned()), ..Asked::default() }).len(), 0, "{user}");
    }
    let is = |outcomes: &[&str]| Asked { is: outcomes.iter().map(|outcome| (*outcome).to_owned()).collect(), ..Asked::default() };
    assert_eq!(calls(is(&["busy"])).len(), 0);
    assert_eq!(calls(is(&["busy", "answered"])).len(), calls(is(&["answered"])).len());
    assert_ne!(calls(is(&["answered"])).len(), 0);
    assert_eq!(calls(Asked { open: true, ..Asked::default() }).len(), 0);
}

#[test]
fn what_was_open_at_the_end_stays_open_and_is_no_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    open(folder.path()).write(&[call("a", 0, None)]).expect("written");
    let mut again = open(folder.path());
    again.write(&[Row::Began(at(100))]).expect("written");
    let calls = ask(folder.path(), Kind::Calls, Asked { open: true, ..Asked::default() });
    assert_eq!(calls[0]["state"], "open");
    assert_eq!(calls[0]["outcome"], "answered");
}

#[test]
fn findings_that_nobody_tells_again_after_a_restart_are_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = [Row::Finding(finding("a@h", 0, None)), Row::Finding(finding("b@h", 1, None)), Row::Finding(finding("c@h", 2, Some(3)))];
    open(folder.path()).write(&rows).expect("written");
    open(folder.path()).write(&[Row::Began(at(100)), Row::Finding(finding("b@h", 1, None))]).expect("written");
    let open_ones = ask(folder.path(), Kind::Findings, Asked { open: true, ..Asked::default() });
    assert_eq!(names(&open_ones, "subject"), ["b@h"]);
    let all = ask(folder.path(), Kind::Findings, Asked::default());
    assert_eq!(all[0]["cleared"], Json::String(at(100).to_string()));
    assert_eq!(all[2]["cleared"], Json::String(at(3).to_string()));
}

#[test]
fn a_symptom_that_has_its_cause_is_not_listed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut database = open(folder.path());
    database.write(&[Row::Finding(finding("a@h", 0, None)), Row::Replaced(finding("a@h", 0, None))]).expect("written");
    assert!(ask(folder.path(), Kind::Findings, Asked::default()).is_empty());
}

#[test]
fn it_reaches_back_some_days_and_has_at_most_so_many_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut database = open(folder.path());
    let rows: Vec<Row> = (0..20_000).map(|nth| call(&format!("call-{nth}"), nth, Some(nth))).collect();
    database.write(&rows).expect("written");
    let (all, oldest) = database.prune(at(100), u64::MAX).expect("pruned");
    assert_eq!(oldest, Some(at(100)));
    let (bytes, oldest) = database.prune(at(100), all / 2).expect("pruned");
    assert!(bytes <= all / 2, "{bytes} of {all}");
    assert!(oldest > Some(at(5_000)), "the oldest went first");
    let on_disk = fs::metadata(folder.path().join(FILE)).expect("there").len();
    assert!(on_disk <= all / 2 + (1 << 16), "{on_disk} of {all} are given back");
    assert_eq!(ask(folder.path(), Kind::Calls, Asked { user: Some("call-19999".to_owned()), ..Asked::default() }).len(), 1);
}

#[test]
fn a_corrupt_file_is_moved_aside_and_a_fresh_one_begun() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join(FILE), "this is no database, however long it may be".repeat(100)).expect("written");
    open(folder.path()).write(&[call("a", 0, None)]).expect("written");
    assert_eq!(ask(folder.path(), Kind::Calls, Asked::default()).len(), 1);
    let aside = folder.path().join(format!("{FILE}.corrupt-1700000000"));
    assert!(fs::read_to_string(aside).expect("kept").starts_with("this is no database"));
}

#[test]
fn a_page_that_was_spoilt_is_found_when_it_is_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut database = open(folder.path());
    let rows: Vec<Row> = (0..2_000).map(|nth| call(&format!("call-{nth}"), nth, None)).collect();
    database.write(&rows).expect("written");
    database.prune(PacketTime::MIN, u64::MAX).expect("checkpointed");
    drop(database);
    let path = folder.path().join(FILE);
    let mut bytes = fs::read(&path).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 20_000].fill(0xa5);
    fs::write(&path, bytes).expect("written");
    open(folder.path()).write(&[call("after", 0, None)]).expect("written");
    assert_eq!(names(&ask(folder.path(), Kind::Calls, Asked::default()), "call_id"), ["after"]);
}

#[test]
fn a_file_that_is_spoilt_under_the_writer_is_noticed_at_the_next_look() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut database = open(folder.path());
    database.write(&[call("before", 0, None)]).expect("written");
    for name in [FILE.to_owned(), format!("{FILE}-wal")] {
        let path = folder.path().join(name);
        let length = fs::metadata(&path).expect("there").len() as usize;
        fs::write(&path, vec![0xa5; length]).expect("written");
    }
    let error = database.prune(PacketTime::MIN, u64::MAX).expect_err("spoilt");
    assert!(error.is_corrupt() && error.is_lost(), "{error}");
    drop(database);
    open(folder.path()).write(&[call("after", 0, None)]).expect("written");
    assert_eq!(names(&ask(folder.path(), Kind::Calls, Asked::default()), "call_id"), ["after"]);
}

#[test]
fn a_file_that_was_taken_away_is_noticed_at_the_next_look() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut database = open(folder.path());
    database.prune(PacketTime::MIN, u64::MAX).expect("all is well");
    fs::remove_file(folder.path().join(FILE)).expect("removed");
    let error = database.prune(PacketTime::MIN, u64::MAX).expect_err("gone");
    assert!(error.is_lost() && !error.is_corrupt() && error.to_string().contains(FILE), "{error}");
}

#[test]
fn a_newer_one_is_refused_in_words_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(folder.path()));
    Connection::open(folder.path().join(FILE)).expect("there").execute_batch("PRAGMA user_version = 2").expect("set");
    let said = Database::open(folder.path(), at(0)).expect_err("refused").to_string();
    assert!(said.contains("version 2") && said.contains("up to 1") && said.contains("update siphound"), "{said}");
    assert!(matches!(Reader::open(folder.path()), Err(DatabaseError::Newer { .. })));
}

#[test]
fn where_there_is_none_it_says_where_it_looked() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = Reader::open(&folder.path().join("nowhere")).expect_err("none").to_string();
    assert!(said.contains("nowhere/history.db") && said.contains("--state-dir"), "{said}");
}

#[test]
fn one_that_was_only_just_begun_is_none_yet() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join(FILE), "").expect("written");
    assert!(matches!(Reader::open(folder.path()), Err(DatabaseError::Missing(_))));
}

#[test]
fn another_that_holds_the_lock_is_waited_for_and_then_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut database = open(folder.path());
    let other = Connection::open(folder.path().join(FILE)).expect("there");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let error = database.write(&[call("a", 0, None)]).expect_err("locked");
    assert!(!error.is_corrupt() && error.to_string().contains("locked"), "{error}");
    other.execute_batch("COMMIT").expect("free");
    database.write(&[call("a", 0, None)]).expect("written");
}

#[test]
fn nobody_else_reads_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("siphound");
    let mut database = open(&directory);
    let change = Change {
        at: at(0),
        aor: "a@h".to_owned(),
        contact: "c".to_owned(),
        source: "s".to_owned(),
        was: "registered".to_owned(),
        became: "expired".to_owned(),
    };
    database.write(&[Row::Change(change)]).expect("written");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for entry in fs::read_dir(&directory).expect("there") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
