//! What a HUP does: the configuration is read again and checked; who is told changes at once, the rest needs a restart.

use std::path::Path;

use super::confine::reaches;
use super::run::Daemon;
use super::supervisor::tell;
use crate::alert::Reloader;
use crate::config::Config;
use crate::process::manager::Told;

impl Daemon {
    /// Reads the configuration again each time it is called, and says what became of it.
    pub(super) fn reload(&self, notifications: Reloader) -> impl FnMut() + Send + 'static {
        let (path, started, mut running) = (self.origin.path(), self.written.clone(), self.written.clone());
        move || {
            tell(Told::Reloading);
            tell(Told::Ready(reloaded(path.as_deref(), &started, &mut running, &notifications)));
        }
    }
}

/// Takes over what can change while it runs, and says in a line what became of the rest.
fn reloaded(path: Option<&Path>, started: &Config, running: &mut Config, notifications: &Reloader) -> &'static str {
    let Some(path) = path else {
        let outcome = "No configuration file is in use; there is nothing to reload";
        tracing::info!("{outcome}");
        return outcome;
    };
    let changed = match Config::load(path) {
        Ok(changed) => changed,
        Err(error) => {
            let outcome = "The configuration is not valid; nothing is changed";
            tracing::error!(%error, "{outcome}");
            return outcome;
        }
    };
    if changed == *running {
        let outcome = "The configuration is unchanged";
        tracing::info!(path = %path.display(), "{outcome}");
        return outcome;
    }
    let others = running.differing_keys(&changed);
    let mut outcome = "The configuration is unchanged";
    if !running.notifies_as(&changed) {
        if !reaches(started, &changed) {
            let outcome =
                "The notifications go to ports or commands that this process gave up when it started; restart to apply the configuration";
            tracing::warn!(path = %path.display(), "{outcome}");
            return outcome;
        }
        if let Err(error) = notifications.reload(&changed) {
            let outcome = "The notifications cannot be changed; nothing is changed";
            tracing::error!(%error, "{outcome}");
            return outcome;
        }
        outcome = "The notifications are changed";
        tracing::info!(path = %path.display(), "{outcome}");
        running.notify = changed.notify;
        running.alertmanagers = changed.alertmanagers;
        running.webhooks = changed.webhooks;
        running.commands = changed.commands;
    }
    if !others.is_empty() {
        let keys = others.join(", ");
        outcome = "The changed configuration is valid; restart to apply it";
        tracing::warn!(path = %path.display(), keys, "{outcome}");
    }
    outcome
}
