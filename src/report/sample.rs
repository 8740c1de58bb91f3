//! An hour of a small office with a bad router, for the tests of the writers.

use std::net::SocketAddr;

use super::model::{
    CallEntry, CaptureSummary, DeviceEntry, Distribution, Evidence, FindingEntry, KeepaliveEntry, MessageCounts, NatEntry, NatStage,
    QualifyEntry, Ratio, RegistrationEntry, Report, Rfc6076, Seconds, Stamp,
};
use crate::decode::flow::Transport;
use crate::time::{PacketTime, Span};
use crate::track::vocabulary::{
    BehindNat, CallState, Confidence, Direction, EndedBy, Outcome, Reachability, RegistrationState, Scope, Severity,
};

/// 2026-01-31T09:00:00Z.
pub(super) const START: PacketTime = PacketTime::from_parts(1_769_850_000, 0);

const PBX: &str = "203.0.113.10:5060";

pub(super) fn office() -> Report {
    let mut report = Report {
        capture: capture(),
        messages: MessageCounts {
            requests: [("INVITE", 31), ("REGISTER", 402), ("OPTIONS", 361), ("BYE", 14)].map(|(method, n)| (method.to_owned(), n)).into(),
            responses: [(100, 20), (180, 18), (200, 740), (401, 96), (486, 2)].into(),
        },
        pbx_addresses: vec![address(PBX)],
        registrations: registrations(),
        calls: calls(),
        nat: nat(),
        findings: findings(),
        rfc6076: performance(),
        ..Report::default()
    };
    report.sort();
    report
}

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address of the sample")
}

pub(super) fn at(seconds: f64) -> Stamp {
    Stamp(START + Span::from_secs_f64(seconds))
}

fn lasting(seconds: f64) -> Option<Seconds> {
    Some(Seconds(Span::from_secs_f64(seconds)))
}

fn capture() -> CaptureSummary {
    CaptureSummary {
        missing: 0,
        silences: 0,
        doubts: Vec::new(),
        files: vec!["office-0900.pcap".to_owned(), "office-0930.pcap.gz".to_owned()],
        first_packet: Some(at(0.0)),
        last_packet: Some(at(3_731.52)),
        frames: 3_120,
        sip_frames: 1_790,
        keepalive_frames: 1_012,
        skipped: [("duplicate", 201), ("not_ip", 60), ("encrypted", 44), ("incomplete_fragment", 2), ("tcp_control", 11)].into(),
        sip_messages: 1_772,
        retransmissions: 88,
        keepalives: 1_012,
        anomalies: [("content_length_mismatch", 3)].into(),
        evicted: [].into(),
        cut: true,
    }
}

pub(super) fn device(contact: &str, source: &str, state: RegistrationState) -> DeviceEntry {
    let registered = state == RegistrationState::Registered;
    DeviceEntry {
        first_seen: START,
        contact: contact.to_owned(),
        source: address(source),
        transport: Transport::Udp,
        user_agent: Some("Yealink SIP-T46U 108.86.0.45".to_owned()),
        instance: None,
        state,
        registered_at: registered.then(|| at(12.5)),
        expires_at: registered.then(|| at(3_900.0)),
        last_seen: Some(at(3_725.0)),
        behind_nat: BehindNat::Certain,
        keepalive: Some(KeepaliveEntry {
            kind: "crlfcrlf",
            interval_s: Seconds(Span::from_secs(60)),
            max_gap_s: Seconds(Span::from_secs(61)),
        }),
        qualified_by: Some(QualifyEntry { kind: "options", interval_s: Seconds(Span::from_secs(60)) }),
        reachability: if registered { Reachability::Reachable } else { Reachability::Unknown },
        rtt_s: registered.then(|| Seconds(Span::from_micros(23_400))),
    }
}

