//! Whom a finding of a call is about, and who takes part in the call.

use std::net::{IpAddr, SocketAddr};

use crate::decode::flow::Flow;
use crate::detect::finding::{Raise, Standing, Subject};
use crate::table::{Handle, Rank};
use crate::time::PacketTime;
use crate::track::Tracker;
use crate::track::call::Call;
use crate::track::registration::addresses::Occupant;
use crate::track::registration::device::Device;

/// The Call-ID under which findings of a call are kept: that of the leg that began first, where legs are linked (DETECTION §13).
pub(super) fn call_subject(tracker: &Tracker, call: Handle) -> Option<Subject> {
    let own = tracker.calls.get(call)?;
    let first = tracker
        .calls
        .partners(call)
        .map(|(_, partner)| partner)
        .fold(own, |first, partner| if partner.first.time < first.first.time { partner } else { first });
    Some(Subject::Call(first.record.call_id.clone()))
}

/// Names the leg itself where it is not the subject, its PBX and the users of the call, so that what is wrong with them explains what is
/// wrong with it.
pub(super) fn related_parties(tracker: &Tracker, raise: Raise, call: Handle) -> Raise {
    let Some(entry) = tracker.calls.get(call) else { return raise };
    let raise = raise.standing(ends(entry).map(|end| standing(tracker, end.ip())).into_iter().fold(Standing::Stranger, Standing::max));
    let own = Subject::Call(entry.record.call_id.clone());
    let raise = if call_subject(tracker, call).as_ref() == Some(&own) { raise } else { raise.related(own) };
    let raise = related_pbx(tracker, raise, entry.flow());
    users(tracker, entry).fold(raise, |raise, name| raise.related(Subject::Aor(name.into())))
}

/// Names the user whose device is at an address: of several phones behind one it is that one's matter.
pub(super) fn related_user(tracker: &Tracker, raise: Raise, address: SocketAddr) -> Raise {
    let raise = raise.standing(standing(tracker, address.ip()));
    match user_at(tracker, address) {
        Some(name) => raise.related(Subject::Aor(name.into())),
        None => raise,
    }
}

/// Names the PBX at an end of a flow, so that the outage of another one does not explain it.
pub(super) fn related_pbx(tracker: &Tracker, raise: Raise, flow: Flow) -> Raise {
    tracker.world.peers.pbx_of(flow).into_iter().fold(raise, |raise, pbx| raise.related(Subject::Pbx(pbx)))
}

/// Whether the peer at an address is one that the PBX ever served or called.
pub(super) fn standing(tracker: &Tracker, address: IpAddr) -> Standing {
    if tracker.world.peers.rank(address) > Rank::Unanswered { Standing::Known } else { Standing::Stranger }
}

/// The AoR of the called user, if it is known.
pub(super) fn called(tracker: &Tracker, call: &Call) -> Option<Handle> {
    let pbx = tracker.world.peers.pbx_of(call.flow());
    tracker.registrations.find_callee(&tracker.world, &call.to_aor, pbx)
}

/// The called user: its AoR, or `user@host` as dialled.
pub(super) fn called_name(tracker: &Tracker, call: &Call) -> Box<str> {
    let aor = called(tracker, call).and_then(|aor| tracker.registrations.aor(aor));
    aor.map_or_else(|| call.to_aor.clone(), |aor| aor.name.clone())
}

/// Where the two ends of a call are, as far as this leg shows them.
pub(super) fn ends(call: &Call) -> [SocketAddr; 2] {
    let destination = call.further.as_ref().map_or(call.record.destination, |further| further.flow.destination);
    [call.record.source, destination]
}

/// The devices at the two ends of a call, in the order of [`ends`]: those at the addresses; where several are behind one, those that the
/// INVITE named.
pub(super) fn phones(tracker: &Tracker, call: &Call) -> [Option<Handle>; 2] {
    let [from, to] = ends(call);
    let [caller, callee] = call.phones;
    [(from, caller), (to, callee)].map(|(address, named)| match tracker.registrations.occupant(&tracker.world, address)? {
        Occupant::Only(device) => Some(device),
        Occupant::Several(_) => named.filter(|named| tracker.registrations.device(*named).is_some()),
    })
}

/// The users of a call, by their devices.
pub(super) fn users<'t>(tracker: &'t Tracker, call: &Call) -> impl Iterator<Item = &'t str> {
    phones(tracker, call).into_iter().flatten().filter_map(|device| user_of(tracker, device))
}

/// The AoR of the device at an address, if it is there alone.
fn user_at(tracker: &Tracker, address: SocketAddr) -> Option<&str> {
    match tracker.registrations.occupant(&tracker.world, address)? {
        Occupant::Only(device) => user_of(tracker, device),
        Occupant::Several(_) => None,
    }
}

fn user_of(tracker: &Tracker, device: Handle) -> Option<&str> {
    let aor = tracker.registrations.device(device)?.aor;
    Some(&tracker.registrations.aor(aor)?.name)
}

/// Whether a device is bound, or would be had it not been evicted.
pub(super) fn is_there(device: &Device, now: PacketTime) -> bool {
    device.is_registered() || (device.evicted && device.last_accepted.time + device.granted >= now)
}

/// A phone of the user that is registered elsewhere while another device asks in vain: that one is a second device, or a stranger's.
pub(super) fn registered_elsewhere<'t>(tracker: &'t Tracker, device: &Device, now: PacketTime) -> Option<&'t Device> {
    let aor = tracker.registrations.aor(device.aor)?;
    let mut devices = aor.devices.iter().filter_map(|&other| tracker.registrations.device(other));
    let is_another = |other: &Device| other.source().ip() != device.source().ip() && other.user_agent != device.user_agent;
    devices.find(|other| is_another(other) && is_there(other, now))
}
