//! Which tracker a message concerns.

use crate::decode::flow::Flow;
use crate::sip::message::{Kind, Message};
use crate::sip::method::Method;
use crate::sip::uri::plain_user;
use crate::table::{Handle, Rank};
use crate::time::{PacketTime, Span};
use crate::track::call::{ByeKind, is_initial, tell_server_delay};
use crate::track::event::{Event, Giveaway, LostAnswer, ServerClass, Sighting};
use crate::track::reading::Reading;
use crate::track::scan::Try;
use crate::track::transaction::{Owner, Requested, Responded, Transaction};
use crate::track::triggers::Witness;
use crate::track::vocabulary::Direction;
use crate::track::world::Seen;
use crate::track::{Novelty, Tracker};

/// How long a request may wait for a response: an INVITE that rings, while its response is repeated each minute.
const LONGEST_WAIT: Span = Span::from_secs(200);

impl Tracker {
    /// Handles a SIP message. Deadlines before it are handled first.
    pub fn message(&mut self, message: Message<'_>, flow: Flow, at: Sighting) -> Novelty {
        self.advance(at.time);
        self.quiet_until = PacketTime::MIN;
        self.world.absence.hear(at.time);
        // Whom the PBX calls is a partner from that packet on.
        let rank = if self.calls_out(&message, flow) { self.world.rank(flow).max(Rank::Ordinary) } else { self.world.rank(flow) };
        let before = self.world.flows.note(flow, rank, at.time);
        self.world.peers.note(flow, at.time);
        self.world.triggers.note_packet(flow.source.ip(), flow.destination.ip(), Witness::of(rank), at.time);
        let read = Reading::new(message, self.world.digester);
        let seen = Seen { message, read: &read, flow, at, before, rank };
        let novelty = match message.kind() {
            Kind::Request(method) => self.request(&seen, method),
            Kind::Response(status) => self.response(&seen, status),
        };
        self.count(&message, novelty);
        novelty
    }

    /// Handles the transactions whose patience ran out by `now`.
    pub(super) fn expire_transactions(&mut self, now: PacketTime) {
        while let Some(handle) = self.world.transactions.pop_unanswered(now) {
            let Some(transaction) = self.world.transactions.get(handle).cloned() else { continue };
            self.note_unanswered_tls(&transaction);
            match transaction.owner {
                Owner::CallerInvite(call) => self.calls.unanswered(&mut self.world, call, &transaction),
                Owner::FurtherInvite(call) => self.calls.further_unanswered(&mut self.world, call, &transaction, handle),
                Owner::InDialog(call) => self.calls.in_dialog_unanswered(&mut self.world, call, &transaction),
                Owner::Register(attempt) => self.registrations.unanswered(&mut self.world, attempt, &transaction),
                Owner::FurtherRegister | Owner::Probe(_) | Owner::Nobody => {}
            }
        }
    }

    /// A request that asks for TLS and was sent without it: nobody answers.
    fn note_unanswered_tls(&mut self, request: &Transaction) {
        let deadline = request.unanswered().deadline;
        let visible = self.world.would_see_answer(request.flow, request.first.time, deadline);
        if request.wants_tls && request.first_response.is_none() && visible {
            self.world.tell(Event::TlsWanted { flow: request.flow, at: request.first });
        }
    }

    fn request(&mut self, seen: &Seen<'_>, method: Method) -> Novelty {
        let key = self.world.transactions.key(seen.read, method);
        match self.world.transactions.request(key, &seen.message, seen.flow, seen.rank, seen.at) {
            Requested::Repeated(transaction) => {
                self.note_repeat(transaction, seen.at);
                self.nat.requested_again(&self.world, &self.registrations, seen.flow, transaction);
                self.nat.repeated(&mut self.world, &mut self.registrations, seen);
                Novelty::Retransmission
            }
            Requested::New(transaction) => {
                self.note_answer_taken(seen, method);
                self.look_for_scanner(seen, method);
                self.disprove_inferred(seen, method);
                self.note_called(seen);
                self.test_credentials(seen, method);
                self.route_request(seen, method, transaction);
                if method == Method::Invite && !seen.message.body().is_empty() {
                    self.look_at_media(seen);
                }
                self.note_phone(seen, method, transaction);
                Novelty::Distinct
            }
        }
    }

