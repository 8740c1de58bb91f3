//! Copies that the capture made: mirror ports, the `any` interface, both sides of an address translation (DETECTION §0.3).
//!
//! A SIP hop always changes the bytes of a message, so equal bytes are the same message: captured twice, or sent again. What tells the
//! two apart is time and what the copy's headers share with the first.

use std::collections::VecDeque;
use std::net::SocketAddr;

use hashbrown::HashTable;

use crate::decode::dissect::{Hop, Tagging};
use crate::decode::ends::flow_key;
use crate::decode::flow::{Flow, is_private};
use crate::decode::line::{DELAY, Line, Ticket};
use crate::table::{Digest, Digester, ExpiringTable, PayloadDigester, Rank};
use crate::time::{PacketTime, Span};

/// Between copies before and after an address translation.
const TRANSLATED: Span = DELAY;
/// Between copies whose headers prove that they are one packet.
const SAME_PACKET: Span = Span::from_millis(200);
/// Payloads remembered at once; beyond, the oldest is forgotten early.
const MAX_SEEN: usize = 131_072;
/// Address translations remembered.
const MAX_ALIASES: usize = 4_096;
/// How long an address translation is remembered after its last use.
const ALIAS_MEMORY: Span = Span::from_secs(86_400);

/// The rule by which a copy was found out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CopyRule {
    /// D1: the same bytes along the same flow at once.
    SameFlow,
    /// D2: the same bytes along another flow at once: before and after an address translation.
    Translated,
    /// D3: the same packet met twice on its way, by IPv4 identification or time to live.
    SamePacket,
    /// D4: the same packet with and without a VLAN tag.
    VlanPair,
    /// Bytes of a stream that were there already: a copy or a TCP retransmission.
    Stream,
    /// A fragment that was there already.
    Fragment,
}

impl CopyRule {
    /// Every rule, in the order of the reports.
    pub const ALL: [Self; 6] = [Self::SameFlow, Self::Translated, Self::SamePacket, Self::VlanPair, Self::Stream, Self::Fragment];

    /// The name in reports and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SameFlow => "d1",
            Self::Translated => "d2",
            Self::SamePacket => "d3",
            Self::VlanPair => "d4",
            Self::Stream => "stream",
            Self::Fragment => "fragment",
        }
    }
}

/// What marks a packet apart from its payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Marks {
    /// A datagram: its IP header.
    Datagram {
        /// IPv4 identification; 0 where there is none.
        ident: u16,
        /// Time to live.
        ttl: u8,
        /// VLAN tags.
        tagging: Tagging,
    },
    /// A message of a stream, where sequence numbers have already removed the copies along one flow.
    Stream,
}

impl From<&Hop> for Marks {
    fn from(hop: &Hop) -> Self {
        Self::Datagram { ident: hop.ident, ttl: hop.ttl, tagging: hop.tagging }
    }
}

/// What a payload is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Not a copy.
    Original,
    /// A copy of something that stays.
    Copy(CopyRule),
    /// A better copy of an item that waited and was struck out.
    Better,
}

/// The payloads of the last 200 ms and the address translations they revealed.
#[derive(Debug)]
pub struct Copies {
    digester: Digester,
    payloads: PayloadDigester,
    seen: VecDeque<Seen>,
    /// Number of the payload at the front of `seen`.
    first: u64,
    /// Numbers of the latest payload of each digest.
    latest: HashTable<u64>,
    /// Addresses that stood in dropped copies.
    aliases: ExpiringTable<()>,
    evicted: u64,
    /// How near identical payloads on one flow must be to be copies.
    same_flow: Span,
}

#[derive(Debug)]
struct Seen {
    digest: Digest,
    time: PacketTime,
    flow: Flow,
    marks: Marks,
    ticket: Option<Ticket>,
}

/// A payload that was judged [`Verdict::Original`] or [`Verdict::Better`] and is to be remembered.
#[derive(Clone, Copy, Debug)]
pub struct Sighting {
    digest: Digest,
    flow: Flow,
    marks: Marks,
}

impl Copies {
    /// Nothing seen yet.
    pub fn new(digester: Digester, same_flow: Span) -> Self {
        let aliases = ExpiringTable::new(MAX_ALIASES);
        let payloads = digester.into();
        Self { digester, payloads, seen: VecDeque::new(), first: 0, latest: HashTable::new(), aliases, evicted: 0, same_flow }
    }

