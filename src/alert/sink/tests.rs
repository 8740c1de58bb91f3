use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded, unbounded};

use super::alertmanager::{self, Alert, Board, Endpoint, Naming, Teller};
use super::command::Command;
use super::http::Client;
use super::queue::{Backoff, Feeder};
use super::webhook::{Webhook, signature};
use super::{Deliver, Receipt, Refusal, Retry};
use crate::alert::change::{Group, Key};
use crate::alert::counts::{Fate, SinkKind};
use crate::alert::listener::Shared;
use crate::alert::message::{Draft, Listed, Message, MessageKind, Status};
use crate::alert::policy::AlertChange;
use crate::config;
use crate::detect::catalog::FindingId;
use crate::detect::finding::Subject;
use crate::report::model::{FindingEntry, Stamp};
use crate::time::{PacketTime, Span};
use crate::track::vocabulary::{Confidence, Scope, Severity};

const ALICE: &str = "1001@pbx.example.com";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine";
const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\nConnection: close\r\n\r\nlater\x1b[2J";
const REFUSED: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const ELSEWHERE: &[u8] = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const GARBAGE: &[u8] = b"\x16\x03\x01 this is no HTTP\r\n\r\n";

fn finding(id: FindingId, severity: Severity) -> FindingEntry {
    let at = Stamp(PacketTime::from_parts(1_769_850_000, 0));
    FindingEntry {
        id: id.as_str(),
        severity,
        confidence: Confidence::Confirmed,
        reason: None,
        scope: Scope::Phone,
        subject: ALICE.to_owned(),
        since: at,
        at,
        cleared: None,
        count: 1,
        message: "it is \"gone\"\x1b[2J".to_owned(),
        evidence: Vec::new(),
        remedy: "Mend it.".to_owned(),
        runbook: Vec::new(),
        explains: Vec::new(),
    }
}

fn message() -> Message {
    let findings = vec![Listed::new(Status::Firing, finding(FindingId::PeerUnreachable, Severity::Error))];
    let group = Some(Group { scope: Scope::Site, subject: "198.51.100.7\u{1b}".to_owned() });
    let draft = Draft { kind: MessageKind::Findings, status: Status::Firing, group, findings, more: 0 };
    draft.finish("pbx1", 1, PacketTime::from_parts(1_769_850_005, 0))
}

/// An HTTP server that answers each connection with the next of some answers; an empty one never comes.
struct Scripted {
    url: String,
    requests: Receiver<String>,
}

impl Scripted {
    fn start(answers: Vec<&'static [u8]>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}/hook/s3cret", listener.local_addr().unwrap());
        let (heard, requests) = unbounded();
        thread::spawn(move || {
            let mut waiting = Vec::new();
            for answer in answers {
                let Ok((mut stream, _)) = listener.accept() else { return };
                if heard.send(request(&mut stream)).is_err() {
                    return;
                }
                if answer.is_empty() {
                    waiting.push(stream);
                } else {
                    let _ = stream.write_all(answer);
                }
            }
            // Further connections are refused, those that wait go on waiting.
            drop(listener);
            let _ = waiting.first().map(|mut stream| stream.read(&mut [0; 1]));
        });
        Self { url, requests }
    }

    /// Every request that came.
    fn heard(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }
}

/// Reads headers and body of one request.
fn request(stream: &mut TcpStream) -> String {
    let (mut heard, mut chunk) = (Vec::new(), [0; 1_024]);
    loop {
        let text = String::from_utf8_lossy(&heard).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match stream.read(&mut chunk) {
            Ok(read @ 1..) => heard.extend_from_slice(&chunk[..read]),
            _ => return text,
        }
    }
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let line = request.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: ")))?;
    line.split_once(": ").map(|(_, value)| value)
}

fn webhook(url: &str, secret: Option<PathBuf>, timeout: Span) -> Webhook {
    let config = config::Webhook {
        name: "chat".to_owned(),
        url: url.parse().unwrap(),
        secret_file: secret,
        token_file: None,
        min_severity: config::MinSeverity::Info,
        timeout,
        give_up: Span::ZERO,
    };
    Webhook::new(&config).unwrap()
}

fn patient(url: &str) -> Webhook {
    webhook(url, None, Span::from_secs(10))
}

/// Feeds one message to a sink, and tells how often each fate was counted: sent, failed, retried.
fn feed(sink: impl Deliver, give_up: Duration) -> [u64; 3] {
    let (messages, queue) = bounded(1);
    let (_ending, ends) = bounded(0);
    let shared = Arc::new(Shared::default());
    let backoff = Backoff { first: Duration::from_millis(1), most: Duration::from_millis(2) };
    let feeder = Feeder {
        kind: SinkKind::Webhook,
        name: "chat".to_owned(),
        sink,
        queue,
        ending: ends,
        backoff,
        give_up,
        shared: Arc::clone(&shared),
    };
    messages.send(Arc::new(message())).unwrap();
    drop(messages);
    feeder.run();
    [Fate::Sent, Fate::Failed, Fate::Retried].map(|fate| shared.counts.get(SinkKind::Webhook, fate))
}

#[test]
fn a_signature_is_what_openssl_makes_of_timestamp_dot_body() {
    // printf '1769850000.{"schema":1}' | openssl dgst -sha256 -hmac Jefe
    let known = "sha256=f01e6eb472308382fbad26e2d9461134baf2e440370173abc9a592bfdd7df3fd";
    assert_eq!(signature("Jefe", "1769850000", br#"{"schema":1}"#), known);
    assert_ne!(signature("Jefe", "1769850001", br#"{"schema":1}"#), known, "the time is signed too");
}

#[test]
fn a_webhook_gets_the_message_as_json_signed() {
    let server = Scripted::start(vec![OK]);
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "open sesame\n").unwrap();
    let receipt = webhook(&server.url, Some(secret), Span::from_secs(10)).deliver(&message());
    assert_eq!(receipt.as_deref(), Ok("HTTP 200 OK: fine"));
    let request = server.heard().remove(0);
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let told: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&told["schema"], &told["kind"], &told["status"]), (&1.into(), &"findings".into(), &"firing".into()));
    assert_eq!((&told["group"]["scope"], &told["severity"]), (&"site".into(), &"error".into()));
    let listed = &told["findings"][0];
    assert_eq!((&listed["id"], &listed["subject"], &listed["status"]), (&"peer-unreachable".into(), &ALICE.into(), &"firing".into()));
    let timestamp = header(&request, "x-siphound-timestamp").unwrap();
    assert_eq!(header(&request, "x-siphound-signature"), Some(signature("open sesame", timestamp, body.as_bytes()).as_str()));
    assert!(!request.contains("open sesame"));
}

#[test]
fn without_a_secret_nothing_pretends_to_be_signed() {
    let server = Scripted::start(vec![OK]);
    patient(&server.url).deliver(&message()).unwrap();
    let request = server.heard().remove(0);
    assert_eq!((header(&request, "x-siphound-signature"), header(&request, "x-siphound-timestamp")), (None, None));
}

#[test]
fn what_may_work_later_is_tried_again() {
    let server = Scripted::start(vec![UNAVAILABLE, GARBAGE, OK]);
    assert_eq!(feed(patient(&server.url), Duration::from_secs(60)), [1, 0, 2]);
    let ids: Vec<_> = server.heard().iter().map(|request| header(request, "x-siphound-id").unwrap().to_owned()).collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "one message has one id: {ids:?}");
}

#[test]
fn what_will_never_work_is_not_tried_again() {
    for (answer, status) in [(REFUSED, "400"), (ELSEWHERE, "307")] {
        let server = Scripted::start(vec![answer, OK]);
        let refusal = patient(&server.url).deliver(&message()).unwrap_err();
        assert!(refusal.retry == Retry::Never && refusal.what.contains(status), "{refusal:?}");
        assert_eq!(server.heard().len(), 1);
    }
}

#[test]
fn a_server_that_is_silent_is_not_waited_for() {
    let server = Scripted::start(vec![b""]);
    let refusal = webhook(&server.url, None, Span::from_millis(100)).deliver(&message()).unwrap_err();
    assert!(refusal.retry == Retry::Later && refusal.what.starts_with("no answer in time"), "{refusal:?}");
}

#[test]
fn a_refused_connection_is_told_without_the_secret_in_the_url() {
    let server = Scripted::start(vec![UNAVAILABLE]);
    let shown = patient(&server.url).deliver(&message()).unwrap_err();
    assert_eq!(shown.what, "HTTP 503 Service Unavailable: later\\x1b[2J");
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let refusal = patient(&format!("http://{free}/hook/s3cret")).deliver(&message()).unwrap_err();
    assert!(refusal.retry == Retry::Later && !refusal.what.contains("s3cret"), "{refusal:?}");
}

/// A sink that never takes anything.
struct Closed;

impl Deliver for Closed {
    fn deliver(&mut self, _message: &Message) -> Result<Receipt, Refusal> {
        Err(Refusal { retry: Retry::Later, what: "closed".to_owned() })
    }
}

#[test]
fn a_message_that_nobody_takes_is_given_up_and_counted() {
    assert_eq!(feed(Closed, Duration::ZERO), [0, 1, 0]);
    let [sent, failed, retried] = feed(Closed, Duration::from_millis(10));
    assert!((sent, failed) == (0, 1) && retried >= 4, "{retried}");
}

#[test]
fn pauses_double_up_to_their_limit() {
    let backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(300) };
    for (attempt, whole) in [(0, 1), (1, 2), (5, 32), (9, 300), (u32::MAX, 300)] {
        let pause = backoff.pause(attempt);
        assert!(pause <= Duration::from_secs(whole) && pause >= Duration::from_millis(whole * 500), "{attempt}: {pause:?}");
    }
}

