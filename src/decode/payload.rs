//! Payloads that are not SIP: which of them keep a path open.

use crate::decode::read::{u16_at, u32_at};
use crate::decode::signal::KeepaliveKind;

/// The longest payload that counts as vendor's own keep-alive (DETECTION §2.3).
const MAX_SHORT: usize = 8;
/// The magic cookie of STUN, RFC 5389 §6.
const STUN_COOKIE: u32 = 0x2112_a442;
/// Bytes of a STUN header.
const STUN_HEADER: usize = 20;

/// The kind of keep-alive that a datagram without SIP is, if it is one (DETECTION §2.3).
pub fn keepalive(payload: &[u8]) -> Option<KeepaliveKind> {
    match payload {
        [] => Some(KeepaliveKind::Zero),
        b"\r\n" => Some(KeepaliveKind::Crlf),
        b"\r\n\r\n" => Some(KeepaliveKind::CrlfCrlf),
        [0, 0, 0, 0] => Some(KeepaliveKind::Nul4),
        _ if payload.len() <= MAX_SHORT => Some(KeepaliveKind::Short),
        _ if is_stun(payload) => Some(KeepaliveKind::Stun),
        _ => None,
    }
}

/// RFC 5389, or RFC 3489 which has no cookie and is told by its message type and by a length that fits exactly.
fn is_stun(payload: &[u8]) -> bool {
    let (Some(kind), Some(length), Some(cookie)) = (u16_at(payload, 0), u16_at(payload, 2), u32_at(payload, 4)) else { return false };
    if kind & 0xc000 != 0 || payload.len() < STUN_HEADER {
        return false;
    }
    let classic = matches!(kind, 0x0001 | 0x0101 | 0x0111) && STUN_HEADER + usize::from(length) == payload.len();
    cookie == STUN_COOKIE || classic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keepalives_are_told_apart_by_their_bytes() {
        let kinds = [
            (&b""[..], KeepaliveKind::Zero),
            (b"\r\n", KeepaliveKind::Crlf),
            (b"\r\n\r\n", KeepaliveKind::CrlfCrlf),
            (b"\0\0\0\0", KeepaliveKind::Nul4),
            (b"hello", KeepaliveKind::Short),
            (b"\0\x01\0\0\x21\x12\xa4\x42aaaaaaaaaaaa", KeepaliveKind::Stun),
            (b"\0\x01\0\0aaaaaaaaaaaaaaaa", KeepaliveKind::Stun),
        ];
        for (bytes, kind) in kinds {
            assert_eq!(keepalive(bytes), Some(kind), "{bytes:?}");
        }
    }

    #[test]
    fn media_and_long_junk_are_none() {
        let rtp = [&[0x80, 0x00, 0, 1][..], &[0; 160]].concat();
        assert_eq!(keepalive(&rtp), None);
        assert_eq!(keepalive(b"nine byte"), None);
        assert_eq!(keepalive(b"\0\x01\0\x08aaaaaaaaaaaaaaaa"), None, "a classic STUN length that does not fit");
    }
}
