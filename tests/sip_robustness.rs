//! No bytes make the scanner, an accessor or the framing panic, leave their range, or lose count; what is cut up comes together again.

mod support;

use proptest::prelude::*;
use siphound::sip::message::Message;
use siphound::sip::scan::{Context, looks_like_start_line, scan};
use support::reading::{frame_pieces, read_all, read_datagram};

/// One of everything: lists, folds, quotes, credentials, a multipart body.
const REGISTER: &str = "REGISTER sip:example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bKabc;rport;keep, SIP/2.0/TCP proxy ;received=192.0.2.1\r\n\
    From: \"A \\\" B\" <sip:alice;x=y:pw@example.com:5070;transport=tcp?h=v>;tag=1\r\n\
    t: sip:alice@example.com\r\n\
    Call-ID: abc@10.0.0.1\r\n\
    CSeq: 7\r\n  REGISTER\r\n\
    m: \"B, C\" <sip:alice@10.0.0.1:5062;ob>;+sip.instance=\"<urn:uuid:1>\";reg-id=1;expires=60;q=0.7, *\r\n\
    Expires: 3600\r\nMin-Expires: 60\r\nRetry-After: 5 (soon)\r\nSession-Expires: 1800;refresher=uas\r\n\
    Authorization: Digest username=\"alice\", realm=\"r\", nonce=\"n\", uri=\"sip:example.com\", response=\"0\"\r\n\
    WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", stale=true\r\n\
    Reason: SIP;cause=200;text=\"a, b\", Q.850;cause=16\r\n\
    Warning: 399 host \"text\"\r\nPath: <sip:edge;lr>\r\nP-Asserted-Identity: <tel:+491234>\r\nDate: Sat, 13 Nov 2010 23:29:00 GMT\r\n\
    Supported: path, outbound\r\nX-Asterisk-HangupCauseCode: 16\r\nEvent: reg;id=1\r\n\
    Content-Type: multipart/mixed;boundary=\"b\"\r\n\
    Content-Length: 120\r\n\r\n\
    --b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\no=- 1 1 IN IP4 10.0.0.1\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\n\r\n--b--\r\n";

#[test]
fn the_sample_is_sane() {
    let scan = scan(REGISTER.as_bytes(), Context::Datagram).expect("has a start line");
    let message = Message::new(REGISTER.as_bytes(), &scan);
    assert_eq!(message.body().len(), 120);
    assert!(message.sdp().is_some_and(|sdp| sdp.media().count() == 1));
    assert!(message.anomalies().is_empty(), "{:?}", message.anomalies());
}

#[test]
fn every_beginning_of_a_message_is_read_without_panic() {
    let failed: Vec<usize> =
        (0..REGISTER.len()).filter(|end| std::panic::catch_unwind(|| read_datagram(&REGISTER.as_bytes()[..*end])).is_err()).collect();
    assert!(failed.is_empty(), "panics at lengths {failed:?}");
}

#[test]
fn a_scan_read_with_other_bytes_gives_nonsense_and_no_panic() {
    let scan = scan(REGISTER.as_bytes(), Context::Datagram).expect("has a start line");
    for bytes in [&b""[..], b"x", &REGISTER.as_bytes()[..100], &[0xff; 4000]] {
        read_all(Message::new(bytes, &scan));
    }
}

#[test]
fn headers_beyond_64_kilobytes_are_read_up_to_there() {
    let long =
        format!("{}X: {}\r\nReason: SIP;cause=200\r\n\r\nbody", REGISTER.split_once("Expires").expect("is there").0, "y".repeat(70_000));
    let scan = scan(long.as_bytes(), Context::Datagram).expect("has a start line");
    let message = Message::new(long.as_bytes(), &scan);
    assert!(message.anomalies().contains(siphound::sip::anomaly::Anomaly::OversizedHeaders));
    assert_eq!((message.call_id(), message.reason()), (&b"abc@10.0.0.1"[..], None));
}

#[test]
fn a_byte_at_a_time_gives_the_same_messages() {
    let stream = [REGISTER.as_bytes(), b"\r\n\r\n", REGISTER.as_bytes(), b"junk: x\r\n", REGISTER.as_bytes()].concat();
    assert_eq!(frame_pieces(stream.chunks(1)), vec![REGISTER.as_bytes(); 3]);
}

/// Bytes that SIP is made of, so that random text gets somewhere.
fn sip_like() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "INVITE sip:a@b SIP/2.0\r\n",
        "SIP/2.0 200 OK\r\n",
        "\r\n",
        "\n",
        "Via: ",
        "v:",
        "From: ",
        "To:",
        "Contact: ",
        "CSeq: 1 INVITE\r\n",
        "l: 3\r\n",
        "Content-Length: ",
        "<",
        ">",
        "\"",
        "\\",
        ",",
        ";",
        "=",
        ":",
        "[",
        "]",
        "@",
        "?",
        "%",
        " ",
        "\t",
        "*",
        "sip:",
        "tel:",
        "SIP/2.0/UDP ",
        "9999999999",
        "tag",
        "rport",
        "z9hG4bK",
        "multipart/mixed;boundary=b",
        "Content-Type: ",
        "--b",
        "m=audio 1",
        "c=IN IP4 ",
        "\u{e9}",
        "\0",
        "Expires: ",
        "Reason: ",
        "Authorization: Digest ",
    ]);
    prop::collection::vec(words, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        read_datagram(&bytes);
        let _ = looks_like_start_line(&bytes);
        frame_pieces([&bytes[..]]);
    }

    #[test]
    fn sip_like_text_is_read_without_panic(text in sip_like()) {
        read_datagram(format!("INVITE sip:a@b SIP/2.0\r\n{text}").as_bytes());
        read_datagram(text.as_bytes());
        frame_pieces([text.as_bytes()]);
    }

    #[test]
    fn mutated_messages_are_read_without_panic(changes in prop::collection::vec((0..REGISTER.len(), any::<u8>()), 1..12)) {
        let mut bytes = REGISTER.as_bytes().to_vec();
        for (index, byte) in changes {
            bytes[index] = byte;
        }
        read_datagram(&bytes);
        frame_pieces([&bytes[..]]);
    }

    #[test]
    fn a_stream_gives_the_same_messages_in_whatever_pieces(text in sip_like(), cut in 1_usize..40) {
        let stream = [&text, "\r\n", REGISTER, &text, "\r\n", REGISTER].concat().into_bytes();
        prop_assert_eq!(frame_pieces(stream.chunks(cut)), frame_pieces([&stream[..]]));
    }

    #[test]
    fn what_is_framed_is_scanned_to_its_end(text in sip_like()) {
        let stream = [REGISTER, &text, "\r\n", REGISTER].concat().into_bytes();
        for message in frame_pieces([&stream[..]]) {
            let scan = scan(&message, Context::Stream);
            prop_assert_eq!(scan.map(|scan| scan.consumed()), Some(message.len()));
        }
    }
}
