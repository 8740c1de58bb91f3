//! Calls and registrations that come to nothing, and whom that is to be blamed on.

use super::scenarios;
use crate::support::agent::address;
use crate::support::agent::cast::{a1, b1, c1, l1, scanner, trunk};
use crate::support::call::{Bridge, Plan};
use crate::support::register::challenge;
use crate::support::scene::schedule;
use crate::support::upkeep::{PING, times};
use crate::support::{Agent, Brand, Leg, Scene, Side};

scenarios! {
    "never-registered" => never_registered,
    "callee-mistyped" => callee_mistyped,
    "invite-ignored" => invite_ignored,
    "invite-answered-late" => invite_answered_late,
    "reg-401-lost-twice" => reg_401_lost_twice,
    "undelivered-burst" => undelivered_burst,
    "server-errors" => server_errors,
    "server-errors-to-office" => server_errors_to_office,
    "server-errors-to-carrier" => server_errors_to_carrier,
    "outage-lasts" => outage_lasts,
    "outage-of-old-pbx" => outage_of_old_pbx,
    "calls-to-dead-pbx" => calls_to_dead_pbx,
    "phone-off-for-hours" => phone_off_for_hours,
    "carrier-silent" => carrier_silent,
    "trunk-account-refused" => trunk_account_refused,
    "register-repeated-not-refreshed" => register_repeated_not_refreshed,
    "passwords-tried" => passwords_tried,
    "password-attacked" => password_attacked,
    "phone-claimed-elsewhere" => phone_claimed_elsewhere,
    "self-answered" => self_answered,
    "scanner-gets-in" => scanner_gets_in,
    "toll-fraud-probe" => toll_fraud_probe,
    "wrong-domain" => wrong_domain,
    "call-loops" => call_loops,
    "call-loops-behind" => call_loops_behind,
    "capture-stalls" => capture_stalls,
}

/// A phone that is seen now and then.
fn seldom(scene: &mut Scene, mut phone: Agent, until: f64) -> Agent {
    phone.expires = 1800;
    scene.reg_ok(0.0, &mut phone);
    for at in times(900.0, 900.0, until) {
        scene.refresh(at, &mut phone);
    }
    scene.keepalives(&phone, 60.0, 60.0, until);
    phone
}

/// A call that the PBX refuses without calling anybody.
pub(super) fn refused(scene: &mut Scene, at: f64, caller: &Agent, number: &str, status: u16, headers: &[(&str, &str)]) {
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, caller, &pbx, &caller.user, number);
    leg.invite(scene, at, &[]);
    leg.progress(scene, at + 0.005, 100);
    leg.fail(scene, at + 0.06, status, headers);
}

pub(super) const ABSENT: (&str, &str) = ("X-Asterisk-HangupCauseCode", "20");

fn never_registered(scene: &mut Scene) {
    let caller = seldom(scene, b1(), 3800.0);
    refused(scene, 3700.0, &caller, "2222", 480, &[ABSENT]);
}

/// Nobody has this number; and the capture is too short to say of the other that its phone never registered.
fn callee_mistyped(scene: &mut Scene) {
    let caller = seldom(scene, b1(), 700.0);
    refused(scene, 300.0, &caller, "22222", 404, &[("Reason", "Q.850;cause=1")]);
    refused(scene, 600.0, &caller, "2222", 480, &[ABSENT]);
}

fn invite_ignored(scene: &mut Scene) {
    for (phone, from) in [(&mut a1(), 0.0), (&mut b1(), 0.5), (&mut c1(), 1.0)] {
        phone.expires = 60;
        scene.healthy(phone, from, 140.0);
    }
    let pbx = scene.pbx.clone();
    Leg::new(scene, &b1(), &pbx, "2001", "1001").invite_repeated(scene, 62.0, &schedule::INVITE, &[]);
}

