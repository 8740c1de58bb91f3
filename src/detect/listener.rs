//! What an output hears of the engine, as it happens.

use crate::decode::flow::Flow;
use crate::decode::signal::Signal;
use crate::detect::call::callee;
use crate::detect::store::FindingChange;
use crate::sip::message::Message;
use crate::table::Handle;
use crate::time::PacketTime;
use crate::track::event::{Event, Sighting, Unanswered};
use crate::track::vocabulary::Direction;
use crate::track::{Novelty, Tracker};

/// A message that was tracked.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// The message with its bytes.
    pub message: Message<'a>,
    /// Who sent it to whom.
    pub flow: Flow,
    /// When, in engine time, and in which frame.
    pub at: Sighting,
    /// Whether it is a repeat, or nobody's answer.
    pub novelty: Novelty,
}

/// Hears what the engine does, on the engine's thread and in its order.
///
/// It hands on what its output needs and never waits: where its queue is full it drops, and counts what it dropped.
pub trait Listener: Send {
    /// A message, after it was tracked and before what followed from it is told.
    fn message(&mut self, _tracker: &Tracker, _heard: &Heard<'_>) {}

    /// A signal, after it was tracked.
    fn signal(&mut self, _tracker: &Tracker, _signal: &Signal, _at: Sighting) {}

    /// What tracking told.
    fn event(&mut self, _tracker: &Tracker, _event: &Event) {}

    /// What became of a finding.
    fn finding(&mut self, _tracker: &Tracker, _change: &FindingChange) {}

    /// All of a batch was handled, the last of it at `now`.
    fn batch(&mut self, _tracker: &Tracker, _now: PacketTime) {}

    /// Nothing was captured for a second or more, not even that nothing came: it may be hours until the next batch.
    fn idle(&mut self, _tracker: &Tracker) {}

    /// Nothing further will be told.
    fn end(&mut self, _tracker: &Tracker) {}
}

/// Whose phone the PBX called with a request that was never answered; nobody where it did not come from the PBX.
pub fn called_in_vain(tracker: &Tracker, call: Handle, request: &Unanswered) -> Option<Box<str>> {
    if tracker.world.peers.direction(request.flow) != Direction::Out {
        return None;
    }
    callee(tracker, tracker.calls.get(call)?, request.flow.destination).map(|(aor, _)| aor)
}
