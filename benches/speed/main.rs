//! How long each stage takes, alone and together. `cargo bench --bench speed`; `scripts/bench.sh` prints the results as a table.

mod scanner;
mod stages;
#[path = "../traffic/mod.rs"]
mod traffic;
mod whole;
#[path = "../world/mod.rs"]
mod world;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

/// Few long samples: a stage that runs for a tenth of a second says more than its first microsecond.
fn patience() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args()
}

criterion_group! {
    name = all;
    config = patience();
    targets = scanner::benches, stages::benches, whole::benches
}
criterion_main!(all);
