//! One registering attempt: REGISTER, challenge, REGISTER with credentials, answer.

use crate::decode::flow::Flow;
use crate::sip::headers::{Contact, ContactKind};
use crate::sip::uri::plain_user;
use crate::table::{Digest, Handle, Rank};
use crate::time::{PacketTime, Span};
use crate::track::absence::WATERMARK;
use crate::track::event::{AttemptEnd, Event, Sighting};
use crate::track::registration::refusal::Algorithm;
use crate::track::registration::{DEVICES, DeviceKeys, Purpose, Registrations, attempt_key, is_onward, purpose};
use crate::track::transaction::{Owner, Transaction};
use crate::track::world::{Seen, World};

/// How long a challenge may stay unanswered before the attempt counts as abandoned (DETECTION §1.1).
pub(super) const ABANDONED: Span = Span::from_secs(32);
/// Contacts of one REGISTER that are followed; phones send one or two.
const CONTACTS: usize = 4;

/// What the attempt waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Waits {
    /// The answer to a REGISTER.
    Answer,
    /// Credentials for the challenge.
    Credentials,
    /// A REGISTER with at least that many seconds of expiry, after 423.
    LongerExpiry { least: u32, refused: Sighting },
    /// Nothing: it is over, and lingers so that its nonce is known to the next one.
    Nothing,
}

/// A Contact of the REGISTER and what it asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) device: Handle,
    pub(super) bind: bool,
}

/// An attempt.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) aor: Handle,
    pub(super) flow: Flow,
    pub(super) purpose: Purpose,
    pub(super) waits: Waits,
    pub(super) first: Sighting,
    pub(super) cseq: u32,
    pub(super) vias: u16,
    pub(super) transmissions: u16,
    pub(super) nonce: Option<Digest>,
    /// What the last challenge wants that does not offer MD5.
    pub(super) algorithm: Option<Algorithm>,
    /// The last refusal of credentials that were made with the newest nonce, as too old a nonce, and how many there were.
    pub(super) stale: (Sighting, u16),
    /// The nonce of the credentials that the pending REGISTER carries.
    pub(super) sent_nonce: Option<Digest>,
    /// Whether these credentials are the first made with the newest nonce, so that it cannot have aged.
    pub(super) fresh: bool,
    pub(super) authorized: bool,
    pub(super) foreign_username: bool,
    /// Whether the REGISTER was sent again although the challenge had left.
    pub(super) challenge_lost: bool,
    pub(super) requested: u32,
    pub(super) asked: [Option<Asked>; CONTACTS],
    pub(super) clears_all: bool,
    pub(super) was_registered: bool,
}

impl Attempt {
    /// The first device that the attempt is about.
    pub(super) fn device(&self) -> Option<Handle> {
        self.asked.iter().flatten().map(|asked| asked.device).next()
    }

    /// How it ended where no credentials followed its last challenge.
    fn unanswered_challenge(&self) -> AttemptEnd {
        if self.stale.1 > 0 { AttemptEnd::NonceRefused } else { AttemptEnd::ChallengeIgnored }
    }
}

impl Registrations {
    /// Handles the first transmission of a REGISTER.
    pub fn register(&mut self, world: &mut World, seen: &Seen<'_>, transaction: Handle) {
        let key = attempt_key(world, seen.read, seen.flow);
        let cseq = seen.message.cseq().map_or(0, |cseq| cseq.number);
        let purpose = purpose(seen.read);
        let found = self.attempts.find(key);
        let owner = match found.and_then(|handle| self.attempts.get(handle)) {
            Some(attempt) if is_further_hop(attempt, seen, cseq) => Owner::FurtherRegister,
            Some(attempt) if continues(world, attempt, seen, purpose) => {
                let handle = found.unwrap_or_else(|| self.begin(world, seen, key, purpose, None));
                self.go_on(world, handle, seen);
                Owner::Register(handle)
            }
            Some(attempt) => {
                let is_answered = |nonce| attempt.sent_nonce.is_some_and(|sent| world.issued_together(nonce, sent));
                let nonce = attempt.nonce.filter(|&nonce| !is_answered(nonce));
                if let Some(handle) = found {
                    self.supersede(world, handle, seen.at);
                }
                Owner::Register(self.begin(world, seen, key, purpose, nonce))
            }
            None => Owner::Register(self.begin(world, seen, key, purpose, None)),
        };
        if let Some(transaction) = world.transactions.get_mut(transaction) {
            transaction.owner = owner;
            transaction.authorized = seen.message.is_authorized();
        }
    }

