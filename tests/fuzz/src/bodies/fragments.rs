//! IP fragments: any at all, and those that are whole datagrams in disorder, which must come out as such.

use siphound::decode::ports::PortFilter;

use super::conversation::message;
use super::feed::{self, Frame, START};
use super::script::{Script, pause};
use super::segments::{Family, Part, address, fragment};
use crate::support::wire::{self, Protocol};

/// Fragments of an input.
const MOST: usize = 300;
/// Nanoseconds between fragments of a datagram that must become whole; copies of its fragments are known for 200 ms.
const STEP: i64 = 400_000;

pub(crate) fn body(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let family = if script.below(2) == 0 { Family::V4 } else { Family::V6 };
    if script.below(2) == 0 { whole(&mut script, family) } else { any(&mut script, family) }
}

fn datagram(family: Family, payload: &[u8]) -> Vec<u8> {
    let (source, destination) = match family {
        Family::V4 => ("198.51.100.7:5060", "203.0.113.10:5060"),
        Family::V6 => ("[2001:db8::7]:5060", "[2001:db8:1::a]:5060"),
    };
    wire::datagram(address(source), address(destination), payload)
}

/// A datagram, where it is cut, and what of it was sent.
struct Sliced {
    id: u16,
    bytes: Vec<u8>,
    ranges: Vec<(usize, usize)>,
    unsent: Vec<usize>,
}

impl Sliced {
    fn new(script: &mut Script<'_>, number: usize, family: Family) -> Self {
        let sip = message(number, usize::from(script.next::<u8>()) * 8, usize::from(script.next::<u8>()) * 8);
        let bytes = datagram(family, &sip);
        let (mut ranges, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let size = 8 * (1 + usize::from(script.next::<u8>()));
            // At most 64 pieces, and at least two, so that it is fragmented at all.
            let size = size.max(bytes.len().div_ceil(60).next_multiple_of(8)).min(bytes.len().div_ceil(2).next_multiple_of(8));
            ranges.push((at, (at + size).min(bytes.len())));
            at += size;
        }
        let unsent = (0..ranges.len()).collect();
        Self { id: 7 + number as u16, bytes, ranges, unsent }
    }

    /// The fragment of that number, with some of the next one too where it `overlaps`.
    fn piece(&self, index: usize, overlaps: bool, family: Family) -> Vec<u8> {
        let (start, end) = self.ranges[index];
        let end = if overlaps { (end + 8).min(self.bytes.len()) } else { end };
        let part = Part { id: self.id, offset: (start / 8) as u16, more: end < self.bytes.len(), bytes: &self.bytes[start..end] };
        fragment(family, Protocol::Udp, &part)
    }
}

/// All fragments of up to three datagrams, in any order, some repeatedly, some overlapping: each datagram comes out once.
fn whole(script: &mut Script<'_>, family: Family) {
    let count = 1 + script.below(3);
    let mut datagrams: Vec<Sliced> = (0..count).map(|number| Sliced::new(script, number, family)).collect();
    let mut frames = Vec::new();
    let mut send = |packet: Vec<u8>| frames.push(Frame::raw(START + frames.len() as i64 * STEP, packet));
    let mut steps = 0;
    while !script.is_over() && steps < 200 {
        let sliced = &mut datagrams[script.below(count)];
        let index = script.below(sliced.ranges.len());
        send(sliced.piece(index, script.below(4) == 0, family));
        sliced.unsent.retain(|other| *other != index);
        steps += 1;
    }
    for sliced in &datagrams {
        sliced.unsent.iter().for_each(|index| send(sliced.piece(*index, false, family)));
    }
    let seen = feed::decode(&frames, &PortFilter::Any);
    let mut expected: Vec<&[u8]> = datagrams.iter().map(|sliced| &sliced.bytes[8..]).collect();
    let mut found: Vec<&[u8]> = seen.messages.iter().map(|heard| &heard.bytes[..]).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert!(expected == found, "{} datagrams, {} messages", expected.len(), found.len());
}

/// Fragments that need not fit together.
fn any(script: &mut Script<'_>, family: Family) {
    const PROTOCOLS: [Protocol; 4] = [Protocol::Udp, Protocol::Tcp, Protocol::Icmp, Protocol::Sctp];
    let text = datagram(family, &message(0, 600, 600));
    let (mut frames, mut nanos) = (Vec::new(), START);
    while !script.is_over() && frames.len() < MOST {
        nanos = nanos.saturating_add(pause(script));
        let flags = script.next::<u8>();
        let offset = u16::from(script.next::<u8>()) | if flags & 0x40 == 0 { 0 } else { 0x1f00 };
        let own = script.next::<u8>();
        let start = (usize::from(offset) * 8).min(text.len());
        let bytes = match own {
            0..=63 => &text[start..(start + 8 * usize::from(own)).min(text.len())],
            _ => script.take(usize::from(own)),
        };
        let protocol = PROTOCOLS[usize::from(flags >> 4 & 3) * usize::from(flags & 8 != 0)];
        let part = Part { id: u16::from(flags & 3), offset, more: flags & 4 != 0, bytes };
        frames.push(Frame::raw(nanos, fragment(family, protocol, &part)));
    }
    feed::decode(&frames, &PortFilter::Any);
}
