//! Makes the captures of `pcaps/` and holds them against what is committed, byte by byte.
//!
//! `BLESS=1 cargo test --test cases` writes them anew.

mod scenarios;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn committed_captures_are_what_the_generator_makes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps");
    let bless = std::env::var_os("BLESS").is_some();
    let mut stale = Vec::new();
    for scenario in scenarios::all() {
        let path = root.join(scenario.name).join("input.pcap");
        let made = scenario.make();
        if bless {
            fs::create_dir_all(root.join(scenario.name)).expect("the folder can be made");
            fs::write(&path, made).expect("the capture can be written");
        } else if fs::read(&path).ok().as_ref() != Some(&made) {
            stale.push(scenario.name);
        }
    }
    assert!(stale.is_empty(), "not what the generator makes (BLESS=1 writes them): {stale:?}");
}

#[test]
fn each_folder_has_a_scenario_a_purpose_and_expectations() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps");
    let folders: BTreeSet<String> = fs::read_dir(&root)
        .expect("pcaps can be read")
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| root.join(name).is_dir())
        .collect();
    let scenarios: BTreeSet<String> = scenarios::all().map(|scenario| scenario.name.to_owned()).collect();
    assert_eq!(folders, scenarios, "folders of pcaps/ and scenarios of the generator");
    for name in &folders {
        for file in ["README.md", "case.toml"] {
            assert!(root.join(name).join(file).is_file(), "{name} has no {file}");
        }
    }
}

#[test]
fn expectations_name_only_keys_that_a_report_has() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps");
    for scenario in scenarios::all() {
        let text = fs::read_to_string(root.join(scenario.name).join("case.toml")).expect("case.toml can be read");
        let case: toml::Table = text.parse().unwrap_or_else(|error| panic!("{}: {error}", scenario.name));
        assert_eq!(support::expect::unknown_keys(&case), [""; 0], "{}", scenario.name);
    }
}
