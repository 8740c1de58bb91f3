//! Each case of `pcaps/` concludes what it must and nothing that it must not, also when its frames come twice or out of order.
//!
//! `CASE=reg-ok cargo test --test golden` runs one case alone.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use support::capture::CaptureFile;
use support::expect::{Verdict, check, differences};
use support::{replay, variants};
use toml::Table;

#[test]
fn every_case_concludes_what_it_must() {
    let mut failures = Vec::new();
    let (mut cases, mut skipped) = (0, 0);
    for folder in folders() {
        let verdict = run(&folder);
        cases += 1;
        skipped += verdict.skipped;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        failures.extend(verdict.problems.into_iter().map(|problem| format!("{name}: {problem}")));
    }
    println!("{cases} cases, {skipped} expectations that wait for their detectors");
    assert!(failures.is_empty(), "{} differences in {cases} cases:\n{}", failures.len(), failures.join("\n"));
}

/// The folders of `pcaps/`, or the one that `CASE` names.
fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps");
    let wanted = std::env::var_os("CASE");
    let entries = fs::read_dir(&root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    let mut folders: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    folders.retain(|folder| wanted.as_deref().is_none_or(|wanted| folder.file_name() == Some(wanted)));
    folders.sort();
    assert!(!folders.is_empty(), "no such case");
    folders
}

/// Replays the capture of a case and its variants.
fn run(folder: &Path) -> Verdict {
    let fail = |problem: String| Verdict { problems: vec![problem], skipped: 0 };
    let case: Table = match read(&folder.join("case.toml")).parse() {
        Ok(case) => case,
        Err(error) => return fail(format!("case.toml: {error}")),
    };
    let args: Vec<String> = case.get("args").cloned().map_or_else(Vec::new, |args| args.try_into().unwrap_or_default());
    let input = folder.join("input.pcap");
    let capture = CaptureFile::from_bytes(&fs::read(&input).unwrap_or_else(|error| panic!("{}: {error}", input.display())));
    let report = match replay::report(&input, &args) {
        Ok(report) => report,
        Err(problem) => return fail(problem),
    };
    let mut verdict = check(&case, &report, capture.first_micros());
    let variants =
        [("each frame twice", variants::duplicated(&capture)), ("frames out of order", variants::shuffled(&capture, variants::DISORDER))];
    for (name, variant) in variants {
        let lines = compare_variant(&report, &variant, &args).unwrap_or_else(|problem| vec![problem]);
        verdict.problems.extend(lines.into_iter().map(|line| format!("({name}) {line}")));
    }
    verdict.problems.extend(compare_filtered(&report, &input, &args));
    verdict
}

/// With a filter that lets everything through, a report is made as a whole; without one, its long lists are made while they are written.
fn compare_filtered(report: &Json, input: &Path, args: &[String]) -> Vec<String> {
    let everything: Vec<String> = args.iter().cloned().chain(["--since", "1970-01-01 00:00"].map(String::from)).collect();
    match replay::report(input, &everything) {
        Ok(filtered) if filtered == *report => Vec::new(),
        Ok(_) => vec!["(filtered) another report".to_owned()],
        Err(problem) => vec![problem],
    }
}

fn compare_variant(report: &Json, variant: &CaptureFile, args: &[String]) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = folder.path().join("input.pcap");
    fs::write(&file, variant.to_bytes()).map_err(|error| error.to_string())?;
    Ok(differences(report, &replay::report(&file, args)?))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
