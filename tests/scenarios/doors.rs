//! Who gets in with a password that was guessed, and who knocks at a port where nobody listens; each with one that only looks like it.

use super::scenarios;
use crate::support::agent::address;
use crate::support::agent::cast::{a1, a2, b1, c1, l1, trunk};
use crate::support::call::Bridge;
use crate::support::scene::schedule;
use crate::support::upkeep::times;
use crate::support::wire::{Protocol, port_unreachable};
use crate::support::{Agent, Brand, Leg, Scene, Side};

scenarios! {
    "password-guessed" => password_guessed,
    "password-right-at-last" => password_right_at_last,
    "port-not-served" => port_not_served,
    "right-port-ignored" => right_port_ignored,
    "connection-taken-unanswered" => connection_taken_unanswered,
    "connection-falls-silent" => connection_falls_silent,
    "refused-elsewhere" => refused_elsewhere,
    "refused-elsewhere-once" => refused_elsewhere_once,
    "second-pbx-comes-up" => second_pbx_comes_up,
    "stranger-beside-phone" => stranger_beside_phone,
    "phone-taken-home" => phone_taken_home,
    "one-phone-left-alone" => one_phone_left_alone,
}

/// Somebody elsewhere tries passwords of a user whose own phone is registered, 25 in 100 s, and is accepted at the end.
fn accepted_at_last(scene: &mut Scene) -> Agent {
    scene.healthy(&mut a1(), 0.0, 600.0);
    scene.healthy(&mut b1(), 1.0, 600.0);
    let mut other = Agent::phone("1001", Brand::Grandstream, "192.0.2.66:5071", "192.0.2.66:5071").expiring(900);
    for at in times(20.0, 4.0, 120.0) {
        other.nonce = None;
        scene.reg_rejected(at, &mut other, 401);
        scene.reg_rejected(at + 0.05, &mut other, 401);
    }
    scene.reg_ok(130.0, &mut other);
    scene.keepalives(&other, 140.0, 20.0, 600.0);
    other
}

/// A call of a phone to the carrier, answered after 3 s, of `talk` seconds.
fn outside(scene: &mut Scene, at: f64, caller: &Agent, number: &str, talk: f64) {
    let (pbx, carrier) = (scene.pbx.clone(), trunk());
    let a = Leg::new(scene, caller, &pbx, &caller.user, number);
    let b = Leg::new(scene, &pbx, &carrier, &caller.user, number);
    Bridge { a, b }.ordinary(scene, at, 3.0, talk, Side::Caller);
}

fn password_guessed(scene: &mut Scene) {
    let intruder = accepted_at_last(scene);
    for (index, at) in times(150.0, 15.0, 270.0).enumerate() {
        outside(scene, at, &intruder, &format!("0088213{index}41977"), 130.0 + 17.0 * index as f64);
    }
}

/// The second phone of the user: it calls like a person.
fn password_right_at_last(scene: &mut Scene) {
    let softphone = accepted_at_last(scene);
    outside(scene, 150.0, &softphone, "03012345678", 60.0);
    outside(scene, 260.0, &softphone, "03012345678", 90.0);
    outside(scene, 400.0, &softphone, "08998765432", 40.0);
}

/// Two phones that nothing is wrong with, and one that nobody answers; it asks at `door`.
fn unanswered(scene: &mut Scene, door: &Agent, mut phone: Agent, from: f64) {
    for other in [&mut a1(), &mut b1()] {
        scene.healthy(&mut other.clone().expiring(60), 0.0, 400.0);
    }
    phone.nonce = None;
    for at in times(from, 60.0, 340.0) {
        let request = scene.register_message(&mut phone);
        scene.repeat(at, &schedule::CAPPED, &phone, door, &request);
    }
}

/// A phone that is set to another port of the PBX.
fn port_not_served(scene: &mut Scene) {
    let door = Agent { outer: address("203.0.113.10:5065"), ..scene.pbx.clone() };
    unanswered(scene, &door, c1(), 10.0);
}

/// A phone that the PBX never answers where it answers all others.
fn right_port_ignored(scene: &mut Scene) {
    let door = scene.pbx.clone();
    unanswered(scene, &door, c1(), 10.0);
}

/// A phone whose connections the PBX takes, and on which it never answers.
fn connection_taken_unanswered(scene: &mut Scene) {
    let pbx = scene.pbx.clone();
    for other in [a1(), b1()] {
        scene.healthy(&mut other.expiring(60), 0.0, 400.0);
    }
    for (port, at) in (51000..).zip(times(10.0, 70.0, 340.0)) {
        let mut phone = c1().over_tcp();
        phone.outer.set_port(port);
        let request = scene.register_message(&mut phone);
        scene.send(at, &phone, &pbx, &request);
        scene.hang_up(at + 40.0, phone.outer, pbx.outer);
    }
}

/// A phone on whose connection the PBX does not answer any more.
fn connection_falls_silent(scene: &mut Scene) {
    let pbx = scene.pbx.clone();
    for other in [a1(), b1()] {
        scene.healthy(&mut other.expiring(60), 0.0, 400.0);
    }
    let mut phone = c1().over_tcp();
    scene.reg_ok(5.0, &mut phone);
    for at in times(150.0, 70.0, 300.0) {
        let request = scene.register_message(&mut phone);
        scene.send(at, &phone, &pbx, &request);
    }
}

/// A host that is no PBX, or stands for one.
fn host(scene: &Scene, outer: &str) -> Agent {
    Agent { outer: address(outer), ..scene.pbx.clone() }
}

