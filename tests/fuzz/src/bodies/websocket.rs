//! SIP over WebSocket: a conversation in frames, masked, fragmented, with pings between, and frames that make no sense.

use siphound::decode::flow::Transport;
use siphound::decode::ports::PortFilter;

use super::conversation::messages;
use super::feed::{self, START};
use super::script::Script;
use super::segments::{Side, address};

const REQUEST: &[u8] = b"GET /ws HTTP/1.1\r\nHost: pbx.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n";
const RESPONSE: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: sip\r\n\r\n";

pub(crate) fn body(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    if script.below(2) == 0 { whole(&mut script) } else { any(script) }
}

fn sides() -> [Side; 2] {
    let (phone, pbx) = (address("198.51.100.7:40001"), address("203.0.113.10:5060"));
    [Side { from: phone, to: pbx, syn: 1 }, Side { from: pbx, to: phone, syn: u32::MAX - 500 }]
}

/// Appends a frame (RFC 6455 §5.2).
fn push(stream: &mut Vec<u8>, first: u8, mask: Option<[u8; 4]>, payload: &[u8]) {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    stream.push(first);
    match payload.len() {
        short @ 0..=125 => stream.push(masked | short as u8),
        length => {
            stream.push(masked | 126);
            stream.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    stream.extend(mask.unwrap_or_default().iter().take(if mask.is_some() { 4 } else { 0 }));
    stream.extend(payload.iter().zip(mask.unwrap_or_default().iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// Each message comes out, whatever the frames and segments are that it comes in.
fn whole(script: &mut Script<'_>) {
    let mut streams = [REQUEST.to_vec(), RESPONSE.to_vec()];
    let expected = messages(script);
    for (index, message) in expected.iter().enumerate() {
        let is_masked = index % 2 == 0;
        let stream = &mut streams[index % 2];
        let mut rest = &message[..];
        let mut opcode = 1 + (script.next::<u8>() & 1);
        while script.below(3) > 0 && !rest.is_empty() {
            let (part, behind) = rest.split_at(usize::from(script.next::<u16>()) % rest.len());
            push(stream, opcode, is_masked.then(|| script.next::<u32>().to_le_bytes()), part);
            if script.below(4) == 3 {
                push(stream, 0x89, is_masked.then_some([1, 2, 3, 4]), b"ping");
            }
            (rest, opcode) = (behind, 0);
        }
        push(stream, 0x80 | opcode, is_masked.then(|| script.next::<u32>().to_le_bytes()), rest);
    }
    let (mut nanos, mut frames) = (START, Vec::new());
    for (side, stream) in sides().iter().zip(&streams) {
        side.deliver(stream, script, &mut nanos, &mut frames);
    }
    let seen = feed::decode(&frames, &PortFilter::Any);
    let mut found: Vec<&[u8]> = seen.messages.iter().map(|heard| &heard.bytes[..]).collect();
    let mut expected: Vec<&[u8]> = expected.iter().map(|message| &message[..]).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert!(found == expected, "{} messages sent, {} read", expected.len(), found.len());
    assert!(seen.messages.iter().all(|heard| heard.flow.transport == Transport::Ws));
}

/// Any bytes behind the handshake.
fn any(mut script: Script<'_>) {
    let (mut nanos, mut frames) = (START, Vec::new());
    let [phone, pbx] = sides();
    let answer = script.block().to_vec();
    let steps = script.block().to_vec();
    let steps = &mut Script::new(&steps);
    phone.deliver(&[REQUEST, script.rest()].concat(), steps, &mut nanos, &mut frames);
    pbx.deliver(&[RESPONSE, &answer].concat(), steps, &mut nanos, &mut frames);
    feed::decode(&frames, &PortFilter::Any);
}

/// An input in which the phone sends these bytes.
pub(crate) fn seed(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1, 0, 0, 0, 0];
    push(&mut bytes, 0x82, Some([7, 8, 9, 10]), message);
    bytes
}
