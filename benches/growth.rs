//! What a message costs by how much came before it and how much is kept: 10,000 messages, always the same, after ever more others; and
//! messages of calls, by how many calls begin in a second.
//!
//! `cargo bench --bench growth` prints one line of JSON a row, with CPU time. `growth AXIS SIZE` makes one row; `growth AXIS SIZE counted` does
//! so under callgrind, where `--toggle-collect='*measured*'` counts the instructions of its messages alone (`scripts/bench.sh`).

#[path = "traffic/mod.rs"]
mod traffic;
#[path = "world/mod.rs"]
mod world;

use std::process::Command;

use rustix::time::{ClockId, clock_gettime};
use siphound::decode::frame::FrameBatch;
use traffic::{Frame, Plan, START, Traffic};
use world::World;

/// The messages whose cost is measured, of phones of their own.
const PROBE: u64 = 10_000;
/// Seconds that the measured messages take.
const WINDOW: f64 = 60.0;
/// Seconds between what came before and the messages that are measured, so that nothing of the former is under way any more.
const PAUSE: f64 = 180.0;
/// Repetitions of a row, of which the median counts.
const RUNS: usize = 3;

/// What grows.
struct Axis {
    name: &'static str,
    what: &'static str,
    sizes: [u32; 4],
    /// What comes before the messages that are measured.
    before: fn(u32) -> Plan,
    /// How much of it there is then.
    count: fn(&World, &Traffic) -> u64,
    sample: Sample,
}

/// Which messages are measured.
#[derive(Clone, Copy)]
enum Sample {
    /// Messages of others, after a pause.
    Others,
    /// Those of the plan itself from this second on.
    From(f64),
}

const AXES: [Axis; 4] = [
    Axis {
        name: "messages",
        what: "messages before",
        sizes: [10_000, 100_000, 300_000, 1_000_000],
        before: |messages| Plan::ordinary(u64::from(messages), 1_000, f64::from(messages) / 280.0),
        count: |_, traffic| traffic.truth().messages,
        sample: Sample::Others,
    },
    Axis {
        name: "devices",
        what: "devices registered",
        sizes: [1_000, 10_000, 100_000, 1_000_000],
        before: |phones| Plan::idle(phones, 1_000.0),
        count: |world, _| world.held("devices") as u64,
        sample: Sample::Others,
    },
    Axis {
        name: "calls",
        what: "calls in progress",
        sizes: [2, 1_000, 10_000, 100_000],
        before: in_progress,
        count: |world, _| world.calls() as u64,
        sample: Sample::Others,
    },
    Axis {
        name: "rate",
        what: "calls begun in a second",
        sizes: [10, 100, 1_000, 4_000],
        before: |rate| Plan { calls: f64::from(rate) / 2.0, span: 120.0, talk: 5.0, ..in_progress(0) },
        // Both legs of a call that goes through the PBX.
        count: |_, traffic| traffic.truth().legs / 18,
        sample: Sample::From(112.0),
    },
];

/// Calls that are all answered and never end.
fn in_progress(calls: u32) -> Plan {
    let (ramp, rush) = (100.0, 200.0);
    let rate = f64::from(calls) / 2.0 / rush;
    let calls_from = ramp + 2.0;
    let plan = Plan::idle(2_000, ramp);
    Plan { calls: rate, calls_from, calls_until: calls_from + rush, talk: 1e6, failed: 0, span: 400.0, ..plan }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, axis, size, how @ ..] = arguments.as_slice()
        && let Some(axis) = AXES.iter().find(|known| known.name == axis)
    {
        // Valgrind does not know the page of the kernel where rustix looks for the clock.
        let clock = if how == ["counted"] { || 0 } else { cpu_nanos };
        println!("{}", probe(axis, size.parse().expect("a size"), clock));
        return;
    }
    let largest = if arguments.iter().any(|argument| argument == "--quick") { 2 } else { 4 };
    for axis in &AXES {
        for size in axis.sizes.into_iter().take(largest) {
            let mut rows: Vec<serde_json::Value> = (0..RUNS).map(|_| probed(axis, size)).collect();
            rows.sort_by(|one, other| nanos(one).total_cmp(&nanos(other)));
            println!("{}", rows[RUNS / 2]);
        }
    }
}

fn nanos(row: &serde_json::Value) -> f64 {
    row["cpu_ns"].as_f64().unwrap_or(f64::MAX)
}

/// Has another process make a row.
fn probed(axis: &Axis, size: u32) -> serde_json::Value {
    let itself = std::env::current_exe().expect("the path of this bench");
    let output = Command::new(itself).args([axis.name, &size.to_string()]).output().expect("this bench starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a row")
}

/// Makes what comes before, then measures.
fn probe(axis: &Axis, size: u32, clock: fn() -> i64) -> serde_json::Value {
    let plan = (axis.before)(size);
    let mut world = World::new();
    let mut traffic = Traffic::new(plan);
    let (batches, messages) = match axis.sample {
        Sample::Others => others(&mut world, &mut traffic, plan),
        Sample::From(second) => later(&mut world, &mut traffic, second),
    };
    let count = (axis.count)(&world, &traffic);
    let begun = clock();
    measured(&mut world, batches);
    let cpu_ns = (clock() - begun) as f64 / messages as f64;
    serde_json::json!({ "axis": axis.name, "what": axis.what, "size": size, "count": count, "messages": messages, "cpu_ns": cpu_ns })
}

/// Messages of others, after all of the traffic and a pause.
fn others(world: &mut World, traffic: &mut Traffic, plan: Plan) -> (Vec<FrameBatch>, u64) {
    world.feed(traffic.by_ref());
    let begin = plan.span.max(plan.ramp) + PAUSE;
    world.rest_until(begin);
    // Numbers that no phone of the others has, and another seed, so that no identifier comes twice.
    let plan = Plan { first: 8_000_000, seed: 2, nat: 0, ..Plan::ordinary(PROBE, 500, WINDOW) };
    let shift = (begin * 1e6) as u64;
    let mut traffic = Traffic::new(plan);
    let frames = traffic.by_ref().map(|Frame { micros, bytes }| Frame { micros: micros + shift, bytes });
    (world.batches(frames), traffic.truth().messages)
}

/// The messages of the traffic from `second` on.
fn later(world: &mut World, traffic: &mut Traffic, second: f64) -> (Vec<FrameBatch>, u64) {
    let begin = START + (second * 1e6) as u64;
    let first = std::iter::from_fn(|| traffic.next().filter(|frame| frame.micros < begin));
    world.feed(first);
    let before = traffic.truth().messages;
    let batches = world.batches(traffic.by_ref());
    (batches, traffic.truth().messages - before)
}

/// What callgrind collects.
#[inline(never)]
fn measured(world: &mut World, batches: Vec<FrameBatch>) {
    batches.into_iter().for_each(|batch| world.take(batch));
}

/// CPU time of this thread so far.
fn cpu_nanos() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
