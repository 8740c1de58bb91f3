//! Which of the phone systems of a host something concerns.

use super::labels::Dir;
use super::subjects::Party;
use crate::decode::flow::Flow;
use crate::detect::detectors::Routed;
use crate::detect::finding::Subject;
use crate::table::Handle;
use crate::track::Tracker;
use crate::track::vocabulary::Direction;

/// Which phone system something concerns, and which way it goes seen from there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// The place of the phone system among the tallies.
    pub(super) pbx: usize,
    /// Which way.
    pub(super) dir: Dir,
}

/// The ways of a packet along `flow`: none where no end is known to be a PBX, two where one phone system talks to another.
pub(super) fn ways(tracker: &Tracker, flow: Flow) -> [Option<Way>; 2] {
    ways_of(tracker, Routed::of(tracker, flow))
}

/// The ways of a packet of which it is known which way it goes.
pub(super) fn ways_of(tracker: &Tracker, Routed { flow, direction }: Routed) -> [Option<Way>; 2] {
    let peers = &tracker.world.peers;
    if let Some((source, destination)) = peers.systems().pair(flow.source, flow.destination) {
        return [Some(Way { pbx: source, dir: Dir::Out }), Some(Way { pbx: destination, dir: Dir::In })];
    }
    let way = |end, dir| [Some(Way { pbx: number(tracker, peers.systems().find(end)), dir }), None];
    match direction {
        Direction::In => way(flow.destination, Dir::In),
        Direction::Out => way(flow.source, Dir::Out),
        Direction::Through => [None, None],
    }
}

/// What the end of a flow is that is not the PBX.
pub(super) fn party(tracker: &Tracker, flow: Flow, device: Option<Handle>) -> Party {
    let address = if tracker.world.peers.direction(flow) == Direction::Out { flow.destination } else { flow.source };
    Party { pbx: number_of_flow(tracker, flow), address, device }
}

/// The place of a phone system among the tallies; the last is that of what concerns none of several.
pub(super) fn number(tracker: &Tracker, system: Option<usize>) -> usize {
    system.unwrap_or_else(|| tracker.world.peers.systems().names().len())
}

/// That of the flow of a request: of whoever takes it, else of whoever sends it.
pub(super) fn number_of_flow(tracker: &Tracker, flow: Flow) -> usize {
    let systems = tracker.world.peers.systems();
    number(tracker, systems.find(flow.destination).or_else(|| systems.find(flow.source)))
}

/// That of the PBX at which a device registers.
pub(super) fn number_of_device(tracker: &Tracker, device: Handle) -> usize {
    let flow = tracker.registrations.device(device).map(|device| device.flow);
    flow.map_or_else(|| number(tracker, tracker.world.peers.systems().only()), |flow| number_of_flow(tracker, flow))
}

/// That of a call.
pub(super) fn number_of_call(tracker: &Tracker, call: Handle) -> usize {
    let flow = tracker.calls.get(call).map(|call| call.flow());
    flow.map_or_else(|| number(tracker, tracker.world.peers.systems().only()), |flow| number_of_flow(tracker, flow))
}

/// The phone system that one of these subjects of a finding belongs to, the PBX that is named among them before all others.
pub fn system_of(tracker: &Tracker, subjects: &[Subject]) -> Option<usize> {
    let systems = tracker.world.peers.systems();
    if let Some(only) = systems.only() {
        return Some(only);
    }
    let of_flow = |flow: Flow| systems.find(flow.destination).or_else(|| systems.find(flow.source));
    let of_device = |device: &Handle| of_flow(tracker.registrations.device(*device)?.flow);
    let named = |subject: &Subject| if let Subject::Pbx(address) = subject { systems.find(*address) } else { None };
    let belongs = |subject: &Subject| match subject {
        Subject::Aor(name) => {
            let aor = tracker.registrations.aor(tracker.registrations.find_aor(&tracker.world, name)?)?;
            aor.devices.iter().rev().find_map(of_device)
        }
        Subject::Site(site) => tracker.nat.devices_of(*site).iter().find_map(of_device),
        Subject::Call(call_id) => {
            let call = tracker.calls.iter().map(|(_, call)| call).find(|call| call.record.call_id == *call_id)?;
            of_flow(call.flow())
        }
        Subject::Pbx(_) | Subject::Source(_) | Subject::Trunk(_) | Subject::Group(_) | Subject::Capture => None,
    };
    subjects.iter().find_map(named).or_else(|| subjects.iter().find_map(belongs))
}
