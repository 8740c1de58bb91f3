//! Keeps the shape of the crate: a module imports only what stands to its left, nothing below the pipeline touches the outside world,
//! and no file grows too long to be read.

use std::fs;
use std::path::{Path, PathBuf};

/// The chain of DESIGN.md, left to right. Modules of one row do not see each other.
const CHAIN: [&[&str]; 11] = [
    &["time"],
    &["table", "config"],
    &["decode"],
    &["sip"],
    &["track"],
    &["detect"],
    &["report"],
    &["assist", "diagnose", "metrics", "alert", "history"],
    &["http"],
    &["pipeline"],
    &["commands"],
];

/// Modules that read no clock, do no IO, and know no threads.
const PURE: [&str; 9] = ["time", "table", "decode", "sip", "track", "detect", "report", "assist", "diagnose"];

/// What pure modules must not name: paths by their first segments.
const IMPURE: [&str; 23] = [
    "std::fs",
    "std::thread",
    "std::env",
    "std::process",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::os",
    "std::sync::mpsc",
    "std::collections::HashMap",
    "std::collections::HashSet",
    "jiff::Timestamp::now",
    "jiff::Zoned",
    "axum",
    "crossbeam_channel",
    "indicatif",
    "pcap",
    "pcap_parser",
    "prometheus",
    "tokio",
    "tracing_subscriber",
];

/// Macros that write to the terminal.
const PRINTING: [&str; 4] = ["print", "println", "eprint", "eprintln"];

/// Lines of a file without its tests: no file has more.
const MAX_LINES: usize = 500;
/// Half of the files have at most so many.
const MAX_MEDIAN_LINES: usize = 200;

