//! What keeps a registration alive: keep-alives of phones, qualify of the PBX, refreshes.

use super::agent::Agent;
use super::message::Message;
use super::scene::Scene;

/// The ping of RFC 5626 §3.5.1, which most phones send over UDP.
pub(crate) const PING: &[u8] = b"\r\n\r\n";

impl Scene {
    /// Keep-alives of a phone from `from`, every `interval` seconds, until before `until`.
    pub(crate) fn keepalives(&mut self, phone: &Agent, from: f64, interval: f64, until: f64) {
        let pbx = self.pbx.outer;
        for at in times(from, interval, until) {
            self.udp(at, phone.outer, pbx, PING);
        }
    }

    /// An OPTIONS of the PBX, not sent.
    pub(crate) fn qualify_message(&mut self, phone: &Agent) -> Message {
        let pbx = self.pbx.clone();
        let random = &mut self.random;
        let target = phone.contact_uri();
        let request = Message::request("OPTIONS", &target)
            .with("Via", pbx.via(random))
            .with("Max-Forwards", "70")
            .with("From", format!("\"asterisk\" <sip:asterisk@{}>;tag={}", pbx.domain, pbx.tag(random)))
            .with("To", format!("<{target}>"))
            .with("Contact", format!("<sip:asterisk@{}>", pbx.outer))
            .with("Call-ID", pbx.call_id(random))
            .with("CSeq", "102 OPTIONS");
        pbx.introduce(request)
    }

    /// OPTIONS of the PBX, answered by the phone.
    pub(crate) fn qualify(&mut self, at: f64, phone: &Agent) {
        let request = self.qualify_message(phone);
        self.qualify_answered(at, &[0.0], phone, &request, phone.delay);
    }

    /// OPTIONS at `offsets` from `at`, answered `answer` seconds after `at`.
    pub(crate) fn qualify_answered(&mut self, at: f64, offsets: &[f64], phone: &Agent, request: &Message, answer: f64) {
        let pbx = self.pbx.clone();
        self.repeat(at, offsets, &pbx, phone, request);
        let tag = phone.tag(&mut self.random);
        let response = phone.introduce(request.response(200, pbx.outer, &tag));
        self.send(at + answer, phone, &pbx, &response);
    }

    /// OPTIONS at `offsets` from `at`, never answered.
    pub(crate) fn qualify_lost(&mut self, at: f64, offsets: &[f64], phone: &Agent) {
        let request = self.qualify_message(phone);
        let pbx = self.pbx.clone();
        self.repeat(at, offsets, &pbx, phone, &request);
    }

    /// A phone that nothing is wrong with, from `from` until `until`: registered, refreshed at half time, a keep-alive every 20 s,
    /// qualified every 60 s.
    pub(crate) fn healthy(&mut self, phone: &mut Agent, from: f64, until: f64) {
        self.reg_ok(from, phone);
        self.upkeep(phone, from, until);
    }

    /// [`Self::healthy`] after the registration.
    pub(crate) fn upkeep(&mut self, phone: &mut Agent, from: f64, until: f64) {
        let half = f64::from(phone.expires) / 2.0;
        for at in times(from + half, half, until) {
            self.refresh(at, phone);
        }
        self.keepalives(phone, from + 20.0, 20.0, until);
        for at in times(from + 30.0, 60.0, until) {
            self.qualify(at, phone);
        }
    }
}

/// `from`, `from + step` and so on until before `until`.
pub(crate) fn times(from: f64, step: f64, until: f64) -> impl Iterator<Item = f64> {
    (0..).map(move |index| from + f64::from(index) * step).take_while(move |at| *at < until)
}
