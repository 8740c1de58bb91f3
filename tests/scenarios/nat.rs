//! NAT and reachability: bindings that die too early, and what only looks like it.

use super::scenarios;
use crate::support::agent::address;
use crate::support::agent::cast::{a1, a2, b1, c1, l1, pbx};
use crate::support::call::Bridge;
use crate::support::scene::schedule::{self, QUALIFY, QUALIFY_CHAN_SIP};
use crate::support::upkeep::times;
use crate::support::{Agent, Brand, Leg, Scene, Side};

scenarios! {
    "nat-gap-pjsip" => nat_gap_pjsip,
    "nat-gap-chan_sip" => nat_gap_chan_sip,
    "nat-invite-lost-t1-100" => nat_invite_lost_t1_100,
    "nat-linux-two-stage" => nat_linux_two_stage,
    "nat-ok" => nat_ok,
    "nat-steady-neighbour" => nat_steady_neighbour,
    "nat-phone-sleeps" => nat_phone_sleeps,
    "reboot-not-nat" => reboot_not_nat,
    "lan-sleep-sawtooth" => lan_sleep_sawtooth,
    "site-ip-change" => site_ip_change,
    "privacy-addresses" => privacy_addresses,
    "prefix-changes" => prefix_changes,
    "options-unsupported" => options_unsupported,
    "stale-target" => stale_target,
    "keepalive-missing" => keepalive_missing,
    "alg-partial-rewrite" => alg_partial_rewrite,
    "stun-phone" => stun_phone,
    "s4-7-experiment" => s4_7_experiment,
    "lagged" => lagged,
    "random-loss" => random_loss,
    "qualify-retransmitted" => qualify_retransmitted,
    "nat-two-stage-unchanged" => nat_two_stage_unchanged,
    "nat-mended" => nat_mended,
    "keepalives-shortened" => keepalives_shortened,
    "keepalive-shortened-by-one" => keepalive_shortened_by_one,
    "probe-lost-once" => probe_lost_once,
    "probes-ignored-among-others" => probes_ignored_among_others,
    "dead-server-first" => dead_server_first,
    "pbx-pings-one-way" => pbx_pings_one_way,
    "nat-shorter-than-thought" => nat_shorter_than_thought,
    "address-learned-from-answers" => address_learned_from_answers,
    "site-line-lost" => site_line_lost,
    "site-forgotten-at-once" => site_forgotten_at_once,
    "site-line-lost-unasked" => site_line_lost_unasked,
    "phone-unplugged" => phone_unplugged,
    "satellite" => satellite,
    "port-per-registration" => port_per_registration,
    "port-after-long-silence" => port_after_long_silence,
}

/// Registers a phone and refreshes it at half time, without keep-alive or qualify.
fn registered(scene: &mut Scene, phone: &mut Agent, from: f64, until: f64) {
    scene.reg_ok(from, phone);
    let half = f64::from(phone.expires) / 2.0;
    for at in times(from + half, half, until) {
        scene.refresh(at, phone);
    }
}

/// A call of `caller` that the phone answers at once.
fn delivered(scene: &mut Scene, at: f64, caller: &Agent, phone: &Agent) {
    Bridge::new(scene, caller, phone).ordinary(scene, at, 0.6, 2.0, Side::Callee);
}

/// A call of `caller` whose INVITE the phone gets only at `reached` seconds, if ever.
fn lost(scene: &mut Scene, at: f64, caller: &Agent, phone: &Agent, reached: Option<f64>) {
    let mut bridge = Bridge::new(scene, caller, phone);
    bridge.invite(scene, at - 0.05);
    let until = reached.unwrap_or(32.0);
    let offsets: Vec<f64> = schedule::INVITE.into_iter().filter(|offset| *offset <= until).collect();
    bridge.b.invite_repeated(scene, at, &offsets, &[]);
    match reached {
        None => bridge.a.fail(scene, at + 32.0, 480, &[("X-Asterisk-HangupCauseCode", "18")]),
        Some(delay) => {
            bridge.b.progress(scene, at + delay + 0.03, 180);
            bridge.a.progress(scene, at + delay + 0.035, 180);
            bridge.answer(scene, at + delay + 2.0);
            bridge.bye(scene, at + delay + 5.0, Side::Callee);
        }
    }
}

