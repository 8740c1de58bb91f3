//! Calls through the PBX that have two legs, and what makes it hard to tell which two.

use super::scenarios;
use crate::support::agent::Brand;
use crate::support::agent::cast::{a1, a2, b1, c1};
use crate::support::call::{Bridge, Plan};
use crate::support::proxy::{Proxied, register_through};
use crate::support::upkeep::times;
use crate::support::{Agent, Leg, Scene, Side};

scenarios! {
    "legs-parallel-pair" => legs_parallel_pair,
    "legs-before-register" => legs_before_register,
    "legs-slow-credentials" => legs_slow_credentials,
    "leg-left-up-redial" => leg_left_up_redial,
    "transfer-attended" => transfer_attended,
    "transfer-by-keys" => transfer_by_keys,
    "transfer-by-keys-late" => transfer_by_keys_late,
    "transfer-attended-by-callee" => transfer_attended_by_callee,
    "transfer-attended-refused" => transfer_attended_refused,
    "transfer-blind" => transfer_blind,
    "transfer-refused" => transfer_refused,
    "leg-left-up-redial-late" => leg_left_up_redial_late,
    "leg-left-up-behind-proxy" => leg_left_up_behind_proxy,
    "proxy-passes-on-beside-call" => proxy_passes_on_beside_call,
    "group-behind-proxy" => group_behind_proxy,
    "survey-after-call" => survey_after_call,
    "caller-left-up" => caller_left_up,
    "queue-agent" => queue_agent,
    "call-pickup" => call_pickup,
    "pickup-replaces" => pickup_replaces,
    "voicemail-beside-code" => voicemail_beside_code,
    "shared-line" => shared_line,
    "shared-line-left-up" => shared_line_left_up,
}

/// Registers everybody whom the scenes need.
fn everybody(scene: &mut Scene, until: f64) {
    for (index, phone) in [a1(), a2(), b1(), c1()].iter_mut().enumerate() {
        scene.healthy(phone, index as f64 * 0.5, until);
    }
}

/// The same two phones have two calls at a time, and the PBX calls for the older one after it has called for the younger one.
fn legs_parallel_pair(scene: &mut Scene) {
    everybody(scene, 120.0);
    let mut older = Bridge::new(scene, &a1(), &b1());
    let mut younger = Bridge::new(scene, &a1(), &b1());
    older.invite(scene, 10.0);
    younger.invite(scene, 13.0);
    younger.b.invite(scene, 13.1, &[]);
    older.b.invite(scene, 13.3, &[]);
    for (bridge, at) in [(&mut younger, 13.5), (&mut older, 14.5)] {
        bridge.b.progress(scene, at, 180);
        bridge.a.progress(scene, at + 0.01, 180);
    }
    older.answer(scene, 17.0);
    younger.answer(scene, 19.0);
    older.bye(scene, 47.0, Side::Caller);
    younger.bye(scene, 60.0, Side::Callee);
}

/// The call begins before a REGISTER shows which address is the PBX.
fn legs_before_register(scene: &mut Scene) {
    let mut bridge = Bridge::new(scene, &a1(), &b1());
    bridge.ring(scene, 0.0);
    everybody_from(scene, 1.0, 120.0);
    bridge.answer(scene, 4.0);
    bridge.bye(scene, 40.0, Side::Callee);
}

fn everybody_from(scene: &mut Scene, from: f64, until: f64) {
    for (index, phone) in [a1(), b1(), c1()].iter_mut().enumerate() {
        scene.healthy(phone, from + index as f64 * 0.5, until);
    }
}

/// The caller takes 12 s to send its credentials.
fn legs_slow_credentials(scene: &mut Scene) {
    everybody(scene, 120.0);
    let mut bridge = Bridge::new(scene, &a1(), &b1());
    bridge.a.invite(scene, 10.0, &[]);
    bridge.a.challenge(scene, 10.005);
    bridge.a.invite(scene, 22.0, &[]);
    bridge.a.progress(scene, 22.005, 100);
    bridge.b.invite(scene, 22.05, &[]);
    bridge.b.progress(scene, 22.4, 180);
    bridge.a.progress(scene, 22.41, 180);
    bridge.answer(scene, 25.0);
    bridge.bye(scene, 60.0, Side::Caller);
}

