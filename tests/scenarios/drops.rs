//! Calls that end as nobody meant them to, and calls that only look like it.

use super::scenarios;
use crate::support::agent::cast::{a1, a2, b1, c1, trunk};
use crate::support::call::Bridge;
use crate::support::scene::schedule;
use crate::support::{Agent, Brand, Leg, Scene, Side};

scenarios! {
    "timer-silent" => timer_silent,
    "timer-then-hangup" => timer_then_hangup,
    "reinvite-timeout" => reinvite_timeout,
    "bye-481" => bye_481,
    "bye-misrouted" => bye_misrouted,
    "bye-to-old-port" => bye_to_old_port,
    "ack-misrouted" => ack_misrouted,
    "rtp-timeout" => rtp_timeout,
    "conference-ends" => conference_ends,
    "conference-of-two-numbers" => conference_of_two_numbers,
    "conference-server-lost" => conference_server_lost,
    "conference-dialled-out" => conference_dialled_out,
    "site-cut-off-in-calls" => site_cut_off_in_calls,
    "hang-ups-at-random" => hang_ups_at_random,
    "uplink-lost" => uplink_lost,
    "uplink-lost-beside-others" => uplink_lost_beside_others,
    "hung-call" => hung_call,
    "codec-mismatch" => codec_mismatch,
    "slow-setup" => slow_setup,
    "short-calls" => short_calls,
    "lengths-by-chance" => lengths_by_chance,
    "cut-at-a-limit" => cut_at_a_limit,
    "announcement-to-its-end" => announcement_to_its_end,
    "pbx-private-media" => pbx_private_media,
    "ack-missing-again" => ack_missing_again,
    "pbx-sends-no-ack" => pbx_sends_no_ack,
}

/// A call of `caller` with the PBX, up from `at` + 2 s.
fn up(scene: &mut Scene, caller: &Agent, at: f64, headers: &[(&str, &str)]) -> Leg {
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, caller, &pbx, &caller.user, "900");
    leg.invite(scene, at, &[]);
    leg.progress(scene, at + 0.005, 100);
    leg.progress(scene, at + 0.2, 180);
    leg.answer(scene, at + 2.0, headers);
    leg
}

/// Phones that nothing is wrong with, the first of them in calls.
fn phones(scene: &mut Scene, until: f64) -> Agent {
    for (index, phone) in [a1(), b1(), c1()].into_iter().enumerate() {
        scene.healthy(&mut phone.expiring(900), index as f64, until);
    }
    a1()
}

/// A session of 90 s that nobody refreshes, and nobody hangs up.
fn timer_silent(scene: &mut Scene) {
    let caller = phones(scene, 300.0);
    up(scene, &caller, 10.0, &[("Session-Expires", "90;refresher=uac"), ("Require", "timer")]);
}

/// A session of 90 s that is refreshed; then the caller hangs up just when an unrefreshed session would have ended, and in a second call
/// long before.
fn timer_then_hangup(scene: &mut Scene) {
    let caller = phones(scene, 300.0);
    let timer = [("Session-Expires", "90;refresher=uac"), ("Require", "timer")];
    let mut leg = up(scene, &caller, 10.0, &timer);
    leg.exchange_answered(scene, 57.0, Side::Caller, "UPDATE", &timer);
    leg.bye(scene, 102.0, Side::Caller);
    let mut leg = up(scene, &caller, 120.0, &timer);
    leg.bye(scene, 160.0, Side::Callee);
}

/// The PBX renegotiates without any session timer, the phone is out of reach, the PBX hangs up.
fn reinvite_timeout(scene: &mut Scene) {
    let caller = phones(scene, 300.0);
    let mut leg = up(scene, &caller, 10.0, &[]);
    let request = leg.reinvite_message(scene, Side::Callee, |sdp| sdp);
    scene.repeat(60.0, &schedule::INVITE, &leg.callee, &leg.caller, &request);
    leg.bye(scene, 92.1, Side::Callee);
}

/// The phone has forgotten the call when the PBX hangs up.
fn bye_481(scene: &mut Scene) {
    let caller = phones(scene, 200.0);
    let mut leg = up(scene, &caller, 10.0, &[]);
    leg.exchange(scene, 60.0, Side::Callee, "BYE", 481);
}

/// The PBX hangs up towards the private address in the Contact of the phone.
fn bye_misrouted(scene: &mut Scene) {
    let caller = phones(scene, 200.0);
    let mut leg = up(scene, &caller, 10.0, &[]);
    let bye = leg.in_dialog(scene, Side::Callee, "BYE");
    let lost = Agent { outer: caller.local, ..caller };
    scene.repeat(60.0, &schedule::CAPPED, &leg.callee, &lost, &bye);
}

