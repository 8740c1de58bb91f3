//! A tiny writer of capture files, and what tests do with a source.

use std::io::Write;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::capture::file::CaptureFiles;
use crate::capture::{FrameSource, SourceEvent};
use crate::decode::frame::{FrameBatch, FrameHeader};

/// Numbers of a file in either byte order.
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    big: bool,
}

impl Writer {
    pub(super) fn little() -> Self {
        Self { bytes: Vec::new(), big: false }
    }

    pub(super) fn big() -> Self {
        Self { bytes: Vec::new(), big: true }
    }

    pub(super) fn u16(mut self, number: u16) -> Self {
        self.bytes.extend(if self.big { number.to_be_bytes() } else { number.to_le_bytes() });
        self
    }

    pub(super) fn u32(mut self, number: u32) -> Self {
        self.bytes.extend(if self.big { number.to_be_bytes() } else { number.to_le_bytes() });
        self
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    /// The header of a classic file.
    pub(super) fn pcap(self, magic: u32, link: u32) -> Self {
        self.u32(magic).u16(2).u16(4).u32(0).u32(0).u32(262_144).u32(link)
    }

    /// A record of a classic file.
    pub(super) fn record(self, seconds: u32, fraction: u32, frame: &[u8]) -> Self {
        let len = frame.len() as u32;
        self.u32(seconds).u32(fraction).u32(len).u32(len + 4).raw(frame)
    }

    /// A block of the other format around `body`, which is padded.
    pub(super) fn block(self, kind: u32, body: Self) -> Self {
        let padding = body.bytes.len().next_multiple_of(4) - body.bytes.len();
        let length = (12 + body.bytes.len() + padding) as u32;
        self.u32(kind).u32(length).raw(&body.bytes).raw(&[0; 4][..padding]).u32(length)
    }

    /// A body for [`Self::block`] in the same byte order.
    pub(super) fn body(&self) -> Self {
        Self { bytes: Vec::new(), big: self.big }
    }

    pub(super) fn section(self) -> Self {
        let body = self.body().u32(0x1a2b_3c4d).u16(1).u16(0).raw(&[0xff; 8]);
        self.block(0x0a0d_0d0a, body)
    }

    /// An interface with options, each a code and a value.
    pub(super) fn interface(self, link: u16, snaplen: u32, options: &[(u16, &[u8])]) -> Self {
        let mut body = self.body().u16(link).u16(0).u32(snaplen);
        for (code, value) in options {
            let padding = value.len().next_multiple_of(4) - value.len();
            body = body.u16(*code).u16(value.len() as u16).raw(value).raw(&[0; 4][..padding]);
        }
        self.block(1, body)
    }

    /// An enhanced packet.
    pub(super) fn packet(self, interface: u32, ticks: u64, frame: &[u8]) -> Self {
        let len = frame.len() as u32;
        let body = self.body().u32(interface).u32((ticks >> 32) as u32).u32(ticks as u32).u32(len).u32(len).raw(frame);
        self.block(6, body)
    }
}

/// Everything a source gives: frames with their bytes, and the other events, each with the number of frames before it.
#[derive(Debug, Default)]
pub(super) struct All {
    pub(super) frames: Vec<(FrameHeader, Vec<u8>)>,
    pub(super) events: Vec<(usize, SourceEvent)>,
}

impl All {
    pub(super) fn of(source: &mut dyn FrameSource) -> Self {
        let (mut all, mut batch) = (Self::default(), FrameBatch::default());
        loop {
            batch.clear();
            match source.fill(&mut batch).expect("no failure") {
                SourceEvent::End => return all,
                SourceEvent::Frames => {
                    assert!(!batch.is_empty());
                    all.frames.extend(batch.headers().iter().map(|header| (*header, batch.bytes_of(header).to_vec())));
                }
                event => {
                    assert!(batch.is_empty());
                    all.events.push((all.frames.len(), event));
                }
            }
        }
    }

    /// The frames without what tells one file from another.
    pub(super) fn plain(&self) -> Vec<(u64, i64, u16, Vec<u8>)> {
        let plain = |(header, bytes): &(FrameHeader, Vec<u8>)| (header.number, header.time.as_nanos(), header.interface, bytes.clone());
        self.frames.iter().map(plain).collect()
    }
}

/// A directory of files for one test.
pub(super) struct Files {
    pub(super) directory: TempDir,
}

impl Files {
    pub(super) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::File::create(&path).and_then(|mut file| file.write_all(bytes)).expect("a file");
        path
    }

    /// Writes one file and reads it.
    pub(super) fn read(&self, bytes: &[u8]) -> All {
        let path = self.write("input", bytes);
        All::of(&mut CaptureFiles::open(&[path]).expect("a capture"))
    }
}

/// The magic number of classic files with microseconds.
pub(super) const MICROS: u32 = 0xa1b2_c3d4;
