//! Reassembly of IPv4 and IPv6 fragments.
//!
//! Where fragments overlap, the bytes that came first stand (RFC 5722 forbids overlaps in IPv6, RFC 791 leaves them open; a receiver that
//! keeps the others sees another datagram, which is the sender's doing). The fragments of a finished datagram are remembered for a while,
//! because each frame may be captured twice.

use std::net::SocketAddr;

use etherparse::IpNumber;

use crate::decode::dissect::{Fragment, Hop, Position};
use crate::decode::flow::{Flow, Transport};
use crate::decode::read::u16_at;
use crate::table::{Digest, Digester, ExpiringTable, Rank};
use crate::time::{PacketTime, Span};

/// How long the key of a finished datagram is remembered: as long as one packet may be met again (DETECTION §0.3, D3).
const MEMORY: Span = Span::from_millis(200);
/// Datagrams in reassembly at once.
const MAX_DATAGRAMS: usize = 4_096;
/// Bytes in reassembly at once.
const MAX_BYTES: usize = 16 << 20;
/// The longest datagram there is.
const MAX_DATAGRAM: usize = 65_535;
/// Fragments of one datagram.
const MAX_PIECES: usize = 256;

/// What became of a fragment.
#[derive(Debug)]
pub enum Progress {
    /// It waits for others.
    Waiting,
    /// It was there already.
    Copy,
    /// It contradicts the datagram's length.
    Malformed,
    /// It completes this datagram.
    Complete(Whole),
}

/// A datagram that became whole.
#[derive(Debug)]
pub struct Whole {
    /// Payload of the IP packet.
    pub payload: Vec<u8>,
    /// Frames it came in.
    pub frames: u64,
}

/// A datagram that never became whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lost {
    /// Who sent it to whom; the ports are 0 where the first fragment was lost.
    pub flow: Flow,
    /// Whether the transport header was seen, and with it the ports.
    pub ports: Ports,
    /// Bytes of the datagram known to have been sent.
    pub bytes: u32,
    /// Frames that waited for it.
    pub frames: u64,
    /// When it was given up.
    pub time: PacketTime,
}

/// Whether the ports of a datagram are known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ports {
    /// The first fragment was seen.
    Known,
    /// It was not.
    Unknown,
}

/// Datagrams in reassembly.
#[derive(Debug)]
pub struct Fragments {
    table: ExpiringTable<Assembly>,
    digester: Digester,
    /// How long a datagram waits for its fragments.
    timeout: Span,
    bytes: usize,
    spare: Vec<Vec<u8>>,
    counts: FragmentCounts,
}

/// What reassembly came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FragmentCounts {
    /// Datagrams that became whole.
    pub reassembled: u64,
    /// Datagrams given up after `fragment_timeout` or at the end.
    pub incomplete: u64,
    /// Datagrams dropped for lack of room.
    pub evicted: u64,
}

#[derive(Debug)]
struct Assembly {
    hop: Hop,
    protocol: IpNumber,
    state: State,
}

#[derive(Debug)]
enum State {
    Open(Pieces),
    Done,
}

#[derive(Debug, Default)]
struct Pieces {
    /// Payloads in order of arrival.
    bytes: Vec<u8>,
    /// Where they belong: offset in the datagram, place in `bytes`, length; sorted by offset, without overlap.
    parts: Vec<Part>,
    total: Option<u32>,
    frames: u64,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    offset: u32,
    place: u32,
    len: u32,
}

impl Part {
    fn end(&self) -> u32 {
        self.offset + self.len
    }
}

impl Fragments {
    /// No fragments yet.
    pub fn new(digester: Digester, timeout: Span) -> Self {
        let table = ExpiringTable::new(MAX_DATAGRAMS);
        Self { table, digester, timeout, bytes: 0, spare: Vec::new(), counts: FragmentCounts::default() }
    }

