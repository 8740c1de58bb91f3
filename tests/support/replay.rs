//! Runs the real binary over a capture.

use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;

/// The report of `siphound replay --format json`, or why there is none.
pub(crate) fn report(file: &Path, args: &[String]) -> Result<Json, String> {
    let (report, complaint) = output(file, &["--format", "json"], args)?;
    serde_json::from_str(&report).map_err(|error| format!("the report is not JSON: {error} {complaint}"))
}

/// What `siphound replay --metrics` prints, or why there is nothing.
pub(crate) fn metrics(file: &Path, args: &[String]) -> Result<String, String> {
    output(file, &["--metrics"], args).map(|(metrics, _)| metrics)
}

/// What the program printed, and what it complained of.
fn output(file: &Path, kind: &[&str], args: &[String]) -> Result<(String, String), String> {
    let output = Command::new(env!("CARGO_BIN_EXE_siphound"))
        .arg("replay")
        .args(kind)
        .args(args)
        .arg(file)
        .output()
        .map_err(|error| format!("siphound does not start: {error}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if !output.status.success() {
        return Err(format!("siphound ended with {}: {complaint}", output.status));
    }
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), complaint))
}
