//! What NATs do to phones (DETECTION §2): where each phone is, which requests reached it after how long a silence, and what that says of
//! the NAT in front of its site.
//!
//! A phone is followed from its first REGISTER on and forgotten a day after it was last heard; a site from its first phone behind NAT. Of a
//! site at most 8 kB are kept, of a phone its last silences and the requests whose fate is not known yet.

pub mod advice;
mod asked;
mod dark;
pub mod estimate;
pub mod event;
mod evidence;
mod ignored;
mod moves;
mod names;
mod phone;
mod pool;
mod proven;
mod rewrite;
mod rhythm;
mod site;
mod stage;
mod view;
mod witness;

#[cfg(test)]
mod simulation;

pub use evidence::NatEvidence;
pub use rewrite::Rewriting;
pub use rhythm::Era;
pub use stage::Stage;
pub use view::SiteView;

use std::net::{IpAddr, SocketAddr};

use crate::config::Thresholds;
use crate::decode::ends::ip_digest;
use crate::decode::flow::{Flow, is_private};
use crate::table::{Digest, Digester, ExpiringTable, Handle, Rank};
use crate::time::{PacketTime, Span};
use crate::track::event::Sighting;
use crate::track::flows::LastTimes;
use crate::track::nat::event::NatEvent;
use crate::track::nat::names::PublicNames;
use crate::track::nat::phone::Phone;
use crate::track::nat::rhythm::{COMPARED_INTERVALS, Experiment};
use crate::track::nat::site::SiteNat;
use crate::track::nat::witness::Witnesses;
use crate::track::registration::Registrations;
use crate::track::registration::addresses::Tied;
use crate::track::registration::device::{Continuity, Device};
use crate::track::site::Site;
use crate::track::vocabulary::{BehindNat, Direction};
use crate::track::world::{Seen, World};

/// How long a silent phone or site is remembered.
const REMEMBERED: Span = Span::from_secs(24 * 3600);
/// PBX addresses with their private names that were told.
const PRIVATE_NAMES: usize = 64;

/// The phones, the sites, and what is known of their NATs.
#[derive(Debug)]
pub struct Nat {
    digester: Digester,
    phones: ExpiringTable<Phone>,
    sites: ExpiringTable<SiteNat>,
    witnesses: Witnesses,
    made: u32,
    /// Keep-alives that more than one phone could have sent.
    unattributed: u64,
    private_names: Vec<(SocketAddr, IpAddr)>,
    public_names: PublicNames,
    thresholds: Thresholds,
}

impl Nat {
    /// Nothing known, and room for `capacity` phones and as many sites.
    pub fn new(digester: Digester, capacity: usize, thresholds: Thresholds) -> Self {
        Self {
            digester,
            phones: ExpiringTable::new(capacity),
            sites: ExpiringTable::new(capacity),
            witnesses: Witnesses::default(),
            made: 0,
            unattributed: 0,
            private_names: Vec::new(),
            public_names: PublicNames::default(),
            thresholds,
        }
    }

    /// Keep-alives from ports that no registration has named and that more than one phone could have sent.
    pub fn unattributed(&self) -> u64 {
        self.unattributed
    }

    /// Phones and sites held, and how many of each were dropped for lack of room.
    pub fn sizes(&self) -> [(usize, u64); 2] {
        [(self.phones.len(), self.phones.evicted()), (self.sites.len(), self.sites.evicted())]
    }

    /// When [`Self::expire`] next has something to do.
    pub fn next_deadline(&self) -> PacketTime {
        self.phones.next_deadline().min(self.sites.next_deadline())
    }

    /// Decides what has become decidable by `now`.
    pub fn expire(&mut self, world: &mut World, registrations: &Registrations, now: PacketTime) {
        while let Some((handle, _)) = self.phones.pop_due(now) {
            self.phone_due(world, registrations, handle, now);
        }
        while let Some((handle, _)) = self.sites.pop_due(now) {
            self.site_due(handle, now);
        }
    }

