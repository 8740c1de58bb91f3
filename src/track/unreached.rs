//! Datagrams that did not arrive, as ICMP errors tell: who hears of that waits for no answer, and need not send again.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::decode::flow::Flow;
use crate::time::PacketTime;

/// Errors remembered; the oldest goes first. Requests wait for half a minute.
const REMEMBERED: usize = 256;

/// The last ICMP errors.
#[derive(Debug, Default)]
pub struct Unreached {
    errors: VecDeque<(SocketAddr, SocketAddr, PacketTime)>,
}

impl Unreached {
    /// Takes note of an error for a datagram that was sent along `flow`.
    pub(super) fn note(&mut self, flow: Flow, now: PacketTime) {
        // Several requests to one peer are one error.
        self.errors.retain(|&(source, destination, _)| (source, destination) != (flow.source, flow.destination));
        if self.errors.len() >= REMEMBERED {
            self.errors.pop_front();
        }
        self.errors.push_back((flow.source, flow.destination, now));
    }

    /// Whether an error came for a datagram along `flow` that was sent at `sent` or later.
    pub fn since(&self, flow: Flow, sent: PacketTime) -> bool {
        self.errors.iter().any(|&(source, destination, at)| at >= sent && (source, destination) == (flow.source, flow.destination))
    }
}
