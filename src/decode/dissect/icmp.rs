//! ICMP and ICMPv6 errors, as far as they quote a UDP datagram.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::ip::protocol;
use crate::decode::flow::{Flow, Transport};
use crate::decode::read::{array_at, u8_at, u16_at};

/// Bytes before the quoted packet.
const HEADER: usize = 8;
/// ICMP "destination unreachable" (RFC 792).
const UNREACHABLE_V4: u8 = 3;
/// Its code "fragmentation needed": path MTU discovery, which loses nothing for good.
const FRAGMENTATION_NEEDED: u8 = 4;
/// ICMPv6 "destination unreachable" (RFC 4443 §3.1).
const UNREACHABLE_V6: u8 = 1;

/// The flow of the UDP datagram that the message says could not be delivered, if it says so.
pub(super) fn undelivered(kind: u8, bytes: &[u8]) -> Option<Flow> {
    let quote = bytes.get(HEADER..)?;
    match (kind, u8_at(bytes, 0)?, u8_at(bytes, 1)?) {
        (protocol::ICMP, UNREACHABLE_V4, code) if code != FRAGMENTATION_NEEDED => quoted_v4(quote),
        (protocol::ICMPV6, UNREACHABLE_V6, _) => quoted_v6(quote),
        _ => None,
    }
}

fn quoted_v4(quote: &[u8]) -> Option<Flow> {
    let later_fragment = u16_at(quote, 6)? & 0x1fff != 0;
    if u8_at(quote, 9)? != protocol::UDP || later_fragment {
        return None;
    }
    let source = Ipv4Addr::from(array_at::<4>(quote, 12)?);
    let destination = Ipv4Addr::from(array_at::<4>(quote, 16)?);
    ports(quote, usize::from(u8_at(quote, 0)? & 0x0f) * 4, IpAddr::V4(source), IpAddr::V4(destination))
}

fn quoted_v6(quote: &[u8]) -> Option<Flow> {
    if u8_at(quote, 6)? != protocol::UDP {
        return None;
    }
    let source = Ipv6Addr::from(array_at::<16>(quote, 8)?);
    let destination = Ipv6Addr::from(array_at::<16>(quote, 24)?);
    ports(quote, 40, IpAddr::V6(source), IpAddr::V6(destination))
}

fn ports(quote: &[u8], at: usize, source: IpAddr, destination: IpAddr) -> Option<Flow> {
    Some(Flow {
        transport: Transport::Udp,
        source: SocketAddr::new(source, u16_at(quote, at)?),
        destination: SocketAddr::new(destination, u16_at(quote, at + 2)?),
    })
}
