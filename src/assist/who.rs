//! Who is meant: which messages are those of the user on the telephone.

use std::net::{IpAddr, SocketAddr};

use crate::decode::flow::Flow;
use crate::detect::listener::Heard;
use crate::report::filter::{is_user, user_of};
use crate::report::model::SentBy;
use crate::sip::message::{Kind, Message};
use crate::sip::uri::Uri;
use crate::table::Handle;
use crate::time::PacketTime;
use crate::track::Tracker;
use crate::track::registration::Aor;
use crate::track::registration::addresses::Occupant;
use crate::track::registration::device::Device;
use crate::track::vocabulary::Direction;
use crate::track::world::aor_text;

/// Addresses-of-record that one extension may mean before the rest is left out.
const AORS: usize = 8;

/// The user. Until a REGISTER or the tracker says which address-of-record is meant, every one that the words fit is.
#[derive(Debug)]
pub(super) struct Who {
    /// As asked for, without `sip:`.
    asked: Box<str>,
    /// The address asked for, where it is one.
    address: Option<IpAddr>,
    /// With its port, where there is one.
    socket: Option<SocketAddr>,
    /// The one address-of-record that is meant.
    pinned: Option<Box<str>>,
}

impl Who {
    /// The user that `asked` names: an extension, an address-of-record, an address with or without port, or a Contact.
    pub(super) fn find(asked: &str, tracker: &Tracker) -> Self {
        let asked = asked.strip_prefix("sip:").unwrap_or(asked);
        let socket = asked.parse::<SocketAddr>().ok();
        let address = asked.parse().ok().or_else(|| socket.map(|socket| socket.ip()));
        let mut who = Self { asked: asked.into(), address, socket, pinned: None };
        let mut known = who.aors(tracker);
        if known.len() == 1 {
            who.pinned = known.pop();
        }
        who
    }

    /// The addresses-of-record that are meant; those that only scanners tried are nobody's.
    pub(super) fn aors(&self, tracker: &Tracker) -> Vec<Box<str>> {
        let meant = |aor: &&Aor| {
            let own = || devices_of(tracker, aor).filter(|device| !tracker.world.peers.scans(device.flow.source.ip()));
            own().next().is_some() && (self.is_named(&aor.name) || own().any(|device| self.is_device(device)))
        };
        tracker.registrations.aors().map(|(_, aor)| aor).filter(meant).map(|aor| aor.name.clone()).take(AORS).collect()
    }

