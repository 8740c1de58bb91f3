//! `/calls`: calls in progress, and those that ended lately.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Problem;
use super::answer::json_answer;
use super::query::{self, At, Ends, overlaps, time};
use crate::http::{EngineSource, routes::Shared};
use crate::report::about::takes_part;
use crate::report::build::{records, some_calls};
use crate::report::page::{Page, select};
use crate::track::vocabulary::Outcome;

/// Which calls are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// A party by its user part, or an address.
    user: Option<String>,
    /// Whether the calls are over.
    state: Option<Stage>,
    /// How the attempt came out.
    outcome: Option<Outcome>,
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

/// Whether something is over.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stage {
    /// Not yet.
    Open,
    /// It is.
    Ended,
}

impl Stage {
    /// Whether something with or without an end is what is wanted.
    pub(super) fn fits<T>(self, end: Option<T>) -> bool {
        (self == Self::Ended) == end.is_some()
    }
}

pub(super) async fn calls<S: EngineSource>(State(shared): State<Arc<Shared<S>>>, uri: Uri) -> Result<Response, Problem> {
    let wanted: Wanted = query::read(&uri)?;
    let paging = query::paging(wanted.limit, wanted.after.as_deref(), wanted.order)?;
    let look = shared.look(move |view| {
        let tracker = view.tracker;
        let printed = |time| tracker.printed(time);
        let all = records(tracker).filter(|kept| {
            let record = &kept.record;
            wanted.state.is_none_or(|stage| stage.fits(record.ended))
                && overlaps(time(wanted.since), time(wanted.until), printed(record.started), record.ended.map(printed))
                && wanted.user.as_ref().is_none_or(|user| takes_part(record, user))
                && wanted.outcome.is_none_or(|outcome| kept.outcome() == outcome)
        });
        let keyed = all.map(|kept| ((kept.record.started, kept.record.first_frame, kept.record.call_id), kept));
        let selected = select(keyed, &paging);
        Page::of(view.now(), selected, |kept| some_calls(tracker, &kept))
    });
    let mut page = look.await?;
    page.items.iter_mut().for_each(|entry| shared.mask.call(entry));
    Ok(json_answer(&page))
}
