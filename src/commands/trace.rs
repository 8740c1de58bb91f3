//! `siphound trace`: the messages of a call or of a user, from the traces that a daemon keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::{Exit, Failure};
use super::kept::PlaceArgs;
use super::options::{Color, ColorWhen};
use super::replay::Input;
use super::replaying::{Reading, SEED};
use super::settings::random_seed;
use super::stdout::print;
use crate::config::{Config, Tunnels, parse_moment};
use crate::decode::flow::Flow;
use crate::decode::ports::PortFilter;
use crate::decode::signal::Signal;
use crate::history::mask::Mask;
use crate::history::trace::{Frames, paths};
use crate::pipeline::engine::Delivery;
use crate::pipeline::ingest::{Ingest, IngestConfig};
use crate::pipeline::replay::{Threads, replay};
use crate::pipeline::source::CaptureFiles;
use crate::pipeline::stage::EngineStage;
use crate::report::escape;
use crate::report::filter::{Filter, is_user};
use crate::report::ladder::{self, Ladder, LadderMessage, Repeat};
use crate::report::model::Report;
use crate::sip::delivery::Event;
use crate::sip::message::{Kind, Message};
use crate::sip::scan::{Context, scan};
use crate::table::Digester;
use crate::time::{PacketTime, Span};

/// Messages that are shown at most.
const MESSAGES: usize = 10_000;
/// The tunnels in siphound's own traces: what came in one was written without it.
const OWN: Tunnels = Tunnels::NONE;

const EXAMPLES: &str = "\
Examples:
  siphound trace 3c26700c1a2b@192.168.1.20
  siphound trace 1001 --since '2026-01-31 09:00' --until '2026-01-31 09:10'
  siphound trace 1001@pbx.example.com --anonymise --pcap for-the-vendor.pcap

Exit codes: 0 done; 2 bad arguments, no traces, or no such call or user in them; 3 the system refuses what is needed.";

/// Whose messages.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct TraceArgs {
    /// A Call-ID, whose other legs are shown too, or a user: 1001, 1001@pbx.example.com, or an address
    #[arg(value_name = "CALL-ID|USER")]
    subject: String,

    /// Write the messages to this file for Wireshark, in place of showing them
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,

    /// Mask numbers, names, addresses and digests, the same everywhere in the output and by another key each time
    #[arg(long)]
    anonymise: bool,

    /// Leave out messages before this time: RFC 3339, 'YYYY-MM-DD HH:MM' in UTC, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    since: Option<PacketTime>,

    /// Leave out messages after this time
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    until: Option<PacketTime>,

    #[command(flatten)]
    place: PlaceArgs,

    /// When to colour
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    color: ColorWhen,
}

/// A trace that can be shown.
#[derive(Debug)]
pub(super) struct Trace {
    asked: Asked,
    pcap: Option<PathBuf>,
    mask: Option<u64>,
    color: Color,
}

/// Whose messages are taken out of which traces.
#[derive(Debug)]
struct Asked {
    subject: String,
    config: Config,
    inputs: Vec<Input>,
    time: (PacketTime, PacketTime),
}

impl TraceArgs {
    /// Resolves the arguments.
    pub(super) fn resolve(self) -> Result<Trace, Failure> {
        let asked = Asked::new(self.subject, self.place.config()?, (self.since, self.until))?;
        let mask = if self.anonymise { Some(random_seed()?) } else { None };
        Ok(Trace { asked, pcap: self.pcap, mask, color: self.color.decide() })
    }
}

impl Asked {
    /// Finds the traces that a daemon with this configuration keeps on this host.
    fn new(subject: String, config: Config, (since, until): (Option<PacketTime>, Option<PacketTime>)) -> Result<Self, Failure> {
        let directory = &config.traces.directory;
        if directory.is_empty() {
            return Err(Failure::new(Exit::Usage, "the configuration turns the traces off: traces.directory is empty"));
        }
        let since = since.unwrap_or(PacketTime::MIN);
        let files = paths(Path::new(directory), u64::MAX, since).map_err(|error| no_traces(directory, &error))?;
        if files.is_empty() {
            return Err(no_traces(directory, &io::Error::from(io::ErrorKind::NotFound)));
        }
        let inputs = files.into_iter().map(Input::File).collect();
        Ok(Self { subject, config, inputs, time: (since, until.unwrap_or(PacketTime::MAX)) })
    }
}

/// The messages of a user as a pcap file, from the traces that a daemon with this configuration keeps on this host; how many there are, and
/// how many more did not fit.
pub(super) fn packets(
    user: &str,
    config: Config,
    time: (Option<PacketTime>, Option<PacketTime>),
) -> Result<(Vec<u8>, usize, usize), Failure> {
    let (chosen, _) = Asked::new(user.to_owned(), config, time)?.choose()?;
    Ok((chosen.file(), chosen.messages.len(), chosen.left_out))
}

