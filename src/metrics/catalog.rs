//! The catalogue: every family of series with its name, meaning, labels and buckets, declared once.
//!
//! The fields of [`Tally`], [`CaptureTally`] and [`Gauges`], the exposition and `docs/metrics.md` are made from these declarations.

use std::borrow::Cow;

use super::family::{Counter, Family, Gauge, Histogram, Kind, LabelValues, NamedCounter, NamedGauge, Names, Sample, TimeCounter};
use super::labels::{
    BindingChange, CallPhase, CodeLabel, DelayResult, Dir, DropPlace, FailureReason, FragmentResult, FrameOutcome, FromState,
    KeepaliveLabel, LossLabel, MessageKind, MethodLabel, NatProbe, NatStage, NatVerdict, NotificationResult, NotificationSink,
    QualifyResult, ServerResponse, SessionResult, ShortCall, StoreLabel, Subject, ToReachability, ToState, Unanswered,
};
use crate::decode::flow::Transport;
use crate::track::vocabulary::{Outcome, PeerClass, Reachability, RegistrationState, Severity};

/// Whose numbers a family holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Owner {
    /// A PBX: the series carry the label `pbx`.
    Pbx,
    /// A named peer, a site or a user of a PBX; the series carry its name, too, in a label that their own name repeats.
    Subject,
    /// A site of a PBX.
    Site,
    /// siphound itself.
    Tool,
}

/// What the catalogue says of a family.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Cow<'static, str>,
    pub(super) help: String,
    pub(super) kind: Kind,
    pub(super) owner: Owner,
    pub(super) labels: Vec<LabelValues>,
    pub(super) bounds: &'static [f64],
}

impl Entry {
    /// Its name in a group of that kind of subject.
    pub(super) fn name_of(&self, what: &str) -> String {
        self.name.replacen("subject", what, 1)
    }
}

/// A group of families.
pub(super) trait Families {
    /// What the catalogue says of each family, in the order of [`samples`](Self::samples).
    fn entries() -> Vec<Entry>;

    /// The series of each family.
    fn samples(&self) -> Vec<Vec<Sample>>;
}

/// Declares a group of families: `field: Type, "name" of Owner, buckets;`. The documentation of the field is the help text.
macro_rules! families {
    (
        $(#[$about:meta])*
        $group:ident { $( $(#[doc = $help:literal])+ $field:ident: $family:ty, $name:literal of $owner:ident $(, $bounds:expr)?; )+ }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        pub struct $group { $( $(#[doc = $help])+ pub $field: $family, )+ }

        impl Default for $group {
            fn default() -> Self {
                Self { $( $field: Family::new(families!(@bounds $($bounds)?)), )+ }
            }
        }

        impl Families for $group {
            fn entries() -> Vec<Entry> {
                vec![$(
                    Entry {
                        name: Cow::Borrowed($name),
                        help: concat!($($help),+).trim().to_owned(),
                        kind: <$family>::KIND,
                        owner: Owner::$owner,
                        labels: <$family>::labels(),
                        bounds: families!(@bounds $($bounds)?),
                    },
                )+]
            }

            fn samples(&self) -> Vec<Vec<Sample>> {
                vec![$( self.$field.samples(), )+]
            }
        }
    };
    (@bounds) => { &[] };
    (@bounds $bounds:expr) => { $bounds };
}

/// Registration request delay, doubling to the end of 64·T1.
const REGISTRATION: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
/// Session set-up, with the limits of DETECTION §4.2 (6 s, 11 s) between bounds.
const SETUP: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 11.0, 16.0, 32.0];
/// Session duration: the limits of short calls, of 64·T1 and of session timers among the bounds.
const DURATION: &[f64] = &[1.0, 3.0, 5.0, 10.0, 32.0, 60.0, 180.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0];
/// Idle times of NAT bindings and intervals of keep-alives.
const IDLE: &[f64] = &[10.0, 15.0, 20.0, 25.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 3600.0];
/// Round trips of qualifies, with the limit of 2 s.
const ROUND_TRIP: &[f64] = &[0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0];
/// Answers of the PBX, with the limits of 200 ms and 500 ms.
const ANSWER: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];

/// A finding by its id and severity.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct FindingLabel {
    /// The id from the catalogue of findings.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
}

impl Names for FindingLabel {
    const LABELS: &'static [&'static str] = &["finding", "severity"];

    fn values(&self) -> Vec<&'static str> {
        vec![self.id, self.severity.as_str()]
    }
}

