//! What became of notifications, counted where they are sent.

use std::sync::atomic::{AtomicU64, Ordering};

/// Where notifications go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SinkKind {
    /// Nowhere yet: what to tell is being decided.
    Policy,
    /// The log.
    Log,
    /// An Alertmanager.
    Alertmanager,
    /// A webhook.
    Webhook,
    /// A command.
    Command,
}

/// What became of a notification.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It was taken.
    Sent,
    /// It was refused for good, or given up.
    Failed,
    /// There was no room for it.
    Dropped,
    /// An attempt failed, and another one follows.
    Retried,
}

impl SinkKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Policy, Self::Log, Self::Alertmanager, Self::Webhook, Self::Command];

    /// The name in the log and for `alert test`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Log => "log",
            Self::Alertmanager => "alertmanager",
            Self::Webhook => "webhook",
            Self::Command => "command",
        }
    }
}

impl Fate {
    /// Every fate.
    pub const ALL: [Self; 4] = [Self::Sent, Self::Failed, Self::Dropped, Self::Retried];
}

/// The counts of all sinks.
#[derive(Debug, Default)]
pub struct Counts([[AtomicU64; Fate::ALL.len()]; SinkKind::ALL.len()]);

impl Counts {
    /// How many notifications of a kind of sink had this fate.
    pub fn get(&self, kind: SinkKind, fate: Fate) -> u64 {
        self.0[kind as usize][fate as usize].load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, kind: SinkKind, fate: Fate, count: u64) {
        self.0[kind as usize][fate as usize].fetch_add(count, Ordering::Relaxed);
    }
}