fn nat_gap_pjsip(scene: &mut Scene) {
    let mut phone = a1().expiring(1200);
    registered(scene, &mut phone, 0.0, 640.0);
    scene.keepalives(&phone, 60.0, 60.0, 640.0);
    for at in times(45.0, 60.0, 600.0) {
        scene.qualify_lost(at, &QUALIFY, &phone);
    }
    scene.healthy(&mut b1(), 1.0, 640.0);
    // Another site answers within 10 s of each probe.
    for at in times(46.0, 60.0, 640.0) {
        scene.qualify(at, &b1());
    }
}

fn nat_gap_chan_sip(scene: &mut Scene) {
    let (mut phone, mut caller) = (a1().expiring(3600), b1());
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 60.0, 60.0, 3601.0);
    scene.healthy(&mut caller, 1.0, 3600.0);
    scene.qualify_lost(45.0, &QUALIFY_CHAN_SIP, &phone);
    let probe = scene.qualify_message(&phone);
    scene.qualify_answered(59.0, &[0.0, 0.5, 1.5], &phone, &probe, 1.53);
    for (index, at) in times(120.53, 60.03, 3590.0).enumerate() {
        scene.qualify(at, &phone);
        // The other site is asked in the same seconds, so that the server is known to be well.
        scene.qualify(at + 1.0 + index as f64 * 0.01, &caller);
    }
    for at in [46.0, 60.0, 226.0, 341.0] {
        scene.qualify(at, &caller);
    }
    lost(scene, 225.0, &caller, &phone, Some(15.5));
    lost(scene, 340.0, &caller, &phone, Some(31.5));
    for at in [445.0, 506.0, 567.0] {
        delivered(scene, at, &caller, &phone);
    }
}

fn nat_invite_lost_t1_100(scene: &mut Scene) {
    let (mut phone, mut caller) = (a1(), b1());
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 60.0, 60.0, 130.0);
    scene.healthy(&mut caller, 1.0, 140.0);
    scene.healthy(&mut c1(), 2.0, 140.0);
    scene.qualify(41.0, &caller);
    let mut bridge = Bridge::new(scene, &caller, &phone);
    bridge.invite(scene, 39.95);
    bridge.b.invite_repeated(scene, 40.0, &schedule::INVITE_QUICK, &[]);
    bridge.a.fail(scene, 46.4, 480, &[("X-Asterisk-HangupCauseCode", "18")]);
}

fn nat_linux_two_stage(scene: &mut Scene) {
    let (mut phone, mut caller) = (a1().expiring(3600), b1());
    scene.healthy(&mut caller, 1.0, 1200.0);
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 120.0, 120.0, 1200.0);
    // One way only, the binding lasts 30 s.
    lost(scene, 160.0, &caller, &phone, None);
    lost(scene, 285.0, &caller, &phone, None);
    for at in [161.0, 286.0] {
        scene.qualify(at, &caller);
    }
    // An exchange more than 2 s after the binding was made lets it last 120 s.
    scene.qualify(365.0, &phone);
    delivered(scene, 550.0, &caller, &phone);
    scene.qualify(605.0, &phone);
    delivered(scene, 820.0, &caller, &phone);
}

fn nat_steady_neighbour(scene: &mut Scene) {
    let mut steady = Agent::phone("1003", Brand::Snom, "192.168.1.22:5060", "198.51.100.7:40003").expiring(1200);
    for (index, mut phone) in [a1().expiring(1200), a2().expiring(1200)].into_iter().enumerate() {
        let shift = index as f64;
        registered(scene, &mut phone, shift, 640.0);
        scene.keepalives(&phone, 60.0 + shift, 60.0, 640.0);
        for at in times(45.0 + shift, 60.0, 600.0) {
            scene.qualify_lost(at, &QUALIFY, &phone);
        }
    }
    registered(scene, &mut steady, 2.0, 640.0);
    scene.keepalives(&steady, 22.0, 20.0, 640.0);
    for at in times(39.0, 60.0, 640.0) {
        scene.qualify(at, &steady);
    }
    scene.healthy(&mut b1(), 1.0, 640.0);
    for at in times(46.5, 60.0, 640.0) {
        scene.qualify(at, &b1());
    }
}

