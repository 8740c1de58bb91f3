//! The replay report, version 1: what serialises to the JSON that programs read and what the text for people is laid out from.
//!
//! Fields stand in the order of the JSON keys. What is not known is `None` and becomes `null`, never 0. Entries carry a `first_seen`
//! that is not printed: it is what [`Report::sort`] orders them by.

mod assist;
mod call;
mod finding;
mod nat;
mod registration;
mod rfc6076;
mod values;
mod verdict;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Serialize;

use crate::detect::catalog::FindingId;

pub use assist::{AssistLine, AssistStep, Noted, PacketSeen, SentBy, SessionBegan, StepBegan, StepEnded, StepResult};
pub use call::CallEntry;
pub use finding::{Evidence, FindingEntry};
pub use nat::{NatEntry, NatStage};
pub use registration::{DeviceEntry, KeepaliveEntry, QualifyEntry, RegistrationEntry};
pub use rfc6076::{Distribution, Rfc6076};
pub use values::{Ratio, Seconds, Stamp};
pub use verdict::{Escalation, Ground, Judgement, Problem, RuledOut, Verdict};

/// Version of the JSON form: names and meaning of keys stay within a version, new keys may be added.
pub const SCHEMA: u32 = 1;

/// All that a replay found. The two long lists may be made while they are written ([`crate::report::whole::Each`]).
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Report")]
pub struct Report<Registrations = Vec<RegistrationEntry>, Calls = Vec<CallEntry>> {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// What was read.
    pub capture: CaptureSummary,
    /// What was said, repeats left out.
    pub messages: MessageCounts,
    /// Addresses of the PBX, configured or learned.
    pub pbx_addresses: Vec<SocketAddr>,
    /// The names that the configuration gives those of them that have one.
    pub pbx_names: BTreeMap<SocketAddr, String>,
    /// One entry per address-of-record.
    pub registrations: Registrations,
    /// One entry per attempt and B2BUA leg.
    pub calls: Calls,
    /// One entry per public address with a phone behind it that a request went to, or per address and stage where the stages differ.
    pub nat: Vec<NatEntry>,
    /// All findings that were raised, also those cleared since.
    pub findings: Vec<FindingEntry>,
    /// The RFC 6076 performance metrics.
    pub rfc6076: Rfc6076,
    /// What scanners did that was left out for people. Not printed as JSON.
    #[serde(skip)]
    pub left_out: LeftOut,
}

/// What was left out of a report for people.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LeftOut {
    /// Users that scanners alone tried.
    pub users: usize,
    /// Calls that scanners made.
    pub calls: usize,
}

/// What was read, and what became of each frame.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
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
    /// Messages of which others prove that they were sent and not captured.
    #[serde(skip)]
    pub missing: u64,
    /// Silences of everybody that are implausible at the pace of the capture.
    #[serde(skip)]
    pub silences: u64,
    /// What was found to be wrong with the capture.
    #[serde(skip)]
    pub doubts: Vec<FindingId>,
}

/// Distinct messages: neither capture duplicates nor retransmissions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct MessageCounts {
    /// Requests by method.
    pub requests: BTreeMap<String, u64>,
    /// Responses by status code.
    pub responses: BTreeMap<u16, u64>,
}

impl<Registrations: Default, Calls: Default> Default for Report<Registrations, Calls> {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            capture: CaptureSummary::default(),
            messages: MessageCounts::default(),
            pbx_addresses: Vec::new(),
            pbx_names: BTreeMap::new(),
            registrations: Registrations::default(),
            calls: Calls::default(),
            nat: Vec::new(),
            findings: Vec::new(),
            rfc6076: Rfc6076::default(),
            left_out: LeftOut::default(),
        }
    }
}

impl Report {
    /// Takes out what scanners tried in vain: it tells people nothing about their phones.
    pub fn leave_out_scans(&mut self) {
        let (users, calls) = (self.registrations.len(), self.calls.len());
        self.registrations.retain(|registration| !registration.by_scanner);
        self.calls.retain(|call| !call.by_scanner);
        self.left_out = LeftOut { users: users - self.registrations.len(), calls: calls - self.calls.len() };
    }

