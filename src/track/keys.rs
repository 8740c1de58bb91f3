//! Digests of addresses: made for each packet, and so from the numbers that IPv4 addresses are.

use std::cmp::Ordering;
use std::net::{IpAddr, SocketAddr};

use crate::decode::ports::{END_LEN, end_key};
use crate::table::{Digest, Digester};

/// The digest of an address.
#[inline]
pub fn ip_digest(digester: Digester, address: IpAddr) -> Digest {
    match address {
        IpAddr::V4(v4) => digester.number(u128::from(v4.to_bits())),
        IpAddr::V6(v6) => digester.bytes(&v6.octets()),
    }
}

/// The digest of an address with its port; an IPv4 address is the same mapped into IPv6.
#[inline]
pub fn end_digest(digester: Digester, address: SocketAddr) -> Digest {
    match number(&address) {
        Some(number) => digester.number(u128::from(number)),
        None => digester.bytes(&end_key(&address)),
    }
}

/// The digest of two addresses with their ports, the same whichever comes first; and whether `one` is the lower.
#[inline]
pub fn pair_digest(digester: Digester, one: SocketAddr, other: SocketAddr) -> (Digest, Ordering) {
    if let (Some(one), Some(other)) = (number(&one), number(&other)) {
        let (low, high) = (one.min(other), one.max(other));
        return (digester.number(u128::from(low) << 64 | u128::from(high)), one.cmp(&other));
    }
    let (low, high) = if one <= other { (one, other) } else { (other, one) };
    let mut key = [0; 2 * END_LEN];
    for (address, place) in [low, high].iter().zip(key.chunks_exact_mut(END_LEN)) {
        place.copy_from_slice(&end_key(address));
    }
    (digester.bytes(&key), one.cmp(&other))
}

/// An IPv4 address with its port.
#[inline]
fn number(address: &SocketAddr) -> Option<u64> {
    let ip = match address {
        SocketAddr::V4(v4) => *v4.ip(),
        SocketAddr::V6(v6) => v6.ip().to_ipv4_mapped()?,
    };
    Some(u64::from(ip.to_bits()) << 16 | u64::from(address.port()))
}
