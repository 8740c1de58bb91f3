//! Addresses for addresses of the same kind.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Where public IPv4 addresses go: set aside for tests, and neither private nor anybody's (RFC 2544).
const PUBLIC: (Ipv4Addr, u8) = (Ipv4Addr::new(198, 18, 0, 0), 15);
/// Networks in which an address stays: private (RFC 1918, RFC 6598) and link-local.
const KEPT: [(Ipv4Addr, u8); 5] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
];

/// The addresses so far.
#[derive(Debug)]
pub(super) struct Addresses {
    key: u64,
    known: BTreeMap<IpAddr, IpAddr>,
    taken: BTreeSet<IpAddr>,
}

impl Addresses {
    pub(super) fn new(key: u64) -> Self {
        Self { key, known: BTreeMap::new(), taken: BTreeSet::new() }
    }

    pub(super) fn ip(&mut self, address: IpAddr) -> IpAddr {
        if let Some(known) = self.known.get(&address) {
            return *known;
        }
        let mut masked = address;
        for attempt in 0..u32::MAX {
            masked = match address {
                IpAddr::V4(v4) => self.v4(v4, attempt).into(),
                IpAddr::V6(v6) => self.v6(v6, attempt).into(),
            };
            // What names nobody stays as it is.
            if names_nobody(address) || (masked != address && self.taken.insert(masked)) {
                break;
            }
        }
        self.known.insert(address, masked);
        masked
    }

    fn v4(&self, address: Ipv4Addr, attempt: u32) -> Ipv4Addr {
        if names_nobody(address.into()) {
            return address;
        }
        let within = |network: Ipv4Addr, bits: u8| (address.to_bits() ^ network.to_bits()).leading_zeros() >= u32::from(bits);
        let (network, bits) = KEPT.into_iter().find(|(network, bits)| within(*network, *bits)).unwrap_or(PUBLIC);
        let hash = self.hash(&address.octets(), attempt) as u32;
        let own = u32::MAX >> bits;
        // Neither the network itself nor its broadcast address.
        Ipv4Addr::from_bits(network.to_bits() | (hash & own).clamp(1, own - 1))
    }

    /// The halves apart: the first is the site, the second the host (RFC 4291 §2.5.1).
    fn v6(&mut self, address: Ipv6Addr, attempt: u32) -> Ipv6Addr {
        if names_nobody(address.into()) {
            return address;
        }
        if let Some(v4) = address.to_ipv4_mapped() {
            return self.v4(v4, attempt).to_ipv6_mapped();
        }
        let [site, host] = [address.to_bits() >> 64, address.to_bits() & u128::from(u64::MAX)];
        let hash = self.hash(&site.to_be_bytes(), 0);
        let site = if address.is_unicast_link_local() {
            0xfe80 << 48
        } else if address.is_unique_local() {
            (0xfd << 56) | (hash & 0x00ff_ffff_ffff_ffff)
        } else {
            (0x2001_0db8 << 32) | (hash & 0xffff_ffff)
        };
        let host = self.hash(&host.to_be_bytes(), attempt) & u128::from(u64::MAX);
        Ipv6Addr::from_bits((site << 64) | host)
    }

    fn hash(&self, bytes: &[u8], attempt: u32) -> u128 {
        xxh3_128_with_seed(&[bytes, &attempt.to_le_bytes()].concat(), self.key)
    }
}

fn names_nobody(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    address.is_loopback() || address.is_unspecified() || address.is_multicast() || broadcast
}
