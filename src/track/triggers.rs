//! The self-test of the capture: does it see both directions? (DETECTION §0.4)
//!
//! Some messages prove that another was sent before: an ACK proves a final response, credentials prove a challenge, a response proves a
//! request. Where such triggers are regularly missing in one direction of an address, that direction is not captured.

use std::net::IpAddr;

use crate::config::Thresholds;
use crate::table::Rank;
use crate::time::{PacketTime, Span};

/// Unseen triggers that are no accident where both directions are captured.
const SCATTERED: u32 = 3;
/// A direction that carries this share of the packets of the other is not missing, whatever the triggers say: what is unseen then
/// began before the capture did.
const ALIVE: f64 = 0.2;
/// The window has so many buckets; what is older counts no more.
pub const BUCKETS: usize = 10;
/// How long a bucket is, and how far the window slides at a time.
pub const BUCKET: Span = Span::from_secs(60);
/// Addresses watched at most; each PBX and each server it talks to is one.
const MOST: usize = 64;

/// Which way, seen from the watched address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// Packets that it sends.
    Sent = 0,
    /// Packets that it receives.
    Received = 1,
}

/// Whose messages say something of the capture: anybody can send what seems to answer something, and where there are partners they alone
/// are believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Witness {
    /// Somebody of whom nothing is known.
    Stranger = 0,
    /// A phone that registered, or whom the PBX calls.
    Partner = 1,
}

impl Witness {
    /// The witness whose entries are worth `rank`.
    pub fn of(rank: Rank) -> Self {
        if rank > Rank::Unanswered { Self::Partner } else { Self::Stranger }
    }
}

/// Counts of one direction in a window.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Messages whose trigger went this way.
    pub opportunities: u32,
    /// Of those, how many triggers were not captured.
    pub unseen: u32,
    /// Packets captured this way.
    pub packets: u32,
    /// Messages whose trigger went this way shortly before them, so that it cannot be older than the capture.
    pub near: u32,
    /// Of those, how many triggers were not captured.
    pub near_unseen: u32,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.opportunities += other.opportunities;
        self.unseen += other.unseen;
        self.packets += other.packets;
        self.near += other.near;
        self.near_unseen += other.near_unseen;
    }

    fn share(&self) -> f64 {
        f64::from(self.unseen) / f64::from(self.opportunities.max(1))
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    number: i64,
    /// By witness, then by way.
    tallies: [[Tally; 2]; 2],
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    address: IpAddr,
    buckets: [Bucket; BUCKETS],
}

/// What the self-test says of an address and a direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Fine: packets come, and of what must have been triggered by others the triggers do too.
    Sound,
    /// Too little to say.
    Unclear,
    /// Some packets are missing.
    Lossy(Tally),
    /// The direction is missing.
    OneWay(Tally),
}

/// The self-test.
#[derive(Debug, Default)]
pub struct Triggers {
    watched: Vec<Watched>,
    /// Messages of partners, or to them, of which it is proven that the capture missed them.
    missing: u64,
    /// The bucket that was counted in last, and when it begins: most packets fall into it too.
    latest: (i64, PacketTime),
}

