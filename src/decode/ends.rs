//! Keys of flows and of their ends, for tables. Digests are made for each packet, and so from the numbers that IPv4 addresses are; an IPv4
//! address mapped into IPv6 is the same.

use std::cmp::Ordering;
use std::net::{IpAddr, SocketAddr};

use crate::decode::flow::{Flow, Transport};
use crate::table::{Digest, Digester};

/// Bytes in the key of an address with its port.
pub const END_LEN: usize = 18;

/// Bytes in the key of a flow.
const FLOW_LEN: usize = 1 + 2 * END_LEN;

/// Stands for no transport in a key.
const ANY_TRANSPORT: u8 = u8::MAX;

/// Bytes that name an address with its port.
pub fn end_key(address: &SocketAddr) -> [u8; END_LEN] {
    let mut key = [0; END_LEN];
    let ip = match address.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    let (host, port) = key.split_at_mut(16);
    host.copy_from_slice(&ip.octets());
    port.copy_from_slice(&address.port().to_be_bytes());
    key
}

/// Bytes that name one direction of a flow.
pub(super) fn flow_key(flow: &Flow) -> [u8; FLOW_LEN] {
    key(number_of(flow.transport), end_key(&flow.source), end_key(&flow.destination))
}

/// The same bytes for both directions of a flow.
pub(super) fn pair_key(flow: &Flow) -> [u8; FLOW_LEN] {
    if end_key(&flow.source) <= end_key(&flow.destination) { flow_key(flow) } else { flow_key(&flow.reversed()) }
}

/// The digest of an address.
#[inline]
pub fn ip_digest(digester: Digester, address: IpAddr) -> Digest {
    match address.to_canonical() {
        IpAddr::V4(v4) => digester.number(u128::from(v4.to_bits())),
        IpAddr::V6(v6) => digester.bytes(&v6.octets()),
    }
}

/// The digest of an address with its port.
#[inline]
pub fn end_digest(digester: Digester, address: SocketAddr) -> Digest {
    match end_number(&address) {
        Some(number) => digester.number(u128::from(number)),
        None => digester.bytes(&end_key(&address)),
    }
}

/// The digest of two addresses with their ports, of one transport or of any, the same whichever comes first; and how `one` compares with
/// `other`.
#[inline]
pub fn pair_digest(digester: Digester, transport: Option<Transport>, one: SocketAddr, other: SocketAddr) -> (Digest, Ordering) {
    let transport = transport.map_or(ANY_TRANSPORT, number_of);
    if let (Some(one), Some(other)) = (end_number(&one), end_number(&other)) {
        let ends = u128::from(one.min(other)) << 48 | u128::from(one.max(other));
        return (digester.number(u128::from(transport) << 96 | ends), one.cmp(&other));
    }
    let (one, other) = (end_key(&one), end_key(&other));
    let (low, high) = if one <= other { (one, other) } else { (other, one) };
    (digester.bytes(&key(transport, low, high)), one.cmp(&other))
}

/// An IPv4 address with its port, in 48 bits.
#[inline]
pub(super) fn end_number(address: &SocketAddr) -> Option<u64> {
    let ip = match address {
        SocketAddr::V4(v4) => *v4.ip(),
        SocketAddr::V6(v6) => v6.ip().to_ipv4_mapped()?,
    };
    Some(u64::from(ip.to_bits()) << 16 | u64::from(address.port()))
}

/// A transport in a key.
#[inline]
pub(super) fn number_of(transport: Transport) -> u8 {
    match transport {
        Transport::Udp => 0,
        Transport::Tcp => 1,
        Transport::Ws => 2,
        Transport::Sctp => 3,
    }
}

fn key(transport: u8, one: [u8; END_LEN], other: [u8; END_LEN]) -> [u8; FLOW_LEN] {
    let mut key = [transport; FLOW_LEN];
    for (end, place) in [one, other].iter().zip(key[1..].chunks_exact_mut(END_LEN)) {
        place.copy_from_slice(end);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn both_directions_share_a_digest_and_nobody_else_does() {
        for [one, other] in [["192.0.2.1:5060", "192.0.2.2:40001"], ["[2001:db8::1]:5060", "192.0.2.2:40001"]] {
            let digest = |transport, one, other| pair_digest(Digester::new(7), transport, address(one), address(other));
            let (key, order) = digest(Some(Transport::Udp), one, other);
            assert_eq!(digest(Some(Transport::Udp), other, one), (key, order.reverse()));
            assert_ne!(digest(Some(Transport::Tcp), one, other).0, key);
            assert_ne!(digest(None, one, other).0, key);
            assert_ne!(digest(Some(Transport::Udp), one, "192.0.2.2:40002").0, key);
        }
    }

    #[test]
    fn an_ipv4_address_is_the_same_mapped_into_ipv6() {
        let (plain, mapped) = (address("192.0.2.1:5060"), address("[::ffff:192.0.2.1]:5060"));
        let digester = Digester::new(7);
        assert_eq!(end_key(&plain), end_key(&mapped));
        assert_eq!(end_digest(digester, plain), end_digest(digester, mapped));
        assert_eq!(ip_digest(digester, plain.ip()), ip_digest(digester, mapped.ip()));
        // One that comes before it, and one that comes behind; of either family.
        for other in ["192.0.2.0:5060", "192.0.2.2:5060", "[::1]:5060", "[2001:db8::1]:5060"].map(address) {
            assert_eq!(pair_digest(digester, None, plain, other), pair_digest(digester, None, mapped, other), "{other}");
            assert_eq!(pair_digest(digester, None, other, plain), pair_digest(digester, None, other, mapped), "{other}");
            let pair = |source| pair_key(&Flow { transport: Transport::Tcp, source, destination: other });
            assert_eq!(pair(plain), pair(mapped), "{other}");
        }
    }

    #[test]
    fn ipv4_ends_are_in_the_order_of_their_addresses() {
        let ends = ["0.0.0.1:65535", "9.255.255.255:1", "10.0.0.1:5060", "10.0.0.1:5061", "128.0.0.1:1", "255.255.255.255:0"].map(address);
        for (one, other) in ends.iter().flat_map(|one| ends.iter().map(move |other| (*one, *other))) {
            assert_eq!(pair_digest(Digester::new(7), None, one, other).1, one.cmp(&other), "{one} {other}");
        }
    }

    #[test]
    fn another_seed_makes_other_digests() {
        let end = address("192.0.2.1:5060");
        assert_ne!(end_digest(Digester::new(1), end), end_digest(Digester::new(2), end));
        assert_ne!(ip_digest(Digester::new(1), end.ip()), ip_digest(Digester::new(2), end.ip()));
    }
}
