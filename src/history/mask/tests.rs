use super::*;

fn masked(text: &str) -> String {
    String::from_utf8(Mask::new(7).message(text.as_bytes())).expect("text")
}

const INVITE: &str = "INVITE sip:+493012345@pbx.example.com;user=phone SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.168.77.11:5060;branch=z9hG4bKalice77;received=203.0.113.77;rport=40311\r\n\
    From: \"Alice Miller\" <sip:1001@pbx.example.com>;tag=alicetag\r\n\
    To: <sip:+493012345@pbx.example.com;user=phone>\r\n\
    Contact: <sip:1001@192.168.77.11:5060;ob>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-0004f2abcdef>\"\r\n\
    Call-ID: abc1001@192.168.77.11\r\n\
    CSeq: 102 INVITE\r\n\
    Proxy-Authorization: Digest username=\"1001\", realm=\"pbx.example.com\", nonce=\"deadbeef\", uri=\"sip:pbx.example.com\", \
    response=\"6629fae49393a05397450978507c4ef1\", cnonce=\"0a4f\", nc=00000001, qop=auth, algorithm=MD5\r\n\
    User-Agent: Phone X 1.2 0004f2abcdef\r\n\
    X-Account: miller-gmbh\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 95\r\n\r\n\
    v=0\r\no=alice 1 2 IN IP4 192.168.77.11\r\ns=Alice\r\nc=IN IP4 192.168.77.11\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";

#[test]
fn nothing_that_names_anybody_is_left() {
    let text = masked(INVITE).to_ascii_lowercase();
    for secret in [
        "1001",
        "493012345",
        "alice",
        "miller",
        "example",
        "pbx",
        "192.168.77.11",
        "203.0.113.77",
        "deadbeef",
        "6629fae4",
        "0a4f",
        "0004f2abcdef",
        "gmbh",
    ] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
}

#[test]
fn what_the_message_is_stays() {
    let text = masked(INVITE);
    for kept in [
        "INVITE sip:+",
        ";user=phone SIP/2.0\r\n",
        "Via: SIP/2.0/UDP 192.168.",
        ":5060;branch=z9hG4bK",
        ";rport=40311\r\n",
        "CSeq: 102 INVITE\r\n",
        "nc=00000001, qop=auth, algorithm=MD5\r\n",
        "User-Agent: Phone X 1.2 ",
        ";ob>;+sip.instance=\"",
        "m=audio 4000 RTP/AVP 8\r\n",
        "X-Account: xxxxxx-xxxx\r\n",
    ] {
        assert!(text.contains(kept), "{kept} is not in\n{text}");
    }
}

#[test]
fn a_quote_without_its_other_half_ends_with_its_line() {
    for line in ["Authorization: Digest realm=\"pbx\", nonce=\"1\"2\"", "Warning: 399 pbx.example.com \"123456", "From: \"Bob <sip:1001@h>"]
    {
        for start in ["SIP/2.0 200 OK", "SIP/2.0 503 \"123456789"] {
            let text = masked(&format!("{start}\r\n{line}\r\nCSeq: 20 INVITE\r\n\r\n"));
            assert_eq!(text.lines().nth(2), Some("CSeq: 20 INVITE"), "{text}");
        }
    }
}

#[test]
fn however_a_start_line_is_written_it_stays_one() {
    for (written, kept) in [
        ("sip/2.0 486 Busy Here\r\n\r\n", "sip/2.0 486 Busy"),
        ("\r\n\r\nBYE sip:1001@pbx.example.com SIP/2.0\r\n\r\n", "\r\n\r\nBYE sip:"),
        ("BYE\tsip:1001@pbx.example.com  Sip/2.0 \r\n\r\n", "  Sip/2.0 \r\n"),
        ("ACK sip:1001@pbx.example.com SIP/2.0\r\n To: <sip:1001@pbx.example.com>\r\n\r\n", " SIP/2.0\r\n To: <sip:"),
    ] {
        let text = masked(written);
        assert!(text.contains(kept) && !text.contains("1001") && !text.contains("pbx"), "{text}");
        assert_eq!(text.lines().count(), written.lines().count(), "{text}");
    }
}

