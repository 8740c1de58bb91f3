//! From the answer to the end: ACK, requests inside the dialog, BYE.

use crate::sip::method::Method;
use crate::table::Handle;
use crate::time::Span;
use crate::track::call::record::Beginning;
use crate::track::call::setup::note_reason;
use crate::track::call::{Call, Calls, LINGER_ENDED, tag_hash};
use crate::track::event::{Event, Sighting};
use crate::track::transaction::Transaction;
use crate::track::vocabulary::{Direction, EndedBy};
use crate::track::world::{Seen, World};

/// Repeats of a 2xx after which its ACK is suspected to be missing (DETECTION §4.5).
const ACK_SUSPECT: u16 = 3;
/// How much earlier or later than 64·T1 the sender of a 2xx gives up: up to one repeat interval, T2, late (RFC 3261 §13.3.1.4).
const GIVE_UP: (Span, Span) = (Span::from_secs(2), Span::from_secs(6));

/// What a BYE does to a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ByeKind {
    /// It ends it.
    Ends,
    /// The call had ended, or a fork of it ends.
    Further,
}

impl Calls {
    /// The call that a request inside a dialog belongs to, made anew where its beginning was missed.
    pub fn in_dialog(&mut self, world: &mut World, seen: &Seen<'_>) -> Option<Handle> {
        if let Some(handle) = self.find(world, &seen.message) {
            self.table.touch(handle);
            self.note_activity(handle, seen);
            return Some(handle);
        }
        let begins_a_record = matches!(seen.message.method(), Method::Invite | Method::Bye | Method::Update | Method::Info);
        if !begins_a_record || seen.message.to_tag().is_none() {
            return None;
        }
        let key = world.digester.parts(&[seen.message.call_id(), seen.message.from_tag().unwrap_or_default()]);
        let call = Call::new(world, seen, Beginning::Missed);
        Some(self.insert(world, key, call))
    }

    fn note_activity(&mut self, handle: Handle, seen: &Seen<'_>) {
        let method = seen.message.method();
        if let Some(call) = self.table.get_mut(handle).filter(|_| method != Method::Bye) {
            call.activity = seen.at.time;
            call.is_referred |= method == Method::Refer;
        }
    }

    /// A call of which only a response to its INVITE was seen.
    pub fn from_response(&mut self, world: &mut World, seen: &Seen<'_>) {
        if self.find(world, &seen.message).is_some() {
            return;
        }
        let key = world.digester.parts(&[seen.message.call_id(), seen.message.from_tag().unwrap_or_default()]);
        let call = Call::new(world, &Seen { flow: seen.flow.reversed(), ..*seen }, Beginning::Missed);
        self.insert(world, key, call);
    }

    /// Handles the ACK of a 2xx. Tells whether the 2xx had been seen, where the call is known.
    pub fn ack(&mut self, world: &mut World, seen: &Seen<'_>) -> Option<bool> {
        let handle = self.find(world, &seen.message)?;
        let cseq = seen.message.cseq().map_or(0, |cseq| cseq.number);
        let call = self.table.get_mut(handle)?;
        call.acked = call.acked.max(cseq);
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
        let patient = last.time.since(first.time) >= invite.answer_t1().times(3);
        let visible = world.would_see_answer(seen.flow, first.time, last.time);
        if call.acked < cseq && invite.answers > ACK_SUSPECT && patient && visible {
            call.ack_suspected = true;
            world.tell(Event::AckSuspected { call: handle, first, last, transmissions: invite.answers, flow: seen.flow });
        }
    }

    /// Handles the first transmission of a BYE. `invite` is the transaction of the INVITE that was answered, if it is still held.
    pub fn bye(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>, invite: Option<&Transaction>) -> ByeKind {
        let Some(call) = self.table.get_mut(handle).filter(|call| call.bye.is_none() && !call.is_forks(world, seen)) else {
            return ByeKind::Further;
        };
        let began = if call.is_callers(world, &seen.message) { EndedBy::Caller } else { EndedBy::Callee };
        let from_pbx = world.peers.direction(seen.flow) == Direction::Out;
        let by_proxy = call.further.is_some() && from_pbx && seen.message.via_count() <= 1;
        call.bye = Some(seen.at);
        call.is_over = true;
        call.record.ended = Some(seen.at.time);
        if call.record.beginning == Beginning::Captured {
            call.record.ended_by = Some(if by_proxy { EndedBy::Pbx } else { began });
        }
        note_reason(call, seen);
        // Whose BYE it is the tags tell: behind a proxy it comes from another address than the 2xx at the caller's hop.
        let by_answerer = began == EndedBy::Callee;
        if let Some(missing) = invite.filter(|_| by_answerer).and_then(|invite| ack_missing(call, handle, seen.at, invite)) {
            call.record.completed = false;
            world.tell(missing);
        }
        world.tell(Event::CallEnded { call: handle, at: seen.at });
        self.table.set_deadline(handle, seen.at.time + LINGER_ENDED);
        ByeKind::Ends
    }

    /// Handles a final response to a BYE. 408 says no more than silence does.
    pub fn bye_answered(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>, status: u16, bye: &Transaction) {
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
        }
    }

    /// Handles a BYE that waited in vain.
    pub fn bye_unanswered(&mut self, world: &mut World, handle: Handle, bye: &Transaction) {
        let request = bye.unanswered();
        if !world.would_see_answer(bye.flow, bye.first.time, request.deadline) {
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
    fn is_forks(&self, world: &World, seen: &Seen<'_>) -> bool {
        let message = &seen.message;
        let theirs = if self.is_callers(world, message) { message.to_tag() } else { message.from_tag() };
        self.answer.is_some_and(|answer| answer.tag != tag_hash(world, theirs))
    }
}

/// The finding's event if a BYE of the answering side at `bye` is the end of a 2xx that was never acknowledged.
fn ack_missing(call: &Call, handle: Handle, bye: Sighting, invite: &Transaction) -> Option<Event> {
    let answer = call.answer?;
    let (first, _) = invite.answered?;
    let waited = bye.time.since(first.time);
    let patience = invite.answer_t1().times(64);
    let gave_up = waited >= patience - GIVE_UP.0 && waited <= patience + GIVE_UP.1;
    (call.acked < answer.cseq && invite.answers > ACK_SUSPECT && gave_up).then_some(Event::AckMissing {
        call: handle,
        first,
        bye,
        transmissions: invite.answers,
        flow: answer.flow,
    })
}
