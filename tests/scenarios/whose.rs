//! Whose trouble it is: calls of users behind one address, and calls that another than the PBX refused.

use super::scenarios;
use crate::support::agent::cast::{a1, b1, c1, trunk};
use crate::support::call::Bridge;
use crate::support::proxy::Hops;
use crate::support::scene::schedule;
use crate::support::upkeep::times;
use crate::support::{Agent, Brand, Leg, Scene, Side};

scenarios! {
    "handsets-one-socket" => handsets_one_socket,
    "edge-callee-silent" => edge_callee_silent,
    "callee-refuses" => callee_refuses,
    "carrier-refuses" => carrier_refuses,
    "carrier-refuses-all" => carrier_refuses_all,
    "pbx-calls-nobody" => pbx_calls_nobody,
    "account-barred" => account_barred,
    "trunk-dead-in-the-name-of-the-house" => trunk_dead_in_the_name_of_the_house,
    "trunk-dead-mended" => trunk_dead_mended,
    "trunk-dead-mended-by-proxy" => trunk_dead_mended_by_proxy,
    "server-errors-mended" => server_errors_mended,
    "register-errors-mended" => register_errors_mended,
    "invite-ignored-mended" => invite_ignored_mended,
    "reg-cut-at-challenge" => reg_cut_at_challenge,
    "number-taken-away" => number_taken_away,
    "number-of-another-context" => number_of_another_context,
}

/// Three handsets of a DECT base, which has one socket for all of them.
fn handsets() -> [Agent; 3] {
    ["1001", "1002", "1003"].map(|user| Agent::phone(user, Brand::Gigaset, "192.168.1.30:5060", "198.51.100.7:40001").expiring(900))
}

/// Each handset calls once, with another result, and two of them are called.
fn handsets_one_socket(scene: &mut Scene) {
    scene.healthy(&mut c1(), 3.0, 250.0);
    let mut handsets = handsets();
    for (index, handset) in handsets.iter_mut().enumerate() {
        scene.healthy(handset, index as f64, 250.0);
    }
    let [forbidden, busy, well] = &handsets;
    let pbx = scene.pbx.clone();
    for (at, handset, number, status) in [(20.0, forbidden, "0301234", 403), (60.0, busy, "0305678", 486)] {
        let mut call = Leg::new(scene, handset, &pbx, &handset.user, number);
        call.invite(scene, at, &[]);
        call.progress(scene, at + 0.005, 100);
        call.fail(scene, at + 0.3, status, &[]);
    }
    let mut call = Leg::new(scene, well, &pbx, "1003", "0309999");
    call.invite(scene, 100.0, &[]);
    call.progress(scene, 100.005, 100);
    call.answer(scene, 102.0, &[]);
    call.bye(scene, 130.0, Side::Caller);
    let mut refused = Leg::new(scene, &pbx, forbidden, "0304444", "1001");
    refused.invite(scene, 165.5, &[]);
    refused.fail(scene, 165.53, 488, &[]);
    let mut taken = Leg::new(scene, &pbx, well, "0304444", "1003");
    taken.invite(scene, 185.5, &[]);
    taken.progress(scene, 185.6, 180);
    taken.answer(scene, 188.5, &[]);
    taken.bye(scene, 204.5, Side::Callee);
}

/// Three users behind an edge proxy, which is one socket for all of them. One does not answer its call, which the edge does not tell; another
/// does meanwhile.
fn edge_callee_silent(scene: &mut Scene) {
    let edge = "198.51.100.7:5060";
    let mut users = ["1001", "1002", "1003"].map(|user| Agent::phone(user, Brand::Snom, edge, edge));
    scene.healthy(&mut c1(), 3.5, 150.0);
    for (index, user) in users.iter_mut().enumerate() {
        scene.healthy(user, index as f64, 150.0);
    }
    let [silent, well, _] = &users;
    let pbx = scene.pbx.clone();
    Leg::new(scene, &pbx, silent, "0304444", "1001").invite_repeated(scene, 45.0, &schedule::INVITE, &[]);
    let mut taken = Leg::new(scene, &pbx, well, "0305555", "1002");
    taken.invite(scene, 50.3, &[]);
    taken.progress(scene, 50.4, 180);
    taken.answer(scene, 53.0, &[]);
    taken.bye(scene, 65.0, Side::Callee);
}

