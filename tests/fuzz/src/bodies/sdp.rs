//! Session descriptions, alone and in the body of a message.

use siphound::sip::message::Message;
use siphound::sip::scan::{Context, scan};
use siphound::sip::sdp::Sdp;

pub(crate) fn body(bytes: &[u8]) {
    let sdp = Sdp::parse(bytes);
    let range = bytes.as_ptr_range();
    let sections: Vec<_> = sdp.media().collect();
    let session = [sdp.origin_user, sdp.session_id, sdp.origin_address, sdp.connection_address];
    for part in session.into_iter().chain(sections.iter().flat_map(|media| [media.kind, media.connection])) {
        assert!(part.is_empty() || (range.start <= part.as_ptr() && part.as_ptr_range().end <= range.end));
    }
    assert!(sections.len() <= bytes.iter().filter(|byte| **byte == b'm').count());
    let _ = (sdp.origin_ip(), sdp.connection_ip(), sections.iter().filter_map(|media| media.connection_ip()).count());

    let alone = message("application/sdp", &[bytes]);
    read(&alone, |body| assert_eq!(told(body), told(Some(sdp)), "as a body"));
    if !bytes.windows(4).any(|window| window == b"--b7") && !bytes.is_empty() {
        let part = b"--b7\r\nContent-Type: application/sdp\r\n\r\n";
        let among =
            message("multipart/mixed;boundary=b7", &[b"--b7\r\nContent-Type: text/plain\r\n\r\nv=1\r\n", part, bytes, b"\r\n--b7--\r\n"]);
        read(&among, |body| assert_eq!(told(body), told(Some(sdp)), "among others"));
    }
}

fn message(kind: &str, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let head = format!("INVITE sip:a SIP/2.0\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), &body].concat()
}

fn read(bytes: &[u8], look: impl FnOnce(Option<Sdp<'_>>)) {
    let scan = scan(bytes, Context::Datagram).expect("has a start line");
    look(Message::new(bytes, &scan).sdp());
}

/// What a description tells; one that says nothing is none.
fn told(sdp: Option<Sdp<'_>>) -> String {
    let told =
        sdp.map(|sdp| (sdp.origin_user, sdp.session_id, sdp.origin_address, sdp.connection_address, sdp.media().collect::<Vec<_>>()));
    format!("{:?}", told.unwrap_or_default())
}
