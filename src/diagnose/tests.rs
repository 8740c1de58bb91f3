//! What the rules say of situations that are written down by hand.

use std::net::SocketAddr;

use crate::decode::flow::Transport;
use crate::decode::signal::Signal;
use crate::detect::catalog::FindingId;
use crate::detect::finding::{Raise, Subject};
use crate::detect::store::FindingStore;
use crate::diagnose::{Moment, Question, Scene, diagnose};
use crate::report::model::{CallEntry, DeviceEntry, Problem, RegistrationEntry, Report, Seconds, Stamp, Verdict};
use crate::time::{PacketTime, Span};
use crate::track::event::Sighting;
use crate::track::site::Site;
use crate::track::vocabulary::{BehindNat, CallState, Direction, EndedBy, Outcome, Reachability, RegistrationState};
use crate::track::{Settings, Tracker};

const PBX: &str = "203.0.113.10:5060";
const PHONE: &str = "198.51.100.7:40001";
const NEIGHBOUR: &str = "198.51.100.7:40002";

fn at(seconds: i64) -> PacketTime {
    PacketTime::from_parts(1_769_850_000 + seconds, 0)
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn phone(aor: &str, source: &str, state: RegistrationState, last_seen: i64) -> RegistrationEntry {
    let device = DeviceEntry {
        first_seen: at(0),
        contact: format!("sip:{aor}"),
        source: address(source),
        transport: Transport::Udp,
        user_agent: Some("Phone/1".to_owned()),
        instance: None,
        state,
        registered_at: (state == RegistrationState::Registered).then_some(Stamp(at(0))),
        expires_at: None,
        last_seen: Some(Stamp(at(last_seen))),
        behind_nat: BehindNat::No,
        keepalive: None,
        qualified_by: None,
        reachability: Reachability::Unknown,
        rtt_s: None,
    };
    RegistrationEntry {
        first_seen: at(0),
        by_scanner: false,
        aor: aor.to_owned(),
        state,
        attempts: 1,
        accepted: 1,
        rejected: 0,
        last_status: Some(200),
        devices: vec![device],
    }
}

fn call(from: &str, to: &str, start: i64, outcome: Outcome, status: u16) -> CallEntry {
    CallEntry {
        first_seen: at(start),
        first_frame: 9,
        passed_on_to: None,
        by_scanner: false,
        call_id: format!("{from}-{to}-{start}"),
        from: Some(from.to_owned()),
        to: Some(to.to_owned()),
        source: address(PHONE),
        destination: address(PBX),
        direction: Direction::In,
        started: Some(Stamp(at(start))),
        answered: (outcome == Outcome::Answered).then_some(Stamp(at(start + 5))),
        ended: Some(Stamp(at(start + 65))),
        partial: false,
        outcome,
        status: Some(status),
        state: CallState::Ended,
        setup_s: None,
        ring_s: None,
        talk_s: (outcome == Outcome::Answered).then_some(Seconds(Span::from_secs(60))),
        ended_by: Some(EndedBy::Caller),
        end_reason: None,
        linked: Vec::new(),
        overbilled_s: None,
    }
}

/// A situation in the making.
struct World {
    tracker: Tracker,
    findings: FindingStore,
    report: Report,
}

impl World {
    fn new(registrations: Vec<RegistrationEntry>, calls: Vec<CallEntry>) -> Self {
        let settings = Settings {
            seed: 0,
            pbxs: vec![address(PBX)],
            own: Vec::new(),
            trunks: Vec::new(),
            transactions: 100,
            calls: 100,
            bindings: 100,
            flows: 100,
            sources: 100,
            finished: 100,
            thresholds: crate::config::Thresholds::default(),
        };
        let mut tracker = Tracker::new(&settings);
        tracker.advance(at(1_000));
        Self { tracker, findings: FindingStore::default(), report: Report { registrations, calls, ..Report::default() } }
    }

    fn raise(&mut self, id: FindingId, subject: Subject, seconds: i64) -> &mut Self {
        self.findings.raise(Raise::new(id, subject, "what was found").evidence(at(seconds), 3, "a fact"), at(seconds));
        self
    }

    fn ask(&self, user: &str, problem: Option<Problem>) -> Verdict {
        let scene = Scene { tracker: &self.tracker, findings: &self.findings, report: &self.report };
        diagnose(scene, &Question { user: user.to_owned(), problem, since: None, until: None, moment: Moment::Any })
    }

    fn verdict(&self, problem: Problem) -> &'static str {
        self.ask("1001", Some(problem)).verdict.as_str()
    }
}

fn registered() -> Vec<RegistrationEntry> {
    vec![phone("1001@a.example", PHONE, RegistrationState::Registered, 990)]
}

fn aor(name: &str) -> Subject {
    Subject::Aor(name.into())
}

