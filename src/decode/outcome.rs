//! What became of each frame: exactly one outcome a frame.

use crate::config::Tunnel;

/// Why a frame carried nothing that SIP tracking could use. One value a frame, one value of one counter.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Skip {
    /// A copy of the capture (mirror port, `any`), or a TCP segment sent again.
    Duplicate,
    /// A TCP segment without payload.
    TcpControl,
    /// Payload that is neither SIP nor a keep-alive.
    NotSip,
    /// Something other than IPv4 or IPv6, such as ARP.
    NotIp,
    /// Neither port is watched.
    OtherPort,
    /// TLS on a watched port.
    Encrypted,
    /// ICMP or ICMPv6; what it quotes is looked at, never counted as a message.
    Icmp,
    /// Cut by the snap length before the SIP payload could be told.
    Truncated,
    /// Headers that contradict themselves.
    Malformed,
    /// A fragment whose datagram never became whole.
    IncompleteFragment,
    /// A TCP segment whose message never became whole.
    IncompleteStream,
    /// Dropped for lack of room in a table.
    Evicted,
    /// Left out by an option of the person who asked.
    Filtered,
    /// A packet inside VXLAN, which is not believed.
    Vxlan,
    /// A packet inside GRE, which is not believed.
    Gre,
    /// A mirrored packet inside ERSPAN, which is not believed.
    Erspan,
    /// A packet inside GTP-U, which is not believed.
    Gtp,
    /// A packet inside an IP packet, which is not believed.
    Ipip,
}

impl Skip {
    /// Every reason, in the order of the reports.
    pub const ALL: [Self; 18] = [
        Self::Duplicate,
        Self::TcpControl,
        Self::NotSip,
        Self::NotIp,
        Self::OtherPort,
        Self::Encrypted,
        Self::Icmp,
        Self::Truncated,
        Self::Malformed,
        Self::IncompleteFragment,
        Self::IncompleteStream,
        Self::Evicted,
        Self::Filtered,
        Self::Vxlan,
        Self::Gre,
        Self::Erspan,
        Self::Gtp,
        Self::Ipip,
    ];

    /// The name in reports and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::TcpControl => "tcp_control",
            Self::NotSip => "not_sip",
            Self::NotIp => "not_ip",
            Self::OtherPort => "other_port",
            Self::Encrypted => "encrypted",
            Self::Icmp => "icmp",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::IncompleteFragment => "incomplete_fragment",
            Self::IncompleteStream => "incomplete_stream",
            Self::Evicted => "evicted",
            Self::Filtered => "filtered",
            Self::Vxlan => "vxlan_tunnel",
            Self::Gre => "gre_tunnel",
            Self::Erspan => "erspan_tunnel",
            Self::Gtp => "gtp_tunnel",
            Self::Ipip => "ipip_tunnel",
        }
    }

    /// The tunnel that was not read, if it was that.
    pub fn tunnel(self) -> Option<Tunnel> {
        Tunnel::ALL.into_iter().find(|tunnel| Self::from(*tunnel) == self)
    }
}

impl From<Tunnel> for Skip {
    fn from(tunnel: Tunnel) -> Self {
        match tunnel {
            Tunnel::Vxlan => Self::Vxlan,
            Tunnel::Gre => Self::Gre,
            Tunnel::Erspan => Self::Erspan,
            Tunnel::Gtp => Self::Gtp,
            Tunnel::Ipip => Self::Ipip,
        }
    }
}

/// Counts of frame outcomes. When no frame is pending in reassembly, `frames == sip + keepalive + sum(skipped)`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FrameCounts {
    /// Frames read.
    pub frames: u64,
    /// Frames that carried a SIP message or part of one.
    pub sip: u64,
    /// Frames that carried only keep-alives.
    pub keepalive: u64,
    skipped: [u64; Skip::ALL.len()],
}

impl FrameCounts {
    /// Counts `frames` more frames skipped for `reason`.
    pub fn skip(&mut self, reason: Skip, frames: u64) {
        if let Some(count) = self.skipped.get_mut(reason as usize) {
            *count += frames;
        }
    }

    /// Frames skipped for `reason`.
    pub fn skipped(&self, reason: Skip) -> u64 {
        self.skipped.get(reason as usize).copied().unwrap_or_default()
    }

    /// Frames whose outcome is settled.
    pub fn settled(&self) -> u64 {
        self.sip + self.keepalive + self.skipped.iter().sum::<u64>()
    }
}