    /// Takes note of a REGISTER of a device, after the registrations have.
    pub fn registered(&mut self, world: &mut World, registrations: &mut Registrations, handle: Handle, seen: &Seen<'_>) {
        let Some(device) = registrations.device(handle) else { return };
        let continuity = device.continuity;
        let known = device.phone.filter(|phone| self.phones.get(*phone).is_some());
        let phone = known.unwrap_or_else(|| self.begin(registrations, handle, seen));
        if let Some(phone) = self.phones.get_mut(phone).filter(|_| continuity == Continuity::Restarted) {
            phone.asked.clear();
            phone.rewrites.restart();
        }
        let is_elsewhere = self.phones.get(phone).is_some_and(|phone| phone.flow.source != seen.flow.source);
        if is_elsewhere {
            self.moved(world, registrations, phone, seen.flow, seen.at, continuity);
        }
        if let Some(phone) = self.phones.get_mut(phone) {
            phone.flow = seen.flow;
            phone.contact.registered(seen.flow.source, seen.at.time);
        }
        let alive = matches!(continuity, Continuity::Continued(1..=LARGEST_STEP));
        let sign = if alive { Sign::Unasked } else { Sign::Restart };
        let mut packet = Heard::of(seen);
        let first = self.at(world, registrations, seen.flow.source).filter(|first| *first != phone);
        let spoke = first.and_then(|first| self.phones.get(first)?.spoke_from(seen.flow.source));
        packet.before.along = packet.before.along.max(spoke.unwrap_or(PacketTime::MIN));
        self.heard(world, registrations, phone, packet, sign);
        if let Some(first) = first {
            self.heard(world, registrations, first, packet, sign);
        }
        self.join_site(registrations, phone);
        self.note_writes(world, phone, seen);
        if seen.message.is_authorized() && known.is_some() {
            let site = self.phones.get(phone).map(|phone| Site::of(phone.flow.source.ip()));
            if let Some(site) = site.and_then(|site| self.site_mut(site)) {
                site.pool.answer_arrived(seen.at.time);
            }
        }
    }

    /// Takes note of a packet of a peer that is no REGISTER and no answer to a request that waits for one.
    pub fn packet(&mut self, world: &mut World, registrations: &mut Registrations, seen: &Seen<'_>) {
        self.sent(world, registrations, seen, Sign::Unasked);
    }

    /// Takes note of a request of a peer that it sent before.
    pub fn repeated(&mut self, world: &mut World, registrations: &mut Registrations, seen: &Seen<'_>) {
        self.sent(world, registrations, seen, Sign::Repeat);
    }

    fn sent(&mut self, world: &mut World, registrations: &mut Registrations, seen: &Seen<'_>, sign: Sign) {
        if world.peers.direction(seen.flow) != Direction::In {
            return;
        }
        let phone = match self.at(world, registrations, seen.flow.source) {
            Some(phone) => phone,
            None => match self.caller(world, registrations, seen) {
                Some(phone) => {
                    self.moved(world, registrations, phone, seen.flow, seen.at, Continuity::Continued(1));
                    phone
                }
                None => return,
            },
        };
        if let Some(phone) = self.phones.get_mut(phone) {
            phone.contact.note(seen.flow.source, seen.at.time);
        }
        self.heard(world, registrations, phone, Heard::of(seen), sign);
        if seen.message.has_sdp() {
            self.note_writes(world, phone, seen);
        }
    }

    /// Takes note of a keep-alive.
    pub fn keepalive(&mut self, world: &mut World, registrations: &mut Registrations, flow: Flow, before: LastTimes, at: Sighting) {
        match world.peers.direction(flow) {
            Direction::In => {}
            Direction::Out => return self.pinged(world, registrations, flow, at),
            Direction::Through => return,
        }
        let phone = match self.at(world, registrations, flow.source) {
            Some(phone) => phone,
            None => match self.sender(world, registrations, flow, at) {
                Some(phone) => phone,
                None => {
                    if let Some(site) = self.site_mut(Site::of(flow.source.ip())) {
                        site.stranger(flow.source, at);
                    }
                    return;
                }
            },
        };
        if let Some(phone) = self.phones.get_mut(phone) {
            phone.contact.note(flow.source, at.time);
        }
        self.heard(world, registrations, phone, Heard { flow, before, at }, Sign::Unasked);
        self.note_rhythm(world, phone, at);
    }

    /// The phone of the device that is or was at `address`.
    fn at(&self, world: &World, registrations: &Registrations, address: SocketAddr) -> Option<Handle> {
        self.phone_tied(registrations, registrations.tied_to(world, address)?)
    }

