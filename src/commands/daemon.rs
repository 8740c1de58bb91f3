//! Runs the daemon until it is stopped.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError, bounded};
use tokio::sync::oneshot;

use super::exit::{Exit, Failure};
use super::run::{Daemon, Task};
use super::settings::{finding_limits, random_seed, tracker_settings};
use super::stdout::print;
use crate::capture::bpf::filter_text;
use crate::capture::live::{FrameNumbers, Live, LiveOptions, host_addresses};
use crate::decode::frame::LinkType;
use crate::decode::ports::PortFilter;
use crate::http::{Server, SnapshotSource, Unavailable};
use crate::metrics::{DropPlace, Snapshot};
use crate::pipeline::engine::{Engine, Query};
use crate::pipeline::ingest::{Ingest, IngestConfig};
use crate::pipeline::live::{Feed, run};
use crate::pipeline::signals;
use crate::pipeline::stage::{LossPlace, Notice};
use crate::pipeline::stop::stop;
use crate::table::Digester;
use crate::track::Settings;

/// Questions to the engine that may wait at a time; more are refused.
const QUERIES: usize = 16;
/// How long a source that failed is left alone at first.
const RETRY: Duration = Duration::from_secs(1);

impl Daemon {
    /// Captures until it is stopped, or prints the filter.
    pub(super) fn execute(&self) -> Result<Exit, Failure> {
        let filter = filter_text(self.config.capture.ports.ranges(), self.user_filter(), LinkType::ETHERNET)?;
        match self.task {
            Task::PrintFilter => print(|out| writeln!(out, "{filter}"))?,
            Task::Capture => self.capture(&filter)?,
        }
        Ok(Exit::Done)
    }

    fn capture(&self, filter: &str) -> Result<(), Failure> {
        let seed = random_seed()?;
        let own = host_addresses()?.into_iter().filter(|address| !address.is_loopback()).collect::<Vec<IpAddr>>();
        // Nobody asks a daemon for its finished calls.
        let settings = Settings { finished: 0, ..tracker_settings(&self.config, seed, own) };
        let engine = Engine::new(&settings, finding_limits(&self.config));
        let ports = PortFilter::Only(self.config.capture.ports.ranges().to_vec());
        let ingest = Ingest::new(IngestConfig { ports, digester: Digester::new(seed) });
        let (queries, asked) = bounded(QUERIES);
        let losses = Arc::new(Losses::default());
        let source = Scrapes { queries, losses: Arc::clone(&losses), capturing: Arc::new(AtomicBool::new(false)) };
        let capturing = Arc::clone(&source.capturing);
        let server = Server::start(self.config.metrics.listen, source)?;
        let (handle, stopped) = stop();
        let reload = self.reload();
        signals::watch(handle.clone(), reload)
            .map_err(|error| Failure::new(Exit::Refused, format_args!("cannot watch for signals: {error}")))?;
        self.log_start(filter);
        let observer = |notice: Notice<'_>| losses.observe(&notice);
        let result = run(self.feeds(&capturing), ingest, engine, asked, &stopped, &handle, &observer);
        capturing.store(false, Ordering::Relaxed);
        server.stop();
        let finished = result?;
        let frames = finished.engine.frames();
        tracing::info!(frames = frames.frames, sip = frames.sip, "Stopped");
        Ok(())
    }

    fn feeds(&self, capturing: &Arc<AtomicBool>) -> Vec<Feed> {
        let numbers = FrameNumbers::default();
        let names = self.config.capture.interfaces.names();
        let feed = |(index, name): (usize, &String)| {
            let options = self.live_options(name);
            let (numbers, capturing) = (numbers.clone(), Arc::clone(capturing));
            Feed {
                name: name.clone(),
                retry: RETRY,
                open: Box::new(move || {
                    let live = Live::open(&options, index as u16, numbers.clone())?;
                    capturing.store(true, Ordering::Relaxed);
                    tracing::info!(interface = options.interface, filter = live.filter(), "Capturing");
                    Ok(Box::new(live))
                }),
            }
        };
        names.iter().enumerate().map(feed).collect()
    }

