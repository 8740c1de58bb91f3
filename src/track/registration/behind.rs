//! How many devices sit behind an address.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

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

fn take<Place: Ord>(counts: &mut BTreeMap<Place, u32>, place: Place) {
    if let Some(count) = counts.get_mut(&place) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&place);
        }
    }
}
