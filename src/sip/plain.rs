//! Telling at a glance that a value has nothing wrong with it, which holds for nearly all of them.
//!
//! What is accepted here is far less than the grammar allows. What is not is read closely by [`check`](super::check), so that being
//! too strict costs time and being too lax would hide an anomaly; a property test there guards against the latter.
//!
//! A value is read where it stands in its message, so that sixteen bytes can be looked at at once up to its end. None of the runs goes on
//! over the line end behind it, and it counts only if its end is where the last run ended.

use super::lines::offset_in;
use super::text::{from, ordinary};

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

/// The parameters whose values are checked.
const CHECKED: [&[u8]; 3] = [b"tag", b"branch", b"expires"];

/// What a value that is plain says besides; empty where it does not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Plain<'a> {
    /// The first tag.
    pub(super) tag: &'a [u8],
    /// The last branch.
    pub(super) branch: &'a [u8],
}

/// Reads `"Display" <sip:user@host:port;params>;params`, a part of `head`; nothing unless it is plain.
pub(super) fn address<'a>(head: &'a [u8], value: &[u8]) -> Option<Plain<'a>> {
    let (text, behind) = placed(head, value);
    let rest = match text {
        [b'<', ..] => text,
        [b'"', rest @ ..] => match run(rest, QUOTED).1 {
            [b'"', rest @ ..] => rest,
            _ => return None,
        },
        _ => run(text, TOKEN).1,
    };
    let ([b'<', uri_and_params @ ..] | [b' ', b'<', uri_and_params @ ..]) = rest else { return None };
    match uri(uri_and_params)? {
        [b'>', text @ ..] => params(text, behind),
        _ => None,
    }
}

/// Whether a Request-URI, a part of `head`, is plain.
pub(super) fn is_request_uri(head: &[u8], value: &[u8]) -> bool {
    let (text, behind) = placed(head, value);
    uri(text).is_some_and(|rest| rest.len() == behind)
}

/// Reads `SIP/2.0/UDP host:port;params`, a list of one and a part of `head`; nothing unless it is plain.
pub(super) fn via<'a>(head: &'a [u8], value: &[u8]) -> Option<Plain<'a>> {
    let (text, behind) = placed(head, value);
    let [b'S', b'I', b'P', b'/', b'2', b'.', b'0', b'/', rest @ ..] = text else { return None };
    let ([_, ..], [b' ', sent_by @ ..]) = short_run(rest, TOKEN) else { return None };
    let is_usable = !sent_by.starts_with(b"0.0.0.0") && !sent_by.starts_with(b"255.255.255.255");
    if is_usable { params(authority(sent_by)?, behind) } else { None }
}

/// All that follows where `value`, a part of `head`, begins, and how many bytes of it are behind the value.
fn placed<'a>(head: &'a [u8], value: &[u8]) -> (&'a [u8], usize) {
    let text = from(head, offset_in(head, value));
    (text, text.len().saturating_sub(value.len()))
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

/// Reads `;name=value;name` up to the last `behind` bytes.
#[inline]
fn params(text: &[u8], behind: usize) -> Option<Plain<'_>> {
    if text.len() == behind { Some(Plain::default()) } else { some_params(text, behind) }
}

fn some_params(mut text: &[u8], behind: usize) -> Option<Plain<'_>> {
    let mut plain = Plain::default();
    while let [b';', param @ ..] = text {
        text = match plain.take_usual(param) {
            Some(rest) => rest,
            None => plain.take_other(param)?,
        };
    }
    (text.len() == behind).then_some(plain)
}