    fn phone_tied(&self, registrations: &Registrations, tied: Tied) -> Option<Handle> {
        let newest = || registrations.device(tied.device)?.phone.filter(|phone| self.phones.contains(*phone));
        tied.phone.filter(|phone| self.phones.contains(*phone)).or_else(newest)
    }

    fn begin(&mut self, registrations: &mut Registrations, device: Handle, seen: &Seen<'_>) -> Handle {
        self.made = self.made.wrapping_add(1);
        let phone = Phone::new(device, self.made, seen.flow, seen.at.time);
        let key = self.digester.parts(&[b"phone", &self.made.to_be_bytes()]);
        let (handle, _) = self.phones.insert(key, phone, seen.at.time + REMEMBERED, seen.rank);
        registrations.set_phone(device, handle);
        handle
    }

    /// The PBX sent a keep-alive: with enough of them the binding of the phone there is kept open, as far as its NAT heeds what comes in.
    fn pinged(&mut self, world: &mut World, registrations: &Registrations, flow: Flow, at: Sighting) {
        if !self.is_kept_open(world, flow, at.time) {
            return;
        }
        let Some(phone) = self.at(world, registrations, flow.destination).and_then(|phone| self.phones.get_mut(phone)) else { return };
        if phone.lacks_keepalive() && !std::mem::replace(&mut phone.keeps, true) {
            world.tell_nat(NatEvent::KeepalivesBegan { device: phone.device, at });
        }
    }

    /// Whether the PBX sends keep-alives along `flow` that are periodic and often enough to keep a binding open.
    fn is_kept_open(&self, world: &World, flow: Flow, now: PacketTime) -> bool {
        !flow.transport.is_stream()
            && world.flows.goes_on(flow, now).is_some_and(|interval| interval <= self.thresholds.keepalive_missing_gap)
    }

    /// Takes note that a phone sent a packet.
    fn heard(&mut self, world: &mut World, registrations: &Registrations, handle: Handle, packet: Heard, sign: Sign) {
        let (grace, stream_lifetime) = self.site_limits(handle);
        // What goes to an address that is no PBX ends no silence towards those that are.
        let is_to_pbx = world.peers.direction(packet.flow) == Direction::In;
        let Some(phone) = self.phones.get_mut(handle) else { return };
        let (now, at) = (packet.at.time, packet.at);
        phone.candidate = None;
        let last = phone.heard_before(packet.flow.source, packet.before);
        // A silence in which the phone was cut off is none of its own making; who is on registers before what was granted runs out.
        let granted = registrations.device(phone.device).map_or(Span::ZERO, |device| device.granted);
        let was_away = phone.proven.is_cut_off(last) || (granted > Span::ZERO && now.since(last) > granted);
        // What it sent while the capture was not sound nobody knows.
        let is_known = world.absence.is_sound_since(last) && world.absence.lull_between(last, now).is_none();
        let is_own = is_to_pbx && !was_away && is_known;
        let gap = if is_own { now.since(last) } else { Span::ZERO };
        if sign != Sign::Repeat && is_known {
            phone.gaps.note(gap);
        }
        if is_to_pbx {
            phone.spoke = (packet.flow.source, now);
            phone.note_kept_port(packet.flow.source, packet.before, now);
        }
        phone.heard = now;
        phone.binding.sent(stream_lifetime, now);
        if sign != Sign::Restart {
            phone.came_back(now, grace);
        }
        let long = self.thresholds.keepalive_missing_gap;
        let enough = phone.gaps.len() >= self.thresholds.keepalive_missing_gaps as usize;
        let habit = (gap > long && enough && phone.lacks_keepalive()).then(|| phone.gaps.percentile_95());
        let habit = habit.flatten().filter(|habit| *habit > long);
        let device = phone.device;
        self.phones.touch(handle);
        self.arm(handle);
        // What the PBX knows no way to needs none kept open.
        let is_bound = || registrations.device(device).is_some_and(Device::was_accepted);
        let is_pinged = || self.is_kept_open(world, packet.flow.reversed(), now);
        if let Some(silence) = habit.filter(|_| is_bound() && is_behind(registrations, device) && !is_pinged()) {
            world.tell_nat(NatEvent::LongSilence { device, silence, since: last, at });
        }
    }

