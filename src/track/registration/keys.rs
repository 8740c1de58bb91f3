//! What tells the devices of a user apart (DETECTION §0.2).

use std::net::SocketAddr;

use crate::decode::flow::Flow;
use crate::sip::headers::Contact;
use crate::sip::message::Message;
use crate::sip::uri::plain_user;
use crate::time::PacketTime;
use crate::track::registration::attempt::ABANDONED;
use crate::track::registration::device::{Continuity, Device};
use crate::track::vocabulary::Direction;
use crate::track::world::World;

/// What tells devices apart, as hashes; 0 where it is missing.
pub(super) struct DeviceKeys {
    pub(super) address: u64,
    pub(super) instance: u64,
    pub(super) call_id: u64,
    pub(super) cseq: u32,
    pub(super) agent: u64,
}

impl DeviceKeys {
    pub(super) fn of(world: &World, message: &Message<'_>, contact: &Contact<'_>) -> Self {
        let hash = |bytes: &[u8]| if bytes.is_empty() { 0 } else { world.digester.bytes(bytes).low64() };
        Self {
            address: contact_key(world, contact),
            instance: contact.instance.map_or(0, |instance| hash(trim_instance(instance))),
            call_id: hash(message.call_id()),
            cseq: message.cseq().map_or(0, |cseq| cseq.number),
            agent: hash(message.user_agent()),
        }
    }
}

/// How a REGISTER with `keys` goes on from what is known of the device.
pub(super) fn continuity(device: &Device, keys: &DeviceKeys) -> Continuity {
    match keys.cseq.checked_sub(device.cseq) {
        Some(step @ 1..) if device.call_id_key == keys.call_id => Continuity::Continued(step),
        _ => Continuity::Restarted,
    }
}

/// Whether a PBX sends a REGISTER along `flow`: at a carrier, or, as an SBC, onward for a phone. That phone's own binding is another one.
pub(super) fn is_onward(world: &World, flow: Flow) -> bool {
    world.peers.direction(flow) == Direction::Out
}

/// Whether a device registers more than once under a Call-ID, or was not seen to change it: some take one for each registration.
pub(super) fn keeps_its_call_ids(device: &Device) -> bool {
    device.restarted == PacketTime::MIN || device.last_register.since(device.restarted) > ABANDONED
}

/// Identity of a Contact: user, host and port as written.
pub(super) fn contact_key(world: &World, contact: &Contact<'_>) -> u64 {
    let port = contact.uri.port.unwrap_or(5060).to_be_bytes();
    world.digester.parts(&[&plain_user(contact.uri.user), contact.uri.host, &port]).low64()
}

/// The address that a Contact names, if it is one.
pub(super) fn contact_address(contact: &Contact<'_>) -> Option<SocketAddr> {
    Some(SocketAddr::new(contact.uri.host_ip()?, contact.uri.port.unwrap_or(5060)))
}

pub(super) fn trim_instance(instance: &[u8]) -> &[u8] {
    let inner = instance.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(instance);
    inner.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">")).unwrap_or(inner)
}
