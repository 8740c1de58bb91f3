//! The start line and the headers.

use super::{Mask, blot};
use crate::sip::uri::plain_user;

/// Headers of addresses: display names, URIs, parameters.
const ADDRESSES: &[&str] = &[
    "from",
    "f",
    "to",
    "t",
    "contact",
    "m",
    "route",
    "record-route",
    "path",
    "service-route",
    "p-asserted-identity",
    "p-preferred-identity",
    "p-associated-uri",
    "p-called-party-id",
    "remote-party-id",
    "diversion",
    "history-info",
    "reply-to",
    "refer-to",
    "r",
    "referred-by",
    "b",
    "alert-info",
    "call-info",
    "error-info",
];
/// Headers with an identity and parameters.
const DIALOGS: &[&str] = &["replaces", "target-dialog", "join"];
/// Headers of a digest.
const DIGESTS: &[&str] =
    &["authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate", "authentication-info", "proxy-authentication-info"];
/// Headers that say nothing of anybody.
const PLAIN: &[&str] = &[
    "cseq",
    "max-forwards",
    "expires",
    "content-type",
    "c",
    "content-encoding",
    "e",
    "content-disposition",
    "allow",
    "supported",
    "k",
    "require",
    "proxy-require",
    "unsupported",
    "accept",
    "accept-encoding",
    "accept-language",
    "session-expires",
    "x",
    "min-se",
    "min-expires",
    "event",
    "o",
    "allow-events",
    "u",
    "subscription-state",
    "rseq",
    "rack",
    "retry-after",
    "timestamp",
    "date",
    "mime-version",
    "privacy",
    "priority",
    "refer-sub",
    "x-asterisk-hangupcause",
    "x-asterisk-hangupcausecode",
];
/// Headers of free text that may hold an address or a serial number.
const TEXTS: &[&str] = &["user-agent", "server", "reason"];
/// Parameters whose values say nothing of anybody.
const PARAMETERS: &[&str] = &[
    "expires",
    "q",
    "lr",
    "transport",
    "ob",
    "reg-id",
    "privacy",
    "reason",
    "counter",
    "screen",
    "party",
    "id-type",
    "index",
    "cause",
    "user",
    "method",
    "ttl",
    "rport",
    "alias",
    "keep",
    "comp",
    "early-only",
    "refresher",
    "isfocus",
    "audio",
    "video",
    "methods",
    "purpose",
];
/// Parameters of a digest that say nothing of anybody.
const DIGEST_PARAMETERS: &[&str] = &["algorithm", "qop", "nc", "stale", "charset", "userhash"];
/// Digits or hexadecimal digits in a row that may be a number or a hardware address.
const SERIAL: usize = 6;

/// The value of Content-Type in lower case.
pub(super) fn content_type(head: &[u8]) -> String {
    let lines = logical(head);
    let named = lines.into_iter().filter_map(field).find(|(name, _)| matches!(name.as_str(), "content-type" | "c"));
    named.map(|(_, value)| String::from_utf8_lossy(value).trim().to_ascii_lowercase()).unwrap_or_default()
}

/// A start line and headers; the body has become longer by `grown`.
pub(super) fn head(mask: &mut Mask, head: &[u8], grown: i64) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.len() + 64);
    for (nth, line) in logical(head).into_iter().enumerate() {
        match field(line) {
            _ if nth == 0 => out.extend(start_line(mask, line)),
            Some((name, value)) => {
                let before = line.len() - value.len();
                out.extend(line.get(..before).unwrap_or_default());
                // A quote without its other half ends with the line.
                let (value, ending) = value.split_at(value.trim_ascii_end().len());
                out.extend(self::value(mask, &name, value, grown));
                out.extend(ending);
            }
            None => out.extend(blot(line)),
        }
    }
    out
}

/// The lines, each but the first with the folded ones behind it, and its line end.
fn logical(head: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', head) {
        if start == 0 || !matches!(head.get(end + 1), Some(b' ' | b'\t')) {
            lines.extend(head.get(start..=end));
            start = end + 1;
        }
    }
    lines.extend(head.get(start..).filter(|rest| !rest.is_empty()));
    lines
}

/// The name in lower case, and the value with its line end.
fn field(line: &[u8]) -> Option<(String, &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    let (name, value) = line.split_at_checked(colon + 1)?;
    let name = name.strip_suffix(b":")?.trim_ascii();
    Some((std::str::from_utf8(name).ok()?.to_ascii_lowercase(), value))
}

