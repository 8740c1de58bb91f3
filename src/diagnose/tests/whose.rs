//! Whose a call is, where an address does not tell.

use super::*;

/// Users whose phones have one socket.
fn sharing(users: &[&str]) -> Vec<RegistrationEntry> {
    users.iter().map(|user| phone(&format!("{user}@a.example"), PHONE, RegistrationState::Registered, 990)).collect()
}

fn leg_to(to: &str, start: i64, outcome: Outcome, status: u16) -> CallEntry {
    let leg = call("555", to, start, outcome, status);
    CallEntry { direction: Direction::Out, source: address(PBX), destination: address(PHONE), ..leg }
}

#[test]
fn of_users_behind_one_socket_each_has_its_own_calls() {
    let calls = vec![
        call("1001", "2001", 900, Outcome::Forbidden, 403),
        call("1002", "2001", 910, Outcome::Busy, 486),
        leg_to("1001", 920, Outcome::Answered, 200),
        leg_to("1002", 930, Outcome::NotAcceptable, 488),
    ];
    let world = World::new(sharing(&["1001", "1002"]), calls);
    let made = |user: &str| world.ask(user, Some(Problem::CannotCall)).headline;
    assert!(made("1001").contains("was not allowed (403)"), "{}", made("1001"));
    assert!(made("1002").contains("found the line busy (486)"), "{}", made("1002"));
    let got = |user: &str| world.ask(user, Some(Problem::CannotReceive)).verdict.as_str();
    assert_eq!((got("1001"), got("1002")), ("ok", "codec-mismatch"));
}

#[test]
fn a_contact_names_its_phone_behind_a_shared_socket() {
    let mut phones = sharing(&["1001", "1002"]);
    phones[0].devices[0].contact = "sip:k3fq9@10.0.0.1:5060".to_owned();
    phones[1].devices[0].contact = "sip:x77ab@10.0.0.2:5060".to_owned();
    let world = World::new(phones, vec![leg_to("k3fq9", 920, Outcome::Answered, 200)]);
    let got = |user: &str| world.ask(user, Some(Problem::CannotReceive)).verdict.as_str();
    assert_eq!((got("1001"), got("1002")), ("ok", "cannot-tell"));
}

#[test]
fn a_name_of_nobody_tells_whose_a_call_is_only_where_one_user_is() {
    let told = |users: &[&str]| {
        let calls = vec![call("+4930555", "2001", 900, Outcome::Answered, 200)];
        World::new(sharing(users), calls).ask("1001", Some(Problem::CannotCall))
    };
    assert_eq!(told(&["1001"]).verdict.as_str(), "ok", "the phone shows a number of its own");
    let shared = told(&["1001", "1002"]);
    assert_eq!(shared.verdict.as_str(), "cannot-tell");
    assert!(shared.headline.contains("1 call from its address"), "{}", shared.headline);
    let mut failed = sharing(&["1001", "1002"]);
    (failed[1].devices[0].registered_at, failed[1].devices[0].state) = (None, RegistrationState::Rejected);
    let calls = vec![call("+4930555", "2001", 900, Outcome::Answered, 200), call("1002", "2001", 910, Outcome::Forbidden, 403)];
    assert_eq!(
        World::new(failed, calls).verdict(Problem::CannotCall),
        "ok",
        "a line that never registered shares nothing but its own name"
    );
}

#[test]
fn who_asks_for_an_address_asks_for_everybody_there() {
    let calls = vec![call("1002", "2001", 900, Outcome::Forbidden, 403)];
    let verdict = World::new(sharing(&["1001", "1002"]), calls).ask("198.51.100.7", Some(Problem::CannotCall));
    assert_eq!(verdict.verdict.as_str(), "not-an-issue");
}

#[test]
fn a_call_that_a_proxy_passed_on_to_a_shared_socket_is_for_whom_it_names() {
    let passed = |to: &str, user: &str| {
        let main = CallEntry {
            source: address("192.0.2.7:5060"),
            passed_on_to: Some(address(PHONE)),
            ..call("555", to, 900, Outcome::Answered, 200)
        };
        World::new(sharing(&["1001", "1002"]), vec![main]).ask(user, Some(Problem::CannotReceive))
    };
    assert_eq!(passed("1002", "1002").verdict.as_str(), "ok");
    assert_eq!(passed("1002", "1001").verdict.as_str(), "cannot-tell");
    let group = passed("900", "900");
    assert!(group.headline.contains("went to 198.51.100.7:40001"), "which of them rang is not known: {}", group.headline);
}