/// An outage of ten minutes costs few attempts, and what waits is told within half a minute after it.
#[test]
fn an_alertmanager_that_is_away_for_ten_minutes_is_asked_now_and_then() {
    let outage = Duration::from_secs(600);
    let (mut passed, mut attempts) = (Duration::ZERO, 0);
    while passed < outage {
        let pause = alertmanager::BACKOFF.pause(attempts);
        assert!(pause <= Duration::from_secs(30), "attempt {attempts} waits for {pause:?}");
        passed += pause;
        attempts += 1;
    }
    assert!((20..=120).contains(&attempts), "{attempts}");
}

fn naming() -> Naming {
    Naming { instance: "pbx1".to_owned(), runbook_url: "https://wiki.example.com/#{finding}".to_owned() }
}

fn change(status: Status, id: FindingId, severity: Severity) -> Alert {
    Alert::finding(&AlertChange {
        key: Key { id, subject: Subject::Aor(ALICE.into()) },
        group: Group { scope: Scope::Site, subject: "198.51.100.7".to_owned() },
        listed: Listed { command: Some(format!("siphound diagnose {ALICE}")), ..Listed::new(status, finding(id, severity)) },
    })
}

fn time(seconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_769_850_000 + seconds).unwrap()
}

fn posted(board: &Board, seconds: i64) -> Vec<serde_json::Value> {
    board.request(time(seconds)).map(|body| serde_json::from_slice(&body).unwrap()).unwrap_or_default()
}

