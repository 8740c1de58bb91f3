//! From the answer to the end: ACK, requests inside the dialog, BYE.

use crate::decode::flow::Flow;
use crate::sip::method::Method;
use crate::table::Handle;
use crate::time::Span;
use crate::track::call::record::Beginning;
use crate::track::call::session::Side;
use crate::track::call::setup::{note_reason, note_refusal};
use crate::track::call::transfer::transferred;
use crate::track::call::{Call, Calls, LINGER_ENDED, tag_hash};
use crate::track::event::{Event, Sighting};
use crate::track::transaction::Transaction;
use crate::track::vocabulary::{Direction, EndedBy};
use crate::track::world::{Seen, World};

/// How much earlier or later than 64·T1 the sender of a 2xx gives up: up to one repeat interval, T2, late (RFC 3261 §13.3.1.4).
pub(super) const GIVE_UP: (Span, Span) = (Span::from_secs(2), Span::from_secs(6));

/// Begins the reason of an end that came right after a re-INVITE or UPDATE was refused.
pub const REFUSED_CHANGE: &str = "a change of the call was refused with";

/// What a BYE does to a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ByeKind {
    /// It ends it.
    Ends,
    /// The call had ended, or a fork of it ends.
    Further,
}

/// The BYE that ends a call.
#[derive(Clone, Copy, Debug)]
struct Bye {
    by: Side,
    flow: Flow,
    is_captured: bool,
}

impl Calls {
    /// The call that a request inside a dialog belongs to, made anew where its beginning was missed.
    pub fn in_dialog(&mut self, world: &mut World, seen: &Seen<'_>) -> Option<Handle> {
        if let Some(handle) = self.call_of(world, seen) {
            self.table.touch(handle);
            self.note_activity(world, handle, seen);
            return Some(handle);
        }
        let begins_a_record = matches!(seen.message.method(), Method::Invite | Method::Bye | Method::Update | Method::Info);
        if !begins_a_record || seen.message.to_tag().is_none() {
            return None;
        }
        let key = world.digester.further(seen.read.call_id(), &[seen.message.from_tag().unwrap_or_default()]);
        let call = Call::new(world, seen, Beginning::Missed);
        Some(self.insert(world, key, call, seen.rank))
    }

    fn note_activity(&mut self, world: &World, handle: Handle, seen: &Seen<'_>) {
        let method = seen.message.method();
        if let Some(call) = self.table.get_mut(handle).filter(|_| method != Method::Bye) {
            call.activity = seen.at.time;
            call.is_referred |= method == Method::Refer;
            call.note_alive(call.sender(world, &seen.message));
        }
        match method {
            Method::Refer => self.note_refer(world, handle, seen),
            Method::Notify => self.note_notify(handle, seen),
            _ => {}
        }
    }

    /// Handles a response to an INVITE that was not captured: all that is known of a call may be that it rang, and was refused.
    pub fn from_response(&mut self, world: &mut World, seen: &Seen<'_>, status: u16) {
        let known = self.call_of(world, seen);
        let is_end = match known.and_then(|handle| self.table.get(handle)) {
            Some(call) => status >= 300 && call.record.rang.is_some(),
            None if status >= 300 && !is_of_a_new_call(status) => return,
            None => status >= 300,
        };
        let handle = known.unwrap_or_else(|| {
            let key = world.digester.further(seen.read.call_id(), &[seen.message.from_tag().unwrap_or_default()]);
            let call = Call::new(world, &Seen { flow: seen.flow.reversed(), ..*seen }, Beginning::Missed);
            self.insert(world, key, call, seen.rank)
        });
        let is_unseen = |call: &&mut Call| call.record.beginning == Beginning::Missed && !call.is_over;
        let Some(call) = self.table.get_mut(handle).filter(is_unseen) else { return };
        match status {
            180..=183 if known.is_none() => call.record.rang = Some(seen.at.time),
            200..300 => call.record.rang = None,
            _ if is_end => {
                call.is_over = true;
                call.record.status = status;
                call.record.ended = Some(seen.at.time);
                note_refusal(call, seen, status);
                self.table.set_deadline(handle, seen.at.time + LINGER_ENDED);
                world.tell(Event::CallEnded { call: handle, at: seen.at });
            }
            _ => {}
        }
    }

