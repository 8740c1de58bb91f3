//! Decoding, reassembly, tracking and detection, each on traffic that is under way.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use siphound::config::{Config, Tunnels};
use siphound::decode::decoder::Decoder;
use siphound::decode::frame::FrameBatch;
use siphound::decode::framer::{Framer, Framing, Headers, Opening, Progress};
use siphound::decode::ports::PortFilter;
use siphound::pipeline::engine::{Delivery, Engine};
use siphound::pipeline::ingest::Ingest;
use siphound::pipeline::lane::Buffer as _;
use siphound::pipeline::stage::IngestStage;
use siphound::table::Digester;
use siphound::track::Tracker;

use crate::traffic::{Frame, Plan, Traffic};
use crate::world::{self, Batches};

/// Phones that are registered while tracking and detection are measured.
const STATES: [u32; 3] = [1_000, 10_000, 100_000];
/// Batches of frames that one measured step handles.
const STEP: usize = 8;

pub(crate) fn benches(criterion: &mut Criterion) {
    decoding(criterion);
    reassembly(criterion);
    tracking(criterion);
}

/// Frames to payloads, without SIP.
fn decoding(criterion: &mut Criterion) {
    let frames: Vec<Frame> = Traffic::new(Plan::ordinary(20_000, 1_000, 600.0)).collect();
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(frames.len() as u64));
    let decoder = || Decoder::new(Whole, (PortFilter::Any, Tunnels::ALL), Digester::new(1), &Config::default().thresholds);
    group.bench_function(BenchmarkId::new("UDP", "a frame"), |bencher| {
        bencher.iter_batched(|| (decoder(), batches(&frames)), decode_all, BatchSize::LargeInput);
    });
    group.finish();
}

fn decode_all((mut decoder, batches): (Decoder<Whole>, Vec<FrameBatch>)) -> u64 {
    let mut bytes = 0;
    for batch in batches {
        decoder.push(batch);
        while let Some(leaving) = decoder.leaving() {
            bytes += leaving.bytes.len() as u64;
        }
    }
    bytes
}

/// Takes every datagram for a message.
#[derive(Clone, Copy, Debug)]
struct Whole;

impl Framer for Whole {
    fn opening(&self, _: &[u8]) -> Opening {
        Opening::Start
    }

    fn frame(&self, bytes: &[u8], _: &mut Progress) -> Framing {
        Framing::Message(bytes.len())
    }

    fn headers(&self, _: &[u8]) -> Headers {
        Headers::Missing
    }
}

/// Frames to messages: whole, in fragments of IP, in segments of TCP.
fn reassembly(criterion: &mut Criterion) {
    let plan = Plan::ordinary(20_000, 1_000, 600.0);
    let plans = [("UDP", plan), ("UDP, each INVITE in 4 fragments", Plan { large: 100, ..plan }), ("TCP", Plan { tcp: 100, ..plan })];
    let mut group = criterion.benchmark_group("ingest");
    for (name, plan) in plans {
        let mut traffic = Traffic::new(plan);
        let frames: Vec<Frame> = traffic.by_ref().collect();
        let messages = traffic.truth().messages;
        let (ingest, _) = ingest_all((world::ingest(), batches(&frames)));
        assert_eq!(ingest.counts().sip_messages, messages, "{name}");
        group.throughput(Throughput::Elements(messages));
        group.bench_function(BenchmarkId::new(name, "a message"), |bencher| {
            bencher.iter_batched(|| (world::ingest(), batches(&frames)), ingest_all, BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn ingest_all((mut ingest, batches): (Ingest, Vec<FrameBatch>)) -> (Ingest, Delivery) {
    let mut ready = Delivery::default();
    for batch in batches {
        ready.clear();
        ingest.push(batch, &mut ready.batch);
    }
    IngestStage::finish(&mut ingest, &mut ready);
    (ingest, ready)
}

/// Messages to state, and to findings, by how much state there is.
fn tracking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine");
    for phones in STATES {
        group.throughput(Throughput::Elements(1));
        let mut tracker = Tracker::new(&world::settings());
        let mut feed = Feed::new(phones);
        feed.skip_ramp(|delivery| world::track(&mut tracker, delivery));
        let name = BenchmarkId::new("tracker alone", format!("{phones} phones"));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|messages| feed.time(messages, |delivery| world::track(&mut tracker, delivery)));
        });
        drop(tracker);
        let mut engine: Engine = world::engine();
        let mut feed = Feed::new(phones);
        feed.skip_ramp(|delivery| engine.take(delivery));
        let name = BenchmarkId::new("tracker, detectors, counters", format!("{phones} phones"));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|messages| feed.time(messages, |delivery| engine.take(black_box(delivery))))
        });
    }
    group.finish();
}

/// Endless traffic whose mixture does not depend on the number of phones.
struct Feed {
    traffic: Traffic,
    ramp: f64,
    cutter: Batches,
    ingest: Ingest,
    steps: [Delivery; STEP],
}

impl Feed {
    fn new(phones: u32) -> Self {
        let ramp = 400.0;
        let plan = Plan::ordinary(0, phones, 3600.0);
        let calls = f64::from(phones) / 2_000.0;
        let plan = Plan { ramp, span: f64::INFINITY, calls, calls_from: ramp, talk: 60.0, ..plan };
        Self { traffic: Traffic::new(plan), ramp, cutter: Batches::default(), ingest: world::ingest(), steps: Default::default() }
    }

    /// Has all phones register and the first calls end.
    fn skip_ramp(&mut self, mut take: impl FnMut(&Delivery)) {
        let end = crate::traffic::START + ((self.ramp + 120.0) * 1e6) as u64;
        let mut time = 0;
        while time < end {
            let mut frames = self.traffic.by_ref().inspect(|frame| time = frame.micros).take(FrameBatch::FRAMES);
            let Some(batch) = self.cutter.next(&mut frames) else { return };
            let mut ready = Delivery::default();
            self.ingest.push(batch, &mut ready.batch);
            take(&ready);
        }
    }

    /// The time that `take` needs for `messages` messages, in proportion where a step has more or fewer.
    fn time(&mut self, messages: u64, mut take: impl FnMut(&Delivery)) -> Duration {
        let (mut done, mut spent) = (0, Duration::ZERO);
        while done < messages {
            for step in &mut self.steps {
                step.clear();
                let batch = self.cutter.next(&mut self.traffic).unwrap_or_default();
                self.ingest.push(batch, &mut step.batch);
            }
            let begun = now();
            self.steps.iter().for_each(&mut take);
            spent += begun.elapsed();
            done += self.steps.iter().map(|step| step.len() as u64).sum::<u64>();
        }
        spent.mul_f64(messages as f64 / done as f64)
    }
}

#[expect(clippy::disallowed_types, reason = "a bench reads the clock")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn batches(frames: &[Frame]) -> Vec<FrameBatch> {
    Batches::default().all(frames.iter().cloned())
}
