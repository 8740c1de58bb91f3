//! The packets of one user, taken out of a capture for somebody else to look at: without the secrets of digests.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::capture::{CaptureError, FrameSource, SourceEvent};
use crate::config::Tunnels;
use crate::decode::dissect::{Content, dissect};
use crate::decode::frame::{FrameBatch, FrameHeader, LinkType};
use crate::history::trace::blank_segment;

/// First bytes of a capture file with timestamps in nanoseconds, in the byte order of this host.
const MAGIC: u32 = 0xa1b2_3c4d;
/// Bytes of a frame that a reader must expect.
const SNAPLEN: u32 = 262_144;

/// Which frames are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// These, by their numbers in the capture.
    pub frames: BTreeSet<u64>,
    /// All to or from these, fragments that may be theirs and ICMP about them included.
    pub sockets: BTreeSet<SocketAddr>,
    /// TCP segments between these, in either direction: a message may lie in several.
    pub connections: BTreeSet<(SocketAddr, SocketAddr)>,
    /// Fragments between these, in either direction: which of them belong to a wanted message, their ports would tell and do not.
    pub fragments: BTreeSet<(IpAddr, IpAddr)>,
}

/// What was taken out: a capture file for each data link.
#[derive(Debug, Default)]
pub struct Extract {
    /// The files, each with its data link.
    pub files: Vec<(LinkType, Vec<u8>)>,
    /// Frames in them.
    pub frames: u64,
    /// Frames that were wanted but did not fit any more.
    pub left_out: u64,
}

/// Takes the wanted frames out of `source`, `room` bytes at most.
///
/// # Errors
///
/// When the source cannot be read.
pub fn extract(source: &mut impl FrameSource, wanted: &Wanted, room: usize) -> Result<Extract, CaptureError> {
    let hosts = wanted.sockets.iter().map(SocketAddr::ip).collect();
    let mut extract = Extract::default();
    let mut batch = FrameBatch::default();
    let mut used = 0;
    loop {
        batch.clear();
        if source.fill(&mut batch)? == SourceEvent::End {
            return Ok(extract);
        }
        for header in batch.headers() {
            let bytes = batch.bytes_of(header);
            if !wanted.includes(header, bytes, &hosts) {
                continue;
            }
            used += bytes.len();
            if used > room {
                extract.left_out += 1;
            } else {
                extract.push(header, bytes);
            }
        }
    }
}

impl Wanted {
    fn includes(&self, header: &FrameHeader, bytes: &[u8], hosts: &BTreeSet<IpAddr>) -> bool {
        if self.frames.contains(&header.number) {
            return true;
        }
        let Ok(packet) = dissect(header.link, bytes, Tunnels::ALL) else { return false };
        let hop = packet.hop;
        let is_end = |source_port, destination_port| {
            self.sockets.contains(&SocketAddr::new(hop.source, source_port))
                || self.sockets.contains(&SocketAddr::new(hop.destination, destination_port))
        };
        match packet.content {
            Content::Udp(datagram) => is_end(datagram.source_port, datagram.destination_port),
            Content::Tcp(segment) => {
                let source = SocketAddr::new(hop.source, segment.source_port);
                let destination = SocketAddr::new(hop.destination, segment.destination_port);
                let joined = |one, other| self.connections.contains(&(one, other));
                is_end(segment.source_port, segment.destination_port) || joined(source, destination) || joined(destination, source)
            }
            Content::Icmp(Some(lost)) => self.sockets.contains(&lost.flow.source) || self.sockets.contains(&lost.flow.destination),
            Content::Fragment(_) => {
                let between = |one, other| self.fragments.contains(&(one, other));
                let theirs = hosts.contains(&hop.source) || hosts.contains(&hop.destination);
                theirs || between(hop.source, hop.destination) || between(hop.destination, hop.source)
            }
            Content::Sctp { .. } | Content::Icmp(None) => false,
        }
    }
}

impl Extract {
    fn push(&mut self, header: &FrameHeader, bytes: &[u8]) {
        let at = self.files.iter().position(|(link, _)| *link == header.link).unwrap_or_else(|| {
            self.files.push((header.link, file_header(header.link)));
            self.files.len() - 1
        });
        let nanos = header.time.as_nanos().max(0);
        let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        let file = &mut self.files[at].1;
        for word in [seconds as u32, rest as u32, bytes.len() as u32, header.original_len] {
            file.extend(word.to_ne_bytes());
        }
        let start = file.len();
        file.extend(bytes);
        // Lengths stay, so that the frame is what it was but for its checksums.
        if let Some(frame) = file.get_mut(start..) {
            blank_segment(frame);
        }
        self.frames += 1;
    }
}

fn file_header(link: LinkType) -> Vec<u8> {
    let mut header = MAGIC.to_ne_bytes().to_vec();
    header.extend(2_u16.to_ne_bytes());
    header.extend(4_u16.to_ne_bytes());
    for word in [0, 0, SNAPLEN, u32::from(link.0)] {
        header.extend(word.to_ne_bytes());
    }
    header
}
