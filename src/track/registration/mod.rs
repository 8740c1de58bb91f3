//! Registrations: AoRs, their devices, and the attempts to register (DETECTION §1).
//!
//! An AoR is keyed by `user@host` of the To header of REGISTER and made by the first REGISTER. Its devices are told apart by instance,
//! REGISTER Call-ID, or the Contact as written with the User-Agent. An attempt is keyed by AoR and Call-ID: the challenge, a stale nonce or
//! a 423 and their retries are one. AoRs and devices leave a day after their last sign of life.

pub mod addresses;
mod attempt;
mod behind;
pub mod changes;
mod conclude;
pub mod connections;
pub mod device;
mod edges;
mod inferred;
mod keys;
mod moved;
mod qualify;
pub mod refusal;
pub mod report;
mod unseen;
mod users;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::config::Thresholds;
use crate::decode::flow::Flow;
use crate::sip::headers::{Contact, ContactKind};
use crate::table::{Digest, ExpiringTable, Handle, Rank, append};
use crate::time::{PacketTime, Span};
use crate::track::absence::WATERMARK;
use crate::track::event::{Event, Sighting};
use crate::track::nat::NatEvidence;
use crate::track::reading::Reading;
use crate::track::registration::addresses::Tied;
use crate::track::registration::attempt::Attempt;
use crate::track::registration::behind::Behind;
use crate::track::registration::changes::{Change, Changes, Refreshes};
use crate::track::registration::connections::{ConnectionEnd, Door};
use crate::track::registration::device::{Continuity, Device, Probes};
use crate::track::registration::inferred::Served;
use crate::track::registration::keys::{
    DeviceKeys, contact_address, contact_key, continuity, is_onward, keeps_its_call_ids, trim_instance,
};
use crate::track::registration::moved::is_claimed;
use crate::track::registration::refusal::Refusal;
use crate::track::registration::users::Users;
use crate::track::vocabulary::RegistrationState;
use crate::track::world::{Seen, World, text};

/// How long after its last sign of life an AoR or device is remembered (DETECTION §13).
const REMEMBERED: Span = Span::from_secs(24 * 3600);
/// Devices per AoR; more than any phone system gives one user.
const DEVICES: usize = 16;

/// An address of record.
#[derive(Debug)]
pub struct Aor {
    /// `user@host`, the host in lower case.
    pub name: Box<str>,
    /// Where the user ends in `name`.
    pub user_len: u16,
    /// The first REGISTER.
    pub first_seen: PacketTime,
    /// Registering attempts begun.
    pub attempts: u64,
    /// Of those, accepted.
    pub accepted: u64,
    /// Of those, refused, with bad credentials, or unanswered.
    pub rejected: u64,
    /// The last final status; a challenge only if it ended the attempt.
    pub last_status: Option<u16>,
    /// What the registrar said with it, where it says more than the status.
    pub refusal: Option<Box<Refusal>>,
    /// Whether its registrar keeps bindings that it does not list.
    keeps_unlisted: bool,
    /// Its devices, oldest first.
    pub devices: Vec<Handle>,
}

impl Aor {
    /// The user part.
    pub fn user(&self) -> &str {
        self.name.get(..usize::from(self.user_len)).unwrap_or(&self.name)
    }
}

/// The registrations.
#[derive(Debug)]
pub struct Registrations {
    aors: ExpiringTable<Aor>,
    users: Users,
    served: Served,
    devices: ExpiringTable<Device>,
    attempts: ExpiringTable<Attempt>,
    addresses: ExpiringTable<Tied>,
    /// How connections ended over which devices had registered, by the end of the device.
    disconnected: ExpiringTable<ConnectionEnd>,
    /// Where anybody was ever registered.
    doors: BTreeMap<SocketAddr, Door>,
    /// Proxies through which users were accepted, each with some of them.
    edges: BTreeMap<SocketAddr, Vec<Handle>>,
    devices_made: u64,
    behind: Behind,
    /// Concluded attempts per source, for the ratio of ineffective ones.
    tries: BTreeMap<IpAddr, Tries>,
    /// First REGISTER to 2xx of each accepted attempt by registrar, in microseconds, for the report; bounded.
    delays: BTreeMap<SocketAddr, Vec<u32>>,
    delays_held: usize,
    keep_delays: usize,
    longest_grant: Span,
    /// How long after its expiry a registration counts as run out.
    grace: Span,
    /// What was followed of the NAT of a device that turned out to be another one.
    abandoned: Option<Handle>,
}