fn nat_phone_sleeps(scene: &mut Scene) {
    let (mut sleeper, mut neighbour) = (a1().expiring(3600), a2().expiring(3600));
    scene.reg_ok(0.0, &mut sleeper);
    for awake in [0.0, 200.0, 400.0, 600.0] {
        scene.keepalives(&sleeper, awake + 20.0, 20.0, awake + 101.0);
        scene.qualify(awake + 50.0, &sleeper);
        if awake < 600.0 {
            scene.qualify_lost(awake + 150.0, &QUALIFY_CHAN_SIP, &sleeper);
        }
    }
    scene.reg_ok(1.0, &mut neighbour);
    scene.keepalives(&neighbour, 21.0, 20.0, 701.0);
    for at in times(52.0, 50.0, 700.0) {
        scene.qualify(at, &neighbour);
    }
    scene.healthy(&mut b1(), 2.0, 700.0);
    for at in times(53.0, 50.0, 700.0) {
        scene.qualify(at, &b1());
    }
}

fn nat_ok(scene: &mut Scene) {
    let (mut phone, mut caller) = (a1().expiring(1200), b1());
    registered(scene, &mut phone, 0.0, 3600.0);
    scene.keepalives(&phone, 60.0, 60.0, 3600.0);
    scene.healthy(&mut caller, 1.0, 3600.0);
    for (index, at) in times(120.0, 300.0, 3500.0).enumerate() {
        let age = [10.0, 25.0, 40.0, 50.0, 59.0][index % 5];
        scene.qualify(at + age, &phone);
    }
    for (at, age) in [(180.0, 45.0), (1080.0, 59.0), (2220.0, 55.0)] {
        delivered(scene, at + age, &caller, &phone);
    }
}

fn reboot_not_nat(scene: &mut Scene) {
    let mut phone = a1();
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 60.0, 60.0, 121.0);
    scene.qualify(70.0, &phone);
    for at in times(130.0, 14.0, 190.0) {
        scene.qualify_lost(at, &QUALIFY_CHAN_SIP, &phone);
    }
    phone.reboot();
    scene.reg_ok(200.0, &mut phone);
    scene.qualify(201.0, &phone);
    scene.keepalives(&phone, 260.0, 60.0, 300.0);
    scene.qualify(261.0, &phone);
    scene.healthy(&mut b1(), 1.0, 300.0);
    scene.healthy(&mut c1(), 2.0, 300.0);
}

fn lan_sleep_sawtooth(scene: &mut Scene) {
    let mut phone = l1().expiring(3600);
    scene.reg_ok(0.0, &mut phone);
    scene.healthy(&mut b1(), 1.0, 800.0);
    for cycle in times(10.0, 74.0, 740.0) {
        scene.qualify(cycle, &phone);
        scene.qualify_lost(cycle + 60.0, &QUALIFY_CHAN_SIP, &phone);
    }
}

fn site_ip_change(scene: &mut Scene) {
    let (mut first, mut second, mut caller) = (a1(), a2(), b1());
    scene.healthy(&mut caller, 0.0, 540.0);
    scene.healthy(&mut c1(), 1.0, 540.0);
    scene.healthy(&mut first, 2.0, 300.0);
    scene.healthy(&mut second, 3.0, 300.0);
    lost(scene, 350.0, &caller, &first, None);
    for (phone, at) in [(&mut first, 420.0), (&mut second, 421.0)] {
        phone.outer = address(&format!("198.51.100.9:{}", phone.outer.port()));
        scene.reg_ok(at, phone);
        scene.upkeep(phone, at, 540.0);
    }
}

