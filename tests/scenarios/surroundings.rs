//! What stands around calls: the PBX, its names and nonces, the way there, and the capture; each with one that only looks like it.

use super::scenarios;
use super::trouble::{ABSENT, refused};
use crate::support::agent::address;
use crate::support::agent::cast::{a1, a2, b1, c1, trunk};
use crate::support::call::{Bridge, Plan};
use crate::support::scene::schedule;
use crate::support::upkeep::times;
use crate::support::wire::{Protocol, port_unreachable};
use crate::support::{Agent, Brand, Leg, Scene, Side};

scenarios! {
    "restart-forgets-nonces" => restart_forgets_nonces,
    "nonces-age" => nonces_age,
    "tls-asked-on-5060" => tls_asked_on_5060,
    "tls-behind-proxy" => tls_behind_proxy,
    "icmp-from-pbx" => icmp_from_pbx,
    "icmp-from-carrier" => icmp_from_carrier,
    "register-elsewhere" => register_elsewhere,
    "registrar-beyond-capture" => registrar_beyond_capture,
    "sbc-registers-onward" => sbc_registers_onward,
    "many-users-away" => many_users_away,
    "one-user-away" => one_user_away,
    "large-invites-lost" => large_invites_lost,
    "large-and-small-lost" => large_and_small_lost,
    "media-private" => media_private,
    "callee-by-pbx-address" => callee_by_pbx_address,
    "callee-of-two-tenants" => callee_of_two_tenants,
    "reg-rewritten" => reg_rewritten,
    "hole-hides-answer" => hole_hides_answer,
    "capture-lossy" => capture_lossy,
    "capture-turns-one-way" => capture_turns_one_way,
    "clock-set-forward" => clock_set_forward,
    "clock-set-forward-phone-off" => clock_set_forward_phone_off,
    "two-addresses" => two_addresses,
    "two-addresses-carrier-dead" => two_addresses_carrier_dead,
}

/// Phones at `count` sites, with nothing sent yet.
fn sites(count: i32) -> Vec<Agent> {
    let agent = |index: i32| {
        let outer = format!("198.18.{index}.1:40000");
        Agent::phone(&(4000 + index).to_string(), Brand::Yealink, "192.168.1.20:5060", &outer)
    };
    (0..count).map(agent).collect()
}

/// Two phones that nothing is wrong with.
fn others(scene: &mut Scene, until: f64) {
    for (index, phone) in [b1(), c1()].into_iter().enumerate() {
        scene.healthy(&mut phone.expiring(900), 1.0 + index as f64, until);
    }
}

/// A refresh with the nonce that the phone holds, which is not good any more.
fn refresh_with_old_nonce(scene: &mut Scene, at: f64, phone: &mut Agent) {
    scene.reg_rejected(at, phone, 401);
    scene.refresh(at + 0.07, phone);
}

/// Six phones refresh with the nonces they hold, time and again. Then the PBX starts anew: it registers at its carrier with a new Call-ID,
/// and knows none of the nonces.
fn restart_forgets_nonces(scene: &mut Scene) {
    let mut phones = sites(6);
    for (index, phone) in phones.iter_mut().enumerate() {
        let at = index as f64;
        scene.reg_ok(at, phone);
        scene.refresh(at + 140.0, phone);
        refresh_with_old_nonce(scene, at + 280.0, phone);
        scene.refresh(at + 420.0, phone);
    }
    let mut account = Agent { expires: 600, ..scene.pbx.clone() };
    let carrier = trunk();
    for (at, anew) in [(10.0, false), (130.0, false), (275.0, true)] {
        if anew {
            account.reboot();
        }
        let request = scene.register_message(&mut account);
        scene.send(at, &account, &carrier, &request);
        let response = request.response(200, account.outer, "carrier").with("Contact", format!("<{}>;expires=600", account.contact_uri()));
        scene.send(at + 0.03, &carrier, &account, &response);
    }
}

