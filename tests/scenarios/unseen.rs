//! What the capture missed and other packets prove, each with one that only looks like it; and who it was that refused.

use super::scenarios;
use crate::support::agent::cast::{a1, a2, b1, c1, pbx, trunk};
use crate::support::call::Bridge;
use crate::support::scene::schedule;
use crate::support::upkeep::times;
use crate::support::{Agent, Brand, Leg, Scene, Side};

scenarios! {
    "bye-uncaptured" => bye_uncaptured,
    "bye-challenged-uncaptured" => bye_challenged_uncaptured,
    "refresh-uncaptured" => refresh_uncaptured,
    "late-credentials" => late_credentials,
    "refusals-passed-on" => refusals_passed_on,
    "trunk-errors" => trunk_errors,
    "carrier-takes-over" => carrier_takes_over,
    "refused-at-end" => refused_at_end,
    "answer-uncaptured" => answer_uncaptured,
    "answers-to-pbx-uncaptured" => answers_to_pbx_uncaptured,
    "stateless-pings-lost" => stateless_pings_lost,
    "registered-before-capture" => registered_before_capture,
    "carrier-probed-by-name" => carrier_probed_by_name,
    "carriers-probed-by-names" => carriers_probed_by_names,
    "namesake-of-tenant" => namesake_of_tenant,
    "inferred-then-registers" => inferred_then_registers,
    "probes-refused" => probes_refused,
    "called-before-probed" => called_before_probed,
    "gateway-called-before-probed" => gateway_called_before_probed,
    "scan-stops-early" => scan_stops_early,
    "credentials-late-at-site" => credentials_late_at_site,
    "one-account-guessed" => one_account_guessed,
    "site-without-challenges" => site_without_challenges,
}

/// Two phones of one call and a third one, none with a trouble of its own.
fn phones(scene: &mut Scene, until: f64) {
    for (index, phone) in [a1(), b1(), c1()].into_iter().enumerate() {
        scene.healthy(&mut phone.expiring(900), index as f64, until);
    }
}

/// A bridged call, up from `at` + 4 s.
fn bridged(scene: &mut Scene, at: f64) -> Bridge {
    let mut bridge = Bridge::new(scene, &a1(), &b1());
    bridge.ring(scene, at);
    bridge.answer(scene, at + 4.0);
    bridge
}

/// Of two calls one BYE is missing, its 200 is not: that of the caller, and that of the PBX to the callee.
fn bye_uncaptured(scene: &mut Scene) {
    phones(scene, 300.0);
    let mut first = bridged(scene, 10.0);
    first.a.bye_uncaptured(scene, 100.0, Side::Caller, 200);
    first.b.bye(scene, 100.01, Side::Caller);
    let mut second = bridged(scene, 120.0);
    second.a.bye(scene, 180.0, Side::Caller);
    second.b.bye_uncaptured(scene, 180.02, Side::Caller, 200);
}

/// A BYE that the capture lost is asked for credentials, and its sender has none: the call goes on for a minute.
fn bye_challenged_uncaptured(scene: &mut Scene) {
    phones(scene, 200.0);
    let mut bridge = bridged(scene, 10.0);
    bridge.a.bye_uncaptured(scene, 50.0, Side::Caller, 407);
    bridge.bye(scene, 110.0, Side::Callee);
}

/// The UPDATE that refreshes a session is missing, its 200 is not; the callee hangs up near the end of the session that it replaced.
fn refresh_uncaptured(scene: &mut Scene) {
    phones(scene, 1900.0);
    let timer = [("Session-Expires", "1800;refresher=uac"), ("Require", "timer")];
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, &a1(), &pbx, "1001", "900");
    leg.invite(scene, 10.0, &[("Session-Expires", "1800"), ("Min-SE", "90")]);
    leg.progress(scene, 10.2, 180);
    leg.answer(scene, 12.0, &timer);
    let update = leg.in_dialog(scene, Side::Caller, "UPDATE");
    let answer = update.response(200, leg.caller.outer, "").with_all(&timer);
    scene.send(912.0, &leg.callee, &leg.caller, &answer);
    leg.bye(scene, 1780.0, Side::Callee);
}

