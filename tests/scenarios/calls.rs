//! Calls: how they are set up, and how that fails.

use super::scenarios;
use crate::support::agent::cast::{a1, a2, b1, c1, l1, trunk};
use crate::support::call::{Bridge, Plan};
use crate::support::proxy::{Hops, forwarded};
use crate::support::scene::schedule;
use crate::support::upkeep::times;
use crate::support::{Agent, Brand, Leg, Scene, Side};

scenarios! {
    "call-ok-auth" => call_ok_auth,
    "call-busy-decline-notfound" => call_busy_decline_notfound,
    "rang-out" => rang_out,
    "ring-group" => ring_group,
    "ring-group-without-reason" => ring_group_without_reason,
    "proxy-fork-2x200" => proxy_fork_2x200,
    "callee-off" => callee_off,
    "pbx-480-no-bleg" => pbx_480_no_bleg,
    "fragment-loss" => fragment_loss,
    "ack-missing-32" => ack_missing_32,
    "ack-missing-6.4" => ack_missing_6_4,
    "ack-missing-proxy" => ack_missing_proxy,
    "ack-late" => ack_late,
    "ack-lost-on-its-way" => ack_lost_on_its_way,
    "glare" => glare,
    "redirect" => redirect,
    "trunk-dead" => trunk_dead,
    "call-bridged" => call_bridged,
    "call-tcp-coalesced" => call_tcp_coalesced,
    "call-hold" => call_hold,
    "early-media" => early_media,
    "call-prack" => call_prack,
    "cancel-200-race" => cancel_200_race,
    "call-422" => call_422,
    "call-ipv6" => call_ipv6,
    "proxy-two-hops" => proxy_two_hops,
    "anonymous-caller" => anonymous_caller,
    "call-id-changed-after-407" => call_id_changed_after_407,
    "fragmented-invite-ok" => fragmented_invite_ok,
    "callee-answers-late" => callee_answers_late,
}

/// A call of A1 to the PBX itself, which answers.
fn to_pbx(scene: &mut Scene) -> Leg {
    let pbx = scene.pbx.clone();
    Leg::new(scene, &a1(), &pbx, "1001", "2001")
}

pub(super) fn call_ok_auth(scene: &mut Scene) {
    let mut leg = to_pbx(scene);
    leg.callee.delay = 0.03;
    leg.invite(scene, 0.0, &[]);
    leg.challenge(scene, 0.005);
    leg.invite(scene, 0.04, &[]);
    leg.progress(scene, 0.045, 100);
    leg.progress(scene, 0.5, 180);
    leg.answer(scene, 5.0, &[]);
    leg.bye(scene, 65.0, Side::Caller);
}

fn call_busy_decline_notfound(scene: &mut Scene) {
    for (at, status, rings) in [(0.0, 486, true), (20.0, 603, true), (40.0, 404, false)] {
        let mut leg = to_pbx(scene);
        leg.invite(scene, at, &[]);
        leg.progress(scene, at + 0.005, 100);
        if rings {
            leg.progress(scene, at + 0.2, 180);
        }
        leg.fail(scene, at + 2.0, status, &[]);
    }
    scene.healthy(&mut c1(), 1.0, 120.0);
}

fn rang_out(scene: &mut Scene) {
    let (caller, mut callee) = (a1(), b1());
    let mut bridge = Bridge::new(scene, &caller, &callee);
    bridge.ring(scene, 0.0);
    bridge.a.cancel(scene, 30.0, &[]);
    bridge.b.cancel(scene, 30.01, &[]);
    scene.healthy(&mut c1(), 1.0, 80.0);
    scene.healthy(&mut callee, 2.0, 80.0);
}

