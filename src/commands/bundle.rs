//! `diagnose --bundle`: what an escalation needs, in one file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

use super::exit::{Exit, Failure};
use super::replay::Input;
use super::replaying::Reading;
use crate::decode::flow::Transport;
use crate::decode::signal::Signal;
use crate::detect::listener::{Heard, Listener};
use crate::pipeline::extract::{Extract, Wanted, extract};
use crate::pipeline::source::CaptureFiles;
use crate::pipeline::until::Until;
use crate::report::filter::Filter;
use crate::report::ladder::{Ladder, LadderMessage, render};
use crate::report::model::{Report, Verdict};
use crate::report::recent::rung;
use crate::report::style::Style;
use crate::report::{json, text};
use crate::time::PacketTime;
use crate::track::Tracker;
use crate::track::event::Sighting;

/// Bytes of packets at most.
const ROOM: usize = 256 << 20;
/// Messages of one ladder at most.
const RUNGS: usize = 10_000;
/// Calls that are drawn at most, the latest.
const LADDERS: usize = 100;

/// The files of a bundle, by names that owe nothing to the wire.
#[derive(Default)]
pub(super) struct Bundle {
    files: Vec<(String, Vec<u8>)>,
    notes: Vec<String>,
}

impl Bundle {
    /// Adds a file.
    pub(super) fn add(&mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.files.push((name.into(), bytes.into()));
    }

    /// Adds a sentence to what stands first.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Writes all of it to `path`, which must not be there, for its owner alone to read.
    pub(super) fn write(self, path: &Path) -> Result<(), Failure> {
        let mut open = OpenOptions::new();
        let file = open.write(true).create_new(true).mode(0o600).open(path).map_err(|error| unwritable(path, &error))?;
        self.pack(file).map_err(|error| {
            // A part of a bundle would be taken for the whole of it.
            let _ = std::fs::remove_file(path);
            unwritable(path, &error)
        })
    }

    fn pack(self, out: impl Write) -> io::Result<()> {
        let names: Vec<_> = self.files.iter().map(|(name, bytes)| format!("  {name}  ({} bytes)\n", bytes.len())).collect();
        let readme = format!(
            "What siphound {} says about one user, and what it rests on.\n\nIt names people and what they did: pass it on as such. In the packets \
             the responses of digests and passwords are blanked, so that checksums are wrong; where one was cut in two by TCP, a part \
             may be left.\n\n{}{}\n",
            env!("CARGO_PKG_VERSION"),
            names.concat(),
            self.notes.iter().map(|note| format!("\n{note}\n")).collect::<String>()
        );
        let mut archive = Builder::new(GzEncoder::new(out, Compression::default()));
        for (name, bytes) in [("README.txt".to_owned(), readme.into_bytes())].iter().chain(&self.files) {
            let mut header = Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o600);
            archive.append_data(&mut header, format!("siphound/{name}"), bytes.as_slice())?;
        }
        archive.into_inner()?.finish()?.flush()
    }
}