    /// A request that was sent again: nothing came back, or not the answer that had been sent.
    fn note_repeat(&mut self, transaction: Handle, last: Sighting) {
        let Some(request) = self.world.transactions.get(transaction) else { return };
        if let Owner::Register(attempt) = request.owner {
            self.registrations.repeated(attempt, request);
        }
        let (Some(answered), 1..) = (request.silencing_response(), request.repeats_after_response) else { return };
        let &Transaction { flow, method, first, status, provisional, repeats_after_response: repeats, .. } = request;
        let status = if status == 0 { provisional } else { status };
        self.lost.note(flow.source, answered.time);
        if let Owner::Register(attempt) = request.owner {
            self.registrations.challenge_lost(attempt);
        }
        let answer = self.lost.way_of(transaction, flow);
        self.world.tell(Event::AnswerLost(LostAnswer { flow, method, first, last, answered, answer, status, repeats }));
    }

    /// An ACK, or credentials for a challenge that is new, show that answers arrive.
    fn note_answer_taken(&mut self, seen: &Seen<'_>, method: Method) {
        let source = seen.flow.source.ip();
        let Some(since) = self.lost.since(source) else { return };
        let issued = seen.read.credentials().map(|sent| self.world.nonce(self.world.digester.bytes(sent.nonce)).map(|nonce| nonce.issued));
        let is_new = issued.is_some_and(|issued| issued.is_none_or(|issued| issued >= since));
        let is_alone = self.registrations.devices_at(source) <= 1;
        if (method == Method::Ack || is_new) && self.lost.taken(seen.flow.source, is_alone, seen.at.time) {
            self.world.tell(Event::AnswerTaken { source, at: seen.at });
        }
    }

    fn route_request(&mut self, seen: &Seen<'_>, method: Method, transaction: Handle) {
        match method {
            Method::Register => self.registrations.register(&mut self.world, seen, transaction),
            Method::Invite if is_initial(seen) => {
                let begun = self.calls.invite(&mut self.world, seen, transaction);
                self.note_phones_of_call(seen, transaction);
                if let Some(call) = begun {
                    self.look_for_relay(seen);
                    self.legs.begun(&self.world, &self.registrations, &mut self.calls, seen, call);
                } else if let Some(Owner::CallerInvite(call)) = self.world.transactions.get(transaction).map(|invite| invite.owner) {
                    self.legs.renewed(&self.world, &self.registrations, &mut self.calls, seen, call);
                }
            }
            Method::Ack => self.ack(seen),
            Method::Cancel => self.cancel(seen, transaction),
            Method::Options if seen.message.to_tag().is_none() => self.registrations.probe(&mut self.world, seen, transaction),
            _ => self.in_dialog(seen, method, transaction),
        }
    }

    /// Takes note of which devices call each other, where the addresses do not tell.
    fn note_phones_of_call(&mut self, seen: &Seen<'_>, invite: Handle) {
        if self.world.peers.direction(seen.flow) == Direction::Out
            && let Some(device) = self.registrations.addressee(&self.world, seen)
        {
            self.registrations.called(&mut self.world, device, seen.at);
        }
        let caller = self.registrations.calling_of_several(&self.world, seen);
        let callee = self.registrations.called_of_several(&self.world, seen);
        let owner = self.world.transactions.get(invite).map(|invite| invite.owner);
        if let Some(Owner::CallerInvite(call) | Owner::FurtherInvite(call)) = owner.filter(|_| caller.or(callee).is_some()) {
            self.calls.name_phones(call, invite, caller, callee);
        }
    }

