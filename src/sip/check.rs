//! What is doubtful about the values of a message: URIs, addresses, Vias, numbers.

use super::anomaly::{Anomalies, Anomaly};
use super::headers::{Form, HeaderName, HeaderSet, NameAddr, Via};
use super::message::{Kind, Message};
use super::plain;
use super::text::{
    Elements, closing_quote, cut, decimal, find_unquoted, from, is_lws, is_token_byte, leading_decimal, param, port, split_at, split_word,
    trim,
};
use super::uri::{Scheme, Uri, split_host};
use memchr::{memchr, memchr_iter};
use std::net::Ipv6Addr;

/// Ports that SIP listens on by habit; an IPv6 address that ends in one of them was probably meant to end before it (RFC 5118 §4.3).
const SIP_PORTS: std::ops::RangeInclusive<u16> = 5060..=5099;

/// Reads the values that can be wrong in ways that the scan does not see.
pub(super) fn check(message: Message<'_>) -> Anomalies {
    let mut found = Anomalies::NONE;
    check_bytes(message.head(), &mut found);
    check_request_uri(message, &mut found);
    check_addresses(message, &mut found);
    check_contacts(message, &mut found);
    check_vias(message, &mut found);
    check_values(message, &mut found);
    found
}

/// Looks closer only where a quick look found something.
fn check_bytes(head: &[u8], found: &mut Anomalies) {
    if is_ordinary(head) {
        return;
    }
    if !head.is_ascii() && std::str::from_utf8(head).is_err() {
        found.insert(Anomaly::InvalidUtf8);
    }
    if has_bare_control(head) {
        found.insert(Anomaly::ControlCharacter);
    }
}

/// Whether there is nothing but printable ASCII and line ends, without a branch for each byte. What is shorter than a step is left to the
/// closer look.
fn is_ordinary(head: &[u8]) -> bool {
    const STEP: usize = 64;
    let is_odd = |byte: u8| byte.wrapping_sub(b' ') > b'~' - b' ' && byte != b'\r' && byte != b'\n';
    let has_odd = |bytes: &[u8]| bytes.iter().fold(false, |odd, byte| odd | is_odd(*byte));
    // The last step overlaps the others, so that no byte is looked at by itself.
    head.last_chunk::<STEP>().is_some_and(|last| !has_odd(last)) && !has_odd(head.as_chunks::<STEP>().0.as_flattened())
}

/// Whether there is a control character that is not escaped by a backslash, as a quoted string may do.
fn has_bare_control(head: &[u8]) -> bool {
    let mut escaped = false;
    head.iter().any(|&byte| {
        let bare = byte.is_ascii_control() && !is_lws(byte) && !escaped;
        escaped = byte == b'\\' && !escaped;
        bare
    })
}

fn check_request_uri(message: Message<'_>, found: &mut Anomalies) {
    let Some(raw) = message.request_uri().filter(|raw| !plain::is_request_uri(message.head(), raw)) else { return };
    check_uri(raw, found);
    if !Uri::parse(raw).headers.is_empty() {
        found.insert(Anomaly::RequestUriHeaders);
    }
}

fn check_addresses(message: Message<'_>, found: &mut Anomalies) {
    for header in [HeaderName::From, HeaderName::To] {
        if !message.is_plain(header)
            && let Some(value) = message.header(header)
        {
            check_address(value, found);
        }
    }
    if message.from_tag().is_none() && message.header(HeaderName::From).is_some() {
        found.insert(Anomaly::MissingFromTag);
    }
}

fn check_contacts(message: Message<'_>, found: &mut Anomalies) {
    if !message.has(HeaderName::Contact) {
        return;
    }
    for line in message.headers(HeaderName::Contact).filter(|line| plain::address(message.head(), line).is_none()) {
        Elements::new(line).for_each(|element| check_contact(element, found));
    }
}

