//! Requests of the PBX to phones: which arrived, which the NAT let fall, and which tell nothing (DETECTION §2.5).

use crate::decode::flow::Flow;
use crate::sip::method::Method;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::event::Sighting;
use crate::track::nat::event::{DeliveredLate, NatEvent, NatOutcome, NatProbe};
use crate::track::nat::ignored::unanswered_before;
use crate::track::nat::phone::{Asked, Calm, Others, Phone, Probes, Wait};
use crate::track::nat::pool::{Failure, FailureKind};
use crate::track::nat::site::{News, SiteNat};
use crate::track::nat::stage::Stage;
use crate::track::nat::witness::Witnesses;
use crate::track::nat::{Nat, REMEMBERED, is_behind};
use crate::track::registration::Registrations;
use crate::track::site::Site;
use crate::track::transaction::Transaction;
use crate::track::vocabulary::Direction;
use crate::track::world::{Seen, World};

/// How long after a phone came back the PBX's next request must be answered, at most (DETECTION §2.5, condition e).
const LONGEST_CHECK: Span = Span::from_secs(15);
/// The same, at least.
const SHORTEST_CHECK: Span = Span::from_secs(5);
/// How long that answer may take.
const ANSWER: Span = Span::from_secs(4);
/// A repeat that is answered within this time was the one that arrived.
const ROUND_TRIP: Span = Span::from_millis(400);
/// By how much a keep-alive may be overdue (DETECTION §2.5, condition f).
const OVERDUE: f64 = 1.2;
/// Requests larger than this do not fit one packet on every way (RFC 3261 §18.1.1).
const LARGE: u32 = 1300;

impl Nat {
    /// Takes note of the first transmission of a request of the PBX.
    pub fn requested(&mut self, world: &mut World, registrations: &Registrations, seen: &Seen<'_>, transaction: Handle) {
        let method = seen.message.method();
        if world.peers.direction(seen.flow) != Direction::Out || matches!(method, Method::Ack | Method::Cancel | Method::Register) {
            return;
        }
        self.note_private_name(world, seen);
        if seen.flow.transport.is_stream() {
            return;
        }
        let Some(tied) = registrations.tied_to(world, seen.flow.destination) else { return };
        let Some(handle) = self.phone_tied(registrations, tied) else { return };
        // The way is that of all devices at the address; whose call it is, and where that one is by now, is another matter.
        let named = tied.is_shared.then(|| registrations.called_of_several(world, seen)).flatten();
        let meant = named.and_then(|device| registrations.device(device)?.phone).filter(|phone| self.phones.contains(*phone));
        if !is_of_old_call(self.phones.get(meant.unwrap_or(handle)), registrations, seen) {
            self.note_target(world, meant.unwrap_or(handle), seen);
        }
        let Some(phone) = self.phones.get_mut(handle) else { return };
        if seen.before.against == PacketTime::MIN || !is_behind(registrations, phone.device) {
            return;
        }
        if method == Method::Options && matches!(phone.probes, Probes::Unsupported { .. }) {
            return;
        }
        let now = seen.at.time;
        let (since, silence) = (seen.before.against, now.since(seen.before.against));
        let request = world.transactions.get(transaction);
        // What does not fit one packet may be lost for its size, and says nothing of the silence.
        let fits = request.is_none_or(|request| request.size <= LARGE);
        let is_cut_off = fits && phone.proven.asked(since, silence, phone.binding.stage(Some(silence)), method);
        phone.ask(Asked {
            transaction,
            device: named.unwrap_or(phone.device),
            method,
            flow: seen.flow,
            sent: seen.at,
            silence,
            idle: now.since(seen.before.against.max(seen.before.along)),
            binding: phone.binding,
            wait: Wait::Sign,
            is_never_repeated: request.is_some_and(Transaction::is_never_repeated),
            is_cut_off,
            others: Others::Unknown,
            due: Witnesses::known_at(now),
        });
        self.arm(handle);
    }

    /// Takes note of a request of the PBX that is sent again.
    pub fn requested_again(&mut self, world: &World, registrations: &Registrations, flow: Flow, transaction: Handle) {
        if world.peers.direction(flow) != Direction::Out || flow.transport.is_stream() {
            return;
        }
        let phone = self.at(world, registrations, flow.destination).and_then(|handle| self.phones.get_mut(handle));
        if let Some(asked) = phone.and_then(|phone| phone.asked.iter_mut().find(|asked| asked.transaction == transaction)) {
            asked.is_never_repeated = false;
        }
    }