    /// Handles the ACK of a 2xx. Tells whether the 2xx had been seen, where the call is known.
    pub fn ack(&mut self, world: &mut World, seen: &Seen<'_>) -> Option<bool> {
        let handle = self.call_of(world, seen)?;
        let cseq = seen.message.cseq().map_or(0, |cseq| cseq.number);
        let call = self.table.get_mut(handle)?;
        call.acked = call.acked.max(cseq);
        // A proxy passes it on: it counts at the caller's hop.
        if call.answer.is_none_or(|answer| answer.flow.destination == seen.flow.source) {
            call.ack = Some((seen.at, seen.flow));
        }
        if std::mem::take(&mut call.ack_suspected) {
            world.tell(Event::AckArrived { call: handle, at: seen.at });
        }
        Some(call.answer.is_some() || call.record.beginning == Beginning::Missed)
    }

    /// Handles a 2xx to an INVITE that was sent again.
    pub fn answer_repeated(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>, invite: &Transaction) {
        let Some(call) = self.table.get_mut(handle) else { return };
        // A proxy passes each repeat on: it counts at the caller's hop.
        if call.answer.is_none_or(|answer| answer.flow != seen.flow) {
            return;
        }
        let cseq = seen.message.cseq().map_or(0, |cseq| cseq.number);
        let Some((first, last)) = invite.answered else { return };
        let is_suspect = u32::from(invite.answers) > world.thresholds.ack_suspect;
        let patient = last.time.since(first.time) >= invite.answer_t1().times(3);
        let visible = world.would_see_answer(seen.flow, first.time, last.time);
        if call.acked < cseq && is_suspect && patient && visible {
            call.ack_suspected = true;
            world.tell(Event::AckSuspected { call: handle, first, last, transmissions: invite.answers, flow: seen.flow });
        }
        if let Some((ack, ack_flow)) = call.ack.filter(|_| call.acked >= cseq && is_suspect && patient)
            && ack_flow.destination != seen.flow.source
        {
            world.tell(Event::AckMisrouted { call: handle, first, last, ack_flow, ack, transmissions: invite.answers });
        }
    }

    /// Handles the first transmission of a BYE. `invite` is the transaction of the INVITE that was answered, if it is still held.
    pub fn bye(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>, invite: Option<&Transaction>) -> ByeKind {
        let Some(side) = self.ends(world, handle, seen) else { return ByeKind::Further };
        let lapse = self.lapse(world, handle, side, seen.at);
        self.hang_up(world, handle, seen, Bye { by: side, flow: seen.flow, is_captured: true });
        self.join_left(handle);
        let Some(call) = self.table.get_mut(handle) else { return ByeKind::Further };
        // Whose BYE it is the tags tell: behind a proxy it comes from another address than the 2xx at the caller's hop.
        let by_answerer = side == Side::Callee;
        if let Some(missing) =
            invite.filter(|_| by_answerer).and_then(|invite| ack_missing(call, handle, seen.at, invite, world.thresholds.ack_suspect))
        {
            call.record.completed = false;
            world.tell(missing);
        }
        if let Some(lapse) = lapse {
            world.tell(Event::SessionLapsed(lapse));
        }
        world.tell(Event::CallEnded { call: handle, at: seen.at });
        ByeKind::Ends
    }

    /// Handles a final response to a BYE that was not captured: who sent that has hung up (RFC 3261 §15.1.1), at most a round trip before.
    /// Returns the call that it ends, if it ends one.
    pub(in crate::track) fn bye_missed(&mut self, world: &mut World, seen: &Seen<'_>, status: u16) -> Option<Handle> {
        // Asked for credentials, it is sent again.
        let handle = self.call_of(world, seen).filter(|_| status >= 200 && !matches!(status, 401 | 407))?;
        let side = self.ends(world, handle, seen)?;
        self.hang_up(world, handle, seen, Bye { by: side, flow: seen.flow.reversed(), is_captured: false });
        if let Some(call) = self.table.get_mut(handle).filter(|_| status < 300) {
            call.record.disconnected = Some(seen.at.time);
        }
        world.tell(Event::CallEnded { call: handle, at: seen.at });
        Some(handle)
    }

