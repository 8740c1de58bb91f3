//! Threads, channels, overflow and shutdown: the shell around the pure stages.
//!
//! ```text
//! source ──batches of frames──► ingest ──batches of messages──► engine ◄── queries
//! ```
//!
//! [`replay`] and [`live`] run the same stages. They differ in where frames come from and in what happens when a queue is full: a file
//! waits, a live source drops and counts.

mod decoding;
pub mod engine;
pub mod extract;
pub mod ingest;
pub mod lane;
pub mod live;
pub mod paced;
pub mod progress;
pub mod pulse;
pub mod replay;
pub mod signals;
pub mod source;
pub mod stage;
pub mod stop;
pub mod ticking;
pub mod until;

#[cfg(test)]
mod fakes;
