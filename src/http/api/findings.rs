//! `/findings`: what is wrong, and what was.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Problem;
use super::answer::json_answer;
use super::calls::Stage;
use super::query::{self, At, Ends, overlaps, time};
use crate::http::{EngineSource, routes::Shared};
use crate::report::build::finding;
use crate::report::page::{Page, select};
use crate::track::vocabulary::Severity;

/// Which findings are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The id of the catalogue.
    id: Option<String>,
    /// What it is about, as the report prints it.
    subject: Option<String>,
    /// This severity or above.
    severity: Option<Severity>,
    /// Whether they are over.
    state: Option<Stage>,
    /// Leaves out what was over before.
    since: Option<At>,
    /// Leaves out what began later.
    until: Option<At>,
    /// Entries of the page, up to 1000; otherwise 100.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    /// The `next` of the page before.
    #[schemars(regex(pattern = r"^-?[0-9]{1,18}\.[0-9]{1,18}\."))]
    after: Option<String>,
    /// Which end of the list comes first; otherwise the oldest.
    order: Option<Ends>,
}

pub(super) async fn findings<S: EngineSource>(State(shared): State<Arc<Shared<S>>>, uri: Uri) -> Result<Response, Problem> {
    let wanted: Wanted = query::read(&uri)?;
    let paging = query::paging(wanted.limit, wanted.after.as_deref(), wanted.order)?;
    let look = shared.look(move |view| {
        let tracker = view.tracker;
        let printed = |time| tracker.printed(time);
        let all = view.findings.numbered().filter(|(_, found)| {
            wanted.id.as_ref().is_none_or(|id| found.id.as_str() == id)
                && wanted.severity.is_none_or(|least| found.severity >= least)
                && wanted.state.is_none_or(|stage| stage.fits(found.cleared))
                && overlaps(time(wanted.since), time(wanted.until), printed(found.since), found.cleared.map(printed))
                && wanted.subject.as_ref().is_none_or(|subject| found.subject.to_string() == *subject)
        });
        let selected = select(all.map(|(number, found)| ((found.since, number, ""), found)), &paging);
        Page::of(view.now(), selected, |found| found.into_iter().map(|found| finding(tracker, found)).collect())
    });
    let mut page = look.await?;
    page.items.iter_mut().for_each(|entry| shared.mask.finding(entry));
    Ok(json_answer(&page))
}
