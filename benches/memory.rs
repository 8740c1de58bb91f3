//! Live bytes of what siphound keeps, counted by the allocator: per phone, call, finished call and NAT site.
//!
//! `cargo bench --bench memory` prints one line of JSON a row. Each figure is the difference of two worlds that differ in nothing else,
//! each made in a process of its own, so that what the system says of its memory means something too.

#[path = "traffic/mod.rs"]
mod traffic;
#[path = "world/mod.rs"]
mod world;

use std::process::Command;

use cap::Cap;
use traffic::{Plan, Traffic};
use world::World;

#[global_allocator]
static ALLOCATOR: Cap<std::alloc::System> = Cap::new(std::alloc::System, usize::MAX);

/// Phones beside the calls that are measured.
const STAFF: u32 = 20_000;
/// When the first call begins: all phones are registered.
const CALLS_FROM: f64 = 102.0;
/// Seconds in which the calls begin.
const RUSH: f64 = 200.0;
/// A call that outlasts every bench.
const ENDLESS: f64 = 1e6;

/// What is measured: its name, its sizes, and how it is made.
struct Row {
    name: &'static str,
    what: &'static str,
    sizes: [u32; 3],
    plan: fn(u32) -> Plan,
    /// The same without what is measured.
    without: fn(u32) -> Plan,
    /// Seconds of silence at the end, so that what is transient goes.
    rest: f64,
    count: fn(&World) -> usize,
}

const ROWS: [Row; 4] = [
    Row {
        name: "device",
        what: "idle registered device",
        sizes: [10_000, 100_000, 400_000],
        plan: |phones| Plan::idle(phones, 400.0),
        without: |_| Plan::idle(1, 400.0),
        rest: 300.0,
        count: |world| world.held("devices"),
    },
    Row {
        name: "site",
        what: "NAT site (8 phones)",
        sizes: [1_000, 4_000, 16_000],
        plan: |sites| Plan { nat: 100, ..kept_open(sites) },
        without: kept_open,
        rest: 60.0,
        count: |world| world.held("sites"),
    },
    Row {
        name: "call",
        what: "call in progress",
        sizes: [1_000, 10_000, 100_000],
        plan: |calls| Plan { talk: ENDLESS, ..calling(calls) },
        without: |_| calling(0),
        rest: 60.0,
        count: World::calls,
    },
    Row {
        name: "finished",
        what: "finished call",
        sizes: [1_000, 10_000, 100_000],
        // Twice as long at the same rate: what calls need while they last, and the table of their transactions, is in both.
        plan: |calls| Plan { talk: 20.0, calls_until: CALLS_FROM + 2.0 * RUSH, ..calling(calls) },
        without: |calls| Plan { talk: 20.0, ..calling(calls) },
        rest: 600.0,
        count: |world| world.engine.tracker.calls.finished().count(),
    },
];

fn kept_open(sites: u32) -> Plan {
    Plan { span: 1000.0, qualify: 60.0, keepalive: 30.0, ..Plan::idle(sites * 8, 400.0) }
}

/// Phones that begin `calls` calls, all of which are answered; each has a leg on either side of the PBX.
fn calling(calls: u32) -> Plan {
    let rate = f64::from(calls) / 2.0 / RUSH;
    Plan {
        calls: rate,
        calls_from: CALLS_FROM,
        calls_until: CALLS_FROM + RUSH,
        failed: 0,
        span: 600.0,
        ..Plan::idle(STAFF, CALLS_FROM - 2.0)
    }
}

/// The weight of a world.
#[derive(Clone, Copy, serde::Deserialize, serde::Serialize)]
struct Weight {
    count: usize,
    live: usize,
    resident: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, row, side, size] = arguments.as_slice()
        && let Some(row) = ROWS.iter().find(|known| known.name == row)
    {
        let size = size.parse().expect("a size");
        let plan = if side == "with" { (row.plan)(size) } else { (row.without)(size) };
        println!("{}", serde_json::to_string(&weigh(plan, row)).expect("JSON"));
        return;
    }
    let largest = if arguments.iter().any(|argument| argument == "--quick") { 1 } else { 3 };
    for row in &ROWS {
        for size in row.sizes.into_iter().take(largest) {
            let [with, without] = ["with", "without"].map(|side| weighed(row, side, size));
            let count = with.count.saturating_sub(without.count);
            assert!(count * 10 >= size as usize * 9, "{}: {count} of {size}", row.name);
            let each = |with: usize, without: usize| (with as f64 - without as f64) / count as f64;
            let told = serde_json::json!({
                "row": row.name,
                "what": row.what,
                "count": count,
                "live": each(with.live, without.live),
                "resident": each(with.resident, without.resident),
            });
            println!("{told}");
        }
    }
}

/// Has another process weigh a world.
fn weighed(row: &Row, side: &str, size: u32) -> Weight {
    let itself = std::env::current_exe().expect("the path of this bench");
    let output = Command::new(itself).args([row.name, side, &size.to_string()]).output().expect("this bench starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a weight")
}

fn weigh(plan: Plan, row: &Row) -> Weight {
    let end = plan.span.max(plan.ramp) + row.rest;
    let before = ALLOCATOR.allocated();
    let mut world = World::new();
    world.feed(Traffic::new(plan));
    world.rest_until(end);
    let weight = Weight { count: (row.count)(&world), live: ALLOCATOR.allocated() - before, resident: resident() };
    // A heap profiler then finds at the end of the process what was weighed.
    std::mem::forget(world);
    weight
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or_default() * 1024
}
