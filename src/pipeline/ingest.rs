//! The first stage: frames in, SIP messages and signals out. Pure; it reads no clock and starts no thread.

use crate::config::{Thresholds, Tunnels};
use crate::decode::decoder::{DecodeCounts, Decoder};
use crate::decode::flow::{Flow, Transport};
use crate::decode::frame::FrameBatch;
use crate::decode::framer::{Framer, Framing, Headers, Opening, Progress};
use crate::decode::line::{Item, Origin};
use crate::decode::ports::PortFilter;
use crate::decode::signal::Signal;
use crate::sip::anomaly::Anomaly;
use crate::sip::delivery::{Arrival, Batch};
use crate::sip::framing::{self, Framed, MAX_MESSAGE};
use crate::sip::message::Message;
use crate::sip::scan::{self, Context};
use crate::table::Digester;
use crate::time::PacketTime;

/// What ingest must be told.
#[derive(Clone, Debug)]
pub struct IngestConfig {
    /// The ports on which SIP is looked for.
    pub ports: PortFilter,
    /// The tunnels that are read. Live, whoever can reach the host may write any address into one; a file comes from whoever made it.
    pub tunnels: Tunnels,
    /// Makes the keys of all tables. A live daemon takes a random seed, because senders choose the keys.
    pub digester: Digester,
    /// What counts as a copy, a hole, a step of the clock.
    pub thresholds: Thresholds,
}

/// The first stage.
#[derive(Debug)]
pub struct Ingest {
    decoder: Decoder<Sip>,
    messages: u64,
    anomalies: [u64; ANOMALIES],
    hole: Option<Hole>,
}

/// A time in which nothing could be captured, not yet told.
#[derive(Clone, Copy, Debug)]
struct Hole {
    from: PacketTime,
    to: PacketTime,
}

const ANOMALIES: usize = Anomaly::ALL.len();

/// What the counters of this stage say.
#[derive(Clone, Debug)]
pub struct IngestCounts {
    /// Frames, copies, reassembly, evictions.
    pub decode: DecodeCounts,
    /// Messages after reassembly and removal of copies.
    pub sip_messages: u64,
    /// Messages with each anomaly, in the order of [`Anomaly::ALL`].
    pub anomalies: [u64; ANOMALIES],
}

impl Ingest {
    /// A stage that has seen nothing.
    pub fn new(config: IngestConfig) -> Self {
        let decoder = Decoder::new(Sip, (config.ports, config.tunnels), config.digester, &config.thresholds);
        Self { decoder, messages: 0, anomalies: [0; ANOMALIES], hole: None }
    }

    /// Takes a batch of frames and appends what is known of them, and of those before, to `out`. The newest 70 ms stay back.
    pub fn push(&mut self, batch: FrameBatch, out: &mut Batch) {
        self.decoder.push(batch);
        self.drain(out);
    }

    /// Lets time pass on a silent link, by the clock of the capturing host.
    pub fn tick(&mut self, now: PacketTime, out: &mut Batch) {
        let time = self.decoder.tick(now);
        self.drain(out);
        let at = Arrival { time, frame: 0 };
        tell_hole(&mut self.hole, at, out);
        out.push_tick(at);
    }

    /// Notes that the capture lost packets.
    pub fn dropped(&mut self, packets: u64) {
        self.decoder.dropped(packets);
    }

    /// Notes that nothing could be captured between `from` and `to`. It is told before the first thing seen after it.
    pub fn gap(&mut self, from: PacketTime, to: PacketTime) {
        self.hole = Some(Hole { from, to });
    }

    /// Hands out everything that waits: no further frame will come.
    pub fn finish(&mut self, out: &mut Batch) {
        self.decoder.finish();
        self.drain(out);
    }

    /// An emptied batch to be filled again.
    pub fn recycle(&mut self) -> Option<FrameBatch> {
        self.decoder.recycle()
    }

    /// What the counters say.
    pub fn counts(&self) -> IngestCounts {
        IngestCounts { decode: self.decoder.counts(), sip_messages: self.messages, anomalies: self.anomalies }
    }

    fn drain(&mut self, out: &mut Batch) {
        let Self { decoder, messages, anomalies, hole } = self;
        while let Some(leaving) = decoder.leaving() {
            let at = arrival(leaving.origin);
            tell_hole(hole, at, out);
            match leaving.item {
                Item::Signal(signal) => out.push_signal(at, signal),
                Item::Payload(flow) => *messages += push_messages(leaving.bytes, flow, at, anomalies, out),
            }
        }
    }
}

/// Tells of a hole that ended by `at`, before what comes then: deadlines inside of it prove nothing.
fn tell_hole(hole: &mut Option<Hole>, at: Arrival, out: &mut Batch) {
    if let Some(hole) = hole.take_if(|hole| at.time >= hole.to) {
        out.push_signal(at, Signal::Hole { last: hole.from, from: hole.from });
    }
}

/// Cuts a payload into messages: what follows one and begins with a start line is one of its own (DETECTION §13). Returns how many.
fn push_messages(mut bytes: &[u8], flow: Flow, at: Arrival, anomalies: &mut [u64; ANOMALIES], out: &mut Batch) -> u64 {
    let context = match flow.transport {
        Transport::Tcp => Context::Stream,
        Transport::Udp | Transport::Ws | Transport::Sctp => Context::Datagram,
    };
    let mut messages = 0;
    while let Some(scan) = scan::scan(bytes, context) {
        let (message, rest) = bytes.split_at_checked(scan.consumed()).unwrap_or((bytes, &[]));
        for anomaly in Message::new(message, &scan).anomalies().iter() {
            if let Some(count) = anomalies.get_mut(anomaly as usize) {
                *count += 1;
            }
        }
        out.push_message(at, flow, message, scan);
        messages += 1;
        if rest.is_empty() || rest.len() == bytes.len() {
            break;
        }
        bytes = rest;
    }
    messages
}

fn arrival(origin: Origin) -> Arrival {
    Arrival { time: origin.time, frame: origin.frame }
}

/// What the decoder must know of SIP.
#[derive(Clone, Copy, Debug)]
struct Sip;

impl Framer for Sip {
    fn opening(&self, bytes: &[u8]) -> Opening {
        if framing::looks_like_start_line(bytes) {
            return Opening::Start;
        }
        // A first line that is complete and no start line will not become one.
        if bytes.is_empty() || memchr::memchr(b'\n', bytes).is_some() || framing::frame(bytes, MAX_MESSAGE) != Framed::NeedMore {
            return Opening::Other;
        }
        Opening::Undecided
    }

    fn frame(&self, bytes: &[u8], progress: &mut Progress) -> Framing {
        match framing::frame_on(bytes, MAX_MESSAGE, progress) {
            Framed::NeedMore => Framing::NeedMore,
            Framed::Message { len } => Framing::Message(len),
            Framed::Keepalive { len, kind } => Framing::Keepalive(len, kind),
            Framed::Junk { len } => Framing::Junk(len),
        }
    }

    fn headers(&self, bytes: &[u8]) -> Headers {
        let lines = memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1);
        let whole = bytes.get(..lines).unwrap_or_default();
        let identified = scan::scan(whole, Context::Datagram).is_some_and(|scan| {
            let message = Message::new(whole, &scan);
            !message.call_id().is_empty() && message.cseq().is_some() && message.top_via().is_some()
        });
        if identified { Headers::Sufficient { lines } } else { Headers::Missing }
    }
}

#[cfg(test)]
mod tests;
