//! Phones whose REGISTER lies before the capture: whoever answers the probes of the PBX is bound there (DETECTION §0.5).

use std::net::{IpAddr, SocketAddr};

use crate::decode::flow::Flow;
use crate::sip::headers::Contact;
use crate::sip::uri::{Uri, plain_user};
use crate::table::{Handle, Rank};
use crate::time::{PacketTime, Span};
use crate::track::event::{AttemptEnd, Sighting};
use crate::track::nat::NatEvidence;
use crate::track::registration::addresses::Occupant;
use crate::track::registration::changes::{Changes, Refreshes};
use crate::track::registration::device::{Continuity, Device, Probes};
use crate::track::registration::users::only;
use crate::track::registration::{REMEMBERED, Registrations};
use crate::track::transaction::Transaction;
use crate::track::vocabulary::{Direction, RegistrationState};
use crate::track::world::{Seen, World, aor_text, text, user_text};

/// How long after the last probe of the PBX nothing is inferred any more.
const FADES: Span = Span::from_secs(600);

/// Of which host those who were accepted are users.
#[derive(Debug, Default)]
pub(super) enum Served {
    #[default]
    Unknown,
    /// Of this one, all of them.
    One(Box<str>),
    /// The PBX has tenants.
    Several,
}

impl Served {
    /// Takes note that a user of that `name` (`user@host`) was accepted.
    pub(super) fn note(&mut self, name: &str) {
        let Some((_, host)) = name.rsplit_once('@') else { return };
        match self {
            Self::Unknown => *self = Self::One(host.into()),
            Self::One(known) if **known != *host => *self = Self::Several,
            Self::One(_) | Self::Several => {}
        }
    }
}

impl Device {
    /// When nothing is known of it any more, if it is held to be registered for its answers. One that has sent a REGISTER since, of which no
    /// answer was captured, is remembered as long as any.
    pub(super) fn fades_at(&self) -> Option<PacketTime> {
        let heard = self.probes.last_sent().max(self.first_seen);
        match self.is_inferred() {
            true => Some(heard + FADES),
            false => (self.is_registered() && self.expires_at.is_none()).then(|| heard.max(self.last_register) + REMEMBERED),
        }
    }
}

impl Registrations {
    /// Makes a device known of which nothing but the answer `seen` to a probe of the PBX was captured. Its user is that of the To, which is
    /// the Contact's with most PBXs.
    pub(in crate::track) fn infer(&mut self, world: &mut World, seen: &Seen<'_>, request: &Transaction) {
        let (to, address, now) = (seen.read.to(), request.flow.destination, seen.at.time);
        let user = user_text(to.user);
        let known = only(&mut self.aors_of(world, &user)).filter(|&aor| !self.is_accepted_elsewhere(aor, address.ip()));
        let aor = known.unwrap_or_else(|| {
            let host = self.host_of(world, seen, request);
            self.aor_named(world, aor_text(to.user, host.as_bytes()), user.len(), now, Rank::Ordinary)
        });
        // It tells itself who it is, by a REGISTER that nothing came of yet.
        if self.device_of_at(aor, address).is_some() {
            return;
        }
        let written = to.host_ip().filter(|&host| host != request.flow.source.ip());
        let contact = written.map_or_else(|| format!("sip:{user}@{address}").into(), |_| text(&to.without_password()));
        let device = Device {
            aor,
            contact,
            user_agent: text(seen.message.user_agent()),
            instance: None,
            flow: request.flow.reversed(),
            state: RegistrationState::Unknown,
            first_seen: now,
            registered_at: None,
            last_accepted: Sighting::default(),
            accepted_before: Sighting::default(),
            accepted_from: Some(address.ip()),
            granted: Span::ZERO,
            expires_at: None,
            last_register: PacketTime::MIN,
            restarted: PacketTime::MIN,
            evicted: false,
            answer_missed: false,
            rewritten: false,
            nat: NatEvidence::default(),
            credential_rejections: 0,
            ignored_challenges: 0,
            changes: Changes::default(),
            refreshes: Refreshes::default(),
            probes: Probes::new(),
            place: address,
            continuity: Continuity::First,
            phone: None,
            contact_address: None,
            address_key: 0,
            instance_key: 0,
            call_id_key: 0,
            cseq: 0,
            agent_key: 0,
        };
        let handle = self.add_device(world, device, Rank::Ordinary);
        self.set_state(world, handle, RegistrationState::Registered, seen.at);
        self.remember_address(world, address, handle, now);
        self.arm_device(handle);
        world.peers.note_registered(address.ip(), now);
    }

    /// Of several devices behind `address` the one whose Contact has that user.
    pub(in crate::track) fn of_user_at(&self, world: &World, address: SocketAddr, user: &[u8]) -> Option<Handle> {
        let uri = [b"sip:", user, b"@"].concat();
        self.named(world, address, &Uri::parse(&uri))
    }

    /// Lets go of all that was inferred about `place`: nobody's phone is there.
    pub(in crate::track) fn uninfer_at(&mut self, world: &mut World, place: IpAddr, at: Sighting) {
        let is_there = |device: &Device| device.is_inferred() && device.source().ip() == place;
        let inferred: Vec<_> = self.devices.iter().filter(|(_, device)| is_there(device)).map(|(handle, _)| handle).collect();
        for device in inferred {
            self.uninfer(world, device, None, at);
        }
    }

