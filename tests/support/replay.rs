//! Runs the real binary over a capture.

use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;

/// The report of `siphound replay --format json`, or why there is none.
pub(crate) fn report(file: &Path, args: &[String]) -> Result<Json, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_siphound"))
        .args(["replay", "--format", "json"])
        .args(args)
        .arg(file)
        .output()
        .map_err(|error| format!("siphound does not start: {error}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("siphound ended with {}: {}", output.status, complaint.trim()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("the report is not JSON: {error} {}", complaint.trim()))
}
