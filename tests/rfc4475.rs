//! The torture messages of RFC 4475, written anew around the construct that each of them is about: what is valid is read right and raises
//! nothing, what is invalid raises the anomaly it is about, and nothing else of the message is lost.

use siphound::sip::anomaly::Anomaly::{self, *};
use siphound::sip::headers::HeaderName;
use siphound::sip::message::{Kind, Message};
use siphound::sip::method::Method;
use siphound::sip::scan::{Context, scan};
use siphound::sip::text;
use siphound::sip::uri::Scheme;

const INVITE: &str = "INVITE sip:user@example.com SIP/2.0";
const REGISTER: &str = "REGISTER sip:example.com SIP/2.0";
const OPTIONS: &str = "OPTIONS sip:user@example.com SIP/2.0";
const SDP: &str =
    "v=0\r\no=mhandley 29739 7272939 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 49217 RTP/AVP 0 12\r\n";

/// Text with LF line ends, as on the wire.
fn wire(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

/// A sane message with some headers replaced, added, or (where the value is empty) left out.
fn message(start: &str, changes: &[(&str, &str)], body: &str) -> Vec<u8> {
    let method = if start.starts_with("SIP/") { "INVITE" } else { start.split(' ').next().unwrap_or_default() };
    let cseq = format!("8 {method}");
    let length = body.len().to_string();
    let sane = [
        ("To", "sip:user@example.com"),
        ("From", "sip:caller@example.net;tag=341518"),
        ("Max-Forwards", "70"),
        ("Call-ID", "torture@example.com"),
        ("CSeq", &cseq),
        ("Via", "SIP/2.0/UDP host.example.com:5060;branch=z9hG4bKkdjuw"),
        ("Contact", "<sip:caller@host.example.net>"),
        ("Content-Type", "application/sdp"),
        ("Content-Length", &length),
    ];
    let kept = sane.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    let lines: Vec<String> =
        kept.chain(changes).filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{start}\r\n{}\r\n{body}", lines.concat()).into_bytes()
}

fn with<T>(bytes: &[u8], read: impl FnOnce(Message<'_>) -> T) -> T {
    let scan = scan(bytes, Context::Datagram).expect("has a start line");
    read(Message::new(bytes, &scan))
}

fn anomalies(bytes: &[u8]) -> Vec<Anomaly> {
    with(bytes, |message| message.anomalies().iter().collect())
}

/// Whatever a case left as it was is read as ever.
fn assert_rest_is_read(name: &str, bytes: &[u8], changes: &[(&str, &str)]) {
    let changed = |header: &str| changes.iter().any(|(name, _)| *name == header);
    with(bytes, |message| {
        assert!(changed("Call-ID") || message.call_id() == b"torture@example.com", "{name}");
        assert!(changed("CSeq") || message.cseq().is_some_and(|cseq| cseq.number == 8), "{name}");
        assert!(changed("From") || (message.from().uri.user == b"caller" && message.from().tag == Some(b"341518")), "{name}");
        assert!(changed("To") || (message.to().uri.user == b"user" && message.to().uri.host == b"example.com"), "{name}");
        let via = message.top_via().unwrap_or_default();
        assert!(changed("Via") || (via.host == b"host.example.com" && via.branch == Some(b"z9hG4bKkdjuw")), "{name}");
        assert!(changed("Contact") || message.contacts().next().is_some_and(|contact| contact.uri.host == b"host.example.net"), "{name}");
        assert!(message.body().is_empty() || message.sdp().is_some_and(|sdp| sdp.connection_address == b"192.0.2.1"), "{name}");
    });
}

#[test]
fn each_invalid_message_raises_what_it_is_about_and_loses_nothing_else() {
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a [Anomaly]);
    let huge = "36893488147419103232";
    let huge_register = format!("{huge} REGISTER");
    let huge_invite = format!("{huge} INVITE");
    let huge_contact = format!("<sip:user@host129.example.com>\r\n  ;expires={huge}");
    let cases: &[Case<'_>] = &[
        (
            "3.1.2.1 badinv01",
            INVITE,
            &[("Via", "SIP/2.0/UDP 192.0.2.15;;,;,,"), ("Contact", "\"Joe\" <sip:joe@example.org>;;;;")],
            &[BadParameter, BadVia],
        ),
        ("3.1.2.2 clerr", INVITE, &[("Content-Length", "9999")], &[ContentLengthMismatch]),
        ("3.1.2.3 ncl", INVITE, &[("Content-Length", "-999")], &[ContentLengthInvalid]),
        (
            "3.1.2.4 scalar02",
            REGISTER,
            &[("CSeq", &huge_register), ("Max-Forwards", "300"), ("Expires", huge), ("Contact", &huge_contact)],
            &[CseqOverflow, ExpiresOverflow, BadMaxForwards],
        ),
        (
            "3.1.2.5 scalarlg",
            "SIP/2.0 503 Service Unavailable",
            &[("CSeq", &huge_invite), ("Retry-After", huge), ("Warning", "1812 overture \"In Progress\"")],
            &[CseqOverflow, RetryAfterOverflow, BadWarning],
        ),
        ("3.1.2.6 quotbal", INVITE, &[("To", "\"Mr. J. User <sip:j.user@example.com>")], &[UnterminatedQuote]),
        ("3.1.2.7 ltgtruri", "INVITE <sip:user@example.com> SIP/2.0", &[], &[BracketedRequestUri]),
        ("3.1.2.8 lwsruri", "INVITE sip:user@example.com; lr SIP/2.0", &[], &[LwsInStartLine, BadUri]),
        ("3.1.2.9 lwsstart", "INVITE  sip:user@example.com  SIP/2.0", &[("CSeq", "8 INVITE")], &[LwsInStartLine]),
        ("3.1.2.10 trws", "OPTIONS sip:user@example.com SIP/2.0  ", &[], &[LwsInStartLine]),
        ("3.1.2.11 escruri", "INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0", &[], &[RequestUriHeaders]),
        ("3.1.2.12 baddate", INVITE, &[("Date", "Fri, 01 Jan 2010 16:00:00 EST")], &[BadDate]),
        ("3.1.2.13 regbadct", REGISTER, &[("Contact", "sip:user@example.com?Route=%3Csip:sip.example.com%3E")], &[UnbracketedUri]),
        ("3.1.2.14 badaspec", OPTIONS, &[("To", "\"Watson, Thomas\" < sip:t.watson@example.org >")], &[BadUri]),
        ("3.1.2.15 baddn", OPTIONS, &[("From", "Bell, Alexander <sip:a.g.bell@example.com>;tag=43")], &[BadDisplayName]),
        (
            "3.1.2.16 badvers",
            "OPTIONS sip:t.watson@example.org SIP/7.0",
            &[("Via", "SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw")],
            &[UnknownVersion],
        ),
        ("3.1.2.17 mismatch01", OPTIONS, &[("CSeq", "8 INVITE")], &[CseqMethodMismatch]),
        ("3.1.2.18 mismatch02", "NEWMETHOD sip:user@example.com SIP/2.0", &[("CSeq", "8 INVITE")], &[CseqMethodMismatch]),
        ("3.1.2.19 bigcode", "SIP/2.0 4294967301 better not break the receiver", &[], &[InvalidStatus]),
        ("3.2.1 badbranch", OPTIONS, &[("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK")], &[BadBranch]),
        ("3.3.1 insuf", INVITE, &[("Call-ID", ""), ("From", ""), ("To", "")], &[MissingFrom, MissingTo, MissingCallId]),
        ("3.3.2 unkscm", "OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0", &[], &[UnknownUriScheme]),
        ("3.3.3 novelsc", "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0", &[], &[UnknownUriScheme]),
        (
            "3.3.4 unksm2",
            REGISTER,
            &[("To", "isbn:2983792873"), ("From", "<http://www.example.com>;tag=3234233"), ("Contact", "<name:John_Smith>")],
            &[UnknownUriScheme],
        ),
        ("3.3.7 regaut01", REGISTER, &[("Authorization", "NoOneKnowsThisScheme opaque-data=here")], &[UnknownAuthScheme]),
        (
            "3.3.8 multi01",
            INVITE,
            &[("Call-ID", "a@192.0.2.1"), ("CSeq", "5 INVITE"), ("CSeq", "59 INVITE"), ("Call-ID", "a@192.0.2.2")],
            &[DuplicateHeader],
        ),
        (
            "3.3.9 mcl01",
            OPTIONS,
            &[("Content-Length", "13"), ("Content-Length", "5")],
            &[DuplicateHeader, ContentLengthMismatch, ExcessBytes],
        ),
        (
            "3.3.10 bcast",
            "SIP/2.0 200 OK",
            &[("Via", "SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1"), ("Via", "SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK2")],
            &[BroadcastVia],
        ),
        ("3.3.11 zeromf", OPTIONS, &[("Max-Forwards", "0")], &[MaxForwardsExhausted]),
        (
            "3.4.1 inv2543",
            INVITE,
            &[("From", "<sip:+13035551111@ift.client.example.net;user=phone>"), ("Content-Length", "")],
            &[MissingFromTag],
        ),
    ];
    for (name, start, changes, expected) in cases {
        let has_two_lengths = name.ends_with("mcl01");
        let body = if start.starts_with("INVITE") || has_two_lengths { SDP } else { "" };
        let bytes = message(start, changes, body);
        assert_eq!(anomalies(&bytes), *expected, "{name}");
        if !has_two_lengths {
            assert_rest_is_read(name, &bytes, changes);
        }
    }
}

#[test]
fn requests_that_only_ask_for_the_impossible_are_no_anomalies() {
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);
    let cases: &[Case<'_>] = &[
        ("3.3.5 bext01", OPTIONS, &[("Require", "nothingSupportsThis, nothingSupportsThisEither"), ("Proxy-Require", "norDoAnyProxies")]),
        ("3.3.6 invut", INVITE, &[("Content-Type", "application/unknownformat")]),
        ("3.3.12 cparam01", REGISTER, &[("Contact", "sip:+19725552222@gw1.example.net;unknownparam")]),
        ("3.3.13 cparam02", REGISTER, &[("Contact", "<sip:+19725552222@gw1.example.net;unknownparam>")]),
        ("3.3.14 regescrt", REGISTER, &[("Contact", "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>")]),
        ("3.3.15 sdp01", INVITE, &[("Accept", "text/nobodyKnowsThis")]),
    ];
    for (name, start, changes) in cases {
        let bytes = message(start, changes, "");
        assert_eq!(anomalies(&bytes), [], "{name}");
        assert_rest_is_read(name, &bytes, changes);
    }
    let bytes = message(OPTIONS, &[("Require", "nothingSupportsThis, \r\n 100rel")], "");
    with(&bytes, |message| {
        assert!(message.has_option_tag(HeaderName::Require, b"100REL"));
        assert!(message.has_option_tag("require", b"nothingSupportsThis"));
        assert!(!message.has_option_tag("supported", b"100rel"));
    });
}

