//! When the capture can vouch for an absence (DETECTION §0.1, §13).
//!
//! "No answer" may only be said when an answer would have been seen: packets do arrive from that direction, nothing was dropped, the clock
//! did not jump and the capture has no hole in the window. What fails these rules is unknown, never a failure.

use crate::decode::flow::Flow;
use crate::decode::signal::Signal;
use crate::time::{PacketTime, Span};
use crate::track::flows::Flows;
use crate::track::peers::Peers;

/// How long before the newest packet a deadline must lie; nothing is concluded at the very end of a capture.
pub const WATERMARK: Span = Span::from_secs(2);

/// How recently a direction must have been seen to be trusted.
pub const SEEN_WITHIN: Span = Span::from_secs(600);

/// Remembers the last time at which the capture was not to be trusted.
#[derive(Clone, Copy, Debug)]
pub struct Absence {
    void_until: PacketTime,
}

impl Absence {
    /// A capture without flaw so far.
    pub fn new() -> Self {
        Self { void_until: PacketTime::MIN }
    }

    /// Takes note of a flaw of the capture at `now`: drops, clock steps and holes void every window that overlaps them.
    pub fn note(&mut self, signal: &Signal, now: PacketTime) {
        if matches!(signal, Signal::Dropped(_) | Signal::ClockStep { .. } | Signal::Hole { .. }) {
            self.void_until = self.void_until.max(now);
        }
    }

    /// Whether the capture was sound from `start` until now.
    pub fn is_sound_since(&self, start: PacketTime) -> bool {
        self.void_until < start
    }

    /// Whether a packet along `missing` would have been captured had it been sent between `start` and `end`.
    pub fn could_see(&self, missing: Flow, start: PacketTime, end: PacketTime, flows: &Flows, peers: &Peers) -> bool {
        self.is_sound_since(start) && (flows.seen_within(missing, end - SEEN_WITHIN) || peers.direction_is_seen(missing, end - SEEN_WITHIN))
    }
}

impl Default for Absence {
    fn default() -> Self {
        Self::new()
    }
}
