//! Calls: one per attempt or leg, keyed by Call-ID and From-tag of the initial INVITE.
//!
//! The initial INVITE makes an entry; so does a request inside a dialog that began before the capture. Credentials, redirections and
//! renegotiations continue the attempt under a higher CSeq. An attempt that failed leaves when late repeats are over, an answered call
//! after its BYE. Records of finished calls are kept up to a bound.

mod dialog;
mod finished;
pub mod forks;
mod known;
mod media;
pub mod outcome;
mod packed;
mod parties;
mod pickup;
mod prack;
pub mod record;
pub mod session;
mod setup;
mod transfer;
mod upkeep;

pub use dialog::{ByeKind, REFUSED_CHANGE};
pub use packed::FinishedCall;
pub use prack::Reliable;
pub use setup::ABNORMAL;
pub(in crate::track) use setup::{is_initial, tell_server_delay};
pub use transfer::transferor;
pub use upkeep::Lost;

use crate::decode::flow::{Flow, Transport};
use crate::sip::message::Message;
use crate::table::{Digest, ExpiringTable, Handle, Rank, append};
use crate::time::{PacketTime, Span};
use crate::track::call::finished::Finished;
use crate::track::call::forks::Further;
use crate::track::call::outcome::{Cancelled, Credentials, blame, outcome};
use crate::track::call::parties::Parties;
use crate::track::call::pickup::Pickups;
use crate::track::call::record::{Beginning, CallRecord};
use crate::track::call::session::{Session, Side};
use crate::track::call::setup::Passes;
use crate::track::call::transfer::Transfers;
use crate::track::call::upkeep::pause;
use crate::track::event::{Event, Sighting};
use crate::track::vocabulary::Outcome;
use crate::track::world::{Seen, World};

/// How long a final response is waited on for the retry that continues the attempt (DETECTION §4.1).
const RETRY: Span = Span::from_secs(2);
/// How long a challenge may stay unanswered before the attempt counts as abandoned: 64·T1 and 2 s (DETECTION §4.0).
const ABANDONED: Span = Span::from_secs(34);
/// How long a failed attempt absorbs late repeats (DETECTION §4.0).
const LINGER: Span = Span::from_secs(32);
/// How soon after one phone of a group has answered the PBX takes back the legs to the others.
const TAKEN_BACK: Span = Span::from_secs(1);
/// How long an ended call absorbs crossed BYEs and late failures (DETECTION §4.0).
const LINGER_ENDED: Span = Span::from_secs(60);

/// The first 2xx of a call.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// When.
    pub at: Sighting,
    /// The way of the 2xx.
    pub flow: Flow,
    /// The transaction of the INVITE that it answers.
    pub invite: Handle,
    /// CSeq of that INVITE.
    pub cseq: u32,
    /// Whether the way that it offers to the ACK, Contact or Record-Route, leads back to where it came from.
    pub leads_back: bool,
    /// The To-tag: further ones are forks.
    tag: u64,
}

/// Where a call was last put among the legs of each kind. When it has left, another may be there.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::track) struct LegPlaces {
    /// Among those towards the PBX.
    pub(in crate::track) first: Option<u16>,
    /// Among those from it.
    pub(in crate::track) second: Option<u16>,
}