    /// Brings every list into its documented order: by first time, then by key. Two reports with the same entries are then equal.
    pub fn sort(&mut self) {
        self.sort_short();
        self.registrations.sort_by(|a, b| a.order().cmp(&b.order()));
        self.registrations.iter_mut().for_each(RegistrationEntry::sort);
        self.calls.sort_by(|a, b| a.order().cmp(&b.order()));
        self.calls.iter_mut().for_each(CallEntry::sort);
    }
}

impl<Registrations, Calls> Report<Registrations, Calls> {
    /// The same with these lists of registrations and calls.
    pub fn with_lists<R, C>(self, registrations: R, calls: C) -> Report<R, C> {
        let Self { schema, capture, messages, pbx_addresses, pbx_names, nat, findings, rfc6076, left_out, .. } = self;
        Report { schema, capture, messages, pbx_addresses, pbx_names, registrations, calls, nat, findings, rfc6076, left_out }
    }

    /// Brings all but those lists into their order.
    pub(super) fn sort_short(&mut self) {
        self.pbx_addresses.sort_unstable();
        self.pbx_addresses.dedup();
        self.nat.sort_by(|a, b| a.order().cmp(&b.order()));
        self.findings.sort_by(|a, b| a.order().cmp(&b.order()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{json, sample};
    use super::*;
    use crate::decode::flow::Transport;
    use crate::time::{PacketTime, Span};
    use crate::track::vocabulary::{
        BehindNat, CallState, Confidence, Direction, EndedBy, Outcome, Reachability, RegistrationState, Scope, Severity,
    };

    fn at(seconds: i64) -> Stamp {
        Stamp(sample::START + Span::from_secs(seconds))
    }

    fn millis(millis: i64) -> Seconds {
        Seconds(Span::from_millis(millis))
    }

    fn example() -> Report {
        Report {
            left_out: LeftOut::default(),
            schema: SCHEMA,
            capture: CaptureSummary {
                missing: 0,
                silences: 0,
                doubts: Vec::new(),
                files: vec!["a.pcap".to_owned()],
                first_packet: Some(Stamp(sample::START + Span::from_nanos(123_456_789))),
                last_packet: Some(at(120)),
                frames: 12,
                sip_frames: 8,
                keepalive_frames: 2,
                skipped: [("duplicate", 2)].into(),
                sip_messages: 8,
                retransmissions: 1,
                keepalives: 2,
                anomalies: [("content_length_mismatch", 1)].into(),
                evicted: [("calls", 3)].into(),
                cut: false,
            },
            messages: MessageCounts { requests: [("INVITE".to_owned(), 1)].into(), responses: [(200, 2), (100, 1)].into() },
            pbx_addresses: vec![sample::address("[2001:db8::1]:5060"), sample::address("203.0.113.10:5060")],
            pbx_names: [(sample::address("203.0.113.10:5060"), "berlin".to_owned())].into(),
            registrations: vec![registration()],
            calls: vec![call()],
            nat: vec![nat()],
            findings: vec![finding()],
            rfc6076: Rfc6076 {
                rrd_s: Distribution::of(vec![Span::from_millis(300), Span::from_millis(100)]),
                ira_ratio: Ratio::of(1, 4),
                ..Rfc6076::default()
            },
        }
    }

    fn registration() -> RegistrationEntry {
        RegistrationEntry {
            by_scanner: false,
            first_seen: sample::START,
            aor: "1001@pbx.example.com".to_owned(),
            state: RegistrationState::AuthLoop,
            attempts: 3,
            accepted: 1,
            rejected: 1,
            last_status: None,
            devices: vec![DeviceEntry {
                first_seen: sample::START,
                contact: "sip:1001@192.168.77.11:5060".to_owned(),
                source: sample::address("198.51.100.7:40311"),
                transport: Transport::Udp,
                user_agent: Some("Phone/1.0".to_owned()),
                instance: None,
                state: RegistrationState::Registered,
                registered_at: Some(at(12)),
                expires_at: None,
                last_seen: Some(at(60)),
                behind_nat: BehindNat::Certain,
                keepalive: Some(KeepaliveEntry { kind: "crlfcrlf", interval_s: millis(15_000), max_gap_s: millis(16_250) }),
                qualified_by: Some(QualifyEntry { kind: "options", interval_s: millis(60_000) }),
                reachability: Reachability::Reachable,
                rtt_s: Some(millis(12)),
            }],
        }
    }

    fn call() -> CallEntry {
        CallEntry {
            by_scanner: false,
            first_seen: at(20).0,
            first_frame: 12,
            passed_on_to: None,
            forks: Vec::new(),
            forwarded: false,
            call_id: "a@b".to_owned(),
            from: Some("1001".to_owned()),
            to: Some("2002".to_owned()),
            source: sample::address("198.51.100.7:40311"),
            destination: sample::address("203.0.113.10:5060"),
            direction: Direction::In,
            started: Some(at(20)),
            answered: Some(at(24)),
            ended: None,
            partial: false,
            outcome: Outcome::CompletedElsewhere,
            status: Some(200),
            state: CallState::Open,
            setup_s: Some(millis(120)),
            ring_s: Some(millis(4_100)),
            talk_s: Some(millis(63_000)),
            ended_by: Some(EndedBy::Caller),
            end_reason: None,
            linked: vec!["c@d".to_owned()],
            overbilled_s: None,
        }
    }

    fn nat() -> NatEntry {
        NatEntry {
            first_seen: sample::START,
            site: "198.51.100.7".to_owned(),
            devices: 12,
            stage: NatStage::Any,
            lifetime_min_s: Some(millis(28_000)),
            lifetime_max_s: Some(millis(31_500)),
            successes: 9,
            failures: 4,
            confidence: None,
            keepalive_gap_s: Some(millis(60_000)),
            recommended_keepalive_s: Some(25),
            recommended_nat_timeout_s: Some(61),
            expected_loss: Ratio::new(0.475).zip(Ratio::new(0.533)).map(<[Ratio; 2]>::from),
        }
    }

    fn finding() -> FindingEntry {
        FindingEntry {
            id: "nat-binding-timeout",
            severity: Severity::Error,
            confidence: Confidence::Confirmed,
            reason: None,
            scope: Scope::PhoneOrSite,
            subject: "1001@pbx.example.com".to_owned(),
            since: at(30),
            at: at(40),
            cleared: None,
            count: 1,
            message: "what is wrong".to_owned(),
            evidence: vec![Evidence { at: at(30), frame: Some(12), fact: "what was seen".to_owned() }],
            remedy: "what to do".to_owned(),
            runbook: vec!["S4-nat"],
            explains: vec!["callee-no-response"],
        }
    }

    fn json(report: &Report) -> String {
        let mut out = Vec::new();
        json::write(report, &mut out).expect("a vector takes every byte");
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    /// The example is written by hand from the contract: a key too many, too few or in another place fails.
    #[test]
    fn json_has_the_documented_form() {
        let mut report = example();
        report.sort();
        assert_eq!(json(&report), include_str!("example.json"));
    }

    #[test]
    fn lists_are_sorted_by_first_time_then_key() {
        let mut report = Report::default();
        let mut later = call();
        later.first_seen = PacketTime::MAX;
        later.call_id = "0@first-by-name".to_owned();
        let mut same_time = call();
        same_time.call_id = "z@b".to_owned();
        report.calls = vec![later, same_time, call()];
        report.sort();
        let ids: Vec<&str> = report.calls.iter().map(|call| call.call_id.as_str()).collect();
        assert_eq!(ids, ["a@b", "z@b", "0@first-by-name"]);
    }

    #[test]
    fn the_order_in_which_entries_were_found_does_not_show() {
        let sorted = sample::office();
        let mut found = sorted.clone();
        found.registrations.reverse();
        found.registrations.iter_mut().for_each(|registration| registration.devices.reverse());
        found.calls.reverse();
        found.nat.reverse();
        found.findings.reverse();
        found.sort();
        assert_eq!(json(&found), json(&sorted));
    }
}
