//! Calls: a leg from the caller to the PBX and one from there to the callee.

use std::net::SocketAddr;

use super::message::{self, Exchange, SERVER};
use super::phone::Phone;
use super::{Event, PBX, Traffic, Way, micros};

/// What becomes of a call.
#[derive(Clone, Copy)]
enum Outcome {
    Answered,
    Busy,
    Cancelled,
}

/// When what happens in a leg, in microseconds, and how.
#[derive(Clone, Copy)]
struct Course {
    at: u64,
    outcome: Outcome,
    talk: u64,
    /// ICE candidates in the INVITE.
    candidates: usize,
}

/// One side of a call.
struct Leg<'a> {
    /// Whose messages these are; the other side is the PBX.
    phone: &'a Phone,
    /// Which way requests go.
    way: Way,
    agent: &'a str,
    /// The address of the side that calls.
    sent_by: SocketAddr,
    seen: SocketAddr,
    uri: String,
    call_id: String,
    from: String,
    to: String,
    to_tagged: String,
    contact: String,
}

impl<'a> Leg<'a> {
    fn exchange(&'a self, method: &'a str, to: &'a str, branch: u64, cseq: u32) -> Exchange<'a> {
        let Self { phone, sent_by, seen, uri, call_id, from, .. } = self;
        Exchange { method, uri, carrier: phone.carrier, sent_by: *sent_by, seen: *seen, branch, call_id, from, to, cseq }
    }

    fn back(&self) -> Way {
        match self.way {
            Way::FromPhone => Way::ToPhone,
            Way::ToPhone => Way::FromPhone,
        }
    }
}

impl Traffic {
    /// Begins a call between two phones that are registered, and sets when the next one begins.
    pub(super) fn call(&mut self, at: u64) {
        let plan = self.plan;
        let next = at + 1 + (self.random.unit() * 2e6 / plan.calls) as u64;
        if (next as f64) < plan.calls_until * 1e6 {
            self.schedule(next, Event::Call);
        }
        let arrived = ((at as f64 / 1e6 - 1.0) / plan.ramp * f64::from(plan.phones)) as u64;
        let registered = arrived.min(u64::from(plan.phones));
        if registered < 2 {
            return;
        }
        let caller = self.random.below(registered) as u32;
        let callee = (caller + 1 + self.random.below(registered - 1) as u32) % registered as u32;
        let (caller, callee) = (self.phone(caller), self.phone(callee));
        let outcome = match self.random.below(200) {
            lot if lot < u64::from(plan.failed) => Outcome::Busy,
            lot if lot < 2 * u64::from(plan.failed) => Outcome::Cancelled,
            _ => Outcome::Answered,
        };
        let candidates = if self.random.below(100) < u64::from(plan.large) { 50 } else { 0 };
        // About exponential, never very long nor too short to be one.
        let talk = micros((plan.talk * (0.1 - (1.0 - self.random.unit()).ln())).min(plan.talk * 7.5));
        let course = Course { at, outcome, talk, candidates };
        let inbound = self.leg(&caller, &callee, Way::FromPhone);
        self.challenged(&inbound, &caller, course);
        let outbound = self.leg(&caller, &callee, Way::ToPhone);
        self.proceed(&outbound, Course { at: at + 60_000, ..course }, 1, "");
    }

    fn leg<'a>(&mut self, caller: &'a Phone, callee: &'a Phone, way: Way) -> Leg<'a> {
        self.truth.legs += 1;
        let (phone, agent, sent_by, seen, uri) = match way {
            Way::FromPhone => (caller, caller.agent, caller.inner, caller.outer, format!("sip:{}@pbx.example.com", callee.user)),
            Way::ToPhone => (callee, SERVER, PBX, PBX, callee.uri()),
        };
        let to = format!("<sip:{}@pbx.example.com>", callee.user);
        Leg {
            phone,
            way,
            agent,
            sent_by,
            seen,
            uri,
            call_id: format!("{:016x}{}@{}", self.random.next(), self.random.hex(8), sent_by.ip()),
            from: format!("\"Phone {0}\" <sip:{0}@pbx.example.com>;tag={1}", caller.user, self.random.hex(8)),
            to_tagged: format!("{to};tag=as{}", self.random.hex(8)),
            to,
            contact: format!("<sip:{}@{sent_by}>", caller.user),
        }
    }

