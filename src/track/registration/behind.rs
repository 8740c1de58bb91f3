//! How many devices sit behind an address.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::track::registration::Registrations;
use crate::track::registration::device::Device;

/// Counts the devices that are remembered by where they registered from.
#[derive(Debug, Default)]
pub(super) struct Behind {
    devices: BTreeMap<IpAddr, u32>,
    /// Of those that are registered, by port.
    registered: BTreeMap<SocketAddr, u32>,
}

impl Behind {
    /// How many devices there are at `address`, on whatever port.
    pub(super) fn devices_at(&self, address: IpAddr) -> u32 {
        self.devices.get(&address).copied().unwrap_or_default()
    }

    /// How many registered devices there are at `address`.
    pub(super) fn registered_at(&self, address: SocketAddr) -> u32 {
        self.registered.get(&address).copied().unwrap_or_default()
    }

    /// The device is there, as it stands.
    pub(super) fn arrived(&mut self, device: &Device) {
        *self.devices.entry(device.source().ip()).or_default() += 1;
        if device.is_registered() {
            self.bound(device.source());
        }
    }

    /// The device, as it stands, is not there any more.
    pub(super) fn left(&mut self, device: &Device) {
        take(&mut self.devices, device.source().ip());
        if device.is_registered() {
            self.unbound(device.source());
        }
    }

    /// A device at `address` has become registered.
    pub(super) fn bound(&mut self, address: SocketAddr) {
        *self.registered.entry(address).or_default() += 1;
    }

    /// A device at `address` is not registered any more.
    pub(super) fn unbound(&mut self, address: SocketAddr) {
        take(&mut self.registered, address);
    }
}

impl Registrations {
    /// How many registered devices there are at `address`, if all that are there are.
    pub(in crate::track) fn all_registered_at(&self, address: IpAddr) -> Option<u32> {
        let Behind { devices, registered } = &self.behind;
        let ports = SocketAddr::new(address, 0)..=SocketAddr::new(address, u16::MAX);
        let registered = registered.range(ports).map(|(_, count)| count).sum();
        devices.get(&address).is_some_and(|&devices| devices == registered).then_some(registered)
    }
}

fn take<Place: Ord>(counts: &mut BTreeMap<Place, u32>, place: Place) {
    if let Some(count) = counts.get_mut(&place) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&place);
        }
    }
}
