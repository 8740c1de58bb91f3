//! Which of those that the PBX probes are phones, although no REGISTER of theirs was captured (DETECTION §0.5).

use std::net::{IpAddr, SocketAddr};

use crate::sip::method::Method;
use crate::sip::uri::{Uri, plain_user};
use crate::track::Tracker;
use crate::track::registration::addresses::Occupant;
use crate::track::registration::device::Device;
use crate::track::transaction::Transaction;
use crate::track::vocabulary::Direction;
use crate::track::world::{Seen, text};

impl Tracker {
    /// Takes note of the answer `seen` to an OPTIONS that was for nobody known: who takes it as the PBX's, for a user, is a phone. A carrier
    /// is asked for no user, registered at, or called for many.
    pub(super) fn infer_phone(&mut self, seen: &Seen<'_>, status: u16, request: &Transaction) {
        let (address, user) = (request.flow.destination, &*plain_user(seen.read.to().user));
        // What a phone answers that knows nothing of OPTIONS, or is in a call (DETECTION §3.1).
        let is_there = matches!(status, 200..=299 | 405 | 481 | 486 | 501);
        if user.is_empty() || text(user).as_bytes() != user || self.world.peers.direction(request.flow) != Direction::Out {
            return;
        }
        let is_phone = is_there
            && self.is_unknown_at(address, user)
            && (!self.world.peers.is_trunk(address.ip()) || self.is_called_as(address.ip(), user));
        match is_phone {
            true => self.registrations.infer(&mut self.world, seen, request),
            false => self.probed.note(self.world.digester, address, &text(user), status, seen.at),
        }
    }

    /// Whether nobody is known at `address`, or others alone by their answers: the handsets of a base.
    fn is_unknown_at(&self, address: SocketAddr, user: &[u8]) -> bool {
        match self.registrations.occupant(&self.world, address) {
            None => self.registrations.of_user_at(&self.world, address, user).is_none(),
            Some(Occupant::Only(device)) => self.registrations.is_inferred_as_other(device, user),
            Some(Occupant::Several(first)) => {
                self.registrations.is_inferred_as_other(first, user) && self.registrations.of_user_at(&self.world, address, user).is_none()
            }
        }
    }

    /// Whether the PBX called `address` for that user, and for no other.
    fn is_called_as(&self, address: IpAddr, user: &[u8]) -> bool {
        let called = || self.calls.iter().filter(|(_, call)| call.flow().destination.ip() == address).map(|(_, call)| &*call.record.to);
        let is_user = |to: &str| to.split_once('@').map_or(to, |(user, _)| user).as_bytes() == user;
        match called().next() {
            Some(_) => called().all(is_user),
            None => self.world.peers.is_called_as(address, user),
        }
    }

    /// Takes note of a call or a registration that begins: where answers were held to be those of phones, and the PBX registers there, or a
    /// call is for another user or comes from one, it is a carrier or a gateway.
    pub(super) fn disprove_inferred(&mut self, seen: &Seen<'_>, method: Method) {
        let way = self.world.peers.direction(seen.flow);
        let (peer, is_out) = match (way, method) {
            _ if seen.message.to_tag().is_some() => return,
            (Direction::Out, Method::Invite | Method::Register) => (seen.flow.destination, true),
            (Direction::In, Method::Invite) => (seen.flow.source, false),
            _ => return,
        };
        let Some(Occupant::Only(device) | Occupant::Several(device)) = self.registrations.occupant(&self.world, peer) else { return };
        if !self.registrations.device(device).is_some_and(Device::is_inferred) {
            return;
        }
        let user = |uri: Uri<'_>| self.is_unknown_at(peer, uri.user);
        let is_strange = match is_out {
            true => user(seen.message.request_uri().map(Uri::parse).unwrap_or_default()),
            // A phone may write its user into either.
            false => self.is_unknown_at(peer, seen.read.from().user) && seen.read.contacts().next().is_none_or(|contact| user(contact.uri)),
        };
        if is_strange {
            self.registrations.uninfer_at(&mut self.world, peer.ip(), seen.at);
            if self.registrations.devices_at(peer.ip()) == 0 {
                self.world.peers.note_carrier(peer.ip(), seen.at.time);
            }
        }
    }
}