/// The first three transmissions are lost before the PBX, not on the way there.
fn invite_answered_late(scene: &mut Scene) {
    for (phone, from) in [(&mut a1(), 0.0), (&mut b1(), 0.5), (&mut c1(), 1.0)] {
        phone.expires = 60;
        scene.healthy(phone, from, 140.0);
    }
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, &b1(), &pbx, "2001", "900");
    leg.invite_repeated(scene, 62.0, &[0.0, 0.5, 1.5, 3.5], &[]);
    leg.progress(scene, 65.505, 100);
    leg.answer(scene, 67.0, &[]);
    leg.bye(scene, 100.0, Side::Caller);
}

/// Two challenges get lost, the third arrives.
fn reg_401_lost_twice(scene: &mut Scene) {
    let mut phone = b1();
    let pbx = scene.pbx.clone();
    scene.healthy(&mut a1(), 0.0, 100.0);
    let request = scene.register_message(&mut phone);
    scene.repeat(20.0, &[0.0, 0.5, 1.5], &phone, &pbx, &request);
    for at in [20.005, 20.505, 21.505] {
        scene.reject(at, &mut phone, &request, 401);
    }
    let request = scene.register(21.575, &mut phone);
    scene.accept(21.59, &phone, &request, &[]);
    scene.upkeep(&mut phone, 21.5, 100.0);
}

fn undelivered_burst(scene: &mut Scene) {
    let mut phone = a1();
    scene.reg_ok(0.0, &mut phone);
    scene.healthy(&mut c1(), 1.0, 280.0);
    scene.healthy(&mut b1(), 2.0, 280.0);
    for at in [40.0, 100.0, 160.0] {
        let mut bridge = Bridge::new(scene, &b1(), &phone);
        bridge.invite(scene, at);
        bridge.b.invite_repeated(scene, at + 0.05, &schedule::INVITE, &[]);
        bridge.a.fail(scene, at + 32.1, 480, &[("X-Asterisk-HangupCauseCode", "18")]);
    }
}

fn server_errors(scene: &mut Scene) {
    let mut caller = b1();
    scene.healthy(&mut caller, 0.0, 140.0);
    for index in 0..12 {
        refused(scene, 60.0 + f64::from(index) * 3.0, &caller, "900", 500, &[]);
    }
}

/// The phones of an office, behind one address.
fn office() -> impl Iterator<Item = (f64, Agent)> {
    (0..12).map(|index| {
        let (local, outer) = (format!("192.168.30.{}:5060", 20 + index), format!("198.51.100.30:{}", 40_000 + index));
        (f64::from(index), Agent::phone(&(3000 + index).to_string(), Brand::Yealink, &local, &outer))
    })
}

/// Twelve phones that were served, and each refresh fails within the PBX, after the challenge. A minute later all is well.
fn server_errors_to_office(scene: &mut Scene) {
    scene.healthy(&mut b1(), 0.0, 260.0);
    for (offset, mut phone) in office() {
        scene.reg_ok(5.0 + offset, &mut phone);
        scene.keepalives(&phone, 25.0 + offset, 20.0, 260.0);
        phone.nonce = None;
        scene.reg_rejected(155.0 + offset, &mut phone, 401);
        scene.reg_rejected(155.075 + offset, &mut phone, 500);
        scene.reg_ok(215.0 + offset, &mut phone);
    }
}

/// A carrier that the PBX never calls. Its first calls are answered, those to twelve numbers after that are refused by a PBX in trouble.
fn server_errors_to_carrier(scene: &mut Scene) {
    scene.healthy(&mut b1(), 0.0, 200.0);
    let pbx = scene.pbx.clone();
    for index in 0..3 {
        let at = 10.0 + f64::from(index) * 20.0;
        let plan = Plan { invite: at, ring: at + 0.1, answer: at + 3.0, bye: at + 15.0, bye_by: Side::Caller };
        Leg::new(scene, &trunk(), &pbx, "03012345678", &format!("0891000{index}")).ordinary(scene, plan);
    }
    for index in 0..12 {
        refused(scene, 100.0 + f64::from(index) * 3.0, &trunk(), &format!("08910{:03}", 10 + index), 503, &[]);
    }
}

