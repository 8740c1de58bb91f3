//! UDP, and the tunnels that run on it.

use etherparse::UdpSlice;

use super::{Completeness, Content, Datagram, Hop, MAX_DEPTH, Packet, Way, missing, tunnel};
use crate::config::Tunnel;
use crate::decode::outcome::Skip;

/// VXLAN, RFC 7348.
const VXLAN: u16 = 4789;
/// GTP-U, 3GPP TS 29.281.
const GTP_U: u16 = 2152;

/// Reads a datagram; where it carries a tunnel, the packet inside.
pub(super) fn packet(hop: Hop, bytes: &[u8], completeness: Completeness, way: Way) -> Result<Packet<'_>, Skip> {
    let datagram = datagram(bytes, completeness)?;
    let inside = match (datagram.source_port, datagram.destination_port) {
        _ if way.depth >= MAX_DEPTH => None,
        (_, VXLAN) => tunnel::vxlan(datagram.payload, hop.tagging, way.deeper()).map(|inside| way.opened(Tunnel::Vxlan, inside)),
        (GTP_U, _) | (_, GTP_U) => tunnel::gtp_u(datagram.payload, hop.tagging, way.deeper()).map(|inside| way.opened(Tunnel::Gtp, inside)),
        _ => None,
    };
    match inside {
        Some(Err(reason)) if reason.tunnel().is_some() => Err(reason),
        Some(Ok(packet)) => Ok(packet),
        // Something else on that port.
        _ => Ok(Packet { hop, content: Content::Udp(datagram) }),
    }
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
