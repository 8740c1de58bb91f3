//! Contacts: what the PBX makes of the address that a phone writes, and what a registrar lists.

use super::scenarios;
use crate::support::agent::address;
use crate::support::agent::cast::{a1, b1, c1, l1};
use crate::support::call::Bridge;
use crate::support::register::ANSWERED_CHALLENGE;
use crate::support::scene::schedule;
use crate::support::upkeep::times;
use crate::support::{Agent, Brand, Leg, Scene, Side};

scenarios! {
    "contact-as-written" => contact_as_written,
    "contact-of-flow-silent" => contact_of_flow_silent,
    "contact-at-two-sites" => contact_at_two_sites,
    "contact-changes-site" => contact_changes_site,
    "contact-dropped" => contact_dropped,
    "call-id-each-time" => call_id_each_time,
    "two-registrars" => two_registrars,
    "user-escaped" => user_escaped,
    "user-of-reserved" => user_of_reserved,
}

/// A call of `caller` that the PBX sends in vain to where `phone` is not, or is off.
fn in_vain(scene: &mut Scene, at: f64, caller: &Agent, phone: &Agent) {
    let mut bridge = Bridge::new(scene, caller, phone);
    bridge.invite(scene, at - 0.05);
    bridge.b.invite_repeated(scene, at, &schedule::INVITE, &[]);
    bridge.a.fail(scene, at + 32.0, 480, &[("X-Asterisk-HangupCauseCode", "20")]);
}

/// A phone behind a NAT that keeps its flow open, while the PBX sends all that is for it to its private Contact. Another, in the network of
/// the PBX, really is at the private address that it writes.
fn contact_as_written(scene: &mut Scene) {
    let (mut phone, mut caller, mut near) = (a1(), b1(), l1());
    scene.healthy(&mut caller, 1.0, 600.0);
    scene.healthy(&mut near, 2.0, 600.0);
    scene.reg_ok(0.0, &mut phone);
    for at in times(150.0, 150.0, 600.0) {
        scene.refresh(at, &mut phone);
    }
    scene.keepalives(&phone, 20.0, 20.0, 600.0);
    let written = Agent { outer: phone.written, ..phone.clone() };
    for at in times(30.0, 60.0, 600.0) {
        scene.qualify_lost(at, &schedule::QUALIFY_CHAN_SIP, &written);
    }
    for at in [100.0, 400.0] {
        in_vain(scene, at, &caller, &written);
    }
    Bridge::new(scene, &caller, &near).ordinary(scene, 500.0, 0.6, 20.0, Side::Caller);
}

/// The same PBX with phones that are where it sends to, and one of each kind is switched off.
fn contact_of_flow_silent(scene: &mut Scene) {
    let (mut phone, mut caller, mut near) = (a1(), b1(), l1());
    scene.healthy(&mut caller, 1.0, 600.0);
    scene.healthy(&mut c1(), 3.0, 600.0);
    for (index, phone) in [&mut phone, &mut near].into_iter().enumerate() {
        let from = index as f64 * 0.5;
        phone.expires = 1200;
        scene.healthy(phone, from, 200.0);
        for at in times(from + 210.0, 14.0, 600.0) {
            scene.qualify_lost(at, &schedule::QUALIFY_CHAN_SIP, phone);
        }
    }
    in_vain(scene, 400.0, &caller, &phone);
}

/// A call of `caller` with the PBX from `at` on, which it ends after `talk` seconds.
fn call(scene: &mut Scene, at: f64, caller: &Agent, talk: f64) {
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, caller, &pbx, &caller.user, "900");
    leg.invite(scene, at, &[]);
    leg.progress(scene, at + 0.005, 100);
    leg.answer(scene, at + 2.0, &[]);
    leg.bye(scene, at + 2.0 + talk, Side::Caller);
}

/// Where the twin of A1 is.
fn elsewhere() -> Agent {
    Agent { outer: address("198.51.100.99:5060"), ..a1() }
}

/// Two phones of one make and one user at two sites, which have the same private address. One is in a call as the other registers first.
fn contact_at_two_sites(scene: &mut Scene) {
    let (mut office, mut home) = (a1(), elsewhere());
    scene.healthy(&mut b1(), 1.0, 700.0);
    for at in times(0.0, 150.0, 700.0) {
        scene.reg_ok(at, &mut office);
        scene.reg_ok(at + 70.0, &mut home);
    }
    for phone in [&office, &home] {
        scene.keepalives(phone, 80.0, 20.0, 700.0);
    }
    call(scene, 10.0, &office, 110.0);
    call(scene, 310.0, &home, 110.0);
}

