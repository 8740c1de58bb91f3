//! Whether the PBX reaches a device with its OPTIONS, as the PBX itself would conclude it (DETECTION §3).

use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::absence::WATERMARK;
use crate::track::event::{Event, ProbeResult, Sighting};
use crate::track::nat::event::NatEvent;
use crate::track::registration::Registrations;
use crate::track::registration::device::Outstanding;
use crate::track::transaction::{Owner, Transaction};
use crate::track::vocabulary::{Direction, Reachability};
use crate::track::world::{Seen, World};

/// chan_sip gives a probe up after twice `maxms` (DETECTION §3.1).
const CHAN_SIP_GIVE_UP: Span = Span::from_secs(4);
/// PJSIP's `qualify_timeout` (DETECTION §3.1).
const PJSIP_GIVE_UP: Span = Span::from_secs(3);
/// 64·T1, where the prober has no timeout of its own.
const GENERIC_GIVE_UP: Span = Span::from_secs(32);
/// The longest silence before a probe that is told.
const LONGEST_SILENCE: Span = Span::from_secs(24 * 3600);

impl Registrations {
    /// Handles the first transmission of an OPTIONS outside a dialog.
    pub fn probe(&mut self, world: &mut World, seen: &Seen<'_>, transaction: Handle) {
        if world.peers.direction(seen.flow) == Direction::In {
            return;
        }
        let Some(handle) = self.addressee(world, seen) else { return };
        self.called(world, handle, seen.at);
        self.probe_superseded(world, handle, seen.at);
        let give_up = give_up(seen);
        let silence = seen.at.time.since(seen.before.against.max(seen.at.time - LONGEST_SILENCE));
        let Some(device) = self.devices.get_mut(handle) else { return };
        device.probes.note_sent(Outstanding { sent: seen.at, transaction, give_up, silence, concluded: false });
        self.arm_device(handle);
        if let Some(transaction) = world.transactions.get_mut(transaction) {
            transaction.owner = Owner::Probe(handle);
        }
    }

    /// Handles the final response to a probe.
    pub fn probe_answered(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>, request: &Transaction) {
        let Some(device) = self.devices.get_mut(handle) else { return };
        let rtt = seen.at.time.since(request.first.time);
        let concluded = device.probes.note_answer(request.first, rtt);
        self.arm_device(handle);
        let is_late = rtt > world.thresholds.qualify_max;
        let to = if is_late { Reachability::Lagged } else { Reachability::Reachable };
        let result = match request.transmissions {
            _ if is_late => ProbeResult::Lagged,
            1 => ProbeResult::Ok,
            _ => ProbeResult::Late,
        };
        if let Some(probe) = concluded {
            world.tell(Event::Probe { device: handle, result, rtt: Some(rtt), sent: request.first, silence: probe.silence });
        }
        self.set_reachability(world, handle, to, seen.at, request.first, request.transmissions);
    }

    /// Concludes a probe whose time to give up has come.
    pub(super) fn probe_due(&mut self, world: &mut World, handle: Handle, now: PacketTime) {
        let Some(probe) = self.devices.get(handle).and_then(|device| device.probes.outstanding()) else { return };
        let end = probe.sent.time + probe.give_up;
        if !probe.concluded && end + WATERMARK <= now {
            self.probe_lost(world, handle, probe, end);
        }
    }

    /// Concludes a probe that is still unanswered when the next one is sent.
    fn probe_superseded(&mut self, world: &mut World, handle: Handle, at: Sighting) {
        let Some(probe) = self.devices.get(handle).and_then(|device| device.probes.outstanding()) else { return };
        if !probe.concluded && at.time.since(probe.sent.time) > PJSIP_GIVE_UP {
            self.probe_lost(world, handle, probe, at.time.min(probe.sent.time + probe.give_up));
        }
    }

    fn probe_lost(&mut self, world: &mut World, handle: Handle, probe: Outstanding, end: PacketTime) {
        let Some(device) = self.devices.get_mut(handle) else { return };
        device.probes.give_up();
        let (flow, registered) = (device.flow, device.is_registered());
        let request = world.transactions.get(probe.transaction);
        let transmissions = request.map_or(1, |transaction| transaction.transmissions);
        let asked = request.map_or_else(|| flow.reversed(), |transaction| transaction.flow);
        if request.is_some_and(|request| request.is_never_repeated() && !world.unreached.since(request.flow, request.first.time))
            || !world.would_see_answer(flow.reversed(), probe.sent.time, end)
        {
            return;
        }
        if registered && self.devices.get(handle).is_some_and(|device| self.is_only_written(world, device, asked)) {
            world.tell_nat(NatEvent::WrittenTarget { device: handle, target: asked.destination, sent: probe.sent, end });
        }
        world.tell(Event::Probe { device: handle, result: ProbeResult::Lost, rtt: None, sent: probe.sent, silence: probe.silence });
        if registered {
            let at = Sighting { time: end, frame: 0 };
            self.set_reachability(world, handle, Reachability::Unreachable, at, probe.sent, transmissions);
        }
    }

    fn set_reachability(&mut self, world: &mut World, handle: Handle, to: Reachability, at: Sighting, probe: Sighting, transmissions: u16) {
        let Some(device) = self.devices.get_mut(handle) else { return };
        let from = std::mem::replace(&mut device.probes.reachability, to);
        let last_rtt = device.probes.last_rtt;
        if from != to {
            world.tell(Event::Reachability { device: handle, from, to, at, probe, last_rtt, transmissions });
        }
    }
}

/// How long the prober waits: by its name, and for Asterisk by the Call-ID, which PJSIP makes without a host.
fn give_up(seen: &Seen<'_>) -> Span {
    let agent = seen.message.user_agent();
    let is_asterisk = memchr::memmem::find(agent, b"Asterisk").is_some();
    match (is_asterisk, seen.message.call_id().contains(&b'@')) {
        (true, true) => CHAN_SIP_GIVE_UP,
        (true, false) => PJSIP_GIVE_UP,
        (false, _) => GENERIC_GIVE_UP,
    }
}
