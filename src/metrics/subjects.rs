//! Series of single peers, sites and users: of those that the configuration names, and of those that it lets have any.
//!
//! A peer is named by the configuration. Sites and users are named by the wire, so only one that a PBX has accepted gets a place; there are
//! so many places for each kind, and all that find none share [`Label::OVERFLOW`].

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::catalog::SubjectTally;
use super::labels::Subject;
use crate::config::{Config, Label, LabelChoice, PbxAddress};
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::registration::Aor;
use crate::track::registration::addresses::Occupant;
use crate::track::site::Site;

/// How long a place is kept for who is silent.
const KEPT: Span = Span::from_secs(3_600);

/// Somebody at the other end of a PBX.
#[derive(Clone, Copy, Debug)]
pub(super) struct Party {
    /// The number of the phone system.
    pub(super) pbx: usize,
    /// Where.
    pub(super) address: SocketAddr,
    /// The device, where it is known.
    pub(super) device: Option<Handle>,
}

/// The numbers of one of them.
#[derive(Clone, Debug)]
pub(super) struct SubjectNumbers {
    pub(super) what: Subject,
    pub(super) pbx: usize,
    pub(super) name: String,
    pub(super) tally: SubjectTally,
}

/// All that have series of their own.
#[derive(Debug)]
pub(super) struct Subjects {
    peers: Peers,
    pub(super) sites: Places<Site>,
    aors: Places<Box<str>>,
}

impl Subjects {
    /// As the configuration has it.
    pub(super) fn new(config: &Config) -> Self {
        let metrics = &config.metrics;
        let limit = metrics.label_limit as usize;
        Self {
            peers: Peers::new(config, limit),
            sites: Places::new(metrics.site_labels.clone(), limit),
            aors: Places::new(metrics.aor_labels.clone(), limit),
        }
    }

    /// Counts from 0 again.
    pub(super) fn begin(&mut self) {
        self.peers.tallies.values_mut().for_each(|tally| *tally = SubjectTally::default());
        self.peers.overflow = 0;
        self.sites = Places::new(self.sites.choice.clone(), self.sites.limit);
        self.aors = Places::new(self.aors.choice.clone(), self.aors.limit);
    }

    /// Counts something of a party as its peer, its site and its user.
    pub(super) fn count(&mut self, tracker: &Tracker, party: Party, count: impl Fn(&mut SubjectTally)) {
        if self.is_off() {
            return;
        }
        let aor = aor_of(tracker, party);
        if let Some(tally) = self.peers.tally(party, aor) {
            count(tally);
        }
        let (Some(aor), now) = (aor.filter(|aor| aor.accepted > 0), tracker.now()) else { return };
        let site = Site::of(party.address.ip());
        if let Some(tally) = self.sites.tally(party.pbx, &site, || site, now) {
            count(tally);
        }
        if let Some(tally) = self.aors.tally(party.pbx, &*aor.name, || aor.name.clone(), now) {
            count(tally);
        }
    }

    /// The number of the named peer that a party is, where it is one that has series of its own.
    pub(super) fn peer(&self, tracker: &Tracker, party: Party) -> Option<usize> {
        (!self.peers.names.is_empty()).then(|| self.peers.find(party, aor_of(tracker, party))).flatten()
    }

    /// The name of a peer by its number.
    pub(super) fn peer_name(&self, number: usize) -> &str {
        self.peers.name(number)
    }

    /// Whether peers have names.
    pub(super) fn has_peers(&self) -> bool {
        !self.peers.names.is_empty()
    }

    /// The numbers of all at `now`.
    pub(super) fn numbers(&self, now: PacketTime) -> Vec<SubjectNumbers> {
        let peers = self.peers.tallies.iter().map(|(&(pbx, number), tally)| SubjectNumbers {
            what: Subject::Peer,
            pbx,
            name: self.peers.name(number).to_owned(),
            tally: tally.clone(),
        });
        peers.chain(self.sites.numbers(Subject::Site, now)).chain(self.aors.numbers(Subject::Aor, now)).collect()
    }

    /// How often something was counted without series of its own for lack of room.
    pub(super) fn overflow(&self) -> [(Subject, u64); 3] {
        [(Subject::Peer, self.peers.overflow), (Subject::Site, self.sites.overflow), (Subject::Aor, self.aors.overflow)]
    }