/// A call in progress.
#[derive(Debug)]
pub struct Call {
    /// What is kept of it afterwards.
    pub record: CallRecord,
    /// `user@host` of the called side, lower-case host.
    pub to_aor: Box<str>,
    /// The first moment at which the caller heard something: 180, 18x with SDP, or 2xx.
    pub audible: Option<PacketTime>,
    /// The devices of caller and callee where several are behind the address, as far as the INVITE tells.
    pub phones: [Option<Handle>; 2],
    /// What carried its first INVITE.
    transport: Transport,
    /// The first packet.
    pub first: Sighting,
    /// The first 2xx.
    pub answer: Option<Answer>,
    /// The hops behind the first, if there are others. Boxed, as all is that few calls have.
    pub further: Option<Box<Further>>,
    /// Highest CSeq of an INVITE that was acknowledged after 2xx; 0 before any.
    pub acked: u32,
    /// The last ACK of a 2xx.
    ack: Option<(Sighting, Flow)>,
    /// How often an INVITE of it had to be sent, at any hop, until anything came back.
    pub transmissions: u16,
    /// Whether it was told that a private media address was named.
    private_media: bool,
    /// The provisional response that asked for PRACK last.
    reliable: Option<Box<Reliable>>,
    /// How its INVITE came by the same server.
    passes: Passes,
    vias: u16,
    cseq: u32,
    caller_tag: u64,
    nonce: Option<Digest>,
    credentials: Credentials,
    cancelled: Cancelled,
    cause: Option<u16>,
    final_at: Option<Sighting>,
    /// Who sent the first BYE.
    bye: Option<Side>,
    /// Whether only the answer to that BYE was captured.
    pub is_bye_missed: bool,
    bye_crossed: bool,
    session: Session,
    lost: Option<Box<Lost>>,
    lost_told: bool,
    /// Which sides are known to have had the dialog.
    alive: [bool; 2],
    next_age: Option<PacketTime>,
    ack_suspected: bool,
    is_over: bool,
    /// The last request inside the dialog but ACK and BYE.
    pub activity: PacketTime,
    ring_min: Span,
    /// Whether a transfer involves it: REFER in it, or Replaces on it.
    pub is_referred: bool,
    /// Whether a stranger began it, and nobody answered.
    is_strangers: bool,
    /// The other legs, as far as they are in progress.
    partners: Vec<Handle>,
    /// Where it is among the legs that may still be linked.
    pub(in crate::track) legs: LegPlaces,
    /// Under what it is found by its parties.
    parties: parties::Keys,
    /// Where it is among the calls in progress.
    place: Option<Handle>,
}

/// The calls in progress and the records of those that are over.
#[derive(Debug)]
pub struct Calls {
    table: ExpiringTable<Call>,
    parties: Parties,
    /// Calls continued under another Call-ID.
    aliases: ExpiringTable<Handle>,
    finished: Finished,
    pickups: Pickups,
    transfers: Transfers,
    established: usize,
    /// Calls that were found to have ended without a BYE, and when.
    unseen_ends: Vec<(Handle, PacketTime)>,
}

impl Calls {
    /// No calls, room for `capacity` in progress and `keep_finished` records of finished ones.
    pub fn new(capacity: usize, keep_finished: usize) -> Self {
        Self {
            table: ExpiringTable::new(capacity),
            parties: Parties::default(),
            aliases: ExpiringTable::new(capacity.min(4096)),
            finished: Finished::new(keep_finished),
            pickups: Pickups::default(),
            transfers: Transfers::default(),
            established: 0,
            unseen_ends: Vec::new(),
        }
    }

    /// The call, if it is still in progress.
    pub fn get(&self, handle: Handle) -> Option<&Call> {
        self.table.get(handle)
    }

    /// The calls in progress.
    pub fn iter(&self) -> impl Iterator<Item = (Handle, &Call)> {
        self.table.iter()
    }

