//! When each direction of each pair of addresses was last seen, and the keep-alives along it.
//!
//! Keyed by the unordered pair of addresses. An entry is made by the first packet and leaves an hour after the last one.

use std::cmp::Ordering;

use crate::config::{Ratio, Thresholds};
use crate::decode::ends::pair_digest;
use crate::decode::flow::Flow;
use crate::decode::signal::KeepaliveKind;
use crate::table::{Digest, Digester, ExpiringTable, Handle, Rank};
use crate::time::{PacketTime, Span};

/// How long an idle flow is remembered.
const IDLE: Span = Span::from_secs(3600);
/// Intervals that the median is taken over (DETECTION §2.3).
const INTERVALS: usize = 20;

/// Shortest interval of a keep-alive in milliseconds: nothing needs one more often.
const SHORTEST: u32 = 1000;

/// What is called periodic.
#[derive(Clone, Copy, Debug)]
pub struct Periodic {
    /// Intervals needed.
    intervals: usize,
    /// Largest ratio of median absolute deviation to median.
    deviation: Ratio,
}

impl From<&Thresholds> for Periodic {
    fn from(thresholds: &Thresholds) -> Self {
        Self { intervals: thresholds.ka_min_intervals as usize, deviation: thresholds.ka_periodic_mad }
    }
}

/// The keep-alives of one direction: kind, and the last intervals in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cadence {
    kind: Option<KeepaliveKind>,
    last: Option<PacketTime>,
    intervals: [u32; INTERVALS],
    count: u32,
    longest: u32,
}

impl Cadence {
    fn note(&mut self, kind: KeepaliveKind, now: PacketTime) -> Option<Span> {
        if self.kind != Some(kind) {
            *self = Self { kind: Some(kind), last: Some(now), ..Self::default() };
            return None;
        }
        let interval = now.since(self.last.unwrap_or(now));
        self.last = Some(now);
        let millis = (interval.as_nanos() / 1_000_000).clamp(0, i64::from(u32::MAX)) as u32;
        self.intervals[self.count as usize % INTERVALS] = millis;
        self.count = self.count.saturating_add(1);
        self.longest = self.longest.max(millis);
        Some(interval)
    }

    /// What is sent, how often (median) and the longest pause, if it is periodic.
    pub fn periodic(&self, least: Periodic) -> Option<(KeepaliveKind, Span, Span)> {
        let held = (self.count as usize).min(INTERVALS);
        let mut sorted = self.intervals;
        let recent = sorted.get_mut(..held).filter(|recent| recent.len() >= least.intervals)?;
        let middle = median(recent);
        for interval in recent.iter_mut() {
            *interval = interval.abs_diff(middle);
        }
        let spread = median(recent);
        let periodic = middle >= SHORTEST && f64::from(spread) <= least.deviation.get() * f64::from(middle);
        periodic.then(|| Some((self.kind?, Span::from_millis(i64::from(middle)), Span::from_millis(i64::from(self.longest)))))?
    }
}

fn median(values: &mut [u32]) -> u32 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[derive(Debug)]
struct Pair {
    low_sent: PacketTime,
    high_sent: PacketTime,
    /// By sender, apart twice: few pairs have any, and hardly any has both; so an entry of the table takes 64 bytes.
    cadences: Option<Box<[Option<Box<Cadence>>; 2]>>,
}

/// When a pair of addresses was last seen, before a packet between them; [`PacketTime::MIN`] for never.
#[derive(Clone, Copy, Debug)]
pub struct LastTimes {
    /// In the direction of the packet.
    pub along: PacketTime,
    /// In the other direction.
    pub against: PacketTime,
}

/// Which address of the pair sends.
#[derive(Clone, Copy)]
enum Sender {
    Low,
    High,
}

/// The pairs of addresses that talked.
#[derive(Debug)]
pub struct Flows {
    digester: Digester,
    pairs: ExpiringTable<Pair>,
    periodic: Periodic,
}

impl Flows {
    /// No flows yet, and room for `capacity`.
    pub fn new(digester: Digester, capacity: usize, periodic: Periodic) -> Self {
        Self { digester, pairs: ExpiringTable::new(capacity), periodic }
    }

    /// Takes note of a packet along `flow`, whose pair is worth `rank`. Returns when the pair was last seen before.
    pub fn note(&mut self, flow: Flow, rank: Rank, now: PacketTime) -> LastTimes {
        let (handle, sender) = self.entry(flow, now);
        self.pairs.set_rank(handle, rank);
        self.pairs.touch(handle);
        self.pairs.set_deadline(handle, now + IDLE);
        let Some(pair) = self.pairs.get_mut(handle) else { return LastTimes { along: PacketTime::MIN, against: PacketTime::MIN } };
        match sender {
            Sender::Low => LastTimes { along: std::mem::replace(&mut pair.low_sent, now), against: pair.high_sent },
            Sender::High => LastTimes { along: std::mem::replace(&mut pair.high_sent, now), against: pair.low_sent },
        }
    }

    /// Takes note of a keep-alive along `flow` (after [`Self::note`]). Returns the time since the one before of its kind.
    pub fn note_keepalive(&mut self, flow: Flow, kind: KeepaliveKind, now: PacketTime) -> Option<Span> {
        let (handle, sender) = self.entry(flow, now);
        let cadences = self.pairs.get_mut(handle)?.cadences.get_or_insert_default();
        cadences[sender as usize].get_or_insert_default().note(kind, now)
    }

