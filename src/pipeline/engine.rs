//! The engine: tracking, detection and counting in one place, one message after the other.

use crate::config::Config;
use crate::decode::outcome::{FrameCounts, Skip};
use crate::decode::signal::Signal;
use crate::detect::catalog::FindingId;
use crate::detect::detectors::{Detectors, Routed};
use crate::detect::listener::{Heard, Listener};
use crate::detect::store::Limits;
use crate::http::View;
use crate::metrics::{DropPlace, Fold, FragmentResult, Snapshot, system_of};
use crate::pipeline::ingest::IngestCounts;
use crate::pipeline::lane::Buffer;
use crate::pipeline::stage::EngineStage;
use crate::report::ladder::LadderMessage;
use crate::report::model::{CaptureSummary, Stamp};
use crate::report::recent::{Recent, rung};
use crate::sip::anomaly::Anomaly;
use crate::sip::delivery::{Arrival, Batch, Event as Delivered};
use crate::sip::message::Message;
use crate::track::event::{Event, Sighting};
use crate::track::{Novelty, Settings, Tracker};

/// What says that the capture lacks something.
const DOUBTS: [FindingId; 4] = [FindingId::CaptureOneWay, FindingId::CaptureLossy, FindingId::CaptureStalled, FindingId::ClockStepped];

/// Messages that a ladder shows at most.
const LADDER: usize = 10_000;

/// What ingest hands over: records, and its counters as of the last of them.
#[derive(Debug, Default)]
pub struct Delivery {
    /// Messages and signals.
    pub batch: Batch,
    /// What ingest counted up to here.
    pub counts: Option<IngestCounts>,
}

impl Buffer for Delivery {
    fn clear(&mut self) {
        self.batch.clear();
        self.counts = None;
    }

    fn len(&self) -> usize {
        self.batch.len()
    }
}

/// The state of a capture, and what was concluded from it.
pub struct Engine {
    /// Transactions, calls, registrations.
    pub tracker: Tracker,
    /// Findings.
    pub detectors: Detectors,
    /// Counters.
    pub fold: Fold,
    /// What ingest counted.
    pub counts: Option<IngestCounts>,
    events: Vec<Event>,
    ladder: Option<Ladder>,
    recent: Recent,
    listeners: Vec<Box<dyn Listener>>,
}

/// The messages of one call, for its ladder.
#[derive(Debug)]
struct Ladder {
    call_id: Vec<u8>,
    messages: Vec<LadderMessage>,
}

