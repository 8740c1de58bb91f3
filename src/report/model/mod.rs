//! The replay report, version 1: what serialises to the JSON that programs read and what the text for people is laid out from.
//!
//! Fields stand in the order of the JSON keys. What is not known is `None` and becomes `null`, never 0. Entries carry a `first_seen`
//! that is not printed: it is what [`Report::sort`] orders them by.

mod call;
mod finding;
mod nat;
mod registration;
mod rfc6076;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;

pub use call::CallEntry;
pub use finding::{Evidence, FindingEntry};
pub use nat::{NatEntry, NatStage};
pub use registration::{DeviceEntry, KeepaliveEntry, QualifyEntry, RegistrationEntry};
pub use rfc6076::{Distribution, Rfc6076};
pub use values::{Ratio, Seconds, Stamp};

/// Version of the JSON form: names and meaning of keys stay within a version, new keys may be added.
pub const SCHEMA: u32 = 1;

/// All that a replay found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// What was read.
    pub capture: CaptureSummary,
    /// What was said, repeats left out.
    pub messages: MessageCounts,
    /// Addresses of the PBX, configured or learned.
    pub pbx_addresses: Vec<SocketAddr>,
    /// One entry per address-of-record.
    pub registrations: Vec<RegistrationEntry>,
    /// One entry per attempt and B2BUA leg.
    pub calls: Vec<CallEntry>,
    /// One entry per public address with a phone behind it that a request went to, or per address and stage where the stages differ.
    pub nat: Vec<NatEntry>,
    /// All findings that were raised, also those cleared since.
    pub findings: Vec<FindingEntry>,
    /// The RFC 6076 performance metrics.
    pub rfc6076: Rfc6076,
}

/// What was read, and what became of each frame.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CaptureSummary {
    /// The files in the order they were given.
    pub files: Vec<String>,
    /// Smallest timestamp of a frame.
    pub first_packet: Option<Stamp>,
    /// Largest timestamp of a frame.
    pub last_packet: Option<Stamp>,
    /// Frames read: the sum of `sip_frames`, `keepalive_frames` and all of `skipped`.
    pub frames: u64,
    /// Frames that carried a SIP message or part of one.
    pub sip_frames: u64,
    /// Frames that carried only keep-alives.
    pub keepalive_frames: u64,
    /// Frames of no use, by reason ([`crate::decode::outcome::Skip`]).
    pub skipped: BTreeMap<&'static str, u64>,
    /// Messages after reassembly and removal of capture duplicates, retransmissions included.
    pub sip_messages: u64,
    /// Messages that repeat an earlier one of their transaction.
    pub retransmissions: u64,
    /// Keep-alives that are no SIP messages.
    pub keepalives: u64,
    /// Messages with a given oddity, by its code.
    pub anomalies: BTreeMap<&'static str, u64>,
    /// Entries dropped for lack of room, by table.
    pub evicted: BTreeMap<&'static str, u64>,
    /// Whether a file ended in the middle of a packet.
    pub cut: bool,
}

/// Distinct messages: neither capture duplicates nor retransmissions.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MessageCounts {
    /// Requests by method.
    pub requests: BTreeMap<String, u64>,
    /// Responses by status code.
    pub responses: BTreeMap<u16, u64>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            capture: CaptureSummary::default(),
            messages: MessageCounts::default(),
            pbx_addresses: Vec::new(),
            registrations: Vec::new(),
            calls: Vec::new(),
            nat: Vec::new(),
            findings: Vec::new(),
            rfc6076: Rfc6076::default(),
        }
    }
}

impl Report {
    /// Brings every list into its documented order: by first time, then by key. Two reports with the same entries are then equal.
    pub fn sort(&mut self) {
        self.pbx_addresses.sort_unstable();
        self.pbx_addresses.dedup();
        self.registrations.sort_by(|a, b| a.order().cmp(&b.order()));
        for registration in &mut self.registrations {
            registration.devices.sort_by(|a, b| a.order().cmp(&b.order()));
        }
        self.calls.sort_by(|a, b| a.order().cmp(&b.order()));
        for call in &mut self.calls {
            call.linked.sort_unstable();
        }
        self.nat.sort_by(|a, b| a.order().cmp(&b.order()));
        self.findings.sort_by(|a, b| a.order().cmp(&b.order()));
    }
}
