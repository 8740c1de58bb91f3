//! Other people to tell, or other rules, while everything runs.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::listener::Shared;
use super::policy::Rules;
use super::sink::Outlet;
use super::sink::alertmanager::Naming;
use super::{AlertError, Sinks, naming, rules};
use crate::config::Config;

/// Changes who is told of what.
#[derive(Clone, Debug)]
pub struct Reloader {
    host: String,
    reloads: Sender<Reload>,
}

/// What the threads of sinks share.
#[derive(Debug)]
pub(super) struct Threads {
    pub(super) shared: Arc<Shared>,
    /// Lives as long as they do.
    pub(super) running: Sender<()>,
    /// Closed when they are to end.
    pub(super) ends: Receiver<()>,
}

/// A configuration that was checked.
pub(super) struct Reload {
    config: Config,
    sinks: Sinks,
    naming: Naming,
}

/// What a configuration changes.
pub(super) struct Changed {
    pub(super) rules: Rules,
    pub(super) instance: String,
    pub(super) outlets: Vec<Outlet>,
}

impl Reloader {
    pub(super) fn new(host: &str) -> (Self, Receiver<Reload>) {
        let (reloads, asked) = bounded(1);
        (Self { host: host.to_owned(), reloads }, asked)
    }

    /// Tells from here on whom `config` names. What waits for the sinks before goes out by them.
    ///
    /// # Errors
    ///
    /// A secret that cannot be read. Then nothing is changed.
    pub fn reload(&self, config: &Config) -> Result<(), AlertError> {
        let reload = Reload { sinks: Sinks::of(config)?, naming: naming(config, &self.host), config: config.clone() };
        // Nobody takes it when siphound ends.
        let _ = self.reloads.send(reload);
        Ok(())
    }
}

impl Reload {
    /// Starts the sinks.
    pub(super) fn start(self, threads: &Threads) -> Result<Changed, AlertError> {
        let Self { config, sinks, naming } = self;
        let outlets = sinks.start(&config, &naming, threads)?;
        Ok(Changed { rules: rules(&config), instance: naming.instance, outlets })
    }
}