fn ring_group(scene: &mut Scene) {
    let (mut caller, mut group) = (a1(), [a2(), b1(), c1()]);
    scene.healthy(&mut caller, 0.0, 130.0);
    for (index, phone) in group.iter_mut().enumerate() {
        scene.healthy(phone, 1.0 + index as f64, 130.0);
    }
    let pbx = scene.pbx.clone();
    let mut outside = Leg::new(scene, &caller, &pbx, "1001", "900");
    let mut legs: Vec<Leg> = group.iter().map(|phone| Leg::new(scene, &pbx, phone, "1001", &phone.user)).collect();
    outside.invite(scene, 10.0, &[]);
    outside.progress(scene, 10.005, 100);
    for (index, leg) in legs.iter_mut().enumerate() {
        leg.invite(scene, 10.05 + index as f64 * 0.001, &[]);
        leg.progress(scene, 10.3 + index as f64 * 0.01, 180);
    }
    outside.progress(scene, 10.31, 180);
    legs[1].answer(scene, 18.0, &[]);
    outside.answer(scene, 18.01, &[]);
    for index in [0, 2] {
        legs[index].cancel(scene, 18.02, &[("Reason", "SIP;cause=200;text=\"Call completed elsewhere\"")]);
    }
    legs[1].bye(scene, 60.0, Side::Callee);
    outside.bye(scene, 60.01, Side::Callee);
}

/// Calls to a group whose PBX takes back the other legs without saying why: one is answered soon, one after long. A third call rings at one
/// phone until the PBX takes it for a voicemail, and a fourth until its caller gives up.
fn ring_group_without_reason(scene: &mut Scene) {
    let (mut caller, mut group) = (a1(), [a2(), b1(), c1()]);
    scene.healthy(&mut caller, 0.0, 400.0);
    for (index, phone) in group.iter_mut().enumerate() {
        scene.healthy(phone, 1.0 + index as f64, 400.0);
    }
    let pbx = scene.pbx.clone();
    for (at, ring) in [(10.0, 5.0), (100.0, 17.0)] {
        let mut outside = Leg::new(scene, &caller, &pbx, "1001", "900");
        let mut legs: Vec<Leg> = group.iter().map(|phone| Leg::new(scene, &pbx, phone, "1001", &phone.user)).collect();
        outside.invite(scene, at, &[]);
        outside.progress(scene, at + 0.005, 100);
        for (index, leg) in legs.iter_mut().enumerate() {
            leg.invite(scene, at + 0.05 + index as f64 * 0.001, &[]);
            leg.progress(scene, at + 0.3 + index as f64 * 0.01, 180);
        }
        outside.progress(scene, at + 0.31, 180);
        let (mut others, mut winner) = (legs, Vec::new());
        winner.extend(others.drain(1..2));
        for leg in &mut winner {
            leg.answer(scene, at + ring, &[]);
        }
        for leg in &mut others {
            leg.cancel(scene, at + ring + 0.005, &[]);
        }
        outside.answer(scene, at + ring + 0.01, &[]);
        for leg in &mut winner {
            leg.bye(scene, at + ring + 40.0, Side::Callee);
        }
        outside.bye(scene, at + ring + 40.01, Side::Callee);
    }
    let mut missed = Bridge::new(scene, &caller, &b1());
    missed.ring(scene, 200.0);
    missed.b.cancel(scene, 220.0, &[]);
    missed.a.answer(scene, 220.01, &[]);
    missed.a.bye(scene, 240.0, Side::Caller);
    let mut given_up = Bridge::new(scene, &caller, &b1());
    given_up.ring(scene, 300.0);
    given_up.a.cancel(scene, 306.0, &[]);
    given_up.b.cancel(scene, 306.01, &[]);
}

