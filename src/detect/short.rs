//! Calls that people end within seconds, as they do when they hear nothing (DETECTION §4.6).

use std::collections::BTreeMap;

use crate::config::Thresholds;
use crate::detect::catalog::FindingId;
use crate::detect::chance;
use crate::detect::finding::{Raise, Subject};
use crate::detect::parties::users;
use crate::detect::registration::placed;
use crate::detect::sighted::{SightedLog, put_nanos, read_nanos};
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::Span;
use crate::track::Tracker;
use crate::track::event::{Event, Sighting};

/// How long a call counts.
const WINDOW: Span = Span::from_secs(3600);
/// Calls remembered.
const REMEMBERED: usize = 16_384;

/// Of how many users chance may make as much, before that of one says nothing.
const BY_CHANCE: f64 = 0.05;

/// The hash of a user's name. Of some thousand users hardly two share one, and these would only be weighed together.
type Key = [u8; 4];

/// A call that counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Ended<Users> {
    at: Sighting,
    talk: Span,
    is_short: bool,
    /// Its users.
    users: Users,
}

/// The calls that count, in the order in which they ended. Each is kept as some twenty bytes, where [`Ended`] takes twice as many beside
/// its users.
#[derive(Debug, Default)]
struct Calls(SightedLog);

impl Calls {
    fn push(&mut self, ended: &Ended<&[Key]>) {
        self.0.push(ended.at, |out| {
            out.push(u8::from(ended.is_short));
            put_nanos(ended.talk.as_nanos(), out);
            out.extend_from_slice(ended.users.as_flattened());
        });
    }

    /// The first one.
    fn first(&self) -> Option<Ended<&[Key]>> {
        self.iter().next()
    }

    fn iter(&self) -> impl Iterator<Item = Ended<&[Key]>> {
        self.0.iter().map(|(at, mut reader)| {
            let [is_short] = reader.array();
            let talk = Span::from_nanos(read_nanos(&mut reader));
            Ended { at, talk, is_short: is_short != 0, users: reader.0.as_chunks().0 }
        })
    }
}

/// What the calls of a user amount to.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    all: u16,
    short: u16,
}

impl Count {
    fn add(&mut self, short: bool) {
        self.all += 1;
        self.short += u16::from(short);
    }

    /// Whether there are too many short ones among them, also by the measure of `others`, for one of so many `users`.
    fn is_odd(self, others: Self, users: usize, thresholds: &Thresholds) -> bool {
        let [all, short, others_all, others_short] = [self.all, self.short, others.all, others.short].map(usize::from);
        let enough = all >= thresholds.short_call_calls as usize;
        let many = enough && thresholds.short_call_share.is_reached(short, all);
        // Shares compared without division: nobody else's calls are short where there are none.
        let is_more =
            short * others_all >= thresholds.short_call_factor as usize * others_short * all && (others_all > 0 || others_short == 0);
        // If the calls of all were alike.
        let usual = |of: usize| of as f64 * (short + others_short) as f64 / (all + others_all) as f64;
        let likelihood = || chance::likelihood(short, all, usual(all)) * chance::likelihood(others_short, others_all, usual(others_all));
        many && is_more && likelihood() * (users as f64) < BY_CHANCE
    }
}

/// Watches for users whose calls are short.
#[derive(Debug, Default)]
pub(super) struct ShortDetector {
    ended: Calls,
    users: BTreeMap<Key, Count>,
    total: Count,
}

impl ShortDetector {
    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        let Event::CallEnded { call, at } = *event else { return };
        let Some((talk, users)) = ended(tracker, call, at) else { return };
        self.forget(at);
        let is_short = talk < tracker.thresholds().short_call;
        self.total.add(is_short);
        let keys: Vec<Key> = users.iter().map(|user| key(tracker, user)).collect();
        for user in &keys {
            self.users.entry(*user).or_default().add(is_short);
        }
        let ended = Ended { at, talk, is_short, users: &*keys };
        self.ended.push(&ended);
        for (user, key) in std::iter::zip(users, &keys).filter(|_| is_short) {
            self.judge(tracker, (user, *key), ended, findings);
        }
    }

    fn forget(&mut self, now: Sighting) {
        while let Some(old) = self.ended.first()
            && (self.ended.0.len() >= REMEMBERED || now.time.since(old.at.time) > WINDOW)
        {
            let short = u16::from(old.is_short);
            self.total = Count { all: self.total.all - 1, short: self.total.short - short };
            for user in old.users {
                if let Some(count) = self.users.get_mut(user) {
                    *count = Count { all: count.all - 1, short: count.short - short };
                    if count.all == 0 {
                        self.users.remove(user);
                    }
                }
            }
            self.ended.0.pop();
        }
    }

    /// Looks at the calls of a user, whose last one is `last`.
    fn judge(&self, tracker: &Tracker, (user, key): (&str, Key), last: Ended<&[Key]>, findings: &mut FindingStore) {
        let Some(&count) = self.users.get(&key) else { return };
        let others = Count { all: self.total.all - count.all, short: self.total.short - count.short };
        if others.all == 0 || !count.is_odd(others, self.users.len(), tracker.thresholds()) {
            return;
        }
        let subject = Subject::Aor(user.into());
        let message =
            format!("{user}: {} of {} calls within an hour were shorter than {}", count.short, count.all, tracker.thresholds().short_call);
        let known = findings.is_open(FindingId::ShortCalls, &subject);
        let mut raise = Raise::new(FindingId::ShortCalls, subject, message);
        let evidence = |raise: Raise, at: Sighting, talk| raise.evidence(at.time, at.frame, format!("BYE after {talk}"));
        if known {
            raise = evidence(raise, last.at, last.talk);
        } else {
            let own = self.ended.iter().filter(|ended| ended.is_short && ended.users.contains(&key));
            raise = own.fold(raise, |raise, ended| evidence(raise, ended.at, ended.talk));
        }
        let device = tracker.registrations.find_aor(&tracker.world, user).and_then(|aor| tracker.registrations.aor(aor));
        let device = device.and_then(|aor| aor.devices.iter().find_map(|device| tracker.registrations.device(*device)));
        let raise = device.map(|device| device.source()).into_iter().fold(raise, |raise, source| placed(tracker, raise, source));
        findings.raise(raise, last.at.time);
    }
}

