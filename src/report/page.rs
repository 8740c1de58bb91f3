//! Parts of long lists: a limit, and a mark of where the part before ended.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Serialize;

use super::model::{SCHEMA, Stamp};
use crate::time::PacketTime;

/// What orders a list: time first, then a number and a name that make it one of a kind.
pub type Key<'a> = (PacketTime, u64, &'a str);

/// Which end of a list comes first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Order {
    /// As in the report.
    #[default]
    Oldest,
    /// The other way round.
    Newest,
}

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default)]
pub struct Paging {
    /// Entries at most.
    pub limit: usize,
    /// The part begins behind this entry.
    pub after: Option<Cursor>,
    /// Which end comes first.
    pub order: Order,
}

/// The place of an entry in its list; it holds its place when entries before it go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cursor {
    at: PacketTime,
    number: u64,
    name: String,
}

impl Cursor {
    fn of(&(at, number, name): &Key<'_>) -> Self {
        Self { at, number, name: name.to_owned() }
    }

    fn key(&self) -> Key<'_> {
        (self.at, self.number, &self.name)
    }
}

/// `1769850000000000000.12.name`
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.at.as_nanos(), self.number, self.name)
    }
}

/// A text that no list gave out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the value of `next` of the page before is wanted")]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or(NoCursor);
        let at = PacketTime::from_nanos(part()?.parse().map_err(|_| NoCursor)?);
        let number = part()?.parse().map_err(|_| NoCursor)?;
        Ok(Self { at, number, name: part()?.to_owned() })
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub struct Page<T> {
    /// Version of the entries.
    pub schema: u32,
    /// The moment that the page holds for; null before the first packet.
    pub now: Option<Stamp>,
    /// Entries of the whole list that the filters let through.
    pub matched: u64,
    /// The entries of this part.
    pub items: Vec<T>,
    /// What to give as `after` for the next part; null where this was the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page of entries made from what was selected.
    pub fn of<S>(now: Option<Stamp>, selected: Selected<S>, make: impl FnOnce(Vec<S>) -> Vec<T>) -> Self {
        let next = selected.next.as_ref().map(ToString::to_string);
        Self { schema: SCHEMA, now, matched: selected.matched, items: make(selected.items), next }
    }
}

/// What belongs to a part of a list.
#[derive(Debug)]
pub struct Selected<T> {
    matched: u64,
    items: Vec<T>,
    next: Option<Cursor>,
}

/// Picks a part out of `all`, which may come in any order. Holds no more than the part at a time.
pub fn select<'a, T>(all: impl Iterator<Item = (Key<'a>, T)>, paging: &Paging) -> Selected<T> {
    let mut kept = BTreeMap::new();
    let (mut matched, mut left_over) = (0, false);
    let after = paging.after.as_ref().map(Cursor::key);
    for (key, item) in all {
        matched += 1;
        let follows = match paging.order {
            Order::Oldest => after.is_none_or(|after| key > after),
            Order::Newest => after.is_none_or(|after| key < after),
        };
        if !follows {
            continue;
        }
        kept.insert(key, item);
        if kept.len() > paging.limit {
            left_over = true;
            match paging.order {
                Order::Oldest => kept.pop_last(),
                Order::Newest => kept.pop_first(),
            };
        }
    }
    let last = match paging.order {
        Order::Oldest => kept.last_key_value(),
        Order::Newest => kept.first_key_value(),
    };
    let next = last.filter(|_| left_over).map(|(key, _)| Cursor::of(key));
    let mut items: Vec<_> = kept.into_values().collect();
    if paging.order == Order::Newest {
        items.reverse();
    }
    Selected { matched, items, next }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(times: &[i64]) -> Vec<(Key<'static>, i64)> {
        times.iter().map(|&time| ((PacketTime::from_nanos(time), 0, "a.b"), time)).collect()
    }

    /// All parts of a list, one after the other.
    fn parts(all: &[(Key<'static>, i64)], order: Order, limit: usize) -> Vec<Vec<i64>> {
        let (mut parts, mut after) = (Vec::new(), None);
        loop {
            let selected = select(all.iter().copied(), &Paging { limit, after, order });
            assert_eq!(selected.matched, all.len() as u64);
            parts.push(selected.items);
            let Some(next) = selected.next else { return parts };
            after = Some(next.to_string().parse().expect("a cursor is read back"));
        }
    }

    #[test]
    fn parts_follow_each_other_in_either_order() {
        let all = list(&[30, 10, 50, 20, 40]);
        assert_eq!(parts(&all, Order::Oldest, 2), [vec![10, 20], vec![30, 40], vec![50]]);
        assert_eq!(parts(&all, Order::Newest, 2), [vec![50, 40], vec![30, 20], vec![10]]);
        assert_eq!(parts(&all, Order::Oldest, 5), [vec![10, 20, 30, 40, 50]], "a full last part has no next");
        assert_eq!(parts(&[], Order::Oldest, 5), [Vec::<i64>::new()]);
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["", "1", "1.2", "x.2.c", "1.-2.c", "99999999999999999999.1.c"] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_told_twice(times in prop::collection::btree_set(any::<i64>(), 0..40), limit in 1_usize..10) {
            let all = list(&times.iter().copied().collect::<Vec<_>>());
            let told: Vec<_> = parts(&all, Order::Oldest, limit).concat();
            prop_assert_eq!(told, times.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn a_cursor_survives_any_name(at in any::<i64>(), number in any::<u64>(), name in any::<String>()) {
            let cursor = Cursor { at: PacketTime::from_nanos(at), number, name };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
    }
}
