//! Whom a trouble concerns: one phone, its site or the PBX; and troubles that come and go.

use super::scenarios;
use crate::support::agent::cast::{a1, a2, b1, c1, l1};
use crate::support::call::Bridge;
use crate::support::scene::schedule;
use crate::support::upkeep::times;
use crate::support::{Agent, Brand, Leg, Scene, Side};

scenarios! {
    "refused-everywhere" => refused_everywhere,
    "refused-at-a-site" => refused_at_a_site,
    "banned-after-refusals" => banned_after_refusals,
    "answers-lost-to-one" => answers_lost_to_one,
    "expires-as-answers-are-lost" => expires_as_answers_are_lost,
    "password-corrected" => password_corrected,
    "phone-restarts-often" => phone_restarts_often,
    "phone-comes-and-goes" => phone_comes_and_goes,
    "site-comes-and-goes" => site_comes_and_goes,
    "router-restarts" => router_restarts,
    "probes-swallowed" => probes_swallowed,
    "pbx-locked-up" => pbx_locked_up,
    "all-answered-elsewhere" => all_answered_elsewhere,
    "late-but-called" => late_but_called,
    "bye-to-place-before-register" => bye_to_place_before_register,
}

/// A phone of a user that is no other scene's.
fn phone(user: &str, outer: &str) -> Agent {
    Agent::phone(user, Brand::Yealink, "192.168.7.20:5060", outer).expiring(120)
}

/// The registrar refuses the credentials of a phone, each minute for a fresh nonce.
fn refused(scene: &mut Scene, phone: &mut Agent, from: f64, until: f64) {
    for at in times(from, 60.0, until) {
        phone.nonce = None;
        scene.reg_rejected(at, phone, 401);
        scene.reg_rejected(at + 0.075, phone, 401);
        phone.nonce = None;
    }
}

/// From one moment on the registrar refuses the credentials of six users at four sites.
fn refused_everywhere(scene: &mut Scene) {
    let places =
        ["198.51.100.7:40001", "198.51.100.7:40002", "198.51.100.80:35060", "198.51.100.90:51200", "192.0.2.140:5060", "192.0.2.140:5062"];
    for (index, place) in places.into_iter().enumerate() {
        let mut phone = phone(&format!("10{index}1"), place);
        let from = index as f64 * 3.0;
        scene.healthy(&mut phone, from, 130.0);
        refused(scene, &mut phone, from + 180.0, 500.0);
        scene.keepalives(&phone, 140.0 + from, 20.0, 500.0);
    }
}

/// From one moment on the registrar refuses the credentials of both users of one site; those of others are good.
fn refused_at_a_site(scene: &mut Scene) {
    for (index, mut phone) in [a1(), a2()].into_iter().enumerate() {
        phone.expires = 120;
        let from = index as f64 * 3.0;
        scene.healthy(&mut phone, from, 130.0);
        refused(scene, &mut phone, from + 180.0, 500.0);
        scene.keepalives(&phone, 140.0 + from, 20.0, 500.0);
    }
    scene.healthy(&mut b1(), 1.0, 500.0);
    scene.healthy(&mut c1(), 2.0, 500.0);
}

/// A phone with a wrong password is refused until its address is banned; its neighbour is not answered any more either.
fn banned_after_refusals(scene: &mut Scene) {
    let (mut wrong, mut neighbour) = (a1(), a2().expiring(120));
    scene.healthy(&mut neighbour, 1.0, 170.0);
    refused(scene, &mut wrong, 20.0, 180.0);
    let pbx = scene.pbx.clone();
    for (phone, from) in [(&mut wrong, 190.0), (&mut neighbour, 200.0)] {
        phone.nonce = None;
        for at in times(from, 60.0, 520.0) {
            let request = scene.register_message(phone);
            scene.repeat(at, &schedule::CAPPED, phone, &pbx, &request);
        }
    }
    for (index, other) in [b1(), c1()].iter_mut().enumerate() {
        other.expires = 60;
        scene.healthy(other, 2.0 + index as f64, 560.0);
    }
}

/// What the PBX answers never arrives at one of two phones of a site.
fn answers_lost_to_one(scene: &mut Scene) {
    let mut deaf = a1();
    let pbx = scene.pbx.clone();
    for at in times(20.0, 60.0, 400.0) {
        let request = scene.register_message(&mut deaf);
        scene.repeat(at, &schedule::CAPPED, &deaf, &pbx, &request);
        for offset in schedule::CAPPED {
            let mut unheard = deaf.clone();
            scene.reject(at + 0.005 + offset, &mut unheard, &request, 401);
        }
    }
    let mut well = a2().expiring(60);
    for at in times(0.0, 30.0, 440.0) {
        scene.reg_ok(at, &mut well);
    }
    scene.healthy(&mut c1(), 1.0, 440.0);
}