/// Three IPv6 phones of a site, which come from other addresses after 300 s.
fn take_addresses(scene: &mut Scene, prefix: &str) {
    scene.pbx = Agent::server("pbx", Brand::Asterisk, "[2001:db8:5::10]:5060");
    for index in 0..3 {
        let place = format!("[2001:db8:1:2:aaaa::{index}]:5060");
        let mut phone = Agent::phone(&format!("600{index}"), Brand::Yealink, &place, &place);
        scene.healthy(&mut phone, 1.0 + f64::from(index), 300.0);
        let place = address(&format!("[{prefix}:bbbb::{index}]:5060"));
        (phone.local, phone.written, phone.outer) = (place, place, place);
        let at = 310.0 + f64::from(index);
        scene.reg_ok(at, &mut phone);
        scene.upkeep(&mut phone, at, 540.0);
    }
}

/// All phones of a site take new privacy addresses.
fn privacy_addresses(scene: &mut Scene) {
    take_addresses(scene, "2001:db8:1:2");
}

/// The site gets another prefix.
fn prefix_changes(scene: &mut Scene) {
    take_addresses(scene, "2001:db8:1:3");
}

fn options_unsupported(scene: &mut Scene) {
    let (mut phone, mut caller) = (a1().expiring(3600), b1());
    scene.healthy(&mut caller, 0.0, 700.0);
    scene.reg_ok(1.0, &mut phone);
    scene.keepalives(&phone, 60.0, 60.0, 700.0);
    for at in times(40.0, 14.0, 680.0) {
        scene.qualify_lost(at, &QUALIFY_CHAN_SIP, &phone);
    }
    for at in [110.0, 230.0, 410.0, 590.0] {
        delivered(scene, at, &caller, &phone);
    }
}

fn stale_target(scene: &mut Scene) {
    let (mut phone, mut caller) = (a1(), b1());
    scene.healthy(&mut caller, 1.0, 260.0);
    scene.healthy(&mut c1(), 2.0, 260.0);
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 20.0, 20.0, 90.0);
    let old = phone.clone();
    phone.outer.set_port(40111);
    scene.keepalives(&phone, 100.0, 20.0, 260.0);
    lost(scene, 110.0, &caller, &old, None);
    scene.refresh(150.0, &mut phone);
    delivered(scene, 160.0, &caller, &phone);
}

fn keepalive_missing(scene: &mut Scene) {
    let (mut phone, mut caller) = (a1().expiring(3600), b1().expiring(1200));
    scene.healthy(&mut caller, 0.0, 5460.0);
    registered(scene, &mut phone, 1.0, 5460.0);
    for at in [301.0, 2501.0, 4501.0] {
        lost(scene, at, &caller, &phone, None);
        scene.qualify(at + 3.0, &caller);
    }
}

/// A call whose session description the router rewrote in part, and whose length no longer fits.
fn alg_partial_rewrite(scene: &mut Scene) {
    let mut phone = a1();
    phone.written = phone.outer;
    scene.healthy(&mut phone, 0.0, 100.0);
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, &phone, &pbx, "1001", "900");
    leg.prepare_invite(scene, &[]);
    let length = phone.sdp(1).len() + 8;
    leg.invite = leg.invite.clone().with("Content-Length", length.to_string());
    scene.send(10.0, &phone, &pbx, &leg.invite.clone());
    leg.progress(scene, 10.005, 100);
    leg.progress(scene, 10.2, 180);
    leg.answer(scene, 12.0, &[]);
    leg.bye(scene, 42.0, Side::Caller);
}

fn stun_phone(scene: &mut Scene) {
    let mut phone = a1();
    phone.written = phone.outer;
    scene.healthy(&mut phone, 0.0, 100.0);
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, &phone, &pbx, "1001", "900");
    leg.invite(scene, 10.0, &[]);
    leg.progress(scene, 10.2, 180);
    leg.answer(scene, 12.0, &[]);
    leg.bye(scene, 42.0, Side::Caller);
}

fn s4_7_experiment(scene: &mut Scene) {
    let mut phone = a1().expiring(3600);
    scene.reg_ok(0.0, &mut phone);
    scene.healthy(&mut b1(), 1.0, 1830.0);
    scene.keepalives(&phone, 60.0, 60.0, 901.0);
    for at in times(45.0, 60.0, 900.0) {
        scene.qualify_lost(at, &QUALIFY, &phone);
        scene.qualify(at + 1.0, &b1());
    }
    scene.keepalives(&phone, 925.0, 25.0, 1830.0);
    for at in times(945.0, 60.0, 1830.0) {
        scene.qualify(at, &phone);
    }
}

