//! What the registrar's answer, or its silence, makes of an attempt and of the bindings.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::decode::flow::Flow;
use crate::sip::headers::{Contact, ContactKind};
use crate::table::{Handle, append};
use crate::time::{PacketTime, Span};
use crate::track::absence::WATERMARK;
use crate::track::call::tell_server_delay;
use crate::track::event::{AttemptEnd, AttemptReport, Event, ServerClass, Sighting};
use crate::track::registration::attempt::{ABANDONED, Asked, Attempt, Waits};
use crate::track::registration::device::Device;
use crate::track::registration::refusal::{Algorithm, Refusal};
use crate::track::registration::{Purpose, REMEMBERED, Registrations, SOURCES, contact_address, contact_key, is_onward};
use crate::track::transaction::Transaction;
use crate::track::vocabulary::{Direction, RegistrationState};
use crate::track::world::{Seen, World};

/// What a registrar grants that says nothing, and was asked nothing (RFC 3261 §10.2.1.1).
const DEFAULT_EXPIRY: u32 = 3600;
/// So many refusals in a row of a nonce just issued end an attempt: the next one will not be taken either.
const STALE: u16 = 3;
/// How soon after another device has registered a call may still be on its way to one that was evicted by that.
const ON_ITS_WAY: Span = Span::from_secs(2);

impl Registrations {
    /// Handles the final response to a REGISTER of an attempt.
    pub fn answered(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>, status: u16, request: &Transaction) {
        let Some(attempt) = self.attempts.get(handle) else { return };
        if attempt.waits != Waits::Answer || is_outdated(attempt, request) {
            return;
        }
        let class = if attempt.authorized { ServerClass::AuthFinal } else { ServerClass::Challenge };
        if attempt.authorized || matches!(status, 401 | 407) {
            tell_server_delay(world, class, request, seen.at);
        }
        if attempt.authorized && !attempt.fresh && matches!(status, 200..300 | 401 | 407) {
            let Flow { source: client, destination: pbx, .. } = attempt.flow;
            let known = attempt.sent_nonce.is_some_and(|nonce| world.nonce(nonce).is_some_and(|nonce| nonce.issued < attempt.first.time));
            if known {
                world.tell(Event::OldNonce { pbx, client, accepted: status < 300, at: seen.at });
            }
        }
        match status {
            200..300 => self.accepted(world, handle, seen),
            401 | 407 => self.challenged(world, handle, seen, status),
            423 => self.too_brief(handle, seen),
            _ => {
                let disputed = status == 403 && attempt.authorized;
                let end = if disputed { AttemptEnd::CredentialsRejected } else { AttemptEnd::Rejected };
                self.note_status(handle, status, seen);
                self.end_attempt(world, handle, end, seen.at);
            }
        }
    }

    /// Handles a REGISTER that waited for its answer in vain; or whose answer the capture missed, if the phone did not send it again.
    pub fn unanswered(&mut self, world: &mut World, handle: Handle, request: &Transaction) {
        let waits = |attempt: &&mut Attempt| attempt.waits == Waits::Answer && !is_outdated(attempt, request);
        let Some(attempt) = self.attempts.get_mut(handle).filter(waits) else { return };
        attempt.transmissions = request.transmissions;
        let Attempt { aor, asked, purpose, clears_all, .. } = *attempt;
        let waited = request.unanswered();
        let (heard, deadline) = (world.is_heard(&waited), waited.deadline);
        let visible = !heard && world.would_see_answer(request.flow, request.first.time, deadline);
        let end = if visible { AttemptEnd::NoAnswer } else { AttemptEnd::Unknown };
        // A phone that is registered and does not ask again was answered.
        if heard && bound(&asked).any(|device| self.devices.get(device).is_some_and(Device::is_registered)) {
            world.triggers.note_missing();
        }
        self.end_attempt(world, handle, end, Sighting { time: deadline, frame: 0 });
        if heard && purpose == Purpose::Unregister {
            let all = self.aors.get(aor).filter(|_| clears_all).map(|aor| aor.devices.clone()).unwrap_or_default();
            for device in asked.iter().flatten().map(|asked| asked.device).chain(all) {
                self.doubt(world, device, request.flow, deadline);
            }
        }
        for device in bound(&asked).filter(|_| heard) {
            self.miss_answer(device);
        }
    }