/// A call over a proxy that forks: two answer within a second, and the caller hangs up on the second.
fn proxy_fork_2x200(scene: &mut Scene) {
    scene.pbx = Agent { brand: Brand::Kamailio, ..scene.pbx.clone() };
    let (proxy, caller) = (scene.pbx.clone(), l1());
    let callees = [Agent { delay: 0.002, ..a1() }, Agent { delay: 0.002, ..b1() }];
    let mut leg = Leg::new(scene, &caller, &proxy, "3001", "2001");
    leg.prepare_invite(scene, &[]);
    let invite = leg.invite.clone();
    scene.send(0.0, &caller, &proxy, &invite);
    leg.progress(scene, 0.002, 100);
    for (index, callee) in callees.iter().enumerate() {
        let hops = Hops { caller: &caller, proxy: &proxy, callee };
        let target = callee.contact_uri();
        let received = forwarded(scene, &proxy, caller.outer, &invite, &target);
        scene.send(0.003 + index as f64 * 0.001, &proxy, callee, &received);
        let tag = callee.tag(&mut scene.random);
        let answer = |status| received.response(status, proxy.outer, &tag).with("Contact", callee.contact());
        hops.response(scene, 0.2 + index as f64 * 0.05, &answer(180));
        let accepted = answer(200).with_body("application/sdp", callee.sdp(1));
        let answered = 4.0 + index as f64 * 0.5;
        hops.response(scene, answered, &accepted);
        let mut dialog = leg.clone();
        dialog.adopt(callee, &tag);
        let ack = dialog.in_dialog(scene, Side::Caller, "ACK");
        hops.request(scene, answered + 0.004, &ack, &target);
        let end = if index == 1 { answered + 0.01 } else { 50.0 };
        let bye = dialog.in_dialog(scene, Side::Caller, "BYE");
        let received = hops.request(scene, end, &bye, &target);
        let ok = received.response(200, proxy.outer, &tag);
        hops.response(scene, end + 0.03, &ok);
    }
    scene.healthy(&mut c1(), 1.0, 100.0);
}

fn callee_off(scene: &mut Scene) {
    let mut phone = a1();
    scene.reg_ok(0.0, &mut phone);
    scene.healthy(&mut c1(), 1.0, 3720.0);
    scene.healthy(&mut b1(), 2.0, 3720.0);
    let mut bridge = Bridge::new(scene, &b1(), &phone);
    bridge.invite(scene, 60.0);
    bridge.b.invite_repeated(scene, 60.05, &schedule::INVITE, &[]);
    bridge.a.fail(scene, 92.1, 480, &[("X-Asterisk-HangupCauseCode", "18")]);
}

fn pbx_480_no_bleg(scene: &mut Scene) {
    let (mut phone, mut caller) = (a1(), b1());
    scene.healthy(&mut caller, 0.0, 260.0);
    scene.healthy(&mut c1(), 1.0, 260.0);
    scene.reg_ok(2.0, &mut phone);
    scene.qualify(10.0, &phone);
    for at in times(70.0, 14.0, 250.0) {
        scene.qualify_lost(at, &schedule::QUALIFY_CHAN_SIP, &phone);
    }
    let mut bridge = Bridge::new(scene, &caller, &phone);
    bridge.invite(scene, 164.0);
    bridge.a.fail(scene, 164.06, 480, &[("X-Asterisk-HangupCause", "Subscriber absent"), ("X-Asterisk-HangupCauseCode", "20")]);
}

/// Four INVITEs too large for a frame: the caller's fragments never come, though its small requests do.
fn fragment_loss(scene: &mut Scene) {
    let mut phone = a1();
    scene.healthy(&mut phone, 0.0, 240.0);
    scene.healthy(&mut c1(), 1.0, 240.0);
    let pbx = scene.pbx.clone();
    for at in [40.0, 80.0, 120.0, 160.0] {
        let mut leg = to_pbx(scene);
        leg.prepare_invite(scene, &[]);
        let missing = 1720 - leg.invite.to_bytes(phone.spelling()).len() - "X-Capabilities: \r\n".len();
        let invite = leg.invite.clone().with("X-Capabilities", "x".repeat(missing));
        scene.repeat(at, &schedule::INVITE, &phone, &pbx, &invite);
    }
    // What follows a first fragment carries no ports and is lost on the way to the PBX.
    scene.keep(|shot| u16::from_be_bytes([shot.packet[6], shot.packet[7]]) & 0x1fff == 0);
}

