//! One frame, without memory of others: link layer, tunnels, IP, and the header of what IP carries.
//!
//! `etherparse` slices the headers it knows, one at a time; the others are read by hand. Only what leads to a port and a payload is
//! looked at, checksums never (offloading leaves them wrong), and lengths that contradict the capture are taken as far as there are bytes.

mod icmp;
mod ip;
mod link;
mod sctp;
mod tcp;
mod tunnel;
mod udp;

use std::net::{IpAddr, SocketAddr};

use etherparse::IpNumber;

use crate::config::{Tunnel, Tunnels};
use crate::decode::flow::{Flow, Transport};
use crate::decode::frame::LinkType;
use crate::decode::outcome::Skip;

pub use sctp::{DataChunk, data_chunks};
pub use tcp::{Segment, TcpFlags};

/// Headers inside headers after which a packet is malformed rather than tunnelled.
const MAX_DEPTH: u8 = 8;

/// Whether a packet came with an 802.1Q tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tagging {
    /// No VLAN tag.
    Untagged,
    /// One or more VLAN tags.
    Tagged,
}

/// Whether all bytes that were sent were captured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Completeness {
    /// Every byte is here.
    Whole,
    /// The snap length cut some off.
    Cut {
        /// How many.
        missing: usize,
    },
}

/// The innermost IP header of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hop {
    /// The sender.
    pub source: IpAddr,
    /// The receiver.
    pub destination: IpAddr,
    /// IPv4 identification; 0 where there is none.
    pub ident: u16,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// VLAN tags around it.
    pub tagging: Tagging,
}

impl Hop {
    /// The flow between two ports of this hop.
    pub fn flow(&self, transport: Transport, source_port: u16, destination_port: u16) -> Flow {
        Flow {
            transport,
            source: SocketAddr::new(self.source, source_port),
            destination: SocketAddr::new(self.destination, destination_port),
        }
    }
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Datagram<'a> {
    /// Port of the sender.
    pub source_port: u16,
    /// Port of the receiver.
    pub destination_port: u16,
    /// What was captured of its payload.
    pub payload: &'a [u8],
    /// Whether that is all of it.
    pub completeness: Completeness,
}

/// A fragment of an IP packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fragment<'a> {
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub ident: u32,
    /// What the whole packet carries.
    pub protocol: IpNumber,
    /// Where the payload belongs in the whole, in bytes.
    pub offset: u32,
    /// Whether further fragments follow.
    pub position: Position,
    /// Its part of the whole packet's payload.
    pub payload: &'a [u8],
}

/// Where a fragment stands among those of its packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Position {
    /// Others follow.
    Inner,
    /// It is the last.
    Last,
}

/// What an IP packet carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Content<'a> {
    /// A datagram.
    Udp(Datagram<'a>),
    /// A segment.
    Tcp(Segment<'a>),
    /// An SCTP packet: ports and chunks.
    Sctp {
        /// Port of the sender.
        source_port: u16,
        /// Port of the receiver.
        destination_port: u16,
        /// The chunks behind the common header.
        chunks: &'a [u8],
    },
    /// An ICMP message; where it says that a UDP datagram could not be delivered, that datagram.
    Icmp(Option<Undelivered<'a>>),
    /// A part of a packet that must first become whole.
    Fragment(Fragment<'a>),
}

/// A UDP datagram that could not be delivered, as an ICMP error tells of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Undelivered<'a> {
    /// Its flow, as it was sent.
    pub flow: Flow,
    /// Its beginning from the IP header on, as much of it as the error quotes.
    pub quote: &'a [u8],
}

/// The innermost IP packet of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet<'a> {
    /// Its IP header.
    pub hop: Hop,
    /// What it carries.
    pub content: Content<'a>,
}

/// How far inside other headers something stands, and how much further one may look.
#[derive(Clone, Copy)]
struct Way {
    depth: u8,
    tunnels: Tunnels,
}

impl Way {
    fn deeper(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    /// What was found inside a tunnel, where tunnels of that kind are believed.
    fn opened(self, tunnel: Tunnel, inside: Result<Packet<'_>, Skip>) -> Result<Packet<'_>, Skip> {
        match inside {
            Err(reason) if reason.tunnel().is_none() => Err(reason),
            _ if !self.tunnels.contains(tunnel) => Err(tunnel.into()),
            _ => inside,
        }
    }
}

/// Reads a frame as far as its innermost transport header, through such tunnels as are believed, or says why there is none.
pub fn dissect(link: LinkType, bytes: &[u8], tunnels: Tunnels) -> Result<Packet<'_>, Skip> {
    link::packet(link, bytes, Way { depth: 0, tunnels })
}

/// Reads what a whole IP packet carries, once its fragments are together.
pub fn reassembled(hop: Hop, protocol: IpNumber, payload: &[u8], tunnels: Tunnels) -> Result<Packet<'_>, Skip> {
    content(hop, protocol, payload, Completeness::Whole, Way { depth: MAX_DEPTH / 2, tunnels })
}

/// Reads the payload of an IP packet by its protocol number.
fn content(hop: Hop, protocol: IpNumber, payload: &[u8], completeness: Completeness, way: Way) -> Result<Packet<'_>, Skip> {
    if way.depth > MAX_DEPTH {
        return Err(Skip::Malformed);
    }
    let content = match protocol {
        IpNumber::UDP => return udp::packet(hop, payload, completeness, way),
        IpNumber::TCP => tcp::segment(payload, completeness).map(Content::Tcp),
        IpNumber::SCTP => sctp::content(payload, completeness),
        IpNumber::ICMP => Ok(Content::Icmp(icmp::undelivered_v4(payload))),
        IpNumber::IPV6_ICMP => Ok(Content::Icmp(icmp::undelivered_v6(payload))),
        IpNumber::IPV4 | IpNumber::IPV6 => return way.opened(Tunnel::Ipip, ip::packet(payload, hop.tagging, way.deeper())),
        IpNumber::GRE => return tunnel::gre(payload, hop.tagging, way.deeper()),
        _ => Err(Skip::NotSip),
    }?;
    Ok(Packet { hop, content })
}

/// Why a header cannot be read: because the capture cut it off, or because it was never there.
fn missing(completeness: Completeness) -> Skip {
    match completeness {
        Completeness::Whole => Skip::Malformed,
        Completeness::Cut { .. } => Skip::Truncated,
    }
}

#[cfg(test)]
mod tests;