fn check_contact(element: &[u8], found: &mut Anomalies) {
    if element.is_empty() {
        found.insert(Anomaly::BadParameter);
    } else if !element.contains(&b':') && element != b"*" {
        found.insert(Anomaly::BadDisplayName);
    } else if element != b"*" {
        check_seconds(param(check_address(element, found), "expires"), Anomaly::ExpiresOverflow, found);
    }
}

/// Checks a display name, a URI and parameters; gives the parameters.
fn check_address<'a>(value: &'a [u8], found: &mut Anomalies) -> &'a [u8] {
    let parts = NameAddr::parse(value);
    check_display(parts.display, found);
    check_uri(parts.spec, found);
    match parts.form {
        Form::Unclosed => found.insert(Anomaly::BadUri),
        Form::Bare if parts.spec.iter().any(|byte| matches!(byte, b'?' | b',')) => found.insert(Anomaly::UnbracketedUri),
        Form::Bare | Form::Bracketed => {}
    }
    if let Some(params) = parts.params {
        check_params(params, found);
    }
    parts.params.unwrap_or_default()
}

/// A display name is one quoted string, or tokens.
fn check_display(display: &[u8], found: &mut Anomalies) {
    match display {
        [b'"', rest @ ..] => match closing_quote(rest) {
            None => found.insert(Anomaly::UnterminatedQuote),
            Some(index) if index + 1 < rest.len() => found.insert(Anomaly::BadDisplayName),
            Some(_) => {}
        },
        _ if display.iter().all(|byte| is_token_byte(*byte) || is_lws(*byte)) => {}
        _ => found.insert(Anomaly::BadDisplayName),
    }
}

/// What stands behind the first semicolon of a header: no parameter may be empty, no quote stay open.
fn check_params(params: &[u8], found: &mut Anomalies) {
    let mut rest = Some(params);
    while let Some(text) = rest {
        let (param, behind) = match find_unquoted(text, b';') {
            Some(index) => cut(text, index),
            None => (text, None),
        };
        rest = behind;
        if trim(split_at(param, b'=').0).is_empty() {
            found.insert(Anomaly::BadParameter);
        }
        if has_open_quote(param) {
            found.insert(Anomaly::UnterminatedQuote);
        }
    }
}

/// Whether a quoted string begins that does not end. Without escapes an odd number of quotes tells.
fn has_open_quote(text: &[u8]) -> bool {
    if memchr(b'\\', text).is_none() {
        return memchr_iter(b'"', text).count() % 2 == 1;
    }
    let mut rest = text;
    while let (_, Some(inner)) = split_at(rest, b'"') {
        let Some(length) = closing_quote(inner) else { return true };
        rest = from(inner, length + 1);
    }
    false
}

/// Checks a URI as it stands between its brackets, or without any.
fn check_uri(spec: &[u8], found: &mut Anomalies) {
    if spec.iter().any(|byte| is_lws(*byte)) {
        found.insert(Anomaly::BadUri);
    }
    let uri = Uri::parse(spec);
    match uri.scheme {
        Scheme::Sip | Scheme::Sips => check_authority(uri.authority, Anomaly::BadUri, found),
        Scheme::Tel if uri.user.is_empty() => found.insert(Anomaly::BadUri),
        Scheme::Tel => {}
        Scheme::Other if is_known_scheme(uri.raw) => {}
        Scheme::Other => found.insert(Anomaly::UnknownUriScheme),
        Scheme::Missing => found.insert(Anomaly::BadUri),
    }
}

