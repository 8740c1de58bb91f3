//! From frames to findings, from memory and from a file.

use std::path::PathBuf;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use siphound::capture::CaptureFiles;
use siphound::pipeline::replay::{Threads, replay};
use tempfile::NamedTempFile;

use crate::traffic::{Frame, Plan, Traffic, pcap};
use crate::world::{self, Batches, World};

/// Half an hour of a PBX of medium size.
fn plan() -> Plan {
    Plan::ordinary(100_000, 2_000, 1800.0)
}

pub(crate) fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("end to end");
    for (name, plan) in [("ordinary", plan()), ("mixed", plan().mixed())] {
        let mut traffic = Traffic::new(plan);
        let frames: Vec<Frame> = traffic.by_ref().collect();
        group.throughput(Throughput::Elements(traffic.truth().messages));
        group.bench_function(BenchmarkId::new("from memory, one thread", name), |bencher| {
            let batches = || (World::new(), Batches::default().all(frames.iter().cloned()));
            bencher.iter_batched(batches, |(world, batches)| through(world, batches), BatchSize::PerIteration);
        });
        let file = NamedTempFile::new().expect("a temporary file");
        pcap::write(frames.iter().cloned(), file.as_file()).expect("room for a capture");
        for (threads, called) in [(Threads::One, "from a file, one thread"), (Threads::Two, "from a file, two threads")] {
            group.bench_function(BenchmarkId::new(called, name), |bencher| {
                bencher.iter_batched(|| file.path().to_owned(), |path| from_file(path, threads), BatchSize::PerIteration);
            });
        }
    }
    group.finish();
}

fn through(mut world: World, batches: Vec<siphound::decode::frame::FrameBatch>) -> World {
    batches.into_iter().for_each(|batch| world.take(batch));
    world.finish();
    world
}

fn from_file(path: PathBuf, threads: Threads) -> siphound::pipeline::engine::Engine {
    let mut source = CaptureFiles::open(&[path]).expect("a capture");
    replay(&mut source, world::ingest(), world::engine(), threads, &|_| {}).expect("a replay").engine
}