#[test]
fn modules_import_only_what_stands_to_their_left() {
    let problems: Vec<_> = sources().iter().flat_map(|source| wrong_imports(&source.module, &source.code)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn nothing_below_the_pipeline_touches_the_outside_world() {
    let problems: Vec<_> = sources().iter().flat_map(|source| impurities(&source.module, &source.code)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn rsip_stays_behind_its_adapter() {
    for source in sources().iter().filter(|source| source.module != ["sip", "adapter"]) {
        let named = paths(&source.code).into_iter().find(|path| path[0] == "rsip");
        assert_eq!(named, None, "{}", source.module.join("::"));
    }
}

#[test]
fn files_are_short_enough_to_read() {
    let mut lengths: Vec<_> = sources().iter().map(|source| (source.code.lines().count(), source.module.join("::"))).collect();
    lengths.sort();
    let (longest, module) = lengths.last().expect("there are sources");
    assert!(*longest <= MAX_LINES, "{module} has {longest} lines");
    let (median, _) = lengths[lengths.len() / 2];
    assert!(median <= MAX_MEDIAN_LINES, "the median file has {median} lines");
}

/// A file under `src` without its tests.
struct Source {
    module: Vec<String>,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    files.iter().filter_map(|file| source(&root, file)).collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a source directory is readable") {
        let path = entry.expect("a directory entry is readable").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn source(root: &Path, file: &Path) -> Option<Source> {
    let relative = file.strip_prefix(root).expect("a source is below src").with_extension("");
    let mut module: Vec<_> = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.iter().any(|part| part == "tests") {
        return None;
    }
    module.pop_if(|last| matches!(last.as_str(), "mod" | "lib"));
    let text = fs::read_to_string(file).expect("a source is readable");
    let code = text.split_once("\n#[cfg(test)]\nmod tests {").map_or(text.as_str(), |(code, _)| code);
    Some(Source { module, code: code.to_owned() })
}

/// What `module` imports although it stands to its right.
fn wrong_imports(module: &[String], code: &str) -> Vec<String> {
    let Some(top) = module.first().filter(|top| *top != "main") else {
        return Vec::new();
    };
    let mut wrong: Vec<_> = paths(code)
        .iter()
        .filter_map(|path| imported(module, path))
        .filter(|target| target != top && !may_import(top, target))
        .map(|target| format!("{} imports crate::{target}", module.join("::")))
        .collect();
    wrong.dedup();
    wrong
}

/// The top-level module that a path of `module` leads to, if it leaves that module's own tree through the root of the crate.
fn imported(module: &[String], path: &[String]) -> Option<String> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    let target = match path[0].as_str() {
        "crate" | "siphound" => path.get(1),
        "super" if ups >= module.len() => path.get(ups),
        _ => None,
    };
    target.filter(|name| name.starts_with(|first: char| first.is_lowercase())).cloned()
}

fn may_import(module: &str, target: &str) -> bool {
    let rank = |name| CHAIN.iter().position(|row| row.contains(&name));
    match (module, target) {
        ("capture", target) => ["time", "config", "decode"].contains(&target),
        (module, "capture") => module == "pipeline",
        ("process", _) => false,
        (module, "process") => module == "commands",
        (module, target) => matches!((rank(module), rank(target)), (Some(own), Some(other)) if other < own),
    }
}

/// What a pure module names of the outside world.
fn impurities(module: &[String], code: &str) -> Vec<String> {
    if !module.first().is_some_and(|top| PURE.contains(&top.as_str())) {
        return Vec::new();
    }
    let names = paths(code)
        .into_iter()
        .map(|path| path.join("::"))
        .filter(|path| IMPURE.iter().any(|impure| path.strip_prefix(impure).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))));
    let tokens = tokens(code);
    let printing = tokens.windows(2).filter(|pair| PRINTING.contains(&pair[0].as_str()) && pair[1] == "!").map(|pair| pair[0].clone());
    names.chain(printing).map(|name| format!("{} names {name}", module.join("::"))).collect()
}

/// Every path of at least two segments in `code`, the trees of `use` declarations spelled out.
fn paths(code: &str) -> Vec<Vec<String>> {
    let tokens = tokens(code);
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "use" {
            at = use_tree(&tokens, at + 1, &[], &mut paths);
        } else if is_name(&tokens[at]) {
            let start = at;
            while tokens.get(at + 1).is_some_and(|token| token == "::") && tokens.get(at + 2).is_some_and(|token| is_name(token)) {
                at += 2;
            }
            paths.push(tokens[start..=at].iter().step_by(2).cloned().collect());
        }
        at += 1;
    }
    paths.retain(|path: &Vec<String>| path.len() > 1);
    paths
}

/// Spells out the use tree that begins at `at` below `prefix`; gives the position after it.
fn use_tree(tokens: &[String], mut at: usize, prefix: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "{" => {
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = use_tree(tokens, at + 1, &path, paths);
                }
                return at + 1;
            }
            "as" => at += 1,
            "," | "}" | ";" => break,
            name if is_name(name) || name == "*" => path.push(name.to_owned()),
            _ => {}
        }
        at += 1;
    }
    if path.len() > prefix.len() {
        paths.push(path);
    }
    at
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Names, `::` and single characters of `code`; no comments, strings and character literals.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let taken = skipped(rest).unwrap_or_else(|| {
            let taken = match first {
                ':' if rest.starts_with("::") => 2,
                _ if is_name(rest) => rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()),
                _ => first.len_utf8(),
            };
            if !first.is_whitespace() {
                tokens.push(rest[..taken].to_owned());
            }
            taken
        });
        rest = &rest[taken..];
    }
    tokens
}

/// How many bytes the comment or literal has that `code` begins with.
fn skipped(code: &str) -> Option<usize> {
    if code.starts_with("//") {
        return Some(code.find('\n').unwrap_or(code.len()));
    }
    if code.starts_with("/*") {
        return Some(code.find("*/").map_or(code.len(), |end| end + 2));
    }
    let raw = code.strip_prefix("br").or_else(|| code.strip_prefix('r')).unwrap_or_default();
    let hashes = raw.bytes().take_while(|byte| *byte == b'#').count();
    if raw[hashes..].starts_with('"') {
        let start = code.len() - raw.len() + hashes + 1;
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(code[start..].find(&end).map_or(code.len(), |at| start + at + end.len()));
    }
    match code.strip_prefix('\'') {
        Some(after) if after.starts_with('\\') => quoted(code, '\''),
        Some(after) => after.chars().next().filter(|c| after[c.len_utf8()..].starts_with('\'')).map(|c| c.len_utf8() + 2),
        None => code.starts_with('"').then(|| quoted(code, '"')).flatten(),
    }
}