/// Credentials that come 33 s and 50 s after the challenge: refused, refused and accepted; beside it a call that is refused without any.
fn late_credentials(scene: &mut Scene) {
    phones(scene, 300.0);
    let pbx = scene.pbx.clone();
    let challenged = |scene: &mut Scene, at: f64, late: f64| {
        let mut leg = Leg::new(scene, &a1(), &pbx, "1001", "0301234");
        leg.invite(scene, at, &[]);
        leg.challenge(scene, at + 0.005);
        leg.invite(scene, at + 0.005 + late, &[]);
        leg
    };
    challenged(scene, 10.0, 33.0).fail(scene, 43.1, 403, &[]);
    challenged(scene, 60.0, 50.0).fail(scene, 110.1, 403, &[]);
    let mut answered = challenged(scene, 130.0, 33.0);
    answered.answer(scene, 165.0, &[]);
    answered.bye(scene, 200.0, Side::Caller);
    let mut forbidden = Leg::new(scene, &a2(), &pbx, "1002", "0301234");
    forbidden.invite(scene, 220.0, &[]);
    forbidden.fail(scene, 220.05, 403, &[]);
}

/// The called phone refuses three calls, each in another way, and the PBX passes that on; a fourth one the PBX refuses by itself.
fn refusals_passed_on(scene: &mut Scene) {
    phones(scene, 200.0);
    for (at, status) in [(10.0, 403), (40.0, 404), (70.0, 488)] {
        let mut bridge = Bridge::new(scene, &a1(), &b1());
        bridge.invite(scene, at);
        bridge.b.invite(scene, at + 0.05, &[]);
        bridge.b.fail(scene, at + 0.09, status, &[]);
        bridge.a.fail(scene, at + 0.10, status, &[]);
    }
    let mut own = Bridge::new(scene, &a1(), &b1());
    own.invite(scene, 100.0);
    own.a.fail(scene, 100.1, 488, &[]);
}

/// The carrier answers twelve calls within 36 s 503, which the PBX passes on.
fn trunk_errors(scene: &mut Scene) {
    phones(scene, 140.0);
    for (index, at) in times(60.0, 3.0, 95.0).enumerate() {
        let pbx = scene.pbx.clone();
        let number = format!("03012345{index:02}");
        let mut caller = Leg::new(scene, &a1(), &pbx, "1001", &number);
        caller.invite(scene, at, &[]);
        caller.progress(scene, at + 0.005, 100);
        let mut carrier = Leg::new(scene, &pbx, &trunk(), "1001", &number);
        carrier.invite(scene, at + 0.02, &[]);
        carrier.fail(scene, at + 0.05, 503, &[]);
        caller.fail(scene, at + 0.06, 503, &[]);
    }
}

/// One carrier answers a call 503, and the PBX goes to another one, which takes it; the caller hangs up.
fn carrier_takes_over(scene: &mut Scene) {
    phones(scene, 140.0);
    let (pbx, number) = (scene.pbx.clone(), "0301234567");
    let mut caller = Leg::new(scene, &a1(), &pbx, "1001", number);
    caller.invite(scene, 60.0, &[]);
    caller.progress(scene, 60.005, 100);
    let mut refusing = Leg::new(scene, &pbx, &trunk(), "1001", number);
    refusing.invite(scene, 60.02, &[]);
    refusing.fail(scene, 60.05, 503, &[]);
    let other = Agent::server("carrier", Brand::Carrier, "192.0.2.60:5060");
    let mut taking = Leg::new(scene, &pbx, &other, "1001", number);
    taking.invite(scene, 60.06, &[]);
    taking.progress(scene, 60.2, 180);
    caller.progress(scene, 60.21, 180);
    taking.answer(scene, 64.0, &[]);
    caller.answer(scene, 64.01, &[]);
    caller.bye(scene, 100.0, Side::Caller);
    taking.bye(scene, 100.02, Side::Caller);
}