impl Triggers {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The addresses that are watched, in the order in which they were first seen.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.watched.iter().map(|watched| watched.address)
    }

    /// Begins to watch `address`: a server, towards which requests with credentials go.
    pub fn watch(&mut self, address: IpAddr) {
        if self.watched.len() < MOST && !self.watched.iter().any(|watched| watched.address == address) {
            self.watched.push(Watched { address, buckets: [Bucket::default(); BUCKETS] });
        }
    }

    /// Counts a packet from `source` to `destination`.
    pub fn note_packet(&mut self, source: IpAddr, destination: IpAddr, witness: Witness, now: PacketTime) {
        self.each(source, destination, witness, now, |tally| tally.packets += 1);
    }

    /// Counts a message whose trigger went from `source` to `destination` and was captured.
    pub fn note_seen(&mut self, source: IpAddr, destination: IpAddr, witness: Witness, now: PacketTime) {
        self.each(source, destination, witness, now, |tally| tally.opportunities += 1);
    }

    /// Counts a message whose trigger went from `source` to `destination` and was not captured.
    pub fn note_unseen(&mut self, source: IpAddr, destination: IpAddr, witness: Witness, now: PacketTime) {
        self.each(source, destination, witness, now, |tally| {
            tally.opportunities += 1;
            tally.unseen += 1;
        });
    }

    /// Counts a message whose trigger went from `source` to `destination` shortly before; `seen` tells whether it was captured.
    pub fn note_near(&mut self, source: IpAddr, destination: IpAddr, seen: bool, witness: Witness, now: PacketTime) {
        if !seen && witness == Witness::Partner {
            self.note_missing();
        }
        self.each(source, destination, witness, now, |tally| {
            tally.near += 1;
            tally.near_unseen += u32::from(!seen);
        });
    }

    /// Takes note of a message of a partner, or to one, of which it is proven that the capture missed it.
    pub fn note_missing(&mut self) {
        self.missing += 1;
    }

    /// How many messages the capture is proven to have missed, whatever share of all they are; strangers prove nothing.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// What the last ten minutes say of what `address` sends or receives.
    pub fn verdict(&self, address: IpAddr, way: Way, thresholds: &Thresholds, now: PacketTime) -> Verdict {
        let Some(watched) = self.watched.iter().find(|watched| watched.address == address) else { return Verdict::Unclear };
        let number = bucket_number(now);
        let [mut strangers, mut partners] = [[Tally::default(); 2]; 2];
        for bucket in watched.buckets.iter().filter(|bucket| bucket.number > number - BUCKETS as i64) {
            for (sums, tallies) in [&mut strangers, &mut partners].into_iter().zip(&bucket.tallies) {
                sums.iter_mut().zip(tallies).for_each(|(sum, tally)| sum.add(tally));
            }
        }
        let sums = if partners.iter().any(|tally| tally.opportunities > 0) { partners } else { strangers };
        let (here, there) = match way {
            Way::Sent => (sums[0], sums[1]),
            Way::Received => (sums[1], sums[0]),
        };
        let share = here.share();
        let alive = f64::from(here.packets) >= ALIVE * f64::from(there.packets);
        let near = Tally { opportunities: here.near, unseen: here.near_unseen, ..here };
        let (enough, lossy) = (thresholds.one_way_triggers, thresholds.lossy_share.get());
        match share {
            _ if here.opportunities < enough && alive && here.packets > 0 => Verdict::Sound,
            _ if here.opportunities < enough => Verdict::Unclear,
            share if share >= thresholds.one_way_share.get() && !alive => Verdict::OneWay(here),
            share if share >= lossy && !alive => Verdict::Lossy(here),
            _ if near.opportunities >= enough && near.unseen >= SCATTERED && near.share() >= lossy => Verdict::Lossy(near),
            _ => Verdict::Sound,
        }
    }

    fn bucket_at(&mut self, now: PacketTime) -> i64 {
        let (number, begins) = self.latest;
        if now >= begins && now.since(begins) < BUCKET && begins > PacketTime::MIN {
            return number;
        }
        let number = bucket_number(now);
        self.latest = (number, PacketTime::from_nanos(number.saturating_mul(BUCKET.as_nanos())));
        number
    }

    fn each(&mut self, source: IpAddr, destination: IpAddr, witness: Witness, now: PacketTime, change: impl Fn(&mut Tally)) {
        let number = self.bucket_at(now);
        for watched in &mut self.watched {
            let way = if watched.address == source {
                Way::Sent
            } else if watched.address == destination {
                Way::Received
            } else {
                continue;
            };
            let bucket = &mut watched.buckets[number.rem_euclid(BUCKETS as i64) as usize];
            if bucket.number != number {
                *bucket = Bucket { number, ..Bucket::default() };
            }
            change(&mut bucket.tallies[witness as usize][way as usize]);
        }
    }
}