/// Phones refresh with nonces that are each good for one time only, as some PBXs have it; one phone after the other.
fn nonces_age(scene: &mut Scene) {
    let mut phones = sites(6);
    for (index, phone) in phones.iter_mut().enumerate() {
        let at = index as f64;
        scene.reg_ok(at, phone);
        for again in times(140.0, 140.0, 500.0) {
            refresh_with_old_nonce(scene, at + again, phone);
        }
    }
    // The PBX reloads the account at its carrier, nothing else.
    let mut account = Agent { expires: 600, ..scene.pbx.clone() };
    let carrier = trunk();
    for at in [10.0, 275.0] {
        account.reboot();
        let request = scene.register_message(&mut account);
        scene.send(at, &account, &carrier, &request);
        let response = request.response(200, account.outer, "carrier").with("Contact", format!("<{}>;expires=600", account.contact_uri()));
        scene.send(at + 0.03, &carrier, &account, &response);
    }
}

/// A phone that is set to TLS sends to the port without TLS, and is refused.
fn tls_asked_on_5060(scene: &mut Scene) {
    others(scene, 200.0);
    let (mut phone, pbx) = (a1(), scene.pbx.clone());
    for at in [20.0, 80.0] {
        let mut request = scene.register_message(&mut phone);
        request.set_uri("sips:pbx.example.com");
        scene.send(at, &phone, &pbx, &request);
        scene.reject(at + 0.005, &mut phone, &request, 416);
    }
}

/// The same wish, but a proxy takes TLS off before the PBX, which serves it.
fn tls_behind_proxy(scene: &mut Scene) {
    others(scene, 200.0);
    let (mut phone, pbx) = (a1(), scene.pbx.clone());
    for at in [20.0, 80.0] {
        let mut request = scene.register_message(&mut phone);
        request.set_uri("sip:pbx.example.com;transport=tls");
        let via = Agent::server("edge", Brand::Kamailio, "198.51.100.7:40001").via(&mut scene.random);
        request.push_top("Via", via);
        scene.send(at, &phone, &pbx, &request);
        scene.reject(at + 0.005, &mut phone, &request, 503);
    }
}

/// A phone is set to a port of the PBX where nobody listens.
fn icmp_from_pbx(scene: &mut Scene) {
    others(scene, 200.0);
    let (mut phone, pbx) = (a1(), scene.pbx.clone());
    let wrong = Agent { outer: address("203.0.113.10:5062"), ..pbx.clone() };
    for at in [20.0, 60.0, 100.0] {
        let request = scene.register_message(&mut phone);
        scene.send(at, &phone, &wrong, &request);
        let quoted = scene.shots.last().map(|shot| shot.packet.clone()).unwrap_or_default();
        scene.ip(at + 0.001, pbx.outer, phone.outer, Protocol::Icmp, &port_unreachable(&quoted));
    }
}

/// The PBX registers at its carrier, where nobody listens; it gives up at each ICMP error.
fn icmp_from_carrier(scene: &mut Scene) {
    others(scene, 200.0);
    let (pbx, trunk) = (scene.pbx.clone(), trunk());
    let mut account = Agent { user: "4989100".to_owned(), domain: "carrier.example.net".to_owned(), ..pbx.clone() };
    for at in [20.0, 60.0, 100.0] {
        let request = scene.register_message(&mut account);
        scene.send(at, &account, &trunk, &request);
        let quoted = scene.shots.last().map(|shot| shot.packet.clone()).unwrap_or_default();
        scene.ip(at + 0.001, trunk.outer, pbx.outer, Protocol::Icmp, &port_unreachable(&quoted));
    }
}

/// A phone registers at a host that is no PBX, while the PBX serves others.
fn register_elsewhere(scene: &mut Scene) {
    others(scene, 200.0);
    let mut phone = a1();
    let elsewhere = Agent { outer: address("203.0.113.99:5060"), ..scene.pbx.clone() };
    for at in [20.0, 80.0] {
        let request = scene.register_message(&mut phone);
        scene.repeat(at, &schedule::CAPPED, &phone, &elsewhere, &request);
    }
}

/// A phone registers at a second host too, each REGISTER sent once: it is answered where the capture does not see it.
fn registrar_beyond_capture(scene: &mut Scene) {
    others(scene, 450.0);
    let mut phone = a1();
    let beyond = Agent { outer: address("203.0.113.99:5060"), ..scene.pbx.clone() };
    for at in [20.0, 170.0, 320.0] {
        let request = scene.register_message(&mut phone);
        scene.send(at, &phone, &beyond, &request);
        scene.reg_ok(at + 2.0, &mut phone);
    }
}

