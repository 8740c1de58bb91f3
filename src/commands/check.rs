//! `siphound check`: whether a configuration is valid.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};
use super::{settings, stdout};
use crate::alert;

/// Which configuration to check.
#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// The configuration file [default: /etc/siphound/siphound.toml where it exists]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Says OK, or everything that is wrong.
pub(super) fn check(args: &CheckArgs) -> Result<Exit, Failure> {
    let (config, origin) = settings::load_or_default(args.config.as_deref())?;
    alert::check(&config)?;
    stdout::print(|out| writeln!(out, "OK: {origin}"))?;
    Ok(Exit::Done)
}
