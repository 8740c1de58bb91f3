//! Packets around payloads: fragments, and a byte stream in the pieces and the order that a script says.

use std::net::SocketAddr;

use super::feed::Frame;
use super::script::Script;
use crate::support::wire::{self, Protocol, flag};

/// Nanoseconds between the packets of what must come together again.
const STEP: i64 = 500_000;
/// Segments that may overtake one that is held back, and those held back at a time. A receiver gives up at 64.
const MOST_AHEAD: usize = 50;
/// Bytes of a segment at most.
const LARGEST: usize = 1_460;
/// Steps of a script for one stream.
const MOST_STEPS: usize = 600;

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The family of an IP packet.
#[derive(Clone, Copy)]
pub(crate) enum Family {
    V4,
    V6,
}

/// A part of an IP payload: where it begins in units of eight bytes, and whether more follows.
pub(crate) struct Part<'a> {
    pub(crate) id: u16,
    pub(crate) offset: u16,
    pub(crate) more: bool,
    pub(crate) bytes: &'a [u8],
}

/// A fragment from a phone to the PBX.
pub(crate) fn fragment(family: Family, protocol: Protocol, part: &Part<'_>) -> Vec<u8> {
    match family {
        Family::V4 => {
            let word = (part.offset & 0x1fff) | if part.more { 0x2000 } else { 0 };
            wire::ipv4([198, 51, 100, 7], [203, 0, 113, 10], protocol, part.id, word, part.bytes)
        }
        Family::V6 => {
            let word = (part.offset << 3) | u16::from(part.more);
            let mut packet = vec![0x60, 0, 0, 0];
            packet.extend_from_slice(&((part.bytes.len() + 8) as u16).to_be_bytes());
            packet.extend_from_slice(&[44, 64]);
            packet.extend_from_slice(&[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
            packet.extend_from_slice(&[0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10]);
            packet.extend_from_slice(&[protocol as u8, 0]);
            packet.extend_from_slice(&word.to_be_bytes());
            packet.extend_from_slice(&u32::from(part.id).to_be_bytes());
            packet.extend_from_slice(part.bytes);
            packet
        }
    }
}

/// One direction of a TCP connection.
#[derive(Clone, Copy)]
pub(crate) struct Side {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    /// Sequence number of the SYN.
    pub(crate) syn: u32,
}

impl Side {
    pub(crate) fn frame(&self, nanos: i64, sequence: u32, flags: u8, payload: &[u8]) -> Frame {
        let segment = wire::segment(self.from, self.to, sequence, 1, flags, payload);
        Frame::raw(nanos, wire::ip_packets(self.from.ip(), self.to.ip(), Protocol::Tcp, 0, &segment).swap_remove(0))
    }

    /// The segment with these bytes of the stream.
    fn piece(&self, nanos: i64, stream: &[u8], (start, end): (usize, usize)) -> Frame {
        self.frame(nanos, self.syn.wrapping_add(1).wrapping_add(start as u32), flag::ACK, &stream[start..end])
    }

    /// Sends a SYN and the whole stream: in order or not, some of it repeatedly, cut anywhere, all of it in the end.
    pub(crate) fn deliver(&self, stream: &[u8], script: &mut Script<'_>, nanos: &mut i64, frames: &mut Vec<Frame>) {
        let mut send = |frame: &dyn Fn(i64) -> Frame| {
            frames.push(frame(*nanos));
            *nanos += STEP;
        };
        send(&|nanos| self.frame(nanos, self.syn, flag::SYN, b""));
        let (mut at, mut ahead) = (0, 0);
        let mut held: Vec<(usize, usize)> = Vec::new();
        for _ in 0..MOST_STEPS {
            if at == stream.len() {
                break;
            }
            let size = if script.is_over() { LARGEST } else { 1 + usize::from(script.next::<u16>()) % LARGEST };
            let next = (at, (at + size).min(stream.len()));
            match script.next::<u8>() % 8 {
                5 if held.len() < MOST_AHEAD && ahead < MOST_AHEAD => {
                    held.push(next);
                    at = next.1;
                }
                6 if !held.is_empty() => {
                    let place = script.below(held.len());
                    let range = held.remove(place);
                    send(&|nanos| self.piece(nanos, stream, range));
                }
                7 => {
                    let end = next.1.min(at);
                    send(&|nanos| self.piece(nanos, stream, (end.saturating_sub(size), end.max(1))));
                }
                _ => {
                    send(&|nanos| self.piece(nanos, stream, next));
                    at = next.1;
                }
            }
            ahead = if held.is_empty() { 0 } else { ahead + 1 };
            if ahead > MOST_AHEAD {
                held.drain(..).for_each(|range| send(&|nanos| self.piece(nanos, stream, range)));
            }
        }
        held.into_iter().for_each(|range| send(&|nanos| self.piece(nanos, stream, range)));
        while at < stream.len() {
            let next = (at, (at + LARGEST).min(stream.len()));
            send(&|nanos| self.piece(nanos, stream, next));
            at = next.1;
        }
    }
}
