//! Calls that a proxy sends to several phones, at once or one after the other (RFC 3261 §16.7).

use super::scenarios;
use crate::support::agent::cast::{a1, a2, b1, c1, l1};
use crate::support::agent::{Agent, Brand};
use crate::support::call::{Leg, Side};
use crate::support::message::Message;
use crate::support::proxy::{Hops, forwarded, returned};
use crate::support::scene::{Scene, schedule};

scenarios! {
    "proxy-fork-first-answers" => first_answers,
    "proxy-fork-in-turn" => in_turn,
    "proxy-fork-nobody" => nobody,
}

/// A call to a number of several phones.
struct Forked {
    leg: Leg,
    caller: Agent,
    proxy: Agent,
}

/// The call at one of them.
struct Branch {
    phone: Agent,
    /// As it got it.
    invite: Message,
    tag: String,
}

impl Forked {
    fn new(scene: &mut Scene, at: f64, caller: &Agent, number: &str) -> Self {
        let proxy = scene.pbx.clone();
        let mut leg = Leg::new(scene, caller, &proxy, &caller.user, number);
        leg.prepare_invite(scene, &[]);
        scene.send(at, caller, &proxy, &leg.invite);
        leg.progress(scene, at + 0.002, 100);
        Self { leg, caller: caller.clone(), proxy }
    }

    fn branch(&self, scene: &mut Scene, at: f64, phone: &Agent) -> Branch {
        self.branch_repeated(scene, at, &[0.0], phone)
    }

    fn branch_repeated(&self, scene: &mut Scene, at: f64, offsets: &[f64], phone: &Agent) -> Branch {
        let invite = forwarded(scene, &self.proxy, self.caller.outer, &self.leg.invite, &phone.contact_uri());
        scene.repeat(at, offsets, &self.proxy, phone, &invite);
        Branch { phone: phone.clone(), invite, tag: phone.tag(&mut scene.random) }
    }

    fn hops<'a>(&'a self, branch: &'a Branch) -> Hops<'a> {
        Hops { caller: &self.caller, proxy: &self.proxy, callee: &branch.phone }
    }

    fn ring(&self, scene: &mut Scene, at: f64, branch: &Branch) {
        let ringing = branch.response(&self.proxy, 180);
        self.hops(branch).response(scene, at, &ringing);
    }

    fn answer(&mut self, scene: &mut Scene, at: f64, branch: &Branch) {
        let answer = branch.response(&self.proxy, 200).with_body("application/sdp", branch.phone.sdp(1));
        self.hops(branch).response(scene, at, &answer);
        self.leg.adopt(&branch.phone, &branch.tag);
        let ack = self.leg.in_dialog(scene, Side::Caller, "ACK");
        self.hops(branch).request(scene, at + 0.03, &ack, &branch.phone.contact_uri());
    }

    /// The caller hangs up.
    fn bye(&mut self, scene: &mut Scene, at: f64, branch: &Branch) {
        let bye = self.leg.in_dialog(scene, Side::Caller, "BYE");
        let received = self.hops(branch).request(scene, at, &bye, &branch.phone.contact_uri());
        let ok = received.response(200, self.proxy.outer, &branch.tag);
        self.hops(branch).response(scene, at + 0.03, &ok);
    }

    /// The phone refuses, which the proxy keeps to itself.
    fn refuse(&self, scene: &mut Scene, at: f64, branch: &Branch, status: u16) {
        let refusal = branch.response(&self.proxy, status);
        scene.send(at, &branch.phone, &self.proxy, &refusal);
        scene.send(at + 0.001, &self.proxy, &branch.phone, &branch.companion("ACK", refusal.get("To")));
    }

    /// The proxy takes the call back from a phone.
    fn take_back(&self, scene: &mut Scene, at: f64, branch: &Branch) {
        let cancel = branch.companion("CANCEL", branch.invite.get("To"));
        scene.send(at, &self.proxy, &branch.phone, &cancel);
        scene.send(at + branch.phone.delay, &branch.phone, &self.proxy, &cancel.response(200, self.proxy.outer, &branch.tag));
        self.refuse(scene, at + branch.phone.delay + 0.001, branch, 487);
    }
}

