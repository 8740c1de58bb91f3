//! Packets on raw IP, each a record of a pcap file.

use std::net::{IpAddr, SocketAddr};

use etherparse::{
    IpFragOffset, IpHeaders, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6FragmentHeader, Ipv6Header, PacketBuilder, PacketBuilderStep,
    TcpHeader,
};

use crate::decode::flow::Flow;
use crate::time::PacketTime;

/// The head of a pcap file with nanoseconds, little-endian, raw IP.
pub(super) const FILE_HEADER: [u8; 24] = [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
/// Time to live of every packet.
const TTL: u8 = 64;
/// Bytes of the user data of a packet at most; what is longer is cut off, and the record says so.
const MAX_PAYLOAD: usize = 65_000;
/// Nanoseconds in a second.
const NANOS: i64 = 1_000_000_000;

/// What a TCP segment is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Segment {
    /// Asks for a connection.
    Syn,
    /// Grants it.
    SynAck,
    /// Carries data.
    Data,
    /// Ends one direction.
    Fin,
    /// Refuses.
    Reset,
}

/// Whether all of a packet is in its record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Whole {
    /// It is.
    Yes,
    /// The last byte is missing.
    No,
}

/// Makes packets.
#[derive(Debug, Default)]
pub(super) struct Packets {
    /// Identification of the last IPv4 packet: no two packets that are near each other share one.
    ident: u16,
}

impl Packets {
    /// A UDP datagram.
    pub(super) fn udp(&mut self, out: &mut Vec<u8>, time: PacketTime, flow: &Flow, payload: &[u8]) {
        let Some(step) = self.ip(flow.source.ip(), flow.destination.ip(), IpNumber::UDP) else { return };
        let (payload, whole) = cut(payload);
        let udp = step.udp(flow.source.port(), flow.destination.port());
        record(out, time, whole, |out| {
            // Writing to memory fails only where the packet would be too long for IP.
            let _ = udp.write_to_vec(out, payload);
        });
    }

    /// A TCP segment.
    pub(super) fn tcp(
        &mut self,
        out: &mut Vec<u8>,
        time: PacketTime,
        (source, destination): (SocketAddr, SocketAddr),
        (segment, sequence, acknowledged): (Segment, u32, u32),
        (payload, whole): (&[u8], Whole),
    ) {
        let Some(step) = self.ip(source.ip(), destination.ip(), IpNumber::TCP) else { return };
        let mut header = TcpHeader::new(source.port(), destination.port(), sequence, 65_535);
        header.syn = matches!(segment, Segment::Syn | Segment::SynAck);
        header.ack = segment != Segment::Syn;
        header.psh = segment == Segment::Data;
        header.fin = segment == Segment::Fin;
        header.rst = segment == Segment::Reset;
        header.acknowledgment_number = if header.ack { acknowledged } else { 0 };
        let tcp = step.tcp_header(header);
        record(out, time, whole, |out| {
            // Writing to memory fails only where the packet would be too long for IP.
            let _ = tcp.write_to_vec(out, payload);
        });
    }

    /// An SCTP packet with one user message.
    pub(super) fn sctp(&mut self, out: &mut Vec<u8>, time: PacketTime, flow: &Flow, number: u32, payload: &[u8]) {
        let Some(step) = self.ip(flow.source.ip(), flow.destination.ip(), IpNumber::SCTP) else { return };
        let (payload, whole) = cut(payload);
        let mut packet = Vec::with_capacity(payload.len() + 32);
        packet.extend(flow.source.port().to_be_bytes());
        packet.extend(flow.destination.port().to_be_bytes());
        // Verification tag and checksum: nobody here knows the first, and the second then matters to nobody.
        packet.extend([0; 8]);
        packet.extend([0, 3]);
        packet.extend((payload.len() as u16 + 16).to_be_bytes());
        packet.extend(number.to_be_bytes());
        packet.extend([0; 8]);
        packet.extend(payload);
        packet.resize(packet.len().next_multiple_of(4), 0);
        record(out, time, whole, |out| {
            // Writing to memory fails only where the packet would be too long for IP.
            let _ = step.write_to_vec(out, IpNumber::SCTP, &packet);
        });
    }

    /// The ICMP error that says that a datagram along the flow could not be delivered.
    pub(super) fn unreachable(&mut self, out: &mut Vec<u8>, time: PacketTime, flow: &Flow) {
        let (source, destination) = (flow.source.ip(), flow.destination.ip());
        let mut quote = Vec::with_capacity(48);
        let Some(quoted) = self.ip(source, destination, IpNumber::UDP) else { return };
        if quoted.udp(flow.source.port(), flow.destination.port()).write_to_vec(&mut quote, &[]).is_err() {
            return;
        }
        match source {
            IpAddr::V4(_) => {
                let Some(step) = self.ip(destination, source, IpNumber::ICMP) else { return };
                record(out, time, Whole::Yes, |out| {
                    // Writing to memory fails only where the packet would be too long for IP.
                    let _ = step.icmpv4_raw(3, 3, [0; 4]).write_to_vec(out, &quote);
                });
            }
            IpAddr::V6(_) => {
                let Some(step) = self.ip(destination, source, IpNumber::IPV6_ICMP) else { return };
                record(out, time, Whole::Yes, |out| {
                    // Writing to memory fails only where the packet would be too long for IP.
                    let _ = step.icmpv6_raw(1, 4, [0; 4]).write_to_vec(out, &quote);
                });
            }
        }
    }

