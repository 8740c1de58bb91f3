//! What the API answers with: JSON as the report is written, or a problem (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::Unavailable;
use crate::report::json;

/// Why a request is not answered with what it asked for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(in crate::http) enum Problem {
    /// The request makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// It comes from where the API is not served to.
    #[error("{0}")]
    Forbidden(&'static str),
    /// It does not show the token.
    #[error("the token of the daemon is wanted: Authorization: Bearer TOKEN")]
    Unauthorized,
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// No route has this path.
    #[error("there is no such page; /api/v1/openapi.json lists those there are")]
    NoSuchPage,
    /// The page does not answer this method.
    #[error("this page does not answer that method: POST /assist/SESSION/COMMAND tells a session what to do, all else is for GET and HEAD")]
    MethodNotAllowed,
    /// Too many clients want to be told what happens.
    #[error("too many clients are being told what happens; try again later")]
    TooMany,
    /// The engine does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Problem {
    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NotFound(_) | Self::NoSuchPage => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooMany | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// A problem as it is sent.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Refusal")]
pub(super) struct ProblemEntry {
    /// The status of the answer in words.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// What is the matter, and what to do.
    detail: String,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let entry =
            ProblemEntry { title: status.canonical_reason().unwrap_or_default(), status: status.as_u16(), detail: self.to_string() };
        let mut answer = (status, [(header::CONTENT_TYPE, "application/problem+json")], body(&entry)).into_response();
        if self == Self::Unauthorized {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

/// An answer in JSON.
pub(super) fn json_answer(value: &impl Serialize) -> Response {
    // What people call each other is nobody else's: no cache on the way may keep it.
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body(value)).into_response()
}

fn body(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Memory takes everything.
    let _ = json::write(value, &mut bytes);
    bytes
}
