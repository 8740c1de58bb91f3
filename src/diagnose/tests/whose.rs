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
    (failed[1].accepted, failed[1].state) = (0, RegistrationState::Rejected);
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
