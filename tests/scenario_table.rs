//! The scenarios with ground truth, each exactly one case: what must be found, what was, and whether the same comes out of the same
//! traffic captured otherwise.
//!
//! `cargo test --test scenario_table -- --nocapture` prints the table; `BLESS=1` rewrites `docs/scenarios.md`.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;

use serde_json::Value as Json;
use siphound::detect::listener::Listener;
use siphound::detect::store::FindingChange;
use siphound::track::{Settings, Tracker};
use support::agent::address;
use support::capture::CaptureFile;
use support::expect::{self, check, check_course, check_metrics, differences};
use support::lab::{self, Lab};
use support::variants::{self, DISORDER, GREAT_DISORDER};
use support::{pcaps, replay};
use toml::{Table, Value as Toml};

/// How many scenarios there are.
const SCENARIOS: i64 = 68;

/// A scenario and how it came out.
struct Row {
    scenario: i64,
    case: String,
    expected: String,
    forbidden: String,
    found: String,
    waiting: usize,
    plain: Vec<String>,
    doubled: Vec<String>,
    shuffled: Vec<String>,
}

#[test]
fn each_scenario_concludes_what_it_must() {
    let (cases, misnumbered) = numbered();
    let mut rows = all_rows(cases);
    rows.sort_by_key(|row| row.scenario);
    let table = rows.iter().fold(heading(), |table, row| table + &line(row));
    println!("{table}");
    let of = |row: &Row, name: &str, problems: &[String]| -> Vec<String> {
        problems.iter().map(|problem| format!("{} {} ({name}): {problem}", row.scenario, row.case)).collect()
    };
    let mut failures = misnumbered;
    for row in &rows {
        failures.extend(of(row, "plain", &row.plain));
        failures.extend(of(row, "doubled", &row.doubled));
        failures.extend(of(row, "shuffled", &row.shuffled));
    }
    failures.extend(stale_page(&rows));
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), failures.join("\n"));
}

/// The cases that are a scenario, by number, and what is wrong with the numbers.
fn numbered() -> (Vec<(i64, String, Table)>, Vec<String>) {
    let mut cases: BTreeMap<i64, (String, Table)> = BTreeMap::new();
    let mut problems = Vec::new();
    for name in pcaps::names() {
        let text = fs::read_to_string(pcaps::root().join(&name).join("case.toml")).expect("each case has expectations");
        let case: Table = text.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
        let Some(number) = case.get("scenario").and_then(Toml::as_integer) else {
            for key in ["raised", "never", "metrics"] {
                problems.extend(
                    case.contains_key(key).then(|| format!("{name}: `{key}` without the number of a scenario is checked by nobody")),
                );
            }
            continue;
        };
        if let Some((other, _)) = cases.insert(number, (name.clone(), case)) {
            problems.push(format!("scenario {number} is {other} and {name}"));
        }
    }
    problems.extend((1..=SCENARIOS).filter(|number| !cases.contains_key(number)).map(|number| format!("scenario {number} is missing")));
    problems.extend(cases.keys().filter(|number| !(1..=SCENARIOS).contains(number)).map(|number| format!("there is no scenario {number}")));
    (cases.into_iter().map(|(number, (name, case))| (number, name, case)).collect(), problems)
}

/// Runs all cases, as many at a time as there are processors.
fn all_rows(cases: Vec<(i64, String, Table)>) -> Vec<Row> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let queue = Mutex::new(cases.into_iter());
    let (sender, rows) = channel();
    thread::scope(|scope| {
        for _ in 0..workers {
            let (queue, sender) = (&queue, sender.clone());
            scope.spawn(move || {
                loop {
                    let next = queue.lock().expect("nobody panics with it").next();
                    let Some((scenario, case, expectations)) = next else { break };
                    sender.send(row(scenario, case, &expectations)).expect("the table waits for it");
                }
            });
        }
    });
    drop(sender);
    rows.into_iter().collect()
}

