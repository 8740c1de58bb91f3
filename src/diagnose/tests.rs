//! What the rules say of situations that are written down by hand.

mod whose;

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
        forks: Vec::new(),
        forwarded: false,
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
        (Outcome::Forbidden, 403, "not-an-issue", "none"),
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

fn site() -> Subject {
    Subject::Site(Site::of(address(PHONE).ip()))
}

fn why_not(verdict: &Verdict, id: &str) -> String {
    verdict.ruled_out.iter().find(|item| item.verdict == id).map(|item| item.why.clone()).unwrap_or_default()
}

#[test]
fn a_site_finding_concerns_the_phones_that_it_names() {
    let about = |name: &str| {
        let mut world = World::new(registered(), Vec::new());
        world.findings.raise(Raise::new(FindingId::NatBindingTimeout, site(), "forgets").related(aor(name)), at(900));
        world.ask("1001", Some(Problem::LosesConnection))
    };
    assert_eq!(about("1001@a.example").verdict.as_str(), "nat-binding-timeout");
    let neighbour = about("1002@a.example");
    assert_eq!(neighbour.verdict.as_str(), "ok");
    let why = why_not(&neighbour, "nat-binding-timeout");
    assert!(why.contains("forgets 1002@a.example") && why.contains("no request to this one"), "{why}");
}

#[test]
fn a_phone_that_escaped_its_nat_by_a_shorter_keep_alive_keeps_it() {
    let mut world = World::new(registered(), Vec::new());
    world.findings.raise(Raise::new(FindingId::NatBindingTimeout, site(), "forgets").related(aor("1002@a.example")), at(890));
    assert_eq!(world.verdict(Problem::LosesConnection), "ok");
    world.raise(FindingId::KeepaliveExperiment, aor("1001@a.example"), 900);
    let verdict = world.ask("1001", Some(Problem::LosesConnection));
    assert_eq!(verdict.verdict.as_str(), "temporary-network-problem");
    assert!(verdict.next_step.starts_with("Nothing to do for this phone"), "{}", verdict.next_step);
}

#[test]
fn a_site_finding_concerns_the_phone_whose_trouble_it_explains() {
    let mut world = World::new(registered(), Vec::new());
    world.findings.raise(Raise::new(FindingId::NatBindingTimeout, site(), "forgets").related(aor("1002@a.example")), at(890));
    let late = Raise::new(FindingId::LateDelivery, aor("1001@a.example"), "late").related(site()).evidence(at(895), 3, "a fact");
    world.findings.raise(late, at(900));
    assert_eq!(world.verdict(Problem::LosesConnection), "nat-binding-timeout");
}

#[test]
fn what_happens_to_a_whole_site_concerns_each_phone_there() {
    let mut world = World::new(registered(), Vec::new());
    world.findings.raise(Raise::new(FindingId::SourceIpChanged, site(), "x").related(aor("1002@a.example")), at(900));
    assert_eq!(world.verdict(Problem::LosesConnection), "source-ip-changed");
}

#[test]
fn a_full_list_of_phones_leaves_nobody_out() {
    let mut world = World::new(registered(), Vec::new());
    let raise = Raise::new(FindingId::NatBindingTimeout, site(), "forgets many");
    let raise = (2000..2030).fold(raise, |raise, user| raise.related(aor(&format!("{user}@a.example"))));
    world.findings.raise(raise, at(900));
    assert_eq!(world.verdict(Problem::LosesConnection), "nat-binding-timeout");
}

#[test]
fn answers_that_get_lost_are_the_trouble_of_the_phone_that_waits_for_them() {
    let source = || Subject::Source(address(PHONE).ip());
    let about = |name: &str| {
        let mut world = World::new(registered(), Vec::new());
        world.findings.raise(Raise::new(FindingId::ResponseNotReachingClient, source(), "lost").related(aor(name)), at(900));
        world.verdict(Problem::CannotConnect)
    };
    assert_eq!(about("1001@a.example"), "response-not-reaching-client");
    assert_eq!(about("1002@a.example"), "ok");
}

#[test]
fn who_knocks_at_the_wrong_door_is_no_phone_that_is_registered_beside_others() {
    let knock = |state: RegistrationState| {
        let phones =
            vec![phone("1001@a.example", PHONE, state, 990), phone("1002@a.example", NEIGHBOUR, RegistrationState::Registered, 990)];
        let mut world = World::new(phones, Vec::new());
        world.raise(FindingId::WrongTransportOrPort, Subject::Source(address(PHONE).ip()), 900);
        world.verdict(Problem::CannotConnect)
    };
    assert_eq!(knock(RegistrationState::Expired), "wrong-transport-or-port");
    assert_eq!(knock(RegistrationState::Registered), "ok", "the one beside it may be anything");
}

#[test]
fn the_own_trouble_comes_before_that_of_everybody() {
    let mut world = World::new(registered(), Vec::new());
    let over = |world: &mut World, id: FindingId, subject: Subject, message: &str| {
        world.findings.raise(Raise::new(id, subject.clone(), message).evidence(at(100), 3, "a fact"), at(100));
        world.findings.clear(id, &subject, at(200));
    };
    over(&mut world, FindingId::SipAlgSuspected, site(), "of the router");
    over(&mut world, FindingId::ProbeLoss, aor("1001@a.example"), "of the phone");
    let verdict = world.ask("1001", Some(Problem::CannotConnect));
    assert!(verdict.headline.contains("What was found then: of the phone."), "{}", verdict.headline);
    over(&mut world, FindingId::PbxNotResponding, Subject::Pbx(address(PBX)), "of the PBX");
    let verdict = world.ask("1001", Some(Problem::CannotConnect));
    assert!(verdict.headline.contains("What was found then: of the PBX."), "{}", verdict.headline);
}