fn lagged(scene: &mut Scene) {
    let mut phone = a1();
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 20.0, 20.0, 100.0);
    scene.healthy(&mut c1(), 1.0, 110.0);
    let pbx = scene.pbx.clone();
    for at in [31.0, 51.0, 71.0, 91.0] {
        let probe = scene.qualify_message(&phone);
        scene.qualify_answered(at, &QUALIFY, &phone, &probe, 2.5);
        let tag = phone.tag(&mut scene.random);
        for offset in [0.5, 1.5] {
            let response = phone.introduce(probe.response(200, pbx.outer, &tag));
            scene.send(at + offset + 2.5, &phone, &pbx, &response);
        }
    }
}

fn random_loss(scene: &mut Scene) {
    let mut phone = a1().expiring(3600);
    registered(scene, &mut phone, 0.0, 3130.0);
    scene.keepalives(&phone, 25.0, 25.0, 3130.0);
    scene.healthy(&mut b1(), 1.0, 3130.0);
    for index in 0..300 {
        let at = 30.0 + f64::from(index) * 10.0 + scene.random.unit() * 4.0;
        let probe = scene.qualify_message(&phone);
        match scene.random.below(100) {
            0..8 => scene.qualify_answered(at, &[0.0, 0.5], &phone, &probe, 0.53),
            _ => scene.qualify_answered(at, &[0.0], &phone, &probe, 0.03),
        }
    }
}

/// Each fourth probe is answered at its third transmission only.
fn qualify_retransmitted(scene: &mut Scene) {
    let mut phone = a1().expiring(3600);
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 20.0, 20.0, 600.0);
    scene.healthy(&mut b1(), 1.0, 600.0);
    for (index, at) in times(25.0, 60.0, 600.0).enumerate() {
        let probe = scene.qualify_message(&phone);
        match index % 4 {
            3 => scene.qualify_answered(at, &[0.0, 0.5, 1.5], &phone, &probe, 1.53),
            _ => scene.qualify_answered(at, &[0.0], &phone, &probe, 0.03),
        }
    }
}

/// A NAT of two stages that stays as it is: what arrives at streams does not mend one-way bindings.
fn nat_two_stage_unchanged(scene: &mut Scene) {
    let (mut phone, mut caller) = (a1().expiring(3600), b1());
    scene.healthy(&mut caller, 1.0, 1900.0);
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 120.0, 120.0, 1900.0);
    for at in [160.0, 285.0] {
        lost(scene, at, &caller, &phone, None);
        scene.qualify(at + 1.0, &caller);
    }
    for (index, at) in times(365.0, 240.0, 1700.0).enumerate() {
        scene.qualify(at, &phone);
        delivered(scene, at + 185.0 + index as f64 * 3.0, &caller, &phone);
    }
}

/// A NAT whose one lifetime was raised from 30 s after ten minutes.
fn nat_mended(scene: &mut Scene) {
    let mut phone = a1().expiring(3600);
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 60.0, 60.0, 1200.0);
    scene.healthy(&mut b1(), 1.0, 1210.0);
    for at in times(65.0, 60.0, 1200.0) {
        scene.qualify(at, &phone);
        if at < 600.0 {
            scene.qualify_lost(at + 40.0, &QUALIFY, &phone);
        } else {
            scene.qualify(at + 50.0, &phone);
        }
        scene.qualify(at + 41.0, &b1());
    }
}

/// A phone behind a NAT of 30 s that sends keep-alives each 60 s, and from some time on each 20 s.
fn shortened(scene: &mut Scene, phone: &mut Agent, from: f64, changed: f64, until: f64) {
    scene.reg_ok(from, phone);
    let changed = from + changed;
    scene.keepalives(phone, from + 60.0, 60.0, changed.min(until));
    scene.keepalives(phone, changed + 20.0, 20.0, until);
    for at in times(from + 70.0, 60.0, until) {
        scene.qualify(at, phone);
        if at < changed {
            scene.qualify_lost(at + 35.0, &QUALIFY, phone);
        } else {
            scene.qualify(at + 28.0, phone);
        }
        scene.qualify(at + 36.0, &b1());
    }
}

