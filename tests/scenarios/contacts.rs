//! Contacts: what the PBX makes of the address that a phone writes, and what a registrar lists.

use super::scenarios;
use crate::support::agent::cast::{a1, b1, c1, l1};
use crate::support::call::Bridge;
use crate::support::scene::schedule;
use crate::support::upkeep::times;
use crate::support::{Agent, Scene, Side};

scenarios! {
    "contact-as-written" => contact_as_written,
    "contact-of-flow-silent" => contact_of_flow_silent,
}

/// A call of `caller` that the PBX sends in vain to where `phone` is not, or is off.
fn in_vain(scene: &mut Scene, at: f64, caller: &Agent, phone: &Agent) {
    let mut bridge = Bridge::new(scene, caller, phone);
    bridge.invite(scene, at - 0.05);
    bridge.b.invite_repeated(scene, at, &schedule::INVITE, &[]);
    bridge.a.fail(scene, at + 32.0, 480, &[("X-Asterisk-HangupCauseCode", "20")]);
}

/// A phone behind a NAT that keeps its flow open, while the PBX sends all that is for it to its private Contact. Another, in the network of
/// the PBX, really is at the private address that it writes.
fn contact_as_written(scene: &mut Scene) {
    let (mut phone, mut caller, mut near) = (a1(), b1(), l1());
    scene.healthy(&mut caller, 1.0, 600.0);
    scene.healthy(&mut near, 2.0, 600.0);
    scene.reg_ok(0.0, &mut phone);
    for at in times(150.0, 150.0, 600.0) {
        scene.refresh(at, &mut phone);
    }
    scene.keepalives(&phone, 20.0, 20.0, 600.0);
    let written = Agent { outer: phone.written, ..phone.clone() };
    for at in times(30.0, 60.0, 600.0) {
        scene.qualify_lost(at, &schedule::QUALIFY_CHAN_SIP, &written);
    }
    for at in [100.0, 400.0] {
        in_vain(scene, at, &caller, &written);
    }
    Bridge::new(scene, &caller, &near).ordinary(scene, 500.0, 0.6, 20.0, Side::Caller);
}

/// The same PBX with phones that are where it sends to, and one of each kind is switched off.
fn contact_of_flow_silent(scene: &mut Scene) {
    let (mut phone, mut caller, mut near) = (a1(), b1(), l1());
    scene.healthy(&mut caller, 1.0, 600.0);
    scene.healthy(&mut c1(), 3.0, 600.0);
    for (index, phone) in [&mut phone, &mut near].into_iter().enumerate() {
        let from = index as f64 * 0.5;
        phone.expires = 1200;
        scene.healthy(phone, from, 200.0);
        for at in times(from + 210.0, 14.0, 600.0) {
            scene.qualify_lost(at, &schedule::QUALIFY_CHAN_SIP, phone);
        }
    }
    in_vain(scene, 400.0, &caller, &phone);
}
