//! From captured bytes to payloads of flows: link layers, tunnels, fragments, streams, duplicates.

pub mod flow;
pub mod frame;
pub mod outcome;
pub mod signal;
