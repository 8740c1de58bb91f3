//! Bodies: session descriptions keep their shape, fragments of messages are masked as such, all else is blotted out.

use super::{Mask, blot, header};

/// Attributes of a session that are keys, or names of somebody's device.
const SECRET: [&[u8]; 9] = [b"crypto", b"fingerprint", b"ice-ufrag", b"ice-pwd", b"ssrc", b"msid", b"cname", b"key-mgmt", b"identity"];

pub(super) fn mask(mask: &mut Mask, kind: &str, body: &[u8]) -> Vec<u8> {
    if kind.starts_with("message/sipfrag") || kind.starts_with("message/sip") {
        return header::head(mask, body, 0);
    }
    let is_session = kind.is_empty() || kind.starts_with("application/sdp");
    let is_multipart = kind.starts_with("multipart/");
    let lines = body.split_inclusive(|byte| *byte == b'\n');
    let masked = lines.map(|line| match line {
        [b'a'..=b'z', b'=', ..] if is_session || is_multipart => session_line(mask, line),
        [b'-', b'-', ..] if is_multipart => line.to_vec(),
        line if is_multipart && starts_with_content(line) => line.to_vec(),
        line => blot(line),
    });
    masked.flatten().collect()
}

fn starts_with_content(line: &[u8]) -> bool {
    line.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"content-"))
}

fn session_line(mask: &mut Mask, line: &[u8]) -> Vec<u8> {
    let (name, value) = line.split_at(2.min(line.len()));
    let masked = match line.first() {
        Some(b'o') => origin(mask, value),
        Some(b'c') => words(value, |nth, word| if nth == 2 { mask_connection(mask, word) } else { word.to_vec() }),
        Some(b'v' | b'm' | b'b' | b't' | b'r' | b'z') => value.to_vec(),
        Some(b'a') => attribute(mask, value),
        _ => blot(value),
    };
    [name, &masked].concat()
}

/// `user id version IN IP4 address`
fn origin(mask: &mut Mask, value: &[u8]) -> Vec<u8> {
    words(value, |nth, word| match nth {
        0 => mask.user(word),
        5 => mask.host(word),
        _ => word.to_vec(),
    })
}

/// An address, with a time to live where it is one of a group.
fn mask_connection(mask: &mut Mask, word: &[u8]) -> Vec<u8> {
    let slash = word.iter().position(|byte| *byte == b'/').unwrap_or(word.len());
    let (host, rest) = word.split_at(slash);
    [mask.host(host), rest.to_vec()].concat()
}

fn attribute(mask: &mut Mask, value: &[u8]) -> Vec<u8> {
    let end = value.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-').unwrap_or(value.len());
    let (name, rest) = value.split_at(end);
    let masked = if SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret)) { blot(rest) } else { header::text(mask, rest) };
    [name, &masked].concat()
}

/// Masks words by their place in the line.
fn words(value: &[u8], mut masked: impl FnMut(usize, &[u8]) -> Vec<u8>) -> Vec<u8> {
    let line = value.trim_ascii_end();
    let end = value.get(line.len()..).unwrap_or_default();
    let words: Vec<Vec<u8>> = line.split(|byte| *byte == b' ').enumerate().map(|(nth, word)| masked(nth, word)).collect();
    [&words.join(&b' '), end].concat()
}
