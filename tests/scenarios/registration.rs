//! Registrations: what is normal, and what keeps a phone out.

use super::scenarios;
use crate::support::agent::address;
use crate::support::agent::cast::{a1, a2, b1, c1};
use crate::support::call::Bridge;
use crate::support::register::challenge;
use crate::support::scene::schedule;
use crate::support::upkeep::times;
use crate::support::{Agent, Brand, Message, Scene};

scenarios! {
    "reg-ok" => reg_ok,
    "bindings-back" => bindings_back,
    "reg-nonce-aged" => reg_nonce_aged,
    "reg-nonce-short-lived" => reg_nonce_short_lived,
    "reg-wrong-password" => reg_wrong_password,
    "reg-wrong-password-md5" => reg_wrong_password_md5,
    "reg-ok-md5" => reg_ok_md5,
    "reg-silence" => reg_silence,
    "reg-403-after-digest" => reg_403_after_digest,
    "reg-404" => reg_404,
    "reg-423" => reg_423,
    "reg-423-given-up" => reg_423_given_up,
    "reg-silent-source" => reg_silent_source,
    "reg-401-lost" => reg_401_lost,
    "reg-challenge-ignored" => reg_challenge_ignored,
    "reg-sha256-alone" => reg_sha256_alone,
    "reg-nonce-stale-at-once" => reg_nonce_stale_at_once,
    "reg-answered-elsewhere" => reg_answered_elsewhere,
    "reg-called-after-expiry" => reg_called_after_expiry,
    "reg-expired-alive" => reg_expired_alive,
    "reg-reboot" => reg_reboot,
    "reg-duplicate-evict" => reg_duplicate_evict,
    "reg-shared-ok" => reg_shared_ok,
    "reg-nat-rebind" => reg_nat_rebind,
    "reg-moved" => reg_moved,
    "reg-flap" => reg_flap,
    "reg-storm-recovery" => reg_storm_recovery,
    "reg-storm-of-one" => reg_storm_of_one,
    "reg-errors-come-and-go" => reg_errors_come_and_go,
    "reg-mass-unregister" => reg_mass_unregister,
    "reg-expires-forms" => reg_expires_forms,
    "reg-tcp" => reg_tcp,
    "reg-ipv6" => reg_ipv6,
    "site-30-phones" => site_30_phones,
    "site-credentials-refused" => site_credentials_refused,
    "site-tries-users" => site_tries_users,
    "reg-typo-once" => reg_typo_once,
    "reg-503-once" => reg_503_once,
    "reg-refresh-late" => reg_refresh_late,
    "reg-answered-late" => reg_answered_late,
    "reg-answer-missed" => reg_answer_missed,
    "reg-refresh-ignored" => reg_refresh_ignored,
    "reg-403-once" => reg_403_once,
    "reg-403-unchallenged" => reg_403_unchallenged,
    "reg-401-lost-always" => reg_401_lost_always,
    "reg-refresh-uncaptured" => reg_refresh_uncaptured,
    "reg-renewal-forged" => reg_renewal_forged,
    "reg-refused-in-words" => reg_refused_in_words,
    "reg-tel" => reg_tel,
    "reg-tcp-lost" => reg_tcp_lost,
    "reg-tcp-lost-503" => reg_tcp_lost_503,
    "reg-tcp-shared-lost" => reg_tcp_shared_lost,
    "reg-tcp-renewed" => reg_tcp_renewed,
}

fn reg_ok(scene: &mut Scene) {
    let mut phone = a1();
    scene.reg_ok(0.0, &mut phone);
    scene.refresh(150.0, &mut phone);
    scene.refresh(300.0, &mut phone);
}

fn reg_nonce_aged(scene: &mut Scene) {
    let mut phone = a1();
    scene.reg_ok(0.0, &mut phone);
    scene.reg_rejected(150.0, &mut phone, 401);
    scene.refresh(150.04, &mut phone);
}

fn reg_nonce_short_lived(scene: &mut Scene) {
    let mut phone = a1();
    scene.reg_ok(0.0, &mut phone);
    for at in [9.0, 27.0] {
        scene.refresh(at, &mut phone);
        scene.reg_rejected(at + 9.0, &mut phone, 401);
        scene.refresh(at + 9.04, &mut phone);
    }
}

fn reg_wrong_password(scene: &mut Scene) {
    let mut phone = a1();
    for at in [0.0, 30.0, 60.0] {
        phone.nonce = None;
        scene.reg_rejected(at, &mut phone, 401);
        scene.reg_rejected(at + 0.075, &mut phone, 401);
    }
    scene.healthy(&mut c1(), 1.0, 100.0);
}

