//! What is said to calls that come to nothing, and what came of those that only looked so.

use super::scenarios;
use crate::support::agent::cast::{a1, a2, b1, c1, trunk};
use crate::support::call::Bridge;
use crate::support::{Agent, Leg, Scene, Side};

scenarios! {
    "pbx-overloaded" => pbx_overloaded,
    "pbx-error-once" => pbx_error_once,
    "refused-in-words" => refused_in_words,
    "call-422-again" => call_422_again,
    "forwarded-in-circles" => forwarded_in_circles,
    "dialled-digit-by-digit" => dialled_digit_by_digit,
    "codec-agreed-later" => codec_agreed_later,
    "codec-of-another-caller" => codec_of_another_caller,
    "undelivered-burst-over" => undelivered_burst_over,
}

/// Four phones that nothing is wrong with.
fn phones(scene: &mut Scene, until: f64) -> [Agent; 4] {
    let mut phones = [a1(), a2(), b1(), c1()].map(|phone| phone.expiring(900));
    for (index, phone) in phones.iter_mut().enumerate() {
        scene.healthy(phone, index as f64, until);
    }
    phones
}

/// A call that the PBX refuses itself, in words of its own.
fn refused(scene: &mut Scene, caller: &Agent, number: &str, at: f64, line: &str, headers: &[(&str, &str)]) {
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, caller, &pbx, &caller.user, number);
    leg.invite(scene, at, &[]);
    let status = line.get(..3).and_then(|status| status.parse().ok()).expect("begins with a status");
    let response = leg.response(scene, status).saying(line).with_all(headers);
    scene.send(at + 0.02, &pbx, caller, &response);
    leg.ack_failure(scene, at + 0.03, &response);
}

/// The PBX takes as many calls as it is licensed for, and refuses every other one; the last call of each phone is answered.
fn pbx_overloaded(scene: &mut Scene) {
    let [first, second, third, fourth] = phones(scene, 700.0);
    for (round, at) in [20.7, 120.7, 220.7, 320.7, 420.7, 520.7].into_iter().enumerate() {
        Bridge::new(scene, &first, &third).ordinary(scene, at, 3.0, 30.0, Side::Caller);
        for (caller, callee, pause) in [(&second, &third, 40.0), (&first, &fourth, 50.0)] {
            if (round + usize::from(pause > 45.0)) % 2 == 0 {
                refused(scene, caller, &callee.user, at + pause, "503 Maximum Calls In Progress", &[("Retry-After", "10")]);
            } else {
                Bridge::new(scene, caller, callee).ordinary(scene, at + pause, 2.0, 5.0, Side::Caller);
            }
        }
    }
    Bridge::new(scene, &first, &third).ordinary(scene, 620.7, 3.0, 30.0, Side::Caller);
}

/// The PBX refuses one call, and takes the others.
fn pbx_error_once(scene: &mut Scene) {
    let [first, _, third, fourth] = phones(scene, 400.0);
    refused(scene, &first, &third.user, 20.0, "503 Maximum Calls In Progress", &[("Retry-After", "10")]);
    for (at, callee) in [(80.0, &fourth), (160.0, &third), (240.0, &fourth)] {
        Bridge::new(scene, &first, callee).ordinary(scene, at, 3.0, 30.0, Side::Caller);
    }
}

/// A carrier that says in its own words why it refuses a call, which the PBX does not pass on.
fn refused_in_words(scene: &mut Scene) {
    let [caller, ..] = phones(scene, 120.0);
    let (pbx, trunk) = (scene.pbx.clone(), trunk());
    let mut a = Leg::new(scene, &caller, &pbx, "1001", "0301234567");
    let mut b = Leg::new(scene, &pbx, &trunk, "1001", "0301234567");
    a.invite(scene, 40.0, &[]);
    a.progress(scene, 40.005, 100);
    b.invite(scene, 40.05, &[]);
    let words = [("Warning", "399 sbc.carrier \"CLI not provisioned\""), ("Reason", "Q.850;cause=21")];
    let response = b.response(scene, 403).saying("403 Calling number not allowed").with_all(&words);
    scene.send(40.3, &trunk, &pbx, &response);
    b.ack_failure(scene, 40.31, &response);
    a.fail(scene, 40.32, 403, &[("Reason", "Q.850;cause=21")]);
}

/// A phone asks for a session of 90 s each time it calls, and the PBX takes none below 1800 s.
fn call_422_again(scene: &mut Scene) {
    let [caller, _, callee, _] = phones(scene, 300.0);
    let pbx = scene.pbx.clone();
    for at in [30.0, 100.0, 170.0] {
        let mut leg = Leg::new(scene, &caller, &pbx, "1001", &callee.user);
        leg.invite(scene, at, &[("Session-Expires", "90"), ("Min-SE", "90")]);
        leg.fail(scene, at + 0.02, 422, &[("Min-SE", "1800")]);
    }
}

