//! The JSON API, version 1: what the engine knows right now, in the objects of the report.
//!
//! A request says what it wants in its query; what is not known there is refused. The engine thread picks the entries, a thread of the
//! server writes them.

mod answer;
mod assist;
mod call;
mod calls;
mod diagnosis;
mod events;
mod findings;
mod nat;
mod openapi;
mod query;
mod registrations;
mod summary;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

pub(super) use self::answer::Problem;
pub use self::openapi::document;

use super::EngineSource;
use super::routes::Shared;

/// Where the API is.
pub(super) const ROOT: &str = "/api/v1";

/// The routes below [`ROOT`].
pub(super) fn router<S: EngineSource>() -> Router<Arc<Shared<S>>> {
    Router::new()
        .route("/summary", get(summary::summary::<S>))
        .route("/registrations", get(registrations::registrations::<S>))
        .route("/calls", get(calls::calls::<S>))
        .route("/calls/{call_id}", get(call::call::<S>))
        .route("/events", get(events::events::<S>))
        .route("/findings", get(findings::findings::<S>))
        .route("/nat", get(nat::nat::<S>))
        .route("/diagnosis", get(diagnosis::diagnosis::<S>))
        .route("/assist", get(assist::assist::<S>))
        .route("/assist/{session}/{command}", post(assist::command::<S>))
        .route("/openapi.json", get(openapi::openapi))
        .fallback(|| async { Problem::NoSuchPage })
        .method_not_allowed_fallback(|| async { Problem::MethodNotAllowed })
}