    /// Whether a device is still bound was not captured. What a stranger asks about it says nothing.
    fn doubt(&mut self, world: &mut World, handle: Handle, asked: Flow, time: PacketTime) {
        if self.devices.get(handle).is_some_and(|device| device.is_registered() && device.is_at(asked.source)) {
            self.set_state(world, handle, RegistrationState::Unknown, Sighting { time, frame: 0 });
            self.arm_device(handle);
        }
    }

    /// The answer to the last REGISTER of a device was not captured. Nothing shows that its binding was not renewed as before; a second
    /// such answer in a row is too much to believe.
    fn miss_answer(&mut self, handle: Handle) {
        let Some(device) = self.devices.get_mut(handle).filter(|device| device.is_registered()) else { return };
        if !std::mem::replace(&mut device.answer_missed, true) {
            device.expires_at = device.expires_at.map(|at| at.max(device.last_register + device.granted));
            self.arm_device(handle);
        }
    }

    fn challenged(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>, status: u16) {
        let nonce = world.note_nonces(None, seen);
        let Some(attempt) = self.attempts.get_mut(handle) else { return };
        let is_stale = seen.message.challenges().any(|challenge| challenge.stale);
        // A registrar that offers the very nonce of the credentials again refuses them, not the nonce.
        let offered_again = nonce.zip(attempt.sent_nonce).is_some_and(|(nonce, sent)| world.issued_together(nonce, sent));
        let refused = (attempt.fresh || offered_again) && !is_stale;
        attempt.nonce = nonce.or(attempt.nonce);
        attempt.algorithm = Algorithm::wanted(&seen.message);
        if attempt.fresh && is_stale {
            attempt.stale = (seen.at, attempt.stale.1.saturating_add(1));
        }
        if refused {
            self.note_status(handle, status, seen);
            self.end_attempt(world, handle, AttemptEnd::CredentialsRejected, seen.at);
            return;
        }
        if attempt.stale.1 >= STALE {
            self.end_attempt(world, handle, AttemptEnd::NonceRefused, seen.at);
            return;
        }
        attempt.waits = Waits::Credentials;
        attempt.challenge_lost = false;
        let asked = attempt.asked;
        self.attempts.set_deadline(handle, seen.at.time + ABANDONED + WATERMARK);
        for device in bound(&asked) {
            if self.devices.get(device).is_some_and(|device| !device.is_registered()) {
                self.set_state(world, device, RegistrationState::Challenged, seen.at);
            }
        }
    }

    fn too_brief(&mut self, handle: Handle, seen: &Seen<'_>) {
        self.note_status(handle, 423, seen);
        let Some(attempt) = self.attempts.get_mut(handle) else { return };
        attempt.waits = Waits::LongerExpiry { least: seen.message.min_expires().unwrap_or(0), refused: seen.at };
        self.attempts.set_deadline(handle, seen.at.time + ABANDONED + WATERMARK);
    }

    pub(super) fn accepted(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>) {
        self.note_status(handle, 200, seen);
        self.identify_asked(world, handle);
        let Some(attempt) = self.attempts.get(handle) else { return };
        let (aor, asked, clears_all, requested) = (attempt.aor, attempt.asked, attempt.clears_all, attempt.requested);
        let flow = attempt.flow;
        if let Some(nonce) = attempt.sent_nonce {
            world.keep_nonce(nonce);
        }
        self.note_edge(&seen.message, flow, aor);
        if clears_all {
            self.unbind_all(world, aor, flow, seen.at);
        }
        let mut end = AttemptEnd::Accepted;
        for Asked { device, bind } in asked.into_iter().flatten() {
            match (bind, self.granted(world, device, seen, flow.source, requested)) {
                (false, _) => self.set_state(world, device, RegistrationState::Unregistered, seen.at),
                (true, Some(granted)) => self.bind(world, device, granted, seen),
                (true, None) => end = AttemptEnd::ContactDropped,
            }
        }
        self.unbind_unlisted(world, aor, seen, &asked);
        self.end_attempt(world, handle, end, seen.at);
    }

