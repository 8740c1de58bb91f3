//! What a daemon keeps on disk, and what it takes up from there when it is started again.

use std::path::Path;
use std::time::Duration;

use super::exit::{Exit, Failure};
use super::run::Daemon;
use super::settings::{Origin, places, random_seed};
use crate::config::Tunnels;
use crate::decode::ports::PortFilter;
use crate::decode::signal::Signal;
use crate::history::{History, Place, Places, Status, make_directory, trace};
use crate::pipeline::engine::{Delivery, Engine};
use crate::pipeline::ingest::{Ingest, IngestConfig};
use crate::pipeline::replay::{Threads, replay};
use crate::pipeline::source::CaptureFiles;
use crate::pipeline::stage::Finished;
use crate::sip::delivery::Arrival;
use crate::table::Digester;
use crate::time::{PacketTime, Span};

/// How far back the traces are read that a restart takes up.
const REACH: Span = Span::from_secs(12 * 3_600);
/// How many bytes of them; as much is read in about a second.
const BYTES: u64 = 256 << 20;

/// An engine whose doings are kept.
pub(super) struct Kept {
    /// The engine, with what it knew before a restart.
    pub(super) engine: Engine,
    /// The writer, where anything is kept.
    pub(super) history: Option<History>,
    /// How the stores fare.
    pub(super) status: Status,
}

/// What was taken up from the traces.
struct Restored {
    engine: Engine,
    files: usize,
    took: Duration,
}

impl Daemon {
    /// Has the engine take up what the traces tell, and keeps what it does from then on.
    ///
    /// `since` is when the capture was opened: what comes from then on is handled, if later.
    pub(super) fn keep(&self, engine: Engine, since: PacketTime) -> Result<Kept, Failure> {
        let status = Status::default();
        let places = self.writable(places(&self.config));
        if places == Places::default() {
            return Ok(Kept { engine, history: None, status });
        }
        let mut engine = match &places.traces {
            Some(place) => self.restore(engine, &place.directory, since)?,
            None => engine,
        };
        let (history, mut recorder) = History::start(places, status.clone())
            .map_err(|error| Failure::new(Exit::Refused, format_args!("cannot start the thread of the history: {error}")))?;
        recorder.begin(&engine.tracker, &engine.detectors.findings, since);
        engine.listen(Box::new(recorder));
        Ok(Kept { engine, history: Some(history), status })
    }

    /// The places that can be used. Without a configuration nobody asked for a history: one that cannot be kept is off. With one it is tried
    /// again until it can.
    fn writable(&self, places: Places) -> Places {
        if self.origin != Origin::Defaults {
            return places;
        }
        let usable = |place: Option<Place>| {
            let place = place?;
            match make_directory(&place.directory) {
                Ok(()) => Some(place),
                Err(error) => {
                    tracing::warn!(directory = %place.directory.display(), %error, "Not kept on disk: the directory cannot be written");
                    None
                }
            }
        };
        let database = usable(places.database);
        // One line is enough where both have the same reason.
        let traces = database.is_some().then(|| usable(places.traces)).flatten();
        Places { database, traces }
    }

    /// Reads the latest traces, without telling anybody of what they tell.
    fn restore(&self, engine: Engine, directory: &Path, now: PacketTime) -> Result<Engine, Failure> {
        let paths = match trace::paths(directory, BYTES, now - REACH) {
            Ok(paths) if paths.is_empty() => return Ok(engine),
            Ok(paths) => paths,
            // Where there are no traces yet, there is nothing to take up.
            Err(error) => {
                tracing::debug!(directory = %directory.display(), %error, "No traces to take up");
                return Ok(engine);
            }
        };
        let source = match CaptureFiles::open(&paths) {
            Ok(source) => source,
            Err(error) => {
                tracing::warn!(%error, "The traces cannot be read; registrations and calls are not taken up");
                return Ok(engine);
            }
        };
        let restored = self.read_traces(source, engine, paths.len(), now)?;
        let tracker = &restored.engine.tracker;
        tracing::info!(
            files = restored.files,
            took_ms = restored.took.as_millis() as u64,
            users = tracker.registrations.aors().count(),
            calls = tracker.calls.iter().count(),
            "Registrations and calls were taken up from the traces"
        );
        Ok(restored.engine)
    }

    fn read_traces(&self, mut source: CaptureFiles, engine: Engine, files: usize, now: PacketTime) -> Result<Restored, Failure> {
        let ports = PortFilter::Only(self.config.capture.ports.ranges().to_vec());
        let ingest = Ingest::new(IngestConfig {
            ports,
            // What came in a tunnel is written without it.
            tunnels: Tunnels::NONE,
            digester: Digester::new(random_seed()?),
            thresholds: self.config.thresholds,
        });
        let begun = wall_clock();
        let observer = |notice: crate::pipeline::stage::Notice<'_>| {
            // The last record of a daemon that was killed is often cut.
            tracing::debug!(?notice, "While traces were taken up");
        };
        let Finished { mut engine, .. } = replay(&mut source, ingest, engine, Threads::available(), &observer)?;
        // siphound saw nothing between the last packet of the traces and now.
        let from = engine.tracker.now();
        let mut hole = Delivery::default();
        hole.batch.push_signal(Arrival { time: now.max(from), frame: 0 }, Signal::Hole { last: from, from });
        engine.take(&hole);
        engine.begin_counting();
        let took = Duration::from_nanos(u64::try_from(wall_clock().since(begun).as_nanos()).unwrap_or(0));
        Ok(Restored { engine, files, took })
    }
}

/// The time on this host's clock.
pub(super) fn wall_clock() -> PacketTime {
    PacketTime::from_nanos(i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX))
}