/// A call of 1001 to 2001, of which the phone of 2001 gave the answer.
fn refused_by_the_phone(outcome: Outcome, status: u16) -> World {
    let phones = vec![registered().remove(0), phone("2001@a.example", "192.0.2.9:5060", RegistrationState::Registered, 990)];
    let (mut main, leg) = (call("1001", "2001", 900, outcome, status), call("1001", "2001", 901, outcome, status));
    let mut leg = CallEntry { direction: Direction::Out, source: address(PBX), destination: address("192.0.2.9:5060"), ..leg };
    (main.linked, leg.linked) = (vec![leg.call_id.clone()], vec![main.call_id.clone()]);
    World::new(phones, vec![main, leg])
}

#[test]
fn what_the_called_phone_refuses_is_not_laid_to_the_pbx_or_the_caller() {
    for (outcome, status, verdict) in [
        (Outcome::NotFound, 404, "stale-binding-target"),
        (Outcome::Forbidden, 403, "stale-binding-target"),
        (Outcome::ClientError, 481, "stale-binding-target"),
        (Outcome::AuthFailed, 403, "stale-binding-target"),
        (Outcome::NotAcceptable, 488, "codec-mismatch"),
        (Outcome::ServerError, 500, "cannot-tell"),
        (Outcome::Unavailable, 480, "not-an-issue"),
    ] {
        let world = refused_by_the_phone(outcome, status);
        let caller = world.ask("1001", Some(Problem::CannotCall));
        assert_eq!((caller.verdict.as_str(), caller.escalate.as_str()), (verdict, "none"), "{outcome}");
        assert!(caller.headline.contains(&format!("reached the phone at 192.0.2.9:5060, which answered {status}")), "{}", caller.headline);
        assert!(caller.next_step.contains("diagnose 2001 --problem cannot-receive"), "{}", caller.next_step);
        let called = world.ask("2001", Some(Problem::CannotReceive));
        assert_eq!((called.verdict.as_str(), called.escalate.as_str()), (verdict, "none"), "{outcome}");
        assert!(!called.headline.contains("does not show the answer"), "{}", called.headline);
    }
}

#[test]
fn what_the_pbx_answers_itself_is_its_own() {
    let with_leg = |leg: Option<(Outcome, u16)>| {
        let mut world = refused_by_the_phone(Outcome::ServerError, 500);
        match leg {
            Some((outcome, status)) => (world.report.calls[1].outcome, world.report.calls[1].status) = (outcome, Some(status)),
            None => drop(world.report.calls.pop()),
        }
        world.ask("1001", Some(Problem::CannotCall)).verdict.as_str()
    };
    assert_eq!(with_leg(None), "server-error-burst", "nobody was called");
    assert_eq!(with_leg(Some((Outcome::Cancelled, 487))), "server-error-burst", "the PBX gave up by itself");
    assert_eq!(with_leg(Some((Outcome::NotFound, 404))), "stale-binding-target", "nothing came further than that phone");
}

#[test]
fn what_a_phone_behind_a_proxy_refuses_is_its_own() {
    let passed = |outcome: Outcome, status: u16, place: Option<&str>| {
        let main = CallEntry { passed_on_to: place.map(address), ..call("1001", "2001", 900, outcome, status) };
        let phones = vec![registered().remove(0), phone("2001@a.example", "192.0.2.9:5060", RegistrationState::Registered, 990)];
        let world = World::new(phones, vec![main]);
        let ask = |user: &str, problem: Problem| world.ask(user, Some(problem)).verdict.as_str();
        (ask("1001", Problem::CannotCall), ask("2001", Problem::CannotReceive))
    };
    let place = Some("192.0.2.9:5060");
    assert_eq!(passed(Outcome::NotFound, 404, place), ("stale-binding-target", "stale-binding-target"));
    assert_eq!(passed(Outcome::ServerError, 500, place), ("cannot-tell", "cannot-tell"));
    assert_eq!(passed(Outcome::NotFound, 404, None), ("not-an-issue", "call-failed-callee-unreachable"), "the proxy itself");
    assert_eq!(passed(Outcome::Unavailable, 480, place), ("callee-no-response", "callee-no-response"), "who answered so is not known");
}

#[test]
fn an_outage_is_over_only_where_the_pbx_answered_again() {
    let mut world = World::new(registered(), Vec::new());
    world.raise(FindingId::PbxNotResponding, Subject::Pbx(address(PBX)), 100);
    world.findings.advance(at(1_000));
    assert_eq!(world.verdict(Problem::CannotConnect), "pbx-not-responding", "a registration may stand for an hour without any answer");
    let mut mended = World::new(registered(), Vec::new());
    mended.raise(FindingId::PbxNotResponding, Subject::Pbx(address(PBX)), 100);
    mended.findings.clear(FindingId::PbxNotResponding, &Subject::Pbx(address(PBX)), at(200));
    assert_eq!(mended.verdict(Problem::CannotConnect), "temporary-network-problem");
}
