//! A day on which nothing is wrong: fifty phones behind five NATs, and two hundred calls of every ordinary kind.

use super::agent::{Agent, Brand, cast};
use super::call::{Bridge, Leg, Side};
use super::message::Message;
use super::proxy::Hops;
use super::scene::Scene;

/// Phones, and the sites they are at.
pub(crate) const PHONES: usize = 50;
const SITES: usize = 5;
/// Seconds that the day lasts.
pub(crate) const DAY: f64 = 3600.0;

/// What kind of server stands between the phones.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    /// A back-to-back user agent: two dialogs a call.
    Pbx,
    /// A proxy: one dialog, two hops.
    Proxy,
}

/// How a day differs from another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// The brands of the phones, in turn.
    pub(crate) phones: &'static [Brand],
    pub(crate) server: Brand,
    /// Seconds until a request is sent again.
    pub(crate) t1: f64,
    /// Seconds that registrations last.
    pub(crate) expires: u32,
    /// Seconds between keep-alives of a phone.
    pub(crate) keepalive: f64,
}

/// A kind of ordinary call.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    Answered,
    Held,
    Transferred,
    Forked,
    Busy,
    Declined,
    NoAnswer,
    Cancelled,
    NotFound,
    Redirected,
}

/// How many calls of each kind there are: 200 in all.
pub(crate) const CALLS: [(Kind, usize); 10] = [
    (Kind::Answered, 100),
    (Kind::Held, 15),
    (Kind::Transferred, 10),
    (Kind::Forked, 15),
    (Kind::Busy, 15),
    (Kind::Declined, 10),
    (Kind::NoAnswer, 12),
    (Kind::Cancelled, 12),
    (Kind::NotFound, 6),
    (Kind::Redirected, 5),
];

/// The day as a scene.
pub(crate) fn day(style: &Style) -> Scene {
    let mut scene = Scene::new(style.name);
    scene.pbx = Agent { brand: style.server, ..cast::pbx() };
    let phones = staff(&mut scene, style);
    let mut kinds: Vec<Kind> = CALLS.iter().flat_map(|&(kind, count)| std::iter::repeat_n(kind, count)).collect();
    for index in (1..kinds.len()).rev() {
        kinds.swap(index, scene.random.below(index as u64 + 1) as usize);
    }
    let mut free = vec![0.0; PHONES];
    let pace = (DAY - 400.0) / kinds.len() as f64;
    for (index, kind) in kinds.into_iter().enumerate() {
        let at = 60.0 + index as f64 * pace + scene.random.unit() * pace;
        let start = scene.random.below(PHONES as u64) as usize;
        let idle = (0..PHONES).map(|place| (start + place * 7) % PHONES).filter(|phone| free[*phone] < at);
        let chosen: Vec<usize> = idle.take(4).collect();
        let parties = [0, 1, 2, 3].map(|place: usize| phones[chosen[place]].clone());
        // Talk times are about exponential, a minute in the mean.
        let talk = 12.0 - (1.0 - scene.random.unit()).ln() * 60.0;
        // People wait a little before they use the phone again.
        chosen.iter().for_each(|phone| free[*phone] = at + talk + 45.0);
        let call = Call { at, talk, repeats: index % 25 == 7, t1: style.t1, parties };
        match style.shape {
            Shape::Pbx => call.through_pbx(&mut scene, kind),
            Shape::Proxy => call.through_proxy(&mut scene, kind),
        }
    }
    scene
}

