//! TCP: a conversation in pieces and in disorder, which must come out whole, and segments that make no sense.

use siphound::decode::ports::PortFilter;

use super::conversation::messages;
use super::feed::{self, Frame, START};
use super::script::{Script, pause};
use super::segments::{Side, address};
use crate::support::reading::frame_pieces;
use crate::support::wire::flag;

/// Segments of an input.
const MOST: usize = 300;

pub(crate) fn body(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    match script.below(3) {
        0 => whole(&mut script),
        1 => segments(&mut script),
        _ => pieces(script),
    }
}

fn sides(script: &mut Script<'_>) -> [Side; 2] {
    let (phone, pbx) = (address("198.51.100.7:40001"), address("203.0.113.10:5060"));
    let syn = script.pick(&[0, 1_000, u32::MAX - 300, 0x7fff_ff00]);
    [Side { from: phone, to: pbx, syn }, Side { from: pbx, to: phone, syn: !syn }]
}

/// Messages, and between them keep-alives and lines that are none, all of which arrives in the end.
fn whole(script: &mut Script<'_>) {
    const BETWEEN: [&[u8]; 4] = [b"", b"\r\n\r\n", b"\r\n", b"no start line\r\n"];
    let expected = messages(script);
    let mut stream = Vec::new();
    for message in &expected {
        stream.extend_from_slice(message);
        stream.extend_from_slice(script.pick(&BETWEEN));
    }
    let side = sides(script)[0];
    let (mut nanos, mut frames) = (START, Vec::new());
    side.deliver(&stream, script, &mut nanos, &mut frames);
    let seen = feed::decode(&frames, &PortFilter::Any);
    let found: Vec<&[u8]> = seen.messages.iter().map(|heard| &heard.bytes[..]).collect();
    assert!(found == expected, "{} messages sent, {} read", expected.len(), found.len());
}

/// Any segments of both directions.
fn segments(script: &mut Script<'_>) {
    const FLAGS: [u8; 8] = [flag::ACK, flag::ACK, flag::ACK, flag::PSH, flag::SYN, flag::SYN | flag::ACK, flag::FIN | flag::ACK, flag::RST];
    let sides = sides(script);
    let text = messages(script).concat();
    let mut next = sides.map(|side| (side.syn.wrapping_add(1), 0_usize));
    let (mut frames, mut nanos) = (Vec::new(), START);
    while !script.is_over() && frames.len() < MOST {
        nanos = nanos.saturating_add(pause(script));
        let choice = script.next::<u8>();
        let from = usize::from(choice & 1);
        let (sequence, at) = next[from];
        let bytes = if choice & 2 == 0 {
            let size = usize::from(script.next::<u16>() % 1_460);
            &text[at.min(text.len())..(at + size).min(text.len())]
        } else {
            script.block()
        };
        let shift = if choice & 4 == 0 { 0 } else { script.pick(&[1, 10, 1_000, 100_000, 1 << 25, -1, -10, -1_000, -100_000, i32::MIN]) };
        let flags = FLAGS[usize::from(choice >> 5)];
        frames.push(sides[from].frame(nanos, sequence.wrapping_add_signed(shift), flags, &bytes[..bytes.len().min(1_460)]));
        if shift == 0 {
            next[from] = (sequence.wrapping_add(bytes.len() as u32), at + bytes.len());
        }
        if choice & 8 != 0 {
            // The snap length cut it.
            let last = frames.last_mut().expect("was pushed");
            last.bytes.truncate(40 + usize::from(script.next::<u8>()));
        }
    }
    feed::decode(&frames, &PortFilter::Any);
}

/// Any bytes: the framing gives the same messages whatever the pieces are that they come in.
fn pieces(mut script: Script<'_>) {
    let size = 1 + usize::from(script.next::<u16>() % 700);
    let stream = script.rest();
    assert_eq!(frame_pieces(stream.chunks(size)), frame_pieces([stream]));
}

/// An input that has this stream delivered as any bytes.
pub(crate) fn seed(stream: &[u8]) -> Vec<u8> {
    [&[2, 100, 0], stream].concat()
}

/// An input of segments with these payloads.
pub(crate) fn seed_of_segments(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = vec![1, 0, 0, 0, 0];
    for frame in frames {
        bytes.extend([0, 2]);
        super::script::block(&mut bytes, frame.bytes.get(54..).unwrap_or_default());
    }
    bytes
}