    /// Whether all that is known of a device is that it answers for another user than `user`.
    pub(in crate::track) fn is_inferred_as_other(&self, device: Handle, user: &[u8]) -> bool {
        let is_other = |device: &Device| plain_user(Uri::parse(device.contact.as_bytes()).user) != plain_user(user);
        self.devices.get(device).is_some_and(|device| device.is_inferred() && is_other(device))
    }

    /// The device of which nothing but answers was known, if the REGISTER `seen` for `aor` comes from there: it is one of that AoR.
    pub(super) fn take_up_inferred(&mut self, world: &World, aor: Handle, seen: &Seen<'_>, contact: &Contact<'_>) -> Option<Handle> {
        let place = seen.flow.source;
        let device = match self.occupant(world, place) {
            Some(Occupant::Only(device)) => device,
            _ => [seen.read.to().user, contact.uri.user].into_iter().find_map(|user| self.of_user_at(world, place, user))?,
        };
        let entry = self.devices.get_mut(device).filter(|device| device.is_inferred() && device.source() == place)?;
        entry.last_register = seen.at.time;
        let before = std::mem::replace(&mut entry.aor, aor);
        if before != aor {
            self.detach(world, before, device, None);
            self.attach(world, aor, device);
        }
        Some(device)
    }

    /// The REGISTER says of an inferred device that it is `new`. What is known of its answers stays.
    pub(super) fn reveal(&mut self, world: &World, handle: Handle, new: Device) {
        let before = self.addresses_held(world, handle);
        let Some(device) = self.devices.get_mut(handle) else { return };
        self.behind.left(device);
        let probes = std::mem::replace(&mut device.probes, Probes::new());
        let Device { first_seen, state, accepted_from, phone, .. } = *device;
        *device = Device { first_seen, state, accepted_from, phone, probes, ..new };
        self.behind.arrived(device);
        self.devices.touch(handle);
        self.leave_addresses(world, handle, before);
        self.arm_device(handle);
    }

    /// Lets go of what was inferred about the phones of `aor` behind the address from which a REGISTER of it comes, as the phone tells itself
    /// who it is. What is elsewhere stays, as anybody can send a REGISTER for any user, until the PBX probes it no more.
    pub(super) fn forget_inferred(&mut self, world: &mut World, aor: Handle, seen: &Seen<'_>) {
        let own = self.aors.get(aor).map_or(&[][..], |aor| &aor.devices);
        let is_there = |device: &Device| device.is_inferred() && device.source().ip() == seen.flow.source.ip();
        let inferred: Vec<_> = own.iter().copied().filter(|&device| self.devices.get(device).is_some_and(is_there)).collect();
        for device in inferred {
            self.uninfer(world, device, Some(aor), seen.at);
        }
    }

    /// Lets go of an inferred device, and of its AoR unless that is `kept` or known by more.
    pub(in crate::track) fn uninfer(&mut self, world: &mut World, device: Handle, kept: Option<Handle>, at: Sighting) {
        self.set_state(world, device, RegistrationState::Unknown, at);
        if let Some(gone) = self.forget_device(world, device) {
            self.detach(world, gone.aor, device, kept);
        }
    }

    /// Takes a device from its AoR, which goes too unless it is `kept` or known by more.
    fn detach(&mut self, world: &World, from: Handle, device: Handle, kept: Option<Handle>) {
        let Some(aor) = self.aors.get_mut(from) else { return };
        aor.devices.retain(|&other| other != device);
        if kept != Some(from)
            && aor.devices.is_empty()
            && aor.attempts == 0
            && let Some(aor) = self.aors.remove(from)
        {
            self.unindex_user(world, &aor);
        }
    }

    /// Takes note of where an attempt was accepted over a stream; and of the host of `aor` where the PBX, rather than another one for it,
    /// accepted it for the first time.
    pub(super) fn note_served(&mut self, world: &World, flow: Flow, end: AttemptEnd, aor: Handle) {
        if end == AttemptEnd::Accepted {
            self.note_door(flow);
        }
        let first = self.aors.get(aor).filter(|aor| end == AttemptEnd::Accepted && aor.accepted == 1);
        if let Some(aor) = first.filter(|_| world.peers.direction(flow) != Direction::Out) {
            self.served.note(&aor.name);
        }
    }

    /// The host of which whoever gave the answer `seen` is most likely a user: the one that is asked for, or, where that is merely the
    /// address of the phone, the only one whose users are accepted. Of a user of that name elsewhere it may be the namesake.
    fn host_of(&self, world: &World, seen: &Seen<'_>, request: &Transaction) -> Box<str> {
        let to = seen.read.to();
        let (user, named) = (user_text(to.user), text(to.host));
        let mut same = self.aors_of(world, &user);
        if to.host_ip().is_none() || same.any(|aor| self.is_accepted_elsewhere(aor, request.flow.destination.ip())) {
            return named;
        }
        match &self.served {
            Served::Unknown => request.flow.source.ip().to_string().into(),
            Served::One(host) => host.clone(),
            Served::Several => named,
        }
    }

    /// Whether a user was accepted, and never at `place`.
    fn is_accepted_elsewhere(&self, aor: Handle, place: IpAddr) -> bool {
        let Some(aor) = self.aors.get(aor) else { return false };
        let mut devices = aor.devices.iter().filter_map(|&device| self.devices.get(device));
        aor.accepted > 0 && !devices.any(|device| device.source().ip() == place)
    }
}
