//! What becomes of an established call without a BYE: one end has forgotten it, its session ran out, or it is older than calls get
//! (DETECTION §5.2 to §5.4, §6.1, §6.4).

use crate::decode::flow::Flow;
use crate::sip::method::Method;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::absence::WATERMARK;
use crate::track::call::record::Beginning;
use crate::track::call::session::Side;
use crate::track::call::{Call, Calls, LINGER, LINGER_ENDED, PARTIAL_LIFE};
use crate::track::event::{Event, Sighting};
use crate::track::transaction::Transaction;
use crate::track::vocabulary::{EndedBy, Outcome};
use crate::track::world::{Seen, World};

/// How long the BYE of one side may still cross that of the other (DETECTION §6.1).
const CROSSING: Span = Span::from_secs(32);
/// How often an older call is looked at.
const AGE_EVERY: Span = Span::from_secs(1800);

/// An answer that says that the dialog is gone.
#[derive(Clone, Copy, Debug)]
pub struct Lost {
    /// The request that it answers.
    pub method: Method,
    /// When that was first sent.
    pub sent: Sighting,
    /// The way of the answer.
    pub flow: Flow,
    /// 481 or 408.
    pub status: u16,
    /// The answer.
    pub at: Sighting,
}

impl Calls {
    /// Handles the final response to a request inside a dialog.
    pub fn in_dialog_answered(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>, status: u16, request: &Transaction) {
        if let Some(call) = self.table.get_mut(handle).filter(|_| status < 300) {
            call.note_alive(call.sender(world, &seen.message).other());
        }
        match request.method {
            Method::Bye => self.bye_answered(world, handle, seen, status, request),
            _ if matches!(status, 408 | 481) => self.forgotten_by(world, handle, seen, status, request),
            Method::Refer if status < 300 => self.refer_accepted(world, handle, seen),
            Method::Invite | Method::Update => self.renegotiated(world, handle, seen, status, request),
            _ => {}
        }
    }

    /// Handles a request inside a dialog that waited in vain.
    pub fn in_dialog_unanswered(&mut self, world: &mut World, handle: Handle, request: &Transaction) {
        match request.method {
            Method::Bye => self.bye_unanswered(world, handle, request),
            Method::Cancel => self.cancel_unanswered(world, handle, request),
            Method::Invite | Method::Update => self.renegotiation_unanswered(world, handle, request),
            _ => {}
        }
    }

    /// Handles an answer that says that the dialog is gone, where nobody had hung up.
    fn forgotten_by(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>, status: u16, request: &Transaction) {
        let Some(call) = self.table.get_mut(handle) else { return };
        let concerns_dialog =
            matches!(request.method, Method::Invite | Method::Update | Method::Info | Method::Options | Method::Refer | Method::Message);
        if !concerns_dialog || call.is_over || call.lost.is_some() || !call.was_alive_at(world, seen) {
            return;
        }
        let lost = Lost { method: request.method, sent: request.first, flow: seen.flow, status, at: seen.at };
        call.lost = Some(Box::new(lost));
        world.tell(Event::DialogLost { call: handle, lost });
        self.rearm(handle);
    }

    /// Handles a BYE that was answered 481: one end has forgotten the call, unless its own BYE is on the way.
    pub(super) fn bye_refused(&mut self, world: &World, handle: Handle, seen: &Seen<'_>, bye: &Transaction) {
        let Some(call) = self.table.get_mut(handle) else { return };
        let gone_before = call.lost.is_some() || call.record.disconnected.is_some() || call.bye_crossed;
        if !call.is_over || !call.is_established() || gone_before || !call.was_alive_at(world, seen) {
            return;
        }
        call.lost = Some(Box::new(Lost { method: Method::Bye, sent: bye.first, flow: seen.flow, status: 481, at: seen.at }));
        self.table.set_deadline(handle, seen.at.time + CROSSING + WATERMARK);
    }

    /// Looks at a call whose time has come at `due`. Tells whether it goes on.
    pub(super) fn is_kept_up(&mut self, world: &mut World, handle: Handle, due: PacketTime) -> bool {
        let Some(call) = self.table.get_mut(handle) else { return true };
        if call.is_over {
            return self.conclude_refused_bye(world, handle, due);
        }
        if !call.is_established() || due >= call.life() {
            return false;
        }
        if let Some(lost) = call.lost.as_deref().copied().filter(|lost| due >= lost.at.time + CROSSING + WATERMARK) {
            self.end_unseen(world, handle, lost.at.time, "one end had forgotten the call");
        } else if call.session.silent_at().is_some_and(|silent| due >= silent + WATERMARK) {
            self.run_out(world, handle, due - WATERMARK);
        } else if call.next_age.is_some_and(|age| due >= age) {
            call.next_age = Some(due + pause(AGE_EVERY, due.since(call.activity.max(call.first.time))));
            if call.session.timer().is_none() && due.since(call.activity) >= AGE_EVERY {
                world.tell(Event::CallAged { call: handle, at: due });
            }
        }
        self.rearm(handle);
        true
    }

