//! Who sends to whom.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// What carries the SIP messages of a flow.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Transport {
    /// One or more messages per datagram.
    Udp,
    /// Messages framed by Content-Length in a byte stream.
    Tcp,
    /// SIP over WebSocket, RFC 7118, on plain HTTP.
    Ws,
    /// SCTP, RFC 4168: one message per user message.
    Sctp,
}

impl Transport {
    /// The name in reports and metrics, lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Ws => "ws",
            Self::Sctp => "sctp",
        }
    }

    /// Whether messages travel in a byte stream that delivers them in order or not at all.
    pub fn is_stream(self) -> bool {
        matches!(self, Self::Tcp | Self::Ws)
    }
}

/// One direction of a packet flow: from `source` to `destination`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Flow {
    /// What carries it.
    pub transport: Transport,
    /// The sender.
    pub source: SocketAddr,
    /// The receiver.
    pub destination: SocketAddr,
}

impl Flow {
    /// The same flow in the other direction.
    pub fn reversed(self) -> Self {
        Self { transport: self.transport, source: self.destination, destination: self.source }
    }
}

/// `udp 198.51.100.7:40311 > 203.0.113.10:5060`
impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} > {}", self.transport.as_str(), self.source, self.destination)
    }
}

/// Whether an address is not routed on the public internet: RFC 1918, RFC 6598 (100.64/10), link-local, loopback, ULA.
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_link_local() || v4.is_loopback() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_private(IpAddr::V4(v4)),
            None => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
        },
    }
}