    /// Whether sites or users are named.
    pub(super) fn name_somebody(&self) -> bool {
        self.sites.choice.is_on() || self.aors.choice.is_on()
    }

    fn is_off(&self) -> bool {
        self.peers.names.is_empty() && !self.name_somebody()
    }
}

/// The AoR of a party: that of its device, or of the device that has its address to itself.
fn aor_of(tracker: &Tracker, party: Party) -> Option<&Aor> {
    let alone = || match tracker.registrations.occupant(&tracker.world, party.address)? {
        Occupant::Only(device) => Some(device),
        Occupant::Several(_) => None,
    };
    let device = party.device.or_else(alone)?;
    tracker.registrations.aor(tracker.registrations.device(device)?.aor)
}

/// The peers that the configuration names.
#[derive(Debug)]
struct Peers {
    /// In the order of the configuration; those beyond the limit share one series.
    names: Vec<String>,
    limit: usize,
    addresses: Vec<(PbxAddress, usize)>,
    users: Vec<(String, usize)>,
    tallies: BTreeMap<(usize, usize), SubjectTally>,
    overflow: u64,
}

impl Peers {
    fn new(config: &Config, limit: usize) -> Self {
        let trunks = config.trunks.values().enumerate();
        let addresses = trunks.flat_map(|(number, addresses)| addresses.iter().map(move |address| (*address, number))).collect();
        let watched = config.watch.values().zip(config.trunks.len()..);
        let users = watched.flat_map(|(users, number)| users.iter().map(move |user| (user.clone(), number))).collect();
        let names: Vec<_> = config.trunks.keys().chain(config.watch.keys()).cloned().collect();
        // Which of several phone systems a peer talks to shows when it does.
        let at_once = if config.phone_systems().names().len() == 1 { names.len().min(limit) } else { 0 };
        let tallies = (0..at_once).map(|number| ((0, number), SubjectTally::default())).collect();
        Self { names, limit, addresses, users, tallies, overflow: 0 }
    }

    fn find(&self, party: Party, aor: Option<&Aor>) -> Option<usize> {
        let trunk = self.addresses.iter().find(|(address, _)| address.matches(party.address));
        let watched = || {
            let aor = aor?;
            self.users.iter().find(|(user, _)| **user == *aor.name || user == aor.user())
        };
        let number = trunk.map(|(_, number)| *number).or_else(|| watched().map(|(_, number)| *number))?;
        Some(number.min(self.limit))
    }

    fn name(&self, number: usize) -> &str {
        if number >= self.limit { Label::OTHER } else { self.names.get(number).map_or(Label::OTHER, String::as_str) }
    }

    fn tally(&mut self, party: Party, aor: Option<&Aor>) -> Option<&mut SubjectTally> {
        let number = self.find(party, aor)?;
        self.overflow += u64::from(number >= self.limit);
        Some(self.tallies.entry((party.pbx, number)).or_default())
    }
}

/// One that has series of its own.
#[derive(Debug)]
struct Place {
    tally: SubjectTally,
    used: PacketTime,
}

/// The places of one kind.
#[derive(Debug)]
pub(super) struct Places<K> {
    choice: LabelChoice,
    limit: usize,
    held: BTreeMap<usize, BTreeMap<K, Place>>,
    rest: BTreeMap<usize, SubjectTally>,
    overflow: u64,
    /// Before this moment nobody gives up a place.
    free_from: PacketTime,
}

impl<K: Ord + ToString> Places<K> {
    fn new(choice: LabelChoice, limit: usize) -> Self {
        Self { choice, limit, held: BTreeMap::new(), rest: BTreeMap::new(), overflow: 0, free_from: PacketTime::MIN }
    }

    /// Where to count of `key`; nowhere if nobody has series of its own.
    fn tally<Q: Ord + ToString + ?Sized>(
        &mut self,
        pbx: usize,
        key: &Q,
        owned: impl FnOnce() -> K,
        now: PacketTime,
    ) -> Option<&mut SubjectTally>
    where
        K: Borrow<Q>,
    {
        if !self.choice.is_on() {
            return None;
        }
        let is_held = self.held.get(&pbx).is_some_and(|held| held.contains_key(key));
        if !is_held && !self.has_place(key, now) {
            return Some(self.rest.entry(pbx).or_default());
        }
        let held = self.held.entry(pbx).or_default();
        let place = held.entry(owned()).or_insert_with(|| Place { tally: SubjectTally::default(), used: now });
        place.used = now;
        Some(&mut place.tally)
    }

