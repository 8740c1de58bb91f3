//! Rows in, old rows out.

use rusqlite::{Connection, Transaction, params};

use super::schema::AGES;
use crate::history::record::Row;
use crate::time::PacketTime;

/// The part of a table that goes at a time when there is too much.
const SHARE: i64 = 10;
/// How often that is done at once.
const ROUNDS: usize = 20;

/// The object of the report in a row.
pub(super) fn json(row: &Row) -> serde_json::Result<String> {
    match row {
        Row::Call(entry) => serde_json::to_string(entry),
        Row::Registration(entry, _) => serde_json::to_string(entry),
        Row::Finding(entry) => serde_json::to_string(entry),
        Row::Nat(entry, _) => serde_json::to_string(entry),
        Row::Change(_) | Row::Replaced(_) | Row::Began(_) => Ok(String::new()),
    }
}

/// Writes a row in place of what is known of the same thing.
pub(super) fn row(transaction: &Transaction<'_>, row: &Row, entry: &str) -> rusqlite::Result<()> {
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| transaction.prepare_cached(sql)?.execute(values).map(drop);
    match row {
        Row::Call(call) => run(
            "INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                call.call_id,
                call.first_seen.as_nanos(),
                call.source.to_string(),
                call.destination.to_string(),
                call.from,
                call.to,
                call.outcome.as_str(),
                call.ended.map(|ended| ended.0.as_nanos()),
                entry
            ],
        ),
        Row::Registration(user, changed) => run(
            "INSERT OR REPLACE INTO registrations VALUES (?, ?, ?, ?, ?)",
            params![user.aor, user.first_seen.as_nanos(), changed.as_nanos(), user.state.as_str(), entry],
        ),
        Row::Change(change) => run(
            "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?)",
            params![change.at.as_nanos(), change.aor, change.contact, change.source, change.was, change.became],
        ),
        Row::Finding(finding) => run(
            "INSERT OR REPLACE INTO findings VALUES (?, ?, ?, ?, ?, ?)",
            params![
                finding.id,
                finding.subject,
                finding.at.0.as_nanos(),
                finding.cleared.map(|cleared| cleared.0.as_nanos()),
                finding.severity.as_str(),
                entry
            ],
        ),
        Row::Replaced(finding) => run(
            "DELETE FROM findings WHERE id = ? AND subject = ? AND at = ?",
            params![finding.id, finding.subject, finding.at.0.as_nanos()],
        ),
        Row::Nat(nat, at) => run("INSERT INTO nat VALUES (?, ?, ?)", params![at.as_nanos(), nat.site, entry]),
        Row::Began(now) => run(
            "UPDATE findings SET cleared = max(at, ?1), entry = json_set(entry, '$.cleared', ?2) WHERE cleared IS NULL",
            params![now.as_nanos(), now.to_string()],
        ),
    }
}

/// Deletes rows older than `oldest`, then the oldest tenth of each table until the file has at most `bytes`. Tells its bytes and its oldest
/// time.
pub(super) fn prune(connection: &mut Connection, oldest: PacketTime, bytes: u64) -> rusqlite::Result<(u64, Option<PacketTime>)> {
    let transaction = connection.transaction()?;
    for (table, age) in AGES {
        transaction.execute(&format!("DELETE FROM {table} WHERE {age} < ?"), [oldest.as_nanos()])?;
    }
    transaction.commit()?;
    let mut used = size(connection)?;
    for _ in 0..ROUNDS {
        if used <= bytes {
            break;
        }
        let transaction = connection.transaction()?;
        for (table, age) in AGES {
            let some = format!("SELECT rowid FROM {table} ORDER BY {age} LIMIT 1 + (SELECT count(*) FROM {table}) / {SHARE}");
            transaction.execute(&format!("DELETE FROM {table} WHERE rowid IN ({some})"), [])?;
        }
        transaction.commit()?;
        used = size(connection)?;
    }
    // Pages that nobody needs go back to the file system, and so does the log.
    for pragma in ["PRAGMA incremental_vacuum", "PRAGMA wal_checkpoint(TRUNCATE)"] {
        // Each row is a part of the work: all of them must be asked for.
        let mut statement = connection.prepare(pragma)?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok((used, first(connection)?))
}

/// Bytes of the pages in use.
pub(super) fn size(connection: &Connection) -> rusqlite::Result<u64> {
    let number = |pragma: &str| connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    let pages = number("page_count")? - number("freelist_count")?;
    Ok(u64::try_from(pages * number("page_size")?).unwrap_or(0))
}

fn first(connection: &Connection) -> rusqlite::Result<Option<PacketTime>> {
    let mut first = None;
    for (table, age) in AGES {
        let least: Option<i64> = connection.query_row(&format!("SELECT min({age}) FROM {table}"), [], |row| row.get(0))?;
        first = least.into_iter().chain(first).min();
    }
    Ok(first.map(PacketTime::from_nanos))
}
