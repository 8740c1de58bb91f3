//! Phones that come from another port or address, and what that proves (DETECTION §2.4, §13 "A new port is evidence").

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::decode::flow::Flow;
use crate::sip::message::Kind;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::event::Sighting;
use crate::track::nat::event::{NatEvent, NatOutcome, NatProbe, StaleTarget};
use crate::track::nat::phone::{Candidate, Change, Left, Wait, gap_of};
use crate::track::nat::pool::{Failure, FailureKind};
use crate::track::nat::rhythm::Gaps;
use crate::track::nat::site::Moved;
use crate::track::nat::stage::Binding;
use crate::track::nat::{Nat, is_behind};
use crate::track::registration::Registrations;
use crate::track::registration::device::Continuity;
use crate::track::site::Site;
use crate::track::world::{Seen, World, aor_text};

/// Keep-alives nearer than this are of one beat.
const TOGETHER: Span = Span::from_secs(2);
/// A phone that is heard at least this often proves, by keeping its port, that the router did not forget all bindings.
const SURVIVOR_GAP: Span = Span::from_secs(60);

impl Nat {
    /// Takes note that a phone comes from elsewhere.
    pub(super) fn moved(
        &mut self,
        world: &mut World,
        registrations: &mut Registrations,
        handle: Handle,
        to: Flow,
        at: Sighting,
        continuity: Continuity,
    ) {
        let Some(phone) = self.phones.get(handle) else { return };
        let old = phone.flow;
        let heard = world.flows.last_seen(old).min(at.time);
        // Keep-alives may have come from the new port before it was known whose it is.
        let site = Site::of(to.source.ip());
        let due = at.time + self.thresholds.port_flush.window;
        let at = self.site_mut(site).and_then(|site| site.identify(to.source, heard)).unwrap_or(at);
        let Some(phone) = self.phones.get_mut(handle) else { return };
        phone.flow = to;
        phone.since = at.time;
        phone.binding = Binding::new(at.time);
        phone.left = Some(Box::new(Left { address: old.source, at }));
        let device = phone.device;
        let survives = phone.proven.change_port(at.time.since(heard));
        let same_place = old.source.ip() == to.source.ip() && !old.transport.is_stream() && !to.transport.is_stream();
        if same_place && continuity != Continuity::Restarted && heard > PacketTime::MIN {
            phone.change = Some(Box::new(Change { old, to: to.source, heard, at, survives, due }));
            for asked in phone.asked.iter_mut().filter(|asked| asked.flow.destination == old.source && asked.sent.time >= heard) {
                asked.wait = Wait::NewPort;
            }
        } else {
            phone.change = None;
            phone.asked.clear();
            phone.gaps = Gaps::default();
            phone.contact.gaps = Gaps::default();
        }
        let together = self.thresholds.port_flush.window;
        let (from, into) = (Site::of(old.source.ip()), Site::of(to.source.ip()));
        if let Some(site) = self.site_mut(from) {
            if same_place {
                site.moved(Moved { phone: handle, old: old.source, at }, together);
            } else if from != into {
                site.left(handle);
            }
        }
        registrations.came_from(world, device, to.source, at);
        self.arm(handle);
    }