/// The registrar's 401 with a challenge for SHA-256 and one for MD5, each with its own nonce (RFC 8760); the phone knows MD5 alone.
fn challenged_twice(scene: &mut Scene, at: f64, phone: &mut Agent) {
    let request = scene.register(at, phone);
    let [sha, md5] = [scene.random.hex(8), scene.random.hex(8)];
    let response = scene.registrar_response(&request, 401, phone);
    let response = response.with("WWW-Authenticate", challenge(&sha).replace("MD5", "SHA-256")).with("WWW-Authenticate", challenge(&md5));
    phone.take_nonce(md5);
    let pbx = scene.pbx.clone();
    scene.send(at + 0.005, &pbx, phone, &response);
}

fn reg_wrong_password_md5(scene: &mut Scene) {
    let mut phone = a1();
    for at in [0.0, 30.0, 60.0] {
        phone.nonce = None;
        challenged_twice(scene, at, &mut phone);
        challenged_twice(scene, at + 0.075, &mut phone);
    }
    scene.healthy(&mut c1(), 1.0, 100.0);
}

fn reg_ok_md5(scene: &mut Scene) {
    for (mut phone, at) in [(a1(), 0.0), (b1(), 1.0)] {
        challenged_twice(scene, at, &mut phone);
        scene.refresh(at + 0.075, &mut phone);
        scene.upkeep(&mut phone, at, 100.0);
    }
}

/// Nothing at all is captured for eight minutes, in which all registrations would have to be renewed.
fn reg_silence(scene: &mut Scene) {
    for (index, phone) in [a1(), b1(), c1()].into_iter().enumerate() {
        scene.healthy(&mut phone.expiring(120), index as f64, 900.0);
    }
    scene.keep(|shot| !(100.0..580.0).contains(&shot.at));
}

fn reg_403_after_digest(scene: &mut Scene) {
    let mut phone = a1();
    for at in [0.0, 60.0] {
        phone.nonce = None;
        scene.reg_rejected(at, &mut phone, 401);
        scene.reg_rejected(at + 0.075, &mut phone, 403);
    }
    scene.healthy(&mut c1(), 1.0, 100.0);
}

fn reg_404(scene: &mut Scene) {
    let mut phone = a1();
    scene.reg_rejected(0.0, &mut phone, 404);
    scene.reg_rejected(60.0, &mut phone, 404);
    scene.healthy(&mut c1(), 1.0, 100.0);
}

fn reg_423(scene: &mut Scene) {
    let mut phone = a1().expiring(30);
    let request = scene.register(0.0, &mut phone);
    let response = scene.registrar_response(&request, 423, &phone).with("Min-Expires", "60");
    let pbx = scene.pbx.clone();
    scene.send(0.005, &pbx, &phone, &response);
    phone.expires = 60;
    scene.reg_ok(0.05, &mut phone);
}

fn reg_423_given_up(scene: &mut Scene) {
    let mut phone = a1().expiring(30);
    // Once it waits longer than anybody waits for it to go on, once it asks again for as little.
    for at in [0.0, 60.0, 75.0] {
        let request = scene.register(at, &mut phone);
        let response = scene.registrar_response(&request, 423, &phone).with("Min-Expires", "60");
        let pbx = scene.pbx.clone();
        scene.send(at + 0.005, &pbx, &phone, &response);
    }
    scene.healthy(&mut c1(), 1.0, 130.0);
}

fn reg_silent_source(scene: &mut Scene) {
    let mut ignored = b1();
    let pbx = scene.pbx.clone();
    for at in [100.0, 160.0] {
        let request = scene.register_message(&mut ignored);
        scene.repeat(at, &schedule::CAPPED, &ignored, &pbx, &request);
    }
    let mut served = a1();
    for at in [0.0, 110.0, 140.0] {
        scene.reg_ok(at, &mut served);
    }
    scene.keepalives(&served, 20.0, 20.0, 260.0);
    scene.healthy(&mut c1(), 1.0, 260.0);
}

fn reg_401_lost(scene: &mut Scene) {
    let mut phone = b1();
    let pbx = scene.pbx.clone();
    let request = scene.register_message(&mut phone);
    scene.repeat(20.0, &schedule::CAPPED, &phone, &pbx, &request);
    for offset in schedule::CAPPED {
        let mut deaf = phone.clone();
        scene.reject(20.005 + offset, &mut deaf, &request, 401);
    }
    scene.healthy(&mut a1(), 0.0, 100.0);
}

