//! From the INVITE to its final response.

use crate::config::Ports;
use crate::sip::headers::HeaderName;
use crate::sip::message::Message;
use crate::sip::method::Method;
use crate::sip::text::unfold;
use crate::table::{Digest, Handle, Rank};
use crate::time::Span;
use crate::track::call::media::refuses_all;
use crate::track::call::outcome::{Cancelled, Credentials, is_retryable};
use crate::track::call::record::Beginning;
use crate::track::call::session::{Side, Timer};
use crate::track::call::{ABANDONED, Answer, Call, Calls, PARTIAL_LIFE, RETRY, tag_hash};
use crate::track::event::{Event, ServerClass, Sighting};
use crate::track::transaction::{Owner, Transaction};
use crate::track::vocabulary::{Direction, Outcome};
use crate::track::world::{Seen, World, text, unusual_phrase, user_text};

/// How soon after a challenge an INVITE under another Call-ID still answers it (DETECTION §0.2).
const OTHER_CALL_ID: Span = Span::from_secs(2);

/// Causes of Q.850 with which no person ends a call (DETECTION §5.6).
pub const ABNORMAL: [u16; 7] = [18, 27, 34, 38, 41, 42, 102];

/// How often the INVITE of a call came by the server that it was sent to first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passes {
    pub(super) count: u16,
    /// Max-Forwards of the last one.
    pub(super) hops_left: u32,
}

impl Passes {
    pub(super) fn first(message: &Message<'_>) -> Self {
        Self { count: 1, hops_left: message.max_forwards().unwrap_or(0) }
    }
}

impl Calls {
    /// Handles the first transmission of an INVITE outside a dialog. Returns the call that it begins, if it begins one.
    pub fn invite(&mut self, world: &mut World, seen: &Seen<'_>, transaction: Handle) -> Option<Handle> {
        let message = &seen.message;
        let tag = message.from_tag().unwrap_or_default();
        let key = world.digester.further(seen.read.call_id(), &[tag]);
        let replaced = self.note_replaces(world, seen);
        let found = self.call_of(world, seen).or_else(|| self.continued_elsewhere(world, seen, key));
        let (owner, begun) = match found {
            Some(handle) if self.is_further_hop(handle, seen) => {
                self.note_further(world, handle, seen, transaction);
                (Owner::FurtherInvite(handle), None)
            }
            Some(handle) if self.continues(handle, seen) => {
                self.retry(world, handle, seen);
                (Owner::CallerInvite(handle), None)
            }
            _ => {
                // A challenge that was answered too late to be the same attempt is still the one that is answered.
                let nonce = found.and_then(|handle| self.table.get(handle)).and_then(|call| call.nonce);
                if let Some(handle) = found {
                    self.give_way(world, handle);
                }
                let begun = self.begin(world, seen, key, nonce);
                (Owner::CallerInvite(begun), Some(begun))
            }
        };
        if let Some(transaction) = world.transactions.get_mut(transaction) {
            transaction.owner = owner;
        }
        if let (Some(of), Owner::CallerInvite(by)) = (replaced, owner) {
            self.note_replacement(by, of);
        }
        begun
    }

    /// Takes note of a response to an INVITE of the call, at any hop.
    pub fn delivered(&mut self, handle: Handle, invite: &Transaction, at: Sighting) {
        if let Some(call) = self.table.get_mut(handle).filter(|_| invite.first_response == Some(at)) {
            call.transmissions = call.transmissions.max(invite.transmissions);
        }
    }

    /// Handles a provisional response, the first of its kind, to the caller's INVITE.
    pub fn provisional(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>, status: u16, invite: &Transaction) {
        let Some(call) = self.table.get_mut(handle) else { return };
        if status == 100 {
            tell_server_delay(world, ServerClass::Invite100, invite, seen.at);
            return;
        }
        let record = &mut call.record;
        record.progress.get_or_insert(seen.at.time);
        if matches!(status, 180..=183) {
            record.rang.get_or_insert(seen.at.time);
        }
        if status == 180 || !seen.message.body().is_empty() {
            call.audible.get_or_insert(seen.at.time);
        }
        if seen.rank > Rank::Unanswered {
            self.table.raise_rank(handle, Rank::Ordinary);
        }
    }