/// The phones, kept registered, alive and qualified.
fn staff(scene: &mut Scene, style: &Style) -> Vec<Agent> {
    let phone = |index: usize| {
        let (site, place) = (index % SITES, index / SITES);
        let local = format!("192.168.{}.{}:5060", site % 2, 20 + place);
        let outer = format!("198.18.{site}.1:{}", 40_000 + place);
        let brand = style.phones[index % style.phones.len()];
        let agent = Agent::phone(&(5000 + index).to_string(), brand, &local, &outer).expiring(style.expires);
        let named = brand == Brand::Snom;
        if named { agent.with_instance(&format!("5f1b6a9e-0000-4c5e-9c4e-{index:012}")) } else { agent }
    };
    let mut phones: Vec<Agent> = (0..PHONES).map(phone).collect();
    for (index, phone) in phones.iter_mut().enumerate() {
        let start = index as f64 * 0.6;
        scene.reg_ok(start, phone);
        let half = f64::from(style.expires) / 2.0;
        let mut at = start + half;
        while at < DAY {
            // Each third refresh comes with a nonce that is too old.
            if scene.random.below(3) == 0 {
                scene.reg_ok(at, phone)
            } else {
                scene.refresh(at, phone)
            }
            at += half;
        }
        scene.keepalives(phone, start + style.keepalive, style.keepalive, DAY);
        for at in super::upkeep::times(start + 13.0, 60.0, DAY) {
            scene.qualify(at, phone);
        }
    }
    phones
}

/// One call of the day.
struct Call {
    at: f64,
    talk: f64,
    /// Whether the INVITE is sent a second time before anybody answers it.
    repeats: bool,
    t1: f64,
    /// Who takes part, the caller first.
    parties: [Agent; 4],
}

impl Call {
    fn through_pbx(&self, scene: &mut Scene, kind: Kind) {
        let [caller, callee, third, fourth] = &self.parties;
        let (at, by) = (self.at, if scene.random.below(2) == 0 { Side::Caller } else { Side::Callee });
        let ring = 2.0 + scene.random.unit() * 10.0;
        let pbx = scene.pbx.clone();
        let mut bridge = Bridge::new(scene, caller, callee);
        match kind {
            Kind::Answered if self.repeats => {
                bridge.invite(scene, at);
                bridge.b.invite_repeated(scene, at + 0.05, &[0.0, self.t1], &[]);
                bridge.b.progress(scene, at + self.t1 + 0.09, 180);
                bridge.a.progress(scene, at + self.t1 + 0.1, 180);
                bridge.answer(scene, at + ring + 1.0);
                bridge.bye(scene, at + ring + 1.0 + self.talk, by);
            }
            Kind::Answered => bridge.ordinary(scene, at, ring, self.talk, by),
            Kind::Held => {
                bridge.ring(scene, at);
                bridge.answer(scene, at + ring);
                let held = at + ring + 2.0;
                bridge.a.reinvite(scene, held, Side::Caller, |sdp| sdp.replace("sendrecv", "sendonly"));
                bridge.b.reinvite(scene, held + 0.05, Side::Caller, |sdp| sdp.replace("sendrecv", "sendonly"));
                bridge.a.reinvite(scene, held + self.talk / 2.0, Side::Caller, |sdp| sdp);
                bridge.b.reinvite(scene, held + self.talk / 2.0 + 0.05, Side::Caller, |sdp| sdp);
                bridge.bye(scene, held + self.talk, by);
            }
            Kind::Transferred => {
                bridge.ring(scene, at);
                bridge.answer(scene, at + ring);
                let asked = at + ring + 4.0;
                let refer = bridge.a.in_dialog(scene, Side::Caller, "REFER").with("Refer-To", format!("<{}>", third.aor()));
                bridge.a.exchange_message(scene, asked, Side::Caller, &refer, 202);
                let mut leg = Leg::new(scene, &pbx, third, &callee.user, &third.user);
                leg.invite(scene, asked + 0.05, &[]);
                leg.progress(scene, asked + 0.4, 180);
                leg.answer(scene, asked + 3.0, &[]);
                let notify = bridge.a.in_dialog(scene, Side::Callee, "NOTIFY").with("Event", "refer");
                let notify = notify.with("Subscription-State", "terminated;reason=noresource");
                let notify = notify.with_body("message/sipfrag;version=2.0", "SIP/2.0 200 OK\r\n".to_owned());
                bridge.a.exchange_message(scene, asked + 3.05, Side::Callee, &notify, 200);
                bridge.b.reinvite(scene, asked + 3.1, Side::Caller, |sdp| sdp);
                bridge.a.bye(scene, asked + 3.2, Side::Caller);
                bridge.b.bye(scene, asked + 3.2 + self.talk, Side::Callee);
                leg.bye(scene, asked + 3.21 + self.talk, Side::Caller);
            }
            Kind::Forked => {
                bridge.ring(scene, at);
                let mut others = [third, fourth].map(|phone| Leg::new(scene, &pbx, phone, &caller.user, &phone.user));
                for leg in &mut others {
                    leg.invite(scene, at + 0.051, &[]);
                    leg.progress(scene, at + 0.3, 180);
                }
                bridge.answer(scene, at + ring);
                for leg in &mut others {
                    leg.cancel(scene, at + ring + 0.02, &[("Reason", "SIP;cause=200;text=\"Call completed elsewhere\"")]);
                }
                bridge.bye(scene, at + ring + self.talk, by);
            }
            Kind::Busy | Kind::Declined => {
                let status = if kind == Kind::Busy { 486 } else { 603 };
                bridge.ring(scene, at);
                bridge.b.fail(scene, at + 2.0, status, &[]);
                bridge.a.fail(scene, at + 2.01, status, &[]);
            }
            Kind::NoAnswer => {
                bridge.ring(scene, at);
                bridge.b.cancel(scene, at + 30.4, &[]);
                bridge.a.fail(scene, at + 30.5, 480, &[("X-Asterisk-HangupCauseCode", "19")]);
            }
            Kind::Cancelled => {
                bridge.ring(scene, at);
                bridge.a.cancel(scene, at + ring, &[]);
                bridge.b.cancel(scene, at + ring + 0.01, &[]);
            }
            Kind::NotFound => {
                let mut leg = Leg::new(scene, caller, &pbx, &caller.user, "59999");
                leg.invite(scene, at, &[]);
                leg.challenge(scene, at + 0.005);
                leg.invite(scene, at + 0.04, &[]);
                leg.fail(scene, at + 0.06, 404, &[("Reason", "Q.850;cause=1")]);
            }
            Kind::Redirected => {
                bridge.invite(scene, at);
                bridge.b.invite(scene, at + 0.05, &[]);
                bridge.b.fail(scene, at + 0.1, 302, &[("Contact", &format!("<{}>", third.aor()))]);
                bridge.a.progress(scene, at + 0.11, 181);
                bridge.b = Leg::new(scene, &pbx, third, &caller.user, &third.user);
                bridge.b.invite(scene, at + 0.15, &[]);
                bridge.b.progress(scene, at + 0.4, 180);
                bridge.a.progress(scene, at + 0.41, 180);
                bridge.answer(scene, at + ring);
                bridge.bye(scene, at + ring + self.talk, by);
            }
        }
    }

