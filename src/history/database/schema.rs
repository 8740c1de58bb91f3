//! The tables, and the version that says which they are.

use std::path::Path;

use rusqlite::Connection;

use super::DatabaseError;

/// The version of the tables. One that is higher is from a later siphound.
pub(super) const VERSION: i64 = 1;

/// Times are nanoseconds since the epoch.
const TABLES: &str = "
CREATE TABLE calls (
    call_id TEXT NOT NULL, first_seen INTEGER NOT NULL, source TEXT NOT NULL, destination TEXT NOT NULL,
    caller TEXT, callee TEXT, outcome TEXT NOT NULL, ended INTEGER, entry TEXT NOT NULL,
    PRIMARY KEY (call_id, first_seen, source));
CREATE INDEX calls_by_time ON calls (first_seen);
CREATE TABLE registrations (
    aor TEXT PRIMARY KEY, first_seen INTEGER NOT NULL, changed INTEGER NOT NULL, state TEXT NOT NULL, entry TEXT NOT NULL);
CREATE INDEX registrations_by_time ON registrations (changed);
CREATE TABLE changes (
    at INTEGER NOT NULL, aor TEXT NOT NULL, contact TEXT NOT NULL, source TEXT NOT NULL, was TEXT NOT NULL, became TEXT NOT NULL);
CREATE INDEX changes_by_time ON changes (at);
CREATE TABLE findings (
    id TEXT NOT NULL, subject TEXT NOT NULL, at INTEGER NOT NULL, cleared INTEGER, severity TEXT NOT NULL, entry TEXT NOT NULL,
    PRIMARY KEY (id, subject, at));
CREATE INDEX findings_by_time ON findings (at);
CREATE TABLE nat (at INTEGER NOT NULL, site TEXT NOT NULL, entry TEXT NOT NULL);
CREATE INDEX nat_by_time ON nat (at);
PRAGMA user_version = 1;
";

/// Each table with the column that says how old a row is.
pub(super) const AGES: [(&str, &str); 5] =
    [("calls", "first_seen"), ("registrations", "changed"), ("changes", "at"), ("findings", "at"), ("nat", "at")];

/// Makes the tables of a fresh file, and checks those of another.
pub(super) fn prepare(connection: &Connection, path: &Path) -> Result<(), DatabaseError> {
    let sqlite = |cause| DatabaseError::Sqlite { path: path.to_owned(), cause };
    check_version(connection, path)?;
    let version: i64 = version(connection).map_err(sqlite)?;
    if version == 0 {
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL;").map_err(sqlite)?;
    }
    // What a crash of the host takes is at most what was written last; a crash of siphound takes nothing.
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 4194304;")
        .map_err(sqlite)?;
    if version == 0 {
        return connection.execute_batch(&format!("BEGIN; {TABLES} COMMIT;")).map_err(sqlite);
    }
    let fault: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(sqlite)?;
    if fault == "ok" {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(sqlite(rusqlite::Error::SqliteFailure(code, Some(fault))))
}

/// Refuses tables of a later siphound.
pub(super) fn check_version(connection: &Connection, path: &Path) -> Result<(), DatabaseError> {
    let found = version(connection).map_err(|cause| DatabaseError::Sqlite { path: path.to_owned(), cause })?;
    if found > VERSION {
        return Err(DatabaseError::Newer { path: path.to_owned(), found, known: VERSION });
    }
    Ok(())
}

/// The version of the tables; 0 where there are none yet.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}
