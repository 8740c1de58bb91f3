//! The log: on standard error, as text or JSON.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::exit::{Exit, Failure};
use crate::config::{Log, LogFormat, LogLevel};

/// The environment variable that overrules the level of the configuration, in the language of `tracing`: `debug` or
/// `info,siphound::capture=trace`.
const VARIABLE: &str = "SIPHOUND_LOG";

/// Starts logging as `log` says. A log that is there already, as in tests, stays.
pub(super) fn start(log: &Log) -> Result<(), Failure> {
    let filter =
        EnvFilter::builder().with_default_directive(level(log.level).into()).with_env_var(VARIABLE).from_env().map_err(|error| {
            Failure::new(Exit::Usage, format_args!("the environment variable {VARIABLE} is not valid: {error}"))
                .with_remedy("use a level such as \"debug\", or targets such as \"info,siphound::capture=trace\"")
        })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let _ = match log.format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