/// Two phones of an SBC, which registers each at the registrar behind it: the one under a Call-ID of its own, the other under the phone's. A
/// third has two phones that evict each other.
fn sbc_registers_onward(scene: &mut Scene) {
    let (sbc, registrar) = (scene.pbx.clone(), Agent { outer: address("203.0.113.20:5060"), ..scene.pbx.clone() });
    let onward = |phone: &Agent| Agent { local: sbc.local, written: sbc.written, outer: sbc.outer, brand: Brand::Carrier, ..phone.clone() };
    scene.healthy(&mut c1(), 0.0, 900.0);
    for (mut phone, from) in [(a1(), 3.0), (b1(), 8.0)] {
        let mut there = onward(&phone);
        scene.reg_ok(from, &mut phone);
        there.register_call_id = phone.register_call_id.clone().filter(|_| from > 5.0);
        for at in times(from + 30.0, 30.0, 900.0) {
            if at < from + 40.0 || at % 150.0 < 30.0 {
                if at > from + 40.0 {
                    scene.refresh(at, &mut phone);
                }
                scene.pbx = registrar.clone();
                scene.reg_ok(at + 0.1, &mut there);
                scene.pbx = sbc.clone();
            } else {
                scene.qualify(at, &phone);
            }
        }
    }
    let (mut desk, mut soft) = (Agent { user: "1009".to_owned(), ..a2() }, Agent { user: "1009".to_owned(), brand: Brand::Snom, ..c1() });
    soft.outer = address("198.51.100.99:40777");
    for at in times(20.0, 60.0, 900.0) {
        scene.reg_ok(at, &mut desk);
        scene.reg_ok(at + 30.0, &mut soft);
    }
}

/// Calls of B1, every 20 s: to C1, who answers, and in between to those who are `away`.
fn calls(scene: &mut Scene, away: &[&str]) {
    for index in 0..24 {
        let at = 40.0 + f64::from(index) * 20.0;
        match (index % 4, away) {
            (3, [_, ..]) => refused(scene, at, &b1(), away[index as usize / 4 % away.len()], 480, &[ABSENT]),
            _ => Bridge::new(scene, &b1(), &c1()).ordinary(scene, at, 2.0, 11.0, Side::Caller),
        }
    }
}

fn many_users_away(scene: &mut Scene) {
    others(scene, 560.0);
    calls(scene, &["4001", "4002", "4003", "4004", "4005", "4006"]);
}

/// As many calls fail, all to the same user.
fn one_user_away(scene: &mut Scene) {
    others(scene, 560.0);
    calls(scene, &["4001"]);
}

/// Four calls to a phone, of which only the INVITEs that are too large for a packet are lost behind the capture.
fn large_invites_lost(scene: &mut Scene) {
    large_calls(scene, true);
}

/// The phone is off: small requests go unanswered just as large ones.
fn large_and_small_lost(scene: &mut Scene) {
    large_calls(scene, false);
}

fn large_calls(scene: &mut Scene, small_pass: bool) {
    others(scene, 360.0);
    let mut phone = a1().expiring(900);
    scene.reg_ok(0.0, &mut phone);
    if small_pass {
        scene.upkeep(&mut phone, 0.0, 360.0);
    }
    let (pbx, padding) = (scene.pbx.clone(), "x".repeat(1000));
    for at in [40.0, 100.0, 160.0, 220.0] {
        let mut leg = Leg::new(scene, &pbx, &phone, "2001", "1001");
        leg.invite_repeated(scene, at, &schedule::INVITE, &[("X-Capabilities", &padding)]);
    }
}

/// The PBX names itself well, but a private address for the sound; a second call has ICE candidates beside it.
fn media_private(scene: &mut Scene) {
    others(scene, 200.0);
    let (pbx, callee) = (scene.pbx.clone(), b1());
    for (at, ice) in [(10.0, ""), (80.0, "a=candidate:1 1 UDP 2130706431 203.0.113.10 11780 typ host\r\n")] {
        let mut leg = Leg::new(scene, &pbx, &callee, "900", "2001");
        leg.prepare_invite(scene, &[]);
        let inside = Agent { written: address("192.168.0.10:5060"), ..pbx.clone() };
        let mut invite = leg.in_dialog(scene, Side::Caller, "INVITE");
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            let value = leg.invite.get(name).to_owned();
            invite.set(name, &value);
        }
        invite.set_uri(leg.invite.uri());
        leg.invite = invite.with_body("application/sdp", inside.sdp(1) + ice);
        let invite = leg.invite.clone();
        scene.send(at, &pbx, &callee, &invite);
        leg.progress(scene, at + 0.3, 180);
        leg.answer(scene, at + 4.0, &[]);
        leg.bye(scene, at + 40.0, Side::Callee);
    }
}