    /// Takes note of what a request says of a phone and its NAT.
    fn note_phone(&mut self, seen: &Seen<'_>, method: Method, transaction: Handle) {
        let owner = self.world.transactions.get(transaction).map(|transaction| transaction.owner);
        match owner {
            Some(Owner::Register(attempt)) => {
                if let Some(device) = self.registrations.attempt_device(attempt) {
                    self.nat.registered(&mut self.world, &mut self.registrations, device, seen);
                }
            }
            _ if method == Method::Register => {}
            _ => {
                self.nat.requested(&mut self.world, &self.registrations, seen, transaction);
                self.nat.packet(&mut self.world, &mut self.registrations, seen);
            }
        }
    }

    fn in_dialog(&mut self, seen: &Seen<'_>, method: Method, transaction: Handle) {
        let known = self.calls.call_of(&self.world, seen).is_some();
        let Some(call) = self.calls.in_dialog(&mut self.world, seen) else { return };
        self.test_trigger(seen.flow.reversed(), known, seen);
        self.calls.renegotiates(&self.world, call, seen, transaction);
        if let Some(transaction) = self.world.transactions.get_mut(transaction) {
            transaction.owner = Owner::InDialog(call);
        }
        if method == Method::Prack {
            self.calls.prack(&mut self.world, call, seen);
        }
        if method == Method::Bye {
            let invite = self.calls.get(call).and_then(|call| call.answer).and_then(|answer| self.world.transactions.get(answer.invite));
            let invite = invite.cloned();
            if self.calls.bye(&mut self.world, call, seen, invite.as_ref()) == ByeKind::Ends {
                self.orphans.ended(&mut self.world, &mut self.calls, call, seen.at);
            }
        }
    }

    fn ack(&mut self, seen: &Seen<'_>) {
        let invite = self.world.transactions.find(self.world.transactions.key(seen.read, Method::Invite));
        if let Some(invite) = invite.and_then(|handle| self.world.transactions.get_mut(handle)) {
            invite.acked = true;
            let answered = invite.answered.is_some();
            self.test_trigger(seen.flow.reversed(), answered, seen);
            return;
        }
        let answered = self.calls.ack(&mut self.world, seen).unwrap_or(false);
        self.test_trigger(seen.flow.reversed(), answered, seen);
    }

    fn cancel(&mut self, seen: &Seen<'_>, transaction: Handle) {
        let key = self.world.transactions.key(seen.read, Method::Invite);
        let invite = self.world.transactions.find(key);
        let owner = invite.and_then(|invite| self.world.transactions.get(invite)).map(|invite| invite.owner);
        self.test_trigger(seen.flow, owner.is_some(), seen);
        match (owner, invite) {
            (Some(Owner::CallerInvite(call)), _) => {
                self.calls.cancel(&self.world, call, seen);
                if let Some(transaction) = self.world.transactions.get_mut(transaction) {
                    transaction.owner = Owner::InDialog(call);
                }
            }
            (Some(Owner::FurtherInvite(call)), Some(invite)) => self.calls.branch_cancelled(call, seen, invite),
            _ => {}
        }
    }

    fn response(&mut self, seen: &Seen<'_>, status: u16) -> Novelty {
        let method = seen.message.method();
        let key = self.world.transactions.key(seen.read, method);
        let peers = &self.world.peers;
        let foreign = |request: Flow| !peers.can_answer(request, seen.flow);
        match self.world.transactions.response(key, status, seen.message.to_tag(), seen.at, foreign) {
            Responded::Foreign => Novelty::Foreign,
            Responded::Unseen => {
                self.response_to_unseen(seen, method, status);
                Novelty::Distinct
            }
            Responded::Repeated(transaction) => {
                self.note_reliable(seen, status, transaction);
                self.repeated(seen, status, transaction);
                Novelty::Retransmission
            }
            Responded::Provisional(transaction) | Responded::Final(transaction) | Responded::Further(transaction) => {
                self.test_trigger(seen.flow.reversed(), true, seen);
                self.test_near_trigger(seen.flow.reversed(), true, seen);
                let Some(request) = self.world.transactions.get(transaction).cloned() else { return Novelty::Distinct };
                if seen.flow != request.flow.reversed() {
                    self.lost.went_astray(transaction, seen.flow);
                }
                // A challenge or a redirection refuses nothing.
                if request.wants_tls && status >= 400 && !matches!(status, 401 | 407) {
                    self.world.tell(Event::TlsWanted { flow: request.flow, at: request.first });
                }
                self.note_reliable(seen, status, transaction);
                self.route_response(seen, method, status, transaction, &request);
                if method == Method::Invite && status < 300 && !seen.message.body().is_empty() {
                    self.look_at_media(seen);
                }
                self.nat.responded(&mut self.world, &mut self.registrations, seen, &request, transaction);
                Novelty::Distinct
            }
        }
    }

