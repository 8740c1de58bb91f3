//! Registrations: REGISTER, challenge, acceptance, and what goes wrong.

use super::agent::Agent;
use super::message::Message;
use super::scene::Scene;

/// Seconds from the first REGISTER to the one with credentials in [`Scene::reg_ok`].
pub(crate) const ANSWERED_CHALLENGE: f64 = 0.075;
/// Seconds from the first REGISTER to its acceptance in [`Scene::reg_ok`].
pub(crate) const ACCEPTED: f64 = 0.090;

impl Scene {
    /// A REGISTER in full: challenge, credentials, acceptance, within 0.09 s.
    pub(crate) fn reg_ok(&mut self, at: f64, phone: &mut Agent) {
        self.reg_ok_listing(at, phone, &[]);
    }

    /// [`Self::reg_ok`], the acceptance listing the bindings of `others` beside the phone's own.
    pub(crate) fn reg_ok_listing(&mut self, at: f64, phone: &mut Agent, others: &[&Agent]) {
        phone.nonce = None;
        self.reg_rejected(at, phone, 401);
        let request = self.register(at + ANSWERED_CHALLENGE, phone);
        self.accept(at + ACCEPTED, phone, &request, others);
    }

    /// A refresh with the nonce the phone holds, accepted at once.
    pub(crate) fn refresh(&mut self, at: f64, phone: &mut Agent) {
        let request = self.register(at, phone);
        self.accept(at + 0.015, phone, &request, &[]);
    }

    /// A REGISTER answered with `status`; a challenge gives the phone a new nonce.
    pub(crate) fn reg_rejected(&mut self, at: f64, phone: &mut Agent, status: u16) {
        let request = self.register(at, phone);
        self.reject(at + 0.005, phone, &request, status);
    }

    /// Takes the binding of the phone back.
    pub(crate) fn unregister(&mut self, at: f64, phone: &mut Agent) {
        let request = self.log_off(at, phone);
        let response = self.registrar_response(&request, 200, phone);
        let pbx = self.pbx.clone();
        self.send(at + 0.015, &pbx, phone, &response);
    }

    /// Sends a REGISTER that asks for the binding to be taken back.
    pub(crate) fn log_off(&mut self, at: f64, phone: &mut Agent) -> Message {
        let mut request = self.register_message(phone);
        request.set("Expires", "0");
        let pbx = self.pbx.clone();
        self.send(at, phone, &pbx, &request);
        request
    }

    /// Sends a REGISTER, with credentials if the phone holds a nonce.
    pub(crate) fn register(&mut self, at: f64, phone: &mut Agent) -> Message {
        let request = self.register_message(phone);
        let pbx = self.pbx.clone();
        self.send(at, phone, &pbx, &request);
        request
    }

    /// The next REGISTER of the phone, not sent.
    pub(crate) fn register_message(&mut self, phone: &mut Agent) -> Message {
        let random = &mut self.random;
        let call_id = phone.register_call_id.take().unwrap_or_else(|| phone.call_id(random));
        phone.register_call_id = Some(call_id.clone());
        phone.register_cseq += 1;
        let uri = format!("sip:{}", phone.domain);
        let identity = format!("\"{}\" <{}>", phone.user, phone.aor());
        let mut request = Message::request("REGISTER", &uri)
            .with("Via", phone.via(random))
            .with("From", format!("{identity};tag={}", phone.tag(random)))
            .with("To", format!("<{}>", phone.aor()))
            .with("Call-ID", call_id)
            .with("CSeq", format!("{} REGISTER", phone.register_cseq))
            .with("Contact", phone.binding())
            .with("Max-Forwards", "70");
        if phone.nonce.is_some() {
            request = request.with("Authorization", phone.credentials(&uri, random));
        }
        phone.introduce(request).with("Expires", phone.expires.to_string())
    }

    /// The registrar's 200, with the binding as the phone wrote it and those of `others`.
    pub(crate) fn accept(&mut self, at: f64, phone: &Agent, request: &Message, others: &[&Agent]) {
        let granted = request.get("Expires").to_owned();
        let mut response = self.registrar_response(request, 200, phone);
        response = response.with("Contact", format!("<{}>;expires={granted}", phone.contact_uri()));
        for other in others {
            response = response.with("Contact", format!("<{}>;expires={}", other.contact_uri(), other.expires));
        }
        let response = response.with("Expires", granted);
        let pbx = self.pbx.clone();
        self.send(at, &pbx, phone, &response);
    }

    /// The registrar's final answer other than 200; a challenge carries a new nonce, which the phone takes.
    pub(crate) fn reject(&mut self, at: f64, phone: &mut Agent, request: &Message, status: u16) {
        let mut response = self.registrar_response(request, status, phone);
        if status == 401 {
            let nonce = self.random.hex(8);
            response = response.with("WWW-Authenticate", challenge(&nonce));
            phone.take_nonce(nonce);
        }
        let pbx = self.pbx.clone();
        self.send(at, &pbx, phone, &response);
    }

    /// A response of the registrar with the headers it always sends.
    pub(crate) fn registrar_response(&mut self, request: &Message, status: u16, phone: &Agent) -> Message {
        let tag = self.pbx.tag(&mut self.random);
        self.pbx.introduce(request.response(status, phone.outer, &tag))
    }
}

/// What a challenge says.
pub(crate) fn challenge(nonce: &str) -> String {
    format!("Digest algorithm=MD5, realm=\"asterisk\", nonce=\"{nonce}\", qop=\"auth\"")
}
