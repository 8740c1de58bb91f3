//! How much is kept: the capacity of each table (DETECTION §13 "What is kept").

use super::section::section;

section! {
    /// Capacities. A full table drops scanners first, then what strangers began, then what is finished, then the least recently used,
    /// and counts what it drops in `siphound_evicted_total`.
    Limits in "limits" {
        /// SIP transactions in progress.
        transactions: u32 = 200_000, within 1..=10_000_000;
        /// Calls in progress.
        calls: u32 = 250_000, within 1..=10_000_000;
        /// Finished calls that a replay report lists; older ones are counted only.
        finished_calls: u32 = 1_000_000, within 1..=10_000_000;
        /// Finished calls that the daemon keeps for its API and for `diagnose`.
        recent_calls: u32 = 10_000, within 0..=10_000_000;
        /// Messages of calls that the daemon keeps, without their bodies, to draw calls from.
        recent_messages: u32 = 50_000, within 0..=10_000_000;
        /// Registered contacts, one for each device of each address of record.
        bindings: u32 = 1_000_000, within 1..=10_000_000;
        /// Flows whose idle time, keep-alives and probes are followed.
        flows: u32 = 1_000_000, within 1..=10_000_000;
        /// Source addresses watched for scans and silence.
        sources: u32 = 100_000, within 1..=10_000_000;
        /// Findings kept, active and cleared.
        findings: u32 = 100_000, within 1..=1_000_000;
    }
}
