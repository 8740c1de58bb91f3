//! Alertmanager, API v2: it is told what holds, again and again, and what is over, once.
//!
//! What it was told is a [`Board`], not a queue: after an outage of any length it hears how things stand, and nothing is lost meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, after, never, select, tick};
use jiff::Timestamp;
use serde::Serialize;

use super::http::Client;
use super::queue::Backoff;
use super::{Refusal, Retry};
use crate::alert::counts::{Fate, SinkKind};
use crate::alert::listener::Shared;
use crate::alert::message::{Listed, Message, Status};
use crate::alert::policy::AlertChange;
use crate::report::escape;
use crate::report::model::Stamp;

/// Alerts that are held for one Alertmanager, and as many that are over.
const HELD: usize = 10_000;
/// Alerts of one request.
const AT_ONCE: usize = 500;
/// Columns of a label or an annotation.
const COLUMNS: usize = 300;
/// Alerts are sent again four times in the time after which they would count as over.
const AGAIN: u32 = 4;
/// Pauses while it does not answer: short, so that it hears how things stand soon after it is back.
pub(super) const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(30) };
/// The PBX that the configuration does not name, as in the metrics.
const PBX: &str = "default";

type Texts = BTreeMap<&'static str, String>;

/// What is to be told.
#[derive(Clone, Debug)]
pub(in crate::alert) struct Alert {
    /// The same for the same finding, whatever became of it.
    key: String,
    labels: Texts,
    annotations: Texts,
    starts: Option<Stamp>,
    phase: Phase,
}

/// Whether an alert holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Until further notice.
    Holds,
    /// No longer.
    Over,
    /// For so long from when it is sent first.
    For(Duration),
}

/// How alerts of one siphound are named.
#[derive(Clone, Debug)]
pub(in crate::alert) struct Naming {
    pub(in crate::alert) instance: String,
    /// With `{finding}` in place of its id; empty where there is none.
    pub(in crate::alert) runbook_url: String,
}

impl Alert {
    pub(in crate::alert) fn finding(change: &AlertChange) -> Self {
        let Listed { status, command, finding, .. } = &change.listed;
        let group = &change.group;
        let labels = [
            ("alertname", "SiphoundFinding".to_owned()),
            ("finding", finding.id.to_owned()),
            ("severity", finding.severity.as_str().to_owned()),
            ("scope", finding.scope.as_str().to_owned()),
            ("subject", shown(&finding.subject)),
            ("group", shown(&format!("{} {}", group.scope, group.subject))),
        ];
        let mut annotations = BTreeMap::from([("summary", shown(&finding.message)), ("description", described(&change.listed))]);
        annotations.insert("remedy", shown(&finding.remedy));
        annotations.extend(command.clone().map(|command| ("command", command)));
        Self {
            key: format!("{} {}", change.key.id, change.key.subject),
            labels: labels.into(),
            annotations,
            starts: Some(finding.at),
            phase: if *status == Status::Firing { Phase::Holds } else { Phase::Over },
        }
    }

    /// A digest, which nobody ends: it is over by itself after an hour.
    pub(in crate::alert) fn digest(message: &Message) -> Self {
        Self {
            key: message.id.clone(),
            labels: [("alertname", "SiphoundScanners".to_owned()), ("severity", message.severity.as_str().to_owned())].into(),
            annotations: BTreeMap::from([("summary", message.text.clone())]),
            starts: Some(message.at),
            phase: Phase::For(Duration::from_secs(3_600)),
        }
    }

    /// A test, over after a minute.
    pub(in crate::alert) fn test(message: &Message) -> Self {
        Self {
            key: message.id.clone(),
            labels: [("alertname", "SiphoundTest".to_owned()), ("severity", message.severity.as_str().to_owned())].into(),
            annotations: BTreeMap::from([("summary", message.text.clone())]),
            starts: None,
            phase: Phase::For(Duration::from_secs(60)),
        }
    }
}

fn shown(text: &str) -> String {
    escape::fit(text, COLUMNS)
}

/// The proof, one fact a line.
fn described(listed: &Listed) -> String {
    let facts = listed.finding.evidence.iter().take(5).map(|evidence| format!("{} {}", evidence.at, shown(&evidence.fact)));
    facts.collect::<Vec<_>>().join("\n")
}