/// The PBX falls silent for an hour. The phones ask again soon, then as seldom as RFC 5626 §4.5 lets them.
fn outage_lasts(scene: &mut Scene) {
    let pbx = scene.pbx.clone();
    for (index, mut phone) in [a1(), b1(), c1()].into_iter().enumerate() {
        let offset = index as f64 * 0.5;
        scene.healthy(&mut phone, offset, 290.0);
        for at in [300.0, 420.0, 600.0, 2100.0] {
            let refresh = scene.register_message(&mut phone);
            scene.repeat(at + offset, &schedule::CAPPED, &phone, &pbx, &refresh);
        }
        scene.healthy(&mut phone, 3900.0 + offset, 3950.0);
    }
    // Something else keeps the capture alive: two phones that talk to each other without the PBX.
    for at in times(1.0, 60.0, 3950.0) {
        scene.udp(at, l1().outer, address("203.0.113.61:5060"), PING);
    }
}

/// Two phones were left at a PBX that is gone and ask it for an hour. Those of the other PBX are served, one of them has no account.
fn outage_of_old_pbx(scene: &mut Scene) {
    let gone = scene.pbx.clone();
    for (index, mut phone) in [a1(), c1()].into_iter().enumerate() {
        let offset = index as f64 * 0.5;
        scene.healthy(&mut phone, offset, 290.0);
        for at in times(300.0, 400.0, 3600.0) {
            let refresh = scene.register_message(&mut phone);
            scene.repeat(at + offset, &schedule::CAPPED, &phone, &gone, &refresh);
        }
    }
    scene.pbx = Agent { outer: address("203.0.113.20:5060"), ..gone };
    let elsewhere = |phone: Agent| Agent { domain: "new.example.com".to_owned(), expires: 1800, ..phone };
    scene.healthy(&mut elsewhere(b1()), 1.0, 3650.0);
    let mut phone = elsewhere(Agent::phone("2002", Brand::Yealink, "10.0.0.6:5060", "198.51.100.81:35060"));
    for at in [2500.0, 2560.0] {
        scene.reg_rejected(at, &mut phone, 404);
    }
}

/// Of two PBXs one dies. A phone of the other calls one of its users, in vain.
fn calls_to_dead_pbx(scene: &mut Scene) {
    let lives = scene.pbx.clone();
    let dies = Agent { outer: address("203.0.113.20:5060"), written: address("203.0.113.20:5060"), ..lives.clone() };
    for (index, mut phone) in [a1(), c1()].into_iter().enumerate() {
        scene.healthy(&mut phone, index as f64 * 0.5, 600.0);
    }
    scene.pbx = dies.clone();
    let far = Agent::phone("2002", Brand::Yealink, "10.0.1.5:5060", "198.51.100.81:35060");
    for (index, mut phone) in [b1(), far].into_iter().enumerate() {
        let offset = 1.0 + index as f64 * 0.5;
        scene.healthy(&mut phone, offset, 290.0);
        for at in times(300.0, 70.0, 560.0) {
            let refresh = scene.register_message(&mut phone);
            scene.repeat(at + offset, &schedule::CAPPED, &phone, &dies, &refresh);
        }
    }
    scene.pbx = lives.clone();
    let mut asked = Leg::new(scene, &a1(), &lives, "1001", "2001");
    asked.invite(scene, 400.0, &[]);
    asked.progress(scene, 400.005, 100);
    let mut onward = Leg::new(scene, &lives, &Agent { user: "2001".to_owned(), ..dies }, "1001", "2001");
    onward.invite_repeated(scene, 400.05, &schedule::INVITE, &[]);
    asked.fail(scene, 432.1, 503, &[]);
}

/// The PBX asks for a phone for two hours and gets no answer; another one is well.
fn phone_off_for_hours(scene: &mut Scene) {
    seldom(scene, b1(), 8000.0);
    let mut phone = a1().expiring(10_800);
    scene.reg_ok(0.0, &mut phone);
    scene.qualify(60.0, &phone);
    for at in times(120.0, 60.0, 7900.0) {
        scene.qualify_lost(at, &schedule::QUALIFY, &phone);
    }
}