/// Schemes beside `sip:` and `tel:` that SIP itself carries: services (RFC 5031), instant messages and presence (RFC 3860, RFC 3859).
fn is_known_scheme(raw: &[u8]) -> bool {
    let scheme = split_at(raw, b':').0;
    [&b"urn"[..], b"im", b"pres"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// Checks host and port; what is wrong is `bad` unless there is a better word.
fn check_authority(authority: &[u8], bad: Anomaly, found: &mut Anomalies) {
    let authority = trim(authority);
    if let [b'[', inner @ ..] = authority {
        return check_ipv6(inner, bad, found);
    }
    if memchr_iter(b':', authority).count() > 1 {
        let is_ipv6 = parse_ipv6(split_host(authority).0).is_some();
        return found.insert(if is_ipv6 { Anomaly::UnbracketedIpv6 } else { bad });
    }
    let (host, port_text) = split_at(authority, b':');
    let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if trim(host).is_empty() || !trim(host).iter().all(is_host) || port_text.is_some_and(|text| port(trim(text)).is_none()) {
        found.insert(bad);
    }
}

/// Checks `2001:db8::1]:5060`.
fn check_ipv6(inner: &[u8], bad: Anomaly, found: &mut Anomalies) {
    let (host, rest) = split_at(inner, b']');
    let is_port = |rest: &[u8]| matches!(rest, [b':', text @ ..] if port(trim(text)).is_some());
    match rest.map(trim) {
        Some(rest) if parse_ipv6(host).is_some() && (rest.is_empty() || is_port(rest)) => {
            if rest.is_empty() && ends_like_port(host) {
                found.insert(Anomaly::AmbiguousPort);
            }
        }
        _ => found.insert(bad),
    }
}

fn parse_ipv6(host: &[u8]) -> Option<Ipv6Addr> {
    std::str::from_utf8(host).ok()?.parse().ok()
}

/// Whether the last group of an abbreviated address, read as decimal, is a port of SIP.
fn ends_like_port(host: &[u8]) -> bool {
    host.rsplit(|byte| *byte == b':').next().and_then(port).is_some_and(|port| SIP_PORTS.contains(&port))
}

fn check_vias(message: Message<'_>, found: &mut Anomalies) {
    if message.is_plain(HeaderName::Via) && !message.is_repeated(HeaderName::Via) {
        return;
    }
    for line in message.headers(HeaderName::Via).filter(|line| plain::via(message.head(), line).is_none()) {
        Elements::new(line).for_each(|element| check_via(element, found));
    }
}

fn check_via(element: &[u8], found: &mut Anomalies) {
    if element.is_empty() {
        return found.insert(Anomaly::BadParameter);
    }
    let via = Via::parse(element);
    let (name, version) = via.protocol;
    if !name.eq_ignore_ascii_case(b"SIP") || via.transport.is_empty() {
        found.insert(Anomaly::BadVia);
    } else if version != b"2.0" {
        found.insert(Anomaly::UnknownVersion);
    }
    check_authority(via.sent_by, Anomaly::BadVia, found);
    if matches!(via.host, b"255.255.255.255" | b"0.0.0.0" | b"::") {
        found.insert(Anomaly::BroadcastVia);
    }
    if via.branch.is_some_and(|branch| branch.eq_ignore_ascii_case(b"z9hG4bK")) {
        found.insert(Anomaly::BadBranch);
    }
    if let Some(params) = via.params {
        check_params(params, found);
    }
}

/// Checks the first values of the headers that hold no address. Only those that are there are looked for.
fn check_values(message: Message<'_>, found: &mut Anomalies) {
    for (header, value) in message.first_values(CHECKED) {
        match header {
            HeaderName::Expires | HeaderName::MinExpires => check_seconds(Some(value), Anomaly::ExpiresOverflow, found),
            HeaderName::RetryAfter => check_seconds(Some(value), Anomaly::RetryAfterOverflow, found),
            HeaderName::SessionExpires if leading_decimal(value).is_none() => found.insert(Anomaly::BadNumber),
            HeaderName::MaxForwards => check_max_forwards(value, message.kind(), found),
            HeaderName::Date if !value.ends_with(b" GMT") => found.insert(Anomaly::BadDate),
            HeaderName::Warning if !begins_with_code(value) => found.insert(Anomaly::BadWarning),
            HeaderName::Authorization | HeaderName::ProxyAuthorization | HeaderName::WwwAuthenticate | HeaderName::ProxyAuthenticate => {
                check_auth(value, found)
            }
            _ => {}
        }
    }
}

/// The headers whose first value [`check_values`] looks at.
const CHECKED: HeaderSet = HeaderSet::of(&[
    HeaderName::Expires,
    HeaderName::MinExpires,
    HeaderName::RetryAfter,
    HeaderName::SessionExpires,
    HeaderName::MaxForwards,
    HeaderName::Date,
    HeaderName::Warning,
    HeaderName::Authorization,
    HeaderName::ProxyAuthorization,
    HeaderName::WwwAuthenticate,
    HeaderName::ProxyAuthenticate,
]);

fn check_max_forwards(value: &[u8], kind: Kind, found: &mut Anomalies) {
    match decimal(value) {
        Some(0) if matches!(kind, Kind::Request(_)) => found.insert(Anomaly::MaxForwardsExhausted),
        Some(0..=255) => {}
        _ => found.insert(Anomaly::BadMaxForwards),
    }
}

fn check_seconds(value: Option<&[u8]>, overflow: Anomaly, found: &mut Anomalies) {
    match value.map(leading_decimal) {
        None => {}
        Some(None) => found.insert(Anomaly::BadNumber),
        Some(Some((seconds, _))) if seconds > u64::from(u32::MAX) => found.insert(overflow),
        Some(Some(_)) => {}
    }
}

fn check_auth(value: &[u8], found: &mut Anomalies) {
    let scheme = split_word(value).0;
    if ![&b"Digest"[..], b"Basic", b"Bearer"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        found.insert(Anomaly::UnknownAuthScheme);
    }
    if has_open_quote(value) {
        found.insert(Anomaly::UnterminatedQuote);
    }
}

/// Whether a Warning begins with a code of three digits.
fn begins_with_code(value: &[u8]) -> bool {
    memchr(b' ', value) == Some(3) && leading_decimal(value).is_some_and(|(code, _)| (100..1000).contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(check: impl FnOnce(&mut Anomalies)) -> Vec<Anomaly> {
        let mut found = Anomalies::NONE;
        check(&mut found);
        found.iter().collect()
    }

    #[test]
    fn a_control_character_must_be_escaped() {
        assert_eq!(found(|found| check_bytes(b"a\0b", found)), [Anomaly::ControlCharacter]);
        assert_eq!(found(|found| check_bytes(b"\\\\\x7f", found)), [Anomaly::ControlCharacter], "the backslash is escaped itself");
        assert_eq!(found(|found| check_bytes(b"\\\0 \t\r\n", found)), []);
    }

    #[test]
    fn bytes_beyond_ascii_must_be_utf8() {
        assert_eq!(found(|found| check_bytes("caf\u{e9}".as_bytes(), found)), []);
        assert_eq!(found(|found| check_bytes(b"caf\xe9", found)), [Anomaly::InvalidUtf8]);
    }

    #[test]
    fn each_thing_wrong_with_an_address_is_named() {
        let address = |text: &str| found(|found| _ = check_address(text.as_bytes(), found));
        assert_eq!(address("\"A\" B <sip:a@b>"), [Anomaly::BadDisplayName]);
        assert_eq!(address("<sip:a@b"), [Anomaly::BadUri]);
        assert_eq!(address("<sip:a@b:0>"), [Anomaly::BadUri]);
        assert_eq!(address("<sip:a@b_c>;x=\"y"), [Anomaly::UnterminatedQuote]);
        assert_eq!(address("a@b"), [Anomaly::BadUri]);
        assert_eq!(address("<tel:+49>;"), [Anomaly::BadParameter]);
        assert_eq!(address("<urn:service:sos>"), []);
        assert_eq!(address("\"J \\\"R\\\"\" <sips:%61@[2001:db8::1]:5061;lr?x=y> ; a=\"b;c\""), []);
    }

    #[test]
    fn each_thing_wrong_with_a_via_is_named() {
        let via = |text: &str| found(|found| check_via(text.as_bytes(), found));
        assert_eq!(via("SIP/2.0/UDP"), [Anomaly::BadVia]);
        assert_eq!(via("SIP/2.0/UDP host:0"), [Anomaly::BadVia]);
        assert_eq!(via("HTTP/2.0/UDP host"), [Anomaly::BadVia]);
        assert_eq!(via("SIP/2.0/UDP 2001:db8::1"), [Anomaly::UnbracketedIpv6]);
        assert_eq!(via("SIP/2.0/UDP fe80:0:0:0:21a:a0ff:fe07:32e0:5060"), [Anomaly::UnbracketedIpv6]);
        assert_eq!(via("SIP/2.0/UDP [2001:db8::5060]"), [Anomaly::AmbiguousPort]);
        assert_eq!(via("SIP / 2.0 / TLS-SCTP host : 5061 ; hidden"), []);
    }

    #[test]
    fn an_open_quote_is_found_among_escapes() {
        assert!(has_open_quote(br#"a="b\""#) && has_open_quote(br#"a="b", c=""#));
        assert!(!has_open_quote(br#"a="b\"", c="\\""#) && !has_open_quote(b"a"));
    }

    /// Values near those that are plain.
    fn nearly_plain() -> impl Strategy<Value = String> {
        let words = vec![
            "\"",
            "A b",
            " ",
            "<",
            "sip:",
            "a",
            "@",
            "host.example",
            ":5060",
            ":0",
            ":65535",
            ";",
            "tag=1",
            "TAG=2",
            "tag=",
            "expires=60",
            "expires=",
            "=",
            "branch=z9hG4bK",
            "x",
            ">",
            "?",
            ",",
            "SIP/2.0/UDP ",
            "[::1]",
            "\\",
            "255.255.255.255",
            "=\"c\"",
            "*",
            "lr",
        ];
        let noise = prop::collection::vec(prop::sample::select(words), 0..3).prop_map(|words| words.concat());
        let shape = prop::sample::select(vec![
            ["A ", "<sip:a", "@host", ">", ";tag=1"],
            ["SIP/2.0/UDP ", "host", ":5060", ";branch=z9hG4bK1", ";rport"],
        ]);
        (shape, prop::collection::vec(noise, 5))
            .prop_map(|(shape, noise)| shape.into_iter().zip(noise).map(|(part, noise)| format!("{part}{noise}")).collect())
    }

    proptest! {
        #[test]
        fn what_is_plain_has_nothing_wrong_with_it(value in nearly_plain()) {
            let head = format!("{value}\r\nNext: 1\r\n");
            let (value, head) = (value.as_bytes(), head.as_bytes());
            let (placed, _) = head.split_at(value.len());
            prop_assert_eq!(plain::address(head, placed), plain::address(value, value));
            prop_assert_eq!(plain::via(head, placed), plain::via(value, value));
            prop_assert_eq!(plain::is_request_uri(head, placed), plain::is_request_uri(value, value));
            if let Some(plain) = plain::address(value, value) {
                prop_assert_eq!(found(|found| check_contact(value, found)), []);
                let tag = param(NameAddr::parse(value).params.unwrap_or_default(), "tag");
                prop_assert_eq!(plain.tag, tag.unwrap_or_default());
            }
            if let Some(plain) = plain::via(value, value) {
                prop_assert_eq!(found(|found| check_via(value, found)), []);
                prop_assert_eq!(plain.branch, Via::parse(value).branch.unwrap_or_default());
            }
            if plain::is_request_uri(value, value) {
                prop_assert_eq!(found(|found| check_uri(value, found)), []);
            }
        }
    }
}
