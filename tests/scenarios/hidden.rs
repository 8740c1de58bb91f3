//! Troubles that something ordinary hides: a later call that proves nothing, a leg that is not the user's own, a trunk that few calls go to.

use super::scenarios;
use crate::support::agent::cast::{a1, a2, b1, c1, trunk};
use crate::support::call::{Bridge, Plan};
use crate::support::scene::schedule;
use crate::support::upkeep::times;
use crate::support::{Agent, Leg, Scene, Side};

scenarios! {
    "carrier-fails-before-busy" => carrier_fails_before_busy,
    "carrier-mended-before-busy" => carrier_mended_before_busy,
    "number-barred-before-others" => number_barred_before_others,
    "network-cause-at-carrier" => network_cause_at_carrier,
    "callee-vanishes-in-call" => callee_vanishes_in_call,
    "dropped-before-others" => dropped_before_others,
    "transfer-left-up" => transfer_left_up,
    "rings-on-uncancelled" => rings_on_uncancelled,
    "address-changes-in-call" => address_changes_in_call,
    "change-refused-then-over" => change_refused_then_over,
    "transfer-by-keys-ends" => transfer_by_keys_ends,
    "carrier-silent-for-few" => carrier_silent_for_few,
    "phone-off-for-few" => phone_off_for_few,
    "carrier-slow" => carrier_slow,
    "registrar-lists-one" => registrar_lists_one,
    "pickup-of-a-user" => pickup_of_a_user,
}

/// Four phones that nothing is wrong with.
fn phones(scene: &mut Scene, until: f64) -> [Agent; 4] {
    let mut phones = [a1(), a2(), b1(), c1()].map(|phone| phone.expiring(900));
    for (index, phone) in phones.iter_mut().enumerate() {
        scene.healthy(phone, index as f64, until);
    }
    phones
}

/// A call of `caller` to a number behind the carrier; nothing is sent yet.
fn outside(scene: &mut Scene, caller: &Agent, number: &str) -> Bridge {
    let (pbx, trunk) = (scene.pbx.clone(), trunk());
    let a = Leg::new(scene, caller, &pbx, &caller.user, number);
    let b = Leg::new(scene, &pbx, &trunk, &caller.user, number);
    Bridge { a, b }
}

/// The carrier refuses three calls to numbers that begin differently.
fn carrier_fails(scene: &mut Scene, caller: &Agent) {
    for (at, number) in [(30.0, "03012345"), (50.0, "04076543"), (70.0, "08955566")] {
        let mut call = outside(scene, caller, number);
        call.invite(scene, at);
        call.b.invite(scene, at + 0.05, &[]);
        call.b.fail(scene, at + 0.1, 503, &[]);
        call.a.fail(scene, at + 0.11, 503, &[]);
    }
}

/// A line that is busy.
fn busy(scene: &mut Scene, mut call: Bridge, at: f64) {
    call.invite(scene, at);
    call.b.invite(scene, at + 0.05, &[]);
    call.b.fail(scene, at + 0.1, 486, &[]);
    call.a.fail(scene, at + 0.11, 486, &[]);
}

/// The carrier refuses all calls, and the last call, within the house, finds the line busy.
fn carrier_fails_before_busy(scene: &mut Scene) {
    let [caller, _, callee, _] = phones(scene, 200.0);
    carrier_fails(scene, &caller);
    let call = Bridge::new(scene, &caller, &callee);
    busy(scene, call, 120.0);
}

/// The carrier refuses calls, and the last one finds the line of somebody outside busy.
fn carrier_mended_before_busy(scene: &mut Scene) {
    let [caller, ..] = phones(scene, 200.0);
    carrier_fails(scene, &caller);
    let call = outside(scene, &caller, "0221998877");
    busy(scene, call, 120.0);
}

/// The PBX takes the credentials of a phone and does not let it call one number, again and again; others it may call.
fn number_barred_before_others(scene: &mut Scene) {
    let [caller, ..] = phones(scene, 300.0);
    let pbx = scene.pbx.clone();
    for at in [30.0, 60.0, 90.0] {
        let mut leg = Leg::new(scene, &caller, &pbx, "1001", "0900123456");
        leg.invite(scene, at, &[]);
        leg.challenge(scene, at + 0.005);
        leg.invite(scene, at + 0.04, &[]);
        leg.fail(scene, at + 0.06, 403, &[]);
    }
    let mut well = outside(scene, &caller, "0301234567");
    well.ordinary(scene, 150.0, 3.0, 20.0, Side::Caller);
}

/// The carrier ends a call with a cause of its network, which the PBX does not pass on.
fn network_cause_at_carrier(scene: &mut Scene) {
    let [caller, ..] = phones(scene, 200.0);
    let mut call = outside(scene, &caller, "0301234567");
    call.ring(scene, 30.0);
    call.answer(scene, 34.0);
    let bye = call.b.in_dialog(scene, Side::Callee, "BYE").with("Reason", "Q.850;cause=38;text=\"Network out of order\"");
    call.b.exchange_message(scene, 90.0, Side::Callee, &bye, 200);
    call.a.bye(scene, 90.01, Side::Callee);
}

