//! UDP, and the tunnels that run on it.

use etherparse::UdpSlice;

use super::{Completeness, Content, Datagram, Hop, MAX_DEPTH, Packet, missing, tunnel};
use crate::decode::outcome::Skip;

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
    let udp = UdpSlice::from_slice_lax(bytes).map_err(|_| missing(completeness))?;
    let length = usize::from(udp.length());
    // 0 stands for a length that does not fit, or that the card fills in later.
    if (1..udp.header_len()).contains(&length) {
        return Err(Skip::Malformed);
    }
    let completeness = if length > bytes.len() { completeness } else { Completeness::Whole };
    Ok(Datagram { source_port: udp.source_port(), destination_port: udp.destination_port(), payload: udp.payload(), completeness })
}
