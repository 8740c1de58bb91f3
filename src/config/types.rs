//! Types of configuration values: each can only hold what is valid, reads itself from text and prints itself as it is written.

use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::time::Span;

use super::value::{parse_span, print_span};

/// A text that is not a value of its type; it holds what would be one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0} is wanted")]
pub struct NotAllowed(pub &'static str);

/// The ports that carry SIP: at least one, as sorted ranges that neither overlap nor touch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ports(Vec<RangeInclusive<u16>>);

/// A port or a range of ports, as the user writes one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PortRange(pub(super) RangeInclusive<u16>);

impl Ports {
    /// The port of SIP, RFC 3261 §18.
    pub const SIP: u16 = 5060;

    /// The ports of all `ranges`, or nothing when there is none.
    pub fn new(ranges: impl IntoIterator<Item = PortRange>) -> Option<Self> {
        let mut sorted: Vec<_> = ranges.into_iter().map(|range| range.0).collect();
        sorted.sort_by_key(|range| *range.start());
        let mut merged: Vec<RangeInclusive<u16>> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match merged.last_mut() {
                Some(last) if u32::from(*range.start()) <= u32::from(*last.end()) + 1 => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                _ => merged.push(range),
            }
        }
        (!merged.is_empty()).then_some(Self(merged))
    }

    /// All ports of several, or nothing when there are none.
    pub fn union<'a>(all: impl Iterator<Item = &'a Self>) -> Option<Self> {
        Self::new(all.flat_map(|ports| ports.0.iter().cloned().map(PortRange)))
    }

    /// Whether `port` is one of them.
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|range| range.contains(&port))
    }

    /// The ranges in rising order.
    pub fn ranges(&self) -> &[RangeInclusive<u16>] {
        &self.0
    }
}

/// Port 5060.
impl Default for Ports {
    fn default() -> Self {
        Self(vec![Self::SIP..=Self::SIP])
    }
}

/// `5060, 5070-5080`
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}", PortRange(range.clone()))?;
        }
        Ok(())
    }
}

impl PortRange {
    /// What a port or a range may be.
    pub(super) const ALLOWED: &str = "a port from 1 to 65535 or a range such as \"5060-5080\"";
}

impl FromStr for PortRange {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port != 0);
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (port(first), port(last)),
            None => (port(text), port(text)),
        };
        match (first, last) {
            (Some(first), Some(last)) if first <= last => Ok(Self(first..=last)),
            _ => Err(NotAllowed(Self::ALLOWED)),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.0.start(), self.0.end());
        if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }
    }
}

/// An address of a PBX or a trunk: one port of it, or all.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct PbxAddress {
    /// The host.
    pub ip: IpAddr,
    /// The port; every port where it is left out.
    pub port: Option<u16>,
}

impl PbxAddress {
    /// What an address may be.
    pub(super) const ALLOWED: &str =
        "an IP address with or without a port, such as \"203.0.113.10\", \"203.0.113.10:5060\" or \"[2001:db8::1]:5060\"";

    /// Whether `address` is this one.
    pub fn matches(&self, address: SocketAddr) -> bool {
        self.ip == address.ip() && self.port.is_none_or(|port| port == address.port())
    }
}

impl FromStr for PbxAddress {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return match address.port() {
                0 => Err(NotAllowed(Self::ALLOWED)),
                port => Ok(Self { ip: address.ip(), port: Some(port) }),
            };
        }
        let host = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        let ip = host.parse().map_err(|_| NotAllowed(Self::ALLOWED))?;
        Ok(Self { ip, port: None })
    }
}

impl fmt::Display for PbxAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.ip, port).fmt(f),
            None => self.ip.fmt(f),
        }
    }
}

/// The interfaces to capture on: at least one, no name empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Interfaces(Vec<String>);

impl Interfaces {
    /// The interfaces `names`, or nothing when there is none or one is empty.
    pub fn new(names: Vec<String>) -> Option<Self> {
        (!names.is_empty() && names.iter().all(|name| !name.is_empty())).then_some(Self(names))
    }

    /// All interfaces of several, each once, or nothing when there are none; "any" has all others in it.
    pub fn union<'a>(all: impl Iterator<Item = &'a Self>) -> Option<Self> {
        let mut names: Vec<String> = Vec::new();
        for name in all.flat_map(|interfaces| &interfaces.0) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        if names.contains(&Self::default().0[0]) {
            return Some(Self::default());
        }
        Self::new(names)
    }

    /// Their names, as the user ordered them.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

/// The pseudo interface of libpcap that is all interfaces.
impl Default for Interfaces {
    fn default() -> Self {
        Self(vec!["any".to_owned()])
    }
}

/// How often within which time: `3/15min`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// How often, at least once.
    pub count: u32,
    /// The window, longer than nothing.
    pub window: Span,
}

impl Rate {
    /// What a rate may be.
    pub(super) const ALLOWED: &str = "a count and a window such as \"3/15min\"";

    /// `count` times within `window`.
    pub const fn new(count: u32, window: Span) -> Self {
        Self { count, window }
    }

    /// Whether it is reached by so many within the window.
    pub const fn is_reached(self, times: usize) -> bool {
        times >= self.count as usize
    }
}

/// Smaller only where both count and window are.
impl PartialOrd for Rate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.count.cmp(&other.count), self.window.cmp(&other.window)) {
            (Ordering::Equal, order) | (order, Ordering::Equal) => Some(order),
            (count, window) => (count == window).then_some(count),
        }
    }
}

impl FromStr for Rate {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        let parse = || {
            let (count, window) = text.split_once('/')?;
            let rate = Self { count: count.trim().parse().ok()?, window: parse_span(window.trim())? };
            (rate.count > 0 && rate.window > Span::ZERO).then_some(rate)
        };
        parse().ok_or(NotAllowed(Self::ALLOWED))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, print_span(self.window))
    }
}

