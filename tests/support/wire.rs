//! Packets from the inside out: UDP and TCP in IPv4 or IPv6 in a link layer, checksums included.

use std::net::{IpAddr, SocketAddr};

/// Bytes an Ethernet carries per frame; larger datagrams are fragmented.
const MTU: usize = 1500;
/// Bytes of an IPv4 header without options.
const IPV4_HEADER: usize = 20;

/// How the frames of a capture begin.
#[derive(Clone, Copy)]
pub(crate) enum Link {
    /// Ethernet.
    Ethernet,
    /// Ethernet with an 802.1Q tag.
    Vlan(u16),
    /// Linux cooked capture, version 1: the `any` interface.
    Cooked,
    /// IP without a link header.
    Raw,
}

impl Link {
    /// The number of the link type in capture files.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Ethernet | Self::Vlan(_) => 1,
            Self::Cooked => 113,
            Self::Raw => 101,
        }
    }

    /// An IP packet as a frame of this link.
    pub(crate) fn frame(self, packet: &[u8]) -> Vec<u8> {
        let protocol: [u8; 2] = if packet[0] >> 4 == 6 { [0x86, 0xdd] } else { [0x08, 0x00] };
        let mut frame = match self {
            Self::Raw => Vec::new(),
            // Received by this host, ARPHRD_ETHER, an address of six bytes and two of padding.
            Self::Cooked => [&[0, 0, 0, 1, 0, 6, 0x02, 0, 0x5e, 0, 0, 1, 0, 0][..], &protocol].concat(),
            Self::Ethernet => [&ETHERNET_ADDRESSES[..], &protocol].concat(),
            Self::Vlan(tag) => [&ETHERNET_ADDRESSES[..], &[0x81, 0x00], &tag.to_be_bytes(), &protocol].concat(),
        };
        frame.extend_from_slice(packet);
        frame
    }
}

/// Two locally administered addresses.
const ETHERNET_ADDRESSES: [u8; 12] = [0x02, 0, 0x5e, 0, 0, 1, 0x02, 0, 0x5e, 0, 0, 2];

/// What an IP packet carries.
#[derive(Clone, Copy)]
pub(crate) enum Protocol {
    Icmp = 1,
    IpInIp = 4,
    Tcp = 6,
    Udp = 17,
    Gre = 47,
    Sctp = 132,
}

/// A UDP datagram.
pub(crate) fn datagram(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut bytes = ports(source, destination);
    bytes.extend_from_slice(&(8 + payload.len() as u16).to_be_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(payload);
    // Zero means "no checksum" in UDP, so a sum of zero is sent as its other form.
    let sum = transport_checksum(source.ip(), destination.ip(), Protocol::Udp, &bytes);
    bytes[6..8].copy_from_slice(&(if sum == 0 { 0xffff } else { sum }).to_be_bytes());
    bytes
}

/// Flags of a TCP segment.
pub(crate) mod flag {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RST: u8 = 0x04;
    pub(crate) const PSH: u8 = 0x08;
    pub(crate) const ACK: u8 = 0x10;
}

/// A TCP segment without options.
pub(crate) fn segment(source: SocketAddr, destination: SocketAddr, seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = ports(source, destination);
    bytes.extend_from_slice(&seq.to_be_bytes());
    bytes.extend_from_slice(&ack.to_be_bytes());
    bytes.extend_from_slice(&[5 << 4, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
    bytes.extend_from_slice(payload);
    let sum = transport_checksum(source.ip(), destination.ip(), Protocol::Tcp, &bytes);
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// An ICMP "port unreachable" about `packet`, of which it quotes the headers and the first eight bytes of payload.
pub(crate) fn port_unreachable(packet: &[u8]) -> Vec<u8> {
    let mut bytes = vec![3, 3, 0, 0, 0, 0, 0, 0];
    bytes.extend_from_slice(&packet[..packet.len().min(IPV4_HEADER + 16)]);
    let sum = checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// The IP packets that carry `payload`: one, or for IPv4 several fragments.
pub(crate) fn ip_packets(source: IpAddr, destination: IpAddr, protocol: Protocol, id: u16, payload: &[u8]) -> Vec<Vec<u8>> {
    let (source, destination) = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => (source.octets(), destination.octets()),
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            assert!(payload.len() <= MTU - 40, "IPv6 fragments are not made");
            let mut packet = vec![0x60, 0, 0, 0];
            packet.extend_from_slice(&(payload.len() as u16).to_be_bytes());
            packet.extend_from_slice(&[protocol as u8, 64]);
            packet.extend_from_slice(&source.octets());
            packet.extend_from_slice(&destination.octets());
            packet.extend_from_slice(payload);
            return vec![packet];
        }
        _ => panic!("{source} and {destination} are not of one family"),
    };
    let per_fragment = (MTU - IPV4_HEADER) / 8 * 8;
    let count = payload.len().div_ceil(per_fragment);
    let fragments = payload.chunks(per_fragment).enumerate();
    fragments
        .map(|(index, part)| {
            let more: u16 = if index + 1 < count { 0x2000 } else { 0 };
            ipv4(source, destination, protocol, id, more | (index * per_fragment / 8) as u16, part)
        })
        .collect()
}

/// An IPv4 packet; `fragment` is the word of flags and offset.
pub(crate) fn ipv4(source: [u8; 4], destination: [u8; 4], protocol: Protocol, id: u16, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&((IPV4_HEADER + payload.len()) as u16).to_be_bytes());
    packet.extend_from_slice(&id.to_be_bytes());
    packet.extend_from_slice(&fragment.to_be_bytes());
    packet.extend_from_slice(&[64, protocol as u8, 0, 0]);
    packet.extend_from_slice(&source);
    packet.extend_from_slice(&destination);
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

fn ports(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat()
}

fn transport_checksum(source: IpAddr, destination: IpAddr, protocol: Protocol, bytes: &[u8]) -> u16 {
    let mut pseudo = Vec::new();
    for address in [source, destination] {
        match address {
            IpAddr::V4(v4) => pseudo.extend_from_slice(&v4.octets()),
            IpAddr::V6(v6) => pseudo.extend_from_slice(&v6.octets()),
        }
    }
    pseudo.extend_from_slice(&[0, protocol as u8]);
    pseudo.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    pseudo.extend_from_slice(bytes);
    checksum(&pseudo)
}

/// The internet checksum, RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let sum = words.sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}
