//! What goes from the engine to the disk: plain data that knows nothing of the tracker.

use crate::decode::flow::Flow;
use crate::decode::signal::Signal;
use crate::report::model::{CallEntry, FindingEntry, NatEntry, RegistrationEntry};
use crate::time::PacketTime;

/// Records that wait to be written, in order.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The bytes of the messages.
    pub(super) bytes: Vec<u8>,
    /// What goes to the traces.
    pub(super) traced: Vec<Traced>,
    /// What goes to the database.
    pub(super) rows: Vec<Row>,
    /// Engine time of the last record.
    pub(super) now: PacketTime,
    /// Whether all that changed is in it: it is time to write the rows.
    pub(super) settled: bool,
    /// Whether records before these were dropped.
    pub(super) after_loss: bool,
}

/// Something for the traces.
#[derive(Debug)]
pub(super) struct Traced {
    /// When, as the capture printed it.
    pub(super) time: PacketTime,
    /// What.
    pub(super) what: What,
}

/// What goes to the traces.
#[derive(Debug)]
pub(super) enum What {
    /// A message: who sent it to whom, and how many of the batch's bytes are its own.
    Message(Flow, usize),
    /// A signal.
    Signal(Signal),
}

/// Something for the database.
#[derive(Debug)]
pub(super) enum Row {
    /// A call as it stands.
    Call(Box<CallEntry>),
    /// A user as it stands.
    Registration(Box<RegistrationEntry>, PacketTime),
    /// A device's registration, or its address, changed.
    Change(Change),
    /// A finding as it stands.
    Finding(Box<FindingEntry>),
    /// A finding is a symptom of another and not listed.
    Replaced(Box<FindingEntry>),
    /// What is known of the NAT of a site.
    Nat(Box<NatEntry>, PacketTime),
    /// siphound began at this time: findings that are open and not told again are over.
    Began(PacketTime),
}

/// A change of one device.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) at: PacketTime,
    pub(super) aor: String,
    pub(super) contact: String,
    pub(super) source: String,
    pub(super) was: String,
    pub(super) became: String,
}

impl Batch {
    /// Empties the batch and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.traced.clear();
        self.rows.clear();
        self.settled = false;
        self.after_loss = false;
    }

    /// Whether there is anything to write.
    pub(super) fn is_empty(&self) -> bool {
        self.traced.is_empty() && self.rows.is_empty()
    }
}
