//! The history in SQLite: calls, users, what changed, findings, NAT.
//!
//! Each row has the columns that are searched by and the object of the report as JSON. Readers and the writer do not wait for each other
//! (write-ahead log).

mod reader;
mod schema;
mod write;

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

pub use reader::{Asked, Hit, Kind, Reader};

use super::record::Row;
use crate::time::PacketTime;

/// The file in the directory of the history.
const FILE: &str = "history.db";
/// How long another process is waited for; meanwhile the queue of the writer holds what comes.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(250);

/// Why the history cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// There is none.
    #[error(
        "there is no history at {0}: siphound run keeps one there unless its configuration says otherwise; name another place with --state-dir or --config"
    )]
    Missing(PathBuf),
    /// The file system refuses.
    #[error("{path}: {cause}")]
    File {
        /// What was to be used.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// A newer siphound wrote it.
    #[error("{path} has version {found} of the history, this siphound knows up to {known}: update siphound, or move the file away")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest one known here.
        known: i64,
    },
    /// SQLite refuses.
    #[error("{path}: {cause}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        cause: rusqlite::Error,
    },
    /// An entry cannot be written as JSON.
    #[error("an entry cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Somebody took it away.
    #[error("{0} is not there any more")]
    Gone(PathBuf),
    /// It is not open.
    #[error("the history is not open")]
    Closed,
}

impl DatabaseError {
    /// Whether the file is lost, so that it must be opened again.
    pub(super) fn is_lost(&self) -> bool {
        self.is_corrupt() || matches!(self, Self::Gone(_))
    }

    /// Whether the file is not what it should be.
    pub(super) fn is_corrupt(&self) -> bool {
        let Self::Sqlite { cause, .. } = self else { return false };
        matches!(cause.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }
}

/// The history, open to be written.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    connection: Connection,
}

impl Database {
    /// Opens the history in `directory`, which is made where it is not there. One that is corrupt is moved aside and a fresh one begun.
    pub(super) fn open(directory: &Path, now: PacketTime) -> Result<Self, DatabaseError> {
        let path = directory.join(FILE);
        let refused = |cause| DatabaseError::File { path: directory.to_owned(), cause };
        super::make_directory(directory).map_err(refused)?;
        match Self::open_file(&path) {
            Err(error) if error.is_corrupt() => {
                let aside = directory.join(format!("{FILE}.corrupt-{}", now.as_nanos().div_euclid(1_000_000_000)));
                fs::rename(&path, &aside).map_err(refused)?;
                for suffix in ["-wal", "-shm"] {
                    // They belong to the file that was moved, and often are not there.
                    let _ = fs::remove_file(directory.join(format!("{FILE}{suffix}")));
                }
                tracing::error!(%error, moved_to = %aside.display(), "The history is corrupt; it was moved aside and a fresh one begun");
                Self::open_file(&path)
            }
            opened => opened,
        }
    }

    fn open_file(path: &Path) -> Result<Self, DatabaseError> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        file.map_err(|cause| DatabaseError::File { path: path.to_owned(), cause })?;
        let sqlite = |cause| DatabaseError::Sqlite { path: path.to_owned(), cause };
        let connection = Connection::open(path).map_err(sqlite)?;
        connection.busy_timeout(PATIENCE).map_err(sqlite)?;
        schema::prepare(&connection, path)?;
        Ok(Self { path: path.to_owned(), connection })
    }

    /// Writes all rows, or none of them.
    pub(super) fn write(&mut self, rows: &[Row]) -> Result<(), DatabaseError> {
        if rows.is_empty() {
            return Ok(());
        }
        let sqlite = |cause| DatabaseError::Sqlite { path: self.path.clone(), cause };
        let transaction = self.connection.transaction().map_err(sqlite)?;
        for row in rows {
            let entry = write::json(row)?;
            write::row(&transaction, row, &entry).map_err(sqlite)?;
        }
        transaction.commit().map_err(sqlite)
    }

    /// Bytes of the pages in use.
    pub(super) fn bytes(&self) -> Result<u64, DatabaseError> {
        write::size(&self.connection).map_err(|cause| DatabaseError::Sqlite { path: self.path.clone(), cause })
    }

    /// Deletes what is older than `oldest`, and the oldest of the rest where there are more than `bytes`. Tells how many bytes there are and
    /// how far back they reach.
    ///
    /// # Errors
    ///
    /// Also when the file was taken away or spoilt meanwhile, which an open connection would not notice.
    pub(super) fn prune(&mut self, oldest: PacketTime, bytes: u64) -> Result<(u64, Option<PacketTime>), DatabaseError> {
        self.look()?;
        let sqlite = |cause| DatabaseError::Sqlite { path: self.path.clone(), cause };
        write::prune(&mut self.connection, oldest, bytes).map_err(sqlite)
    }

    /// Looks at the file as somebody does who opens it afresh.
    fn look(&self) -> Result<(), DatabaseError> {
        if !self.path.exists() {
            return Err(DatabaseError::Gone(self.path.clone()));
        }
        let read = || {
            let fresh = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            fresh.busy_timeout(PATIENCE)?;
            fresh.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
        };
        read().map(drop).map_err(|cause| DatabaseError::Sqlite { path: self.path.clone(), cause })
    }
}

#[cfg(test)]
mod tests;
