//! What is kept on disk: the history in SQLite and the traces, each for some days and at most so many bytes.
//!
//! A [`Recorder`] hears the engine and hands plain records through a bounded queue to one writer thread. The engine never waits for the
//! disk: where the queue is full, or a store cannot be written, records are dropped and counted by reason, and the store says since when it
//! is down. It is taken up again by itself.

pub mod database;
pub mod mask;
mod record;
mod recorder;
mod status;
pub mod trace;
mod writer;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use crossbeam_channel::bounded;

use rustix::process::setpriority_process;

pub use recorder::Recorder;
pub use status::{Loss, Status, Store};

use crate::time::Span;
use writer::Writer;

/// Batches of records that may wait for the disk, of a quarter of a megabyte and 1,000 records each.
const QUEUE: usize = 32;

/// The nice value of the thread that writes, sched(7): a third of the processor time of another thread that wants all of it.
const PRIORITY: i32 = 5;

/// Bytes of the file that tries whether a directory can be written to.
const PROBE: usize = 64 << 10;

/// Where a store is and how much of it is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// Its directory.
    pub directory: PathBuf,
    /// How long anything is kept.
    pub age: Span,
    /// How many bytes it may have.
    pub bytes: u64,
}

/// What is kept where; a store without a place is off.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Places {
    /// The history.
    pub database: Option<Place>,
    /// The traces.
    pub traces: Option<Place>,
}

/// The running writer.
#[derive(Debug)]
pub struct History {
    thread: JoinHandle<()>,
}

impl History {
    /// Starts the writer, and the recorder that feeds it.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started. A store that cannot be opened is no error: it is down, and tried again.
    pub fn start(places: Places, status: Status) -> io::Result<(Self, Recorder)> {
        for (store, place) in [(Store::Database, &places.database), (Store::Traces, &places.traces)] {
            if place.is_some() {
                status.set_on(store);
            }
        }
        let (full, batches) = bounded(QUEUE);
        let (spent, empty) = bounded(QUEUE);
        let recorder = Recorder::new(full, empty, status.clone());
        let writer = Writer::new(places, status);
        let thread = std::thread::Builder::new().name("history".to_owned()).spawn(move || {
            give_way();
            writer.run(&batches, &spent);
        })?;
        Ok((Self { thread }, recorder))
    }

    /// Waits until everything is written; the recorder must be gone.
    pub fn finish(self) {
        if self.thread.join().is_err() {
            tracing::error!("The history thread failed; what it had not written is lost");
        }
    }
}

/// Lets the threads that capture go first where there is too little time for all: a packet that they miss is in no trace either.
fn give_way() {
    if let Err(error) = setpriority_process(None, PRIORITY) {
        tracing::debug!(%error, "The history thread keeps its priority");
    }
}

/// Makes a directory for this user alone where it is not there, and tries whether it can be written to.
///
/// # Errors
///
/// What the file system says.
pub fn make_directory(directory: &Path) -> io::Result<()> {
    if !directory.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    }
    let probe = directory.join(format!(".siphound-{}", std::process::id()));
    // As much as is written at once: a disk that is all but full would be tried in vain again and again.
    let written = fs::write(&probe, vec![0; PROBE]);
    // A probe that did not fit must not take up what room there is.
    let removed = fs::remove_file(&probe);
    written.and(removed)
}
