//! Runs the daemon until it is stopped.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError, bounded};
use tokio::sync::oneshot;

use super::condition::Condition;
use super::exit::{Exit, Failure};
use super::keeping::{Kept, wall_clock};
use super::run::{Daemon, Task};
use super::serving::servings;
use super::settings::{finding_limits, host_name, random_seed, tracker_settings};
use super::stdout::print;
use super::supervisor::{AskInHand, InHand, Supervisor};
use crate::alert::{AskOpen, Change, Fate, Notifier, NotifierCounts, OpenFindings, SinkKind};
use crate::config::{Thresholds, Tunnels};
use crate::decode::frame::LinkType;
use crate::decode::outcome::Skip;
use crate::decode::ports::PortFilter;
use crate::history::{Loss, Status, Store};
use crate::http::{Assistants, EngineSource, Events, Server, SnapshotSource, Unavailable, View};
use crate::metrics::{HistoryTally, LossLabel, NotificationResult, NotificationSink, Snapshot, StoreLabel};
use crate::pipeline::engine::{Engine, Query};
use crate::pipeline::ingest::{Ingest, IngestConfig};
use crate::pipeline::live::{Control, Feed, open, run};
use crate::pipeline::pulse::Pulse;
use crate::pipeline::signals;
use crate::pipeline::source::{ANY, CaptureError, FrameNumbers, Live, LiveOptions, check_filter, filter_text, host_addresses};
use crate::pipeline::stage::Notice;
use crate::pipeline::stop::stop;
use crate::report::mask::Mask;
use crate::table::Digester;
use crate::time::Span;
use crate::track::Settings;

/// Questions to the engine that may wait at a time; more are refused.
const QUERIES: usize = 16;
/// How long the notifications wait for the engine.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a source that failed is left alone at first.
const RETRY: Duration = Duration::from_secs(1);

impl Daemon {
    /// Captures until it is stopped, or prints the filter; what names people passes through `mask`.
    pub(super) fn execute(&self, mask: Mask) -> Result<Exit, Failure> {
        self.check_filter()?;
        match self.task {
            Task::PrintFilter => self.print_filters(),
            Task::Capture => self.capture(mask),
        }
        .map(|()| Exit::Done)
    }

    /// Refuses a filter of the user that is none, before anything else can fail.
    fn check_filter(&self) -> Result<(), CaptureError> {
        let filter = self.user_filter().unwrap_or_default();
        self.config.capture.interfaces.names().iter().try_for_each(|name| check_filter(filter, likely_link(name)))
    }

    /// Prints the filters for the interfaces, each once, as far as their kind can be told before they are open.
    fn print_filters(&self) -> Result<(), Failure> {
        let mut filters = Vec::new();
        for name in self.config.capture.interfaces.names() {
            let filter = filter_text(self.config.capture.ports.ranges(), self.tunnels(), self.user_filter(), likely_link(name))?;
            if !filters.contains(&filter) {
                filters.push(filter);
            }
        }
        print(|out| filters.iter().try_for_each(|filter| writeln!(out, "{filter}")))
    }

    /// What hides the numbers of people in all that leaves the process, the log among it.
    pub(super) fn mask(&self) -> Result<Mask, Failure> {
        Ok(if self.config.privacy.mask_numbers { Mask::keyed(random_seed()?) } else { Mask::none() })
    }

