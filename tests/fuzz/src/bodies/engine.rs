//! The whole engine under a script: messages that belong together, copies, losses, disorder, steps of the clock, and noise.

use std::ops::Range;

use siphound::assist::{Plan, Session, Shared};
use siphound::config::Thresholds;
use siphound::decode::frame::FrameBatch;
use siphound::decode::ports::PortFilter;
use siphound::detect::store::Limits;
use siphound::diagnose::{self, Moment, Question};
use siphound::pipeline::engine::{Delivery, Engine};
use siphound::pipeline::ingest::{Ingest, IngestCounts};
use siphound::pipeline::lane::Buffer as _;
use siphound::pipeline::stage::IngestStage;
use siphound::report::filter::Filter;
use siphound::report::model::Problem;
use siphound::report::style::Style;
use siphound::report::{json, ladder, text};
use siphound::time::{PacketTime, Span};
use siphound::track::Settings;

use super::dialect::{Said, party};
use super::feed::{Frame, START, ingest};
use super::report;
use super::script::{Script, block, pause, write_pause};
use crate::support::random::Random;
use crate::support::wire::{self, Protocol, flag};

/// Steps of a script.
const MOST: usize = 600;
/// Entries of a table where there is room for all that a script brings about.
const ROOMY: usize = 20_000;
/// Findings that are kept open, and as many ended ones.
const FINDINGS: usize = 200;

/// Settings with so much room in each table.
pub(crate) fn settings(room: usize) -> Settings {
    Settings {
        seed: 1,
        pbxs: Vec::new(),
        own: Vec::new(),
        trunks: Vec::new(),
        transactions: room,
        calls: room,
        bindings: room,
        flows: room,
        sources: room,
        finished: room,
        thresholds: Thresholds::default(),
    }
}

pub(crate) fn body(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let setup = Setup::read(&mut script);
    let steps = Play::perform(script, setup.v6);
    let captured = steps.iter().map(|step| if let Step::Frame(frame) = step { frame.bytes.len() } else { 0 }).sum();

    let mut singly = Run::new(&setup, 1);
    steps.iter().for_each(|step| singly.step(step));
    let (engine, counts) = singly.finish();
    let report = report::of(&engine, &counts);
    let printed = report::print(&report);
    report::check(&printed, captured);
    shown(&setup, &engine, &report);

    let mut together = Run::new(&setup, 2);
    together.batch_size = 40;
    steps.iter().for_each(|step| together.step(step));
    let (engine, counts) = together.finish();
    assert!(report::print(&report::of(&engine, &counts)) == printed, "neither the batches nor the seed may show");
}

/// An engine that has heard much that makes little sense.
pub(crate) fn sample() -> Engine {
    let mut random = Random::seeded("a sample");
    let bytes: Vec<u8> = (0..12_000).map(|_| random.next() as u8).collect();
    let setup = Setup { room: ROOMY, v6: false, flags: 32, question: (0, 0) };
    let mut run = Run::new(&setup, 1);
    Play::perform(Script::new(&bytes), false).iter().for_each(|step| run.step(step));
    run.finish().0
}

/// How the engine is set up.
struct Setup {
    room: usize,
    v6: bool,
    flags: u8,
    question: (usize, usize),
}

impl Setup {
    fn read(script: &mut Script<'_>) -> Self {
        let room = script.pick(&[ROOMY, ROOMY, ROOMY, 64, 8, 3, 2, 1]);
        let flags = script.next::<u8>();
        let question = script.next::<u8>();
        Self { room, v6: flags & 1 != 0, flags, question: (usize::from(question & 15), usize::from(question >> 4)) }
    }

    fn settings(&self, seed: u64) -> Settings {
        let mut settings = settings(self.room);
        settings.seed = seed;
        if self.flags & 2 != 0 {
            settings.pbxs.push(party(0, self.v6));
        }
        if self.flags & 4 != 0 {
            settings.own.push(party(0, self.v6).ip());
        }
        if self.flags & 8 != 0 {
            settings.trunks.push(party(5, self.v6).ip());
        }
        settings
    }

