//! `docs/metrics.md`, made from the catalogue.

use std::fmt::Write as _;

use super::catalog::{
    CaptureTally, Entry, Families, Gauges, HistoryTally, OutputTally, Owner, PeerGauges, SiteGauges, SubjectTally, Tally, ToolGauges,
};
use super::family::{Kind, LabelValues};
use super::labels::Subject;

const HEAD: &str = "\
# Metrics

Made from the catalogue in `src/metrics/catalog.rs` by `siphound metrics-doc`.

Times are packet times, in seconds. No label names a user, a call or an address: every value comes from a closed set, and what is outside
of it is `other`. Where a family has at most 16 series, all are there from the start; of a larger one only those that counted. Ratios are
not exported; they are computed over a time range from the counters. RFC 6076 measures at the user agent; siphound measures at the PBX,
so the delays lack the way between phone and PBX.

`pbx` is the name of the PBX, `default` where the configuration gives none; where it names several, `other` is what concerns none of them
in particular. A call from one of them to another counts for both. `dir` is seen from the PBX. Messages and calls between
addresses of which none is known to be a PBX wait to be counted until one turns out to be, as `siphound_tracked_objects` of the kind
`unattributed`.
";

const SUBJECTS: &str = "
## Single peers, sites and users

Trunks and users that the configuration names in `[trunks]` and `[watch]` have series of their own, by those names. Sites and users that it
does not name have some only with `metrics.site_labels` and `metrics.aor_labels`, which are off; only those that a PBX accepted get any, no
more than `metrics.label_limit`, and not beyond an hour of silence. All others share `__other__`, and `siphound_label_overflow_total` says
how often there was no room.

";

/// The catalogue as a page of documentation.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    section(&mut page, "What happened", &Tally::entries());
    section(&mut page, "What the capture saw", &CaptureTally::entries());
    section(&mut page, "What is kept on disk", &HistoryTally::entries());
    section(&mut page, "What siphound told", &OutputTally::entries());
    section(&mut page, "How things stand", &[Gauges::entries(), ToolGauges::entries()].concat());
    page.push_str(SUBJECTS);
    let subjects = Subject::ALL.iter().map(|what| of_subject(SubjectTally::entries(), what.as_str()));
    let peers = of_subject(PeerGauges::entries(), Subject::Peer.as_str());
    table(&mut page, &subjects.flatten().chain(peers).chain(SiteGauges::entries()).collect::<Vec<_>>());
    label_section(&mut page);
    page
}

/// The entries of a group under the names that they have for one kind of subject.
fn of_subject(mut entries: Vec<Entry>, what: &'static str) -> Vec<Entry> {
    for entry in &mut entries {
        entry.name = entry.name_of(what).into();
        entry.labels.insert(0, LabelValues { name: what, values: Vec::new() });
    }
    entries
}

/// Every family under its name.
fn all() -> Vec<Entry> {
    let subjects = Subject::ALL.iter().flat_map(|what| of_subject(SubjectTally::entries(), what.as_str()));
    let peers = of_subject(PeerGauges::entries(), Subject::Peer.as_str());
    let tool = [CaptureTally::entries(), HistoryTally::entries(), OutputTally::entries(), ToolGauges::entries()].concat();
    [Tally::entries(), tool, Gauges::entries(), SiteGauges::entries(), subjects.chain(peers).collect()].concat()
}

fn section(page: &mut String, title: &str, entries: &[Entry]) {
    let _ = writeln!(page, "\n## {title}\n");
    table(page, entries);
}

fn table(page: &mut String, entries: &[Entry]) {
    let _ = writeln!(page, "| metric | type | labels | meaning |\n| --- | --- | --- | --- |");
    for entry in entries {
        let kind = match entry.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let owner: &[_] = match entry.owner {
            Owner::Pbx | Owner::Subject => &["pbx"],
            Owner::Site => &["pbx", "site"],
            Owner::Tool => &[],
        };
        let labels: Vec<_> =
            owner.iter().copied().chain(entry.labels.iter().map(|label| label.name)).map(|name| format!("`{name}`")).collect();
        let _ = writeln!(page, "| `{}` | {kind} | {} | {}{} |", entry.name, labels.join(", "), entry.help, buckets(entry.bounds));
    }
}

fn buckets(bounds: &[f64]) -> String {
    if bounds.is_empty() {
        return String::new();
    }
    let bounds: Vec<_> = bounds.iter().map(f64::to_string).collect();
    format!(" Buckets: {}.", bounds.join(" "))
}

/// The values of each label; a label with other values in other families has a line for each set of values.
fn label_section(page: &mut String) {
    let _ = writeln!(page, "\n## Labels\n\n| label | values |\n| --- | --- |");
    let entries = all();
    let mut labels: Vec<LabelValues> = Vec::new();
    for label in entries.into_iter().flat_map(|entry| entry.labels) {
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    labels.sort_by_key(|label| label.name);
    for LabelValues { name, values } in labels {
        let open = match name {
            "finding" => "ids of the catalogue of findings",
            "severity" => "`info` `warning` `error` `critical`",
            "reason" => "codes of anomalies",
            "kind" => "names of tables",
            "version" => "the version of siphound",
            "peer" => "the names of `[trunks]` and `[watch]`; `other` beyond `metrics.label_limit`",
            "site" => "public addresses that phones registered from; `__other__` for those without series of their own",
            "aor" => "users that registered; `__other__` for those without series of their own",
            _ => "",
        };
        let closed: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
        let _ = writeln!(page, "| `{name}` | {}{} |", closed.join(" "), if values.is_empty() { open } else { "" });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_page_in_docs_is_the_catalogue() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, markdown()).expect("write the page");
        }
        let committed = std::fs::read_to_string(path).expect("read the page");
        assert_eq!(committed, markdown(), "run the test with BLESS=1");
    }

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        let entries = all();
        for Entry { name, help, kind, bounds, labels, .. } in &entries {
            assert!(name.starts_with("siphound_"), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert_eq!(!bounds.is_empty(), *kind == Kind::Histogram, "{name}");
            assert!(*kind != Kind::Histogram || name.ends_with("_seconds"), "{name}");
            assert!(bounds.is_sorted(), "{name}");
            assert!(help.ends_with('.') && !help.contains("  "), "{name}: {help}");
            assert!(labels.iter().all(|label| label.name != "pbx" && label.name != "le"), "{name}");
        }
        let names: BTreeSet<_> = entries.iter().map(|entry| &entry.name).collect();
        assert_eq!(names.len(), entries.len(), "each name once");
    }
}
