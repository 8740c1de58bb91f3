//! Cutting a stream into messages, RFC 3261 §18.3 and RFC 5626 §3.5.1.

use super::headers::HeaderName;
use super::lines::{Line, Lines, physical};
use super::scan::MAX_HEAD;
use super::start_line;
pub use super::start_line::looks_like_start_line;
use super::text::decimal;
use crate::decode::framer::Progress;
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
        /// Up to where a start line may be.
        len: usize,
    },
}

/// Tells what `bytes` begin with; the same in whatever pieces the bytes came. A message of more than `limit` bytes is cut behind its
/// headers, so that only its body is lost.
pub fn frame(bytes: &[u8], limit: usize) -> Framed {
    frame_on(bytes, limit, &mut Progress::default())
}

/// [`frame`] for bytes that come piece by piece. What was read in vain is not read again: `progress` is what the last call with the same
/// front and fewer bytes left, or empty.
pub fn frame_on(bytes: &[u8], limit: usize, progress: &mut Progress) -> Framed {
    if bytes.len() < progress.needed || (progress.line > 0 && !may_end(bytes, limit, progress)) {
        return Framed::NeedMore;
    }
    *progress = Progress::default();
    match bytes {
        [] | [b'\r'] | [b'\r', b'\n', b'\r'] => Framed::NeedMore,
        [b'\r', b'\n', b'\r', b'\n', ..] => Framed::Keepalive { len: 4, kind: KeepaliveKind::CrlfCrlf },
        [b'\r', b'\n', ..] => Framed::Keepalive { len: 2, kind: KeepaliveKind::Crlf },
        [control, ..] if control.is_ascii_control() => {
            Framed::Junk { len: bytes.iter().take_while(|byte| byte.is_ascii_control()).count() }
        }
        _ => frame_line(bytes, limit, progress),
    }
}

/// A line that is no start line is junk as a whole: what stands in its middle begins no message. So a stream that is joined in the middle
/// goes on at the next start line.
fn frame_line(bytes: &[u8], limit: usize, progress: &mut Progress) -> Framed {
    let Some(end) = memchr(b'\n', bytes) else {
        return if bytes.len() < MAX_START_LINE.min(limit) { Framed::NeedMore } else { Framed::Junk { len: bytes.len() } };
    };
    let line = physical(bytes, 0);
    if start_line::parse(bytes, line.text).is_some() {
        frame_message(bytes, end + 1, limit, progress)
    } else {
        Framed::Junk { len: end + 1 }
    }
}

/// Measures the message whose start line ends at `headers`.
fn frame_message(bytes: &[u8], headers: usize, limit: usize, progress: &mut Progress) -> Framed {
    let bound = MAX_HEAD.min(limit);
    let head = bytes.get(..bound).unwrap_or(bytes);
    let mut lines = Lines::new(head, headers);
    let mut content_length = None;
    // The line that was read last is read again: what comes may belong to it.
    let mut start = headers;
    loop {
        let last = start;
        start = lines.offset();
        match lines.next() {
            Some(Line::Blank) => return end_of_message(bytes, lines.offset(), content_length, limit, progress),
            Some(Line::Field { header: Some(HeaderName::ContentLength), value, .. }) if content_length.is_none() => {
                content_length = Some(decimal(value));
            }
            Some(Line::Odd) if lines.offset() < head.len() && start_line::parse(head, physical(head, start).text).is_some() => {
                return Framed::Message { len: start };
            }
            Some(Line::Field { .. } | Line::Odd) => {}
            None if bytes.len() >= bound => return Framed::Junk { len: headers },
            None => {
                *progress = Progress { line: last, searched: last, ..Progress::default() };
                return Framed::NeedMore;
            }
        }
    }
}