    /// Handles a final response to the caller's INVITE.
    pub fn answered(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>, status: u16, invite: &Transaction, transaction: Handle) {
        if (200..300).contains(&status) {
            self.accept(world, handle, seen, status, transaction);
            return;
        }
        let nonce = world.note_nonces(Some(handle), seen);
        let Some(call) = self.table.get_mut(handle) else { return };
        if call.answer.is_some() || call.record.outcome.is_some() {
            return;
        }
        call.record.status = status;
        call.final_at = Some(seen.at);
        if call.record.rang.is_some() {
            call.record.ring_ended.get_or_insert(seen.at.time);
        }
        note_refusal(call, seen, status);
        if let Some(reliable) = call.given_up_for_prack(status, seen.at.time)
            && world.would_see_answer(reliable.flow, reliable.first.time, seen.at.time)
        {
            world.tell(Event::PrackMissing { call: handle, reliable, end: seen.at });
        }
        if matches!(status, 401 | 407) {
            call.nonce = nonce.or(call.nonce);
            tell_server_delay(world, ServerClass::Challenge, invite, seen.at);
            let wait = if call.credentials == Credentials::Fresh { RETRY } else { ABANDONED };
            self.table.set_deadline(handle, seen.at.time + wait);
        } else {
            call.record.progress.get_or_insert(seen.at.time);
            self.table.set_deadline(handle, seen.at.time + RETRY);
        }
    }

    /// Handles a CANCEL of the caller's INVITE.
    pub fn cancel(&mut self, world: &World, handle: Handle, seen: &Seen<'_>) {
        let elsewhere = is_taken_elsewhere(&seen.message);
        let Some(call) = self.table.get_mut(handle) else { return };
        if call.answer.is_some() || call.record.outcome.is_some() {
            return;
        }
        let by_pbx = world.peers.direction(seen.flow) == Direction::Out || call.record.direction(&world.peers) == Direction::Out;
        call.cancelled = match (elsewhere, by_pbx) {
            (true, _) => Cancelled::AnsweredElsewhere,
            (false, true) => Cancelled::ByPbx,
            (false, false) => Cancelled::ByCaller,
        };
        if call.record.rang.is_some() {
            call.record.ring_ended.get_or_insert(seen.at.time);
        }
        note_reason(call, seen);
        self.table.set_deadline(handle, seen.at.time + Span::from_secs(32));
    }

    /// Handles a CANCEL that waited in vain: its INVITE has to be answered, too, where it arrived (RFC 3261 §9.2).
    pub(super) fn cancel_unanswered(&self, world: &mut World, handle: Handle, cancel: &Transaction) {
        let request = cancel.unanswered();
        let rings_on = |call: &Call| call.record.rang.is_some() && call.final_at.is_none() && call.answer.is_none();
        if self.table.get(handle).is_some_and(rings_on)
            && !world.is_heard(&request)
            && world.would_see_answer(cancel.flow, cancel.first.time, request.deadline)
        {
            world.tell(Event::CancelUnanswered { call: handle, request });
        }
    }

    /// Handles the caller's INVITE having waited in vain until its deadline.
    pub fn unanswered(&mut self, world: &mut World, handle: Handle, invite: &Transaction) {
        let deadline = invite.unanswered().deadline;
        let at = Sighting { time: deadline, frame: 0 };
        let visible = world.would_see_answer(invite.flow, invite.first.time, deadline);
        let Some(call) = self.table.get(handle) else { return };
        let stale = call.answer.is_some() || call.final_at.is_some_and(|end| end.time >= invite.first.time);
        if stale || call.cancelled != Cancelled::No {
            return;
        }
        // It was answered, and lasts until its BYE.
        if call.acked > 0 && !call.is_over {
            self.table.set_deadline(handle, deadline + PARTIAL_LIFE);
            return;
        }
        let verdict = match invite.provisional {
            _ if !visible || call.bye.is_some() => Outcome::Unknown,
            0 if world.is_heard(&invite.unanswered()) => Outcome::Unknown,
            0 => Outcome::NoResponse,
            100 => Outcome::Stalled100,
            _ => Outcome::Stalled18x,
        };
        if verdict == Outcome::NoResponse {
            world.tell(Event::InviteUnanswered { call: handle, request: invite.unanswered() });
        }
        self.settle(world, handle, at, Some(verdict));
    }

