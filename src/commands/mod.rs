//! One module per subcommand: what the user may write, what it means, and how it ends.

mod alert;
mod asking;
mod assist;
mod bundle;
mod check;
mod condition;
mod confine;
mod daemon;
mod diagnose;
mod exit;
mod following;
mod keeping;
mod kept;
mod logging;
mod next;
mod options;
mod reloading;
mod replay;
mod replaying;
mod run;
mod series;
mod serving;
mod settings;
mod stdout;
mod supervisor;
mod trace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

pub use self::exit::{Exit, Failure};
pub use self::options::{Color, Format};
pub use self::replay::{Input, Output, Part, Replay, Subject};
pub use self::run::{Daemon, Task};
pub use self::stdout::print;

use crate::config::{Log, LogLevel};
use crate::metrics;
use crate::report::mask::Mask;

const ABOUT: &str = "Says why a phone cannot connect, cannot call, cannot be called, drops calls or does not hang up";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "siphound", version, about = ABOUT, long_about = None, propagate_version = true, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Report on capture files
    Replay(Box<replay::ReplayArgs>),
    /// Say what is the matter with one user
    Diagnose(Box<diagnose::DiagnoseArgs>),
    /// Follow one user step by step, with that user on the telephone
    Assist(Box<assist::AssistArgs>),
    /// Follow live traffic and serve metrics
    Run(Box<run::RunArgs>),
    /// List calls of the history that a daemon keeps
    Calls(Box<kept::CallsArgs>),
    /// List users and their devices
    Peers(Box<kept::PeersArgs>),
    /// List findings
    Findings(Box<kept::FindingsArgs>),
    /// Show the messages of a call or a user from the traces that a daemon keeps
    Trace(Box<trace::TraceArgs>),
    /// Try out whether notifications arrive
    Alert(alert::AlertArgs),
    /// Check the configuration and say all that is wrong with it
    Check(check::CheckArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man {
        /// The command whose page it is; siphound's own without
        command: Option<String>,
        /// Print the names of the commands that have a page, one a line
        #[arg(long, conflicts_with = "command")]
        list: bool,
    },
    /// Print the page about the metrics
    #[command(hide = true)]
    MetricsDoc,
}

/// Does what `arguments`, the name of the program first, ask for.
pub fn main(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    match Cli::try_parse_from(arguments) {
        Ok(cli) => cli.command.execute().unwrap_or_else(|failure| {
            failure.print();
            failure.exit()
        }),
        Err(error) => {
            // Help and version are "errors" too: those for standard output. That nobody reads them is no failure.
            let _ = error.print();
            if error.use_stderr() { Exit::Usage } else { Exit::Done }
        }
    }
    .into()
}

impl Command {
    fn execute(self) -> Result<Exit, Failure> {
        match self {
            Self::Replay(args) => {
                let replay = args.resolve()?;
                // A replay is read by a person who asked one question: only what went wrong is logged.
                logging::start(&Log { level: LogLevel::Warn, ..replay.config.log.clone() }, Mask::none())?;
                replay.execute()
            }
            Self::Diagnose(args) => {
                let diagnosis = args.resolve()?;
                logging::start(&Log { level: LogLevel::Warn, ..diagnosis.config.log.clone() }, Mask::none())?;
                diagnosis.execute()
            }
            Self::Assist(args) => {
                let assistance = args.resolve()?;
                logging::start(&Log { level: LogLevel::Warn, ..assistance.config.log.clone() }, Mask::none())?;
                assistance.execute()
            }
            Self::Run(args) => {
                let daemon = args.resolve()?;
                let mask = daemon.mask()?;
                logging::start(&daemon.config.log, mask)?;
                daemon.execute(mask)
            }
            Self::Calls(args) => args.execute(),
            Self::Peers(args) => args.execute(),
            Self::Findings(args) => args.execute(),
            Self::Trace(args) => args.resolve()?.execute(),
            Self::Alert(args) => args.execute(),
            Self::Check(args) => check::check(&args),
            Self::Completions { shell } => print_bytes(|page| clap_complete::generate(shell, &mut Cli::command(), "siphound", page)),
            Self::Man { list: true, .. } => list_pages(),
            Self::Man { command, .. } => man(command.as_deref()),
            Self::MetricsDoc => print_bytes(|page| page.extend_from_slice(metrics::markdown().as_bytes())),
        }
    }
}

/// Prints the manual page of a command, or of siphound.
fn man(command: Option<&str>) -> Result<Exit, Failure> {
    let mut root = Cli::command();
    // Gives each command its full name, "siphound replay".
    root.build();
    let chosen = match command {
        Some(name) => {
            root.find_subcommand(name).cloned().ok_or_else(|| Failure::new(Exit::Usage, format_args!("there is no command {name:?}")))?
        }
        None => root,
    };
    print(|out| clap_mangen::Man::new(chosen).render(out))?;
    Ok(Exit::Done)
}

/// Prints the names of the commands that people may use.
fn list_pages() -> Result<Exit, Failure> {
    let root = Cli::command();
    let visible = root.get_subcommands().filter(|command| !command.is_hide_set());
    print(|out| visible.map(clap::Command::get_name).try_for_each(|name| writeln!(out, "{name}")))?;
    Ok(Exit::Done)
}

/// Prints what `make` makes, as a whole: its makers panic where the reader goes away.
fn print_bytes(make: impl FnOnce(&mut Vec<u8>)) -> Result<Exit, Failure> {
    let mut page = Vec::new();
    make(&mut page);
    print(|out| out.write_all(&page))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(arguments: &[&str]) -> ExitCode {
        main(["siphound"].iter().chain(arguments))
    }

    #[test]
    fn the_declaration_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments_become_exit_codes() {
        for (arguments, expected) in [
            (&["--version"][..], Exit::Done),
            (&[], Exit::Usage),
            (&["replay"], Exit::Usage),
            (&["rplay"], Exit::Usage),
            (&["check", "--config", "/nonexistent/siphound.toml"], Exit::Usage),
            (&["replay", "/nonexistent/a.pcap"], Exit::Usage),
            (&["man", "rplay"], Exit::Usage),
        ] {
            assert_eq!(exit(arguments), ExitCode::from(expected), "{arguments:?}");
        }
    }
}
