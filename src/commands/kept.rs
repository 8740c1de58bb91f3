//! `siphound calls`, `peers` and `findings`: what the history knows.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Map, Value as Json, json};

use super::exit::{Exit, Failure};
use super::next::NextStep;
use super::settings;
use super::stdout::print;
use crate::config::{Config, parse_moment};
use crate::history::database::{Asked, DatabaseError, Kind, Reader};
use crate::report::model::SCHEMA;
use crate::report::{escape, json};
use crate::time::PacketTime;

/// Columns of a table that a cell takes at most.
const WIDEST: usize = 48;

/// What of the history is asked for.
#[derive(Args, Debug)]
pub(super) struct KeptArgs {
    /// A user (1001, or 1001@pbx.example.com), an address, a Call-ID or the subject of a finding; everything without
    #[arg(value_name = "WHO")]
    user: Option<String>,

    /// Leave out what was over before this time: RFC 3339, 'YYYY-MM-DD HH:MM' in UTC, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    since: Option<PacketTime>,

    /// Leave out what began later
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    until: Option<PacketTime>,

    /// Only what is not over: calls in progress, registered users, findings that hold
    #[arg(long)]
    open: bool,

    /// How many entries at most, the latest
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    limit: usize,

    /// How it is written
    #[arg(short, long, value_enum, default_value_t)]
    format: KeptFormat,

    #[command(flatten)]
    place: PlaceArgs,
}

/// Where the daemon keeps things.
#[derive(Args, Debug)]
pub(super) struct PlaceArgs {
    /// Where the daemon keeps its history and traces, when it was started with this option too
    #[arg(long, value_name = "DIRECTORY")]
    state_dir: Option<PathBuf>,

    /// The configuration file of the daemon [default: /etc/siphound/siphound.toml where it exists]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl PlaceArgs {
    /// The configuration of the daemon.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        let (mut config, _) = settings::load_or_default(self.config.as_deref())?;
        if let Some(directory) = &self.state_dir {
            settings::set_state_directory(&mut config, directory);
        }
        Ok(config)
    }
}

/// Calls of the history.
#[derive(Args, Debug)]
pub(super) struct CallsArgs {
    #[command(flatten)]
    kept: KeptArgs,

    /// Only calls with this outcome, such as answered, busy or no_response
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
}

/// Users of the history.
#[derive(Args, Debug)]
pub(super) struct PeersArgs {
    #[command(flatten)]
    kept: KeptArgs,

    /// Only users in this state, such as registered or expired
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
}

/// Findings of the history.
#[derive(Args, Debug)]
pub(super) struct FindingsArgs {
    #[command(flatten)]
    kept: KeptArgs,

    /// Only findings with this id, such as nat-binding-timeout; with --open also the command that looks into each [repeat, or separate
    /// by commas]
    #[arg(long = "id", value_name = "ID", value_delimiter = ',')]
    ids: Vec<String>,
}

/// How entries are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum KeptFormat {
    /// For people.
    #[default]
    Table,
    /// For programs: the objects of the replay report, version 1.
    Json,
    /// For spreadsheets.
    Csv,
}

/// A column: its title, and where its value stands in the entry.
type Column = (&'static str, &'static str);

const CALLS: &[Column] = &[
    ("start", "/started"),
    ("from", "/from"),
    ("to", "/to"),
    ("outcome", "/outcome"),
    ("status", "/status"),
    ("state", "/state"),
    ("talk_s", "/talk_s"),
    ("ended_by", "/ended_by"),
    ("source", "/source"),
    ("call_id", "/call_id"),
];
const PEERS: &[Column] = &[
    ("user", "/aor"),
    ("state", "/state"),
    ("contact", "/contact"),
    ("source", "/source"),
    ("device", "/device_state"),
    ("expires", "/expires_at"),
    ("reachability", "/reachability"),
    ("nat", "/behind_nat"),
    ("user_agent", "/user_agent"),
];
const FINDINGS: &[Column] = &[
    ("since", "/since"),
    ("severity", "/severity"),
    ("finding", "/id"),
    ("subject", "/subject"),
    ("confidence", "/confidence"),
    ("cleared", "/cleared"),
    ("count", "/count"),
    ("message", "/message"),
];

impl CallsArgs {
    /// Prints the calls.
    pub(super) fn execute(self) -> Result<Exit, Failure> {
        let entries = self.kept.read(Kind::Calls, self.outcome.into_iter().collect())?;
        self.kept.print("calls", CALLS, entries.clone(), entries, &[])
    }
}

impl PeersArgs {
    /// Prints the users, in a table with a line for each device.
    pub(super) fn execute(self) -> Result<Exit, Failure> {
        let entries = self.kept.read(Kind::Peers, self.state.into_iter().collect())?;
        let rows = entries.iter().flat_map(device_rows).collect();
        self.kept.print("registrations", PEERS, entries, rows, &[])
    }
}

impl FindingsArgs {
    /// Prints the findings.
    pub(super) fn execute(self) -> Result<Exit, Failure> {
        let is_narrow = !self.ids.is_empty() && self.kept.open && self.kept.format == KeptFormat::Table;
        let entries = self.kept.read(Kind::Findings, self.ids)?;
        let commands = match is_narrow && !entries.is_empty() {
            true => NextStep::of(&self.kept.place.config()?).commands(&entries),
            false => Vec::new(),
        };
        self.kept.print("findings", FINDINGS, entries.clone(), entries, &commands)
    }
}