    /// Takes note of a response that is not a repeat. `first` tells whether it is the first one to its request.
    pub fn responded(
        &mut self,
        world: &mut World,
        registrations: &mut Registrations,
        seen: &Seen<'_>,
        request: &Transaction,
        handle: Handle,
    ) {
        let is_first = request.first_response == Some(seen.at);
        let peer = match world.peers.direction(request.flow) {
            Direction::Out => request.flow.destination,
            Direction::In => request.flow.source,
            Direction::Through => return,
        };
        if is_first {
            self.witnesses.note(Site::of(peer.ip()), seen.at.time);
        }
        let Some(phone) = self.at(world, registrations, peer) else { return };
        if world.peers.direction(request.flow) == Direction::In {
            if let Some(phone) = self.phones.get_mut(phone) {
                phone.binding.received_answer(seen.at.time);
            }
            return;
        }
        if is_first {
            self.answered(world, registrations, phone, seen, request, handle);
        } else {
            self.packet(world, registrations, seen);
        }
    }

    fn answered(
        &mut self,
        world: &mut World,
        registrations: &Registrations,
        handle: Handle,
        seen: &Seen<'_>,
        request: &Transaction,
        transaction: Handle,
    ) {
        let now = seen.at.time;
        if request.method == Method::Options {
            self.note_answers_probes(world, handle, seen.at);
        }
        let Some(phone) = self.phones.get_mut(handle) else { return };
        let position = phone.asked.iter().position(|asked| asked.transaction == transaction);
        let asked = position.map(|position| phone.asked.remove(position));
        let ignored = asked.map_or(0, |asked| unanswered_before(phone, &asked, request.last.time));
        // An answer to something sent later shows that the binding was alive: what was lost before was lost otherwise.
        let last = request.last.time;
        phone
            .asked
            .retain(|other| other.wait != Wait::Sign || other.flow.destination != request.flow.destination || other.sent.time > last);
        phone.binding.answered(now);
        let last = phone.heard_before(seen.flow.source, seen.before);
        if !phone.proven.is_cut_off(last) {
            phone.gaps.note(now.since(last));
        }
        phone.note_kept_port(seen.flow.source, seen.before, now);
        phone.proven.answered(request.method);
        phone.contact.note(seen.flow.source, now);
        phone.heard = now;
        phone.spoke = (seen.flow.source, now);
        self.phones.touch(handle);
        // Whether it ignores probes comes first: what they say of the NAT depends on it.
        if let Some(asked) = asked.filter(|asked| asked.method != Method::Options && asked.wait == Wait::Sign) {
            let reached = (request.transmissions == 1).then_some(asked.silence);
            self.note_reached(world, registrations, handle, reached, ignored, seen.at);
        }
        if let Some(asked) = asked {
            self.settle_answer(world, handle, asked, seen, request);
        }
        self.arm(handle);
    }

    /// What an answer says: delivered at once, delivered late because the phone had to come back first, or nothing.
    fn settle_answer(&mut self, world: &mut World, handle: Handle, asked: Asked, seen: &Seen<'_>, request: &Transaction) {
        let delay = seen.at.time.since(asked.sent.time);
        if let (Wait::Sign, Some(phone)) = (asked.wait, self.phones.get_mut(handle)) {
            phone.proven.answered_after(delay);
        }
        match asked.wait {
            Wait::Sign if request.transmissions == 1 => self.note_delivered(world, handle, &asked, seen.at),
            Wait::Lost(back) => {
                let is_slow = self.phones.get(handle).is_some_and(|phone| phone.proven.is_usual(delay));
                let after_repeat = !is_slow && seen.at.time.since(request.last.time) <= ROUND_TRIP;
                if request.transmissions < 2 || request.last.time < back || !after_repeat {
                    return;
                }
                if u32::from(request.transmissions) >= self.thresholds.late_delivery && asked.method == Method::Invite {
                    let late = DeliveredLate {
                        device: asked.device,
                        flow: asked.flow,
                        sent: asked.sent,
                        transmissions: request.transmissions,
                        silence: asked.silence,
                        back,
                        at: seen.at,
                    };
                    world.tell_nat(NatEvent::DeliveredLate(late));
                }
                if let Some(phone) = self.phones.get_mut(handle) {
                    phone.ask(Asked { wait: Wait::Late(back), ..asked });
                }
            }
            _ => {}
        }
    }