    fn live_options(&self, interface: &str) -> LiveOptions {
        let capture = &self.config.capture;
        LiveOptions {
            ports: capture.ports.ranges().to_vec(),
            filter: self.user_filter().map(str::to_owned),
            snaplen: capture.snaplen,
            kernel_buffer: u32::try_from(capture.buffer.get()).unwrap_or(u32::MAX),
            read_timeout: capture.timeout,
            ..LiveOptions::new(interface)
        }
    }

    fn user_filter(&self) -> Option<&str> {
        Some(self.config.capture.filter.as_str()).filter(|filter| !filter.is_empty())
    }

    /// What a HUP does: the configuration is read again and checked. What is captured and where it is served needs a restart.
    fn reload(&self) -> impl FnMut() + Send + 'static {
        let (path, written) = (self.origin.path(), self.written.clone());
        move || {
            let Some(path) = &path else {
                tracing::info!("No configuration file is in use; there is nothing to reload");
                return;
            };
            match crate::config::Config::load(path) {
                Ok(config) if config == written => tracing::info!(path = %path.display(), "The configuration is unchanged"),
                Ok(_) => tracing::warn!(path = %path.display(), "The changed configuration is valid; restart to apply it"),
                Err(error) => tracing::error!(%error, "The configuration is not valid; nothing is changed"),
            }
        }
    }
}

/// What the capture lost, and what became of its sources.
#[derive(Debug, Default)]
struct Losses {
    kernel: AtomicU64,
    interface: AtomicU64,
    queue: AtomicU64,
}

impl Losses {
    fn observe(&self, notice: &Notice<'_>) {
        match notice {
            Notice::Lost(place, count) => {
                let counter = match place {
                    LossPlace::Kernel => &self.kernel,
                    LossPlace::Interface => &self.interface,
                    LossPlace::Queue => &self.queue,
                };
                counter.fetch_add(*count, Ordering::Relaxed);
            }
            Notice::Failed { source, error, again } => {
                tracing::error!(interface = source, %error, again_s = again.as_secs(), "Capture failed; absences are not concluded until it is back");
            }
            Notice::Recovered { source } => tracing::info!(interface = source, "Capturing again"),
            Notice::Note(note) => tracing::warn!("{note}"),
        }
    }

    fn counts(&self) -> [(DropPlace, u64); 3] {
        [
            (DropPlace::Kernel, self.kernel.load(Ordering::Relaxed)),
            (DropPlace::Interface, self.interface.load(Ordering::Relaxed)),
            (DropPlace::Queue, self.queue.load(Ordering::Relaxed)),
        ]
    }
}

/// Asks the engine for its numbers on behalf of the HTTP server.
struct Scrapes {
    queries: Sender<Query>,
    losses: Arc<Losses>,
    capturing: Arc<AtomicBool>,
}

impl SnapshotSource for Scrapes {
    async fn snapshot(&self) -> Result<Snapshot, Unavailable> {
        let (reply, answer) = oneshot::channel();
        let lost = self.losses.counts();
        let query: Query = Box::new(move |engine| {
            // Whoever asked may have gone away meanwhile.
            let _ = reply.send(engine.snapshot(&lost));
        });
        self.queries.try_send(query).map_err(|error| match error {
            TrySendError::Full(_) => Unavailable::Busy,
            TrySendError::Disconnected(_) => Unavailable::EngineStopped,
        })?;
        answer.await.map_err(|_| Unavailable::EngineStopped)
    }

    fn readiness(&self) -> Result<(), Unavailable> {
        if self.capturing.load(Ordering::Relaxed) { Ok(()) } else { Err(Unavailable::Starting) }
    }
}