/// A question to the engine, answered on its thread.
pub type Query = Box<dyn FnOnce(&mut Engine) + Send>;

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(settings: &Settings, findings: Limits) -> Self {
        Self {
            tracker: Tracker::new(settings),
            detectors: Detectors::new(findings),
            fold: Fold::default(),
            counts: None,
            events: Vec::new(),
            ladder: None,
            recent: Recent::new(settings.seed, 0),
            listeners: Vec::new(),
        }
    }

    /// Lets an output hear what happens from now on.
    pub fn listen(&mut self, listener: Box<dyn Listener>) {
        self.detectors.findings.record_changes();
        self.listeners.push(listener);
    }

    /// Counts from here on: what was told so far was counted when it happened, by another run.
    pub fn begin_counting(&mut self) {
        self.fold.begin();
        self.counts = None;
    }

    /// Names the phone systems, and counts apart what the configuration wants counted apart.
    pub fn label(&mut self, config: &Config) {
        self.tracker.world.peers.name_systems(config.phone_systems());
        self.fold = Fold::new(config);
    }

    /// Keeps the messages of the call with this Call-ID.
    pub fn draw(&mut self, call_id: &str) {
        self.ladder = Some(Ladder { call_id: call_id.as_bytes().to_vec(), messages: Vec::new() });
    }

    /// Keeps the latest messages of calls, `count` at most.
    pub fn remember(&mut self, seed: u64, count: usize) {
        self.recent = Recent::new(seed, count);
    }

    /// The messages that were kept.
    pub fn ladder(&mut self) -> Vec<LadderMessage> {
        self.ladder.take().map(|ladder| ladder.messages).unwrap_or_default()
    }

    /// Handles one batch.
    pub fn take(&mut self, delivery: &Delivery) {
        for (arrival, event) in delivery.batch.records() {
            match event {
                Delivered::Message(delivered) => self.message(*arrival, delivery.batch.message(delivered), delivered.flow),
                Delivered::Signal(signal) => self.signal(*arrival, signal),
                Delivered::Tick => self.advance(*arrival),
            }
        }
        if let Some(counts) = &delivery.counts {
            self.counts = Some(counts.clone());
        }
        self.tell_changes();
        let now = self.tracker.now();
        for listener in &mut self.listeners {
            listener.batch(&self.tracker, now);
        }
    }

    /// Settles what can still be counted at the end of a capture.
    pub fn finish(&mut self) {
        let now = self.tracker.now();
        self.detectors.advance(&self.tracker, now);
        self.tell_changes();
        self.fold.finish(&self.tracker);
        self.tell_end();
    }

    /// Tells the listeners that nothing further will come.
    fn tell_end(&mut self) {
        for listener in &mut self.listeners {
            listener.end(&self.tracker);
        }
    }

    /// All numbers at one moment; `lost` are the frames that the capture dropped, by place.
    pub fn snapshot(&self, lost: &[(DropPlace, u64)]) -> Snapshot {
        let mut snapshot = Snapshot::of(&self.tracker, &self.detectors.findings, &self.fold);
        let (capture, tool) = (&mut snapshot.capture, &mut snapshot.tool);
        if let Some(counts) = &self.counts {
            for (anomaly, count) in Anomaly::ALL.iter().zip(counts.anomalies).filter(|(_, count)| *count > 0) {
                capture.set_anomalies(anomaly.as_str(), count);
            }
            capture.set_frames(&counts.decode.frames);
            capture.set_fragments(FragmentResult::Reassembled, counts.decode.fragments.reassembled);
            capture.set_fragments(FragmentResult::Incomplete, counts.decode.fragments.incomplete);
            if let Some((_, last)) = counts.decode.span {
                tool.set_last_packet(last);
            }
        }
        for &(place, packets) in lost {
            capture.set_dropped(place, packets);
        }
        for (table, evicted) in self.evictions() {
            capture.set_evicted(table, evicted);
        }
        for (table, held, _) in self.tracker.tables().into_iter().chain(self.detectors.tables()) {
            tool.set_tracked(table, held);
        }
        for (table, held) in self.counts.iter().flat_map(|counts| counts.decode.held.named()) {
            tool.set_tracked(table, held as usize);
        }
        tool.set_tracked("unattributed", self.fold.waiting().0);
        snapshot
    }

    /// Entries dropped for lack of room, by table.
    pub fn evictions(&self) -> Vec<(&'static str, u64)> {
        let tracked = self.tracker.tables().into_iter().map(|(table, _, evicted)| (table, evicted));
        let decoded = self.counts.iter().flat_map(|counts| counts.decode.evicted.named());
        let (_, uncounted) = self.fold.waiting();
        let detected = self.detectors.tables().into_iter().map(|(table, _, evicted)| (table, evicted));
        tracked.chain(decoded).chain(detected).chain([("unattributed", uncounted)]).collect()
    }

    /// What was captured, as ingest counted it; the files are the caller's to name.
    pub fn capture(&self, counts: &IngestCounts) -> CaptureSummary {
        let frames = &counts.decode.frames;
        let skipped = Skip::ALL.into_iter().map(|reason| (reason.as_str(), frames.skipped(reason)));
        let anomalies = Anomaly::ALL.iter().zip(counts.anomalies).map(|(anomaly, count)| (anomaly.as_str(), count));
        CaptureSummary {
            first_packet: counts.decode.span.map(|(first, _)| Stamp(first)),
            last_packet: counts.decode.span.map(|(_, last)| Stamp(last)),
            frames: frames.frames,
            sip_frames: frames.sip,
            keepalive_frames: frames.keepalive,
            skipped: skipped.filter(|(_, count)| *count > 0).collect(),
            sip_messages: counts.sip_messages,
            retransmissions: self.tracker.messages.retransmissions,
            keepalives: counts.decode.keepalives,
            anomalies: anomalies.filter(|(_, count)| *count > 0).collect(),
            doubts: self.detectors.findings.all().iter().map(|finding| finding.id).filter(|id| DOUBTS.contains(id)).collect(),
            silences: self.tracker.world.absence.implausible(),
            missing: self.tracker.world.triggers.missing(),
            evicted: self.evictions().into_iter().filter(|(_, count)| *count > 0).collect(),
            ..CaptureSummary::default()
        }
    }

    /// All that the API may look at.
    pub fn view(&self) -> View<'_> {
        let capture = self.counts.as_ref().map(|counts| self.capture(counts)).unwrap_or_default();
        View { tracker: &self.tracker, findings: &self.detectors.findings, recent: &self.recent, capture }
    }

    /// What became of the frames so far.
    pub fn frames(&self) -> FrameCounts {
        self.counts.as_ref().map(|counts| counts.decode.frames.clone()).unwrap_or_default()
    }

    fn message(&mut self, arrival: Arrival, message: Message<'_>, flow: crate::decode::flow::Flow) {
        self.advance(arrival);
        let at = Sighting { time: arrival.time, frame: arrival.frame };
        let novelty = self.tracker.message(message, flow, at);
        let (routed, kind, method) = (Routed::of(&self.tracker, flow), message.kind(), message.method());
        self.fold.message(&self.tracker, kind, method, novelty, routed);
        if novelty != Novelty::Foreign {
            self.detectors.message(&self.tracker, &message, novelty, routed, at);
        }
        if !self.listeners.is_empty() {
            let heard = Heard { message, flow, at, novelty };
            self.listeners.iter_mut().for_each(|listener| listener.message(&self.tracker, &heard));
        }
        self.tell();
        self.recent.note(&self.tracker, &message, flow, at, novelty);
        if let Some(ladder) = self.ladder.as_mut().filter(|ladder| ladder.call_id == message.call_id() && ladder.messages.len() < LADDER) {
            ladder.messages.push(rung(&self.tracker, &message, flow, at, novelty));
        }
    }

    fn signal(&mut self, arrival: Arrival, signal: &Signal) {
        self.tracker.foresee(signal, arrival.time);
        self.advance(arrival);
        let at = Sighting { time: arrival.time, frame: arrival.frame };
        self.tracker.signal(signal, at);
        for listener in &mut self.listeners {
            listener.signal(&self.tracker, signal, at);
        }
        self.tell();
    }

    /// Handles what is due before `arrival`.
    fn advance(&mut self, arrival: Arrival) {
        while self.tracker.step(arrival.time) {
            self.tell();
        }
        self.tell();
        self.detectors.advance(&self.tracker, arrival.time);
        self.tell_changes();
    }

    /// Passes on what tracking told, in the order in which it happened.
    fn tell(&mut self) {
        if self.tracker.world.events.is_empty() {
            return;
        }
        std::mem::swap(&mut self.events, &mut self.tracker.world.events);
        for event in &self.events {
            self.fold.event(&self.tracker, event);
            self.detectors.event(&self.tracker, event);
            for listener in &mut self.listeners {
                listener.event(&self.tracker, event);
            }
        }
        self.events.clear();
        self.tell_changes();
    }

    /// Passes on what became of findings.
    fn tell_changes(&mut self) {
        if !self.detectors.findings.has_news() {
            return;
        }
        for reached in self.detectors.findings.take_reached() {
            let system = system_of(&self.tracker, &reached.subjects);
            self.detectors.findings.set_system(&reached, system);
            self.fold.finding(system, reached.id.as_str(), reached.severity);
        }
        while let Some(change) = self.detectors.findings.next_change() {
            for listener in &mut self.listeners {
                listener.finding(&self.tracker, &change);
            }
        }
    }
}

impl EngineStage for Engine {
    type Batch = Delivery;
    type Query = Query;

    fn handle(&mut self, batch: &Delivery) {
        self.take(batch);
    }

    fn answer(&mut self, query: Query) {
        query(self);
    }

    fn idle(&mut self) {
        for listener in &mut self.listeners {
            listener.idle(&self.tracker);
        }
    }

    fn end(&mut self) {
        self.tell_end();
    }
}