    /// Decides whether a new port proves that the old binding died.
    pub(super) fn change_due(&mut self, world: &mut World, registrations: &Registrations, handle: Handle, now: PacketTime) {
        let Some(phone) = self.phones.get_mut(handle) else { return };
        let Some(change) = phone.change.take_if(|change| change.due <= now) else { return };
        let (device, number, binding) = (phone.device, phone.number, phone.binding);
        let lost: Vec<_> = phone.asked.extract_if(.., |asked| asked.wait == Wait::NewPort).collect();
        let is_alive_there = world.flows.last_seen(change.old) > change.at.time;
        if is_alive_there || !is_behind(registrations, device) || !world.absence.is_sound_since(change.heard) {
            return;
        }
        if self.is_flush(world, handle, change.at.time) {
            self.tell_flush(world, handle, change.old, change.at.time, now);
            return;
        }
        // The phone gave up the port itself, or the NAT for another reason than time: the router forgot all meanwhile.
        let was_flushed = self.phones.get(handle).and_then(|phone| self.site_of(phone)).is_some_and(|site| site.flushed >= change.heard);
        if change.survives || was_flushed || self.was_dark(handle, change.heard, change.at.time) {
            return;
        }
        for asked in lost.into_iter().filter(|asked| !asked.is_never_repeated) {
            self.lost_request(world, handle, &asked, now);
        }
        let silence = change.at.time.since(change.heard);
        let failure = Failure {
            age: silence,
            gap: gap_of(change.old.source, change.heard),
            phone: number,
            stage: binding.stage(Some(silence)),
            kind: FailureKind::NewPort,
        };
        let probe = NatProbe {
            device,
            outcome: NatOutcome::NewPort,
            stage: failure.stage,
            age: silence,
            place: change.to,
            sent: Sighting { time: change.heard, frame: 0 },
            back: change.at,
            at: Sighting { time: now, frame: 0 },
        };
        self.note_failure(world, handle, failure, probe);
    }

    /// Whether the router forgot all its bindings at once: half of its bindings, and at least two, changed their port together, and none
    /// that is heard often kept it. Devices that come from one port have one binding.
    fn is_flush(&self, world: &World, handle: Handle, at: PacketTime) -> bool {
        let Some(site) = self.phones.get(handle).and_then(|phone| self.site_of(phone)) else { return false };
        let moved = site.moved_near(self.thresholds.port_flush.window, at);
        let all: BTreeSet<_> = site.phones.iter().filter_map(|phone| Some(self.phones.get(*phone)?.flow.source)).collect();
        let lost = moved.iter().map(|moved| moved.old).collect::<BTreeSet<_>>().len();
        let many = self.thresholds.port_flush.is_reached(lost) && lost * 2 >= all.len();
        let has_moved = |phone: &Handle| moved.iter().any(|moved| moved.phone == *phone);
        let survived = site.phones.iter().filter(|phone| !has_moved(phone)).filter_map(|phone| self.phones.get(*phone)).any(|phone| {
            let latest_gap = phone.gaps.recent().next();
            let seen_after = world.flows.last_seen(phone.flow) >= at;
            seen_after && phone.since < at && latest_gap.is_some_and(|gap| gap <= SURVIVOR_GAP)
        });
        many && !survived
    }

    fn tell_flush(&mut self, world: &mut World, handle: Handle, old: Flow, at: PacketTime, now: PacketTime) {
        let site = Site::of(old.source.ip());
        let together = self.thresholds.port_flush.window;
        let Some(nat) = self.site_mut(site) else { return };
        nat.flushed = nat.flushed.max(at);
        let moved = nat.moved_near(together, at);
        let since = moved.first().map_or(at, |first| first.at.time);
        let is_first = moved.first().is_some_and(|first| first.phone == handle);
        if is_first {
            world.tell_nat(NatEvent::PortFlush { site, phones: moved.len() as u32, since, at: Sighting { time: now, frame: 0 } });
        }
    }

    /// The phone that sent a keep-alive from an unknown port, once that is sure: the second such keep-alive in time with the rhythm of a
    /// phone whose own flow is silent dates the change at the first (DETECTION §13).
    pub(super) fn sender(&mut self, world: &mut World, registrations: &mut Registrations, flow: Flow, at: Sighting) -> Option<Handle> {
        let handle = self.only_sender(world, flow, at.time)?;
        let candidate = self.phones.get(handle)?.candidate.as_deref().copied();
        let Some(first) = candidate.filter(|first| at.time.since(first.at.time) > TOGETHER) else {
            let phone = self.phones.get_mut(handle)?;
            phone.candidate.get_or_insert_with(|| Box::new(Candidate { flow, at }));
            return None;
        };
        self.moved(world, registrations, handle, first.flow, first.at, Continuity::Continued(1));
        self.note_earlier_targets(world, handle);
        if let Some(phone) = self.phones.get_mut(handle) {
            phone.rhythm.note(first.at.time);
        }
        if flow.source != first.flow.source {
            self.moved(world, registrations, handle, flow, at, Continuity::Continued(1));
        }
        Some(handle)
    }

