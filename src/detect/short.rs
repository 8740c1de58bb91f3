//! Calls that people end within seconds, as they do when they hear nothing (DETECTION §4.6).

use std::collections::{BTreeMap, VecDeque};

use crate::config::Thresholds;
use crate::detect::catalog::FindingId;
use crate::detect::finding::{Raise, Subject};
use crate::detect::parties::users;
use crate::detect::registration::placed;
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::Span;
use crate::track::Tracker;
use crate::track::event::{Event, Sighting};

/// How long a call counts.
const WINDOW: Span = Span::from_secs(3600);
/// Calls remembered.
const REMEMBERED: usize = 16_384;

#[derive(Clone, Debug)]
struct Ended {
    at: Sighting,
    talk: Span,
    is_short: bool,
    /// Its users, as hashes of their names.
    users: Box<[u64]>,
}

/// What the calls of a user amount to.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    all: usize,
    short: usize,
}

impl Count {
    fn add(&mut self, short: bool) {
        self.all += 1;
        self.short += usize::from(short);
    }

    /// Whether there are too many short ones among them, also by the measure of `others`.
    fn is_odd(self, others: Self, thresholds: &Thresholds) -> bool {
        let enough = self.all >= thresholds.short_call_calls as usize;
        let many = enough && thresholds.short_call_share.is_reached(self.short, self.all);
        // Shares compared without division: nobody else's calls are short where there are none.
        many && self.short * others.all >= thresholds.short_call_factor as usize * others.short * self.all
            && (others.all > 0 || others.short == 0)
    }
}

/// Watches for users whose calls are short.
#[derive(Debug, Default)]
pub(super) struct ShortDetector {
    ended: VecDeque<Ended>,
    users: BTreeMap<u64, Count>,
    total: Count,
}

impl ShortDetector {
    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        let Event::CallEnded { call, at } = *event else { return };
        let Some((talk, users)) = ended(tracker, call, at) else { return };
        self.forget(at);
        let is_short = talk < tracker.thresholds().short_call;
        self.total.add(is_short);
        let keys: Box<[u64]> = users.iter().map(|user| key(tracker, user)).collect();
        for user in &keys {
            self.users.entry(*user).or_default().add(is_short);
        }
        self.ended.push_back(Ended { at, talk, is_short, users: keys });
        for user in users.into_iter().filter(|_| is_short) {
            self.judge(tracker, user, at, findings);
        }
    }

    fn forget(&mut self, now: Sighting) {
        let is_old = |ended: &Ended| now.time.since(ended.at.time) > WINDOW;
        while self.ended.len() >= REMEMBERED || self.ended.front().is_some_and(is_old) {
            let Some(old) = self.ended.pop_front() else { return };
            let short = usize::from(old.is_short);
            self.total = Count { all: self.total.all - 1, short: self.total.short - short };
            for user in old.users {
                if let Some(count) = self.users.get_mut(&user) {
                    *count = Count { all: count.all - 1, short: count.short - short };
                    if count.all == 0 {
                        self.users.remove(&user);
                    }
                }
            }
        }
    }

    fn judge(&self, tracker: &Tracker, user: &str, at: Sighting, findings: &mut FindingStore) {
        let key = key(tracker, user);
        let Some(&count) = self.users.get(&key) else { return };
        let others = Count { all: self.total.all - count.all, short: self.total.short - count.short };
        if others.all == 0 || !count.is_odd(others, tracker.thresholds()) {
            return;
        }
        let subject = Subject::Aor(user.into());
        let message =
            format!("{user}: {} of {} calls within an hour were shorter than {}", count.short, count.all, tracker.thresholds().short_call);
        let known = findings.is_open(FindingId::ShortCalls, &subject);
        let mut raise = Raise::new(FindingId::ShortCalls, subject, message);
        let own = self.ended.iter().filter(|ended| ended.is_short && ended.users.contains(&key));
        for ended in own.filter(|ended| !known || ended.at == at) {
            raise = raise.evidence(ended.at.time, ended.at.frame, format!("BYE after {}", ended.talk));
        }
        let device = tracker.registrations.find_aor(&tracker.world, user).and_then(|aor| tracker.registrations.aor(aor));
        let device = device.and_then(|aor| aor.devices.iter().find_map(|device| tracker.registrations.device(*device)));
        let raise = device.map(|device| device.source()).into_iter().fold(raise, |raise, source| placed(tracker, raise, source));
        findings.raise(raise, at.time);
    }
}

fn key(tracker: &Tracker, user: &str) -> u64 {
    tracker.world.digester.bytes(user.as_bytes()).low64()
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

    #[test]
    fn short_calls_are_odd_only_where_others_are_longer() {
        let count = |short, all| Count { all, short };
        assert!(count(4, 10).is_odd(count(1, 40), &Thresholds::default()));
        assert!(count(3, 10).is_odd(count(0, 40), &Thresholds::default()));
        assert!(!count(4, 9).is_odd(count(0, 40), &Thresholds::default()), "too few calls");
        assert!(!count(2, 10).is_odd(count(0, 40), &Thresholds::default()), "too few short ones");
        assert!(!count(4, 10).is_odd(count(12, 40), &Thresholds::default()), "all calls are short here");
    }

    #[test]
    fn how_many_times_the_others_is_configured() {
        let odd = |short_call_factor| {
            let thresholds = Thresholds { short_call_factor, ..Thresholds::default() };
            Count { all: 10, short: 4 }.is_odd(Count { all: 40, short: 8 }, &thresholds)
        };
        assert!(odd(2) && !odd(3));
    }
}
