//! TCP connections of phones: opened once, then segments and acknowledgements.

use std::net::SocketAddr;

use super::wire::{self, Protocol, flag};
use super::{PBX, Packet, Traffic};

/// Bytes of payload that fit into a segment.
const SEGMENT: usize = 1460;
/// Microseconds until the other side acknowledges, and between two segments.
const BEAT: u64 = 50;

/// How far each side of a connection has sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    phone: u32,
    pbx: u32,
}

impl Stream {
    /// The next numbers of a side and of the other.
    fn numbers(&mut self, source: SocketAddr) -> (&mut u32, u32) {
        if source == PBX { (&mut self.pbx, self.phone) } else { (&mut self.phone, self.pbx) }
    }
}

impl Traffic {
    /// Sends a payload in segments; sometimes cut, sometimes with a segment that is sent again.
    pub(super) fn segments(&mut self, at: u64, packet: &Packet) {
        let Packet { source, destination, payload, .. } = packet;
        let phone = if *source == PBX { *destination } else { *source };
        if !self.streams.contains_key(&phone) {
            self.open(at, phone);
        }
        // Few enough pieces that a request is whole before it is answered.
        let cut = match self.random.below(10) {
            0 => payload.len().div_ceil(1 + self.random.below(8) as usize),
            _ => SEGMENT,
        };
        let repeated = self.random.below(50) == 0;
        for (index, part) in payload.chunks(cut.min(SEGMENT)).enumerate() {
            let at = at + index as u64 * 2 * BEAT;
            if repeated && index == 0 {
                let before = self.streams.get(&phone).copied();
                self.segment(at, *source, *destination, flag::PSH | flag::ACK, part);
                self.streams.extend(before.map(|before| (phone, before)));
            }
            self.segment(at, *source, *destination, flag::PSH | flag::ACK, part);
            self.segment(at + BEAT, *destination, *source, flag::ACK, b"");
        }
    }

    fn open(&mut self, at: u64, phone: SocketAddr) {
        self.streams.insert(phone, Stream { phone: self.random.next() as u32, pbx: self.random.next() as u32 });
        self.segment(at, phone, PBX, flag::SYN, b"");
        self.segment(at, PBX, phone, flag::SYN | flag::ACK, b"");
        self.segment(at, phone, PBX, flag::ACK, b"");
    }

    fn segment(&mut self, at: u64, source: SocketAddr, destination: SocketAddr, flags: u8, payload: &[u8]) {
        let phone = if source == PBX { destination } else { source };
        let Some(stream) = self.streams.get_mut(&phone) else { return };
        let (sent, acknowledged) = stream.numbers(source);
        let ack = if flags & flag::ACK == 0 { 0 } else { acknowledged };
        let bytes = wire::segment(source, destination, *sent, ack, flags, payload);
        *sent = sent.wrapping_add(payload.len() as u32 + u32::from(flags & flag::SYN != 0));
        self.ip(at, source, destination, Protocol::Tcp, &bytes);
    }
}