    fn begin(&mut self, world: &mut World, seen: &Seen<'_>, key: Digest, nonce: Option<Digest>) -> Handle {
        let mut call = Call::new(world, seen, Beginning::Captured);
        call.nonce = nonce;
        note_credentials(world, &mut call, seen);
        self.insert(world, key, call, seen.rank)
    }

    /// Lets go of an attempt after which the caller made another one under the same Call-ID: with more digits, or to another number.
    fn give_way(&mut self, world: &mut World, handle: Handle) {
        if let Some(at) = self.table.get(handle).and_then(|call| call.final_at) {
            self.settle(world, handle, at, None);
        }
        self.finish(handle);
    }

    fn retry(&mut self, world: &World, handle: Handle, seen: &Seen<'_>) {
        let Some(call) = self.table.get_mut(handle) else { return };
        call.record.end_reason = None;
        call.cseq = seen.message.cseq().map_or(call.cseq, |cseq| cseq.number);
        call.record.forwarded |= (300..400).contains(&call.record.status);
        call.record.status = 0;
        call.final_at = None;
        call.passes = Passes::first(&seen.message);
        note_credentials(world, call, seen);
        self.table.set_deadline(handle, crate::time::PacketTime::MAX);
        self.table.touch(handle);
    }

    fn accept(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>, status: u16, invite: Handle) {
        let Some(call) = self.table.get_mut(handle) else { return };
        if call.answer.is_some() {
            return;
        }
        let tag = tag_hash(world, seen.message.to_tag());
        let cseq = seen.message.cseq().map_or(0, |cseq| cseq.number);
        let leads_back = leads_back(seen);
        call.answer = Some(Answer { at: seen.at, flow: seen.flow, invite, cseq, leads_back, tag });
        call.session.set(Timer::of(&seen.message, seen.at, seen.flow.reversed(), Side::Caller));
        call.note_answered(world.thresholds.max_call_age, seen.at.time);
        call.final_at = Some(seen.at);
        self.established += usize::from(call.record.ended.is_none());
        let record = &mut call.record;
        record.status = status;
        record.answered = Some(seen.at.time);
        record.progress.get_or_insert(seen.at.time);
        call.audible.get_or_insert(seen.at.time);
        if record.rang.is_some() {
            record.ring_ended.get_or_insert(seen.at.time);
        }
        if call.record.outcome.is_none() {
            self.settle(world, handle, seen.at, Some(Outcome::Answered));
        }
        if world.peers.direction(seen.flow) == Direction::Out {
            self.note_code(handle);
        }
        self.join_answered(world, handle);
        if seen.read.sdp().is_some_and(refuses_all) {
            world.tell(Event::MediaRefused { call: handle, by: seen.flow.source, at: seen.at });
        }
    }

    /// Whether the INVITE is one that a proxy passed on: a Via more than the caller's, or sent on from where the caller's was sent to.
    fn is_further_hop(&self, handle: Handle, seen: &Seen<'_>) -> bool {
        let Some(call) = self.table.get(handle) else { return false };
        let same_cseq = seen.message.cseq().is_some_and(|cseq| cseq.number == call.cseq);
        seen.message.via_count() > call.vias || (same_cseq && seen.flow.source.ip() == call.record.destination.ip())
    }

    /// Whether an INVITE of the caller belongs to the attempt, rather than to a new one under the same Call-ID.
    fn continues(&self, handle: Handle, seen: &Seen<'_>) -> bool {
        let Some(call) = self.table.get(handle) else { return false };
        let same_cseq = seen.message.cseq().is_some_and(|cseq| cseq.number == call.cseq);
        same_cseq || (call.record.outcome.is_none() && is_retryable(call.record.status))
    }

    /// The call that was challenged with the nonce that this INVITE answers under another Call-ID (DETECTION §0.2).
    fn continued_elsewhere(&mut self, world: &World, seen: &Seen<'_>, key: Digest) -> Option<Handle> {
        let credentials = seen.read.credentials()?;
        let nonce = world.nonce(world.digester.bytes(credentials.nonce))?;
        let handle = nonce.call.filter(|_| seen.at.time.since(nonce.issued) <= OTHER_CALL_ID)?;
        let call = self.table.get(handle)?;
        let message = &seen.message;
        let same = *call.record.from == *user_text(seen.read.from().user)
            && call.record.source == seen.flow.source
            && *call.record.to == *user_text(seen.read.to().user)
            && call.record.outcome.is_none();
        if !same {
            return None;
        }
        if let Some(call) = self.table.get_mut(handle) {
            call.caller_tag = tag_hash(world, message.from_tag());
        }
        self.aliases.insert(key, handle, seen.at.time + Span::from_secs(3600), seen.rank);
        Some(handle)
    }
}

