//! How the stores fare, for the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use crate::time::PacketTime;

/// A store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Store {
    /// The history.
    Database,
    /// The traces.
    Traces,
}

/// Why a record was dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loss {
    /// The writer could not follow.
    Queue,
    /// The store could not be written.
    Write,
    /// What it is of was evicted from its table before it could be copied.
    Evicted,
}

/// How the stores fare; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Status(Arc<[Numbers; 2]>);

#[derive(Debug)]
struct Numbers {
    on: AtomicBool,
    lost: [AtomicU64; 3],
    bytes: AtomicU64,
    /// Nanoseconds since the epoch; [`UNKNOWN`] where nothing is stored.
    oldest: AtomicI64,
    /// Since when it is down; [`UNKNOWN`] where it is not.
    down: AtomicI64,
}

/// No time.
const UNKNOWN: i64 = i64::MIN;

impl Default for Numbers {
    fn default() -> Self {
        Self {
            on: AtomicBool::new(false),
            lost: Default::default(),
            bytes: AtomicU64::new(0),
            oldest: AtomicI64::new(UNKNOWN),
            down: AtomicI64::new(UNKNOWN),
        }
    }
}

impl Status {
    /// Whether the store is kept at all.
    pub fn is_on(&self, store: Store) -> bool {
        self.of(store).on.load(Ordering::Relaxed)
    }

    /// Records dropped so far.
    pub fn lost(&self, store: Store, loss: Loss) -> u64 {
        self.of(store).lost[loss as usize].load(Ordering::Relaxed)
    }

    /// Bytes on disk.
    pub fn bytes(&self, store: Store) -> u64 {
        self.of(store).bytes.load(Ordering::Relaxed)
    }

    /// How far back it reaches.
    pub fn oldest(&self, store: Store) -> Option<PacketTime> {
        time(&self.of(store).oldest)
    }

    /// Since when it is down, if it is.
    pub fn down_since(&self, store: Store) -> Option<PacketTime> {
        time(&self.of(store).down)
    }

    /// Takes note that the store is kept.
    pub(super) fn set_on(&self, store: Store) {
        self.of(store).on.store(true, Ordering::Relaxed);
    }

    /// Counts dropped records.
    pub(super) fn lose(&self, store: Store, loss: Loss, count: u64) {
        self.of(store).lost[loss as usize].fetch_add(count, Ordering::Relaxed);
    }

    /// Takes note of what is stored.
    pub(super) fn set_extent(&self, store: Store, bytes: u64, oldest: Option<PacketTime>) {
        self.of(store).bytes.store(bytes, Ordering::Relaxed);
        self.of(store).oldest.store(oldest.map_or(UNKNOWN, PacketTime::as_nanos), Ordering::Relaxed);
    }

    /// Takes note of since when it is down.
    pub(super) fn set_down(&self, store: Store, since: Option<PacketTime>) {
        self.of(store).down.store(since.map_or(UNKNOWN, PacketTime::as_nanos), Ordering::Relaxed);
    }

    fn of(&self, store: Store) -> &Numbers {
        &self.0[store as usize]
    }
}

fn time(nanos: &AtomicI64) -> Option<PacketTime> {
    Some(nanos.load(Ordering::Relaxed)).filter(|nanos| *nanos != UNKNOWN).map(PacketTime::from_nanos)
}
