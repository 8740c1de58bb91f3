//! Link layers: from the first byte of a frame to its IP header.

use etherparse::{EtherType, Ethernet2Slice, SingleVlanSlice};

use super::{MAX_DEPTH, Packet, Tagging, Way, ip};
use crate::decode::frame::LinkType;
use crate::decode::outcome::Skip;
use crate::decode::read::{u8_at, u16_at};

/// EtherTypes that `etherparse` does not name, as IEEE assigns them.
mod ether_type {
    use etherparse::EtherType;

    pub(super) const PPPOE_SESSION: EtherType = EtherType(0x8864);
    pub(super) const MPLS: EtherType = EtherType(0x8847);
    pub(super) const MPLS_MULTICAST: EtherType = EtherType(0x8848);
    /// Values up to here are lengths of IEEE 802.3.
    pub(super) const MAX_LENGTH: u16 = 1500;
}

/// Reads a frame of the link type.
pub(super) fn packet(link: LinkType, bytes: &[u8], way: Way) -> Result<Packet<'_>, Skip> {
    match link {
        LinkType::ETHERNET => ethernet(bytes, Tagging::Untagged, way),
        LinkType::LINUX_SLL => cooked(bytes, 14, 16, way),
        LinkType::LINUX_SLL2 => cooked(bytes, 0, 20, way),
        // 12 and 14 are what several systems called raw IP before 101 was assigned.
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 | LinkType(12 | 14) => ip::packet(bytes, Tagging::Untagged, way),
        LinkType::NULL | LinkType::LOOP => loopback(bytes, way),
        _ => Err(Skip::NotIp),
    }
}

/// Reads an Ethernet frame; padding behind the IP packet is cut off by its length.
pub(super) fn ethernet(bytes: &[u8], tagging: Tagging, way: Way) -> Result<Packet<'_>, Skip> {
    let frame = Ethernet2Slice::from_slice_without_fcs(bytes).map_err(|_| Skip::Truncated)?;
    typed(frame.ether_type(), frame.payload_slice(), tagging, way)
}

/// Reads what a protocol number of Ethernet announces, through any number of VLAN tags.
pub(super) fn typed(mut kind: EtherType, mut bytes: &[u8], mut tagging: Tagging, way: Way) -> Result<Packet<'_>, Skip> {
    while matches!(kind, EtherType::VLAN_TAGGED_FRAME | EtherType::PROVIDER_BRIDGING | EtherType::VLAN_DOUBLE_TAGGED_FRAME) {
        let tag = SingleVlanSlice::from_slice(bytes).map_err(|_| Skip::Truncated)?;
        (kind, bytes, tagging) = (tag.ether_type(), tag.payload_slice(), Tagging::Tagged);
    }
    match kind {
        EtherType::IPV4 | EtherType::IPV6 => ip::packet(bytes, tagging, way),
        ether_type::PPPOE_SESSION => ppp(bytes.get(6..).ok_or(Skip::Truncated)?, tagging, way),
        ether_type::MPLS | ether_type::MPLS_MULTICAST => mpls(bytes, tagging, way),
        EtherType(..=ether_type::MAX_LENGTH) => snap(bytes, tagging, way),
        _ => Err(Skip::NotIp),
    }
}

/// Reads a PPP frame, with or without HDLC address and control, the protocol field compressed or not (RFC 1661 §6.5).
pub(super) fn ppp(bytes: &[u8], tagging: Tagging, way: Way) -> Result<Packet<'_>, Skip> {
    let bytes = bytes.strip_prefix(&[0xff, 0x03]).unwrap_or(bytes);
    let rest = match bytes {
        [0x00, 0x21 | 0x57, rest @ ..] | [0x21 | 0x57, rest @ ..] => rest,
        [] => return Err(Skip::Truncated),
        _ => return Err(Skip::NotIp),
    };
    ip::packet(rest, tagging, way)
}

/// Both versions of Linux "cooked" captures. `etherparse` knows the first alone, and of it only what came in over Ethernet: not the
/// packets of loopback, tunnels and PPP, which the `any` interface sees too.
fn cooked(bytes: &[u8], protocol_at: usize, header: usize, way: Way) -> Result<Packet<'_>, Skip> {
    let kind = u16_at(bytes, protocol_at).ok_or(Skip::Truncated)?;
    typed(EtherType(kind), bytes.get(header..).ok_or(Skip::Truncated)?, Tagging::Untagged, way)
}

/// The address family is written in the byte order of the capturing host and its number depends on the system, so both orders and all
/// numbers of IPv4 (2) and IPv6 (10, 24, 28, 30) are taken.
fn loopback(bytes: &[u8], way: Way) -> Result<Packet<'_>, Skip> {
    match bytes {
        [0, 0, 0, 2 | 10 | 24 | 28 | 30, rest @ ..] | [2 | 10 | 24 | 28 | 30, 0, 0, 0, rest @ ..] => {
            ip::packet(rest, Tagging::Untagged, way)
        }
        [_, _, _, _, ..] => Err(Skip::NotIp),
        _ => Err(Skip::Truncated),
    }
}

/// IEEE 802.3 with an LLC and SNAP header that names an EtherType.
fn snap(bytes: &[u8], tagging: Tagging, way: Way) -> Result<Packet<'_>, Skip> {
    match bytes {
        [0xaa, 0xaa, 0x03, 0, 0, 0, high, low, rest @ ..] if way.depth < MAX_DEPTH => {
            typed(EtherType(u16::from_be_bytes([*high, *low])), rest, tagging, way.deeper())
        }
        _ => Err(Skip::NotIp),
    }
}

/// MPLS names no protocol: behind the bottom of the stack an IP version decides.
fn mpls(mut bytes: &[u8], tagging: Tagging, way: Way) -> Result<Packet<'_>, Skip> {
    loop {
        let bottom = u8_at(bytes, 2).ok_or(Skip::Truncated)? & 1;
        bytes = bytes.get(4..).ok_or(Skip::Truncated)?;
        if bottom == 1 {
            break;
        }
    }
    match u8_at(bytes, 0).map(|byte| byte >> 4) {
        Some(4 | 6) => ip::packet(bytes, tagging, way),
        _ => Err(Skip::NotIp),
    }
}