/// The caller hangs up and calls somebody else at once, while the PBX keeps the first callee.
fn leg_left_up_redial(scene: &mut Scene) {
    everybody(scene, 200.0);
    let mut stuck = Bridge::new(scene, &a1(), &b1());
    stuck.ring(scene, 10.0);
    stuck.answer(scene, 14.0);
    stuck.a.bye(scene, 40.0, Side::Caller);
    Bridge::new(scene, &a1(), &c1()).ordinary(scene, 41.0, 3.0, 60.0, Side::Caller);
    stuck.b.bye(scene, 140.0, Side::Caller);
}

/// The caller asks a colleague and joins both by REFER with Replaces. The PBX does it within itself: no leg sees more than its BYE.
fn transfer_attended(scene: &mut Scene) {
    everybody(scene, 200.0);
    let mut held = Bridge::new(scene, &a1(), &b1());
    let mut asked = Bridge::new(scene, &a1(), &c1());
    held.ring(scene, 10.0);
    held.answer(scene, 14.0);
    held.a.reinvite(scene, 30.0, Side::Caller, |sdp| sdp.replace("sendrecv", "sendonly"));
    asked.ring(scene, 32.0);
    asked.answer(scene, 36.0);
    refer_to(scene, (&mut held.a, Side::Caller), &asked.a, 202);
    held.a.bye(scene, 50.2, Side::Callee);
    asked.a.bye(scene, 50.21, Side::Callee);
    held.b.bye(scene, 150.0, Side::Callee);
    asked.b.bye(scene, 150.01, Side::Caller);
}

/// The end `by` of a leg sends REFER with Replaces of `other`.
fn refer_to(scene: &mut Scene, (leg, by): (&mut Leg, Side), other: &Leg, status: u16) {
    let replaces = other.replaces().replace(';', "%3B").replace('=', "%3D").replace('@', "%40");
    let refer = leg.in_dialog(scene, by, "REFER").with("Refer-To", format!("<sip:2101@pbx.example.com?Replaces={replaces}>"));
    leg.exchange_message(scene, 50.0, by, &refer, status);
}

/// The callee asks a colleague, joins the caller with that one and leaves; the colleague hangs up.
fn transfer_attended_by_callee(scene: &mut Scene) {
    everybody(scene, 200.0);
    let mut held = Bridge::new(scene, &a1(), &b1());
    let mut asked = Bridge::new(scene, &b1(), &c1());
    held.ring(scene, 10.0);
    held.answer(scene, 14.0);
    asked.ring(scene, 32.0);
    asked.answer(scene, 36.0);
    refer_to(scene, (&mut held.b, Side::Callee), &asked.a, 202);
    held.b.bye(scene, 50.2, Side::Caller);
    asked.a.bye(scene, 50.21, Side::Callee);
    asked.b.bye(scene, 150.0, Side::Callee);
    held.a.bye(scene, 150.01, Side::Callee);
}

/// The same, but the PBX refuses and both calls go on. It ends the first one by itself, when the colleague has just hung up the other.
fn transfer_attended_refused(scene: &mut Scene) {
    everybody(scene, 200.0);
    let mut held = Bridge::new(scene, &a1(), &b1());
    let mut asked = Bridge::new(scene, &b1(), &c1());
    held.ring(scene, 10.0);
    held.answer(scene, 14.0);
    asked.ring(scene, 32.0);
    asked.answer(scene, 36.0);
    refer_to(scene, (&mut held.b, Side::Callee), &asked.a, 603);
    asked.bye(scene, 150.0, Side::Callee);
    held.b.bye(scene, 151.0, Side::Caller);
    held.a.bye(scene, 151.01, Side::Callee);
}

/// The caller transfers by keys: only the PBX knows. It calls the third phone and drops the caller.
fn transfer_by_keys(scene: &mut Scene) {
    everybody(scene, 200.0);
    let mut bridge = Bridge::new(scene, &a1(), &b1());
    bridge.ring(scene, 10.0);
    bridge.answer(scene, 14.0);
    let pbx = scene.pbx.clone();
    let mut third = Leg::new(scene, &pbx, &c1(), "1001", "2101");
    third.ordinary(scene, Plan { invite: 30.0, ring: 30.3, answer: 34.0, bye: 150.01, bye_by: Side::Caller });
    bridge.a.bye(scene, 45.0, Side::Caller);
    bridge.b.bye(scene, 150.0, Side::Callee);
}

