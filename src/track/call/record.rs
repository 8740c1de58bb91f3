//! What is kept of a call, while it lasts and afterwards.

use std::net::SocketAddr;

use crate::time::{PacketTime, Span};
use crate::track::vocabulary::{CallState, EndedBy, Outcome};

/// Whether the beginning of a call was captured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Beginning {
    /// The initial INVITE was.
    Captured,
    /// The call was there before the capture (DETECTION §0.5).
    Missed,
}

/// The facts of one call attempt or leg.
#[derive(Clone, Debug)]
pub struct CallRecord {
    /// The Call-ID; cut after 255 bytes.
    pub call_id: Box<str>,
    /// User of the caller.
    pub from: Box<str>,
    /// User of the called side.
    pub to: Box<str>,
    /// `user@host` of the called side, lower-case host.
    pub to_aor: Box<str>,
    /// Who sent the first INVITE seen.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// The callee's end of the last hop, where a proxy passed the INVITE on.
    pub passed_on_to: Option<SocketAddr>,
    /// Whether a 3xx sent the caller elsewhere, and it went there.
    pub forwarded: bool,
    /// The first packet of the call.
    pub started: PacketTime,
    /// Its frame.
    pub first_frame: u64,
    /// Whether that was its INVITE.
    pub beginning: Beginning,
    /// The first response that is neither 100 nor a challenge.
    pub progress: Option<PacketTime>,
    /// The first moment at which the caller heard something: 180, 18x with SDP, or 2xx.
    pub audible: Option<PacketTime>,
    /// The first 180, 181, 182 or 183.
    pub rang: Option<PacketTime>,
    /// The final response to the INVITE, or its CANCEL.
    pub ring_ended: Option<PacketTime>,
    /// The 2xx.
    pub answered: Option<PacketTime>,
    /// What ended it: the first BYE, the failure, the deadline.
    pub ended: Option<PacketTime>,
    /// The 2xx to the BYE, for the disconnect delay.
    pub disconnected: Option<PacketTime>,
    /// When the side that sent BYE gave up waiting for its answer.
    pub gave_up: Option<PacketTime>,
    /// The outcome, once it is settled.
    pub outcome: Option<Outcome>,
    /// The last final status of the attempt; 0 without one.
    pub status: u16,
    /// Who began the end.
    pub ended_by: Option<EndedBy>,
    /// Text of a Reason, or our own words.
    pub end_reason: Option<Box<str>>,
    /// Call-IDs of the other legs of the same call.
    pub linked: Vec<Box<str>>,
    /// Since when it is known to be up although its other leg has ended.
    pub left_up: Option<PacketTime>,
    /// Whether a request in the dialog, or the 2xx itself, failed for lack of a response.
    pub completed: bool,
}

impl CallRecord {
    /// First INVITE to the first response that is neither 100 nor a challenge (RFC 6076 §4.3).
    pub fn setup(&self) -> Option<Span> {
        (self.beginning == Beginning::Captured).then(|| self.progress.map(|at| at.since(self.started)))?
    }

    /// First ringing to final response or CANCEL.
    pub fn ring(&self) -> Option<Span> {
        Some(self.ring_ended?.since(self.rang?))
    }

    /// BYE to its 2xx (RFC 6076 §4.4).
    pub fn disconnect(&self) -> Option<Span> {
        Some(self.disconnected?.since(self.ended?))
    }

    /// 2xx to BYE, or to when the wait for its answer was given up (RFC 6076 §4.5).
    pub fn duration(&self) -> Option<Span> {
        Some(self.gave_up.or(self.ended)?.since(self.answered?))
    }

    /// 2xx to BYE.
    pub fn talk(&self) -> Option<Span> {
        Some(self.ended?.since(self.answered?))
    }

    /// Where the call stands.
    pub fn state(&self) -> CallState {
        match (self.answered, self.ended, self.rang) {
            (_, Some(_), _) => CallState::Ended,
            (Some(_), None, _) => CallState::Established,
            (None, None, Some(_)) => CallState::Ringing,
            (None, None, None) if self.beginning == Beginning::Missed => CallState::Established,
            (None, None, None) => CallState::Setup,
        }
    }
}