    /// The phones that are known of it, the one that registered last at the end.
    pub(super) fn devices<'t>(&self, tracker: &'t Tracker) -> Vec<(Handle, &'t Device)> {
        let names = self.pinned.iter().cloned().chain(if self.pinned.is_none() { self.aors(tracker) } else { Vec::new() });
        let handles = names.filter_map(|name| tracker.registrations.find_aor(&tracker.world, &name));
        let aors = handles.filter_map(|handle| tracker.registrations.aor(handle));
        let handles = aors.flat_map(|aor| aor.devices.iter().copied());
        let mut devices: Vec<_> = handles.filter_map(|handle| Some((handle, tracker.registrations.device(handle)?))).collect();
        devices.sort_by_key(|(_, device)| device.last_register);
        devices
    }

    /// When the phone was last heard of, by any packet from where it was.
    pub(super) fn last_heard(&self, tracker: &Tracker) -> Option<PacketTime> {
        let heard = |(_, device): &(Handle, &Device)| {
            let from = Flow { source: device.place, ..device.flow };
            tracker.world.flows.last_seen(device.flow).max(tracker.world.flows.last_seen(from)).max(device.last_register)
        };
        self.devices(tracker).iter().map(heard).max()
    }

    /// How it is called: the address-of-record once that is clear.
    pub(super) fn name(&self) -> &str {
        self.pinned.as_deref().unwrap_or(&self.asked)
    }

    /// Whether a REGISTER, or an answer to one, is the user's. The first that is settles which address-of-record is meant.
    pub(super) fn registers(&mut self, tracker: &Tracker, message: Message<'_>, flow: Flow) -> bool {
        let to = message.to();
        let name = aor_text(to.uri.user, to.uri.host);
        let phone = if is_from_pbx(tracker, flow) { flow.destination } else { flow.source };
        if tracker.world.peers.scans(phone.ip()) && self.address.is_none() {
            return false;
        }
        match &self.pinned {
            Some(pinned) => *pinned == name,
            None if self.is_named(&name) || self.is_at(phone) => {
                self.pinned = Some(name);
                true
            }
            None => false,
        }
    }

    /// Whether an address-of-record is the user's.
    pub(super) fn is_aor(&self, tracker: &Tracker, aor: Handle) -> bool {
        tracker.registrations.aor(aor).is_some_and(|aor| self.is_aor_name(&aor.name))
    }

    /// Whether an address-of-record by that name is the user's.
    pub(super) fn is_aor_name(&self, name: &str) -> bool {
        self.pinned.as_deref().map_or_else(|| self.is_named(name), |pinned| pinned == name)
    }

    /// The phone of the user that is, or was, at `address`, alone or among others.
    pub(super) fn device_at(&self, tracker: &Tracker, address: SocketAddr) -> Option<Handle> {
        match tracker.registrations.occupant(&tracker.world, address)? {
            Occupant::Only(device) => Some(device).filter(|device| self.is_its(tracker, *device)),
            Occupant::Several(_) => {
                let devices = self.devices(tracker);
                devices.into_iter().rev().find(|(_, device)| device.is_at(address)).map(|(handle, _)| handle)
            }
        }
    }

    /// Whether an INVITE of the PBX is for a phone of the user: by where it goes, of several that are there by whom it asks for, else by
    /// its To.
    pub(super) fn is_called(&self, tracker: &Tracker, message: Message<'_>, flow: Flow) -> bool {
        let to = message.to().uri;
        let is_party = || self.is_party(tracker, to.user, to.host);
        let asked_for = || Some(Uri::parse(message.request_uri()?));
        self.is_at(flow.destination)
            || match tracker.registrations.occupant(&tracker.world, flow.destination) {
                None => is_party(),
                Some(Occupant::Only(device)) => self.is_its(tracker, device),
                Some(Occupant::Several(_)) => asked_for()
                    .and_then(|uri| tracker.registrations.named(&tracker.world, flow.destination, &uri))
                    .map_or_else(is_party, |device| self.is_its(tracker, device)),
            }
    }

    fn is_its(&self, tracker: &Tracker, device: Handle) -> bool {
        tracker.registrations.device(device).is_some_and(|device| self.is_aor(tracker, device.aor))
    }

    /// Whether a phone of the user is, or was, at `address`.
    pub(super) fn has(&self, tracker: &Tracker, address: SocketAddr) -> bool {
        self.is_at(address) || self.device_at(tracker, address).is_some()
    }

    /// The addresses of its phones, without ports.
    pub(super) fn addresses(&self, tracker: &Tracker) -> Vec<IpAddr> {
        let places = self.devices(tracker).into_iter().map(|(_, device)| device.place.ip());
        let mut addresses: Vec<_> = places.chain(self.address).collect();
        addresses.dedup();
        addresses
    }

    /// Whether one of its phones is at `address`, on whatever port.
    pub(super) fn is_there(&self, tracker: &Tracker, address: IpAddr) -> bool {
        self.addresses(tracker).contains(&address)
    }

    /// Whether a message comes from a phone of the user.
    pub(super) fn sends(&self, tracker: &Tracker, message: Message<'_>, flow: Flow) -> bool {
        let own = if matches!(message.kind(), Kind::Request(_)) { message.from() } else { message.to() };
        self.is_end(tracker, flow.source, own.uri, flow)
    }

    /// Whether the end at `place` of a call along `flow` is a phone of the user. An edge proxy, or a base station with several handsets, is
    /// one address for all of its users (DETECTION §0.2): where the name is that of one who is there, it decides.
    pub(super) fn is_end(&self, tracker: &Tracker, place: SocketAddr, name: Uri<'_>, flow: Flow) -> bool {
        let has = self.has(tracker, place);
        let is_everybody = self.pinned.is_none() && self.address.is_some();
        if is_everybody || !self.may_be_at(tracker, place) {
            return has;
        }
        let name = aor_text(name.user, name.host);
        let named = tracker.registrations.find_callee(&tracker.world, &name, tracker.world.peers.pbx_of(flow));
        named.filter(|aor| tracker.registrations.device_of_at(*aor, place).is_some()).map_or(has, |aor| self.is_aor(tracker, aor))
    }

    /// Whether what comes from or goes to `place` may be the user's.
    pub(super) fn may_be_at(&self, tracker: &Tracker, place: SocketAddr) -> bool {
        self.has(tracker, place) || self.is_home(tracker, place)
    }

    /// Whether a phone of the user is at `place`, whoever registered there last.
    pub(super) fn is_home(&self, tracker: &Tracker, place: SocketAddr) -> bool {
        let own = self.pinned.as_deref().and_then(|name| tracker.registrations.find_aor(&tracker.world, name));
        own.is_some_and(|aor| tracker.registrations.device_of_at(aor, place).is_some())
    }

    /// Whether an INVITE towards the PBX is one of the user's: by where it comes from, else by its From.
    pub(super) fn calls(&self, tracker: &Tracker, message: Message<'_>, flow: Flow) -> bool {
        if is_from_pbx(tracker, flow) {
            return false;
        }
        let from = message.from();
        self.sends(tracker, message, flow) || self.is_party(tracker, from.uri.user, from.uri.host)
    }

    /// Whether a name in a call is the user's. Phones and PBXs write their own host in place of the domain; a domain that other users
    /// have is not the user's.
    pub(super) fn is_party(&self, tracker: &Tracker, user: &[u8], host: &[u8]) -> bool {
        let name = aor_text(user, host);
        if self.is_aor_name(&name) {
            return true;
        }
        let own = user_of(self.name());
        let (called, called_host) = name.split_once('@').unwrap_or((&name, ""));
        let is_pbx = || {
            let hosts = tracker.world.peers.pbx_addresses();
            called_host.parse::<IpAddr>().is_ok_and(|ip| hosts.iter().any(|pbx| pbx.ip() == ip))
        };
        self.address.is_none() && called == own && !own.is_empty() && (called_host.is_empty() || is_pbx())
    }

    /// Whether the words fit an address-of-record.
    fn is_named(&self, name: &str) -> bool {
        self.address.is_none() && is_user(&self.asked, name)
    }

    fn is_at(&self, address: SocketAddr) -> bool {
        self.socket.map_or_else(|| self.address == Some(address.ip()), |socket| socket == address)
    }

    fn is_device(&self, device: &Device) -> bool {
        let contact = device.contact.split_once(':').map_or(&*device.contact, |(_, rest)| rest);
        self.is_at(device.flow.source) || contact == &*self.asked
    }
}

/// Whether a message comes from the side of the PBX. Where the PBX is not known yet, the phone is the one that asks.
pub(super) fn sent_by(tracker: &Tracker, who: &Who, heard: &Heard<'_>) -> SentBy {
    match (tracker.world.peers.direction(heard.flow), heard.message.kind()) {
        (Direction::In, _) => SentBy::Phone,
        (Direction::Out, _) => SentBy::Pbx,
        (Direction::Through, _) if who.has(tracker, heard.flow.source) => SentBy::Phone,
        (Direction::Through, _) if who.has(tracker, heard.flow.destination) => SentBy::Pbx,
        (Direction::Through, Kind::Request(_)) => SentBy::Phone,
        (Direction::Through, Kind::Response(_)) => SentBy::Pbx,
    }
}

/// Whether a packet comes from the side of the PBX.
pub(super) fn is_from_pbx(tracker: &Tracker, flow: Flow) -> bool {
    tracker.world.peers.direction(flow) == Direction::Out
}

fn devices_of<'t>(tracker: &'t Tracker, aor: &'t Aor) -> impl Iterator<Item = &'t Device> {
    aor.devices.iter().filter_map(|&handle| tracker.registrations.device(handle))
}
