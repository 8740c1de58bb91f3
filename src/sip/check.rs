//! What is doubtful about the values of a message.

use super::anomaly::Anomalies;
use super::message::Message;

/// Reads the values that can be wrong in ways that the scan does not see.
pub(super) fn check(_message: Message<'_>) -> Anomalies {
    Anomalies::NONE
}