/// The capture ends 0.3 s after one call was cancelled; another one still rings.
fn refused_at_end(scene: &mut Scene) {
    phones(scene, 60.0);
    let pbx = scene.pbx.clone();
    for (at, user) in [(40.0, "2001"), (45.0, "2101")] {
        let mut leg = Leg::new(scene, &a1(), &pbx, "1001", user);
        leg.invite(scene, at, &[]);
        leg.progress(scene, at + 0.005, 100);
        leg.progress(scene, at + 0.2, 180);
        if user == "2001" {
            leg.cancel(scene, 59.7, &[]);
        }
    }
    scene.end(60.0);
}

/// Of one call the capture lost what the callee answered to the INVITE: the PBX sends it once, acknowledges a 2xx and hangs up. Of another
/// one nothing was lost: the PBX sends the INVITE seven times.
fn answer_uncaptured(scene: &mut Scene) {
    phones(scene, 300.0);
    let mut bridge = Bridge::new(scene, &a1(), &b1());
    bridge.invite(scene, 10.0);
    bridge.b.invite(scene, 10.05, &[]);
    bridge.a.progress(scene, 10.4, 180);
    bridge.b.ack(scene, 14.03);
    bridge.a.answer(scene, 14.04, &[]);
    bridge.bye(scene, 74.0, Side::Caller);
    let pbx = scene.pbx.clone();
    let mut silent = Leg::new(scene, &pbx, &c1(), "1001", "2101");
    silent.invite_repeated(scene, 120.0, &schedule::INVITE, &[]);
}

/// The capture lost what a phone behind NAT answered to two OPTIONS and to a BYE of the PBX, each of which was sent once.
fn answers_to_pbx_uncaptured(scene: &mut Scene) {
    let mut phone = a1().expiring(3600);
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 20.0, 20.0, 600.0);
    for (index, neighbour) in [b1(), c1()].iter_mut().enumerate() {
        scene.healthy(neighbour, 1.0 + index as f64, 600.0);
    }
    for at in times(35.0, 60.0, 590.0) {
        scene.qualify(at + 0.5, &b1());
        if at == 215.0 || at == 455.0 {
            scene.qualify_lost(at, &[0.0], &phone);
        } else {
            scene.qualify(at, &phone);
        }
    }
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, &phone, &pbx, "1001", "900");
    leg.invite(scene, 300.0, &[]);
    leg.progress(scene, 300.2, 180);
    leg.answer(scene, 302.0, &[]);
    let bye = leg.in_dialog(scene, Side::Callee, "BYE");
    scene.send(379.5, &pbx, &phone, &bye);
}

/// A registrar that keeps no state of its pings sends each of them once; a phone behind NAT does not get those after 35 s of silence.
fn stateless_pings_lost(scene: &mut Scene) {
    scene.pbx = Agent { brand: Brand::Kamailio, ..pbx() };
    let mut phone = a1().expiring(3600);
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 40.0, 40.0, 900.0);
    for (index, neighbour) in [b1(), c1()].iter_mut().enumerate() {
        scene.healthy(neighbour, 1.0 + index as f64, 900.0);
    }
    for (index, at) in times(0.0, 80.0, 850.0).enumerate() {
        scene.qualify(at + 5.0 + index as f64, &phone);
        scene.qualify_lost(at + 75.0, &[0.0], &phone);
        scene.qualify(at + 75.5, &b1());
    }
}