    /// Adds a fragment that came in so many frames. Datagrams that had to make room for it are pushed to `lost`.
    pub fn add(&mut self, hop: &Hop, fragment: &Fragment<'_>, frames: u64, now: PacketTime, lost: &mut Vec<Lost>) -> Progress {
        let key = self.key(hop, fragment);
        let handle = match self.table.find(key) {
            Some(handle) => handle,
            None => {
                let pieces = Pieces { bytes: self.spare.pop().unwrap_or_default(), ..Pieces::default() };
                let assembly = Assembly { hop: *hop, protocol: fragment.protocol, state: State::Open(pieces) };
                let (handle, evicted) = self.table.insert(key, assembly, now + self.timeout, Rank::Ordinary);
                self.give_up(evicted, now, lost);
                handle
            }
        };
        let Some(assembly) = self.table.get_mut(handle) else { return Progress::Malformed };
        let State::Open(pieces) = &mut assembly.state else { return Progress::Copy };
        let before = pieces.bytes.len();
        let placed = pieces.place(fragment);
        self.bytes += pieces.bytes.len() - before;
        match placed {
            Placed::Nothing => return Progress::Copy,
            Placed::Contradiction => return Progress::Malformed,
            Placed::Bytes => pieces.frames += frames,
        }
        if pieces.is_whole() {
            let payload = pieces.joined(self.spare.pop().unwrap_or_default());
            let frames = pieces.frames;
            let pieces = std::mem::take(pieces);
            assembly.state = State::Done;
            self.table.set_deadline(handle, now + MEMORY);
            self.table.set_rank(handle, Rank::Finished);
            self.reuse(pieces.bytes);
            self.counts.reassembled += 1;
            return Progress::Complete(Whole { payload, frames });
        }
        self.make_room(now, lost);
        Progress::Waiting
    }

    /// Takes back the buffer of a datagram for the next.
    pub fn give_back(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        if self.spare.len() < 4 {
            self.spare.push(buffer);
        }
    }

    /// The earliest moment at which [`Self::expire`] may have something to do.
    pub fn next_deadline(&self) -> PacketTime {
        self.table.next_deadline()
    }

    /// A datagram whose time ran out at or before `now`, the earliest first.
    pub fn expire(&mut self, now: PacketTime) -> Option<Lost> {
        while let Some((handle, deadline)) = self.table.pop_due(now) {
            let Some(assembly) = self.table.remove(handle) else { continue };
            if let Some(lost) = self.close(assembly, deadline) {
                self.counts.incomplete += 1;
                return Some(lost);
            }
        }
        None
    }

    /// Datagrams in reassembly.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// What reassembly came to so far.
    pub fn counts(&self) -> FragmentCounts {
        self.counts
    }

    fn key(&self, hop: &Hop, fragment: &Fragment<'_>) -> Digest {
        let flow = hop.flow(Transport::Udp, 0, 0);
        self.digester.parts(&[&crate::decode::ends::flow_key(&flow), &fragment.ident.to_be_bytes(), &[fragment.protocol.0]])
    }

    fn make_room(&mut self, now: PacketTime, lost: &mut Vec<Lost>) {
        while self.bytes > MAX_BYTES {
            let Some(evicted) = self.table.evict() else { return };
            self.give_up(Some(evicted), now, lost);
        }
    }

    fn give_up(&mut self, assembly: Option<Assembly>, now: PacketTime, lost: &mut Vec<Lost>) {
        if let Some(datagram) = assembly.and_then(|assembly| self.close(assembly, now)) {
            self.counts.evicted += 1;
            lost.push(datagram);
        }
    }

    fn close(&mut self, assembly: Assembly, time: PacketTime) -> Option<Lost> {
        let State::Open(pieces) = assembly.state else { return None };
        let (flow, ports) = pieces.flow(&assembly.hop, assembly.protocol);
        let bytes = pieces.total.unwrap_or_else(|| pieces.parts.last().map_or(0, Part::end));
        let lost = Lost { flow, ports, bytes, frames: pieces.frames, time };
        self.reuse(pieces.bytes);
        Some(lost)
    }

    fn reuse(&mut self, buffer: Vec<u8>) {
        self.bytes -= buffer.len();
        self.give_back(buffer);
    }
}

/// What a fragment added.
enum Placed {
    Bytes,
    Nothing,
    Contradiction,
}

