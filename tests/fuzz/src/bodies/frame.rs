//! Frames of any data link, with any bytes in them.

use siphound::decode::ports::PortFilter;

use super::feed::{self, Frame, START};
use super::script::{Script, block, pause, write_pause};

const LINKS: [u16; 10] = [1, 113, 101, 0, 108, 228, 229, 276, 147, 65_535];
/// Frames of an input that are looked at.
const MOST: usize = 400;

pub(crate) fn body(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let ports = if script.below(2) == 0 { PortFilter::Any } else { PortFilter::Only(vec![5060..=5061]) };
    let mut frames = Vec::new();
    let mut nanos = START;
    while !script.is_over() && frames.len() < MOST {
        nanos = nanos.saturating_add(pause(&mut script));
        let link = script.pick(&LINKS);
        let cut = u32::from(script.next::<u8>());
        let bytes = script.block().to_vec();
        frames.push(Frame { nanos, link, original_len: bytes.len() as u32 + cut, bytes });
    }
    feed::decode(&frames, &ports);
}

/// An input that holds these frames.
pub(crate) fn seed(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = vec![0];
    let mut nanos = START;
    for frame in frames {
        write_pause(&mut bytes, frame.nanos.saturating_sub(nanos));
        nanos = frame.nanos;
        bytes.push(LINKS.iter().position(|link| *link == frame.link).unwrap_or_default() as u8);
        bytes.push(frame.original_len.saturating_sub(frame.bytes.len() as u32).min(255) as u8);
        block(&mut bytes, &frame.bytes);
    }
    bytes
}