/// The PBX registers at its carrier, which hears nothing or says nothing, and answers the next time.
fn carrier_silent(scene: &mut Scene) {
    scene.healthy(&mut a1(), 0.0, 240.0);
    scene.healthy(&mut b1(), 1.0, 240.0);
    let (pbx, trunk) = (scene.pbx.clone(), trunk());
    let mut account = Agent { user: "4989100".to_owned(), domain: "carrier.example.net".to_owned(), ..pbx };
    let request = scene.register_message(&mut account);
    scene.repeat(40.0, &schedule::CAPPED, &account, &trunk, &request);
    let request = scene.register_message(&mut account);
    scene.send(160.0, &account, &trunk, &request);
    let accepted = scene.registrar_response(&request, 200, &account).with("Contact", format!("<{}>;expires=300", account.contact_uri()));
    scene.send(160.03, &trunk, &account, &accepted);
}

/// The carrier refuses the credentials of the PBX.
fn trunk_account_refused(scene: &mut Scene) {
    scene.healthy(&mut a1(), 0.0, 240.0);
    scene.healthy(&mut b1(), 1.0, 240.0);
    let (pbx, trunk) = (scene.pbx.clone(), trunk());
    let mut account = Agent { user: "4989100".to_owned(), domain: "carrier.example.net".to_owned(), ..pbx };
    for at in [40.0, 100.0, 160.0] {
        account.nonce = None;
        for (at, status) in [(at, 401), (at + 0.1, 403)] {
            let request = scene.register_message(&mut account);
            scene.send(at, &account, &trunk, &request);
            let mut refused = scene.registrar_response(&request, status, &account);
            if status == 401 {
                let nonce = scene.random.hex(8);
                refused = refused.with("WWW-Authenticate", challenge(&nonce));
                account.take_nonce(nonce);
            }
            scene.send(at + 0.03, &trunk, &account, &refused);
        }
    }
}

/// Two phones that are heard when they register and at no other time. One is not answered once, the other never.
fn register_repeated_not_refreshed(scene: &mut Scene) {
    scene.healthy(&mut c1(), 0.0, 2000.0);
    let pbx = scene.pbx.clone();
    let mut phone = a1().expiring(1800);
    scene.reg_ok(10.0, &mut phone);
    let request = scene.register_message(&mut phone);
    scene.repeat(910.0, &schedule::CAPPED, &phone, &pbx, &request);
    scene.reg_ok(1200.0, &mut phone);
    let mut ignored = b1();
    for at in times(20.0, 300.0, 1900.0) {
        let request = scene.register_message(&mut ignored);
        scene.repeat(at, &schedule::CAPPED, &ignored, &pbx, &request);
    }
}

/// Six addresses try passwords of one user, whose own phone has the right one.
fn password_attacked(scene: &mut Scene) {
    scene.healthy(&mut a1(), 0.0, 300.0);
    scene.healthy(&mut b1(), 1.0, 300.0);
    for index in 0..6 {
        let place = format!("192.0.2.{}:5070", 60 + index);
        let mut guess = Agent::phone("1001", Brand::Yealink, &place, &place);
        for at in times(20.0 + f64::from(index) * 3.0, 40.0, 180.0) {
            guess.nonce = None;
            scene.reg_rejected(at, &mut guess, 401);
            scene.reg_rejected(at + 0.05, &mut guess, 401);
        }
    }
}

/// Five users, five passwords each, under a name that says nothing.
fn passwords_tried(scene: &mut Scene) {
    scene.healthy(&mut a1(), 0.0, 160.0);
    for index in 0..25 {
        let user = (3000 + index % 5).to_string();
        let mut guess = Agent::phone(&user, Brand::Yealink, "192.0.2.66:5070", "192.0.2.66:5070");
        let at = 20.0 + f64::from(index) * 4.0;
        scene.reg_rejected(at, &mut guess, 401);
        scene.reg_rejected(at + 0.05, &mut guess, 401);
    }
}