    /// Takes note that the call ended with `seen`: a BYE, or what answers it.
    fn hang_up(&mut self, world: &World, handle: Handle, seen: &Seen<'_>, bye: Bye) {
        let transferred_by = self.transferred_by(handle, seen.at.time);
        let Some(call) = self.table.get_mut(handle) else { return };
        let began = if bye.by == Side::Caller { EndedBy::Caller } else { EndedBy::Callee };
        let from_pbx = world.peers.direction(bye.flow) == Direction::Out;
        let by_proxy = call.further.is_some() && from_pbx && seen.message.via_count() <= 1;
        call.bye = Some(bye.by);
        call.is_bye_missed = !bye.is_captured;
        call.is_over = true;
        self.established -= usize::from(call.is_up());
        call.record.ended = Some(seen.at.time);
        // Of a call from before the capture it is not known whom the PBX passes a hang-up on from.
        if call.record.beginning == Beginning::Captured || !from_pbx {
            call.record.ended_by = Some(if by_proxy { EndedBy::Pbx } else { began });
        }
        note_reason(call, seen);
        if let Some(status) = call.session.refused_before(seen.at.time).filter(|_| call.record.end_reason.is_none()) {
            call.record.end_reason = Some(format!("{REFUSED_CHANGE} {status}").into());
        }
        if let Some(by) = transferred_by {
            call.record.end_reason = Some(transferred(by).into());
        }
        self.table.set_deadline(handle, seen.at.time + LINGER_ENDED);
    }

    /// The side whose BYE ends the call; `None` where it had ended, or a fork of it ends.
    fn ends(&mut self, world: &World, handle: Handle, seen: &Seen<'_>) -> Option<Side> {
        let call = self.table.get_mut(handle).filter(|call| !call.is_forks(world, seen))?;
        let side = call.sender(world, &seen.message);
        call.bye_crossed |= call.bye.is_some_and(|first| first != side);
        (call.bye.is_none() && !call.is_over).then_some(side)
    }

    /// Handles a final response to a BYE. 408 says no more than silence does.
    pub(super) fn bye_answered(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>, status: u16, bye: &Transaction) {
        let Some(call) = self.table.get_mut(handle) else { return };
        if (200..300).contains(&status) {
            if call.record.disconnected.replace(seen.at.time).is_none() {
                let delay = seen.at.time.since(bye.first.time);
                world.tell(Event::ByeAnswered { call: handle, delay });
            }
        } else if status == 408 {
            call.record.completed = false;
            call.record.gave_up.get_or_insert(seen.at.time);
            world.tell(Event::ByeUnanswered { call: handle, request: bye.unanswered() });
        } else if status == 481 {
            self.bye_refused(world, handle, seen, bye);
        }
    }

    /// Handles a BYE that waited in vain.
    pub(super) fn bye_unanswered(&mut self, world: &mut World, handle: Handle, bye: &Transaction) {
        let request = bye.unanswered();
        if world.is_heard(&request) || !world.would_see_answer(bye.flow, bye.first.time, request.deadline) {
            return;
        }
        if let Some(call) = self.table.get_mut(handle) {
            call.record.completed = false;
            call.record.gave_up.get_or_insert(request.deadline);
            world.tell(Event::ByeUnanswered { call: handle, request });
        }
    }
}

impl Call {
    /// Whether a BYE ends a fork that lost, not the dialog that was answered first.
    pub(super) fn is_forks(&self, world: &World, seen: &Seen<'_>) -> bool {
        let message = &seen.message;
        let theirs = if self.is_callers(world, message) { message.to_tag() } else { message.from_tag() };
        self.answer.is_some_and(|answer| answer.tag != tag_hash(world, theirs))
    }
}

/// Whether a refusal is one of a call that is not up yet: what changes a call that is gets other ones (RFC 3261 §14.1, §21).
const fn is_of_a_new_call(status: u16) -> bool {
    matches!(status, 300..=399 | 404 | 410 | 480 | 484 | 486 | 487 | 600 | 603 | 604)
}

/// The finding's event if a BYE of the answering side at `bye` is the end of a 2xx whose ACK never arrived, though it was sent again so often.
fn ack_missing(call: &Call, handle: Handle, bye: Sighting, invite: &Transaction, repeats: u32) -> Option<Event> {
    let answer = call.answer?;
    let (first, last) = invite.answered?;
    let waited = bye.time.since(first.time);
    let patience = invite.answer_patience();
    let gave_up = waited >= patience - GIVE_UP.0 && waited <= patience + GIVE_UP.1;
    let ack = call.ack.filter(|_| call.acked >= answer.cseq);
    // Of one that went elsewhere it is told when the 2xx is repeated; lost packets keep it from its end for a while, not to the last repeat.
    let is_lost = ack.is_none_or(|(_, way)| way.destination == answer.flow.source && last.time.since(first.time).times(4) >= patience);
    (is_lost && u32::from(invite.answers) > repeats && gave_up).then_some(Event::AckMissing {
        call: handle,
        first,
        bye,
        transmissions: invite.answers,
        flow: answer.flow,
        ack: ack.map(|(at, _)| at),
    })
}