    fn note_delivered(&mut self, world: &mut World, handle: Handle, asked: &Asked, at: Sighting) {
        let Some(phone) = self.phones.get_mut(handle) else { return };
        let device = phone.device;
        if let Some(experiment) = &mut phone.experiment {
            experiment.asked(0);
        }
        phone.proven.delivered(asked.idle, asked.binding.stage(Some(asked.idle)));
        phone.calm.delivered = phone.calm.delivered.saturating_add(1);
        let Some(site) = self.phones.get(handle).map(|phone| Site::of(phone.flow.source.ip())) else { return };
        let successes = self.thresholds.nat_mended;
        let Some(nat) = self.site_mut(site) else { return };
        let stage = asked.binding.stage(nat.pool.shortest_failure(Stage::Oneway));
        let mended = nat.delivered(asked.idle, asked.gap(), stage, successes, at.time);
        world.tell_nat(NatEvent::Probe(NatProbe {
            device,
            outcome: NatOutcome::Delivered,
            stage,
            age: asked.idle,
            place: asked.flow.destination,
            sent: asked.sent,
            back: at,
            at,
        }));
        if mended {
            world.tell_nat(NatEvent::Mended { site, lived: asked.idle, at });
        }
        self.reconsider(world, site, at);
    }

    /// Decides what is due of a phone.
    pub(super) fn phone_due(&mut self, world: &mut World, registrations: &Registrations, handle: Handle, now: PacketTime) {
        self.change_due(world, registrations, handle, now);
        let Some(phone) = self.phones.get(handle) else { return };
        let due: Vec<_> = phone.asked.iter().filter(|asked| asked.due <= now).map(|asked| asked.transaction).collect();
        for transaction in due {
            self.asked_due(world, registrations, handle, transaction, now);
        }
        let Some(phone) = self.phones.get(handle) else { return };
        if phone.heard + REMEMBERED <= now {
            self.forget(handle);
            return;
        }
        self.arm(handle);
    }

    fn asked_due(&mut self, world: &mut World, registrations: &Registrations, handle: Handle, transaction: Handle, now: PacketTime) {
        let Some(phone) = self.phones.get(handle) else { return };
        let Some(&asked) = phone.asked.iter().find(|asked| asked.transaction == transaction) else { return };
        let others = if asked.others == Others::Unknown { self.others(registrations, handle, &asked) } else { asked.others };
        let granted = registrations.device(phone.device).map_or(Span::ZERO, |device| device.granted);
        let next = match asked.wait {
            Wait::Sign => asked.sent.time + phone.reappears(granted, &self.thresholds),
            Wait::Lost(back) | Wait::Late(back) => self.ready(phone, &asked, back, now),
            Wait::NewPort => PacketTime::MAX,
        };
        let Some(phone) = self.phones.get_mut(handle) else { return };
        if next > now {
            if let Some(asked) = phone.asked.iter_mut().find(|asked| asked.transaction == transaction) {
                (asked.due, asked.others) = (next, others);
            }
            return;
        }
        phone.asked.retain(|asked| asked.transaction != transaction);
        let asked = Asked { others, ..asked };
        if self.is_ignored(world, handle, &asked) {
            self.note_reached(world, registrations, handle, None, 1, Sighting { time: now, frame: 0 });
        } else if matches!(asked.wait, Wait::Lost(_) | Wait::Late(_)) && self.is_failure(world, registrations, handle, &asked, now) {
            self.lost_request(world, handle, &asked, now);
        }
    }

    /// When everything that bears on a lost request is known.
    fn ready(&self, phone: &Phone, asked: &Asked, back: PacketTime, now: PacketTime) -> PacketTime {
        let checked = back + self.grace(phone);
        let later = next_requests(phone, asked, back, checked).map(|later| later.sent.time + ANSWER).filter(|end| *end > now);
        later.chain([checked, Witnesses::known_at(asked.sent.time)]).max().unwrap_or(checked)
    }