fn keepalives_shortened(scene: &mut Scene) {
    scene.healthy(&mut b1(), 1.0, 1500.0);
    shortened(scene, &mut a1().expiring(3600), 0.0, 900.0, 1500.0);
    shortened(scene, &mut a2().expiring(3600), 32.0, 900.0, 1500.0);
}

fn keepalive_shortened_by_one(scene: &mut Scene) {
    scene.healthy(&mut b1(), 1.0, 1500.0);
    shortened(scene, &mut a1().expiring(3600), 0.0, 900.0, 1500.0);
    shortened(scene, &mut a2().expiring(3600), 32.0, 1500.0, 1500.0);
}

/// One probe of many is lost, soon after a packet of the phone.
fn probe_lost_once(scene: &mut Scene) {
    let mut phone = a1().expiring(3600);
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 20.0, 20.0, 600.0);
    scene.healthy(&mut b1(), 1.0, 600.0);
    for (index, at) in times(24.0, 15.0, 590.0).enumerate() {
        scene.qualify(at + 0.5, &b1());
        match index {
            20 => scene.qualify_lost(at, &QUALIFY_CHAN_SIP, &phone),
            _ => scene.qualify(at, &phone),
        }
    }
}

/// A phone that answers calls and no ping of a registrar, which sends each once, next to one that answers pings after longer silences.
fn probes_ignored_among_others(scene: &mut Scene) {
    scene.pbx = Agent { brand: Brand::Kamailio, ..pbx() };
    let (mut phone, mut other, mut caller) = (a1().expiring(3600), a2().expiring(3600), b1());
    scene.healthy(&mut caller, 1.0, 400.0);
    for (agent, from) in [(&mut phone, 0.0), (&mut other, 3.0)] {
        scene.reg_ok(from, agent);
        scene.keepalives(agent, from + 20.0, 20.0, 400.0);
    }
    for at in times(24.0, 15.0, 390.0) {
        scene.qualify_lost(at, &[0.0], &phone);
        scene.qualify(at + 1.0, &other);
        scene.qualify(at + 2.0, &caller);
    }
    delivered(scene, 208.0, &caller, &phone);
}

/// Two phones try a server that is gone before each REGISTER to the one that serves them; that one qualifies the first of them.
fn dead_server_first(scene: &mut Scene) {
    let gone = Agent { outer: address("203.0.113.99:5060"), ..pbx() };
    scene.healthy(&mut b1(), 1.0, 3000.0);
    for (mut phone, from) in [(a1(), 5.0), (a2(), 12.0)] {
        let tried = scene.register_message(&mut phone);
        scene.repeat(from - 3.5, &[0.0, 0.5, 1.5], &phone, &gone, &tried);
        scene.reg_ok(from, &mut phone);
        for at in times(from + 240.0, 240.0, 3000.0) {
            let tried = scene.register_message(&mut phone);
            scene.repeat(at - 3.5, &[0.0, 0.5, 1.5], &phone, &gone, &tried);
            scene.refresh(at, &mut phone);
        }
    }
    for at in times(35.0, 60.0, 3000.0) {
        scene.qualify(at, &a1());
    }
}