    fn user(&self) -> &'static str {
        ["1001", "1002", "2001", "+4930123456", "1001@pbx.example.com", "198.51.100.7", "198.51.100.7:40001", "nobody"][self.question.0 & 7]
    }

    fn problem(&self) -> Option<Problem> {
        const PROBLEMS: [Problem; 6] = [
            Problem::CannotConnect,
            Problem::CannotCall,
            Problem::CannotReceive,
            Problem::CallDropped,
            Problem::CallDoesNotEnd,
            Problem::LosesConnection,
        ];
        PROBLEMS.get(self.question.1 & 7).copied()
    }
}

/// One thing that happens to the pipeline.
enum Step {
    Frame(Frame),
    Tick(i64),
    Dropped(u64),
    Gap(Range<i64>),
    ClockSet(i64),
}

/// A script as it is played: what was said and sent so far, and when.
struct Play {
    v6: bool,
    nanos: i64,
    said: Vec<Said>,
    steps: Vec<Step>,
    frames: Vec<usize>,
    sequence: [u32; 8],
}

impl Play {
    fn perform(mut script: Script<'_>, v6: bool) -> Vec<Step> {
        let mut play = Self { v6, nanos: START, said: Vec::new(), steps: Vec::new(), frames: Vec::new(), sequence: [0; 8] };
        while !script.is_over() && play.steps.len() < MOST {
            play.nanos = play.nanos.saturating_add(pause(&mut script));
            play.act(&mut script);
        }
        play.steps
    }

    fn act(&mut self, script: &mut Script<'_>) {
        match script.next::<u8>() & 15 {
            0 => {
                let said = Said::request(script, self.v6);
                self.say(said);
            }
            1 | 2 => self.react(script, Said::answer),
            3 | 4 => self.react(script, Said::follow),
            5 => self.react(script, Said::forward),
            6 => self.again(script, |_, _| {}),
            7 => self.again(script, |frame, script| frame.bytes.truncate(20 + usize::from(script.next::<u8>()) * 4)),
            8 => self.again(script, |frame, script| {
                let at = usize::from(script.next::<u16>()) % frame.bytes.len().max(1);
                let byte = script.next::<u8>();
                frame.bytes.iter_mut().skip(at).take(1).for_each(|old| *old = byte);
            }),
            9 => {
                let (ways, kind) = (script.next::<u8>(), script.next::<u8>());
                let payload: &[u8] =
                    [&b""[..], b"\r\n\r\n", b"\r\n", b"\0\0\0\0", b"\0\x01\0\0\x21\x12\xa4\x42abcdefghijkl", b"x"][usize::from(kind) % 6];
                self.datagram(usize::from(ways & 7), usize::from(ways >> 4 & 7), payload);
            }
            10 => {
                let ways = script.next::<u8>();
                let payload = script.block();
                self.datagram(usize::from(ways & 7), usize::from(ways >> 4 & 7), payload);
            }
            11 => {
                let link = script.pick(&[1, 113, 101, 0]);
                let bytes = script.block().to_vec();
                self.send(Frame { nanos: self.nanos, link, original_len: bytes.len() as u32, bytes });
            }
            12 => self.unreachable(script),
            13 => self.segment(script),
            14 => self.steps.push(Step::Tick(self.nanos)),
            _ => {
                let amount = script.next::<u8>();
                self.steps.push(match amount & 3 {
                    0 => Step::Dropped(u64::from(amount)),
                    1 => Step::Gap(self.nanos.saturating_sub(i64::from(amount) * 1_000_000_000)..self.nanos),
                    2 => Step::ClockSet(i64::from(amount) * 100_000_000),
                    _ => Step::Tick(self.nanos.saturating_add(i64::from(amount) * 1_000_000_000)),
                });
            }
        }
    }