fn fragmented_invite_ok(scene: &mut Scene) {
    let mut leg = to_pbx(scene);
    let padding = "x".repeat(900);
    leg.invite(scene, 0.0, &[("X-Phone-Capabilities", &padding)]);
    leg.progress(scene, 0.005, 100);
    leg.progress(scene, 0.3, 180);
    leg.answer(scene, 3.0, &[]);
    leg.bye(scene, 33.0, Side::Caller);
}

fn ack_missing(scene: &mut Scene, offsets: &[f64], end: f64) {
    let mut caller = a1();
    scene.healthy(&mut caller, 0.0, 200.0);
    scene.healthy(&mut c1(), 1.0, 200.0);
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, &caller, &pbx, "1001", "2001");
    leg.invite(scene, 50.0, &[]);
    leg.progress(scene, 50.005, 100);
    leg.progress(scene, 50.2, 180);
    leg.answer_repeated(scene, 54.0, offsets);
    leg.bye(scene, 54.0 + end, Side::Callee);
}

fn ack_missing_32(scene: &mut Scene) {
    ack_missing(scene, &schedule::CAPPED, 32.0);
}

fn ack_missing_6_4(scene: &mut Scene) {
    ack_missing(scene, &schedule::ANSWER_QUICK, 6.4);
}

/// The PBX acknowledges each answer of a phone, to where it comes from, and the phone sees none and gives up. Another phone misses the
/// first two acknowledgements, and hangs up after as long.
fn ack_lost_on_its_way(scene: &mut Scene) {
    for (index, phone) in [a1(), b1(), c1()].into_iter().enumerate() {
        scene.healthy(&mut phone.expiring(900), index as f64, 400.0);
    }
    let pbx = scene.pbx.clone();
    for (at, callee, offsets) in [(50.0, b1(), &schedule::CAPPED[..]), (200.0, c1(), &schedule::CAPPED[..3])] {
        let mut leg = Leg::new(scene, &pbx, &callee, "1001", &callee.user);
        leg.invite(scene, at, &[]);
        leg.progress(scene, at + 0.2, 180);
        leg.answer_repeated(scene, at + 4.0, offsets);
        for offset in offsets {
            leg.ack(scene, at + 4.005 + offset);
        }
        leg.bye(scene, at + 36.0, Side::Callee);
    }
}

/// The callee gives up, and a proxy passes its repeats and its BYE on to the caller, who answers the BYE.
fn ack_missing_proxy(scene: &mut Scene) {
    scene.pbx = Agent { brand: Brand::Kamailio, ..scene.pbx.clone() };
    let (mut caller, mut callee) = (a1(), b1());
    scene.healthy(&mut caller, 0.0, 100.0);
    scene.healthy(&mut callee, 1.0, 100.0);
    let proxy = scene.pbx.clone();
    let hops = Hops { caller: &caller, proxy: &proxy, callee: &callee };
    let target = callee.contact_uri();
    let mut leg = Leg::new(scene, &caller, &proxy, "1001", "2001");
    leg.prepare_invite(scene, &[]);
    let invite = leg.invite.clone();
    let received = hops.request(scene, 10.0, &invite, &target);
    leg.progress(scene, 10.001, 100);
    let tag = callee.tag(&mut scene.random);
    leg.adopt(&callee, &tag);
    let answer = received.response(200, proxy.outer, &tag).with("Contact", callee.contact()).with_body("application/sdp", callee.sdp(1));
    for offset in schedule::CAPPED {
        hops.response(scene, 14.0 + offset, &answer);
    }
    let back = Hops { caller: &callee, proxy: &proxy, callee: &caller };
    let bye = leg.in_dialog(scene, Side::Callee, "BYE");
    let received = back.request(scene, 49.5, &bye, &caller.contact_uri());
    let ok = received.response(200, proxy.outer, "");
    back.response(scene, 49.53, &ok);
}

