//! One header with any value: read alike under its long name, its short name, in other case, folded, and behind other headers.

use siphound::sip::message::Message;
use siphound::sip::scan::{Context, scan};
use siphound::sip::uri::Uri;

use super::script::Script;
use crate::support::reading::{read_all, read_datagram};

/// Long names of the headers that are read, with their short ones.
const NAMES: [(&str, &str); 27] = [
    ("Via", "v"),
    ("From", "f"),
    ("To", "t"),
    ("Call-ID", "i"),
    ("CSeq", "CSeq"),
    ("Contact", "m"),
    ("Expires", "Expires"),
    ("Content-Length", "l"),
    ("Content-Type", "c"),
    ("User-Agent", "User-Agent"),
    ("Authorization", "Authorization"),
    ("Proxy-Authorization", "Proxy-Authorization"),
    ("WWW-Authenticate", "WWW-Authenticate"),
    ("Proxy-Authenticate", "Proxy-Authenticate"),
    ("Session-Expires", "x"),
    ("Reason", "Reason"),
    ("Supported", "k"),
    ("Event", "o"),
    ("P-Asserted-Identity", "P-Asserted-Identity"),
    ("Route", "Route"),
    ("Min-Expires", "Min-Expires"),
    ("Min-SE", "Min-SE"),
    ("Retry-After", "Retry-After"),
    ("Warning", "Warning"),
    ("Path", "Path"),
    ("X-Asterisk-HangupCauseCode", "X-Asterisk-HangupCauseCode"),
    ("X-Anything", "X-Anything"),
];

pub(crate) fn body(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let (long, short) = script.pick(&NAMES);
    let start = script.pick(&["REGISTER sip:a SIP/2.0", "SIP/2.0 200 OK", "INVITE sip:b@a SIP/2.0"]);
    let value = script.rest();
    check_uri(value);
    let plain = message(start, long, b" ", value);
    read_datagram(&plain);
    let expected = read(&plain);
    assert_eq!(read(&message(start, short, b"", value)), expected, "{short} for {long}");
    assert_eq!(read(&message(start, &long.to_uppercase(), b"\t ", value)), expected, "in capitals");
    // A value that begins a line of its own is another thing where it begins with a line end.
    if !matches!(value.first(), Some(b'\r' | b'\n')) {
        assert_eq!(read(&message(start, long, b"\r\n ", value)), expected, "folded");
    }
    assert_eq!(read(&message(&format!("{start}\r\nX-Before: 1"), long, b" ", value)), expected, "behind another");
}

fn message(start: &str, name: &str, gap: &[u8], value: &[u8]) -> Vec<u8> {
    [start.as_bytes(), b"\r\n", name.as_bytes(), b":", gap, value, b"\r\n\r\n"].concat()
}

/// All that is read, but for the bytes of the message itself, and the numbers with it.
fn read(bytes: &[u8]) -> (Vec<Vec<u8>>, String) {
    let scan = scan(bytes, Context::Datagram).expect("has a start line");
    let message = Message::new(bytes, &scan);
    let numbers = (
        (message.expires(), message.min_expires(), message.min_se(), message.retry_after(), message.max_forwards()),
        (message.session_expires(), message.hangup_cause(), message.cseq(), message.via_count(), message.content_length()),
        message.contacts().map(|contact| contact.expires).collect::<Vec<_>>(),
    );
    (read_all(message).into_iter().skip(1).map(<[u8]>::to_vec).collect(), format!("{numbers:?}"))
}

/// The parts of a URI lie in it, and its parameters are found again by name.
fn check_uri(value: &[u8]) {
    let uri = Uri::parse(value);
    let range = value.as_ptr_range();
    for part in [uri.raw, uri.user, uri.userinfo, uri.host, uri.headers] {
        assert!(part.is_empty() || (range.start <= part.as_ptr() && part.as_ptr_range().end <= range.end));
    }
    let _ = uri.host_ip();
    for param in uri.params().take(50) {
        if let Ok(name) = std::str::from_utf8(param.name) {
            assert!(name.is_empty() || uri.params().any(|other| other.is(name)));
        }
    }
}

/// An input that has this header line read, if it is one that is.
pub(crate) fn seed(line: &str) -> Option<Vec<u8>> {
    let (name, value) = line.split_once(':')?;
    let name = name.trim();
    let index = NAMES.iter().position(|(long, short)| long.eq_ignore_ascii_case(name) || short.eq_ignore_ascii_case(name))?;
    Some([&[index as u8, 0], value.trim().as_bytes()].concat())
}
