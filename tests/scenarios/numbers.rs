//! Calls to numbers that are refused, short numbers outside the house, and calls whose beginning was not captured.

use super::scenarios;
use crate::support::agent::cast::{a1, a2, b1, c1, trunk};
use crate::support::call::Bridge;
use crate::support::scene::schedule;
use crate::support::upkeep::times;
use crate::support::{Agent, Brand, Leg, Scene, Side};

scenarios! {
    "number-refused-once" => number_refused_once,
    "numbers-refused-again" => numbers_refused_again,
    "extension-refused" => extension_refused,
    "short-number-outside" => short_number_outside,
    "short-number-twice-at-once" => short_number_twice_at_once,
    "begins-while-ringing" => begins_while_ringing,
    "begins-in-a-call" => begins_in_a_call,
    "gateway-ignored" => gateway_ignored,
    "challenges-to-calls-lost" => challenges_to_calls_lost,
    "challenges-to-calls-lost-once" => challenges_to_calls_lost_once,
}

/// Four phones that nothing is wrong with.
fn phones(scene: &mut Scene, until: f64) -> [Agent; 4] {
    let mut phones = [a1(), a2(), b1(), c1()].map(|phone| phone.expiring(900));
    for (index, phone) in phones.iter_mut().enumerate() {
        scene.healthy(phone, index as f64, until);
    }
    phones
}

/// The PBX does not know a number.
fn unknown(scene: &mut Scene, caller: &Agent, number: &str, at: f64) {
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, caller, &pbx, &caller.user, number);
    leg.invite(scene, at, &[]);
    leg.fail(scene, at + 0.02, 404, &[]);
}

/// One number that the PBX does not know, between others.
fn number_refused_once(scene: &mut Scene) {
    let [caller, _, callee, _] = phones(scene, 300.0);
    unknown(scene, &caller, "0301234567", 30.0);
    Bridge::new(scene, &caller, &callee).ordinary(scene, 120.0, 3.0, 30.0, Side::Caller);
}

/// Three numbers outside the house that the PBX does not know, and one within that is answered.
fn numbers_refused_again(scene: &mut Scene) {
    let [caller, _, callee, _] = phones(scene, 300.0);
    for (at, number) in [(30.0, "0301234567"), (50.0, "0407654321"), (70.0, "08955566")] {
        unknown(scene, &caller, number, at);
    }
    Bridge::new(scene, &caller, &callee).ordinary(scene, 120.0, 3.0, 30.0, Side::Caller);
}

/// A phone that does not know 100rel, which the PBX requires.
fn extension_refused(scene: &mut Scene) {
    let [caller, _, callee, _] = phones(scene, 200.0);
    let mut bridge = Bridge::new(scene, &caller, &callee);
    bridge.invite(scene, 40.0);
    bridge.b.invite(scene, 40.05, &[("Require", "100rel")]);
    let response = bridge.b.response(scene, 420).saying("420 Bad Extension").with("Unsupported", "100rel");
    scene.send(40.2, &callee, &bridge.b.caller, &response);
    bridge.b.ack_failure(scene, 40.21, &response);
    bridge.a.fail(scene, 40.22, 500, &[]);
}

/// A call to a number behind the carrier, which is shown the number of the house; nothing is sent yet.
fn outside(scene: &mut Scene, caller: &Agent, number: &str) -> Bridge {
    let (pbx, trunk) = (scene.pbx.clone(), trunk());
    let a = Leg::new(scene, caller, &pbx, &caller.user, number);
    let b = Leg::new(scene, &pbx, &trunk, "4930100", number);
    Bridge { a, b }
}

/// The carrier does not put a call to a short number through.
fn short_number_outside(scene: &mut Scene) {
    let [caller, ..] = phones(scene, 200.0);
    let mut well = outside(scene, &caller, "0301234567");
    well.ordinary(scene, 30.0, 3.0, 20.0, Side::Caller);
    let mut call = outside(scene, &caller, "116117");
    call.invite(scene, 100.0);
    call.b.invite(scene, 100.05, &[]);
    call.b.progress(scene, 100.1, 100);
    call.b.fail(scene, 100.6, 503, &[]);
    call.a.fail(scene, 100.7, 480, &[]);
}

