//! What is kept on disk.

use super::{Labels, Pair};

label_enum! {
    /// What is kept.
    StoreLabel in "store" {
        /// The history in SQLite.
        Database = "database",
        /// The trace files.
        Traces = "traces",
    }
}

label_enum! {
    /// Why a record was not kept.
    LossLabel in "reason" {
        /// The disk could not follow.
        Queue = "queue",
        /// The store could not be written.
        Write = "write",
        /// The call or user was evicted from its table before it could be copied.
        Evicted = "evicted",
    }
}
