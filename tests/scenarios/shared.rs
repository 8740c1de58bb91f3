//! Several users behind one address: the handsets of a DECT base, the users of an SBC.

use super::scenarios;
use crate::support::agent::cast::{b1, c1};
use crate::support::call::Bridge;
use crate::support::proxy::forwarded;
use crate::support::scene::schedule;
use crate::support::upkeep::times;
use crate::support::{Agent, Brand, Leg, Scene, Side};

scenarios! {
    "dect-base-off" => dect_base_off,
    "dect-base-new-port" => dect_base_new_port,
    "dect-handsets-logged-off" => dect_handsets_logged_off,
    "dect-base-router-restarts" => dect_base_router_restarts,
    "dect-handset-elsewhere-restarts" => dect_handset_elsewhere_restarts,
    "dect-handset-restarts-in-call" => dect_handset_restarts_in_call,
    "dect-handset-hangs-up-late" => dect_handset_hangs_up_late,
    "dect-handset-hangs-up-unseen" => dect_handset_hangs_up_unseen,
    "sbc-one-user-away" => sbc_one_user_away,
    "edge-users-unknown" => edge_users_unknown,
    "edge-scanned" => edge_scanned,
    "edge-feigned" => edge_feigned,
    "edge-refuses-calls" => edge_refuses_calls,
}

/// The handsets of a base: one address, one port, and each a user of its own.
fn base<const N: usize>(users: [&str; N]) -> [Agent; N] {
    users.map(|user| Agent { expires: 600, ..Agent::phone(user, Brand::Gigaset, "172.16.4.9:5060", "198.51.100.90:51200") })
}

/// Registers the handsets one after the other; the last of them is the last to register.
fn register(scene: &mut Scene, at: f64, base: &mut [Agent]) {
    for (index, handset) in base.iter_mut().enumerate() {
        scene.reg_ok(at + index as f64 * 0.3, handset);
    }
}

/// The base loses its power: calls to two handsets and the probes to all four go unanswered.
fn dect_base_off(scene: &mut Scene) {
    let mut caller = b1();
    scene.healthy(&mut caller, 0.0, 420.0);
    let mut base = base(["611", "612", "613", "614"]);
    register(scene, 1.0, &mut base);
    scene.keepalives(&base[0], 20.0, 20.0, 170.0);
    for (index, handset) in base.iter().enumerate() {
        let apart = index as f64 * 0.01;
        for at in times(30.0, 60.0, 170.0) {
            scene.qualify(at + apart, handset);
        }
        scene.qualify_lost(240.0 + apart, &schedule::QUALIFY_CHAN_SIP, handset);
        for at in times(254.0, 14.0, 410.0) {
            scene.qualify_lost(at + apart, &schedule::QUALIFY_CHAN_SIP, handset);
        }
    }
    for (at, handset) in [(175.0, &base[1]), (185.0, &base[2])] {
        let mut bridge = Bridge::new(scene, &caller, handset);
        bridge.invite(scene, at);
        bridge.b.invite_repeated(scene, at + 0.05, &schedule::INVITE, &[]);
        bridge.a.fail(scene, at + 32.1, 480, &[("X-Asterisk-HangupCauseCode", "18")]);
    }
}

/// A router that forgets the one port of a base between two registrations.
fn dect_base_new_port(scene: &mut Scene) {
    scene.healthy(&mut b1(), 0.0, 620.0);
    scene.healthy(&mut c1_elsewhere(), 2.0, 620.0);
    let mut base = base(["611", "612", "613", "614"]);
    register(scene, 1.0, &mut base);
    for round in 0..6_u16 {
        let begun = 1.0 + f64::from(round) * 100.0;
        for (index, handset) in base.iter_mut().enumerate() {
            handset.outer.set_port(51200 + round);
            if round > 0 {
                scene.refresh(begun + index as f64 * 0.3, handset);
            }
            scene.qualify_lost(begun + 70.0 + index as f64 * 0.2, &schedule::QUALIFY, handset);
        }
    }
}

/// Two of three handsets log off. The router forgets the port of the base between its keep-alives.
fn dect_handsets_logged_off(scene: &mut Scene) {
    scene.healthy(&mut b1(), 0.0, 420.0);
    let mut base = base(["611", "612", "613"]);
    register(scene, 1.0, &mut base);
    let [first, staying, last] = &mut base;
    scene.unregister(20.0, first);
    scene.unregister(25.0, last);
    scene.keepalives(staying, 60.0, 60.0, 420.0);
    for at in times(105.0, 60.0, 400.0) {
        scene.qualify_lost(at, &schedule::QUALIFY, staying);
        // Another site answers within 10 s of each probe.
        scene.qualify(at + 1.0, &b1());
    }
}