/// The callee transfers by keys and is dropped. The PBX calls the third phone for the caller 20 s later in one call, 100 s later in the other.
fn transfer_by_keys_late(scene: &mut Scene) {
    everybody(scene, 500.0);
    let pbx = scene.pbx.clone();
    for (start, pause) in [(10.0, 20.0), (250.0, 100.0)] {
        let mut bridge = Bridge::new(scene, &a1(), &b1());
        bridge.ring(scene, start);
        bridge.answer(scene, start + 4.0);
        bridge.b.bye(scene, start + 30.0, Side::Callee);
        let (invite, bye) = (start + 30.0 + pause, start + 220.0);
        let mut third = Leg::new(scene, &pbx, &c1(), "1001", "2101");
        third.ordinary(scene, Plan { invite, ring: invite + 0.3, answer: invite + 9.0, bye: bye + 0.01, bye_by: Side::Caller });
        bridge.a.bye(scene, bye, Side::Caller);
    }
}

/// The caller hangs up, the PBX keeps the other leg; after a minute the caller calls somebody else.
fn leg_left_up_redial_late(scene: &mut Scene) {
    everybody(scene, 300.0);
    let mut stuck = Bridge::new(scene, &a1(), &b1());
    stuck.ring(scene, 10.0);
    stuck.answer(scene, 14.0);
    stuck.a.bye(scene, 40.0, Side::Caller);
    Bridge::new(scene, &a1(), &c1()).ordinary(scene, 100.0, 3.0, 60.0, Side::Caller);
    stuck.b.bye(scene, 240.0, Side::Caller);
}

/// The callee hangs up. The PBX asks the caller what the call was like, and hangs up after a minute.
fn survey_after_call(scene: &mut Scene) {
    everybody(scene, 200.0);
    let mut bridge = Bridge::new(scene, &a1(), &b1());
    bridge.ring(scene, 10.0);
    bridge.answer(scene, 14.0);
    bridge.b.bye(scene, 60.0, Side::Callee);
    let bye = bridge.a.in_dialog(scene, Side::Callee, "BYE").with("Reason", "Q.850;cause=16");
    bridge.a.exchange_message(scene, 122.0, Side::Callee, &bye, 200);
}

/// As [`survey_after_call`], but it is the caller who hangs up, five minutes later.
fn caller_left_up(scene: &mut Scene) {
    everybody(scene, 500.0);
    let mut bridge = Bridge::new(scene, &a1(), &b1());
    bridge.ring(scene, 10.0);
    bridge.answer(scene, 14.0);
    bridge.b.bye(scene, 60.0, Side::Callee);
    bridge.a.bye(scene, 360.0, Side::Caller);
}

/// A queue answers, plays music, and finds an agent after 20 s; when that one hangs up, the caller goes back into the queue.
fn queue_agent(scene: &mut Scene) {
    everybody(scene, 300.0);
    let pbx = scene.pbx.clone();
    let mut caller = Leg::new(scene, &a1(), &pbx, "1001", "800");
    caller.ordinary(scene, Plan { invite: 10.0, ring: 10.1, answer: 10.3, bye: 240.0, bye_by: Side::Caller });
    for (user, phone, at, bye) in [("2001", b1(), 30.0, 80.0), ("2101", c1(), 130.0, 239.9)] {
        let mut agent = Leg::new(scene, &pbx, &phone, "1001", user);
        agent.ordinary(scene, Plan { invite: at, ring: at + 0.3, answer: at + 4.0, bye, bye_by: Side::Callee });
    }
}