/// Whether the first hop of the dialog that a 2xx offers to its receiver is where it comes from (RFC 3261 §12.1.2).
fn leads_back(seen: &Seen<'_>) -> bool {
    let way = seen.message.last_record_route().or_else(|| seen.message.contacts().next().map(|contact| contact.uri));
    way.is_some_and(|uri| uri.host_ip() == Some(seen.flow.source.ip()) && uri.port.unwrap_or(Ports::SIP) == seen.flow.source.port())
}

fn note_credentials(world: &World, call: &mut Call, seen: &Seen<'_>) {
    call.credentials = match seen.read.credentials() {
        None => Credentials::None,
        Some(sent) if call.nonce.is_some_and(|nonce| world.issued_together(nonce, world.digester.bytes(sent.nonce))) => Credentials::Fresh,
        Some(_) => Credentials::Stale,
    };
}

/// Whether a CANCEL says that another phone answered.
pub(super) fn is_taken_elsewhere(message: &Message<'_>) -> bool {
    message.reasons().any(|reason| reason.protocol.eq_ignore_ascii_case(b"SIP") && reason.cause == Some(200))
}

/// Remembers why the other side says that it ends or refuses.
pub(super) fn note_reason(call: &mut Call, seen: &Seen<'_>) {
    if let Some(cause) = seen.message.hangup_cause() {
        call.cause = Some(cause);
    }
    if let Some(words) = reason(&seen.message) {
        call.record.end_reason = Some(words);
    }
}

/// What a Reason says.
fn reason(message: &Message<'_>) -> Option<Box<str>> {
    let reason = message.reason()?;
    match (reason.text, reason.cause) {
        // No person brings such a cause about, whatever it is called.
        (words, Some(cause)) if !words.is_empty() && ABNORMAL.contains(&cause) && reason.protocol.eq_ignore_ascii_case(b"Q.850") => {
            Some(format!("Q.850 cause {cause}: {}", text(words)).into())
        }
        (words, _) if !words.is_empty() => Some(text(words)),
        (_, Some(cause)) => Some(format!("{} cause {cause}", text(reason.protocol)).into()),
        _ => None,
    }
}

/// Remembers all that a refusal says beyond its status: words of its own in the status line, Unsupported, what a 421 requires, Warning, Min-SE,
/// Reason. A challenge, and the end of what was cancelled, say no more.
pub(super) fn note_refusal(call: &mut Call, seen: &Seen<'_>, status: u16) {
    note_reason(call, seen);
    if status < 400 || matches!(status, 401 | 407 | 487) {
        return;
    }
    let message = &seen.message;
    let own = unusual_phrase(message, status).map(text);
    let required = (status == 421).then_some(HeaderName::Require);
    let headers = [HeaderName::Unsupported, HeaderName::Warning, HeaderName::MinSe];
    let headers = required
        .into_iter()
        .chain(headers)
        .filter_map(|name| Some(format!("{}: {}", name.as_str(), text(&unfold(message.header(name)?))).into()));
    let words: Vec<Box<str>> = own.into_iter().chain(headers).collect();
    if !words.is_empty() {
        let words: Vec<_> = words.into_iter().chain(reason(message)).collect();
        call.record.end_reason = Some(text(words.join("; ").as_bytes()));
    }
}

/// Tells how long the PBX took to respond.
pub(in crate::track) fn tell_server_delay(world: &mut World, class: ServerClass, request: &Transaction, at: Sighting) {
    let first = request.first_response.is_some_and(|first| first == at);
    if first && world.peers.direction(request.flow) == Direction::In {
        let delay = at.time.since(request.first.time);
        let Transaction { flow, transmissions, .. } = *request;
        world.tell(Event::ServerResponse { class, client: flow.source, transmissions, delay, pbx: flow.destination, at: at.time });
    }
}

/// Whether a request begins a dialog rather than going along one.
pub(in crate::track) fn is_initial(seen: &Seen<'_>) -> bool {
    seen.message.method() == Method::Invite && seen.message.to_tag().is_none()
}