pub(super) fn registration(aor: &str, state: RegistrationState, last_status: Option<u16>, devices: Vec<DeviceEntry>) -> RegistrationEntry {
    RegistrationEntry {
        by_scanner: false,
        first_seen: START,
        aor: aor.to_owned(),
        state,
        attempts: 14,
        accepted: if state == RegistrationState::Registered { 14 } else { 2 },
        rejected: if state == RegistrationState::Registered { 0 } else { 12 },
        last_status,
        devices,
    }
}

fn registrations() -> Vec<RegistrationEntry> {
    use RegistrationState::*;
    let lagging = DeviceEntry {
        reachability: Reachability::Unreachable,
        rtt_s: None,
        ..device("sip:1001@192.168.77.11:5060", "198.51.100.7:40311", Registered)
    };
    let tcp = DeviceEntry {
        transport: Transport::Tcp,
        behind_nat: BehindNat::No,
        keepalive: None,
        ..device("sip:1007@[2001:db8:1:2::77]:49152;transport=tcp", "[2001:db8:1:2::77]:49152", Registered)
    };
    vec![
        registration("1001@pbx.example.com", Registered, Some(200), vec![lagging]),
        registration(
            "1002@pbx.example.com",
            Registered,
            Some(200),
            vec![device("sip:1002@192.168.77.12:5060", "198.51.100.7:40417", Registered)],
        ),
        registration("1003@pbx.example.com", AuthLoop, Some(401), vec![device("sip:1003@10.0.0.9:5060", "192.0.2.44:5060", AuthLoop)]),
        registration(
            "1004@pbx.example.com",
            Registered,
            Some(200),
            vec![
                device("sip:1004@192.168.1.20:5060", "192.0.2.60:5060", Registered),
                DeviceEntry {
                    user_agent: Some("Linphone/5.2".to_owned()),
                    ..device("sip:1004@10.1.1.4:5070", "192.0.2.61:61002", Expired)
                },
            ],
        ),
        registration("1005@pbx.example.com", Silent, None, vec![device("sip:1005@10.9.9.9", "192.0.2.99:5060", Silent)]),
        registration("1007@pbx.example.com", Registered, Some(200), vec![tcp]),
    ]
}

pub(super) fn call(call_id: &str, from: &str, to: &str, start: f64, outcome: Outcome, status: Option<u16>) -> CallEntry {
    CallEntry {
        by_scanner: false,
        first_seen: at(start).0,
        first_frame: 7,
        passed_on_to: None,
        forks: Vec::new(),
        forwarded: false,
        call_id: call_id.to_owned(),
        from: Some(from.to_owned()),
        to: Some(to.to_owned()),
        source: address("192.0.2.60:5060"),
        destination: address(PBX),
        direction: Direction::In,
        started: Some(at(start)),
        answered: None,
        ended: Some(at(start + 9.0)),
        partial: false,
        outcome,
        status,
        state: CallState::Ended,
        setup_s: lasting(0.12),
        ring_s: None,
        talk_s: None,
        ended_by: None,
        end_reason: None,
        linked: Vec::new(),
        overbilled_s: None,
    }
}

pub(super) fn answered(mut call: CallEntry, ring: f64, talk: f64, ended_by: EndedBy) -> CallEntry {
    call.answered = Some(Stamp(call.first_seen + Span::from_secs_f64(ring)));
    call.ended = Some(Stamp(call.first_seen + Span::from_secs_f64(ring + talk)));
    call.ring_s = lasting(ring);
    call.talk_s = lasting(talk);
    call.ended_by = Some(ended_by);
    call
}