fn no_traces(directory: &str, error: &io::Error) -> Failure {
    let what = format_args!("no traces in {directory}: {error}");
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            Failure::new(Exit::Refused, what).with_remedy("read them as root or as the user that siphound runs as")
        }
        _ => Failure::new(Exit::Usage, what).with_remedy(
            "siphound run keeps them unless its configuration says otherwise; name another place with --state-dir or --config",
        ),
    }
}

impl Trace {
    /// Reads the traces and shows the messages.
    pub(super) fn execute(&self) -> Result<Exit, Failure> {
        let (mut chosen, mut roles) = self.asked.choose()?;
        if chosen.messages.is_empty() {
            return Err(Failure::new(Exit::Usage, format_args!("no message of {:?} is in the traces", self.asked.subject))
                .with_remedy("the calls and their Call-IDs: siphound calls; the users: siphound peers"));
        }
        if let Some(key) = self.mask {
            let mut mask = Mask::new(key);
            chosen.mask(&mut mask);
            roles = roles.into_iter().map(|(address, role)| (mask.socket(address), role)).collect();
        }
        match &self.pcap {
            Some(path) => chosen.write(path).map_err(|error| Failure::new(Exit::Refused, format_args!("{}: {error}", path.display())))?,
            None => print(|out| chosen.show(roles, self.color, out))?,
        }
        if chosen.left_out > 0 {
            tracing::warn!("{} messages more: use --since and --until", chosen.left_out);
        }
        Ok(Exit::Done)
    }
}

impl Asked {
    /// Reads the traces twice: for the calls of the user with all their legs, then for the messages. Also names the addresses of the PBX.
    fn choose(&self) -> Result<(Chosen, BTreeMap<SocketAddr, String>), Failure> {
        let ports = &self.config.all_ports();
        let reading = Reading { inputs: &self.inputs, ports: Some(ports), tunnels: OWN, config: &self.config, until: None };
        let read = reading.read(|_| {})?;
        let wanted = Wanted::new(&self.subject, read.report(), self.time);
        let roles = read.engine.tracker.world.peers.pbx_roles();
        drop(read);
        Ok((self.collect(wanted)?, roles))
    }

    fn collect(&self, wanted: Wanted) -> Result<Chosen, Failure> {
        let paths: Vec<PathBuf> = self.inputs.iter().map(Input::path).collect();
        let mut source = CaptureFiles::open(&paths)?;
        let filter = PortFilter::Only(self.config.all_ports().ranges().to_vec());
        let ingest =
            Ingest::new(IngestConfig { ports: filter, tunnels: OWN, digester: Digester::new(SEED), thresholds: self.config.thresholds });
        let collector = Collector { wanted, chosen: Chosen::default(), offset: Span::ZERO };
        Ok(replay(&mut source, ingest, collector, Threads::available(), &|_| {})?.engine.chosen)
    }
}

/// What belongs to the call or the user.
struct Wanted {
    call_ids: BTreeSet<String>,
    /// The user, unless a call was asked for.
    user: Option<String>,
    /// Where the devices of the user are.
    devices: BTreeSet<SocketAddr>,
    time: (PacketTime, PacketTime),
}

impl Wanted {
    fn new(subject: &str, mut report: Report, time: (PacketTime, PacketTime)) -> Self {
        let is_call = report.calls.iter().any(|call| call.call_id == subject);
        let (call_id, user) = if is_call { (Some(subject.to_owned()), None) } else { (None, Some(subject.to_owned())) };
        let filter = Filter { user: user.clone(), call_id, ..Filter::default() };
        filter.apply(&mut report);
        let mut call_ids: BTreeSet<String> = report.calls.into_iter().map(|call| call.call_id).collect();
        call_ids.insert(subject.to_owned());
        let devices = report.registrations.iter().flat_map(|user| &user.devices).map(|device| device.source).collect();
        Self { call_ids, user, devices, time }
    }

    fn is_message(&self, message: &Message<'_>, flow: &Flow) -> bool {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if self.call_ids.contains(&text(message.call_id())) {
            return true;
        }
        let Some(user) = &self.user else { return false };
        let party = |uri: &crate::sip::uri::Uri<'_>| format!("{}@{}", text(uri.user), text(uri.host));
        is_user(user, &party(&message.from().uri))
            || is_user(user, &party(&message.to().uri))
            || [flow.source, flow.destination].iter().any(|end| end.to_string() == *user || end.ip().to_string() == *user)
    }

    fn is_signal(&self, signal: &Signal) -> bool {
        match signal {
            Signal::Keepalive(flow, _)
            | Signal::Closed(flow)
            | Signal::Refused(flow)
            | Signal::Unopened(flow)
            | Signal::Tls(flow)
            | Signal::Http(flow)
            | Signal::Unreachable(flow)
            | Signal::StreamGap(flow)
            | Signal::FragmentsLost { flow, .. } => self.devices.contains(&flow.source) || self.devices.contains(&flow.destination),
            Signal::Dropped(_) | Signal::Hole { .. } | Signal::ClockStep { .. } => false,
        }
    }
}