#[test]
fn an_alert_has_the_labels_that_routes_are_made_of() {
    let mut board = Board::new(naming(), Duration::from_secs(300));
    board.apply(change(Status::Firing, FindingId::PeerUnreachable, Severity::Error), time(10));
    let alert = posted(&board, 10).remove(0);
    let labels = serde_json::json!({
        "alertname": "SiphoundFinding", "finding": "peer-unreachable", "severity": "error", "scope": "phone", "subject": ALICE,
        "group": "site 198.51.100.7", "instance": "pbx1", "pbx": "default", "source": "siphound",
    });
    assert_eq!(alert["labels"], labels);
    assert_eq!((alert["startsAt"].as_str(), alert["endsAt"].as_str()), (Some("2026-01-31T09:00:00Z"), Some("2026-01-31T09:05:10Z")));
    let annotations = &alert["annotations"];
    assert_eq!(annotations["runbook_url"], "https://wiki.example.com/#peer-unreachable");
    assert_eq!(annotations["command"], "siphound diagnose 1001@pbx.example.com");
    assert_eq!(annotations["summary"], "it is \"gone\"\\x1b[2J");
}

#[test]
fn what_holds_is_told_again_and_what_is_over_once() {
    let mut board = Board::new(naming(), Duration::from_secs(300));
    board.apply(change(Status::Firing, FindingId::PeerUnreachable, Severity::Error), time(0));
    assert_eq!((posted(&board, 0).len(), board.taken()), (1, 1));
    assert!(posted(&board, 1).is_empty());
    board.again(time(75));
    assert_eq!(posted(&board, 75)[0]["endsAt"], "2026-01-31T09:06:15Z");
    assert_eq!(board.taken(), 0, "that is no news");
    board.apply(change(Status::Resolved, FindingId::PeerUnreachable, Severity::Error), time(80));
    assert_eq!(posted(&board, 80)[0]["endsAt"], "2026-01-31T09:01:20Z");
    board.taken();
    board.again(time(150));
    assert!(posted(&board, 150).is_empty());
}