/// Two users call one short number in the same moment: whose call the carrier refuses no packet tells.
fn short_number_twice_at_once(scene: &mut Scene) {
    let [caller, other, ..] = phones(scene, 200.0);
    let mut well = outside(scene, &caller, "0301234567");
    well.ordinary(scene, 30.0, 3.0, 20.0, Side::Caller);
    let mut calls = [outside(scene, &caller, "116117"), outside(scene, &other, "116117")];
    for (index, call) in calls.iter_mut().enumerate() {
        call.invite(scene, 100.0 + index as f64 * 0.02);
        call.b.invite(scene, 100.1 + index as f64 * 0.02, &[]);
        call.b.progress(scene, 100.15 + index as f64 * 0.02, 100);
        call.b.fail(scene, 100.6, 503, &[]);
        call.a.fail(scene, 100.7, 480, &[]);
    }
}

/// The capture begins while a phone rings, and the line is found busy; then the caller gives another call up.
fn begins_while_ringing(scene: &mut Scene) {
    let [caller, _, callee, _] = phones(scene, 200.0);
    let pbx = scene.pbx.clone();
    let mut busy = Leg::new(scene, &caller, &pbx, "1001", "0301234567");
    busy.invite(scene, 20.0, &[]);
    busy.progress(scene, 24.0, 180);
    busy.fail(scene, 26.0, 486, &[]);
    let mut given_up = Bridge::new(scene, &b1(), &a2());
    given_up.ring(scene, 15.0);
    given_up.a.cancel(scene, 30.0, &[]);
    given_up.b.cancel(scene, 30.01, &[]);
    Bridge::new(scene, &callee, &caller).ordinary(scene, 60.0, 3.0, 30.0, Side::Caller);
    scene.begin(22.0);
}

/// The capture begins in a call. It shows how the caller wants to change it and is refused, and a minute later that the callee hangs up.
fn begins_in_a_call(scene: &mut Scene) {
    let [caller, ..] = phones(scene, 200.0);
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, &caller, &pbx, "1001", "900");
    leg.invite(scene, 5.0, &[]);
    leg.answer(scene, 7.0, &[]);
    let change = leg.reinvite_message(scene, Side::Caller, |sdp| sdp);
    leg.refuse(scene, 40.0, Side::Caller, &change, 488);
    leg.bye(scene, 100.0, Side::Caller);
    scene.begin(20.0);
}

/// A gateway that never registers calls, and the PBX answers others alone.
fn gateway_ignored(scene: &mut Scene) {
    for (phone, from) in [(&mut a1(), 0.0), (&mut b1(), 0.5), (&mut c1(), 1.0)] {
        phone.expires = 60;
        scene.healthy(phone, from, 300.0);
    }
    let pbx = scene.pbx.clone();
    let gateway = Agent::phone("500", Brand::Grandstream, "198.51.100.60:5060", "198.51.100.60:5060");
    for at in times(62.0, 60.0, 200.0) {
        Leg::new(scene, &gateway, &pbx, "500", "1001").invite_repeated(scene, at, &schedule::INVITE, &[]);
    }
}

/// A call whose challenge never arrives.
fn unchallenged(scene: &mut Scene, caller: &Agent, at: f64) {
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, caller, &pbx, &caller.user, "2001");
    leg.invite_repeated(scene, at, &schedule::INVITE, &[]);
    let response = leg.response(scene, 407).with("Proxy-Authenticate", crate::support::register::challenge("5f3a9c01"));
    scene.repeat(at + 0.005, &schedule::INVITE, &pbx, caller, &response);
}

/// What the PBX answers to a call never arrives, and nothing is tried for a quarter of an hour.
fn challenges_to_calls_lost(scene: &mut Scene) {
    let mut caller = a1().expiring(3600);
    scene.healthy(&mut caller, 0.0, 1100.0);
    scene.healthy(&mut b1(), 1.0, 1100.0);
    scene.healthy(&mut c1(), 2.0, 1100.0);
    unchallenged(scene, &caller, 100.0);
}

/// The same, and then a call goes through.
fn challenges_to_calls_lost_once(scene: &mut Scene) {
    challenges_to_calls_lost(scene);
    Bridge::new(scene, &a1(), &b1()).ordinary(scene, 1000.0, 3.0, 30.0, Side::Caller);
}