/// A registrar that keeps bindings open by itself, with four zero bytes that no phone answers: behind the first NAT that does, behind the
/// second it does not, and to the third phone nothing is sent.
fn pbx_pings_one_way(scene: &mut Scene) {
    scene.pbx = Agent { brand: Brand::Kamailio, ..pbx() };
    let mut served = a1().expiring(1200);
    let mut forgotten = Agent::phone("1011", Brand::Snom, "192.168.7.20:5060", "198.51.100.40:40001").expiring(1200);
    let mut quiet = Agent::phone("1012", Brand::Yealink, "192.168.8.20:5060", "198.51.100.50:40001").expiring(1200);
    let mut caller = b1();
    scene.healthy(&mut caller, 0.0, 6000.0);
    for (index, phone) in [&mut served, &mut forgotten, &mut quiet].into_iter().enumerate() {
        registered(scene, phone, 1.0 + index as f64, 6000.0);
    }
    let from = scene.pbx.outer;
    for phone in [&served, &forgotten] {
        for at in times(31.0, 30.0, 6000.0) {
            scene.udp(at, from, phone.outer, &[0; 4]);
        }
    }
    for at in [901.0, 2901.0, 4901.0] {
        delivered(scene, at, &caller, &served);
        lost(scene, at + 60.0, &caller, &forgotten, None);
        scene.qualify(at + 63.0, &caller);
    }
    for at in [602.0, 1203.0, 3604.0] {
        delivered(scene, at, &caller, &forgotten);
    }
}

/// Calls to a phone that only registers are lost after 250 s of silence, and later, when it registers more often, after 7 s already.
fn nat_shorter_than_thought(scene: &mut Scene) {
    let mut phone = a1().expiring(1200);
    registered(scene, &mut phone, 0.0, 1801.0);
    for at in [1880.0, 1950.0] {
        scene.refresh(at, &mut phone);
    }
    let mut caller = b1();
    scene.healthy(&mut caller, 1.0, 2000.0);
    for at in [850.0, 1450.0, 1807.0, 1887.0] {
        lost(scene, at, &caller, &phone, None);
        scene.qualify(at + 3.0, &caller);
    }
}

/// A call of a phone whose media address is its private one, whatever its headers name.
fn with_private_media(scene: &mut Scene, at: f64, phone: &Agent) {
    let pbx = scene.pbx.clone();
    let mut leg = Leg::new(scene, phone, &pbx, &phone.user, "900");
    leg.prepare_invite(scene, &[]);
    let session = Agent { written: phone.local, ..phone.clone() }.sdp(1);
    leg.invite.set_body(session);
    scene.send(at, phone, &pbx, &leg.invite.clone());
    leg.progress(scene, at + 0.005, 100);
    leg.progress(scene, at + 0.2, 180);
    leg.answer(scene, at + 2.0, &[]);
    leg.bye(scene, at + 32.0, Side::Caller);
}

/// A softphone that registers with its private address, learns the public one from the answer and writes that into Via and Contact from
/// then on, but not into its sessions; and behind another router a phone whose headers name the public address from the first packet on.
fn address_learned_from_answers(scene: &mut Scene) {
    let (mut softphone, mut behind_alg) = (a1(), c1());
    scene.reg_ok(0.0, &mut softphone);
    softphone.written = softphone.outer;
    scene.refresh(1.0, &mut softphone);
    scene.upkeep(&mut softphone, 1.0, 400.0);
    behind_alg.written = behind_alg.outer;
    scene.healthy(&mut behind_alg, 2.0, 400.0);
    scene.healthy(&mut b1(), 3.0, 400.0);
    with_private_media(scene, 60.0, &softphone);
    with_private_media(scene, 120.0, &behind_alg);
    with_private_media(scene, 200.0, &softphone);
}

/// The phones of one site, which are asked every minute.
fn neighbours() -> [Agent; 4] {
    [1_u16, 2, 3, 4].map(|number| {
        let (local, outer) = (format!("192.168.1.{}:5060", 19 + number), format!("198.51.100.7:{}", 40000 + number));
        Agent::phone(&format!("{}", 1000 + number), Brand::Yealink, &local, &outer).expiring(3600)
    })
}

/// A site whose line is dead for six minutes; phones without keep-alives that answered every minute until then.
fn site_line_lost(scene: &mut Scene) {
    for (index, mut phone) in neighbours().into_iter().enumerate() {
        let shift = index as f64;
        scene.reg_ok(shift, &mut phone);
        for at in times(5.0 + shift, 60.0, 1500.0) {
            if (600.0..960.0).contains(&at) { scene.qualify_lost(at, &QUALIFY, &phone) } else { scene.qualify(at, &phone) }
        }
        scene.refresh(960.0 + shift, &mut phone);
    }
    scene.healthy(&mut b1(), 1.0, 1500.0);
    for at in times(10.0, 20.0, 1500.0) {
        scene.qualify(at, &b1());
    }
}

