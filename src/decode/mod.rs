//! From captured bytes to payloads of flows: link layers, tunnels, fragments, streams, duplicates.
//!
//! Nothing here knows SIP: what a message is, a [`framer::Framer`] tells. Each frame ends with exactly one outcome
//! ([`outcome::FrameCounts`]), and no sequence of bytes can make a function here panic.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::indexing_slicing))]

pub mod clock;
pub mod copies;
pub mod decoder;
pub mod dissect;
pub mod ends;
pub mod flow;
pub mod fragments;
pub mod frame;
pub mod framer;
pub mod line;
pub mod outcome;
pub mod payload;
pub mod ports;
pub mod signal;
pub mod window;

#[cfg(test)]
pub(crate) mod testing;

pub use streams::StreamCounts;

mod chunks;
mod handler;
mod outlet;
mod read;
mod streams;
