//! What is known of a call at any moment.

use crate::decode::flow::Flow;
use crate::sip::message::Message;
use crate::table::Rank;
use crate::time::PacketTime;
use crate::track::call::forks::{Branch, Forks};
use crate::track::call::outcome::{Cancelled, Credentials, Facts, blame, is_retryable, outcome};
use crate::track::call::record::{Beginning, CallRecord, CallView};
use crate::track::call::session::{Session, Timer};
use crate::track::call::setup::Passes;
use crate::track::call::{Call, LegPlaces, parties, tag_hash};
use crate::track::vocabulary::Outcome;
use crate::track::world::{Seen, World, aor_text, text, user_text};

impl Call {
    pub(super) fn new(world: &World, seen: &Seen<'_>, beginning: Beginning) -> Self {
        let message = &seen.message;
        let (from, to) = (seen.read.from(), seen.read.to());
        let record = CallRecord {
            call_id: text(message.call_id()),
            from: user_text(from.user),
            to: user_text(if to.user.is_empty() { to.host } else { to.user }),
            source: seen.flow.source,
            destination: seen.flow.destination,
            passed_on_to: None,
            forwarded: false,
            started: seen.at.time,
            first_frame: seen.at.frame,
            beginning,
            progress: None,
            rang: None,
            ring_ended: None,
            answered: None,
            ended: None,
            disconnected: None,
            gave_up: None,
            outcome: None,
            status: 0,
            ended_by: None,
            end_reason: None,
            linked: Vec::new(),
            forks: (),
            left_up: None,
            completed: true,
        };
        let parties = parties::keys(world, &record.from, &record.to);
        Self {
            record,
            to_aor: aor_text(to.user, to.host),
            audible: None,
            phones: [None; 2],
            transport: seen.flow.transport,
            first: seen.at,
            answer: None,
            further: None,
            acked: 0,
            ack: None,
            transmissions: 0,
            private_media: false,
            reliable: None,
            passes: Passes::first(message),
            vias: message.via_count(),
            cseq: message.cseq().map_or(0, |cseq| cseq.number),
            caller_tag: tag_hash(world, message.from_tag()),
            nonce: None,
            credentials: Credentials::None,
            cancelled: Cancelled::No,
            cause: None,
            final_at: None,
            bye: None,
            is_bye_missed: false,
            bye_crossed: false,
            session: Session::default(),
            lost: None,
            lost_told: false,
            alive: [false; 2],
            next_age: None,
            ack_suspected: false,
            is_over: false,
            activity: PacketTime::MIN,
            ring_min: world.thresholds.ring_min,
            is_referred: false,
            is_strangers: seen.rank <= Rank::Unanswered,
            partners: Vec::new(),
            legs: LegPlaces::default(),
            parties,
            place: None,
        }
    }

    /// What is known of the attempt now.
    pub fn facts(&self) -> Facts {
        Facts {
            answered: self.answer.is_some(),
            status: self.record.status,
            ring: self.record.ring(),
            ring_min: self.ring_min,
            progressed: self.record.progress.is_some_and(|at| self.final_at.is_none_or(|end| at < end.time)),
            cancelled: self.cancelled,
            credentials: self.credentials,
            cause: self.cause,
        }
    }

    /// The outcome if the capture ended now: what is settled, what the facts already decide, or unknown (DETECTION §0.1-4).
    pub fn outcome_at_end(&self) -> Outcome {
        if let Some(outcome) = self.record.outcome {
            return outcome;
        }
        let waits_for_credentials = self.was_challenged() && self.credentials != Credentials::Fresh;
        if self.final_at.is_none() || waits_for_credentials { Outcome::Unknown } else { outcome(&self.facts()) }
    }

    /// The record if the capture ended now: an attempt that the facts decide is over.
    pub fn record_at_end(&self) -> CallView<'_> {
        let view = CallRecord { forks: Forks::Held(self.forks()), ..self.record.view() };
        match (self.record.outcome, self.outcome_at_end()) {
            (None, outcome) if !matches!(outcome, Outcome::Unknown | Outcome::Answered) => CallRecord {
                ended: view.ended.or_else(|| self.final_at.map(|at| at.time)),
                ended_by: view.ended_by.or_else(|| blame(outcome, self.further.is_some())),
                ..view
            },
            _ => view,
        }
    }

    /// The places that a proxy sent it to, if they are several.
    pub(super) fn forks(&self) -> &[Branch] {
        self.further.as_ref().map_or(&[], |further| further.forks())
    }

    pub(super) fn was_challenged(&self) -> bool {
        matches!(self.record.status, 401 | 407)
    }

    /// Whether it is neither over nor refused nor given up.
    pub fn is_open(&self) -> bool {
        let is_refused = self.final_at.is_some() && !is_retryable(self.record.status);
        !self.is_over && (self.answer.is_some() || (!is_refused && self.cancelled == Cancelled::No))
    }

    /// Whether a 2xx answered it.
    pub fn is_answered(&self) -> bool {
        self.record.answered.is_some()
    }

    /// Whether the 2xx was acknowledged.
    pub fn is_acked(&self) -> bool {
        self.answer.is_none_or(|answer| self.acked >= answer.cseq)
    }

    /// Whether nothing more is to be said of it.
    pub(super) fn is_done(&self) -> bool {
        self.is_over && (self.record.outcome.is_some() || self.record.beginning == Beginning::Missed)
    }

    /// Whether a 2xx must have been sent, captured or not: it was acknowledged, or the call was hung up.
    pub(super) fn is_known_to_be_answered(&self) -> bool {
        self.acked > 0 || self.bye.is_some()
    }

    /// The session timer that runs.
    pub fn timer(&self) -> Option<Timer> {
        self.session.timer()
    }

    /// Whether a refresh of the session that runs was tried, and has not come to anything.
    pub fn is_refresh_tried(&self) -> bool {
        self.session.is_tried()
    }

    /// The way of its first INVITE.
    pub fn flow(&self) -> Flow {
        Flow { transport: self.transport, source: self.record.source, destination: self.record.destination }
    }

    /// Whether the call is answered and not ended.
    pub fn is_up(&self) -> bool {
        self.record.answered.is_some() && self.record.ended.is_none()
    }

    /// The Q.850 cause that the answer or the end named.
    pub fn cause(&self) -> Option<u16> {
        self.cause
    }

    pub(super) fn is_callers(&self, world: &World, message: &Message<'_>) -> bool {
        tag_hash(world, message.from_tag()) == self.caller_tag
    }
}
