//! A proxy in the path: each hop has a Via of its own, responses go back the way they came.

use std::net::SocketAddr;

use super::agent::Agent;
use super::call::{Leg, Side};
use super::message::Message;
use super::scene::{Scene, schedule};

/// The request as `proxy` sends it on to `target`: one Via more, one hop less, and itself in the route.
pub(crate) fn forwarded(scene: &mut Scene, proxy: &Agent, source: SocketAddr, request: &Message, target: &str) -> Message {
    let mut forwarded = request.clone();
    let received = request.response(100, source, "").get("Via").to_owned();
    forwarded.set("Via", &received);
    forwarded.push_top("Via", proxy.via(&mut scene.random));
    if request.method() == "INVITE" {
        forwarded.push_top("Record-Route", format!("<sip:{};lr>", proxy.outer));
    }
    forwarded.set("Max-Forwards", "69");
    forwarded.set_uri(target);
    forwarded
}

/// The response as the proxy sends it back: without its own Via.
pub(crate) fn returned(response: &Message) -> Message {
    let mut returned = response.clone();
    returned.pop_top("Via");
    returned
}

/// A request through a proxy and its answer back; both hops are captured, the proxy taking 2 ms.
pub(crate) struct Hops<'a> {
    pub(crate) caller: &'a Agent,
    pub(crate) proxy: &'a Agent,
    pub(crate) callee: &'a Agent,
}

impl Hops<'_> {
    /// Sends `request` over both hops and gives it as the callee receives it.
    pub(crate) fn request(&self, scene: &mut Scene, at: f64, request: &Message, target: &str) -> Message {
        let mut first = request.clone();
        if request.method() != "INVITE" {
            first.push_top("Route", format!("<sip:{};lr>", self.proxy.outer));
        }
        scene.send(at, self.caller, self.proxy, &first);
        let second = forwarded(scene, self.proxy, self.caller.outer, request, target);
        scene.send(at + 0.002, self.proxy, self.callee, &second);
        second
    }

    /// An ordinary answered call over both hops, which the caller ends 34 s after it began it.
    pub(crate) fn call(&self, scene: &mut Scene, at: f64, number: &str) {
        let Self { caller, proxy, callee } = *self;
        let target = callee.contact_uri();
        let mut leg = Leg::new(scene, caller, proxy, &caller.user, number);
        leg.prepare_invite(scene, &[]);
        let invite = leg.invite.clone();
        let received = self.request(scene, at, &invite, &target);
        leg.progress(scene, at + 0.001, 100);
        let tag = callee.tag(&mut scene.random);
        leg.adopt(callee, &tag);
        let answer = |status| received.response(status, proxy.outer, &tag).with("Contact", callee.contact());
        self.response(scene, at + 0.3, &answer(180));
        self.response(scene, at + 4.0, &answer(200).with_body("application/sdp", callee.sdp(1)));
        let ack = leg.in_dialog(scene, Side::Caller, "ACK");
        self.request(scene, at + 4.032, &ack, &target);
        let bye = leg.in_dialog(scene, Side::Caller, "BYE");
        let received = self.request(scene, at + 34.0, &bye, &target);
        self.response(scene, at + 34.03, &received.response(200, proxy.outer, &tag));
    }

    /// Sends an INVITE of which the proxy gets no answer, and tells the caller so after 32 s.
    pub(crate) fn unanswered(&self, scene: &mut Scene, at: f64, number: &str) {
        let Self { caller, proxy, callee } = *self;
        let mut leg = Leg::new(scene, caller, proxy, &caller.user, number);
        leg.prepare_invite(scene, &[]);
        scene.send(at, caller, proxy, &leg.invite);
        leg.progress(scene, at + 0.001, 100);
        let passed = forwarded(scene, proxy, caller.outer, &leg.invite, &callee.contact_uri());
        scene.repeat(at + 0.002, &schedule::INVITE, proxy, callee, &passed);
        leg.fail(scene, at + 32.1, 408, &[]);
    }

    /// Sends `response` back over both hops.
    pub(crate) fn response(&self, scene: &mut Scene, at: f64, response: &Message) {
        scene.send(at, self.callee, self.proxy, response);
        scene.send(at + 0.002, self.proxy, self.caller, &returned(response));
    }
}
