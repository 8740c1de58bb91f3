//! The thread that writes, and what it does when it cannot.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, select, tick};

use super::database::{Database, DatabaseError};
use super::record::{Batch, Row, Traced, What};
use super::status::{Loss, Status, Store};
use super::trace::{Frames, Roll, Rolling};
use super::{Place, Places};
use crate::time::PacketTime;

/// How often a store that is down is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Ticks of that between two looks at how much is stored.
const PRUNE_EVERY: u32 = 30;
/// Bytes of a trace that are written at once.
const CHUNK: usize = 64 << 10;
/// Rows that wait for the others of their half second at most.
const TOGETHER: usize = 5_000;
/// Rows that are written in one transaction at most: its log has a copy of each page that it changes, and a disk may have no room for many.
const TRANSACTION: usize = 500;
/// The share of the bytes it may have by which the database grows beyond them before it is pruned out of turn.
const EXCESS: u64 = 8;
/// Rows that wait for a database that is down.
const WAITING: usize = 20_000;

/// Writes both stores.
pub(super) struct Writer {
    database: Option<Base>,
    traces: Option<Traces>,
    status: Status,
    now: Option<PacketTime>,
}

/// The database and what waits for it.
struct Base {
    place: Place,
    open: Option<Database>,
    waiting: Vec<Row>,
    health: Health,
}

/// The traces.
struct Traces {
    place: Place,
    open: Option<Rolling>,
    frames: Frames,
    out: Vec<u8>,
    health: Health,
}

/// Whether a store can be written, and whether it is time to try.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Health {
    /// It can.
    Up,
    /// It cannot; nothing is tried before the next tick.
    Down,
}

impl Writer {
    pub(super) fn new(places: Places, status: Status) -> Self {
        let database = places.database.map(|place| Base { place, open: None, waiting: Vec::new(), health: Health::Up });
        let traces =
            places.traces.map(|place| Traces { place, open: None, frames: Frames::default(), out: Vec::new(), health: Health::Up });
        Self { database, traces, status, now: None }
    }

    /// Writes until the recorder is gone and everything it handed on is written.
    pub(super) fn run(mut self, batches: &Receiver<Batch>, spent: &Sender<Batch>) {
        let ticks = tick(RETRY);
        let mut passed = 0_u32;
        self.prune();
        loop {
            select! {
                recv(batches) -> batch => match batch {
                    Ok(mut batch) => {
                        self.take(&mut batch);
                        batch.clear();
                        // Without room its memory is given back.
                        let _ = spent.try_send(batch);
                    }
                    Err(_) => break,
                },
                recv(ticks) -> _ => {
                    passed = passed.wrapping_add(1);
                    self.retry();
                    if passed.is_multiple_of(PRUNE_EVERY) {
                        self.prune();
                    }
                }
            }
        }
        self.retry();
        self.prune();
        self.give_up();
    }

    /// Tells of what could not be written to the end.
    fn give_up(&mut self) {
        let Some(base) = self.database.as_mut().filter(|base| !base.waiting.is_empty()) else { return };
        let rows = base.waiting.len();
        base.waiting.clear();
        self.status.lose(Store::Database, Loss::Write, rows as u64);
        tracing::error!(rows, "The history could not be written to the end");
    }

    fn take(&mut self, batch: &mut Batch) {
        self.now = Some(batch.now);
        if let Some(traces) = &mut self.traces {
            traces.take(batch, &self.status);
        }
        if let Some(base) = &mut self.database {
            base.waiting.append(&mut batch.rows);
            let excess = base.waiting.len().saturating_sub(WAITING);
            base.waiting.drain(..excess);
            self.status.lose(Store::Database, Loss::Write, excess as u64);
            let is_time = batch.settled || base.waiting.len() >= TOGETHER;
            if base.health == Health::Up && is_time {
                base.commit(&self.status, batch.now);
            }
        }
    }

    /// Tries stores that are down, and writes what nothing has followed that would have it written.
    fn retry(&mut self) {
        let now = self.now.unwrap_or_else(wall_clock);
        if let Some(base) = self.database.as_mut().filter(|base| base.health == Health::Down || !base.waiting.is_empty()) {
            base.commit(&self.status, now);
        }
        if let Some(traces) = self.traces.as_mut().filter(|traces| traces.health == Health::Down) {
            traces.reopen(&self.status, now);
        }
    }