    /// Whether a request that was lost was lost by the NAT: conditions a to f of DETECTION §2.5.
    fn is_failure(&self, world: &World, registrations: &Registrations, handle: Handle, asked: &Asked, now: PacketTime) -> bool {
        let Some(phone) = self.phones.get(handle) else { return false };
        let (Wait::Lost(back) | Wait::Late(back)) = asked.wait else { return false };
        let granted = registrations.device(phone.device).map_or(Span::ZERO, |device| device.granted);
        let in_time = back.since(asked.sent.time) <= phone.reappears(granted, &self.thresholds);
        // Who is on registers before what was granted runs out.
        let was_away = granted > Span::ZERO && back.since(asked.sent.time - asked.silence) > granted;
        let answered_since = next_requests(phone, asked, back, back + self.grace(phone)).next().is_none();
        let request = world.transactions.get(asked.transaction);
        let repeats = request.map_or(asked.sent.time, |request| request.last.time);
        // What does not fit one packet may be lost on the way for its size alone (DETECTION §2.7).
        let too_large = request.is_some_and(|request| request.size > LARGE);
        let ignored_after = matches!(asked.wait, Wait::Lost(_)) && repeats > back && repeats + ROUND_TRIP < now;
        let deviation = self.thresholds.ka_periodic_mad;
        let overdue =
            phone.rhythm.longest_beat(deviation).is_some_and(|longest| asked.silence.as_secs_f64() > OVERDUE * longest.as_secs_f64());
        // A binding that dies stops no keep-alive (DETECTION §2.7).
        let was_silent = phone.rhythm.lacks_beats(deviation, back.since(asked.sent.time - asked.silence));
        is_behind(registrations, phone.device)
            && in_time
            && !was_away
            && asked.others == Others::Well
            && world.would_see_answer(asked.flow, asked.sent.time, back)
            && answered_since
            && !ignored_after
            && !overdue
            && !was_silent
            && self.site_of(phone).is_none_or(|site| site.flushed < asked.sent.time - asked.silence)
            && !self.was_dark(handle, asked.sent.time - asked.silence, back)
            && !too_large
            && !asked.is_cut_off
            && (!asked.is_never_repeated || world.unreached.since(asked.flow, asked.sent.time))
    }

    /// Counts a request that the NAT let fall.
    pub(super) fn lost_request(&mut self, world: &mut World, handle: Handle, asked: &Asked, now: PacketTime) {
        let Some(phone) = self.phones.get_mut(handle) else { return };
        if let Some(experiment) = &mut phone.experiment {
            experiment.asked(1);
        }
        let doubtful = self.is_doubtful(handle, asked.silence);
        let Some(nat) = self.phones.get(handle).and_then(|phone| self.site_of(phone)) else { return };
        let known = nat.pool.shortest_failure(Stage::Oneway);
        let lifetime = known.map_or(asked.silence, |known| known.min(asked.silence));
        let Some(phone) = self.phones.get_mut(handle) else { return };
        let kind = match asked.method {
            Method::Options if doubtful => FailureKind::Doubtful,
            Method::Options => FailureKind::Options,
            _ => FailureKind::Request,
        };
        let failure =
            Failure { age: asked.silence, gap: asked.gap(), phone: phone.number, stage: asked.binding.stage(Some(lifetime)), kind };
        let back = match asked.wait {
            Wait::Lost(back) | Wait::Late(back) => back,
            Wait::Sign | Wait::NewPort => phone.since,
        };
        let back = Sighting { time: back, frame: 0 };
        let outcome = if matches!(asked.wait, Wait::Late(_)) { NatOutcome::Late } else { NatOutcome::Undelivered };
        let probe = NatProbe {
            device: phone.device,
            outcome,
            stage: failure.stage,
            age: failure.age,
            place: asked.flow.destination,
            sent: asked.sent,
            back,
            at: Sighting { time: now, frame: 0 },
        };
        self.note_failure(world, handle, failure, probe);
    }

    /// Counts a failure of the NAT and tells it.
    pub(super) fn note_failure(&mut self, world: &mut World, handle: Handle, failure: Failure, probe: NatProbe) {
        let Some(phone) = self.phones.get_mut(handle) else { return };
        phone.calm = Calm::default();
        let site = Site::of(phone.flow.source.ip());
        let Some(nat) = self.site_mut(site) else { return };
        nat.failed(failure, probe.at.time);
        world.tell_nat(NatEvent::Probe(probe));
        self.reconsider(world, site, probe.at);
    }

