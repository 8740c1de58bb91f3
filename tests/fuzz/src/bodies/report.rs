//! What must hold of every report, whatever it is about.

use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::Value as Json;
use siphound::pipeline::engine::Engine;
use siphound::pipeline::ingest::IngestCounts;
use siphound::report::model::Report;
use siphound::report::{build, json};

use super::numbers::assert_sensible;

/// The report as a replay makes it.
pub(crate) fn of(engine: &Engine, counts: &IngestCounts) -> Report {
    let mut report = build::build(&engine.tracker, &engine.detectors.findings);
    report.capture = engine.capture(counts);
    report
}

/// The report as JSON text.
pub(crate) fn print(report: &Report) -> String {
    let mut text = Vec::new();
    json::write(report, &mut text).expect("memory takes all");
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// Checks a printed report on so many bytes of frames.
pub(crate) fn check(text: &str, captured: usize) {
    assert_shown("the report", text);
    // An entry takes its keys and what it repeats of the messages.
    assert!(text.len() <= 65_536 + 64 * captured, "{} bytes about {captured}", text.len());
    let report: Json = serde_json::from_str(text).expect("JSON");
    // Validation takes longer than all else, and what it can find depends on the types alone.
    if text.len().is_multiple_of(8)
        && let Some(error) = validator().iter_errors(&report).next()
    {
        panic!("{}: {error}", error.instance_path());
    }
    assert_sensible("", &report);
    let capture = &report["capture"];
    let frames = capture["frames"].as_u64().expect("a count");
    let skipped: u64 = capture["skipped"].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum();
    let [sip, keepalive] = ["sip_frames", "keepalive_frames"].map(|key| capture[key].as_u64().expect("a count"));
    assert_eq!(frames, sip + keepalive + skipped, "{capture}");
    let distinct = ["requests", "responses"].map(|kind| counted(&report["messages"][kind])).iter().sum::<u64>();
    assert_eq!(capture["sip_messages"].as_u64(), capture["retransmissions"].as_u64().map(|repeats| repeats + distinct), "{capture}");
    check_findings(report["findings"].as_array().expect("a list"), frames);
}

fn counted(map: &Json) -> u64 {
    map.as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum()
}

/// Findings are in order, happen in order, and point at frames that there are.
fn check_findings(findings: &[Json], frames: u64) {
    let since: Vec<_> = findings.iter().map(|finding| finding["since"].as_str().expect("a time")).collect();
    assert!(since.is_sorted(), "{since:?}");
    for finding in findings {
        assert!(finding["count"].as_u64().is_some_and(|count| count > 0), "{finding}");
        assert!(finding["message"].as_str().is_some_and(|message| !message.contains('\n')), "{finding}");
        for evidence in finding["evidence"].as_array().expect("a list") {
            let frame = &evidence["frame"];
            assert!(frame.is_null() || frame.as_u64().is_some_and(|frame| (1..=frames).contains(&frame)), "{finding}");
        }
    }
}

/// Nothing that is shown holds what a terminal would obey or hide.
pub(crate) fn assert_shown(what: &str, text: &str) {
    let hidden = text.chars().find(|c| *c != '\n' && siphound::report::escape::is_hidden(*c));
    assert_eq!(hidden, None, "{what} holds a hidden character");
}

fn validator() -> &'static Validator {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    VALIDATOR.get_or_init(|| {
        let schema = schemars::generate::SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Report>();
        jsonschema::validator_for(schema.as_value()).expect("a schema")
    })
}
