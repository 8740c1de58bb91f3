//! The stages of the pipeline in this process, one frame at a time, so that a test can look at them at every step.

use serde_json::Value as Json;
use siphound::config::{Thresholds, Tunnels};
use siphound::decode::frame::{FrameBatch, FrameHeader, LinkType};
use siphound::decode::ports::PortFilter;
use siphound::detect::store::Limits;
use siphound::pipeline::engine::{Delivery, Engine};
use siphound::pipeline::ingest::{Ingest, IngestConfig, IngestCounts};
use siphound::pipeline::lane::Buffer as _;
use siphound::pipeline::stage::IngestStage;
use siphound::report::{build, json};
use siphound::table::Digester;
use siphound::time::PacketTime;
use siphound::track::Settings;

use super::capture::{CaptureFile, Record};

const SEED: u64 = 7;

/// Room for everything that the cases hold.
pub(crate) fn roomy() -> Settings {
    limited(10_000)
}

/// Settings with so much room in each table; the PBX is learned.
pub(crate) fn limited(room: usize) -> Settings {
    Settings {
        seed: SEED,
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

/// Ingest that follows SIP on any port and in any tunnel, as of a capture file.
pub(crate) fn ingest() -> Ingest {
    ingest_within(Tunnels::ALL)
}

/// Ingest that follows SIP on any port and in these tunnels.
pub(crate) fn ingest_within(tunnels: Tunnels) -> Ingest {
    Ingest::new(IngestConfig { ports: PortFilter::Any, tunnels, digester: Digester::new(SEED), thresholds: Thresholds::default() })
}

/// An engine with these settings, which keeps as many findings as any test brings about.
pub(crate) fn engine(settings: &Settings) -> Engine {
    Engine::new(settings, Limits { open: 10_000, ended: 10_000 })
}

/// The header of the frame with that number.
pub(crate) fn header(number: u64, link: u32, record: &Record) -> FrameHeader {
    FrameHeader {
        number,
        time: time(record.micros),
        link: LinkType(link as u16),
        interface: 0,
        original_len: record.original_len,
        offset: 0,
        len: 0,
    }
}

/// A moment of a capture file.
pub(crate) fn time(micros: i64) -> PacketTime {
    PacketTime::from_nanos(micros.saturating_mul(1_000))
}

/// What an engine concluded, as a replay prints it.
pub(crate) fn report(engine: &Engine) -> Json {
    let mut text = Vec::new();
    json::write(&build::build(&engine.tracker, &engine.detectors.findings), &mut text).expect("memory takes all");
    serde_json::from_slice(&text).expect("a report is JSON")
}

/// Ingest and engine, handed one frame after the other.
pub(crate) struct Lab {
    pub(crate) ingest: Ingest,
    pub(crate) engine: Engine,
    ready: Delivery,
    frames: u64,
}

/// The stages after the last frame.
pub(crate) struct Outcome {
    pub(crate) counts: IngestCounts,
    pub(crate) engine: Engine,
}

impl Lab {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { ingest: ingest(), engine: engine(settings), ready: Delivery::default(), frames: 0 }
    }

    /// Hands on one frame.
    pub(crate) fn frame(&mut self, link: u32, record: &Record) {
        self.frames += 1;
        let mut batch = FrameBatch::default();
        batch.push(header(self.frames, link, record), &record.bytes);
        IngestStage::push(&mut self.ingest, batch, &mut self.ready);
        self.settle();
    }

    /// Lets time pass up to `micros` without a frame.
    pub(crate) fn tick(&mut self, micros: i64) {
        IngestStage::tick(&mut self.ingest, time(micros), &mut self.ready);
        self.settle();
    }

    /// Hands on a whole capture.
    pub(crate) fn capture(&mut self, file: &CaptureFile) {
        for record in &file.records {
            self.frame(file.link, record);
        }
    }

    /// Ends the capture.
    pub(crate) fn finish(mut self) -> Outcome {
        IngestStage::finish(&mut self.ingest, &mut self.ready);
        self.settle();
        self.engine.finish();
        Outcome { counts: self.ingest.counts(), engine: self.engine }
    }

    fn settle(&mut self) {
        self.engine.take(&self.ready);
        self.ready.clear();
    }
}

impl Outcome {
    /// Fails unless each frame has exactly one outcome.
    pub(crate) fn assert_conserved(&self) {
        let frames = &self.counts.decode.frames;
        assert_eq!(frames.settled(), frames.frames, "frames that came to nothing: {frames:?}");
    }
}