    /// The devices that the attempt binds are whom they say they are.
    fn identify_asked(&mut self, world: &mut World, handle: Handle) {
        let Some((asked, first)) = self.attempts.get(handle).map(|attempt| (attempt.asked, attempt.first)) else { return };
        for (slot, asked) in asked.into_iter().enumerate() {
            let Some(Asked { device, .. }) = asked.filter(|asked| asked.bind) else { continue };
            let known = self.identify(world, device, first);
            let Some(attempt) = self.attempts.get_mut(handle).filter(|_| known != device) else { continue };
            attempt.was_registered = true;
            if let Some(Some(asked)) = attempt.asked.get_mut(slot) {
                asked.device = known;
            }
        }
    }

    /// What the 2xx grants to `device`: `None` if it lists contacts and not this one (DETECTION §1.1).
    fn granted(&self, world: &World, device: Handle, seen: &Seen<'_>, source: SocketAddr, requested: u32) -> Option<Span> {
        let fallback = seen.message.expires().unwrap_or(requested);
        let &Device { aor, address_key: key, .. } = self.devices.get(device)?;
        let mut contacts = seen.read.contacts().filter(|contact| contact.kind != ContactKind::Star).peekable();
        if contacts.peek().is_none() {
            return Some(Span::from_secs(i64::from(fallback)));
        }
        let is_listed = |contact: &Contact<'_>| contact_key(world, contact) == key || contact.uri.host_ip() == Some(source.ip());
        let mut listed: Vec<_> = contacts.collect();
        listed.sort_by_key(|contact| contact_key(world, contact) != key);
        let single = listed.len() == 1;
        // A registrar may write the only Contact in its own way, but it does not write that of another phone.
        let others = self.aors.get(aor).map_or(&[][..], |aor| &aor.devices);
        let others = || others.iter().filter(|&&other| other != device).filter_map(|&other| self.devices.get(other));
        let is_anothers = |contact: &Contact<'_>| others().any(|other| other.address_key == contact_key(world, contact));
        let contact = listed.into_iter().find(|contact| is_listed(contact) || (single && !is_anothers(contact)))?;
        let granted = contact.expires.unwrap_or(fallback);
        (granted > 0).then(|| Span::from_secs(i64::from(if granted == 0 { DEFAULT_EXPIRY } else { granted })))
    }

    pub(super) fn bind(&mut self, world: &mut World, handle: Handle, granted: Span, seen: &Seen<'_>) {
        let Some(device) = self.devices.get_mut(handle) else { return };
        let unbroken = device.is_registered();
        device.granted = granted;
        device.accepted_before = std::mem::replace(&mut device.last_accepted, seen.at);
        device.accepted_from = Some(device.flow.source.ip());
        device.evicted = false;
        device.answer_missed = false;
        device.rewritten = is_rewritten(world, device, seen);
        self.longest_grant = self.longest_grant.max(granted);
        device.credential_rejections = 0;
        device.ignored_challenges = 0;
        let (source, aor) = (device.flow.source, device.aor);
        self.set_state(world, handle, RegistrationState::Registered, seen.at);
        let contact = self.devices.get_mut(handle).and_then(|device| {
            device.expires_at = Some(seen.at.time + granted);
            if !unbroken || device.registered_at.is_none() {
                device.registered_at = Some(seen.at);
            }
            let host = device.contact_address?;
            (host != source).then_some(host)
        });
        self.remember_address(world, source, handle, seen.at.time);
        if let Some(address) = contact {
            self.remember_address(world, address, handle, seen.at.time);
        }
        world.peers.note_registered(source.ip(), seen.at.time);
        self.aors.touch(aor);
        self.arm_device(handle);
    }

    fn unbind_all(&mut self, world: &mut World, aor: Handle, flow: Flow, at: Sighting) {
        let (mut removed, mut own) = (0_u16, false);
        for handle in self.aors.get(aor).map(|aor| aor.devices.clone()).unwrap_or_default() {
            if let Some(device) = self.devices.get(handle).filter(|device| device.is_registered()) {
                own |= device.source().ip() == flow.source.ip();
                removed = removed.saturating_add(1);
                self.set_state(world, handle, RegistrationState::Unregistered, at);
            }
        }
        if removed > 0 && !own {
            world.tell(Event::BindingsCleared { aor, flow, removed, at });
        }
    }