fn ack_late(scene: &mut Scene) {
    let mut leg = to_pbx(scene);
    leg.invite(scene, 0.0, &[]);
    leg.progress(scene, 0.005, 100);
    leg.progress(scene, 0.2, 180);
    leg.answer_repeated(scene, 4.0, &[0.0, 0.5]);
    leg.ack(scene, 4.6);
    leg.bye(scene, 64.0, Side::Caller);
    scene.healthy(&mut c1(), 1.0, 110.0);
}

fn glare(scene: &mut Scene) {
    let mut leg = to_pbx(scene);
    leg.invite(scene, 0.0, &[]);
    leg.progress(scene, 0.2, 180);
    leg.answer(scene, 4.0, &[]);
    let from_caller = leg.reinvite_message(scene, Side::Caller, |sdp| sdp);
    let from_callee = leg.reinvite_message(scene, Side::Callee, |sdp| sdp);
    scene.send(100.0, &leg.caller, &leg.callee, &from_caller);
    scene.send(100.001, &leg.callee, &leg.caller, &from_callee);
    leg.refuse(scene, 100.005, Side::Caller, &from_caller, 491);
    leg.refuse(scene, 100.031, Side::Callee, &from_callee, 491);
    leg.reinvite(scene, 102.5, Side::Caller, |sdp| sdp);
    leg.bye(scene, 130.0, Side::Callee);
    scene.healthy(&mut c1(), 1.0, 180.0);
}

fn redirect(scene: &mut Scene) {
    let mut leg = to_pbx(scene);
    leg.invite(scene, 0.0, &[]);
    leg.fail(scene, 0.02, 302, &[("Contact", "<sip:2101@203.0.113.10:5060>")]);
    leg.retarget("sip:2101@203.0.113.10:5060");
    leg.invite(scene, 0.1, &[]);
    leg.progress(scene, 0.105, 100);
    leg.progress(scene, 0.4, 180);
    leg.answer(scene, 3.0, &[]);
    leg.bye(scene, 33.0, Side::Caller);
}

fn trunk_dead(scene: &mut Scene) {
    scene.healthy(&mut b1(), 0.0, 200.0);
    scene.healthy(&mut c1(), 1.0, 200.0);
    let (pbx, trunk) = (scene.pbx.clone(), trunk());
    // The carrier answered before it fell silent.
    let mut good = Leg::new(scene, &pbx, &trunk, "2001", "0030123456");
    good.ordinary(scene, Plan { invite: 20.0, ring: 20.4, answer: 24.0, bye: 44.0, bye_by: Side::Caller });
    for (index, at) in [60.0, 75.0, 90.0, 105.0].into_iter().enumerate() {
        let mut leg = Leg::new(scene, &pbx, &trunk, "2001", &format!("003012345{index}"));
        leg.invite_repeated(scene, at, &schedule::INVITE, &[]);
    }
}

fn call_bridged(scene: &mut Scene) {
    let (mut caller, mut callee) = (a1(), b1());
    scene.healthy(&mut caller, 0.0, 100.0);
    scene.healthy(&mut callee, 1.0, 100.0);
    Bridge::new(scene, &caller, &callee).ordinary(scene, 10.0, 4.0, 30.0, Side::Callee);
    Bridge::new(scene, &callee, &caller).ordinary(scene, 60.0, 3.0, 20.0, Side::Callee);
}

