//! The bodies of the fuzz targets: what is done with bytes that nobody chose, and what must hold whatever they are.
//!
//! `tests/smoke_fuzz.rs` runs each on its seeds and on mutations of them with the stable toolchain, `tests/fuzz` runs the same functions
//! under libFuzzer. A body decodes its bytes front to back ([`script`]), so that a seed can be written by hand and a mutation changes one
//! step of it.

mod config;
mod conversation;
mod dialect;
mod engine;
mod feed;
mod files;
mod fragments;
mod frame;
mod headers;
mod message;
pub(crate) mod numbers;
mod opinion;
mod query;
mod report;
mod script;
mod sdp;
pub(crate) mod seeds;
mod segments;
mod stream;
mod websocket;

/// One fuzz target.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    /// Its name, and that of its binary and its folder of seeds.
    pub(crate) name: &'static str,
    /// Fails by a panic.
    pub(crate) body: fn(&[u8]),
    /// Bytes of an input at most.
    pub(crate) max_len: usize,
}

/// All of them.
pub(crate) const TARGETS: [Target; 12] = [
    Target { name: "frame", body: frame::body, max_len: 8_192 },
    Target { name: "fragments", body: fragments::body, max_len: 4_096 },
    Target { name: "stream", body: stream::body, max_len: 8_192 },
    Target { name: "websocket", body: websocket::body, max_len: 4_096 },
    Target { name: "message", body: message::body, max_len: 8_192 },
    Target { name: "headers", body: headers::body, max_len: 2_048 },
    Target { name: "sdp", body: sdp::body, max_len: 4_096 },
    Target { name: "opinion", body: opinion::body, max_len: 4_096 },
    Target { name: "config", body: config::body, max_len: 16_384 },
    Target { name: "query", body: query::body, max_len: 1_024 },
    Target { name: "files", body: files::body, max_len: 16_384 },
    Target { name: "engine", body: engine::body, max_len: 8_192 },
];

/// Runs the target of that name.
pub(crate) fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    (target.body)(bytes);
}
