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

/// A dialog between a phone and a PBX that both speak through a proxy; both hops are captured.
pub(crate) struct Proxied {
    leg: Leg,
    proxy: Agent,
    tag: String,
    /// The INVITE as the called end received it.
    received: Message,
}

impl Proxied {
    /// A dialog of `leg` by way of `proxy`; nothing is sent yet.
    pub(crate) fn new(scene: &mut Scene, mut leg: Leg, proxy: &Agent) -> Self {
        let callee = leg.callee.clone();
        let tag = callee.tag(&mut scene.random);
        leg.adopt(&callee, &tag);
        let received = leg.invite.clone();
        Self { leg, proxy: proxy.clone(), tag, received }
    }

    /// The INVITE to the called end.
    pub(crate) fn invite(&mut self, scene: &mut Scene, at: f64) {
        self.leg.prepare_invite(scene, &[]);
        let invite = self.leg.invite.clone();
        self.received = self.hops(Side::Caller).request(scene, at, &invite, invite.uri());
    }

    /// A response to the INVITE from the called end; a 200 is acknowledged.
    pub(crate) fn respond(&mut self, scene: &mut Scene, at: f64, status: u16) {
        let callee = &self.leg.callee;
        let response = self.received.response(status, self.proxy.outer, &self.tag).with("Contact", callee.contact());
        let response = if status == 200 { response.with_body("application/sdp", callee.sdp(1)) } else { response };
        self.hops(Side::Caller).response(scene, at, &response);
        if status == 200 {
            let ack = self.leg.in_dialog(scene, Side::Caller, "ACK");
            self.hops(Side::Caller).request(scene, at + 0.01, &ack, ack.uri());
        }
    }

    /// The caller takes the INVITE back: each hop is answered by its own.
    pub(crate) fn cancel(&mut self, scene: &mut Scene, at: f64) {
        let hops = [(&self.leg.caller, &self.proxy, &self.leg.invite), (&self.proxy, &self.leg.callee, &self.received)];
        for (from, to, invite) in hops {
            let of_hop = |method: &str| {
                let via = invite.get("Via").to_owned();
                let request = Message::request(method, invite.uri()).with("Via", via);
                let request = ["From", "To", "Call-ID"].into_iter().fold(request, |request, name| request.with(name, invite.get(name)));
                request.with("CSeq", invite.get("CSeq").replace("INVITE", method)).with("Max-Forwards", "70")
            };
            let cancel = of_hop("CANCEL");
            scene.send(at, from, to, &cancel);
            scene.send(at + 0.001, to, from, &cancel.response(200, from.outer, &self.tag));
            let end = invite.response(487, from.outer, &self.tag);
            scene.send(at + 0.01, to, from, &end);
            let mut ack = of_hop("ACK");
            ack.set("To", end.get("To"));
            scene.send(at + 0.011, from, to, &ack);
        }
    }

    /// BYE and its 200.
    pub(crate) fn bye(&mut self, scene: &mut Scene, at: f64, by: Side) {
        let bye = self.leg.in_dialog(scene, by, "BYE");
        let hops = self.hops(by);
        let received = hops.request(scene, at, &bye, bye.uri());
        hops.response(scene, at + 0.01, &received.response(200, self.proxy.outer, &self.tag));
    }

    fn hops(&self, by: Side) -> Hops<'_> {
        let (caller, callee) = self.leg.ends(by);
        Hops { caller, proxy: &self.proxy, callee }
    }
}

/// Registers `phone` at the PBX behind `proxy`.
pub(crate) fn register_through(scene: &mut Scene, at: f64, proxy: &Agent, phone: &mut Agent) {
    let request = scene.register_message(phone);
    let pbx = scene.pbx.clone();
    let hops = Hops { caller: phone, proxy, callee: &pbx };
    let received = hops.request(scene, at, &request, request.uri());
    let accepted = scene.registrar_response(&received, 200, proxy);
    let accepted = accepted.with("Contact", format!("<{}>;expires={}", phone.contact_uri(), phone.expires));
    hops.response(scene, at + 0.01, &accepted);
}