/// What the end that is called answers, the PBX hands back to the caller.
fn handed_back(scene: &mut Scene, at: f64, bridge: &mut Bridge, status: u16) {
    bridge.invite(scene, at);
    bridge.b.invite(scene, at + 0.05, &[]);
    bridge.b.progress(scene, at + 0.08, 100);
    bridge.b.fail(scene, at + 0.1, status, &[]);
    bridge.a.fail(scene, at + 0.11, status, &[]);
}

/// A registered phone refuses one call after the other.
fn callee_refuses(scene: &mut Scene) {
    let (mut caller, mut callee) = (a1(), b1());
    scene.healthy(&mut caller, 0.0, 200.0);
    scene.healthy(&mut callee, 1.0, 200.0);
    for (at, status) in [(20.0, 404), (60.0, 403), (100.0, 500), (140.0, 480)] {
        let mut bridge = Bridge::new(scene, &caller, &callee);
        handed_back(scene, at, &mut bridge, status);
    }
}

/// A call of `caller` to a number behind the carrier; nothing is sent yet.
fn outside(scene: &mut Scene, caller: &Agent, number: &str) -> Bridge {
    let (pbx, trunk) = (scene.pbx.clone(), trunk());
    let a = Leg::new(scene, caller, &pbx, &caller.user, number);
    let b = Leg::new(scene, &pbx, &trunk, &caller.user, number);
    Bridge { a, b }
}

/// A carrier refuses one call after the other.
fn carrier_refuses(scene: &mut Scene) {
    let mut caller = a1();
    scene.healthy(&mut caller, 0.0, 160.0);
    scene.healthy(&mut c1(), 1.0, 160.0);
    for (at, status) in [(20.0, 404), (60.0, 403), (100.0, 503)] {
        let mut bridge = outside(scene, &caller, "0030123456");
        handed_back(scene, at, &mut bridge, status);
    }
}

/// The carrier answers none of four calls. Nobody calls for more than ten minutes, then a call goes through.
fn trunk_dead_mended(scene: &mut Scene) {
    let mut caller = a1();
    scene.healthy(&mut caller, 0.0, 900.0);
    scene.healthy(&mut c1(), 1.0, 900.0);
    outside(scene, &caller, "0030123456").ordinary(scene, 10.0, 2.0, 10.0, Side::Caller);
    for (index, at) in [60.0, 75.0, 90.0, 105.0].into_iter().enumerate() {
        let mut bridge = outside(scene, &caller, &format!("003012345{index}"));
        bridge.invite(scene, at);
        bridge.b.invite_repeated(scene, at + 0.05, &schedule::INVITE, &[]);
        bridge.a.fail(scene, at + 32.1, 503, &[]);
    }
    outside(scene, &caller, "0030123456").ordinary(scene, 850.0, 2.0, 10.0, Side::Caller);
}

/// The PBX calls a dead trunk in the name of the house, not of who called. Others call each other all the while.
fn trunk_dead_in_the_name_of_the_house(scene: &mut Scene) {
    let (mut caller, mut other) = (a1(), b1());
    scene.healthy(&mut caller, 0.0, 1500.0);
    scene.healthy(&mut other, 1.0, 1500.0);
    scene.healthy(&mut c1(), 2.0, 1500.0);
    let (pbx, trunk) = (scene.pbx.clone(), trunk());
    for index in 0..5 {
        let at = 60.0 + f64::from(index) * 11.0;
        let number = format!("0044207{index}12345");
        let mut a = Leg::new(scene, &caller, &pbx, "1001", &number);
        let mut b = Leg::new(scene, &pbx, &trunk, "4930901820", &number);
        a.invite(scene, at, &[]);
        a.progress(scene, at + 0.005, 100);
        b.invite_repeated(scene, at + 0.05, &schedule::INVITE, &[]);
        a.fail(scene, at + 32.1, 503, &[]);
    }
    for index in 0..18 {
        let (from, to) = if index % 2 == 0 { (&caller, &other) } else { (&other, &caller) };
        Bridge::new(scene, from, to).ordinary(scene, 160.0 + f64::from(index) * 70.0, 4.0, 31.0 + f64::from(index), Side::Caller);
    }
}