/// Two phones register before the capture and answer the OPTIONS of the PBX: one falls silent, one does not answer a call. A third one does
/// likewise, and registers in the end.
fn registered_before_capture(scene: &mut Scene) {
    for (index, phone) in [b1(), c1()].into_iter().enumerate() {
        scene.healthy(&mut phone.expiring(900), index as f64, 900.0);
    }
    let public = |user: &str, address: &str| Agent::phone(user, Brand::Yealink, address, address);
    let (silent, deaf) = (public("1007", "198.51.100.107:5060"), public("1008", "198.51.100.108:5060"));
    let mut third = public("1009", "198.51.100.109:5060").expiring(900);
    for at in times(5.0, 60.0, 880.0) {
        if at < 300.0 {
            scene.qualify(at, &silent);
        } else {
            scene.qualify_lost(at, &[0.0, 0.5, 1.5, 3.5], &silent);
        }
        scene.qualify(at + 1.0, &deaf);
        scene.qualify(at + 2.0, &third);
    }
    let pbx = scene.pbx.clone();
    let mut call = Leg::new(scene, &pbx, &deaf, "2001", "1008");
    call.invite_repeated(scene, 400.0, &schedule::INVITE, &[]);
    scene.reg_ok(500.0, &mut third);
    // Two handsets of a base, of which one is switched off.
    let (on, off) = (public("1010", "198.51.100.110:5060"), public("1011", "198.51.100.110:5060"));
    for at in times(7.0, 60.0, 880.0) {
        scene.qualify(at, &on);
        if at < 200.0 {
            scene.qualify(at + 1.0, &off);
        } else {
            scene.qualify_lost(at + 1.0, &[0.0, 0.5, 1.5, 3.5], &off);
        }
    }
}

/// The PBX probes its carrier in the name of its account, and calls numbers there, until nothing comes back.
fn carrier_probed_by_name(scene: &mut Scene) {
    phones(scene, 900.0);
    carrier_falls_silent(scene, &[trunk_of("49301000")]);
}

/// The same carrier for two accounts; and another one, which merely delivers calls, and does not answer probes any more in the end.
fn carriers_probed_by_names(scene: &mut Scene) {
    phones(scene, 900.0);
    let at = "192.0.2.60:5060";
    let delivers = Agent::phone("49891000", Brand::Yealink, at, at);
    for at in times(8.0, 60.0, 400.0) {
        scene.qualify(at, &delivers);
    }
    let pbx = scene.pbx.clone();
    for (index, number) in ["0171555123", "0301234567", "0891112223"].into_iter().enumerate() {
        let caller = Agent { user: number.to_owned(), ..delivers.clone() };
        let at = 40.0 + index as f64 * 60.0;
        let mut leg = Leg::new(scene, &caller, &pbx, number, "49891000");
        leg.invite(scene, at, &[]);
        leg.progress(scene, at + 0.005, 100);
        leg.answer(scene, at + 4.0, &[]);
        leg.bye(scene, at + 34.0, Side::Caller);
    }
    for at in times(428.0, 60.0, 880.0) {
        scene.qualify_lost(at, &[0.0, 0.5, 1.5, 3.5], &delivers);
    }
    carrier_falls_silent(scene, &[trunk_of("49301000"), trunk_of("49302000")]);
}

fn trunk_of(account: &str) -> Agent {
    Agent { user: account.to_owned(), ..trunk() }
}

/// The PBX probes a carrier in the name of its accounts, and calls eight numbers there, five of which are reached before it falls silent.
fn carrier_falls_silent(scene: &mut Scene, accounts: &[Agent]) {
    let Some(carrier) = accounts.first() else { return };
    let pbx = scene.pbx.clone();
    for (account, first) in accounts.iter().zip(5_u8..) {
        for at in times(f64::from(first), 60.0, 300.0) {
            scene.qualify(at, account);
        }
    }
    for index in 0..8 {
        let at = 20.0 + f64::from(index) * 30.0;
        let mut b = Leg::new(scene, &pbx, carrier, &carrier.user, &format!("0307654{index:02}"));
        if index < 5 {
            b.invite(scene, at, &[]);
            b.progress(scene, at + 0.5, 180);
            b.answer(scene, at + 4.0, &[]);
            b.bye(scene, at + 14.0, Side::Caller);
        } else {
            b.invite_repeated(scene, at + 200.0, &schedule::INVITE, &[]);
        }
    }
    for (account, first) in accounts.iter().zip(305_u16..) {
        for at in times(f64::from(first), 60.0, 880.0) {
            scene.qualify_lost(at, &[0.0, 0.5, 1.5, 3.5], account);
        }
    }
}