    fn begin(&mut self, world: &mut World, seen: &Seen<'_>, key: Digest, purpose: Purpose, nonce: Option<Digest>) -> Handle {
        let rank = seen.rank;
        let aor = self.aor_of(world, seen, rank);
        if purpose == Purpose::Register {
            if let Some(aor) = self.aors.get_mut(aor) {
                aor.attempts += 1;
            }
            world.tell(Event::RegistrationAttempt { flow: seen.flow, at: seen.at });
        }
        let mut attempt = Attempt {
            aor,
            flow: seen.flow,
            purpose,
            waits: Waits::Answer,
            first: seen.at,
            cseq: 0,
            vias: seen.message.via_count(),
            transmissions: 1,
            nonce,
            algorithm: None,
            stale: (Sighting::default(), 0),
            sent_nonce: None,
            fresh: false,
            authorized: false,
            foreign_username: false,
            challenge_lost: false,
            requested: 0,
            asked: [None; CONTACTS],
            clears_all: false,
            was_registered: false,
        };
        self.read_request(world, &mut attempt, seen, rank);
        self.mark_registering(world, &mut attempt, seen);
        self.attempts.insert(key, attempt, PacketTime::MAX, rank).0
    }

    fn go_on(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>) {
        let Some(attempt) = self.attempts.get_mut(handle) else { return };
        let vias = attempt.vias;
        let mut attempt = std::mem::replace(attempt, Attempt { asked: [None; CONTACTS], ..*attempt });
        attempt.waits = Waits::Answer;
        attempt.flow = seen.flow;
        attempt.vias = vias.min(seen.message.via_count());
        self.read_request(world, &mut attempt, seen, seen.rank);
        self.mark_registering(world, &mut attempt, seen);
        if let Some(entry) = self.attempts.get_mut(handle) {
            *entry = attempt;
        }
        self.attempts.set_deadline(handle, PacketTime::MAX);
        self.attempts.touch(handle);
    }

    fn read_request(&mut self, world: &mut World, attempt: &mut Attempt, seen: &Seen<'_>, rank: Rank) {
        let message = &seen.message;
        let credentials = seen.read.credentials();
        attempt.cseq = message.cseq().map_or(0, |cseq| cseq.number);
        attempt.authorized = credentials.is_some();
        attempt.sent_nonce = credentials.map(|sent| world.digester.bytes(sent.nonce));
        attempt.fresh = attempt.sent_nonce.zip(attempt.nonce).is_some_and(|(sent, nonce)| world.issued_together(sent, nonce));
        attempt.foreign_username = credentials.is_some_and(|sent| plain_user(user_of(sent.username)) != plain_user(seen.read.to().user));
        let default = message.expires();
        let mut requested = None;
        attempt.asked = [None; CONTACTS];
        let mut slots = attempt.asked.iter_mut();
        // More would be forgotten again at once.
        for contact in seen.read.contacts().take(DEVICES) {
            requested = requested.or(contact.expires);
            if contact.kind == ContactKind::Star {
                attempt.clears_all = true;
                continue;
            }
            let bind = contact.expires.or(default) != Some(0);
            let device = self.device_for(world, attempt.aor, seen, &contact, bind, rank);
            if let (Some(device), Some(slot)) = (device, slots.next()) {
                *slot = Some(Asked { device, bind });
            }
        }
        attempt.requested = requested.or(default).unwrap_or(3600);
    }

    fn device_for(
        &mut self,
        world: &mut World,
        aor: Handle,
        seen: &Seen<'_>,
        contact: &Contact<'_>,
        bind: bool,
        rank: Rank,
    ) -> Option<Handle> {
        if bind {
            return Some(self.device_of(world, aor, seen, contact, rank));
        }
        let onward = is_onward(world, seen.flow);
        self.find_device(aor, &DeviceKeys::of(world, &seen.message, contact), |device| is_onward(world, device.flow) == onward)
            .or_else(|| self.take_up_inferred(world, aor, seen, contact))
    }