impl Registrations {
    /// No registrations, room for `capacity` devices and `keep_delays` samples of the registration delay.
    pub fn new(capacity: usize, keep_delays: usize, thresholds: &Thresholds) -> Self {
        Self {
            aors: ExpiringTable::new(capacity),
            users: Users::default(),
            served: Served::default(),
            devices: ExpiringTable::new(capacity),
            attempts: ExpiringTable::new(capacity),
            addresses: ExpiringTable::new(capacity.saturating_mul(2)),
            disconnected: ExpiringTable::new(capacity),
            doors: BTreeMap::new(),
            edges: BTreeMap::new(),
            devices_made: 0,
            behind: Behind::default(),
            tries: BTreeMap::new(),
            delays: BTreeMap::new(),
            delays_held: 0,
            keep_delays,
            longest_grant: Span::ZERO,
            grace: thresholds.reg_grace,
            abandoned: None,
        }
    }

    /// The AoR, if it is still remembered.
    pub fn aor(&self, handle: Handle) -> Option<&Aor> {
        self.aors.get(handle)
    }

    /// The device, if it is still remembered.
    pub fn device(&self, handle: Handle) -> Option<&Device> {
        self.devices.get(handle)
    }

    /// The AoRs.
    pub fn aors(&self) -> impl Iterator<Item = (Handle, &Aor)> {
        self.aors.iter()
    }

    /// The devices.
    pub fn devices(&self) -> impl Iterator<Item = (Handle, &Device)> {
        self.devices.iter()
    }

    /// How many devices were last seen at `address`, on whatever port.
    pub fn devices_at(&self, address: IpAddr) -> u32 {
        self.behind.devices_at(address)
    }

    /// The AoR of `name` (`user@host`).
    pub fn find_aor(&self, world: &World, name: &str) -> Option<Handle> {
        self.aors.find(world.digester.bytes(name.as_bytes()))
    }

    /// Concluded registering attempts towards a registrar, per source; sources beyond the bound share the unspecified address.
    pub fn tries(&self) -> impl Iterator<Item = (IpAddr, Tries)> {
        self.tries.iter().map(|(source, tries)| (*source, *tries))
    }

    /// Registrar and delay in microseconds of each accepted attempt.
    pub fn delays(&self) -> impl Iterator<Item = (SocketAddr, u32)> {
        self.delays.iter().flat_map(|(registrar, delays)| delays.iter().map(|micros| (*registrar, *micros)))
    }

    /// The longest time that any registration was granted.
    pub fn longest_grant(&self) -> Span {
        self.longest_grant
    }

    /// AoRs, devices, attempts, addresses of devices and ended connections held, and how many of each were dropped for lack of room.
    pub fn sizes(&self) -> [(usize, u64); 5] {
        [
            (self.aors.len(), self.aors.evicted()),
            (self.devices.len(), self.devices.evicted()),
            (self.attempts.len(), self.attempts.evicted()),
            (self.addresses.len(), self.addresses.evicted()),
            (self.disconnected.len(), self.disconnected.evicted()),
        ]
    }

    /// Where the AoR stands: registered if any device is, else what its latest device says.
    pub fn state(&self, aor: &Aor) -> RegistrationState {
        let devices = || aor.devices.iter().filter_map(|&handle| self.devices.get(handle));
        if devices().any(Device::is_registered) {
            return RegistrationState::Registered;
        }
        devices().max_by_key(|device| device.last_register).map_or(RegistrationState::Unknown, |device| device.state)
    }