/// The NAT of a phone gives it another port in the middle of a call, from which it holds the call; the PBX hangs up towards the old one. In
/// a second call the PBX hangs up first, and only then the phone comes from another port.
fn bye_to_old_port(scene: &mut Scene) {
    let (mut first, mut second) = (a1().expiring(900), b1().expiring(900));
    scene.healthy(&mut c1(), 0.0, 400.0);
    for (index, (phone, left)) in [(&mut first, 30.0), (&mut second, 75.0)].into_iter().enumerate() {
        scene.reg_ok(1.0 + index as f64, phone);
        scene.keepalives(phone, 11.0 + index as f64, 10.0, left);
        let mut leg = up(scene, phone, 15.0, &[]);
        phone.outer.set_port(40777);
        if index == 0 {
            leg.caller = phone.clone();
            leg.reinvite(scene, 40.0, Side::Caller, |sdp| sdp.replace("sendrecv", "sendonly"));
            leg.caller.outer = a1().outer;
        }
        leg.unanswered(scene, 70.0, Side::Callee, "BYE");
        scene.keepalives(phone, left + 20.0, 10.0, 150.0);
        scene.refresh(150.0, phone);
        scene.upkeep(phone, 150.0, 400.0);
    }
}

/// The PBX acknowledges the answer of a phone towards its private address.
fn ack_misrouted(scene: &mut Scene) {
    phones(scene, 200.0);
    let (pbx, callee) = (scene.pbx.clone(), b1());
    let mut leg = Leg::new(scene, &pbx, &callee, "900", "2001");
    leg.invite(scene, 10.0, &[]);
    leg.progress(scene, 10.3, 180);
    let ack = leg.in_dialog(scene, Side::Caller, "ACK");
    leg.answer_repeated(scene, 14.0, &schedule::CAPPED);
    let lost = Agent { outer: callee.local, ..callee };
    for offset in schedule::CAPPED {
        scene.send(14.001 + offset, &leg.caller, &lost, &ack);
    }
    leg.bye(scene, 46.0, Side::Callee);
}

/// The PBX hears nothing of a phone and ends its calls after 30 s, while others talk.
fn rtp_timeout(scene: &mut Scene) {
    let deaf = phones(scene, 900.0);
    for at in [10.0, 90.0, 200.0, 310.0] {
        up(scene, &deaf, at, &[]).bye(scene, at + 32.0, Side::Callee);
    }
    for (at, talk) in [(20.0, 61.3), (110.0, 133.0), (300.0, 44.7), (400.0, 211.9), (650.0, 75.2)] {
        Bridge::new(scene, &b1(), &c1()).ordinary(scene, at, 4.0, talk, Side::Caller);
    }
}

/// Phones at `count` sites, registered.
fn sites(scene: &mut Scene, count: i32) -> Vec<Agent> {
    let agents = (0..count).map(|index| {
        let outer = format!("198.18.{index}.1:40000");
        Agent::phone(&(4000 + index).to_string(), Brand::Yealink, "192.168.1.20:5060", &outer)
    });
    let mut phones: Vec<_> = agents.collect();
    for (index, phone) in phones.iter_mut().enumerate() {
        scene.healthy(phone, index as f64 * 0.2, 300.0);
    }
    phones
}

/// Eight people are in a conference and hang up when it is over, or are hung up on.
fn conference_ends(scene: &mut Scene) {
    let members = sites(scene, 8);
    for (index, phone) in members.iter().enumerate() {
        let at = 10.0 + index as f64 * 6.0;
        let mut leg = up(scene, phone, at, &[]);
        let side = if index % 3 == 0 { Side::Caller } else { Side::Callee };
        leg.bye(scene, 180.0 + index as f64 * 0.1, side);
    }
}

/// Eight people are in a conference that two numbers lead to, while two phones talk to each other. The PBX lets go of all members at once,
/// with that Q.850 cause.
fn members_let_go(scene: &mut Scene, cause: &str) {
    let members = sites(scene, 8);
    let pbx = scene.pbx.clone();
    let (mut caller, mut callee) = (a1(), b1());
    scene.healthy(&mut caller, 2.0, 300.0);
    scene.healthy(&mut callee, 3.0, 300.0);
    Bridge::new(scene, &caller, &callee).ordinary(scene, 30.0, 3.0, 240.0, Side::Caller);
    for (index, phone) in members.iter().enumerate() {
        let at = 10.0 + index as f64 * 6.0;
        let mut leg = Leg::new(scene, phone, &pbx, &phone.user, ["8000", "8001"][index % 2]);
        leg.invite(scene, at, &[]);
        leg.progress(scene, at + 0.005, 100);
        leg.answer(scene, at + 0.3, &[]);
        let bye = leg.in_dialog(scene, Side::Callee, "BYE").with("Reason", format!("Q.850;cause={cause}"));
        leg.exchange_message(scene, 180.0 + index as f64 * 0.05, Side::Callee, &bye, 200);
    }
}

