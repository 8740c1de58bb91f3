//! What is kept of a call, while it lasts and afterwards.

use std::net::SocketAddr;

use crate::decode::flow::{Flow, Transport};
use crate::time::{PacketTime, Span};
use crate::track::call::forks::Forks;
use crate::track::call::packed::Texts;
use crate::track::peers::Peers;
use crate::track::vocabulary::{CallState, Direction, EndedBy, Outcome};

/// Whether the beginning of a call was captured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Beginning {
    /// The initial INVITE was.
    Captured,
    /// The call was there before the capture (DETECTION §0.5).
    Missed,
}

/// The facts of one call attempt or leg. The texts of a call in progress are its own, those of a [`CallView`] are where they are kept.
#[derive(Clone, Copy, Debug)]
pub struct CallRecord<Text = Box<str>, Others = Vec<Box<str>>, Places = ()> {
    /// The Call-ID; cut after 255 bytes.
    pub call_id: Text,
    /// User of the caller.
    pub from: Text,
    /// User of the called side.
    pub to: Text,
    /// Who sent the first INVITE seen.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// The callee's end of the last hop, where a proxy passed the INVITE on: of several that of who answered, or else the last one.
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
    /// The first 180, 181, 182 or 183.
    pub rang: Option<PacketTime>,
    /// The final response to the INVITE, or its CANCEL.
    pub ring_ended: Option<PacketTime>,
    /// The 2xx.
    pub answered: Option<PacketTime>,
    /// What ended it: the first BYE, or its answer where it was not captured, the failure, the deadline.
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
    pub end_reason: Option<Text>,
    /// Call-IDs of the other legs of the same call.
    pub linked: Others,
    /// The places that a proxy sent the INVITE to, if they were several; those of a call in progress are not in its record.
    pub forks: Places,
    /// Since when it is known to be up although its other leg has ended.
    pub left_up: Option<PacketTime>,
    /// Whether a request in the dialog, or the 2xx itself, failed for lack of a response.
    pub completed: bool,
}

/// A record that is looked at, wherever it is kept.
pub type CallView<'a> = CallRecord<&'a str, Linked<'a>, Forks<'a>>;

/// The Call-IDs of the other legs of a call.
#[derive(Clone, Copy, Debug)]
pub enum Linked<'a> {
    /// Of a call in progress.
    Held(&'a [Box<str>]),
    /// Of a finished one.
    Packed(Texts<'a>),
}

impl<'a> Linked<'a> {
    /// Whether the call has no other legs.
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    /// The Call-IDs, in the order in which the legs were found.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        let (held, packed) = match self {
            Self::Held(held) => (held, Texts::default()),
            Self::Packed(packed) => (&[][..], packed),
        };
        held.iter().map(|call_id| &**call_id).chain(packed)
    }
}

impl CallRecord {
    /// Which way the call goes.
    pub fn direction(&self, peers: &Peers) -> Direction {
        self.way(peers, !self.linked.is_empty())
    }

    /// The record without the texts themselves, and without forks.
    pub fn view(&self) -> CallView<'_> {
        CallRecord {
            call_id: &self.call_id,
            from: &self.from,
            to: &self.to,
            end_reason: self.end_reason.as_deref(),
            linked: Linked::Held(&self.linked),
            forks: Forks::NONE,
            source: self.source,
            destination: self.destination,
            passed_on_to: self.passed_on_to,
            forwarded: self.forwarded,
            started: self.started,
            first_frame: self.first_frame,
            beginning: self.beginning,
            progress: self.progress,
            rang: self.rang,
            ring_ended: self.ring_ended,
            answered: self.answered,
            ended: self.ended,
            disconnected: self.disconnected,
            gave_up: self.gave_up,
            outcome: self.outcome,
            status: self.status,
            ended_by: self.ended_by,
            left_up: self.left_up,
            completed: self.completed,
        }
    }
}

impl CallView<'_> {
    /// Which way the call goes.
    pub fn direction(&self, peers: &Peers) -> Direction {
        self.way(peers, !self.linked.is_empty())
    }
}

impl<Text, Others, Places> CallRecord<Text, Others, Places> {
    /// Which way a call goes that is linked or not. Where a proxy stands in front of the PBX, the first hop may be between the two or short of
    /// both: then the last one tells. A gateway on the host of the PBX calls there too, but for nobody else.
    fn way(&self, peers: &Peers, is_linked: bool) -> Direction {
        let first = peers.direction(Flow { transport: Transport::Udp, source: self.source, destination: self.destination });
        let Some(last) = self.passed_on_to.filter(|_| first == Direction::Through || (first == Direction::In && is_linked)) else {
            return first;
        };
        match (peers.is_pbx_ip(self.source.ip()), peers.is_pbx_ip(last.ip())) {
            (true, false) => Direction::Out,
            (false, true) => Direction::In,
            _ => first,
        }
    }

    /// First INVITE to the first response that is neither 100 nor a challenge (RFC 6076 §4.3).
    pub fn setup(&self) -> Option<Span> {
        (self.beginning == Beginning::Captured).then(|| self.progress.map(|at| at.since(self.started)))?
    }

    /// First ringing to final response or CANCEL.
    pub fn ring(&self) -> Option<Span> {
        Some(self.ring_ended?.since(self.rang?))
    }

    /// BYE to its 2xx (RFC 6076 §4.4); `None` where the BYE was not captured, so that the 2xx stands for it.
    pub fn disconnect(&self) -> Option<Span> {
        Some(self.disconnected?.since(self.ended?)).filter(|delay| *delay > Span::ZERO)
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
