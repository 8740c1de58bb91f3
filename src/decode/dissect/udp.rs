//! UDP, and the tunnels that run on it.

use super::{Completeness, Content, Datagram, Hop, MAX_DEPTH, Packet, missing, tunnel};
use crate::decode::outcome::Skip;
use crate::decode::read::u16_at;

/// Bytes of a UDP header.
const HEADER: usize = 8;

/// VXLAN, RFC 7348.
const VXLAN: u16 = 4789;
/// GTP-U, 3GPP TS 29.281.
const GTP_U: u16 = 2152;

/// Reads a datagram; where it carries a tunnel, the packet inside.
pub(super) fn packet(hop: Hop, bytes: &[u8], completeness: Completeness, depth: u8) -> Result<Packet<'_>, Skip> {
    let datagram = datagram(bytes, completeness)?;
    let inside = match (datagram.source_port, datagram.destination_port) {
        _ if depth >= MAX_DEPTH => None,
        (_, VXLAN) => tunnel::vxlan(datagram.payload, hop.tagging, depth + 1),
        (GTP_U, _) | (_, GTP_U) => tunnel::gtp_u(datagram.payload, hop.tagging, depth + 1),
        _ => None,
    };
    Ok(inside.unwrap_or(Packet { hop, content: Content::Udp(datagram) }))
}

fn datagram(bytes: &[u8], completeness: Completeness) -> Result<Datagram<'_>, Skip> {
    let (Some(source_port), Some(destination_port), Some(length)) = (u16_at(bytes, 0), u16_at(bytes, 2), u16_at(bytes, 4)) else {
        return Err(missing(completeness));
    };
    // 0 stands for a length that does not fit, or that the card fills in later.
    let length = if length == 0 { bytes.len() } else { usize::from(length) };
    if length < HEADER {
        return Err(Skip::Malformed);
    }
    let payload = bytes.get(HEADER..length.min(bytes.len())).ok_or_else(|| missing(completeness))?;
    let completeness = if length > bytes.len() { completeness } else { Completeness::Whole };
    Ok(Datagram { source_port, destination_port, payload, completeness })
}