fn conference_of_two_numbers(scene: &mut Scene) {
    members_let_go(scene, "16");
}

fn conference_server_lost(scene: &mut Scene) {
    members_let_go(scene, "38");
}

/// The PBX calls eight people for a conference; when its host hangs up, it lets go of all.
fn conference_dialled_out(scene: &mut Scene) {
    let host = phones(scene, 300.0);
    let members = sites(scene, 8);
    let pbx = scene.pbx.clone();
    let mut own = up(scene, &host, 5.0, &[]);
    for (index, member) in members.iter().enumerate() {
        let at = 10.0 + index as f64 * 6.0;
        let mut leg = Leg::new(scene, &pbx, member, "9000", &member.user);
        leg.invite(scene, at, &[]);
        leg.progress(scene, at + 0.2, 180);
        leg.answer(scene, at + 4.0, &[]);
        leg.bye(scene, 200.02 + index as f64 * 0.01, Side::Caller);
    }
    own.bye(scene, 200.0, Side::Caller);
}

/// Six phones of a site talk to people elsewhere when its line is cut: nothing comes from there, and after a while the PBX ends their calls.
/// Others go on.
fn site_cut_off_in_calls(scene: &mut Scene) {
    let (mut caller, mut callee) = (b1(), c1());
    scene.healthy(&mut caller, 2.0, 400.0);
    scene.healthy(&mut callee, 3.0, 400.0);
    Bridge::new(scene, &caller, &callee).ordinary(scene, 30.0, 3.0, 300.0, Side::Caller);
    let others = sites(scene, 6);
    for (index, other) in others.iter().enumerate() {
        let number = 1200 + index;
        let outer = format!("198.51.100.40:{}", 40_000 + index);
        let mut phone = Agent::phone(&number.to_string(), Brand::Snom, &format!("192.168.7.{}:5060", 20 + index), &outer);
        scene.healthy(&mut phone, 1.0 + index as f64 * 0.1, 148.0);
        let mut bridge = Bridge::new(scene, &phone, other);
        let at = 10.0 + index as f64 * 7.0;
        bridge.ring(scene, at);
        bridge.answer(scene, at + 4.0);
        let end = 185.0 + index as f64 * 0.1;
        bridge.b.bye(scene, end, Side::Caller);
        let bye = bridge.a.in_dialog(scene, Side::Callee, "BYE");
        scene.repeat(end + 0.01, &schedule::INVITE, &bridge.a.callee, &bridge.a.caller, &bye);
    }
}

/// People talk for as long as they like; three of the longer calls happen to last about half of a common session interval, 90 s.
fn hang_ups_at_random(scene: &mut Scene) {
    phones(scene, 400.0);
    let talks = [
        2.1, 5.4, 9.8, 14.2, 3.3, 7.7, 19.0, 25.6, 1.4, 11.9, 30.3, 6.1, 4.6, 16.8, 22.7, 8.8, 13.0, 36.4, 41.2, 10.7, 56.8, 2.8, 28.1,
        33.9, 43.7, 43.9, 43.8,
    ];
    for (index, talk) in talks.into_iter().enumerate() {
        let at = 10.0 + index as f64 * 12.0;
        let caller = [a1(), b1(), c1()].into_iter().nth(index % 3).expect("one of three");
        up(scene, &caller, at, &[]).bye(scene, at + 2.0 + talk, Side::Caller);
    }
}

/// The carrier goes away: the PBX ends all calls over it at once.
fn uplink_lost(scene: &mut Scene) {
    let callers = sites(scene, 8);
    let (pbx, trunk) = (scene.pbx.clone(), trunk());
    for (index, phone) in callers.iter().enumerate() {
        let at = 10.0 + index as f64 * 9.0;
        let number = format!("00301234{index:03}");
        let mut a = Leg::new(scene, phone, &pbx, &phone.user, &number);
        let mut b = Leg::new(scene, &pbx, &trunk, &phone.user, &number);
        a.invite(scene, at, &[]);
        a.progress(scene, at + 0.005, 100);
        b.invite(scene, at + 0.05, &[]);
        b.progress(scene, at + 0.5, 180);
        a.progress(scene, at + 0.51, 180);
        b.answer(scene, at + 5.0, &[]);
        a.answer(scene, at + 5.01, &[]);
        let end = 180.0 + index as f64 * 0.05;
        b.bye(scene, end, Side::Callee);
        a.bye(scene, end + 0.01, Side::Callee);
    }
}

