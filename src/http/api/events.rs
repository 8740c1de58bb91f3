//! `/events`: what happens, as it happens, as server-sent events or as lines of JSON.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use hyper::body::{Body as HttpBody, Frame};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Problem;
use super::query;
use crate::http::events::{Event, Subscription};
use crate::http::lease::Lease;
use crate::http::{EngineSource, routes::Shared};

/// How often a silent stream shows that it is alive, which also tells a client that has gone.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The kinds of events.
const KINDS: [&str; 4] = ["finding", "call", "registration", "reachability"];

/// Which events are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Kinds of events, separated by commas: finding, call, registration, reachability; otherwise all.
    only: Option<String>,
    /// How they are written; otherwise sse.
    format: Option<Form>,
}

/// How events are written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    /// Server-sent events; their data is the JSON.
    Sse,
    /// One JSON object a line; an empty line is a sign of life.
    Ndjson,
}

pub(super) async fn events<S: EngineSource>(
    State(shared): State<Arc<Shared<S>>>,
    Extension(lease): Extension<Lease>,
    uri: Uri,
) -> Result<Response, Problem> {
    let wanted: Wanted = query::read(&uri)?;
    let kinds: BTreeSet<_> = wanted.only.iter().flat_map(|only| only.split(',')).map(str::to_owned).collect();
    if let Some(unknown) = kinds.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
        return Err(Problem::BadRequest(format!("only: there is no event {unknown:?}; there are {}", KINDS.join(", "))));
    }
    let subscription = shared.events().subscribe(lease.clone()).ok_or(Problem::TooMany)?;
    lease.prolong();
    let form = wanted.format.unwrap_or(Form::Sse);
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stream = Stream { subscription, kinds, form, heartbeat };
    let kind = match form {
        Form::Sse => "text/event-stream",
        Form::Ndjson => "application/x-ndjson",
    };
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], Body::new(stream)).into_response())
}

/// A body that goes on until its client goes, is cut off, or the server stops.
struct Stream {
    subscription: Subscription,
    /// The kinds that are wanted; all where there is none.
    kinds: BTreeSet<String>,
    form: Form,
    heartbeat: Interval,
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while let Poll::Ready(event) = self.subscription.queue.poll_recv(context) {
            let Some(event) = event else { return Poll::Ready(None) };
            if self.kinds.is_empty() || self.kinds.contains(event.name()) {
                return Poll::Ready(Some(Ok(Frame::data(written(&event, self.form)))));
            }
        }
        // The first tick comes at once: the client sees that the stream has begun.
        self.heartbeat.poll_tick(context).map(|_| {
            let sign = if self.form == Form::Sse { ":\n\n" } else { "\n" };
            Some(Ok(Frame::data(Bytes::from_static(sign.as_bytes()))))
        })
    }
}

fn written(event: &Event, form: Form) -> Bytes {
    // Plain data with string keys always serialises; its line ends are escaped.
    let json = serde_json::to_string(event).unwrap_or_default();
    let mut text = String::with_capacity(json.len() + 32);
    let _ = match form {
        Form::Sse => write!(text, "event: {}\ndata: {json}\n\n", event.name()),
        Form::Ndjson => writeln!(text, "{json}"),
    };
    Bytes::from(text)
}
