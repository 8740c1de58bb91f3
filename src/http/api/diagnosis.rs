//! `/diagnosis`: what is the matter with one user.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Problem;
use super::answer::json_answer;
use super::query::{self, At, time};
use crate::diagnose::{Moment, Question, Scene, diagnose};
use crate::http::{EngineSource, View, routes::Shared};
use crate::report::about::about;
use crate::report::filter::user_of;
use crate::report::mask::Mask;
use crate::report::model::{self, Report, Verdict};
use crate::report::style::Style;
use crate::report::text;

/// Tells the worst finding about the user, or about everybody; it is no part of the verdict.
const WORST: HeaderName = HeaderName::from_static("siphound-worst");

/// What is asked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// An extension, an address-of-record, an address, a Contact, or a dialled number.
    #[schemars(length(min = 1))]
    user: String,
    /// What the user complains about; otherwise whether anything is wrong.
    problem: Option<model::Problem>,
    /// Leaves out calls and findings that were over before.
    since: Option<At>,
    /// Leaves out calls and findings that began later. Registrations are always those of now.
    until: Option<At>,
    /// How the verdict is written; otherwise json.
    format: Option<Form>,
    /// Whether the text has colours for a terminal; otherwise never.
    color: Option<Colors>,
}

/// How a verdict is written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    /// For programs.
    Json,
    /// For people.
    Text,
}

/// Whether a text has colours.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Colors {
    /// It has.
    Always,
    /// It has not.
    Never,
}

pub(super) async fn diagnosis<S: EngineSource>(State(shared): State<Arc<Shared<S>>>, uri: Uri) -> Result<Response, Problem> {
    let asked: Asked = query::read(&uri)?;
    if asked.user.is_empty() {
        return Err(Problem::BadRequest("user: an extension, an address or a dialled number".to_owned()));
    }
    let question =
        Question { user: asked.user, problem: asked.problem, since: time(asked.since), until: time(asked.until), moment: Moment::Any };
    let mask = shared.mask;
    let verdict = shared.look(move |view| answer(view, &question, mask)).await?;
    let worst = verdict.worst.map(|worst| (WORST, HeaderValue::from_static(worst.as_str())));
    let style = if asked.color == Some(Colors::Always) { Style::Colour } else { Style::Plain };
    let mut answer = match asked.format {
        None | Some(Form::Json) => json_answer(&verdict),
        Some(Form::Text) => ([(header::CACHE_CONTROL, "no-store")], text::render_verdict(&verdict, style)).into_response(),
    };
    answer.headers_mut().extend(worst);
    Ok(answer)
}

/// The verdict as of now, with numbers hidden by `mask`.
pub(super) fn answer(view: &View<'_>, question: &Question, mask: Mask) -> Verdict {
    let report = Report { capture: view.capture.clone(), ..about(view.tracker, &question.user) };
    let mut verdict = diagnose(Scene { tracker: view.tracker, findings: view.findings, report: &report }, question);
    if mask.is_on() {
        let registered = report.registrations.iter().map(|entry| entry.aor.as_str());
        let parties = report.calls.iter().flat_map(|call| [&call.from, &call.to]).flatten().map(String::as_str);
        let all = registered.chain(parties).chain([question.user.as_str()]);
        let known: BTreeSet<_> = all.map(user_of).collect();
        mask.verdict(&mut verdict, &known.into_iter().collect::<Vec<_>>());
    }
    verdict
}
