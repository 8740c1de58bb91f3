//! Where notifications go: each sink has a thread and a bounded queue of its own, so that a slow one delays nobody else.

pub(super) mod alertmanager;
pub(super) mod command;
pub(super) mod http;
pub(super) mod log;
pub(super) mod queue;
#[cfg(test)]
mod tests;
pub(super) mod webhook;

use std::sync::Arc;

use crossbeam_channel::Sender;

use super::counts::{Counts, Fate, SinkKind};
use super::message::{Message, MessageKind};
use super::policy::AlertChange;
use crate::track::vocabulary::Severity;
use alertmanager::Alert;

/// What a sink said to a message that it took, one line.
pub(super) type Receipt = String;

/// Why a message was not delivered.
#[derive(Debug, Clone, Eq, PartialEq, thiserror::Error)]
#[error("{what}")]
pub(super) struct Refusal {
    pub(super) retry: Retry,
    /// One line, safe to show, without secrets.
    pub(super) what: String,
}

/// Whether another attempt makes sense.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Retry {
    Later,
    Never,
}

/// Delivers messages, one at a time.
pub(super) trait Deliver: Send {
    /// Delivers a message, and comes back in bounded time.
    fn deliver(&mut self, message: &Message) -> Result<Receipt, Refusal>;
}

/// The queue into a sink.
#[derive(Debug)]
pub(super) enum Outlet {
    /// Of a webhook or a command, for messages from a severity on.
    Messages { kind: SinkKind, name: String, min_severity: Severity, queue: Sender<Arc<Message>> },
    /// Of an Alertmanager.
    Alerts { name: String, queue: Sender<Alert> },
}

impl Outlet {
    pub(super) fn message(&self, message: &Arc<Message>, counts: &Counts) {
        match self {
            Self::Messages { kind, name, min_severity, queue } => {
                if message.severity >= *min_severity && queue.try_send(Arc::clone(message)).is_err() {
                    counts.add(*kind, Fate::Dropped, 1);
                    tracing::warn!(sink = name, id = message.id, "A notification was dropped: too many wait for this sink");
                }
            }
            // Alertmanager hears of findings one by one; a digest of scanners is no finding.
            Self::Alerts { .. } if message.kind == MessageKind::Scanners => self.push(Alert::digest(message), counts),
            Self::Alerts { .. } => {}
        }
    }

    pub(super) fn alert(&self, change: &AlertChange, counts: &Counts) {
        if let Self::Alerts { .. } = self {
            self.push(Alert::finding(change), counts);
        }
    }

    fn push(&self, alert: Alert, counts: &Counts) {
        if let Self::Alerts { name, queue } = self
            && queue.try_send(alert).is_err()
        {
            counts.add(SinkKind::Alertmanager, Fate::Dropped, 1);
            tracing::warn!(sink = name, "An alert was dropped: too many wait for this Alertmanager");
        }
    }
}