    /// Judges a payload with SIP messages, and strikes a worse copy of it out of the line. Times must not decrease.
    pub fn judge(&mut self, payload: &[u8], flow: Flow, marks: Marks, line: &mut Line, now: PacketTime) -> (Verdict, Sighting) {
        self.forget(now);
        let sighting = Sighting { digest: self.payloads.bytes(payload), flow, marks };
        let Some(seen) = self.find(sighting.digest) else { return (Verdict::Original, sighting) };
        let verdict = match copy_rule(seen, flow, marks, now.since(seen.time), self.same_flow) {
            None => Verdict::Original,
            Some(CopyRule::Translated) => {
                let (earlier, ticket) = (seen.flow, seen.ticket);
                self.choose(earlier, ticket, flow, line, now)
            }
            Some(rule) => Verdict::Copy(rule),
        };
        (verdict, sighting)
    }

    /// Judges something of which all along a flow are alike, such as a keep-alive, and remembers it unless it is a copy. Only what comes
    /// along the same flow at once is one: many phones send the same bytes, so translated copies cannot be told from others.
    pub fn judge_alike(&mut self, payload: &[u8], flow: Flow, marks: Marks, now: PacketTime) -> Verdict {
        self.forget(now);
        let digest = self.digester.parts(&[payload, &flow_key(&flow)]);
        if self.find(digest).is_some_and(|seen| now.since(seen.time) < self.same_flow) {
            return Verdict::Copy(CopyRule::SameFlow);
        }
        self.remember(Sighting { digest, flow, marks }, None, now);
        Verdict::Original
    }

    /// Remembers a payload that was handed on as the item of `ticket`.
    pub fn remember(&mut self, sighting: Sighting, ticket: Option<Ticket>, now: PacketTime) {
        let Sighting { digest, flow, marks } = sighting;
        if self.seen.len() >= MAX_SEEN {
            self.evicted += 1;
            self.forget_oldest();
        }
        let number = self.first + self.seen.len() as u64;
        self.seen.push_back(Seen { digest, time: now, flow, marks, ticket });
        let (seen, first) = (&self.seen, self.first);
        let digest_of = |number: &u64| seen_at(seen, first, *number).map(|seen| seen.digest);
        match self.latest.find_mut(digest.low64(), |number| digest_of(number) == Some(digest)) {
            Some(latest) => *latest = number,
            None => {
                self.latest.insert_unique(digest.low64(), number, |number| digest_of(number).map_or(0, Digest::low64));
            }
        }
    }

    /// Chooses between an earlier copy and one along another flow.
    fn choose(&mut self, earlier: Flow, ticket: Option<Ticket>, flow: Flow, line: &mut Line, now: PacketTime) -> Verdict {
        let better = self.quality(&flow) > self.quality(&earlier);
        if better && ticket.is_some_and(|ticket| line.supersede(ticket)) {
            self.learn_alias(&flow, &earlier, now);
            return Verdict::Better;
        }
        self.learn_alias(&earlier, &flow, now);
        Verdict::Copy(CopyRule::Translated)
    }

    /// Remembers that `dropped` was a translated copy of `kept`.
    fn learn_alias(&mut self, kept: &Flow, dropped: &Flow, now: PacketTime) {
        while let Some((handle, _)) = self.aliases.pop_due(now) {
            self.aliases.remove(handle);
        }
        for (kept, dropped) in [(kept.source, dropped.source), (kept.destination, dropped.destination)] {
            if kept != dropped {
                self.aliases.insert(self.alias_key(dropped), (), now + ALIAS_MEMORY, Rank::Ordinary);
                if let Some(handle) = self.aliases.find(self.alias_key(kept)) {
                    self.aliases.remove(handle);
                }
            }
        }
    }

    /// Payloads remembered.
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    /// Payloads forgotten before their time, for lack of room.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How much a flow is worth as the one to keep: first the public addresses in it, then whether its addresses are those that were
    /// kept before, so that both directions of a translated flow are told with the same addresses.
    fn quality(&self, flow: &Flow) -> (u8, u8) {
        let ends = [flow.source, flow.destination];
        let public = ends.iter().filter(|end| !is_private(end.ip())).count();
        let familiar = ends.iter().filter(|end| self.aliases.find(self.alias_key(**end)).is_none()).count();
        (public as u8, familiar as u8)
    }

    fn alias_key(&self, address: SocketAddr) -> Digest {
        let flow = Flow { transport: crate::decode::flow::Transport::Udp, source: address, destination: address };
        self.digester.bytes(&flow_key(&flow))
    }

    fn find(&self, digest: Digest) -> Option<&Seen> {
        let at = |number: &u64| seen_at(&self.seen, self.first, *number);
        let number = self.latest.find(digest.low64(), |number| at(number).is_some_and(|seen| seen.digest == digest))?;
        at(number)
    }

