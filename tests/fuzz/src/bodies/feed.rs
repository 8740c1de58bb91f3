//! Frames through the first stage, in ways that must not show: one at a time, all at once, under another seed.

use siphound::config::{Thresholds, Tunnels};
use siphound::decode::decoder::DecodeCounts;
use siphound::decode::flow::Flow;
use siphound::decode::frame::{FrameBatch, FrameHeader, LinkType};
use siphound::decode::ports::PortFilter;
use siphound::decode::signal::Signal;
use siphound::pipeline::ingest::{Ingest, IngestConfig, IngestCounts};
use siphound::sip::delivery::{Batch, Event};
use siphound::table::Digester;
use siphound::time::PacketTime;

/// A moment long after 1970 and long before the end of time.
pub(crate) const START: i64 = 1_769_850_000 * 1_000_000_000;

/// A frame as it was captured.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Nanoseconds since 1970.
    pub(crate) nanos: i64,
    pub(crate) link: u16,
    pub(crate) original_len: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Frame {
    /// An IP packet that was captured whole.
    pub(crate) fn raw(nanos: i64, packet: Vec<u8>) -> Self {
        Self { nanos, link: LinkType::RAW.0, original_len: packet.len() as u32, bytes: packet }
    }

    /// Its header as the frame of that number.
    pub(crate) fn header(&self, number: u64) -> FrameHeader {
        FrameHeader {
            number,
            time: PacketTime::from_nanos(self.nanos),
            link: LinkType(self.link),
            interface: 0,
            original_len: self.original_len,
            offset: 0,
            len: 0,
        }
    }
}

/// A message that came out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Heard {
    pub(crate) nanos: i64,
    pub(crate) frame: u64,
    pub(crate) flow: Flow,
    pub(crate) bytes: Vec<u8>,
}

/// All that came out.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) messages: Vec<Heard>,
    pub(crate) signals: Vec<(i64, u64, Signal)>,
    pub(crate) counts: DecodeCounts,
}

/// A first stage.
pub(crate) fn ingest(seed: u64, ports: &PortFilter) -> Ingest {
    Ingest::new(IngestConfig {
        ports: ports.clone(),
        tunnels: Tunnels::ALL,
        digester: Digester::new(seed),
        thresholds: Thresholds::default(),
    })
}

/// Has the frames decoded in two ways, which must come to the same, and checks what must always hold.
pub(crate) fn decode(frames: &[Frame], ports: &PortFilter) -> Seen {
    let singly = decode_in(frames, 1, 1, ports);
    let together = decode_in(frames, 50, 2, ports);
    assert_eq!(singly, together, "neither the batches nor the seed may show");
    singly
}

fn decode_in(frames: &[Frame], batch_size: usize, seed: u64, ports: &PortFilter) -> Seen {
    let mut ingest = ingest(seed, ports);
    let mut out = Batch::default();
    for (index, part) in frames.chunks(batch_size).enumerate() {
        let mut batch = FrameBatch::default();
        for (place, frame) in part.iter().enumerate() {
            batch.push(frame.header((index * batch_size + place) as u64 + 1), &frame.bytes);
        }
        ingest.push(batch, &mut out);
        let counts = ingest.counts().decode.frames;
        assert!(counts.settled() <= counts.frames, "{counts:?}");
    }
    ingest.finish(&mut out);
    seen(&out, &ingest.counts(), frames)
}

fn seen(out: &Batch, counts: &IngestCounts, frames: &[Frame]) -> Seen {
    let settled = &counts.decode.frames;
    assert_eq!(settled.frames, frames.len() as u64);
    assert_eq!(settled.settled(), settled.frames, "each frame has one outcome: {settled:?}");
    let mut seen = Seen { messages: Vec::new(), signals: Vec::new(), counts: counts.decode.clone() };
    let mut last = i64::MIN;
    for (arrival, event) in out.records() {
        let nanos = arrival.time.as_nanos();
        assert!(nanos >= last, "time goes back");
        assert!(arrival.frame <= settled.frames, "frame {}", arrival.frame);
        last = nanos;
        match event {
            Event::Message(delivered) => {
                assert!(arrival.frame > 0 && delivered.len > 0);
                let bytes = out.message(delivered).bytes().to_vec();
                seen.messages.push(Heard { nanos, frame: arrival.frame, flow: delivered.flow, bytes });
            }
            Event::Signal(signal) => seen.signals.push((nanos, arrival.frame, *signal)),
            Event::Tick => {}
        }
    }
    assert_eq!(seen.messages.len() as u64, counts.sip_messages);
    let (captured, handed_on) = (total(frames, |frame| frame.bytes.len()), total(&seen.messages, |heard| heard.bytes.len()));
    assert!(handed_on <= captured, "{captured} bytes became {handed_on}");
    assert!(seen.signals.len() <= 4 * frames.len() + 8, "{} signals of {} frames", seen.signals.len(), frames.len());
    seen
}

fn total<T>(items: &[T], size: impl Fn(&T) -> usize) -> usize {
    items.iter().map(size).sum()
}
