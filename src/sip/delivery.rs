//! What ingest hands to the engine: SIP messages and signals in time order, a batch at a time.

use crate::decode::flow::Flow;
use crate::decode::signal::Signal;
use crate::sip::message::Message;
use crate::sip::scan::Scan;
use crate::time::PacketTime;

/// Where and when something was seen.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Engine time: the packet's time, moved on by the clock steps before it; never less than that of the record before.
    pub time: PacketTime,
    /// Number of the frame that completed it.
    pub frame: u64,
}

/// A SIP message of a batch.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// Where its bytes begin in the batch.
    pub offset: u32,
    /// How many bytes it has.
    pub len: u32,
    /// Who sent it to whom.
    pub flow: Flow,
    /// Where its headers are.
    pub scan: Scan,
}

/// One thing for the engine to handle.
#[derive(Clone, Debug)]
pub enum Event {
    /// A SIP message.
    Message(Delivered),
    /// Something else about a flow or the capture.
    Signal(Signal),
    /// Nothing but the passing of time.
    Tick,
}

/// Records in time order with the bytes of their messages; emptied and reused.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    records: Vec<(Arrival, Event)>,
}

impl Batch {
    /// Appends a message and copies its bytes.
    pub fn push_message(&mut self, at: Arrival, flow: Flow, bytes: &[u8], scan: Scan) {
        let offset = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        self.records.push((at, Event::Message(Delivered { offset, len: bytes.len() as u32, flow, scan })));
    }

    /// Appends a signal.
    pub fn push_signal(&mut self, at: Arrival, signal: Signal) {
        self.records.push((at, Event::Signal(signal)));
    }

    /// Appends the passing of time.
    pub fn push_tick(&mut self, at: Arrival) {
        self.records.push((at, Event::Tick));
    }

    /// The records in order.
    pub fn records(&self) -> &[(Arrival, Event)] {
        &self.records
    }

    /// A message of this batch with its bytes.
    pub fn message<'a>(&'a self, delivered: &'a Delivered) -> Message<'a> {
        let start = delivered.offset as usize;
        let bytes = self.bytes.get(start..start + delivered.len as usize).unwrap_or_default();
        Message::new(bytes, &delivered.scan)
    }

    /// Whether the batch holds no record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many records the batch holds.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
    }
}