/// The code of an anomaly of a message.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct AnomalyLabel(pub &'static str);

impl Names for AnomalyLabel {
    const LABELS: &'static [&'static str] = &["reason"];

    fn values(&self) -> Vec<&'static str> {
        vec![self.0]
    }
}

/// The kind of object that a table holds.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct TableLabel(pub &'static str);

impl Names for TableLabel {
    const LABELS: &'static [&'static str] = &["kind"];

    fn values(&self) -> Vec<&'static str> {
        vec![self.0]
    }
}

/// The version of siphound.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct VersionLabel(pub &'static str);

impl Names for VersionLabel {
    const LABELS: &'static [&'static str] = &["version"];

    fn values(&self) -> Vec<&'static str> {
        vec![self.0]
    }
}

families! {
    /// What the engine counts, as it happens. The methods of `tally` say when to count what.
    Tally {
        /// REGISTER attempts: a challenge and its retry are one; retransmissions, de-registrations and queries are none.
        registration_attempts: Counter<PeerClass>, "siphound_registration_attempts_total" of Pbx;
        /// Registration attempts that failed; without reason "auth" the numerator of RFC 6076 IRA.
        registration_failures: Counter<(PeerClass, FailureReason, CodeLabel)>, "siphound_registration_failures_total" of Pbx;
        /// RFC 6076 RRD at the PBX: from the first REGISTER of an attempt, its challenge included, to the final 2xx.
        registration_request_delay: Histogram<()>, "siphound_registration_request_delay_seconds" of Pbx, REGISTRATION;
        /// Changes of the state of registrations.
        registration_transitions: Counter<(FromState, ToState)>, "siphound_registration_transitions_total" of Pbx;
        /// INVITE attempts for new sessions: a challenge or a 422 and its retry are one.
        session_attempts: Counter<(Dir, PeerClass)>, "siphound_session_attempts_total" of Pbx;
        /// Outcomes of session attempts, exactly one for each.
        session_outcomes: Counter<(Dir, PeerClass, Outcome, CodeLabel)>, "siphound_session_outcomes_total" of Pbx;
        /// RFC 6076 SRD at the PBX: from the first INVITE to the first response that is neither 100 nor a challenge.
        session_request_delay: Histogram<(Dir, DelayResult)>, "siphound_session_request_delay_seconds" of Pbx, SETUP;
        /// From the first INVITE to audible ringing or the answer.
        post_dial_delay: Histogram<Dir>, "siphound_post_dial_delay_seconds" of Pbx, SETUP;
        /// RFC 6076 SDD at the PBX: from BYE to its final response; a BYE without one is counted as a timeout instead.
        session_disconnect_delay: Histogram<DelayResult>, "siphound_session_disconnect_delay_seconds" of Pbx, REGISTRATION;
        /// BYE requests without final response.
        session_disconnect_timeouts: Counter<Dir>, "siphound_session_disconnect_timeouts_total" of Pbx;
        /// RFC 6076 SDT: from the 200 to INVITE to BYE or its timeout.
        session_duration: Histogram<(Dir, SessionResult)>, "siphound_session_duration_seconds" of Pbx, DURATION;
        /// Sessions that ended without failing for lack of a response; the numerator of RFC 6076 SCR.
        sessions_completed: Counter<Dir>, "siphound_sessions_completed_total" of Pbx;
        /// Calls that were not answered, by definition; one call can meet several.
        unanswered_calls: Counter<Unanswered>, "siphound_unanswered_calls_total" of Pbx;
        /// Completed calls with a talk time below a number of seconds.
        short_calls: Counter<ShortCall>, "siphound_short_calls_total" of Pbx;
        /// Time that call legs stayed up after their partner had ended.
        overbilled: TimeCounter<()>, "siphound_overbilled_seconds_total" of Pbx;
        /// Intervals between keep-alives of one flow.
        keepalive_interval: Histogram<(KeepaliveLabel, Dir)>, "siphound_keepalive_interval_seconds" of Pbx, IDLE;
        /// Idle time of a NAT binding when a request of the PBX was sent through it.
        nat_probe_idle: Histogram<(NatProbe, NatStage)>, "siphound_nat_probe_idle_seconds" of Pbx, IDLE;
        /// Changes of the public address of a device.
        nat_binding_changes: Counter<BindingChange>, "siphound_nat_binding_changes_total" of Pbx;
        /// Round-trip time of qualifies that were not retransmitted.
        qualify_rtt: Histogram<PeerClass>, "siphound_qualify_rtt_seconds" of Pbx, ROUND_TRIP;
        /// Qualifies that were concluded.
        qualify_probes: Counter<QualifyResult>, "siphound_qualify_probes_total" of Pbx;
        /// Changes of the reachability of peers.
        peer_state_changes: Counter<ToReachability>, "siphound_peer_state_changes_total" of Pbx;
        /// SIP messages on the wire, retransmissions included, capture copies not; requests by method, responses by code.
        messages: Counter<(MessageKind, Dir, Transport)>, "siphound_messages_total" of Pbx;
        /// Messages repeated within their transaction.
        retransmissions: Counter<(MethodLabel, Dir)>, "siphound_retransmissions_total" of Pbx;
        /// Responses from elsewhere than their request went, which are taken for no answer: somebody answers for the PBX.
        foreign_responses: Counter<(MethodLabel, Dir)>, "siphound_foreign_responses_total" of Pbx;
        /// From a request that was sent once to the first response of the PBX.
        server_response: Histogram<ServerResponse>, "siphound_server_response_seconds" of Pbx, ANSWER;
        /// Findings raised.
        findings: NamedCounter<FindingLabel>, "siphound_findings_total" of Pbx;
    }
}

