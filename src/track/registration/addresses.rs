//! Which device sits behind an address: where it was last seen, and what it writes into its Contact.
//!
//! Behind one address there may be several: the handsets of a DECT base, the lines of a phone, all users of an SBC. Once a second one is
//! bound there, each is found by the user of its Contact too, and those with the same user by all of it. A device that has its address to
//! itself, from the start or since the others left, has no more than that one entry.

use std::net::SocketAddr;

use crate::decode::ends::end_digest;
use crate::decode::flow::Flow;
use crate::sip::uri::{Uri, plain_user};
use crate::table::{Digest, Handle, Rank};
use crate::time::PacketTime;
use crate::track::registration::device::Device;
use crate::track::registration::{REMEMBERED, Registrations};
use crate::track::world::{Seen, World, aor_text, user_text};

/// How closely a device is told from others: by its address, by the user of its Contact, by host and port of its Contact.
const LEVELS: usize = 3;
/// Addresses that a device has at most: where it registered from, where it was seen, what its Contact names.
const PLACES: usize = 3;

/// The entries that stand for a device.
type Held = [Option<Handle>; PLACES * LEVELS];

/// What an address is tied to.
#[derive(Clone, Copy, Debug)]
pub(in crate::track) struct Tied {
    /// The device.
    pub(in crate::track) device: Handle,
    /// What was followed of its NAT when it was tied, so that a packet is given to it without a look at the device.
    pub(in crate::track) phone: Option<Handle>,
    /// Whether other devices are behind the address too.
    pub(in crate::track) is_shared: bool,
}

/// Who is behind an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Occupant {
    /// This device and no other.
    Only(Handle),
    /// Several; this one was the first.
    Several(Handle),
}

impl Registrations {
    /// What `address` is tied to, as long as that device is remembered.
    pub(in crate::track) fn tied_to(&self, world: &World, address: SocketAddr) -> Option<Tied> {
        self.tied(end_digest(world.digester, address)).filter(|tied| self.devices.contains(tied.device))
    }

    /// The device that registered from `address`, or with it as its Contact; of several the first.
    pub fn at_address(&self, world: &World, address: SocketAddr) -> Option<Handle> {
        self.tied_to(world, address).map(|tied| tied.device)
    }

    /// Who registered from `address`, or with it as its Contact.
    pub fn occupant(&self, world: &World, address: SocketAddr) -> Option<Occupant> {
        let tied = self.tied_to(world, address)?;
        Some(if tied.is_shared { Occupant::Several(tied.device) } else { Occupant::Only(tied.device) })
    }

    /// The device that a request to an address of devices is for: the one whose Contact has the user of the Request-URI, and where that
    /// says nothing the one that the address stands for.
    pub fn addressee(&self, world: &World, seen: &Seen<'_>) -> Option<Handle> {
        let meant = match self.occupant(world, seen.flow.destination) {
            Some(Occupant::Only(device)) => self.other_writer(world, device, seen).or(Some(device)),
            Some(Occupant::Several(first)) => self.called_of_several(world, seen).or(Some(first)),
            // Who was there first is forgotten.
            None => self.called_of_several(world, seen),
        };
        meant.filter(|&device| {
            let called = || seen.message.request_uri().map(|uri| Uri::parse(uri).user).unwrap_or_default();
            !self.devices.get(device).is_some_and(Device::is_inferred) || !self.is_inferred_as_other(device, called())
        })
    }

    /// The device of the user in the Request-URI that writes the address that a request goes to into its Contact, where `tied`, which is
    /// of another user, does no more than that either: sites have the same private addresses.
    fn other_writer(&self, world: &World, tied: Handle, seen: &Seen<'_>) -> Option<Handle> {
        let (target, device) = (seen.flow.destination, self.devices.get(tied)?);
        if device.has_been_at(target) {
            return None;
        }
        let called = Uri::parse(seen.message.request_uri()?);
        if plain_user(Uri::parse(device.contact.as_bytes()).user) == plain_user(called.user) {
            return None;
        }
        self.aors_of(world, &user_text(called.user)).find_map(|aor| self.device_of_at(aor, target))
    }

    /// Whether `request` went to the address that a device writes into its Contact and nowhere else: it registers from another address, and
    /// nothing has come from there.
    pub fn is_only_written(&self, world: &World, device: &Device, request: Flow) -> bool {
        let target = request.destination;
        device.contact_address == Some(target)
            && !device.has_been_at(target)
            && world.flows.last_seen(request.reversed()) == PacketTime::MIN
    }

