//! Connections that carried a registration and ended: over them the PBX reaches nobody any more (RFC 5626 §7, DETECTION §1.1).

use std::net::SocketAddr;

use crate::decode::ends::end_digest;
use crate::decode::flow::Flow;
use crate::table::Rank;
use crate::time::{PacketTime, Span};
use crate::track::event::{Event, Sighting};
use crate::track::registration::addresses::Occupant;
use crate::track::registration::changes::Change;
use crate::track::registration::device::Device;
use crate::track::registration::{REMEMBERED, Registrations};
use crate::track::vocabulary::Direction;
use crate::track::world::World;

/// Addresses remembered that registered anybody over a stream.
const DOORS: usize = 64;
/// How long a phone keeps a connection at least that it does not open for one registration alone.
const KEPT_OPEN: Span = Span::from_secs(5);

/// How users were registered at an address.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Door {
    datagrams: bool,
    streams: bool,
}

/// The end of a connection over which somebody had registered.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionEnd {
    /// The FIN or RST.
    pub at: Sighting,
    /// Whether it was kept open after the registration, and the PBX could reach the phone over no other.
    pub was_needed: bool,
}

impl Registrations {
    /// Takes note that somebody was registered along `flow`.
    pub(super) fn note_door(&mut self, flow: Flow) {
        if self.doors.len() < DOORS || self.doors.contains_key(&flow.destination) {
            let door = self.doors.entry(flow.destination).or_default();
            *(if flow.transport.is_stream() { &mut door.streams } else { &mut door.datagrams }) = true;
        }
    }

    /// Whether `address` ever registered anybody over a stream, as far as that is remembered.
    pub fn serves_streams(&self, address: SocketAddr) -> bool {
        self.doors.len() >= DOORS || self.doors.get(&address).is_some_and(|door| door.streams)
    }

    /// Whether everybody whom the host of `address` ever registered came over streams, to that address.
    pub fn serves_streams_alone(&self, address: SocketAddr) -> bool {
        let at_host = || self.doors.iter().filter(|(door, _)| door.ip() == address.ip());
        self.doors.len() < DOORS && self.serves_streams(address) && !at_host().any(|(_, door)| door.datagrams)
    }

    /// Whether the PBX reaches a device over the connection alone over which it registered: it is behind a NAT, and neither woken up by
    /// push messages (RFC 8599) nor behind a proxy.
    fn needs_connection(&self, device: &Device) -> bool {
        let is_behind_nat = device.contact_address.is_none_or(|contact| contact.ip() != device.flow.source.ip());
        is_behind_nat && !device.contact.contains("pn-provider") && !self.is_edge(device.flow)
    }

    /// Takes note that a connection ended, by FIN or RST seen on `flow`. One that carried no registration is nobody's loss. Of several
    /// devices over one the first speaks for all, where it registered over it; where it did not, which of them it carried is not known.
    pub(in crate::track) fn disconnected(&mut self, world: &mut World, flow: Flow, at: Sighting) {
        for way in [flow, flow.reversed()] {
            let (handle, is_shared) = match self.occupant(world, way.source) {
                Some(Occupant::Only(handle)) => (handle, false),
                Some(Occupant::Several(first)) if world.peers.direction(way) == Direction::In => (first, true),
                _ => continue,
            };
            let carried = self.devices.get(handle).filter(|device| device.is_registered() && device.flow == way);
            if carried.is_none() && !is_shared {
                continue;
            }
            let is_kept = |device: &Device| at.time.since(device.last_accepted.time) >= KEPT_OPEN;
            let was_needed = carried.is_some_and(|device| is_kept(device) && self.needs_connection(device));
            if was_needed {
                world.tell(Event::ConnectionEnded { device: handle, by: flow.source, at });
            }
            let key = end_digest(world.digester, way.source);
            self.disconnected.insert(key, ConnectionEnd { at, was_needed }, at.time + REMEMBERED, Rank::Ordinary);
        }
    }

    /// How the connection ended over which a device registered, if nothing has come over it since.
    pub fn connection_end(&self, world: &World, device: &Device) -> Option<ConnectionEnd> {
        let heard = world.flows.last_seen(device.flow).max(device.last_accepted.time);
        self.end_at(world, device.flow.source, heard).filter(|_| device.flow.transport.is_stream())
    }

    /// When a device that registers over a stream lost its connection last and came back over another one, if that is remembered.
    pub fn reconnected(&self, world: &World, device: &Device) -> Option<[Sighting; 2]> {
        let moves = device.changes.iter().filter_map(|(back, change)| match change {
            Change::Address(from, _) => Some((*back, *from)),
            _ => None,
        });
        let (back, from) = moves.last().filter(|_| device.flow.transport.is_stream())?;
        let ended = self.end_at(world, from, PacketTime::MIN)?;
        (ended.was_needed && ended.at.time <= back.time).then_some([ended.at, back])
    }

    fn end_at(&self, world: &World, address: SocketAddr, since: PacketTime) -> Option<ConnectionEnd> {
        let found = self.disconnected.find(end_digest(world.digester, address))?;
        self.disconnected.get(found).copied().filter(|ended| ended.at.time >= since)
    }
}