/// The same site and silences, but no request ever arrived after so long a silence.
fn site_forgotten_at_once(scene: &mut Scene) {
    for (index, phone) in neighbours().into_iter().enumerate() {
        let shift = index as f64;
        registered(scene, &mut phone.expiring(300), shift, 1500.0);
    }
    let phones = neighbours();
    for registered in times(0.0, 150.0, 1450.0) {
        for (index, phone) in phones.iter().enumerate() {
            let shift = index as f64;
            scene.qualify(registered + 6.0 + shift, phone);
            for at in [66.0, 126.0] {
                scene.qualify_lost(registered + at + shift, &QUALIFY, phone);
            }
        }
    }
    scene.healthy(&mut b1(), 1.0, 1500.0);
    for at in times(10.0, 10.0, 1500.0) {
        scene.qualify(at, &b1());
    }
}

/// A site whose line is dead for ten minutes; its phones only register, and calls to two of them are lost meanwhile.
fn site_line_lost_unasked(scene: &mut Scene) {
    let mut caller = b1();
    scene.healthy(&mut caller, 1.0, 1800.0);
    for (index, mut phone) in neighbours().into_iter().enumerate() {
        let shift = index as f64;
        phone = phone.expiring(300);
        scene.reg_ok(shift, &mut phone);
        for at in times(150.0, 150.0, 600.0).chain(times(1200.0, 150.0, 1800.0)) {
            scene.refresh(at + shift, &mut phone);
        }
        if index > 0 {
            lost(scene, 920.0 + 60.0 * shift, &caller, &phone, None);
            scene.qualify(921.0 + 60.0 * shift, &caller);
        }
    }
}

/// One phone is off for a quarter of an hour and comes back with the registration it had.
fn phone_unplugged(scene: &mut Scene) {
    let mut phone = a1();
    scene.reg_ok(0.0, &mut phone);
    for at in times(150.0, 150.0, 600.0).chain(times(1500.0, 150.0, 2400.0)) {
        scene.refresh(at, &mut phone);
    }
    for at in times(5.0, 60.0, 2400.0) {
        if (600.0..1500.0).contains(&at) { scene.qualify_lost(at, &QUALIFY, &phone) } else { scene.qualify(at, &phone) }
    }
    scene.healthy(&mut b1(), 1.0, 2400.0);
    for at in times(10.0, 20.0, 2400.0) {
        scene.qualify(at, &b1());
    }
}

/// A phone behind a satellite answers 720 ms after the first transmission, also where it sends something of its own in between.
fn satellite(scene: &mut Scene) {
    let mut phone = a1().expiring(3600);
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 25.0, 25.0, 600.0);
    for (index, at) in times(60.0, 37.5, 600.0).enumerate() {
        let probe = scene.qualify_message(&phone);
        scene.qualify_answered(at, &[0.0, 0.5], &phone, &probe, 0.70 + 0.02 * (index % 3) as f64);
        if index % 4 == 3 {
            scene.keepalives(&phone, at + 0.25, 1.0, at + 0.5);
        }
    }
    scene.healthy(&mut b1(), 1.0, 600.0);
    for at in times(61.0, 37.5, 600.0) {
        scene.qualify(at, &b1());
    }
}

/// Refreshes from a new port each, `pause` seconds after the last keep-alive from the old one; keep-alives come every 25 s.
fn changing_port(scene: &mut Scene, pause: f64) {
    let mut phone = a1();
    scene.healthy(&mut b1(), 1.0, 1500.0);
    scene.reg_ok(0.0, &mut phone);
    for (index, at) in times(150.0, 150.0, 1400.0).enumerate() {
        scene.keepalives(&phone, at - 125.0, 25.0, at - pause + 0.5);
        phone.outer.set_port(40100 + index as u16);
        scene.refresh(at, &mut phone);
    }
}

fn port_per_registration(scene: &mut Scene) {
    changing_port(scene, 25.0);
}

fn port_after_long_silence(scene: &mut Scene) {
    changing_port(scene, 75.0);
}