families! {
    /// What the engine counts of a single named peer, site or user. `subject` in a name stands for which of the three it is.
    SubjectTally {
        /// INVITE attempts for new sessions, seen from the PBX.
        session_attempts: Counter<Dir>, "siphound_subject_session_attempts_total" of Subject;
        /// Outcomes of session attempts, exactly one for each.
        session_outcomes: Counter<(Dir, Outcome)>, "siphound_subject_session_outcomes_total" of Subject;
        /// REGISTER attempts.
        registration_attempts: Counter<()>, "siphound_subject_registration_attempts_total" of Subject;
        /// Registration attempts that failed.
        registration_failures: Counter<FailureReason>, "siphound_subject_registration_failures_total" of Subject;
        /// Qualifies that were concluded.
        qualify_probes: Counter<QualifyResult>, "siphound_subject_qualify_probes_total" of Subject;
        /// Round-trip time of qualifies that were not retransmitted.
        qualify_rtt: Histogram<()>, "siphound_subject_qualify_rtt_seconds" of Subject, ROUND_TRIP;
        /// Requests of the PBX that told something of a NAT binding.
        nat_probes: Counter<NatProbe>, "siphound_subject_nat_probes_total" of Subject;
    }
}

families! {
    /// How a site stands, filled at the time of a scrape.
    SiteGauges {
        /// The longest silence that the NAT bindings of a site are known to outlive.
        lifetime_lower: Gauge<()>, "siphound_nat_binding_lifetime_lower_seconds" of Site;
        /// The silence that the NAT bindings of a site do not outlive.
        lifetime_upper: Gauge<()>, "siphound_nat_binding_lifetime_upper_seconds" of Site;
    }
}

families! {
    /// How the devices of a named peer stand, filled at the time of a scrape.
    PeerGauges {
        /// Registrations by state.
        registrations: Gauge<RegistrationState>, "siphound_subject_registrations" of Subject;
        /// Qualified devices by reachability.
        reachability: Gauge<Reachability>, "siphound_subject_devices" of Subject;
    }
}

