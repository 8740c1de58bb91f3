//! Calls: one [`Leg`] is the dialog between two neighbours, from INVITE to the end.

use super::agent::{Agent, Brand};
use super::message::Message;
use super::register::challenge;
use super::scene::{Scene, schedule};

/// An end of a leg.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    /// Sent the INVITE.
    Caller,
    /// Received it.
    Callee,
}

/// When the steps of an ordinary call happen, in seconds of the scene.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) invite: f64,
    pub(crate) ring: f64,
    pub(crate) answer: f64,
    pub(crate) bye: f64,
    pub(crate) bye_by: Side,
}

/// A dialog, or one in the making.
#[derive(Clone)]
pub(crate) struct Leg {
    pub(crate) caller: Agent,
    pub(crate) callee: Agent,
    pub(crate) call_id: String,
    /// The INVITE sent last.
    pub(crate) invite: Message,
    from: String,
    to: String,
    to_tag: String,
    target: String,
    cseq: [u32; 2],
    session: [u32; 2],
    nonce_pending: bool,
}

impl Leg {
    /// A leg from `caller` to `callee`; nothing is sent yet. Phones name the number in their domain, servers write the number into
    /// the identity they show and send to the Contact of the phone.
    pub(crate) fn new(scene: &mut Scene, caller: &Agent, callee: &Agent, from_user: &str, to_user: &str) -> Self {
        let random = &mut scene.random;
        let from_phone = !matches!(caller.brand, Brand::Asterisk | Brand::Carrier | Brand::Kamailio);
        let target = if from_phone { format!("sip:{to_user}@{}", caller.domain) } else { format!("sip:{to_user}@{}", callee.written) };
        let from = format!("\"{from_user}\" <sip:{from_user}@{}>;tag={}", caller.domain, caller.tag(random));
        let to = format!("<{target}>");
        let (call_id, to_tag) = (caller.call_id(random), callee.tag(random));
        let cseq = [100 + random.below(100) as u32, 100 + random.below(100) as u32];
        let invite = Message::request("INVITE", &target);
        let (caller, callee) = (caller.clone(), callee.clone());
        Self { caller, callee, call_id, invite, from, to, to_tag, target, cseq, session: [1, 1], nonce_pending: false }
    }

    /// The leg with another From, such as that of an anonymous caller.
    pub(crate) fn with_from(mut self, from: &str) -> Self {
        let tag = self.from.split_once(";tag=").map_or("", |(_, tag)| tag).to_owned();
        self.from = format!("{from};tag={tag}");
        self
    }

    /// Sends the INVITE, with the headers given.
    pub(crate) fn invite(&mut self, scene: &mut Scene, at: f64, headers: &[(&str, &str)]) {
        self.invite_repeated(scene, at, &[0.0], headers);
    }

    /// Sends the INVITE at each of `offsets` from `at`.
    pub(crate) fn invite_repeated(&mut self, scene: &mut Scene, at: f64, offsets: &[f64], headers: &[(&str, &str)]) {
        self.prepare_invite(scene, headers);
        scene.repeat(at, offsets, &self.caller, &self.callee, &self.invite);
    }

    /// Makes the INVITE without sending it.
    pub(crate) fn prepare_invite(&mut self, scene: &mut Scene, headers: &[(&str, &str)]) {
        let request = self.initial(scene, "INVITE").with_all(headers);
        self.invite = request.with_body("application/sdp", self.caller.sdp(self.session[0]));
    }

    /// The callee asks for credentials; the caller acknowledges and will send them with its next INVITE.
    pub(crate) fn challenge(&mut self, scene: &mut Scene, at: f64) {
        let nonce = scene.random.hex(8);
        let response = self.response(scene, 407).with("Proxy-Authenticate", challenge(&nonce));
        self.caller.take_nonce(nonce);
        self.nonce_pending = true;
        scene.send(at, &self.callee, &self.caller, &response);
        self.ack_failure(scene, at + self.caller.delay, &response);
    }

    /// A provisional response without a session description.
    pub(crate) fn progress(&mut self, scene: &mut Scene, at: f64, status: u16) {
        let response = self.response(scene, status);
        scene.send(at, &self.callee, &self.caller, &response);
    }

    /// A response with a session description: early media, or a 2xx.
    pub(crate) fn response_with_sdp(&mut self, scene: &mut Scene, status: u16, headers: &[(&str, &str)]) -> Message {
        let response = self.response(scene, status).with_all(headers);
        response.with_body("application/sdp", self.callee.sdp(self.session[1]))
    }

