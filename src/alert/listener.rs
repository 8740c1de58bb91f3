//! Hands on what the engine tells of findings, and never waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crossbeam_channel::Sender;

use super::change::{Change, Input};
use super::counts::{Counts, Fate, SinkKind};
use crate::detect::listener::{Listener, called_in_vain};
use crate::detect::store::FindingChange;
use crate::report::mask::Mask;
use crate::time::PacketTime;
use crate::track::Tracker;
use crate::track::event::Event;

/// What the engine and the policy share beside the queue.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The time of the engine, in nanoseconds.
    pub(super) now: AtomicI64,
    /// Whether the queue was full, so that the policy must ask for what is open.
    pub(super) has_gap: AtomicBool,
    pub(super) counts: Counts,
}

/// The output that tells people.
#[derive(Debug)]
pub struct AlertListener {
    pub(super) inputs: Sender<Input>,
    pub(super) shared: Arc<Shared>,
    pub(super) mask: Mask,
}

impl AlertListener {
    fn hand_on(&self, input: Input) {
        if self.inputs.try_send(input).is_err() {
            self.shared.counts.add(SinkKind::Policy, Fate::Dropped, 1);
            self.shared.has_gap.store(true, Ordering::Release);
        }
    }
}

impl Listener for AlertListener {
    fn event(&mut self, tracker: &Tracker, event: &Event) {
        if let Event::InviteUnanswered { call, request } = *event
            && let Some(aor) = called_in_vain(tracker, call, &request)
        {
            self.hand_on(Input::LostCall { aor, at: request.first.time });
        }
    }

    fn finding(&mut self, tracker: &Tracker, change: &FindingChange) {
        self.hand_on(Input::Finding(Box::new(Change::of(tracker, change, &self.mask))));
    }

    fn batch(&mut self, _tracker: &Tracker, now: PacketTime) {
        self.shared.now.store(now.as_nanos(), Ordering::Release);
    }
}
