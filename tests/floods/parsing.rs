//! Messages that are hard to read: large in one way each.

use crate::attack::request;

/// A message with one header of that many bytes.
pub(crate) fn long_header(n: usize, bytes: usize) -> Vec<u8> {
    let id = n.to_string();
    let extra = format!("Subject: {}\r\n", "s".repeat(bytes));
    request("INVITE", &"u".repeat(500), &id, &id, "t", &extra)
}

/// A message with so many short headers, half of them Contacts and Routes.
pub(crate) fn many_headers(n: usize, count: usize) -> Vec<u8> {
    let id = n.to_string();
    let extra: String = (0..count).map(|header| ["m:*\r\n", "R:1\r\n", "X:\r\n", "v:x\r\n"][header % 4]).collect();
    request("REGISTER", "100", &id, &id, "t", &extra)
}

/// A message that came through so many proxies.
pub(crate) fn deep_via(n: usize, depth: usize) -> Vec<u8> {
    let id = n.to_string();
    let one = (0..depth).map(|hop| format!("SIP/2.0/UDP h{hop};branch=z9hG4bK{hop}")).collect::<Vec<_>>().join(",");
    request("INVITE", "100", &id, &id, "t", &format!("Via: {one}\r\n"))
}

/// An INVITE with a session description of so many lines.
pub(crate) fn long_sdp(n: usize, lines: usize) -> Vec<u8> {
    let id = n.to_string();
    let body: String = (0..lines).map(|line| ["a=x\r\n", "c=IN IP4 10.0.0.1\r\n", "m=audio 1 RTP/AVP 0\r\n"][line % 3]).collect();
    let head = request("INVITE", "100", &id, &id, "t", "Content-Type: application/sdp\r\n");
    let head = String::from_utf8_lossy(&head).replace("Content-Length: 0", &format!("Content-Length: {}", body.len() + 5));
    [head.as_bytes(), b"v=0\r\n", body.as_bytes()].concat()
}