fn row(scenario: i64, case: String, expectations: &Table) -> Row {
    let args: Vec<String> = expectations.get("args").cloned().map_or_else(Vec::new, |args| args.try_into().expect("`args` are texts"));
    let (path, capture) = (pcaps::path(&case), pcaps::load(&case));
    let report = replay::report(&path, &args).unwrap_or_else(|problem| panic!("{case}: {problem}"));
    let verdict = check(expectations, &report, capture.first_micros());
    let mut plain = verdict.problems;
    plain.extend(check_course(expectations, &report, &course(&capture, &args), capture.first_micros()));
    if expectations.contains_key("metrics") {
        let scrape = replay::metrics(&path, &args).unwrap_or_else(|problem| panic!("{case}: {problem}"));
        plain.extend(check_metrics(expectations, &scrape));
    }
    let against = |variants: &[(&str, CaptureFile)]| -> Vec<String> {
        let lines = variants.iter().flat_map(|(name, variant)| {
            let lines = compared(&report, variant, &args).unwrap_or_else(|problem| vec![problem]);
            lines.into_iter().map(move |line| format!("{name}: {line}"))
        });
        lines.collect()
    };
    let doubled = [
        ("each frame twice", variants::duplicated(&capture)),
        ("before and after a router", variants::routed(&capture)),
        ("with and without a VLAN tag", variants::tagged(&capture)),
    ];
    let shuffled = [
        ("up to 20 ms out of order", variants::shuffled(&capture, DISORDER)),
        ("up to 50 ms out of order", variants::shuffled(&capture, GREAT_DISORDER)),
    ];
    Row {
        scenario,
        expected: expected(expectations),
        forbidden: texts(expectations.get("forbid_findings")).join(", "),
        found: found(&report, expectations, capture.first_micros()),
        waiting: verdict.skipped,
        plain,
        doubled: against(&doubled),
        shuffled: against(&shuffled),
        case,
    }
}

/// The differences between the report and the one about a variant of the capture.
fn compared(report: &Json, variant: &CaptureFile, args: &[String]) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file: PathBuf = folder.path().join("input.pcap");
    fs::write(&file, variant.to_bytes()).map_err(|error| error.to_string())?;
    Ok(differences(report, &replay::report(&file, args)?))
}

/// Everything that happened to findings.
fn course(capture: &CaptureFile, args: &[String]) -> Vec<Json> {
    struct Recorder(std::sync::mpsc::Sender<Json>);
    impl Listener for Recorder {
        fn finding(&mut self, _: &Tracker, change: &FindingChange) {
            self.0.send(expect::of_change(change)).expect("the course waits for it");
        }
    }
    let pbxs = args.iter().skip_while(|arg| *arg != "--pbx").skip(1).take(1).map(|pbx| address(pbx)).collect();
    let (sender, changes) = channel();
    let mut lab = Lab::new(&Settings { pbxs, ..lab::roomy() });
    lab.engine.listen(Box::new(Recorder(sender)));
    lab.capture(capture);
    drop(lab.finish());
    changes.into_iter().collect()
}

fn heading() -> String {
    "scenario | case | expected | found | plain | doubled | shuffled\n--- | --- | --- | --- | --- | --- | ---\n".to_owned()
}

fn line(row: &Row) -> String {
    let result = |problems: &[String]| match problems.len() {
        0 => "ok".to_owned(),
        n => format!("{n} DIFFER"),
    };
    let waiting = if row.waiting == 0 { String::new() } else { format!(", {} waiting", row.waiting) };
    let not = if row.forbidden.is_empty() { String::new() } else { format!(" · not {}", row.forbidden) };
    format!(
        "{} | {} | {}{not} | {} | {}{waiting} | {} | {}\n",
        row.scenario,
        row.case,
        row.expected,
        row.found,
        result(&row.plain),
        result(&row.doubled),
        result(&row.shuffled)
    )
}

