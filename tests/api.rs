//! The API over its real router: an engine that has seen a case, a server on loopback, and the client of `diagnose`.

mod support;

use std::io::{BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use siphound::capture::CaptureFiles;
use siphound::detect::listener::Listener as _;
use siphound::http::{
    Access, Assistants, Client, ClientError, ClientTls, EngineSource, Events, Peers, Server, ServerTls, Serving, SnapshotSource, Stream,
    Token, Unavailable, View, document,
};
use siphound::metrics::Snapshot;
use siphound::pipeline::replay::{Threads, replay};
use siphound::report::mask::Mask;
use support::Scene;
use support::agent::cast::a1;
use support::capture::{CaptureFile, EPOCH};
use support::lab::{self, Lab};
use support::verdicts::VERDICTS;

/// How long anything may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(20);
const SECRET: &str = "correct-horse-battery";

/// An engine, at rest unless a test feeds it.
#[derive(Clone)]
struct Known {
    lab: Arc<Mutex<Lab>>,
    events: Arc<Events>,
    assistants: Arc<Assistants>,
}

impl Known {
    /// One that has seen a case of `pcaps/`.
    fn of(case: &str, mask: Mask) -> Self {
        let mut settings = lab::roomy();
        if case == "one-way" {
            settings.pbxs = vec![address("203.0.113.10:5060")];
        }
        let mut source = CaptureFiles::open(&[capture(case)]).expect("a capture");
        let mut engine = lab::engine(&settings);
        engine.remember(1, 10_000);
        let mut finished = replay(&mut source, lab::ingest(), engine, Threads::One, &|_| {}).expect("a replay");
        finished.engine.finish();
        let mut lab = Lab::new(&settings);
        lab.engine = finished.engine;
        Self::around(lab, mask)
    }

    fn around(mut lab: Lab, mask: Mask) -> Self {
        let assistants = Arc::new(Assistants::default());
        lab.engine.listen(Box::new(assistants.listener()));
        Self { lab: Arc::new(Mutex::new(lab)), events: Arc::new(Events::new(mask)), assistants }
    }
}

impl SnapshotSource for Known {
    async fn snapshot(&self) -> Result<Snapshot, Unavailable> {
        Ok(Snapshot::default())
    }

    fn readiness(&self) -> Result<(), Unavailable> {
        Ok(())
    }
}

impl EngineSource for Known {
    fn assistants(&self) -> &Arc<Assistants> {
        &self.assistants
    }

    fn events(&self) -> &Arc<Events> {
        &self.events
    }

    async fn look<T, F>(&self, look: F) -> Result<T, Unavailable>
    where
        T: Send + 'static,
        F: FnOnce(&View<'_>) -> T + Send + 'static,
    {
        Ok(look(&self.lab.lock().expect("no panic").engine.view()))
    }
}

/// A server over an engine at rest.
struct Api {
    server: Server,
    known: Known,
}

impl Api {
    fn of(case: &str) -> Self {
        Self::with(case, Mask::none(), Some(Access { peers: Peers::ThisHost, token: None }), None)
    }

    fn with(case: &str, mask: Mask, api: Option<Access>, tls: Option<ServerTls>) -> Self {
        Self::over(Known::of(case, mask), mask, api, tls)
    }

    fn over(known: Known, mask: Mask, api: Option<Access>, tls: Option<ServerTls>) -> Self {
        let serving = Serving { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), api, tls };
        let server = Server::start(serving, mask, known.clone()).expect("a free port");
        Self { server, known }
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    fn client(&self) -> Client {
        Client::new(&self.url(), None, None).expect("a client")
    }

    /// The status and the JSON of a page.
    fn get(&self, page: &str, query: &[(&str, &str)]) -> (u16, Json) {
        let answer = self.client().get(&format!("/api/v1{page}"), query).expect("an answer");
        (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{page}: {error}: {:?}", answer.body)))
    }

    #[track_caller]
    fn ok(&self, page: &str, query: &[(&str, &str)]) -> Json {
        let (status, json) = self.get(page, query);
        assert_eq!(status, 200, "{page}: {json}");
        json
    }

    /// Sends bytes and reads until the server closes.
    fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.server.address()).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn items(&self, page: &str, query: &[(&str, &str)]) -> Vec<Json> {
        self.ok(page, query)["items"].as_array().expect("items").clone()
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn capture(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps").join(case).join("input.pcap")
}

fn siphound(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_siphound")).args(arguments).output().expect("siphound starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn replayed(case: &str) -> Json {
    let file = capture(case);
    let (_, out, _) = siphound(&["replay", "--format", "json", file.to_str().expect("a path in UTF-8")]);
    serde_json::from_str(&out).expect("a report")
}

/// A problem with the document for a real answer.
fn mismatch(document: &Json, path: &str, status: &str, media: &str, answer: &Json) -> Option<String> {
    let schema = &document["paths"][path]["get"]["responses"][status]["content"][media]["schema"];
    assert!(schema.is_object(), "{path} {status} {media} is not in the document");
    let whole = json!({ "allOf": [schema], "components": document["components"] });
    let validator = jsonschema::validator_for(&whole).expect("the document holds schemas");
    validator.iter_errors(answer).next().map(|error| format!("{path} {status}: {} {error}", error.instance_path()))
}

#[test]
fn the_document_in_the_repository_is_the_one_that_is_served() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let text = serde_json::to_string_pretty(&document()).expect("JSON") + "\n";
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, &text).expect("the document is writable");
    }
    assert!(std::fs::read_to_string(&file).unwrap_or_default() == text, "docs/openapi.json is out of date: rewrite it with BLESS=1");
    assert_eq!(Api::of("reg-ok").ok("/openapi.json", &[]), document());
}

/// Each page, as often as there are cases, says what the document promises, and what is left out of it would be found.
#[test]
fn real_answers_are_what_the_document_says() {
    let document = document();
    let mut wrong = Vec::new();
    for case in ["call-bridged", "nat-gap-pjsip", "server-outage", "scanner", "mid-call", "reg-ipv6", "torture"] {
        let api = Api::of(case);
        let mut check = |path: &str, answer: &Json| wrong.extend(mismatch(&document, path, "200", "application/json", answer));
        for path in ["/summary", "/registrations", "/calls", "/findings", "/nat"] {
            check(path, &api.ok(path, &[]));
        }
        check("/diagnosis", &api.ok("/diagnosis", &[("user", "1001")]));
        for call in api.items("/calls", &[]).iter().take(5) {
            let call_id = call["call_id"].as_str().expect("a Call-ID");
            check("/calls/{call_id}", &api.ok(&format!("/calls/{}", encoded(call_id)), &[]));
        }
        let (status, refusal) = api.get("/calls", &[("limit", "0")]);
        assert_eq!(status, 400);
        wrong.extend(mismatch(&document, "/calls", "400", "application/problem+json", &refusal));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut less = Api::of("call-bridged").ok("/calls", &[]);
    less["items"][0].as_object_mut().expect("a call").remove("outcome");
    assert!(mismatch(&document, "/calls", "200", "application/json", &less).is_some(), "the check sees nothing");
}

#[test]
fn every_page_of_the_document_is_there_and_knows_its_parameters() {
    let api = Api::of("call-bridged");
    let document = document();
    let pages = document["paths"].as_object().expect("pages");
    assert!(pages.len() >= 8);
    for (path, page) in pages.iter().filter(|(path, page)| !["/events", "/assist"].contains(&path.as_str()) && page["get"].is_object()) {
        let parameters = page["get"]["parameters"].as_array().expect("parameters");
        for parameter in parameters.iter().filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().expect("a name");
            // Nonsense may be refused, but not as an unknown key.
            let (_, answer) = api.get(&path.replace("{call_id}", "x"), &[("user", "1001"), (name, "1")]);
            let detail = answer["detail"].as_str().unwrap_or_default();
            assert!(!detail.contains(&format!("unknown field `{name}`")), "{path} {name}: {detail}");
        }
        let (status, answer) = api.get(&path.replace("{call_id}", "x"), &[("nonsense", "1")]);
        assert_eq!(status, 400, "{path}: {answer}");
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn the_lists_are_those_of_the_report() {
    for case in ["call-bridged", "leg-left-up", "nat-gap-pjsip", "site-30-phones", "proxy-fork-2x200", "server-outage"] {
        let (api, report) = (Api::of(case), replayed(case));
        for (page, list) in [("/calls", "calls"), ("/registrations", "registrations"), ("/nat", "nat"), ("/findings", "findings")] {
            let by_text = |list: &mut Vec<Json>| list.sort_by_key(ToString::to_string);
            let (mut live, mut replayed) = (api.items(page, &[("limit", "1000")]), report[list].as_array().expect("a list").clone());
            by_text(&mut live);
            by_text(&mut replayed);
            assert_eq!(live, replayed, "{case} {page}");
        }
    }
}

/// A verdict is made from a part of the report; that part must be enough.
#[test]
fn the_verdicts_are_those_of_a_replay() {
    let mut wrong = Vec::new();
    let mut last: Option<(&str, Api)> = None;
    for (case, user, problem, expected) in VERDICTS {
        let api = match last.take() {
            Some((name, api)) if name == *case => api,
            _ => Api::of(case),
        };
        let mut query = vec![("user", *user)];
        let file = capture(case);
        let mut arguments = vec!["diagnose", user, "--format", "json", "--pcap", file.to_str().expect("a path in UTF-8")];
        if *problem != "-" {
            query.push(("problem", problem));
            arguments.extend(["--problem", problem]);
        }
        if *case == "one-way" {
            arguments.extend(["--pbx", "203.0.113.10:5060"]);
        }
        let (_, out, _) = siphound(&arguments);
        let live = api.ok("/diagnosis", &query);
        if live != serde_json::from_str::<Json>(&out).expect("a verdict") || live["verdict"] != *expected {
            wrong.push(format!("{case} {user} {problem}: live\n{live}\nreplayed\n{out}"));
        }
        last = Some((case, api));
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn diagnose_prints_what_the_daemon_says_and_its_exit_code_knows_of_findings() {
    let api = Api::of("reg-wrong-password");
    let url = api.url();
    let file = capture("reg-wrong-password");
    let file = file.to_str().expect("a path in UTF-8");
    for format in ["text", "json"] {
        let common = ["diagnose", "1001", "--problem", "cannot-connect", "--format", format, "--fail-on", "error"];
        let live = siphound(&[&common[..], &["--daemon", &url]].concat());
        assert_eq!(live, siphound(&[&common[..], &["--pcap", file]].concat()), "{format}");
        assert_eq!(live.0, Some(1));
    }
    let (code, _, said) = siphound(&["diagnose", "2101", "--daemon", &url, "--fail-on", "error"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_bundle_of_a_daemon_without_traces_says_why_it_has_no_packets() {
    let api = Api::of("call-bridged");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("case.tar.gz");
    let config = folder.path().join("siphound.toml");
    std::fs::write(&config, "[traces]\ndirectory = \"\"\n").expect("written");
    let [bundle, config] = [&file, &config].map(|path| path.to_str().expect("a path in UTF-8"));
    let (code, _, said) = siphound(&["diagnose", "1001", "--daemon", &api.url(), "--config", config, "--bundle", bundle]);
    assert_eq!(code, Some(0), "{said}");
    let files = support::archive::unpacked(&file);
    assert!(String::from_utf8_lossy(&files["siphound/README.txt"]).contains("no packets in here: the configuration turns the traces off"));
    let verdict: Json = serde_json::from_slice(&files["siphound/verdict.json"]).expect("JSON");
    assert_eq!(verdict["verdict"], "ok");
    let call: Json = serde_json::from_slice(&files["siphound/calls/001.json"]).expect("JSON");
    assert!(call["ladder"].as_str().is_some_and(|ladder| ladder.contains("INVITE")));
}

#[test]
fn without_a_daemon_diagnose_says_what_to_do() {
    let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket").local_addr().expect("an address");
    let (code, out, said) = siphound(&["diagnose", "1001", "--daemon", &format!("http://{free}")]);
    assert_eq!((code, out.as_str()), (Some(3), ""));
    for part in [&free.to_string(), "siphound run", "--daemon URL", "--pcap FILE", "tcpdump"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (code, _, said) = siphound(&["diagnose", "1001", "--daemon", "127.0.0.1"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("http://HOST:PORT"), "{said}");
}

#[test]
fn filters_keep_what_was_asked_for() {
    let api = Api::of("server-outage");
    let all = api.ok("/registrations", &[]);
    let one = api.ok("/registrations", &[("user", "1001")]);
    assert_eq!((one["matched"].as_u64(), one["items"].as_array().map(Vec::len)), (Some(1), Some(1)));
    assert!(all["matched"].as_u64() > Some(1));
    assert!(api.items("/registrations", &[("user", "4711")]).is_empty());
    let findings = api.items("/findings", &[]);
    let worst: Vec<_> = findings.iter().filter(|finding| finding["severity"] == "critical").cloned().collect();
    assert!(!worst.is_empty());
    assert_eq!(api.items("/findings", &[("severity", "critical")]), worst);
    assert_eq!(api.items("/findings", &[("id", "pbx-not-responding")]).len(), 1);
    let (open, ended) = (api.items("/findings", &[("state", "open")]), api.items("/findings", &[("state", "ended")]));
    assert_eq!(open.len() + ended.len(), findings.len());
    assert!(ended.iter().all(|finding| !finding["cleared"].is_null()) && open.iter().all(|finding| finding["cleared"].is_null()));
    let calls = Api::of("call-bridged");
    assert!(!calls.items("/calls", &[("user", "1001"), ("state", "ended"), ("outcome", "answered")]).is_empty());
    assert!(calls.items("/calls", &[("state", "open")]).is_empty());
    assert!(calls.items("/calls", &[("since", "2027-01-01 00:00")]).is_empty());
    assert!(calls.items("/calls", &[("until", "2026-01-01T00:00:00Z")]).is_empty());
}

#[test]
fn long_lists_come_in_parts() {
    let api = Api::of("site-30-phones");
    let whole = api.items("/registrations", &[("limit", "1000")]);
    assert!(whole.len() >= 30);
    for order in ["oldest", "newest"] {
        let (mut told, mut after) = (Vec::new(), None::<String>);
        loop {
            let mut query = vec![("limit", "7"), ("order", order)];
            query.extend(after.as_deref().map(|after| ("after", after)));
            let page = api.ok("/registrations", &query);
            told.extend(page["items"].as_array().expect("items").clone());
            after = page["next"].as_str().map(str::to_owned);
            if after.is_none() {
                break;
            }
        }
        if order == "newest" {
            told.reverse();
        }
        assert_eq!(told, whole, "{order}");
    }
}

#[test]
fn a_call_is_shown_with_its_legs_and_messages() {
    let api = Api::of("call-bridged");
    let call = api.items("/calls", &[("user", "1001")]).remove(0);
    let page = format!("/calls/{}", encoded(call["call_id"].as_str().expect("a Call-ID")));
    let whole = api.ok(&page, &[]);
    assert_eq!(whole["calls"].as_array().map(Vec::len), Some(1 + call["linked"].as_array().expect("links").len()));
    let messages: Vec<_> = whole["messages"].as_array().expect("messages").iter().map(|message| message["message"].clone()).collect();
    assert!(messages.contains(&json!("INVITE (SDP)")) && messages.contains(&json!("BYE")), "{messages:?}");
    assert!(whole["ladder"].as_str().is_some_and(|ladder| ladder.contains("INVITE (SDP)") && ladder.contains("PBX")));
    assert_eq!(api.get("/calls/nobody", &[]).0, 404);
}

#[test]
fn numbers_are_hidden_in_every_answer() {
    let api = Api::with("call-bridged", Mask::keyed(3), Some(Access { peers: Peers::ThisHost, token: None }), None);
    let call_id = api.items("/calls", &[]).remove(0)["call_id"].as_str().expect("a Call-ID").to_owned();
    let whole = format!("/calls/{}", encoded(&call_id));
    for (page, query) in [
        ("/registrations", &[][..]),
        ("/calls", &[]),
        ("/findings", &[]),
        ("/diagnosis", &[("user", "1001")]),
        ("/diagnosis", &[("user", "2001"), ("problem", "cannot-receive")]),
        (&whole, &[]),
    ] {
        let text = api.ok(page, query).to_string();
        for number in ["1001", "2001"] {
            let users = [format!("\"{number}\""), format!("{number}@"), format!(" {number} "), format!(":{number}@")];
            assert!(users.iter().all(|user| !text.contains(user)), "{page} {number}: {text}");
        }
    }
    assert_eq!(api.items("/registrations", &[("user", "1001")]).len(), 1, "what is asked for is not hidden");
}

#[test]
fn a_page_in_a_browser_reads_nothing_and_a_stranger_neither() {
    let api = Api::of("call-bridged");
    let ask = |headers: &str| api.raw(&format!("GET /api/v1/calls HTTP/1.1\r\n{headers}Connection: close\r\n\r\n"));
    assert!(ask("Host: localhost\r\n").starts_with("HTTP/1.1 200 "));
    for headers in
        ["Host: evil.example\r\n", "Host: localhost\r\nOrigin: http://evil.example\r\n", "Host: localhost.evil.example:15060\r\n"]
    {
        let answer = ask(headers);
        assert!(answer.starts_with("HTTP/1.1 403 ") && !answer.contains("1001"), "{headers}: {answer}");
    }
    assert!(api.raw("GET /metrics HTTP/1.1\r\nHost: pbx.example\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 200 "));
}

#[test]
fn with_a_token_it_is_wanted_and_where_the_api_is_not_served_nothing_is() {
    let token = || Token::new(SECRET);
    let api = Api::with("call-bridged", Mask::none(), Some(Access { peers: Peers::Anyone, token: token() }), None);
    assert_eq!(api.get("/calls", &[]).0, 401);
    let client = Client::new(&api.url(), token(), None).expect("a client");
    assert_eq!(client.get("/api/v1/calls", &[]).expect("an answer").status.as_u16(), 200);
    let (code, _, said) = siphound(&["diagnose", "1001", "--daemon", &api.url()]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("--token-file"), "{said}");
    let metrics_alone = Api::with("call-bridged", Mask::none(), None, None);
    let answer = metrics_alone.raw("GET /api/v1/calls HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

/// A certificate that is its own authority; none where this host has no openssl.
fn certificate(folder: &Path) -> Option<(PathBuf, PathBuf)> {
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=siphound",
        ])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .args([Path::new("-keyout"), &key, Path::new("-out"), &certificate])
        .output();
    match made {
        Ok(output) if output.status.success() => Some((certificate, key)),
        _ => {
            println!("left out: openssl makes no certificate here");
            None
        }
    }
}

#[test]
fn over_tls_the_daemon_is_asked_by_those_who_trust_its_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some((certificate, key)) = certificate(folder.path()) else { return };
    let tls = ServerTls::load(&certificate, &key).expect("a certificate");
    let api = Api::with("call-bridged", Mask::none(), Some(Access { peers: Peers::Anyone, token: Token::new(SECRET) }), Some(tls));
    let url = format!("https://{}", api.server.address());
    let trusted = ClientTls::trusting(&certificate).expect("a certificate");
    let client = Client::new(&url, Token::new(SECRET), Some(trusted)).expect("a client");
    assert_eq!(client.get("/api/v1/calls", &[]).expect("an answer").status.as_u16(), 200);
    let other = tempfile::tempdir().expect("a folder");
    let stranger = ClientTls::trusting(&self::certificate(other.path()).expect("a certificate").0).expect("a certificate");
    assert!(Client::new(&url, Token::new(SECRET), Some(stranger)).expect("a client").get("/healthz", &[]).is_err());
    assert!(Client::new(&api.url(), None, None).expect("a client").get("/healthz", &[]).is_err(), "plain HTTP");
    assert!(ServerTls::load(&key, &key).is_err() && ServerTls::load(&certificate, &certificate).is_err());
}

#[test]
fn events_are_told_as_they_happen() {
    let api = Api::of("reg-ok");
    let mut stream = TcpStream::connect(api.server.address()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    write!(stream, "GET /api/v1/events?only=finding HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a request");
    let mut read = move |until: &str| {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(until) {
            let mut byte = [0; 1];
            stream.read_exact(&mut byte).expect("the stream goes on");
            seen.extend(byte);
        }
        String::from_utf8_lossy(&seen).into_owned()
    };
    let head = read(":\n\n");
    assert!(head.contains("200 OK") && head.contains("text/event-stream"), "{head}");
    let lab = api.known.lab.lock().expect("no panic");
    let mut listener = api.known.events.listener();
    let mut store = siphound::detect::store::FindingStore::default();
    store.record_changes();
    let subject = siphound::detect::finding::Subject::Aor("1001@pbx.example.com".into());
    let raise =
        siphound::detect::finding::Raise::new(siphound::detect::catalog::FindingId::RegistrationRejected, subject, "no answer".to_owned());
    store.raise(raise, lab::time(1_769_850_000_000_000));
    listener.finding(&lab.engine.tracker, &store.next_change().expect("a change"));
    let told = read("\n\n");
    let data = told.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
    let event: Json = serde_json::from_str(data).expect("JSON");
    assert_eq!(
        (&event["event"], &event["change"], &event["finding"]["id"]),
        (&json!("finding"), &json!("raised"), &json!("registration-rejected"))
    );
    assert_eq!(mismatch(&document(), "/events", "200", "text/event-stream", &event), None);
}

/// A server over an engine that is fed while it is asked: 1001 registers at 1 s, and refreshes at 60 s.
struct Live {
    api: Api,
    file: CaptureFile,
    fed: usize,
}

impl Live {
    fn new(mask: Mask) -> Self {
        let (mut scene, mut phone) = (Scene::new("api-assist"), a1());
        scene.reg_ok(1.0, &mut phone);
        scene.refresh(60.0, &mut phone);
        let access = Access { peers: Peers::ThisHost, token: None };
        let api = Api::over(Known::around(Lab::new(&lab::roomy()), mask), mask, Some(access), None);
        let mut live = Self { api, file: CaptureFile::from_bytes(&scene.finish()), fed: 0 };
        live.feed(30.0);
        live
    }

    /// Hands on what was captured up to `seconds`.
    fn feed(&mut self, seconds: f64) {
        let end = EPOCH * 1_000_000 + (seconds * 1e6) as i64;
        let mut lab = self.api.known.lab.lock().expect("no panic");
        for record in self.file.records[self.fed..].iter().take_while(|record| record.micros <= end) {
            lab.frame(self.file.link, record);
            self.fed += 1;
        }
        lab.tick(end);
    }

    fn follow(&self, query: &[(&str, &str)]) -> Session {
        let query = [&[("user", "1001"), ("steps", "reconnection,inbound-call")], query].concat();
        let stream = self.api.client().follow("/api/v1/assist", &query).expect("a session");
        assert_eq!(stream.status.as_u16(), 200);
        Session { stream, read: String::new() }
    }
}

/// What a client reads of a session.
struct Session {
    stream: Stream,
    read: String,
}

impl Session {
    fn command(&self, live: &Live, command: &str) -> u16 {
        let number = self.stream.headers["siphound-session"].to_str().expect("a number");
        live.api.client().post(&format!("/api/v1/assist/{number}/{command}")).expect("an answer").status.as_u16()
    }

    /// The lines up to the first that holds `text`.
    fn until(&mut self, text: &str) -> Vec<Json> {
        let end = loop {
            let whole = self.read.rfind('\n').map_or(0, |end| end + 1);
            if let Some(found) = self.read[..whole].find(text) {
                break found + self.read[found..].find('\n').expect("a whole line") + 1;
            }
            let piece = self.stream.piece().expect("it goes on").unwrap_or_else(|| panic!("{text:?} never comes: {}", self.read));
            self.read.push_str(std::str::from_utf8(&piece).expect("text"));
        };
        let rest = self.read.split_off(end);
        let lines = std::mem::replace(&mut self.read, rest);
        lines.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    fn rest(&mut self) -> String {
        while let Some(piece) = self.stream.piece().expect("it goes on") {
            self.read.push_str(std::str::from_utf8(&piece).expect("text"));
        }
        std::mem::take(&mut self.read)
    }
}

#[test]
fn a_session_tells_what_happens_while_it_happens() {
    let mut live = Live::new(Mask::none());
    let mut session = live.follow(&[]);
    assert_eq!(session.stream.headers["content-type"], "application/x-ndjson");
    let mut lines = session.until("\"line\":\"step\"");
    assert_eq!(lines[0]["aors"], json!(["1001@pbx.example.com"]));
    live.feed(61.0);
    let refreshed = session.until("inbound-call");
    let packets: Vec<_> = refreshed.iter().filter(|line| line["line"] == "packet").map(|line| &line["message"]).collect();
    assert!(packets.contains(&&json!("REGISTER")) && packets.contains(&&json!("200 OK")), "{packets:?}");
    let passed = refreshed.iter().find(|line| line["line"] == "result").expect("the step is over");
    assert_eq!((&passed["step"], &passed["result"]), (&json!("reconnection"), &json!("passed")));
    lines.extend(refreshed);
    assert_eq!(session.command(&live, "nonsense"), 404);
    assert_eq!(session.command(&live, "skip"), 204);
    let last = session.until("\"line\":\"verdict\"");
    assert!(last.iter().any(|line| line["result"] == "skipped"), "{last:?}");
    assert_eq!(session.rest(), "", "the verdict is the last line");
    lines.extend(last);
    let document = document();
    let wrong: Vec<_> = lines.iter().filter_map(|line| mismatch(&document, "/assist", "200", "application/x-ndjson", line)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(session.command(&live, "finish"), 404, "it is over");
}

#[test]
fn a_session_hides_numbers() {
    for format in ["json", "text"] {
        let mut live = Live::new(Mask::keyed(3));
        let mut session = live.follow(&[("format", format)]);
        live.feed(61.0);
        assert_eq!(session.command(&live, "finish"), 204);
        let told = session.rest();
        assert!(told.to_lowercase().contains("verdict") && told.contains("REGISTER"), "{told}");
        for user in ["\"1001\"", "1001@", " 1001 ", " 1001\n"] {
            assert!(!told.contains(user), "{user:?}: {told}");
        }
    }
}

#[test]
fn a_session_ends_with_its_client() {
    let live = Live::new(Mask::none());
    for format in ["json", "text"] {
        let session = live.follow(&[("format", format)]);
        assert_eq!(session.command(&live, "repeat"), 204);
        let number = session.stream.headers["siphound-session"].to_str().expect("a number").to_owned();
        drop(session);
        let page = format!("/api/v1/assist/{number}/repeat");
        // The server looks ten times a second.
        let is_over = (0..10_000).any(|_| live.api.client().post(&page).expect("an answer").status.as_u16() == 404);
        assert!(is_over, "the session outlives its client");
    }
}

#[test]
fn a_session_that_the_daemon_breaks_off_does_not_look_complete() {
    let live = Live::new(Mask::none());
    let mut session = live.follow(&[]);
    session.until("\"line\":\"step\"");
    live.api.server.stop();
    let end = loop {
        match session.stream.piece() {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert!(matches!(&end, Err(ClientError::Lost { .. })), "{end:?}");
}

/// `siphound assist` at a daemon, with its standard input and output at hand.
fn assist(live: &Live, arguments: &[&str]) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_siphound"))
        .args(["assist", "1001", "--steps", "reconnection,inbound-call", "--daemon", &live.api.url()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("siphound starts");
    let out = BufReader::new(child.stdout.take().expect("a pipe"));
    (child, out)
}

/// What is printed up to the line that holds `text`.
fn until(out: &mut impl std::io::BufRead, text: &str) -> String {
    let mut told = String::new();
    while !told.contains(text) {
        assert_ne!(out.read_line(&mut told).expect("a line"), 0, "{text:?} never comes: {told}");
    }
    told
}

#[test]
fn assist_prints_what_the_daemon_tells_and_hands_on_what_is_typed() {
    let mut live = Live::new(Mask::none());
    let (mut child, mut out) = assist(&live, &[]);
    let mut told = until(&mut out, "Waiting up to 180 s for REGISTER");
    live.feed(61.0);
    told += &until(&mut out, "for INVITE");
    child.stdin.as_mut().expect("a pipe").write_all(b"what?\ns\n").expect("a pipe");
    told += &until(&mut out, "as of");
    assert!(child.wait().expect("it ends").success());
    for part in ["User 1001@pbx.example.com", "REGISTER", "STEP 1 PASSED", "STEP 4 SKIPPED", "VERDICT"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let mut said = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    assert!(said.contains("s skips the step") && !said.contains("error"), "{said}");
}

#[test]
fn assist_says_that_the_daemon_is_not_there_wants_a_token_or_broke_off() {
    let live = Live::new(Mask::none());
    let (child, mut out) = assist(&live, &["--format", "json"]);
    until(&mut out, "\"line\":\"step\"");
    let url = live.api.url();
    live.api.server.stop();
    let ended = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(3), "{said}");
    assert!(said.contains("broke off") && said.contains("begin again"), "{said}");

    let (code, _, said) = siphound(&["assist", "1001", "--daemon", &url]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("no daemon answers at") && said.contains("siphound run"), "{said}");

    let guarded = Api::with("reg-ok", Mask::none(), Some(Access { peers: Peers::Anyone, token: Token::new(SECRET) }), None);
    let (code, _, said) = siphound(&["assist", "1001", "--daemon", &guarded.url()]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("says 401") && said.contains("--token-file"), "{said}");
}

#[test]
fn what_no_request_should_be_is_refused() {
    let api = Api::of("reg-ok");
    for (page, query) in [
        ("/calls", ("limit", "1001")),
        ("/calls", ("limit", "-1")),
        ("/calls", ("after", "nonsense")),
        ("/calls", ("outcome", "fine")),
        ("/calls", ("since", "yesterday")),
        ("/findings", ("severity", "fatal")),
        ("/nat", ("site", "home")),
        ("/diagnosis", ("user", "")),
        ("/diagnosis", ("problem", "broken")),
        ("/events", ("only", "everything")),
        ("/summary", ("x", "y")),
        ("/assist", ("user", "")),
    ] {
        let (status, answer) = api.get(page, &[query]);
        assert_eq!(status, 400, "{page} {query:?}: {answer}");
        assert!(answer["detail"].as_str().is_some_and(|detail| detail.contains(query.0)), "{page} {query:?}: {answer}");
    }
    for (name, value) in [("steps", "hold,,"), ("step_timeout", "0"), ("on_failure", "maybe")] {
        let (status, answer) = api.get("/assist", &[("user", "1001"), (name, value)]);
        assert_eq!(status, 400, "{name}: {answer}");
        assert!(answer["detail"].as_str().is_some_and(|detail| detail.contains(name)), "{name}: {answer}");
    }
    assert_eq!(api.get("/nowhere", &[]).0, 404);
    for (method, page, allowed) in [("POST", "/calls", "GET,HEAD"), ("GET", "/assist/1/skip", "POST")] {
        let answer = api.raw(&format!("{method} /api/v1{page} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains(&format!("allow: {allowed}\r\n")), "{answer}");
        assert!(answer.contains("POST /assist/SESSION/COMMAND"), "{answer}");
    }
    let long = "x".repeat(100_000);
    let answer = api.raw(&format!("GET /api/v1/calls?user={long} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{}", answer.chars().take(80).collect::<String>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No query makes a page fail, and whatever is answered is JSON.
    #[test]
    fn hostile_queries_get_an_answer(
        page in prop::sample::select(vec!["calls", "registrations", "findings", "nat", "summary", "diagnosis", "calls/%00%ff"]),
        name in "user|since|until|limit|after|state|order|site|subject|problem|format|[a-z&=%]{0,6}",
        value in "\\PC{0,40}|[%0-9a-fA-F.\\-]{0,20}",
        verbatim in any::<bool>(),
    ) {
        thread_local!(static API: Api = Api::of("call-bridged"));
        let (status, body) = API.with(|api| {
            let value = if verbatim { value.chars().filter(char::is_ascii_graphic).collect() } else { encoded(&value) };
            let answer = api.raw(&format!("GET /api/v1/{page}?{name}={value} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
            let status = answer.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()).unwrap_or_default();
            (status, answer)
        });
        prop_assert!(matches!(status, 200 | 400 | 404 | 414), "{status}: {body}");
    }
}