    fn capture(&self, mask: Mask) -> Result<(), Failure> {
        let seed = random_seed()?;
        let servings = servings(&self.config)?;
        // A replay ends; a daemon would gather as many as it may in the course of the days.
        let settings =
            Settings { finished: self.config.limits.recent_calls as usize, ..tracker_settings(&self.config, seed, host_addresses()?) };
        let mut engine = Engine::new(&settings, finding_limits(&self.config));
        let since = wall_clock();
        let opened = open(self.feeds())?;
        // There is no other thread yet: each gets what this one has left.
        self.confine()?;
        engine.label(&self.config);
        engine.remember(seed, self.config.limits.recent_messages as usize);
        // What a restart takes up is told to nobody, so those who hear of what happens come after it.
        let Kept { mut engine, history, status } = self.keep(engine, since)?;
        let events = Arc::new(Events::new(mask));
        engine.listen(Box::new(events.listener()));
        let assistants = Arc::new(Assistants::default());
        engine.listen(Box::new(assistants.listener()));
        let ports = PortFilter::Only(self.config.capture.ports.ranges().to_vec());
        let ingest = Ingest::new(IngestConfig {
            ports,
            tunnels: self.tunnels(),
            digester: Digester::new(seed),
            thresholds: self.ingest_thresholds(),
        });
        let (queries, asked) = bounded(QUERIES);
        let condition = Arc::new(Condition::new(self.config.capture.interfaces.names()));
        let (notifier, listener) = Notifier::start(&self.config, &host_name(), mask, ask_open(queries.clone(), mask))?;
        engine.listen(Box::new(listener));
        let in_hand = ask_in_hand(queries.clone());
        let source = Scrapes { queries, condition: Arc::clone(&condition), notified: notifier.counts(), events, assistants, status };
        let start = |serving| Server::start(serving, mask, source.clone());
        let servers = servings.into_iter().map(start).collect::<Result<Vec<_>, _>>()?;
        let (handle, stopped) = stop();
        let reload = self.reload(notifier.reloader());
        signals::watch(handle.clone(), reload)
            .map_err(|error| Failure::new(Exit::Refused, format_args!("cannot watch for signals: {error}")))?;
        self.log_start();
        let pulse = Pulse::default();
        let supervisor =
            Supervisor { pulse: pulse.clone(), stop: stopped.clone(), handle: handle.clone(), condition: Arc::clone(&condition), in_hand };
        let supervised = supervisor.start()?;
        let observer = |notice: Notice<'_>| condition.observe(&notice);
        let result = run(opened, ingest, engine, asked, Control { stop: &stopped, handle: &handle, pulse: &pulse, observer: &observer });
        servers.into_iter().for_each(Server::stop);
        // The listeners have handed on all they knew and go with the engine; their writers end with them, also when the capture failed.
        let frames = result.map(|finished| finished.engine.frames());
        notifier.stop();
        if let Some(history) = history {
            history.finish();
        }
        supervised.end()?;
        let frames = frames?;
        tracing::info!(frames = frames.frames, sip = frames.sip, "Stopped");
        Ok(())
    }

