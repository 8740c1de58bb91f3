//! Where a command's configuration comes from.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::{Config, ConfigError};

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
