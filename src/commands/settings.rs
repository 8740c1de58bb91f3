//! Where a command's configuration comes from.

use std::fmt;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::exit::{Exit, Failure};
use crate::config::{Bytes, Config, ConfigError};
use crate::detect::store::Limits as FindingLimits;
use crate::history::{Place, Places};
use crate::time::Span;
use crate::track::Settings;

/// Where the daemon's configuration is when nobody says otherwise.
const DEFAULT_PATH: &str = "/etc/siphound/siphound.toml";

/// What a configuration was made from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Origin {
    /// This file.
    File(PathBuf),
    /// Nothing: there is no file.
    Defaults,
}

impl Origin {
    /// The file, if there is one.
    pub(super) fn path(&self) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.clone()),
            Self::Defaults => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Defaults => write!(f, "the built-in defaults; there is no {DEFAULT_PATH}"),
        }
    }
}

/// The configuration in `path`, else in the daemon's own file where it exists, else the defaults.
pub(super) fn load_or_default(path: Option<&Path>) -> Result<(Config, Origin), ConfigError> {
    let standard = Path::new(DEFAULT_PATH);
    let path = path.or_else(|| standard.exists().then_some(standard));
    match path {
        Some(path) => Ok((Config::load(path)?, Origin::File(path.to_owned()))),
        None => Ok((Config::default(), Origin::Defaults)),
    }
}

/// The configuration in `path`, else the defaults: what a replay finds must not depend on the machine it runs on.
pub(super) fn load_if_given(path: Option<&Path>) -> Result<Config, ConfigError> {
    path.map_or_else(|| Ok(Config::default()), Config::load)
}

/// Where everything is kept that has no place of its own in the configuration, when the command line says so.
pub(super) fn set_state_directory(config: &mut Config, directory: &Path) {
    config.history.directory = directory.display().to_string();
    config.traces.directory = directory.join("traces").display().to_string();
}

/// What is kept where.
pub(super) fn places(config: &Config) -> Places {
    let place = |directory: &str, days: u32, bytes: Bytes| {
        let directory = Some(directory).filter(|directory| !directory.is_empty()).map(PathBuf::from);
        directory.map(|directory| Place { directory, age: Span::from_secs(i64::from(days) * 86_400), bytes: bytes.get() })
    };
    let (history, traces) = (&config.history, &config.traces);
    Places { database: place(&history.directory, history.days, history.bytes), traces: place(&traces.directory, traces.days, traces.bytes) }
}

/// What tracking must be told; `own` are the addresses of this host.
pub(super) fn tracker_settings(config: &Config, seed: u64, own: Vec<IpAddr>) -> Settings {
    let limits = &config.limits;
    Settings {
        seed,
        pbxs: config.phone_systems().sockets(),
        own,
        trunks: config.trunks.values().flatten().map(|trunk| trunk.ip).collect(),
        transactions: limits.transactions as usize,
        calls: limits.calls as usize,
        bindings: limits.bindings as usize,
        flows: limits.flows as usize,
        sources: limits.sources as usize,
        finished: limits.finished_calls as usize,
        thresholds: config.thresholds,
    }
}

/// How many findings are kept.
pub(super) fn finding_limits(config: &Config) -> FindingLimits {
    let all = config.limits.findings as usize;
    FindingLimits { open: all.div_ceil(2), ended: all.div_ceil(2) }
}

/// The name of this host.
pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A seed that no sender can know, since senders choose the keys of the tables.
pub(super) fn random_seed() -> Result<u64, Failure> {
    let mut bytes = [0; 8];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    read.map_err(|error| Failure::new(Exit::Refused, format_args!("cannot read /dev/urandom: {error}")))?;
    Ok(u64::from_ne_bytes(bytes))
}