    /// The callee's device among several behind the address that a request goes to, if the Request-URI tells.
    pub(in crate::track) fn called_of_several(&self, world: &World, seen: &Seen<'_>) -> Option<Handle> {
        self.tied(end_digest(world.digester, seen.flow.destination)).filter(|tied| tied.is_shared)?;
        self.named(world, seen.flow.destination, &Uri::parse(seen.message.request_uri()?))
    }

    /// The caller's device among several behind the address that an INVITE comes from, if its From or its Contact tells.
    pub(in crate::track) fn calling_of_several(&self, world: &World, seen: &Seen<'_>) -> Option<Handle> {
        self.tied_to(world, seen.flow.source).filter(|tied| tied.is_shared)?;
        let from = seen.read.from();
        let aor = self.find_aor(world, &aor_text(from.user, from.host));
        aor.and_then(|aor| self.device_of_at(aor, seen.flow.source))
            .or_else(|| self.named(world, seen.flow.source, &seen.read.contacts().next()?.uri))
    }

    /// The device of an AoR that is at `address`.
    pub fn device_of_at(&self, aor: Handle, address: SocketAddr) -> Option<Handle> {
        let devices = self.aors.get(aor)?.devices.iter().copied();
        devices.rev().find(|&device| self.devices.get(device).is_some_and(|device| device.is_at(address)))
    }

    /// Of several devices behind `address` the one whose Contact has the user of `uri`, and where several have that user is `uri` itself, as
    /// far as that is a Contact.
    pub fn named(&self, world: &World, address: SocketAddr, uri: &Uri<'_>) -> Option<Handle> {
        let [_, by_user, by_contact] = keys(world, address, uri);
        let by_user = self.tied(by_user)?;
        let tied = if by_user.is_shared { self.tied(by_contact)? } else { by_user };
        Some(tied.device).filter(|device| self.devices.contains(*device))
    }

    fn tied(&self, key: Digest) -> Option<Tied> {
        self.addresses.get(self.addresses.find(key)?).copied()
    }

    /// Ties an address to a device; it is worth what the device is.
    pub(super) fn remember_address(&mut self, world: &World, address: SocketAddr, device: Handle, now: PacketTime) {
        let _ = (0..LEVELS).all(|level| self.remember_at(world, address, device, level, now));
    }

    /// Ties the key of an address at one level to a device. Returns whether others are there too, so that the next level tells them apart.
    fn remember_at(&mut self, world: &World, address: SocketAddr, handle: Handle, level: usize, now: PacketTime) -> bool {
        let Some(device) = self.devices.get(handle) else { return false };
        let key = key_at(world, address, device, level);
        let known = self.tied(key);
        let other = known.filter(|known| level + 1 < LEVELS && self.shares(known.device, handle, address));
        let was_shared = known.is_some_and(|known| known.is_shared);
        let is_shared = other.is_some() || (was_shared && !self.is_alone(device, address));
        let own = Tied { device: handle, phone: device.phone, is_shared };
        // Who was there first stands for the address, so that what is known of its way through a NAT stays in one place.
        self.tie(key, Tied { is_shared, ..other.unwrap_or(own) }, now);
        if let Some(first) = other.filter(|other| !other.is_shared)
            && let Some(device) = self.devices.get(first.device)
        {
            self.tie(key_at(world, address, device, level + 1), first, now);
        }
        if was_shared && !is_shared {
            self.untie(world, address, handle, level + 1);
        }
        is_shared
    }

    /// Whether a device is the only one that is registered at its address. Behind an address that its Contact names, or where it was seen
    /// since it registered, it surely is where nobody else comes from its site.
    fn is_alone(&self, device: &Device, address: SocketAddr) -> bool {
        match address == device.source() {
            true => self.behind.registered_at(address) < 2,
            false => self.behind.devices_at(device.source().ip()) < 2,
        }
    }

    /// Takes away what told a device from others behind `address`, from `level` on.
    fn untie(&mut self, world: &World, address: SocketAddr, handle: Handle, level: usize) {
        let Some(device) = self.devices.get(handle) else { return };
        for key in (level..LEVELS).map(|level| key_at(world, address, device, level)) {
            let found = self.addresses.find(key);
            if let Some(own) = found.filter(|found| self.addresses.get(*found).is_some_and(|tied| tied.device == handle)) {
                self.addresses.remove(own);
            }
        }
    }

