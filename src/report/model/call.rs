//! Calls of the report: one per attempt and B2BUA leg.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::values::address;
use super::{Seconds, Stamp};
use crate::time::PacketTime;
use crate::track::vocabulary::{CallState, Direction, EndedBy, Outcome};

/// One attempt, or one leg of a B2BUA; the hops of a proxy are one entry.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CallEntry {
    /// When it was first seen, also where it began before the capture; orders the list, not printed.
    #[serde(skip)]
    pub first_seen: PacketTime,
    /// The frame of that, not printed: it differs between captures of the same call.
    #[serde(skip)]
    pub first_frame: u64,
    /// The callee's end of the last hop where a proxy passed the call on, of several that of who answered. Not printed.
    #[serde(skip)]
    pub passed_on_to: Option<SocketAddr>,
    /// The same call at each place that a proxy sent it to, where they were several. Not printed.
    #[serde(skip)]
    pub forks: Vec<Self>,
    /// Whether a 3xx sent the caller elsewhere, and it went there. Not printed.
    #[serde(skip)]
    pub forwarded: bool,
    /// Whether a scanner made it. Not printed.
    #[serde(skip)]
    pub by_scanner: bool,
    /// The Call-ID as on the wire.
    pub call_id: String,
    /// User part of the caller.
    pub from: Option<String>,
    /// User part of the called party, as dialled.
    pub to: Option<String>,
    /// The originator's address, at the outermost hop.
    #[serde(serialize_with = "address")]
    #[schemars(with = "SocketAddr")]
    pub source: SocketAddr,
    /// Where the first INVITE went.
    #[serde(serialize_with = "address")]
    #[schemars(with = "SocketAddr")]
    pub destination: SocketAddr,
    /// Which way it goes, seen from the PBX.
    pub direction: Direction,
    /// The first INVITE of the attempt.
    pub started: Option<Stamp>,
    /// The 2xx to the INVITE.
    pub answered: Option<Stamp>,
    /// The end of the attempt or of the call.
    pub ended: Option<Stamp>,
    /// Whether it began before the capture did; the outcome is then unknown.
    pub partial: bool,
    /// How the attempt came out.
    pub outcome: Outcome,
    /// Last final status seen for the attempt.
    pub status: Option<u16>,
    /// Where the call stands.
    pub state: CallState,
    /// First INVITE to the first response that is neither 100 nor a challenge (RFC 6076 §4.3).
    pub setup_s: Option<Seconds>,
    /// First 180 to 183 to the final response or CANCEL; `None` if it never rang.
    pub ring_s: Option<Seconds>,
    /// 2xx to the first BYE; `None` if not answered or no BYE was seen.
    pub talk_s: Option<Seconds>,
    /// Who began the end, seen through linked legs.
    pub ended_by: Option<EndedBy>,
    /// Text of the Reason header or hang-up cause, or our own words.
    pub end_reason: Option<String>,
    /// Call-IDs of the other legs of the same call.
    pub linked: Vec<String>,
    /// How long a leg stayed up after the call was over.
    pub overbilled_s: Option<Seconds>,
}

impl CallEntry {
    /// Brings its lists into their order.
    pub(in crate::report) fn sort(&mut self) {
        self.linked.sort_unstable();
    }

    pub(super) fn order(&self) -> impl Ord {
        (self.first_seen, self.call_id.as_str(), self.source, self.destination)
    }
}
