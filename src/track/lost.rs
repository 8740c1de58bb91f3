//! Sources that repeat requests although these were answered, until they show that an answer arrived.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::decode::flow::Flow;
use crate::table::Handle;
use crate::time::{PacketTime, Span};

/// Sources remembered; the longest known goes first.
const REMEMBERED: usize = 1024;
/// Answers remembered that took another way than their requests; the oldest goes first.
const ASTRAY: usize = 256;

/// How long after its last lost answer a phone counts that is not heard of again: it may come from another port.
const FORGOTTEN: Span = Span::from_secs(600);

/// A phone whose answers get lost.
#[derive(Clone, Copy, Debug)]
struct Deaf {
    socket: SocketAddr,
    /// The first answer that did not arrive.
    since: PacketTime,
    /// The last one.
    last: PacketTime,
}

/// The sources whose answers get lost.
#[derive(Debug, Default)]
pub(super) struct LostAnswers {
    sources: Vec<Deaf>,
    astray: VecDeque<(Handle, Flow)>,
}

impl LostAnswers {
    /// Takes note that an answer of `answered` did not reach `socket`.
    pub(super) fn note(&mut self, socket: SocketAddr, answered: PacketTime) {
        if let Some(known) = self.sources.iter_mut().find(|known| known.socket == socket) {
            known.last = answered;
            return;
        }
        if self.sources.len() >= REMEMBERED {
            self.sources.remove(0);
        }
        self.sources.push(Deaf { socket, since: answered, last: answered });
    }

    /// Takes note of the way that an answer to the request of `transaction` took, other than back along the request's.
    pub(super) fn went_astray(&mut self, transaction: Handle, answer: Flow) {
        if self.astray.len() >= ASTRAY {
            self.astray.pop_front();
        }
        self.astray.push_back((transaction, answer));
    }

    /// The way that an answer to a request took that went along `request`.
    pub(super) fn way_of(&self, transaction: Handle, request: Flow) -> Flow {
        let known = self.astray.iter().rev().find(|(known, _)| *known == transaction);
        known.map_or_else(|| request.reversed(), |(_, answer)| *answer)
    }

    /// The first answer that did not reach `source`.
    pub(super) fn since(&self, source: IpAddr) -> Option<PacketTime> {
        self.sources.iter().find(|known| known.socket.ip() == source).map(|known| known.since)
    }

    /// Takes note that an answer reached `socket` at `now`, where `alone` the only phone is. Tells whether that was the last phone there whose
    /// answers got lost.
    pub(super) fn taken(&mut self, socket: SocketAddr, alone: bool, now: PacketTime) -> bool {
        let is_over = |known: &Deaf| known.socket == socket || alone || now.since(known.last) > FORGOTTEN;
        self.sources.retain(|known| known.socket.ip() != socket.ip() || !is_over(known));
        self.since(socket.ip()).is_none()
    }
}
