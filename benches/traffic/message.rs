//! The text of messages.

use std::net::SocketAddr;

use super::Carrier;

/// What the PBX calls itself.
pub(super) const SERVER: &str = "Asterisk PBX 20.5.0";
const ALLOW: &str = "INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, UPDATE, PRACK, MESSAGE";

/// A request and all that its responses repeat of it.
#[derive(Clone, Copy)]
pub(super) struct Exchange<'a> {
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) carrier: Carrier,
    /// What the sender writes into its Via.
    pub(super) sent_by: SocketAddr,
    /// Where the request is seen to come from.
    pub(super) seen: SocketAddr,
    pub(super) branch: u64,
    pub(super) call_id: &'a str,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) cseq: u32,
}

impl Exchange<'_> {
    /// The request; `extra` is whole header lines.
    pub(super) fn request(&self, agent: &str, contact: &str, extra: &str, body: &str) -> Vec<u8> {
        let Self { method, uri, sent_by, branch, call_id, from, to, cseq, .. } = self;
        let transport = self.carrier.name();
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} {sent_by};branch=z9hG4bK{branch:016x};rport\r\nMax-Forwards: 70\r\n\
             From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: {contact}\r\n{extra}\
             User-Agent: {agent}\r\nAllow: {ALLOW}\r\nSupported: replaces, timer, path, outbound\r\n{}",
            with_length(body)
        )
        .into_bytes()
    }

    /// A response to it; `extra` is whole header lines.
    pub(super) fn response(&self, status: &str, to: &str, extra: &str, body: &str) -> Vec<u8> {
        let Self { method, sent_by, seen, branch, call_id, from, cseq, .. } = self;
        let transport = self.carrier.name();
        format!(
            "SIP/2.0 {status}\r\nVia: SIP/2.0/{transport} {sent_by};branch=z9hG4bK{branch:016x};received={};rport={}\r\n\
             From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nServer: {SERVER}\r\nAllow: {ALLOW}\r\n{extra}{}",
            seen.ip(),
            seen.port(),
            with_length(body)
        )
        .into_bytes()
    }
}

fn with_length(body: &str) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!("{kind}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// The challenge of a 401 or 407, in the header of that name.
pub(super) fn challenge(header: &str, nonce: u64) -> String {
    format!("{header}: Digest algorithm=MD5, realm=\"pbx.example.com\", nonce=\"{nonce:032x}\", qop=\"auth\"\r\n")
}

/// An offer or answer with `candidates` ICE candidates of about 80 bytes each.
pub(super) fn sdp(host: SocketAddr, session: u64, candidates: usize) -> String {
    let (ip, port) = (host.ip(), 10_000 + session % 10_000 * 2);
    let mut text = format!(
        "v=0\r\no=- {} {} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 9 8 0 101\r\na=rtpmap:9 G722/8000\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\n\
         a=sendrecv\r\n",
        session >> 33,
        session >> 34
    );
    for index in 0..candidates {
        text.push_str(&format!(
            "a=candidate:{} 1 udp {} {ip} {} typ host generation 0 network-id {index}\r\n",
            index + 1,
            2_113_937_151 - index,
            port
        ));
    }
    text
}
