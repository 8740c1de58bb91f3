//! Registrations of the report: an address-of-record and the devices that stand behind it.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::values::address;
use super::{Seconds, Stamp};
use crate::decode::flow::Transport;
use crate::time::PacketTime;
use crate::track::vocabulary::{BehindNat, Reachability, RegistrationState};

/// An address-of-record, its attempts to register and its devices.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RegistrationEntry {
    /// When it was first seen; orders the list, not printed.
    #[serde(skip)]
    pub first_seen: PacketTime,
    /// Whether scanners alone tried it, in vain. Not printed.
    #[serde(skip)]
    pub by_scanner: bool,
    /// `user@host`, the user as on the wire, the host in lower case.
    pub aor: String,
    /// The best state of its devices.
    pub state: RegistrationState,
    /// Registering attempts; a challenge, a stale nonce or a 423 and its retry are one, de-registrations and queries are none.
    pub attempts: u64,
    /// Attempts that ended in a 2xx.
    pub accepted: u64,
    /// Attempts that failed for good: refused, in a credential loop, or never answered.
    pub rejected: u64,
    /// Last final status, a challenge only where it ended the attempt.
    pub last_status: Option<u16>,
    /// Each device seen in the last 24 h, bound or not.
    pub devices: Vec<DeviceEntry>,
}

/// One device of an address-of-record.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct DeviceEntry {
    /// When it was first seen; orders the list, not printed.
    #[serde(skip)]
    pub first_seen: PacketTime,
    /// The Contact URI as on the wire.
    pub contact: String,
    /// Where its packets come from.
    #[serde(serialize_with = "address")]
    #[schemars(with = "SocketAddr")]
    pub source: SocketAddr,
    /// What carries its messages.
    #[serde(serialize_with = "transport_name")]
    #[schemars(with = "String")]
    pub transport: Transport,
    /// The User-Agent as on the wire.
    pub user_agent: Option<String>,
    /// The `+sip.instance` of its Contact.
    pub instance: Option<String>,
    /// Where its registration stands.
    pub state: RegistrationState,
    /// First acceptance of the present unbroken registration.
    pub registered_at: Option<Stamp>,
    /// When the registration runs out unless it is refreshed.
    pub expires_at: Option<Stamp>,
    /// Its last packet.
    pub last_seen: Option<Stamp>,
    /// How sure it is that it sits behind a NAT.
    pub behind_nat: BehindNat,
    /// What the phone itself sends to stay reachable; `None` if nothing periodic.
    pub keepalive: Option<KeepaliveEntry>,
    /// What the PBX sends to it periodically.
    pub qualified_by: Option<QualifyEntry>,
    /// Whether the PBX reaches it.
    pub reachability: Reachability,
    /// Median round trip of the last 20 probes.
    pub rtt_s: Option<Seconds>,
}

/// A phone's own keep-alive (DETECTION §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct KeepaliveEntry {
    /// What is sent, such as `crlfcrlf` or `register`.
    pub kind: &'static str,
    /// Median interval.
    pub interval_s: Seconds,
    /// Largest interval.
    pub max_gap_s: Seconds,
}

/// The PBX's own probe of a phone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct QualifyEntry {
    /// What is sent, such as `options`.
    pub kind: &'static str,
    /// Median interval.
    pub interval_s: Seconds,
}

impl RegistrationEntry {
    /// Whether the registrar asked for credentials and the phone still has time to send them: a challenge that it ignored ended an attempt.
    pub fn awaits_credentials(&self) -> bool {
        self.state == RegistrationState::Challenged && !matches!(self.last_status, Some(401 | 407))
    }

    /// Brings its lists into their order.
    pub(in crate::report) fn sort(&mut self) {
        self.devices.sort_by(|a, b| a.order().cmp(&b.order()));
    }

    pub(super) fn order(&self) -> impl Ord {
        (self.first_seen, self.aor.as_str())
    }
}

impl DeviceEntry {
    pub(super) fn order(&self) -> impl Ord {
        (self.first_seen, self.source, self.contact.as_str(), self.instance.as_deref())
    }
}

fn transport_name<S: Serializer>(transport: &Transport, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(transport.as_str())
}