/// Two phones forward to each other. The PBX goes round until it has had enough, and its legs cannot be told by the numbers.
fn forwarded_in_circles(scene: &mut Scene) {
    let [first, second, caller, _] = phones(scene, 200.0);
    let pbx = scene.pbx.clone();
    let mut a = Leg::new(scene, &caller, &pbx, "2001", "1001");
    a.invite(scene, 40.0, &[]);
    a.progress(scene, 40.005, 100);
    for (round, callee) in [&first, &second, &first, &second, &first, &second].into_iter().enumerate() {
        let other = if callee.user == first.user { &second } else { &first };
        let at = 40.05 + round as f64 * 0.1;
        let mut leg = Leg::new(scene, &pbx, callee, "2001", &callee.user);
        leg.invite(scene, at, &[]);
        leg.fail(scene, at + 0.03, 302, &[("Contact", &format!("<sip:{}@pbx.example.com>", other.user))]);
    }
    a.fail(scene, 40.8, 480, &[("Reason", "Q.850;cause=25;text=\"Exchange routing error\"")]);
}

/// A phone that tries each digit: the PBX answers 484 until the number is complete.
fn dialled_digit_by_digit(scene: &mut Scene) {
    let [caller, _, callee, _] = phones(scene, 120.0);
    let pbx = scene.pbx.clone();
    let mut a = Leg::new(scene, &caller, &pbx, "1001", "2001");
    for (index, digits) in ["2", "20", "200"].into_iter().enumerate() {
        let at = 30.0 + index as f64 * 0.6;
        a.retarget(&format!("sip:{digits}@pbx.example.com"));
        a.invite(scene, at, &[]);
        a.fail(scene, at + 0.02, 484, &[]);
    }
    a.retarget("sip:2001@pbx.example.com");
    let b = Leg::new(scene, &pbx, &callee, "1001", "2001");
    let mut bridge = Bridge { a, b };
    bridge.a.invite(scene, 31.8, &[]);
    bridge.a.progress(scene, 31.805, 100);
    bridge.b.invite(scene, 31.85, &[]);
    bridge.b.progress(scene, 32.2, 180);
    bridge.a.progress(scene, 32.21, 180);
    bridge.answer(scene, 35.0);
    bridge.bye(scene, 65.0, Side::Caller);
}

/// A call without a common codec.
fn without_codec(scene: &mut Scene, caller: &Agent, callee: &Agent, at: f64) {
    let mut bridge = Bridge::new(scene, caller, callee);
    bridge.invite(scene, at);
    bridge.b.invite(scene, at + 0.05, &[]);
    let response = bridge.b.response(scene, 488).with("Warning", "304 phone \"SRTP required\"");
    scene.send(at + 0.2, callee, &bridge.b.caller, &response);
    bridge.b.ack_failure(scene, at + 0.21, &response);
    bridge.a.fail(scene, at + 0.22, 488, &[]);
}

/// Two phones have no codec in common until one of them is set right.
fn codec_agreed_later(scene: &mut Scene) {
    let [caller, _, callee, _] = phones(scene, 400.0);
    without_codec(scene, &caller, &callee, 30.0);
    for at in [120.0, 220.0] {
        Bridge::new(scene, &caller, &callee).ordinary(scene, at, 3.0, 40.0, Side::Caller);
    }
}

/// Two phones have no codec in common, and other calls of both are answered.
fn codec_of_another_caller(scene: &mut Scene) {
    let [caller, other, callee, third] = phones(scene, 400.0);
    without_codec(scene, &caller, &callee, 30.0);
    Bridge::new(scene, &other, &callee).ordinary(scene, 120.0, 3.0, 40.0, Side::Caller);
    Bridge::new(scene, &caller, &third).ordinary(scene, 220.0, 3.0, 40.0, Side::Caller);
}

/// A phone is off for three calls, and then there again.
fn undelivered_burst_over(scene: &mut Scene) {
    let mut phone = a1();
    scene.reg_ok(0.0, &mut phone);
    scene.healthy(&mut c1(), 1.0, 500.0);
    scene.healthy(&mut b1(), 2.0, 500.0);
    for at in [40.0, 100.0, 160.0] {
        let mut bridge = Bridge::new(scene, &b1(), &phone);
        bridge.invite(scene, at);
        bridge.b.invite_repeated(scene, at + 0.05, &crate::support::scene::schedule::INVITE, &[]);
        bridge.a.fail(scene, at + 32.1, 480, &[("X-Asterisk-HangupCauseCode", "18")]);
    }
    phone.reboot();
    scene.healthy(&mut phone, 230.0, 500.0);
    Bridge::new(scene, &b1(), &phone).ordinary(scene, 300.0, 3.0, 40.0, Side::Caller);
}