/// A call to a phone that is gone, dialled as a number at the address of the PBX.
fn callee_by_pbx_address(scene: &mut Scene) {
    others(scene, 300.0);
    let mut phone = a1().expiring(60);
    scene.reg_ok(0.0, &mut phone);
    scene.unregister(40.0, &mut phone);
    let caller = Agent { domain: "203.0.113.10".to_owned(), ..b1() };
    refused(scene, 160.0, &caller, "1001", 480, &[]);
}

/// Two tenants have a user 1001 each; which of them is meant by the address of the PBX nobody can tell.
fn callee_of_two_tenants(scene: &mut Scene) {
    others(scene, 300.0);
    for (index, domain) in ["alpha.example", "beta.example"].into_iter().enumerate() {
        let mut phone = sites(2).remove(index);
        phone.user = "1001".to_owned();
        phone.domain = domain.to_owned();
        let at = index as f64 * 3.0;
        scene.reg_ok(at, &mut phone);
        scene.unregister(40.0 + at, &mut phone);
    }
    let caller = Agent { domain: "203.0.113.10".to_owned(), ..b1() };
    refused(scene, 160.0, &caller, "1001", 480, &[]);
}

/// The registrar keeps the address that it saw, and a third of the time that was asked for.
fn reg_rewritten(scene: &mut Scene) {
    let mut phone = a1().expiring(3600);
    let pbx = scene.pbx.clone();
    for at in [0.0, 500.0] {
        if at < 1.0 {
            scene.reg_rejected(at, &mut phone, 401);
        }
        let request = scene.register(at + 0.075, &mut phone);
        let contact = format!("<sip:{}@{}>;expires=1200", phone.user, phone.outer);
        let response = scene.registrar_response(&request, 200, &phone).with("Contact", contact);
        scene.send(at + 0.09, &pbx, &phone, &response);
    }
    scene.keepalives(&phone, 20.0, 20.0, 600.0);
    others(scene, 600.0);
}

/// A phone is called just before the capture stops for a quarter of an hour: its answer falls into the hole.
fn hole_hides_answer(scene: &mut Scene) {
    for (index, mut phone) in [a1(), b1()].into_iter().enumerate() {
        phone.expires = 3600;
        scene.healthy(&mut phone, index as f64, 1300.0);
    }
    let mut bridge = Bridge::new(scene, &b1(), &a1());
    bridge.invite(scene, 199.0);
    bridge.b.invite_repeated(scene, 199.05, &[0.0, 0.5], &[]);
    let mut register = a1();
    let request = scene.register_message(&mut register);
    let pbx = scene.pbx.clone();
    scene.send(199.7, &register, &pbx, &request);
    scene.keep(|shot| !(200.0..1100.0).contains(&shot.at));
}

/// The clock of the capturing host is set forward by 200 s, across the refreshes of phones that are well; one sends no keep-alives.
fn clock_set_forward(scene: &mut Scene) {
    for (index, phone) in [a1(), a2(), b1()].into_iter().enumerate() {
        scene.healthy(&mut phone.expiring(300), index as f64, 1300.0);
    }
    let mut silent = c1().expiring(60);
    scene.reg_ok(3.0, &mut silent);
    for at in times(33.0, 30.0, 1300.0) {
        scene.refresh(at, &mut silent);
    }
    scene.step_clock(400.5, 200.0);
}

/// The same, and later one phone registers no more, though it goes on sending keep-alives.
fn clock_set_forward_phone_off(scene: &mut Scene) {
    clock_set_forward(scene);
    let mut phone = Agent::phone("2002", Brand::Snom, "10.0.0.6:5060", "198.51.100.80:35061").expiring(300);
    scene.reg_ok(4.0, &mut phone);
    for at in times(154.0, 150.0, 700.0) {
        scene.refresh(at, &mut phone);
    }
    scene.keepalives(&phone, 24.0, 20.0, 1300.0);
}

