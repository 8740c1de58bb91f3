//! Which device sits behind an address: where it was last seen, and what it writes into its Contact.

use std::net::SocketAddr;

use crate::decode::ends::end_digest;
use crate::table::{Handle, Rank};
use crate::time::PacketTime;
use crate::track::registration::device::Device;
use crate::track::registration::{REMEMBERED, Registrations, Tied};
use crate::track::world::World;

/// The entries that stand for a device.
type Held = [Option<Handle>; 3];

impl Registrations {
    /// What `address` is tied to, as long as that device is remembered.
    pub(in crate::track) fn tied_to(&self, world: &World, address: SocketAddr) -> Option<Tied> {
        let tied = *self.addresses.get(self.addresses.find(end_digest(world.digester, address))?)?;
        self.devices.contains(tied.device).then_some(tied)
    }

    /// Ties an address to a device; it is worth what the device is.
    pub(super) fn remember_address(&mut self, world: &World, address: SocketAddr, device: Handle, now: PacketTime) {
        let key = end_digest(world.digester, address);
        let rank = self.devices.rank(device).unwrap_or(Rank::Unanswered);
        let tied = Tied { device, phone: self.devices.get(device).and_then(|device| device.phone) };
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

    fn addresses_of(&self, world: &World, handle: Handle, device: &Device) -> Held {
        [Some(device.flow.source), Some(device.place), device.contact_address].map(|address| {
            let found = self.addresses.find(end_digest(world.digester, address?))?;
            self.addresses.get(found).is_some_and(|tied| tied.device == handle).then_some(found)
        })
    }
}