/// Who has sent the last packet hears from the `host` that nobody listens there.
fn refuse(scene: &mut Scene, at: f64, host: &Agent, sender: &Agent) {
    let quoted = scene.shots.last().map(|shot| shot.packet.clone()).unwrap_or_default();
    scene.ip(at, host.outer, sender.outer, Protocol::Icmp, &port_unreachable(&quoted));
}

/// A REGISTER that is sent once.
fn ask(scene: &mut Scene, at: f64, phone: &mut Agent, server: &Agent) {
    let request = scene.register_message(phone);
    scene.send(at, phone, server, &request);
}

/// One phone is set to the neighbour of the PBX, and a router keeps what another one sends from the address that it is set to.
fn refused_elsewhere(scene: &mut Scene) {
    scene.healthy(&mut b1().expiring(60), 0.0, 240.0);
    let (neighbour, router) = (host(scene, "203.0.113.12:5060"), host(scene, "192.0.2.1:5060"));
    let (mut phone, mut filtered, far) = (a1(), c1(), host(scene, "192.0.2.200:5060"));
    for at in times(20.0, 30.0, 100.0) {
        ask(scene, at, &mut phone, &neighbour);
        refuse(scene, at + 0.01, &neighbour, &phone);
        ask(scene, at + 5.0, &mut filtered, &far);
        refuse(scene, at + 5.01, &router, &filtered);
    }
}

/// One phone is refused once, and finds the PBX then; to another one nobody says anything; a third one asks the trunk, which is down; and
/// the PBX asks a phone that is off.
fn refused_elsewhere_once(scene: &mut Scene) {
    scene.healthy(&mut b1().expiring(60), 0.0, 240.0);
    let (pbx, carrier, neighbour) = (scene.pbx.clone(), trunk(), host(scene, "203.0.113.12:5060"));
    let mut phone = a1();
    ask(scene, 20.0, &mut phone, &neighbour);
    refuse(scene, 20.01, &neighbour, &phone);
    scene.reg_ok(30.0, &mut phone);
    let mut ignored = Agent { user: "1003".to_owned(), ..c1() };
    outside(scene, 5.0, &b1(), "03012345678", 6.0);
    let mut asks_trunk = a2();
    let mut off = l1();
    scene.reg_ok(1.0, &mut off);
    for at in times(40.0, 40.0, 140.0) {
        ask(scene, at, &mut ignored, &neighbour);
        ask(scene, at + 5.0, &mut asks_trunk, &carrier);
        refuse(scene, at + 5.03, &carrier, &asks_trunk);
        let options = scene.qualify_message(&off);
        scene.send(at + 10.0, &pbx, &off, &options);
        refuse(scene, at + 10.01, &off, &pbx);
    }
}

/// The second PBX of two is down, as ICMP says, until its phone is accepted there.
fn second_pbx_comes_up(scene: &mut Scene) {
    scene.healthy(&mut b1().expiring(60), 0.0, 400.0);
    let second = host(scene, "203.0.113.12:5060");
    let mut phone = Agent { domain: "two.example.com".to_owned(), ..a1() }.expiring(900);
    for at in times(20.0, 30.0, 140.0) {
        ask(scene, at, &mut phone, &second);
        refuse(scene, at + 0.01, &second, &phone);
    }
    let first = std::mem::replace(&mut scene.pbx, second);
    scene.reg_ok(150.0, &mut phone);
    scene.keepalives(&phone, 170.0, 20.0, 400.0);
    scene.pbx = first;
}

/// Credentials of a user whose phone is registered are refused elsewhere, each half minute; the phone is called in the end.
fn stranger_beside_phone(scene: &mut Scene) {
    let mut own = b1();
    scene.healthy(&mut own, 0.0, 700.0);
    scene.healthy(&mut c1(), 1.0, 700.0);
    let mut other = Agent::phone("2001", Brand::Yealink, "192.168.0.9:5060", "192.0.2.77:5062");
    for at in times(100.0, 30.0, 600.0) {
        other.nonce = None;
        scene.reg_rejected(at, &mut other, 401);
        scene.reg_rejected(at + 0.06, &mut other, 401);
    }
    Bridge::new(scene, &c1(), &own).ordinary(scene, 640.0, 4.0, 30.0, Side::Caller);
}

/// A user takes the phone home while its registration at the office still stands, and its credentials are refused there.
fn phone_taken_home(scene: &mut Scene) {
    let mut phone = b1().expiring(3600);
    scene.healthy(&mut phone, 0.0, 90.0);
    scene.healthy(&mut c1(), 1.0, 700.0);
    phone.outer = address("192.0.2.77:5062");
    phone.reboot();
    for at in times(300.0, 30.0, 600.0) {
        phone.nonce = None;
        scene.reg_rejected(at, &mut phone, 401);
        scene.reg_rejected(at + 0.06, &mut phone, 401);
    }
}

/// The PBX answers no REGISTER of one phone, and those of its neighbour at the same address.
fn one_phone_left_alone(scene: &mut Scene) {
    let mut alone = a1();
    let pbx = scene.pbx.clone();
    for at in times(100.0, 60.0, 500.0) {
        let request = scene.register_message(&mut alone);
        scene.repeat(at, &schedule::CAPPED, &alone, &pbx, &request);
    }
    for (index, other) in [a2(), c1()].iter_mut().enumerate() {
        other.expires = 60;
        scene.healthy(other, index as f64, 560.0);
    }
}