#[test]
fn an_alert_that_became_worse_takes_the_place_of_the_old_one() {
    let mut board = Board::new(naming(), Duration::from_secs(300));
    board.apply(change(Status::Firing, FindingId::PeerUnreachable, Severity::Warning), time(0));
    board.taken();
    board.apply(change(Status::Firing, FindingId::PeerUnreachable, Severity::Error), time(60));
    let told: Vec<_> = posted(&board, 60).iter().map(|alert| (alert["labels"]["severity"].clone(), alert["endsAt"].clone())).collect();
    assert_eq!(told, [("warning".into(), "2026-01-31T09:01:00Z".into()), ("error".into(), "2026-01-31T09:06:00Z".into())]);
}

#[test]
fn what_began_and_ended_during_an_outage_is_told_after_it() {
    let mut board = Board::new(naming(), Duration::from_secs(300));
    board.apply(change(Status::Firing, FindingId::PeerUnreachable, Severity::Error), time(0));
    board.apply(change(Status::Firing, FindingId::RegistrationExpired, Severity::Error), time(5));
    board.apply(change(Status::Resolved, FindingId::PeerUnreachable, Severity::Error), time(10));
    for seconds in [75, 150, 225] {
        board.again(time(seconds));
    }
    assert_eq!(posted(&board, 600).len(), 2);
    assert_eq!(board.taken(), 2);
}

#[test]
fn an_alertmanager_that_was_away_hears_everything_once_it_is_back() {
    let server = Scripted::start(vec![UNAVAILABLE, OK]);
    let (alerts, queue) = bounded(10);
    let shared = Arc::new(Shared::default());
    let endpoint = Endpoint { client: Client::new(Duration::from_secs(10), None), url: server.url.parse().unwrap() };
    let resolve_timeout = Duration::from_secs(300);
    let teller = Teller { name: "am".to_owned(), endpoint, naming: naming(), resolve_timeout, queue, shared: Arc::clone(&shared) };
    let running = thread::spawn(|| teller.run());
    alerts.send(change(Status::Firing, FindingId::PeerUnreachable, Severity::Error)).unwrap();
    let refused = server.requests.recv().unwrap();
    alerts.send(change(Status::Firing, FindingId::RegistrationExpired, Severity::Error)).unwrap();
    let taken = server.requests.recv().unwrap();
    drop(alerts);
    running.join().unwrap();
    assert!(refused.contains("peer-unreachable"));
    assert!(taken.contains("peer-unreachable") && taken.contains("registration-expired"), "{taken}");
    let counted = [Fate::Sent, Fate::Retried, Fate::Failed, Fate::Dropped].map(|fate| shared.counts.get(SinkKind::Alertmanager, fate));
    assert_eq!(counted, [2, 1, 0, 0]);
}

/// What a shell script says to a message within a time.
fn script(text: &str, timeout: Span) -> Result<Receipt, Refusal> {
    let config = config::NotifyCommand {
        name: "pager".to_owned(),
        argv: ["/bin/sh", "-c", text, "sh"].map(str::to_owned).into(),
        min_severity: config::MinSeverity::Info,
        timeout,
        give_up: Span::ZERO,
    };
    Command::new(&config).unwrap().deliver(&message())
}

