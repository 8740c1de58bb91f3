//! The log: one line a message.

use crate::alert::message::{Message, Status};
use crate::track::vocabulary::Severity;

/// Writes a message. Its text is escaped already.
pub(in crate::alert) fn write(message: &Message) {
    let finding = message.findings.first().map_or("", |listed| listed.finding.id);
    let scope = message.group.as_ref().map_or("", |group| group.scope.as_str());
    let (status, severity, text) = (message.status.as_str(), message.severity.as_str(), message.text.as_str());
    match (message.status, message.severity) {
        (Status::Firing, Severity::Error | Severity::Critical) => {
            tracing::error!(target: "siphound::notify", id = message.id, status, severity, finding, scope, "{text}");
        }
        (Status::Firing, Severity::Warning) => {
            tracing::warn!(target: "siphound::notify", id = message.id, status, severity, finding, scope, "{text}");
        }
        _ => tracing::info!(target: "siphound::notify", id = message.id, status, severity, finding, scope, "{text}"),
    }
}