/// Somebody elsewhere who writes what the phone writes, and lacks its password.
fn phone_claimed_elsewhere(scene: &mut Scene) {
    scene.healthy(&mut a1(), 0.0, 160.0);
    for index in 0..3 {
        let mut claimant = Agent { outer: "192.0.2.66:5070".parse().expect("an address"), ..a1() };
        let at = 20.0 + f64::from(index) * 30.0;
        scene.reg_rejected(at, &mut claimant, 401);
        scene.reg_rejected(at + 0.05, &mut claimant, 401);
    }
}

/// Somebody accepts the registrations that he asks the PBX for in the name of others, a new one and one taken back; the PBX refuses both.
fn self_answered(scene: &mut Scene) {
    scene.healthy(&mut a1(), 0.0, 160.0);
    for (at, user) in [(30.0, "1001"), (60.0, "1002")] {
        let mut claimant = Agent::phone(user, Brand::Yealink, "192.0.2.66:5070", "192.0.2.66:5070");
        let mut request = scene.register_message(&mut claimant);
        let mut accepted = scene.registrar_response(&request, 200, &claimant);
        if user == "1001" {
            request.set("Contact", "*");
            request.set("Expires", "0");
        } else {
            accepted = accepted.with("Contact", format!("<{}>;expires=600", claimant.contact_uri()));
        }
        let pbx = scene.pbx.clone();
        scene.send(at, &claimant, &pbx, &request);
        scene.send(at + 0.001, &claimant, &pbx, &accepted);
        scene.reject(at + 0.01, &mut claimant, &request, 401);
    }
}

fn scanner_gets_in(scene: &mut Scene) {
    scene.healthy(&mut a1(), 0.0, 120.0);
    for (index, user) in ["100", "101", "102"].into_iter().enumerate() {
        let mut guess = Agent { user: user.to_owned(), ..scanner() };
        scene.reg_rejected(30.0 + index as f64, &mut guess, 401);
    }
    scene.reg_ok(60.0, &mut Agent { user: "103".to_owned(), ..scanner() });
}

/// Calls to numbers abroad with one prefix after the other, from an address that nobody registered at.
fn toll_fraud_probe(scene: &mut Scene) {
    scene.healthy(&mut a1(), 0.0, 120.0);
    let stranger = Agent::phone("300", Brand::Yealink, "192.0.2.66:5070", "192.0.2.66:5070");
    for (index, prefix) in ["00", "900", "000", "9011", "011", "+"].into_iter().enumerate() {
        refused(scene, 30.0 + index as f64 * 2.0, &stranger, &format!("{prefix}97259941227"), 404, &[]);
    }
}

fn wrong_domain(scene: &mut Scene) {
    scene.healthy(&mut a1(), 0.0, 160.0);
    let mut phone = b1();
    phone.domain = "old.example.net".to_owned();
    for at in [20.0, 80.0] {
        scene.reg_rejected(at, &mut phone, 404);
    }
}

fn call_loops(scene: &mut Scene) {
    let mut caller = b1();
    scene.healthy(&mut caller, 0.0, 120.0);
    refused(scene, 60.0, &caller, "900", 483, &[]);
}

/// The carrier finds that a call went round at it; the PBX, which dials another number there than it was called by, passes that on.
fn call_loops_behind(scene: &mut Scene) {
    let mut caller = b1();
    scene.healthy(&mut caller, 0.0, 120.0);
    let (pbx, carrier) = (scene.pbx.clone(), trunk());
    let mut near = Leg::new(scene, &caller, &pbx, &caller.user, "900");
    near.invite(scene, 60.0, &[]);
    near.progress(scene, 60.005, 100);
    let mut far = Leg::new(scene, &pbx, &carrier, "0891000", "03012345678");
    far.invite(scene, 60.02, &[]);
    far.progress(scene, 60.03, 100);
    far.fail(scene, 61.2, 483, &[]);
    near.fail(scene, 61.22, 483, &[]);
}

/// The capture stops for a quarter of an hour and goes on.
fn capture_stalls(scene: &mut Scene) {
    for (index, mut phone) in [a1(), b1()].into_iter().enumerate() {
        phone.expires = 3600;
        scene.healthy(&mut phone, index as f64, 1200.0);
    }
    scene.keep(|shot| !(200.0..1100.0).contains(&shot.at));
}