    /// The records of finished calls, oldest first.
    pub fn finished(&self) -> impl Iterator<Item = FinishedCall<'_>> {
        self.finished.iter()
    }

    /// Records of finished calls, and those dropped for lack of room.
    pub fn finished_size(&self) -> (usize, u64) {
        (self.finished.len(), self.finished.forgotten())
    }

    /// Calls that are answered and not ended.
    pub fn established(&self) -> usize {
        self.established
    }

    /// Calls in progress, and calls dropped for lack of room.
    pub fn size(&self) -> (usize, u64) {
        (self.table.len(), self.table.evicted())
    }

    /// Retries under another Call-ID that are remembered, and those dropped for lack of room.
    pub fn aliases_size(&self) -> (usize, u64) {
        (self.aliases.len(), self.aliases.evicted())
    }

    /// The call that `message` belongs to, whichever side sent it.
    pub fn find(&self, world: &World, message: &Message<'_>) -> Option<Handle> {
        self.find_under(world, world.digester.parts(&[message.call_id()]), message)
    }

    /// The call that a message belongs to.
    pub(in crate::track) fn call_of(&self, world: &World, seen: &Seen<'_>) -> Option<Handle> {
        self.find_under(world, seen.read.call_id(), &seen.message)
    }

    fn find_under(&self, world: &World, call_id: Digest, message: &Message<'_>) -> Option<Handle> {
        let by_tag = |tag: Option<&[u8]>| {
            let key = world.digester.further(call_id, &[tag?]);
            self.table.find(key).or_else(|| self.aliases.get(self.aliases.find(key)?).copied())
        };
        by_tag(message.from_tag().or(Some(b""))).or_else(|| by_tag(message.to_tag()))
    }

    /// Handles the calls whose time has come by `now`: settles outcomes, lets go of what is over.
    pub fn expire(&mut self, world: &mut World, now: PacketTime) {
        while let Some((handle, deadline)) = self.table.pop_due(now) {
            if self.is_kept_up(world, handle, deadline) {
                continue;
            }
            let Some(call) = self.table.get(handle) else { continue };
            let settles_at = call.final_at.unwrap_or(Sighting { time: deadline, frame: 0 });
            if call.is_over && self.partners(handle).any(|(_, partner)| partner.is_up()) {
                // What is said of the leg that is still up names this one.
                let ended = call.record.ended.unwrap_or(deadline);
                self.table.set_deadline(handle, deadline + pause(LINGER_ENDED, deadline.since(ended)));
            } else if self.table.get(handle).is_some_and(Call::is_done) {
                self.finish(handle);
            } else {
                self.settle(world, handle, settles_at, None);
                if self.table.get(handle).is_some_and(|call| call.is_over && call.was_challenged()) {
                    // Credentials may still come, too late for the attempt.
                    self.table.set_deadline(handle, deadline + LINGER);
                }
            }
        }
        while let Some((handle, _)) = self.aliases.pop_due(now) {
            self.aliases.remove(handle);
        }
    }

    /// When [`Self::expire`] next has something to do.
    pub fn next_deadline(&self) -> PacketTime {
        self.table.next_deadline().min(self.aliases.next_deadline())
    }

    /// The calls that were found to have ended without a BYE since the last time.
    pub(in crate::track) fn take_unseen_ends(&mut self) -> Vec<(Handle, PacketTime)> {
        std::mem::take(&mut self.unseen_ends)
    }

    /// Links two legs of one call, `first` towards the PBX and `second` from it.
    pub(in crate::track) fn link(&mut self, first: Handle, second: Handle) {
        let Some([a, b]) = self.table.get(first).zip(self.table.get(second)).map(|(a, b)| [a, b].map(|call| call.record.call_id.clone()))
        else {
            return;
        };
        for (handle, other, call_id) in [(first, second, b), (second, first, a)] {
            if let Some(call) = self.table.get_mut(handle).filter(|call| call.partners.len() < LEGS) {
                append(&mut call.partners, other);
                append(&mut call.record.linked, call_id);
            }
        }
        // The PBX goes on with a call when it has taken the credentials: what is refused then is something else.
        if let Some(call) = self.table.get_mut(first) {
            call.credentials = Credentials::None;
        }
    }

    /// Notes where a call is among the legs.
    pub(in crate::track) fn note_leg(&mut self, handle: Handle, note: impl FnOnce(&mut LegPlaces)) {
        if let Some(call) = self.table.get_mut(handle) {
            note(&mut call.legs);
        }
    }

    /// Notes since when a leg is up although its partner has ended, or that it is up for a reason.
    pub(in crate::track) fn mark_left_up(&mut self, handle: Handle, since: Option<PacketTime>) {
        if let Some(call) = self.table.get_mut(handle) {
            call.record.left_up = since;
        }
    }

    /// The other legs of a call that are still in progress.
    pub fn partners(&self, handle: Handle) -> impl Iterator<Item = (Handle, &Call)> {
        let partners = self.table.get(handle).map_or(&[][..], |call| &call.partners);
        partners.iter().filter_map(|&partner| Some((partner, self.table.get(partner)?)))
    }

    fn insert(&mut self, world: &mut World, key: Digest, call: Call, rank: Rank) -> Handle {
        let deadline = if call.record.beginning == Beginning::Missed { call.first.time + PARTIAL_LIFE } else { PacketTime::MAX };
        let (handle, evicted) = self.table.insert(key, call, deadline, rank);
        if let Some(call) = evicted {
            self.let_go(call);
        }
        self.index_parties(handle);
        world.tell(Event::CallStarted { call: handle });
        handle
    }

    /// Gives the attempt its outcome: `verdict` where the caller knows it, else what the facts amount to.
    fn settle(&mut self, world: &mut World, handle: Handle, at: Sighting, verdict: Option<Outcome>) {
        let Some(decided) = self.decide(handle) else { return };
        if decided == Outcome::CompletedElsewhere
            && let Some(pickup) = self.table.get(handle).and_then(|call| self.picked_up_by(handle, call))
        {
            self.join_pickup(handle, pickup);
        }
        let Some(call) = self.table.get_mut(handle) else { return };
        let outcome = verdict.unwrap_or(decided);
        call.record.outcome = Some(outcome);
        let status = call.record.status;
        if outcome == Outcome::Answered {
            call.is_strangers = false;
            self.table.set_rank(handle, Rank::Precious);
            self.rearm(handle);
        } else {
            call.is_over = true;
            call.record.ended.get_or_insert(at.time);
            call.record.ended_by = call.record.ended_by.or_else(|| blame(outcome, call.further.is_some()));
            self.table.lower_rank(handle, Rank::Finished);
            self.table.set_deadline(handle, at.time + LINGER);
        }
        world.tell(Event::CallOutcome { call: handle, outcome, status, at });
    }

    /// What the facts of an unsettled attempt amount to. A leg that the PBX took back because the caller gave up on the other one was
    /// cancelled by a person, however long it rang; one that it took back because another phone answered is nobody's failure, whether the
    /// CANCEL says so or not.
    fn decide(&self, handle: Handle) -> Option<Outcome> {
        let call = self.table.get(handle).filter(|call| call.record.outcome.is_none())?;
        let mut facts = call.facts();
        let gave_up = self.partners(handle).any(|(_, partner)| partner.cancelled == Cancelled::ByCaller);
        if facts.cancelled == Cancelled::ByPbx && gave_up {
            facts.cancelled = Cancelled::ByCaller;
        } else if facts.cancelled == Cancelled::ByPbx && self.was_taken_elsewhere(handle, call) {
            facts.cancelled = Cancelled::AnsweredElsewhere;
        }
        let proved = call.is_known_to_be_answered() && (call.was_challenged() || facts.status == 0);
        Some(if proved && !facts.answered { Outcome::Unknown } else { outcome(&facts) })
    }

    /// Whether another leg of the same call was answered just before the PBX took this one back, or somebody picked the call up. That the
    /// caller was answered then is not enough: so it is where a voicemail takes a call that nobody picked up.
    fn was_taken_elsewhere(&self, handle: Handle, call: &Call) -> bool {
        let Some(ended) = call.record.ring_ended.or_else(|| call.final_at.map(|end| end.time)) else { return false };
        let siblings = self.partners(handle).flat_map(|(first, _)| self.partners(first)).filter(|(other, _)| *other != handle);
        let mut answers = siblings.filter_map(|(_, sibling)| sibling.record.answered);
        answers.any(|answered| answered <= ended && ended.since(answered) <= TAKEN_BACK) || self.picked_up_by(handle, call).is_some()
    }

    fn finish(&mut self, handle: Handle) {
        if let Some(call) = self.table.remove(handle) {
            self.let_go(call);
        }
    }

    fn let_go(&mut self, call: Call) {
        self.parties.remove(call.parties, call.place);
        self.established -= usize::from(call.is_up());
        self.finished.keep(&call.record, call.forks(), call.is_strangers);
    }
}

/// Legs of one call that are linked: a ring group may have many.
const LEGS: usize = 64;
/// How long a call whose beginning was missed is held without any packet.
const PARTIAL_LIFE: Span = Span::from_secs(4 * 3600);

fn tag_hash(world: &World, tag: Option<&[u8]>) -> u64 {
    world.digester.bytes(tag.unwrap_or_default()).low64()
}
