//! The same capture happening to others: users, public addresses and identifiers renamed, everything as long as it was.

use std::collections::{BTreeMap, BTreeSet};

use super::capture::{CaptureFile, Record};

/// The PBX of the cases, and one that can stand in its place.
pub(crate) const PBX: [&str; 2] = ["203.0.113.10", "203.0.113.11"];

/// Who things happen to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Label {
    /// Which set of public networks; 0 leaves them as they are. Below 8.
    pub(crate) networks: u8,
    /// By how much the digits of user names are turned.
    pub(crate) turn: u8,
    /// Which of [`PBX`].
    pub(crate) pbx: usize,
}

/// The users of a capture: what stands as a user in a SIP URI before an `@`, and is a short number.
pub(crate) fn users(file: &CaptureFile) -> BTreeSet<String> {
    let mut users = BTreeSet::new();
    for record in &file.records {
        for (at, _) in record.bytes.windows(4).enumerate().filter(|(_, window)| *window == b"sip:") {
            let rest = &record.bytes[at + 4..];
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if (2..=4).contains(&digits) && rest.get(digits) == Some(&b'@') {
                users.insert(String::from_utf8_lossy(&rest[..digits]).into_owned());
            }
        }
    }
    users
}

/// What the user is called under a label: other digits at both ends, never the same name.
pub(crate) fn renamed_user(user: &str, label: Label) -> String {
    let turned = |digit: char, by: u8| char::from(b'0' + (digit as u8 - b'0' + by) % 10);
    let last = user.len() - 1;
    let turn = |(at, digit): (usize, char)| match at {
        0 => turned(digit, label.turn),
        at if at == last => turned(digit, label.turn + 2),
        _ => digit,
    };
    user.chars().enumerate().map(turn).collect()
}

/// The capture under a label.
pub(crate) fn relabelled(file: &CaptureFile, label: Label) -> CaptureFile {
    let users: BTreeMap<String, String> = users(file).into_iter().map(|user| (user.clone(), renamed_user(&user, label))).collect();
    let records = file.records.iter().map(|record| {
        let mut bytes = record.bytes.clone();
        rename_users(&mut bytes, &users);
        for start in [
            &b"z9hG4bK"[..],
            b"Call-ID: ",
            b"\r\ni: ",
            b"nonce=\"",
            b"urn:uuid:",
            b";tag=",
            b"Replaces=",
            b"-tag%3D",
            b"Replaces: ",
            b"-tag=",
        ] {
            turn_identifiers(&mut bytes, start, label.turn);
        }
        rename_networks(&mut bytes, label);
        Record { bytes, ..record.clone() }
    });
    CaptureFile { records: records.collect(), ..file.clone() }
}

/// Renames each user where it stands as one: after `sip:`, a quote or a code, before `@` or a quote.
fn rename_users(bytes: &mut [u8], users: &BTreeMap<String, String>) {
    for at in 1..bytes.len() {
        if !matches!(bytes[at - 1], b':' | b'"' | b'\'' | b'*') || !bytes[at].is_ascii_digit() {
            continue;
        }
        let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if matches!(bytes.get(at + digits), Some(b'@' | b'"' | b'\''))
            && let Some(name) = std::str::from_utf8(&bytes[at..at + digits]).ok().and_then(|user| users.get(user))
        {
            bytes[at..at + digits].copy_from_slice(name.as_bytes());
        }
    }
}

/// Turns the hexadecimal digits of the identifier behind each `start`, up to the first byte that is none and no `-` or `_` either.
fn turn_identifiers(bytes: &mut [u8], start: &[u8], turn: u8) {
    let found: Vec<usize> = bytes.windows(start.len()).enumerate().filter(|(_, window)| *window == start).map(|(at, _)| at).collect();
    for at in found {
        for byte in bytes[at + start.len()..].iter_mut().take_while(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b'_' | b's')) {
            match *byte {
                b'0'..=b'9' => *byte = b'0' + (*byte - b'0' + turn) % 10,
                b'a'..=b'f' => *byte = b'a' + (*byte - b'a' + turn) % 6,
                _ => {}
            }
        }
    }
}

/// Gives the sites, the strangers, the carrier and the phones beside the PBX addresses of their own. The private networks behind the
/// NATs stay what they are: every office has the same.
fn rename_networks(bytes: &mut [u8], label: Label) {
    let n = label.networks;
    replace(bytes, b"198.51.100.", format!("198.5{}.100.", 1 + n).as_bytes());
    replace(bytes, &[198, 51, 100], &[198, 51 + n, 100]);
    replace(bytes, b"198.18.", format!("198.{}.", if n == 0 { 18 } else { 20 + n }).as_bytes());
    replace(bytes, &[198, 18], &[198, if n == 0 { 18 } else { 20 + n }]);
    replace(bytes, b"192.0.2.", format!("192.{n}.2.").as_bytes());
    replace(bytes, &[192, 0, 2], &[192, n, 2]);
    replace(bytes, b"203.0.113.60", format!("203.0.113.{}", 60 + n).as_bytes());
    replace(bytes, &[203, 0, 113, 60], &[203, 0, 113, 60 + n]);
    replace(bytes, PBX[0].as_bytes(), PBX[label.pbx].as_bytes());
    replace(bytes, &[203, 0, 113, 10], &[203, 0, 113, 10 + label.pbx as u8]);
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len(), "lengths must not change");
    let found: Vec<usize> = bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from).map(|(at, _)| at).collect();
    for at in found {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
}

/// Several captures as one, by time.
pub(crate) fn interleaved(files: &[CaptureFile]) -> CaptureFile {
    let mut records: Vec<Record> = files.iter().flat_map(|file| file.records.clone()).collect();
    records.sort_by_key(|record| record.micros);
    CaptureFile { link: files[0].link, records, tail: Vec::new() }
}

/// The capture `micros` later.
pub(crate) fn later(file: &CaptureFile, micros: i64) -> CaptureFile {
    let records = file.records.iter().map(|record| Record { micros: record.micros + micros, ..record.clone() });
    CaptureFile { records: records.collect(), ..file.clone() }
}
