//! Requests that nobody answers, as far as the capture shows.

use crate::decode::flow::Flow;
use crate::sip::method::Method;
use crate::time::{PacketTime, Span};
use crate::track::absence::is_heard;
use crate::track::event::Sighting;
use crate::track::world::World;

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

impl World {
    /// Whether a request was sent so seldom that its sender must have heard something that the capture did not: over UDP who hears nothing
    /// sends a request again, and again, unless an ICMP error tells that it is no use (RFC 3261 §17.1, DETECTION §1.3).
    pub fn is_heard(&self, request: &Unanswered) -> bool {
        is_heard(request.flow.transport, request.transmissions) && !self.unreached.since(request.flow, request.first.time)
    }
}
