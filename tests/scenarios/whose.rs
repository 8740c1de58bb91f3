//! Whose trouble it is: calls of users behind one address, and calls that another than the PBX refused.

use super::scenarios;
use crate::support::agent::cast::c1;
use crate::support::{Agent, Brand, Leg, Scene, Side};

scenarios! {
    "handsets-one-socket" => handsets_one_socket,
}

/// Three handsets of a DECT base, which has one socket for all of them.
fn handsets() -> [Agent; 3] {
    ["1001", "1002", "1003"].map(|user| Agent::phone(user, Brand::Gigaset, "192.168.1.30:5060", "198.51.100.7:40001"))
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
    refused.invite(scene, 160.0, &[]);
    refused.fail(scene, 160.03, 488, &[]);
    let mut taken = Leg::new(scene, &pbx, well, "0304444", "1003");
    taken.invite(scene, 180.0, &[]);
    taken.progress(scene, 180.1, 180);
    taken.answer(scene, 184.0, &[]);
    taken.bye(scene, 200.0, Side::Callee);
}
