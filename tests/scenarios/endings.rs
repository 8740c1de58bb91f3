//! Calls that vanish, hang, go round in circles, or wait for a PRACK; each with one that only looks like it.

use super::scenarios;
use crate::support::agent::cast::{a1, b1, c1, pbx, trunk};
use crate::support::call::Bridge;
use crate::support::message::Message;
use crate::support::scene::schedule;
use crate::support::{Agent, Brand, Leg, Scene, Side};

scenarios! {
    "phone-restarts-in-call" => phone_restarts_in_call,
    "phone-restarts-call-lives" => phone_restarts_call_lives,
    "dialog-lost-no-bye" => dialog_lost_no_bye,
    "hung-call-other-leg" => hung_call_other_leg,
    "other-leg-ends-too" => other_leg_ends_too,
    "hung-call-busy-elsewhere" => hung_call_busy_elsewhere,
    "long-call-on-hold" => long_call_on_hold,
    "prack-missing" => prack_missing,
    "prack-late" => prack_late,
    "loop-by-hops" => loop_by_hops,
    "spiral-twice" => spiral_twice,
    "spiral-answered" => spiral_answered,
    "loop-between-two" => loop_between_two,
    "rings-on-after-cancel" => rings_on_after_cancel,
    "cancel-answer-lost" => cancel_answer_lost,
}

/// A call of `caller` with the PBX, up from `at` + 2 s.
fn up(scene: &mut Scene, caller: &Agent, at: f64) -> Leg {
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, caller, &pbx, &caller.user, "900");
    leg.invite(scene, at, &[]);
    leg.progress(scene, at + 0.005, 100);
    leg.progress(scene, at + 0.2, 180);
    leg.answer(scene, at + 2.0, &[]);
    leg
}

/// Two phones that nothing is wrong with, and a third one.
fn phones(scene: &mut Scene, until: f64) -> Agent {
    for (index, phone) in [b1(), c1()].into_iter().enumerate() {
        scene.healthy(&mut phone.expiring(900), 1.0 + index as f64, until);
    }
    a1().expiring(900)
}

/// The power of a phone fails in the middle of its call; a minute later it registers anew. Nobody hangs up.
fn phone_restarts_in_call(scene: &mut Scene) {
    let mut phone = phones(scene, 300.0);
    scene.reg_ok(0.0, &mut phone);
    up(scene, &phone, 10.0);
    scene.keepalives(&phone, 20.0, 20.0, 70.0);
    phone.reboot();
    scene.healthy(&mut phone, 130.0, 300.0);
}

/// The registration of a softphone begins anew, its call goes on and is hung up.
fn phone_restarts_call_lives(scene: &mut Scene) {
    let mut phone = phones(scene, 300.0);
    scene.reg_ok(0.0, &mut phone);
    let mut leg = up(scene, &phone, 10.0);
    scene.keepalives(&phone, 20.0, 20.0, 130.0);
    phone.reboot();
    scene.healthy(&mut phone, 130.0, 300.0);
    leg.exchange(scene, 150.0, Side::Caller, "INFO", 200);
    let mut second = up(scene, &phone, 40.0);
    second.bye(scene, 140.0, Side::Caller);
    leg.bye(scene, 240.0, Side::Callee);
}

/// The phone has forgotten the call when the PBX asks after it; nobody says BYE.
fn dialog_lost_no_bye(scene: &mut Scene) {
    let mut phone = phones(scene, 300.0);
    scene.healthy(&mut phone, 0.0, 300.0);
    let mut leg = up(scene, &phone, 10.0);
    leg.exchange(scene, 70.0, Side::Callee, "OPTIONS", 481);
}

/// A bridged call of which the caller's phone forgets its leg at 70 s.
fn forgotten_leg(scene: &mut Scene) -> Bridge {
    let mut phone = phones(scene, 400.0);
    scene.healthy(&mut phone, 0.0, 400.0);
    let mut bridge = Bridge::new(scene, &phone, &b1());
    bridge.ring(scene, 10.0);
    bridge.answer(scene, 14.0);
    bridge.a.exchange(scene, 70.0, Side::Callee, "OPTIONS", 481);
    bridge
}

fn hung_call_other_leg(scene: &mut Scene) {
    forgotten_leg(scene);
}

/// The PBX hangs up on the callee when the caller's phone has forgotten the call.
fn other_leg_ends_too(scene: &mut Scene) {
    let mut bridge = forgotten_leg(scene);
    bridge.b.bye(scene, 70.1, Side::Caller);
}