/// The same where the PBX is a proxy that passes the calls on to the carrier.
fn trunk_dead_mended_by_proxy(scene: &mut Scene) {
    scene.pbx = Agent { brand: Brand::Kamailio, ..scene.pbx.clone() };
    let (mut caller, proxy, carrier) = (a1(), scene.pbx.clone(), trunk());
    scene.healthy(&mut caller, 0.0, 900.0);
    scene.healthy(&mut c1(), 1.0, 900.0);
    let hops = Hops { caller: &caller, proxy: &proxy, callee: &carrier };
    hops.call(scene, 10.0, "0030123456");
    for (index, at) in [60.0, 75.0, 90.0, 105.0].into_iter().enumerate() {
        hops.unanswered(scene, at, &format!("003012345{index}"));
    }
    hops.call(scene, 850.0, "0030123456");
}

/// The PBX answers calls with 500 for a while. Some minutes later one goes through.
fn server_errors_mended(scene: &mut Scene) {
    let (mut caller, pbx) = (b1(), scene.pbx.clone());
    scene.healthy(&mut caller, 0.0, 380.0);
    for index in 0..12 {
        let at = 60.0 + f64::from(index) * 3.0;
        let mut call = Leg::new(scene, &caller, &pbx, "2001", "900");
        call.invite(scene, at, &[]);
        call.fail(scene, at + 0.1, 500, &[]);
    }
    let mut call = Leg::new(scene, &caller, &pbx, "2001", "900");
    call.invite(scene, 320.0, &[]);
    call.answer(scene, 321.0, &[]);
    call.bye(scene, 340.0, Side::Caller);
}

/// The PBX answers registrations with 500 for a while; nobody calls.
fn register_errors_mended(scene: &mut Scene) {
    let mut phone = b1();
    scene.healthy(&mut c1(), 0.0, 380.0);
    for index in 0..12 {
        scene.reg_rejected(60.0 + f64::from(index) * 3.0, &mut phone, 500);
    }
    scene.healthy(&mut phone, 130.0, 380.0);
}

/// The PBX ignores a call of one phone, and takes one a quarter of an hour later.
fn invite_ignored_mended(scene: &mut Scene) {
    for (phone, from) in [(&mut a1(), 0.0), (&mut b1(), 0.5), (&mut c1(), 1.0)] {
        phone.expires = 60;
        scene.healthy(phone, from, 900.0);
    }
    let pbx = scene.pbx.clone();
    Leg::new(scene, &b1(), &pbx, "2001", "1001").invite_repeated(scene, 62.0, &schedule::INVITE, &[]);
    let mut call = Leg::new(scene, &b1(), &pbx, "2001", "900");
    call.invite(scene, 850.0, &[]);
    call.answer(scene, 851.0, &[]);
    call.bye(scene, 860.0, Side::Caller);
}

/// The capture ends right after the question for credentials.
fn reg_cut_at_challenge(scene: &mut Scene) {
    scene.healthy(&mut c1(), 0.0, 60.0);
    scene.reg_ok(60.0, &mut a1());
    scene.end(60.006);
}

/// The carrier refuses all calls of two users to eight numbers; within the house calls go on.
fn carrier_refuses_all(scene: &mut Scene) {
    let (mut first, mut second) = (a1(), b1());
    scene.healthy(&mut first, 0.0, 260.0);
    scene.healthy(&mut second, 1.0, 260.0);
    for index in 0..8 {
        let caller = if index % 2 == 0 { &first } else { &second };
        let mut bridge = outside(scene, caller, &format!("003012345{index}"));
        handed_back(scene, 20.0 + f64::from(index) * 20.0, &mut bridge, 503);
    }
    Bridge::new(scene, &first, &second).ordinary(scene, 200.0, 2.0, 10.0, Side::Caller);
}