    /// The one phone of a site that a keep-alive from an unknown port continues: its own flow fell silent, and the keep-alive is in time.
    /// Where two fit nobody is taken.
    fn only_sender(&mut self, world: &World, flow: Flow, now: PacketTime) -> Option<Handle> {
        let site = self.sites.get(self.sites.find(self.site_key(Site::of(flow.source.ip())))?)?;
        let fits = |phone: &Handle| {
            self.phones.get(*phone).is_some_and(|phone| {
                let is_silent = world.flows.last_seen(phone.flow) <= phone.rhythm.last.max(phone.since);
                phone.flow.destination == flow.destination && is_silent && phone.rhythm.continues_at(self.thresholds.ka_periodic_mad, now)
            })
        };
        let mut fitting = site.phones.iter().filter(|phone| fits(phone)).copied();
        let only = fitting.next()?;
        if fitting.next().is_some() {
            self.unattributed += 1;
            return None;
        }
        Some(only)
    }

    /// Where a device comes from that was at `address` before, and since when; `None` while it is heard there.
    pub fn left(
        &self,
        world: &World,
        registrations: &Registrations,
        device: Handle,
        address: SocketAddr,
    ) -> Option<(SocketAddr, PacketTime)> {
        let phone = self.phones.get(registrations.device(device)?.phone?)?;
        let Flow { transport, source, destination } = phone.flow;
        let is_heard_there = world.flows.seen_within(Flow { transport, source: address, destination }, phone.since);
        (source != address && phone.left.is_some() && !is_heard_there).then_some((source, phone.since))
    }

    /// Requests that went to the old place before it was known to be old.
    fn note_earlier_targets(&self, world: &mut World, handle: Handle) {
        let Some(phone) = self.phones.get(handle) else { return };
        let Some(left) = phone.left.as_deref().copied() else { return };
        for asked in phone.asked.iter().filter(|asked| asked.flow.destination == left.address && asked.sent.time > left.at.time) {
            let stale =
                StaleTarget { device: phone.device, target: left.address, place: phone.flow.source, since: left.at, at: asked.sent };
            world.tell_nat(NatEvent::StaleTarget(stale));
        }
    }

    /// The phone that sent a request from an unknown port: the only one of its user at that public address.
    pub(super) fn caller(&self, world: &World, registrations: &Registrations, seen: &Seen<'_>) -> Option<Handle> {
        let known_site = self.sites.find(self.site_key(Site::of(seen.flow.source.ip()))).is_some();
        if !known_site || seen.message.via_count() > 1 || !matches!(seen.message.kind(), Kind::Request(_)) {
            return None;
        }
        let from = seen.read.from();
        let aor = registrations.aor(registrations.find_aor(world, &aor_text(from.user, from.host))?)?;
        let phones = aor.devices.iter().filter_map(|device| registrations.device(*device)?.phone);
        let mut near = phones.filter(|phone| {
            let phone = self.phones.get(*phone);
            phone.is_some_and(|phone| phone.flow.source.ip() == seen.flow.source.ip() && phone.flow.destination == seen.flow.destination)
        });
        let only = near.next()?;
        near.next().is_none().then_some(only)
    }

    /// Tells when the PBX calls a phone where it is not any more.
    pub(super) fn note_target(&self, world: &mut World, handle: Handle, seen: &Seen<'_>) {
        let Some(phone) = self.phones.get(handle) else { return };
        let target = seen.flow.destination;
        let Some(left) = phone.left.as_ref().filter(|left| left.address == target && phone.flow.source != target) else { return };
        let is_heard_there = world.flows.last_seen(seen.flow.reversed()) > left.at.time;
        if !is_heard_there {
            let stale = StaleTarget { device: phone.device, target, place: phone.flow.source, since: left.at, at: seen.at };
            world.tell_nat(NatEvent::StaleTarget(stale));
        }
    }
}