    fn route_response(&mut self, seen: &Seen<'_>, method: Method, status: u16, handle: Handle, request: &Transaction) {
        if let Owner::CallerInvite(call) | Owner::FurtherInvite(call) = request.owner {
            self.calls.delivered(call, request, seen.at);
        }
        match request.owner {
            Owner::CallerInvite(call) if status < 200 => {
                self.calls.provisional(&mut self.world, call, seen, status, request);
                if status > 100 {
                    self.legs.progressed(&self.world, &mut self.calls, call, seen.at.time);
                }
            }
            Owner::CallerInvite(call) => {
                self.calls.answered(&mut self.world, call, seen, status, request, handle);
                if status < 300 {
                    self.legs.progressed(&self.world, &mut self.calls, call, seen.at.time);
                    self.orphans.answered(&self.world, &self.calls, call, seen.at);
                }
                self.note_try(seen, status, request);
            }
            Owner::FurtherInvite(call) => self.calls.branch_responded(&self.world, call, seen, status, handle),
            Owner::InDialog(call) if status >= 200 => self.calls.in_dialog_answered(&mut self.world, call, seen, status, request),
            Owner::Register(attempt) if status >= 200 => {
                self.registrations.answered(&mut self.world, attempt, seen, status, request);
                if let Some(device) = self.registrations.attempt_device(attempt) {
                    self.nat.accepted(&mut self.world, &mut self.registrations, device, seen.at);
                }
                self.learn(seen, status, request);
                self.note_try(seen, status, request);
            }
            Owner::FurtherRegister if status >= 200 => self.learn(seen, status, request),
            Owner::Probe(device) if status >= 200 => self.registrations.probe_answered(&mut self.world, device, seen, request),
            Owner::Nobody if method == Method::Options && status >= 200 => {
                tell_server_delay(&mut self.world, ServerClass::Options, request, seen.at);
                self.infer_phone(seen, status, request);
            }
            _ => {}
        }
    }

    fn note_reliable(&mut self, seen: &Seen<'_>, status: u16, invite: Handle) {
        let owner = self.world.transactions.get(invite).map(|invite| invite.owner);
        if let Some(Owner::CallerInvite(call) | Owner::FurtherInvite(call)) = owner.filter(|_| status < 200) {
            self.calls.reliable(&mut self.world, call, seen, status);
        }
    }

    fn repeated(&mut self, seen: &Seen<'_>, status: u16, handle: Handle) {
        let Some(request) = self.world.transactions.get(handle).cloned() else { return };
        let (Owner::CallerInvite(call) | Owner::FurtherInvite(call) | Owner::InDialog(call)) = request.owner else { return };
        if request.method == Method::Invite && (200..300).contains(&status) {
            self.calls.answer_repeated(&mut self.world, call, seen, &request);
        }
    }

