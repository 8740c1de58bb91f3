//! rsip as a second opinion: of what it accepts, both read the same.
//!
//! rsip is stricter here and laxer there. It is asked about messages in which only values vary: of which line is which header the two
//! hold different views.

use siphound::sip::adapter::{digest_details, uri_params};

use super::script::Script;
use crate::support::opinion::agree;

pub(crate) fn body(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let choice = script.below(4);
    if choice == 3 {
        let text = String::from_utf8_lossy(script.rest()).into_owned();
        let _ = (digest_details(&text), uri_params(&text));
        return;
    }
    let (start, method) = script.pick(&[
        ("INVITE sip:bob@example.com SIP/2.0", "INVITE"),
        ("REGISTER sip:example.com SIP/2.0", "REGISTER"),
        ("SIP/2.0 200 OK", "BYE"),
        ("SIP/2.0 486 Busy Here", "INVITE"),
    ]);
    let mut value = |usual: &str| match script.next::<u8>() {
        0 => usual.to_owned(),
        size => String::from_utf8_lossy(script.take(usize::from(size))).chars().filter(|c| !c.is_control()).collect(),
    };
    let via = value("SIP/2.0/UDP pc33.example.com:5066;branch=z9hG4bK776asdhds;received=192.0.2.1");
    let (from, to) = (value("Alice <sip:alice@example.com>;tag=1928301774"), value("\"Bob\" <sip:bob@example.com:5070>"));
    let (call_id, number) = (value("a84b4c76e66710@pc33"), value("314159"));
    let message = format!(
        "{start}\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\nContent-Length: 0\r\n\r\n"
    );
    agree(message.as_bytes());
}