/// What the PBX answers is lost on its way to a phone from 100 s on: it asks in vain until its registration has run out.
fn expires_as_answers_are_lost(scene: &mut Scene) {
    let mut deaf = a1().expiring(120);
    let pbx = scene.pbx.clone();
    scene.healthy(&mut deaf, 0.0, 90.0);
    for at in times(110.0, 60.0, 400.0) {
        let request = scene.register_message(&mut deaf);
        scene.repeat(at, &schedule::CAPPED, &deaf, &pbx, &request);
        for offset in schedule::CAPPED {
            let mut unheard = deaf.clone();
            scene.reject(at + 0.005 + offset, &mut unheard, &request, 401);
        }
    }
    scene.healthy(&mut c1(), 1.0, 440.0);
}

/// The password of a phone is wrong for its registration and its calls, and is put right; it has not called since.
fn password_corrected(scene: &mut Scene) {
    let mut phone = b1();
    refused(scene, &mut phone, 20.0, 260.0);
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, &phone, &pbx, "2001", "03012345");
    leg.invite(scene, 10.0, &[]);
    leg.challenge(scene, 10.005);
    leg.invite(scene, 10.1, &[]);
    leg.challenge(scene, 10.105);
    scene.healthy(&mut phone, 300.0, 420.0);
    scene.healthy(&mut c1(), 1.0, 420.0);
}

/// A phone restarts every five minutes, sooner than its registration would run out.
fn phone_restarts_often(scene: &mut Scene) {
    let mut phone = a1().expiring(1800);
    for at in times(0.0, 300.0, 1600.0) {
        phone.reboot();
        scene.reg_ok(at, &mut phone);
        scene.keepalives(&phone, at + 20.0, 20.0, at + 240.0);
    }
    scene.healthy(&mut c1(), 1.0, 1700.0);
}

/// A phone without NAT is out of reach for a minute every 40 minutes, at last shortly before the capture ends.
fn phone_comes_and_goes(scene: &mut Scene) {
    const END: f64 = 12_900.0;
    let mut phone = l1().expiring(1800);
    scene.reg_ok(0.0, &mut phone);
    for at in times(890.0, 900.0, END) {
        scene.refresh(at, &mut phone);
    }
    for (index, at) in times(30.0, 120.0, END).enumerate() {
        if index % 20 == 5 {
            scene.qualify_lost(at, &schedule::QUALIFY, &phone);
            scene.qualify(at + 64.0, &phone);
        } else {
            scene.qualify(at, &phone);
        }
    }
    let mut neighbour = Agent::phone("3002", Brand::Snom, "203.0.113.61:5060", "203.0.113.61:5060").expiring(1800);
    scene.reg_ok(1.0, &mut neighbour);
    for at in times(900.0, 900.0, END) {
        scene.refresh(at, &mut neighbour);
    }
}

/// The router of a site is away for 40 s every few minutes, at last shortly before the capture ends.
fn site_comes_and_goes(scene: &mut Scene) {
    let outages = [450.0, 690.0, 810.0, 1110.0, 1290.0, 1410.0];
    let is_out = |at: f64| outages.iter().any(|out| (out - 3.0..out + 37.0).contains(&at));
    for (index, mut phone) in [a1().expiring(600), a2().expiring(600)].into_iter().enumerate() {
        let shift = index as f64;
        scene.reg_ok(shift, &mut phone);
        for at in times(280.0 + shift, 300.0, 1700.0) {
            scene.refresh(at, &mut phone);
        }
        for at in times(20.0 + shift, 20.0, 1700.0).filter(|at| !is_out(*at)) {
            scene.keepalives(&phone, at, 20.0, at + 1.0);
        }
        for at in times(30.0 + shift, 60.0, 1700.0) {
            if is_out(at) {
                scene.qualify_lost(at, &schedule::QUALIFY, &phone);
            } else {
                scene.qualify(at, &phone);
            }
        }
    }
    scene.healthy(&mut c1(), 2.0, 1700.0);
}

/// Phones of a site that register every 150 s; some send keep-alives. From 900 s on their router is away for 100 s, and all come back from
/// other ports.
fn router_restarts(scene: &mut Scene) {
    const AWAY: std::ops::Range<f64> = 900.0..1000.0;
    for index in 0..4_u16 {
        let (shift, port) = (f64::from(index) * 17.0, 40_001 + index);
        let (local, outer) = (format!("192.168.7.{}:5060", 20 + index), format!("198.51.100.7:{port}"));
        let mut phone = Agent::phone(&format!("100{}", 1 + index), Brand::Yealink, &local, &outer).expiring(300);
        let mut before = phone.clone();
        scene.reg_ok(shift, &mut phone);
        for at in times(shift + 150.0, 150.0, 1500.0).filter(|at| !AWAY.contains(at)) {
            if at > AWAY.end {
                phone.outer.set_port(41_001 + index);
                before.outer = phone.outer;
            }
            scene.refresh(at, &mut phone);
        }
        for at in times(shift + 10.0, 30.0, 1500.0).filter(|at| index % 2 == 0 && !AWAY.contains(at)) {
            let port = if at > AWAY.end { 41_001 + index } else { 40_001 + index };
            let mut now = phone.clone();
            now.outer.set_port(port);
            scene.keepalives(&now, at, 30.0, at + 1.0);
        }
        before.outer = outer.parse().expect("an address");
        let renewed = times(shift + 150.0, 150.0, 1500.0).find(|at| *at > AWAY.end).unwrap_or(AWAY.end);
        for at in times(shift + 40.0, 60.0, 1500.0) {
            match at {
                _ if at < AWAY.start => scene.qualify(at, &before),
                _ if at < renewed => scene.qualify_lost(at, &schedule::QUALIFY, &before),
                _ => scene.qualify(at, &phone),
            }
        }
    }
    scene.healthy(&mut c1(), 2.0, 1500.0);
    scene.healthy(&mut b1(), 3.0, 1500.0);
}