    fn forget(&mut self, now: PacketTime) {
        while self.seen.front().is_some_and(|seen| now.since(seen.time) >= SAME_PACKET) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(seen) = self.seen.pop_front() else { return };
        let number = self.first;
        self.first += 1;
        if let Ok(entry) = self.latest.find_entry(seen.digest.low64(), |latest| *latest == number) {
            entry.remove();
        }
    }
}

fn seen_at(seen: &VecDeque<Seen>, first: u64, number: u64) -> Option<&Seen> {
    seen.get(usize::try_from(number.checked_sub(first)?).ok()?)
}

/// The rule by which a payload with the same bytes, `gap` after the one seen, is its copy.
fn copy_rule(seen: &Seen, flow: Flow, marks: Marks, gap: Span, same_flow: Span) -> Option<CopyRule> {
    if seen.flow != flow {
        let same_ident = gap < SAME_PACKET && same_ident(seen.marks, marks);
        return if gap < TRANSLATED { Some(CopyRule::Translated) } else { same_ident.then_some(CopyRule::SamePacket) };
    }
    match (seen.marks, marks) {
        (Marks::Datagram { tagging: before, .. }, Marks::Datagram { tagging, .. }) if before != tagging && gap < SAME_PACKET => {
            Some(CopyRule::VlanPair)
        }
        (Marks::Datagram { .. }, Marks::Datagram { .. }) if gap < same_flow => Some(CopyRule::SameFlow),
        (Marks::Datagram { ttl: before, .. }, Marks::Datagram { ttl, .. })
            if gap < SAME_PACKET && (before != ttl || same_ident(seen.marks, marks)) =>
        {
            Some(CopyRule::SamePacket)
        }
        _ => None,
    }
}