    /// The Contact list of a 2xx is the truth: what it does not list is not bound any more.
    fn unbind_unlisted(&mut self, world: &mut World, aor: Handle, seen: &Seen<'_>, asked: &[Option<Asked>]) {
        let listed: Vec<_> = seen.read.contacts().map(|contact| (contact_key(world, &contact), contact.uri.host_ip())).collect();
        if listed.is_empty() || self.aors.get(aor).is_some_and(|aor| aor.keeps_unlisted) {
            return;
        }
        let others = self.aors.get(aor).map(|aor| aor.devices.clone()).unwrap_or_default();
        let onward = is_onward(world, seen.flow.reversed());
        for handle in others.into_iter().filter(|&handle| !asked.iter().flatten().any(|asked| asked.device == handle)) {
            // What an inferred device writes into its Contact is not known.
            let is_there = |device: &&Device| device.is_registered() && !device.is_inferred() && is_onward(world, device.flow) == onward;
            let Some(device) = self.devices.get(handle).filter(is_there) else { continue };
            let source = device.flow.source.ip();
            if !listed.iter().any(|&(key, host)| key == device.address_key || host == Some(source)) {
                if let Some(device) = self.devices.get_mut(handle) {
                    device.evicted = true;
                }
                self.set_state(world, handle, RegistrationState::Unregistered, seen.at);
            }
        }
    }

    /// Takes note that the PBX calls a device, or asks for it. One that was not listed when another one registered is bound all the same: some
    /// registrars keep several bindings and list only the one that was asked for, against RFC 3261 §10.3.
    pub(in crate::track) fn called(&mut self, world: &mut World, handle: Handle, at: Sighting) {
        let Some(device) = self.devices.get(handle).filter(|device| device.evicted) else { return };
        let (aor, accepted, expires_at) = (device.aor, device.last_accepted, device.last_accepted.time + device.granted);
        let others = self.aors.get(aor).map_or(&[][..], |aor| &aor.devices);
        let is_just_evicted =
            |other: &Handle| self.devices.get(*other).is_some_and(|other| at.time.since(other.last_accepted.time) <= ON_ITS_WAY);
        if expires_at <= at.time || others.iter().any(is_just_evicted) {
            return;
        }
        if let Some(aor) = self.aors.get_mut(aor) {
            aor.keeps_unlisted = true;
        }
        self.set_state(world, handle, RegistrationState::Registered, at);
        if let Some(device) = self.devices.get_mut(handle) {
            (device.evicted, device.registered_at, device.expires_at) = (false, Some(accepted), Some(expires_at));
        }
        self.arm_device(handle);
    }

    fn note_status(&mut self, handle: Handle, status: u16, seen: &Seen<'_>) {
        if let Some(aor) = self.attempts.get(handle).map(|attempt| attempt.aor).and_then(|aor| self.aors.get_mut(aor)) {
            aor.last_status = Some(status);
            aor.refusal = if status < 300 { None } else { Refusal::of(&seen.message, status, seen.at) };
        }
    }

    /// Ends an attempt, counts it and moves its devices.
    pub(super) fn end_attempt(&mut self, world: &mut World, handle: Handle, end: AttemptEnd, last: Sighting) {
        let Some(attempt) = self.attempts.get_mut(handle) else { return };
        let (aor, asked, purpose, challenge_lost) = (attempt.aor, attempt.asked, attempt.purpose, attempt.challenge_lost);
        let report = report(attempt, end, last);
        attempt.waits = Waits::Nothing;
        self.attempts.set_deadline(handle, last.time + ABANDONED + WATERMARK);
        if purpose != Purpose::Register {
            return;
        }
        self.count(aor, end, report.as_ref());
        let status = self.aors.get(aor).and_then(|aor| aor.last_status).unwrap_or(0);
        for device in bound(&asked) {
            self.move_device(world, device, (end, status), challenge_lost, last);
        }
        if let Some(mut report) = report {
            self.count_try(world, report.flow, end, aor);
            self.note_served(world, report.flow, end, aor);
            report.status = if end == AttemptEnd::NoAnswer { 0 } else { status };
            world.tell(Event::RegistrationEnded(report));
        }
    }