    fn note_rhythm(&mut self, world: &mut World, handle: Handle, at: Sighting) {
        let Some(phone) = self.phones.get(handle) else { return };
        let (lower, upper) = self.site_of(phone).map(|site| site.bounds).unwrap_or_default();
        let Some(phone) = self.phones.get_mut(handle) else { return };
        let device = phone.device;
        let Some(interval) = phone.rhythm.note(at.time) else { return };
        self.note_lapse(handle, interval, at.time);
        let Some(phone) = self.phones.get_mut(handle) else { return };
        let is_in_time = lower.is_some_and(|lower| interval <= lower);
        phone.calm.intervals = if is_in_time { phone.calm.intervals.saturating_add(1) } else { 0 };
        let is_calm = phone.calm.intervals >= COMPARED_INTERVALS && phone.calm.delivered > 0;
        let eras = phone.experiment.get_or_insert_with(|| Box::new(Experiment::default())).note(interval);
        let keeps = phone.rhythm.regular(self.thresholds.ka_periodic_mad).is_some();
        let begun = keeps && !std::mem::replace(&mut phone.keeps, keeps);
        if begun {
            world.tell_nat(NatEvent::KeepalivesBegan { device, at });
        }
        if let Some((before, after)) = eras {
            world.tell_nat(NatEvent::KeepaliveChanged { device, before, after, at });
        }
        let helped = eras.is_some_and(|(before, after)| {
            let in_time = upper.is_some_and(|upper| after.interval < upper);
            before.failed > 0 && after.failed == 0 && after.asked > 0 && in_time
        });
        if is_calm || helped {
            self.ease(world, handle, at);
        }
    }

    /// A phone refreshes its binding in time: it does not suffer from its NAT any more.
    fn ease(&mut self, world: &mut World, handle: Handle, at: Sighting) {
        let Some(phone) = self.phones.get(handle) else { return };
        let (number, site) = (phone.number, Site::of(phone.flow.source.ip()));
        let Some(nat) = self.site_mut(site) else { return };
        if nat.pool.has_failed(number, nat.uppers) {
            nat.pool.ease(number);
            world.tell_nat(NatEvent::Exposure { site, at });
        }
    }

    fn note_writes(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>) {
        let Some(phone) = self.phones.get_mut(handle) else { return };
        if let Some(rewriting) = phone.rewrites.note(seen) {
            world.tell_nat(NatEvent::Rewritten { device: phone.device, rewriting, at: seen.at });
        }
    }

    /// Tells when the PBX gives a private address to a public peer as the way to reach it (DETECTION §2.1).
    pub fn note_private_name(&mut self, world: &mut World, seen: &Seen<'_>) {
        let peer = seen.flow.destination;
        if is_private(peer.ip()) || peer.ip().is_unspecified() {
            return;
        }
        let message = &seen.message;
        if self.public_names.are_of(message) {
            return;
        }
        let via = seen.read.sent_by().and_then(|(host, _)| host);
        let contact = seen.read.contact().filter(|_| message.via_count() <= 1).and_then(|(host, _)| host);
        let Some(address) = [via, contact].into_iter().flatten().find(|address| is_private(*address)) else {
            self.public_names.note(message);
            return;
        };
        let name = (seen.flow.source, address);
        if self.private_names.len() < PRIVATE_NAMES && !self.private_names.contains(&name) {
            self.private_names.push(name);
            world.tell_nat(NatEvent::PrivateName { pbx: seen.flow.source, address, peer, at: seen.at });
        }
    }

    /// Takes note that the registrar accepted a device: what is known of its NAT stays when strangers come.
    pub fn accepted(&mut self, world: &mut World, registrations: &mut Registrations, device: Handle, at: Sighting) {
        let abandoned = registrations.take_abandoned();
        let Some(device) = registrations.device(device).filter(|device| device.is_registered()) else { return };
        let (flow, continuity, Some(handle)) = (device.flow, device.continuity, device.phone) else { return };
        if let Some(abandoned) = abandoned {
            self.forget(abandoned);
        }
        let has_moved = self.phones.get(handle).is_some_and(|phone| phone.flow.source.ip() != flow.source.ip());
        if abandoned.is_some() && has_moved {
            self.moved(world, registrations, handle, flow, at, continuity);
            if let Some(phone) = self.phones.get_mut(handle) {
                phone.contact.registered(flow.source, at.time);
                phone.rewrites.restart();
            }
            self.join_site(registrations, handle);
        }
        self.phones.raise_rank(handle, Rank::Precious);
        let site = self.phones.get(handle).map(|phone| self.site_key(Site::of(phone.flow.source.ip())));
        if let Some(site) = site.and_then(|key| self.sites.find(key)) {
            self.sites.raise_rank(site, Rank::Precious);
        }
    }

