//! Established calls and their end.

use super::scenarios;
use crate::support::agent::cast::{a1, a2, b1, c1};
use crate::support::call::{Bridge, Plan};
use crate::support::upkeep::times;
use crate::support::{Agent, Brand, Leg, Scene, Side};

scenarios! {
    "timer-ok" => timer_ok,
    "timer-missed" => timer_missed,
    "timer-fail" => timer_fail,
    "restart" => restart,
    "bye-unanswered" => bye_unanswered,
    "leg-left-up" => leg_left_up,
    "transfer" => transfer,
    "transfer-to-busy" => transfer_to_busy,
    "transfer-rings-out" => transfer_rings_out,
    "transfer-fails" => transfer_fails,
    "caller-gone-in-call" => caller_gone_in_call,
    "bye-ignored-in-bridge" => bye_ignored_in_bridge,
    "ivr-continues" => ivr_continues,
    "mid-call" => mid_call,
    "eof-open" => eof_open,
    "call-open-at-end" => call_open_at_end,
    "bye-crossed" => bye_crossed,
    "bye-repeated" => bye_repeated,
}

/// A call of `caller` with the PBX that has a session timer of 1800 s, refreshed by the caller.
fn timed(scene: &mut Scene, caller: &Agent, at: f64) -> Leg {
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, caller, &pbx, &caller.user, "900");
    leg.invite(scene, at, &[("Session-Expires", "1800"), ("Min-SE", "90")]);
    leg.progress(scene, at + 0.005, 100);
    leg.progress(scene, at + 0.2, 180);
    leg.answer(scene, at + 2.0, &[("Session-Expires", "1800;refresher=uac"), ("Require", "timer")]);
    leg
}

fn timer_ok(scene: &mut Scene) {
    let mut caller = a1().expiring(900);
    scene.healthy(&mut caller, 0.0, 1600.0);
    let mut leg = timed(scene, &caller, 10.0);
    leg.exchange(scene, 912.0, Side::Caller, "UPDATE", 200);
    leg.bye(scene, 1512.0, Side::Caller);
}

fn timer_missed(scene: &mut Scene) {
    scene.healthy(&mut c1().expiring(900), 0.0, 1900.0);
    for (index, phone) in [a1(), a2(), b1()].into_iter().enumerate() {
        let at = 10.0 + index as f64 * 7.0;
        let mut caller = phone.expiring(900);
        scene.healthy(&mut caller, index as f64, 1900.0);
        let mut leg = timed(scene, &caller, at);
        leg.bye(scene, at + 2.0 + 1768.0, Side::Callee);
    }
}

fn timer_fail(scene: &mut Scene) {
    let mut caller = a1().expiring(900);
    scene.healthy(&mut caller, 0.0, 1000.0);
    scene.healthy(&mut c1().expiring(900), 1.0, 1000.0);
    let mut leg = timed(scene, &caller, 10.0);
    leg.unanswered(scene, 912.0, Side::Callee, "UPDATE");
    leg.bye(scene, 944.0, Side::Callee);
}

/// Forty calls are up when the PBX falls silent for 8 s and comes back without any memory.
fn restart(scene: &mut Scene) {
    let pbx = scene.pbx.clone();
    let mut legs = Vec::new();
    for index in 0..40 {
        let site = 1 + index % 8;
        let local = format!("192.168.{site}.{}:5060", 20 + index);
        let outer = format!("198.18.{site}.1:{}", 40_000 + index);
        let mut phone = Agent::phone(&(4000 + index).to_string(), Brand::Yealink, &local, &outer);
        scene.reg_ok(f64::from(index) * 0.2, &mut phone);
        let mut leg = Leg::new(scene, &phone, &pbx, &phone.user, "900");
        let at = 10.0 + f64::from(index) * 0.5;
        leg.invite(scene, at, &[]);
        leg.progress(scene, at + 0.1, 180);
        leg.answer(scene, at + 1.0, &[]);
        legs.push((leg, phone));
    }
    for (index, (leg, _)) in legs.iter_mut().enumerate() {
        if index < 12 {
            // Sent into the silence, sent again, and answered by a PBX that knows nothing of the call.
            let request = leg.reinvite_message(scene, Side::Caller, |sdp| sdp);
            let at = 61.0 + index as f64 * 0.15;
            scene.repeat(at, &[0.0, 0.5, 1.5, 3.5, 7.5], &leg.caller, &leg.callee, &request);
            leg.refuse(scene, at + 7.505, Side::Caller, &request, 481);
        }
    }
    for (index, (_, phone)) in legs.iter().enumerate() {
        scene.qualify(68.1 + index as f64 * 0.02, phone);
    }
    scene.healthy(&mut c1(), 70.0, 140.0);
}

fn bye_unanswered(scene: &mut Scene) {
    let mut caller = a1();
    scene.reg_ok(0.0, &mut caller);
    scene.keepalives(&caller, 20.0, 20.0, 40.0);
    scene.healthy(&mut c1(), 1.0, 150.0);
    scene.healthy(&mut b1(), 2.0, 150.0);
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, &caller, &pbx, "1001", "900");
    leg.invite(scene, 10.0, &[]);
    leg.progress(scene, 10.005, 100);
    leg.progress(scene, 10.2, 180);
    leg.answer(scene, 12.0, &[]);
    leg.unanswered(scene, 72.0, Side::Callee, "BYE");
}