/// From 900 s on a firewall drops the probes to a phone without keep-alives, and nothing else.
fn probes_swallowed(scene: &mut Scene) {
    let mut phone = a1();
    scene.reg_ok(0.0, &mut phone);
    for at in times(130.0, 130.0, 3000.0) {
        scene.refresh(at, &mut phone);
    }
    for at in times(25.0, 60.0, 3000.0) {
        if at < 900.0 {
            scene.qualify(at, &phone);
        } else {
            scene.qualify_lost(at, &schedule::QUALIFY, &phone);
        }
    }
    let mut caller = c1();
    scene.healthy(&mut caller, 1.0, 3000.0);
    for at in [600.0, 1500.0, 2400.0] {
        Bridge::new(scene, &caller, &phone).ordinary(scene, at, 3.0, 20.0, Side::Caller);
    }
}

/// The PBX answers nobody for four minutes and goes on probing its phones.
fn pbx_locked_up(scene: &mut Scene) {
    let mut phones = [a1(), a2(), b1(), c1()];
    for (index, phone) in phones.iter_mut().enumerate() {
        phone.expires = 60;
        scene.healthy(phone, index as f64, 100.0);
    }
    let pbx = scene.pbx.clone();
    for (index, phone) in phones.iter_mut().enumerate() {
        phone.nonce = None;
        for at in times(112.0 + index as f64, 35.0, 340.0) {
            let request = scene.register_message(phone);
            scene.repeat(at, &schedule::CAPPED, phone, &pbx, &request);
        }
        for at in times(150.0 + index as f64 * 0.5, 60.0, 340.0) {
            scene.qualify(at, phone);
        }
    }
    for (index, phone) in phones.iter_mut().enumerate() {
        scene.healthy(phone, 372.0 + index as f64, 500.0);
    }
}

/// All phones ask at one address, and the PBX answers from another one, which the phones do not take.
fn all_answered_elsewhere(scene: &mut Scene) {
    let asked = scene.pbx.clone();
    let mut phones = [a1(), a2(), b1(), c1()];
    for (index, phone) in phones.iter_mut().enumerate() {
        phone.expires = 60;
        scene.healthy(phone, index as f64, 80.0);
    }
    for (index, phone) in phones.iter_mut().enumerate() {
        phone.nonce = None;
        for at in times(100.0 + index as f64, 40.0, 400.0) {
            let request = scene.register_message(phone);
            scene.repeat(at, &schedule::CAPPED, phone, &asked, &request);
            scene.pbx.outer = "203.0.113.11:5060".parse().expect("an address");
            for offset in schedule::CAPPED {
                let mut deaf = phone.clone();
                scene.reject(at + 0.005 + offset, &mut deaf, &request, 401);
            }
            scene.pbx = asked.clone();
        }
    }
}

/// A phone answers each OPTIONS late, and a call reaches it.
fn late_but_called(scene: &mut Scene) {
    let mut phone = a1();
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 20.0, 20.0, 200.0);
    scene.healthy(&mut c1(), 1.0, 200.0);
    let pbx = scene.pbx.clone();
    for at in times(31.0, 20.0, 190.0) {
        let probe = scene.qualify_message(&phone);
        scene.qualify_answered(at, &schedule::QUALIFY, &phone, &probe, 2.5);
        let tag = phone.tag(&mut scene.random);
        for offset in [0.5, 1.5] {
            let response = phone.introduce(probe.response(200, pbx.outer, &tag));
            scene.send(at + offset + 2.5, &phone, &pbx, &response);
        }
    }
    Bridge::new(scene, &c1(), &phone).ordinary(scene, 120.5, 3.0, 20.0, Side::Caller);
}

/// A phone takes another port in a call, and the registrar knows; the BYE goes where the call had begun.
fn bye_to_place_before_register(scene: &mut Scene) {
    scene.healthy(&mut b1(), 1.0, 300.0);
    scene.healthy(&mut c1(), 2.0, 300.0);
    let mut phone = a1();
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 20.0, 20.0, 75.0);
    let mut call = Bridge::new(scene, &b1(), &phone);
    call.ring(scene, 30.0);
    call.answer(scene, 34.0);
    phone.outer = "198.51.100.7:47001".parse().expect("an address");
    scene.healthy(&mut phone, 80.0, 300.0);
    call.a.bye(scene, 120.0, Side::Caller);
    call.b.unanswered(scene, 120.01, Side::Caller, "BYE");
}