/// A colleague takes the call that rings at the next desk by a code: with the number of that desk, and then the code of the whole group. The PBX
/// gives no reason for its CANCEL.
fn call_pickup(scene: &mut Scene) {
    everybody(scene, 300.0);
    let pbx = scene.pbx.clone();
    for (start, code) in [(10.0, "**2001"), (150.0, "*8")] {
        let mut bridge = Bridge::new(scene, &a1(), &b1());
        bridge.ring(scene, start);
        let mut pickup = Leg::new(scene, &c1(), &pbx, "2101", code);
        pickup.invite(scene, start + 12.0, &[]);
        pickup.progress(scene, start + 12.005, 100);
        pickup.answer(scene, start + 12.01, &[]);
        bridge.b.cancel(scene, start + 12.015, &[]);
        bridge.a.answer(scene, start + 12.02, &[]);
        pickup.bye(scene, start + 60.0, Side::Caller);
        bridge.a.bye(scene, start + 60.01, Side::Callee);
    }
}

/// Nobody picks up, and the PBX takes the call itself, while a colleague asks for messages by a code.
fn voicemail_beside_code(scene: &mut Scene) {
    everybody(scene, 200.0);
    let pbx = scene.pbx.clone();
    let mut bridge = Bridge::new(scene, &a1(), &b1());
    bridge.ring(scene, 10.0);
    let mut code = Leg::new(scene, &c1(), &pbx, "2101", "*97");
    code.ordinary(scene, Plan { invite: 28.0, ring: 28.1, answer: 28.5, bye: 90.0, bye_by: Side::Caller });
    bridge.b.cancel(scene, 30.0, &[]);
    bridge.a.answer(scene, 30.01, &[]);
    bridge.a.bye(scene, 50.0, Side::Caller);
}

/// Makes a caller and the three devices of 2001, and keeps them registered.
fn shared(scene: &mut Scene, until: f64) -> (Agent, [Agent; 3]) {
    let mut caller = a1();
    scene.healthy(&mut caller, 0.0, until);
    let mut devices = [a2(), b1(), c1()].map(|phone| Agent { user: "2001".to_owned(), ..phone.expiring(900) });
    for index in 0..devices.len() {
        let (before, after) = devices.split_at_mut(index);
        let others: Vec<_> = before.iter().collect();
        for device in after.iter_mut().take(1) {
            let at = 0.5 + index as f64 * 0.5;
            scene.reg_ok_listing(at, device, &others);
            scene.upkeep(device, at, until);
        }
    }
    (caller, devices)
}

/// Has the caller call 2001, whose device with the number `answers` takes the call 5 s after `at`; the PBX takes the other legs back without
/// saying why. Gives the leg of the caller and that of the device.
fn call_shared(scene: &mut Scene, caller: &Agent, devices: &[Agent], answers: usize, at: f64) -> Bridge {
    let pbx = scene.pbx.clone();
    let mut a = Leg::new(scene, caller, &pbx, &caller.user, "2001");
    a.invite(scene, at, &[]);
    a.progress(scene, at + 0.005, 100);
    let mut legs: Vec<_> = devices.iter().map(|device| Leg::new(scene, &pbx, device, &caller.user, "2001")).collect();
    for (index, leg) in legs.iter_mut().enumerate() {
        leg.invite(scene, at + 0.05 + index as f64 * 0.001, &[]);
        leg.progress(scene, at + 0.3 + index as f64 * 0.1, 180);
    }
    a.progress(scene, at + 0.31, 180);
    let mut b = legs.remove(answers);
    b.answer(scene, at + 5.0, &[]);
    a.answer(scene, at + 5.01, &[]);
    for leg in &mut legs {
        leg.cancel(scene, at + 5.02, &[]);
    }
    Bridge { a, b }
}

/// One number on three devices: whichever takes the call, the others stop to ring. Then two calls ring them at once, and another device takes
/// each.
fn shared_line(scene: &mut Scene) {
    let (caller, devices) = shared(scene, 400.0);
    for (answers, at) in [(0, 10.0), (1, 80.0), (2, 150.0)] {
        call_shared(scene, &caller, &devices, answers, at).bye(scene, at + 45.0, Side::Caller);
    }
    let mut older = call_shared(scene, &caller, &devices, 1, 220.0);
    let mut younger = call_shared(scene, &caller, &devices, 2, 222.0);
    older.bye(scene, 250.0, Side::Caller);
    younger.bye(scene, 340.0, Side::Callee);
}