    /// Says what follows from a message before.
    fn react(&mut self, script: &mut Script<'_>, next: impl Fn(&Said, &mut Script<'_>, bool) -> Said) {
        let back = usize::from(script.next::<u8>());
        let Some(before) = self.said.iter().rev().cycle().nth(back) else { return };
        let said = next(before, script, self.v6);
        self.say(said);
    }

    fn say(&mut self, said: Said) {
        self.datagram(said.source, said.destination, &said.bytes());
        self.said.push(said);
    }

    fn datagram(&mut self, source: usize, destination: usize, payload: &[u8]) {
        let (source, destination) = (party(source, self.v6), party(destination, self.v6));
        let datagram = wire::datagram(source, destination, &payload[..payload.len().min(1_400)]);
        self.packet(source.ip(), destination.ip(), Protocol::Udp, &datagram);
    }

    fn packet(&mut self, source: std::net::IpAddr, destination: std::net::IpAddr, protocol: Protocol, payload: &[u8]) {
        let id = self.steps.len() as u16;
        for packet in wire::ip_packets(source, destination, protocol, id, payload) {
            self.send(Frame::raw(self.nanos, packet));
        }
    }

    fn send(&mut self, frame: Frame) {
        self.frames.push(self.steps.len());
        self.steps.push(Step::Frame(frame));
    }

    /// A frame before, changed in some way.
    fn again(&mut self, script: &mut Script<'_>, change: impl Fn(&mut Frame, &mut Script<'_>)) {
        let back = usize::from(script.next::<u8>());
        let Some(&index) = self.frames.iter().rev().cycle().nth(back) else { return };
        let Step::Frame(before) = &self.steps[index] else { return };
        let mut frame = Frame { nanos: self.nanos, ..before.clone() };
        change(&mut frame, script);
        self.send(frame);
    }

    /// The destination of a packet before refuses it.
    fn unreachable(&mut self, script: &mut Script<'_>) {
        let back = usize::from(script.next::<u8>());
        let Some(&index) = self.frames.iter().rev().cycle().nth(back) else { return };
        let Step::Frame(before) = &self.steps[index] else { return };
        let error = wire::port_unreachable(&before.bytes);
        let (from, to) = (party(usize::from(script.next::<u8>()), false), party(1, false));
        self.packet(from.ip(), to.ip(), Protocol::Icmp, &error);
    }

    /// A message before on TCP, or a SYN, a FIN, a RST.
    fn segment(&mut self, script: &mut Script<'_>) {
        let (back, how) = (usize::from(script.next::<u8>()), script.next::<u8>());
        let Some(before) = self.said.iter().rev().cycle().nth(back) else { return };
        let (source, destination) = (before.source, before.destination);
        let flags = [flag::ACK, flag::SYN, flag::FIN | flag::ACK, flag::RST][usize::from(how & 3)];
        let payload = if flags == flag::ACK { before.bytes() } else { Vec::new() };
        let payload = &payload[..payload.len().min(1_400)];
        let sequence = self.sequence[source % 8];
        self.sequence[source % 8] = sequence.wrapping_add(payload.len() as u32);
        let (from, to) = (party(source, self.v6), party(destination, self.v6));
        let segment = wire::segment(from, to, sequence, 0, flags, payload);
        self.packet(from.ip(), to.ip(), Protocol::Tcp, &segment);
    }
}

/// Ingest and engine that go through the steps.
struct Run {
    ingest: Ingest,
    engine: Engine,
    session: Option<Shared>,
    ready: Delivery,
    waiting: FrameBatch,
    batch_size: usize,
    frames: u64,
    room: usize,
    now: PacketTime,
}

impl Run {
    fn new(setup: &Setup, seed: u64) -> Self {
        let ports = if setup.flags & 16 == 0 { PortFilter::Any } else { PortFilter::Only(vec![5060..=5060]) };
        let mut engine = Engine::new(&setup.settings(seed), Limits { open: FINDINGS, ended: FINDINGS });
        if setup.flags & 32 != 0 {
            engine.remember(seed, 50);
            engine.draw("c1");
        }
        let session = (setup.flags & 64 != 0).then(|| {
            let now = engine.tracker.now();
            Shared::new(Session::begin(Plan::new(setup.user()), &engine.tracker, &engine.detectors.findings, now))
        });
        if let Some(session) = &session {
            engine.listen(Box::new(session.clone()));
        }
        Self {
            session,
            ingest: ingest(seed, &ports),
            engine,
            ready: Delivery::default(),
            waiting: FrameBatch::default(),
            batch_size: 1,
            frames: 0,
            room: setup.room,
            now: PacketTime::MIN,
        }
    }