    /// Lets go of what is too much or too old.
    fn prune(&mut self) {
        let now = self.now.unwrap_or_else(wall_clock);
        if let Some(base) = &mut self.database {
            base.prune(&self.status, now);
        }
        if let Some(traces) = &mut self.traces {
            traces.prune(&self.status, now);
        }
    }
}

impl Base {
    /// Writes what waits, and makes room where there comes to be too much.
    fn commit(&mut self, status: &Status, now: PacketTime) {
        loop {
            match self.write_some(now) {
                Ok(bytes) => {
                    self.health = up(Store::Database, self.health, status);
                    if bytes > self.place.bytes + self.place.bytes / EXCESS {
                        self.prune(status, now);
                    }
                }
                Err(error) => self.fail(&error, status, now),
            }
            if self.waiting.is_empty() || self.health == Health::Down {
                return;
            }
        }
    }

    /// Writes one transaction of what waits; returns how many bytes the database has then.
    fn write_some(&mut self, now: PacketTime) -> Result<u64, DatabaseError> {
        let some = self.waiting.len().min(TRANSACTION);
        let (database, waiting) = self.database(now)?;
        database.write(waiting.get(..some).unwrap_or_default())?;
        let bytes = database.bytes();
        // They are written, whatever the bytes: rows of what changed are not to be there twice.
        self.waiting.drain(..some);
        bytes
    }

    fn prune(&mut self, status: &Status, now: PacketTime) {
        let (oldest, bytes) = (now - self.place.age, self.place.bytes);
        let extent = self.database(now).and_then(|(database, _)| database.prune(oldest, bytes));
        match extent {
            Ok((bytes, oldest)) => status.set_extent(Store::Database, bytes, oldest),
            Err(error) => self.fail(&error, status, now),
        }
    }

    fn fail(&mut self, error: &DatabaseError, status: &Status, now: PacketTime) {
        if error.is_lost() {
            // It is looked at again when it is opened: one that is spoilt is moved aside there.
            self.open = None;
        }
        self.health = down(Store::Database, self.health, error, status, now);
    }

    fn database(&mut self, now: PacketTime) -> Result<(&mut Database, &[Row]), DatabaseError> {
        if self.open.is_none() {
            self.open = Some(Database::open(&self.place.directory, now)?);
        }
        match &mut self.open {
            Some(database) => Ok((database, &self.waiting)),
            None => Err(DatabaseError::Closed),
        }
    }
}

impl Traces {
    fn take(&mut self, batch: &Batch, status: &Status) {
        if self.health == Health::Down {
            return status.lose(Store::Traces, Loss::Write, batch.traced.len() as u64);
        }
        if batch.after_loss {
            self.interrupt();
        }
        let mut at = 0;
        let mut lost = 0;
        for piece in batch.traced.chunks(64) {
            let start = at;
            let own: usize = piece.iter().map(|traced| if let What::Message(_, length) = traced.what { length } else { 0 }).sum();
            at += own;
            if self.health == Health::Down {
                lost += piece.len() as u64;
            } else if let Err(error) = self.chunk(piece, batch.bytes.get(start..at).unwrap_or_default()) {
                lost += piece.len() as u64;
                self.interrupt();
                self.health = down(Store::Traces, self.health, &error, status, batch.now);
            }
        }
        status.lose(Store::Traces, Loss::Write, lost);
    }

