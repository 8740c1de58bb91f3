//! The public address behind which phones sit.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A site: one public IPv4 address or one IPv6 /64. Several customers of a carrier-grade NAT may share one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Site(IpAddr);

impl Site {
    /// The site an address belongs to; an IPv4 address mapped into IPv6 is taken as IPv4.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => Self(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)))),
            v4 => Self(v4),
        }
    }

    /// The IPv4 address, or the first address of the /64.
    pub fn address(self) -> IpAddr {
        self.0
    }
}

/// `198.51.100.7` or `2001:db8:1:2::/64`
impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => v4.fmt(f),
            IpAddr::V6(v6) => write!(f, "{v6}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(text: &str) -> String {
        Site::of(text.parse().unwrap()).to_string()
    }

    #[test]
    fn phones_of_one_ipv6_subnet_share_a_site_and_ipv4_neighbours_do_not() {
        assert_eq!(site("2001:db8:1:2:aaaa::1"), "2001:db8:1:2::/64");
        assert_eq!(site("2001:db8:1:2::ffff"), site("2001:db8:1:2:aaaa::1"));
        assert_ne!(site("198.51.100.7"), site("198.51.100.8"));
        assert_eq!(site("::ffff:198.51.100.7"), "198.51.100.7");
    }
}
