//! Which of those that the PBX probes are phones, although no REGISTER of theirs was captured (DETECTION §0.5).

use std::net::{IpAddr, SocketAddr};

use crate::sip::uri::Uri;
use crate::track::Tracker;
use crate::track::registration::addresses::Occupant;
use crate::track::transaction::Transaction;
use crate::track::vocabulary::Direction;
use crate::track::world::Seen;

impl Tracker {
    /// Takes note of the answer `seen` to an OPTIONS that was for nobody known: who takes it as the PBX's, for a user, is a phone. A carrier
    /// is asked for no user, registered at, or called for many.
    pub(super) fn infer_phone(&mut self, seen: &Seen<'_>, status: u16, request: &Transaction) {
        let (address, user) = (request.flow.destination, seen.read.to().user);
        // What a phone answers that knows nothing of OPTIONS, or is in a call (DETECTION §3.1).
        let is_there = matches!(status, 200..=299 | 405 | 481 | 486 | 501);
        if !is_there
            || user.is_empty()
            || self.world.peers.direction(request.flow) != Direction::Out
            || !self.is_unknown_at(address, user)
            || (self.world.peers.is_trunk(address.ip()) && !self.is_called_as(address.ip(), user))
        {
            return;
        }
        self.registrations.infer(&mut self.world, seen, request);
    }

    /// Whether nobody is known at `address`, or others alone by their answers: the handsets of a base.
    fn is_unknown_at(&self, address: SocketAddr, user: &[u8]) -> bool {
        match self.registrations.occupant(&self.world, address) {
            None => true,
            Some(Occupant::Only(device)) => self.registrations.is_inferred_as_other(device, user),
            Some(Occupant::Several(first)) => {
                let uri = [b"sip:", user, b"@"].concat();
                self.registrations.is_inferred_as_other(first, user)
                    && self.registrations.named(&self.world, address, &Uri::parse(&uri)).is_none()
            }
        }
    }

    /// Whether the PBX called `address` for that user, and for no other.
    fn is_called_as(&self, address: IpAddr, user: &[u8]) -> bool {
        let called = || self.calls.iter().filter(|(_, call)| call.flow().destination.ip() == address).map(|(_, call)| &*call.record.to);
        let is_user = |to: &str| to.split_once('@').map_or(to, |(user, _)| user).as_bytes() == user;
        called().next().is_some() && called().all(is_user)
    }

    /// Takes note that the PBX calls along the way of `seen`: where it was held to reach the phone of one user, and calls for another, it is
    /// a carrier or a gateway.
    pub(super) fn note_called_as(&mut self, seen: &Seen<'_>) {
        if self.world.peers.direction(seen.flow) != Direction::Out {
            return;
        }
        let Some(Occupant::Only(device)) = self.registrations.occupant(&self.world, seen.flow.destination) else { return };
        let called = seen.message.request_uri().map(|uri| Uri::parse(uri).user).unwrap_or_default();
        if self.registrations.is_inferred_as_other(device, called) {
            self.registrations.uninfer(&mut self.world, device, None, seen.at);
            let peer = seen.flow.destination.ip();
            if self.registrations.devices_at(peer) == 0 {
                self.world.peers.note_carrier(peer, seen.at.time);
            }
        }
    }
}
