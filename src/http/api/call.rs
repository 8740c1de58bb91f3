//! `/calls/{call_id}`: one call with its legs, its findings and its messages.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Problem;
use super::answer::json_answer;
use super::diagnosis::Form;
use super::query;
use crate::detect::finding::Subject;
use crate::http::{EngineSource, View, routes::Shared};
use crate::report::build::{finding, records, some_calls};
use crate::report::ladder::{Ladder, LadderMessage, Repeat, render};
use crate::report::model::{CallEntry, FindingEntry, SCHEMA, Stamp};
use crate::report::style::Style;

/// Legs of one call that are shown at most; a conference has many.
const LEGS: usize = 64;

/// How the call is wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// How it is written: all of it as JSON, or its ladder as text; otherwise json.
    format: Option<Form>,
}

/// One call.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct WholeCall {
    /// Version of the objects.
    schema: u32,
    /// The moment that it holds for.
    now: Option<Stamp>,
    /// The call and its other legs.
    calls: Vec<CallEntry>,
    /// Findings about them.
    findings: Vec<FindingEntry>,
    /// The messages that are still kept, without their bodies.
    messages: Vec<MessageEntry>,
    /// The messages drawn for people.
    ladder: String,
}

/// A message of a call.
#[derive(Debug, Serialize, JsonSchema)]
struct MessageEntry {
    /// When it was captured.
    at: Stamp,
    /// Number of its frame since the start.
    frame: u64,
    /// Who sent it.
    source: SocketAddr,
    /// Whom to.
    destination: SocketAddr,
    /// Method, or status and reason; `(SDP)` where it has a session description.
    message: String,
    /// Whether it repeats an earlier one of its transaction.
    retransmission: bool,
}

pub(super) async fn call<S: EngineSource>(
    State(shared): State<Arc<Shared<S>>>,
    Path(call_id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let wanted: Wanted = query::read(&uri)?;
    let look = shared.look(move |view| whole(view, &call_id));
    let (mut whole, ladder) = look.await?.ok_or_else(|| Problem::NotFound("no call with this Call-ID is kept".to_owned()))?;
    whole.calls.iter_mut().for_each(|entry| shared.mask.call(entry));
    whole.findings.iter_mut().for_each(|entry| shared.mask.finding(entry));
    let drawing = render(&ladder, Style::Plain);
    if wanted.format == Some(Form::Text) {
        return Ok(([(header::CACHE_CONTROL, "no-store")], drawing).into_response());
    }
    whole.ladder = drawing;
    whole.messages = ladder.messages.iter().map(entry).collect();
    Ok(json_answer(&whole))
}

/// The call without its messages, and those.
fn whole(view: &View<'_>, call_id: &str) -> Option<(WholeCall, Ladder)> {
    let tracker = view.tracker;
    let own = records(tracker).filter(|kept| kept.record.call_id == call_id);
    let mut call_ids: BTreeSet<&str> = own.flat_map(|kept| kept.record.linked.iter()).take(LEGS).collect();
    call_ids.insert(call_id);
    let legs: Vec<_> = records(tracker).filter(|kept| call_ids.contains(kept.record.call_id)).take(LEGS).collect();
    let call_ids: Vec<_> = call_ids.into_iter().collect();
    let messages = view.recent.of(&call_ids);
    if legs.is_empty() && messages.is_empty() {
        return None;
    }
    let is_leg = |subject: &Subject| matches!(subject, Subject::Call(id) if call_ids.contains(&&**id));
    let found = view.findings.listed(|finding| is_leg(&finding.subject) || finding.related.iter().any(is_leg));
    let mut calls = some_calls(tracker, &legs);
    calls.sort_by(|a, b| (a.first_seen, &a.call_id).cmp(&(b.first_seen, &b.call_id)));
    let roles = tracker.world.peers.pbx_roles();
    let whole = WholeCall {
        schema: SCHEMA,
        now: view.now(),
        calls,
        findings: found.into_iter().map(|found| finding(tracker, found)).collect(),
        messages: Vec::new(),
        ladder: String::new(),
    };
    Some((whole, Ladder { roles, messages }))
}

fn entry(message: &LadderMessage) -> MessageEntry {
    MessageEntry {
        at: Stamp(message.time),
        frame: message.frame,
        source: message.source,
        destination: message.destination,
        message: message.label.clone(),
        retransmission: message.repeat == Repeat::Retransmission,
    }
}
