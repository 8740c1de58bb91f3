//! ICMP and ICMPv6 errors, as far as they quote a UDP datagram.

use std::net::{IpAddr, SocketAddr};

use etherparse::{Icmpv4Slice, Icmpv6Slice, IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice, icmpv4, icmpv6};

use crate::decode::dissect::Undelivered;
use crate::decode::flow::{Flow, Transport};
use crate::decode::read::u16_at;

/// The UDP datagram that an ICMP message says could not be delivered, if it says so. "Fragmentation needed" is path MTU
/// discovery, which loses nothing for good.
pub(super) fn undelivered_v4(bytes: &[u8]) -> Option<Undelivered<'_>> {
    let message = Icmpv4Slice::from_slice(bytes).ok()?;
    if message.type_u8() != icmpv4::TYPE_DEST_UNREACH || message.code_u8() == icmpv4::CODE_DST_UNREACH_NEED_FRAG {
        return None;
    }
    let quote = message.payload();
    let header = Ipv4HeaderSlice::from_slice(quote).ok()?;
    if header.protocol() != IpNumber::UDP || header.fragments_offset().value() != 0 {
        return None;
    }
    let flow = flow(header.source_addr().into(), header.destination_addr().into(), quote.get(header.slice().len()..)?)?;
    Some(Undelivered { flow, quote })
}

/// The UDP datagram that an ICMPv6 message says could not be delivered, if it says so.
pub(super) fn undelivered_v6(bytes: &[u8]) -> Option<Undelivered<'_>> {
    let message = Icmpv6Slice::from_slice(bytes).ok()?;
    if message.type_u8() != icmpv6::TYPE_DST_UNREACH {
        return None;
    }
    let quote = message.payload();
    let header = Ipv6HeaderSlice::from_slice(quote).ok()?;
    if header.next_header() != IpNumber::UDP {
        return None;
    }
    let flow = flow(header.source_addr().into(), header.destination_addr().into(), quote.get(header.slice().len()..)?)?;
    Some(Undelivered { flow, quote })
}

/// Only the ports are asked for: of a quoted UDP header, a snap length may leave no more.
fn flow(source: IpAddr, destination: IpAddr, udp: &[u8]) -> Option<Flow> {
    Some(Flow {
        transport: Transport::Udp,
        source: SocketAddr::new(source, u16_at(udp, 0)?),
        destination: SocketAddr::new(destination, u16_at(udp, 2)?),
    })
}
