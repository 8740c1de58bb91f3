//! How a command ends: its exit code and what it says when it fails.

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::config::ConfigError;
use crate::http::HttpError;

/// The exit codes of every command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// Done, also for a capture without packets and for a cut one.
    Done = 0,
    /// A finding of the severity given with `--fail-on`, or above, was made; or a test of the notifications failed.
    Found = 1,
    /// Bad arguments, a missing file or a bad configuration.
    Usage = 2,
    /// The system refuses what is needed: no permission, no such interface, an address in use.
    Refused = 3,
    /// A file is not a capture, and nothing could be read.
    NotACapture = 4,
    /// The daemon must be started anew to capture again; all it knew is kept.
    Restart = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that could not do what it was asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    exit: Exit,
    what: String,
    remedy: Option<String>,
}

impl Failure {
    /// A failure that ends with `exit`; `what` says what happened and where.
    pub fn new(exit: Exit, what: impl fmt::Display) -> Self {
        Self { exit, what: what.to_string(), remedy: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_remedy(self, remedy: impl fmt::Display) -> Self {
        Self { remedy: Some(remedy.to_string()), ..self }
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What happened, without what to do.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// Says on standard error what happened and what to do. That nobody reads it is no further failure.
    pub(super) fn print(&self) {
        let _ = write!(io::stderr().lock(), "{self}");
    }
}

/// `error: …`, then what to do, each on its own line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.what)?;
        match &self.remedy {
            Some(remedy) => writeln!(f, "  {remedy}"),
            None => Ok(()),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Usage, error)
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        Self::new(Exit::Refused, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_happened_and_then_what_to_do() {
        let failure = Failure::new(Exit::Refused, "no permission to capture on eth0").with_remedy("run as root");
        assert_eq!(failure.to_string(), "error: no permission to capture on eth0\n  run as root\n");
        assert_eq!(failure.exit() as u8, 3);
    }
}
