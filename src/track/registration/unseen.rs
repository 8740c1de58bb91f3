//! Acceptances whose REGISTER the capture missed: what the registrar lists is bound all the same (DETECTION §0.1, §1.1).

use crate::decode::flow::Flow;
use crate::sip::headers::Contact;
use crate::table::Handle;
use crate::time::Span;
use crate::track::registration::attempt::{Attempt, Waits};
use crate::track::registration::{Registrations, attempt_key, contact_address, contact_key};
use crate::track::vocabulary::Direction;
use crate::track::world::{Seen, World, aor_text};

impl Registrations {
    /// Handles a 2xx to a REGISTER that was not captured. It ends the attempt that this REGISTER belonged to; without one it keeps those
    /// known devices of the user bound that it lists and that are where it goes to. What it does not list stays as it is, and nobody is made
    /// known by it.
    ///
    /// Returns the device that the attempt was about.
    pub fn accepted_unseen(&mut self, world: &mut World, seen: &Seen<'_>) -> Option<Handle> {
        if world.peers.direction(seen.flow) == Direction::Through {
            return None;
        }
        let begun = self.attempts.find(attempt_key(world, seen.read, seen.flow.reversed()));
        if let Some(attempt) = begun.filter(|&attempt| self.attempts.get(attempt).is_some_and(|attempt| went_on(world, attempt, seen))) {
            let device = self.attempts.get(attempt).and_then(Attempt::device);
            self.accepted(world, attempt, seen);
            return device;
        }
        let to = seen.read.to();
        let devices = self.find_aor(world, &aor_text(to.user, to.host)).and_then(|aor| self.aors.get(aor)).map(|aor| aor.devices.clone());
        for device in devices.into_iter().flatten() {
            if let Some(left) = self.listed(world, device, seen) {
                self.renew(world, device, left, seen);
            }
        }
        None
    }

    /// How long the 2xx says that a device at its destination stays bound.
    fn listed(&self, world: &World, device: Handle, seen: &Seen<'_>) -> Option<Span> {
        let device = self.devices.get(device).filter(|device| is_from_registrar(world, device.flow, seen.flow))?;
        let is_own =
            |contact: &Contact<'_>| contact_key(world, contact) == device.address_key || contact_address(contact) == Some(device.source());
        let contact = seen.read.contacts().find(is_own)?;
        let left = contact.expires.or_else(|| seen.message.expires()).map_or(device.granted, |left| Span::from_secs(i64::from(left)));
        (left > Span::ZERO).then_some(left)
    }

    /// Binds a device for what is `left`; never for less than it was bound before, as that may be what the registrar says of a binding that
    /// was not renewed.
    fn renew(&mut self, world: &mut World, handle: Handle, left: Span, seen: &Seen<'_>) {
        let Some(device) = self.devices.get(handle) else { return };
        let (granted, until) = (device.granted, device.expires_at);
        self.bind(world, handle, left, seen);
        if let Some(device) = self.devices.get_mut(handle) {
            device.granted = device.granted.max(granted);
            device.expires_at = device.expires_at.max(until);
        }
        self.arm_device(handle);
    }
}

/// Whether the REGISTER that the response answers came after the one that an attempt still waits with.
fn went_on(world: &World, attempt: &Attempt, seen: &Seen<'_>) -> bool {
    matches!(attempt.waits, Waits::Answer | Waits::Credentials)
        && is_from_registrar(world, attempt.flow, seen.flow)
        && seen.message.cseq().is_some_and(|cseq| cseq.number > attempt.cseq)
}

/// Whether what goes along `flow` comes to who registers along `asked`, from a PBX, or from the trunk that a PBX registers at. Of strangers
/// anybody can say that they are registrars.
fn is_from_registrar(world: &World, asked: Flow, flow: Flow) -> bool {
    let registrar = flow.source.ip();
    let may_answer = match world.peers.direction(flow) {
        Direction::Out => true,
        Direction::In => registrar == asked.destination.ip() && world.peers.is_trunk(registrar),
        Direction::Through => false,
    };
    may_answer && flow.destination.ip() == asked.source.ip()
}