    /// The keep-alives along `flow`, if they are periodic.
    pub fn cadence(&self, flow: Flow) -> Option<(KeepaliveKind, Span, Span)> {
        let (key, sender) = self.key(flow);
        let pair = self.pairs.get(self.pairs.find(key)?)?;
        pair.cadences.as_ref()?[sender as usize].as_ref()?.periodic(self.periodic)
    }

    /// How often keep-alives come along `flow`, if they are periodic and none is overdue by more than another one.
    pub fn goes_on(&self, flow: Flow, now: PacketTime) -> Option<Span> {
        let (key, sender) = self.key(flow);
        let cadence = self.pairs.get(self.pairs.find(key)?)?.cadences.as_ref()?[sender as usize].as_ref()?;
        let (_, interval, _) = cadence.periodic(self.periodic)?;
        (now.since(cadence.last?) <= interval.times(2)).then_some(interval)
    }

    /// When a packet was last seen along `flow`; [`PacketTime::MIN`] for never.
    pub fn last_seen(&self, flow: Flow) -> PacketTime {
        let (key, sender) = self.key(flow);
        let Some(pair) = self.pairs.find(key).and_then(|handle| self.pairs.get(handle)) else { return PacketTime::MIN };
        match sender {
            Sender::Low => pair.low_sent,
            Sender::High => pair.high_sent,
        }
    }

    /// Whether a packet was seen along `flow` at or after `since`.
    pub fn seen_within(&self, flow: Flow, since: PacketTime) -> bool {
        let last = self.last_seen(flow);
        last > PacketTime::MIN && last >= since
    }

    /// Forgets what was idle for an hour.
    pub fn expire(&mut self, now: PacketTime) {
        while let Some((handle, _)) = self.pairs.pop_due(now) {
            self.pairs.remove(handle);
        }
    }

    /// When [`Self::expire`] next has something to do.
    pub fn next_deadline(&self) -> PacketTime {
        self.pairs.next_deadline()
    }

    /// Pairs held, and pairs dropped for lack of room.
    pub fn size(&self) -> (usize, u64) {
        (self.pairs.len(), self.pairs.evicted())
    }

    fn entry(&mut self, flow: Flow, now: PacketTime) -> (Handle, Sender) {
        let (key, sender) = self.key(flow);
        let handle = self.pairs.find(key).unwrap_or_else(|| {
            let pair = Pair { low_sent: PacketTime::MIN, high_sent: PacketTime::MIN, cadences: None };
            self.pairs.insert(key, pair, now + IDLE, Rank::Unanswered).0
        });
        (handle, sender)
    }

    fn key(&self, flow: Flow) -> (Digest, Sender) {
        let (key, order) = pair_digest(self.digester, None, flow.source, flow.destination);
        (key, if order == Ordering::Greater { Sender::High } else { Sender::Low })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::flow::Transport;

    fn flow() -> Flow {
        Flow { transport: Transport::Udp, source: "198.51.100.7:40001".parse().unwrap(), destination: "203.0.113.10:5060".parse().unwrap() }
    }

    fn at(seconds: i64) -> PacketTime {
        PacketTime::from_parts(seconds, 0)
    }

    #[test]
    fn each_direction_is_remembered_by_itself() {
        let mut flows = Flows::new(Digester::new(0), 10, Periodic::from(&Thresholds::default()));
        flows.note(flow(), Rank::Ordinary, at(10));
        assert!(flows.seen_within(flow(), at(5)));
        assert!(!flows.seen_within(flow().reversed(), at(5)));
        let before = flows.note(flow().reversed(), Rank::Ordinary, at(20));
        assert_eq!((before.along, before.against), (PacketTime::MIN, at(10)));
    }

    #[test]
    fn a_steady_keepalive_is_periodic_and_a_wild_one_is_not() {
        let mut flows = Flows::new(Digester::new(0), 10, Periodic::from(&Thresholds::default()));
        for n in 0..7 {
            flows.note_keepalive(flow(), KeepaliveKind::CrlfCrlf, at(n * 15));
        }
        assert_eq!(flows.cadence(flow()), Some((KeepaliveKind::CrlfCrlf, Span::from_secs(15), Span::from_secs(15))));
        for n in [1, 40, 43, 90, 200, 201, 300, 420, 421, 600] {
            flows.note_keepalive(flow().reversed(), KeepaliveKind::Nul4, at(n));
        }
        assert_eq!(flows.cadence(flow().reversed()), None);
    }

    #[test]
    fn how_many_intervals_and_how_even_ones_are_periodic_is_configured() {
        let periodic = |ka_min_intervals, percent| {
            let thresholds = Thresholds { ka_min_intervals, ka_periodic_mad: Ratio::from_percent(percent), ..Thresholds::default() };
            let mut flows = Flows::new(Digester::new(0), 10, Periodic::from(&thresholds));
            for second in [0, 10, 22, 30, 44, 54, 62] {
                flows.note_keepalive(flow(), KeepaliveKind::CrlfCrlf, at(second));
            }
            flows.cadence(flow()).is_some()
        };
        assert!(!periodic(5, 15) && periodic(5, 25), "a median deviation of 2 s in 10 s");
        assert!(periodic(6, 25) && !periodic(7, 25), "six intervals");
    }
}