#[test]
fn what_is_over_orders_nothing() {
    let mut world = World::new(registered(), Vec::new());
    let raise = Raise::new(FindingId::NatBindingTimeout, aor("1001@a.example"), "NAT forgets it after 15 s; set keep-alive ≤ 15 s");
    world.findings.raise(raise, at(100));
    world.findings.clear(FindingId::NatBindingTimeout, &aor("1001@a.example"), at(200));
    let verdict = world.ask("1001", Some(Problem::LosesConnection));
    assert_eq!(verdict.verdict.as_str(), "temporary-network-problem");
    assert!(
        verdict.headline.contains("NAT forgets it after 15 s.") && !verdict.headline.contains("set keep-alive"),
        "{}",
        verdict.headline
    );
    assert!(
        verdict.next_step.starts_with("Nothing to do now") && verdict.next_step.contains("If it comes back: "),
        "{}",
        verdict.next_step
    );
}

#[test]
fn a_call_in_the_name_of_a_user_is_not_the_users() {
    let made = |source: &str, outcome: Outcome| {
        let mut own = call("1001", "2001", 900, Outcome::Answered, 200);
        own.source = address(PHONE);
        let mut other = call("1001", "0097259", 950, outcome, 407);
        other.source = address(source);
        World::new(registered(), vec![own, other]).ask("1001", Some(Problem::CannotCall))
    };
    let imposture = made("198.18.0.66:5074", Outcome::AuthFailed);
    assert_eq!(imposture.verdict.as_str(), "ok");
    assert!(imposture.evidence.iter().any(|fact| fact.fact.contains("in the name of 1001 from 198.18.0.66")), "{:?}", imposture.evidence);
    assert_eq!(made(PHONE, Outcome::AuthFailed).verdict.as_str(), "auth-failed-loop", "its own phone has the wrong password");
    assert_eq!(made("198.18.0.66:5074", Outcome::NotAcceptable).verdict.as_str(), "codec-mismatch", "it could prove its name");
}

#[test]
fn a_phone_whose_calls_are_forwarded_gets_none() {
    let forwarded = |forwarded: bool, place: &str| {
        let phones = vec![registered().remove(0), phone("1024@a.example", "192.0.2.9:5060", RegistrationState::Registered, 990)];
        let main = call("1022", "1001", 900, Outcome::Answered, 200);
        let main = CallEntry { source: address("192.0.2.7:5060"), passed_on_to: Some(address(place)), forwarded, ..main };
        World::new(phones, vec![main]).ask("1001", Some(Problem::CannotReceive))
    };
    let elsewhere = forwarded(true, "192.0.2.9:5060");
    assert_eq!(elsewhere.verdict.as_str(), "delivered-elsewhere");
    assert!(elsewhere.headline.contains("was forwarded to 1024 and was answered"), "{}", elsewhere.headline);
    assert!(forwarded(false, "192.0.2.9:5060").headline.contains("went to 1024"), "the PBX sent it there by itself");
    assert_eq!(forwarded(true, PHONE).verdict.as_str(), "ok", "it came back to its own phone");
}

#[test]
fn a_user_is_known_by_the_address_of_the_pbx_where_nobody_shares_its_number() {
    let found = |phones: Vec<RegistrationEntry>| {
        let mut world = World::new(phones, Vec::new());
        world.report.pbx_addresses = vec![address(PBX)];
        world.raise(FindingId::CallFailedCalleeUnreachable, aor("1001@203.0.113.10"), 900);
        world.ask("1001@a.example", Some(Problem::CannotReceive)).verdict.as_str()
    };
    assert_eq!(found(registered()), "call-failed-callee-unreachable");
    let tenants = vec![registered().remove(0), phone("1001@b.example", "192.0.2.9:5060", RegistrationState::Registered, 990)];
    assert_eq!(found(tenants), "cannot-tell", "which of the tenants was called is not known");
}

#[test]
fn a_call_in_the_making_settles_nothing() {
    let ringing = |state: CallState| CallEntry { state, ended: None, status: None, ..call("1001", "2002", 995, Outcome::Unknown, 0) };
    let before = || call("1001", "2001", 900, Outcome::Answered, 200);
    let verdict = |calls: Vec<CallEntry>| World::new(registered(), calls).ask("1001", Some(Problem::CannotCall)).verdict.as_str();
    assert_eq!(verdict(vec![before(), ringing(CallState::Ringing)]), "ok");
    assert_eq!(verdict(vec![before(), ringing(CallState::Setup)]), "ok");
    assert_eq!(verdict(vec![ringing(CallState::Setup)]), "cannot-tell");
    let failed = || call("1001", "2001", 900, Outcome::NotAcceptable, 488);
    assert_eq!(verdict(vec![failed(), ringing(CallState::Ringing)]), "codec-mismatch");
}

#[test]
fn a_long_wait_before_the_answer_is_told() {
    let headline = |seconds: i64| {
        let answered = CallEntry { setup_s: Some(Seconds(Span::from_secs(seconds))), ..call("1001", "2001", 900, Outcome::Answered, 200) };
        World::new(registered(), vec![answered]).ask("1001", Some(Problem::CannotCall)).headline
    };
    assert!(headline(9).contains("was answered after 9.0 s of waiting"), "{}", headline(9));
    assert!(!headline(3).contains("waiting"), "{}", headline(3));
}
