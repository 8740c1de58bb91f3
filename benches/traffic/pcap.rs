//! Capture files: classic pcap, microseconds, Ethernet.

use std::io::{self, BufWriter, Write};

use super::Frame;

/// Writes a capture file.
pub(crate) fn write(frames: impl IntoIterator<Item = Frame>, out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, out);
    for word in [0xa1b2_c3d4_u32, 2 | 4 << 16, 0, 0, 262_144, 1] {
        out.write_all(&word.to_le_bytes())?;
    }
    for Frame { micros, bytes } in frames {
        let len = bytes.len() as u32;
        for word in [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32, len, len] {
            out.write_all(&word.to_le_bytes())?;
        }
        out.write_all(&bytes)?;
    }
    out.flush()
}