/// As [`shared_line`], but the PBX keeps the device that took the call when the caller hangs up.
fn shared_line_left_up(scene: &mut Scene) {
    let (caller, devices) = shared(scene, 400.0);
    for (answers, at) in [(1, 10.0), (2, 150.0)] {
        let mut bridge = call_shared(scene, &caller, &devices, answers, at);
        bridge.a.bye(scene, at + 25.0, Side::Caller);
        bridge.b.bye(scene, at + 105.0, Side::Caller);
    }
}

/// A PBX behind `proxy`, at which three phones register through it.
fn behind(scene: &mut Scene, proxy: &Agent, until: f64) -> [Agent; 3] {
    let mut phones = [a1(), b1(), c1()];
    for at in times(0.0, 140.0, until) {
        for (phone, offset) in phones.iter_mut().zip([0.0, 0.5, 1.0]) {
            register_through(scene, at + offset, proxy, phone);
        }
    }
    for phone in &phones {
        scene.keepalives(phone, 20.0, 20.0, until);
    }
    phones
}

/// The two legs of a call through a PBX behind `proxy`, both by way of it.
fn both_behind(scene: &mut Scene, proxy: &Agent, caller: &Agent, callee: &Agent) -> [Proxied; 2] {
    let Bridge { a, b } = Bridge::new(scene, caller, callee);
    [a, b].map(|leg| Proxied::new(scene, leg, proxy))
}

fn set_up(scene: &mut Scene, [a, b]: &mut [Proxied; 2], at: f64) {
    a.invite(scene, at);
    b.invite(scene, at + 0.03);
    for (offset, status) in [(0.2, 180), (4.0, 200)] {
        b.respond(scene, at + offset, status);
        a.respond(scene, at + offset + 0.01, status);
    }
}

/// A proxy stands in front of the PBX, on another host. The caller hangs up, and the PBX keeps the other leg; in the call before both ended.
fn leg_left_up_behind_proxy(scene: &mut Scene) {
    let proxy = Agent::server("proxy", Brand::Kamailio, "203.0.113.5:5060");
    let [caller, callee, _] = behind(scene, &proxy, 400.0);
    let mut ordinary = both_behind(scene, &proxy, &caller, &callee);
    set_up(scene, &mut ordinary, 10.0);
    let [a, b] = &mut ordinary;
    b.bye(scene, 40.0, Side::Callee);
    a.bye(scene, 40.02, Side::Callee);
    let mut stuck = both_behind(scene, &proxy, &caller, &callee);
    set_up(scene, &mut stuck, 60.0);
    let [a, b] = &mut stuck;
    a.bye(scene, 100.0, Side::Caller);
    b.bye(scene, 340.0, Side::Callee);
}

/// The proxy sends the call of a phone to another one itself, and the PBX behind it calls that one at the same moment in the name of the first:
/// the two have all in common but that they are one call.
fn proxy_passes_on_beside_call(scene: &mut Scene) {
    let proxy = Agent::server("proxy", Brand::Kamailio, "203.0.113.5:5060");
    let [caller, callee, _] = behind(scene, &proxy, 300.0);
    let direct = Leg::new(scene, &caller, &callee, "1001", "2001");
    let mut direct = Proxied::new(scene, direct, &proxy);
    let pbx = scene.pbx.clone();
    let other = Leg::new(scene, &pbx, &callee, "1001", "2001");
    let mut other = Proxied::new(scene, other, &proxy);
    set_up_beside(scene, &mut direct, &mut other);
    direct.bye(scene, 40.0, Side::Caller);
    other.bye(scene, 200.0, Side::Callee);
}

fn set_up_beside(scene: &mut Scene, direct: &mut Proxied, other: &mut Proxied) {
    direct.invite(scene, 10.0);
    other.invite(scene, 10.03);
    for (offset, status) in [(0.2, 180), (4.0, 200)] {
        direct.respond(scene, 10.0 + offset, status);
        other.respond(scene, 10.01 + offset, status);
    }
}

