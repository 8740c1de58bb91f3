//! The disk of the history fills up, its database is held by another process, or is full of garbage: each says what is lost, and nothing
//! else is.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value as Json;
use siphound::history::trace;
use siphound::time::PacketTime;

use super::daemon::Daemon;
use super::lab::{Host, Lab, SOON, until};
use super::sip::{Agent, request, response};
use super::{PHONE, SERVER};

/// A file system of 8 MiB where the daemon keeps its state; it is gone when the test is.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(lab: &Lab) -> Option<Self> {
        let folder = lab.path("state");
        std::fs::create_dir(&folder).expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&folder).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            let _ = writeln!(std::io::stderr(), "skipped: a small file system needs mount");
            return None;
        }
        Some(Self(folder))
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut ballast = File::create(self.0.join("ballast")).expect("a file");
        for piece in [1 << 16, 1] {
            while ballast.write_all(&vec![0; piece]).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).expect("it is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A phone and a PBX that have calls.
struct Ends {
    phone: Agent,
    pbx: Agent,
}

/// Messages of one call.
const MESSAGES: u64 = 5;

impl Ends {
    fn new(lab: &Lab) -> Self {
        Self { phone: Agent::new(lab, Host::Phones, PHONE), pbx: Agent::new(lab, Host::Pbx, SERVER) }
    }

    /// A call from INVITE to BYE.
    fn call(&self, name: &str) {
        self.phone.send(SERVER, &request("INVITE", name));
        self.pbx.send(PHONE, &response("200 OK", "INVITE", name));
        self.phone.send(SERVER, &request("ACK", name));
        let bye = format!("{name}-bye");
        self.phone.send(SERVER, &request("BYE", &bye).replace(&format!("Call-ID: {bye}"), &format!("Call-ID: {name}")));
        self.pbx.send(PHONE, &response("200 OK", "BYE", &bye).replace(&format!("Call-ID: {bye}"), &format!("Call-ID: {name}")));
    }
}

fn up(daemon: &Daemon<'_>, store: &str, expected: u64) {
    daemon.counts_within(2 * SOON, expected, "history_up", &[&format!("store={store}")]);
}

fn dropped(daemon: &Daemon<'_>, store: &str) -> u64 {
    daemon.metrics().sum("history_dropped_total", &[&format!("store={store}")])
}

/// The Call-IDs that `siphound calls` lists.
fn calls(lab: &Lab) -> Vec<String> {
    let state = lab.path("state").display().to_string();
    let output = lab.run(Host::Pbx, &[env!("CARGO_BIN_EXE_siphound"), "calls", "--format", "json", "--state-dir", &state]);
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("there is no history") {
        return Vec::new();
    }
    assert!(output.status.success(), "{said}");
    let listed: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut ids: Vec<_> = listed["calls"].as_array().expect("a list").iter().map(|call| call["call_id"].to_string()).collect();
    ids.sort();
    ids.into_iter().map(|id| id.trim_matches('"').to_owned()).collect()
}

/// Waits until the history on disk lists these calls.
fn lists(lab: &Lab, expected: &[&str]) {
    let listed = until(SOON, || (calls(lab) == expected).then_some(()));
    assert!(listed.is_some(), "{:?} instead of {expected:?}", calls(lab));
}

/// SIP messages that the traces hold, which must all be whole.
fn traced(lab: &Lab) -> u64 {
    let files = trace::paths(&lab.path("state").join("traces"), u64::MAX, PacketTime::MIN).expect("traces");
    let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    let command = [vec![env!("CARGO_BIN_EXE_siphound"), "replay", "--format", "json"], files.iter().map(String::as_str).collect()].concat();
    let output = lab.run(Host::Pbx, &command);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["capture"]["cut"], false);
    report["capture"]["sip_messages"].as_u64().expect("a number of messages")
}