    fn tie(&mut self, key: Digest, tied: Tied, now: PacketTime) {
        let rank = self.devices.rank(tied.device).unwrap_or(Rank::Unanswered);
        match self.addresses.find(key) {
            Some(found) => {
                if let Some(entry) = self.addresses.get_mut(found) {
                    *entry = tied;
                }
                self.addresses.touch(found);
                self.addresses.set_deadline(found, now + REMEMBERED);
                self.addresses.set_rank(found, rank);
            }
            None => {
                self.addresses.insert(key, tied, now + REMEMBERED, rank);
            }
        }
    }

    /// Whether device `one` is behind `address` beside another. Devices of different sites that write the same private address are not.
    fn shares(&self, one: Handle, other: Handle, address: SocketAddr) -> bool {
        if one == other {
            return false;
        }
        let (Some(one), Some(other)) = (self.devices.get(one), self.devices.get(other)) else { return false };
        let is_there = one.is_registered() && [Some(one.flow.source), one.contact_address].contains(&Some(address));
        let is_same = one.aor == other.aor && one.address_key == other.address_key;
        is_there && !is_same && one.flow.source.ip() == other.flow.source.ip()
    }

    /// The entries of the addresses that a device has.
    pub(super) fn addresses_held(&self, world: &World, handle: Handle) -> Held {
        self.devices.get(handle).map(|device| self.addresses_of(world, handle, device)).unwrap_or_default()
    }

    /// Lets the addresses go first that a device held `before`, and does not hold any more.
    pub(super) fn leave_addresses(&mut self, world: &World, handle: Handle, before: Held) {
        let after = self.addresses_held(world, handle);
        for left in before.into_iter().flatten().filter(|&address| !after.contains(&Some(address))) {
            self.addresses.lower_rank(left, Rank::Ordinary);
        }
    }

    /// The device is not registered any more.
    pub(super) fn lower_addresses(&mut self, world: &World, handle: Handle) {
        for held in self.addresses_held(world, handle).into_iter().flatten() {
            self.addresses.lower_rank(held, Rank::Ordinary);
        }
    }

    /// The device is `gone`.
    pub(super) fn forget_addresses(&mut self, world: &World, handle: Handle, gone: &Device) {
        for held in self.addresses_of(world, handle, gone).into_iter().flatten() {
            self.addresses.remove(held);
        }
    }

    /// What is shared is nobody's alone: it stays until nobody is bound there for a day.
    fn addresses_of(&self, world: &World, handle: Handle, device: &Device) -> Held {
        let mut held = Held::default();
        for (place, slots) in places(device).into_iter().zip(held.chunks_exact_mut(LEVELS)) {
            let Some(address) = place else { continue };
            for (level, slot) in slots.iter_mut().enumerate() {
                let found = self.addresses.find(key_at(world, address, device, level));
                let Some((found, tied)) = found.and_then(|found| Some((found, self.addresses.get(found)?))) else { break };
                if !tied.is_shared {
                    *slot = (tied.device == handle).then_some(found);
                    break;
                }
            }
        }
        held
    }
}

/// Where a device may be found.
fn places(device: &Device) -> [Option<SocketAddr>; PLACES] {
    [Some(device.flow.source), Some(device.place), device.contact_address]
}

/// The key of a device behind `address` at a level.
fn key_at(world: &World, address: SocketAddr, device: &Device, level: usize) -> Digest {
    match level {
        0 => end_digest(world.digester, address),
        _ => keys(world, address, &Uri::parse(device.contact.as_bytes()))[level],
    }
}

