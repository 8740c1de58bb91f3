//! The command line as people meet it: every row of "Bad input" in the design, exit codes, and what is printed where.

mod support;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;
use support::agent::cast::{a1, pbx};
use support::capture::{CaptureFile, Record};
use support::random::Random;
use support::{Scene, formats, pcaps};
use tempfile::TempDir;

/// How a command ended and what it said.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("what is printed is UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ended {
    /// Fails unless it ended with `code`.
    #[track_caller]
    fn with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Fails unless each of `parts` was said on standard error.
    #[track_caller]
    fn saying(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is missing in:\n{}", self.err);
        }
        self
    }

    fn json(&self) -> Json {
        serde_json::from_str(&self.out).expect("the report is JSON")
    }
}

fn siphound(arguments: &[&str]) -> Ended {
    Command::new(env!("CARGO_BIN_EXE_siphound")).args(arguments).output().expect("siphound starts").into()
}

/// Runs with `input` on standard input.
fn siphound_fed(arguments: &[&str], input: &[u8]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_siphound"));
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("siphound starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // Whoever reads no further closes the pipe; that is no concern of the writer.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&input)));
    let ended = child.wait_with_output().expect("siphound ends").into();
    writer.join().expect("the writer ends");
    ended
}

/// A folder with files of a test.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).expect("a file can be written");
        path
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn a_test_of_the_notifications_says_of_each_place_what_happened() {
    let files = Files::new();
    siphound(&["alert", "test", "log"]).with(0).saying(&["test of the notifications"]);
    let config = files.write(
        "siphound.toml",
        b"[[notify.webhook]]\nname = \"chat\"\nurl = \"http://127.0.0.1:9/s3cret\"\n[[notify.command]]\nargv = [\"true\"]\n",
    );
    let ended = siphound(&["alert", "test", "--config", text(&config)]).with(1);
    for line in ["FAILED  webhook chat: ", "ok      command command: exit status: 0", "ok      log log: written"] {
        assert!(ended.out.contains(line), "{line:?} is missing in:\n{}", ended.out);
    }
    assert!(!format!("{}{}", ended.out, ended.err).contains("s3cret"));
    siphound(&["alert", "test", "--config", text(&config), "command"]).with(0);
    siphound(&["alert", "test", "--config", text(&config), "pager"]).with(2).saying(&["pager", text(&config)]);
    let config = files.write("nosecret.toml", b"[[notify.webhook]]\nurl = \"http://127.0.0.1\"\nsecret_file = \"/nonexistent/secret\"\n");
    for command in [&["check"][..], &["alert", "test"]] {
        let ended = siphound(&[command, &["--config", text(&config)]].concat()).with(2);
        ended.saying(&["notify.webhook.secret_file", "/nonexistent/secret"]);
    }
}

const FIVE_MISTAKES: &str = r#"
[capture]
snaplen = 1
ports = [0]
[limits]
callz = 3
calls = -1
[log]
level = "loud"
"#;

#[test]
fn a_configuration_with_five_mistakes_tells_all_five_and_starts_nothing() {
    let files = Files::new();
    let config = files.write("siphound.toml", FIVE_MISTAKES.as_bytes());
    for command in ["check", "run", "replay"] {
        let mut arguments = vec![command, "--config", text(&config)];
        let capture = pcaps::path("reg-ok");
        arguments.extend((command == "replay").then_some(text(&capture)));
        let ended = siphound(&arguments).with(2).saying(&[
            text(&config),
            "line 3: capture.snaplen: 1 is not allowed; wanted: from 1600 to 262144",
            "line 4: capture.ports: 0 is not allowed; wanted: a port from 1 to 65535",
            "line 6: limits.callz: there is no such key; did you mean limits.calls?",
            "line 7: limits.calls: -1 is not allowed; wanted: a whole number, from 1 to",
            "line 9: log.level: \"loud\" is not allowed; wanted: one of \"error\"",
        ]);
        assert_eq!(ended.out, "", "{command}");
        assert!(!ended.err.contains("Starting"), "{command}: {}", ended.err);
    }
}

#[test]
fn a_configuration_that_is_no_toml_or_is_not_there_is_named() {
    let files = Files::new();
    let config = files.write("broken.toml", b"[capture\nports = 1");
    siphound(&["check", "--config", text(&config)]).with(2).saying(&["broken.toml", "line 1"]);
    siphound(&["check", "--config", "/nonexistent/siphound.toml"]).with(2).saying(&["/nonexistent/siphound.toml"]);
    siphound(&["check", "--config", text(files.0.path())]).with(2);
}

#[test]
fn a_valid_configuration_is_ok() {
    let files = Files::new();
    let config = files.write("siphound.toml", b"[capture]\nports = [5060, 5080]\n");
    assert_eq!(siphound(&["check", "--config", text(&config)]).with(0).out, format!("OK: {}\n", config.display()));
}

#[test]
fn what_is_no_capture_is_named_with_its_byte_and_ends_with_4() {
    let files = Files::new();
    let packed = formats::gzip(b"Dear Sir or Madam");
    for (name, bytes, why) in [
        ("letter.pcap", &b"Dear Sir or Madam"[..], "not a capture file"),
        ("empty.pcap", b"", "it holds nothing that can be read at byte 0"),
        ("short.pcap", b"\xd4\xc3\xb2\xa1\x02\x00", "ends within its header at byte 6"),
        ("letter.pcap.gz", &packed, "not a capture file"),
    ] {
        let path = files.write(name, bytes);
        let ended = siphound(&["replay", text(&path)]).with(4).saying(&[name, why, "byte"]);
        assert_eq!(ended.out, "", "{name}");
    }
}

#[test]
fn beside_a_capture_what_is_none_is_left_out_with_a_note() {
    let files = Files::new();
    let letter = files.write("letter.txt", b"Dear Sir or Madam");
    let capture = pcaps::path("reg-ok");
    let ended = siphound(&["replay", "--format", "json", text(&letter), text(&capture)]).with(0).saying(&["letter.txt", "left out"]);
    assert_eq!(ended.json()["capture"]["sip_messages"], 8);
}

#[test]
fn a_missing_file_ends_with_2_before_anything_is_read() {
    let ended = siphound(&["replay", "/nonexistent/a.pcap", text(&pcaps::path("reg-ok")), "/nonexistent/b.pcap"]).with(2);
    let ended = ended.saying(&["/nonexistent/a.pcap", "/nonexistent/b.pcap", "No such file"]);
    assert_eq!(ended.out, "");
}

/// In each container: where it was cut, what was read before, and that the report knows of it.
#[test]
fn a_cut_capture_is_analysed_up_to_the_cut() {
    let files = Files::new();
    let file = pcaps::load("reg-ok");
    let plain = file.to_bytes();
    let last = CaptureFile { records: file.records[..7].to_vec(), ..file.clone() }.to_bytes().len();
    let cut = &plain[..plain.len() - 100];
    let blocks = formats::pcapng(&file);
    let packed = formats::gzip(&with_noise(&file));
    for (name, bytes, place) in [
        ("cut.pcap", cut.to_vec(), format!("cut in the middle of a record at byte {last}, after 7 frames")),
        ("cut.pcapng", blocks[..blocks.len() - 1].to_vec(), "after 7 frames".to_owned()),
        ("cut.pcap.gz", formats::gzip(cut), format!("at byte {last}, after 7 frames")),
        ("cut.pcap.zst", formats::zstd(cut), format!("at byte {last}, after 7 frames")),
        ("end.pcap.gz", packed[..packed.len() / 2].to_vec(), "at byte".to_owned()),
    ] {
        let path = files.write(name, &bytes);
        let ended = siphound(&["replay", "--format", "json", text(&path)]).with(0).saying(&[name, &place]);
        let report = ended.json();
        assert_eq!(report["capture"]["cut"], true, "{name}");
        assert!(report["capture"]["frames"].as_u64() >= Some(if name.starts_with("cut") { 7 } else { 50 }), "{name}");
        let people = siphound(&["replay", text(&path)]).with(0);
        assert!(people.out.contains("a file ends in the middle of a packet"), "{}", people.out);
    }
    assert_eq!(siphound(&["replay", "--format", "json", text(&pcaps::path("reg-ok"))]).json()["capture"]["cut"], false);
}

/// The capture with frames of noise in its middle, so that it does not pack to nothing.
fn with_noise(file: &CaptureFile) -> Vec<u8> {
    let mut random = Random::seeded("noise");
    let mut noisy = file.clone();
    let micros = file.records[4].micros;
    let frame = |_| Record { micros, original_len: 1_000, bytes: (0..1_000).map(|_| random.next() as u8).collect() };
    noisy.records.splice(4..4, (0..200).map(frame).collect::<Vec<_>>());
    noisy.to_bytes()
}

#[test]
fn a_capture_without_packets_is_a_report_without_trouble() {
    let files = Files::new();
    let path = files.write("none.pcap", &pcaps::load("reg-ok").to_bytes()[..24]);
    let people = siphound(&["replay", text(&path)]).with(0);
    assert!(people.out.contains("no packet"), "{}", people.out);
    assert_eq!(people.err, "");
    let report = siphound(&["replay", "--format", "json", text(&path)]).with(0).json();
    assert_eq!((&report["capture"]["frames"], &report["capture"]["first_packet"]), (&0.into(), &Json::Null));
    siphound(&["replay", "--metrics", text(&path)]).with(0);
    let series = files.write("series.om", b"of another capture");
    siphound(&["replay", "--metrics-out", text(&series), text(&path)]).with(0);
    assert_eq!(fs::read_to_string(&series).expect("a file"), "# EOF\n");
}

#[test]
fn the_metrics_of_each_moment_are_written_beside_the_report() {
    let files = Files::new();
    let series = files.0.path().join("series.om");
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/pcaps/trunk-dead/input.pcap");
    let with =
        siphound(&["replay", "--metrics-out", text(&series), "--metrics-step", "30s", "--metrics-instance", "east", capture]).with(0);
    assert_eq!(with.out, siphound(&["replay", capture]).with(0).out);
    let frames = siphound(&["replay", "--format", "json", capture]).with(0).json()["capture"]["frames"].clone();

    let series = fs::read_to_string(&series).expect("a file");
    let samples = |name: &str| -> Vec<(u64, u64)> {
        let lines = series.lines().filter(|line| line.starts_with(name));
        let sample = |line: &str| {
            let mut words = line.rsplit(' ').map(|word| word.parse().expect("a number"));
            words.next().zip(words.next()).expect("a value and a time")
        };
        lines.map(sample).collect()
    };
    let packets = samples("siphound_capture_packets_total{instance=\"east\",job=\"siphound\"} ");
    assert_eq!(packets.first(), Some(&(1_769_850_000, 0)), "as it was before the first packet");
    assert_eq!(packets.last().map(|(_, count)| Json::from(*count)), Some(frames), "all of it at the end");
    assert!(packets.windows(2).all(|pair| pair[1].0 - pair[0].0 == 30 && pair[1].1 >= pair[0].1), "{packets:?}");
    // The trunk ignored a third call within a minute, and 32 s later nobody waits for it any more (64 times T1).
    let active = samples("siphound_findings_active{instance=\"east\",job=\"siphound\",pbx=\"default\",finding=\"trunk-no-response\"");
    assert!(active.first().is_some_and(|(time, _)| *time > 1_769_850_030), "{active:?}");
    assert_eq!(samples("siphound_findings_total").last().map(|(_, count)| *count), Some(1));

    let nowhere = files.0.path().join("none/series.om");
    siphound(&["replay", "--metrics-out", text(&nowhere), capture]).with(2).saying(&["cannot write", "none/series.om"]);
}

#[test]
fn a_capture_without_sip_says_so() {
    let mut scene = Scene::new("no sip");
    scene.udp(0.0, a1().outer, "203.0.113.53:53".parse().expect("an address"), b"something else altogether");
    let files = Files::new();
    let path = files.write("dns.pcap", &scene.finish());
    let people = siphound(&["replay", text(&path)]).with(0);
    assert!(people.out.contains("no SIP") || people.out.contains("No SIP"), "{}", people.out);
}

#[test]
fn a_directory_stands_for_the_captures_in_it() {
    let files = Files::new();
    let (first, second) = pcaps::load("reg-ok").halves(4);
    files.write("b.pcap", &second.to_bytes());
    files.write("a.pcap", &first.to_bytes());
    files.write("notes.txt", b"Dear diary");
    let ended = siphound(&["replay", "--format", "json", text(files.0.path())]).with(0).saying(&["notes.txt", "left out"]);
    assert_eq!(ended.json()["capture"]["sip_messages"], 8);
    let empty = Files::new();
    siphound(&["replay", text(empty.0.path())]).with(2).saying(&["no capture file in it"]);
}

#[test]
fn standard_input_is_a_capture_like_another() {
    let plain = pcaps::load("reg-ok").to_bytes();
    let from_file = siphound(&["replay", "--format", "json", text(&pcaps::path("reg-ok"))]).with(0).json();
    for bytes in [plain.clone(), formats::gzip(&plain), formats::zstd(&plain)] {
        let mut report = siphound_fed(&["replay", "--format", "json", "-"], &bytes).with(0).json();
        assert_eq!(report["capture"]["files"], serde_json::json!(["-"]));
        report["capture"]["files"] = from_file["capture"]["files"].clone();
        assert_eq!(report, from_file);
    }
    siphound_fed(&["replay", "-"], b"").with(4);
    siphound_fed(&["replay", "-"], b"Dear Sir or Madam").with(4);
}

/// A SIP phone that hopes for a careless reader: escape sequences, line breaks, HTML, text that runs from right to left.
fn hostile() -> (Vec<u8>, &'static str) {
    const CALL_ID: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J<script>\"evil\u{202e}";
    let mut scene = Scene::new("hostile");
    let (phone, pbx) = (a1(), pbx());
    let request = |method: &str, cseq: u32, to_tag: &str| {
        format!(
            "{method} sip:2\u{1b}[31m@pbx.example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.20;branch=z9hG4bK{cseq}{method}\r\n\
             From: \"\u{1b}[5m\" <sip:\u{1b}[1mx\u{9b}y@pbx.example.com>;tag=1\r\nTo: <sip:2\u{1b}[31m@pbx.example.com>{to_tag}\r\n\
             Call-ID: {CALL_ID}\r\nCSeq: {cseq} {method}\r\nContact: <sip:\u{1b}[1m@192.168.1.20>\r\n\
             User-Agent: \u{1b}[2J\u{8}\u{8}phone\r\nContent-Length: 77\r\n\r\n"
        )
    };
    let respond = |request: &str| format!("SIP/2.0 200 \u{1b}[7mOK{}", request.find("\r\n").map_or("", |at| &request[at..]));
    for (at, method, tag) in [(0.0, "REGISTER", ""), (1.0, "INVITE", ""), (1.2, "ACK", ";tag=2"), (9.0, "BYE", ";tag=2")] {
        let request = request(method, at as u32 + 1, tag);
        scene.udp(at, phone.outer, pbx.outer, request.as_bytes());
        if method != "ACK" {
            let response = respond(&request).replace("pbx.example.com>\r\nCall-ID", "pbx.example.com>;tag=2\r\nCall-ID");
            scene.udp(at + 0.1, pbx.outer, phone.outer, response.as_bytes());
        }
    }
    (scene.finish(), CALL_ID)
}

#[test]
fn hostile_sip_is_counted_and_shown_escaped_wherever_it_is_shown() {
    let files = Files::new();
    let (bytes, call_id) = hostile();
    let path = files.write("hostile.pcap", &bytes);
    let path = text(&path);
    let json = siphound(&["replay", "--format", "json", path]).with(0);
    let report = json.json();
    assert!(report["capture"]["anomalies"]["content_length_mismatch"].as_u64().is_some_and(|count| count > 0), "{}", report["capture"]);
    assert_eq!(report["calls"][0]["call_id"], call_id, "a program reads what was sent");
    let ladder = siphound(&["replay", "--ladder", call_id, path]).with(0);
    let people = siphound(&["replay", path]).with(0);
    let user = siphound(&["replay", "--user", "\u{1b}[1mx", path]).with(0);
    let metrics = siphound(&["replay", "--metrics", path]).with(0);
    let refused = siphound(&["replay", "--ladder", "\u{1b}[2Jnone", path]).with(2);
    for (name, shown) in [("json", json), ("ladder", ladder), ("text", people), ("user", user), ("metrics", metrics), ("error", refused)] {
        for stream in [&shown.out, &shown.err] {
            let hidden = stream.chars().find(|c| (c.is_control() && *c != '\n') || ('\u{200e}'..='\u{202e}').contains(c));
            assert_eq!(hidden, None, "{name}: {stream}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_siphound"));
    let command = command.arg("replay").arg(pcaps::path("quiet-day")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("siphound starts");
    drop(child.stdout.take());
    Ended::from(child.wait_with_output().expect("siphound ends")).with(0);
}

#[test]
fn fail_on_makes_a_finding_of_that_severity_or_above_an_exit_code() {
    let (bad, good) = (pcaps::path("reg-wrong-password"), pcaps::path("reg-ok"));
    let worst = siphound(&["replay", "--format", "json", text(&bad)]).with(0).json();
    let severities: Vec<&str> =
        worst["findings"].as_array().into_iter().flatten().filter_map(|finding| finding["severity"].as_str()).collect();
    assert!(severities.contains(&"error") && !severities.contains(&"critical"), "{severities:?}");
    for (severity, code) in [("info", 1), ("warning", 1), ("error", 1), ("critical", 0)] {
        for output in [&["--format", "json"][..], &["--only", "calls"], &["--metrics"]] {
            let arguments = [&["replay", "--fail-on", severity][..], output, &[text(&bad)]].concat();
            assert_eq!(siphound(&arguments).code, Some(code), "{arguments:?}");
        }
        siphound(&["replay", "--fail-on", severity, text(&good)]).with(0);
    }
}

#[test]
fn colour_is_for_terminals_and_for_who_asks_for_it() {
    let path = pcaps::path("reg-wrong-password");
    let coloured = |arguments: &[&str], no_color: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_siphound"));
        command.arg("replay").args(arguments).arg(&path).env_remove("NO_COLOR");
        command.envs(no_color.map(|value| ("NO_COLOR", value)));
        Ended::from(command.output().expect("siphound starts")).with(0).out.contains('\u{1b}')
    };
    assert!(!coloured(&[], None), "a pipe is no terminal");
    assert!(coloured(&["--color", "always"], None));
    assert!(coloured(&["--color", "always"], Some("1")), "who asks is asked no further");
    assert!(!coloured(&["--color", "never"], None));
    assert!(!coloured(&["--color", "auto"], Some("1")));
}

#[test]
fn a_text_report_fits_100_columns() {
    for case in pcaps::names() {
        let ended = siphound(&["replay", text(&pcaps::path(&case))]).with(0);
        let wide = ended.out.lines().find(|line| siphound::report::escape::width(line) > 100);
        assert_eq!(wide, None, "{case}");
    }
}

/// Options of the commands that need no privilege, each in use. An option that help names and that is not here is not tested.
const OPTIONS: [(&str, &[&str], &[&str]); 28] = [
    ("replay", &["--metrics-out", "SERIES", "--metrics-step", "30s", "--metrics-instance", "east"], &["siphound  "]),
    ("replay", &["--format", "json"], &["\"schema\": 1"]),
    ("replay", &["-f", "text"], &["Performance"]),
    ("replay", &["--port", "5060,5070-5080"], &["SIP messages"]),
    ("replay", &["-p", "5099"], &["No SIP message"]),
    ("replay", &["--pbx", "203.0.113.10:5060"], &["203.0.113.10:5060"]),
    ("replay", &["--user", "1001"], &["1001"]),
    ("replay", &["-u", "nobody@example.com"], &["siphound"]),
    ("replay", &["--call-id", "no-such-call"], &["siphound"]),
    ("replay", &["--since", "2026-01-31 09:00"], &["1001"]),
    ("replay", &["--until", "2026-01-31T09:00:00Z"], &["siphound"]),
    ("replay", &["--only", "registrations"], &["1001"]),
    ("replay", &["--metrics"], &["siphound_capture_frames_total"]),
    ("replay", &["--ladder", "REGISTER-CALL-ID"], &["REGISTER", "200 OK"]),
    ("replay", &["--fail-on", "critical"], &["1001"]),
    ("replay", &["--config", "CONFIG"], &["1001"]),
    ("replay", &["-c", "CONFIG"], &["1001"]),
    ("replay", &["--color", "always"], &["\u{1b}["]),
    ("run", &["--config", "CONFIG", "--print-filter"], &["port 5060"]),
    ("run", &["--interface", "lo", "--print-filter"], &["port 5060"]),
    ("run", &["--port", "5099", "--print-filter"], &["port 5099"]),
    ("run", &["--pbx", "192.0.2.1", "--print-filter"], &["port 5060"]),
    ("run", &["--listen", "127.0.0.1:9", "--print-filter"], &["port 5060"]),
    ("run", &["--filter", "udp", "--print-filter"], &["udp"]),
    ("run", &["--state-dir", "/var/lib/siphound", "--print-filter"], &["port 5060"]),
    ("run", &["-i", "lo", "-p", "5098", "-c", "CONFIG", "--print-filter"], &["port 5098"]),
    ("check", &["--config", "CONFIG"], &["OK"]),
    ("check", &["-c", "CONFIG"], &["OK"]),
];

#[test]
fn every_option_of_help_works() {
    let files = Files::new();
    let config = files.write("siphound.toml", b"");
    let series = files.0.path().join("series.om");
    let capture = pcaps::path("reg-ok");
    let register = String::from_utf8_lossy(&pcaps::load("reg-ok").records[0].bytes).into_owned();
    let call_id = register.split("Call-ID: ").nth(1).and_then(|rest| rest.split("\r\n").next()).expect("a Call-ID").to_owned();
    for (command, options, parts) in OPTIONS {
        let mut arguments = vec![command];
        arguments.extend(options.iter().map(|option| match *option {
            "CONFIG" => text(&config),
            "SERIES" => text(&series),
            "REGISTER-CALL-ID" => call_id.as_str(),
            other => other,
        }));
        arguments.extend((command == "replay").then_some(text(&capture)));
        let ended = siphound(&arguments).with(0);
        for part in parts {
            assert!(ended.out.contains(part), "{arguments:?}: {part:?} is missing in:\n{}", ended.out);
        }
    }
    for command in ["replay", "run", "check"] {
        let used: Vec<&str> = OPTIONS.iter().filter(|(name, ..)| *name == command).flat_map(|(_, options, _)| *options).copied().collect();
        for option in options_of_help(&siphound(&[command, "--help"]).with(0).out) {
            assert!(used.contains(&option.as_str()), "{command} {option} is not tried out");
        }
    }
}

/// The options that a help page lists at the beginning of its lines.
fn options_of_help(help: &str) -> Vec<String> {
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let words = lines.flat_map(|line| line.split([' ', ',']).take_while(|word| word.is_empty() || word.starts_with('-')));
    let options = words.filter(|word| word.len() > 1 && !["-h", "--help", "-V", "--version", "-"].contains(word));
    options.map(str::to_owned).collect()
}

#[test]
fn what_helps_to_install_is_printed() {
    assert!(siphound(&["--version"]).with(0).out.starts_with("siphound "));
    for shell in ["bash", "zsh", "fish"] {
        assert!(siphound(&["completions", shell]).with(0).out.contains("replay"), "{shell}");
    }
    assert!(siphound(&["man"]).with(0).out.contains(".TH siphound"));
    siphound(&["man", "nonsense"]).with(2);
    siphound(&[]).with(2).saying(&["Usage"]);
    siphound(&["replay"]).with(2).saying(&["<FILE>"]);
    siphound(&["replai"]).with(2).saying(&["replay"]);
}