    fn count(&mut self, aor: Handle, end: AttemptEnd, report: Option<&AttemptReport>) {
        let Some(aor) = self.aors.get_mut(aor) else { return };
        match end {
            AttemptEnd::Accepted => {
                aor.accepted += 1;
                if let Some(report) = report.filter(|_| self.delays_held < self.keep_delays) {
                    let micros = report.last.time.since(report.first.time).as_nanos() / 1000;
                    let delays = self.delays.entry(report.flow.destination).or_default();
                    append(delays, micros.clamp(0, i64::from(u32::MAX)) as u32);
                    self.delays_held += 1;
                }
            }
            AttemptEnd::Unknown => {}
            AttemptEnd::ChallengeIgnored | AttemptEnd::NonceRefused => {
                aor.rejected += 1;
                aor.last_status = Some(401);
                aor.refusal = None;
            }
            AttemptEnd::ContactDropped | AttemptEnd::Rejected | AttemptEnd::CredentialsRejected | AttemptEnd::NoAnswer => aor.rejected += 1,
        }
    }

    /// Counts an attempt towards a registrar for the ratio of ineffective ones; what the PBX itself registers elsewhere is not among them.
    fn count_try(&mut self, world: &World, flow: Flow, end: AttemptEnd, aor: Handle) {
        if end == AttemptEnd::Unknown || world.peers.direction(flow) == Direction::Out {
            return;
        }
        let status = self.aors.get(aor).and_then(|aor| aor.last_status).unwrap_or(0);
        let ineffective = match end {
            AttemptEnd::NoAnswer | AttemptEnd::Rejected => true,
            AttemptEnd::CredentialsRejected => status == 403,
            _ => false,
        };
        let known = self.tries.contains_key(&flow.source.ip()) || self.tries.len() < SOURCES;
        let source = if known { flow.source.ip() } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
        let tries = self.tries.entry(source).or_default();
        tries.attempts += 1;
        tries.ineffective += u64::from(ineffective);
    }

    fn move_device(&mut self, world: &mut World, handle: Handle, (end, status): (AttemptEnd, u16), challenge_lost: bool, at: Sighting) {
        let Some(device) = self.devices.get_mut(handle) else { return };
        let state = match end {
            AttemptEnd::Accepted => return,
            AttemptEnd::CredentialsRejected | AttemptEnd::NonceRefused => {
                device.credential_rejections = device.credential_rejections.saturating_add(1);
                // 401 may have been for the nonce, 403 is for the credentials alone (DETECTION §13).
                let looping = status == 403 || u32::from(device.credential_rejections) >= world.thresholds.auth_loop;
                if looping { RegistrationState::AuthLoop } else { RegistrationState::Rejected }
            }
            AttemptEnd::ChallengeIgnored => {
                device.ignored_challenges = device.ignored_challenges.saturating_add(u16::from(!challenge_lost));
                RegistrationState::Challenged
            }
            AttemptEnd::Rejected | AttemptEnd::ContactDropped => RegistrationState::Rejected,
            AttemptEnd::NoAnswer => RegistrationState::Silent,
            AttemptEnd::Unknown => RegistrationState::Unknown,
        };
        let keeps_binding =
            matches!(end, AttemptEnd::ChallengeIgnored | AttemptEnd::NonceRefused | AttemptEnd::Unknown) && device.is_registered();
        if !keeps_binding {
            self.set_state(world, handle, state, at);
            self.arm_device(handle);
        }
    }