/// A phone elsewhere, which may be another tenant's, has the number of one that is registered, and is switched off. Of two phones of
/// another user the one that registered before the capture is switched off too, after the registrar listed it as it wrote itself.
fn namesake_of_tenant(scene: &mut Scene) {
    phones(scene, 900.0);
    let namesake = Agent::phone("1001", Brand::Yealink, "192.0.2.150:5060", "192.0.2.150:5060");
    let first = Agent::phone("1012", Brand::Yealink, "192.168.1.12:5060", "198.51.100.112:5060");
    let mut second = Agent::phone("1012", Brand::Grandstream, "192.168.1.13:5060", "198.51.100.112:5062").expiring(900);
    for phone in [&namesake, &first] {
        for at in times(10.0, 60.0, 300.0) {
            scene.qualify(at, phone);
        }
        for at in times(310.0, 60.0, 880.0) {
            scene.qualify_lost(at, &[0.0, 0.5, 1.5, 3.5], phone);
        }
    }
    scene.reg_ok_listing(200.0, &mut second, &[&first]);
    for at in times(205.0, 60.0, 880.0) {
        scene.qualify(at, &second);
    }
}

/// Phones that registered before the capture and register again: one restarts, after it was silent; one logs off; of one the password was
/// changed, while it answers.
fn inferred_then_registers(scene: &mut Scene) {
    phones(scene, 900.0);
    let phone = |user: &str, port: u16| {
        let outer = format!("198.51.100.200:{port}");
        Agent::phone(user, Brand::Yealink, &format!("192.168.9.{}:5060", port % 100), &outer).expiring(900)
    };
    let (mut restarts, mut leaves, mut refused) = (phone("1013", 41_013), phone("1014", 41_014), phone("1015", 41_015));
    for at in times(10.0, 60.0, 880.0) {
        if (130.0..370.0).contains(&at) {
            scene.qualify_lost(at, &[0.0, 0.5, 1.5, 3.5], &restarts);
        } else {
            scene.qualify(at, &restarts);
        }
        if at < 300.0 {
            scene.qualify(at + 1.0, &leaves);
        }
        scene.qualify(at + 2.0, &refused);
    }
    scene.reg_ok(350.0, &mut restarts);
    scene.unregister(310.0, &mut leaves);
    for at in times(200.0, 45.0, 500.0) {
        let request = scene.register(at, &mut refused);
        scene.reject(at + 0.005, &mut refused, &request, 401);
        let request = scene.register(at + 0.08, &mut refused);
        scene.reject(at + 0.085, &mut refused, &request, 401);
    }
}

/// Two phones registered before the capture: one answers the OPTIONS of the PBX 404 as long as it is on, the other one 480.
fn probes_refused(scene: &mut Scene) {
    phones(scene, 600.0);
    let pbx = scene.pbx.clone();
    for (user, status) in [("1016", 404), ("1017", 480)] {
        let place = format!("198.51.100.116:4{user}");
        let phone = Agent::phone(user, Brand::Yealink, &place, &place);
        for at in times(10.0, 60.0, 580.0) {
            let request = scene.qualify_message(&phone);
            scene.send(at, &pbx, &phone, &request);
            if status == 480 || at < 300.0 {
                let tag = phone.tag(&mut scene.random);
                let response = phone.introduce(request.response(status, pbx.outer, &tag));
                scene.send(at + phone.delay, &phone, &pbx, &response);
            }
        }
    }
}

/// A phone that registered before the capture is called, is probed minutes later, and falls silent.
fn called_before_probed(scene: &mut Scene) {
    probed_after_calls(scene, &["1018"]);
}

