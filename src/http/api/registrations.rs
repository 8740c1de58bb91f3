//! `/registrations`: addresses-of-record and their devices.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Problem;
use super::answer::json_answer;
use super::query::{self, Ends};
use crate::http::{EngineSource, routes::Shared};
use crate::report::about::names;
use crate::report::build::registration;
use crate::report::page::{Page, select};
use crate::track::vocabulary::{Reachability, RegistrationState};

/// Which registrations are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// An address-of-record, its user part, or the address or Contact of a device.
    user: Option<String>,
    /// Where the registration stands.
    state: Option<RegistrationState>,
    /// Whether the PBX reaches a device of it.
    reachability: Option<Reachability>,
    /// Entries of the page, up to 1000; otherwise 100.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    /// The `next` of the page before.
    #[schemars(regex(pattern = r"^-?[0-9]{1,18}\.[0-9]{1,18}\."))]
    after: Option<String>,
    /// Which end of the list comes first; otherwise the oldest.
    order: Option<Ends>,
}

pub(super) async fn registrations<S: EngineSource>(State(shared): State<Arc<Shared<S>>>, uri: Uri) -> Result<Response, Problem> {
    let wanted: Wanted = query::read(&uri)?;
    let paging = query::paging(wanted.limit, wanted.after.as_deref(), wanted.order)?;
    let look = shared.look(move |view| {
        let tracker = view.tracker;
        let reached = |state| move |device: &crate::track::registration::device::Device| device.probes.reachability == state;
        let all = tracker.registrations.aors().map(|(_, aor)| aor).filter(|aor| {
            let mut devices = aor.devices.iter().filter_map(|&handle| tracker.registrations.device(handle));
            wanted.state.is_none_or(|state| tracker.registrations.state(aor) == state)
                && wanted.reachability.is_none_or(|state| devices.any(reached(state)))
                && wanted.user.as_ref().is_none_or(|user| names(tracker, aor, user))
        });
        let selected = select(all.map(|aor| ((aor.first_seen, 0, &*aor.name), aor)), &paging);
        Page::of(view.now(), selected, |aors| aors.into_iter().map(|aor| registration(tracker, aor)).collect())
    });
    let mut page = look.await?;
    page.items.iter_mut().for_each(|entry| shared.mask.registration(entry));
    Ok(json_answer(&page))
}