    fn chunk(&mut self, piece: &[Traced], bytes: &[u8]) -> std::io::Result<()> {
        let Some(first) = piece.first() else { return Ok(()) };
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(Rolling::open(&self.place.directory, self.place.bytes, self.place.age)?),
        };
        self.out.clear();
        let roll = open.roll(CHUNK);
        if roll == Roll::Begin {
            self.frames.begin_file(&mut self.out);
        }
        let mut rest = bytes;
        for traced in piece {
            match &traced.what {
                What::Message(flow, length) => {
                    let (message, behind) = rest.split_at_checked(*length).unwrap_or((rest, &[]));
                    rest = behind;
                    self.frames.message(&mut self.out, traced.time, flow, message);
                }
                What::Signal(signal) => self.frames.signal(&mut self.out, traced.time, signal),
            }
        }
        open.write(roll, first.time, &self.out)
    }

    /// Forgets what went before: what comes next is no continuation of it.
    fn interrupt(&mut self) {
        self.frames = Frames::default();
        self.open = None;
    }

    fn reopen(&mut self, status: &Status, now: PacketTime) {
        match Rolling::open(&self.place.directory, self.place.bytes, self.place.age) {
            Ok(rolling) => {
                self.open = Some(rolling);
                self.health = up(Store::Traces, self.health, status);
            }
            Err(error) => self.health = down(Store::Traces, self.health, &error, status, now),
        }
    }

    fn prune(&mut self, status: &Status, now: PacketTime) {
        if self.open.is_none() && self.health == Health::Up {
            self.reopen(status, now);
        }
        let Some(open) = &mut self.open else { return };
        match open.prune(now) {
            Ok((bytes, oldest)) => status.set_extent(Store::Traces, bytes, oldest),
            Err(error) => self.health = down(Store::Traces, self.health, &error, status, now),
        }
    }
}

/// Takes note that a store can be written, and says so where it could not before.
fn up(store: Store, before: Health, status: &Status) -> Health {
    if let (Health::Down, Some(since)) = (before, status.down_since(store)) {
        tracing::info!(%since, "{} written again", name(store));
    }
    status.set_down(store, None);
    Health::Up
}

/// Takes note that a store cannot be written, and says so once.
fn down(store: Store, before: Health, error: &dyn std::fmt::Display, status: &Status, now: PacketTime) -> Health {
    if before == Health::Up {
        status.set_down(store, Some(now));
        tracing::error!(%error, since = %now, "{} not written; capture and metrics go on, and it is tried again", name(store));
    }
    Health::Down
}

fn name(store: Store) -> &'static str {
    match store {
        Store::Database => "The history is",
        Store::Traces => "The traces are",
    }
}

/// The time before any packet told one.
fn wall_clock() -> PacketTime {
    PacketTime::from_nanos(i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::record::Change;
    use crate::time::Span;

    #[test]
    fn what_cannot_be_written_to_the_end_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = folder.path().join("file");
        std::fs::write(&directory, "no directory").expect("a file");
        let place = Place { directory, age: Span::from_secs(86_400), bytes: 1 << 20 };
        let status = Status::default();
        let writer = Writer::new(Places { database: Some(place), traces: None }, status.clone());
        let (full, batches) = crossbeam_channel::bounded(1);
        let (spent, _empty) = crossbeam_channel::bounded(1);
        let now = PacketTime::from_parts(1, 0);
        full.send(Batch { rows: vec![Row::Began(now)], settled: true, now, ..Batch::default() }).expect("room");
        drop(full);
        writer.run(&batches, &spent);
        assert_eq!(status.lost(Store::Database, Loss::Write), 1);
    }

    #[test]
    fn a_flood_of_rows_takes_little_more_room_than_there_may_be() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place { directory: folder.path().to_owned(), age: Span::from_secs(86_400), bytes: 1 << 20 };
        let mut writer = Writer::new(Places { database: Some(place), traces: None }, Status::default());
        for second in 0..10 {
            let change = |n| {
                let [aor, contact, source, was, became] =
                    ["aor", "contact", "source", "was", "became"].map(|what| format!("{what} {n} {second}"));
                Row::Change(Change { at: PacketTime::from_parts(second, 0), aor, contact, source, was, became })
            };
            let rows = (0..4_000).map(change).collect();
            writer.take(&mut Batch { rows, settled: true, now: PacketTime::from_parts(second, 0), ..Batch::default() });
            let files = std::fs::read_dir(folder.path()).expect("there").map(|file| file.and_then(|file| file.metadata()));
            let bytes: u64 = files.map(|file| file.expect("a file").len()).sum();
            assert!(bytes < 3 << 20, "{bytes} after {second} s");
        }
        assert_eq!(writer.status.lost(Store::Database, Loss::Write), 0);
    }
}
