//! Telling at a glance that a value has nothing wrong with it, which holds for nearly all of them.
//!
//! What is accepted here is far less than the grammar allows. What is not is read closely by [`check`](super::check), so that being
//! too strict costs time and being too lax would hide an anomaly; a property test there guards against the latter.

/// Bytes of a host: letters, digits, `-`, `.`.
const HOST: u8 = 1;
/// Bytes of a token.
const TOKEN: u8 = 2;
/// Bytes of a user part, without separators.
const USER: u8 = 4;
/// Bytes of a parameter value without quotes. `@` is not among them: in a URI it would end the user part.
const VALUE: u8 = 8;
/// Bytes within quotes, but for the quote and the backslash.
const QUOTED: u8 = 16;

/// Which runs each byte may stand in.
#[expect(clippy::indexing_slicing, reason = "evaluated when compiled")]
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = b' ';
    while byte < 0x7f {
        classes[byte as usize] = match byte {
            b'"' | b'\\' => 0,
            b'-' | b'.' => HOST | TOKEN | USER | VALUE | QUOTED,
            b'!' | b'%' | b'*' | b'_' | b'+' | b'\'' | b'~' => TOKEN | USER | VALUE | QUOTED,
            b'/' | b':' | b'&' | b'=' | b'[' | b']' => VALUE | QUOTED,
            _ if byte.is_ascii_alphanumeric() => HOST | TOKEN | USER | VALUE | QUOTED,
            _ => QUOTED,
        };
        byte += 1;
    }
    classes
};

/// What a value that is plain says besides; empty where it does not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Plain<'a> {
    /// The first tag.
    pub(super) tag: &'a [u8],
    /// The last branch.
    pub(super) branch: &'a [u8],
}

/// Reads `"Display" <sip:user@host:port;params>;params`; nothing unless it is plain.
pub(super) fn address(value: &[u8]) -> Option<Plain<'_>> {
    let rest = match value {
        [b'<', ..] => value,
        [b'"', rest @ ..] => match run(rest, QUOTED).1 {
            [b'"', rest @ ..] => rest,
            _ => return None,
        },
        _ => run(value, TOKEN).1,
    };
    let ([b'<', uri_and_params @ ..] | [b' ', b'<', uri_and_params @ ..]) = rest else { return None };
    match uri(uri_and_params)? {
        [b'>', text @ ..] => params(text),
        _ => None,
    }
}

/// Whether a Request-URI is plain.
pub(super) fn is_request_uri(value: &[u8]) -> bool {
    uri(value).is_some_and(<[u8]>::is_empty)
}

/// Reads `SIP/2.0/UDP host:port;params`, a list of one; nothing unless it is plain.
pub(super) fn via(value: &[u8]) -> Option<Plain<'_>> {
    let [b'S', b'I', b'P', b'/', b'2', b'.', b'0', b'/', rest @ ..] = value else { return None };
    let ([_, ..], [b' ', sent_by @ ..]) = run(rest, TOKEN) else { return None };
    let is_usable = !sent_by.starts_with(b"0.0.0.0") && !sent_by.starts_with(b"255.255.255.255");
    if is_usable { params(authority(sent_by)?) } else { None }
}

/// Skips `sip:user@host:port;params`.
#[inline]
fn uri(text: &[u8]) -> Option<&[u8]> {
    let [b's', b'i', b'p', b':', rest @ ..] = text else { return None };
    let host = match run(rest, USER) {
        ([_, ..], [b'@', host @ ..]) => host,
        _ => rest,
    };
    match authority(host)? {
        params @ [b';', ..] => Some(skip_uri_params(params)),
        rest => Some(rest),
    }
}

/// Skips the parameters of a URI, which no check looks into.
fn skip_uri_params(mut text: &[u8]) -> &[u8] {
    while let [b';', rest @ ..] = text {
        text = run(rest, VALUE).1;
    }
    text
}

/// Skips `host:port`.
#[inline]
fn authority(text: &[u8]) -> Option<&[u8]> {
    match run(text, HOST) {
        ([], _) => None,
        (_, [b':', port @ ..]) => skip_port(port),
        (_, rest) => Some(rest),
    }
}