    fn response_to_unseen(&mut self, seen: &Seen<'_>, method: Method, status: u16) {
        // Of strangers anybody can say that they are registrars.
        if method == Method::Register && (seen.rank > Rank::Unanswered || !self.world.peers.knows_pbx()) {
            self.world.triggers.watch(seen.flow.source.ip());
        }
        self.test_trigger(seen.flow.reversed(), false, seen);
        self.test_near_trigger(seen.flow.reversed(), false, seen);
        if method == Method::Bye {
            if let Some(call) = self.calls.bye_missed(&mut self.world, seen, status) {
                self.orphans.ended(&mut self.world, &mut self.calls, call, seen.at);
            }
            return;
        }
        if method == Method::Register && (200..300).contains(&status) {
            if let Some(device) = self.registrations.accepted_unseen(&mut self.world, seen) {
                self.nat.accepted(&mut self.world, &mut self.registrations, device, seen.at);
            }
            return;
        }
        if (200..300).contains(&status) && method != Method::Cancel {
            self.calls.agreed_unseen(&self.world, seen);
        }
        let begins_a_record = method == Method::Invite && status > 100 && !matches!(status, 401 | 407);
        if begins_a_record && seen.message.to_tag().is_some() {
            self.calls.from_response(&mut self.world, seen, status);
        }
    }

    /// Looks at the session description of a message of a call.
    fn look_at_media(&mut self, seen: &Seen<'_>) {
        if let Some(call) = self.calls.call_of(&self.world, seen) {
            self.calls.media(&mut self.world, call, seen);
        }
    }

    /// Learns PBX addresses from who answers REGISTER.
    fn learn(&mut self, seen: &Seen<'_>, status: u16, request: &Transaction) {
        if !(200..300).contains(&status) && status != 401 {
            return;
        }
        let flow = Flow { destination: seen.flow.source, ..request.flow };
        if let Some(address) = self.world.peers.note_answered_register(flow, seen.message.via_count(), seen.at.time) {
            self.world.tell(Event::PbxLearned { address, at: seen.at });
            self.legs.learned(&self.world, &mut self.calls);
        }
    }

    /// Whether the PBX calls or registers at somebody.
    fn calls_out(&self, message: &Message<'_>, flow: Flow) -> bool {
        matches!(message.kind(), Kind::Request(Method::Invite | Method::Register))
            && message.to_tag().is_none()
            && self.world.peers.direction(flow) == Direction::Out
    }

    /// Takes note of whom the PBX calls or registers at.
    pub(super) fn note_called(&mut self, seen: &Seen<'_>) {
        if self.calls_out(&seen.message, seen.flow) {
            let user = (seen.message.method() == Method::Invite).then(|| plain_user(seen.read.to().user));
            self.world.peers.note_called(seen.flow.destination.ip(), user.as_deref(), seen.at.time);
        }
    }

    fn look_for_scanner(&mut self, seen: &Seen<'_>, method: Method) {
        let tries = matches!(method, Method::Register | Method::Invite | Method::Options);
        // Anybody can send a tool's name under the address of a phone, and through a proxy.
        let is_own = seen.message.via_count() < 2 && self.world.peers.direction(seen.flow) != Direction::Out;
        if tries && is_own && seen.rank == Rank::Unanswered {
            let agent = seen.message.user_agent();
            if self.scans.is_tool(seen.flow.source.ip(), agent, seen.at.time) {
                self.found_scanner(seen.flow, Giveaway::Tool, seen.at);
            }
        }
    }