#[test]
fn who_was_never_seen_gets_no_answer_but_that() {
    let world = World::new(Vec::new(), Vec::new());
    for problem in Problem::ALL.iter().map(|problem| Some(*problem)).chain([None]) {
        assert_eq!(world.ask("1001", problem).verdict.as_str(), "no-traffic", "{problem:?}");
    }
}

#[test]
fn a_finding_about_another_user_of_the_site_is_not_this_users() {
    let mut world = World::new(registered(), Vec::new());
    let raise = Raise::new(FindingId::AuthFailedLoop, aor("1002@a.example"), "x").related(Subject::Site(Site::of(address(PHONE).ip())));
    world.findings.raise(raise, at(900));
    assert_eq!(world.verdict(Problem::CannotConnect), "ok");
    world.raise(FindingId::SipAlgSuspected, Subject::Site(Site::of(address(PHONE).ip())), 900);
    assert_eq!(world.verdict(Problem::LosesConnection), "sip-alg-suspected", "what its site suffers from is");
}

#[test]
fn the_first_rule_wins_and_those_before_it_are_ruled_out() {
    let mut world = World::new(registered(), Vec::new());
    world.raise(FindingId::PeerUnreachable, aor("1001@a.example"), 900);
    world.raise(FindingId::DuplicateRegistration, aor("1001@a.example"), 900);
    let verdict = world.ask("1001", Some(Problem::LosesConnection));
    assert_eq!(verdict.verdict.as_str(), "duplicate-registration");
    let ruled_out: Vec<_> = verdict.ruled_out.iter().map(|item| item.verdict).collect();
    assert!(ruled_out.contains(&"nat-binding-timeout") && !ruled_out.contains(&"peer-unreachable"), "{ruled_out:?}");
    assert_eq!(verdict.evidence.iter().filter(|fact| fact.frame == Some(3)).count(), 1);
}

#[test]
fn what_a_hole_may_hide_is_not_ruled_out() {
    let mut world = World::new(registered(), Vec::new());
    let why = |world: &World| {
        let verdict = world.ask("1001", Some(Problem::CannotConnect));
        verdict.ruled_out.into_iter().find(|item| item.verdict == "registrar-silent").expect("it was looked at").why
    };
    assert!(why(&world).starts_with("no REGISTER"), "{}", why(&world));
    world.tracker.signal(&Signal::Dropped(5), Sighting { time: at(1_001), frame: 0 });
    assert!(why(&world).starts_with("cannot be ruled out"), "{}", why(&world));
}

#[test]
fn a_capture_that_cannot_be_trusted_stops_everything() {
    let mut world = World::new(registered(), Vec::new());
    world.raise(FindingId::AuthFailedLoop, aor("1001@a.example"), 900);
    world.raise(FindingId::CaptureOneWay, Subject::Pbx(address(PBX)), 900);
    assert_eq!(world.verdict(Problem::CannotConnect), "cannot-tell");
}

#[test]
fn a_site_is_offline_only_where_all_its_phones_are_silent() {
    let silent = |neighbour: i64| {
        let phones = vec![
            phone("1001@a.example", PHONE, RegistrationState::Registered, 100),
            phone("1002@a.example", NEIGHBOUR, RegistrationState::Registered, neighbour),
        ];
        World::new(phones, Vec::new()).ask("1001", Some(Problem::CannotConnect))
    };
    assert_eq!(silent(120).verdict.as_str(), "not-an-issue");
    let alive = silent(990);
    assert_eq!(alive.verdict.as_str(), "ok");
    assert!(alive.ruled_out.iter().any(|item| item.why.contains("1 other phone at the same address")), "{:?}", alive.ruled_out);
}

#[test]
fn what_was_cleared_is_over_and_what_faded_away_is_not() {
    let mut world = World::new(registered(), Vec::new());
    world.raise(FindingId::CalleeNoResponse, aor("1001@a.example"), 100);
    world.findings.advance(at(1_000));
    assert_eq!(world.verdict(Problem::CannotReceive), "callee-no-response", "nothing was tried since");
    let mut mended = World::new(registered(), Vec::new());
    mended.raise(FindingId::CalleeNoResponse, aor("1001@a.example"), 100);
    mended.findings.clear(FindingId::CalleeNoResponse, &aor("1001@a.example"), at(200));
    assert_eq!(mended.verdict(Problem::CannotReceive), "temporary-network-problem");
}

#[test]
fn a_phone_that_takes_calls_is_not_gone() {
    let mut leg = call("2001", "1001", 950, Outcome::Answered, 200);
    (leg.direction, leg.source, leg.destination) = (Direction::Out, address(PBX), address(PHONE));
    let mut world = World::new(registered(), vec![leg]);
    world.raise(FindingId::PeerUnreachable, aor("1001@a.example"), 900);
    let verdict = world.ask("1001", Some(Problem::CannotReceive));
    assert_eq!(verdict.verdict.as_str(), "ok");
    assert!(verdict.ruled_out.iter().any(|item| item.verdict == "peer-unreachable" && item.why.contains("a call reached the phone")));
}