fn reg_challenge_ignored(scene: &mut Scene) {
    let mut phone = a1();
    for at in [0.0, 20.0, 40.0] {
        phone.nonce = None;
        scene.reg_rejected(at, &mut phone, 401);
    }
    scene.healthy(&mut c1(), 1.0, 120.0);
}

/// The registrar wants SHA-256 of a phone that knows MD5 alone.
fn reg_sha256_alone(scene: &mut Scene) {
    let mut phone = a1();
    for at in [0.0, 20.0, 40.0] {
        phone.nonce = None;
        let request = scene.register(at, &mut phone);
        let nonce = scene.random.hex(8);
        let response = scene.registrar_response(&request, 401, &phone);
        let pbx = scene.pbx.clone();
        let response = response.with("WWW-Authenticate", challenge(&nonce).replace("MD5", "SHA-256"));
        scene.send(at + 0.005, &pbx, &phone, &response);
    }
    scene.healthy(&mut c1(), 1.0, 120.0);
}

/// Two servers behind one address, of which neither knows the nonces of the other: each REGISTER reaches the other one.
fn reg_nonce_stale_at_once(scene: &mut Scene) {
    let mut phone = a1();
    for at in [0.0, 60.0, 120.0] {
        phone.nonce = None;
        scene.reg_rejected(at, &mut phone, 401);
        for offset in [0.075, 0.150, 0.225] {
            let request = scene.register(at + offset, &mut phone);
            let nonce = scene.random.hex(8);
            let response = scene.registrar_response(&request, 401, &phone);
            let pbx = scene.pbx.clone();
            let response = response.with("WWW-Authenticate", format!("{}, stale=true", challenge(&nonce)));
            phone.take_nonce(nonce);
            scene.send(at + offset + 0.005, &pbx, &phone, &response);
        }
    }
    scene.healthy(&mut c1(), 1.0, 200.0);
}

/// A PBX with two addresses answers from the one that the phone did not ask.
fn reg_answered_elsewhere(scene: &mut Scene) {
    let mut phone = b1();
    let asked = scene.pbx.clone();
    for at in times(20.0, 60.0, 200.0) {
        let request = scene.register_message(&mut phone);
        scene.repeat(at, &schedule::CAPPED, &phone, &asked, &request);
        scene.pbx.outer = address("203.0.113.11:5060");
        for offset in schedule::CAPPED {
            let mut deaf = phone.clone();
            scene.reject(at + 0.005 + offset, &mut deaf, &request, 401);
        }
        scene.pbx = asked.clone();
    }
    scene.healthy(&mut a1(), 0.0, 240.0);
}

/// A phone that refreshes too late is called while the PBX does not hold it for registered any more.
fn reg_called_after_expiry(scene: &mut Scene) {
    let (mut phone, mut caller) = (a1().expiring(60), b1());
    scene.healthy(&mut caller, 1.0, 400.0);
    scene.reg_ok(0.0, &mut phone);
    for at in [50.0, 130.0, 180.0, 230.0, 280.0, 330.0, 380.0] {
        scene.refresh(at, &mut phone);
    }
    let mut bridge = Bridge::new(scene, &caller, &phone);
    bridge.invite(scene, 125.0);
    bridge.a.fail(scene, 125.06, 480, &[("X-Asterisk-HangupCauseCode", "20")]);
}

fn reg_expired_alive(scene: &mut Scene) {
    let mut phone = a1();
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 20.0, 20.0, 901.0);
    scene.healthy(&mut c1(), 1.0, 900.0);
}

fn reg_reboot(scene: &mut Scene) {
    let mut phone = a2();
    scene.reg_ok(0.0, &mut phone);
    unregister_all(scene, 100.0, &mut phone);
    phone.reboot();
    scene.reg_ok(130.0, &mut phone);
    scene.healthy(&mut c1(), 1.0, 200.0);
}

/// `Contact: *`, by which a phone clears every binding of its address-of-record; challenged unless the phone holds a nonce.
fn unregister_all(scene: &mut Scene, at: f64, phone: &mut Agent) {
    if phone.nonce.is_none() {
        let request = send_unregister_all(scene, at - 0.04, phone);
        scene.reject(at - 0.035, phone, &request, 401);
    }
    let request = send_unregister_all(scene, at, phone);
    let response = scene.registrar_response(&request, 200, phone);
    let pbx = scene.pbx.clone();
    scene.send(at + 0.015, &pbx, phone, &response);
}

