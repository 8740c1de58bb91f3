//! The IPv6 torture messages of RFC 5118, written anew around the construct that each of them is about.

use siphound::sip::anomaly::Anomaly::{self, *};
use siphound::sip::message::Message;
use siphound::sip::scan::{Context, scan};
use siphound::sip::uri::Uri;
use std::net::IpAddr;

/// A message with that start line, top Via and To.
fn message(start: &str, via: &str, to: &str) -> Vec<u8> {
    let method = start.split(' ').next().unwrap_or_default();
    format!(
        "{start}\r\nTo: {to}\r\nFrom: sip:user@example.com;tag=81x2\r\nVia: {via}\r\nCall-ID: SSG9559905523997077@hlau_4100\r\n\
         Max-Forwards: 70\r\nContact: \"Caller\" <sip:caller@[2001:db8::1]>\r\nCSeq: 98176 {method}\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

fn with<T>(bytes: &[u8], read: impl FnOnce(Message<'_>) -> T) -> T {
    let scan = scan(bytes, Context::Datagram).expect("has a start line");
    read(Message::new(bytes, &scan))
}

fn anomalies(bytes: &[u8]) -> Vec<Anomaly> {
    with(bytes, |message| message.anomalies().iter().collect())
}

fn ip(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

const VIA: &str = "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111";
const TO: &str = "sip:user@example.com";

/// §4.1
#[test]
fn an_address_in_brackets_is_read_everywhere() {
    let bytes = message("REGISTER sip:[2001:db8::10] SIP/2.0", VIA, TO);
    assert_eq!(anomalies(&bytes), []);
    with(&bytes, |message| {
        let via = message.top_via().expect("there is one");
        assert_eq!((via.host, via.host_ip(), via.port), (&b"2001:db8::9:1"[..], ip("2001:db8::9:1"), None));
        assert_eq!(message.request_uri().map(Uri::parse).and_then(|uri| uri.host_ip()), ip("2001:db8::10"));
        assert_eq!(message.contacts().next().and_then(|contact| contact.uri.host_ip()), ip("2001:db8::1"));
    });
}

/// §4.2
#[test]
fn an_address_without_brackets_is_named_and_read_whole() {
    let bytes = message("REGISTER sip:2001:db8::10 SIP/2.0", VIA, TO);
    assert_eq!(anomalies(&bytes), [UnbracketedIpv6]);
    let uri = Uri::parse(b"sip:2001:db8::10");
    assert_eq!((uri.host_ip(), uri.port), (ip("2001:db8::10"), None));
}

/// §4.3 and §4.4
#[test]
fn a_port_within_the_brackets_is_named_and_one_behind_them_is_read() {
    let ambiguous = message("REGISTER sip:[2001:db8::10:5070] SIP/2.0", VIA, TO);
    assert_eq!(anomalies(&ambiguous), [AmbiguousPort]);
    assert_eq!(Uri::parse(b"sip:[2001:db8::10:5070]").host_ip(), ip("2001:db8::10:5070"));

    let plain = message("REGISTER sip:[2001:db8::10]:5070 SIP/2.0", VIA, TO);
    assert_eq!(anomalies(&plain), []);
    let uri = Uri::parse(b"sip:[2001:db8::10]:5070");
    assert_eq!((uri.host_ip(), uri.port), (ip("2001:db8::10"), Some(5070)));
}

/// §4.5
#[test]
fn received_is_read_with_and_without_brackets() {
    for received in ["[2001:db8::9:255]", "2001:db8::9:255"] {
        let bytes =
            message("BYE sip:[2001:db8::10] SIP/2.0", &format!("SIP/2.0/UDP [2001:db8::9:1];received={received};branch=z9hG4bKas3"), TO);
        assert_eq!(anomalies(&bytes), []);
        with(&bytes, |message| {
            let via = message.top_via().expect("there is one");
            assert_eq!((via.received_ip(), via.branch), (ip("2001:db8::9:255"), Some(&b"z9hG4bKas3"[..])));
        });
    }
}

/// §4.6 and §4.8
#[test]
fn addresses_of_a_session_description_are_read_media_by_media() {
    let sdp = "v=0\r\no=bob 280744730 28977631 IN IP4 host.example.com\r\ns=\r\nt=0 0\r\nm=audio 22334 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n\
               m=video 6024 RTP/AVP 107\r\nc=IN IP6 2001:db8::1\r\n";
    let sdp = siphound::sip::sdp::Sdp::parse(sdp.as_bytes());
    assert_eq!((sdp.origin_address, sdp.connection_address), (&b"host.example.com"[..], &b"192.0.2.1"[..]));
    let media: Vec<_> = sdp.media().map(|media| (media.kind, media.port, media.connection_ip())).collect();
    assert_eq!(media, [(&b"audio"[..], 22334, ip("192.0.2.1")), (&b"video"[..], 6024, ip("2001:db8::1"))]);
}

/// §4.7
#[test]
fn vias_of_both_families_stand_side_by_side() {
    let vias = "SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKa\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKb\r\n\
                Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bKc;received=192.0.2.200";
    let bytes = message("BYE sip:user@host.example.net SIP/2.0", vias, TO);
    assert_eq!(anomalies(&bytes), []);
    with(&bytes, |message| {
        let hosts: Vec<_> = message.vias().map(|via| (via.host_ip(), via.port, via.received_ip())).collect();
        let expected =
            [(ip("2001:db8::9:1"), Some(6050), None), (ip("192.0.2.1"), None, None), (ip("2001:db8::9:255"), None, ip("192.0.2.200"))];
        assert_eq!(hosts, expected);
    });
}

/// §4.9
#[test]
fn a_mapped_address_keeps_its_form() {
    let bytes = message("INVITE sip:user@example.com SIP/2.0", "SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19", TO);
    assert_eq!(anomalies(&bytes), []);
    with(&bytes, |message| {
        let via = message.top_via().expect("there is one");
        assert_eq!((via.host_ip(), via.port), (ip("::ffff:192.0.2.10"), Some(19823)));
    });
}

/// §4.10: the grammar of RFC 3261 let three colons pass.
#[test]
fn three_colons_are_no_address_and_two_are() {
    let wrong = message("OPTIONS sip:user@[2001:db8:::192.0.2.1] SIP/2.0", VIA, "sip:user@[2001:db8:::192.0.2.1]");
    assert_eq!(anomalies(&wrong), [BadUri]);
    with(&wrong, |message| assert_eq!((message.to().uri.user, message.to().uri.host_ip()), (&b"user"[..], None)));

    let right = message("OPTIONS sip:user@[2001:db8::192.0.2.1] SIP/2.0", VIA, "sip:user@[2001:db8::192.0.2.1]");
    assert_eq!(anomalies(&right), []);
    with(&right, |message| assert_eq!(message.to().uri.host_ip(), ip("2001:db8::192.0.2.1")));
}