/// The keys of what writes `contact` behind `address`, each telling more apart than the one before.
fn keys(world: &World, address: SocketAddr, contact: &Uri<'_>) -> [Digest; LEVELS] {
    let place = end_digest(world.digester, address);
    let user = world.digester.further(place, &[&plain_user(contact.user)]);
    let port = contact.port.unwrap_or(5060).to_be_bytes();
    [place, user, world.digester.further(user, &[contact.host, &port])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Thresholds;
    use crate::decode::flow::Transport;
    use crate::sip::message::Message;
    use crate::sip::scan::{Context, scan};
    use crate::track::event::Sighting;
    use crate::track::{Settings, Tracker};

    const PBX: &str = "203.0.113.10:5060";
    /// A base with several handsets, as the PBX sees it.
    const BASE: &str = "198.51.100.7:6060";

    /// A tracker, and what it was told.
    struct Bench {
        tracker: Tracker,
        frame: u64,
    }

    impl Bench {
        fn new() -> Self {
            let settings = Settings {
                seed: 0,
                pbxs: vec![PBX.parse().unwrap()],
                own: Vec::new(),
                trunks: Vec::new(),
                transactions: 1000,
                calls: 10,
                bindings: 1000,
                flows: 1000,
                sources: 1000,
                finished: 10,
                thresholds: Thresholds::default(),
            };
            Self { tracker: Tracker::new(&settings), frame: 0 }
        }

        /// The handsets 611, 612 and 613 of a base.
        fn with_base() -> Self {
            let mut bench = Self::new();
            for user in ["611", "612", "613"] {
                bench.register(&format!("{user}@example.com"), &format!("{user}@10.0.0.9:5060"), BASE);
            }
            bench
        }

        fn hear(&mut self, from: &str, to: &str, text: &str) {
            let flow = Flow { transport: Transport::Udp, source: from.parse().unwrap(), destination: to.parse().unwrap() };
            let found = scan(text.as_bytes(), Context::Datagram).unwrap();
            self.frame += 1;
            let at = Sighting { time: PacketTime::from_parts(1_700_000_000 + self.frame as i64, 0), frame: self.frame };
            self.tracker.message(Message::new(text.as_bytes(), &found), flow, at);
        }

        /// A REGISTER of `aor` with that Contact, accepted for an hour.
        fn register(&mut self, aor: &str, contact: &str, from: &str) {
            self.register_for(3600, aor, contact, from);
        }

        /// The same for `expires` seconds; with 0 it logs off.
        fn register_for(&mut self, expires: u32, aor: &str, contact: &str, from: &str) {
            let frame = self.frame;
            let headers = format!(
                "Via: SIP/2.0/UDP {from};branch=z9hG4bK{frame}\r\nFrom: <sip:{aor}>;tag=f\r\nTo: <sip:{aor}>\r\nCall-ID: {aor}-{contact}\r\n\
                 CSeq: {frame} REGISTER\r\nContact: <sip:{contact}>\r\nExpires: {expires}\r\nContent-Length: 0\r\n\r\n"
            );
            self.hear(from, PBX, &format!("REGISTER sip:example.com SIP/2.0\r\n{headers}"));
            self.hear(PBX, from, &format!("SIP/2.0 200 OK\r\n{headers}"));
        }

        /// The user of whom an OPTIONS to `uri` is taken to ask, sent to `to`.
        fn asked(&mut self, uri: &str, to: &str) -> String {
            let frame = self.frame;
            let before: Vec<_> = self.tracker.registrations.devices().map(|(handle, device)| (handle, device.probes.sent)).collect();
            self.hear(
                PBX,
                to,
                &format!(
                    "OPTIONS sip:{uri} SIP/2.0\r\nVia: SIP/2.0/UDP {PBX};branch=z9hG4bKo{frame}\r\nFrom: <sip:pbx@{PBX}>;tag=o\r\n\
                     To: <sip:{uri}>\r\nCall-ID: o{frame}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
                ),
            );
            let registrations = &self.tracker.registrations;
            let asked =
                before.into_iter().find(|(handle, sent)| registrations.device(*handle).is_some_and(|device| device.probes.sent > *sent));
            let aor = asked.and_then(|(handle, _)| registrations.aor(registrations.device(handle)?.aor));
            aor.map_or_else(String::new, |aor| aor.name.to_string())
        }

        /// The user who is alone at `address`; nobody where several are.
        fn alone_at(&self, address: &str) -> String {
            let Tracker { registrations, world, .. } = &self.tracker;
            let Some(Occupant::Only(device)) = registrations.occupant(world, address.parse().unwrap()) else { return String::new() };
            let aor = registrations.device(device).and_then(|device| registrations.aor(device.aor));
            aor.map_or_else(String::new, |aor| aor.name.to_string())
        }

        fn entries(&self) -> usize {
            self.tracker.registrations.addresses.len()
        }
    }

    #[test]
    fn behind_one_address_the_user_of_the_request_uri_tells_who_is_meant() {
        let mut bench = Bench::with_base();
        assert_eq!(bench.asked("612@10.0.0.9:5060", BASE), "612@example.com");
        assert_eq!(bench.asked("611@198.51.100.7:6060", BASE), "611@example.com", "the PBX puts the address that it saw into the Contact");
        assert_eq!(bench.asked("613@10.0.0.9:5060", "10.0.0.9:5060"), "613@example.com", "at the address of the Contact too");
        assert_eq!(bench.asked("699@10.0.0.9:5060", BASE), "611@example.com", "where nothing tells, who was there first");
    }

    #[test]
    fn who_is_alone_at_an_address_is_asked_under_any_name() {
        let mut bench = Bench::new();
        bench.register("611@example.com", "line1@10.0.0.9:5060", "198.51.100.7:6060");
        assert_eq!(bench.asked("611@198.51.100.7:6060", "198.51.100.7:6060"), "611@example.com");
    }

    #[test]
    fn namesakes_of_two_tenants_are_told_apart_by_the_whole_contact() {
        let mut bench = Bench::new();
        let sbc = "198.51.100.50:5060";
        for tenant in 1..4 {
            bench.register(&format!("200@tenant{tenant}.example"), &format!("200@10.0.{tenant}.20:5060"), sbc);
        }
        for tenant in 1..4 {
            assert_eq!(bench.asked(&format!("200@10.0.{tenant}.20:5060"), sbc), format!("200@tenant{tenant}.example"));
        }
    }

    #[test]
    fn who_left_is_not_asked_for_those_who_stayed() {
        let mut bench = Bench::with_base();
        bench.register("611@example.com", "611@10.0.0.9:5060", "198.51.100.7:7070");
        bench.register("612@example.com", "612@10.0.0.9:5060", BASE);
        assert_eq!(bench.asked("613@10.0.0.9:5060", BASE), "613@example.com");
        assert_eq!(bench.asked("699@10.0.0.9:5060", BASE), "612@example.com", "the first of those who are still there");
        assert_eq!(bench.asked("611@10.0.0.9:5060", "198.51.100.7:7070"), "611@example.com");
    }

    #[test]
    fn who_is_left_behind_an_address_has_it_alone() {
        let aor = |user: &str| format!("{user}@example.com");
        let contact = |user: &str| format!("{user}@10.0.0.9:5060");
        for (stays, leave) in [("611", ["612", "613"]), ("612", ["613", "611"]), ("613", ["611", "612"])] {
            let mut bench = Bench::with_base();
            bench.register(&aor(stays), &contact(stays), BASE);
            let [logs_off, moves] = leave;
            bench.register_for(0, &aor(logs_off), &contact(logs_off), BASE);
            bench.register(&aor(stays), &contact(stays), BASE);
            assert_eq!(bench.alone_at(BASE), "", "{moves} is still there");
            bench.register(&aor(moves), &contact(moves), "198.51.100.7:7070");
            bench.register(&aor(stays), &contact(stays), BASE);
            assert_eq!(bench.alone_at(BASE), aor(stays));
            bench.register(&aor("614"), &contact("614"), BASE);
            assert_eq!(bench.alone_at(BASE), "");
            for user in [stays, "614"] {
                assert_eq!(bench.asked(&contact(user), BASE), aor(user));
            }
        }
    }

    #[test]
    fn what_told_a_device_from_others_goes_with_them() {
        let mut bench = Bench::new();
        bench.register("611@example.com", "611@10.0.0.9:5060", BASE);
        let alone = bench.entries();
        bench.register("612@example.com", "612@198.51.100.7:6060", BASE);
        bench.register_for(0, "612@example.com", "612@198.51.100.7:6060", BASE);
        bench.register("611@example.com", "611@10.0.0.9:5060", BASE);
        assert_eq!(bench.entries(), alone + 1, "the user that left, until a day has passed");
    }

    #[test]
    fn a_phone_with_an_address_of_its_own_takes_two_entries() {
        let mut bench = Bench::new();
        for phone in 0..50 {
            // Each site has its own public address and the same private one, as so many have.
            bench.register(&format!("{phone}@example.com"), &format!("{phone}@192.168.1.20:5060"), &format!("198.51.100.{phone}:5060"));
        }
        assert_eq!(bench.entries(), 50 + 1);
        assert_eq!(bench.asked("7@192.168.1.20:5060", "198.51.100.7:5060"), "7@example.com");
    }

    #[test]
    fn of_many_users_behind_an_sbc_each_takes_two_entries() {
        let mut bench = Bench::new();
        let sbc = "198.51.100.50:5060";
        for _ in 0..3 {
            for user in 0..300 {
                bench.register(&format!("{user}@example.com"), &format!("{user}@10.0.{}.{}:5060", user / 200, user % 200), sbc);
            }
        }
        assert_eq!(bench.entries(), 1 + 300 + 300, "the SBC, each user there, and each Contact");
        assert_eq!(bench.asked("217@10.0.1.17:5060", sbc), "217@example.com");
    }

    #[test]
    fn a_refresh_takes_no_further_entry() {
        let mut bench = Bench::new();
        bench.register("611@example.com", "611@10.0.0.9:5060", "198.51.100.7:6060");
        let before = bench.entries();
        bench.register("611@example.com", "611@10.0.0.9:5060", "198.51.100.7:6060");
        assert_eq!(bench.entries(), before);
    }
}
