//! The first line of a message.

use super::anomaly::{Anomalies, Anomaly};
use super::lines::{leading_line_ends, physical};
use super::method::Method;
use super::text::{self, find, from, has_lws, is_lws, is_token_byte, ordinary, trim, trim_end, trim_start, until_low};
use std::ops::Range;

/// What a message is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A request.
    Request(Method),
    /// A response with its status code, 100 to 699; 0 when it is out of that range.
    Response(u16),
}

/// A start line: where its parts are.
#[derive(Clone, Debug)]
pub(super) struct StartLine {
    pub(super) kind: Kind,
    /// Method of a request.
    pub(super) method: Range<usize>,
    /// Request-URI without angle brackets, or reason phrase.
    pub(super) target: Range<usize>,
    pub(super) anomalies: Anomalies,
}

/// Longest method name that is believed; the longest registered one has 9 bytes, the torture test of RFC 4475 uses 44.
const MAX_METHOD: usize = 64;
/// `SIP/2.0`
const VERSION_LEN: usize = 7;

/// Whether a payload begins, behind any line ends, with a SIP start line. Costs a few bytes' look for most that do not.
pub fn looks_like_start_line(bytes: &[u8]) -> bool {
    let start = leading_line_ends(bytes);
    let text = from(bytes, start);
    if is_version_prefix(text) {
        return text.get(VERSION_LEN) == Some(&b' ') || parse(bytes, physical(bytes, start).text).is_some();
    }
    method_len(text).is_some() && (is_common_request(text) || parse(bytes, physical(bytes, start).text).is_some())
}

/// Whether the line that begins with a method is a request line for sure: nearly all end like this.
fn is_common_request(text: &[u8]) -> bool {
    find(text, b'\n').and_then(|end| text.get(..end)).is_some_and(|line| line.ends_with(b" SIP/2.0\r"))
}

/// Reads a line as a start line.
pub(super) fn parse(bytes: &[u8], line: Range<usize>) -> Option<StartLine> {
    let text = bytes.get(line.clone())?;
    if is_version_prefix(text) {
        return usual_status(text, line.start).or_else(|| parse_status(text, line.start));
    }
    usual_request(bytes, line.clone()).or_else(|| parse_request(text, line.start))
}