/// Refuses a place that is taken, before anything is read.
pub(super) fn must_be_free(path: &Path) -> Result<(), Failure> {
    match path.symlink_metadata() {
        Ok(_) => Err(unwritable(path, &io::ErrorKind::AlreadyExists.into())),
        Err(_) => Ok(()),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::new(Exit::Usage, format_args!("cannot write the bundle {}: {error}", path.display()));
    if error.kind() == io::ErrorKind::AlreadyExists { failure.with_remedy("name a file that is not there yet") } else { failure }
}

/// The bundle about captures: the verdict, the report on the user, its calls drawn, and its packets.
pub(super) fn of_captures(reading: &Reading<'_>, verdict: &Verdict, mut report: Report) -> Result<Bundle, Failure> {
    let mut bundle = Bundle::default();
    bundle.add("verdict.txt", text::render_verdict(verdict, Style::Plain));
    bundle.add("verdict.json", written(verdict));
    let filter = Filter { user: Some(verdict.user.clone()), ..Filter::default() };
    filter.apply(&mut report);
    bundle.add("report.txt", text::render(&report, &filter, Style::Plain));
    bundle.add("report.json", written(&report));
    if reading.inputs.contains(&Input::Stdin) {
        bundle.note("There are no packets and no drawings of calls in here: the capture came from standard input and was read once.");
        return Ok(bundle);
    }
    let collected = collect(reading, &report)?;
    let role = |address| report.pbx_names.get(address).map_or_else(|| "PBX".to_owned(), |name| format!("PBX {name}"));
    let roles: BTreeMap<_, _> = report.pbx_addresses.iter().map(|address| (*address, role(address))).collect();
    let drawn = report.calls.iter().rev().take(LADDERS).filter_map(|call| Some((call, collected.ladders.get(call.call_id.as_bytes())?)));
    for (number, (call, messages)) in (1..).zip(drawn) {
        let ladder = Ladder { roles: roles.clone(), messages: messages.clone() };
        bundle.add(format!("calls/{number:03}.txt"), format!("{}\n\n{}", written_line(&call.call_id), render(&ladder, Style::Plain)));
    }
    let packets = packets(reading, &collected.wanted)?;
    if packets.left_out > 0 {
        bundle.note(format!("{} packets of the user did not fit in here any more.", packets.left_out));
    }
    bundle.note(
        "The packets are those to and from the phones of the user, and those of its calls. A message of a trunk that came in several TCP \
         segments may lack all but the last: the others may be of other people.",
    );
    if packets.frames == 0 {
        bundle.note("There are no packets in here: none of the user were captured.");
    }
    for (number, (_, file)) in (1..).zip(packets.files) {
        bundle.add(if number == 1 { "packets.pcap".to_owned() } else { format!("packets-{number}.pcap") }, file);
    }
    Ok(bundle)
}

/// Reads the captures once more for the packets.
fn packets(reading: &Reading<'_>, wanted: &Wanted) -> Result<Extract, Failure> {
    let paths: Vec<_> = reading.inputs.iter().map(Input::path).collect();
    let mut source = Until::new(CaptureFiles::open(&paths)?, reading.until.unwrap_or(PacketTime::MAX));
    Ok(extract(&mut source, wanted, ROOM)?)
}

/// The report as JSON.
fn written(value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Memory takes everything.
    let _ = json::write(value, &mut bytes);
    bytes
}

/// A Call-ID as a line that hides nothing from a terminal.
fn written_line(call_id: &str) -> String {
    String::from_utf8_lossy(&written(&call_id)).trim_end().to_owned()
}

/// The frames and ladders of a user.
#[derive(Debug, Default)]
struct Collected {
    call_ids: BTreeSet<Vec<u8>>,
    wanted: Wanted,
    ladders: BTreeMap<Vec<u8>, Vec<LadderMessage>>,
}

/// Reads the captures once more for the messages of the calls and the phones in `report`.
fn collect(reading: &Reading<'_>, report: &Report) -> Result<Collected, Failure> {
    let devices = report.registrations.iter().flat_map(|registration| &registration.devices);
    let collected = Collected {
        call_ids: report.calls.iter().map(|call| call.call_id.as_bytes().to_vec()).collect(),
        wanted: Wanted {
            frames: BTreeSet::new(),
            sockets: devices.map(|device| device.source).collect(),
            connections: BTreeSet::new(),
            fragments: report.calls.iter().map(|call| (call.source.ip(), call.destination.ip())).collect(),
        },
        ladders: BTreeMap::new(),
    };
    let shared = Arc::new(Mutex::new(collected));
    let read = reading.read(|engine| engine.listen(Box::new(Collector(Arc::clone(&shared)))))?;
    drop(read);
    let mut collected = shared.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut collected))
}

/// Collects on the engine's thread.
struct Collector(Arc<Mutex<Collected>>);

impl Listener for Collector {
    fn message(&mut self, tracker: &Tracker, heard: &Heard<'_>) {
        let mut collected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let call_id = heard.message.call_id();
        if collected.call_ids.contains(call_id) {
            collected.wanted.frames.insert(heard.at.frame);
            let flow = heard.flow;
            // A trunk carries the calls of everybody.
            let is_trunk = |address: SocketAddr| tracker.world.peers.is_trunk(address.ip());
            if flow.transport != Transport::Udp && !is_trunk(flow.source) && !is_trunk(flow.destination) {
                collected.wanted.connections.insert((flow.source, flow.destination));
            }
            let ladder = collected.ladders.entry(call_id.to_vec()).or_default();
            if ladder.len() < RUNGS {
                ladder.push(rung(tracker, &heard.message, heard.flow, heard.at, heard.novelty));
            }
        }
    }

    fn signal(&mut self, _: &Tracker, signal: &Signal, at: Sighting) {
        let mut collected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Signal::Refused(flow) | Signal::Unreachable(flow) = signal
            && (collected.wanted.sockets.contains(&flow.source) || collected.wanted.sockets.contains(&flow.destination))
        {
            collected.wanted.frames.insert(at.frame);
        }
    }
}
