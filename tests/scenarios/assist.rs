//! What an agent on the telephone watches: a user who reconnects and calls, and one from whom nothing comes.

use super::scenarios;
use crate::support::agent::cast::{a1, a2, b1, c1};
use crate::support::call::Bridge;
use crate::support::{Leg, Scene, Side};

scenarios! {
    "assist-ok" => assist_ok,
    "assist-nothing" => assist_nothing,
}

/// A phone that was away for a minute reconnects from a new port, calls the echo service, and is called. The agent begins at 90 s.
fn assist_ok(scene: &mut Scene) {
    let (mut phone, mut caller) = (a1(), b1());
    scene.healthy(&mut caller, 1.0, 200.0);
    scene.healthy(&mut c1(), 2.0, 200.0);
    scene.healthy(&mut a2(), 3.0, 200.0);
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 20.0, 20.0, 41.0);
    phone.outer.set_port(40311);
    scene.reg_ok(100.0, &mut phone);
    scene.keepalives(&phone, 120.0, 20.0, 200.0);
    let pbx = scene.pbx.clone();
    let mut echo = Leg::new(scene, &phone, &pbx, "1001", "600");
    echo.invite(scene, 101.3, &[]);
    echo.challenge(scene, 101.305);
    echo.invite(scene, 101.34, &[]);
    echo.progress(scene, 101.345, 100);
    echo.answer(scene, 101.7, &[]);
    echo.bye(scene, 143.0, Side::Caller);
    let mut bridge = Bridge::new(scene, &caller, &phone);
    bridge.invite(scene, 150.0);
    bridge.b.invite(scene, 150.05, &[]);
    bridge.b.progress(scene, 150.25, 180);
    bridge.a.progress(scene, 150.26, 180);
    bridge.answer(scene, 154.0);
    bridge.bye(scene, 170.0, Side::Caller);
}

/// A phone is switched off a minute after it registered, while its neighbour in the same office goes on. The agent begins at 700 s.
fn assist_nothing(scene: &mut Scene) {
    let mut phone = a1().expiring(3600);
    scene.reg_ok(0.0, &mut phone);
    scene.keepalives(&phone, 20.0, 20.0, 61.0);
    scene.healthy(&mut a2().expiring(900), 1.0, 900.0);
    scene.healthy(&mut c1().expiring(900), 2.0, 900.0);
}
