//! Session timers and renegotiations of established calls: who must refresh a call and by when, and what became of it
//! (RFC 4028, DETECTION §5.1, §5.2).

use crate::decode::flow::Flow;
use crate::sip::headers::Refresher;
use crate::sip::message::Message;
use crate::sip::method::Method;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::call::dialog::GIVE_UP;
use crate::track::call::{Call, Calls};
use crate::track::event::{Event, Sighting, Unanswered};
use crate::track::transaction::Transaction;
use crate::track::vocabulary::Confidence;
use crate::track::world::{Seen, World};

/// How long before the end of a session the side that does not refresh it hangs up, at most (RFC 4028 §10).
const HANG_UP_BEFORE: Span = Span::from_secs(32);
/// How far from there, or from the end of the session, a BYE may lie that a timer sent (DETECTION §5.1).
const NEAR: Span = Span::from_secs(5);
/// How long after the end of a session its silence says that the call is gone (DETECTION §5.4).
pub(super) const SILENT: Span = Span::from_secs(32);

/// An end of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// Sent the INVITE.
    Caller,
    /// Received it.
    Callee,
}

impl Side {
    /// The opposite end.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

/// A running session timer.
#[derive(Clone, Copy, Debug)]
pub struct Timer {
    /// The 2xx that set it.
    pub set: Sighting,
    /// Session-Expires.
    pub interval: Span,
    /// Who must refresh.
    pub refresher: Side,
    /// The way of its refreshes.
    pub flow: Flow,
}

impl Timer {
    /// Reads the 2xx `seen` to an INVITE or UPDATE that `sender` sent along `request`. Without Session-Expires no timer runs.
    pub(super) fn of(message: &Message<'_>, at: Sighting, request: Flow, sender: Side) -> Option<Self> {
        let session = message.session_expires().filter(|session| session.seconds > 0)?;
        let refreshes = session.refresher != Some(Refresher::Uas);
        let (refresher, flow) = if refreshes { (sender, request) } else { (sender.other(), request.reversed()) };
        Some(Self { set: at, interval: Span::from_secs(i64::from(session.seconds)), refresher, flow })
    }

    /// When the side that does not refresh hangs up (RFC 4028 §10).
    pub fn hang_up(&self) -> PacketTime {
        let early = Span::from_nanos(self.interval.as_nanos() / 3);
        self.expiry() - early.min(HANG_UP_BEFORE)
    }

    /// When the session ends.
    pub fn expiry(&self) -> PacketTime {
        self.set.time + self.interval
    }

    /// Whether a BYE of `by` at `at` is what this timer brings about.
    fn sent(&self, by: Side, at: PacketTime) -> bool {
        let near = |time: PacketTime| (at - time).abs() <= NEAR;
        near(self.expiry()) || (by != self.refresher && near(self.hang_up()))
    }
}

/// A refresh or renegotiation that came to nothing.
#[derive(Clone, Copy, Debug)]
pub enum Failure {
    /// It was never answered.
    Unanswered(Unanswered),
    /// It was refused.
    Refused {
        /// The status.
        status: u16,
        /// The answer.
        at: Sighting,
    },
}

/// A call that ended, or is about to, because its session was not refreshed or a renegotiation went unanswered.
#[derive(Clone, Copy, Debug)]
pub struct Lapse {
    /// The call.
    pub call: Handle,
    /// The timer, if one ran.
    pub timer: Option<Timer>,
    /// What was tried in vain.
    pub failure: Option<Failure>,
    /// The BYE; frame 0 where there is none.
    pub at: Sighting,
    /// How sure it is: a renegotiation that goes unanswered does not end a call by itself.
    pub confidence: Confidence,
}

/// A renegotiation that waits for its answer.
#[derive(Clone, Copy, Debug)]
struct Pending {
    transaction: Handle,
    cseq: u32,
    by: Side,
}

/// The timer of a call and what was tried since it was set.
#[derive(Debug, Default)]
pub(super) struct Session {
    timer: Option<Box<Timer>>,
    pending: Option<Pending>,
    failure: Option<Box<(Failure, Side)>>,
}

impl Session {
    /// Takes what a 2xx to INVITE or UPDATE says.
    pub(super) fn set(&mut self, timer: Option<Timer>) {
        *self = Self { timer: timer.map(Box::new), ..Self::default() };
    }

    /// The timer that runs.
    pub(super) fn timer(&self) -> Option<Timer> {
        self.timer.as_deref().copied()
    }

    /// Whether a renegotiation was tried since, and has not come to anything.
    pub(super) fn is_tried(&self) -> bool {
        self.pending.is_some() || self.failure.is_some()
    }

