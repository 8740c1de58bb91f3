//! Which device sits behind an address: where it was last seen, and what it writes into its Contact.
//!
//! Behind one address there may be several: the handsets of a DECT base, the lines of a phone, all users of an SBC. Once a second one is
//! bound there, each is found by the user of its Contact too, and those with the same user by all of it. A device that has its address to
//! itself has no more than that one entry.

use std::net::SocketAddr;

use crate::decode::ends::end_digest;
use crate::sip::uri::Uri;
use crate::table::{Digest, Handle, Rank};
use crate::time::PacketTime;
use crate::track::registration::device::Device;
use crate::track::registration::{REMEMBERED, Registrations, Tied};
use crate::track::world::{Seen, World, aor_text};

/// How closely a device is told from others: by its address, by the user of its Contact, by host and port of its Contact.
const LEVELS: usize = 3;
/// Addresses that a device has at most: where it registered from, where it was seen, what its Contact names.
const PLACES: usize = 3;

/// The entries that stand for a device.
type Held = [Option<Handle>; PLACES * LEVELS];

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

    /// Who registered from `address`, or with it as its Contact.
    pub fn occupant(&self, world: &World, address: SocketAddr) -> Option<Occupant> {
        let tied = self.tied_to(world, address)?;
        Some(if tied.is_shared { Occupant::Several(tied.device) } else { Occupant::Only(tied.device) })
    }

    /// The device that a request to an address of devices is for: the one whose Contact has the user of the Request-URI, and where that
    /// says nothing the one that the address stands for.
    pub fn addressee(&self, world: &World, seen: &Seen<'_>) -> Option<Handle> {
        match self.occupant(world, seen.flow.destination)? {
            Occupant::Only(device) => Some(device),
            Occupant::Several(first) => self.called_of_several(world, seen).or(Some(first)),
        }
    }

    /// The callee's device among several behind the address that a request goes to, if the Request-URI tells.
    pub(in crate::track) fn called_of_several(&self, world: &World, seen: &Seen<'_>) -> Option<Handle> {
        self.tied_to(world, seen.flow.destination).filter(|tied| tied.is_shared)?;
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

    /// Of several devices behind `address` the one whose Contact has the user of `uri`, and where several have that user is `uri` itself.
    pub fn named(&self, world: &World, address: SocketAddr, uri: &Uri<'_>) -> Option<Handle> {
        let [_, by_user, by_contact] = keys(world, address, uri);
        let by_user = self.tied(by_user)?;
        let exact = by_user.is_shared.then(|| self.tied(by_contact)).flatten();
        Some(exact.unwrap_or(by_user).device).filter(|device| self.devices.contains(*device))
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
        let own = Tied { device: handle, phone: device.phone, is_shared: false };
        let key = key_at(world, address, device, level);
        let known = self.tied(key);
        let other = known.filter(|known| level + 1 < LEVELS && self.shares(known.device, handle, address));
        let is_shared = other.is_some() || known.is_some_and(|known| known.is_shared);
        // Who was there first stands for the address, so that what is known of its way through a NAT stays in one place.
        self.tie(key, Tied { is_shared, ..other.unwrap_or(own) }, now);
        if let Some(first) = other.filter(|other| !other.is_shared)
            && let Some(device) = self.devices.get(first.device)
        {
            self.tie(key_at(world, address, device, level + 1), first, now);
        }
        is_shared
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
    let user = world.digester.further(place, &[contact.user]);
    let port = contact.port.unwrap_or(5060).to_be_bytes();
    [place, user, world.digester.further(user, &[contact.host, &port])]
}
