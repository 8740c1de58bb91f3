//! What became of notifications.

use super::{Labels, Pair};

label_enum! {
    /// Where a notification goes.
    NotificationSink in "sink" {
        /// Nowhere yet: what to tell is being decided.
        Policy = "policy",
        /// The log.
        Log = "log",
        /// An Alertmanager.
        Alertmanager = "alertmanager",
        /// A webhook.
        Webhook = "webhook",
        /// A command.
        Command = "command",
    }
}

label_enum! {
    /// What became of a notification.
    NotificationResult in "result" {
        /// It was taken.
        Sent = "sent",
        /// It was refused for good, or given up.
        Failed = "failed",
        /// There was no room for it.
        Dropped = "dropped",
        /// An attempt failed, and another one followed.
        Retried = "retried",
    }
}