    fn through_proxy(&self, scene: &mut Scene, kind: Kind) {
        let [caller, callee, third, _] = &self.parties;
        let (at, by) = (self.at, if scene.random.below(2) == 0 { Side::Caller } else { Side::Callee });
        let ring = 2.0 + scene.random.unit() * 10.0;
        if kind == Kind::NotFound {
            let pbx = scene.pbx.clone();
            let mut leg = Leg::new(scene, caller, &pbx, &caller.user, "59999");
            leg.invite(scene, at, &[]);
            leg.progress(scene, at + 0.002, 100);
            leg.fail(scene, at + 0.02, 404, &[]);
            return;
        }
        let mut call = Proxied::new(scene, caller, callee);
        call.invite(scene, at, callee, self.repeats.then_some(self.t1));
        if kind == Kind::Redirected {
            call.fail(scene, at + 0.1, 302, &[("Contact", &format!("<{}>", third.aor()))]);
            call.leg.retarget(&third.aor());
            call.callee = third.clone();
            call.invite(scene, at + 0.2, third, None);
        }
        call.answer(scene, at + 1.0, 180);
        let up = at + 1.0 + ring;
        match kind {
            Kind::Busy => call.fail(scene, at + 3.0, 486, &[]),
            Kind::Declined => call.fail(scene, at + 3.0, 603, &[]),
            Kind::Cancelled => {
                call.leg.cancel_only(scene, up, &[]);
                call.cancel_branch(scene, up + 0.002, &[]);
                call.leg.fail(scene, up + 0.05, 487, &[]);
            }
            Kind::NoAnswer => {
                call.cancel_branch(scene, at + 31.0, &[]);
                call.leg.fail(scene, at + 31.05, 480, &[]);
            }
            Kind::Answered | Kind::Redirected => {
                call.accept(scene, up);
                call.bye(scene, up + self.talk, by);
            }
            Kind::Held => {
                call.accept(scene, up);
                call.reinvite(scene, up + 2.0, |sdp| sdp.replace("sendrecv", "sendonly"));
                call.reinvite(scene, up + 2.0 + self.talk / 2.0, |sdp| sdp);
                call.bye(scene, up + 2.0 + self.talk, by);
            }
            Kind::Forked => {
                let mut other = call.branch(scene, at + 0.004, third);
                other.answer(scene, at + 1.3, 180);
                call.accept(scene, up);
                other.cancel_branch(scene, up + 0.01, &[("Reason", "SIP;cause=200;text=\"Call completed elsewhere\"")]);
                call.bye(scene, up + self.talk, by);
            }
            Kind::Transferred => {
                call.accept(scene, up);
                let refer = call.leg.in_dialog(scene, Side::Caller, "REFER").with("Refer-To", format!("<{}>", third.aor()));
                call.exchange(scene, up + 4.0, Side::Caller, &refer, 202);
                let mut next = Proxied::new(scene, callee, third);
                next.invite(scene, up + 4.1, third, None);
                next.answer(scene, up + 4.4, 180);
                next.accept(scene, up + 7.0);
                let notify = call.leg.in_dialog(scene, Side::Callee, "NOTIFY").with("Event", "refer");
                let notify = notify.with("Subscription-State", "terminated;reason=noresource");
                let notify = notify.with_body("message/sipfrag;version=2.0", "SIP/2.0 200 OK\r\n".to_owned());
                call.exchange(scene, up + 7.05, Side::Callee, &notify, 200);
                call.bye(scene, up + 7.2, Side::Caller);
                next.bye(scene, up + 7.2 + self.talk, by);
            }
            Kind::NotFound => {}
        }
    }
}

