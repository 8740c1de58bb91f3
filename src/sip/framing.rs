//! Cutting a stream into messages, RFC 3261 §18.3 and RFC 5626 §3.5.1.

use super::headers::HeaderName;
use super::lines::{Line, Lines, physical};
use super::scan::MAX_HEAD;
pub use super::start_line::looks_like_start_line;
use super::start_line::{self, may_become_start_line};
use super::text::{decimal, from};
use crate::decode::signal::KeepaliveKind;
use memchr::memchr;

/// The most bytes a message on a stream may have unless the caller says less. Large notifications (dialog lists, presence of
/// a whole company) reach some hundred kilobytes; beyond a megabyte a wrong Content-Length is the likelier reason.
pub const MAX_MESSAGE: usize = 1 << 20;

/// Longest start line that is waited for.
const MAX_START_LINE: usize = 8 << 10;

/// What buffered bytes of a stream begin with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framed {
    /// More bytes are needed to tell.
    NeedMore,
    /// A message of `len` bytes.
    Message {
        /// With its body.
        len: usize,
    },
    /// A keep-alive of `len` bytes.
    Keepalive {
        /// Two or four.
        len: usize,
        /// Ping or pong.
        kind: KeepaliveKind,
    },
    /// `len` bytes, at least one, that belong to no message; to be skipped and counted.
    Junk {
        /// Up to where a start line is or may be.
        len: usize,
    },
}

/// Tells what `bytes` begin with. A message of more than `limit` bytes is cut behind its headers, so that only its body is lost.
pub fn frame(bytes: &[u8], limit: usize) -> Framed {
    match bytes {
        [] | [b'\r'] | [b'\r', b'\n', b'\r'] => Framed::NeedMore,
        [b'\r', b'\n', b'\r', b'\n', ..] => Framed::Keepalive { len: 4, kind: KeepaliveKind::CrlfCrlf },
        [b'\r', b'\n', ..] => Framed::Keepalive { len: 2, kind: KeepaliveKind::Crlf },
        _ => frame_text(bytes, limit),
    }
}

fn frame_text(bytes: &[u8], limit: usize) -> Framed {
    let Some(end) = memchr(b'\n', bytes) else {
        let is_hopeful = bytes.len() < MAX_START_LINE && may_become_start_line(bytes);
        return if is_hopeful { Framed::NeedMore } else { Framed::Junk { len: bytes.len() } };
    };
    let line = physical(bytes, 0);
    if start_line::parse(bytes, line.text).is_some() { frame_message(bytes, end + 1, limit) } else { resync(bytes, end + 1) }
}

/// Skips to the next line that is a start line or may become one.
fn resync(bytes: &[u8], mut position: usize) -> Framed {
    while position < bytes.len() {
        let line = physical(bytes, position);
        let is_last = memchr(b'\n', from(bytes, position)).is_none();
        let is_start = if is_last { may_become_start_line(from(bytes, position)) } else { start_line::parse(bytes, line.text).is_some() };
        if is_start {
            return Framed::Junk { len: position };
        }
        position = line.next;
    }
    Framed::Junk { len: bytes.len() }
}

/// Measures the message whose start line ends at `headers`.
fn frame_message(bytes: &[u8], headers: usize, limit: usize) -> Framed {
    let head = bytes.get(..MAX_HEAD.min(limit)).unwrap_or(bytes);
    let mut lines = Lines::new(head, headers);
    let mut content_length = None;
    loop {
        let start = lines.offset();
        match lines.next() {
            Some(Line::Blank) => return end_of_message(bytes, lines.offset(), content_length, limit),
            Some(Line::Field { name, value }) => {
                let is_length = head.get(name).and_then(HeaderName::from_bytes) == Some(HeaderName::ContentLength);
                if is_length && content_length.is_none() {
                    content_length = Some(decimal(head.get(value).unwrap_or_default()));
                }
            }
            Some(Line::Odd(line)) if start_line::parse(head, physical(head, line.start).text).is_some() => {
                return Framed::Message { len: start };
            }
            Some(Line::Odd(_)) => {}
            None if head.len() < bytes.len() => return resync(bytes, headers),
            None => return Framed::NeedMore,
        }
    }
}

/// A message without a Content-Length that can be believed has no body.
fn end_of_message(bytes: &[u8], body: usize, content_length: Option<Option<u64>>, limit: usize) -> Framed {
    let length = usize::try_from(content_length.flatten().unwrap_or_default()).unwrap_or(usize::MAX);
    let len = body.saturating_add(length);
    if len > limit {
        Framed::Message { len: body }
    } else if len > bytes.len() {
        Framed::NeedMore
    } else {
        Framed::Message { len }
    }
}