/// The length of a literal up to its closing `quote`, escapes skipped.
fn quoted(code: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    let end = code.char_indices().skip(1).find(|&(_, c)| {
        let closes = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    });
    Some(end.map_or(code.len(), |(at, _)| at + 1))
}

mod checker {
    use super::*;

    fn module(path: &str) -> Vec<String> {
        path.split("::").map(str::to_owned).collect()
    }

    fn imports(path: &str, code: &str) -> usize {
        wrong_imports(&module(path), code).len()
    }

    fn impure(path: &str, code: &str) -> usize {
        impurities(&module(path), code).len()
    }

    #[test]
    fn an_import_to_the_right_is_found_however_it_is_written() {
        assert_eq!(imports("decode::frame", "use crate::sip::message::Message;"), 1);
        assert_eq!(imports("decode::frame", "use crate::{time::PacketTime, sip::{scan, message}};"), 1);
        assert_eq!(imports("decode::frame", "fn f() { crate::track::call::new() }"), 1);
        assert_eq!(imports("decode::frame", "use super::super::sip::scan;"), 1);
        assert_eq!(imports("decode", "pub use super::detect::store;"), 1);
        assert_eq!(imports("metrics", "use crate::alert::Rule;"), 1, "one row, no sight of each other");
        assert_eq!(imports("commands::run", "use crate::capture::live;"), 1, "only the pipeline captures");
        assert_eq!(imports("capture::live", "use crate::sip::scan;"), 1);
        assert_eq!(imports("http::server", "use crate::process::manager;"), 1, "only the commands give up privileges");
        assert_eq!(imports("track", "use crate::newcomer::X;"), 1, "what is not in the chain has no place");
    }

    #[test]
    fn an_import_to_the_left_or_within_is_allowed() {
        assert_eq!(imports("sip::scan", "use crate::{decode::flow::Flow, time::Span}; use crate::sip::uri; use super::uri;"), 0);
        assert_eq!(imports("detect::store::index", "use super::super::catalog;"), 0);
        assert_eq!(imports("pipeline", "use crate::capture::file; use crate::report;"), 0);
        assert_eq!(imports("main", "use siphound::commands;"), 0);
        assert_eq!(
            imports("time", "pub(crate) fn f() {} // not crate::sip\n/* nor crate::sip::x */ const A: &str = \"crate::sip::y\";"),
            0
        );
    }

    #[test]
    fn the_outside_world_is_found_however_it_is_written() {
        assert_eq!(impure("decode::frame", "use std::fs;"), 1);
        assert_eq!(impure("decode::frame", "use std::{fmt, time::{Duration, Instant}};"), 1);
        assert_eq!(impure("sip", "let t = std::time::SystemTime::now();"), 1);
        assert_eq!(impure("track", "use tokio::sync::mpsc as channel;"), 1);
        assert_eq!(impure("report", "println!(\"{}\", 1);"), 1);
        assert_eq!(impure("detect", "use std::collections::{BTreeMap, HashMap};"), 1);
    }

    #[test]
    fn words_that_only_resemble_the_outside_world_are_allowed() {
        assert_eq!(impure("decode", "use std::net::{IpAddr, SocketAddr}; use std::time::Duration;"), 0);
        assert_eq!(impure("decode", "let x = 'a'; let s = r#\"std::fs::read(\"x\")\"#; let q = '\\''; fn f<'a>(x: &'a str) {}"), 0);
        assert_eq!(impure("report", "let text = \"tokio::spawn \\\" std::fs\"; // std::fs::read"), 0);
        assert_eq!(impure("pipeline", "use std::thread;"), 0);
    }
}
