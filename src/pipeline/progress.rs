//! The bar that shows how far a long replay has come.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::capture::Progress;
use crate::pipeline::stop::{Stop, StopHandle, stop};

/// A replay that is done sooner shows no bar.
const PATIENCE: Duration = Duration::from_millis(500);
const TICK: Duration = Duration::from_millis(200);

/// Shows a bar on stderr while it lives, where stderr is a terminal.
#[derive(Debug)]
pub struct Bar {
    handle: StopHandle,
    thread: Option<JoinHandle<()>>,
}

impl Bar {
    /// Shows `progress` and the pace of `messages`, a counter that the caller keeps.
    pub fn show(progress: Progress, messages: std::sync::Arc<AtomicU64>) -> Self {
        let (handle, stop) = stop();
        // A bar that cannot be drawn is no reason not to replay.
        let thread = io::stderr()
            .is_terminal()
            .then(|| thread::Builder::new().name("progress".to_owned()).spawn(move || draw(&progress, &messages, &stop)).ok())
            .flatten();
        Self { handle, thread }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            // Drawing holds nothing that anybody needs.
            let _ = thread.join();
        }
    }
}

fn draw(progress: &Progress, messages: &AtomicU64, stop: &Stop) {
    if stop.requested_within(PATIENCE) {
        return;
    }
    let bar = ProgressBar::with_draw_target(progress.total(), ProgressDrawTarget::stderr());
    bar.set_style(style(progress));
    loop {
        bar.set_position(progress.bytes_read());
        let rate = messages.load(Ordering::Relaxed) as f64 / bar.elapsed().as_secs_f64().max(1e-3);
        bar.set_message(format!("{rate:.0} messages/s"));
        if stop.requested_within(TICK) {
            break;
        }
    }
    bar.finish_and_clear();
}

fn style(progress: &Progress) -> ProgressStyle {
    let template = match progress.total() {
        Some(_) => "{bar:30} {bytes}/{total_bytes}, {msg}, {eta} left",
        None => "{spinner} {bytes}, {msg}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