    /// Whether there is a place for `key`, of which one that was silent for long enough may be made free.
    fn has_place<Q: ToString + ?Sized>(&mut self, key: &Q, now: PacketTime) -> bool {
        if !matches!(self.choice, LabelChoice::Top) && !self.choice.allows(&key.to_string()) {
            return false;
        }
        if self.len() >= self.limit && now >= self.free_from {
            self.held.values_mut().for_each(|held| held.retain(|_, place| place.used + KEPT > now));
            let oldest = self.held.values().flat_map(BTreeMap::values).map(|place| place.used).min();
            self.free_from = oldest.map_or(now, |oldest| oldest + KEPT);
        }
        let is_free = self.len() < self.limit;
        self.overflow += u64::from(!is_free);
        is_free
    }

    fn len(&self) -> usize {
        self.held.values().map(BTreeMap::len).sum()
    }

    /// Those that were heard of within the hour before `now`, each with the number of its phone system.
    pub(super) fn held(&self, now: PacketTime) -> impl Iterator<Item = (usize, &K)> {
        let lasting = move |place: &Place| place.used + KEPT > now;
        self.held.iter().flat_map(move |(&pbx, held)| held.iter().filter(move |(_, place)| lasting(place)).map(move |(key, _)| (pbx, key)))
    }

    fn numbers(&self, what: Subject, now: PacketTime) -> Vec<SubjectNumbers> {
        let mut numbers = Vec::new();
        for (&pbx, held) in &self.held {
            let lasting = held.iter().filter(|(_, place)| place.used + KEPT > now);
            numbers.extend(lasting.map(|(key, place)| SubjectNumbers { what, pbx, name: key.to_string(), tally: place.tally.clone() }));
        }
        let rest = self.rest.iter();
        numbers.extend(rest.map(|(&pbx, tally)| SubjectNumbers { what, pbx, name: Label::OVERFLOW.to_owned(), tally: tally.clone() }));
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> PacketTime {
        PacketTime::from_parts(1_000_000 + seconds, 0)
    }

    fn count(places: &mut Places<Box<str>>, name: &str, seconds: i64) {
        if let Some(tally) = places.tally(0, name, || name.into(), at(seconds)) {
            tally.registration_attempts.bump(());
        }
    }

    /// The names that have series, with their counts.
    fn shown(places: &Places<Box<str>>, seconds: i64) -> Vec<(String, u64)> {
        places.numbers(Subject::Aor, at(seconds)).into_iter().map(|one| (one.name, one.tally.registration_attempts.get(()))).collect()
    }

    #[test]
    fn who_finds_no_place_is_counted_with_the_others() {
        let mut places = Places::new(LabelChoice::Top, 2);
        for name in ["a", "b", "c", "a", "d"] {
            count(&mut places, name, 0);
        }
        assert_eq!(shown(&places, 1), [("a".to_owned(), 2), ("b".to_owned(), 1), ("__other__".to_owned(), 2)]);
        assert_eq!(places.overflow, 2);
    }

    #[test]
    fn an_hour_of_silence_gives_a_place_up() {
        let mut places = Places::new(LabelChoice::Top, 2);
        count(&mut places, "a", 0);
        count(&mut places, "b", 3_000);
        count(&mut places, "c", 3_599);
        assert_eq!(shown(&places, 3_600), [("b".to_owned(), 1), ("__other__".to_owned(), 1)], "a is not shown any more");
        count(&mut places, "c", 3_600);
        assert_eq!(shown(&places, 3_601), [("b".to_owned(), 1), ("c".to_owned(), 1), ("__other__".to_owned(), 1)]);
    }

    #[test]
    fn a_list_lets_nobody_else_in() {
        let mut places = Places::new(LabelChoice::Only(vec!["b".to_owned()]), 10);
        count(&mut places, "a", 0);
        count(&mut places, "b", 0);
        assert_eq!(shown(&places, 1), [("b".to_owned(), 1), ("__other__".to_owned(), 1)]);
        assert_eq!(places.overflow, 0, "there was room");
        let mut off = Places::new(LabelChoice::Off, 10);
        count(&mut off, "a", 0);
        assert!(shown(&off, 1).is_empty());
    }
}
