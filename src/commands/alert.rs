//! `siphound alert`: whether notifications arrive.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure};
use super::settings::{host_name, load_or_default};
use super::stdout::print;
use crate::alert::{self, AlertError};
use crate::report::mask::Mask;

const EXAMPLES: &str = "\
Examples:
  siphound alert test
  siphound alert test webhook
  siphound alert test --config /etc/siphound/siphound.toml pager

Exit codes: 0 each took it; 1 one did not; 2 bad arguments or configuration, or a secret that cannot be read.";

/// What to do with notifications.
#[derive(Args, Debug)]
pub(super) struct AlertArgs {
    #[command(subcommand)]
    command: AlertCommand,
}

#[derive(Debug, Subcommand)]
enum AlertCommand {
    /// Send a test to each place where notifications go, and say what each answered
    Test(TestArgs),
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
struct TestArgs {
    /// Only this one: log, alertmanager, webhook, command, or the name of one
    #[arg(value_name = "SINK")]
    sink: Option<String>,

    /// The configuration file [default: /etc/siphound/siphound.toml where it exists]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl AlertArgs {
    /// Sends the tests.
    pub(super) fn execute(&self) -> Result<Exit, Failure> {
        let AlertCommand::Test(args) = &self.command;
        let (config, origin) = load_or_default(args.config.as_deref())?;
        super::logging::start(&config.log, Mask::none())?;
        let tested = alert::test(&config, &host_name(), args.sink.as_deref())?;
        if tested.is_empty() {
            let sink = args.sink.as_deref().unwrap_or_default();
            return Err(Failure::new(Exit::Usage, format_args!("{origin} names no place for notifications like {sink:?}"))
                .with_remedy("use log, alertmanager, webhook, command, or the name of one"));
        }
        print(|out| {
            tested.iter().try_for_each(|tested| {
                let (outcome, said) = match &tested.result {
                    Ok(said) => ("ok", said),
                    Err(said) => ("FAILED", said),
                };
                writeln!(out, "{:6}  {} {}: {said}", outcome, tested.kind.as_str(), tested.name)
            })
        })?;
        Ok(if tested.iter().all(|tested| tested.result.is_ok()) { Exit::Done } else { Exit::Found })
    }
}

impl From<AlertError> for Failure {
    fn from(error: AlertError) -> Self {
        let exit = match error {
            AlertError::Secret(_) => Exit::Usage,
            AlertError::Threads(_) => Exit::Refused,
        };
        Self::new(exit, error)
    }
}