    /// Handles what is due by `now`: bindings that ran out, probes that were lost, challenges that were ignored.
    pub fn expire(&mut self, world: &mut World, now: PacketTime) {
        while let Some((handle, _)) = self.devices.pop_due(now) {
            self.device_due(world, handle, now);
        }
        while let Some((handle, deadline)) = self.attempts.pop_due(now) {
            self.attempt_due(world, handle, deadline);
        }
        while let Some((handle, _)) = self.aors.pop_due(now) {
            if let Some(gone) = self.aors.remove(handle) {
                self.unindex_user(world, &gone);
            }
        }
        while let Some((handle, _)) = self.addresses.pop_due(now) {
            self.addresses.remove(handle);
        }
        while let Some((handle, _)) = self.disconnected.pop_due(now) {
            self.disconnected.remove(handle);
        }
    }

    /// When [`Self::expire`] next has something to do.
    pub fn next_deadline(&self) -> PacketTime {
        let people = self.devices.next_deadline().min(self.attempts.next_deadline()).min(self.aors.next_deadline());
        people.min(self.addresses.next_deadline()).min(self.disconnected.next_deadline())
    }

    /// The device among those that `may_be` it that a Contact of a REGISTER stands for, in the order of §0.2; `None` if it is a new one.
    fn find_device(&self, aor: Handle, keys: &DeviceKeys, may_be: impl Fn(&Device) -> bool) -> Option<Handle> {
        let known = || {
            self.aors
                .get(aor)
                .into_iter()
                .flat_map(|aor| aor.devices.iter())
                .filter_map(|&handle| Some((handle, self.devices.get(handle)?)))
                .filter(|(_, device)| may_be(device))
        };
        let by_instance = || known().find(|(_, device)| keys.instance != 0 && device.instance_key == keys.instance);
        let unmarked = |device: &Device| keys.instance == 0 || device.instance_key == 0;
        let by_call_id = || known().find(|(_, device)| unmarked(device) && device.call_id_key == keys.call_id && keys.call_id != 0);
        let by_contact =
            || known().find(|(_, device)| unmarked(device) && device.address_key == keys.address && device.agent_key == keys.agent);
        by_instance().or_else(by_call_id).or_else(by_contact).map(|(handle, _)| handle)
    }

    fn device_of(&mut self, world: &mut World, aor: Handle, seen: &Seen<'_>, contact: &Contact<'_>, rank: Rank) -> Handle {
        let message = &seen.message;
        let keys = DeviceKeys::of(world, message, contact);
        let onward = is_onward(world, seen.flow);
        let may_be = |device: &Device| is_onward(world, device.flow) == onward && !is_claimed(device, &keys, seen.flow);
        if let Some(handle) = self.find_device(aor, &keys, may_be) {
            self.renew_device(world, handle, seen, contact, &keys);
            return handle;
        }
        let inferred = self.take_up_inferred(world, aor, seen, contact);
        if inferred.is_none() {
            self.forget_inferred(world, aor, seen);
        }
        let device = Device {
            aor,
            contact: text(&contact.uri.without_password()),
            user_agent: text(message.user_agent()),
            instance: contact.instance.map(|instance| text(trim_instance(instance))),
            flow: seen.flow,
            state: RegistrationState::Unknown,
            first_seen: seen.at.time,
            registered_at: None,
            last_accepted: Sighting::default(),
            accepted_before: Sighting::default(),
            accepted_from: None,
            granted: Span::ZERO,
            expires_at: None,
            last_register: seen.at.time,
            restarted: PacketTime::MIN,
            evicted: false,
            answer_missed: false,
            rewritten: false,
            nat: NatEvidence::of(seen.read, seen.flow),
            credential_rejections: 0,
            ignored_challenges: 0,
            changes: Changes::default(),
            refreshes: Refreshes::default(),
            probes: Probes::new(),
            place: seen.flow.source,
            continuity: Continuity::First,
            phone: None,
            contact_address: contact_address(contact),
            address_key: keys.address,
            instance_key: keys.instance,
            call_id_key: keys.call_id,
            cseq: keys.cseq,
            agent_key: keys.agent,
        };
        match inferred {
            Some(handle) => {
                self.reveal(world, handle, device);
                handle
            }
            None => self.add_device(world, device, rank),
        }
    }

