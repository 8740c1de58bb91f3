//! What requests say in their query strings.

use axum::extract::Query;
use axum::http::Uri;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};

use super::Problem;
use crate::config::parse_moment;
use crate::report::page::{Order, Paging};
use crate::time::PacketTime;

/// Entries of a page where nothing is said.
const LIMIT: usize = 100;
/// Entries of a page at most.
const LIMIT_MAX: usize = 1_000;

/// Reads the query string; a key that is not known is refused, with those that are.
pub(super) fn read<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    Query::<T>::try_from_uri(uri).map(|query| query.0).map_err(|refused| {
        let cause = std::error::Error::source(&refused).map(ToString::to_string);
        Problem::BadRequest(format!("the query: {}", cause.unwrap_or_else(|| refused.to_string())))
    })
}

/// A moment, in any of the forms of the command line.
#[derive(Clone, Copy, Debug)]
pub(super) struct At(pub(super) PacketTime);

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_moment(&text).map(Self).map_err(D::Error::custom)
    }
}

impl JsonSchema for At {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339; `YYYY-MM-DD HH:MM` in UTC and seconds since 1970 are understood too",
            "examples": ["2026-01-31T09:00:00Z"],
        })
    }
}

/// The moment itself.
pub(super) fn time(at: Option<At>) -> Option<PacketTime> {
    at.map(|at| at.0)
}

/// Which end of a list comes first.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Ends {
    /// As in the report.
    #[default]
    Oldest,
    /// The other way round.
    Newest,
}

/// The part of a list that is wanted.
pub(super) fn paging(limit: Option<usize>, after: Option<&str>, order: Option<Ends>) -> Result<Paging, Problem> {
    let limit = limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::BadRequest(format!("limit: from 1 to {LIMIT_MAX}")));
    }
    let after = after.map(str::parse).transpose().map_err(|refused| Problem::BadRequest(format!("after: {refused}")))?;
    let order = match order.unwrap_or_default() {
        Ends::Oldest => Order::Oldest,
        Ends::Newest => Order::Newest,
    };
    Ok(Paging { limit, after, order })
}

/// Whether something that began at `start` and, where known, was over at `end` falls into the time asked for.
pub(super) fn overlaps(since: Option<PacketTime>, until: Option<PacketTime>, start: PacketTime, end: Option<PacketTime>) -> bool {
    let over = end.is_some_and(|end| since.is_some_and(|since| end < since));
    let later = until.is_some_and(|until| start > until);
    !over && !later
}