/// Gathers what is wanted.
struct Collector {
    wanted: Wanted,
    chosen: Chosen,
    /// How far engine time is ahead of what was printed.
    offset: Span,
}

/// What was gathered, in order.
#[derive(Default)]
struct Chosen {
    messages: Vec<(PacketTime, u64, What)>,
    left_out: usize,
}

enum What {
    Message(Flow, Vec<u8>),
    Signal(Signal),
}

impl EngineStage for Collector {
    type Batch = Delivery;
    type Query = ();

    fn handle(&mut self, delivery: &Delivery) {
        for (arrival, event) in delivery.batch.records() {
            let time = arrival.time - self.offset;
            let what = match event {
                Event::Message(delivered) => {
                    let message = delivery.batch.message(delivered);
                    let is_wanted = self.wanted.is_message(&message, &delivered.flow);
                    is_wanted.then(|| What::Message(delivered.flow, message.bytes().to_vec()))
                }
                Event::Signal(Signal::ClockStep { by }) => {
                    self.offset = self.offset + *by;
                    None
                }
                Event::Signal(signal) => self.wanted.is_signal(signal).then_some(What::Signal(*signal)),
                Event::Tick => None,
            };
            let (since, until) = self.wanted.time;
            let Some(what) = what.filter(|_| (since..=until).contains(&time)) else { continue };
            if self.chosen.messages.len() < MESSAGES {
                self.chosen.messages.push((time, arrival.frame, what));
            } else {
                self.chosen.left_out += 1;
            }
        }
    }

    fn answer(&mut self, (): ()) {}
}

impl Chosen {
    fn mask(&mut self, mask: &mut Mask) {
        for (_, _, what) in &mut self.messages {
            match what {
                What::Message(flow, bytes) => {
                    *bytes = mask.message(bytes);
                    *flow = mask.flow(*flow);
                }
                What::Signal(signal) => *signal = mask.signal(*signal),
            }
        }
    }

    /// The ladder, then each message as it is.
    fn show(&self, roles: BTreeMap<SocketAddr, String>, color: Color, out: &mut dyn io::Write) -> io::Result<()> {
        let mut seen = BTreeSet::new();
        let messages = self.messages.iter().filter_map(|(time, frame, what)| {
            let What::Message(flow, bytes) = what else { return None };
            let repeat = if seen.insert((flow.source, flow.destination, bytes)) { Repeat::First } else { Repeat::Retransmission };
            Some(LadderMessage {
                time: *time,
                frame: *frame,
                source: flow.source,
                destination: flow.destination,
                label: label(bytes),
                repeat,
            })
        });
        let ladder = Ladder { roles, messages: messages.collect() };
        out.write_all(ladder::render(&ladder, color.style()).as_bytes())?;
        for (time, frame, what) in &self.messages {
            let What::Message(flow, bytes) = what else { continue };
            writeln!(out, "\n#{frame} {time} {flow}")?;
            for line in bytes.split(|byte| *byte == b'\n') {
                writeln!(out, "  {}", escape::bytes(line.strip_suffix(b"\r").unwrap_or(line)))?;
            }
        }
        Ok(())
    }

    /// Writes a pcap file that nobody else may read.
    fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(&self.file())
    }

    /// The pcap file.
    fn file(&self) -> Vec<u8> {
        let mut frames = Frames::default();
        let mut records = Vec::new();
        frames.begin_file(&mut records);
        for (time, _, what) in &self.messages {
            match what {
                What::Message(flow, bytes) => frames.message(&mut records, *time, flow, bytes),
                What::Signal(signal) => frames.signal(&mut records, *time, signal),
            }
        }
        records
    }
}

/// What an arrow of the ladder says.
fn label(bytes: &[u8]) -> String {
    let Some(scan) = scan(bytes, Context::Datagram) else { return "?".to_owned() };
    let message = Message::new(bytes, &scan);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let body = if message.sdp().is_some() { " (SDP)" } else { "" };
    match message.kind() {
        Kind::Request(_) => format!("{}{body}", text(message.method_name())),
        Kind::Response(status) => format!("{status} {}{body}", text(message.reason_phrase())),
    }
}