    /// With what the last renegotiation was refused, if that was just before `at`.
    pub(super) fn refused_before(&self, at: PacketTime) -> Option<u16> {
        match self.failure.as_deref()?.0 {
            Failure::Refused { status, at: refused } if at.since(refused.time) <= NEAR => Some(status),
            _ => None,
        }
    }

    /// When the timer has run out in silence.
    pub(super) fn silent_at(&self) -> Option<PacketTime> {
        Some(self.timer.as_ref()?.expiry() + SILENT)
    }
}

impl Calls {
    /// Takes note of a request inside a dialog, if it renegotiates the session.
    pub fn renegotiates(&mut self, world: &World, handle: Handle, seen: &Seen<'_>, transaction: Handle) {
        let Some(call) = self.table.get_mut(handle).filter(|_| matches!(seen.message.method(), Method::Invite | Method::Update)) else {
            return;
        };
        let cseq = seen.message.cseq().map_or(0, |cseq| cseq.number);
        let by = call.sender(world, &seen.message);
        // A proxy passes it on: it is watched at its first hop.
        if call.session.pending.is_none_or(|pending| (pending.cseq, pending.by) != (cseq, by)) {
            call.session.pending = Some(Pending { transaction, cseq, by });
        }
    }

    /// Handles the final response to a request inside a dialog that renegotiates the session.
    pub(super) fn renegotiated(&mut self, world: &World, handle: Handle, seen: &Seen<'_>, status: u16, request: &Transaction) {
        let Some(call) = self.table.get_mut(handle) else { return };
        let by = call.sender(world, &seen.message);
        match status {
            200..=299 => {
                call.session.set(Timer::of(&seen.message, seen.at, request.flow, by));
                self.rearm(handle);
            }
            // Asked for credentials, or for another interval (RFC 4028 §6), it is tried again; so it is after a 491, or else that was the end.
            401 | 407 | 422 => call.session.pending = None,
            _ => {
                call.session.pending = None;
                call.session.failure = Some(Box::new((Failure::Refused { status, at: seen.at }, by)));
            }
        }
    }

    /// Handles a 2xx to a request inside a dialog that was not captured: both sides know the call, and what they agreed on holds.
    pub(in crate::track) fn agreed_unseen(&mut self, world: &World, seen: &Seen<'_>) {
        let Some(handle) = self.call_of(world, seen) else { return };
        let Some(call) = self.table.get_mut(handle).filter(|call| !call.is_over && !call.is_forks(world, seen)) else { return };
        let Some(answer) = call.answer else { return };
        let (method, by) = (seen.message.method(), call.sender(world, &seen.message));
        let is_later = by == Side::Callee || seen.message.cseq().is_some_and(|cseq| cseq.number > answer.cseq);
        if !is_later {
            return;
        }
        call.activity = seen.at.time;
        call.note_alive(Side::Caller);
        call.note_alive(Side::Callee);
        if matches!(method, Method::Invite | Method::Update) {
            call.session.set(Timer::of(&seen.message, seen.at, seen.flow.reversed(), by));
            self.rearm(handle);
        }
    }

    /// Handles a renegotiation that waited in vain.
    pub(super) fn renegotiation_unanswered(&mut self, world: &mut World, handle: Handle, request: &Transaction) {
        let request = request.unanswered();
        let visible = world.would_see_answer(request.flow, request.first.time, request.deadline);
        let Some(call) = self.table.get_mut(handle).filter(|call| visible && !call.is_over) else { return };
        let Some(pending) = call.session.pending.take() else { return };
        let failure = Failure::Unanswered(request);
        call.session.failure = Some(Box::new((failure, pending.by)));
        if let Some(timer) = call.session.timer() {
            let at = Sighting { time: request.deadline, frame: 0 };
            let lapse = Lapse { call: handle, timer: Some(timer), failure: Some(failure), at, confidence: Confidence::Suspected };
            world.tell(Event::SessionLapsed(lapse));
        }
    }

    /// What a BYE of `by` at `at` says of the session. A leg that follows its partner into the end has no story of its own.
    pub(super) fn lapse(&self, world: &World, handle: Handle, by: Side, at: Sighting) -> Option<Lapse> {
        let call = self.table.get(handle)?;
        if self.partners(handle).any(|(_, partner)| partner.record.answered.is_some() && partner.record.ended.is_some()) {
            return None;
        }
        let session = &call.session;
        let lapse = |failure| Lapse { call: handle, timer: session.timer(), failure, at, confidence: Confidence::Confirmed };
        if let Some(request) = session.given_up(world, by, at.time)
            && world.would_see_answer(request.flow, request.first.time, at.time)
        {
            return Some(lapse(Some(Failure::Unanswered(request))));
        }
        let timer = session.timer().filter(|timer| timer.sent(by, at.time))?;
        let visible = world.absence.could_see(timer.flow, timer.set.time, at.time, &world.flows, &world.peers);
        visible.then(|| lapse(session.failure.as_ref().map(|tried| tried.0)))
    }

