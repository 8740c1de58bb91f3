//! Secrets blanked at equal length, so that nothing else of a message moves.

use crate::sip::framing::looks_like_start_line;
use crate::sip::headers::HeaderName;

/// What stands in the place of a secret.
const BLANK: u8 = b'0';
/// The parameters of a digest that say something of the password. Nonces stay: they are evidence.
const SECRET: [&[u8]; 3] = [b"response", b"cnonce", b"rspauth"];
/// Headers that the scanner has no name for and that carry parts of a digest.
const INFO: [&[u8]; 2] = [b"authentication-info", b"proxy-authentication-info"];

/// How the names of all headers end that carry credentials, extensions as well.
const AUTHORIZATION: &[u8] = b"authorization";

/// Blanks the `response` and `cnonce` of each digest in the message, and the whole of credentials that are no digest or cannot be
/// told apart, and the passwords of SIP URIs.
pub fn blank_secrets(message: &mut [u8]) {
    let mut at = start_line_length(message);
    blank_passwords(message.get_mut(..at).unwrap_or_default());
    while let Some(rest) = message.get_mut(at..).filter(|rest| !rest.is_empty()) {
        let length = header_length(rest);
        let Some(header) = rest.get_mut(..length) else { return };
        let colon = memchr::memchr(b':', header).unwrap_or_default();
        let name = header.get(..colon).unwrap_or_default().trim_ascii();
        // A Call-ID is no URI, and two that differ must stay two.
        let is_call_id = HeaderName::from_bytes(name) == Some(HeaderName::CallId);
        if is_secret(name)
            && let Some(value) = header.get_mut(colon + 1..)
        {
            // Where quotes do not balance, nobody can say which of it is the secret.
            if is_digest(value) && is_balanced(value) { blank_parameters(value) } else { blank_words(value) }
        } else if !is_call_id {
            blank_passwords(header);
        }
        at += length;
    }
}

/// Bytes of the start line and of line ends before it. It cannot be folded: a header with white space before its name may follow.
fn start_line_length(message: &[u8]) -> usize {
    if !looks_like_start_line(message) {
        return 0;
    }
    let before = message.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    memchr::memchr(b'\n', message.get(before..).unwrap_or_default()).map_or(message.len(), |end| before + end + 1)
}

/// Blanks the password of each SIP URI (RFC 3261 §19.1.1), wherever in the header or start line it stands.
fn blank_passwords(header: &mut [u8]) {
    // Most headers have no user, and so no password.
    if memchr::memchr(b'@', header).is_none() {
        return;
    }
    let mut at = 0;
    while let Some(colon) = memchr::memchr(b':', header.get(at..).unwrap_or_default()) {
        let scheme = header.get(..at + colon).unwrap_or_default();
        at += colon + 1;
        let is_sip = [b"sip".as_slice(), b"sips"].iter().any(|word| {
            let before = scheme.len().checked_sub(word.len());
            before.is_some_and(|before| {
                scheme[before..].eq_ignore_ascii_case(word) && before.checked_sub(1).is_none_or(|last| !is_name(scheme[last]))
            })
        });
        if !is_sip {
            continue;
        }
        let rest = header.get_mut(at..).unwrap_or_default();
        let end = rest.iter().take_while(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b'@' | b'<' | b'>' | b'"')).count();
        let is_user = rest.get(end) == Some(&b'@');
        let info = rest.get_mut(..end).unwrap_or_default();
        if let Some(colon) = memchr::memchr(b':', info).filter(|_| is_user) {
            let password = info.get_mut(colon + 1..).unwrap_or_default();
            // A further colon belongs to another URI of a list, whose own turn comes.
            if !password.contains(&b':') {
                blank(password);
            }
        }
    }
}

/// Whether each quote has its other half, and begins a value.
fn is_balanced(value: &[u8]) -> bool {
    let (mut open, mut escaped, mut before) = (false, false, b' ');
    for &byte in value {
        if byte == b'"' && !escaped {
            if !open && !matches!(before, b'=' | b',' | b' ' | b'\t' | b'\r' | b'\n') {
                return false;
            }
            open = !open;
        }
        escaped = byte == b'\\' && open && !escaped;
        before = byte;
    }
    !open
}

/// As [`blank_secrets`], of bytes that may begin or end within a header: secret parameters are blanked wherever they stand.
pub fn blank_segment(bytes: &mut [u8]) {
    blank_secrets(bytes);
    let mut at = 0;
    while let Some(equals) = memchr::memchr(b'=', bytes.get(at..).unwrap_or_default()) {
        let before = bytes.get(..at + equals).unwrap_or_default().trim_ascii_end();
        at += equals + 1;
        let name = before.iter().rev().take_while(|byte| is_name(**byte)).count();
        let name = &before[before.len() - name..];
        if !SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret)) {
            continue;
        }
        at += bytes.get(at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let (start, end, next) = extent(bytes, at, true);
        // A quoted string that does not end here ends in the next segment.
        let end = bytes.get(start..end).and_then(|value| memchr::memchr2(b'\r', b'\n', value)).map_or(end, |line| start + line);
        blank(bytes.get_mut(start..end).unwrap_or_default());
        at = next.min(end + 1);
    }
}