#[test]
fn a_phone_that_reconnected_to_place_its_call_had_a_temporary_problem() {
    let mut phones = registered();
    phones[0].accepted = 2;
    phones[0].devices[0].registered_at = Some(Stamp(at(890)));
    let calls = vec![call("1001", "2001", 900, Outcome::Answered, 200)];
    assert_eq!(World::new(phones, calls.clone()).verdict(Problem::CannotCall), "temporary-network-problem");
    assert_eq!(World::new(registered(), calls).verdict(Problem::CannotCall), "ok");
}

#[test]
fn each_way_a_call_can_fail_has_its_verdict() {
    for (outcome, status, verdict, escalate) in [
        (Outcome::Busy, 486, "not-an-issue", "none"),
        (Outcome::NotFound, 404, "not-an-issue", "none"),
        (Outcome::Forbidden, 403, "not-an-issue", "L2"),
        (Outcome::AuthFailed, 407, "auth-failed-loop", "none"),
        (Outcome::NotAcceptable, 488, "codec-mismatch", "none"),
        (Outcome::ServerError, 500, "server-error-burst", "L2"),
        (Outcome::Stalled100, 100, "pbx-slow", "L2"),
        (Outcome::NoResponse, 0, "invite-ignored", "L2"),
        (Outcome::Unavailable, 480, "not-an-issue", "none"),
        (Outcome::Unknown, 0, "cannot-tell", "none"),
    ] {
        let told = World::new(registered(), vec![call("1001", "2001", 900, outcome, status)]).ask("1001", Some(Problem::CannotCall));
        assert_eq!((told.verdict.as_str(), told.escalate.as_str()), (verdict, escalate), "{outcome}");
    }
}

#[test]
fn a_called_party_that_is_there_is_looked_at() {
    let phones = || vec![registered().remove(0), phone("2001@a.example", "192.0.2.9:5060", RegistrationState::Registered, 990)];
    let mut world = World::new(phones(), vec![call("1001", "2001", 900, Outcome::Unavailable, 480)]);
    assert_eq!(world.verdict(Problem::CannotCall), "callee-no-response", "suspected, for lack of a better one");
    world.raise(FindingId::NatBindingTimeout, aor("2001@a.example"), 905);
    let verdict = world.ask("1001", Some(Problem::CannotCall));
    assert_eq!(verdict.verdict.as_str(), "nat-binding-timeout");
    assert!(verdict.next_step.contains("diagnose 2001 --problem cannot-receive"), "{}", verdict.next_step);
}

#[test]
fn a_number_is_followed_to_where_its_calls_went() {
    let mut main = call("1001", "900", 900, Outcome::Answered, 200);
    let mut leg = call("1001", "2001", 901, Outcome::Answered, 200);
    (leg.direction, leg.source, leg.destination) = (Direction::Out, address(PBX), address("192.0.2.9:5060"));
    main.linked = vec![leg.call_id.clone()];
    leg.linked = vec![main.call_id.clone()];
    let verdict = World::new(registered(), vec![main, leg]).ask("900", None);
    assert_eq!(verdict.verdict.as_str(), "delivered-elsewhere");
    assert!(verdict.headline.contains("went to 2001"), "{}", verdict.headline);
}

#[test]
fn a_call_that_the_pbx_ended_by_itself_was_dropped() {
    let dropped = CallEntry { ended_by: Some(EndedBy::Pbx), ..call("1001", "2001", 900, Outcome::Answered, 200) };
    assert_eq!(World::new(registered(), vec![dropped]).verdict(Problem::CallDropped), "call-dropped-no-bye");
    let nobody = CallEntry { ended_by: None, ..call("1001", "2001", 900, Outcome::Answered, 200) };
    assert_eq!(World::new(registered(), vec![nobody]).verdict(Problem::CallDropped), "cannot-tell");
}

#[test]
fn several_users_of_one_number_are_named() {
    let phones = vec![
        phone("1001@a.example", PHONE, RegistrationState::Registered, 990),
        phone("1001@b.example", "192.0.2.9:5060", RegistrationState::Expired, 500),
    ];
    let world = World::new(phones, Vec::new());
    let verdict = world.ask("1001", Some(Problem::CannotConnect));
    assert_eq!(verdict.verdict.as_str(), "registration-expired");
    assert!(verdict.headline.contains("1001@a.example, 1001@b.example"), "{}", verdict.headline);
    assert_eq!(world.ask("1001@a.example", Some(Problem::CannotConnect)).verdict.as_str(), "ok");
}

#[test]
fn what_matters_most_answers_whether_anything_is_wrong() {
    let mut world = World::new(registered(), vec![call("1001", "2001", 900, Outcome::Busy, 486)]);
    assert_eq!(world.ask("1001", None).verdict.as_str(), "ok", "a busy line is no fault of the user");
    world.raise(FindingId::LegLeftUp, Subject::Call("1001-2001-900".into()), 950);
    assert_eq!(world.ask("1001", None).verdict.as_str(), "leg-left-up");
}