    /// Ends a call whose session ran out in silence by `now`; nothing was seen in it since.
    pub(super) fn run_out(&mut self, world: &mut World, handle: Handle, now: PacketTime) {
        let Some(call) = self.table.get_mut(handle) else { return };
        let Some(timer) = call.session.timer.take() else { return };
        let both = [timer.flow, timer.flow.reversed()];
        let visible = both.into_iter().all(|flow| world.absence.could_see(flow, timer.set.time, now, &world.flows, &world.peers));
        if !visible || call.activity >= timer.expiry() {
            return;
        }
        let at = Sighting { time: now, frame: 0 };
        let failure = call.session.failure.as_ref().map(|tried| tried.0);
        world.tell(Event::SessionLapsed(Lapse { call: handle, timer: Some(*timer), failure, at, confidence: Confidence::Confirmed }));
        self.end_unseen(world, handle, timer.expiry(), "session timer ran out");
    }
}

impl Session {
    /// The request that `by` gave up at `at` because nobody answered it, so that it hung up.
    fn given_up(&self, world: &World, by: Side, at: PacketTime) -> Option<Unanswered> {
        let waiting = self.pending.filter(|pending| pending.by == by).and_then(|pending| {
            let transaction = world.transactions.get(pending.transaction)?;
            transaction.answered.is_none().then(|| transaction.unanswered())
        });
        let failed = match self.failure.as_deref().copied() {
            Some((Failure::Unanswered(request), side)) if side == by => Some(request),
            _ => None,
        };
        waiting.or(failed).filter(|request| at >= request.deadline - GIVE_UP.0 && at <= request.deadline + GIVE_UP.1)
    }
}

impl Call {
    /// The side that sent a request, or the request that a response answers.
    pub(super) fn sender(&self, world: &World, message: &Message<'_>) -> Side {
        if self.is_callers(world, message) { Side::Caller } else { Side::Callee }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::flow::Transport;
    use crate::sip::scan::{Context, scan};

    fn flow() -> Flow {
        Flow { transport: Transport::Udp, source: "198.51.100.7:40001".parse().unwrap(), destination: "203.0.113.10:5060".parse().unwrap() }
    }

    fn at(seconds: i64) -> PacketTime {
        PacketTime::from_parts(seconds, 0)
    }

    /// The timer of a 2xx at second 0 with these headers, to a request of the caller.
    fn timer(headers: &str) -> Option<Timer> {
        let text = format!("SIP/2.0 200 OK\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n{headers}\r\n");
        let found = scan(text.as_bytes(), Context::Datagram).expect("is a message");
        Timer::of(&Message::new(text.as_bytes(), &found), Sighting { time: at(0), frame: 1 }, flow(), Side::Caller)
    }

    #[test]
    fn the_2xx_says_who_refreshes_and_by_when() {
        let caller = timer("Session-Expires: 1800;refresher=uac\r\n").expect("a timer runs");
        assert_eq!((caller.refresher, caller.flow, caller.hang_up(), caller.expiry()), (Side::Caller, flow(), at(1768), at(1800)));
        let callee = timer("x: 90;refresher=uas\r\n").expect("a timer runs");
        assert_eq!((callee.refresher, callee.flow, callee.hang_up(), callee.expiry()), (Side::Callee, flow().reversed(), at(60), at(90)));
        assert_eq!(timer("Session-Expires: 600\r\n").map(|timer| (timer.refresher, timer.hang_up())), Some((Side::Caller, at(568))));
    }

    #[test]
    fn without_an_interval_no_timer_runs() {
        assert!(timer("Supported: timer\r\n").is_none());
        assert!(timer("Session-Expires: 0;refresher=uac\r\n").is_none());
        assert!(timer("Session-Expires: soon\r\n").is_none());
    }

    #[test]
    fn only_a_bye_near_the_end_of_the_session_is_the_timers() {
        let timer = timer("Session-Expires: 1800;refresher=uac\r\n").expect("a timer runs");
        for (by, seconds, expected) in [
            (Side::Callee, 1768, true),
            (Side::Callee, 1763, true),
            (Side::Callee, 1774, false),
            (Side::Caller, 1768, false),
            (Side::Caller, 1800, true),
            (Side::Callee, 1805, true),
            (Side::Callee, 900, false),
        ] {
            assert_eq!(timer.sent(by, at(seconds)), expected, "{by:?} at {seconds} s");
        }
    }
}