families! {
    /// What the capture and the outputs counted, filled at the time of a scrape.
    CaptureTally {
        /// Frames captured.
        packets: Counter<()>, "siphound_capture_packets_total" of Tool;
        /// Frames by what became of them; together with the few that still wait for their order or their other parts they are all that were captured.
        frames: Counter<FrameOutcome>, "siphound_capture_frames_total" of Tool;
        /// Frames that were copies made by the capture.
        duplicates: Counter<()>, "siphound_capture_duplicates_total" of Tool;
        /// Packets lost before they could be looked at.
        dropped: Counter<DropPlace>, "siphound_capture_dropped_total" of Tool;
        /// Fragmented datagrams.
        fragments: Counter<FragmentResult>, "siphound_fragments_total" of Tool;
        /// Messages with an anomaly.
        anomalies: NamedCounter<AnomalyLabel>, "siphound_parse_errors_total" of Tool;
        /// Objects dropped from a full table.
        evicted: NamedCounter<TableLabel>, "siphound_evicted_total" of Tool;
        /// What was counted for a peer, a site or a user that has no series of its own because `metrics.label_limit` is reached.
        label_overflow: Counter<Subject>, "siphound_label_overflow_total" of Tool;
        /// Clients of the event stream that were cut off because they read too slowly.
        event_streams_cut: Counter<()>, "siphound_api_event_streams_cut_total" of Tool;
    }
}

families! {
    /// What is kept on disk, filled at the time of a scrape. Stores that are off have no series of their own but the counter.
    HistoryTally {
        /// Whether a store is being written.
        up: Gauge<StoreLabel>, "siphound_history_up" of Tool;
        /// Since when a store cannot be written, in seconds since the epoch; no series where it can.
        down_since: Gauge<StoreLabel>, "siphound_history_down_timestamp_seconds" of Tool;
        /// How far back a store reaches, in seconds since the epoch.
        oldest: Gauge<StoreLabel>, "siphound_history_oldest_timestamp_seconds" of Tool;
        /// Bytes of a store on disk.
        bytes: Gauge<StoreLabel>, "siphound_history_bytes" of Tool;
        /// Records that were not kept.
        dropped: Counter<(StoreLabel, LossLabel)>, "siphound_history_dropped_total" of Tool;
    }
}

families! {
    /// What the outputs counted, filled at the time of a scrape.
    OutputTally {
        /// Notifications of findings by where they went; the policy drops where more findings change than it can follow, and then asks anew.
        notifications: Counter<(NotificationSink, NotificationResult)>, "siphound_notifications_total" of Tool;
    }
}

families! {
    /// How things stand, filled at the time of a scrape.
    Gauges {
        /// Registrations by state.
        registrations: Gauge<RegistrationState>, "siphound_registrations" of Pbx;
        /// Devices that are likely or certainly behind a NAT.
        devices_behind_nat: Gauge<()>, "siphound_devices_behind_nat" of Pbx;
        /// Sites by how sure it is that their NAT forgets bindings too early.
        nat_sites: Gauge<NatVerdict>, "siphound_nat_sites" of Pbx;
        /// Qualified peers by reachability.
        peers: Gauge<Reachability>, "siphound_peers" of Pbx;
        /// Calls in progress.
        calls_active: Gauge<CallPhase>, "siphound_calls_active" of Pbx;
        /// Call legs that are still up although their partner ended.
        legs_orphaned: Gauge<()>, "siphound_legs_orphaned" of Pbx;
        /// Source addresses that scan.
        scanner_sources: Gauge<()>, "siphound_scanner_sources" of Pbx;
        /// Findings that hold at present.
        findings_active: NamedGauge<FindingLabel>, "siphound_findings_active" of Pbx;
    }
}

families! {
    /// How siphound itself stands, filled at the time of a scrape.
    ToolGauges {
        /// Objects in tables.
        tracked_objects: NamedGauge<TableLabel>, "siphound_tracked_objects" of Tool;
        /// Time of the newest packet, in seconds since the epoch.
        last_packet: Gauge<()>, "siphound_capture_last_packet_timestamp_seconds" of Tool;
        /// Always 1; the label tells the version.
        build_info: NamedGauge<VersionLabel>, "siphound_build_info" of Tool;
    }
}