/// Only traces are lost while the disk is full, as many as the counter says; calls wait in memory and are written later.
#[test]
fn a_full_disk_takes_traces_alone_and_tells_how_many() {
    let Some(lab) = Lab::build(&["mount", "umount"]) else { return };
    let Some(disk) = SmallDisk::mount(&lab) else { return };
    let mut daemon = Daemon::start(&lab, &[]);
    let ends = Ends::new(&lab);
    ends.call("before");
    lists(&lab, &["before"]);

    disk.fill();
    let mut during = Vec::new();
    let told = until(2 * SOON, || {
        // What is left of the last block takes a few more.
        during.push(format!("during{}", during.len()));
        ends.call(during.last()?);
        let metrics = daemon.metrics();
        ["store=database", "store=traces"].iter().all(|store| metrics.sum("history_up", &[store]) == 0).then_some(())
    });
    assert!(told.is_some(), "{}", daemon.process.log());
    daemon.process.says("The traces are not written; capture and metrics go on");
    ends.call("full");
    daemon.counts(2 + during.len() as u64, "session_outcomes_total", &["outcome=answered"]);
    assert!(daemon.metrics().sum("history_down_timestamp_seconds", &["store=traces"]) > 0);

    disk.free();
    ["database", "traces"].iter().for_each(|store| up(&daemon, store, 1));
    ends.call("after");
    let mut all: Vec<_> = ["after", "before", "full"].into_iter().chain(during.iter().map(String::as_str)).collect();
    all.sort_unstable();
    lists(&lab, &all);
    daemon.process.says("The traces are written again");
    let seen = MESSAGES * all.len() as u64;
    daemon.counts(seen, "messages_total", &[]);
    daemon.counts(0, "history_dropped_total", &["store=database"]);
    let lost = dropped(&daemon, "traces");
    assert!(lost >= MESSAGES, "{lost}");
    daemon.process.signal(rustix::process::Signal::TERM);
    assert_eq!(daemon.process.wait(SOON).0.code(), Some(0));
    assert_eq!(traced(&lab) + lost, seen, "what is not in the traces is counted");
}

/// Another process holds the database: nothing is lost, and the traces do not care.
#[test]
fn a_locked_database_loses_nothing() {
    let Some(lab) = Lab::build(&[]) else { return };
    let daemon = Daemon::start(&lab, &[]);
    let ends = Ends::new(&lab);
    ends.call("before");
    lists(&lab, &["before"]);
    let other = Connection::open(lab.path("state").join("history.db")).expect("there");
    other.busy_timeout(Duration::from_secs(5)).expect("set");
    other.execute_batch("BEGIN EXCLUSIVE").expect("locked");
    ends.call("during");
    up(&daemon, "database", 0);
    daemon.process.says("database is locked");
    assert_eq!(daemon.metrics().sum("history_up", &["store=traces"]), 1);
    other.execute_batch("COMMIT").expect("free");
    up(&daemon, "database", 1);
    daemon.process.says("The history is written again");
    lists(&lab, &["before", "during"]);
    daemon.counts(0, "history_dropped_total", &[]);
}

fn overwrite(path: &Path) {
    let length = path.metadata().expect("there").len();
    let mut file = OpenOptions::new().write(true).open(path).expect("there");
    file.write_all(&vec![0xa5; length as usize]).expect("written");
}

/// What a spoilt database held is moved aside and told; the history begins anew, and registrations come back from the traces.
#[test]
fn a_spoilt_database_is_moved_aside_and_a_fresh_one_begun() {
    let Some(lab) = Lab::build(&[]) else { return };
    let mut daemon = Daemon::start(&lab, &[]);
    let ends = Ends::new(&lab);
    ends.call("before");
    lists(&lab, &["before"]);
    daemon.process.signal(rustix::process::Signal::TERM);
    daemon.process.wait(SOON);
    overwrite(&lab.path("state").join("history.db"));
    drop(daemon);

    let daemon = Daemon::start(&lab, &[]);
    daemon.process.says("The history is corrupt; it was moved aside and a fresh one begun");
    up(&daemon, "database", 1);
    ends.call("after");
    let listed = until(SOON, || calls(&lab).contains(&"after".to_owned()).then_some(()));
    assert!(listed.is_some(), "{:?}", calls(&lab));
    let aside = std::fs::read_dir(lab.path("state")).expect("there").filter_map(Result::ok).map(|entry| entry.file_name());
    let aside: Vec<_> = aside.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.contains(".corrupt-")).collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    daemon.counts(0, "history_dropped_total", &[]);
    assert_eq!(daemon.metrics().sum("history_up", &["store=traces"]), 1);
}
