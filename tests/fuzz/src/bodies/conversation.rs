//! Messages for streams and datagrams: each another one, of any length.

use super::script::Script;

/// A message with `filler` bytes in a header and `body` bytes of body.
pub(crate) fn message(number: usize, filler: usize, body: usize) -> Vec<u8> {
    let start = if number.is_multiple_of(2) { "INVITE sip:2002@pbx.example.com SIP/2.0" } else { "SIP/2.0 200 OK" };
    let headers = format!(
        "{start}\r\nVia: SIP/2.0/TCP 198.51.100.7:40001;branch=z9hG4bK{number}\r\nFrom: <sip:1001@pbx.example.com>;tag={number}\r\n\
         To: <sip:2002@pbx.example.com>\r\nCall-ID: {number}@198.51.100.7\r\nCSeq: 1 INVITE\r\nX: {}\r\nContent-Length: {body}\r\n\r\n",
        "x".repeat(filler)
    );
    // A body that looks like a message, or like the keep-alives between two.
    let text = b"\r\n\r\nBYE sip:2002@pbx.example.com SIP/2.0\r\nCall-ID: inner\r\n\r\n";
    headers.into_bytes().into_iter().chain(text.iter().copied().cycle().take(body)).collect()
}

/// Several messages as a script says.
pub(crate) fn messages(script: &mut Script<'_>) -> Vec<Vec<u8>> {
    let count = 1 + script.below(6);
    (0..count).map(|number| message(number, usize::from(script.next::<u8>()) * 4, usize::from(script.next::<u8>()) * 16)).collect()
}