    /// An INVITE that is asked for credentials first.
    fn challenged(&mut self, leg: &Leg<'_>, caller: &Phone, course: Course) {
        let (nonce, branch) = (self.random.next(), self.random.next());
        let exchange = leg.exchange("INVITE", &leg.to, branch, 1);
        let offer = message::sdp(leg.sent_by, self.random.next(), course.candidates);
        let request = exchange.request(leg.agent, &leg.contact, "Session-Expires: 1800\r\n", &offer);
        let challenge = message::challenge("Proxy-Authenticate", nonce);
        let refusal = exchange.response("407 Proxy Authentication Required", &leg.to_tagged, &challenge, "");
        let ack = leg.exchange("ACK", &leg.to_tagged, branch, 1).request(leg.agent, &leg.contact, "", "");
        self.request(course.at, leg.phone, leg.way, request);
        self.send(course.at + 4_000, leg.phone, leg.back(), refusal);
        self.send(course.at + 30_000, leg.phone, leg.way, ack);
        let credentials = caller.digest(&mut self.random, "Proxy-Authorization", &exchange, nonce);
        self.proceed(leg, Course { at: course.at + 40_000, ..course }, 2, &credentials);
    }

    /// An INVITE that is let through, and all that follows.
    fn proceed(&mut self, leg: &Leg<'_>, course: Course, cseq: u32, credentials: &str) {
        let Course { at, outcome, talk, candidates } = course;
        let branch = self.random.next();
        let invite = leg.exchange("INVITE", &leg.to, branch, cseq);
        let offer = message::sdp(leg.sent_by, self.random.next(), candidates);
        let request = invite.request(leg.agent, &leg.contact, &format!("{credentials}Session-Expires: 1800\r\n"), &offer);
        let contact = format!("Contact: <{}>\r\n", leg.uri);
        let answer = |status: &str, extra: &str, body: &str| invite.response(status, &leg.to_tagged, extra, body);
        let ack = |branch| leg.exchange("ACK", &leg.to_tagged, branch, cseq).request(leg.agent, &leg.contact, "", "");
        self.request(at, leg.phone, leg.way, request);
        self.send(at + 5_000, leg.phone, leg.back(), invite.response("100 Trying", &leg.to, "", ""));
        self.send(at + 250_000, leg.phone, leg.back(), answer("180 Ringing", &contact, ""));
        // Short calls ring shortly.
        let end = at + 250_000 + micros((self.plan.talk / 30.0).min(4.0));
        match outcome {
            Outcome::Busy => {
                self.send(end, leg.phone, leg.back(), answer("486 Busy Here", "", ""));
                self.send(end + 30_000, leg.phone, leg.way, ack(branch));
            }
            Outcome::Cancelled => {
                let cancel = leg.exchange("CANCEL", &leg.to, branch, cseq);
                self.request(end, leg.phone, leg.way, cancel.request(leg.agent, &leg.contact, "", ""));
                self.send(end + 4_000, leg.phone, leg.back(), cancel.response("200 OK", &leg.to_tagged, "", ""));
                self.send(end + 6_000, leg.phone, leg.back(), answer("487 Request Terminated", "", ""));
                self.send(end + 30_000, leg.phone, leg.way, ack(branch));
            }
            Outcome::Answered => {
                let accepted = message::sdp(PBX, self.random.next(), 0);
                let granted = format!("{contact}Session-Expires: 1800;refresher=uas\r\n");
                self.send(end, leg.phone, leg.back(), answer("200 OK", &granted, &accepted));
                let own = self.random.next();
                self.send(end + 30_000, leg.phone, leg.way, ack(own));
                let bye = leg.exchange("BYE", &leg.to_tagged, self.random.next(), cseq + 1);
                self.request(end + talk, leg.phone, leg.way, bye.request(leg.agent, &leg.contact, "", ""));
                self.send(end + talk + 20_000, leg.phone, leg.back(), bye.response("200 OK", &leg.to_tagged, "", ""));
            }
        }
    }
}
