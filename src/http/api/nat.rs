//! `/nat`: the NATs in front of the sites.

use std::net::IpAddr;
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
use crate::report::nat::entry;
use crate::report::page::{Page, select};
use crate::track::site::Site;

/// Which sites are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The site, as the report prints it, or an address in it.
    site: Option<String>,
    /// Entries of the page, up to 1000; otherwise 100.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    /// The `next` of the page before.
    #[schemars(regex(pattern = r"^-?[0-9]{1,18}\.[0-9]{1,18}\."))]
    after: Option<String>,
    /// Which end of the list comes first; otherwise the oldest.
    order: Option<Ends>,
}

pub(super) async fn nat<S: EngineSource>(State(shared): State<Arc<Shared<S>>>, uri: Uri) -> Result<Response, Problem> {
    let wanted: Wanted = query::read(&uri)?;
    let paging = query::paging(wanted.limit, wanted.after.as_deref(), wanted.order)?;
    let site = wanted.site.as_deref().map(site_of).transpose()?;
    let look = shared.look(move |view| {
        let tracker = view.tracker;
        let sites = tracker.nat.sites().filter(|(wanted, _)| site.is_none_or(|site| *wanted == site));
        let selected = select(sites.map(|(site, first)| ((first, number(site), ""), site)), &paging);
        Page::of(view.now(), selected, |sites| {
            sites.into_iter().flat_map(|site| tracker.nat.views_of(site)).map(|view| entry(tracker, &view)).collect()
        })
    });
    Ok(json_answer(&look.await?))
}

/// A number that is one of a kind among sites: the address, or the first half of an IPv6 one.
fn number(site: Site) -> u64 {
    match site.address() {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
    }
}

fn site_of(text: &str) -> Result<Site, Problem> {
    let address = text.strip_suffix("/64").unwrap_or(text);
    let refused = |_| Problem::BadRequest("site: an address such as 198.51.100.7 or 2001:db8:1:2::/64".to_owned());
    address.parse().map(Site::of).map_err(refused)
}