/// The white space between the parts stays; a version may be in any case (RFC 3261 §7.1).
fn start_line(mask: &mut Mask, line: &[u8]) -> Vec<u8> {
    if line.get(..4).is_some_and(|version| version.eq_ignore_ascii_case(b"SIP/")) {
        return around(line, |line| text(mask, line));
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let (line, ending) = line.split_at(line.trim_ascii_end().len());
    let (method, rest) = line.split_at(line.iter().position(is_blank).unwrap_or(line.len()));
    let (target, version) = rest.split_at(rest.iter().rposition(is_blank).unwrap_or(rest.len()));
    [method, &around(target, |target| uri(mask, target)), version, ending].concat()
}

fn value(mask: &mut Mask, name: &str, value: &[u8], grown: i64) -> Vec<u8> {
    match name {
        "content-length" | "l" => length(value, grown),
        "via" | "v" => via(mask, value),
        "call-id" | "i" | "in-reply-to" => around(value, |word| identity(mask, word)),
        "warning" => warning(mask, value),
        _ if ADDRESSES.contains(&name) => addresses(mask, value),
        _ if DIALOGS.contains(&name) => dialog(mask, value),
        _ if DIGESTS.contains(&name) => digest(mask, value),
        _ if TEXTS.contains(&name) => text(mask, value),
        _ if PLAIN.contains(&name) => value.to_vec(),
        _ => blot(value),
    }
}

/// Masks what stands between white space.
fn around(value: &[u8], masked: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let word = value.trim_ascii();
    let start = value.len() - value.trim_ascii_start().len();
    let end = value.get(start + word.len()..).unwrap_or_default();
    [value.get(..start).unwrap_or_default(), &masked(word), end].concat()
}

fn length(value: &[u8], grown: i64) -> Vec<u8> {
    around(value, |word| {
        let old: Option<i64> = std::str::from_utf8(word).ok().and_then(|word| word.parse().ok());
        old.map_or_else(|| word.to_vec(), |old| (old + grown).max(0).to_string().into_bytes())
    })
}

/// Splits at the separators outside of quotes; each piece with whether it is a separator.
fn pieces<'v>(value: &'v [u8], separators: &[u8]) -> Vec<(&'v [u8], bool)> {
    let mut pieces = Vec::new();
    let (mut start, mut at, mut quoted) = (0, 0, false);
    while let Some(byte) = value.get(at) {
        match byte {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            byte if !quoted && separators.contains(byte) => {
                pieces.push((value.get(start..at).unwrap_or_default(), false));
                pieces.push((value.get(at..=at).unwrap_or_default(), true));
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    pieces.push((value.get(start..).unwrap_or_default(), false));
    pieces
}

fn each(value: &[u8], separators: &[u8], mut masked: impl FnMut(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let pieces = pieces(value, separators);
    pieces.into_iter().flat_map(|(piece, is_separator)| if is_separator { piece.to_vec() } else { masked(piece) }).collect()
}

fn via(mask: &mut Mask, value: &[u8]) -> Vec<u8> {
    each(value, b";, \t\r\n", |word| match split(word) {
        Some((name, value)) => {
            let masked = match lower(name).as_str() {
                "received" | "maddr" => mask.host(value),
                "branch" => match value.strip_prefix(b"z9hG4bK") {
                    Some(rest) => [b"z9hG4bK", mask.opaque(rest).as_slice()].concat(),
                    None => mask.opaque(value),
                },
                known if PARAMETERS.contains(&known) => value.to_vec(),
                _ => mask.opaque(value),
            };
            [name, b"=", &masked].concat()
        }
        None if word.starts_with(b"SIP") || word == b"/" || PARAMETERS.contains(&lower(word).as_str()) => word.to_vec(),
        None if [&b"2.0"[..], b"UDP", b"TCP", b"TLS", b"WS", b"WSS", b"SCTP"].contains(&word) => word.to_vec(),
        None => mask.host_and_port(word),
    })
}

/// Display names, URIs in angle brackets or bare, parameters.
fn addresses(mask: &mut Mask, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(first) = rest.first() {
        let used = match first {
            b'<' => {
                let end = rest.iter().position(|byte| *byte == b'>').unwrap_or(rest.len());
                out.push(b'<');
                out.extend(uri(mask, rest.get(1..end).unwrap_or_default()));
                end
            }
            b'"' => {
                let end = quoted(rest);
                out.extend(mask.name(rest.get(..end).unwrap_or_default()));
                end
            }
            b'>' | b',' | b' ' | b'\t' | b'\r' | b'\n' => {
                out.push(*first);
                1
            }
            b';' => {
                let end = parameter_end(rest);
                out.extend(parameter(mask, rest.get(..end).unwrap_or_default()));
                end
            }
            _ => {
                let end = rest.iter().position(|byte| b"<>;, \t\r\n".contains(byte)).unwrap_or(rest.len());
                let word = rest.get(..end).unwrap_or_default();
                out.extend(if is_uri(word) || word == b"*" { uri(mask, word) } else { mask.name(word) });
                end
            }
        };
        rest = rest.get(used..).unwrap_or_default();
    }
    out
}

/// The end of a quoted string at the front.
fn quoted(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => return at + 1,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// The end of `;name=value` at the front.
fn parameter_end(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at += quoted(bytes.get(at..).unwrap_or_default()),
            b';' | b',' | b'>' | b'\r' | b'\n' => return at,
            _ => at += 1,
        }
    }
    bytes.len().min(at)
}

/// `;name=value`, as written.
fn parameter(mask: &mut Mask, text: &[u8]) -> Vec<u8> {
    match split(text) {
        Some((name, _)) if PARAMETERS.contains(&lower(name.strip_prefix(b";").unwrap_or(name)).as_str()) => text.to_vec(),
        Some((name, value)) => {
            let end = value.len() - value.trim_ascii_end().len();
            let (value, space) = value.split_at(value.len() - end);
            let host = matches!(lower(name.strip_prefix(b";").unwrap_or(name)).as_str(), "received" | "maddr" | "ip" | "domain");
            let masked = if host { mask.host_and_port(value) } else { mask.opaque(value) };
            [name, b"=", &masked, space].concat()
        }
        None => text.to_vec(),
    }
}

fn is_uri(word: &[u8]) -> bool {
    let scheme: Vec<u8> = word.iter().take(5).map(u8::to_ascii_lowercase).collect();
    scheme.starts_with(b"sip:") || scheme.starts_with(b"sips:") || scheme.starts_with(b"tel:")
}

/// A URI with its parameters and headers.
pub(super) fn uri(mask: &mut Mask, text: &[u8]) -> Vec<u8> {
    if !is_uri(text) {
        // `*`, `urn:uuid:…`, `http:…`: nothing in it is needed.
        return if text == b"*" { text.to_vec() } else { mask.opaque(text) };
    }
    let colon = memchr::memchr(b':', text).map_or(0, |colon| colon + 1);
    let (scheme, rest) = text.split_at(colon);
    if scheme.eq_ignore_ascii_case(b"tel:") {
        let end = rest.iter().position(|byte| *byte == b';').unwrap_or(rest.len());
        let (number, behind) = rest.split_at(end);
        return [scheme, &mask.user(number), &each(behind, b";", |piece| parameter_or_nothing(mask, piece))].concat();
    }
    // A user part may hold `;`, so `@` is looked for first; one in the headers behind `?` is none of it.
    let before_headers = rest.iter().position(|byte| *byte == b'?').unwrap_or(rest.len());
    let at = rest.get(..before_headers).and_then(|front| memchr::memrchr(b'@', front));
    let (user, host) = at.map_or((None, rest), |at| (rest.get(..at), rest.get(at + 1..).unwrap_or_default()));
    let mut out = scheme.to_vec();
    if let Some(user) = user {
        out.extend(each(user, b";", |part| mask.user(&plain_user(part))));
        out.push(b'@');
    }
    let end = host.iter().position(|byte| b";?".contains(byte)).unwrap_or(host.len());
    let (host, behind) = host.split_at(end);
    out.extend(mask.host_and_port(host));
    let headers = behind.iter().position(|byte| *byte == b'?').unwrap_or(behind.len());
    let (parameters, headers) = behind.split_at(headers);
    out.extend(each(parameters, b";", |piece| parameter_or_nothing(mask, piece)));
    out.extend(uri_headers(mask, headers));
    out
}

fn parameter_or_nothing(mask: &mut Mask, piece: &[u8]) -> Vec<u8> {
    if piece.is_empty() { Vec::new() } else { parameter(mask, piece) }
}

/// A Call-ID. Many end with the address of the phone, which then tells of its NAT.
fn identity(mask: &mut Mask, word: &[u8]) -> Vec<u8> {
    match memchr::memrchr(b'@', word).and_then(|at| word.split_at_checked(at)) {
        Some((own, [_, host @ ..])) => [mask.opaque(own), b"@".to_vec(), mask.host_and_port(host)].concat(),
        _ => mask.opaque(word),
    }
}

/// The headers of a URI. Of these, only the call that is to be replaced is needed (RFC 3891).
fn uri_headers(mask: &mut Mask, text: &[u8]) -> Vec<u8> {
    each(text, b"?&", |header| match split(header) {
        Some((name, value)) if name.eq_ignore_ascii_case(b"replaces") => [name, b"=", &encode(&dialog(mask, &decode(value)))].concat(),
        Some((name, value)) => [name, b"=", &blot(value)].concat(),
        None => blot(header),
    })
}

/// Percent-decodes (RFC 3986 §2.1).
fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let code = behind.get(..2).and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        match code.filter(|_| *first == b'%') {
            Some(byte) => {
                out.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    out
}

/// Percent-encodes all but what never needs it.
fn encode(text: &[u8]) -> Vec<u8> {
    let byte = |byte: &u8| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) => vec![*byte],
        byte => format!("%{byte:02X}").into_bytes(),
    };
    text.iter().flat_map(byte).collect()
}

/// `call-id;to-tag=…;from-tag=…`
fn dialog(mask: &mut Mask, value: &[u8]) -> Vec<u8> {
    each(value, b";", |piece| match split(piece) {
        Some((name, value)) => [name, b"=", &around(value, |word| mask.opaque(word))].concat(),
        None => around(piece, |word| identity(mask, word)),
    })
}

fn digest(mask: &mut Mask, value: &[u8]) -> Vec<u8> {
    each(value, b", \t\r\n", |word| {
        let Some((name, value)) = split(word) else { return if word.eq_ignore_ascii_case(b"digest") { word.to_vec() } else { blot(word) } };
        let (quote, inner) = match value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")) {
            Some(inner) => (&b"\""[..], inner),
            None => (&b""[..], value),
        };
        let masked = match lower(name).as_str() {
            "username" => match memchr::memchr(b'@', inner) {
                Some(at) => {
                    let (user, host) = inner.split_at(at);
                    [mask.user(user), b"@".to_vec(), mask.host(host.get(1..).unwrap_or_default())].concat()
                }
                None => mask.user(inner),
            },
            "realm" => mask.host(inner),
            "uri" | "domain" => uri(mask, inner),
            "nonce" | "opaque" | "nextnonce" => mask.opaque(inner),
            known if DIGEST_PARAMETERS.contains(&known) => inner.to_vec(),
            _ => vec![b'0'; inner.len()],
        };
        [name, b"=", quote, &masked, quote].concat()
    })
}

/// `399 host "text"`
fn warning(mask: &mut Mask, value: &[u8]) -> Vec<u8> {
    let mut nth = 0;
    each(value, b" \t\r\n", |word| {
        nth += usize::from(!word.is_empty());
        match nth {
            0 | 1 => word.to_vec(),
            2 if !word.is_empty() => mask.host_and_port(word),
            _ => text(mask, word),
        }
    })
}

/// Free text, with addresses and long numbers masked.
pub(super) fn text(mask: &mut Mask, value: &[u8]) -> Vec<u8> {
    each(value, b" \t\r\n;,()<>\"/=", |word| {
        let is_address = std::str::from_utf8(word).is_ok_and(|word| word.parse::<std::net::IpAddr>().is_ok());
        let serial = |part: &[u8]| part.len() >= SERIAL && part.iter().all(u8::is_ascii_hexdigit) && part.iter().any(u8::is_ascii_digit);
        let pairs = word.split(|byte| b":-".contains(byte)).filter(|part| part.len() == 2 && part.iter().all(u8::is_ascii_hexdigit));
        if is_address {
            mask.host(word)
        } else if word.split(|byte| !byte.is_ascii_alphanumeric()).any(serial) || pairs.count() >= SERIAL {
            mask.opaque(word)
        } else {
            word.to_vec()
        }
    })
}

fn split(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = memchr::memchr(b'=', word)?;
    Some((word.get(..equals)?, word.get(equals + 1..)?))
}

fn lower(name: &[u8]) -> String {
    String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase()
}