    /// Tells when it became surer or less sure that the NAT of a site forgets too early, or when it is known better how early.
    pub(super) fn reconsider(&mut self, world: &mut World, site: Site, at: Sighting) {
        let Some(nat) = self.sites.find(self.site_key(site)).and_then(|found| self.sites.get_mut(found)) else { return };
        match nat.reconsider(&self.thresholds, at.time) {
            News::Verdict => {
                let confidence = nat.confidence;
                world.tell_nat(NatEvent::Verdict { site, confidence, at });
            }
            News::Bounds => world.tell_nat(NatEvent::Exposure { site, at }),
            News::None => {}
        }
    }

    /// How the PBX and the rest of the site were when the request was sent.
    fn others(&self, registrations: &Registrations, handle: Handle, asked: &Asked) -> Others {
        let sent = asked.sent.time;
        let Some(phone) = self.phones.get(handle) else { return Others::Unwell };
        if !self.witnesses.others_served(Site::of(phone.flow.source.ip()), sent) {
            return Others::Unwell;
        }
        let neighbours = self.site_of(phone).map(|site| &site.phones[..]).unwrap_or_default();
        let silent_since = sent - asked.silence;
        let near = Witnesses::known_at(sent).since(sent);
        let active = || {
            neighbours.iter().filter(|&&other| other != handle).filter_map(|other| self.phones.get(*other)).filter(|other| {
                let granted = registrations.device(other.device).map_or(Span::ZERO, |device| device.granted);
                other.flow.source != phone.flow.source && other.heard + other.reappears(granted, &self.thresholds) >= sent
            })
        };
        let deviation = self.thresholds.ka_periodic_mad;
        let in_larger_gap = |other: &Phone| other.heard < silent_since && !other.proven.is_cut_off(other.heard);
        // The keep-alives of a phone that is on stop with the line, and with nothing else that two phones have in common.
        let lacks_beats = |other: &Phone| other.rhythm.lacks_beats(deviation, (sent + near).since(other.rhythm.last));
        let is_heard = active().any(|other| other.heard >= sent - near);
        let is_calm = || active().next().is_none() || active().any(in_larger_gap);
        if is_heard || (is_calm() && !active().any(lacks_beats)) { Others::Well } else { Others::Unwell }
    }

    /// How long after a phone came back other requests to it are looked at.
    fn grace(&self, phone: &Phone) -> Span {
        grace_at(self.site_of(phone))
    }

    /// [`Self::grace`], and the lifetime of streams as far as it is known.
    pub(super) fn site_limits(&self, handle: Handle) -> (Span, Option<Span>) {
        let Some(phone) = self.phones.get(handle) else { return (SHORTEST_CHECK, None) };
        let site = self.site_of(phone);
        (grace_at(site), site.and_then(|site| site.stream_lifetime))
    }
}

/// Whether a request is one of a call that began before the phone moved, though the registrar knows its new place by now: what it is sent to
/// is the Contact of the call, and no binding.
fn is_of_old_call(phone: Option<&Phone>, registrations: &Registrations, seen: &Seen<'_>) -> bool {
    let Some(phone) = phone.filter(|_| seen.message.to_tag().is_some()) else { return false };
    registrations
        .device(phone.device)
        .is_some_and(|device| device.last_accepted.time >= phone.since && device.flow.source == phone.flow.source)
}

/// How long after a phone of the site came back other requests to it are looked at.
fn grace_at(site: Option<&SiteNat>) -> Span {
    let lower = site.and_then(|site| site.bounds.0);
    lower.unwrap_or(Span::ZERO).max(SHORTEST_CHECK).min(LONGEST_CHECK)
}

/// Requests to the same place that were sent soon after the phone came back and are not answered.
fn next_requests<'a>(phone: &'a Phone, asked: &Asked, back: PacketTime, until: PacketTime) -> impl Iterator<Item = &'a Asked> {
    let destination = asked.flow.destination;
    phone.asked.iter().filter(move |other| other.flow.destination == destination && other.sent.time > back && other.sent.time <= until)
}
