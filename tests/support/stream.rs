//! TCP connections as captured: handshake, segments, acknowledgements, end.

use std::net::SocketAddr;

use super::scene::Scene;
use super::wire::{self, Protocol, flag};

/// Seconds until the other side acknowledges.
const ACKNOWLEDGED: f64 = 0.000_2;

/// One connection and how far both sides have sent.
pub(crate) struct Stream {
    ends: [End; 2],
}

struct End {
    address: SocketAddr,
    seq: u32,
}

impl Stream {
    /// Opens a connection from `client` within 30 ms.
    pub(crate) fn open(scene: &mut Scene, at: f64, client: SocketAddr, server: SocketAddr) -> Self {
        let mut end = |address| End { address, seq: scene.random.next() as u32 };
        let mut stream = Self { ends: [end(client), end(server)] };
        stream.segment(scene, at, client, flag::SYN, b"");
        stream.segment(scene, at + ACKNOWLEDGED, server, flag::SYN | flag::ACK, b"");
        stream.segment(scene, at + 0.03, client, flag::ACK, b"");
        stream
    }

    /// A connection refused: SYN and RST.
    pub(crate) fn refused(scene: &mut Scene, at: f64, client: SocketAddr, server: SocketAddr) {
        let seq = scene.random.next() as u32;
        let syn = wire::segment(client, server, seq, 0, flag::SYN, b"");
        let reset = wire::segment(server, client, 0, seq.wrapping_add(1), flag::RST | flag::ACK, b"");
        scene.ip(at, client, server, Protocol::Tcp, &syn);
        scene.ip(at + ACKNOWLEDGED, server, client, Protocol::Tcp, &reset);
    }

    /// One segment of data from `source`, acknowledged at once.
    pub(crate) fn push(&mut self, scene: &mut Scene, at: f64, source: SocketAddr, payload: &[u8]) {
        self.segment(scene, at, source, flag::PSH | flag::ACK, payload);
        let other = self.other(source);
        self.segment(scene, at + ACKNOWLEDGED, other, flag::ACK, b"");
    }

    /// Ends the connection: FIN from both sides.
    pub(crate) fn close(&mut self, scene: &mut Scene, at: f64, source: SocketAddr) {
        let other = self.other(source);
        self.segment(scene, at, source, flag::FIN | flag::ACK, b"");
        self.segment(scene, at + ACKNOWLEDGED, other, flag::FIN | flag::ACK, b"");
        self.segment(scene, at + 0.03, source, flag::ACK, b"");
    }

    fn segment(&mut self, scene: &mut Scene, at: f64, source: SocketAddr, flags: u8, payload: &[u8]) {
        let (from, to) = if self.ends[0].address == source { (0, 1) } else { (1, 0) };
        let ack = if flags & flag::ACK == 0 { 0 } else { self.ends[to].seq };
        let destination = self.ends[to].address;
        let bytes = wire::segment(source, destination, self.ends[from].seq, ack, flags, payload);
        scene.ip(at, source, destination, Protocol::Tcp, &bytes);
        // SYN and FIN take a number of their own.
        let consumed = payload.len() as u32 + u32::from(flags & (flag::SYN | flag::FIN) != 0);
        self.ends[from].seq = self.ends[from].seq.wrapping_add(consumed);
    }

    fn other(&self, source: SocketAddr) -> SocketAddr {
        if self.ends[0].address == source { self.ends[1].address } else { self.ends[0].address }
    }
}