/// The same, while somebody else hangs up in the same moment, a phone does not answer a BYE from before, and another lets its session run
/// out.
fn uplink_lost_beside_others(scene: &mut Scene) {
    let (first, second, third) = (phones(scene, 400.0), b1(), c1());
    up(scene, &first, 90.0, &[("Session-Expires", "90;refresher=uac"), ("Require", "timer")]).bye(scene, 152.0, Side::Callee);
    up(scene, &second, 100.0, &[]).unanswered(scene, 165.0, Side::Callee, "BYE");
    up(scene, &third, 110.0, &[]).bye(scene, 180.3, Side::Caller);
    uplink_lost(scene);
}

/// A call is up for five hours, though its phone gave back its registration and fell silent long ago.
fn hung_call(scene: &mut Scene) {
    let mut caller = a1().expiring(3600);
    scene.reg_ok(0.0, &mut caller);
    up(scene, &caller, 10.0, &[]);
    for at in (1..30).map(|index| f64::from(index) * 600.0) {
        scene.qualify(at, &b1());
        scene.qualify(at + 1.0, &c1());
    }
    scene.unregister(60.0, &mut caller);
}

/// The callee speaks no codec that the caller does, on both legs; another one refuses all media.
fn codec_mismatch(scene: &mut Scene) {
    phones(scene, 120.0);
    let mut bridge = Bridge::new(scene, &a1(), &b1());
    bridge.invite(scene, 10.0);
    bridge.b.invite(scene, 10.05, &[]);
    bridge.b.fail(scene, 10.2, 488, &[]);
    bridge.a.fail(scene, 10.21, 488, &[]);
}

/// It takes 12 s until it rings: the PBX looks up the number for most of them.
fn slow_setup(scene: &mut Scene) {
    phones(scene, 120.0);
    let mut bridge = Bridge::new(scene, &a1(), &b1());
    bridge.invite(scene, 10.0);
    bridge.b.invite(scene, 19.5, &[]);
    bridge.b.progress(scene, 22.0, 180);
    bridge.a.progress(scene, 22.01, 180);
    bridge.answer(scene, 26.0);
    bridge.bye(scene, 56.0, Side::Caller);
}

/// One phone has no sound: its calls end within seconds, those of others do not.
fn short_calls(scene: &mut Scene) {
    phones(scene, 1200.0);
    scene.healthy(&mut a2(), 3.0, 1200.0);
    for (index, talk) in [3.1, 4.4, 2.2, 70.0, 5.9, 61.0, 3.8, 6.7, 4.9, 7.3, 3.3, 5.2].into_iter().enumerate() {
        Bridge::new(scene, &a1(), &b1()).ordinary(scene, 10.0 + index as f64 * 90.0, 3.0, talk, Side::Caller);
    }
    for (index, talk) in [35.0, 80.0, 44.0, 131.0, 60.5, 72.0].into_iter().enumerate() {
        Bridge::new(scene, &a2(), &c1()).ordinary(scene, 40.0 + index as f64 * 160.0, 3.0, talk, Side::Callee);
    }
}

/// People talk as long as they like: some have more short calls than others, and three of a hundred last as long as each other.
fn lengths_by_chance(scene: &mut Scene) {
    phones(scene, 3000.0);
    scene.healthy(&mut a2(), 3.0, 3000.0);
    let talks = [
        [7.2, 181.1, 9.4, 33.0, 172.3, 61.7, 4.1, 47.9, 153.2, 8.8, 25.5, 95.0, 6.3, 118.4],
        [41.7, 168.8, 5.6, 80.2, 22.9, 204.1, 52.4, 9.1, 37.6, 66.0, 129.3, 17.7, 28.2, 74.9],
        [12.8, 91.3, 181.9, 8.0, 58.1, 31.4, 160.5, 44.3, 2.7, 20.6, 110.2, 69.5, 190.3, 14.9],
        [55.2, 26.1, 36.8, 3.5, 142.7, 155.4, 11.3, 63.9, 180.6, 85.8, 9.9, 48.6, 19.2, 39.4],
    ];
    for (phone, talks) in [a1(), b1(), c1(), a2()].into_iter().zip(talks) {
        let mut at = 10.0 + talks[0];
        for talk in talks {
            up(scene, &phone, at, &[]).bye(scene, at + 2.0 + talk, Side::Caller);
            at += talk + 110.0;
        }
    }
}