/// §3.1.1.1: folding, white space and case wherever the grammar allows them.
#[test]
fn wsinv_is_read_through_its_folds() {
    let bytes = wire(concat!(
        "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\n",
        "TO :\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\n",
        "from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\n  ;\n  tag = 98asjd8\n",
        "MaX-fOrWaRdS: 0068\n",
        "Call-ID: wsinv.ndaksdj@192.0.2.1\n",
        "Content-Length   : 18\n",
        "cseq: 0009\n  INVITE\n",
        "Via  : SIP  /   2.0\n /UDP\n    192.0.2.2;branch=390skdjuw\n",
        "s :\n",
        "NewFangledHeader:   newfangled value\n continued newfangled value\n",
        "UnknownHeaderWithUnusualValue: ;;,,;;,;\n",
        "Content-Type: application/sdp\n",
        "Route:\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\n",
        "v:  SIP  / 2.0  / TCP     spindle.example.com   ;\n  branch  =   z9hG4bK9ikj8  ,\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=\n z9hG4bK30239\n",
        "m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\n      newvalue ;\n  secondparam ; q = 0.33\n",
        "\n",
        "c=IN IP4 1.2.3.4\n",
    ));
    assert_eq!(anomalies(&bytes), []);
    with(&bytes, |message| {
        assert_eq!(message.to().tag, Some(&b"1918181833n"[..]));
        assert_eq!((message.to().uri.user, message.to().uri.host), (&b"vivekg"[..], &b"chair-dnrc.example.com"[..]));
        assert_eq!((message.from().uri.user, message.from().tag), (&b"jdrosen"[..], Some(&b"98asjd8"[..])));
        assert_eq!(message.from().display, br#"J Rosenberg \\\""#);
        assert_eq!(message.max_forwards(), Some(68));
        assert_eq!(message.cseq().map(|cseq| (cseq.number, cseq.method)), Some((9, Method::Invite)));
        assert_eq!(message.via_count(), 3);
        let vias: Vec<_> = message.vias().map(|via| (via.transport, via.host, via.branch.unwrap_or_default())).collect();
        let expected: [(&[u8], &[u8], &[u8]); 3] = [
            (b"UDP", b"192.0.2.2", b"390skdjuw"),
            (b"TCP", b"spindle.example.com", b"z9hG4bK9ikj8"),
            (b"UDP", b"192.168.255.111", b"z9hG4bK30239"),
        ];
        assert_eq!(vias, expected);
        assert_eq!(message.header(HeaderName::Subject), Some(&b""[..]));
        let unfolded = message.header("NewFangledHeader").map(text::unfold);
        assert_eq!(unfolded.as_deref(), Some(&b"newfangled value continued newfangled value"[..]));
        let contact = message.contacts().next().expect("there is one");
        assert_eq!((contact.uri.user, contact.q), (&b"jdrosen"[..], Some(330)));
        assert_eq!(contact.params().find(|param| param.is("newparam")).and_then(|param| param.value), Some(&b"newvalue"[..]));
    });
}

/// §3.1.1.2: every character that a method, a user, a tag may have.
#[test]
fn intmeth_keeps_odd_but_legal_characters() {
    let method = "!interesting-Method0123456789_*+`.%indeed'~";
    let uri = "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com";
    let bytes = wire(&format!(
        "{method} {uri} SIP/2.0\nVia: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~\n\
         To: \"BEL:\\\u{7} NUL:\\\0 DEL:\\\u{7f}\" <sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>\n\
         From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"работающий\";tag=_token~1'+`*%!-.\n\
         Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}}{{\nCSeq: 139122385 {method}\nMax-Forwards: 255\n\
         extensionHeader-!.%*+_`'~:\u{feff}大停電\nContent-Length: 0\n\n"
    ));
    assert_eq!(anomalies(&bytes), []);
    with(&bytes, |message| {
        assert_eq!(message.kind(), Kind::Request(Method::Other));
        assert_eq!(message.method_name(), method.as_bytes());
        assert_eq!(message.request_uri(), Some(uri.as_bytes()));
        assert_eq!(message.to().uri.userinfo, b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*");
        assert_eq!(message.to().uri.host, b"example.com");
        assert_eq!((message.from().uri.user, message.from().tag), (&b"mundane"[..], Some(&b"_token~1'+`*%!-."[..])));
        assert_eq!(message.top_via().and_then(|via| via.branch), Some(&b"z9hG4bK-.!%66*_+`'~"[..]));
        assert_eq!(message.header("extensionHeader-!.%*+_`'~"), Some("\u{feff}大停電".as_bytes()));
    });
}

/// §3.1.1.3 to §3.1.1.5: escapes stay as they are, whatever they stand for, and are never taken for what they would decode to.
#[test]
fn escapes_are_left_alone() {
    let bytes = message(
        "INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0",
        &[
            ("To", "sip:%75se%72@example.com"),
            ("From", "<sip:I%20have%20spaces@example.net>;tag=938"),
            ("Contact", "\r\n  <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>"),
        ],
        "",
    );
    assert_eq!(anomalies(&bytes), [], "esc01");
    with(&bytes, |message| {
        assert_eq!(message.from().uri.user, b"I%20have%20spaces");
        let contact = message.contacts().next().expect("there is one");
        assert_eq!((contact.uri.user, contact.uri.param("n%61me")), (&b"cal%6Cer"[..], Some(&b"v%61lue%25%34%31"[..])));
    });

    let bytes = message(
        "RE%47IST%45R sip:registrar.example.com SIP/2.0",
        &[
            ("To", "\"%Z%45\" <sip:resource@example.com>"),
            ("Contact", "<sip:alias1@host1.example.com>"),
            ("C%6Fntact", "<sip:alias2@host2.example.com>"),
            ("Contact", "<sip:alias3@host3.example.com>"),
        ],
        "",
    );
    assert_eq!(anomalies(&bytes), [], "esc02");
    with(&bytes, |message| {
        assert_eq!((message.method(), message.method_name()), (Method::Other, &b"RE%47IST%45R"[..]));
        assert_eq!(message.contacts().map(|contact| contact.uri.user).collect::<Vec<_>>(), [b"alias1", b"alias3"]);
    });

    let bytes = message(
        REGISTER,
        &[
            ("To", "sip:null-%00-null@example.com"),
            ("Contact", "<sip:%00@host5.example.com>"),
            ("Contact", "<sip:%00%00@host5.example.com>"),
        ],
        "",
    );
    assert_eq!(anomalies(&bytes), [], "escnull");
    with(&bytes, |message| assert_eq!(message.contacts().map(|contact| contact.uri.user).collect::<Vec<_>>(), [&b"%00"[..], b"%00%00"]));
}

/// §3.1.1.6: no white space between display name and `<`.
#[test]
fn lwsdisp_has_a_display_name() {
    let bytes = message(OPTIONS, &[("From", "caller<sip:caller@example.com>;tag=323")], "");
    assert_eq!(anomalies(&bytes), []);
    with(&bytes, |message| assert_eq!((message.from().display, message.from().tag), (&b"caller"[..], Some(&b"323"[..]))));
}

/// §3.1.1.7: long values and 34 Vias in all spellings.
#[test]
fn longreq_is_read_to_its_end() {
    let long = "long".repeat(200);
    let names = ["Via", "v", "V", "ViA", "VIa", "VIA", "via", "viA", "vIa", "vIA", "V ", "v ", "V  ", "v  ", "Via ", "Via  "];
    let hosts: Vec<String> = (0..34).map(|index| format!("SIP/2.0/TCP sip{index}.example.com")).collect();
    let to = format!("\"I have a user name of {long} proportion\"<sip:user@example.com:6000;unknownparam1=very{long}value>");
    let branch = format!("SIP/2.0/TCP host.example.com;received=192.0.2.5;branch=very{long}branchvalue");
    let mut changes = vec![("To", to.as_str())];
    changes.extend(names.iter().cycle().zip(&hosts).map(|(name, host)| (*name, host.as_str())));
    changes.push(("Via", &branch));
    let bytes = message(INVITE, &changes, SDP);
    assert_eq!(anomalies(&bytes), []);
    with(&bytes, |message| {
        assert_eq!((message.via_count(), message.vias().count()), (35, 35));
        assert_eq!(message.top_via().map(|via| via.host), Some(&b"sip0.example.com"[..]));
        let last = message.vias().last().expect("there are 35");
        assert_eq!(last.received_ip(), "192.0.2.5".parse().ok());
        assert_eq!(message.to().uri.port, Some(6000));
        assert_eq!(message.body(), SDP.as_bytes());
    });
}

/// §3.1.1.8: a second request behind the first one's body and two line ends.
#[test]
fn dblreq_is_two_messages() {
    let first = message(REGISTER, &[("Call-ID", "first")], "");
    let bytes = [first.clone(), b"\r\n\r\n".to_vec(), message(INVITE, &[("Call-ID", "second")], SDP)].concat();
    let scan = scan(&bytes, Context::Datagram).expect("has a start line");
    let message = Message::new(&bytes, &scan);
    assert!(message.anomalies().is_empty());
    assert_eq!((message.call_id(), scan.consumed()), (&b"first"[..], first.len()));
    let rest = &bytes[scan.consumed()..];
    assert_eq!(anomalies(rest), []);
    with(rest, |message| assert_eq!((message.call_id(), message.body()), (&b"second"[..], SDP.as_bytes())));
}

/// §3.1.1.9: semicolons in the user part belong to it.
#[test]
fn semiuri_has_its_params_in_the_user_part() {
    let bytes = message("OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0", &[], "");
    assert_eq!(anomalies(&bytes), []);
    let uri = with(&bytes, |message| message.request_uri().map(<[u8]>::to_vec)).expect("is a request");
    let uri = siphound::sip::uri::Uri::parse(&uri);
    assert_eq!(
        (uri.userinfo, uri.user, uri.host),
        (&b"user;par=u%40example.net"[..], &b"user;par=u%40example.net"[..], &b"example.com"[..])
    );
    assert_eq!(uri.params().count(), 0);
}

/// §3.1.1.10: transports of all kinds in the Vias.
#[test]
fn transports_are_told_as_written() {
    let transports = ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"];
    let vias: Vec<String> = transports.iter().map(|name| format!("SIP/2.0/{name} t.example.com;branch=z9hG4bKkdjuw")).collect();
    let changes: Vec<(&str, &str)> = vias.iter().map(|via| ("Via", via.as_str())).collect();
    let bytes = message(OPTIONS, &changes, "");
    assert_eq!(anomalies(&bytes), []);
    with(&bytes, |message| assert!(message.vias().map(|via| via.transport).eq(transports.iter().map(|name| name.as_bytes()))));
}

/// §3.1.1.11: a binary multipart body; here with a session description among its parts.
#[test]
fn mpart01_gives_its_session_description() {
    let body = format!(
        "--7a9cbec02ceef655\r\nContent-Type: text/plain\r\n\r\nHello\r\n--7a9cbec02ceef655\r\nContent-Type: application/octet-stream\r\n\r\n\u{0}\u{1}\r\n\r\n\
         --7a9cbec02ceef655\r\ncontent-type : Application/SDP\r\n\r\n{SDP}\r\n--7a9cbec02ceef655--\r\n"
    );
    let bytes = message("MESSAGE sip:kumiko@example.org SIP/2.0", &[("Content-Type", "multipart/mixed;boundary=7a9cbec02ceef655")], &body);
    assert_eq!(anomalies(&bytes), []);
    with(&bytes, |message| {
        assert_eq!(message.body(), body.as_bytes());
        let sdp = message.sdp().expect("is the third part");
        assert_eq!((sdp.session_id, sdp.media().count()), (&b"29739"[..], 1));
    });
}

/// §3.1.1.12 and §3.1.1.13: reason phrases of any characters, or none at all.
#[test]
fn reason_phrases_may_be_anything_or_nothing() {
    let bytes = message("SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое", &[], "");
    assert_eq!(anomalies(&bytes), []);
    with(&bytes, |message| {
        assert_eq!(message.kind(), Kind::Response(200));
        assert_eq!(message.method(), Method::Invite);
        assert_eq!(message.reason_phrase(), "= 2**3 * 5**2 но сто девяносто девять - простое".as_bytes());
    });
    for start in ["SIP/2.0 100 ", "SIP/2.0 100"] {
        let bytes = message(start, &[], "");
        assert_eq!(anomalies(&bytes), []);
        with(&bytes, |message| assert_eq!((message.kind(), message.reason_phrase()), (Kind::Response(100), &b""[..])));
    }
}

#[test]
fn unknown_schemes_keep_the_uri_whole() {
    let bytes = message(REGISTER, &[("To", "isbn:2983792873"), ("Contact", "<name:John_Smith>")], "");
    with(&bytes, |message| {
        assert_eq!(
            (message.to().uri.scheme, message.to().uri.raw, message.to().uri.user),
            (Scheme::Other, &b"isbn:2983792873"[..], &b""[..])
        );
        assert_eq!(message.contacts().map(|contact| contact.uri.raw).collect::<Vec<_>>(), [b"name:John_Smith"]);
    });
}

#[test]
fn numbers_that_overflow_are_as_large_as_can_be() {
    let huge = "1".repeat(100);
    let bytes = message(
        REGISTER,
        &[("Expires", &huge), ("CSeq", &format!("{huge} REGISTER")), ("Contact", &format!("<sip:a@b>;expires={huge}"))],
        "",
    );
    with(&bytes, |message| {
        assert_eq!((message.expires(), message.cseq().map(|cseq| cseq.number)), (Some(u32::MAX), Some(u32::MAX)));
        assert_eq!(message.contacts().next().and_then(|contact| contact.expires), Some(u32::MAX));
    });
}
