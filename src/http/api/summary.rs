//! `/summary`: how things are, in numbers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Problem;
use super::answer::json_answer;
use super::query;
use crate::http::{EngineSource, View, routes::Shared};
use crate::report::build::messages;
use crate::report::model::{CaptureSummary, MessageCounts, SCHEMA, Stamp};
use crate::track::vocabulary::{Reachability, RegistrationState, Severity};

/// How things are, in numbers. Maps hold only keys that occurred.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Summary {
    /// Version of the objects.
    schema: u32,
    /// Version of siphound.
    version: &'static str,
    /// The moment that the numbers hold for; null before the first packet.
    now: Option<Stamp>,
    /// What was captured since the start.
    capture: CaptureSummary,
    /// What was said since the start, repeats left out.
    messages: MessageCounts,
    /// Addresses of the PBX, configured or learned.
    pbx_addresses: Vec<SocketAddr>,
    /// The names that the configuration gives those of them that have one.
    pbx_names: BTreeMap<SocketAddr, String>,
    /// Devices by the state of their registration.
    devices: BTreeMap<RegistrationState, u64>,
    /// Devices by whether the PBX reaches them.
    reachability: BTreeMap<Reachability, u64>,
    /// Calls that are listed.
    calls: CallCounts,
    /// Findings that are open, by severity.
    findings_open: BTreeMap<Severity, u64>,
}

/// Calls that are listed.
#[derive(Debug, Serialize, JsonSchema)]
struct CallCounts {
    /// In progress.
    in_progress: u64,
    /// Over, and still listed.
    ended: u64,
    /// Over, and dropped from the list for lack of room.
    forgotten: u64,
}

/// Nothing can be said in the query.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

pub(super) async fn summary<S: EngineSource>(State(shared): State<Arc<Shared<S>>>, uri: Uri) -> Result<Response, Problem> {
    let Nothing {} = query::read(&uri)?;
    Ok(json_answer(&shared.look(summarize).await?))
}

fn summarize(view: &View<'_>) -> Summary {
    let tracker = view.tracker;
    // There may be a million devices: counted in arrays, in one pass.
    let mut states = [0_u64; RegistrationState::ALL.len()];
    let mut reached = [0_u64; Reachability::ALL.len()];
    for (_, device) in tracker.registrations.devices() {
        states[device.state as usize] += 1;
        reached[device.probes.reachability as usize] += 1;
    }
    let mut findings_open = BTreeMap::new();
    for finding in view.findings.open() {
        *findings_open.entry(finding.severity).or_default() += 1;
    }
    Summary {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        now: view.now(),
        capture: view.capture.clone(),
        messages: messages(tracker),
        pbx_addresses: tracker.world.peers.pbx_addresses(),
        pbx_names: tracker.world.peers.pbx_names(),
        devices: occurred(RegistrationState::ALL, &states),
        reachability: occurred(Reachability::ALL, &reached),
        calls: CallCounts {
            in_progress: tracker.calls.iter().filter(|(_, call)| call.record.ended.is_none()).count() as u64,
            ended: tracker.calls.finished_size().0 as u64
                + tracker.calls.iter().filter(|(_, call)| call.record.ended.is_some()).count() as u64,
            forgotten: tracker.calls.finished_size().1,
        },
        findings_open,
    }
}

fn occurred<K: Copy + Ord>(keys: &[K], counts: &[u64]) -> BTreeMap<K, u64> {
    keys.iter().copied().zip(counts.iter().copied()).filter(|(_, count)| *count > 0).collect()
}