    fn note_try(&mut self, seen: &Seen<'_>, status: u16, request: &Transaction) {
        let edge = request.flow.source.ip();
        let Some(way) = self.registrations.as_sent(&seen.message, request.flow) else { return };
        let source = way.source.ip();
        if self.world.peers.direction(request.flow) == Direction::Out {
            return;
        }
        if self.world.peers.scans(source) {
            if matches!(request.owner, Owner::Register(_)) && status < 300 {
                self.clear_scanner(way, seen.at);
            }
            return;
        }
        // What phones and carriers dial in vain is no scan.
        if request.method == Method::Invite && self.world.peers.is_partner(edge) {
            return;
        }
        let result = match status {
            // Who does not get the challenge cannot take it up.
            401 | 407 if self.lost.since(edge).is_some() => return,
            401 | 407 => Try::Challenged,
            200..=399 => Try::Succeeded,
            // Says nothing against who asks, nor whether there is such a user: busy, away, or the PBX fails (RFC 3261 §21.5).
            408 | 423 | 480 | 486 | 487 | 500..=599 | 600 | 603 => return,
            _ => Try::Failed,
        };
        // Whom the registrar accepted from there is no user that is tried out: the site's own phones are refused.
        if let Owner::Register(attempt) = request.owner
            && result != Try::Succeeded
            && self.registrations.was_accepted_from(attempt, edge)
        {
            return;
        }
        if let Some(giveaway) = self.scans.note(source, request.method, seen.read.to().user, result, seen.at.time) {
            self.found_scanner(way, giveaway, seen.at);
        } else if result == Try::Challenged {
            self.scans.await_credentials(way, seen.at);
        }
    }

    /// Looks for sources that left challenges open, and forgets those that are quiet.
    pub(super) fn expire_scans(&mut self, now: PacketTime) {
        let (world, lost) = (&self.world, &self.lost);
        let would_see = |flow: Flow, since: PacketTime| {
            world.absence.is_heard_until(now) && world.absence.was_sound(since, now) && lost.since(flow.source.ip()).is_none()
        };
        for (flow, giveaway, at) in self.scans.expire(now, would_see) {
            if !self.world.peers.scans(flow.source.ip()) {
                self.found_scanner(flow, giveaway, at);
            }
        }
    }

    fn found_scanner(&mut self, flow: Flow, giveaway: Giveaway, at: Sighting) {
        self.world.peers.mark_scanner(flow, giveaway, at.time);
        self.world.tell(Event::ScannerFound { source: flow.source, giveaway, transport: flow.transport, at });
    }

    /// Credentials prove a challenge: was it captured?
    fn test_credentials(&mut self, seen: &Seen<'_>, method: Method) {
        if method == Method::Register {
            self.world.triggers.watch(seen.flow.destination.ip());
        }
        if !matches!(method, Method::Register | Method::Invite) {
            return;
        }
        if let Some(credentials) = seen.read.credentials() {
            if let Some(way) = self.registrations.as_sent(&seen.message, seen.flow) {
                self.scans.answers_challenge(way.source.ip(), seen.read.to().user);
            }
            let known = self.world.nonce(self.world.digester.bytes(credentials.nonce)).is_some();
            self.test_trigger(seen.flow.reversed(), known, seen);
        }
    }

    /// Counts a message that proves another one, which went along `flow`.
    fn test_trigger(&mut self, flow: Flow, was_seen: bool, by: &Seen<'_>) {
        let (source, destination, witness) = (flow.source.ip(), flow.destination.ip(), Witness::of(by.rank));
        if was_seen {
            self.world.triggers.note_seen(source, destination, witness, by.at.time);
        } else {
            self.world.triggers.note_unseen(source, destination, witness, by.at.time);
        }
    }

    /// Counts a response: its request was sent shortly before, unless the capture had not begun then.
    fn test_near_trigger(&mut self, flow: Flow, was_seen: bool, by: &Seen<'_>) {
        if self.started.is_some_and(|started| by.at.time.since(started) >= LONGEST_WAIT) {
            self.world.triggers.note_near(flow.source.ip(), flow.destination.ip(), was_seen, Witness::of(by.rank), by.at.time);
        }
    }

    fn count(&mut self, message: &Message<'_>, novelty: Novelty) {
        if novelty == Novelty::Retransmission {
            self.messages.retransmissions += 1;
            return;
        }
        match message.kind() {
            Kind::Request(method) => {
                if let Some(count) = self.messages.requests.get_mut(method as usize) {
                    *count += 1;
                }
            }
            Kind::Response(status) => {
                let index = if usize::from(status) < self.messages.responses.len() { usize::from(status) } else { 0 };
                if let Some(count) = self.messages.responses.get_mut(index) {
                    *count += 1;
                }
            }
        }
    }
}