/// A call through a proxy, both hops captured.
struct Proxied {
    proxy: Agent,
    caller: Agent,
    callee: Agent,
    leg: Leg,
    tag: String,
    /// The INVITE as the callee received it.
    received: Message,
}

impl Proxied {
    fn new(scene: &mut Scene, caller: &Agent, callee: &Agent) -> Self {
        let proxy = scene.pbx.clone();
        let leg = Leg::new(scene, caller, &proxy, &caller.user, &callee.user);
        let tag = callee.tag(&mut scene.random);
        let received = leg.invite.clone();
        Self { proxy, caller: caller.clone(), callee: callee.clone(), leg, tag, received }
    }

    fn hops(&self, by: Side) -> Hops<'_> {
        match by {
            Side::Caller => Hops { caller: &self.caller, proxy: &self.proxy, callee: &self.callee },
            Side::Callee => Hops { caller: &self.callee, proxy: &self.proxy, callee: &self.caller },
        }
    }

    fn invite(&mut self, scene: &mut Scene, at: f64, callee: &Agent, repeated_after: Option<f64>) {
        self.leg.prepare_invite(scene, &[]);
        let invite = self.leg.invite.clone();
        if let Some(t1) = repeated_after {
            // The first one was lost before it came to the proxy's answer: it comes again as it was.
            scene.send(at - t1, &self.caller, &self.proxy, &invite);
        }
        self.tag = callee.tag(&mut scene.random);
        self.received = self.hops(Side::Caller).request(scene, at, &invite, &callee.contact_uri());
        self.leg.progress(scene, at + 0.001, 100);
    }

    /// A second branch of the same INVITE.
    fn branch(&self, scene: &mut Scene, at: f64, callee: &Agent) -> Self {
        let target = callee.contact_uri();
        let received = super::proxy::forwarded(scene, &self.proxy, self.caller.outer, &self.leg.invite, &target);
        scene.send(at, &self.proxy, callee, &received);
        let tag = callee.tag(&mut scene.random);
        Self { proxy: self.proxy.clone(), caller: self.caller.clone(), callee: callee.clone(), leg: self.leg.clone(), tag, received }
    }

    fn response(&self, status: u16) -> Message {
        self.received.response(status, self.proxy.outer, &self.tag).with("Contact", self.callee.contact())
    }

    fn answer(&mut self, scene: &mut Scene, at: f64, status: u16) {
        let response = self.response(status);
        self.hops(Side::Caller).response(scene, at, &response);
    }

    fn accept(&mut self, scene: &mut Scene, at: f64) {
        let accepted = self.response(200).with_body("application/sdp", self.callee.sdp(1));
        self.hops(Side::Caller).response(scene, at, &accepted);
        self.leg.adopt(&self.callee, &self.tag);
        let ack = self.leg.in_dialog(scene, Side::Caller, "ACK");
        let target = self.callee.contact_uri();
        self.hops(Side::Caller).request(scene, at + 0.002 + self.caller.delay, &ack, &target);
    }

    fn fail(&mut self, scene: &mut Scene, at: f64, status: u16, headers: &[(&str, &str)]) {
        let mut response = self.received.response(status, self.proxy.outer, &self.tag);
        response = response.with_all(headers);
        self.hops(Side::Caller).response(scene, at, &response);
        self.acknowledge(scene, at + 0.001, &response);
        let returned = super::proxy::returned(&response);
        self.leg.ack_failure(scene, at + 0.002 + self.caller.delay, &returned);
    }

    /// The proxy's own ACK of a failure.
    fn acknowledge(&self, scene: &mut Scene, at: f64, response: &Message) {
        let ack = self.companion("ACK").with("To", response.get("To"));
        scene.send(at, &self.proxy, &self.callee, &ack);
    }

    /// The proxy cancels the branch to the callee.
    fn cancel_branch(&mut self, scene: &mut Scene, at: f64, headers: &[(&str, &str)]) {
        let cancel = self.companion("CANCEL").with("To", self.received.get("To")).with_all(headers);
        scene.send(at, &self.proxy, &self.callee, &cancel);
        let ok = cancel.response(200, self.proxy.outer, &self.tag);
        scene.send(at + self.callee.delay, &self.callee, &self.proxy, &ok);
        let cancelled = self.received.response(487, self.proxy.outer, &self.tag);
        scene.send(at + self.callee.delay + 0.001, &self.callee, &self.proxy, &cancelled);
        self.acknowledge(scene, at + self.callee.delay + 0.002, &cancelled);
    }

    /// A request of the hop of the received INVITE: ACK of a failure, or CANCEL.
    fn companion(&self, method: &str) -> Message {
        let request = Message::request(method, self.received.uri());
        let request = ["Via", "From", "Call-ID"].iter().fold(request, |request, name| request.with(name, self.received.get(name)));
        request.with("CSeq", self.received.get("CSeq").replace("INVITE", method)).with("Max-Forwards", "70")
    }

    /// A request of the dialog and its answer.
    fn exchange(&mut self, scene: &mut Scene, at: f64, by: Side, request: &Message, status: u16) {
        let hops = self.hops(by);
        let received = hops.request(scene, at, request, &hops.callee.contact_uri());
        let response = received.response(status, self.proxy.outer, &self.tag);
        hops.response(scene, at + 0.002 + hops.callee.delay, &response);
    }

    fn bye(&mut self, scene: &mut Scene, at: f64, by: Side) {
        let bye = self.leg.in_dialog(scene, by, "BYE");
        self.exchange(scene, at, by, &bye, 200);
    }

    fn reinvite(&mut self, scene: &mut Scene, at: f64, change: impl Fn(String) -> String) {
        let request = self.leg.reinvite_message(scene, Side::Caller, change);
        let hops = self.hops(Side::Caller);
        let received = hops.request(scene, at, &request, &self.callee.contact_uri());
        let response = received.response(200, self.proxy.outer, &self.tag).with("Contact", self.callee.contact());
        let response = response.with_body("application/sdp", self.callee.sdp(2));
        hops.response(scene, at + 0.002 + self.callee.delay, &response);
        let mut ack = self.leg.in_dialog(scene, Side::Caller, "ACK");
        ack.set("CSeq", &request.get("CSeq").replace("INVITE", "ACK"));
        let target = self.callee.contact_uri();
        self.hops(Side::Caller).request(scene, at + 0.004 + self.callee.delay + self.caller.delay, &ack, &target);
    }
}
