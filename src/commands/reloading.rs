//! What a HUP does: the configuration is read again and checked; who is told changes at once, the rest needs a restart.

use super::run::Daemon;
use crate::alert::Reloader;
use crate::config::Config;

impl Daemon {
    /// Reads the configuration again each time it is called, and says what became of it.
    pub(super) fn reload(&self, notifications: Reloader) -> impl FnMut() + Send + 'static {
        let (path, mut running) = (self.origin.path(), self.written.clone());
        move || {
            let Some(path) = &path else {
                tracing::info!("No configuration file is in use; there is nothing to reload");
                return;
            };
            let changed = match Config::load(path) {
                Ok(changed) => changed,
                Err(error) => {
                    tracing::error!(%error, "The configuration is not valid; nothing is changed");
                    return;
                }
            };
            if changed == running {
                tracing::info!(path = %path.display(), "The configuration is unchanged");
                return;
            }
            let others = running.differing_keys(&changed);
            if !running.notifies_as(&changed) {
                if let Err(error) = notifications.reload(&changed) {
                    tracing::error!(%error, "The notifications cannot be changed; nothing is changed");
                    return;
                }
                tracing::info!(path = %path.display(), "The notifications are changed");
                running.notify = changed.notify;
                running.alertmanagers = changed.alertmanagers;
                running.webhooks = changed.webhooks;
                running.commands = changed.commands;
            }
            if !others.is_empty() {
                let keys = others.join(", ");
                tracing::warn!(path = %path.display(), keys, "The changed configuration is valid; restart to apply it");
            }
        }
    }
}