    fn feeds(&self) -> Vec<Feed> {
        let numbers = FrameNumbers::default();
        let capture = &self.config.capture;
        let names = capture.interfaces.names();
        let tunnels: Vec<_> = capture.tunnels.iter().map(|tunnel| tunnel.as_str()).collect();
        let tunnels = if tunnels.is_empty() { "none".to_owned() } else { tunnels.join(", ") };
        let feed = |(index, name): (usize, &String)| {
            let options = self.live_options(name);
            let (numbers, ports, tunnels) = (numbers.clone(), capture.ports.to_string(), tunnels.clone());
            Feed {
                name: name.clone(),
                retry: RETRY,
                open: Box::new(move || {
                    let live = Live::open(&options, index as u16, numbers.clone())?;
                    let (interface, filter) = (&options.interface, options.filter.as_deref());
                    tracing::info!(interface, ports, tunnels, filter, "The capture is open");
                    tracing::debug!(interface, filter = live.filter(), "The filter in force");
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
            tunnels: self.tunnels(),
            filter: self.user_filter().map(str::to_owned),
            snaplen: capture.snaplen,
            kernel_buffer: u32::try_from(capture.buffer.get()).unwrap_or(u32::MAX),
            read_timeout: capture.timeout,
            ..LiveOptions::new(interface)
        }
    }

    /// The thresholds with a window in which frames of several interfaces find their order: each interface hands its own over in batches,
    /// and one may still hold what is older than all that another has handed over.
    pub(super) fn ingest_thresholds(&self) -> Thresholds {
        let names = self.config.capture.interfaces.names();
        let lags = names.iter().filter(|_| names.len() > 1).map(|name| self.live_options(name).lag());
        let thresholds = self.config.thresholds;
        Thresholds { reorder_window: lags.fold(thresholds.reorder_window, Span::max), ..thresholds }
    }

    fn tunnels(&self) -> Tunnels {
        self.config.capture.tunnels.iter().copied().collect()
    }

    fn user_filter(&self) -> Option<&str> {
        Some(self.config.capture.filter.as_str()).filter(|filter| !filter.is_empty())
    }
}

/// What the stores fared, as Prometheus wants it.
fn history_tally(status: &Status) -> HistoryTally {
    let mut tally = HistoryTally::default();
    for (store, label) in [(Store::Database, StoreLabel::Database), (Store::Traces, StoreLabel::Traces)] {
        let reasons = [(Loss::Queue, LossLabel::Queue), (Loss::Write, LossLabel::Write), (Loss::Evicted, LossLabel::Evicted)];
        for (loss, reason) in reasons {
            tally.set_dropped(label, reason, status.lost(store, loss));
        }
        let down = status.down_since(store);
        tally.up.set(label, if status.is_on(store) && down.is_none() { 1.0 } else { 0.0 });
        tally.bytes.set(label, status.bytes(store) as f64);
        if let Some(down) = down {
            tally.down_since.set(label, down.as_secs_f64());
        }
        if let Some(oldest) = status.oldest(store) {
            tally.oldest.set(label, oldest.as_secs_f64());
        }
    }
    tally
}

/// Lets the notifications ask for what is open.
fn ask_open(queries: Sender<Query>, mask: Mask) -> AskOpen {
    Box::new(move || {
        let (reply, answer) = bounded(1);
        let query: Query = Box::new(move |engine| {
            let open = engine.detectors.findings.open().map(|finding| Change::open(&engine.tracker, finding, &mask));
            // Whoever asked may have given up meanwhile.
            let _ = reply.send(OpenFindings { at: engine.tracker.now(), findings: open.collect() });
        });
        queries.try_send(query).ok()?;
        answer.recv_timeout(PATIENCE).ok()
    })
}

/// Lets the supervisor ask what the engine has in hand.
fn ask_in_hand(queries: Sender<Query>) -> AskInHand {
    Box::new(move || {
        let (reply, answer) = bounded(1);
        let query: Query = Box::new(move |engine| {
            let frames = engine.frames();
            let in_hand = InHand {
                calls: engine.tracker.calls.iter().count(),
                findings: engine.detectors.findings.open().count(),
                unread: Skip::ALL.into_iter().filter(|reason| frames.skipped(*reason) > 0).filter_map(Skip::tunnel).collect(),
            };
            // Whoever asked may have given up meanwhile.
            let _ = reply.send(in_hand);
        });
        queries.try_send(query).ok()?;
        answer.recv_timeout(PATIENCE).ok()
    })
}

/// The link type of frames of an interface that is not open yet.
fn likely_link(interface: &str) -> LinkType {
    if interface == ANY { LinkType::LINUX_SLL } else { LinkType::ETHERNET }
}

/// Asks the engine on behalf of the HTTP servers.
#[derive(Clone)]
struct Scrapes {
    queries: Sender<Query>,
    condition: Arc<Condition>,
    notified: NotifierCounts,
    events: Arc<Events>,
    assistants: Arc<Assistants>,
    status: Status,
}

impl Scrapes {
    /// Adds what became of the notifications.
    fn complete(&self, mut snapshot: Snapshot) -> Snapshot {
        for (sink, fate, count) in self.notified.all() {
            snapshot.outputs.set_notifications(sink_label(sink), fate_label(fate), count);
        }
        snapshot.history = history_tally(&self.status);
        snapshot
    }

    /// Has the engine answer a question between two batches.
    async fn ask<T: Send + 'static>(&self, question: impl FnOnce(&mut Engine) -> T + Send + 'static) -> Result<T, Unavailable> {
        let (reply, answer) = oneshot::channel();
        let query: Query = Box::new(move |engine| {
            // Whoever asked may have gone away meanwhile, and there may be no need to look.
            if !reply.is_closed() {
                let _ = reply.send(question(engine));
            }
        });
        self.queries.try_send(query).map_err(|error| match error {
            TrySendError::Full(_) => Unavailable::Busy,
            TrySendError::Disconnected(_) => Unavailable::EngineStopped,
        })?;
        answer.await.map_err(|_| Unavailable::EngineStopped)
    }
}

const fn sink_label(sink: SinkKind) -> NotificationSink {
    match sink {
        SinkKind::Policy => NotificationSink::Policy,
        SinkKind::Log => NotificationSink::Log,
        SinkKind::Alertmanager => NotificationSink::Alertmanager,
        SinkKind::Webhook => NotificationSink::Webhook,
        SinkKind::Command => NotificationSink::Command,
    }
}

const fn fate_label(fate: Fate) -> NotificationResult {
    match fate {
        Fate::Sent => NotificationResult::Sent,
        Fate::Failed => NotificationResult::Failed,
        Fate::Dropped => NotificationResult::Dropped,
        Fate::Retried => NotificationResult::Retried,
    }
}

impl SnapshotSource for Scrapes {
    async fn snapshot(&self) -> Result<Snapshot, Unavailable> {
        let lost = self.condition.counts();
        let mut snapshot = self.ask(move |engine| engine.snapshot(&lost)).await?;
        snapshot.capture.set_event_streams_cut(self.events.cut());
        Ok(self.complete(snapshot))
    }

    fn readiness(&self) -> Result<(), Unavailable> {
        self.condition.readiness()
    }
}

impl EngineSource for Scrapes {
    fn assistants(&self) -> &Arc<Assistants> {
        &self.assistants
    }

    fn events(&self) -> &Arc<Events> {
        &self.events
    }

    async fn look<T, F>(&self, look: F) -> Result<T, Unavailable>
    where
        T: Send + 'static,
        F: FnOnce(&View<'_>) -> T + Send + 'static,
    {
        self.ask(|engine| look(&engine.view())).await
    }
}