const PATIENCE: Span = Span::from_secs(30);

#[test]
fn a_command_gets_the_message_and_a_few_words_that_are_safe_to_show() {
    let said = script("cat; echo; echo \"$SIPHOUND_STATUS $SIPHOUND_SEVERITY $SIPHOUND_SCOPE $SIPHOUND_FINDING\"", PATIENCE).unwrap();
    assert!(said.contains(r#"{"schema":1,"id":"pbx1-"#), "{said}");
    let said =
        script("echo \"$SIPHOUND_STATUS $SIPHOUND_SEVERITY $SIPHOUND_SCOPE $SIPHOUND_SUBJECT $SIPHOUND_FINDING\"", PATIENCE).unwrap();
    assert!(said.ends_with(r": firing error site 198.51.100.7\\x1b peer-unreachable"), "escaped by us, and again when shown: {said}");
}

/// What senders write reaches a command as data: no shell reads it, no argument is made of it, and no environment variable can be added.
#[test]
fn what_was_on_the_wire_is_never_a_part_of_the_command() {
    for nasty in ["$(touch pwned)", "`id`", "; rm -rf /", "--config=/etc/shadow", "a\nSIPHOUND_STATUS=resolved", "nul\0byte", "\u{202e}x"] {
        let mut message = message();
        message.group = Some(Group { scope: Scope::Phone, subject: nasty.to_owned() });
        message.text = crate::report::escape::fit(nasty, 400);
        let config = config::NotifyCommand {
            name: "pager".to_owned(),
            argv: ["/bin/sh", "-c", "printf '%s|' \"$#\" \"$SIPHOUND_STATUS\" \"$SIPHOUND_SUBJECT\"", "sh"].map(str::to_owned).into(),
            min_severity: config::MinSeverity::Info,
            timeout: PATIENCE,
            give_up: Span::ZERO,
        };
        let said = Command::new(&config).unwrap().deliver(&message).unwrap();
        let shown = crate::report::escape::text(nasty).to_string();
        let again = crate::report::escape::text(&shown).to_string();
        assert!(said.ends_with(&format!(": 0|firing|{again}|")), "{nasty:?}: {said}");
    }
}

#[test]
fn a_command_that_fails_is_told_with_what_it_complained_of() {
    let refusal = script("echo hello; echo 'no modem\x1b[2J' >&2; exit 1", PATIENCE).unwrap_err();
    assert_eq!((refusal.retry, refusal.what.as_str()), (Retry::Later, "exit status: 1: no modem\\x1b[2J"));
    let config = config::NotifyCommand {
        name: "pager".to_owned(),
        argv: vec!["/nonexistent/page".to_owned()],
        min_severity: config::MinSeverity::Info,
        timeout: PATIENCE,
        give_up: Span::ZERO,
    };
    let refusal = Command::new(&config).unwrap().deliver(&message()).unwrap_err();
    assert!(refusal.what.starts_with("cannot start: "), "{refusal}");
}

#[test]
fn a_command_that_hangs_is_killed_with_what_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let refusal = script(&format!("sleep 1000 & echo $! > {}; wait", pid.display()), Span::from_millis(500)).unwrap_err();
    assert_eq!(refusal.what, "killed after 0.5 s");
    let pid = std::fs::read_to_string(pid).unwrap();
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    // It is gone, or dead and not yet buried by its new parent.
    while !state().is_empty() && !state().contains(") Z ") {
        thread::yield_now();
    }
}

#[test]
fn a_command_may_talk_without_end_and_need_not_listen() {
    let said = script("head -c 5000000 /dev/zero | tr '\\0' x; exit 0", PATIENCE).unwrap();
    assert!(said.len() < 400, "{}", said.len());
    assert!(script("exec <&-; exit 0", PATIENCE).is_ok());
}

#[test]
fn what_a_command_leaves_running_is_not_waited_for() {
    let said = script("sleep 1000 & echo $!; exit 0", PATIENCE).unwrap();
    let pid = said.rsplit(' ').next().and_then(|pid| pid.parse().ok()).and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
