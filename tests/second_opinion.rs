//! Where rsip accepts a message, both read the same.

mod support;

use proptest::prelude::*;
use siphound::sip::adapter::second_opinion;
use support::opinion::{agree, own_opinion};

fn message(start: &str, from: &str, to: &str, via: &str, method: &str) -> Vec<u8> {
    format!("{start}\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: a84b4c76e66710@pc33\r\nCSeq: 314159 {method}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

const VIA: &str = "SIP/2.0/UDP pc33.example.com:5066;branch=z9hG4bK776asdhds;received=192.0.2.1";

#[test]
fn ordinary_messages_are_read_alike() {
    for method in [
        "INVITE",
        "ACK",
        "BYE",
        "CANCEL",
        "REGISTER",
        "OPTIONS",
        "NOTIFY",
        "SUBSCRIBE",
        "PUBLISH",
        "INFO",
        "UPDATE",
        "PRACK",
        "REFER",
        "MESSAGE",
    ] {
        let start = format!("{method} sip:bob@example.com SIP/2.0");
        let bytes = message(
            &start,
            "Alice <sip:alice@example.com>;tag=1928301774",
            "\"Bob\" <sip:bob@example.com:5070;transport=tcp>",
            VIA,
            method,
        );
        assert_eq!(agree(&bytes), Some(()), "{method}");
        let ours = own_opinion(&bytes);
        assert!(ours.from.is_some() && ours.to.is_some(), "both are held against rsip's");
    }
    for status in [100, 180, 200, 302, 401, 486, 503, 603] {
        let bytes =
            message(&format!("SIP/2.0 {status} Phrase"), "<sip:alice@example.com>;tag=1", "<sip:bob@example.com>;tag=2", VIA, "INVITE");
        assert_eq!(agree(&bytes), Some(()), "{status}");
    }
}

#[test]
fn what_rsip_refuses_is_read_all_the_same() {
    let folded = message("BYE sip:bob@example.com SIP/2.0", "<sip:alice@example.com>\r\n ;tag=1", "<sip:bob@example.com>", VIA, "BYE");
    let tel = message("INVITE tel:+4930123456 SIP/2.0", "<sip:alice@example.com>;tag=1", "<tel:+4930123456>", VIA, "INVITE");
    for bytes in [folded, tel] {
        assert_eq!(second_opinion(&bytes), None);
        let ours = own_opinion(&bytes);
        assert_eq!(ours.from, Some((Some("alice".to_owned()), Some("1".to_owned()))));
    }
}

proptest! {
    #[test]
    fn generated_messages_are_read_alike(
        user in "[a-z0-9][a-z0-9.+_-]{0,11}",
        tag in "[A-Za-z0-9.-]{1,20}",
        display in prop::option::of("\"[A-Za-z ]{0,10}\" "),
        host in "[a-z]{1,8}(\\.[a-z]{2,5}){1,2}(:[1-9][0-9]{3})?",
        branch in "z9hG4bK[A-Za-z0-9.-]{1,20}",
        status in prop::option::of(100_u16..700),
        method in prop::sample::select(vec!["INVITE", "REGISTER", "BYE", "NOTIFY"]),
    ) {
        let start = status.map_or_else(|| format!("{method} sip:{host} SIP/2.0"), |status| format!("SIP/2.0 {status} Some Reason"));
        let from = format!("{}<sip:{user}@{host}>;tag={tag}", display.unwrap_or_default());
        let bytes = message(&start, &from, &format!("<sip:{host};transport=udp>"), &format!("SIP/2.0/UDP {host};rport;branch={branch}"), method);
        agree(&bytes);
    }
}