    fn add_device(&mut self, world: &World, device: Device, rank: Rank) -> Handle {
        self.devices_made += 1;
        let key = world.digester.parts(&[b"device", &self.devices_made.to_be_bytes()]);
        self.behind.arrived(&device);
        let (aor, forget) = (device.aor, device.first_seen + REMEMBERED);
        let (handle, evicted) = self.devices.insert(key, device, forget, rank);
        if let Some(gone) = evicted {
            self.behind.left(&gone);
        }
        self.attach(world, aor, handle);
        handle
    }

    /// Adds a device to its AoR; where that has too many, the one that is least worth goes.
    fn attach(&mut self, world: &World, aor: Handle, device: Handle) {
        let Some(entry) = self.aors.get_mut(aor) else { return };
        entry.devices.retain(|&handle| self.devices.get(handle).is_some());
        append(&mut entry.devices, device);
        if entry.devices.len() > DEVICES {
            let worth = |handle: &Handle| {
                self.devices.get(*handle).map(|device| (device.is_registered(), device.was_accepted(), device.last_register))
            };
            if let Some(position) = (0..entry.devices.len() - 1).min_by_key(|&i| entry.devices.get(i).and_then(worth)) {
                let gone = entry.devices.remove(position);
                self.forget_device(world, gone);
            }
        }
    }

    fn forget_device(&mut self, world: &World, handle: Handle) -> Option<Device> {
        let gone = self.devices.remove(handle)?;
        self.behind.left(&gone);
        self.forget_addresses(world, handle, &gone);
        Some(gone)
    }

    fn renew_device(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>, contact: &Contact<'_>, keys: &DeviceKeys) {
        let before = self.addresses_held(world, handle);
        let Some(device) = self.devices.get_mut(handle) else { return };
        self.behind.left(device);
        device.continuity = continuity(device, keys);
        let place = std::mem::replace(&mut device.place, seen.flow.source);
        if place != seen.flow.source {
            device.changes.note(Change::Address(place, seen.flow.source), seen.at);
            world.tell(Event::BindingChange { device: handle, old: place, new: seen.flow.source, at: seen.at });
        }
        if device.address_key != keys.address {
            device.contact = text(&contact.uri.without_password());
            device.contact_address = contact_address(contact);
        }
        if device.agent_key != keys.agent {
            let old = std::mem::replace(&mut device.user_agent, text(seen.message.user_agent()));
            device.changes.note(Change::Agent(old), seen.at);
        }
        device.refreshes.note(seen.at.time.since(device.last_register));
        // A phone may register at two servers, under a Call-ID for each.
        let begins_anew = device.call_id_key != keys.call_id && device.flow.destination.ip() == seen.flow.destination.ip();
        let keeps_its_call_ids = keeps_its_call_ids(device);
        device.flow = seen.flow;
        self.behind.arrived(device);
        device.last_register = seen.at.time;
        device.nat = NatEvidence::of(seen.read, seen.flow);
        if begins_anew {
            device.restarted = seen.at.time;
            device.changes.note(Change::Restart { before: device.call_id_key }, seen.at);
            // Only what lost its memory counts from the start again; a softphone that merely changes its network may do the former alone.
            if keys.cseq <= device.cseq && keeps_its_call_ids {
                world.tell(Event::DeviceRestarted { device: handle, flow: seen.flow, at: seen.at });
            }
        }
        device.address_key = keys.address;
        device.call_id_key = keys.call_id;
        device.cseq = keys.cseq;
        device.agent_key = keys.agent;
        self.devices.touch(handle);
        self.leave_addresses(world, handle, before);
        self.arm_device(handle);
    }

