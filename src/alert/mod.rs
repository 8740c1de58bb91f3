//! Who is told of findings: Alertmanager, webhooks, commands, and the log.
//!
//! The engine tells an [`AlertListener`], which hands on to a thread without ever waiting. There a policy decides what is told and when,
//! by the time of the packets: one message for a site, not one for each of its phones; each thing once; not more messages than somebody
//! can read. Each sink then has a thread and a bounded queue of its own, tries again where it makes sense, and counts what it gives up.
//!
//! ```text
//! engine ─► listener ─► policy ─► log
//!                          ├────► webhooks, commands   (messages: grouped, limited)
//!                          └────► Alertmanagers        (alerts: one for each finding)
//! ```

mod change;
mod counts;
mod dispatcher;
mod listener;
mod message;
mod policy;
mod reload;
mod sink;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

pub use self::change::{Change, Group, Input, OpenFindings};
pub use self::counts::{Counts, Fate, SinkKind};
pub use self::dispatcher::AskOpen;
pub use self::listener::AlertListener;
pub use self::message::{Listed, Message, MessageKind, Status};
pub use self::reload::Reloader;
pub use self::sink::http::BadSecret;

use self::dispatcher::Dispatcher;
use self::listener::Shared;
use self::message::Draft;
use self::policy::{Policy, Rules};
use self::reload::Threads;
use self::sink::alertmanager::{Alert, Endpoint, Naming, Teller};
use self::sink::command::Command;
use self::sink::http::{Client, secret};
use self::sink::queue::{Backoff, Feeder, QUEUE};
use self::sink::webhook::Webhook;
use self::sink::{Deliver, Outlet};
use crate::config::{Alertmanager, Config, MinSeverity, NotifyScope};
use crate::report::mask::Mask;
use crate::time::{PacketTime, Span};
use crate::track::vocabulary::{Scope, Severity};

/// Changes that wait for the policy. Of more it asks the engine for what is open.
const INPUTS: usize = 16_384;
/// Alerts that wait for the thread of an Alertmanager, which takes them at once unless it is in a request.
const ALERTS: usize = 16_384;
/// How long the end may take.
const GRACE: Duration = Duration::from_secs(3);

/// Why nobody can be told.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// A file with a secret cannot be used.
    #[error(transparent)]
    Secret(#[from] BadSecret),
    /// A thread could not be started.
    #[error("cannot start the threads of the notifications: {0}")]
    Threads(#[from] std::io::Error),
}

/// The sinks of a configuration.
struct Sinks {
    alertmanagers: Vec<(String, Endpoint, Duration)>,
    webhooks: Vec<Webhook>,
    commands: Vec<Command>,
}

/// All that tells people; it ends when it is stopped.
#[derive(Debug)]
pub struct Notifier {
    shared: Arc<Shared>,
    /// Closes when everything was told that could be.
    done: Receiver<()>,
    ending: Sender<()>,
    reloader: Reloader,
}

/// What became of a test.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tested {
    /// The kind of sink.
    pub kind: SinkKind,
    /// Its name.
    pub name: String,
    /// What it said, or why nothing arrived; one line, safe to show.
    pub result: Result<String, String>,
}

impl Notifier {
    /// Starts the threads. What is told passes through `mask`. The listener is for the engine; when that is gone, so is all that `stop` waits for.
    ///
    /// # Errors
    ///
    /// A secret that cannot be read, or threads that cannot be started.
    pub fn start(config: &Config, host: &str, mask: Mask, ask_open: AskOpen) -> Result<(Self, AlertListener), AlertError> {
        let sinks = Sinks::of(config)?;
        let shared = Arc::new(Shared::default());
        let (inputs, hears) = bounded(INPUTS);
        let (running, done) = bounded(0);
        let (ending, ends) = bounded(0);
        let naming = naming(config, host);
        let threads = Threads { shared: Arc::clone(&shared), running: running.clone(), ends };
        let outlets = sinks.start(config, &naming, &threads)?;
        let (reloader, reloads) = Reloader::new(host);
        let dispatcher = Dispatcher {
            policy: Policy::new(rules(config), naming.instance),
            inputs: hears,
            shared: Arc::clone(&shared),
            outlets,
            reloads,
            threads,
            ask_open,
            now: PacketTime::MIN,
            asked: None,
        };
        spawn("notify", running, move || dispatcher.run())?;
        Ok((Self { shared: Arc::clone(&shared), done, ending, reloader }, AlertListener { inputs, shared, mask }))
    }