/// The proxy in front of the PBX runs on its host. The PBX calls two phones for one number: they are legs of the caller's, not of each other's.
fn group_behind_proxy(scene: &mut Scene) {
    let proxy = Agent::server("proxy", Brand::Kamailio, "203.0.113.10:5060");
    scene.pbx = Agent::server("pbx", Brand::Asterisk, "203.0.113.10:5080");
    let [caller, first, second] = behind(scene, &proxy, 200.0);
    let pbx = scene.pbx.clone();
    let group = Leg::new(scene, &caller, &pbx, "1001", "600");
    let mut group = Proxied::new(scene, group, &proxy);
    let [mut answers, mut rings] = [first, second].map(|phone| {
        let leg = Leg::new(scene, &pbx, &phone, "1001", &phone.user);
        Proxied::new(scene, leg, &proxy)
    });
    group.invite(scene, 10.0);
    answers.invite(scene, 10.03);
    rings.invite(scene, 10.031);
    answers.respond(scene, 10.2, 180);
    rings.respond(scene, 10.21, 180);
    group.respond(scene, 10.215, 180);
    answers.respond(scene, 25.0, 200);
    group.respond(scene, 25.02, 200);
    rings.cancel(scene, 25.03);
    group.bye(scene, 60.0, Side::Caller);
    answers.bye(scene, 60.01, Side::Caller);
}

/// The callee transfers the caller with REFER, and the PBX calls the third phone in its name, which hangs up.
fn transfer_blind(scene: &mut Scene) {
    everybody(scene, 200.0);
    let mut bridge = Bridge::new(scene, &a1(), &b1());
    bridge.ring(scene, 10.0);
    bridge.answer(scene, 14.0);
    let refer = bridge.b.in_dialog(scene, Side::Callee, "REFER").with("Refer-To", "<sip:2101@pbx.example.com>");
    bridge.b.exchange_message(scene, 34.0, Side::Callee, &refer, 202);
    bridge.b.bye(scene, 34.2, Side::Callee);
    let pbx = scene.pbx.clone();
    let mut third = Leg::new(scene, &pbx, &c1(), "1001", "2101");
    third.ordinary(scene, Plan { invite: 34.3, ring: 34.6, answer: 40.0, bye: 114.0, bye_by: Side::Callee });
    bridge.a.bye(scene, 114.01, Side::Callee);
}

/// The callee is refused a transfer, and the third phone talks with somebody else when the PBX ends the call by itself: that somebody hangs up
/// there at the same moment has nothing to do with it.
fn transfer_refused(scene: &mut Scene) {
    everybody(scene, 200.0);
    let mut bridge = Bridge::new(scene, &a1(), &b1());
    let mut elsewhere = Bridge::new(scene, &a2(), &c1());
    bridge.ring(scene, 10.0);
    bridge.answer(scene, 14.0);
    let refer = bridge.b.in_dialog(scene, Side::Callee, "REFER").with("Refer-To", "<sip:2101@pbx.example.com>");
    bridge.b.exchange_message(scene, 34.0, Side::Callee, &refer, 403);
    elsewhere.ring(scene, 34.5);
    elsewhere.answer(scene, 38.0);
    elsewhere.bye(scene, 114.0, Side::Callee);
    bridge.b.bye(scene, 114.3, Side::Caller);
    bridge.a.bye(scene, 114.31, Side::Callee);
}

/// A third phone takes a call that rings elsewhere by an INVITE with Replaces, and hangs up.
fn pickup_replaces(scene: &mut Scene) {
    everybody(scene, 120.0);
    let mut bridge = Bridge::new(scene, &a1(), &b1());
    bridge.ring(scene, 10.0);
    let pbx = scene.pbx.clone();
    let mut taker = Leg::new(scene, &c1(), &pbx, "2101", "2001");
    let replaces = bridge.b.replaces();
    taker.invite(scene, 15.0, &[("Replaces", &replaces)]);
    taker.answer(scene, 15.01, &[]);
    bridge.a.answer(scene, 15.02, &[]);
    bridge.b.cancel(scene, 15.03, &[("Reason", "SIP;cause=200;text=\"Call completed elsewhere\"")]);
    taker.bye(scene, 60.0, Side::Caller);
    bridge.a.bye(scene, 60.01, Side::Callee);
}