/// What phones send is captured for the first minutes only.
fn capture_turns_one_way(scene: &mut Scene) {
    for (index, phone) in sites(6).into_iter().enumerate() {
        scene.healthy(&mut phone.expiring(120), index as f64, 1500.0);
    }
    let pbx = scene.pbx.outer;
    scene.keep(|shot| shot.destination != pbx || shot.at < 400.0);
}

/// Phones of the office, and the account of the PBX at its carrier, which it reaches from another of its addresses.
fn office(scene: &mut Scene, until: f64) -> (Vec<Agent>, Agent) {
    let phone = |index: i32| {
        let at = format!("203.0.113.{}:5060", 60 + index);
        Agent::phone(&(3001 + index).to_string(), Brand::Snom, &at, &at)
    };
    let mut phones: Vec<Agent> = (0..3).map(phone).collect();
    for (index, phone) in phones.iter_mut().enumerate() {
        scene.healthy(phone, index as f64, until);
    }
    let outside = Agent::server("4989100", Brand::Asterisk, "198.18.0.1:5060");
    (phones, Agent { domain: "carrier.example.net".to_owned(), ..outside })
}

/// The PBX registers at its carrier, which accepts.
fn registered_at_carrier(scene: &mut Scene, at: f64, account: &mut Agent) {
    let request = scene.register_message(account);
    scene.send(at, account, &trunk(), &request);
    let accepted = scene.registrar_response(&request, 200, account).with("Contact", format!("<{}>;expires=300", account.contact_uri()));
    scene.send(at + 0.03, &trunk(), account, &accepted);
}

/// A PBX serves its phones at one address and its carrier from another. Nothing is wrong.
fn two_addresses(scene: &mut Scene) {
    let (phones, mut account) = office(scene, 400.0);
    for at in [5.0, 155.0, 305.0] {
        registered_at_carrier(scene, at, &mut account);
    }
    let pbx = scene.pbx.clone();
    for (index, phone) in phones.iter().enumerate() {
        let (at, number) = (30.0 + 90.0 * index as f64, format!("003012345{index}"));
        let mut first = Leg::new(scene, phone, &pbx, &phone.user, &number);
        let mut second = Leg::new(scene, &account, &trunk(), "4989100", &number);
        first.ordinary(scene, Plan { invite: at, ring: at + 0.9, answer: at + 5.01, bye: at + 45.0, bye_by: Side::Caller });
        second.ordinary(scene, Plan { invite: at + 0.06, ring: at + 0.85, answer: at + 5.0, bye: at + 45.01, bye_by: Side::Caller });
    }
}

/// The same PBX, and its carrier is dead.
fn two_addresses_carrier_dead(scene: &mut Scene) {
    let (phones, mut account) = office(scene, 500.0);
    for at in [5.0, 155.0] {
        registered_at_carrier(scene, at, &mut account);
    }
    let pbx = scene.pbx.clone();
    for (index, phone) in phones.iter().enumerate() {
        let (at, number) = (260.0 + 20.0 * index as f64, format!("003012345{index}"));
        let mut first = Leg::new(scene, phone, &pbx, &phone.user, &number);
        first.invite(scene, at, &[]);
        first.progress(scene, at + 0.005, 100);
        Leg::new(scene, &account, &trunk(), "4989100", &number).invite_repeated(scene, at + 0.06, &schedule::INVITE, &[]);
        first.fail(scene, at + 32.1, 503, &[]);
    }
    for at in [305.0, 365.0] {
        let request = scene.register_message(&mut account);
        scene.repeat(at, &schedule::CAPPED, &account, &trunk(), &request);
    }
}

/// One packet in ten of the phones is not captured.
fn capture_lossy(scene: &mut Scene) {
    for (index, mut phone) in sites(8).into_iter().enumerate() {
        let at = index as f64;
        scene.reg_ok(at, &mut phone);
        scene.keepalives(&phone, at + 20.0, 20.0, 420.0);
        for again in times(60.0, 60.0, 400.0) {
            refresh_with_old_nonce(scene, at + again, &mut phone);
        }
    }
    let pbx = scene.pbx.outer;
    let mut shots: Vec<f64> = scene.shots.iter().filter(|shot| shot.destination == pbx).map(|shot| shot.at).collect();
    shots.sort_by(f64::total_cmp);
    let lost: Vec<f64> = shots.into_iter().skip(8).step_by(9).collect();
    scene.keep(|shot| shot.destination != pbx || !lost.contains(&shot.at));
}