/// One phone that is carried to another site and back; it starts anew at each.
fn contact_changes_site(scene: &mut Scene) {
    let mut phone = a1();
    scene.healthy(&mut b1(), 1.0, 700.0);
    for (from, until, outer) in [(0.0, 200.0, a1().outer), (220.0, 420.0, elsewhere().outer), (440.0, 700.0, a1().outer)] {
        phone.reboot();
        phone.outer = outer;
        for at in times(from, 70.0, until) {
            scene.reg_ok(at, &mut phone);
        }
        scene.keepalives(&phone, from + 10.0, 20.0, until);
    }
}

/// A registrar that keeps one Contact, the first, accepts a second phone at the same site and lists the first.
fn contact_dropped(scene: &mut Scene) {
    let mut kept = a1();
    let mut dropped = Agent::phone("1001", Brand::Snom, "192.168.1.44:5060", "198.51.100.7:35061");
    scene.healthy(&mut b1(), 1.0, 500.0);
    scene.healthy(&mut kept, 0.0, 500.0);
    for at in times(30.0, 120.0, 500.0) {
        dropped.nonce = None;
        scene.reg_rejected(at, &mut dropped, 401);
        let request = scene.register(at + ANSWERED_CHALLENGE, &mut dropped);
        let contact = format!("<{}>;expires=200", kept.contact_uri());
        let response = scene.registrar_response(&request, 200, &dropped).with("Contact", contact);
        let pbx = scene.pbx.clone();
        scene.send(at + ANSWERED_CHALLENGE + 0.015, &pbx, &dropped, &response);
    }
}

/// A phone that takes a new Call-ID for each registration, also in its calls.
fn call_id_each_time(scene: &mut Scene) {
    let mut phone = a1().expiring(120);
    scene.healthy(&mut b1(), 1.0, 500.0);
    for at in times(0.0, 60.0, 500.0) {
        phone.reboot();
        scene.reg_ok(at, &mut phone);
    }
    scene.keepalives(&phone, 20.0, 20.0, 500.0);
    call(scene, 70.0, &phone, 110.0);
    call(scene, 310.0, &phone, 110.0);
}

/// A phone registers at two servers, under a Call-ID for each, also in a call; then the second one dies.
fn two_registrars(scene: &mut Scene) {
    let second = Agent::server("pbx", Brand::Asterisk, "203.0.113.12:5060");
    let (mut here, mut there) = (a1(), a1());
    scene.healthy(&mut b1(), 1.0, 900.0);
    scene.keepalives(&here, 20.0, 20.0, 900.0);
    call(scene, 40.0, &here, 160.0);
    for at in times(0.0, 150.0, 900.0) {
        scene.reg_ok(at, &mut here);
    }
    let first = std::mem::replace(&mut scene.pbx, second.clone());
    for at in times(3.0, 150.0, 400.0) {
        scene.reg_ok(at, &mut there);
    }
    for at in times(15.0, 60.0, 400.0) {
        scene.qualify(at, &there);
    }
    scene.pbx = first;
    for at in times(453.0, 150.0, 900.0) {
        let request = scene.register_message(&mut there);
        scene.repeat(at, &schedule::CAPPED, &there, &second, &request);
    }
}

/// A phone that registers with one spelling of its user calls with another, and dials with a third (RFC 3261 §19.1.4).
fn user_escaped(scene: &mut Scene) {
    let (mut phone, mut callee) = (a1(), b1());
    scene.healthy(&mut callee, 0.0, 200.0);
    scene.reg_ok(1.0, &mut phone);
    scene.keepalives(&phone, 20.0, 20.0, 200.0);
    phone.user = "%31001".to_owned();
    scene.refresh(15.0, &mut phone);
    let pbx = scene.pbx.clone();
    let mut bridge = Bridge::new(scene, &Agent { user: "1001".to_owned(), ..phone.clone() }, &callee);
    bridge.a = Leg::new(scene, &phone, &pbx, "%31001", "200%31");
    bridge.ordinary(scene, 20.0, 4.0, 30.0, Side::Caller);
}

/// Two users whose names differ in nothing but the escape of a reserved character: these are two (RFC 3261 §19.1.4).
fn user_of_reserved(scene: &mut Scene) {
    scene.healthy(&mut b1(), 0.0, 200.0);
    let mut plain = Agent { user: "sales&east".to_owned(), ..a1() };
    let mut escaped = Agent { user: "sales%26east".to_owned(), ..c1() };
    scene.healthy(&mut plain, 1.0, 200.0);
    scene.healthy(&mut escaped, 2.0, 200.0);
    Bridge::new(scene, &b1(), &escaped).ordinary(scene, 20.0, 4.0, 30.0, Side::Caller);
}