fn calls() -> Vec<CallEntry> {
    let a_leg = CallEntry {
        source: address("198.51.100.7:40311"),
        linked: vec!["6f2c11d0@203.0.113.10".to_owned()],
        ..answered(call("a84b4c76e66710@192.168.77.11", "1001", "1002", 61.0, Outcome::Answered, Some(200)), 4.1, 63.0, EndedBy::Caller)
    };
    let b_leg = CallEntry {
        source: address(PBX),
        destination: address("198.51.100.7:40417"),
        direction: Direction::Out,
        linked: vec!["a84b4c76e66710@192.168.77.11".to_owned()],
        ..answered(call("6f2c11d0@203.0.113.10", "1001", "1002", 61.1, Outcome::Answered, Some(200)), 4.0, 63.0, EndedBy::Caller)
    };
    let unanswered = CallEntry {
        source: address(PBX),
        destination: address("198.51.100.7:40311"),
        direction: Direction::Out,
        setup_s: None,
        ..call("77ab@203.0.113.10", "+493012345678", "1001", 400.0, Outcome::NoResponse, None)
    };
    let overbilled = CallEntry {
        overbilled_s: lasting(604.0),
        end_reason: Some("Q.850;cause=16;text=\"Normal call clearing\"".to_owned()),
        ..answered(call("9c1@192.0.2.60", "1004", "004930123456789", 900.0, Outcome::Answered, Some(200)), 7.25, 1_861.0, EndedBy::Callee)
    };
    let open = CallEntry {
        ended: None,
        talk_s: None,
        ended_by: None,
        state: CallState::Open,
        ..answered(call("open@192.0.2.60", "1004", "1007", 3_600.0, Outcome::Answered, Some(200)), 2.0, 0.0, EndedBy::Caller)
    };
    let partial = CallEntry {
        partial: true,
        started: None,
        setup_s: None,
        ended_by: Some(EndedBy::Callee),
        ..call("mid@192.0.2.60", "1002", "1004", 3.0, Outcome::Unknown, None)
    };
    let rang = CallEntry { ring_s: lasting(30.0), ..call("na@192.0.2.60", "1004", "1002", 1_500.0, Outcome::NoAnswer, Some(480)) };
    let dropped = CallEntry {
        end_reason: Some("200 OK never acknowledged".to_owned()),
        ..answered(call("ack@192.0.2.60", "1004", "1003", 2_000.0, Outcome::Answered, Some(200)), 3.0, 32.0, EndedBy::Pbx)
    };
    vec![
        a_leg,
        b_leg,
        unanswered,
        overbilled,
        open,
        partial,
        rang,
        dropped,
        call("busy@192.0.2.60", "1004", "1001", 700.0, Outcome::Busy, Some(486)),
        call("nf@192.0.2.60", "1004", "0049301", 720.0, Outcome::NotFound, Some(404)),
        call("auth@192.0.2.44", "1003", "1001", 800.0, Outcome::AuthFailed, Some(401)),
        call("5xx@192.0.2.60", "1004", "1005", 3_100.0, Outcome::ServerError, Some(503)),
    ]
}

fn nat() -> Vec<NatEntry> {
    let quiet = NatEntry {
        first_seen: START,
        site: "2001:db8:1:2::/64".to_owned(),
        devices: 1,
        stage: NatStage::Any,
        lifetime_min_s: lasting(61.0),
        lifetime_max_s: None,
        successes: 40,
        failures: 0,
        confidence: None,
        keepalive_gap_s: lasting(30.0),
        recommended_keepalive_s: None,
        recommended_nat_timeout_s: None,
        expected_loss: None,
    };
    let short = NatEntry {
        site: "198.51.100.7".to_owned(),
        devices: 2,
        lifetime_min_s: lasting(28.0),
        lifetime_max_s: lasting(31.5),
        successes: 9,
        failures: 4,
        confidence: Some(Confidence::Confirmed),
        keepalive_gap_s: lasting(60.0),
        recommended_keepalive_s: Some(25),
        recommended_nat_timeout_s: Some(61),
        expected_loss: Ratio::new(0.475).zip(Ratio::new(0.533)).map(<[Ratio; 2]>::from),
        ..quiet.clone()
    };
    vec![short, quiet]
}

pub(super) fn finding(id: &'static str, severity: Severity, scope: Scope, subject: &str, since: f64, message: &str) -> FindingEntry {
    FindingEntry {
        id,
        severity,
        confidence: Confidence::Confirmed,
        reason: None,
        scope,
        subject: subject.to_owned(),
        since: at(since),
        at: at(since + 30.0),
        cleared: None,
        count: 1,
        message: message.to_owned(),
        evidence: Vec::new(),
        remedy: String::new(),
        runbook: Vec::new(),
        explains: Vec::new(),
    }
}