fn send_unregister_all(scene: &mut Scene, at: f64, phone: &mut Agent) -> Message {
    let mut request = scene.register_message(phone);
    request.set("Contact", "*");
    request.set("Expires", "0");
    let pbx = scene.pbx.clone();
    scene.send(at, phone, &pbx, &request);
    request
}

/// The same account on two phones at two sites.
fn twins() -> (Agent, Agent) {
    let first = Agent::phone("1001", Brand::Snom, "192.168.1.20:5060", "198.51.100.7:40001");
    let second = Agent::phone("1001", Brand::Snom, "10.0.0.44:5060", "198.51.100.80:35061");
    (first.with_instance("0a7c1f52-aaaa-4a10-8000-000000000001"), second.with_instance("0a7c1f52-bbbb-4a10-8000-000000000002"))
}

fn reg_duplicate_evict(scene: &mut Scene) {
    let (mut first, mut second) = twins();
    for at in [0.0, 150.0, 300.0] {
        scene.reg_ok(at, &mut first);
    }
    for at in [60.0, 210.0] {
        scene.reg_ok(at, &mut second);
    }
}

fn reg_shared_ok(scene: &mut Scene) {
    let (mut first, mut second) = twins();
    scene.reg_ok(0.0, &mut first);
    for at in [150.0, 300.0] {
        let other = second.clone();
        scene.reg_ok_listing(at, &mut first, &[&other]);
    }
    for at in [60.0, 210.0] {
        let other = first.clone();
        scene.reg_ok_listing(at, &mut second, &[&other]);
    }
}

fn reg_nat_rebind(scene: &mut Scene) {
    let mut phone = a1();
    scene.reg_ok(0.0, &mut phone);
    phone.outer.set_port(40111);
    scene.refresh(150.0, &mut phone);
    scene.refresh(300.0, &mut phone);
}

fn reg_moved(scene: &mut Scene) {
    let (mut phone, elsewhere) = twins();
    scene.reg_ok(0.0, &mut phone);
    scene.reg_ok(150.0, &mut phone);
    phone.reboot();
    (phone.local, phone.written, phone.outer) = (elsewhere.local, elsewhere.written, elsewhere.outer);
    for at in [200.0, 350.0, 500.0, 650.0] {
        scene.reg_ok(at, &mut phone);
    }
}

fn reg_flap(scene: &mut Scene) {
    let mut phone = a1().expiring(60);
    for at in [0.0, 95.0, 190.0, 285.0] {
        scene.reg_ok(at, &mut phone);
    }
    scene.healthy(&mut c1(), 1.0, 340.0);
}

/// Phones spread evenly over sites of their own.
fn crowd(phones: usize, sites: usize) -> Vec<Agent> {
    let brands = [Brand::Yealink, Brand::Snom, Brand::Grandstream, Brand::Gigaset];
    let phone = |index: usize| {
        let (site, place) = (index % sites, index / sites);
        let local = format!("192.168.{site}.{}:5060", 20 + place);
        let outer = format!("198.18.{site}.1:{}", 40_000 + place);
        Agent::phone(&(4000 + index).to_string(), brands[index % brands.len()], &local, &outer)
    };
    (0..phones).map(phone).collect()
}

fn reg_storm_recovery(scene: &mut Scene) {
    let mut phones = crowd(500, 20);
    let pbx = scene.pbx.clone();
    for (index, phone) in phones.iter_mut().take(20).enumerate() {
        scene.reg_ok(index as f64 * 2.5, phone);
        let request = scene.register_message(phone);
        scene.repeat(61.0 + index as f64 * 0.4, &schedule::CAPPED, phone, &pbx, &request);
    }
    for (index, phone) in phones.iter_mut().enumerate() {
        scene.reg_ok(120.0 + index as f64 / 25.0, phone);
    }
    scene.healthy(&mut c1(), 142.0, 200.0);
}

/// One phone registers eight times a second.
fn reg_storm_of_one(scene: &mut Scene) {
    for (index, phone) in crowd(6, 2).iter_mut().enumerate() {
        scene.healthy(phone, index as f64, 200.0);
    }
    let mut phone = c1();
    scene.reg_ok(20.0, &mut phone);
    for at in times(120.0, 0.125, 160.0) {
        scene.refresh(at, &mut phone);
    }
}