#[test]
fn an_empty_line_ends_the_head_however_lines_end() {
    for (before, empty) in [("\r\n", "\r\n"), ("\n", "\n"), ("\n", "\r\n"), ("\r\n", "\n")] {
        let text = masked(&format!("BYE sip:a@b SIP/2.0{before}Content-Type: text/plain{before}{empty}CSeq: 7 BYE{before}{before}"));
        assert!(!text.contains("CSeq: 7 BYE"), "{text:?} is masked as a body");
        assert!(text.contains(&format!("text/plain{before}{empty}")), "{text:?}");
    }
}

#[test]
fn the_content_length_is_that_of_the_body() {
    let body_of = |text: &str| text.split_once("\r\n\r\n").expect("a body").1.len() as i64;
    let length_of = |text: &str| -> i64 {
        let line = text.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a length");
        line.parse().expect("a number")
    };
    let wrong_by = length_of(INVITE) - body_of(INVITE);
    for key in 0..50 {
        let text = String::from_utf8(Mask::new(key).message(INVITE.as_bytes())).expect("text");
        assert_eq!(length_of(&text) - body_of(&text), wrong_by, "as right as it was:\n{text}");
    }
}

#[test]
fn the_same_is_the_same_and_another_is_another() {
    let mut mask = Mask::new(7);
    assert_eq!(mask.user(b"1001"), mask.user(b"1001"));
    let users: std::collections::BTreeSet<_> = (0..10_000).map(|user| mask.user(format!("{user:04}").as_bytes())).collect();
    assert_eq!(users.len(), 10_000);
    let names: std::collections::BTreeSet<_> = (b'a'..=b'z').map(|user| mask.user(&[user])).collect();
    assert_eq!(names.len(), 26);
    assert_ne!(Mask::new(8).user(b"alice"), mask.user(b"alice"), "another key");
    assert_eq!(mask.host(b"PBX.example.com"), mask.host(b"pbx.EXAMPLE.com"));
}

#[test]
fn numbers_that_end_alike_end_alike() {
    let mut mask = Mask::new(7);
    let (long, short) = (mask.user(b"+493012345"), mask.user(b"03012345"));
    assert_eq!(long[long.len() - 7..], short[short.len() - 7..]);
    assert_ne!(mask.user(b"03012346")[1..], short[1..]);
}

#[test]
fn addresses_stay_of_their_kind() {
    use crate::decode::flow::is_private;
    let mut mask = Mask::new(7);
    for text in [
        "198.51.100.7",
        "8.8.8.8",
        "10.0.0.1",
        "172.31.0.9",
        "192.168.1.1",
        "100.64.3.3",
        "169.254.1.1",
        "2001:db8::1",
        "fd00::1",
        "fe80::1",
    ] {
        let address: IpAddr = text.parse().expect("an address");
        let other = mask.ip(address);
        assert_ne!(other, address);
        assert_eq!(is_private(other), is_private(address), "{address} became {other}");
        assert_eq!(other.is_ipv4(), address.is_ipv4());
    }
    for text in ["127.0.0.1", "0.0.0.0", "::1", "::", "224.0.1.75", "255.255.255.255"] {
        let address: IpAddr = text.parse().expect("an address");
        assert_eq!(mask.ip(address), address, "it names nobody");
    }
    let site = |text: &str, mask: &mut Mask| crate::track::site::Site::of(mask.ip(text.parse().expect("an address")));
    assert_eq!(site("2001:db8:1:2::7", &mut mask), site("2001:db8:1:2::8", &mut mask));
    assert_ne!(site("2001:db8:1:2::7", &mut mask), site("2001:db8:1:3::7", &mut mask));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_masked(bytes: Vec<u8>, tail: Vec<u8>) {
        Mask::new(7).message(&bytes);
        for name in ["Via", "From", "Authorization", "Warning", "Replaces", "User-Agent", "Content-Length"] {
            Mask::new(7).message(&[format!("OPTIONS sip:a SIP/2.0\r\n{name}: ").as_bytes(), &tail].concat());
        }
    }
}
