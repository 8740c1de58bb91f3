//! Which ports are watched.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use crate::decode::ends::{end_number, number_of, pair_digest};
use crate::decode::flow::{Flow, Transport};
use crate::table::{Digest, Digester, ExpiringTable, Rank};
use crate::time::{PacketTime, Span};

/// The port of SIP.
pub const SIP_PORT: u16 = 5060;

/// Pairs of addresses that are remembered to speak SIP on ports that nobody configured.
const MAX_SPEAKERS: usize = 65_536;
/// How long a silent pair is remembered.
const SPEAKER_MEMORY: Span = Span::from_secs(3_600);
/// A pair that is remembered for so long yet needs no refreshing.
const SPEAKER_FRESH: Span = Span::from_secs(3_000);

/// The ports on which SIP is looked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PortFilter {
    /// Every port: SIP is told by its start line. Other payloads count only on port 5060 and between addresses that speak SIP.
    Any,
    /// These ports and no others.
    Only(Vec<RangeInclusive<u16>>),
}

/// How much is known of the ports of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Interest {
    /// One of them is watched: whatever is said there is said to a SIP stack.
    Watched,
    /// SIP may be spoken there, and so may anything else.
    Possible,
    /// Not to be looked at.
    Ignored,
}

impl PortFilter {
    /// What the ports of a packet say.
    pub fn interest(&self, source: u16, destination: u16) -> Interest {
        match self {
            Self::Any if source == SIP_PORT || destination == SIP_PORT => Interest::Watched,
            Self::Any => Interest::Possible,
            Self::Only(ranges) if ranges.iter().any(|range| range.contains(&source) || range.contains(&destination)) => Interest::Watched,
            Self::Only(_) => Interest::Ignored,
        }
    }
}

/// Pairs of addresses between which SIP was seen, so that a keep-alive between them is known for one, and pairs of hosts, so that a
/// lost fragment between them is worth telling.
#[derive(Debug)]
pub struct Speakers {
    table: ExpiringTable<()>,
    digester: Digester,
    recent: Recent,
}

impl Speakers {
    /// No pair yet.
    pub fn new(digester: Digester) -> Self {
        Self { table: ExpiringTable::new(MAX_SPEAKERS), digester, recent: Recent::default() }
    }

    /// Remembers that SIP goes along the flow.
    pub fn learn(&mut self, flow: &Flow, now: PacketTime) {
        if self.table.next_deadline() <= now {
            while let Some((handle, _)) = self.table.pop_due(now) {
                self.table.remove(handle);
            }
        }
        let pair = Pair::of(flow);
        if pair.is_some_and(|pair| self.recent.knows(pair, self.table.evicted(), now)) {
            return;
        }
        let deadline = self.refresh(flow, now).unwrap_or_else(|| {
            self.refresh(&hosts(flow), now);
            now + SPEAKER_MEMORY
        });
        if let Some(pair) = pair {
            self.recent.note(Known { pair, deadline, evicted: self.table.evicted() });
        }
    }

    /// Whether SIP was seen between the addresses of the flow, in either direction.
    pub fn knows(&self, flow: &Flow) -> bool {
        self.table.find(self.key(flow)).is_some()
    }

    /// Whether SIP was seen between the hosts of the flow, on any ports.
    pub fn knows_hosts(&self, flow: &Flow) -> bool {
        self.knows(&hosts(flow))
    }

    /// Pairs known.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Pairs forgotten for lack of room.
    pub fn evicted(&self) -> u64 {
        self.table.evicted()
    }

    fn key(&self, flow: &Flow) -> Digest {
        pair_digest(self.digester, Some(flow.transport), flow.source, flow.destination).0
    }

    /// Keeps a pair from being forgotten; where there was nothing to do, tells until when it is remembered. Most messages find theirs
    /// fresh enough.
    fn refresh(&mut self, flow: &Flow, now: PacketTime) -> Option<PacketTime> {
        let key = self.key(flow);
        match self.table.find(key) {
            Some(handle) if is_fresh(self.table.deadline(handle), now) => return Some(self.table.deadline(handle)),
            Some(handle) => {
                self.table.touch(handle);
                self.table.set_deadline(handle, now + SPEAKER_MEMORY);
            }
            None => {
                self.table.insert(key, (), now + SPEAKER_MEMORY, Rank::Ordinary);
            }
        }
        None
    }
}

/// Whether a pair that is remembered until `deadline` needs no refreshing.
fn is_fresh(deadline: PacketTime, now: PacketTime) -> bool {
    deadline - now > SPEAKER_FRESH
}

/// The pairs that spoke last, so that the messages of one transaction do not each look into the table, which is too large for the fast
/// caches: 2 % of a replay.
#[derive(Debug)]
struct Recent {
    /// Each pair in the place that [`Pair::place`] gives it, and only there.
    places: Box<[Option<Known>]>,
}