/// The same of a gateway that is called for several numbers, and is probed by one of them.
fn gateway_called_before_probed(scene: &mut Scene) {
    probed_after_calls(scene, &["1019", "1018", "1020"]);
}

/// The PBX calls somebody for each of `numbers`, and probes it as 1018 from 200 s on; from 600 s on nothing comes back.
fn probed_after_calls(scene: &mut Scene, numbers: &[&str]) {
    phones(scene, 900.0);
    let place = "198.51.100.118:5060";
    let called = Agent::phone("1018", Brand::Yealink, place, place);
    let pbx = scene.pbx.clone();
    for (number, at) in numbers.iter().zip(times(10.0, 20.0, 100.0)) {
        let mut leg = Leg::new(scene, &pbx, &called, "2001", number);
        leg.invite(scene, at, &[]);
        leg.progress(scene, at + 0.2, 180);
        leg.answer(scene, at + 3.0, &[]);
        leg.bye(scene, at + 12.0, Side::Caller);
    }
    for at in times(200.0, 60.0, 880.0) {
        if at < 600.0 {
            scene.qualify(at, &called);
        } else {
            scene.qualify_lost(at, &[0.0, 0.5, 1.5, 3.5], &called);
        }
    }
}

/// Somebody tries twelve users within five seconds, answers no challenge, and is gone.
fn scan_stops_early(scene: &mut Scene) {
    phones(scene, 300.0);
    for index in 0..12 {
        let user = (100 + index).to_string();
        let mut guess = Agent { user, ..Agent::phone("100", Brand::Grandstream, "192.0.2.66:5070", "192.0.2.66:5070") };
        let request = scene.register(60.0 + f64::from(index) * 0.4, &mut guess);
        scene.reject(60.004 + f64::from(index) * 0.4, &mut guess, &request, 401);
    }
}

/// Twelve phones of a site that come up send their credentials only 20 s after they were challenged, and are accepted.
fn credentials_late_at_site(scene: &mut Scene) {
    phones(scene, 300.0);
    challenge_twelve(scene, |_| true);
}

/// Somebody tries twelve users, and is accepted as one of them 20 s later.
fn one_account_guessed(scene: &mut Scene) {
    phones(scene, 300.0);
    challenge_twelve(scene, |index| index == 7);
}

/// Twelve users behind one address are challenged; those that `returns` names are accepted 20 s later.
fn challenge_twelve(scene: &mut Scene, returns: impl Fn(u16) -> bool) {
    for index in 0..12_u16 {
        let outer = format!("198.51.100.200:{}", 41_000 + index);
        let mut phone = Agent::phone(&(4000 + index).to_string(), Brand::Yealink, &format!("192.168.9.{}:5060", 20 + index), &outer);
        let at = 60.0 + f64::from(index) * 0.4;
        let request = scene.register(at, &mut phone);
        scene.reject(at + 0.004, &mut phone, &request, 401);
        if returns(index) {
            let request = scene.register(at + 20.0, &mut phone);
            scene.accept(at + 20.005, &phone, &request, &[]);
        }
    }
}

/// All twelve phones of a site come up behind a firewall that lets no answer through: each sends its REGISTER again and again.
fn site_without_challenges(scene: &mut Scene) {
    phones(scene, 300.0);
    for index in 0..12_u16 {
        let outer = format!("198.51.100.200:{}", 41_000 + index);
        let mut phone = Agent::phone(&(4000 + index).to_string(), Brand::Yealink, &format!("192.168.9.{}:5060", 20 + index), &outer);
        let at = 60.0 + f64::from(index) * 0.3;
        let request = scene.register_message(&mut phone);
        let pbx = scene.pbx.clone();
        scene.repeat(at, &schedule::CAPPED, &phone, &pbx, &request);
        scene.reject(at + 0.004, &mut phone, &request, 401);
    }
}