    /// The callee answers and the caller acknowledges.
    pub(crate) fn answer(&mut self, scene: &mut Scene, at: f64, headers: &[(&str, &str)]) {
        let response = self.response_with_sdp(scene, 200, headers);
        scene.send(at, &self.callee, &self.caller, &response);
        self.ack(scene, at + self.caller.delay);
    }

    /// The callee answers at each of `offsets` from `at`; nobody acknowledges.
    pub(crate) fn answer_repeated(&mut self, scene: &mut Scene, at: f64, offsets: &[f64]) {
        let response = self.response_with_sdp(scene, 200, &[]);
        scene.repeat(at, offsets, &self.callee, &self.caller, &response);
    }

    /// The ACK of a 2xx.
    pub(crate) fn ack(&mut self, scene: &mut Scene, at: f64) {
        let ack = self.in_dialog(scene, Side::Caller, "ACK");
        scene.send(at, &self.caller, &self.callee, &ack);
    }

    /// A final response other than 2xx, acknowledged.
    pub(crate) fn fail(&mut self, scene: &mut Scene, at: f64, status: u16, headers: &[(&str, &str)]) {
        let response = self.response(scene, status).with_all(headers);
        scene.send(at, &self.callee, &self.caller, &response);
        self.ack_failure(scene, at + self.caller.delay, &response);
    }

    /// The ACK of a failure: the branch of the INVITE, RFC 3261 §17.1.1.3.
    pub(crate) fn ack_failure(&mut self, scene: &mut Scene, at: f64, response: &Message) {
        let ack = self.companion("ACK", response.get("To"));
        scene.send(at, &self.caller, &self.callee, &ack);
    }

    /// The caller gives up: CANCEL, its 200, 487, ACK.
    pub(crate) fn cancel(&mut self, scene: &mut Scene, at: f64, headers: &[(&str, &str)]) {
        self.cancel_only(scene, at, headers);
        self.fail(scene, at + self.callee.delay + 0.001, 487, &[]);
    }

    /// CANCEL and its 200, but no final response to the INVITE.
    pub(crate) fn cancel_only(&mut self, scene: &mut Scene, at: f64, headers: &[(&str, &str)]) {
        let cancel = self.companion("CANCEL", &self.to.clone()).with_all(headers);
        scene.send(at, &self.caller, &self.callee, &cancel);
        let response = cancel.response(200, self.caller.outer, &self.to_tag);
        scene.send(at + self.callee.delay, &self.callee, &self.caller, &response);
    }

    /// CANCEL at each of `offsets` from `at`, and no answer.
    pub(crate) fn cancel_repeated(&mut self, scene: &mut Scene, at: f64, offsets: &[f64]) {
        let cancel = self.companion("CANCEL", &self.to.clone());
        scene.repeat(at, offsets, &self.caller, &self.callee, &cancel);
    }

    /// A request of an established dialog and its answer.
    pub(crate) fn exchange(&mut self, scene: &mut Scene, at: f64, by: Side, method: &str, status: u16) {
        let request = self.in_dialog(scene, by, method);
        self.exchange_message(scene, at, by, &request, status);
    }

    /// [`Self::exchange`] of which the 200 has headers.
    pub(crate) fn exchange_answered(&mut self, scene: &mut Scene, at: f64, by: Side, method: &str, headers: &[(&str, &str)]) {
        let request = self.in_dialog(scene, by, method);
        let (from, to) = self.ends(by);
        scene.send(at, from, to, &request);
        let response = request.response(200, from.outer, &self.to_tag).with_all(headers);
        scene.send(at + to.delay, to, from, &self.introduced(to, response));
    }

    /// [`Self::exchange`] of a request made before.
    pub(crate) fn exchange_message(&mut self, scene: &mut Scene, at: f64, by: Side, request: &Message, status: u16) {
        let (from, to) = self.ends(by);
        scene.send(at, from, to, request);
        let response = request.response(status, from.outer, &self.to_tag);
        scene.send(at + to.delay, to, from, &self.introduced(to, response));
    }

    /// BYE and its 200.
    pub(crate) fn bye(&mut self, scene: &mut Scene, at: f64, by: Side) {
        self.exchange(scene, at, by, "BYE", 200);
    }

    /// The answer to a BYE that the capture lost.
    pub(crate) fn bye_uncaptured(&mut self, scene: &mut Scene, at: f64, by: Side, status: u16) {
        let bye = self.in_dialog(scene, by, "BYE");
        self.refuse(scene, at, by, &bye, status);
    }

