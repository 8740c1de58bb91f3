//! A queue with retries: one message after the other, each until it is taken, refused for good, or too old.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::{Deliver, Retry};
use crate::alert::counts::{Fate, SinkKind};
use crate::alert::listener::Shared;
use crate::alert::message::Message;

/// Messages that wait for a sink; of more, the newest are dropped and counted.
pub(in crate::alert) const QUEUE: usize = 256;

/// Pauses that double from `first` to `most`, each shortened at random by up to half, so that many senders do not come back at once.
#[derive(Clone, Copy, Debug)]
pub(in crate::alert) struct Backoff {
    pub(in crate::alert) first: Duration,
    pub(in crate::alert) most: Duration,
}

impl Backoff {
    /// From one second to five minutes.
    pub(in crate::alert) const ORDINARY: Self = Self { first: Duration::from_secs(1), most: Duration::from_secs(300) };

    /// The pause after the attempt number `attempt`, from 0.
    pub(in crate::alert) fn pause(self, attempt: u32) -> Duration {
        let whole = self.first.saturating_mul(2_u32.saturating_pow(attempt)).min(self.most);
        // A hasher that was seeded at random, of nothing, is a random number.
        let random = (RandomState::new().hash_one(()) >> 33) as u32;
        whole - whole.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

/// Feeds one sink.
pub(in crate::alert) struct Feeder<D> {
    pub(in crate::alert) kind: SinkKind,
    pub(in crate::alert) name: String,
    pub(in crate::alert) sink: D,
    pub(in crate::alert) queue: Receiver<Arc<Message>>,
    /// Closed when siphound ends: what still waits is tried once.
    pub(in crate::alert) ending: Receiver<()>,
    pub(in crate::alert) backoff: Backoff,
    /// How long pauses may add up to before a message is given up.
    pub(in crate::alert) give_up: Duration,
    pub(in crate::alert) shared: Arc<Shared>,
}

impl<D: Deliver> Feeder<D> {
    /// Runs until the queue is closed and empty.
    pub(in crate::alert) fn run(mut self) {
        while let Ok(message) = self.queue.recv() {
            let fate = self.deliver(&message);
            self.shared.counts.add(self.kind, fate, 1);
        }
    }

    fn deliver(&mut self, message: &Message) -> Fate {
        let (mut attempt, mut waited) = (0, Duration::ZERO);
        loop {
            let refusal = match self.sink.deliver(message) {
                Ok(receipt) => {
                    tracing::debug!(sink = self.name, id = message.id, receipt, "Notified");
                    return Fate::Sent;
                }
                Err(refusal) => refusal,
            };
            let pause = self.backoff.pause(attempt);
            if refusal.retry == Retry::Never || waited + pause > self.give_up {
                tracing::error!(sink = self.name, id = message.id, error = %refusal, attempts = attempt + 1, "A notification was given up");
                return Fate::Failed;
            }
            if attempt == 0 {
                tracing::warn!(sink = self.name, id = message.id, error = %refusal, "A notification is not delivered yet");
            }
            if self.ending.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                tracing::error!(sink = self.name, id = message.id, error = %refusal, "A notification was not delivered before the end");
                return Fate::Failed;
            }
            self.shared.counts.add(self.kind, Fate::Retried, 1);
            attempt += 1;
            waited += pause;
        }
    }
}