/// Whether the lines since the last look can end the headers: a blank one, or the start line of another message.
fn may_end(bytes: &[u8], limit: usize, progress: &mut Progress) -> bool {
    if bytes.len() >= MAX_HEAD.min(limit) {
        return true;
    }
    loop {
        if progress.cut_short && bytes.get(progress.line).is_some_and(|byte| !matches!(byte, b' ' | b'\t')) {
            return true;
        }
        let Some(length) = bytes.get(progress.searched..).and_then(|rest| memchr(b'\n', rest)) else { break };
        let end = progress.searched + length;
        if matches!(bytes.get(progress.line..end), Some([] | [b'\r'])) {
            return true;
        }
        progress.cut_short |= start_line::parse(bytes, physical(bytes, progress.line).text).is_some();
        (progress.line, progress.searched) = (end + 1, end + 1);
    }
    progress.searched = bytes.len();
    false
}

/// A message without a Content-Length that can be believed has no body.
fn end_of_message(bytes: &[u8], body: usize, content_length: Option<Option<u64>>, limit: usize, progress: &mut Progress) -> Framed {
    let length = usize::try_from(content_length.flatten().unwrap_or_default()).unwrap_or(usize::MAX);
    let len = body.saturating_add(length);
    if len > limit {
        Framed::Message { len: body }
    } else if len > bytes.len() {
        progress.needed = len;
        Framed::NeedMore
    } else {
        Framed::Message { len }
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use super::*;

    const BYE: &[u8] = b"BYE sip:a@b SIP/2.0\r\nl: 3\r\nCall-ID: x\r\n\r\nabc";

    #[test]
    fn a_message_ends_where_its_length_says() {
        assert_eq!(frame(&[BYE, BYE].concat(), MAX_MESSAGE), Framed::Message { len: BYE.len() });
        let folded = b"BYE sip:a@b SIP/2.0\nCONTENT-LENGTH :\n 3\n\nabcSIP/2.0 200 OK";
        assert_eq!(frame(folded, MAX_MESSAGE), Framed::Message { len: folded.len() - 14 });
    }

    #[test]
    fn every_beginning_of_a_message_needs_more() {
        for end in 1..BYE.len() {
            assert_eq!(frame(&BYE[..end], MAX_MESSAGE), Framed::NeedMore, "{end}");
        }
    }

    /// What `bytes` begin with at each length, given one byte at a time, and how many of them were read again from the front.
    fn piece_by_piece(bytes: &[u8]) -> (Vec<Framed>, usize) {
        let (mut progress, mut rereads) = (Progress::default(), 0);
        let told = (1..=bytes.len()).map(|end| {
            let before = progress;
            let framed = frame_on(&bytes[..end], MAX_MESSAGE, &mut progress);
            let went_on = end < before.needed || (progress.line > 0 && before.line > 0 && progress.searched > before.line);
            rereads += usize::from(!went_on);
            framed
        });
        (told.collect(), rereads)
    }

    #[test]
    fn what_comes_piece_by_piece_begins_with_the_same() {
        let cut = [b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP x\r\n", BYE].concat();
        let folded = b"BYE sip:a@b SIP/2.0\nX: y\n BYE sip:a@b SIP/2.0\n\tz\nCONTENT-LENGTH :\n 3\n\nabc";
        let twice = b"BYE sip:a@b SIP/2.0\r\nSIP/2.0 200 OK\r\n :x\r\nl: 3\r\n\r\nabc";
        for bytes in [BYE, &cut[..], &folded[..], &twice[..], b"\r\n\r\nBYE sip:a@b SIP/2.0\n\n", b"junk\r\nBYE"] {
            let whole: Vec<_> = (1..=bytes.len()).map(|end| frame(&bytes[..end], MAX_MESSAGE)).collect();
            let first = whole.iter().position(|framed| *framed != Framed::NeedMore).unwrap_or(whole.len() - 1);
            assert_eq!(piece_by_piece(&bytes[..=first]).0, whole[..=first], "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn headers_and_a_body_that_come_byte_by_byte_are_read_once() {
        let start = b"BYE sip:a@b SIP/2.0\r\n".to_vec();
        for filler in [&b"X: y\r\n"[..], b"X: y\r\n z\r\n", b"X: SIP/2.0\n", b"yyyyyyyyyyyyyyyy"] {
            let headers = filler.repeat(60_000 / filler.len());
            let message = [&start[..], b"X: ", &headers[..], b"X: z\r\nl: 100000\r\n\r\n", &vec![b'b'; 100_000][..]].concat();
            let (told, rereads) = piece_by_piece(&message);
            assert_eq!(told.last(), Some(&Framed::Message { len: message.len() }));
            assert!(rereads < start.len() + 10, "{rereads} times from the front");
        }
    }

    #[test]
    fn without_a_believable_length_there_is_no_body() {
        for headers in ["", "Content-Length: -1\r\n", "Content-Length: x\r\n"] {
            let text = format!("BYE sip:a@b SIP/2.0\r\n{headers}\r\nabc");
            assert_eq!(frame(text.as_bytes(), MAX_MESSAGE), Framed::Message { len: text.len() - 3 });
        }
    }

    #[test]
    fn keepalives_stand_between_messages() {
        assert_eq!(frame(b"\r\n\r\nBYE", MAX_MESSAGE), Framed::Keepalive { len: 4, kind: KeepaliveKind::CrlfCrlf });
        assert_eq!(frame(b"\r\nBYE", MAX_MESSAGE), Framed::Keepalive { len: 2, kind: KeepaliveKind::Crlf });
        assert_eq!(frame(b"\r\n", MAX_MESSAGE), Framed::Keepalive { len: 2, kind: KeepaliveKind::Crlf });
        assert_eq!(frame(b"\r", MAX_MESSAGE), Framed::NeedMore);
    }

    /// The length of the junk before the first thing that is none, and that thing.
    fn skip_junk(bytes: &[u8]) -> (usize, Framed) {
        let mut skipped = 0;
        loop {
            match frame(&bytes[skipped..], MAX_MESSAGE) {
                Framed::Junk { len } => skipped += len,
                other => return (skipped, other),
            }
        }
    }

    #[test]
    fn a_stream_joined_in_the_middle_goes_on_at_the_next_start_line() {
        let middle = b"rtpmap:8 PCMA/8000\r\nX: BYE sip:a@b SIP/2.0\r\n\0\0\0\0";
        assert_eq!(skip_junk(&[middle, BYE].concat()), (middle.len(), Framed::Message { len: BYE.len() }));
        assert_eq!(skip_junk(&[middle, &b"SIP/2.0 2"[..]].concat()), (middle.len(), Framed::NeedMore));
    }

    #[test]
    fn a_start_line_among_the_headers_ends_a_message_that_lost_bytes() {
        let cut = b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP x\r\nCSeq: 1 INV\r\n";
        assert_eq!(frame(&[cut, BYE].concat(), MAX_MESSAGE), Framed::Message { len: cut.len() });
    }

    #[test]
    fn headers_without_end_and_lines_without_end_are_given_up() {
        let endless = [b"BYE sip:a@b SIP/2.0\r\n".to_vec(), b"X: y\r\n".repeat(MAX_HEAD / 6)].concat();
        assert_eq!(frame(&endless[..MAX_HEAD - 1], MAX_MESSAGE), Framed::NeedMore);
        assert_eq!(skip_junk(&[&endless[..], BYE].concat()), (endless.len(), Framed::Message { len: BYE.len() }));
        assert_eq!(frame(&b"A".repeat(MAX_START_LINE), MAX_MESSAGE), Framed::Junk { len: MAX_START_LINE });
    }

    #[test]
    fn of_a_message_beyond_the_limit_only_the_body_is_lost() {
        let large = b"BYE sip:a@b SIP/2.0\r\nContent-Length: 99999999999999999999\r\n\r\nabc";
        assert_eq!(frame(large, MAX_MESSAGE), Framed::Message { len: large.len() - 3 });
    }
}