fn key(tracker: &Tracker, user: &str) -> Key {
    (tracker.world.digester.bytes(user.as_bytes()).low64() as u32).to_le_bytes()
}

/// How long an answered call lasted that somebody ended, and its users by name, counted at the leg that began first; the BYE of a fork
/// ends none.
fn ended(tracker: &Tracker, handle: Handle, at: Sighting) -> Option<(Span, Vec<&str>)> {
    let call = tracker.calls.get(handle).filter(|_| at.frame > 0)?;
    let talk = at.time.since(call.record.answered?);
    let partners = || tracker.calls.partners(handle).map(|(_, partner)| partner);
    let scans = tracker.world.peers.scans(call.record.source.ip());
    if scans || partners().any(|partner| partner.is_answered() && !partner.is_up()) {
        return None;
    }
    let legs = std::iter::once(call).chain(partners().filter(|partner| partner.is_answered()));
    let mut users: Vec<_> = legs.flat_map(|leg| users(tracker, leg)).collect();
    users.sort_unstable();
    users.dedup();
    Some((talk, users))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::PacketTime;

    #[test]
    fn calls_are_read_as_they_were_remembered() {
        let at = |micros: i64, frame| Sighting { time: PacketTime::from_nanos(micros * 1000), frame };
        let [one, other]: [&[Key]; 2] = [&[*b"anna", *b"otto"], &[]];
        let ended = [
            Ended { at: at(7, 1), talk: Span::from_secs(9), is_short: false, users: one },
            Ended { at: at(1_000_000, 40), talk: Span::from_nanos(1_500_000_001), is_short: true, users: other },
        ];
        let mut calls = Calls::default();
        ended.iter().for_each(|ended| calls.push(ended));
        assert_eq!(calls.iter().collect::<Vec<_>>(), ended);
    }

    /// Whether one of so many users is odd who has `all` calls, `short` of them short, where the others have as many as `others` says.
    fn is_odd(users: usize, [short, all]: [u16; 2], others: [u16; 2], thresholds: &Thresholds) -> bool {
        let [others_short, others_all] = others;
        Count { all, short }.is_odd(Count { all: others_all, short: others_short }, users, thresholds)
    }

    #[test]
    fn short_calls_are_odd_only_where_others_are_longer() {
        let is_odd = |own, others| is_odd(6, own, others, &Thresholds::default());
        assert!(is_odd([6, 10], [1, 40]));
        assert!(!is_odd([4, 10], [2, 40]), "a bad hour");
        assert!(is_odd([10, 10], [4, 40]));
        assert!(!is_odd([9, 9], [0, 40]), "too few calls");
        assert!(!is_odd([2, 10], [0, 40]), "too few short ones");
        assert!(!is_odd([8, 10], [17, 40]), "all calls are short here");
    }

    #[test]
    fn of_many_users_some_have_more_short_calls_by_chance() {
        let is_odd = |own, others| is_odd(2000, own, others, &Thresholds::default());
        assert!(!is_odd([5, 14], [2_800, 28_000]), "of thousands some have such an hour");
        assert!(is_odd([12, 14], [2_800, 28_000]));
        assert!(!is_odd([6, 10], [0, 4]), "nobody knows how long calls are here");
    }

    #[test]
    fn how_many_times_the_others_is_configured() {
        let is_odd = |short_call_factor| is_odd(6, [19, 20], [20, 60], &Thresholds { short_call_factor, ..Thresholds::default() });
        assert!(is_odd(2) && !is_odd(3));
    }
}