impl KeptArgs {
    fn read(&self, kind: Kind, is: Vec<String>) -> Result<Vec<Json>, Failure> {
        if self.since.zip(self.until).is_some_and(|(since, until)| since >= until) {
            return Err(Failure::new(Exit::Usage, "--since is not before --until").with_remedy("times without an offset are UTC"));
        }
        let config = self.place.config()?;
        if config.history.directory.is_empty() {
            return Err(Failure::new(Exit::Usage, "the configuration turns the history off: history.directory is empty"));
        }
        let asked = Asked { user: self.user.clone(), since: self.since, until: self.until, is, open: self.open, limit: self.limit };
        let reader = Reader::open(Path::new(&config.history.directory)).map_err(refused)?;
        let hits = reader.read(kind, &asked).map_err(refused)?;
        Ok(hits.into_iter().map(|hit| hit.entry).collect())
    }

    fn print(&self, name: &str, columns: &[Column], entries: Vec<Json>, rows: Vec<Json>, commands: &[String]) -> Result<Exit, Failure> {
        let limited = entries.len() == self.limit;
        print(|out| match self.format {
            KeptFormat::Json => json::write(&json!({"schema": SCHEMA, name: entries}), out),
            KeptFormat::Csv => csv(columns, &rows, out),
            KeptFormat::Table => {
                table(columns, &rows, out)?;
                if limited {
                    writeln!(out, "… the latest {} only: use --since, --until or --limit", self.limit)?;
                }
                commands.iter().try_for_each(|command| writeln!(out, "{command}"))
            }
        })?;
        Ok(Exit::Done)
    }
}

/// What went wrong, and what to do.
fn refused(error: DatabaseError) -> Failure {
    let exit = match &error {
        DatabaseError::File { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
            return Failure::new(Exit::Refused, error).with_remedy("read it as root or as the user that siphound runs as");
        }
        DatabaseError::Missing(_) => Exit::Usage,
        _ => Exit::Refused,
    };
    Failure::new(exit, error)
}

/// A line for each device of a user.
fn device_rows(entry: &Json) -> Vec<Json> {
    let own = |key: &str| entry.get(key).cloned().unwrap_or_default();
    let devices = entry.get("devices").and_then(Json::as_array).cloned().unwrap_or_default();
    let rows = devices.into_iter().filter_map(|device| {
        let Json::Object(mut row) = device else { return None };
        let state = row.remove("state").unwrap_or_default();
        row.insert("device_state".to_owned(), state);
        row.insert("state".to_owned(), own("state"));
        row.insert("aor".to_owned(), own("aor"));
        Some(Json::Object(row))
    });
    let rows: Vec<Json> = rows.collect();
    let bare = || Json::Object(Map::from_iter(["aor", "state"].map(|key| (key.to_owned(), own(key)))));
    if rows.is_empty() { vec![bare()] } else { rows }
}

fn cell(row: &Json, pointer: &str) -> String {
    match row.pointer(pointer) {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Columns as wide as what stands in them; text from the wire is escaped.
fn table(columns: &[Column], rows: &[Json], out: &mut dyn io::Write) -> io::Result<()> {
    if rows.is_empty() {
        return writeln!(out, "nothing of that kind is in the history");
    }
    let head = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    let body = rows.iter().map(|row| columns.iter().map(|(_, pointer)| escape::fit(&cell(row, pointer), WIDEST)).collect());
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|nth| lines.iter().filter_map(|line| line.get(nth)).map(|cell| escape::width(cell)).max().unwrap_or(0))
        .collect();
    for line in lines {
        let mut text = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width - escape::width(cell) + 2));
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

/// RFC 4180, every cell in quotes and on one line. A cell that a spreadsheet would take for a formula begins with an apostrophe; what a
/// terminal would obey stands as an escape.
fn csv(columns: &[Column], rows: &[Json], out: &mut dyn io::Write) -> io::Result<()> {
    let mut line = |cells: Vec<String>| write!(out, "{}\r\n", cells.join(","));
    line(columns.iter().map(|(title, _)| quoted_cell(title)).collect())?;
    rows.iter().try_for_each(|row| line(columns.iter().map(|(_, pointer)| quoted_cell(&cell(row, pointer))).collect()))
}

fn quoted_cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    let mut cell = String::from(if is_formula { "\"'" } else { "\"" });
    for c in text.chars() {
        match c {
            '"' => cell.push_str("\"\""),
            c if escape::is_hidden(c) => cell.push_str(&escape::text(c.encode_utf8(&mut [0; 4])).to_string()),
            c => cell.push(c),
        }
    }
    cell.push('"');
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_formula() {
        for (text, cell) in [
            ("1001", "\"1001\""),
            ("=HYPERLINK(\"http://x\")", "\"'=HYPERLINK(\"\"http://x\"\")\""),
            ("+4912345", "\"'+4912345\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("-1", "\"'-1\""),
            ("a,b\r\nc", "\"a,b\\r\\nc\""),
            ("\t=1+1", "\"'\\t=1+1\""),
            ("C:\\a\u{1b}[2J\u{202e}", "\"C:\\a\\x1b[2J\\u{202e}\""),
        ] {
            assert_eq!(quoted_cell(text), cell);
        }
    }

    #[test]
    fn a_table_is_aligned_and_obeys_nobody() {
        let rows = [json!({"started": "now", "from": "\u{1b}[2J", "status": 486}), json!({"started": "later", "from": "電話"})];
        let mut out = Vec::new();
        table(&[("start", "/started"), ("from", "/from"), ("status", "/status")], &rows, &mut out).expect("written");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text, "start  from     status\nnow    \\x1b[2J  486\nlater  電話\n");
    }
}