impl Branch {
    fn response(&self, proxy: &Agent, status: u16) -> Message {
        self.invite.response(status, proxy.outer, &self.tag).with("Contact", self.phone.contact())
    }

    /// ACK of a failure or CANCEL: what must equal the INVITE of the hop does.
    fn companion(&self, method: &str, to: &str) -> Message {
        let via = self.invite.all("Via").next().unwrap_or_default();
        Message::request(method, self.invite.uri())
            .with("Via", via)
            .with("From", self.invite.get("From"))
            .with("To", to)
            .with("Call-ID", self.invite.get("Call-ID"))
            .with("CSeq", self.invite.get("CSeq").replace("INVITE", method))
            .with("Max-Forwards", "70")
    }
}

/// A proxy, a caller beside it, and three phones that stay well.
fn cast(scene: &mut Scene) -> (Agent, [Agent; 3]) {
    scene.pbx = Agent { brand: Brand::Kamailio, ..scene.pbx.clone() };
    let (mut caller, mut phones) = (l1(), [a1(), b1(), c1()]);
    scene.healthy(&mut caller, 0.0, 200.0);
    for (phone, at) in phones.iter_mut().zip([1.0, 2.0, 3.0]) {
        scene.healthy(phone, at, 200.0);
    }
    (caller, phones)
}

/// Three phones ring at once, and the one that was called first answers.
fn first_answers(scene: &mut Scene) {
    let (caller, phones) = cast(scene);
    let mut call = Forked::new(scene, 10.0, &caller, "900");
    let branches = phones.each_ref().map(|phone| call.branch(scene, 10.004, phone));
    for (branch, at) in branches.iter().zip([10.2, 10.25, 10.3]) {
        call.ring(scene, at, branch);
    }
    let [winner, others @ ..] = &branches;
    call.answer(scene, 16.0, winner);
    for other in others {
        call.take_back(scene, 16.003, other);
    }
    call.bye(scene, 60.0, winner);
}

/// The first phone is busy, the second rings in vain, the third answers.
fn in_turn(scene: &mut Scene) {
    let (caller, [first, second, third]) = cast(scene);
    let mut call = Forked::new(scene, 10.0, &caller, "900");
    let busy = call.branch(scene, 10.004, &first);
    call.refuse(scene, 10.1, &busy, 486);
    let unheard = call.branch(scene, 10.11, &second);
    call.ring(scene, 10.3, &unheard);
    call.take_back(scene, 30.1, &unheard);
    let taken = call.branch(scene, 30.2, &third);
    call.ring(scene, 30.4, &taken);
    call.answer(scene, 34.0, &taken);
    call.bye(scene, 70.0, &taken);
}

/// Two phones ring until the caller gives up, one that registered before does not react.
fn nobody(scene: &mut Scene) {
    let (caller, [first, second, _]) = cast(scene);
    let mut gone = a2();
    scene.reg_ok(4.0, &mut gone);
    let mut call = Forked::new(scene, 100.0, &caller, "900");
    let branches = [&first, &second].map(|phone| call.branch(scene, 100.004, phone));
    call.branch_repeated(scene, 100.005, &schedule::INVITE, &gone);
    for (branch, at) in branches.iter().zip([100.2, 100.25]) {
        call.ring(scene, at, branch);
    }
    let cancel = call.leg.companion("CANCEL", call.leg.invite.get("To"));
    scene.send(125.0, &call.caller, &call.proxy, &cancel);
    scene.send(125.001, &call.proxy, &call.caller, &cancel.response(200, call.caller.outer, "prx"));
    for branch in &branches {
        call.take_back(scene, 125.003, branch);
    }
    let ended = returned(&branches[0].response(&call.proxy, 487));
    scene.send(125.2, &call.proxy, &call.caller, &ended);
    call.leg.ack_failure(scene, 125.21, &ended);
}