    /// What is left of a datagram of `bytes` bytes that lost fragments: its first piece where the ports are known, and its last.
    pub(super) fn fragments(&mut self, out: &mut Vec<u8>, time: PacketTime, flow: &Flow, bytes: u32) {
        let bytes = bytes.clamp(17, 65_000) as u16;
        // The first piece has 8 bytes; a hole of 8 bytes at least lies behind it.
        let last = ((bytes - 1) / 8 * 8).max(16);
        self.ident = self.ident.wrapping_add(1).max(1);
        let first = [flow.source.port().to_be_bytes(), flow.destination.port().to_be_bytes(), bytes.to_be_bytes(), [0; 2]].concat();
        if flow.source.port() != 0 {
            self.fragment(out, time, flow, (0, true), &first);
        }
        self.fragment(out, time, flow, (last, false), &vec![0; usize::from(bytes - last)]);
    }

    fn fragment(&self, out: &mut Vec<u8>, time: PacketTime, flow: &Flow, (offset, more): (u16, bool), payload: &[u8]) {
        let Ok(place) = IpFragOffset::try_new(offset / 8) else { return };
        match (flow.source.ip(), flow.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let Ok(mut header) = Ipv4Header::new(payload.len() as u16, TTL, IpNumber::UDP, source.octets(), destination.octets())
                else {
                    return;
                };
                header.identification = self.ident;
                header.dont_fragment = false;
                header.more_fragments = more;
                header.fragment_offset = place;
                header.header_checksum = header.calc_header_checksum();
                record(out, time, Whole::Yes, |out| {
                    out.extend(header.to_bytes());
                    out.extend(payload);
                });
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let fragment = Ipv6FragmentHeader::new(IpNumber::UDP, place, more, u32::from(self.ident));
                let header = Ipv6Header {
                    traffic_class: 0,
                    flow_label: Ipv6FlowLabel::ZERO,
                    payload_length: payload.len() as u16 + 8,
                    next_header: IpNumber::IPV6_FRAGMENTATION_HEADER,
                    hop_limit: TTL,
                    source: source.octets(),
                    destination: destination.octets(),
                };
                record(out, time, Whole::Yes, |out| {
                    out.extend(header.to_bytes());
                    out.extend(fragment.to_bytes());
                    out.extend(payload);
                });
            }
            _ => {}
        }
    }

    /// The IP header of a packet; none where the addresses are of two families.
    fn ip(&mut self, source: IpAddr, destination: IpAddr, protocol: IpNumber) -> Option<PacketBuilderStep<IpHeaders>> {
        let headers = match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut header = Ipv4Header::new(0, TTL, protocol, source.octets(), destination.octets()).ok()?;
                self.ident = self.ident.wrapping_add(1).max(1);
                header.identification = self.ident;
                IpHeaders::Ipv4(header, Default::default())
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let header = Ipv6Header {
                    traffic_class: 0,
                    flow_label: Ipv6FlowLabel::ZERO,
                    payload_length: 0,
                    next_header: protocol,
                    hop_limit: TTL,
                    source: source.octets(),
                    destination: destination.octets(),
                };
                IpHeaders::Ipv6(header, Default::default())
            }
            _ => return None,
        };
        Some(PacketBuilder::ip(headers))
    }
}

/// What of the payload fits into a packet.
fn cut(payload: &[u8]) -> (&[u8], Whole) {
    match payload.get(..MAX_PAYLOAD) {
        Some(front) if payload.len() > MAX_PAYLOAD => (front, Whole::No),
        _ => (payload, Whole::Yes),
    }
}

/// Appends a record with the packet that `write` appends. A packet that is not whole loses its last byte; a packet that cannot be written
/// leaves no record.
fn record(out: &mut Vec<u8>, time: PacketTime, whole: Whole, write: impl FnOnce(&mut Vec<u8>)) {
    let nanos = time.as_nanos();
    let start = out.len();
    out.extend((nanos.div_euclid(NANOS) as u32).to_le_bytes());
    out.extend((nanos.rem_euclid(NANOS) as u32).to_le_bytes());
    out.extend([0; 8]);
    let packet = out.len();
    write(out);
    let original = out.len() - packet;
    if original == 0 {
        out.truncate(start);
        return;
    }
    let captured = if whole == Whole::No { original - 1 } else { original };
    out.truncate(packet + captured);
    if let Some(lengths) = out.get_mut(packet - 8..packet) {
        lengths[..4].copy_from_slice(&(captured as u32).to_le_bytes());
        lengths[4..].copy_from_slice(&(original as u32).to_le_bytes());
    }
}
