//! Requests that nobody answers, as far as the capture shows.

use crate::decode::flow::{Flow, Transport};
use crate::sip::method::Method;
use crate::time::{PacketTime, Span};
use crate::track::event::Sighting;

/// Transmissions that show that the sender heard nothing (DETECTION §1.3).
const UNHEARD: u16 = 3;

/// A request that the capture proves to be unanswered.
#[derive(Clone, Copy, Debug)]
pub struct Unanswered {
    /// The request's way.
    pub flow: Flow,
    /// The method.
    pub method: Method,
    /// First transmission.
    pub first: Sighting,
    /// Last transmission.
    pub last: Sighting,
    /// Bytes of the request.
    pub size: u32,
    /// How often it was sent.
    pub transmissions: u16,
    /// 64·T1, with T1 as inferred from the first repeat.
    pub patience: Span,
    /// When patience ran out.
    pub deadline: PacketTime,
}

impl Unanswered {
    /// Whether it was sent so seldom that its sender must have heard something that the capture did not: over UDP who hears nothing sends
    /// a request again, and again (RFC 3261 §17.1, DETECTION §1.3).
    pub fn is_heard(&self) -> bool {
        self.flow.transport == Transport::Udp && self.transmissions < UNHEARD
    }
}
