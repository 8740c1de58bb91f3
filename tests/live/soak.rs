//! The soak of `scripts/soak`, in short: a flood over a bad network, and an interface that goes down. The real one takes half an hour and is
//! run by hand.

use std::io::Write as _;
use std::process::Command;

use super::lab::{LINK, Lab};

/// What the harness ends with where it lacks something.
const LACKING: i32 = 2;

#[test]
fn what_was_sent_is_what_was_counted() {
    // Nothing of the lab is used: it says what is missing.
    if Lab::build(&["python3", "kamailio", "kamcmd", "nft", "unshare"]).is_none() {
        return;
    }
    let soak = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/soak");
    let mut command = Command::new("python3");
    command.args([
        soak,
        "--seconds",
        "10",
        "--only",
        "flaps,everything",
        "--interface",
        LINK,
        "--siphound",
        env!("CARGO_BIN_EXE_siphound"),
    ]);
    let output = command.output().expect("python3 starts");
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.code() == Some(LACKING) {
        let _ = writeln!(std::io::stderr(), "{said}");
        return;
    }
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("soak: all accounts agree"), "{said}");
}