/// For hours there is other traffic, and little of it.
fn quiet_hours(scene: &mut Scene) {
    for at in (1..32).map(|index| f64::from(index) * 590.0) {
        for (index, phone) in [b1(), c1()].iter().enumerate() {
            scene.qualify(at + index as f64, phone);
        }
    }
}

/// A phone that stays registered for hours.
fn registered_for_hours(scene: &mut Scene) -> Agent {
    let mut phone = a1().expiring(3600);
    scene.reg_ok(0.0, &mut phone);
    for at in (1..10).map(|index| f64::from(index) * 1800.0) {
        scene.refresh(at, &mut phone);
    }
    quiet_hours(scene);
    phone
}

/// A call is up for five hours; meanwhile its phone talks in another one, without having put the first on hold.
fn hung_call_busy_elsewhere(scene: &mut Scene) {
    let phone = registered_for_hours(scene);
    up(scene, &phone, 10.0);
    let mut other = up(scene, &phone, 14_000.0);
    other.bye(scene, 17_000.0, Side::Caller);
}

/// The first call is on hold while the phone talks in another one.
fn long_call_on_hold(scene: &mut Scene) {
    let phone = registered_for_hours(scene);
    let mut first = up(scene, &phone, 10.0);
    let mut other = up(scene, &phone, 12_000.0);
    first.reinvite(scene, 12_003.0, Side::Caller, |sdp| sdp.replace("a=sendrecv", "a=sendonly"));
    other.bye(scene, 17_000.0, Side::Caller);
}

/// INVITE and a 183 that requires PRACK, sent at each of `offsets`.
fn reliable(scene: &mut Scene, offsets: &[f64]) -> Leg {
    let mut phone = phones(scene, 120.0);
    scene.healthy(&mut phone, 0.0, 120.0);
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, &phone, &pbx, "1001", "900");
    leg.invite(scene, 10.0, &[("Require", "100rel")]);
    leg.progress(scene, 10.005, 100);
    let progress = leg.response_with_sdp(scene, 183, &[("Require", "100rel"), ("RSeq", "4711")]);
    for offset in offsets {
        scene.send(10.4 + offset, &leg.callee, &leg.caller, &progress);
    }
    leg
}

/// The PRACK of the phone never comes; the PBX gives the call up.
fn prack_missing(scene: &mut Scene) {
    let offsets = [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5];
    let mut leg = reliable(scene, &offsets);
    leg.fail(scene, 42.4, 504, &[]);
}

/// The first three transmissions are lost, the PRACK comes after the fourth; the call goes on, its 183 being repeated as news.
fn prack_late(scene: &mut Scene) {
    let mut leg = reliable(scene, &[0.0, 0.5, 1.5]);
    let rack = format!("4711 {}", leg.invite.get("CSeq"));
    let prack = leg.in_dialog(scene, Side::Caller, "PRACK").with("RAck", rack);
    leg.exchange_message(scene, 11.95, Side::Caller, &prack, 200);
    // Unreliable ones are repeated each minute, whatever comes back (RFC 3261 §13.3.1.1).
    for at in [20.0, 30.0, 40.0, 50.0] {
        leg.progress(scene, at, 180);
    }
    leg.fail(scene, 60.0, 486, &[]);
}

/// The INVITE of a phone as a proxy at the PBX and the carrier pass it to and fro, `passes` times by the PBX.
fn to_and_fro(scene: &mut Scene, passes: u32) -> (Leg, Message) {
    scene.pbx = Agent { brand: Brand::Kamailio, ..pbx() };
    let mut phone = phones(scene, 120.0);
    scene.healthy(&mut phone, 0.0, 120.0);
    let (proxy, carrier) = (scene.pbx.clone(), Agent { brand: Brand::Kamailio, ..trunk() });
    let mut leg = Leg::new(scene, &phone, &proxy, "1001", "00301234567");
    leg.prepare_invite(scene, &[]);
    let mut request = leg.invite.clone();
    scene.send(10.0, &phone, &proxy, &request);
    leg.progress(scene, 10.001, 100);
    let mut at = 10.002;
    for pass in 0..passes {
        let hops: [(&Agent, &Agent); 2] = [(&proxy, &carrier), (&carrier, &proxy)];
        for (index, (from, to)) in hops.into_iter().enumerate() {
            if pass + 1 == passes && index == 1 {
                break;
            }
            let hops_left: u32 = request.get("Max-Forwards").parse().unwrap_or(70);
            request.push_top("Via", from.via(&mut scene.random));
            request.set("Max-Forwards", &(hops_left - 1).to_string());
            scene.send(at, from, to, &request);
            at += 0.01;
        }
    }
    (leg, request)
}