    fn forget(&mut self, handle: Handle) {
        let Some(site) = self.phones.get(handle).map(|phone| Site::of(phone.flow.source.ip())) else { return };
        if let Some(site) = self.site_mut(site) {
            site.left(handle);
        }
        self.phones.remove(handle);
    }

    fn join_site(&mut self, registrations: &Registrations, handle: Handle) {
        let rank = self.phones.rank(handle).unwrap_or(Rank::Unanswered);
        let Some(phone) = self.phones.get(handle) else { return };
        if phone.flow.transport.is_stream() || !is_behind(registrations, phone.device) {
            return;
        }
        let (site, heard) = (Site::of(phone.flow.source.ip()), phone.heard);
        let key = self.site_key(site);
        let found = self
            .sites
            .find(key)
            .unwrap_or_else(|| self.sites.insert(key, SiteNat::new(site, &self.thresholds), heard + REMEMBERED, rank).0);
        self.sites.touch(found);
        self.sites.raise_rank(found, rank);
        if let Some(site) = self.sites.get_mut(found) {
            site.arrived(handle);
        }
    }

    fn site_mut(&mut self, site: Site) -> Option<&mut SiteNat> {
        let found = self.sites.find(self.site_key(site))?;
        self.sites.get_mut(found)
    }

    fn site_of(&self, phone: &Phone) -> Option<&SiteNat> {
        self.sites.get(self.sites.find(self.site_key(Site::of(phone.flow.source.ip())))?)
    }

    fn site_key(&self, site: Site) -> Digest {
        ip_digest(self.digester, site.address())
    }

    fn site_due(&mut self, handle: Handle, now: PacketTime) {
        let Some(site) = self.sites.get_mut(handle) else { return };
        site.pool.forget(now);
        let heard = site.phones.iter().filter_map(|&phone| self.phones.get(phone)).map(|phone| phone.heard).max();
        match heard.filter(|heard| *heard + REMEMBERED > now) {
            Some(heard) => self.sites.set_deadline(handle, heard + REMEMBERED),
            None => drop(self.sites.remove(handle)),
        }
    }

    fn arm(&mut self, handle: Handle) {
        let Some(phone) = self.phones.get(handle) else { return };
        let deadline = phone.deadline().min(phone.heard + REMEMBERED);
        self.phones.set_deadline(handle, deadline);
    }
}

/// The largest step of CSeq between REGISTERs of a phone that did not restart (DETECTION §2.5, condition b).
const LARGEST_STEP: u32 = 3;

/// A packet of a phone.
#[derive(Clone, Copy, Debug)]
struct Heard {
    flow: Flow,
    /// When its flow was last seen before.
    before: LastTimes,
    at: Sighting,
}

impl Heard {
    fn of(seen: &Seen<'_>) -> Self {
        Self { flow: seen.flow, before: seen.before, at: seen.at }
    }
}

/// What a packet of a phone says of the time before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sign {
    /// The phone was alive, and nobody asked it for this packet.
    Unasked,
    /// The same; but it is within one exchange, and no silence of the phone's own making ends.
    Repeat,
    /// Nothing: it began anew.
    Restart,
}

/// Whether a device sits behind a NAT, at least likely; those that share an address surely do (DETECTION §2.1).
fn is_behind(registrations: &Registrations, device: Handle) -> bool {
    registrations.device(device).is_some_and(|device| verdict(registrations, device) >= BehindNat::Likely)
}

/// How sure it is that a device sits behind a NAT.
pub fn verdict(registrations: &Registrations, device: &Device) -> BehindNat {
    let shared = device.nat != NatEvidence::default() && registrations.devices_at(device.source().ip()) > 1;
    if shared { device.nat.and(NatEvidence::SHARED_ADDRESS).verdict() } else { device.nat.verdict() }
}