    /// What changes who is told while all of it runs.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// What became of the notifications so far.
    pub fn counts(&self) -> NotifierCounts {
        NotifierCounts(Arc::clone(&self.shared))
    }

    /// Waits until all is told that waits, or for a few seconds. The engine must be gone.
    pub fn stop(self) {
        drop(self.ending);
        if self.done.recv_timeout(GRACE) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
            tracing::warn!("Notifications were still on their way at the end");
        }
    }
}

/// The counts of a running [`Notifier`].
#[derive(Clone, Debug)]
pub struct NotifierCounts(Arc<Shared>);

impl NotifierCounts {
    /// Every count.
    pub fn all(&self) -> impl Iterator<Item = (SinkKind, Fate, u64)> + '_ {
        let count = move |kind| Fate::ALL.into_iter().map(move |fate| (kind, fate, self.0.counts.get(kind, fate)));
        SinkKind::ALL.into_iter().flat_map(count)
    }
}

/// Checks what a configuration names outside of itself: the files with secrets.
///
/// # Errors
///
/// The first one that cannot be used.
pub fn check(config: &Config) -> Result<(), AlertError> {
    Sinks::of(config).map(drop)
}

/// Sends a test to each sink, or to those of a kind or name, and tells what each said.
///
/// # Errors
///
/// A secret that cannot be read.
pub fn test(config: &Config, host: &str, only: Option<&str>) -> Result<Vec<Tested>, AlertError> {
    let sinks = Sinks::of(config)?;
    let naming = naming(config, host);
    let wanted = |kind: SinkKind, name: &str| only.is_none_or(|only| only == kind.as_str() || only == name);
    let draft = Draft { kind: MessageKind::Test, status: Status::Firing, group: None, findings: Vec::new(), more: 0 };
    let now = PacketTime::from_nanos(i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default());
    let message = draft.finish(&naming.instance, 0, now);
    let mut tested = Vec::new();
    let mut add = |kind, name: &str, send: &mut dyn FnMut() -> Result<String, sink::Refusal>| {
        if wanted(kind, name) {
            tested.push(Tested { kind, name: name.to_owned(), result: send().map_err(|refusal| refusal.what) });
        }
    };
    for (name, endpoint, _) in &sinks.alertmanagers {
        add(SinkKind::Alertmanager, name, &mut || endpoint.tell_once(Alert::test(&message), naming.clone()));
    }
    for (mut sink, config) in sinks.webhooks.into_iter().zip(&config.webhooks) {
        add(SinkKind::Webhook, &config.name, &mut || sink.deliver(&message));
    }
    for (mut sink, config) in sinks.commands.into_iter().zip(&config.commands) {
        add(SinkKind::Command, &config.name, &mut || sink.deliver(&message));
    }
    add(SinkKind::Log, SinkKind::Log.as_str(), &mut || {
        sink::log::write(&message);
        Ok("written".to_owned())
    });
    Ok(tested)
}

impl Sinks {
    fn of(config: &Config) -> Result<Self, AlertError> {
        let mut alertmanagers = Vec::new();
        for group in &config.alertmanagers {
            for url in &group.urls {
                alertmanagers.push((url.origin(), endpoint(group, url)?, duration(group.resolve_timeout)));
            }
        }
        let webhooks = config.webhooks.iter().map(Webhook::new).collect::<Result<_, _>>()?;
        let commands = config.commands.iter().map(Command::new).collect::<Result<_, _>>()?;
        Ok(Self { alertmanagers, webhooks, commands })
    }