/// A router that restarts: the port of the base and that of the phone beside it change at the same time.
fn dect_base_router_restarts(scene: &mut Scene) {
    scene.healthy(&mut b1(), 0.0, 400.0);
    let mut base = base(["611", "612"]);
    let mut phone = Agent::phone("615", Brand::Snom, "172.16.4.20:5060", "198.51.100.90:51300");
    register(scene, 1.0, &mut base);
    scene.reg_ok(2.0, &mut phone);
    for (from, until, shift) in [(20.0, 200.0, 0), (220.0, 400.0, 7)] {
        if shift > 0 {
            for (index, device) in base.iter_mut().chain([&mut phone]).enumerate() {
                device.outer.set_port(device.outer.port() + shift);
                scene.refresh(202.0 + index as f64 * 0.5, device);
            }
        }
        scene.keepalives(&base[0], from, 20.0, until);
        scene.keepalives(&phone, from + 1.0, 20.0, until);
    }
}

/// Four handsets of a base, the first of which is in a call from 22 s on.
fn talking(scene: &mut Scene) -> ([Agent; 4], Leg) {
    scene.healthy(&mut b1(), 0.0, 200.0);
    let mut base = base(["611", "612", "613", "614"]);
    register(scene, 1.0, &mut base);
    scene.keepalives(&base[0], 10.0, 20.0, 200.0);
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, &base[0], &pbx, &base[0].user, "2001");
    leg.invite(scene, 20.0, &[]);
    leg.progress(scene, 20.01, 100);
    leg.progress(scene, 20.2, 180);
    leg.answer(scene, 22.0, &[]);
    (base, leg)
}

/// A handset registers as if it had restarted.
fn restart(scene: &mut Scene, handset: &mut Agent) {
    handset.reboot();
    scene.reg_ok(60.0, handset);
}

/// One handset calls, another one of the same base restarts meanwhile.
fn dect_handset_elsewhere_restarts(scene: &mut Scene) {
    let (mut base, _) = talking(scene);
    restart(scene, &mut base[3]);
}

/// The handset that calls restarts, and nobody hangs up.
fn dect_handset_restarts_in_call(scene: &mut Scene) {
    let (mut base, _) = talking(scene);
    restart(scene, &mut base[0]);
}

/// The handset that calls registers anew as if it had restarted, and hangs up all the same.
fn dect_handset_hangs_up_late(scene: &mut Scene) {
    let (mut base, mut leg) = talking(scene);
    leg.bye(scene, 150.0, Side::Caller);
    restart(scene, &mut base[0]);
}

/// The same, and of the BYE the capture has the answer alone.
fn dect_handset_hangs_up_unseen(scene: &mut Scene) {
    let (mut base, mut leg) = talking(scene);
    leg.bye_uncaptured(scene, 150.0, Side::Caller, 200);
    restart(scene, &mut base[0]);
}

/// Users of two tenants behind an SBC, some with the same extension. One of them is off.
fn sbc_one_user_away(scene: &mut Scene) {
    scene.healthy(&mut c1(), 0.0, 500.0);
    let sbc = Agent::server("sbc", Brand::Carrier, "198.51.100.50:5060");
    let users = [("200", "alpha"), ("201", "alpha"), ("200", "beta"), ("201", "beta"), ("202", "beta")];
    for (index, (user, tenant)) in users.into_iter().enumerate() {
        let local = format!("192.168.{index}.20:5060");
        let phone = Agent::phone(user, Brand::Yealink, &local, &format!("198.51.100.{}:5060", 60 + index));
        let mut phone = Agent { domain: format!("{tenant}.example.com"), expires: 600, ..phone };
        let start = 1.0 + index as f64 * 0.7;
        through_sbc(scene, start, &sbc, &mut phone);
        through_sbc(scene, start + 290.0, &sbc, &mut phone);
        for at in times(30.0 + index as f64, 60.0, 490.0) {
            let request = scene.qualify_message(&phone).with("Route", format!("<sip:{};lr>", sbc.outer));
            if (user, tenant) == ("200", "beta") && at > 100.0 {
                let pbx = scene.pbx.clone();
                scene.repeat(at, &schedule::QUALIFY_CHAN_SIP, &pbx, &sbc, &request);
            } else {
                scene.qualify_answered(at, &[0.0], &sbc, &request, 0.05);
            }
        }
    }
}

