//! Reads the history, also while siphound runs.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, params};
use serde_json::Value as Json;

use super::{DatabaseError, FILE, PATIENCE, schema};
use crate::report::filter::is_user;
use crate::time::PacketTime;

/// The history, open to be read.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: Connection,
}

/// What is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Calls.
    Calls,
    /// Users and their devices.
    Peers,
    /// Findings.
    Findings,
}

/// What is asked for; nothing asks for everything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Asked {
    /// A user, with or without domain, an address with or without port, a Call-ID or the subject of a finding.
    pub user: Option<String>,
    /// Leaves out what was over before.
    pub since: Option<PacketTime>,
    /// Leaves out what began later.
    pub until: Option<PacketTime>,
    /// Outcomes of calls, states of users or ids of findings, any of them; everything where there is none.
    pub is: Vec<String>,
    /// Leaves out findings and calls that are over.
    pub open: bool,
    /// At most so many, the latest.
    pub limit: usize,
}

/// One entry that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The object of the report.
    pub entry: Json,
}

impl Reader {
    /// Opens the history in `directory`.
    ///
    /// # Errors
    ///
    /// When there is none, it may not be read, or a newer siphound wrote it.
    pub fn open(directory: &Path) -> Result<Self, DatabaseError> {
        let path = directory.join(FILE);
        if let Err(cause) = std::fs::File::open(&path) {
            return Err(match cause.kind() {
                io::ErrorKind::NotFound => DatabaseError::Missing(path),
                _ => DatabaseError::File { path, cause },
            });
        }
        let sqlite = |cause| DatabaseError::Sqlite { path: path.clone(), cause };
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(sqlite)?;
        connection.busy_timeout(PATIENCE * 8).map_err(sqlite)?;
        schema::check_version(&connection, &path)?;
        // A daemon has just begun it.
        if schema::version(&connection).map_err(sqlite)? == 0 {
            return Err(DatabaseError::Missing(path));
        }
        Ok(Self { path, connection })
    }

    /// What was asked for, in order of time.
    ///
    /// # Errors
    ///
    /// When SQLite refuses, or an entry is not JSON.
    pub fn read(&self, kind: Kind, asked: &Asked) -> Result<Vec<Hit>, DatabaseError> {
        let sqlite = |cause| DatabaseError::Sqlite { path: self.path.clone(), cause };
        let mut statement = self.connection.prepare(kind.query()).map_err(sqlite)?;
        let since = asked.since.map_or(i64::MIN, PacketTime::as_nanos);
        let until = asked.until.map_or(i64::MAX, PacketTime::as_nanos);
        let wanted = if asked.is.is_empty() { None } else { Some(serde_json::to_string(&asked.is)?) };
        let mut rows = statement.query(params![since, until, wanted, asked.open]).map_err(sqlite)?;
        let mut hits = Vec::new();
        while let Some(row) = rows.next().map_err(sqlite)?
            && hits.len() < asked.limit
        {
            let names: Vec<Option<String>> = (1..=5).map(|column| row.get(column)).collect::<Result<_, _>>().map_err(sqlite)?;
            let entry: String = row.get(0).map_err(sqlite)?;
            let entry: Json = serde_json::from_str(&entry)?;
            if asked.user.as_ref().is_none_or(|user| names.iter().flatten().any(|name| names_it(user, name)) || is_device(user, &entry)) {
                hits.push(Hit { entry });
            }
        }
        hits.reverse();
        Ok(hits)
    }
}

impl Kind {
    /// The entry and the names it is found by, the latest first.
    fn query(self) -> &'static str {
        match self {
            Self::Calls => {
                "SELECT entry, caller, callee, source, call_id, destination FROM calls
                 WHERE ifnull(ended, ?2) >= ?1 AND first_seen <= ?2 AND (?3 IS NULL OR outcome IN (SELECT value FROM json_each(?3))) AND (NOT ?4 OR ended IS NULL)
                 ORDER BY first_seen DESC, call_id DESC"
            }
            Self::Peers => {
                "SELECT entry, aor, NULL, NULL, NULL, NULL FROM registrations
                 WHERE changed >= ?1 AND first_seen <= ?2 AND (?3 IS NULL OR state IN (SELECT value FROM json_each(?3))) AND (NOT ?4 OR state = 'registered')
                 ORDER BY first_seen DESC, aor DESC"
            }
            Self::Findings => {
                "SELECT entry, subject, NULL, NULL, NULL, NULL FROM findings
                 WHERE ifnull(cleared, ?2) >= ?1 AND at <= ?2 AND (?3 IS NULL OR id IN (SELECT value FROM json_each(?3))) AND (NOT ?4 OR cleared IS NULL)
                 ORDER BY at DESC, id DESC, subject DESC"
            }
        }
    }
}

/// Whether `asked` names a party: as a user, an address with or without its port, or word for word.
fn names_it(asked: &str, name: &str) -> bool {
    let host = |text: &str| text.parse::<std::net::SocketAddr>().map(|address| address.ip()).ok();
    is_user(asked, name) || (host(name).is_some() && (host(name) == asked.parse().ok() || asked == name))
}

/// Whether `asked` names a device of a user, by its Contact or its address.
fn is_device(asked: &str, entry: &Json) -> bool {
    let devices = entry.get("devices").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    devices
        .iter()
        .flat_map(|device| [device.get("source"), device.get("contact")])
        .flatten()
        .filter_map(Json::as_str)
        .any(|name| names_it(asked, name))
}