/// The database of the registrar fails for 10 min: all phones are told so each time they refresh, some seconds apart, and then for minutes
/// nobody is. One of them was never known.
fn reg_errors_come_and_go(scene: &mut Scene) {
    let mut phones = crowd(14, 14);
    for (index, phone) in phones.iter_mut().enumerate() {
        let apart = index as f64 * 2.0;
        scene.reg_ok(apart, phone);
        for at in times(180.0, 180.0, 1400.0) {
            if (360.0..960.0).contains(&at) {
                scene.reg_rejected(at + apart, phone, 500);
            } else {
                scene.refresh(at + apart, phone);
            }
        }
    }
    for at in times(100.0, 120.0, 1400.0) {
        scene.reg_rejected(at, &mut c1(), 404);
    }
}

fn reg_mass_unregister(scene: &mut Scene) {
    let (mut first, mut second) = twins();
    scene.reg_ok(0.0, &mut first);
    unregister_all(scene, 60.0, &mut second);
    scene.reg_ok(62.0, &mut second);
    scene.healthy(&mut c1(), 1.0, 100.0);
}

/// The phone whose binding was removed registers again a minute later.
fn bindings_back(scene: &mut Scene) {
    let (mut first, mut second) = twins();
    scene.reg_ok(0.0, &mut first);
    unregister_all(scene, 60.0, &mut second);
    scene.reg_ok(120.0, &mut first);
    scene.healthy(&mut c1(), 1.0, 200.0);
}

fn reg_expires_forms(scene: &mut Scene) {
    // The request asks for 3600 in its header, the registrar grants 120 in the Contact and 60 in the header: the Contact counts.
    let mut phone = a1().expiring(3600);
    let pbx = scene.pbx.clone();
    let request = scene.register(0.0, &mut phone);
    let contact = format!("<{}>;expires=120, <sip:1001@192.0.2.200:5060>;expires=900", phone.contact_uri());
    let response = scene.registrar_response(&request, 200, &phone).with("Contact", contact).with("Expires", "60");
    scene.send(0.01, &pbx, &phone, &response);
    // The other phone asks in its Contact and is granted in the header alone.
    let mut other = a2();
    let mut request = scene.register_message(&mut other);
    request.set("Contact", &format!("{};expires=200", other.binding()));
    scene.send(1.0, &other, &pbx, &request);
    let response = scene.registrar_response(&request, 200, &other).with("Contact", other.contact()).with("Expires", "180");
    scene.send(1.01, &pbx, &other, &response);
    scene.keepalives(&phone, 20.0, 20.0, 100.0);
    scene.keepalives(&other, 21.0, 20.0, 100.0);
}

fn reg_tcp(scene: &mut Scene) {
    let mut phone = b1().over_tcp();
    scene.reg_ok(0.1, &mut phone);
    scene.refresh(150.0, &mut phone);
    let pbx = scene.pbx.outer;
    for at in times(90.0, 90.0, 290.0) {
        scene.stream(at, phone.outer, pbx, &[b"\r\n\r\n"]);
        scene.stream(at + 0.005, pbx, phone.outer, &[b"\r\n"]);
    }
    scene.unregister(295.0, &mut phone);
    scene.hang_up(296.0, phone.outer, pbx);
}

fn reg_ipv6(scene: &mut Scene) {
    scene.pbx = Agent::server("pbx", Brand::Asterisk, "[2001:db8:5::10]:5060");
    let mut phone = Agent::phone("6001", Brand::Yealink, "[2001:db8:1:2::20]:5060", "[2001:db8:1:2::20]:5060");
    scene.reg_ok(0.0, &mut phone);
    scene.refresh(150.0, &mut phone);
    scene.qualify(160.0, &phone);
}

fn site_30_phones(scene: &mut Scene) {
    for index in 0..30 {
        let local = format!("192.168.7.{}:5060", 20 + index);
        let outer = format!("198.51.100.7:{}", 41_000 + index);
        let mut phone = Agent::phone(&(1100 + index).to_string(), Brand::Yealink, &local, &outer);
        scene.reg_ok(f64::from(index) / 3.0, &mut phone);
    }
    scene.healthy(&mut c1(), 1.0, 60.0);
}

/// A phone of a site with many, each on a port of its own.
fn phone_at_site(index: u8) -> Agent {
    let (local, outer) = (format!("192.168.7.{}:5060", 20 + index), format!("198.51.100.7:{}", 41_000 + u16::from(index)));
    Agent::phone(&(1100 + u16::from(index)).to_string(), Brand::Yealink, &local, &outer)
}

