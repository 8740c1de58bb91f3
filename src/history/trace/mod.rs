//! Traces: what was heard, as standard pcap that Wireshark and `siphound replay` read while it is written.
//!
//! A trace is not what was on the wire but what was understood of it: one packet for each message, keep-alive or other sign of a flow, on
//! raw IP, without copies and fragments. A trace replayed gives the same findings. What a pcap cannot say is not in it: packets that the
//! capture lost, and the clock of a silent link.

mod blank;
mod frames;
mod packets;
mod rolling;

pub use blank::{blank_secrets, blank_segment};
pub use frames::Frames;
pub use rolling::{Roll, Rolling, paths};