/// The PBX lets one phone talk for 7 min at most, which no timer of SIP or of media lasts; what is shorter ends as people like.
fn cut_at_a_limit(scene: &mut Scene) {
    phones(scene, 5400.0);
    scene.healthy(&mut a2().expiring(900), 3.0, 5400.0);
    for (phone, callee, talks) in [
        (a2(), c1(), [420.1, 61.3, 420.0, 420.3, 212.9, 419.9, 420.2, 33.4, 420.1]),
        (b1(), a1(), [95.2, 431.7, 17.8, 388.6, 142.3, 512.5, 74.0, 266.1, 403.2]),
    ] {
        let mut at = 10.0;
        for talk in talks {
            let mut call = Bridge::new(scene, &phone, &callee);
            call.ring(scene, at);
            call.answer(scene, at + 2.0);
            if (419.5..420.5).contains(&talk) {
                call.a.bye(scene, at + 2.0 + talk, Side::Callee);
                call.b.bye(scene, at + 2.002 + talk, Side::Caller);
            } else {
                call.bye(scene, at + 2.0 + talk, Side::Caller);
            }
            at += talk + 110.0;
        }
    }
}

/// At night the PBX plays an announcement to who calls, and hangs up at its end. Some listen to all of it.
fn announcement_to_its_end(scene: &mut Scene) {
    phones(scene, 2000.0);
    let pbx = scene.pbx.clone();
    for index in 0..14_u8 {
        let at = 10.0 + f64::from(index) * 120.0;
        let mut leg = Leg::new(scene, &trunk(), &pbx, &format!("08912345{index:02}"), "4930100");
        leg.invite(scene, at, &[]);
        leg.progress(scene, at + 0.005, 100);
        leg.answer(scene, at + 0.3, &[]);
        match index % 3 {
            0 => leg.bye(scene, at + 9.3 + f64::from(index) * 1.7, Side::Caller),
            _ => leg.bye(scene, at + 42.3 + f64::from(index) * 0.003, Side::Callee),
        }
    }
}

/// A carrier calls three times. The PBX names its private address in each answer, no ACK gets there, and it hangs up after 32 s.
fn ack_missing_again(scene: &mut Scene) {
    phones(scene, 500.0);
    let inside = scene.pbx.clone();
    let pbx = Agent { written: "192.168.0.10:5060".parse().expect("is an address"), ..inside.clone() };
    for at in [20.0, 170.0, 320.0] {
        let mut outside = Leg::new(scene, &trunk(), &pbx, "0891234567", "2001");
        let mut leg = Leg::new(scene, &inside, &b1(), "0891234567", "2001");
        outside.invite(scene, at, &[]);
        outside.progress(scene, at + 0.005, 100);
        leg.invite(scene, at + 0.05, &[]);
        leg.progress(scene, at + 0.3, 180);
        outside.progress(scene, at + 0.31, 180);
        leg.answer(scene, at + 4.0, &[]);
        outside.answer_repeated(scene, at + 4.01, &schedule::CAPPED);
        outside.bye(scene, at + 36.01, Side::Callee);
        leg.bye(scene, at + 36.02, Side::Caller);
    }
}

/// A phone answers three calls of the PBX, which acknowledges none. The phone hangs up after 32 s, when the PBX has forgotten its half.
fn pbx_sends_no_ack(scene: &mut Scene) {
    phones(scene, 500.0);
    let pbx = scene.pbx.clone();
    for at in [20.0, 170.0, 320.0] {
        let mut leg = Leg::new(scene, &pbx, &b1(), "900", "2001");
        leg.invite(scene, at, &[]);
        leg.progress(scene, at + 0.3, 180);
        leg.answer_repeated(scene, at + 4.0, &schedule::CAPPED);
        leg.exchange(scene, at + 36.0, Side::Callee, "BYE", 481);
    }
}

fn pbx_private_media(scene: &mut Scene) {
    phones(scene, 100.0);
    let pbx = Agent { written: "192.168.0.10:5060".parse().expect("is an address"), ..scene.pbx.clone() };
    let mut leg = Leg::new(scene, &pbx, &b1(), "900", "2001");
    leg.invite(scene, 10.0, &[]);
    leg.progress(scene, 10.3, 180);
    leg.answer(scene, 14.0, &[]);
    leg.bye(scene, 44.0, Side::Callee);
}