/// Twelve phones of a site are registered; then the registrar refuses what it took before, as after a database was restored.
fn site_credentials_refused(scene: &mut Scene) {
    scene.healthy(&mut c1(), 1.0, 420.0);
    for index in 0..12 {
        let mut phone = phone_at_site(index);
        let begin = f64::from(index) / 3.0;
        scene.healthy(&mut phone, begin, 200.0);
        for at in times(240.0 + begin, 60.0, 420.0) {
            phone.nonce = None;
            scene.reg_rejected(at, &mut phone, 401);
            scene.reg_rejected(at + 0.075, &mut phone, 401);
        }
        for at in times(210.0 + begin, 60.0, 420.0) {
            scene.qualify(at, &phone);
        }
    }
}

/// From the address of a site with two registered phones somebody tries users that never registered there.
fn site_tries_users(scene: &mut Scene) {
    scene.healthy(&mut c1(), 1.0, 200.0);
    scene.healthy(&mut phone_at_site(0), 0.0, 200.0);
    scene.healthy(&mut phone_at_site(1), 0.5, 200.0);
    for index in 2..14 {
        scene.reg_rejected(60.0 + f64::from(index), &mut phone_at_site(index), 403);
    }
}

/// One refusal, then the right password.
fn reg_typo_once(scene: &mut Scene) {
    let mut phone = a1();
    scene.reg_rejected(0.0, &mut phone, 401);
    scene.reg_rejected(0.075, &mut phone, 401);
    scene.healthy(&mut phone, 40.0, 120.0);
    scene.healthy(&mut c1(), 1.0, 120.0);
}

/// An overload that has passed at the next attempt.
fn reg_503_once(scene: &mut Scene) {
    let mut phone = a1();
    scene.reg_rejected(0.0, &mut phone, 503);
    scene.healthy(&mut phone, 30.0, 120.0);
    scene.healthy(&mut c1(), 1.0, 120.0);
}

/// The refresh comes 20 s after the registration ran out.
fn reg_refresh_late(scene: &mut Scene) {
    let mut phone = a1();
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 20.0, 20.0, 500.0);
    scene.refresh(320.0, &mut phone);
    scene.healthy(&mut c1(), 1.0, 500.0);
}

/// Three transmissions of a REGISTER are lost, the fourth is answered.
fn reg_answered_late(scene: &mut Scene) {
    let mut phone = b1();
    scene.healthy(&mut c1(), 1.0, 120.0);
    let pbx = scene.pbx.clone();
    let request = scene.register_message(&mut phone);
    scene.repeat(20.0, &[0.0, 0.5, 1.5, 3.5], &phone, &pbx, &request);
    scene.reject(23.505, &mut phone, &request, 401);
    let request = scene.register(23.54, &mut phone);
    scene.accept(23.55, &phone, &request, &[]);
    scene.upkeep(&mut phone, 23.0, 120.0);
}

/// A phone at a site of its own.
fn phone_of(user: u8) -> Agent {
    Agent::phone(&format!("12{user:02}"), Brand::Snom, &format!("192.168.9.{user}:5060"), &format!("198.51.100.{}:40700", 20 + user))
}

/// Phones whose registrar answers, and the capture misses one answer of each: none of them sends a REGISTER again.
fn reg_answer_missed(scene: &mut Scene) {
    scene.healthy(&mut c1(), 1.0, 660.0);
    // The refresh, near the end of what was granted.
    let mut refreshed = phone_of(1);
    scene.reg_ok(0.0, &mut refreshed);
    scene.register(270.0, &mut refreshed);
    scene.refresh(540.0, &mut refreshed);
    scene.keepalives(&refreshed, 20.0, 20.0, 660.0);
    // The same; then the phone is gone, and what it can have been granted runs out.
    let mut gone = phone_of(2);
    scene.reg_ok(2.0, &mut gone);
    scene.register(272.0, &mut gone);
    scene.keepalives(&gone, 22.0, 20.0, 420.0);
    // Two refreshes in a row.
    let mut twice = phone_of(3);
    scene.reg_ok(4.0, &mut twice);
    scene.register(274.0, &mut twice);
    scene.register(544.0, &mut twice);
    scene.keepalives(&twice, 24.0, 20.0, 660.0);
    // The first acceptance.
    let mut first = phone_of(4);
    scene.reg_rejected(500.0, &mut first, 401);
    scene.register(500.075, &mut first);
    scene.keepalives(&first, 520.0, 20.0, 660.0);
    // The challenge.
    let mut challenged = phone_of(5);
    scene.register(502.0, &mut challenged);
    challenged.take_nonce("5cf1a90e".to_owned());
    scene.refresh(502.075, &mut challenged);
    scene.keepalives(&challenged, 522.0, 20.0, 660.0);
    // What the registrar said when the phone logged off.
    let mut logged_off = phone_of(6);
    scene.reg_ok(200.0, &mut logged_off);
    scene.log_off(300.0, &mut logged_off);
}

