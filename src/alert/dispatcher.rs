//! The thread of the policy: from what the engine tells to the queues of the sinks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::change::{Change, Input};
use super::counts::{Fate, SinkKind};
use super::listener::Shared;
use super::policy::{Output, Policy};
use super::sink::{Outlet, log};
use crate::time::{PacketTime, Span};

/// How often the policy looks what is due.
const TICK: Duration = Duration::from_millis(250);
/// Inputs taken before it looks.
const AT_ONCE: usize = 1_024;
/// Ticks between two questions for what is open.
const PATIENCE: u32 = 40;

/// Asks the engine for all findings that are open; nothing where it does not answer in time.
pub type AskOpen = Box<dyn Fn() -> Option<Vec<Change>> + Send>;

/// Runs the policy.
pub(super) struct Dispatcher {
    pub(super) policy: Policy,
    pub(super) inputs: Receiver<Input>,
    pub(super) shared: Arc<Shared>,
    pub(super) outlets: Vec<Outlet>,
    pub(super) ask_open: AskOpen,
    pub(super) now: PacketTime,
    pub(super) asked: u32,
}

impl Dispatcher {
    /// Runs until the engine has gone.
    pub(super) fn run(mut self) {
        loop {
            match self.inputs.recv_timeout(TICK) {
                Ok(input) => self.take(input),
                Err(RecvTimeoutError::Timeout) => self.idle(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            for _ in 0..AT_ONCE {
                let Ok(input) = self.inputs.try_recv() else { break };
                self.take(input);
            }
            self.keep_up();
            self.policy.advance(self.now);
            self.dispatch();
        }
        self.policy.finish(self.now);
        self.dispatch();
    }

    fn take(&mut self, input: Input) {
        let at = match &input {
            Input::Finding(change) => change.at,
            Input::LostCall { .. } | Input::Open(_) => self.now,
        };
        self.now = self.now.max(at);
        self.policy.take(input, self.now);
    }

    /// Time goes on where the engine stands still, as it does while no capture is open.
    fn idle(&mut self) {
        self.now += Span::from_nanos(TICK.as_nanos() as i64);
        self.asked = self.asked.saturating_sub(1);
        if self.asked == 0 && self.shared.has_gap.load(Ordering::Acquire) {
            self.asked = PATIENCE;
            self.shared.has_gap.store(false, Ordering::Release);
            match (self.ask_open)() {
                Some(open) => self.policy.take(Input::Open(open), self.now),
                None => self.shared.has_gap.store(true, Ordering::Release),
            }
        }
    }

    fn keep_up(&mut self) {
        self.now = self.now.max(PacketTime::from_nanos(self.shared.now.load(Ordering::Acquire)));
    }

    fn dispatch(&mut self) {
        let dropped = self.policy.take_dropped();
        self.shared.counts.add(SinkKind::Policy, Fate::Dropped, dropped);
        while let Some(output) = self.policy.next() {
            match output {
                Output::Message(message) => {
                    log::write(&message);
                    self.shared.counts.add(SinkKind::Log, Fate::Sent, 1);
                    let message = Arc::new(message);
                    for outlet in &self.outlets {
                        outlet.message(&message, &self.shared.counts);
                    }
                }
                Output::Alert(alert) => {
                    for outlet in &self.outlets {
                        outlet.alert(&alert, &self.shared.counts);
                    }
                }
            }
        }
    }
}