/// Linux sends 0 where fragmentation is forbidden, so 0 proves nothing.
fn same_ident(seen: Marks, marks: Marks) -> bool {
    matches!((seen, marks), (Marks::Datagram { ident: before, .. }, Marks::Datagram { ident, .. }) if ident != 0 && before == ident)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::flow::Transport;
    use crate::decode::line::{Item, Line, Origin};

    const PHONE: &str = "198.51.100.7:40001";
    const PUBLIC: &str = "203.0.113.10:5060";
    const SAME_FLOW: Span = Span::from_millis(40);
    const DOCKER: &str = "172.17.0.2:5060";

    fn flow(source: &str, destination: &str) -> Flow {
        Flow { transport: Transport::Udp, source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    fn marks(ident: u16, ttl: u8) -> Marks {
        Marks::Datagram { ident, ttl, tagging: Tagging::Untagged }
    }

    /// Judges payloads and keeps what is original in a line, as ingest does.
    struct Bench {
        copies: Copies,
        line: Line,
    }

    impl Bench {
        fn new() -> Self {
            Self { copies: Copies::new(Digester::new(1), SAME_FLOW), line: Line::default() }
        }

        fn see(&mut self, micros: i64, flow: Flow, marks: Marks) -> Verdict {
            let now = PacketTime::from_nanos(micros * 1_000);
            let (verdict, sighting) = self.copies.judge(b"OPTIONS sip:x SIP/2.0\r\n\r\n", flow, marks, &mut self.line, now);
            if !matches!(verdict, Verdict::Copy(_)) {
                let ticket = self.line.push(Origin { time: now, frame: 1, frames: 1 }, Item::Payload(flow), b"");
                self.copies.remember(sighting, Some(ticket), now);
            }
            verdict
        }
    }

    #[test]
    fn d1_the_same_flow_within_40_ms_and_not_later() {
        let mut bench = Bench::new();
        let flow = flow(PHONE, PUBLIC);
        assert_eq!(bench.see(0, flow, marks(0, 64)), Verdict::Original);
        assert_eq!(bench.see(39_999, flow, marks(0, 64)), Verdict::Copy(CopyRule::SameFlow));
        assert_eq!(bench.see(40_000, flow, marks(0, 64)), Verdict::Original, "a retransmission");
    }

    #[test]
    fn d2_keeps_the_copy_with_more_public_addresses_whichever_comes_first() {
        let mut bench = Bench::new();
        assert_eq!(bench.see(0, flow(PHONE, PUBLIC), marks(0, 64)), Verdict::Original);
        assert_eq!(bench.see(100, flow(PHONE, DOCKER), marks(0, 63)), Verdict::Copy(CopyRule::Translated));
        let mut bench = Bench::new();
        assert_eq!(bench.see(0, flow(DOCKER, PHONE), marks(0, 64)), Verdict::Original);
        assert_eq!(bench.see(100, flow(PUBLIC, PHONE), marks(0, 63)), Verdict::Better);
        assert_eq!(bench.see(150, flow(PUBLIC, PHONE), marks(0, 63)), Verdict::Copy(CopyRule::SameFlow));
    }

    #[test]
    fn d2_is_over_after_20_ms() {
        let mut bench = Bench::new();
        bench.see(0, flow(PHONE, PUBLIC), marks(0, 64));
        assert_eq!(bench.see(20_000, flow(PHONE, DOCKER), marks(0, 64)), Verdict::Original);
    }

    #[test]
    fn d2_between_public_addresses_keeps_the_first_and_stays_with_it() {
        let inner = "203.0.113.99:5060";
        let mut bench = Bench::new();
        bench.see(0, flow(PHONE, PUBLIC), marks(0, 64));
        assert_eq!(bench.see(100, flow(PHONE, inner), marks(0, 63)), Verdict::Copy(CopyRule::Translated));
        // The other way the inner copy is captured first; the known alias makes the outer one the better.
        bench.see(500_000, flow(inner, PHONE), marks(0, 64));
        assert_eq!(bench.see(500_100, flow(PUBLIC, PHONE), marks(0, 63)), Verdict::Better);
    }

    #[test]
    fn d3_the_same_identification_or_another_time_to_live_within_200_ms() {
        let mut bench = Bench::new();
        let flow = flow(PHONE, PUBLIC);
        bench.see(0, flow, marks(77, 64));
        assert_eq!(bench.see(150_000, flow, marks(77, 64)), Verdict::Copy(CopyRule::SamePacket));
        assert_eq!(bench.see(150_000, flow, marks(78, 63)), Verdict::Copy(CopyRule::SamePacket));
        assert_eq!(bench.see(150_000, flow, marks(78, 64)), Verdict::Original, "sent again");
        let mut bench = Bench::new();
        bench.see(0, flow, marks(0, 64));
        assert_eq!(bench.see(100_000, flow, marks(0, 64)), Verdict::Original, "identification 0 proves nothing");
    }

    #[test]
    fn d4_a_vlan_tag_more_or_less_within_200_ms() {
        let mut bench = Bench::new();
        let flow = flow(PHONE, PUBLIC);
        bench.see(0, flow, marks(0, 64));
        let tagged = Marks::Datagram { ident: 0, ttl: 64, tagging: Tagging::Tagged };
        assert_eq!(bench.see(100_000, flow, tagged), Verdict::Copy(CopyRule::VlanPair));
    }

    #[test]
    fn a_stream_repeats_its_own_bytes_only_on_purpose() {
        let mut bench = Bench::new();
        bench.see(0, flow(PHONE, PUBLIC), Marks::Stream);
        assert_eq!(bench.see(10, flow(PHONE, PUBLIC), Marks::Stream), Verdict::Original);
        assert_eq!(bench.see(20, flow(PHONE, DOCKER), Marks::Stream), Verdict::Copy(CopyRule::Translated));
    }

    #[test]
    fn keepalives_of_different_phones_are_never_copies() {
        let mut copies = Copies::new(Digester::new(1), SAME_FLOW);
        let now = PacketTime::from_nanos(0);
        let (one, other) = (flow(PHONE, PUBLIC), flow("198.51.100.7:40002", PUBLIC));
        assert_eq!(copies.judge_alike(b"\r\n\r\n", one, marks(5, 64), now), Verdict::Original);
        assert_eq!(copies.judge_alike(b"\r\n\r\n", other, marks(5, 64), now), Verdict::Original);
        assert_eq!(copies.judge_alike(b"\r\n\r\n", one, marks(6, 64), now), Verdict::Copy(CopyRule::SameFlow));
        let later = now + SAME_FLOW;
        assert_eq!(copies.judge_alike(b"\r\n\r\n", one, marks(5, 64), later), Verdict::Original);
    }

    #[test]
    fn a_flood_keeps_the_cap_and_is_counted() {
        let mut copies = Copies::new(Digester::new(1), SAME_FLOW);
        let now = PacketTime::from_nanos(0);
        for number in 0..MAX_SEEN + 10 {
            copies.judge_alike(&number.to_be_bytes(), flow(PHONE, PUBLIC), marks(0, 64), now);
            assert!(copies.seen.len() <= MAX_SEEN && copies.latest.len() <= MAX_SEEN);
        }
        assert_eq!(copies.evicted(), 10);
    }
}