    fn set_state(&mut self, world: &mut World, handle: Handle, to: RegistrationState, at: Sighting) {
        let Some(device) = self.devices.get_mut(handle) else { return };
        let from = std::mem::replace(&mut device.state, to);
        if to != RegistrationState::Registered {
            device.registered_at = None;
            device.expires_at = None;
        }
        let (aor, source) = (device.aor, device.flow.source);
        match (from == RegistrationState::Registered, to == RegistrationState::Registered) {
            (false, true) => self.behind.bound(source),
            (true, false) => self.behind.unbound(source),
            _ => {}
        }
        if to == RegistrationState::Registered {
            self.devices.set_rank(handle, Rank::Precious);
            self.aors.set_rank(aor, Rank::Precious);
        } else {
            self.devices.lower_rank(handle, Rank::Ordinary);
            self.lower_addresses(world, handle);
            let others = self.aors.get(aor).map_or(&[][..], |aor| &aor.devices);
            if !others.iter().any(|&other| self.devices.get(other).is_some_and(Device::is_registered)) {
                self.aors.lower_rank(aor, Rank::Ordinary);
            }
        }
        if from != to {
            world.tell(Event::RegistrationState { aor, device: handle, from, to, at });
        }
    }

    /// Takes note that a device was seen at `address` by something other than a REGISTER.
    pub(in crate::track) fn came_from(&mut self, world: &mut World, handle: Handle, address: SocketAddr, at: Sighting) {
        let Some(device) = self.devices.get_mut(handle) else { return };
        let old = std::mem::replace(&mut device.place, address);
        if old != address {
            device.changes.note(Change::Address(old, address), at);
            world.tell(Event::BindingChange { device: handle, old, new: address, at });
        }
        self.remember_address(world, address, handle, at.time);
    }

    /// Ties a device to what is followed of its NAT.
    pub(in crate::track) fn set_phone(&mut self, handle: Handle, phone: Handle) {
        if let Some(device) = self.devices.get_mut(handle) {
            device.phone = Some(phone);
        }
    }

    /// The device that a registering attempt is about.
    pub(in crate::track) fn attempt_device(&self, attempt: Handle) -> Option<Handle> {
        self.attempts.get(attempt)?.device()
    }

    /// Sets the next moment at which something about the device is due.
    fn arm_device(&mut self, handle: Handle) {
        let Some(device) = self.devices.get(handle) else { return };
        let forget = device.last_register.max(device.first_seen) + REMEMBERED;
        let expiry = device.expires_at.filter(|_| device.is_registered()).map(|at| at + self.grace + WATERMARK);
        let probe = device.probes.outstanding().filter(|probe| !probe.concluded).map(|probe| probe.sent.time + probe.give_up + WATERMARK);
        let deadline = [expiry, probe, device.fades_at()].into_iter().flatten().min().unwrap_or(forget);
        self.devices.set_deadline(handle, deadline);
    }
}

/// Concluded attempts of a source.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tries {
    /// All of them.
    pub attempts: u64,
    /// Those that failed for another reason than credentials (RFC 6076 §4.2).
    pub ineffective: u64,
}

/// Sources whose attempts are counted apart.
const SOURCES: usize = 65_536;

/// What a REGISTER asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// Which contacts are bound.
    Query,
    /// To take bindings back.
    Unregister,
    /// To bind.
    Register,
}

/// The purpose of a REGISTER (DETECTION §1.1).
pub(super) fn purpose(read: &Reading<'_>) -> Purpose {
    let fallback = read.message().expires();
    let mut any = false;
    for contact in read.contacts() {
        any = true;
        if contact.kind != ContactKind::Star && contact.expires.or(fallback) != Some(0) {
            return Purpose::Register;
        }
    }
    if any { Purpose::Unregister } else { Purpose::Query }
}

/// The key of an attempt whose REGISTER goes along `flow`. An SBC may register onward under the Call-ID of the phone.
pub(super) fn attempt_key(world: &World, read: &Reading<'_>, flow: Flow) -> Digest {
    let to = read.to();
    let onward: &[u8] = if is_onward(world, flow) { b"onward" } else { b"" };
    world.digester.further(read.call_id(), &[to.user, to.host, onward])
}
