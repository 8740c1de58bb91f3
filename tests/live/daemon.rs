//! siphound running on the host of the PBX, and what it serves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::lab::{Host, Lab, Process, SOON, until};

const SIPHOUND: &str = env!("CARGO_BIN_EXE_siphound");
/// Where it serves when nobody says otherwise.
const ADDRESS: &str = "127.0.0.1:15060";

/// A running daemon.
pub(crate) struct Daemon<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) process: Process,
    arguments: Vec<String>,
}

impl<'a> Daemon<'a> {
    /// Starts `siphound run` with these arguments and waits until it captures.
    pub(crate) fn start(lab: &'a Lab, arguments: &[&str]) -> Self {
        let state = lab.path("state").display().to_string();
        let command = [&[SIPHOUND, "run", "--state-dir", &state], arguments].concat();
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut daemon = Self { lab, process: lab.start(Host::Pbx, "siphound", &command), arguments };
        let ready = until(SOON, || (!daemon.process.is_running() || daemon.is_ready()).then_some(()));
        assert!(ready.is_some() && daemon.process.is_running(), "it does not become ready:\n{}", daemon.process.log());
        daemon
    }

    fn is_ready(&self) -> bool {
        self.get("/readyz") == Some((200, "ready\n".to_owned()))
    }

    /// Waits until it captures again after its interface was away. Where it ended because it may not open a capture a second time, it is
    /// started again, as its unit would.
    pub(crate) fn captures_again(&mut self) {
        let back = until(4 * SOON, || (!self.process.is_running() || self.is_ready()).then_some(()));
        assert!(back.is_some(), "{}", self.process.log());
        if !self.process.is_running() {
            assert!(self.process.log().contains("CAP_NET_RAW"), "{}", self.process.log());
            let arguments = std::mem::take(&mut self.arguments);
            *self = Self::start(self.lab, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }

    /// The status and the body of a page; `None` where nobody answers.
    pub(crate) fn get(&self, page: &str) -> Option<(u16, String)> {
        get(self.lab, ADDRESS, page)
    }

    /// What /metrics says now.
    pub(crate) fn metrics(&self) -> Metrics {
        let (status, text) = self.get("/metrics").expect("an answer");
        assert_eq!(status, 200, "{text}");
        Metrics::parse(text)
    }

    /// Waits until the sum of some series is `expected`: see [`Metrics::sum`].
    pub(crate) fn counts(&self, expected: u64, family: &str, labels: &[&str]) {
        self.counts_within(SOON, expected, family, labels);
    }

    /// As [`Self::counts`], with a patience of one's own.
    pub(crate) fn counts_within(&self, patience: Duration, expected: u64, family: &str, labels: &[&str]) {
        let counted = until(patience, || (self.metrics().sum(family, labels) == expected).then_some(()));
        assert!(counted.is_some(), "{family} {labels:?} is not {expected}:\n{}\n{}", self.metrics().of(family), self.process.log());
    }
}

/// Runs `siphound run`, which is to be refused, after other words such as `setpriv …`, and returns its exit code and what it said.
pub(crate) fn refused(lab: &Lab, before: &[&str], arguments: &[&str]) -> (Option<i32>, String) {
    let state = lab.path("state").display().to_string();
    let command = [before, &[SIPHOUND, "run", "--state-dir", &state], arguments].concat();
    let mut process = lab.start(Host::Pbx, "refused", &command);
    let (status, _) = process.wait(SOON);
    (status.code(), process.log())
}

/// Asks for a page on the host of the PBX.
pub(crate) fn get(lab: &Lab, address: &str, page: &str) -> Option<(u16, String)> {
    lab.on(Host::Pbx, || {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(SOON)).ok()?;
        write!(stream, "GET {page} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    })
}

/// One scrape.
pub(crate) struct Metrics {
    /// As it was served.
    pub(crate) text: String,
    series: BTreeMap<String, f64>,
}

impl Metrics {
    fn parse(text: String) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        let series = lines.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect();
        Self { text, series }
    }

    /// The sum over the series of `siphound_FAMILY` that have all of `labels`, written as `name=value`.
    pub(crate) fn sum(&self, family: &str, labels: &[&str]) -> u64 {
        let sum: f64 = self.select(family, labels).map(|(_, value)| value).sum();
        sum as u64
    }

    /// The series of a family, one a line.
    pub(crate) fn of(&self, family: &str) -> String {
        self.select(family, &[]).fold(String::new(), |mut lines, (name, value)| {
            let _ = writeln!(lines, "{name} {value}");
            lines
        })
    }

    fn select<'m>(&'m self, family: &'m str, labels: &'m [&str]) -> impl Iterator<Item = (&'m str, f64)> {
        let wanted: Vec<String> = labels
            .iter()
            .map(|label| {
                let (name, value) = label.split_once('=').expect("name=value");
                format!("{name}=\"{value}\"")
            })
            .collect();
        self.series.iter().filter_map(move |(series, value)| {
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let pairs: Vec<_> = labels.trim_end_matches('}').split(',').collect();
            let matches = name.strip_prefix("siphound_") == Some(family) && wanted.iter().all(|label| pairs.contains(&label.as_str()));
            matches.then_some((series.as_str(), *value))
        })
    }
}