/// The called phone vanishes in a call that nobody ends.
fn callee_vanishes_in_call(scene: &mut Scene) {
    for (index, phone) in [a1(), c1()].iter_mut().enumerate() {
        scene.healthy(phone, index as f64, 900.0);
    }
    let mut callee = b1();
    scene.healthy(&mut callee, 2.0, 100.0);
    let mut call = Bridge::new(scene, &a1(), &callee);
    call.ring(scene, 60.0);
    call.answer(scene, 64.0);
    for at in times(122.0, 60.0, 320.0) {
        scene.qualify_lost(at, &schedule::QUALIFY, &callee);
    }
}

/// The PBX ends a call by itself; the next one somebody hangs up.
fn dropped_before_others(scene: &mut Scene) {
    let [caller, _, callee, other] = phones(scene, 300.0);
    let mut dropped = Bridge::new(scene, &caller, &callee);
    dropped.ring(scene, 30.0);
    dropped.answer(scene, 34.0);
    dropped.a.bye(scene, 90.0, Side::Callee);
    dropped.b.bye(scene, 90.01, Side::Caller);
    Bridge::new(scene, &caller, &other).ordinary(scene, 150.0, 3.0, 40.0, Side::Caller);
}

/// A caller is transferred; who took the call hangs up, and the PBX keeps the caller.
fn transfer_left_up(scene: &mut Scene) {
    let [caller, _, callee, third] = phones(scene, 400.0);
    let mut bridge = Bridge::new(scene, &caller, &callee);
    bridge.ring(scene, 10.0);
    bridge.answer(scene, 14.0);
    let refer = bridge.b.in_dialog(scene, Side::Callee, "REFER").with("Refer-To", "<sip:2101@pbx.example.com>");
    bridge.b.exchange_message(scene, 34.0, Side::Callee, &refer, 202);
    bridge.b.bye(scene, 34.2, Side::Callee);
    let pbx = scene.pbx.clone();
    let mut last = Leg::new(scene, &pbx, &third, "1001", "2101");
    last.ordinary(scene, Plan { invite: 34.3, ring: 34.6, answer: 40.0, bye: 114.0, bye_by: Side::Callee });
    bridge.a.bye(scene, 340.0, Side::Caller);
}

/// A caller gives up, and the PBX does not tell the phone that rings; it is picked up a minute later.
fn rings_on_uncancelled(scene: &mut Scene) {
    let [caller, _, callee, _] = phones(scene, 200.0);
    let mut call = Bridge::new(scene, &caller, &callee);
    call.ring(scene, 30.0);
    call.a.cancel(scene, 38.0, &[]);
    call.b.answer(scene, 98.0, &[]);
    call.b.bye(scene, 102.0, Side::Callee);
}

/// A phone takes another address in a call, as its line was dialled anew. The other side hears nothing more and hangs up.
fn address_changes_in_call(scene: &mut Scene) {
    scene.healthy(&mut b1(), 1.0, 400.0);
    scene.healthy(&mut c1(), 2.0, 400.0);
    let mut caller = a1();
    scene.reg_ok(0.0, &mut caller);
    scene.keepalives(&caller, 20.0, 20.0, 65.0);
    let mut call = Bridge::new(scene, &caller, &b1());
    call.ring(scene, 30.0);
    call.answer(scene, 34.0);
    caller.outer = "198.51.100.99:42000".parse().expect("an address");
    scene.healthy(&mut caller, 80.0, 400.0);
    call.b.bye(scene, 120.0, Side::Callee);
    call.a.unanswered(scene, 120.01, Side::Callee, "BYE");
}

/// The carrier refuses that a call is put on hold, and the PBX ends the call with that.
fn change_refused_then_over(scene: &mut Scene) {
    let [caller, ..] = phones(scene, 200.0);
    let mut call = outside(scene, &caller, "0301234567");
    call.ring(scene, 30.0);
    call.answer(scene, 34.0);
    let hold = call.b.reinvite_message(scene, Side::Caller, |sdp| sdp.replace("sendrecv", "sendonly"));
    scene.send(80.0, &call.b.caller.clone(), &call.b.callee.clone(), &hold);
    call.b.refuse(scene, 80.03, Side::Caller, &hold, 488);
    call.b.bye(scene, 80.1, Side::Caller);
    call.a.bye(scene, 80.11, Side::Callee);
}