    /// Handles a device of which something is due: its binding ran out, a probe was lost, or it is to be forgotten.
    pub(super) fn device_due(&mut self, world: &mut World, handle: Handle, now: PacketTime) {
        self.probe_due(world, handle, now);
        let Some(device) = self.devices.get(handle) else { return };
        let expiry = device.expires_at.filter(|&at| device.is_registered() && at + self.grace + WATERMARK <= now);
        if let Some(expiry) = expiry.map(|expiry| held_until(world, device, expiry, self.grace)) {
            let end = expiry + self.grace;
            if let Some(later) = look_again(world, expiry, end, now) {
                self.devices.set_deadline(handle, later);
                return;
            }
            let renewed = device.answer_missed && device.last_register + device.granted > expiry;
            let visible = !renewed
                && world.absence.was_sound(expiry, end)
                && world.absence.has_heard_since(expiry)
                && !world.absence.lacks_since(device.flow, device.last_accepted.time)
                && !world.absence.lacks_since(device.flow.reversed(), device.last_accepted.time)
                && world.absence.lull_between(expiry, end).is_none()
                && (world.flows.seen_within(device.flow, end - REFRESH_SEEN)
                    || world.peers.received_since(device.flow.destination, end - REFRESH_SEEN));
            let state = if visible { RegistrationState::Expired } else { RegistrationState::Unknown };
            self.set_state(world, handle, state, Sighting { time: end, frame: 0 });
        }
        let Some(device) = self.devices.get(handle) else { return };
        if let Some(end) = device.fades_at().filter(|end| *end <= now) {
            self.uninfer(world, handle, None, Sighting { time: end, frame: 0 });
        } else if device.last_register + REMEMBERED <= now && !device.is_registered() {
            self.forget_device(world, handle);
        } else {
            self.arm_device(handle);
        }
    }
}

/// Until when a binding may hold that was granted until `expiry`: a refresh may have been in a silence of everybody.
fn held_until(world: &World, device: &Device, expiry: PacketTime, grace: Span) -> PacketTime {
    let missed = world.absence.lull_between(device.last_accepted.time, expiry + grace);
    missed.map_or(expiry, |missed| expiry.max(missed + device.granted))
}

/// When to look again at a binding that ends at `expiry`, where it is awaited until `end` or nobody has been heard since.
fn look_again(world: &World, expiry: PacketTime, end: PacketTime, now: PacketTime) -> Option<PacketTime> {
    if end + WATERMARK > now {
        return Some(end + WATERMARK);
    }
    (!world.absence.has_heard_since(expiry) && now < end + REFRESH_SEEN).then(|| now + PAUSE)
}

/// How long to wait for a sign of life of anybody.
const PAUSE: Span = Span::from_secs(10);

/// How recently anything must have come in for a missing refresh to be believed (DETECTION §13).
const REFRESH_SEEN: Span = Span::from_secs(600);

fn bound(asked: &[Option<Asked>]) -> impl Iterator<Item = Handle> {
    asked.iter().flatten().filter(|asked| asked.bind).map(|asked| asked.device)
}

/// Whether a REGISTER is one before that which the attempt waits for.
fn is_outdated(attempt: &Attempt, request: &Transaction) -> bool {
    attempt.authorized && !request.authorized
}

/// Whether the 2xx lists the address that the REGISTER came from where the phone wrote another.
fn is_rewritten(world: &World, device: &Device, seen: &Seen<'_>) -> bool {
    let source = device.source();
    device.contact_address.is_some_and(|written| written != source)
        && seen
            .read
            .contacts()
            .any(|contact| contact_key(world, &contact) != device.address_key && contact_address(&contact) == Some(source))
}

fn report(attempt: &Attempt, end: AttemptEnd, last: Sighting) -> Option<AttemptReport> {
    Some(AttemptReport {
        aor: attempt.aor,
        device: attempt.device()?,
        flow: attempt.flow,
        end,
        status: 0,
        first: attempt.first,
        answered: match attempt.waits {
            Waits::LongerExpiry { refused, .. } => refused,
            _ if end == AttemptEnd::NonceRefused => attempt.stale.0,
            _ => last,
        },
        last,
        transmissions: attempt.transmissions,
        was_registered: attempt.was_registered,
        foreign_username: attempt.foreign_username,
        challenge_lost: attempt.challenge_lost && end == AttemptEnd::ChallengeIgnored,
        algorithm: attempt.algorithm,
        requested: Span::from_secs(i64::from(attempt.requested)),
    })
}