fn bucket_number(now: PacketTime) -> i64 {
    now.as_nanos().div_euclid(BUCKET.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Ratio;

    const PBX: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 10));
    const PHONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));

    fn at(seconds: i64) -> PacketTime {
        PacketTime::from_parts(seconds, 0)
    }

    #[test]
    fn ten_answers_to_challenges_that_nobody_saw_are_a_missing_direction() {
        let mut triggers = Triggers::new();
        triggers.watch(PBX);
        for n in 0..10 {
            assert_eq!(triggers.verdict(PBX, Way::Sent, &Thresholds::default(), at(n)), Verdict::Unclear);
            triggers.note_packet(PHONE, PBX, Witness::Stranger, at(n));
            triggers.note_unseen(PBX, PHONE, Witness::Stranger, at(n));
        }
        assert!(matches!(triggers.verdict(PBX, Way::Sent, &Thresholds::default(), at(10)), Verdict::OneWay(_)));
        assert_eq!(triggers.verdict(PBX, Way::Received, &Thresholds::default(), at(10)), Verdict::Sound);
        assert_eq!(triggers.verdict(PBX, Way::Sent, &Thresholds::default(), at(800)), Verdict::Unclear, "the window slides");
        triggers.note_packet(PHONE, PBX, Witness::Stranger, at(801));
        assert_eq!(triggers.verdict(PBX, Way::Sent, &Thresholds::default(), at(801)), Verdict::Unclear, "still nothing of it");
        triggers.note_packet(PBX, PHONE, Witness::Stranger, at(802));
        assert_eq!(triggers.verdict(PBX, Way::Sent, &Thresholds::default(), at(802)), Verdict::Sound, "there it is");
    }

    #[test]
    fn one_request_in_ten_that_nobody_saw_is_a_lossy_capture() {
        let verdict = |lost: u32| {
            let mut triggers = Triggers::new();
            triggers.watch(PBX);
            for n in 0..40 {
                triggers.note_packet(PHONE, PBX, Witness::Stranger, at(n));
                triggers.note_packet(PBX, PHONE, Witness::Stranger, at(n));
                triggers.note_seen(PHONE, PBX, Witness::Stranger, at(n));
                triggers.note_near(PHONE, PBX, n >= i64::from(lost), Witness::Stranger, at(n));
            }
            triggers.verdict(PBX, Way::Received, &Thresholds::default(), at(40))
        };
        assert!(matches!(verdict(4), Verdict::Lossy(Tally { unseen: 4, opportunities: 40, .. })));
        assert_eq!(verdict(2), Verdict::Sound, "an accident");
    }

    #[test]
    fn a_capture_that_began_in_the_middle_is_not_one_way() {
        let mut triggers = Triggers::new();
        triggers.watch(PBX);
        for n in 0..20 {
            triggers.note_packet(PHONE, PBX, Witness::Stranger, at(n));
            triggers.note_unseen(PBX, PHONE, Witness::Stranger, at(n));
            triggers.note_packet(PBX, PHONE, Witness::Stranger, at(n));
        }
        assert_eq!(triggers.verdict(PBX, Way::Sent, &Thresholds::default(), at(20)), Verdict::Sound);
    }

    #[test]
    fn the_shares_that_are_too_many_are_configured() {
        let mut triggers = Triggers::new();
        triggers.watch(PBX);
        for n in 0..20 {
            triggers.note_packet(PHONE, PBX, Witness::Stranger, at(n));
            if n % 5 == 0 {
                triggers.note_unseen(PBX, PHONE, Witness::Stranger, at(n))
            } else {
                triggers.note_seen(PBX, PHONE, Witness::Stranger, at(n))
            }
        }
        let verdict = |one_way: u32, lossy: u32| {
            let (one_way_share, lossy_share) = (Ratio::from_percent(one_way), Ratio::from_percent(lossy));
            triggers.verdict(PBX, Way::Sent, &Thresholds { one_way_share, lossy_share, ..Thresholds::default() }, at(20))
        };
        assert!(matches!(verdict(50, 5), Verdict::Lossy(_)));
        assert!(matches!(verdict(20, 5), Verdict::OneWay(_)));
        assert_eq!(verdict(50, 25), Verdict::Sound);
    }
}