    fn step(&mut self, step: &Step) {
        if let Step::Frame(frame) = step {
            self.frames += 1;
            self.waiting.push(frame.header(self.frames), &frame.bytes);
            if self.waiting.len() >= self.batch_size {
                self.flush();
            }
            return;
        }
        self.flush();
        let (ingest, ready, time) = (&mut self.ingest, &mut self.ready, PacketTime::from_nanos);
        match step {
            Step::Frame(_) => {}
            Step::Tick(nanos) => IngestStage::tick(ingest, time(*nanos), ready),
            Step::Dropped(count) => IngestStage::dropped(ingest, *count, ready),
            Step::Gap(range) => IngestStage::gap(ingest, time(range.start), time(range.end), ready),
            Step::ClockSet(nanos) => IngestStage::clock_step(ingest, Span::from_nanos(*nanos), ready),
        }
        self.settle();
    }

    fn flush(&mut self) {
        if !self.waiting.is_empty() {
            IngestStage::push(&mut self.ingest, std::mem::take(&mut self.waiting), &mut self.ready);
            self.settle();
        }
    }

    /// Has the engine take what is ready, and looks at all that is bounded.
    fn settle(&mut self) {
        let times: Vec<_> = self.ready.batch.records().iter().map(|(arrival, _)| arrival.time).collect();
        assert!(times.is_sorted() && times.first().is_none_or(|first| *first >= self.now), "time goes back");
        self.now = times.last().copied().unwrap_or(self.now);
        let before = self.engine.tracker.now();
        self.engine.take(&self.ready);
        self.ready.clear();
        assert!(self.engine.tracker.now() >= before, "time goes back");
        for (table, held, _) in self.engine.tracker.tables() {
            // A device has an address that it writes and one that it is seen at.
            let room = if table == "device_addresses" { 2 * self.room } else { self.room };
            assert!(held <= room, "{table} holds {held} entries where there is room for {room}");
        }
        assert!(self.engine.detectors.findings.all().len() <= 2 * FINDINGS);
    }

    fn finish(mut self) -> (Engine, IngestCounts) {
        self.flush();
        IngestStage::finish(&mut self.ingest, &mut self.ready);
        self.settle();
        self.engine.finish();
        while let Some(line) = self.session.as_ref().and_then(|session| session.session().next_line()) {
            report::assert_shown("the session", &text::render_assist(&line, Style::Plain));
        }
        (self.engine, self.ingest.counts())
    }
}

/// What is shown to people and to programs holds nothing that a terminal obeys, and no number that is none.
fn shown(setup: &Setup, engine: &Engine, report: &siphound::report::model::Report) {
    report::assert_shown("the text", &text::render(report, &Filter::default(), Style::Plain));
    if setup.flags & 128 != 0 {
        check_metrics(engine);
    }
    let scene = diagnose::Scene { tracker: &engine.tracker, findings: &engine.detectors.findings, report };
    let question = Question { user: setup.user().to_owned(), problem: setup.problem(), since: None, until: None, moment: Moment::Any };
    let verdict = diagnose::diagnose(scene, &question);
    report::assert_shown("the verdict", &text::render_verdict(&verdict, Style::Plain));
    let mut printed = Vec::new();
    json::write(&verdict, &mut printed).expect("memory takes all");
    report::assert_shown("the verdict as JSON", &String::from_utf8(printed).expect("JSON is UTF-8"));
    let messages = engine.view().recent.of(&["c0", "c1"]);
    report::assert_shown("the ladder", &ladder::render(&ladder::Ladder { messages, ..ladder::Ladder::default() }, Style::Plain));
}

/// Writing the metrics takes longer than all else, so not every input has them written.
fn check_metrics(engine: &Engine) {
    let metrics = engine.snapshot(&[]).to_text().expect("metrics can be written");
    let metrics = String::from_utf8(metrics).expect("metrics are text");
    let is_number = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).is_some_and(f64::is_finite);
    assert!(metrics.lines().filter(|line| !line.starts_with('#')).all(is_number), "{metrics}");
    report::assert_shown("the metrics", &metrics);
}

/// An input that has these frames captured.
pub(crate) fn seed(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = vec![0, 32, 0];
    let mut nanos = START;
    for frame in frames {
        write_pause(&mut bytes, frame.nanos.saturating_sub(nanos));
        nanos = frame.nanos;
        bytes.push(11);
        bytes.push([1, 113, 101, 0].iter().position(|link| *link == frame.link).unwrap_or_default() as u8);
        block(&mut bytes, &frame.bytes);
    }
    bytes
}