/// One alert as it is posted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted<'a> {
    labels: &'a Texts,
    annotations: &'a Texts,
    starts_at: String,
    ends_at: String,
}

/// An alert that is held.
#[derive(Debug)]
struct Held {
    alert: Alert,
    starts: Timestamp,
    /// When it ended, or will.
    ends: Option<Timestamp>,
    news: News,
}

/// What Alertmanager has heard of an alert.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum News {
    /// Not the latest.
    Untold,
    /// The latest, but it must hear it again.
    Again,
    /// The latest.
    Told,
}

/// What one Alertmanager is told.
#[derive(Debug)]
pub(super) struct Board {
    naming: Naming,
    resolve_timeout: Duration,
    holding: BTreeMap<String, Held>,
    over: VecDeque<Held>,
}

impl Board {
    pub(super) fn new(naming: Naming, resolve_timeout: Duration) -> Self {
        Self { naming, resolve_timeout, holding: BTreeMap::new(), over: VecDeque::new() }
    }

    /// Takes note of what is to be told, and says whether there was room.
    pub(super) fn apply(&mut self, mut alert: Alert, now: Timestamp) -> bool {
        self.name(&mut alert);
        if alert.phase == Phase::Over {
            return self.holding.remove(&alert.key).is_none_or(|held| self.end(Held { alert: held.alert.explained(alert), ..held }, now));
        }
        let starts = alert.starts.map_or(now, |stamp| wall(stamp).min(now));
        let ends = match alert.phase {
            Phase::For(time) => Some(now + time),
            Phase::Holds | Phase::Over => None,
        };
        let room = self.holding.len() < HELD || self.holding.contains_key(&alert.key);
        if !room {
            return false;
        }
        // Alertmanager knows an alert by its labels: with others it is another one, and the old one is over.
        let labels = alert.labels.clone();
        let before = self.holding.insert(alert.key.clone(), Held { alert, starts, ends, news: News::Untold });
        before.is_none_or(|before| before.alert.labels == labels || self.end(before, now))
    }

    fn name(&self, alert: &mut Alert) {
        alert.labels.extend([("instance", shown(&self.naming.instance)), ("pbx", PBX.to_owned()), ("source", "siphound".to_owned())]);
        if let (Some(finding), false) = (alert.labels.get("finding"), self.naming.runbook_url.is_empty()) {
            alert.annotations.insert("runbook_url", self.naming.runbook_url.replace("{finding}", finding));
        }
    }

    fn end(&mut self, held: Held, now: Timestamp) -> bool {
        let has_room = self.over.len() < HELD;
        if !has_room {
            self.over.pop_front();
        }
        self.over.push_back(Held { ends: Some(now), news: News::Untold, ..held });
        has_room
    }

    /// Lets everything be told again, and forgets what ended by itself.
    pub(super) fn again(&mut self, now: Timestamp) {
        self.holding.retain(|_, held| held.news == News::Untold || held.ends.is_none_or(|ends| ends > now));
        for held in self.holding.values_mut().filter(|held| held.news == News::Told) {
            held.news = News::Again;
        }
    }

    /// The next request; nothing where all is told.
    pub(super) fn request(&self, now: Timestamp) -> Option<Vec<u8>> {
        let later = now + self.resolve_timeout;
        let posted = self.due().map(|held| Posted {
            labels: &held.alert.labels,
            annotations: &held.alert.annotations,
            starts_at: held.starts.to_string(),
            ends_at: held.ends.unwrap_or(later).to_string(),
        });
        let posted: Vec<_> = posted.take(AT_ONCE).collect();
        if posted.is_empty() { None } else { serde_json::to_vec(&posted).ok() }
    }

    /// What the last request told is known now; gives how much of it was news.
    pub(super) fn taken(&mut self) -> u64 {
        let over = self.over.len().min(AT_ONCE);
        self.over.drain(..over);
        let due = self.holding.values_mut().filter(|held| held.news != News::Told).take(AT_ONCE - over);
        over as u64 + due.fold(0, |news, held| news + u64::from(std::mem::replace(&mut held.news, News::Told) == News::Untold))
    }