/// The responses of the PBX leave several in one segment, and the INVITE is spread over three.
fn call_tcp_coalesced(scene: &mut Scene) {
    let caller = a1().over_tcp();
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, &caller, &pbx, "1001", "2001");
    leg.prepare_invite(scene, &[]);
    let invite = leg.invite.to_bytes(caller.spelling());
    scene.stream(0.1, caller.outer, pbx.outer, &[&invite[..100], &invite[100..500], &invite[500..]]);
    let responses: Vec<u8> = [100, 180].iter().flat_map(|status| leg.response(scene, *status).to_bytes(pbx.spelling())).collect();
    scene.stream(0.11, pbx.outer, caller.outer, &[&responses]);
    leg.answer(scene, 4.0, &[]);
    leg.bye(scene, 34.0, Side::Caller);
    scene.hang_up(40.0, caller.outer, pbx.outer);
}

fn call_hold(scene: &mut Scene) {
    let mut leg = to_pbx(scene);
    leg.invite(scene, 0.0, &[]);
    leg.progress(scene, 0.2, 180);
    leg.answer(scene, 4.0, &[]);
    leg.reinvite(scene, 20.0, Side::Caller, |sdp| sdp.replace("sendrecv", "sendonly"));
    leg.reinvite(scene, 40.0, Side::Caller, |sdp| sdp);
    leg.exchange(scene, 50.0, Side::Callee, "UPDATE", 200);
    leg.bye(scene, 64.0, Side::Caller);
}

fn early_media(scene: &mut Scene) {
    let mut leg = to_pbx(scene);
    leg.invite(scene, 0.0, &[]);
    leg.progress(scene, 0.005, 100);
    let announcement = leg.response_with_sdp(scene, 183, &[]);
    scene.send(0.5, &leg.callee, &leg.caller, &announcement);
    leg.fail(scene, 9.0, 404, &[("Reason", "Q.850;cause=1;text=\"Unallocated number\"")]);
    scene.healthy(&mut c1(), 1.0, 60.0);
}

fn call_prack(scene: &mut Scene) {
    let mut leg = to_pbx(scene);
    leg.invite(scene, 0.0, &[("Require", "100rel")]);
    leg.progress(scene, 0.005, 100);
    let ringing = leg.response_with_sdp(scene, 183, &[("Require", "100rel"), ("RSeq", "4711")]);
    scene.send(0.4, &leg.callee, &leg.caller, &ringing);
    let rack = format!("4711 {}", leg.invite.get("CSeq"));
    let prack = leg.in_dialog(scene, Side::Caller, "PRACK").with("RAck", rack);
    leg.exchange_message(scene, 0.43, Side::Caller, &prack, 200);
    let accepted = leg.response_with_sdp(scene, 200, &[]);
    scene.send(5.0, &leg.callee, &leg.caller, &accepted);
    let mut ack = leg.in_dialog(scene, Side::Caller, "ACK");
    ack.set("CSeq", &leg.invite.get("CSeq").replace("INVITE", "ACK"));
    scene.send(5.03, &leg.caller, &leg.callee, &ack);
    leg.bye(scene, 35.0, Side::Callee);
}

fn cancel_200_race(scene: &mut Scene) {
    let mut leg = to_pbx(scene);
    leg.invite(scene, 0.0, &[]);
    leg.progress(scene, 0.005, 100);
    leg.progress(scene, 0.2, 180);
    leg.cancel_only(scene, 12.01, &[]);
    // The answer was on its way before the CANCEL came.
    leg.answer(scene, 12.0, &[]);
    leg.bye(scene, 12.05, Side::Caller);
    scene.healthy(&mut c1(), 1.0, 60.0);
}

fn call_422(scene: &mut Scene) {
    let mut leg = to_pbx(scene);
    leg.invite(scene, 0.0, &[("Session-Expires", "60"), ("Min-SE", "60")]);
    leg.fail(scene, 0.01, 422, &[("Min-SE", "90")]);
    leg.invite(scene, 0.06, &[("Session-Expires", "90"), ("Min-SE", "90")]);
    leg.progress(scene, 0.065, 100);
    leg.progress(scene, 0.4, 180);
    leg.answer(scene, 3.0, &[("Session-Expires", "90;refresher=uac"), ("Require", "timer")]);
    leg.exchange(scene, 48.0, Side::Caller, "UPDATE", 200);
    leg.bye(scene, 60.0, Side::Caller);
}

