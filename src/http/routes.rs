//! The pages and what they answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::access::{Access, Peers, admit};
use super::{Assistants, EngineSource, Events, SnapshotSource, Unavailable, View, api};
use crate::metrics::CONTENT_TYPE;
use crate::report::mask::Mask;

const INDEX: &str = "siphound\n\n/metrics  numbers for Prometheus\n/healthz  whether siphound works\n/readyz   whether it follows traffic\n/api/v1/  what it knows, as JSON\n";

/// The engine is left alone no longer than that after it looked something up.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// What the pages need.
pub(super) struct Shared<S> {
    source: S,
    patience: Duration,
    /// Who may read what names somebody.
    access: Access,
    /// What is hidden in the answers of the API.
    pub(super) mask: Mask,
    /// Whose turn it is to have the engine look something up.
    turn: Arc<Semaphore>,
}

impl<S: EngineSource> Shared<S> {
    /// Where clients are told what happens.
    pub(super) fn events(&self) -> &Arc<Events> {
        self.source.events()
    }

    /// Where sessions of live assistance are.
    pub(super) fn assistants(&self) -> &Arc<Assistants> {
        self.source.assistants()
    }

    /// Has the engine look something up, and waits no longer than the patience lasts. Lookups take turns, and after each the engine is left
    /// alone for twice as long as it took: whoever asks without end gets at most a third of its time.
    pub(super) async fn look<T, F>(&self, look: F) -> Result<T, Unavailable>
    where
        T: Send + 'static,
        F: FnOnce(&View<'_>) -> T + Send + 'static,
    {
        let looked = timeout(self.patience, async {
            let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_| Unavailable::Busy)?;
            let began = Instant::now();
            let seen = self.source.look(look).await;
            let rest = (began.elapsed() * 2).min(LONGEST_REST);
            drop(tokio::spawn(async move {
                sleep(rest).await;
                drop(turn);
            }));
            seen
        });
        looked.await.unwrap_or(Err(Unavailable::Busy))
    }
}

/// The pages over `source`, which may take at most `patience` for a snapshot. No page reads a request body.
///
/// The API is there for those whom `api` names; without it, for nobody.
pub fn router<S: EngineSource>(source: S, patience: Duration, api: Option<Access>, mask: Mask) -> Router {
    let access = api.clone().unwrap_or(Access { peers: Peers::ThisHost, token: None });
    let routes = match api {
        Some(access) => Router::new().nest(api::ROOT, api::router().layer(from_fn_with_state(access, admit))),
        None => Router::new(),
    };
    routes
        .route("/", get(|| async { INDEX }))
        .route("/metrics", get(metrics::<S>))
        .route("/healthz", get(healthz::<S>))
        .route("/readyz", get(readyz::<S>))
        .fallback(|| async { (StatusCode::NOT_FOUND, "there is no such page\n") })
        .method_not_allowed_fallback(|| async { (StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered\n") })
        .layer(map_response(as_what_it_is))
        .with_state(Arc::new(Shared { source, patience, access, mask, turn: Arc::new(Semaphore::new(1)) }))
}

/// What phones wrote is in the pages: no browser may guess that one is a document, or put it into another site.
async fn as_what_it_is(mut page: Response) -> Response {
    let headers = page.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    page
}

/// Anybody may read numbers; those that name sites or users only who may read the API.
async fn metrics<S: SnapshotSource>(State(shared): State<Arc<Shared<S>>>, request: Request) -> Response {
    let snapshot = match timeout(shared.patience, shared.source.snapshot()).await {
        Ok(Ok(snapshot)) => snapshot,
        Ok(Err(reason)) => return unavailable(reason),
        Err(_) => return unavailable(Unavailable::Busy),
    };
    if snapshot.names_somebody
        && let Some(problem) = shared.access.refusal(&request)
    {
        return problem.into_response();
    }
    match snapshot.to_text() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("the metrics cannot be encoded: {error}\n")).into_response(),
    }
}

/// Well as long as a restart would not help: a capture that is not open yet is no illness.
async fn healthz<S: SnapshotSource>(State(shared): State<Arc<Shared<S>>>) -> Response {
    match shared.source.readiness() {
        Err(reason @ Unavailable::EngineStopped) => unavailable(reason),
        _ => "ok\n".into_response(),
    }
}

async fn readyz<S: SnapshotSource>(State(shared): State<Arc<Shared<S>>>) -> Response {
    match shared.source.readiness() {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => unavailable(reason),
    }
}

fn unavailable(reason: Unavailable) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response()
}
