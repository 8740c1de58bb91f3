//! The keys of a replay report and how their values are compared.

/// How an expected value is compared with a found one.
pub(crate) enum Shape {
    /// Equal text, or text that contains what follows `~`.
    Text,
    /// Equal truth.
    Flag,
    /// Equal number.
    Count,
    /// A number, give or take 0.01 or 2 %.
    Measure,
    /// A moment, given in seconds after the first packet, give or take 0.05 s.
    Time,
    /// The moment of a conclusion, give or take 2 s or 10 %.
    Conclusion,
    /// A map from names to counts; what is absent is 0.
    Counts,
    /// An object that has at least the expected keys.
    Object(&'static [(&'static str, Self)]),
    /// A list of exactly the expected entries in their order.
    List(&'static Self),
    /// A list that contains at least the expected texts, or that is empty where none is expected.
    Includes,
}

use Shape::{Conclusion, Count, Counts, Flag, Includes, List, Measure, Object, Text, Time};

/// Lists of a report whose length can be expected.
pub(crate) const LISTS: [&str; 5] = ["calls", "registrations", "nat", "findings", "pbx_addresses"];

/// A key of the report that is compared where it stands.
pub(crate) fn top_level(key: &str) -> Option<&'static Shape> {
    REPORT.iter().find(|(name, _)| *name == key).map(|(_, shape)| shape)
}

const REPORT: &[(&str, Shape)] = &[
    ("capture", Object(CAPTURE)),
    ("messages", Object(&[("requests", Counts), ("responses", Counts)])),
    ("pbx_addresses", List(&Text)),
    ("rfc6076", Object(RFC6076)),
];

const CAPTURE: &[(&str, Shape)] = &[
    ("frames", Count),
    ("sip_frames", Count),
    ("keepalive_frames", Count),
    ("skipped", Counts),
    ("sip_messages", Count),
    ("retransmissions", Count),
    ("keepalives", Count),
    ("anomalies", Counts),
    ("evicted", Counts),
    ("cut", Flag),
];

/// An entry of `registrations`.
pub(crate) const REGISTRATION: &[(&str, Shape)] = &[
    ("aor", Text),
    ("state", Text),
    ("attempts", Count),
    ("accepted", Count),
    ("rejected", Count),
    ("last_status", Count),
    ("devices", List(&Object(DEVICE))),
];

const DEVICE: &[(&str, Shape)] = &[
    ("contact", Text),
    ("source", Text),
    ("transport", Text),
    ("user_agent", Text),
    ("instance", Text),
    ("state", Text),
    ("registered_at", Time),
    ("expires_at", Time),
    ("last_seen", Time),
    ("behind_nat", Text),
    ("keepalive", Object(&[("kind", Text), ("interval_s", Measure), ("max_gap_s", Measure)])),
    ("qualified_by", Object(&[("kind", Text), ("interval_s", Measure)])),
    ("reachability", Text),
    ("rtt_s", Measure),
];

/// An entry of `calls`.
pub(crate) const CALL: &[(&str, Shape)] = &[
    ("call_id", Text),
    ("from", Text),
    ("to", Text),
    ("source", Text),
    ("destination", Text),
    ("direction", Text),
    ("started", Time),
    ("answered", Time),
    ("ended", Time),
    ("partial", Flag),
    ("outcome", Text),
    ("status", Count),
    ("state", Text),
    ("setup_s", Measure),
    ("ring_s", Measure),
    ("talk_s", Measure),
    ("ended_by", Text),
    ("end_reason", Text),
    ("linked", Includes),
    ("overbilled_s", Measure),
];

/// An entry of `nat`.
pub(crate) const NAT: &[(&str, Shape)] = &[
    ("site", Text),
    ("devices", Count),
    ("stage", Text),
    ("lifetime_min_s", Measure),
    ("lifetime_max_s", Measure),
    ("successes", Count),
    ("failures", Count),
    ("confidence", Text),
    ("keepalive_gap_s", Measure),
    ("recommended_keepalive_s", Count),
    ("recommended_nat_timeout_s", Count),
    ("expected_loss", List(&Measure)),
];

/// An entry of `findings`.
pub(crate) const FINDING: &[(&str, Shape)] = &[
    ("id", Text),
    ("severity", Text),
    ("confidence", Text),
    ("reason", Text),
    ("scope", Text),
    ("subject", Text),
    ("since", Conclusion),
    ("at", Conclusion),
    ("cleared", Conclusion),
    ("count", Count),
    ("message", Text),
    ("remedy", Text),
    ("runbook", Includes),
    ("explains", Includes),
];

/// What happened to a finding.
pub(crate) const CHANGE: &[(&str, Shape)] = &[
    ("kind", Text),
    ("id", Text),
    ("subject", Text),
    ("severity", Text),
    ("confidence", Text),
    ("reason", Text),
    ("at", Conclusion),
    ("message", Text),
];

const RFC6076: &[(&str, Shape)] = &[
    ("rrd_s", Object(DISTRIBUTION)),
    ("srd_success_s", Object(DISTRIBUTION)),
    ("srd_failure_s", Object(DISTRIBUTION)),
    ("sdd_s", Object(DISTRIBUTION)),
    ("sdt_s", Object(DISTRIBUTION)),
    ("ira_ratio", Measure),
    ("ser_ratio", Measure),
    ("seer_ratio", Measure),
    ("isa_ratio", Measure),
    ("scr_ratio", Measure),
];

const DISTRIBUTION: &[(&str, Shape)] =
    &[("count", Count), ("min", Measure), ("mean", Measure), ("p50", Measure), ("p95", Measure), ("max", Measure)];