fn fact(seconds: f64, frame: impl Into<Option<u64>>, fact: &str) -> Evidence {
    Evidence { at: at(seconds), frame: frame.into(), fact: fact.to_owned() }
}

fn findings() -> Vec<FindingEntry> {
    let nat = FindingEntry {
        count: 4,
        evidence: vec![
            fact(342.018, 318, "last packet of the phone: keep-alive CRLFCRLF from 198.51.100.7:40311"),
            fact(400.0, 351, "INVITE to 198.51.100.7:40311 after 58.0 s of silence"),
            fact(432.0, None, "no answer to 7 transmissions within 32.0 s"),
        ],
        remedy: "Set phone keep-alive ≤ 25 s or router UDP NAT timeout ≥ 61 s (or qualify from the PBX every ≤ 25 s; or use TCP/TLS)."
            .to_owned(),
        runbook: vec!["S4-6", "S4-nat"],
        explains: vec!["callee-no-response", "peer-unreachable"],
        ..finding(
            "nat-binding-timeout",
            Severity::Error,
            Scope::Site,
            "198.51.100.7",
            342.018,
            "198.51.100.7: NAT forgets 1001@pbx.example.com after 28.0–31.5s, refresh only every 60.0s (~50% of inbound requests miss); \
             set keep-alive ≤25s or NAT UDP timeout ≥61s",
        )
    };
    let auth = FindingEntry {
        reason: Some("wrong-password"),
        count: 12,
        evidence: vec![
            fact(20.1, 44, "REGISTER with credentials for user 1003, fresh nonce"),
            fact(20.2, 45, "401 Unauthorized again, new nonce, stale not set"),
        ],
        remedy: "Re-enter auth user and password (or create/enable the account), then force reconnection.".to_owned(),
        runbook: vec!["S0-e"],
        explains: vec!["registration-rejected"],
        ..finding(
            "auth-failed-loop",
            Severity::Error,
            Scope::Phone,
            "1003@pbx.example.com",
            20.1,
            "1003@pbx.example.com@192.0.2.44: credentials rejected 12× (wrong password)",
        )
    };
    let lossy = FindingEntry {
        confidence: Confidence::Probable,
        remedy: "Fix the mirror port/interface/filter; results are incomplete until then.".to_owned(),
        ..finding(
            "capture-lossy",
            Severity::Warning,
            Scope::Capture,
            PBX,
            1_200.0,
            "capture problem: 2 datagrams lost fragments; absence findings disabled",
        )
    };
    let moved = FindingEntry {
        cleared: Some(at(2_500.0)),
        remedy: "Nothing to do.".to_owned(),
        runbook: vec!["S1-d"],
        ..finding(
            "device-moved",
            Severity::Info,
            Scope::Phone,
            "1004@pbx.example.com",
            1_800.0,
            "1004@pbx.example.com: moved from 192.0.2.61 to 192.0.2.60",
        )
    };
    vec![nat, auth, lossy, moved]
}

fn performance() -> Rfc6076 {
    let millis = |values: &[i64]| Distribution::of(values.iter().map(|&value| Span::from_millis(value)).collect());
    Rfc6076 {
        rrd_s: millis(&[21, 24, 22, 31, 205]),
        srd_success_s: millis(&[120, 130, 125, 2_400]),
        srd_failure_s: millis(&[80, 95]),
        sdd_s: millis(&[12, 13, 15]),
        sdt_s: millis(&[63_000, 1_861_000, 32_000]),
        ira_ratio: Ratio::of(1, 402),
        ser_ratio: Ratio::of(4, 9),
        seer_ratio: Ratio::of(6, 9),
        isa_ratio: Ratio::of(1, 9),
        scr_ratio: None,
    }
}