/// Reads `SIP/2.0 200 OK` as nearly all are written.
fn usual_status(text: &[u8], start: usize) -> Option<StartLine> {
    let [b'S', b'I', b'P', b'/', b'2', b'.', b'0', b' ', code @ .., b' '] = text.first_chunk::<12>()? else { return None };
    let [hundreds @ b'1'..=b'6', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = code else { return None };
    let reason = from(text, 12);
    let ([first, ..], [.., last]) = (reason, reason) else { return None };
    let status = [hundreds, tens, ones].iter().fold(0, |status, digit| status * 10 + u16::from(**digit - b'0'));
    (*first > b' ' && *last > b' ').then_some(StartLine {
        kind: Kind::Response(status),
        method: start..start,
        target: start + 12..start + text.len(),
        anomalies: Anomalies::NONE,
    })
}

/// Reads `METHOD uri SIP/2.0` as nearly all are written; what follows the line is looked at along with it.
fn usual_request(bytes: &[u8], line: Range<usize>) -> Option<StartLine> {
    let text = bytes.get(line.clone())?;
    let [before @ .., b' ', b'S', b'I', b'P', b'/', b'2', b'.', b'0'] = text else { return None };
    let (method @ [_, ..], [b' ', uri @ ..]) = before.split_at_checked(ordinary(text.first_chunk()?))? else { return None };
    let target = line.start + method.len() + 1;
    let is_usual = matches!(uri, [first, ..] if *first != b'<') && until_low(from(bytes, target)) == uri.len();
    is_usual.then(|| StartLine {
        kind: Kind::Request(Method::from_bytes(method)),
        method: line.start..line.start + method.len(),
        target: target..target + uri.len(),
        anomalies: Anomalies::NONE,
    })
}

/// Length of the method when `text` begins with one and white space behind it.
fn method_len(text: &[u8]) -> Option<usize> {
    let head = text.get(..=MAX_METHOD).unwrap_or(text);
    let length = head.iter().position(|byte| !is_token_byte(*byte))?;
    (length > 0 && matches!(head.get(length), Some(b' ' | b'\t'))).then_some(length)
}

/// Whether `text` begins with `SIP/` and a version number.
fn is_version_prefix(text: &[u8]) -> bool {
    text.get(..VERSION_LEN).is_some_and(is_version)
}

/// Whether `text` is a SIP version; the number is any, the letters of any case (RFC 3261 §7.1).
fn is_version(text: &[u8]) -> bool {
    matches!(text, [b's' | b'S', b'i' | b'I', b'p' | b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
}

fn note_version(anomalies: &mut Anomalies, version: &[u8]) {
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        anomalies.insert(Anomaly::UnknownVersion);
    }
}

/// `SIP/2.0 200 OK`
fn parse_status(text: &[u8], start: usize) -> Option<StartLine> {
    let mut anomalies = Anomalies::NONE;
    let (version, rest) = text.split_at_checked(VERSION_LEN)?;
    note_version(&mut anomalies, version);
    let code = trim_start(rest);
    if code.len() == rest.len() {
        return None;
    }
    if code.len() + 1 != rest.len() {
        anomalies.insert(Anomaly::LwsInStartLine);
    }
    let (code, reason) = text::split_word(code);
    let status = text::decimal(code).and_then(|status| u16::try_from(status).ok()).filter(|status| (100..700).contains(status));
    if status.is_none() {
        anomalies.insert(Anomaly::InvalidStatus);
    }
    let end = start + text.len();
    let reason_start = end - reason.len();
    Some(StartLine {
        kind: Kind::Response(status.unwrap_or_default()),
        method: start..start,
        target: reason_start..reason_start + trim_end(reason).len(),
        anomalies,
    })
}

/// `INVITE sip:bob@example.com SIP/2.0`
fn parse_request(text: &[u8], start: usize) -> Option<StartLine> {
    let mut anomalies = Anomalies::NONE;
    let method_len = method_len(text)?;
    let line = trim_end(text);
    let (before, version) = line.split_at_checked(line.len().checked_sub(VERSION_LEN)?)?;
    if !is_version(version) || before.len() <= method_len || !before.last().is_some_and(|byte| is_lws(*byte)) {
        return None;
    }
    note_version(&mut anomalies, version);
    let gap = from(before, method_len);
    let uri = trim(gap);
    if line.len() != text.len() || gap.len() != uri.len() + 2 || has_lws(uri) {
        anomalies.insert(Anomaly::LwsInStartLine);
    }
    let mut target_start = start + before.len() - trim_start(gap).len();
    let mut target_len = uri.len();
    if let [b'<', inner @ .., b'>'] = uri {
        anomalies.insert(Anomaly::BracketedRequestUri);
        target_start += 1;
        target_len = inner.len();
    }
    Some(StartLine {
        kind: Kind::Request(Method::from_bytes(text.get(..method_len)?)),
        method: start..start + method_len,
        target: target_start..target_start + target_len,
        anomalies,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sip_is_told_behind_line_ends_and_in_any_case() {
        for payload in ["INVITE sip:a@b SIP/2.0\r\nVia: x", "\r\n\r\nsip/2.0 200 OK\r\n", "PUNCH x sip/2.0", "OPTIONS sip:a SIP/3.0\n"] {
            assert!(looks_like_start_line(payload.as_bytes()), "{payload}");
        }
    }

    #[test]
    fn the_quick_look_reads_what_the_close_look_reads() {
        let close = |text: &[u8]| if is_version_prefix(text) { parse_status(text, 0) } else { parse_request(text, 0) };
        let quick = |text: &[u8], all: &[u8]| usual_status(text, 0).or_else(|| usual_request(all, 0..text.len()));
        let shown = |line: Option<StartLine>| line.map(|line| format!("{line:?}"));
        for usual in ["INVITE sip:+4930123@b;user=phone SIP/2.0", "X-1.a sip:a%20b SIP/2.0", "SIP/2.0 200 OK", "SIP/2.0 699 Not  now"] {
            for behind in ["", "\r\n", "\r\nVia: SIP/2.0/UDP host\r\n"] {
                let read = quick(usual.as_bytes(), [usual, behind].concat().as_bytes());
                assert!(read.is_some(), "{usual}");
                assert_eq!(shown(read), shown(close(usual.as_bytes())), "{usual}");
            }
        }
        for unusual in [
            "INVITE  sip:a@b SIP/2.0",
            "INVITE sip:a@b  SIP/2.0",
            "INVITE sip:a b SIP/2.0",
            "INVITE sip:a\tb SIP/2.0",
            "INVITE <sip:a@b> SIP/2.0",
            "INVITE sip:a@b sip/2.0",
            "INVITE sip:a@b SIP/2.1",
            "INVITE sip:a@b SIP/2.0 ",
            "INVITE\tsip:a@b SIP/2.0",
            "IN_VITE sip:a@b SIP/2.0",
            "INVITE  SIP/2.0",
            "INVITE SIP/2.0",
            " sip:a@b SIP/2.0",
            "SIP/2.0  200 OK",
            "SIP/2.0 700 OK",
            "SIP/2.0 099 OK",
            "SIP/2.0 2000 OK",
            "SIP/2.0 200  OK",
            "SIP/2.0 200 OK ",
            "SIP/2.0 200 ",
            "SIP/2.0 200",
            "sip/2.0 200 OK",
        ] {
            assert!(quick(unusual.as_bytes(), unusual.as_bytes()).is_none(), "{unusual}");
        }
    }

    #[test]
    fn its_neighbours_are_not_sip() {
        for payload in [
            "",
            "\r\n",
            "NOTIFY * HTTP/1.1\r\nHost: 239.255.255.250:1900\r\n",
            "M-SEARCH * HTTP/1.1\r\n\r\nINVITE sip:a SIP/2.0\r\n",
            "HTTP/1.1 200 OK\r\n",
            "OPTIONS rtsp://camera/ RTSP/1.0\r\n",
            "RTSP/1.0 200 OK\r\n",
            "GET /SIP/2.0\r\n",
            "SIP/2.0\r\n",
            "SIP/2.0200 OK\r\n",
            "SIP/2 200 OK\r\n",
            "sip:a@b SIP/2.0\r\n",
            " INVITE sip:a@b SIP/2.0\r\n",
            "Via: SIP/2.0/UDP host SIP/2.0\r\n",
            "INVITE sip:a@b SIP/2.0x\r\n",
            "\u{0}\u{1}\u{2}",
        ] {
            assert!(!looks_like_start_line(payload.as_bytes()), "{payload}");
        }
        assert!(!looks_like_start_line(format!("{} sip:a SIP/2.0\r\n", "A".repeat(MAX_METHOD + 1)).as_bytes()));
    }
}
