//! Paths and query strings of the API: whatever is asked is answered or refused in words, and never with an error of the server.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use hyper::service::Service as _;
use hyper::{Request, Response};
use hyper_util::service::TowerToHyperService;
use siphound::http::{Access, Assistants, EngineSource, Events, Lease, Peers, SnapshotSource, Unavailable, View, introduce, router};
use siphound::metrics::Snapshot;
use siphound::pipeline::engine::Engine;
use siphound::report::mask::Mask;
use tokio::runtime::{Builder, Runtime};

use super::engine::sample;
use super::report::assert_shown;
use super::script::Script;

const PATHS: [&str; 12] = [
    "/api/v1/summary",
    "/api/v1/registrations",
    "/api/v1/calls",
    "/api/v1/calls/c1",
    "/api/v1/findings",
    "/api/v1/nat",
    "/api/v1/diagnosis",
    "/api/v1/events",
    "/api/v1/assist",
    "/api/v1/calls/",
    "/api/v1/assist/1/",
    "/",
];
/// Bytes of an answer at most: a page of a thousand entries, or one call with all its messages.
const LARGEST: usize = 4 << 20;

/// An engine at rest.
#[derive(Clone)]
struct Known {
    engine: Arc<Mutex<Engine>>,
    events: Arc<Events>,
    assistants: Arc<Assistants>,
}

impl SnapshotSource for Known {
    async fn snapshot(&self) -> Result<Snapshot, Unavailable> {
        Ok(Snapshot::default())
    }

    fn readiness(&self) -> Result<(), Unavailable> {
        Ok(())
    }
}

impl EngineSource for Known {
    fn assistants(&self) -> &Arc<Assistants> {
        &self.assistants
    }

    fn events(&self) -> &Arc<Events> {
        &self.events
    }

    async fn look<T, F>(&self, look: F) -> Result<T, Unavailable>
    where
        T: Send + 'static,
        F: FnOnce(&View<'_>) -> T + Send + 'static,
    {
        Ok(look(&self.engine.lock().expect("no panic").view()))
    }
}

static ENGINE: LazyLock<Arc<Mutex<Engine>>> = LazyLock::new(|| Arc::new(Mutex::new(sample())));

thread_local! {
    static RUNTIME: RefCell<Runtime> = RefCell::new(Builder::new_current_thread().enable_time().build().expect("a runtime"));
}

pub(crate) fn body(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let path = script.pick(&PATHS);
    let method = script.pick(&["GET", "GET", "GET", "POST", "HEAD"]);
    let (rest, raw) = (String::from_utf8_lossy(script.rest()).into_owned(), if path.ends_with('/') { "" } else { "?" });
    let Ok(mut request) =
        Request::builder().method(method).uri(format!("{path}{raw}{rest}")).header("host", "localhost").body(Body::empty())
    else {
        return;
    };
    introduce(&mut request, ([127, 0, 0, 1], 40_000).into(), &Lease::default());
    let asked = request.uri().to_string();
    let mask = if bytes.len().is_multiple_of(2) { Mask::none() } else { Mask::keyed(1) };
    let known = Known { engine: Arc::clone(&ENGINE), events: Arc::new(Events::new(mask)), assistants: Arc::default() };
    let access = Access { peers: Peers::Anyone, token: None };
    let service = TowerToHyperService::new(router(known, Duration::from_secs(60), Some(access), mask));
    RUNTIME.with_borrow_mut(|runtime| {
        runtime.block_on(async {
            let Ok(response) = service.call(request).await;
            check(response, &asked, method).await;
        });
    });
}

async fn check(response: Response<Body>, asked: &str, method: &str) {
    let status = response.status().as_u16();
    assert!(matches!(status, 200 | 204 | 307 | 308 | 400 | 404 | 405), "{status} for {method} {asked}");
    let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    if kind == "text/event-stream" || kind == "application/x-ndjson" {
        return;
    }
    let body = to_bytes(response.into_body(), LARGEST).await.expect("an answer that ends");
    let text = std::str::from_utf8(&body).expect("answers are UTF-8");
    assert_shown("the answer", text);
    if kind.ends_with("json") && method != "HEAD" {
        let answer: serde_json::Value = serde_json::from_str(text).expect("JSON");
        assert!(status == 200 || answer["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{text}");
    }
}