/// The PBX takes calls and calls nobody: those who wait give up. One thinks better of it at once.
fn pbx_calls_nobody(scene: &mut Scene) {
    let (mut caller, mut callee) = (a1(), b1());
    scene.healthy(&mut caller, 0.0, 200.0);
    scene.healthy(&mut callee, 1.0, 200.0);
    Bridge::new(scene, &caller, &callee).ordinary(scene, 10.0, 2.0, 10.0, Side::Caller);
    let pbx = scene.pbx.clone();
    for (at, patience) in [(40.0, 20.0), (80.0, 15.0), (120.0, 4.0)] {
        let mut leg = Leg::new(scene, &caller, &pbx, &caller.user, &callee.user);
        leg.invite(scene, at, &[]);
        leg.progress(scene, at + 0.005, 100);
        leg.cancel(scene, at + patience, &[]);
    }
}

/// The PBX accepts the credentials of an account for one call and bars it from another.
fn account_barred(scene: &mut Scene) {
    let (mut caller, mut callee) = (a1(), b1());
    scene.healthy(&mut caller, 0.0, 160.0);
    scene.healthy(&mut callee, 1.0, 160.0);
    let pbx = scene.pbx.clone();
    for (at, number) in [(20.0, callee.user.clone()), (60.0, "0044700000001".to_owned())] {
        let mut leg = Leg::new(scene, &caller, &pbx, &caller.user, &number);
        leg.callee.delay = 0.03;
        leg.invite(scene, at, &[]);
        leg.challenge(scene, at + 0.005);
        leg.invite(scene, at + 0.04, &[]);
        leg.progress(scene, at + 0.045, 100);
        if number == callee.user {
            leg.answer(scene, at + 5.0, &[]);
            leg.bye(scene, at + 15.0, Side::Caller);
        } else {
            leg.fail(scene, at + 0.1, 403, &[]);
        }
    }
}

/// Calls of the carrier to a number that rings a phone, until `until`.
fn called_from_outside(scene: &mut Scene, until: f64) -> (Agent, Agent) {
    let (mut phone, mut other) = (a1(), b1());
    scene.healthy(&mut phone, 0.0, 500.0);
    scene.healthy(&mut other, 1.0, 500.0);
    let pbx = scene.pbx.clone();
    for at in times(20.0, 60.0, until) {
        let a = Leg::new(scene, &trunk(), &pbx, "+491701234567", "301001");
        let b = Leg::new(scene, &pbx, &phone, "+491701234567", "1001");
        let mut bridge = Bridge { a, b };
        bridge.a.invite(scene, at, &[]);
        bridge.a.progress(scene, at + 0.005, 100);
        bridge.b.invite(scene, at + 0.05, &[]);
        bridge.b.progress(scene, at + 0.39, 180);
        bridge.a.progress(scene, at + 0.40, 180);
        bridge.answer(scene, at + 4.0);
        bridge.bye(scene, at + 30.0, Side::Caller);
    }
    (phone, other)
}

/// A number that rang a phone, and that the PBX does not know any more.
fn number_taken_away(scene: &mut Scene) {
    called_from_outside(scene, 200.0);
    let pbx = scene.pbx.clone();
    for at in times(260.0, 60.0, 480.0) {
        let mut call = Leg::new(scene, &trunk(), &pbx, "+491701234567", "301001");
        call.invite(scene, at, &[]);
        call.fail(scene, at + 0.1, 404, &[]);
    }
}

/// The same number, which only the carrier can call; a colleague tries it too.
fn number_of_another_context(scene: &mut Scene) {
    let (_, colleague) = called_from_outside(scene, 400.0);
    let pbx = scene.pbx.clone();
    for at in [430.0, 450.0] {
        let mut call = Leg::new(scene, &colleague, &pbx, &colleague.user, "301001");
        call.invite(scene, at, &[]);
        call.fail(scene, at + 0.1, 404, &[]);
    }
}