impl Pieces {
    fn place(&mut self, fragment: &Fragment<'_>) -> Placed {
        let end = fragment.offset as usize + fragment.payload.len();
        let beyond = self.total.is_some_and(|total| end > total as usize);
        let shorter = fragment.position == Position::Last && self.parts.last().is_some_and(|last| last.end() as usize > end);
        if end > MAX_DATAGRAM || beyond || shorter {
            return Placed::Contradiction;
        }
        let added = self.fill_gaps(fragment.offset, fragment.payload);
        if fragment.position == Position::Last {
            self.total = Some(end as u32);
        }
        if added == 0 {
            return Placed::Nothing;
        }
        Placed::Bytes
    }

    /// Adds those bytes of a fragment that are not there yet; returns how many.
    fn fill_gaps(&mut self, offset: u32, payload: &[u8]) -> usize {
        let end = offset + payload.len() as u32;
        let (mut at, mut added) = (offset, 0);
        while at < end && self.parts.len() < MAX_PIECES {
            let next = self.parts.partition_point(|part| part.end() <= at);
            let free_until = match self.parts.get(next) {
                Some(part) if part.offset <= at => {
                    at = part.end();
                    continue;
                }
                Some(part) => part.offset.min(end),
                None => end,
            };
            let from = (at - offset) as usize;
            let piece = payload.get(from..from + (free_until - at) as usize).unwrap_or_default();
            self.parts.insert(next, Part { offset: at, place: self.bytes.len() as u32, len: piece.len() as u32 });
            self.bytes.extend_from_slice(piece);
            added += piece.len();
            at = free_until;
        }
        added
    }

    /// Parts do not overlap and none ends behind the datagram, so nothing is missing once there are as many bytes as it has.
    fn is_whole(&self) -> bool {
        self.total.is_some_and(|total| self.bytes.len() == total as usize)
    }

    /// The parts in order, put into `buffer`.
    fn joined(&self, mut buffer: Vec<u8>) -> Vec<u8> {
        for part in &self.parts {
            buffer.extend_from_slice(self.bytes_of(part));
        }
        buffer
    }

    fn bytes_of(&self, part: &Part) -> &[u8] {
        self.bytes.get(part.place as usize..(part.place + part.len) as usize).unwrap_or_default()
    }

