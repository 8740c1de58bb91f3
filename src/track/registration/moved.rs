//! Devices that register from elsewhere under another Call-ID: apart until the registrar accepts them, then the one that they say they are.

use crate::decode::flow::Flow;
use crate::table::Handle;
use crate::track::event::{Event, Sighting};
use crate::track::registration::Registrations;
use crate::track::registration::changes::Change;
use crate::track::registration::device::{Continuity, Device};
use crate::track::registration::keys::{DeviceKeys, is_onward};
use crate::track::world::World;

impl Registrations {
    /// The device that `claimant`, which the registrar accepts for the first time, is: a registered one that says the same of itself, which
    /// moved with the REGISTER at `since`, or itself.
    pub(super) fn identify(&mut self, world: &mut World, claimant: Handle, since: Sighting) -> Handle {
        let Some(known) = self.claimed_by(world, claimant) else { return claimant };
        let before = self.addresses_held(world, known);
        let Some(new) = self.forget_device(world, claimant) else { return claimant };
        if let Some(aor) = self.aors.get_mut(new.aor) {
            aor.devices.retain(|&device| device != claimant);
        }
        self.abandoned = new.phone;
        let Some(device) = self.devices.get_mut(known) else { return claimant };
        self.behind.left(device);
        let place = std::mem::replace(&mut device.place, new.place);
        device.changes.note(Change::Address(place, new.place), since);
        world.tell(Event::BindingChange { device: known, old: place, new: new.place, at: since });
        if device.agent_key != new.agent_key {
            device.changes.note(Change::Agent(std::mem::replace(&mut device.user_agent, new.user_agent)), since);
        }
        device.changes.note(Change::Restart { before: device.call_id_key }, since);
        if new.cseq <= device.cseq {
            world.tell(Event::DeviceRestarted { device: known, flow: new.flow, at: since });
        }
        device.refreshes.note(since.time.since(device.last_register));
        device.continuity = Continuity::Restarted;
        device.restarted = since.time;
        (device.flow, device.last_register, device.nat) = (new.flow, new.last_register, new.nat);
        self.behind.arrived(device);
        (device.contact, device.contact_address, device.address_key) = (new.contact, new.contact_address, new.address_key);
        (device.call_id_key, device.cseq, device.agent_key) = (new.call_id_key, new.cseq, new.agent_key);
        self.devices.touch(known);
        self.leave_addresses(world, known, before);
        known
    }

    /// What was followed of the NAT of a device that turned out to be another one, once.
    pub(in crate::track) fn take_abandoned(&mut self) -> Option<Handle> {
        self.abandoned.take()
    }

    fn claimed_by(&self, world: &World, claimant: Handle) -> Option<Handle> {
        let new = self.devices.get(claimant).filter(|device| !device.was_accepted())?;
        let others = self.aors.get(new.aor)?.devices.iter().filter(|&&other| other != claimant);
        // A phone that goes on under a Call-ID from before the known one came is another phone, which says the same of itself.
        let is_other =
            |device: &Device| device.changes.left(new.call_id_key) || is_onward(world, device.flow) != is_onward(world, new.flow);
        let same = |device: &Device| device.is_registered() && says_the_same(device, new) && !is_other(device);
        others.copied().find(|&other| self.devices.get(other).is_some_and(same))
    }
}

/// Whether a REGISTER along `flow` merely says that it is of that device: whoever knows the Contact can write it. What is registered stays
/// where it is until the registrar accepts the other one; the Call-ID of its own REGISTERs only the phone knows.
pub(super) fn is_claimed(device: &Device, keys: &DeviceKeys, flow: Flow) -> bool {
    device.is_registered() && device.call_id_key != keys.call_id && device.place.ip() != flow.source.ip()
}

/// Whether two devices of a user are one by what they write (DETECTION §0.2).
fn says_the_same(one: &Device, other: &Device) -> bool {
    if one.instance_key != 0 && other.instance_key != 0 {
        return one.instance_key == other.instance_key;
    }
    one.address_key == other.address_key && one.agent_key == other.agent_key
}