/// Both phones of a bridged call, and the call.
fn bridged(scene: &mut Scene, until: f64) -> Bridge {
    let (mut caller, mut callee) = (a1(), b1());
    scene.healthy(&mut caller, 0.0, until);
    scene.healthy(&mut callee, 1.0, until);
    Bridge::new(scene, &caller, &callee)
}

fn leg_left_up(scene: &mut Scene) {
    let mut bridge = bridged(scene, 520.0);
    bridge.ring(scene, 10.0);
    bridge.answer(scene, 14.0);
    bridge.a.bye(scene, 100.0, Side::Caller);
    bridge.b.bye(scene, 460.0, Side::Caller);
}

fn transfer(scene: &mut Scene) {
    let mut bridge = bridged(scene, 300.0);
    let mut third = c1();
    scene.healthy(&mut third, 2.0, 300.0);
    bridge.ring(scene, 10.0);
    bridge.answer(scene, 14.0);
    let refer = bridge.a.in_dialog(scene, Side::Caller, "REFER").with("Refer-To", "<sip:2101@pbx.example.com>");
    let refer = refer.with("Referred-By", "<sip:1001@pbx.example.com>");
    bridge.a.exchange_message(scene, 40.0, Side::Caller, &refer, 202);
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, &pbx, &third, "2001", "2101");
    leg.ordinary(scene, Plan { invite: 40.05, ring: 40.3, answer: 43.0, bye: 160.0, bye_by: Side::Callee });
    for (at, progress) in [(40.06, "SIP/2.0 100 Trying\r\n"), (43.05, "SIP/2.0 200 OK\r\n")] {
        let state = if at < 43.0 { "active" } else { "terminated;reason=noresource" };
        let notify = bridge.a.in_dialog(scene, Side::Callee, "NOTIFY").with("Event", "refer").with("Subscription-State", state);
        let notify = notify.with_body("message/sipfrag;version=2.0", progress.to_owned());
        bridge.a.exchange_message(scene, at, Side::Callee, &notify, 200);
    }
    bridge.a.bye(scene, 43.2, Side::Caller);
    bridge.b.reinvite(scene, 43.1, Side::Caller, |sdp| sdp);
    bridge.b.bye(scene, 160.01, Side::Caller);
}

/// The callee transfers the caller to a phone that is busy, and is gone by then: the PBX ends the call of the caller.
fn transfer_to_busy(scene: &mut Scene) {
    let mut bridge = bridged(scene, 200.0);
    let mut third = c1();
    scene.healthy(&mut third, 2.0, 200.0);
    bridge.ring(scene, 10.0);
    bridge.answer(scene, 14.0);
    let refer = bridge.b.in_dialog(scene, Side::Callee, "REFER").with("Refer-To", "<sip:2101@pbx.example.com>");
    bridge.b.exchange_message(scene, 40.0, Side::Callee, &refer, 202);
    bridge.b.bye(scene, 40.2, Side::Callee);
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, &pbx, &third, "1001", "2101");
    leg.invite(scene, 40.3, &[]);
    leg.fail(scene, 40.4, 486, &[]);
    let bye = bridge.a.in_dialog(scene, Side::Callee, "BYE").with("Reason", "Q.850;cause=17");
    bridge.a.exchange_message(scene, 40.5, Side::Callee, &bye, 200);
}

/// The called phone transfers its caller and hangs up; the third one rings until the PBX gives up, and ends the call of the caller.
fn transfer_rings_out(scene: &mut Scene) {
    let mut bridge = bridged(scene, 200.0);
    scene.healthy(&mut c1(), 2.0, 200.0);
    bridge.ring(scene, 10.0);
    bridge.answer(scene, 14.0);
    let refer = bridge.b.in_dialog(scene, Side::Callee, "REFER").with("Refer-To", "<sip:2101@pbx.example.com>");
    bridge.b.exchange_message(scene, 40.0, Side::Callee, &refer, 202);
    let mut leg = third_leg(scene);
    leg.invite(scene, 40.1, &[]);
    bridge.b.bye(scene, 40.2, Side::Callee);
    leg.progress(scene, 40.4, 180);
    leg.cancel(scene, 70.1, &[]);
    bridge.a.bye(scene, 70.2, Side::Callee);
}

/// The called phone transfers its caller to one that is busy, hears of it, and talks on; in the end the PBX drops both legs.
fn transfer_fails(scene: &mut Scene) {
    let mut bridge = bridged(scene, 200.0);
    scene.healthy(&mut c1(), 2.0, 200.0);
    bridge.ring(scene, 10.0);
    bridge.answer(scene, 14.0);
    let refer = bridge.b.in_dialog(scene, Side::Callee, "REFER").with("Refer-To", "<sip:2101@pbx.example.com>");
    bridge.b.exchange_message(scene, 40.0, Side::Callee, &refer, 202);
    let mut leg = third_leg(scene);
    leg.invite(scene, 40.1, &[]);
    leg.fail(scene, 40.2, 486, &[]);
    let notify = bridge.b.in_dialog(scene, Side::Caller, "NOTIFY").with("Event", "refer").with("Subscription-State", "terminated");
    let notify = notify.with_body("message/sipfrag;version=2.0", "SIP/2.0 486 Busy Here\r\n".to_owned());
    bridge.b.exchange_message(scene, 40.3, Side::Caller, &notify, 200);
    bridge.b.bye(scene, 120.0, Side::Caller);
    bridge.a.bye(scene, 120.01, Side::Callee);
}

