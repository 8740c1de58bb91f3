//! Tunnels and mirror encapsulations: GRE, ERSPAN, VXLAN, GTP-U.

use etherparse::EtherType;

use super::{Packet, Tagging, Way, ip, link};
use crate::config::Tunnel;
use crate::decode::outcome::Skip;
use crate::decode::read::{u8_at, u16_at};

/// Protocol types of GRE that are no EtherTypes of their own.
mod gre_protocol {
    pub(super) const TRANSPARENT_ETHERNET: u16 = 0x6558;
    pub(super) const PPP: u16 = 0x880b;
    pub(super) const ERSPAN: u16 = 0x88be;
    pub(super) const ERSPAN_III: u16 = 0x22eb;
}

/// Reads a GRE packet (RFC 2784, RFC 2890; version 1 of RFC 2637).
pub(super) fn gre(bytes: &[u8], tagging: Tagging, way: Way) -> Result<Packet<'_>, Skip> {
    let (Some(flags), Some(protocol)) = (u16_at(bytes, 0), u16_at(bytes, 2)) else { return Err(Skip::Truncated) };
    let optional = |bit: u16| if flags & bit != 0 { 4 } else { 0 };
    let (checksum, key, sequence) = (optional(0x8000), optional(0x2000), optional(0x1000));
    let acknowledgement = if flags & 7 == 1 { optional(0x0080) } else { 0 };
    let payload = bytes.get(4 + checksum + key + sequence + acknowledgement..).ok_or(Skip::Truncated)?;
    let inside = match protocol {
        gre_protocol::TRANSPARENT_ETHERNET => link::ethernet(payload, tagging, way),
        gre_protocol::PPP => link::ppp(payload, tagging, way),
        // Type I has no header of its own and no sequence number; type II has eight bytes, type III twelve and an optional eight.
        gre_protocol::ERSPAN if sequence == 0 => link::ethernet(payload, tagging, way),
        gre_protocol::ERSPAN => link::ethernet(payload.get(8..).ok_or(Skip::Truncated)?, tagging, way),
        gre_protocol::ERSPAN_III => {
            let subheader = if u8_at(payload, 11).ok_or(Skip::Truncated)? & 1 == 1 { 8 } else { 0 };
            link::ethernet(payload.get(12 + subheader..).ok_or(Skip::Truncated)?, tagging, way)
        }
        other => link::typed(EtherType(other), payload, tagging, way),
    };
    let is_mirror = matches!(protocol, gre_protocol::ERSPAN | gre_protocol::ERSPAN_III);
    way.opened(if is_mirror { Tunnel::Erspan } else { Tunnel::Gre }, inside)
}

/// Reads a VXLAN payload (RFC 7348 §5); `None` when it is something else on that port.
pub(super) fn vxlan(payload: &[u8], tagging: Tagging, way: Way) -> Option<Result<Packet<'_>, Skip>> {
    let valid_network = u8_at(payload, 0)? & 0x08 != 0;
    if !valid_network {
        return None;
    }
    Some(link::ethernet(payload.get(8..)?, tagging, way))
}

/// Reads a GTP-U payload (3GPP TS 29.281 §5); `None` when it is signalling or something else on that port.
pub(super) fn gtp_u(payload: &[u8], tagging: Tagging, way: Way) -> Option<Result<Packet<'_>, Skip>> {
    const G_PDU: u8 = 0xff;
    let flags = u8_at(payload, 0)?;
    if flags & 0xf0 != 0x30 || u8_at(payload, 1)? != G_PDU {
        return None;
    }
    let mut at = 8;
    if flags & 0x07 != 0 {
        at = 12;
        let mut extension = if flags & 0x04 != 0 { u8_at(payload, 11)? } else { 0 };
        while extension != 0 {
            let length = usize::from(u8_at(payload, at)?) * 4;
            if length == 0 {
                return None;
            }
            at += length;
            extension = u8_at(payload, at - 1)?;
        }
    }
    Some(ip::packet(payload.get(at..)?, tagging, way))
}