/// An SBC through which phones register, and its phones, each at a place of its own.
fn behind_sbc(scene: &mut Scene) -> (Agent, Vec<Agent>) {
    let sbc = Agent::server("sbc", Brand::Carrier, "198.51.100.50:5060");
    let phone = |index: u16| {
        let (local, outer) = (format!("192.168.{index}.20:5060"), format!("198.51.100.{}:{}", 100 + index, 40_000 + index));
        Agent::phone(&(1100 + index).to_string(), Brand::Yealink, &local, &outer).expiring(600)
    };
    let mut phones: Vec<Agent> = (0..16).map(phone).collect();
    for (index, phone) in phones.iter_mut().enumerate().take(3) {
        through_sbc(scene, 1.0 + index as f64, &sbc, phone);
        through_sbc(scene, 291.0 + index as f64, &sbc, phone);
    }
    scene.healthy(&mut c1(), 0.0, 400.0);
    (sbc, phones)
}

/// Of the phones behind an SBC a dozen have lost their accounts, as after a restore of the database.
fn edge_users_unknown(scene: &mut Scene) {
    let (sbc, mut phones) = behind_sbc(scene);
    for (index, phone) in phones.iter_mut().enumerate().skip(3) {
        for at in times(30.0 + index as f64 * 0.5, 60.0, 300.0) {
            pass_on(scene, at, &sbc, phone, 404);
        }
    }
}

/// Behind the same SBC somebody looks for users.
fn edge_scanned(scene: &mut Scene) {
    let (sbc, _) = behind_sbc(scene);
    for user in 200..215 {
        let mut stranger = Agent::phone(&user.to_string(), Brand::Yealink, "192.0.2.66:5070", "192.0.2.66:5070");
        pass_on(scene, 30.0 + f64::from(user - 200), &sbc, &mut stranger, 404);
    }
}

/// Somebody with one account writes a second Via that names a customer, and looks for users.
fn edge_feigned(scene: &mut Scene) {
    let customer = c1();
    scene.healthy(&mut c1(), 0.0, 400.0);
    let feigned = Agent::server("feigned", Brand::Yealink, "192.0.2.66:5070");
    let behind = |user: &str| Agent { outer: customer.outer, ..Agent::phone(user, Brand::Yealink, "192.168.1.20:5060", "192.0.2.66:5070") };
    through_sbc(scene, 10.0, &feigned, &mut behind("1001").expiring(600));
    for user in 200..215 {
        pass_on(scene, 30.0 + f64::from(user - 200), &feigned, &mut behind(&user.to_string()), 404);
    }
}

/// The SBC answers calls to its phones with what the PBX cannot tell from the phone's own answer.
fn edge_refuses_calls(scene: &mut Scene) {
    let (sbc, phones) = behind_sbc(scene);
    let [caller, unknown, failing] = &phones[..3] else { return };
    let pbx = scene.pbx.clone();
    for (at, callee, status) in [(30.0, unknown, 404), (60.0, failing, 503)] {
        let behind = |phone: &Agent| Agent { outer: sbc.outer, ..phone.clone() };
        let mut outer = Leg::new(scene, &behind(caller), &pbx, &caller.user, &callee.user);
        let mut inner = Leg::new(scene, &pbx, &behind(callee), &caller.user, &callee.user);
        outer.invite(scene, at, &[]);
        inner.invite(scene, at + 0.05, &[]);
        inner.fail(scene, at + 0.1, status, &[]);
        outer.fail(scene, at + 0.11, status, &[]);
    }
}

/// A REGISTER as an SBC passes it on, refused.
fn pass_on(scene: &mut Scene, at: f64, sbc: &Agent, phone: &mut Agent, status: u16) {
    let request = scene.register_message(phone);
    let passed = forwarded(scene, sbc, phone.outer, &request, &format!("sip:{}", phone.domain));
    let passed = passed.with("Path", format!("<sip:{};lr>", sbc.outer));
    let pbx = scene.pbx.clone();
    scene.send(at, sbc, &pbx, &passed);
    let refused = scene.registrar_response(&passed, status, sbc);
    scene.send(at + 0.015, &pbx, sbc, &refused);
}

/// A REGISTER as an SBC passes it on, accepted.
fn through_sbc(scene: &mut Scene, at: f64, sbc: &Agent, phone: &mut Agent) {
    let request = scene.register_message(phone);
    let passed = forwarded(scene, sbc, phone.outer, &request, &format!("sip:{}", phone.domain));
    let passed = passed.with("Path", format!("<sip:{};lr>", sbc.outer));
    let pbx = scene.pbx.clone();
    scene.send(at, sbc, &pbx, &passed);
    let accepted = scene.registrar_response(&passed, 200, sbc);
    let accepted = accepted.with("Contact", format!("<{}>;expires={}", phone.contact_uri(), phone.expires));
    scene.send(at + 0.015, &pbx, sbc, &accepted);
}

/// The phone of site C, where the base is not.
fn c1_elsewhere() -> Agent {
    Agent::phone("2101", Brand::Gigaset, "172.16.5.9:5060", "198.51.100.91:51200")
}