impl<'a> Plain<'a> {
    /// Reads a parameter as most values end with; what follows it.
    #[inline]
    fn take_usual(&mut self, param: &'a [u8]) -> Option<&'a [u8]> {
        match param {
            [b't', b'a', b'g', b'=', value @ ..] => {
                let (tag, rest) = run(value, VALUE);
                self.take_tag(tag).then_some(rest)
            }
            [b'b', b'r', b'a', b'n', b'c', b'h', b'=', value @ ..] => {
                let (branch, rest) = run(value, VALUE);
                self.take_branch(branch).then_some(rest)
            }
            _ => None,
        }
    }

    /// Reads any other parameter; nothing if it is one of those whose value is checked, and has no innocent one.
    fn take_other(&mut self, param: &'a [u8]) -> Option<&'a [u8]> {
        let (name, rest) = short_run(param, TOKEN);
        let (value, rest) = match rest {
            [b'=', b'"', quoted @ ..] => match run(quoted, QUOTED) {
                (value, [b'"', rest @ ..]) => (value, rest),
                _ => return None,
            },
            [b'=', value @ ..] => run(value, VALUE),
            _ => (&[][..], rest),
        };
        let is_ordinary = match name {
            b"" => false,
            b"tag" => self.take_tag(value),
            b"branch" => self.take_branch(value),
            b"expires" => (1..10).contains(&value.len()) && value.iter().all(u8::is_ascii_digit),
            // The same names in other letters.
            _ => !CHECKED.iter().any(|checked| checked.len() == name.len() && checked.eq_ignore_ascii_case(name)),
        };
        is_ordinary.then_some(rest)
    }

    /// Keeps the first tag; tells whether this one has nothing wrong.
    fn take_tag(&mut self, tag: &'a [u8]) -> bool {
        if self.tag.is_empty() {
            self.tag = tag;
        }
        !tag.is_empty()
    }

    /// Keeps the last branch; tells whether it has nothing wrong.
    fn take_branch(&mut self, branch: &'a [u8]) -> bool {
        self.branch = branch;
        branch.len() > b"z9hG4bK".len()
    }
}

/// The bytes of one class that `text` begins with, and the rest.
#[inline]
fn run(text: &[u8], class: u8) -> (&[u8], &[u8]) {
    text.split_at_checked(run_length(text, class)).unwrap_or((text, &[]))
}

/// The same where a few bytes are expected: one at a time finds their end sooner.
#[inline]
fn short_run(text: &[u8], class: u8) -> (&[u8], &[u8]) {
    text.split_at_checked(short_run_length(text, class)).unwrap_or((text, &[]))
}

/// Most of the reading of a message is spent here. Bytes that are of each class are skipped sixteen at a time.
#[inline]
fn run_length(text: &[u8], class: u8) -> usize {
    let mut length = 0;
    while let Some(chunk) = from(text, length).first_chunk() {
        let skipped = ordinary(chunk);
        length += skipped;
        match chunk.get(skipped) {
            Some(odd) if is_of_class(*odd, class) => length += 1,
            Some(_) => return length,
            None => {}
        }
    }
    length + short_run_length(from(text, length), class)
}

#[inline]
fn short_run_length(text: &[u8], class: u8) -> usize {
    text.iter().position(|&byte| !is_of_class(byte, class)).unwrap_or(text.len())
}

#[inline]
fn is_of_class(byte: u8, class: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|classes| classes & class != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tag and the branch of a plain value; what follows it in its message must not matter.
    fn read(reader: for<'a> fn(&'a [u8], &[u8]) -> Option<Plain<'a>>, value: &str) -> Option<[String; 2]> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let read = |head: &[u8]| reader(head, head.split_at(value.len()).0).map(|plain| [text(plain.tag), text(plain.branch)]);
        let alone = read(value.as_bytes());
        for behind in
            ["\r\n\r\n", "\n", " \t\r\nTo: <sip:a@b>;tag=2\r\n", "\r\n ;tag=3;branch=z9hG4bK0123456789abcdef", ",", ">;tag=4", "x"]
        {
            let with_more = read(format!("{value}{behind}").as_bytes());
            assert!(with_more == alone || (with_more.is_none() && !behind.starts_with(['\r', '\n', ' '])), "{value}{behind}");
        }
        alone
    }

    fn is_uri(value: &str) -> bool {
        let head = format!("{value} SIP/2.0\r\n");
        let is_plain = is_request_uri(value.as_bytes(), value.as_bytes());
        assert_eq!(is_request_uri(head.as_bytes(), head.as_bytes().split_at(value.len()).0), is_plain, "{value}");
        is_plain
    }

    #[test]
    fn what_phones_send_is_plain() {
        for value in [
            "<sip:alice@pbx.example.com>;tag=8f1c2a3b",
            "\"Alice (2nd floor)\" <sip:+4930123@10.0.0.1:5060;user=phone;transport=udp>;tag=8f1c2a3b",
            "Alice <sip:pbx.example.com>;tag=8f1c2a3b",
            "<sip:a@b:5062;ob>;expires=3600;+sip.instance=\"<urn:uuid:0-1>\";tag=8f1c2a3b",
        ] {
            assert_eq!(read(address, value).map(|[tag, _]| tag).as_deref(), Some("8f1c2a3b"), "{value}");
        }
        assert_eq!(read(address, "<sip:alice@pbx.example.com>"), Some([String::new(), String::new()]));
        let branch = read(via, "SIP/2.0/UDP 192.168.1.20:5060;rport;branch=z9hG4bKPj0f3d").map(|[_, branch]| branch);
        assert_eq!(branch.as_deref(), Some("z9hG4bKPj0f3d"));
        assert!(is_uri("sip:+4930123456@pbx.example.com:5060;transport=udp;user=phone"));
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
            assert_eq!(read(address, value), None, "{value}");
        }
        for value in [
            "SIP/2.0/UDP",
            "SIP/3.0/UDP h",
            "SIP/2.0/ h",
            "SIP/2.0/UDP h;branch=z9hG4bK",
            "SIP/2.0/UDP h, SIP/2.0/UDP g",
            "SIP/2.0/UDP 255.255.255.255",
        ] {
            assert_eq!(read(via, value), None, "{value}");
        }
        assert!(!is_uri("sip:a@b?x=y") && !is_uri("<sip:a@b>") && !is_uri("sip:a@b; lr"));
    }
}
