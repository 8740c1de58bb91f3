//! The fuzz targets of siphound; `tests/smoke_fuzz.rs` runs their bodies with the stable toolchain.

#[allow(dead_code, reason = "the seeds are written by the tests")]
mod bodies;
mod support;

/// Runs the body of the target of that name; it fails by a panic.
pub fn run(name: &str, bytes: &[u8]) {
    bodies::run(name, bytes);
}
