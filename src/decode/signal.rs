//! What is seen of a flow beside SIP messages: keep-alives, connection ends, refusals, losses, holes.

use crate::decode::flow::Flow;
use crate::time::{PacketTime, Span};

/// The bytes of a keep-alive (DETECTION §2.3); what SIP methods do for the same purpose is told apart later.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum KeepaliveKind {
    /// A UDP datagram without payload.
    Zero,
    /// A single CRLF: the pong of RFC 5626, or chan_sip's ping.
    Crlf,
    /// CRLF CRLF: the ping of RFC 5626.
    CrlfCrlf,
    /// Four NUL bytes: nathelper of Kamailio and OpenSIPS.
    Nul4,
    /// One to eight bytes of anything else.
    Short,
    /// STUN, RFC 5389 or classic.
    Stun,
}

impl KeepaliveKind {
    /// The name in reports and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zero => "zero",
            Self::Crlf => "crlf",
            Self::CrlfCrlf => "crlfcrlf",
            Self::Nul4 => "nul4",
            Self::Short => "short",
            Self::Stun => "stun",
        }
    }
}

/// Something other than a SIP message that tracking must know of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// A keep-alive went along the flow.
    Keepalive(Flow, KeepaliveKind),
    /// A TCP connection that carried SIP ended, by FIN or RST, seen on this flow.
    Closed(Flow),
    /// A TCP SYN on this flow to a watched port was answered by RST.
    Refused(Flow),
    /// A TCP SYN on this flow to a watched port was not answered for seconds.
    Unopened(Flow),
    /// A TLS record was seen on a watched port.
    Tls(Flow),
    /// An HTTP request that is no WebSocket upgrade was seen on a watched port.
    Http(Flow),
    /// An ICMP error came back for a datagram that was sent along this flow.
    Unreachable(Flow),
    /// A datagram of at least `bytes` bytes along this flow lost fragments.
    FragmentsLost {
        /// The flow, as far as the first fragment told; the ports are 0 where it was the lost one.
        flow: Flow,
        /// Bytes of the datagram known to have been sent.
        bytes: u32,
    },
    /// Bytes of a TCP connection that carries SIP were sent along this flow and not captured.
    StreamGap(Flow),
    /// The capture dropped this many packets (kernel, interface or queue) since the last signal.
    Dropped(u64),
    /// The capture saw nothing between `last` and the time of the record, for longer than the rules allow (DETECTION §13).
    Hole {
        /// Time of the last frame before the hole.
        last: PacketTime,
        /// Since when absence proves nothing: `last` where the capture is known to have ended then, otherwise the end of the longest
        /// silence that the rules allow.
        from: PacketTime,
    },
    /// Timestamps jumped back by `by` (a positive span); times of later records are moved on by the same amount.
    ClockStep {
        /// How far back the clock went.
        by: Span,
    },
}
