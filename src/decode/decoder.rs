//! The composition of this layer: frames in, payloads and signals of flows out, each frame counted once.

use crate::config::{Thresholds, Tunnels};
use crate::decode::clock::{Clock, Reading};
use crate::decode::copies::CopyRule;
use crate::decode::fragments::FragmentCounts;
use crate::decode::frame::FrameBatch;
use crate::decode::framer::Framer;
use crate::decode::handler::Handler;
use crate::decode::line::{DELAY, Leaving};
use crate::decode::outcome::FrameCounts;
use crate::decode::outlet::Current;
use crate::decode::ports::PortFilter;
use crate::decode::signal::Signal;
use crate::decode::streams::StreamCounts;
use crate::decode::window::Window;
use crate::table::Digester;
use crate::time::{PacketTime, Span};

/// Turns frames into payloads and signals in order of time.
#[derive(Debug)]
pub struct Decoder<F> {
    clock: Clock,
    window: Window,
    handler: Handler<F>,
    /// How long frames wait for those before them.
    reorder: Span,
    /// A time without any frame that counts as a hole in the capture.
    hole: Span,
    /// Everything before was handled.
    handled: PacketTime,
    /// Time of the last frame handled.
    last_frame: Option<PacketTime>,
    silence: Silence,
    /// Packets the capture lost since the last signal that said so.
    dropped: u64,
    span: Option<(PacketTime, PacketTime)>,
}

/// What the counters of this layer say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DecodeCounts {
    /// Frames by outcome.
    pub frames: FrameCounts,
    /// Keep-alives, copies removed.
    pub keepalives: u64,
    /// Copies by the rule that found them, in the order of [`CopyRule::ALL`].
    pub copies: [u64; CopyRule::ALL.len()],
    /// Results of IP reassembly.
    pub fragments: FragmentCounts,
    /// Losses in streams.
    pub streams: StreamCounts,
    /// Entries dropped for lack of room, by table.
    pub evicted: ByTable,
    /// Entries held, by table.
    pub held: ByTable,
    /// Smallest and largest timestamp of the frames, as captured.
    pub span: Option<(PacketTime, PacketTime)>,
}

/// A number for each table of this layer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ByTable {
    /// Payloads remembered for the removal of copies.
    pub copies: u64,
    /// Pairs of addresses known to speak SIP.
    pub speakers: u64,
    /// Datagrams in reassembly.
    pub fragments: u64,
    /// TCP connections.
    pub streams: u64,
    /// SCTP messages in reassembly.
    pub chunks: u64,
}

impl ByTable {
    /// The names of the tables in reports and metrics, each with its count.
    pub fn named(&self) -> [(&'static str, u64); 5] {
        let Self { copies, speakers, fragments, streams, chunks } = *self;
        [("copies", copies), ("speakers", speakers), ("fragments", fragments), ("streams", streams), ("sctp", chunks)]
    }
}

/// Whether the present silence was already told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Silence {
    Untold,
    Told,
}

impl<F: Framer> Decoder<F> {
    /// A decoder that has seen nothing.
    pub fn new(framer: F, (ports, tunnels): (PortFilter, Tunnels), digester: Digester, thresholds: &Thresholds) -> Self {
        Self {
            clock: Clock::new(thresholds.clock_step),
            window: Window::default(),
            handler: Handler::new(framer, (ports, tunnels), digester, thresholds),
            reorder: thresholds.reorder_window,
            hole: thresholds.capture_hole,
            handled: PacketTime::MIN,
            last_frame: None,
            silence: Silence::Untold,
            dropped: 0,
            span: None,
        }
    }

    /// Takes a batch of frames; what comes of them is had by [`Self::leaving`].
    pub fn push(&mut self, batch: FrameBatch) {
        let frames = batch.len();
        let number = self.window.hold(batch);
        for index in 0..frames {
            let Some(stamp) = self.window.header(number, index).map(|header| header.time) else { continue };
            self.note(stamp);
            let time = match self.clock.read(stamp) {
                Reading::Time(time) => time,
                Reading::Step { time, by } => {
                    self.step(time, by);
                    time
                }
            };
            self.window.enter(number, index, time);
            self.handle_until(self.clock.newest().unwrap_or(time) - self.reorder);
        }
    }