    fn conclude_refused_bye(&mut self, world: &mut World, handle: Handle, due: PacketTime) -> bool {
        let Some(call) = self.table.get_mut(handle) else { return true };
        let refused = call.lost.as_deref().copied().filter(|lost| lost.method == Method::Bye);
        let Some(lost) = refused.filter(|_| !std::mem::replace(&mut call.lost_told, true)) else {
            return false;
        };
        if !call.bye_crossed {
            world.tell(Event::DialogLost { call: handle, lost });
        }
        self.table.set_deadline(handle, due.max(lost.sent.time + LINGER_ENDED) + LINGER);
        true
    }

    /// Ends a call that was over at `end` without a BYE.
    pub(super) fn end_unseen(&mut self, world: &mut World, handle: Handle, end: PacketTime, why: &str) {
        let Some(call) = self.table.get_mut(handle) else { return };
        self.established -= usize::from(call.is_up());
        call.is_over = true;
        call.record.ended = Some(end);
        call.record.ended_by = Some(EndedBy::Timeout);
        call.record.end_reason = Some(why.into());
        call.record.completed = false;
        self.unseen_ends.push((handle, end));
        world.tell(Event::CallEnded { call: handle, at: Sighting { time: end, frame: 0 } });
    }

    /// Sets when an established call is looked at next.
    pub(super) fn rearm(&mut self, handle: Handle) {
        let Some(call) = self.table.get(handle).filter(|call| call.is_over || call.is_established()) else { return };
        let due = match call.record.ended {
            Some(ended) if call.is_over => ended + LINGER_ENDED,
            _ => call.next_look(),
        };
        self.table.set_deadline(handle, due);
    }
}

/// How long nobody looks at something that may stay as it is for ever: longer the longer it has, so that a leap of years takes no longer
/// than one of days.
pub(super) fn pause(least: Span, lasted: Span) -> Span {
    least.max(Span::from_nanos(lasted.as_nanos() / 16))
}

impl Call {
    /// When there is something to look at, apart from its BYE.
    fn next_look(&self) -> PacketTime {
        let lost = self.lost.as_ref().map(|lost| lost.at.time + CROSSING + WATERMARK);
        let silent = self.session.silent_at().map(|silent| silent + WATERMARK);
        [lost, silent, self.next_age].into_iter().flatten().fold(self.life(), PacketTime::min)
    }

    /// Until when a call is kept of which only a part is seen.
    fn life(&self) -> PacketTime {
        if self.record.beginning == Beginning::Missed { self.first.time + PARTIAL_LIFE } else { PacketTime::MAX }
    }

    fn is_established(&self) -> bool {
        self.record.beginning == Beginning::Missed || self.record.outcome == Some(Outcome::Answered)
    }

    /// Takes note that the dialog was answered; when it is older than `max_age` it is looked at.
    pub(super) fn note_answered(&mut self, max_age: Span, at: PacketTime) {
        self.next_age = Some(at + max_age);
        self.note_alive(Side::Caller);
        self.note_alive(Side::Callee);
    }

    /// Takes note that `side` knows the dialog.
    pub(super) fn note_alive(&mut self, side: Side) {
        self.alive[side as usize] = true;
    }

    /// Whether the sender of the response `seen` had known the dialog, so that it has lost it. The dialog of a fork that lost is none.
    fn was_alive_at(&self, world: &World, seen: &Seen<'_>) -> bool {
        let answerer = self.sender(world, &seen.message).other();
        let scans = world.peers.scans(seen.flow.source.ip()) || world.peers.scans(seen.flow.destination.ip());
        self.alive[answerer as usize] && !self.is_forks(world, seen) && !scans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centuries_pass_in_few_looks() {
        let (mut lasted, mut looks) = (Span::ZERO, 0);
        while lasted < Span::from_secs(290 * 366 * 86_400) {
            lasted = lasted + pause(AGE_EVERY, lasted);
            looks += 1;
        }
        assert!(looks < 300, "{looks}");
        assert_eq!(pause(AGE_EVERY, Span::from_secs(8 * 3600)), AGE_EVERY);
    }
}