/// PBX and carrier send a call to each other until it has no hops left; the caller gives up before.
fn loop_by_hops(scene: &mut Scene) {
    let (mut leg, _) = to_and_fro(scene, 5);
    leg.cancel(scene, 14.0, &[]);
}

/// A number that the carrier sends back once, to another user of the same PBX, who is busy.
fn spiral_twice(scene: &mut Scene) {
    let (mut leg, _) = to_and_fro(scene, 2);
    leg.fail(scene, 14.0, 486, &[]);
}

/// The INVITE of a phone, which the PBX as a proxy sends to each of `stops` in turn, each of which but the last sends it back. Returns it as
/// the last received it, and the ways that it took.
fn by_way_of(scene: &mut Scene, stops: &[Agent]) -> (Leg, Message, Vec<(Agent, Agent)>) {
    scene.pbx = Agent { brand: Brand::Kamailio, ..pbx() };
    let mut phone = phones(scene, 120.0);
    scene.healthy(&mut phone, 0.0, 120.0);
    let proxy = scene.pbx.clone();
    let mut leg = Leg::new(scene, &phone, &proxy, "1001", "00301234567");
    leg.prepare_invite(scene, &[]);
    let mut request = leg.invite.clone();
    scene.send(10.0, &phone, &proxy, &request);
    leg.progress(scene, 10.001, 100);
    let mut ways = vec![(phone, proxy.clone())];
    for stop in stops {
        ways.push((proxy.clone(), stop.clone()));
        ways.push((stop.clone(), proxy.clone()));
    }
    ways.pop();
    for (index, (from, to)) in ways.iter().enumerate().skip(1) {
        let hops_left: u32 = request.get("Max-Forwards").parse().unwrap_or(70);
        request.push_top("Via", from.via(&mut scene.random));
        request.set("Max-Forwards", &(hops_left - 1).to_string());
        scene.send(10.0 + index as f64 * 0.01, from, to, &request);
    }
    (leg, request, ways)
}

fn application_server(number: u8) -> Agent {
    Agent::server("as", Brand::Kamailio, &format!("203.0.113.{}:5060", 30 + number))
}

/// A call through two application servers, each of which sends it back to the proxy, to a carrier where somebody answers.
fn spiral_answered(scene: &mut Scene) {
    let stops = [application_server(1), application_server(2), trunk()];
    let (mut leg, request, ways) = by_way_of(scene, &stops);
    let tag = trunk().tag(&mut scene.random);
    let asker = scene.pbx.outer;
    for (at, status) in [(11.0, 180), (14.0, 200)] {
        let mut response = request.response(status, asker, &tag);
        for (index, (from, to)) in ways.iter().rev().enumerate() {
            scene.send(at + index as f64 * 0.002, to, from, &response);
            response.pop_top("Via");
        }
    }
    leg.adopt(&trunk(), &tag);
    leg.ack(scene, 14.1);
    leg.bye(scene, 60.0, Side::Caller);
}

/// A call that goes round between the proxy and two application servers until it has no hops left.
fn loop_between_two(scene: &mut Scene) {
    let stops = [1, 2, 1, 2, 1].map(application_server);
    let (mut leg, ..) = by_way_of(scene, &stops);
    leg.cancel(scene, 14.0, &[]);
}

/// A call that the caller gives up while it rings; where it rings nobody takes note. Returns the leg to the phone.
fn given_up(scene: &mut Scene) -> Leg {
    let mut phone = phones(scene, 160.0);
    scene.healthy(&mut phone, 0.0, 160.0);
    let mut bridge = Bridge::new(scene, &b1(), &phone);
    bridge.ring(scene, 20.0);
    bridge.a.cancel(scene, 40.0, &[]);
    bridge.b
}

/// The PBX sends its CANCEL again and again, and the phone answers none.
fn rings_on_after_cancel(scene: &mut Scene) {
    given_up(scene).cancel_repeated(scene, 40.01, &schedule::CAPPED);
}

/// The answers to the CANCEL are lost before the capture; that to the INVITE is there.
fn cancel_answer_lost(scene: &mut Scene) {
    let mut leg = given_up(scene);
    leg.cancel_repeated(scene, 40.01, &[0.0, 0.5, 1.5]);
    leg.fail(scene, 41.6, 487, &[]);
}
