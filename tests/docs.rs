//! What the documents say is what the code does. `BLESS=1` rewrites the generated ones.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use siphound::detect::catalog::{FindingId, Proof, RULES, Row, fill};
use siphound::track::vocabulary::Confidence;

/// Compares a generated document with the one in the repository, or rewrites that.
fn check_generated(path: &str, generated: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, generated).expect("the document is writable");
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    if let Some(difference) = first_difference(&written, generated) {
        panic!("{path} is out of date, rewrite it with BLESS=1: {difference}");
    }
}

fn first_difference(written: &str, generated: &str) -> Option<String> {
    if written == generated {
        return None;
    }
    let mut lines = (1..).zip(written.lines().zip(generated.lines()));
    let Some((line, (is, must))) = lines.find(|(_, (is, must))| is != must) else {
        return Some("one is longer than the other".into());
    };
    Some(format!("line {line}\n  is      {is}\n  must be {must}"))
}

#[test]
fn every_id_has_a_detector() {
    let detectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/detect");
    let mut sources = String::new();
    let mut folders = vec![detectors.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder is readable").map(|entry| entry.expect("an entry is listed").path()) {
            let is_catalogue = entry.starts_with(detectors.join("catalog")) || entry.starts_with(detectors.join("store"));
            if entry.is_dir() && !is_catalogue {
                folders.push(entry);
            } else if entry.is_file() && !["catalog.rs", "store.rs"].iter().any(|name| entry.ends_with(name)) {
                sources += &fs::read_to_string(entry).expect("a source is readable");
            }
        }
    }
    let is_raised = |id: &&FindingId| {
        let name = format!("FindingId::{id:?}");
        sources.match_indices(&name).any(|(at, _)| !sources[at + name.len()..].starts_with(|next: char| next.is_alphanumeric()))
    };
    let reserved: Vec<_> = FindingId::ALL.iter().filter(|id| !is_raised(id)).collect();
    assert_eq!(reserved, [&FindingId::NeverRegistered; 0], "no detector raises them");
}

fn findings_page() -> String {
    let mut page = String::from(
        "# Findings\n\n\
         What siphound can find, in the order of the catalogue. Generated from `src/detect/catalog/rows.rs`.\n\n\
         *Evidence* tells what a finding needs of the capture: one that rests on something *seen* is valid from any capture; one that rests\n\
         on something *missing* is only made where the capture would have shown it. *Thresholds* names the keys of the section `thresholds` of\n\
         the configuration that decide on it; `config/siphound.toml` tells what each is and its default.\n\n\
         | id | severity | about | evidence | runbook |\n| --- | --- | --- | --- | --- |\n",
    );
    for &id in FindingId::ALL {
        let row = id.row();
        let runbook = row.runbook.join(", ");
        writeln!(page, "| [`{id}`](#{id}) | {} | {} | {} | {runbook} |", row.severity, subjects(row), proof(row)).unwrap();
    }
    for &id in FindingId::ALL {
        let row = id.row();
        write!(page, "\n## {id}\n\n{}\n\n- **What to do:** {}\n- **Ends** {}.\n", row.meaning, fill(row.remedy, &[]), end(row)).unwrap();
        if !id.keys().is_empty() {
            writeln!(page, "- **Thresholds:** {}.", keys(id.keys())).unwrap();
        }
        let explained: Vec<_> = explained(id).map(|symptom| format!("`{symptom}`")).collect();
        if !explained.is_empty() {
            writeln!(page, "- **Takes the place of** {}.", explained.join(", ")).unwrap();
        }
    }
    page += "\n## Thresholds of several findings\n\n";
    for (rule, names) in RULES {
        writeln!(page, "- {rule}: {}.", keys(names)).unwrap();
    }
    page
}

fn keys(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn subjects(row: &Row) -> String {
    row.subjects.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" or ")
}

fn proof(row: &Row) -> &'static str {
    match row.proof {
        Proof::Presence => "seen",
        Proof::Absence => "missing",
    }
}

