//! Reads all there is to read of a SIP message, and checks what was handed out.

use siphound::sip::framing::{Framed, MAX_MESSAGE, frame};
use siphound::sip::message::Message;
use siphound::sip::scan::{Context, scan};
use siphound::sip::text;

/// Reads whatever there is to read; gives all slices that were handed out.
pub(crate) fn read_all<'a>(message: Message<'a>) -> Vec<&'a [u8]> {
    let mut seen = vec![
        message.bytes(),
        message.body(),
        message.call_id(),
        message.method_name(),
        message.reason_phrase(),
        message.user_agent(),
        message.event(),
    ];
    seen.extend(message.request_uri());
    for address in [Some(message.from()), Some(message.to()), message.p_asserted_identity()].into_iter().flatten() {
        seen.extend([address.display, address.uri.raw, address.uri.user, address.uri.userinfo, address.uri.host, address.uri.headers]);
        seen.extend(address.tag);
        seen.extend(address.params().map(|param| param.name));
        seen.extend(address.uri.params().filter_map(|param| param.value));
        let _ = address.uri.host_ip();
    }
    for via in message.vias() {
        seen.extend([via.transport, via.host, via.branch.unwrap_or_default(), via.received.unwrap_or_default()]);
        let _ = (via.host_ip(), via.received_ip());
    }
    for contact in message.contacts() {
        seen.extend([contact.uri.raw, contact.instance.unwrap_or_default(), contact.pub_gruu.unwrap_or_default()]);
    }
    for reason in message.reasons() {
        seen.extend([reason.protocol, reason.text]);
    }
    if let Some(sdp) = message.sdp() {
        seen.extend([sdp.origin_user, sdp.session_id, sdp.origin_address, sdp.connection_address]);
        seen.extend(sdp.media().flat_map(|media| [media.kind, media.connection]));
    }
    seen.extend(message.credentials().map(|credentials| credentials.nonce));
    seen.extend(message.challenges().map(|challenge| challenge.nonce));
    seen.extend(message.warning().map(|warning| warning.text));
    seen.extend(message.path().map(|uri| uri.raw));
    seen.extend(message.headers("x-anything").chain(message.headers("Route")));
    let _ = (message.expires(), message.min_expires(), message.retry_after(), message.session_expires(), message.hangup_cause());
    let _ = (message.kind(), message.method(), message.cseq(), message.via_count(), message.content_length(), message.anomalies());
    let _ = (message.has_option_tag("supported", b"path"), text::unfold(message.bytes()));
    seen
}

/// Scans and reads; each slice must lie within the bytes, and each message must take at least its start line.
pub(crate) fn read_datagram(bytes: &[u8]) {
    let mut rest = bytes;
    for context in [Context::Datagram, Context::Stream] {
        if let Some(scan) = scan(bytes, context) {
            let range = bytes.as_ptr_range();
            for slice in read_all(Message::new(bytes, &scan)).into_iter().filter(|slice| !slice.is_empty()) {
                assert!(range.start <= slice.as_ptr() && slice.as_ptr_range().end <= range.end);
            }
        }
    }
    while let Some(scan) = scan(rest, Context::Datagram) {
        assert!((1..=rest.len()).contains(&scan.consumed()));
        rest = &rest[scan.consumed()..];
    }
}

/// Frames a stream that arrives in pieces; gives the messages. Every byte must be accounted for.
pub(crate) fn frame_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let (mut buffer, mut messages) = (Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let len = match frame(&buffer, MAX_MESSAGE) {
                Framed::NeedMore => break,
                Framed::Message { len } => {
                    messages.push(buffer.get(..len).expect("is in the buffer").to_vec());
                    len
                }
                Framed::Keepalive { len, .. } | Framed::Junk { len } => len,
            };
            assert!((1..=buffer.len()).contains(&len));
            buffer.drain(..len);
        }
    }
    messages
}
