//! Twenty phones behind a PBX, seven of them in trouble of one kind each, calling one another for ten minutes.

use crate::support::agent::cast::trunk;
use crate::support::call::Bridge;
use crate::support::capture::{CaptureFile, Record};
use crate::support::scene::schedule::QUALIFY;
use crate::support::upkeep::times;
use crate::support::{Agent, Brand, Leg, Scene, Side};

/// Phones of the site, and the seconds that it is watched.
pub(crate) const PHONES: usize = 20;
pub(crate) const LASTS: f64 = 640.0;

const BRANDS: [Brand; 4] = [Brand::Yealink, Brand::Snom, Brand::Grandstream, Brand::Gigaset];

/// The phone with that number, alone behind its router.
pub(crate) fn phone(number: usize) -> Agent {
    let outer = format!("198.51.100.{}:{}", 10 + number, 40_000 + number);
    let local = format!("192.168.1.{}:5060", 20 + number);
    Agent::phone(&format!("{}", 1100 + number), BRANDS[number % BRANDS.len()], &local, &outer)
}

/// What goes on without a flood, in order of time.
pub(crate) fn records() -> Vec<Record> {
    let mut scene = Scene::new("twenty-phones");
    forgotten_by_its_router(&mut scene, &mut phone(0).expiring(1200));
    wrong_password(&mut scene, &mut phone(1));
    scene.healthy(&mut phone(2).over_tcp(), 0.2, LASTS);
    runs_out(&mut scene, &mut phone(3).expiring(120));
    locked_out(&mut scene, &mut phone(4));
    deaf(&mut scene, &mut phone(5));
    asks_in_vain(&mut scene, &mut phone(6));
    for number in 7..PHONES {
        scene.healthy(&mut phone(number), 0.1 * number as f64, LASTS);
    }
    calls(&mut scene);
    CaptureFile::from_bytes(&scene.finish()).records
}

/// A NAT that forgets after less than its keep-alive interval of 60 s.
fn forgotten_by_its_router(scene: &mut Scene, phone: &mut Agent) {
    scene.reg_ok(0.0, phone);
    scene.refresh(600.0, phone);
    scene.keepalives(phone, 60.0, 60.0, LASTS);
    // The others are asked in the same seconds, so that the server is known to be well.
    for at in times(33.0, 60.0, 600.0) {
        scene.qualify_lost(at, &QUALIFY, phone);
    }
}

/// Registered once; then fresh credentials are refused each time.
fn wrong_password(scene: &mut Scene, phone: &mut Agent) {
    scene.reg_ok(0.6, phone);
    for at in times(45.0, 40.0, LASTS) {
        phone.nonce = None;
        scene.reg_rejected(at, phone, 401);
        scene.reg_rejected(at + 0.04, phone, 401);
    }
}

/// Registered once, and never again.
fn runs_out(scene: &mut Scene, phone: &mut Agent) {
    scene.reg_ok(0.3, phone);
    scene.keepalives(phone, 20.3, 20.0, 200.0);
}

/// An account that is deleted meanwhile.
fn locked_out(scene: &mut Scene, phone: &mut Agent) {
    scene.reg_ok(0.4, phone);
    for at in times(150.0, 60.0, LASTS) {
        scene.reg_rejected(at, phone, 403);
    }
}

/// Registered, but unreachable from the fifth minute on.
fn deaf(scene: &mut Scene, phone: &mut Agent) {
    scene.healthy(phone, 0.5, 250.0);
    for at in times(280.0, 60.0, 600.0) {
        scene.qualify_lost(at, &QUALIFY, phone);
    }
}

/// Sends REGISTER again and again, and gets no answer any more.
fn asks_in_vain(scene: &mut Scene, phone: &mut Agent) {
    let pbx = scene.pbx.clone();
    scene.reg_ok(0.7, phone);
    for at in times(70.0, 120.0, 500.0) {
        let request = scene.register_message(phone);
        scene.repeat(at, &crate::support::scene::schedule::CAPPED, phone, &pbx, &request);
    }
}

/// Calls among the healthy ones: ordinary ones, one through the whole flood, and some that fail.
fn calls(scene: &mut Scene) {
    let mut long = Bridge::new(scene, &phone(7), &phone(8));
    long.ring(scene, 40.0);
    long.answer(scene, 45.0);
    long.bye(scene, 620.0, Side::Caller);
    let mut pairs = (0..).map(|index| (9 + index % 9, 10 + (index + 3) % 9));
    for (index, at) in times(65.0, 37.0, 560.0).enumerate() {
        let (caller, callee) = pairs.find(|(caller, callee)| caller != callee).expect("an endless list");
        let mut bridge = Bridge::new(scene, &phone(caller), &phone(callee));
        match index % 5 {
            3 => {
                bridge.ring(scene, at);
                bridge.b.fail(scene, at + 2.0, 486, &[]);
                bridge.a.fail(scene, at + 2.02, 486, &[]);
            }
            4 => {
                bridge.ring(scene, at);
                bridge.b.cancel(scene, at + 25.0, &[]);
                bridge.a.fail(scene, at + 25.1, 480, &[]);
            }
            _ => bridge.ordinary(scene, at, 4.0, 15.0, if index % 2 == 0 { Side::Caller } else { Side::Callee }),
        }
    }
    outward(scene);
}

/// A call through the carrier.
fn outward(scene: &mut Scene) {
    let (pbx, caller, carrier) = (scene.pbx.clone(), phone(19), trunk());
    let mut near = Leg::new(scene, &caller, &pbx, &caller.user, "004930123456");
    near.invite(scene, 300.0, &[]);
    near.challenge(scene, 300.005);
    near.invite(scene, 300.04, &[]);
    near.progress(scene, 300.045, 100);
    let mut far = Leg::new(scene, &pbx, &carrier, "4930990000", "004930123456");
    far.invite(scene, 300.06, &[]);
    far.progress(scene, 301.0, 183);
    near.progress(scene, 301.01, 183);
    far.answer(scene, 304.0, &[]);
    near.answer(scene, 304.01, &[]);
    near.bye(scene, 330.0, Side::Caller);
    far.bye(scene, 330.01, Side::Caller);
}