/// The refresh of a registered phone is sent again until it gives up, while others are served.
fn reg_refresh_ignored(scene: &mut Scene) {
    scene.healthy(&mut c1(), 1.0, 240.0);
    scene.healthy(&mut a2(), 3.0, 240.0);
    let mut ignored = b1();
    scene.reg_ok(0.0, &mut ignored);
    let request = scene.register_message(&mut ignored);
    let pbx = scene.pbx.clone();
    scene.repeat(150.0, &schedule::CAPPED, &ignored, &pbx, &request);
    scene.keepalives(&ignored, 20.0, 20.0, 240.0);
}

/// Each of two phones is refused once with 403: one gave credentials, the other was not asked for any.
fn reg_403_once(scene: &mut Scene) {
    let mut typo = a1();
    scene.reg_rejected(20.0, &mut typo, 401);
    let request = scene.register(20.075, &mut typo);
    refuse(scene, 20.08, &typo, &request, "403 Wrong password", &[]);
    scene.reg_rejected(22.0, &mut b1(), 403);
    scene.healthy(&mut c1(), 1.0, 100.0);
}

/// A registrar that asks for no credentials, and takes no further contact of the user.
fn reg_403_unchallenged(scene: &mut Scene) {
    scene.healthy(&mut c1(), 1.0, 160.0);
    let mut phone = a1();
    for at in [20.0, 80.0] {
        let request = scene.register(at, &mut phone);
        refuse(scene, at + 0.005, &phone, &request, "403 Forbidden", &[("Warning", "399 pbx \"Maximum number of contacts reached\"")]);
    }
}

/// No challenge reaches the phone, however often it tries.
fn reg_401_lost_always(scene: &mut Scene) {
    let mut phone = b1();
    let pbx = scene.pbx.clone();
    for at in times(20.0, 60.0, 360.0) {
        let request = scene.register_message(&mut phone);
        scene.repeat(at, &schedule::CAPPED, &phone, &pbx, &request);
        for offset in schedule::CAPPED {
            let mut deaf = phone.clone();
            scene.reject(at + 0.005 + offset, &mut deaf, &request, 401);
        }
    }
    scene.healthy(&mut a1(), 0.0, 400.0);
}

/// The capture misses REGISTERs and has all that the registrar answers.
fn reg_refresh_uncaptured(scene: &mut Scene) {
    scene.healthy(&mut c1(), 1.0, 1000.0);
    scene.healthy(&mut b1(), 2.0, 1000.0);
    // Both REGISTERs of a refresh; the next one is captured again.
    let mut phone = a1();
    scene.reg_ok(0.0, &mut phone);
    phone.nonce = None;
    let request = scene.register_message(&mut phone);
    scene.reject(150.005, &mut phone, &request, 401);
    let request = scene.register_message(&mut phone);
    scene.accept(150.09, &phone, &request, &[]);
    for at in [430.0, 580.0, 730.0, 880.0] {
        scene.refresh(at, &mut phone);
    }
    scene.keepalives(&phone, 20.0, 20.0, 1000.0);
    // Those with credentials alone, again and again.
    let mut other = a2();
    scene.reg_ok(3.0, &mut other);
    for at in times(153.0, 150.0, 1000.0) {
        other.nonce = None;
        scene.reg_rejected(at, &mut other, 401);
        let request = scene.register_message(&mut other);
        scene.accept(at + 0.09, &other, &request, &[]);
    }
    scene.keepalives(&other, 23.0, 20.0, 1000.0);
}

/// A phone does not register any more. A stranger says that it did, and so does the PBX of another user there.
fn reg_renewal_forged(scene: &mut Scene) {
    scene.healthy(&mut c1(), 1.0, 500.0);
    let mut phone = a1();
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 20.0, 20.0, 500.0);
    let request = scene.register_message(&mut phone);
    let forged = scene.registrar_response(&request, 200, &phone).with("Contact", format!("<{}>;expires=3600", phone.contact_uri()));
    let stranger = Agent::server("stranger", Brand::Asterisk, "192.0.2.66:5060");
    scene.send(150.0, &stranger, &phone, &forged);
    let mut neighbour = Agent { user: "1003".to_owned(), ..phone.clone() };
    let request = scene.register_message(&mut neighbour);
    let of_another = scene.registrar_response(&request, 200, &phone).with("Contact", format!("<{}>;expires=3600", phone.contact_uri()));
    let pbx = scene.pbx.clone();
    scene.send(160.0, &pbx, &phone, &of_another);
}