    /// Starts a thread for each.
    fn start(self, config: &Config, naming: &Naming, threads: &Threads) -> Result<Vec<Outlet>, AlertError> {
        let mut outlets = Vec::new();
        for (name, endpoint, resolve_timeout) in self.alertmanagers {
            let (alerts, queue) = bounded(ALERTS);
            outlets.push(Outlet::Alerts { name: name.clone(), queue: alerts });
            let (naming, shared) = (naming.clone(), Arc::clone(&threads.shared));
            let teller = Teller { name, endpoint, naming, resolve_timeout, queue, shared };
            spawn("alertmanager", threads.running.clone(), move || teller.run())?;
        }
        for (sink, config) in self.webhooks.into_iter().zip(&config.webhooks) {
            outlets.push(feed(threads, SinkKind::Webhook, &config.name, config.min_severity, config.give_up, sink)?);
        }
        for (sink, config) in self.commands.into_iter().zip(&config.commands) {
            outlets.push(feed(threads, SinkKind::Command, &config.name, config.min_severity, config.give_up, sink)?);
        }
        Ok(outlets)
    }
}

/// Starts the thread of a sink that takes messages.
fn feed(
    threads: &Threads,
    kind: SinkKind,
    name: &str,
    min_severity: MinSeverity,
    give_up: Span,
    sink: impl Deliver + 'static,
) -> Result<Outlet, AlertError> {
    let (messages, queue) = bounded(QUEUE);
    let (ending, shared) = (threads.ends.clone(), Arc::clone(&threads.shared));
    let feeder =
        Feeder { kind, name: name.to_owned(), sink, queue, ending, backoff: Backoff::ORDINARY, give_up: duration(give_up), shared };
    spawn(kind.as_str(), threads.running.clone(), move || feeder.run())?;
    Ok(Outlet::Messages { kind, name: name.to_owned(), min_severity: severity(min_severity), queue: messages })
}

fn spawn(name: &str, running: Sender<()>, work: impl FnOnce() + Send + 'static) -> Result<(), AlertError> {
    let work = move || {
        work();
        drop(running);
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
    Ok(())
}

/// The API of an Alertmanager, which may stand behind a path.
fn endpoint(config: &Alertmanager, url: &crate::config::HttpUrl) -> Result<Endpoint, AlertError> {
    let token = config.token_file.as_deref().map(|path| secret("notify.alertmanager.token_file", path)).transpose()?;
    let base = url.to_string();
    let path = format!("{}/api/v2/alerts", base.trim_end_matches('/'));
    let url = path.parse().unwrap_or_else(|_| url.uri().clone());
    Ok(Endpoint { client: Client::new(duration(config.timeout), token), url })
}

fn naming(config: &Config, host: &str) -> Naming {
    let instance = if config.notify.instance.is_empty() { host } else { &config.notify.instance };
    Naming { instance: instance.to_owned(), runbook_url: config.notify.runbook_url.clone() }
}

fn rules(config: &Config) -> Rules {
    let notify = &config.notify;
    Rules {
        min_severity: severity(notify.min_severity),
        scopes: notify.scopes.iter().copied().map(scope).collect(),
        watch: notify.watch.iter().map(|watched| lower_host(watched)).collect(),
        group_wait: notify.group_wait,
        resolve_after: notify.resolve_after,
        repeat: notify.repeat,
        digest: notify.digest,
        max_per_hour: notify.max_per_hour,
    }
}

/// An AoR as it is kept: the host in lower case.
fn lower_host(aor: &str) -> String {
    aor.split_once('@').map_or_else(|| aor.to_owned(), |(user, host)| format!("{user}@{}", host.to_ascii_lowercase()))
}

const fn severity(severity: MinSeverity) -> Severity {
    match severity {
        MinSeverity::Info => Severity::Info,
        MinSeverity::Warning => Severity::Warning,
        MinSeverity::Error => Severity::Error,
        MinSeverity::Critical => Severity::Critical,
    }
}

const fn scope(scope: NotifyScope) -> Scope {
    match scope {
        NotifyScope::Phone => Scope::Phone,
        NotifyScope::Site => Scope::Site,
        NotifyScope::Call => Scope::Call,
        NotifyScope::Trunk => Scope::Trunk,
        NotifyScope::Source => Scope::Source,
        NotifyScope::Server => Scope::Server,
        NotifyScope::Capture => Scope::Capture,
    }
}

fn duration(span: Span) -> Duration {
    Duration::from_nanos(u64::try_from(span.as_nanos()).unwrap_or_default())
}