    /// A request of the dialog sent at each of `offsets`, without answer.
    pub(crate) fn unanswered(&mut self, scene: &mut Scene, at: f64, by: Side, method: &str) {
        let request = self.in_dialog(scene, by, method);
        let (from, to) = self.ends(by);
        scene.repeat(at, &schedule::CAPPED, from, to, &request);
    }

    /// A re-INVITE with a session description, its 200 and the ACK.
    pub(crate) fn reinvite(&mut self, scene: &mut Scene, at: f64, by: Side, change: impl Fn(String) -> String) {
        let request = self.reinvite_message(scene, by, change);
        let (from, to) = self.ends(by);
        scene.send(at, from, to, &request);
        let response = request.response(200, from.outer, &self.to_tag).with("Contact", to.contact());
        let response = response.with_body("application/sdp", to.sdp(2));
        scene.send(at + to.delay, to, from, &response);
        let mut ack = self.in_dialog(scene, by, "ACK");
        ack.set("CSeq", &request.get("CSeq").replace("INVITE", "ACK"));
        let (from, to) = self.ends(by);
        scene.send(at + to.delay + from.delay, from, to, &ack);
    }

    /// A re-INVITE, not sent.
    pub(crate) fn reinvite_message(&mut self, scene: &mut Scene, by: Side, change: impl Fn(String) -> String) -> Message {
        self.session[by as usize] += 1;
        let version = self.session[by as usize];
        let sdp = change(self.ends(by).0.sdp(version));
        self.in_dialog(scene, by, "INVITE").with_body("application/sdp", sdp)
    }

    /// The answer to a request that failed within the dialog, and for INVITE its ACK.
    pub(crate) fn refuse(&mut self, scene: &mut Scene, at: f64, by: Side, request: &Message, status: u16) {
        let (from, to) = self.ends(by);
        let response = request.response(status, from.outer, &self.to_tag);
        scene.send(at, to, from, &response);
        if request.method() == "INVITE" {
            let mut ack = Message::request("ACK", request.uri());
            for name in ["Via", "From", "To", "Call-ID"] {
                ack = ack.with(name, request.get(name));
            }
            let ack = ack.with("CSeq", request.get("CSeq").replace("INVITE", "ACK")).with("Max-Forwards", "70");
            scene.send(at + from.delay, from, to, &ack);
        }
    }

    /// An ordinary answered call without challenge.
    pub(crate) fn ordinary(&mut self, scene: &mut Scene, plan: Plan) {
        self.invite(scene, plan.invite, &[]);
        self.progress(scene, plan.invite + 0.005, 100);
        self.progress(scene, plan.ring, 180);
        self.answer(scene, plan.answer, &[]);
        self.bye(scene, plan.bye, plan.bye_by);
    }

    /// A request within the dialog, not sent. An ACK repeats the number of the INVITE, all else counts on.
    pub(crate) fn in_dialog(&mut self, scene: &mut Scene, by: Side, method: &str) -> Message {
        if method != "ACK" {
            self.cseq[by as usize] += 1;
        }
        let cseq = self.cseq[by as usize];
        let tagged = format!("{};tag={}", self.to, self.to_tag);
        let (from, to) = self.ends(by);
        let (local, remote) = if by == Side::Caller { (&self.from, &tagged) } else { (&tagged, &self.from) };
        let request = Message::request(method, &to.contact_uri())
            .with("Via", from.via(&mut scene.random))
            .with("Max-Forwards", "70")
            .with("From", local.as_str())
            .with("To", remote.as_str())
            .with("Call-ID", self.call_id.as_str())
            .with("CSeq", format!("{cseq} {method}"))
            .with("Contact", from.contact());
        from.introduce(request)
    }

    /// The value of Replaces that names this dialog from the callee's view (RFC 3891).
    pub(crate) fn replaces(&self) -> String {
        let from_tag = self.from.split_once(";tag=").map_or("", |(_, tag)| tag);
        format!("{};to-tag={};from-tag={from_tag}", self.call_id, self.to_tag)
    }

    /// A response of the callee to the INVITE, not sent.
    pub(crate) fn response(&mut self, scene: &mut Scene, status: u16) -> Message {
        // A new tag for each challenge keeps it apart from the dialog that follows.
        let challenge_tag = self.callee.tag(&mut scene.random);
        let tag = if status == 407 { &challenge_tag } else { &self.to_tag };
        let response = self.invite.response(status, self.caller.outer, tag);
        let response = if (180..300).contains(&status) { response.with("Contact", self.callee.contact()) } else { response };
        self.introduced(&self.callee, response)
    }