    fn due(&self) -> impl Iterator<Item = &Held> {
        self.over.iter().chain(self.holding.values().filter(|held| held.news != News::Told))
    }
}

impl Alert {
    /// Keeps the labels, under which it is known, and takes over what is said at the end.
    fn explained(self, end: Self) -> Self {
        Self { annotations: end.annotations, ..self }
    }
}

fn wall(stamp: Stamp) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(stamp.0.as_nanos())).unwrap_or_default()
}

/// Tells one Alertmanager.
pub(in crate::alert) struct Teller {
    pub(in crate::alert) name: String,
    pub(in crate::alert) endpoint: Endpoint,
    pub(in crate::alert) naming: Naming,
    pub(in crate::alert) resolve_timeout: Duration,
    pub(in crate::alert) queue: Receiver<Alert>,
    pub(in crate::alert) shared: Arc<Shared>,
}

/// Where one Alertmanager takes alerts.
#[derive(Debug)]
pub(in crate::alert) struct Endpoint {
    pub(in crate::alert) client: Client,
    pub(in crate::alert) url: http::Uri,
}

impl Endpoint {
    /// Tells of one alert, once.
    pub(in crate::alert) fn tell_once(&self, alert: Alert, naming: Naming) -> Result<String, Refusal> {
        let (now, mut board) = (Timestamp::now(), Board::new(naming, Duration::from_secs(60)));
        board.apply(alert, now);
        let body = board.request(now).unwrap_or_default();
        self.client.post(&self.url, &[], &body).map(|answer| answer.line)
    }
}

impl Teller {
    /// Runs until the queue is closed and empty.
    pub(in crate::alert) fn run(self) {
        let mut board = Board::new(self.naming.clone(), self.resolve_timeout);
        let again = tick(self.resolve_timeout / AGAIN);
        let (mut retry, mut failures) = (never(), 0);
        loop {
            select! {
                recv(self.queue) -> alert => {
                    let Ok(alert) = alert else { break };
                    self.apply(&mut board, alert);
                    self.queue.try_iter().for_each(|alert| self.apply(&mut board, alert));
                    if failures > 0 {
                        continue;
                    }
                }
                recv(again) -> _ => {
                    board.again(Timestamp::now());
                    if failures > 0 {
                        continue;
                    }
                }
                recv(retry) -> _ => {}
            }
            match self.tell(&mut board, failures) {
                Ok(()) => (retry, failures) = (never(), 0),
                Err(Retried) => {
                    retry = after(BACKOFF.pause(failures));
                    failures += 1;
                }
            }
        }
        let _ = self.tell(&mut board, failures);
    }

    fn apply(&self, board: &mut Board, alert: Alert) {
        if !board.apply(alert, Timestamp::now()) {
            self.shared.counts.add(SinkKind::Alertmanager, Fate::Dropped, 1);
        }
    }

    /// Tells all there is to tell, or as far as it gets.
    fn tell(&self, board: &mut Board, failures: u32) -> Result<(), Retried> {
        while let Some(body) = board.request(Timestamp::now()) {
            match self.endpoint.client.post(&self.endpoint.url, &[], &body) {
                Ok(_) => {
                    if failures > 0 {
                        tracing::info!(sink = self.name, failures, "Alertmanager takes alerts again");
                    }
                    self.shared.counts.add(SinkKind::Alertmanager, Fate::Sent, board.taken());
                }
                Err(refusal) if refusal.retry == Retry::Never => {
                    tracing::error!(sink = self.name, error = %refusal, "Alertmanager refuses alerts");
                    self.shared.counts.add(SinkKind::Alertmanager, Fate::Failed, board.taken());
                }
                Err(refusal) => {
                    if failures == 0 {
                        tracing::warn!(sink = self.name, error = %refusal, "Alertmanager takes no alerts; it is told how things stand once it does");
                    }
                    // It may come back without its memory.
                    board.again(Timestamp::now());
                    self.shared.counts.add(SinkKind::Alertmanager, Fate::Retried, 1);
                    return Err(Retried);
                }
            }
        }
        Ok(())
    }
}

/// Another attempt follows.
struct Retried;