fn call_ipv6(scene: &mut Scene) {
    scene.pbx = Agent::server("pbx", Brand::Asterisk, "[2001:db8:5::10]:5060");
    let mut caller = Agent::phone("6001", Brand::Yealink, "[2001:db8:1:2::20]:5060", "[2001:db8:1:2::20]:5060");
    let mut callee = Agent::phone("6002", Brand::Snom, "[2001:db8:9:1::7]:5060", "[2001:db8:9:1::7]:5060");
    scene.reg_ok(0.0, &mut caller);
    scene.reg_ok(1.0, &mut callee);
    Bridge::new(scene, &caller, &callee).ordinary(scene, 10.0, 4.0, 30.0, Side::Caller);
}

/// A proxy that stays in the path: the same Call-ID on both hops, two Vias on the second.
fn proxy_two_hops(scene: &mut Scene) {
    scene.pbx = Agent { brand: Brand::Kamailio, ..scene.pbx.clone() };
    let (mut caller, mut callee) = (a1(), b1());
    scene.healthy(&mut caller, 0.0, 100.0);
    scene.healthy(&mut callee, 1.0, 100.0);
    let proxy = scene.pbx.clone();
    Hops { caller: &caller, proxy: &proxy, callee: &callee }.call(scene, 10.0, "2001");
}

fn anonymous_caller(scene: &mut Scene) {
    let mut callee = b1();
    scene.healthy(&mut callee, 0.0, 60.0);
    let (pbx, trunk) = (scene.pbx.clone(), trunk());
    let mut outside = Leg::new(scene, &trunk, &pbx, "anonymous", "2001").with_from("\"Anonymous\" <sip:anonymous@anonymous.invalid>");
    let mut inside = Leg::new(scene, &pbx, &callee, "anonymous", "2001");
    outside.invite(scene, 5.0, &[("Privacy", "id"), ("P-Asserted-Identity", "<sip:+493012345@192.0.2.50>")]);
    outside.progress(scene, 5.005, 100);
    inside.invite(scene, 5.05, &[]);
    inside.progress(scene, 5.2, 180);
    outside.progress(scene, 5.21, 180);
    inside.answer(scene, 9.0, &[]);
    outside.answer(scene, 9.01, &[]);
    outside.bye(scene, 39.0, Side::Caller);
    inside.bye(scene, 39.01, Side::Caller);
}

fn call_id_changed_after_407(scene: &mut Scene) {
    let mut leg = to_pbx(scene);
    leg.invite(scene, 0.0, &[]);
    leg.challenge(scene, 0.005);
    leg.call_id = leg.caller.call_id(&mut scene.random);
    leg.invite(scene, 0.08, &[]);
    leg.progress(scene, 0.085, 100);
    leg.progress(scene, 0.5, 180);
    leg.answer(scene, 4.0, &[]);
    leg.bye(scene, 34.0, Side::Caller);
}

/// The INVITE needs two retransmissions, and the phone, awake all the time, answers.
fn callee_answers_late(scene: &mut Scene) {
    let (mut caller, mut callee) = (b1(), a1());
    scene.healthy(&mut caller, 0.0, 120.0);
    scene.healthy(&mut callee, 1.0, 120.0);
    let mut bridge = Bridge::new(scene, &caller, &callee);
    bridge.invite(scene, 24.0);
    bridge.b.invite_repeated(scene, 24.05, &[0.0, 0.5, 1.5], &[]);
    bridge.b.progress(scene, 25.58, 180);
    bridge.a.progress(scene, 25.59, 180);
    bridge.answer(scene, 28.0);
    bridge.bye(scene, 48.0, Side::Caller);
}