/// A phone transfers its call by keys, of which no packet tells: the PBX ends its leg and calls a third phone for the caller.
fn transfer_by_keys_ends(scene: &mut Scene) {
    let [caller, _, callee, third] = phones(scene, 300.0);
    let mut bridge = Bridge::new(scene, &caller, &callee);
    bridge.ring(scene, 10.0);
    bridge.answer(scene, 14.0);
    bridge.b.bye(scene, 50.0, Side::Caller);
    let pbx = scene.pbx.clone();
    let mut last = Leg::new(scene, &pbx, &third, "1001", "2101");
    last.ordinary(scene, Plan { invite: 50.3, ring: 50.6, answer: 56.0, bye: 130.0, bye_by: Side::Callee });
    bridge.a.bye(scene, 130.01, Side::Callee);
}

/// A carrier answers no more, and a call goes there every five minutes.
fn carrier_silent_for_few(scene: &mut Scene) {
    let [caller, other, ..] = phones(scene, 1500.0);
    outside(scene, &caller, "0301234567").ordinary(scene, 30.0, 3.0, 20.0, Side::Caller);
    for (index, at) in times(200.0, 300.0, 1300.0).enumerate() {
        let caller = if index % 2 == 0 { &caller } else { &other };
        let mut call = outside(scene, caller, &format!("030765432{index}"));
        call.invite(scene, at);
        call.b.invite_repeated(scene, at + 0.05, &schedule::INVITE, &[]);
        call.a.fail(scene, at + 32.1, 503, &[]);
    }
}

/// The PBX calls a phone every five minutes that registered before the capture and is off.
fn phone_off_for_few(scene: &mut Scene) {
    let mut phones = [a1(), a2(), c1()].map(|phone| phone.expiring(900));
    for (index, phone) in phones.iter_mut().enumerate() {
        scene.healthy(phone, index as f64, 1500.0);
    }
    for at in times(200.0, 300.0, 1300.0) {
        let mut call = Bridge::new(scene, &a1(), &b1());
        call.invite(scene, at);
        call.b.invite_repeated(scene, at + 0.05, &schedule::INVITE, &[]);
        call.a.fail(scene, at + 32.1, 480, &[]);
    }
}

/// A carrier takes 13 s until it rings; the PBX passes calls on at once.
fn carrier_slow(scene: &mut Scene) {
    let [caller, ..] = phones(scene, 300.0);
    for (at, number) in [(30.0, "0301234567"), (150.0, "0407654321")] {
        let mut call = outside(scene, &caller, number);
        call.invite(scene, at);
        call.b.invite(scene, at + 0.05, &[]);
        call.b.progress(scene, at + 0.1, 100);
        call.b.progress(scene, at + 13.3, 180);
        call.a.progress(scene, at + 13.31, 180);
        call.answer(scene, at + 18.0);
        call.bye(scene, at + 60.0 + at / 10.0, Side::Caller);
    }
}

/// Two devices of a user at a registrar that keeps both and lists only the one that registers: each call rings at both.
fn registrar_lists_one(scene: &mut Scene) {
    let caller = b1();
    scene.healthy(&mut caller.clone(), 0.5, 500.0);
    let mut first = a1();
    let mut second = Agent { outer: "198.51.100.90:52000".parse().expect("an address"), ..c1() };
    second.user = "1001".to_owned();
    for at in [0.0, 150.0, 300.0] {
        scene.reg_ok(at, &mut first);
    }
    for at in [60.0, 210.0, 360.0] {
        scene.reg_ok(at, &mut second);
    }
    let pbx = scene.pbx.clone();
    for at in [80.0, 180.0, 240.0, 330.0] {
        let mut call = Bridge::new(scene, &caller, &first);
        let mut other = Leg::new(scene, &pbx, &second, &caller.user, "1001");
        call.ring(scene, at);
        other.invite(scene, at + 0.06, &[]);
        other.progress(scene, at + 0.4, 180);
        other.answer(scene, at + 4.0, &[]);
        call.a.answer(scene, at + 4.01, &[]);
        call.b.cancel(scene, at + 4.02, &[("Reason", "SIP;cause=200;text=\"Call completed elsewhere\"")]);
        call.a.bye(scene, at + 20.0 + at / 20.0, Side::Caller);
        other.bye(scene, at + 20.01 + at / 20.0, Side::Caller);
    }
}

/// A call that rings at one phone is picked up at another one, which says so by Replaces.
fn pickup_of_a_user(scene: &mut Scene) {
    let [caller, _, callee, other] = phones(scene, 200.0);
    let pbx = scene.pbx.clone();
    let mut call = Bridge::new(scene, &caller, &callee);
    call.ring(scene, 30.0);
    let mut pickup = Leg::new(scene, &other, &pbx, "2101", "2001");
    let replaces = format!("{};early-only", call.a.replaces());
    pickup.invite(scene, 36.0, &[("Replaces", &replaces)]);
    pickup.answer(scene, 36.05, &[]);
    call.a.answer(scene, 36.06, &[]);
    call.b.cancel(scene, 36.07, &[("Reason", "SIP;cause=200;text=\"Call completed elsewhere\"")]);
    pickup.bye(scene, 90.0, Side::Caller);
    call.a.bye(scene, 90.01, Side::Callee);
}