    /// Puts the far end of a proxied dialog in the place of the proxy: its Contact and its tag.
    pub(crate) fn adopt(&mut self, callee: &Agent, tag: &str) {
        callee.clone_into(&mut self.callee);
        tag.clone_into(&mut self.to_tag);
    }

    /// Sends the next INVITE elsewhere: after a redirection.
    pub(crate) fn retarget(&mut self, target: &str) {
        target.clone_into(&mut self.target);
    }

    /// The sender and the receiver of what `by` sends.
    pub(crate) fn ends(&self, by: Side) -> (&Agent, &Agent) {
        match by {
            Side::Caller => (&self.caller, &self.callee),
            Side::Callee => (&self.callee, &self.caller),
        }
    }

    fn introduced(&self, sender: &Agent, message: Message) -> Message {
        sender.introduce(message)
    }

    /// A request that makes a dialog, with credentials after a challenge.
    fn initial(&mut self, scene: &mut Scene, method: &str) -> Message {
        self.cseq[0] += 1;
        let target = self.target.clone();
        let mut request = Message::request(method, &target)
            .with("Via", self.caller.via(&mut scene.random))
            .with("Max-Forwards", "70")
            .with("From", self.from.as_str())
            .with("To", self.to.as_str())
            .with("Call-ID", self.call_id.as_str())
            .with("CSeq", format!("{} {method}", self.cseq[0]))
            .with("Contact", self.caller.contact());
        if std::mem::take(&mut self.nonce_pending) {
            request = request.with("Proxy-Authorization", self.caller.credentials(&target, &mut scene.random));
        }
        self.caller.introduce(request).with("Supported", "replaces, timer")
    }

    /// ACK of a failure or CANCEL: what must equal the INVITE does.
    pub(crate) fn companion(&self, method: &str, to: &str) -> Message {
        let mut request = Message::request(method, self.invite.uri());
        for name in ["Via", "From", "Call-ID"] {
            request = request.with(name, self.invite.get(name));
        }
        request.with("To", to).with("CSeq", self.invite.get("CSeq").replace("INVITE", method)).with("Max-Forwards", "70")
    }
}

/// Two legs of a PBX that is a back-to-back user agent.
pub(crate) struct Bridge {
    pub(crate) a: Leg,
    pub(crate) b: Leg,
}

impl Bridge {
    /// A call of `caller` to the phone `callee` through the PBX; nothing is sent yet.
    pub(crate) fn new(scene: &mut Scene, caller: &Agent, callee: &Agent) -> Self {
        let pbx = scene.pbx.clone();
        let a = Leg::new(scene, caller, &pbx, &caller.user, &callee.user);
        let b = Leg::new(scene, &pbx, callee, &caller.user, &callee.user);
        Self { a, b }
    }

    /// INVITE with challenge and retry, then 100 and the second leg, 50 ms after `at`. Both have rung 0.4 s after `at`.
    pub(crate) fn ring(&mut self, scene: &mut Scene, at: f64) {
        self.invite(scene, at);
        self.b.invite(scene, at + 0.05, &[]);
        self.b.progress(scene, at + 0.39, 180);
        self.a.progress(scene, at + 0.40, 180);
    }

    /// The first leg alone: INVITE, challenge, INVITE with credentials, 100; 45 ms in all.
    pub(crate) fn invite(&mut self, scene: &mut Scene, at: f64) {
        self.a.invite(scene, at, &[]);
        self.a.challenge(scene, at + 0.005);
        self.a.invite(scene, at + 0.04, &[]);
        self.a.progress(scene, at + 0.045, 100);
    }

    /// The callee answers, and the PBX answers the caller 10 ms later.
    pub(crate) fn answer(&mut self, scene: &mut Scene, at: f64) {
        self.b.answer(scene, at, &[]);
        self.a.answer(scene, at + 0.01, &[]);
    }

    /// `by` hangs up, and the PBX hangs up on the other 10 ms later.
    pub(crate) fn bye(&mut self, scene: &mut Scene, at: f64, by: Side) {
        match by {
            Side::Caller => {
                self.a.bye(scene, at, Side::Caller);
                self.b.bye(scene, at + 0.01, Side::Caller);
            }
            Side::Callee => {
                self.b.bye(scene, at, Side::Callee);
                self.a.bye(scene, at + 0.01, Side::Callee);
            }
        }
    }

    /// A whole ordinary call.
    pub(crate) fn ordinary(&mut self, scene: &mut Scene, at: f64, ring: f64, talk: f64, by: Side) {
        self.ring(scene, at);
        self.answer(scene, at + 0.39 + ring);
        self.bye(scene, at + 0.39 + ring + talk, by);
    }
}
