//! IPv4 and IPv6 headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Completeness, Content, Fragment, Hop, MAX_DEPTH, Packet, Position, Tagging, content};
use crate::decode::outcome::Skip;
use crate::decode::read::{array_at, u8_at, u16_at, u32_at};

/// Protocol numbers, as IANA assigns them.
pub(super) mod protocol {
    pub(in super::super) const ICMP: u8 = 1;
    pub(in super::super) const IPV4: u8 = 4;
    pub(in super::super) const TCP: u8 = 6;
    pub(in super::super) const UDP: u8 = 17;
    pub(in super::super) const IPV6: u8 = 41;
    pub(in super::super) const GRE: u8 = 47;
    pub(in super::super) const ICMPV6: u8 = 58;
    pub(in super::super) const SCTP: u8 = 132;
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const AUTHENTICATION: u8 = 51;
    pub(super) const DESTINATION: u8 = 60;
}

/// Bytes of an IPv6 header.
const V6_HEADER: usize = 40;

/// Reads an IP packet of the version that its first four bits name.
pub(super) fn packet(bytes: &[u8], tagging: Tagging, depth: u8) -> Result<Packet<'_>, Skip> {
    if depth > MAX_DEPTH {
        return Err(Skip::Malformed);
    }
    match u8_at(bytes, 0).ok_or(Skip::Truncated)? >> 4 {
        4 => v4(bytes, tagging, depth),
        6 => v6(bytes, tagging, depth),
        _ => Err(Skip::Malformed),
    }
}

fn v4(bytes: &[u8], tagging: Tagging, depth: u8) -> Result<Packet<'_>, Skip> {
    let header: [u8; 20] = array_at(bytes, 0).ok_or(Skip::Truncated)?;
    let [version, _, l0, l1, i0, i1, f0, f1, ttl, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = header;
    let header_len = usize::from(version & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([l0, l1]));
    if header_len < 20 || (total != 0 && total < header_len) {
        return Err(Skip::Malformed);
    }
    // Segmentation offload leaves the total length 0 in packets captured before the card filled it in.
    let (body, completeness) = body(bytes, header_len, if total == 0 { bytes.len() } else { total })?;
    let hop = Hop {
        source: IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
        destination: IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
        ident: u16::from_be_bytes([i0, i1]),
        ttl,
        tagging,
    };
    let flags = u16::from_be_bytes([f0, f1]);
    let offset = u32::from(flags & 0x1fff) * 8;
    let position = if flags & 0x2000 == 0 { Position::Last } else { Position::Inner };
    if offset == 0 && position == Position::Last {
        return content(hop, protocol, body, completeness, depth);
    }
    fragment(hop, completeness, Fragment { ident: u32::from(hop.ident), protocol, offset, position, payload: body })
}

fn v6(bytes: &[u8], tagging: Tagging, depth: u8) -> Result<Packet<'_>, Skip> {
    let (Some(length), Some(next), Some(ttl)) = (u16_at(bytes, 4), u8_at(bytes, 6), u8_at(bytes, 7)) else {
        return Err(Skip::Truncated);
    };
    let source = array_at::<16>(bytes, 8).ok_or(Skip::Truncated)?;
    let destination = array_at::<16>(bytes, 24).ok_or(Skip::Truncated)?;
    let hop =
        Hop { source: IpAddr::V6(Ipv6Addr::from(source)), destination: IpAddr::V6(Ipv6Addr::from(destination)), ident: 0, ttl, tagging };
    // A length of 0 is a jumbogram or a packet before segmentation offload: all there is belongs to it.
    let total = if length == 0 { bytes.len() } else { V6_HEADER + usize::from(length) };
    let (body, completeness) = body(bytes, V6_HEADER, total)?;
    extensions(hop, next, body, completeness, depth)
}

/// Walks the extension headers; their number is bounded by the bytes, since each has at least eight.
fn extensions(hop: Hop, mut next: u8, mut body: &[u8], completeness: Completeness, depth: u8) -> Result<Packet<'_>, Skip> {
    loop {
        let length = match next {
            protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION => usize::from(u8_at(body, 1).ok_or(Skip::Truncated)?) * 8 + 8,
            protocol::AUTHENTICATION => usize::from(u8_at(body, 1).ok_or(Skip::Truncated)?) * 4 + 8,
            protocol::FRAGMENT => {
                let (Some(protocol), Some(place), Some(ident)) = (u8_at(body, 0), u16_at(body, 2), u32_at(body, 4)) else {
                    return Err(Skip::Truncated);
                };
                let payload = body.get(8..).unwrap_or_default();
                let offset = u32::from(place & 0xfff8);
                let position = if place & 1 == 0 { Position::Last } else { Position::Inner };
                // An atomic fragment is a whole packet (RFC 6946).
                if offset == 0 && position == Position::Last {
                    return content(hop, protocol, payload, completeness, depth);
                }
                return fragment(hop, completeness, Fragment { ident, protocol, offset, position, payload });
            }
            _ => return content(hop, next, body, completeness, depth),
        };
        next = u8_at(body, 0).ok_or(Skip::Truncated)?;
        body = body.get(length..).ok_or_else(|| super::missing(completeness))?;
    }
}

/// What lies between the header and the end of the packet, or of the capture.
fn body(bytes: &[u8], header: usize, total: usize) -> Result<(&[u8], Completeness), Skip> {
    let completeness = match total.checked_sub(bytes.len()) {
        None | Some(0) => Completeness::Whole,
        Some(missing) => Completeness::Cut { missing },
    };
    let body = bytes.get(header..total.min(bytes.len())).ok_or(Skip::Truncated)?;
    Ok((body, completeness))
}

/// A cut fragment can never make a whole packet; one that is not a multiple of eight bytes and not the last contradicts itself.
fn fragment(hop: Hop, completeness: Completeness, fragment: Fragment<'_>) -> Result<Packet<'_>, Skip> {
    if completeness != Completeness::Whole {
        return Err(Skip::Truncated);
    }
    if fragment.payload.is_empty() || (fragment.position == Position::Inner && !fragment.payload.len().is_multiple_of(8)) {
        return Err(Skip::Malformed);
    }
    Ok(Packet { hop, content: Content::Fragment(fragment) })
}
