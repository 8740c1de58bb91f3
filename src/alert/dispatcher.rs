//! The thread of the policy: from what the engine tells to the queues of the sinks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::change::{Input, OpenFindings};
use super::counts::{Fate, SinkKind};
use super::listener::Shared;
use super::policy::{Output, Policy};
use super::reload::{Reload, Threads};
use super::sink::{Outlet, log};
use crate::time::{PacketTime, Span};

/// How often the policy looks what is due.
const TICK: Duration = Duration::from_millis(250);
/// Inputs taken before it looks.
const AT_ONCE: usize = 1_024;
/// Time between two questions for what is open.
const BETWEEN: Span = Span::from_secs(10);

/// Asks the engine for all findings that are open; nothing where it does not answer in time.
pub type AskOpen = Box<dyn Fn() -> Option<OpenFindings> + Send>;

/// Runs the policy.
pub(super) struct Dispatcher {
    pub(super) policy: Policy,
    pub(super) inputs: Receiver<Input>,
    pub(super) shared: Arc<Shared>,
    pub(super) outlets: Vec<Outlet>,
    pub(super) reloads: Receiver<Reload>,
    pub(super) threads: Threads,
    pub(super) ask_open: AskOpen,
    pub(super) now: PacketTime,
    /// When it was last asked what is open.
    pub(super) asked: Option<PacketTime>,
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
            self.close_gap();
            self.policy.advance(self.now);
            self.dispatch();
            if let Ok(reload) = self.reloads.try_recv() {
                self.reload(reload);
            }
        }
        self.policy.finish(self.now);
        self.dispatch();
    }

    /// Takes other rules and sinks. Those before end once they have told what waits for them.
    fn reload(&mut self, reload: Reload) {
        match reload.start(&self.threads) {
            Ok(changed) => {
                self.outlets = changed.outlets;
                self.policy.change_rules(changed.rules, changed.instance, self.now);
                self.dispatch();
                tracing::info!(sinks = self.outlets.len(), "Notifications follow the changed configuration");
            }
            Err(error) => tracing::error!(%error, "Notifications go on as before"),
        }
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
    }

    /// Where the queue was full, what was heard has holes: the engine is asked for what is open.
    fn close_gap(&mut self) {
        if self.asked.is_some_and(|asked| self.now.since(asked) < BETWEEN) || !self.shared.has_gap.swap(false, Ordering::AcqRel) {
            return;
        }
        self.asked = Some(self.now);
        match (self.ask_open)() {
            Some(open) => {
                // What was queued before the answer comes first.
                for _ in 0..self.inputs.len() {
                    let Ok(input) = self.inputs.try_recv() else { break };
                    self.take(input);
                }
                self.policy.take(Input::Open(open), self.now);
            }
            None => self.shared.has_gap.store(true, Ordering::Release),
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