/// Pairs among those that spoke last.
const RECENT: usize = 4096;

/// A pair as it is in the table.
#[derive(Clone, Copy, Debug)]
struct Known {
    pair: Pair,
    /// When the table forgets it.
    deadline: PacketTime,
    /// How many pairs the table had forgotten for lack of room. Any after that may have been this one.
    evicted: u64,
}

/// Two IPv4 addresses with their ports, and what carries SIP between them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Pair {
    low: u64,
    high: u64,
}

impl Default for Recent {
    fn default() -> Self {
        Self { places: vec![None; RECENT].into_boxed_slice() }
    }
}

impl Recent {
    /// Whether a pair is in the table, and fresh.
    fn knows(&self, pair: Pair, evicted: u64, now: PacketTime) -> bool {
        let known = self.places.get(pair.place()).copied().flatten();
        known.is_some_and(|known| known.pair == pair && known.evicted == evicted && is_fresh(known.deadline, now))
    }

    fn note(&mut self, known: Known) {
        if let Some(place) = self.places.get_mut(known.pair.place()) {
            *place = Some(known);
        }
    }
}

impl Pair {
    /// The ends of a flow, the same for both directions; none for IPv6.
    fn of(flow: &Flow) -> Option<Self> {
        let (source, destination) = (end_number(&flow.source)?, end_number(&flow.destination)?);
        let transport = u64::from(number_of(flow.transport)) << 48;
        Some(Self { low: source.min(destination) | transport, high: source.max(destination) })
    }

    /// A place among [`RECENT`]. Senders may bring it about that many share one, and gain nothing by it.
    fn place(self) -> usize {
        let mixed = (self.low ^ self.high.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize % RECENT
    }
}

/// The flow without its ports.
fn hosts(flow: &Flow) -> Flow {
    let host = |end: SocketAddr| SocketAddr::new(end.ip(), 0);
    Flow { transport: Transport::Udp, source: host(flow.source), destination: host(flow.destination) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_ports_are_watched_and_no_others() {
        let filter = PortFilter::Only(vec![5060..=5060, 5080..=5082]);
        assert_eq!(filter.interest(40_000, 5060), Interest::Watched);
        assert_eq!(filter.interest(5081, 9), Interest::Watched);
        assert_eq!(filter.interest(5079, 5083), Interest::Ignored);
    }

    #[test]
    fn without_configuration_only_5060_is_certain() {
        assert_eq!(PortFilter::Any.interest(5060, 1), Interest::Watched);
        assert_eq!(PortFilter::Any.interest(5061, 1), Interest::Possible);
    }

    #[test]
    fn a_pair_that_speaks_all_the_time_is_not_forgotten_and_one_that_was_evicted_is_learnt_again() {
        let flow = |n: u32| Flow {
            transport: Transport::Udp,
            source: SocketAddr::new(std::net::Ipv4Addr::from_bits(n).into(), 5070),
            destination: "203.0.113.10:5080".parse().unwrap(),
        };
        let mut speakers = Speakers::new(Digester::new(1));
        for minute in 0..600 {
            speakers.learn(&flow(0), PacketTime::MIN + Span::from_secs(60 * minute));
            assert!(speakers.knows(&flow(0)) && speakers.knows_hosts(&flow(0)), "{minute}");
        }
        let now = PacketTime::MIN + Span::from_secs(36_000);
        (1..=MAX_SPEAKERS as u32).for_each(|n| speakers.learn(&flow(n), now));
        assert!(!speakers.knows(&flow(0)));
        speakers.learn(&flow(0), now);
        assert!(speakers.knows(&flow(0)));
    }

    #[test]
    fn speakers_are_known_in_both_directions_and_forgotten_in_time() {
        let flow = |a: &str, b: &str| Flow { transport: Transport::Udp, source: a.parse().unwrap(), destination: b.parse().unwrap() };
        let mut speakers = Speakers::new(Digester::new(1));
        let spoken = flow("198.51.100.7:5070", "203.0.113.10:5080");
        speakers.learn(&spoken, PacketTime::MIN);
        assert!(speakers.knows(&spoken.reversed()));
        assert!(!speakers.knows(&flow("198.51.100.7:5071", "203.0.113.10:5080")));
        assert!(speakers.knows_hosts(&flow("203.0.113.10:1", "198.51.100.7:2")));
        assert!(!speakers.knows_hosts(&flow("203.0.113.10:1", "198.51.100.8:2")));
        speakers.learn(&flow("192.0.2.1:1", "192.0.2.2:2"), PacketTime::MIN + SPEAKER_MEMORY);
        assert!(!speakers.knows(&spoken));
    }
}