/// Refusals that say more than their status does.
fn reg_refused_in_words(scene: &mut Scene) {
    scene.healthy(&mut c1(), 1.0, 160.0);
    let mut typo = a1();
    for (at, line) in [(20.0, "403 Wrong password"), (80.0, "401 Credentials are wrong")] {
        typo.nonce = None;
        scene.reg_rejected(at, &mut typo, 401);
        let request = scene.register(at + 0.075, &mut typo);
        let challenge = challenge(&format!("{:08x}", at as u32));
        refuse(scene, at + 0.08, &typo, &request, line, &[("WWW-Authenticate", &challenge)]);
    }
    let mut refused = b1();
    for at in [22.0, 82.0] {
        let request = scene.register(at, &mut refused);
        let why = [("Retry-After", "120"), ("Warning", "399 pbx \"database is away\"")];
        refuse(scene, at + 0.005, &refused, &request, "503 Service Unavailable", &why);
    }
}

/// The registrar's answer with a status line of its own.
fn refuse(scene: &mut Scene, at: f64, phone: &Agent, request: &Message, line: &str, headers: &[(&str, &str)]) {
    let response = scene.registrar_response(request, 400, phone).saying(line).with_all(headers);
    let pbx = scene.pbx.clone();
    scene.send(at, &pbx, phone, &response);
}

/// A phone that registers a telephone number, which names no host.
fn reg_tel(scene: &mut Scene) {
    let mut phone = a1();
    let pbx = scene.pbx.clone();
    for (at, status) in [(0.0, 401), (0.075, 200)] {
        let mut request = scene.register_message(&mut phone);
        request.set("To", "<tel:+4930555011>");
        request.set("From", "<tel:+4930555011>;tag=9fxced76sl");
        scene.send(at, &phone, &pbx, &request);
        match status {
            200 => scene.accept(at + 0.015, &phone, &request, &[]),
            _ => scene.reject(at + 0.005, &mut phone, &request, status),
        }
    }
    scene.keepalives(&phone, 20.0, 20.0, 100.0);
}

/// Three calls to a user whom the PBX does not call: it answers `status`, without a cause.
fn refused_calls(scene: &mut Scene, phone: &Agent, status: u16) {
    let mut caller = b1();
    scene.healthy(&mut caller, 0.0, 240.0);
    for at in [100.0, 130.0, 160.0] {
        let mut bridge = Bridge::new(scene, &caller, phone);
        bridge.invite(scene, at);
        bridge.a.fail(scene, at + 0.06, status, &[]);
    }
}

/// The connection over which a phone registered ends, and the phone does not open another one.
fn reg_tcp_lost(scene: &mut Scene) {
    reg_tcp_lost_with(scene, 480);
}

/// The same, with a PBX that cannot open one to the phone either and says so as most do.
fn reg_tcp_lost_503(scene: &mut Scene) {
    reg_tcp_lost_with(scene, 503);
}

fn reg_tcp_lost_with(scene: &mut Scene, status: u16) {
    let mut phone = a1().over_tcp();
    scene.reg_ok(1.0, &mut phone);
    let pbx = scene.pbx.outer;
    scene.hang_up(60.0, phone.outer, pbx);
    refused_calls(scene, &phone, status);
}

/// Two lines of a phone register over one connection, which ends; the first of them has logged off before.
fn reg_tcp_shared_lost(scene: &mut Scene) {
    let mut line = a1().over_tcp();
    let mut other = Agent { user: "1009".to_owned(), ..line.clone() };
    scene.reg_ok(1.0, &mut other);
    scene.reg_ok(2.0, &mut line);
    scene.unregister(30.0, &mut other);
    let pbx = scene.pbx.outer;
    scene.hang_up(60.0, line.outer, pbx);
    refused_calls(scene, &line, 480);
}

/// The phone opens another connection at once and registers over it; it is its user who does not want to be disturbed.
fn reg_tcp_renewed(scene: &mut Scene) {
    let mut phone = a1().over_tcp();
    scene.reg_ok(1.0, &mut phone);
    let pbx = scene.pbx.outer;
    scene.hang_up(60.0, phone.outer, pbx);
    phone.outer.set_port(40_777);
    scene.refresh(61.0, &mut phone);
    refused_calls(scene, &phone, 480);
}