/// Skips a port of four or five digits, far enough below the largest.
#[inline]
fn skip_port(text: &[u8]) -> Option<&[u8]> {
    let is_end = |rest: &[u8]| !rest.first().is_some_and(u8::is_ascii_digit);
    match text {
        [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', rest @ ..] if is_end(rest) => Some(rest),
        [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', rest @ ..] if is_end(rest) => Some(rest),
        _ => None,
    }
}

/// Reads `;name=value;name` up to the end.
fn params(mut text: &[u8]) -> Option<Plain<'_>> {
    let mut plain = Plain::default();
    while let [b';', rest @ ..] = text {
        let (name, rest) = run(rest, TOKEN);
        let (value, rest) = match rest {
            [b'=', b'"', quoted @ ..] => match run(quoted, QUOTED) {
                (value, [b'"', rest @ ..]) => (value, rest),
                _ => return None,
            },
            [b'=', value @ ..] => run(value, VALUE),
            _ => (&[][..], rest),
        };
        plain.take(name, value)?;
        text = rest;
    }
    text.is_empty().then_some(plain)
}

impl<'a> Plain<'a> {
    /// Keeps what is wanted of a parameter; nothing if it is one of those whose value is checked, and has no innocent one.
    #[inline]
    fn take(&mut self, name: &[u8], value: &'a [u8]) -> Option<()> {
        let is_ordinary = match name.len() {
            0 => false,
            3 if name.eq_ignore_ascii_case(b"tag") => {
                if self.tag.is_empty() {
                    self.tag = value;
                }
                !value.is_empty()
            }
            6 if name.eq_ignore_ascii_case(b"branch") => {
                self.branch = value;
                value.len() > b"z9hG4bK".len()
            }
            7 if name.eq_ignore_ascii_case(b"expires") => (1..10).contains(&value.len()) && value.iter().all(u8::is_ascii_digit),
            _ => true,
        };
        is_ordinary.then_some(())
    }
}

/// The bytes of one class that `text` begins with, and the rest. Most of the reading of a message is spent here, so four bytes are looked at
/// for each turn of the loop.
#[inline]
fn run(text: &[u8], class: u8) -> (&[u8], &[u8]) {
    text.split_at_checked(run_length(text, class)).unwrap_or((text, &[]))
}

#[inline]
fn run_length(text: &[u8], class: u8) -> usize {
    let is_of_class = |byte: u8| CLASSES.get(usize::from(byte)).is_some_and(|classes| classes & class != 0);
    let mut length = 0;
    let (chunks, rest) = text.as_chunks::<4>();
    for &[first, second, third, fourth] in chunks {
        if !is_of_class(first) {
            return length;
        }
        if !is_of_class(second) {
            return length + 1;
        }
        if !is_of_class(third) {
            return length + 2;
        }
        if !is_of_class(fourth) {
            return length + 3;
        }
        length += 4;
    }
    length + rest.iter().position(|&byte| !is_of_class(byte)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_phones_send_is_plain() {
        for value in [
            "<sip:alice@pbx.example.com>;tag=8f1c2a3b",
            "\"Alice (2nd floor)\" <sip:+4930123@10.0.0.1:5060;user=phone;transport=udp>;tag=8f1c2a3b",
            "Alice <sip:pbx.example.com>;tag=8f1c2a3b",
            "<sip:a@b:5062;ob>;expires=3600;+sip.instance=\"<urn:uuid:0-1>\";tag=8f1c2a3b",
        ] {
            assert_eq!(address(value.as_bytes()).map(|plain| plain.tag), Some(&b"8f1c2a3b"[..]), "{value}");
        }
        assert_eq!(address(b"<sip:alice@pbx.example.com>"), Some(Plain::default()));
        let branch = via(b"SIP/2.0/UDP 192.168.1.20:5060;rport;branch=z9hG4bKPj0f3d").map(|plain| plain.branch);
        assert_eq!(branch, Some(&b"z9hG4bKPj0f3d"[..]));
        assert!(is_request_uri(b"sip:+4930123456@pbx.example.com:5060;transport=udp;user=phone"));
    }

    #[test]
    fn anything_out_of_the_ordinary_is_left_to_the_close_look() {
        for value in [
            "",
            "sip:a@b",
            "<sip:a@b",
            "<sip:a@b>;",
            "<sip:a@b>;;tag=1",
            "<sip:a;@b>;tag=1",
            "<sip:a@b>;tag=",
            "<tel:+49>",
            "<sips:a@b>",
            "<sip:a@[::1]>",
            "<sip:a@b:0000>",
            "<sip:a@b:65536>",
            "<sip:a@b >",
            "< sip:a@b>",
            "<sip:a@b?x=y>",
            "\"A <sip:a@b>",
            "A, B <sip:a@b>",
            "<sip:a@b>, <sip:c@d>",
            "<sip:a@b>;expires=99999999999",
            "<sip:@b>",
            "<sip:a@>",
            "*",
        ] {
            assert_eq!(address(value.as_bytes()), None, "{value}");
        }
        for value in [
            "SIP/2.0/UDP",
            "SIP/3.0/UDP h",
            "SIP/2.0/ h",
            "SIP/2.0/UDP h;branch=z9hG4bK",
            "SIP/2.0/UDP h, SIP/2.0/UDP g",
            "SIP/2.0/UDP 255.255.255.255",
        ] {
            assert_eq!(via(value.as_bytes()), None, "{value}");
        }
        assert!(!is_request_uri(b"sip:a@b?x=y") && !is_request_uri(b"<sip:a@b>") && !is_request_uri(b"sip:a@b; lr"));
    }
}
