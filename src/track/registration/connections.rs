//! Connections that carried a registration and ended: over them the PBX reaches nobody any more (RFC 5626 §7, DETECTION §1.1).

use crate::decode::ends::end_digest;
use crate::decode::flow::Flow;
use crate::table::Rank;
use crate::track::event::Sighting;
use crate::track::registration::addresses::Occupant;
use crate::track::registration::device::Device;
use crate::track::registration::{REMEMBERED, Registrations};
use crate::track::vocabulary::Direction;
use crate::track::world::World;

impl Registrations {
    /// Takes note that a connection ended, by FIN or RST seen on `flow`. One that carried no registration is nobody's loss; of several
    /// devices over one any may be registered, whatever the first of them is.
    pub(in crate::track) fn disconnected(&mut self, world: &World, flow: Flow, at: Sighting) {
        for way in [flow, flow.reversed()] {
            let carried = match self.occupant(world, way.source) {
                Some(Occupant::Only(device)) => {
                    self.devices.get(device).is_some_and(|device| device.is_registered() && device.flow.destination == way.destination)
                }
                Some(Occupant::Several(_)) => world.peers.direction(way) == Direction::In,
                None => false,
            };
            if carried {
                let key = end_digest(world.digester, way.source);
                self.disconnected.insert(key, at, at.time + REMEMBERED, Rank::Ordinary);
            }
        }
    }

    /// When the connection ended over which a device registered, if nothing has come over it since.
    pub fn disconnected_since(&self, world: &World, device: &Device) -> Option<Sighting> {
        let found = self.disconnected.find(end_digest(world.digester, device.flow.source)).filter(|_| device.flow.transport.is_stream())?;
        let heard = world.flows.last_seen(device.flow).max(device.last_accepted.time);
        self.disconnected.get(found).copied().filter(|ended| ended.time >= heard)
    }
}