/// The leg from the PBX to the third phone, in the name of the caller.
fn third_leg(scene: &mut Scene) -> Leg {
    let pbx = scene.pbx.clone();
    Leg::new(scene, &pbx, &c1(), "1001", "2101")
}

/// The power of the caller's phone fails; the callee hangs up when it has heard nothing for a while.
fn caller_gone_in_call(scene: &mut Scene) {
    let mut caller = a1().expiring(900);
    scene.reg_ok(0.0, &mut caller);
    scene.keepalives(&caller, 20.0, 20.0, 50.0);
    let mut callee = b1();
    scene.healthy(&mut callee, 1.0, 250.0);
    scene.healthy(&mut c1(), 2.0, 250.0);
    let mut bridge = Bridge::new(scene, &caller, &callee);
    bridge.ring(scene, 10.0);
    bridge.answer(scene, 14.0);
    bridge.b.bye(scene, 90.0, Side::Callee);
    bridge.a.unanswered(scene, 90.01, Side::Callee, "BYE");
}

/// The caller hangs up, and a PBX that does not hear it keeps both legs until its session timer ends them.
fn bye_ignored_in_bridge(scene: &mut Scene) {
    let mut bridge = bridged(scene, 250.0);
    scene.healthy(&mut c1(), 2.0, 250.0);
    bridge.ring(scene, 10.0);
    bridge.answer(scene, 14.0);
    bridge.a.unanswered(scene, 60.0, Side::Caller, "BYE");
    bridge.b.bye(scene, 160.0, Side::Caller);
}

fn ivr_continues(scene: &mut Scene) {
    let mut bridge = bridged(scene, 200.0);
    let mut next = c1();
    scene.healthy(&mut next, 2.0, 200.0);
    bridge.ring(scene, 10.0);
    bridge.answer(scene, 14.0);
    bridge.b.bye(scene, 50.0, Side::Callee);
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, &pbx, &next, "1001", "2101");
    leg.ordinary(scene, Plan { invite: 50.4, ring: 50.7, answer: 53.0, bye: 120.01, bye_by: Side::Caller });
    bridge.a.bye(scene, 120.0, Side::Caller);
}

fn mid_call(scene: &mut Scene) {
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, &a1(), &pbx, "1001", "2001");
    leg.invite(scene, 0.0, &[]);
    leg.progress(scene, 0.2, 180);
    leg.answer(scene, 4.0, &[]);
    leg.reinvite(scene, 30.0, Side::Callee, |sdp| sdp);
    leg.bye(scene, 60.0, Side::Caller);
    scene.healthy(&mut c1(), 10.0, 120.0);
    scene.begin(5.0);
}

fn eof_open(scene: &mut Scene) {
    let mut caller = a1();
    scene.healthy(&mut caller, 0.0, 100.0);
    let mut bridge = Bridge::new(scene, &caller, &b1());
    bridge.invite(scene, 97.0);
    bridge.b.invite_repeated(scene, 97.05, &[0.0, 0.5, 1.5], &[]);
    scene.end(100.0);
}

fn call_open_at_end(scene: &mut Scene) {
    let mut bridge = bridged(scene, 100.0);
    bridge.ring(scene, 50.0);
    bridge.answer(scene, 54.0);
}

/// Both sides hang up at the same time.
fn bye_crossed(scene: &mut Scene) {
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, &a1(), &pbx, "1001", "2001");
    leg.invite(scene, 0.0, &[]);
    leg.progress(scene, 0.2, 180);
    leg.answer(scene, 4.0, &[]);
    leg.exchange(scene, 34.0, Side::Caller, "BYE", 200);
    leg.exchange(scene, 33.99, Side::Callee, "BYE", 481);
    for at in times(1.0, 30.0, 100.0) {
        scene.udp(at, leg.caller.outer, pbx.outer, b"\r\n\r\n");
    }
    scene.healthy(&mut c1(), 1.0, 100.0);
}

/// The BYE needs three transmissions.
fn bye_repeated(scene: &mut Scene) {
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, &a1(), &pbx, "1001", "2001");
    leg.invite(scene, 0.0, &[]);
    leg.progress(scene, 0.2, 180);
    leg.answer(scene, 4.0, &[]);
    let bye = leg.in_dialog(scene, Side::Caller, "BYE");
    scene.repeat(34.0, &[0.0, 0.5], &leg.caller, &leg.callee, &bye);
    leg.exchange_message(scene, 35.5, Side::Caller, &bye, 200);
    scene.healthy(&mut c1(), 1.0, 100.0);
}
