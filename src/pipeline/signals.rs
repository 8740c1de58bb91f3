//! What the system asks of the daemon.

use std::io;
use std::thread::{self, JoinHandle};

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::pipeline::stop::StopHandle;

/// Watches for signals on a thread of its own: TERM and INT end the pipeline, HUP calls `reload`, which decides by itself what changes.
///
/// # Errors
///
/// When the system refuses to tell of signals.
pub fn watch(handle: StopHandle, mut reload: impl FnMut() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let (mut terminate, mut interrupt, mut hang_up) = {
        let _within = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?)
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = terminate.recv() => break,
                    _ = interrupt.recv() => break,
                    _ = hang_up.recv() => reload(),
                }
            }
        });
        handle.stop();
    })
}