/// A share of a whole, in millionths, so that it compares with counts without rounding.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Ratio(u32);

impl Ratio {
    /// What a share may be.
    pub(super) const ALLOWED: &str = "a number such as 0.25";
    /// Nothing of the whole.
    pub const ZERO: Self = Self(0);
    const WHOLE: u32 = 1_000_000;

    /// So many of a hundred.
    pub const fn from_percent(percent: u32) -> Self {
        Self(percent * (Self::WHOLE / 100))
    }

    /// As a number; 1 is the whole.
    pub fn get(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE)
    }

    /// Whether `part` is at least this share of `whole`.
    pub const fn is_reached(self, part: usize, whole: usize) -> bool {
        part as u128 * Self::WHOLE as u128 >= whole as u128 * self.0 as u128
    }
}

impl FromStr for Ratio {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        let number = text.parse().ok().filter(|number: &f64| (0.0..=1_000.0).contains(number));
        number.map(|number| Self((number * f64::from(Self::WHOLE)).round() as u32)).ok_or(NotAllowed(Self::ALLOWED))
    }
}

/// `0.25`
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.get())
    }
}

/// An amount of memory: `16MiB`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Bytes(u64);

impl Bytes {
    /// What an amount may be.
    pub(super) const ALLOWED: &str = "an amount of memory such as \"512KiB\" or \"16MiB\"";
    const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

    /// `mib` times 2^20 bytes.
    pub const fn from_mib(mib: u32) -> Self {
        Self((mib as u64) << 20)
    }

    /// The amount in bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for Bytes {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        let parse = || {
            let (unit, factor) = Self::UNITS.into_iter().find(|(unit, _)| text.ends_with(unit))?;
            let count: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
            count.checked_mul(factor).map(Self)
        };
        parse().ok_or(NotAllowed(Self::ALLOWED))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) =
            Self::UNITS.into_iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor)).unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

/// From which severity on the log is written.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum LogLevel {
    /// What stopped working.
    Error,
    /// And what may stop.
    Warn,
    /// And what was done.
    Info,
    /// And how, with addresses.
    Debug,
    /// And every packet.
    Trace,
}

impl LogLevel {
    /// Every level, from the quietest.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Text, Self::Json];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(texts: &[&str]) -> Option<Ports> {
        Ports::new(texts.iter().filter_map(|text| text.parse().ok()))
    }

    #[test]
    fn ports_that_touch_or_overlap_become_one_range() {
        let ports = ports(&["5080", "5060-5070", "5071-5072", "65535", "5065"]).expect("ports");
        assert_eq!(ports.to_string(), "5060-5072, 5080, 65535");
        assert!(ports.contains(5072) && ports.contains(65535));
        assert!(!ports.contains(5073) && !ports.contains(0));
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in ["0", "0-5060", "5080-5060", "65536", "sip", "", "-", "5060-", "5060-5061-5062", "-1"] {
            assert!(text.parse::<PortRange>().is_err(), "{text:?}");
        }
        assert_eq!(ports(&[]), None);
    }

    #[test]
    fn an_address_without_port_is_every_port_of_it() {
        let any: PbxAddress = "[2001:db8::1]".parse().expect("address");
        assert_eq!(any, "2001:db8::1".parse().expect("address"));
        assert!(any.matches("[2001:db8::1]:40000".parse().expect("socket")));
        let one: PbxAddress = "203.0.113.10:5060".parse().expect("address");
        assert!(!one.matches("203.0.113.10:5061".parse().expect("socket")));
        for text in ["pbx.example.com", "203.0.113.10:0", "203.0.113.10:", "203.0.113.0/24", ""] {
            assert!(text.parse::<PbxAddress>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_rate_is_within_bounds_only_with_both_its_parts() {
        let rate = |text: &str| text.parse::<Rate>().expect(text);
        let bounds = rate("2/1s")..=rate("10/1h");
        assert!(["2/1s", "10/1h", "3/15min"].into_iter().all(|text| bounds.contains(&rate(text))));
        assert!(["1/15min", "11/15min", "3/2h", "3/1ms", "1/2h"].into_iter().all(|text| !bounds.contains(&rate(text))));
        assert!(rate("3/1s").is_reached(3) && !rate("3/1s").is_reached(2));
    }

    #[test]
    fn a_share_is_reached_exactly() {
        let third: Ratio = "0.3".parse().expect("share");
        assert_eq!(third, Ratio::from_percent(30));
        assert!((1..1_000).all(|n| third.is_reached(3 * n, 10 * n) && !third.is_reached(3 * n - 1, 10 * n)));
        assert_eq!((third.get(), third.to_string()), (0.3, "0.3".to_owned()));
        for text in ["-0.1", "NaN", "inf", "", "a", "1e9"] {
            assert!(text.parse::<Ratio>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn rates_and_amounts_print_as_they_are_written() {
        for text in ["3/15min", "6/1h", "10/250ms"] {
            assert_eq!(text.parse::<Rate>().expect(text).to_string(), text);
        }
        for text in ["0/1h", "3/0s", "3", "3/", "/1h", "-3/1h"] {
            assert!(text.parse::<Rate>().is_err(), "{text:?}");
        }
        for text in ["16MiB", "1500KiB", "1B", "2GiB"] {
            assert_eq!(text.parse::<Bytes>().expect(text).to_string(), text);
        }
        for text in ["16", "16MB", "-1MiB", "99999999999999999999GiB", "18446744073709551615GiB", "MiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text:?}");
        }
    }
}
