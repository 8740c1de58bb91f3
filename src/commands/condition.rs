//! What the capture lost, and where its sources stand.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::http::Unavailable;
use crate::metrics::DropPlace;
use crate::pipeline::stage::{LossPlace, Notice};

/// Where a source stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Source {
    /// It is not read yet.
    Opening,
    /// It is read.
    Open,
    /// It failed, and is read again when possible.
    Failed,
}

/// What the capture lost, and where its sources stand.
#[derive(Debug)]
pub(super) struct Condition {
    kernel: AtomicU64,
    interface: AtomicU64,
    queue: AtomicU64,
    sources: Mutex<BTreeMap<String, Source>>,
}

impl Condition {
    pub(super) fn new(names: &[String]) -> Self {
        let sources = names.iter().map(|name| (name.clone(), Source::Opening)).collect();
        Self { kernel: AtomicU64::new(0), interface: AtomicU64::new(0), queue: AtomicU64::new(0), sources: Mutex::new(sources) }
    }

    /// Takes note of where a source stands.
    pub(super) fn set(&self, name: &str, now: Source) {
        self.sources().insert(name.to_owned(), now);
    }

    /// Takes note that all sources are read that have not failed meanwhile.
    pub(super) fn begin(&self) {
        self.sources().values_mut().filter(|source| **source == Source::Opening).for_each(|source| *source = Source::Open);
    }

    /// How many sources there are.
    pub(super) fn sources_count(&self) -> usize {
        self.sources().len()
    }

    pub(super) fn readiness(&self) -> Result<(), Unavailable> {
        let sources = self.sources();
        match sources.values().find(|&&source| source != Source::Open) {
            None => Ok(()),
            Some(Source::Failed) => Err(Unavailable::CaptureClosed),
            Some(_) => Err(Unavailable::Starting),
        }
    }

    /// Where the sources stand, in a line.
    pub(super) fn line(&self) -> String {
        let sources = self.sources();
        let names = |wanted: fn(Source) -> bool| {
            let names: Vec<_> = sources.iter().filter(|(_, source)| wanted(**source)).map(|(name, _)| name.as_str()).collect();
            names.join(", ")
        };
        let (open, closed) = (names(|source| source == Source::Open), names(|source| source != Source::Open));
        match (open.is_empty(), closed.is_empty()) {
            (_, true) => format!("Capturing on {open}"),
            (true, false) => format!("Not capturing: {closed}"),
            (false, false) => format!("Capturing on {open}; not on {closed}"),
        }
    }

    fn sources(&self) -> MutexGuard<'_, BTreeMap<String, Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn observe(&self, notice: &Notice<'_>) {
        match notice {
            Notice::Lost(place, count) => {
                let counter = match place {
                    LossPlace::Kernel => &self.kernel,
                    LossPlace::Interface => &self.interface,
                    LossPlace::Queue => &self.queue,
                };
                if counter.fetch_add(*count, Ordering::Relaxed) == 0 {
                    let place = place.as_str();
                    tracing::warn!(place, count, "Frames were lost; siphound_capture_dropped_total counts these and all further ones");
                }
            }
            Notice::Failed { source, error, again } => {
                self.set(source, Source::Failed);
                tracing::error!(interface = source, %error, again_s = again.as_secs(), "Capture failed; absences are not concluded until it is back");
            }
            Notice::Recovered { source } => {
                self.set(source, Source::Open);
                tracing::info!(interface = source, "Capturing again");
            }
            Notice::Stepped(by) => {
                tracing::warn!(%by, "The system's clock was set; nothing is concluded from what is missing across the step");
            }
            Notice::Note(note) => tracing::warn!("{note}"),
        }
    }

    pub(super) fn counts(&self) -> [(DropPlace, u64); 3] {
        [
            (DropPlace::Kernel, self.kernel.load(Ordering::Relaxed)),
            (DropPlace::Interface, self.interface.load(Ordering::Relaxed)),
            (DropPlace::Queue, self.queue.load(Ordering::Relaxed)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_what_is_read_and_what_is_not() {
        let condition = Condition::new(&["eth0".to_owned(), "eth1".to_owned()]);
        assert_eq!(condition.line(), "Not capturing: eth0, eth1");
        condition.set("eth1", Source::Failed);
        condition.begin();
        assert_eq!(condition.line(), "Capturing on eth0; not on eth1");
        assert_eq!(condition.readiness(), Err(Unavailable::CaptureClosed));
        condition.set("eth1", Source::Open);
        assert_eq!(condition.line(), "Capturing on eth0, eth1");
        assert_eq!(condition.readiness(), Ok(()));
    }
}