fn end(row: &Row) -> String {
    let minutes = row.clears.quiet.as_secs() / 60;
    let quiet = if minutes % 60 == 0 { format!("{} h", minutes / 60) } else { format!("{minutes} min") };
    match row.clears.when {
        Some(when) => format!("when {when}, or after {quiet} without new evidence"),
        None => format!("after {quiet} without new evidence"),
    }
}

fn explained(cause: FindingId) -> impl Iterator<Item = FindingId> {
    FindingId::ALL.iter().copied().filter(move |&symptom| cause.explains(symptom, Confidence::Confirmed).is_some())
}

#[test]
fn findings_page_is_the_catalogue() {
    check_generated("docs/findings.md", &findings_page());
}

#[test]
fn a_stale_page_is_told_from_a_fresh_one() {
    let page = findings_page();
    assert_eq!(first_difference(&page, &page), None);
    let stale = page.replacen("| error |", "| warning |", 1);
    assert!(first_difference(&stale, &page).is_some_and(|told| told.starts_with("line 11\n")));
    assert!(first_difference(&page[..page.len() - 1], &page).is_some());
    assert!(first_difference("", &page).is_some());
}

/// Links of a Markdown text to files of the repository, without their anchors.
fn local_links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| !target.contains("://"))
        .map(|target| target.split('#').next().unwrap_or_default())
        .filter(|file| !file.is_empty())
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["docs", "docs/runbooks"].map(|folder| fs::read_dir(root.join(folder)).expect("a folder of documents"));
    let entries = folders.into_iter().flatten().map(|page| page.expect("a page is listed").path());
    let pages = entries.filter(|page| page.is_file());
    for page in pages.chain([root.join("README.md"), root.join("CHANGELOG.md")]) {
        let text = fs::read_to_string(&page).expect("a page is readable");
        for link in local_links(&text) {
            let file = page.parent().expect("a page is in a folder").join(link);
            assert!(file.exists(), "{} links to {link}", page.display());
        }
    }
}

#[test]
fn links_are_recognised() {
    let text = "[a](docs/a.md#top) [b](https://example.com/x) [c](#here) [d](../LICENSE)";
    assert_eq!(local_links(text).collect::<Vec<_>>(), ["docs/a.md", "../LICENSE"]);
}

/// The names in backticks in the last column of the tables of the fault model: tests, files of tests, and modules.
#[test]
fn every_test_of_the_fault_model_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/fault-model.md")).expect("the page is there");
    let mut sources = String::new();
    for folder in ["src", "tests"] {
        read_all(&root.join(folder), &mut sources);
    }
    let mut named = 0;
    for line in page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")) {
        let Some(cell) = line.trim_end_matches('|').rsplit(" | ").next() else { continue };
        for name in cell.split('`').skip(1).step_by(2) {
            if name.contains('/') {
                assert!(root.join(name).exists(), "{name} is not there: {line}");
            } else if name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
                named += 1;
                let is_flood = sources.contains(&format!("    {name}: Attack::"));
                assert!(is_flood || is_test(&sources, name), "there is no test {name}: {line}");
            }
        }
    }
    assert!(named > 50, "{named} tests");
}

/// Whether a function of that name is a test: nothing but further attributes stands between it and the one that says so.
fn is_test(sources: &str, name: &str) -> bool {
    let function = format!("fn {name}(");
    sources.match_indices(&function).any(|(at, _)| {
        let before = sources[..at].trim_end_matches("async ").trim_end();
        before.lines().rev().map(str::trim).take_while(|line| line.starts_with("#[")).any(|line| line.contains("test"))
    })
}

#[test]
fn tests_are_told_from_other_functions() {
    let source = "#[test]\n#[cfg(unix)]\nfn one() {}\n\n#[tokio::test]\nasync fn two() {}\n\n#[must_use]\nfn three() {}\nfn four() {}\n";
    assert_eq!(["one", "two", "three", "four", "five"].map(|name| is_test(source, name)), [true, true, false, false, false]);
}

fn read_all(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder is readable").map(|entry| entry.expect("an entry is listed").path()) {
        if entry.is_dir() {
            read_all(&entry, sources);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            *sources += &fs::read_to_string(entry).expect("a source is readable");
        }
    }
}