    fn flow(&self, hop: &Hop, protocol: IpNumber) -> (Flow, Ports) {
        let transport = match protocol {
            IpNumber::TCP => Transport::Tcp,
            IpNumber::SCTP => Transport::Sctp,
            _ => Transport::Udp,
        };
        let header = self.parts.first().filter(|part| part.offset == 0).map(|part| self.bytes_of(part));
        let port = |at| header.and_then(|header| u16_at(header, at));
        match (port(0), port(2)) {
            (Some(source), Some(destination)) => (hop.flow(transport, source, destination), Ports::Known),
            _ => {
                let end = |ip| SocketAddr::new(ip, 0);
                (Flow { transport, source: end(hop.source), destination: end(hop.destination) }, Ports::Unknown)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Tunnels;
    use crate::decode::dissect::{Content, dissect};
    use crate::decode::frame::LinkType;
    use crate::decode::testing::{fragments, udp};

    const PHONE: &str = "198.51.100.7:40001";
    const PBX: &str = "203.0.113.10:5060";
    const TIMEOUT: Span = Span::from_secs(30);
    const START: PacketTime = PacketTime::from_nanos(0);

    /// Adds the fragment in a packet.
    fn add(table: &mut Fragments, packet: &[u8], now: PacketTime) -> (Progress, Vec<Lost>) {
        let packet = dissect(LinkType::RAW, packet, Tunnels::ALL).unwrap();
        let Content::Fragment(fragment) = packet.content else { panic!("a fragment") };
        let mut lost = Vec::new();
        let progress = table.add(&packet.hop, &fragment, 1, now, &mut lost);
        (progress, lost)
    }

    fn datagram(len: usize) -> Vec<u8> {
        udp(PHONE, PBX, 9, &(0..len).map(|byte| byte as u8).collect::<Vec<_>>())
    }

    #[test]
    fn copies_of_fragments_are_told_before_and_after_the_datagram_is_whole() {
        let mut table = Fragments::new(Digester::new(1), TIMEOUT);
        let parts = fragments(&datagram(40), 24);
        assert!(matches!(add(&mut table, &parts[0], START).0, Progress::Waiting));
        assert!(matches!(add(&mut table, &parts[0], START).0, Progress::Copy));
        assert!(matches!(add(&mut table, &parts[1], START).0, Progress::Complete(Whole { frames: 2, .. })));
        assert!(matches!(add(&mut table, &parts[0], START).0, Progress::Copy));
        assert_eq!(table.expire(START + TIMEOUT), None, "nothing is lost of a datagram that became whole");
    }

    #[test]
    fn an_incomplete_datagram_is_given_up_after_30_s_with_its_ports_if_they_were_seen() {
        let parts = fragments(&datagram(40), 24);
        for (part, ports, port, bytes) in [(0, Ports::Known, 5060, 24), (1, Ports::Unknown, 0, 48)] {
            let mut table = Fragments::new(Digester::new(1), TIMEOUT);
            add(&mut table, &parts[part], START);
            assert_eq!(table.expire(START + Span::from_millis(29_999)), None);
            let lost = table.expire(START + Span::from_secs(60)).unwrap();
            assert_eq!((lost.ports, lost.flow.destination.port(), lost.bytes, lost.frames), (ports, port, bytes, 1));
            assert_eq!(lost.time, START + TIMEOUT, "stamped with its deadline");
        }
    }

    #[test]
    fn where_fragments_overlap_the_first_bytes_stand() {
        let mut table = Fragments::new(Digester::new(1), TIMEOUT);
        let parts = fragments(&datagram(40), 24);
        let mut forged = fragments(&datagram(40), 32).swap_remove(0);
        forged[20..].fill(0xee);
        add(&mut table, &parts[0], START);
        add(&mut table, &forged, START);
        let (Progress::Complete(whole), _) = add(&mut table, &parts[1], START) else { panic!("whole") };
        assert_eq!(whole.payload[..24], datagram(40)[20..44]);
        assert_eq!(whole.payload[24..32], [0xee; 8]);
        assert_eq!(whole.payload[32..], datagram(40)[52..]);
    }

    #[test]
    fn a_fragment_beyond_the_end_is_malformed() {
        let mut table = Fragments::new(Digester::new(1), TIMEOUT);
        add(&mut table, &fragments(&datagram(24), 16)[1], START);
        assert!(matches!(add(&mut table, &fragments(&datagram(60), 16)[3], START).0, Progress::Malformed));
    }

    #[test]
    fn a_flood_of_first_fragments_keeps_the_caps() {
        let mut table = Fragments::new(Digester::new(1), TIMEOUT);
        let mut given_up = 0;
        let payload = vec![7; 1_400];
        for number in 0..20_000_u32 {
            let source = format!("10.{}.{}.1:5060", number >> 8, number & 255);
            let part = fragments(&udp(&source, PBX, number as u16, &payload), 1_200).swap_remove(0);
            given_up += add(&mut table, &part, START).1.len() as u64;
            assert!(table.table.len() <= MAX_DATAGRAMS && table.bytes <= MAX_BYTES);
        }
        assert_eq!(table.counts().evicted, given_up);
        assert_eq!(table.table.len() as u64 + given_up, 20_000);
    }

    proptest! {
        #[test]
        fn any_order_gives_the_datagram(len in 1usize..3_000, size in 1usize..40, shuffle in any::<u64>()) {
            let packet = datagram(len);
            let mut parts = fragments(&packet, size * 8);
            prop_assume!(parts.len() > 1 && parts.len() <= MAX_PIECES);
            let count = parts.len();
            for at in 0..count {
                parts.swap(at, (shuffle >> (at % 48)) as usize % count);
            }
            let mut table = Fragments::new(Digester::new(1), TIMEOUT);
            let whole: Vec<_> = parts.iter().filter_map(|part| match add(&mut table, part, START).0 {
                Progress::Complete(whole) => Some(whole.payload),
                _ => None,
            }).collect();
            prop_assert_eq!(whole, [packet[20..].to_vec()]);
            prop_assert_eq!(table.bytes, 0);
        }
    }
}