    /// Lets time pass while no frame comes, by the clock of the capturing host. Returns the time up to which everything is known.
    pub fn tick(&mut self, now: PacketTime) -> PacketTime {
        // A step of the clock may have settled more than the window would.
        let until = (self.clock.tick(now) - self.reorder).max(self.handled);
        self.handle_until(until);
        self.pass(until);
        if self.silence == Silence::Untold && self.tell_hole(until) {
            self.silence = Silence::Told;
        }
        self.settled()
    }

    /// Notes that the capture lost packets; told with the next frame or tick.
    pub fn dropped(&mut self, packets: u64) {
        self.dropped += packets;
    }

    /// Handles all frames that wait and gives up everything that is incomplete: no further frame will come.
    pub fn finish(&mut self) {
        self.handle_until(PacketTime::MAX);
        let end = self.clock.newest().unwrap_or(PacketTime::MIN);
        self.tell_dropped(end);
        self.handler.finish(end);
        self.handled = PacketTime::MAX;
    }

    /// The next payload or signal in order of time whose better copies can no longer come.
    pub fn leaving(&mut self) -> Option<Leaving<'_>> {
        self.handler.outlet.leaving(self.settled())
    }

    /// An emptied batch.
    pub fn recycle(&mut self) -> Option<FrameBatch> {
        self.window.recycle()
    }

    /// What the counters say.
    pub fn counts(&self) -> DecodeCounts {
        let outlet = &self.handler.outlet;
        let fragments = self.handler.fragments.counts();
        let streams = self.handler.streams.counts();
        DecodeCounts {
            frames: outlet.frames.clone(),
            keepalives: outlet.keepalives,
            copies: outlet.by_rule,
            fragments,
            streams,
            evicted: ByTable {
                copies: outlet.copies.evicted(),
                speakers: outlet.speakers.evicted(),
                fragments: fragments.evicted,
                streams: streams.evicted,
                chunks: self.handler.chunks.evicted(),
            },
            held: ByTable {
                copies: outlet.copies.len() as u64,
                speakers: outlet.speakers.len() as u64,
                fragments: self.handler.fragments.len() as u64,
                streams: self.handler.streams.len() as u64,
                chunks: self.handler.chunks.len() as u64,
            },
            span: self.span,
        }
    }

    fn note(&mut self, stamp: PacketTime) {
        self.handler.outlet.frames.frames += 1;
        self.span = Some(self.span.map_or((stamp, stamp), |(first, last)| (first.min(stamp), last.max(stamp))));
    }

    fn step(&mut self, time: PacketTime, by: Span) {
        self.handle_until(PacketTime::MAX);
        self.pass(time);
        self.handler.outlet.signal(Current { time, frame: 0, frames: 0 }, Signal::ClockStep { by });
    }

    /// Handles the frames that have waited long enough.
    fn handle_until(&mut self, until: PacketTime) {
        while let Some((time, header, bytes)) = self.window.next(until) {
            let current = Current { time, frame: header.number, frames: 1 };
            self.handler.expire(time);
            self.handled = self.handled.max(time);
            if self.dropped > 0 {
                self.handler.outlet.signal(current, Signal::Dropped(std::mem::take(&mut self.dropped)));
            }
            if let Some(last) = self.last_frame.filter(|last| time - *last > self.hole) {
                self.handler.outlet.signal(current, Signal::Hole { last, from: last + self.hole });
            }
            self.last_frame = Some(time);
            self.silence = Silence::Untold;
            self.handler.frame(header.link, bytes, current);
        }
        if until < PacketTime::MAX {
            self.handled = self.handled.max(until);
        }
    }

    /// Lets time pass up to `until`, before which no frame can come any more.
    fn pass(&mut self, until: PacketTime) {
        self.window.close_before(until);
        self.handler.expire(until);
        self.handled = self.handled.max(until);
        self.tell_dropped(until);
    }

    fn tell_dropped(&mut self, time: PacketTime) {
        if self.dropped > 0 {
            let dropped = std::mem::take(&mut self.dropped);
            self.handler.outlet.signal(Current { time, frame: 0, frames: 0 }, Signal::Dropped(dropped));
        }
    }

    /// Signals a hole if no frame was seen for so long before `now`.
    fn tell_hole(&mut self, now: PacketTime) -> bool {
        let Some(last) = self.last_frame.filter(|last| now - *last > self.hole) else { return false };
        self.handler.outlet.signal(Current { time: now, frame: 0, frames: 0 }, Signal::Hole { last, from: last + self.hole });
        true
    }

    /// The time up to which no better copy can come.
    fn settled(&self) -> PacketTime {
        if self.handled == PacketTime::MAX { self.handled } else { self.handled - DELAY }
    }
}