/// The findings that a case expects, in short.
fn expected(case: &Table) -> String {
    let findings = case.get("finding").and_then(Toml::as_array).into_iter().flatten().filter_map(Toml::as_table);
    let shown = findings.map(|finding| {
        let part =
            |key: &str| finding.get(key).map(|value| format!(" {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
        let at = finding.get("at").map(|at| format!(" at {} s", at.as_str().map_or_else(|| at.to_string(), str::to_owned)));
        let parts = [part("severity"), part("confidence"), part("reason"), at];
        format!("{}{}", text(finding.get("id")), parts.into_iter().flatten().collect::<String>())
    });
    listed(shown)
}

/// The findings of a report that are expected or at least a warning, in short.
fn found(report: &Json, case: &Table, first: i64) -> String {
    let expected: Vec<&str> =
        case.get("finding").and_then(Toml::as_array).into_iter().flatten().filter_map(|finding| finding.get("id")?.as_str()).collect();
    let findings = report["findings"].as_array().into_iter().flatten();
    let shown = findings.filter(|finding| finding["severity"] != "info" || expected.iter().any(|id| finding["id"] == *id)).map(|finding| {
        let at: jiff::Timestamp = finding["at"].as_str().and_then(|at| at.parse().ok()).expect("a finding has a time");
        let seconds = (at.as_microsecond() - first) as f64 / 1e6;
        let word = |key: &str| finding[key].as_str().map_or_else(String::new, |word| format!(" {word}"));
        let head = format!("{}{}{}{}", finding["id"].as_str().unwrap_or(""), word("severity"), word("confidence"), word("reason"));
        format!("{head} at {seconds:.2} s")
    });
    listed(shown)
}

/// Equal entries once, with how often.
fn listed(entries: impl Iterator<Item = String>) -> String {
    let mut counted: Vec<(String, usize)> = Vec::new();
    for entry in entries {
        match counted.iter_mut().find(|(known, _)| *known == entry) {
            Some((_, n)) => *n += 1,
            None => counted.push((entry, 1)),
        }
    }
    let shown = counted.into_iter().map(|(entry, n)| if n == 1 { entry } else { format!("{entry} ×{n}") }).collect::<Vec<_>>();
    if shown.is_empty() { "nothing".to_owned() } else { shown.join("; ") }
}

fn text(value: Option<&Toml>) -> &str {
    value.and_then(Toml::as_str).unwrap_or("")
}

fn texts(list: Option<&Toml>) -> Vec<&str> {
    list.and_then(Toml::as_array).into_iter().flatten().filter_map(Toml::as_str).collect()
}

/// Compares `docs/scenarios.md` with the rows, or rewrites it.
fn stale_page(rows: &[Row]) -> Option<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scenarios.md");
    let page = page(rows);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, page).expect("the page is writable");
        return None;
    }
    (fs::read_to_string(&file).unwrap_or_default() != page).then(|| "docs/scenarios.md is out of date, BLESS=1 rewrites it".to_owned())
}

fn page(rows: &[Row]) -> String {
    let mut page = String::from(
        "# Scenarios\n\n\
         The situations that siphound is held against, each one case of [`pcaps/`](../pcaps/README.md): what must be found, what must not be\n\
         named, and what a replay finds. Nothing else of severity warning or above may come out. Each capture is replayed as it is, with each\n\
         frame twice (also as a copy behind a router, and with a VLAN tag), and out of order by up to 20 ms and up to 50 ms; the report must be\n\
         the same. Generated by `BLESS=1 cargo test --test scenario_table`, which also prints the table.\n\n\
         | scenario | case | must be found | must not be named | is found |\n| ---: | --- | --- | --- | --- |\n",
    );
    for row in rows {
        let case = format!("[{0}](../pcaps/{0}/README.md)", row.case);
        let _ = writeln!(page, "| {} | {case} | {} | {} | {} |", row.scenario, row.expected, row.forbidden, row.found);
    }
    page
}
