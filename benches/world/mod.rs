//! siphound without its shell: frames in, conclusions out, on one thread. All that the benches know of the interfaces of the stages.
#![allow(dead_code, reason = "each bench uses its own part of the world")]

use siphound::config::{Config, Tunnels};
use siphound::decode::frame::{FrameBatch, FrameHeader, LinkType};
use siphound::decode::ports::PortFilter;
use siphound::detect::store::Limits;
use siphound::pipeline::engine::{Delivery, Engine};
use siphound::pipeline::ingest::{Ingest, IngestConfig};
use siphound::pipeline::lane::Buffer as _;
use siphound::pipeline::stage::IngestStage;
use siphound::sip::delivery::Event;
use siphound::table::Digester;
use siphound::time::{PacketTime, Span};
use siphound::track::event::Sighting;
use siphound::track::{Settings, Tracker};

use crate::traffic::{Frame, START};

const SEED: u64 = 7;

/// Ingest and engine, with the limits that the configuration has by default.
pub(crate) struct World {
    pub(crate) ingest: Ingest,
    pub(crate) engine: Engine,
    ready: Delivery,
    framer: Batches,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { ingest: ingest(), engine: engine(), ready: Delivery::default(), framer: Batches::default() }
    }

    /// Takes frames as they come.
    pub(crate) fn feed(&mut self, frames: impl IntoIterator<Item = Frame>) {
        let mut frames = frames.into_iter();
        while let Some(batch) = self.framer.next(&mut frames) {
            self.take(batch);
        }
    }

    /// Takes a batch of frames.
    pub(crate) fn take(&mut self, batch: FrameBatch) {
        self.ingest.push(batch, &mut self.ready.batch);
        self.framer.keep(self.ingest.recycle());
        self.engine.take(&self.ready);
        self.ready.clear();
    }

    /// Batches of frames, numbered on.
    pub(crate) fn batches(&mut self, frames: impl IntoIterator<Item = Frame>) -> Vec<FrameBatch> {
        self.framer.all(frames)
    }

    /// Lets time pass without a frame, second by second as a live source does, up to `seconds` after the start of all traffic.
    pub(crate) fn rest_until(&mut self, seconds: f64) {
        let end = moment(START) + Span::from_secs_f64(seconds);
        let mut now = self.engine.tracker.now();
        while now < end {
            now += Span::from_secs(1);
            IngestStage::tick(&mut self.ingest, now, &mut self.ready);
            self.engine.take(&self.ready);
            self.ready.clear();
        }
    }

    /// Hands over what ingest still holds.
    pub(crate) fn finish(&mut self) {
        IngestStage::finish(&mut self.ingest, &mut self.ready);
        self.engine.take(&self.ready);
        self.engine.finish();
        self.ready.clear();
    }

    /// Entries of the table of that name.
    pub(crate) fn held(&self, table: &str) -> usize {
        self.engine.tracker.tables().into_iter().find(|(name, ..)| *name == table).map_or(0, |(_, held, _)| held)
    }

    /// Calls that are not over.
    pub(crate) fn calls(&self) -> usize {
        self.engine.tracker.calls.iter().filter(|(_, call)| call.record.ended.is_none()).count()
    }
}

/// Cuts frames into batches as a source does.
#[derive(Default)]
pub(crate) struct Batches {
    frames: u64,
    spare: Option<FrameBatch>,
}

impl Batches {
    /// The next batch, unless there are no frames.
    pub(crate) fn next(&mut self, frames: &mut impl Iterator<Item = Frame>) -> Option<FrameBatch> {
        let mut batch = self.spare.take().unwrap_or_default();
        batch.clear();
        while !batch.is_full()
            && let Some(frame) = frames.next()
        {
            self.frames += 1;
            batch.push(header(self.frames, &frame), &frame.bytes);
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// All batches.
    pub(crate) fn all(&mut self, frames: impl IntoIterator<Item = Frame>) -> Vec<FrameBatch> {
        let mut frames = frames.into_iter();
        std::iter::from_fn(|| self.next(&mut frames)).collect()
    }

    fn keep(&mut self, spare: Option<FrameBatch>) {
        self.spare = spare;
    }
}

pub(crate) fn ingest() -> Ingest {
    let thresholds = Config::default().thresholds;
    Ingest::new(IngestConfig { ports: PortFilter::Any, tunnels: Tunnels::ALL, digester: Digester::new(SEED), thresholds })
}

pub(crate) fn engine() -> Engine {
    Engine::new(&settings(), Limits::default())
}

pub(crate) fn settings() -> Settings {
    let Config { limits, thresholds, .. } = Config::default();
    Settings {
        seed: SEED,
        pbxs: Vec::new(),
        own: Vec::new(),
        trunks: Vec::new(),
        transactions: limits.transactions as usize,
        calls: limits.calls as usize,
        bindings: limits.bindings as usize,
        flows: limits.flows as usize,
        sources: limits.sources as usize,
        finished: limits.finished_calls as usize,
        thresholds,
    }
}

/// Has a tracker handle a batch with nobody who listens.
pub(crate) fn track(tracker: &mut Tracker, delivery: &Delivery) {
    for (arrival, event) in delivery.batch.records() {
        while tracker.step(arrival.time) {
            tracker.world.events.clear();
        }
        let at = Sighting { time: arrival.time, frame: arrival.frame };
        match event {
            Event::Message(delivered) => drop(tracker.message(delivery.batch.message(delivered), delivered.flow, at)),
            Event::Signal(signal) => tracker.signal(signal, at),
            Event::Tick => {}
        }
        tracker.world.events.clear();
    }
}

fn header(number: u64, frame: &Frame) -> FrameHeader {
    FrameHeader {
        number,
        time: moment(frame.micros),
        link: LinkType::ETHERNET,
        interface: 0,
        original_len: frame.bytes.len() as u32,
        offset: 0,
        len: 0,
    }
}

fn moment(micros: u64) -> PacketTime {
    PacketTime::from_nanos(micros as i64 * 1_000)
}
