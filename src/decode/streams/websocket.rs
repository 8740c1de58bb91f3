//! WebSocket frames (RFC 6455 §5) and the handshake before them (§4).

use crate::decode::read::{array_at, u8_at};

/// The longest payload of a frame that is waited for.
const MAX_PAYLOAD: u64 = 64 << 10;
/// The longest handshake that is waited for.
const MAX_HANDSHAKE: usize = 8 << 10;

/// What a WebSocket frame is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Opcode {
    /// More of a message.
    Continuation,
    /// A message, or its first frame.
    Data,
    /// Ping or pong.
    Probe,
    /// The end of the conversation.
    Close,
}

/// A frame's header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct FrameHead {
    /// What it is.
    pub(super) opcode: Opcode,
    /// Whether the message ends with it.
    pub(super) is_final: bool,
    /// The key that its payload is masked with; zero where it is not.
    pub(super) mask: [u8; 4],
    /// Bytes of the header.
    pub(super) header: usize,
    /// Bytes of the payload.
    pub(super) payload: usize,
}

/// What stands at the front of bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Parsed<T> {
    /// This.
    Found(T),
    /// What needs more bytes.
    NeedMore,
    /// Something else.
    Other,
}

/// Reads the header of a frame; `Found` only when its payload is there too.
pub(super) fn frame(bytes: &[u8]) -> Parsed<FrameHead> {
    let (Some(first), Some(second)) = (u8_at(bytes, 0), u8_at(bytes, 1)) else { return Parsed::NeedMore };
    let opcode = match first & 0x7f {
        0 => Opcode::Continuation,
        1 | 2 => Opcode::Data,
        8 => Opcode::Close,
        9 | 10 => Opcode::Probe,
        _ => return Parsed::Other,
    };
    let (length, at) = match second & 0x7f {
        126 => (array_at(bytes, 2).map(|length| u64::from(u16::from_be_bytes(length))), 4),
        127 => (array_at(bytes, 2).map(u64::from_be_bytes), 10),
        short => (Some(u64::from(short)), 2),
    };
    let Some(length) = length else { return Parsed::NeedMore };
    if length > MAX_PAYLOAD {
        return Parsed::Other;
    }
    let is_masked = second & 0x80 != 0;
    let (mask, header) = if is_masked { (array_at(bytes, at), at + 4) } else { (Some([0; 4]), at) };
    let (Some(mask), payload) = (mask, length as usize) else { return Parsed::NeedMore };
    if bytes.len() < header + payload {
        return Parsed::NeedMore;
    }
    Parsed::Found(FrameHead { opcode, is_final: first & 0x80 != 0, mask, header, payload })
}

/// Appends a frame's payload in the clear.
pub(super) fn unmask(into: &mut Vec<u8>, payload: &[u8], mask: [u8; 4]) {
    into.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// What an HTTP message at the front of a stream is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Http {
    /// Half of a handshake for SIP over WebSocket (RFC 7118 §4), of so many bytes.
    Upgrade(usize),
    /// A request for something else.
    Request,
    /// An answer to something else.
    Response,
}

/// Reads an HTTP message.
pub(super) fn http(bytes: &[u8]) -> Parsed<Http> {
    // Without those that SIP has too, which only the version on the start line tells apart.
    const METHODS: [&[u8]; 7] = [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"DELETE ", b"CONNECT ", b"PATCH "];
    let begins_with = |word: &&[u8]| bytes.starts_with(word);
    let may_begin_with = |word: &&[u8]| word.starts_with(bytes);
    let kind = if METHODS.iter().any(begins_with) {
        Http::Request
    } else if bytes.starts_with(b"HTTP/1.") {
        Http::Response
    } else if METHODS.iter().any(may_begin_with) || b"HTTP/1.".starts_with(bytes) {
        return Parsed::NeedMore;
    } else {
        return Parsed::Other;
    };
    match memchr::memmem::find(bytes, b"\r\n\r\n") {
        Some(end) if is_sip_upgrade(bytes.get(..end).unwrap_or_default(), kind) => Parsed::Found(Http::Upgrade(end + 4)),
        Some(_) => Parsed::Found(kind),
        None if bytes.len() < MAX_HANDSHAKE => Parsed::NeedMore,
        None => Parsed::Found(kind),
    }
}

/// Whether a handshake asks for SIP, or grants it.
fn is_sip_upgrade(head: &[u8], kind: Http) -> bool {
    let mut lines = head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let status = lines.next().unwrap_or_default();
    if kind == Http::Response && status.split(|&byte| byte == b' ').nth(1) != Some(b"101") {
        return false;
    }
    let (mut upgrade, mut protocol) = (false, false);
    for line in lines {
        let Some((name, value)) = memchr::memchr(b':', line).and_then(|colon| line.split_at_checked(colon)) else { continue };
        upgrade |= name.eq_ignore_ascii_case(b"upgrade") && has_word(value, b"websocket");
        protocol |= name.eq_ignore_ascii_case(b"sec-websocket-protocol") && has_word(value, b"sip");
    }
    upgrade && protocol
}

fn has_word(value: &[u8], word: &[u8]) -> bool {
    value.split(|byte| b":, ".contains(byte)).any(|part| part.trim_ascii().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_frame_is_read_and_unmasked() {
        let bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let Parsed::Found(head) = frame(&bytes) else { panic!("RFC 6455 §5.7 example") };
        assert_eq!((head.opcode, head.is_final, head.header, head.payload), (Opcode::Data, true, 6, 5));
        let mut clear = Vec::new();
        unmask(&mut clear, &bytes[6..], head.mask);
        assert_eq!(clear, b"Hello");
        for cut in 0..bytes.len() {
            assert_eq!(frame(&bytes[..cut]), Parsed::NeedMore);
        }
    }

    #[test]
    fn reserved_bits_opcodes_and_giants_are_no_frames() {
        assert_eq!(frame(&[0xc1, 0x00]), Parsed::Other);
        assert_eq!(frame(&[0x83, 0x00]), Parsed::Other);
        assert_eq!(frame(&[0x82, 0x7f, 0, 0, 0, 1, 0, 0, 0, 0]), Parsed::Other);
    }

    #[test]
    fn only_a_handshake_for_sip_is_an_upgrade() {
        let request = b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: xmpp, sip\r\n\r\nrest";
        assert_eq!(http(request), Parsed::Found(Http::Upgrade(request.len() - 4)));
        let answer = b"HTTP/1.1 101 Switching\r\nUpgrade: WebSocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
        assert_eq!(http(answer), Parsed::Found(Http::Upgrade(answer.len())));
        assert_eq!(http(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: chat\r\n\r\n"), Parsed::Found(Http::Request));
        assert_eq!(http(b"HTTP/1.1 400 Bad\r\n\r\n"), Parsed::Found(Http::Response));
        assert_eq!(http(b"GE"), Parsed::NeedMore);
        assert_eq!(http(b"REGISTER sip:x SIP/2.0\r\n"), Parsed::Other);
    }
}