    /// Moves the devices that are not registered to `registering`; a refresh leaves a registered one as it is.
    fn mark_registering(&mut self, world: &mut World, attempt: &mut Attempt, seen: &Seen<'_>) {
        use crate::track::vocabulary::RegistrationState::{Registered, Registering};
        for asked in attempt.asked.into_iter().flatten().filter(|asked| asked.bind) {
            match self.devices.get(asked.device).map(|device| device.state) {
                Some(Registered) => attempt.was_registered = true,
                Some(_) => self.set_state(world, asked.device, Registering, seen.at),
                None => {}
            }
        }
    }

    /// Takes note that the REGISTER which waits for its answer was sent again.
    pub(in crate::track) fn repeated(&mut self, handle: Handle, request: &Transaction) {
        if let Some(attempt) = self.attempts.get_mut(handle).filter(|attempt| attempt.waits == Waits::Answer) {
            attempt.transmissions = request.transmissions;
        }
    }

    /// Takes note that the REGISTER which waits for credentials was sent again long enough after its answer that this cannot have arrived
    /// (DETECTION §1.2).
    pub(in crate::track) fn challenge_lost(&mut self, handle: Handle) {
        if let Some(attempt) = self.attempts.get_mut(handle).filter(|attempt| attempt.waits == Waits::Credentials) {
            attempt.challenge_lost = true;
        }
    }

    /// Ends an attempt because the phone began another one under the same Call-ID.
    fn supersede(&mut self, world: &mut World, handle: Handle, at: Sighting) {
        let Some(attempt) = self.attempts.get(handle) else { return };
        let end = match attempt.waits {
            Waits::Nothing => return,
            Waits::Answer => AttemptEnd::Unknown,
            Waits::Credentials => attempt.unanswered_challenge(),
            Waits::LongerExpiry { .. } => AttemptEnd::Rejected,
        };
        self.end_attempt(world, handle, end, at);
    }

    /// Handles an attempt whose challenge or 423 was never followed up.
    pub(super) fn attempt_due(&mut self, world: &mut World, handle: Handle, deadline: PacketTime) {
        let Some(attempt) = self.attempts.get(handle) else { return };
        let stamp = deadline - WATERMARK;
        let end = match attempt.waits {
            Waits::Credentials if world.absence.could_see(attempt.flow, stamp - ABANDONED, stamp, &world.flows, &world.peers) => {
                attempt.unanswered_challenge()
            }
            Waits::LongerExpiry { .. } => AttemptEnd::Rejected,
            Waits::Credentials | Waits::Answer => AttemptEnd::Unknown,
            Waits::Nothing => {
                self.attempts.remove(handle);
                return;
            }
        };
        self.end_attempt(world, handle, end, Sighting { time: stamp, frame: 0 });
    }
}

/// Whether a REGISTER is one that a proxy passed on.
fn is_further_hop(attempt: &Attempt, seen: &Seen<'_>, cseq: u32) -> bool {
    cseq == attempt.cseq && (seen.message.via_count() > attempt.vias || seen.flow.source.ip() == attempt.flow.destination.ip())
}

/// Whether a REGISTER continues the attempt: credentials for the challenge, or a longer expiry after 423.
fn continues(world: &World, attempt: &Attempt, seen: &Seen<'_>, purpose: Purpose) -> bool {
    match attempt.waits {
        Waits::Credentials => seen.message.is_authorized() && purpose == attempt.purpose,
        Waits::LongerExpiry { least, .. } => {
            let asked = seen.read.contacts().find_map(|contact| contact.expires).or_else(|| seen.message.expires());
            asked.is_none_or(|asked| asked >= least && asked > attempt.requested)
        }
        Waits::Answer => purpose == attempt.purpose && !attempt.authorized && answers_unseen_challenge(world, seen),
        Waits::Nothing => false,
    }
}

/// Whether a REGISTER has credentials for a challenge that was not captured.
fn answers_unseen_challenge(world: &World, seen: &Seen<'_>) -> bool {
    seen.read.credentials().is_some_and(|sent| world.nonce(world.digester.bytes(sent.nonce)).is_none())
}

/// The user part of a digest username, which some phones write as `user@realm`.
fn user_of(username: &[u8]) -> &[u8] {
    username.split(|&byte| byte == b'@').next().unwrap_or(username)
}