/// Bytes of the header that comes first, with all lines that it is folded over.
fn header_length(bytes: &[u8]) -> usize {
    let mut length = 0;
    loop {
        let rest = bytes.get(length..).unwrap_or_default();
        // Some end lines with CR alone.
        length += memchr::memchr2(b'\r', b'\n', rest).map_or(rest.len(), |end| end + 1 + usize::from(rest[end..].starts_with(b"\r\n")));
        if !matches!(bytes.get(length), Some(b' ' | b'\t')) {
            return length;
        }
    }
}

/// Whether a header of that name carries secrets.
fn is_secret(name: &[u8]) -> bool {
    let end = name.len().checked_sub(AUTHORIZATION.len()).and_then(|before| name.get(before..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(AUTHORIZATION)) || INFO.iter().any(|info| name.eq_ignore_ascii_case(info))
}

/// Whether the value begins with parameters or names the scheme of digests.
fn is_digest(value: &[u8]) -> bool {
    let value = value.trim_ascii_start();
    let word = value.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-').count();
    let (word, rest) = value.split_at_checked(word).unwrap_or((value, &[]));
    value.is_empty() || word.eq_ignore_ascii_case(b"digest") || rest.trim_ascii_start().first() == Some(&b'=')
}

/// Blanks what follows the scheme, such as the password of Basic.
fn blank_words(value: &mut [u8]) {
    let scheme = value.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let scheme = scheme + value.iter().skip(scheme).take_while(|byte| !byte.is_ascii_whitespace()).count();
    blank(value.get_mut(scheme..).unwrap_or_default());
}

/// Leaves white space alone, so that lines end where they did.
fn blank(secret: &mut [u8]) {
    secret.iter_mut().filter(|byte| !byte.is_ascii_whitespace()).for_each(|byte| *byte = BLANK);
}

fn blank_parameters(value: &mut [u8]) {
    let mut at = 0;
    while at < value.len() {
        let rest = value.get(at..).unwrap_or_default();
        let skipped = rest.iter().take_while(|byte| !is_name(**byte) && **byte != b'"').count();
        let name = rest.iter().skip(skipped).take_while(|byte| is_name(**byte)).count();
        let word = rest.get(skipped..skipped + name).unwrap_or_default();
        let is_secret = SECRET.iter().any(|secret| word.eq_ignore_ascii_case(secret));
        at += skipped + name;
        let rest = value.get(at..).unwrap_or_default();
        let space = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let equals = usize::from(rest.get(space) == Some(&b'='));
        let after = if equals == 1 { rest.iter().skip(space + 1).take_while(|byte| byte.is_ascii_whitespace()).count() } else { 0 };
        // A quoted string that belongs to no name is passed over whole, too.
        at += if equals == 1 { space + 1 + after } else { 0 };
        let (start, end, next) = extent(value, at, equals == 1);
        if is_secret && equals == 1 {
            blank(value.get_mut(start..end).unwrap_or_default());
        }
        at = next.max(at + usize::from(skipped + name + equals == 0 && next == at));
    }
}

/// Where a value begins and ends without its quotes, and where the next parameter may begin.
fn extent(bytes: &[u8], at: usize, has_value: bool) -> (usize, usize, usize) {
    let rest = bytes.get(at..).unwrap_or_default();
    if rest.first() == Some(&b'"') {
        let mut escaped = false;
        let inner = rest.iter().skip(1).take_while(|byte| {
            let ends = **byte == b'"' && !escaped;
            escaped = **byte == b'\\' && !escaped;
            !ends
        });
        let end = at + 1 + inner.count();
        return (at + 1, end, (end + 1).min(bytes.len()));
    }
    let length = if has_value { rest.iter().take_while(|byte| !matches!(byte, b',' | b'\r' | b'\n' | b' ' | b'\t')).count() } else { 0 };
    (at, at + length, at + length)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blanked(text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        blank_secrets(&mut bytes);
        assert_eq!(bytes.len(), text.len(), "nothing may move");
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn the_secret_parts_of_a_digest_are_blanked_and_its_evidence_stays() {
        let message = "REGISTER sip:pbx SIP/2.0\r\nAuthorization: Digest username=\"1001\", realm=\"pbx\", nonce=\"abcd\", \
                       uri=\"sip:pbx\", response=\"6629fae49393a05397450978507c4ef1\", cnonce=\"0a4f113b\", nc=00000001, qop=auth\r\n\r\n";
        let expected = message.replace("6629fae49393a05397450978507c4ef1", &"0".repeat(32)).replace("0a4f113b", "00000000");
        assert_eq!(blanked(message), expected);
    }

    #[test]
    fn however_it_is_written() {
        for (written, expected) in [
            ("authorization:Digest RESPONSE=6629fae4,nonce=ab\r\n", "authorization:Digest RESPONSE=00000000,nonce=ab\r\n"),
            (
                "Proxy-Authorization : Digest\r\n  cnonce = \"a\\\"b\" , x=1\r\n",
                "Proxy-Authorization : Digest\r\n  cnonce = \"0000\" , x=1\r\n",
            ),
            (
                "Authentication-Info: qop=auth, rspauth=\"ff\", cnonce=\"a\"\n",
                "Authentication-Info: qop=auth, rspauth=\"00\", cnonce=\"0\"\n",
            ),
            ("Authorization: Basic QWxhZGRpbg==\r\n", "Authorization: Basic 000000000000\r\n"),
            ("Authorization: Basic\r\n QWxhZGRpbg==\r\n", "Authorization: Basic\r\n 000000000000\r\n"),
            ("Authorization: Digest response=\r\n\t\"ab\", nc=1\r\n", "Authorization: Digest response=\r\n\t\"00\", nc=1\r\n"),
            ("Authorization: Digest cnonce\n = \"a\n b\",\n nc=1\n", "Authorization: Digest cnonce\n = \"0\n 0\",\n nc=1\n"),
            ("Authorization: Digest response=\"ab", "Authorization: Digest 000000000000"),
            ("Authorization: Digest username=\"1001,response=\"ab\"\r\n", "Authorization: Digest 0000000000000000000000000000\r\n"),
            ("Authorization: Digest cnonce=a\"b,c\"\r\n", "Authorization: Digest 0000000000000\r\n"),
            ("X: y\rAuthorization: Digest response=\"ab\"\r\n", "X: y\rAuthorization: Digest response=\"00\"\r\n"),
            ("X-Authorization: Digest response=\"ab\"\r\n", "X-Authorization: Digest response=\"00\"\r\n"),
            ("Contact: <sip:1001:geheim@h:5060>\r\n", "Contact: <sip:1001:000000@h:5060>\r\n"),
            ("m: sip:h:5060,SIPS:1001:geheim@h\r\n", "m: sip:h:5060,SIPS:1001:000000@h\r\n"),
            ("REGISTER sip:1001:a&b@h SIP/2.0\r\n", "REGISTER sip:1001:000@h SIP/2.0\r\n"),
            (
                "\r\nACK sip:a@b SIP/2.0\r\n Authorization: Digest response=\"ab\"\r\n",
                "\r\nACK sip:a@b SIP/2.0\r\n Authorization: Digest response=\"00\"\r\n",
            ),
            (
                "Authorization: Digest username=\"response=ab\", response=\"ab\"\r\n",
                "Authorization: Digest username=\"response=ab\", response=\"00\"\r\n",
            ),
        ] {
            assert_eq!(blanked(written), expected);
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"cnonce\", opaque=\"response\"\r\n",
            "Subject: response=1, cnonce=2\r\n",
            "Contact: \"sip:a:b\" <sip:1001@h:5060;x=y>, <sip:[::1]:5060>\r\n",
            "Via: SIP/2.0/UDP h:5060;branch=z9hG4bK@\r\n",
            "Call-ID: 1sip:sip:2001@h\r\ni :x sip:1001:1234@h\r\n",
            "\r\n\r\nresponse=\"12\"",
        ] {
            assert_eq!(blanked(text), text);
        }
    }

    #[test]
    fn segments_are_blanked_without_the_name_of_their_header() {
        for (segment, expected) in [
            ("nonce=\"ab\", response=\"cd\", cnonce = ef\r\nX: 1\r\n", "nonce=\"ab\", response=\"00\", cnonce = 00\r\nX: 1\r\n"),
            ("x, response=\"cd", "x, response=\"00"),
            ("a=b; response=\"cd\r\nVia: \"e\"", "a=b; response=\"00\r\nVia: \"e\""),
            ("the response = none of ours", "the response = 0000 of ours"),
            ("responses=1&x=response", "responses=1&x=response"),
        ] {
            let mut bytes = segment.as_bytes().to_vec();
            blank_segment(&mut bytes);
            assert_eq!(String::from_utf8_lossy(&bytes), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_keep_their_length(mut bytes: Vec<u8>, tail: Vec<u8>) {
            let length = bytes.len();
            blank_secrets(&mut bytes);
            proptest::prop_assert_eq!(bytes.len(), length);
            blank_segment(&mut bytes);
            proptest::prop_assert_eq!(bytes.len(), length);
            let mut line = [b"Authorization: Digest ".as_slice(), &tail].concat();
            let length = line.len();
            blank_secrets(&mut line);
            proptest::prop_assert_eq!(line.len(), length);
        }
    }
}
