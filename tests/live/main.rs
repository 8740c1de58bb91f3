//! The daemon as an operator and Prometheus meet it: real interfaces, real signals, real servers.
//!
//! Each test has two hosts in network namespaces of its own, which needs root; where that or a server is missing, the test says
//! `skipped: …` and passes. `./test.sh --with-servers` installs the servers.

mod alerts;
mod api;
mod daemon;
mod disk;
mod faults;
mod lab;
mod nat;
mod phone;
mod reload;
mod rules;
mod servers;
mod sip;
mod soak;

use std::time::Duration;

use daemon::{Daemon, refused};
use lab::{Host, LINK, Lab, SOON, until};
use rustix::process::Signal;
use sip::{Agent, request, response};

/// The address and port of the PBX.
const SERVER: &str = "192.0.2.1:5060";
/// The address and port of the phone.
const PHONE: &str = "192.0.2.2:5080";

#[test]
fn refusals_end_with_3_and_say_what_to_do() {
    let Some(lab) = Lab::build(&["setpriv"]) else { return };
    for without in [&["setpriv", "--bounding-set=-net_raw", "--inh-caps=-all"][..], &["setpriv", "--reuid=65534", "--clear-groups"]] {
        let (code, said) = refused(&lab, without, &[]);
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("setcap cap_net_raw=ep") && said.contains("AmbientCapabilities=CAP_NET_RAW"), "{said}");
    }
    let (code, said) = refused(&lab, &[], &["-i", "link7"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("error: no interface link7; there are: ") && said.contains(LINK) && !said.contains("dbus"), "{said}");

    let _taken = lab.on(Host::Pbx, || std::net::TcpListener::bind("127.0.0.1:15060")).expect("a listener");
    let (code, said) = refused(&lab, &[], &[]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("127.0.0.1:15060") && said.contains("--listen"), "{said}");
}

#[test]
fn term_and_int_end_it_within_a_second_under_traffic() {
    let Some(lab) = Lab::build(&[]) else { return };
    let phone = Agent::new(&lab, Host::Phones, PHONE);
    for signal in [Signal::TERM, Signal::INT] {
        let mut daemon = Daemon::start(&lab, &[]);
        phone.send(SERVER, &request("OPTIONS", "before"));
        daemon.counts(1, "messages_total", &["method=OPTIONS", "dir=in"]);
        // A scraper that keeps its connection open, as Prometheus does.
        let _open = lab.on(Host::Pbx, || std::net::TcpStream::connect("127.0.0.1:15060")).expect("a connection");
        let (status, took) = std::thread::scope(|scope| {
            let (done, stop) = std::sync::mpsc::channel::<()>();
            let phone = &phone;
            scope.spawn(move || {
                while stop.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                    phone.flood(SERVER, &request("OPTIONS", "flood"));
                }
            });
            daemon.process.signal(signal);
            let ended = daemon.process.wait(SOON);
            drop(done);
            ended
        });
        assert_eq!(status.code(), Some(0), "{}", daemon.process.log());
        assert!(took < Duration::from_secs(1), "{signal:?} took {took:?}");
        daemon.process.says("Stopped");
    }
}

#[test]
fn hup_changes_nothing_and_says_so() {
    let Some(lab) = Lab::build(&[]) else { return };
    let daemon = Daemon::start(&lab, &[]);
    daemon.process.signal(Signal::HUP);
    daemon.process.says("No configuration file is in use");
    drop(daemon);

    let file = lab.path("siphound.toml");
    let write = |text: &str| std::fs::write(&file, text).expect("a file");
    write("[capture]\nports = [5060]\n");
    let daemon = Daemon::start(&lab, &["--config", file.to_str().expect("a path in UTF-8")]);
    for (text, told) in [
        ("[capture]\nports = [5060]\n", "The configuration is unchanged"),
        ("[capture]\nports = [5070]\n", "restart to apply it"),
        ("[capture]\nports = [5070]\n[limits]\ncalls = 1000\n", "capture.ports, limits.calls"),
        ("[capture]\nports = [99999]\n", "The configuration is not valid; nothing is changed"),
    ] {
        write(text);
        daemon.process.signal(Signal::HUP);
        daemon.process.says(told);
    }
    Agent::new(&lab, Host::Phones, PHONE).send(SERVER, &request("OPTIONS", "after"));
    daemon.counts(1, "messages_total", &["method=OPTIONS"]);
}

#[test]
fn an_interface_that_goes_away_is_told_and_taken_up_by_a_new_process() {
    let Some(lab) = Lab::build(&[]) else { return };
    let mut daemon = Daemon::start(&lab, &["-i", LINK]);
    assert_eq!(daemon.get("/healthz"), Some((200, "ok\n".to_owned())));
    lab.disconnect();
    let unready = until(SOON, || (daemon.get("/readyz")?.0 == 503).then_some(()));
    assert!(unready.is_some(), "{}", daemon.process.log());
    assert_eq!(daemon.get("/healthz"), Some((200, "ok\n".to_owned())), "a restart would not help");
    daemon.process.says("Capture failed; absences are not concluded until it is back");

    lab.connect();
    let (status, _) = daemon.process.wait(SOON);
    assert_eq!(status.code(), Some(5), "it may not open a capture any more:\n{}", daemon.process.log());
    daemon.process.says("capturing on link0 must be begun anew");
    // What the unit does.
    let daemon = Daemon::start(&lab, &["-i", LINK]);
    Agent::new(&lab, Host::Phones, PHONE).send(SERVER, &request("OPTIONS", "again"));
    daemon.counts(1, "messages_total", &["method=OPTIONS"]);
}

#[test]
fn an_interface_that_is_only_down_is_read_on() {
    let Some(lab) = Lab::build(&[]) else { return };
    let daemon = Daemon::start(&lab, &["-i", LINK]);
    let set = |state| assert!(lab.run(Host::Pbx, &["ip", "link", "set", LINK, state]).status.success());
    for round in 1..=2 {
        set("down");
        let unready = until(SOON, || (daemon.get("/readyz")?.0 == 503).then_some(()));
        assert!(unready.is_some(), "{}", daemon.process.log());
        daemon.process.says("cannot capture on link0: the interface is down");
        set("up");
        let ready = until(SOON, || (daemon.get("/readyz")?.0 == 200).then_some(()));
        assert!(ready.is_some(), "{}", daemon.process.log());
        daemon.process.says("Capturing again");
        Agent::new(&lab, Host::Phones, PHONE).send(SERVER, &request("OPTIONS", "again"));
        daemon.counts(round, "messages_total", &["method=OPTIONS"]);
    }
}

#[test]
fn any_outlives_its_interfaces() {
    let Some(lab) = Lab::build(&[]) else { return };
    let daemon = Daemon::start(&lab, &[]);
    lab.disconnect();
    lab.connect();
    Agent::new(&lab, Host::Phones, PHONE).send(SERVER, &request("OPTIONS", "again"));
    daemon.counts(1, "messages_total", &["method=OPTIONS"]);
}

/// A gateway on the PBX's own host: its messages are seen once, though the kernel shows those of `lo` twice, and told from the PBX's.
#[test]
fn a_gateway_on_the_loopback_interface_is_counted_once() {
    let Some(lab) = Lab::build(&[]) else { return };
    let daemon = Daemon::start(&lab, &[]);
    let pbx = Agent::new(&lab, Host::Pbx, "127.0.0.1:5060");
    let gateway = Agent::new(&lab, Host::Pbx, "127.0.0.1:5080");
    pbx.send("127.0.0.1:5080", &request("INVITE", "out"));
    gateway.send("127.0.0.1:5060", &response("200 OK", "INVITE", "out"));
    gateway.send("127.0.0.1:5060", &request("INVITE", "in"));
    pbx.send("127.0.0.1:5080", &response("200 OK", "INVITE", "in"));
    for dir in ["dir=in", "dir=out"] {
        daemon.counts(1, "messages_total", &["method=INVITE", dir]);
        daemon.counts(1, "messages_total", &["code=200", dir]);
        daemon.counts(1, "session_attempts_total", &[dir]);
    }
    daemon.counts(4, "capture_frames_total", &["outcome=sip"]);
    daemon.counts(0, "capture_duplicates_total", &[]);
}

/// Two phone systems behind interfaces and ports of their own: one daemon captures both, and each has its own numbers.
#[test]
fn two_phone_systems_are_captured_at_once_and_told_apart() {
    let Some(lab) = Lab::build(&["promtool"]) else { return };
    let path = lab.path("two.toml");
    let text = format!(
        "[[pbx]]\nname = \"berlin\"\naddresses = [\"192.0.2.1\"]\ninterfaces = [\"{LINK}\"]\n\
         [[pbx]]\nname = \"munich\"\naddresses = [\"127.0.0.1:5070\"]\nports = [5070]\ninterfaces = [\"lo\"]\n\
         [trunks]\ngateway = [\"127.0.0.1:5080\"]\n[metrics]\nsite_labels = \"top\"\n"
    );
    std::fs::write(&path, text).expect("a configuration");
    let daemon = Daemon::start(&lab, &["--config", path.to_str().expect("a path in UTF-8")]);
    let (phone, berlin) = (Agent::new(&lab, Host::Phones, PHONE), Agent::new(&lab, Host::Pbx, SERVER));
    phone.send(SERVER, &request("OPTIONS", "berlin"));
    berlin.send(PHONE, &response("200 OK", "OPTIONS", "berlin"));
    let (gateway, munich) = (Agent::new(&lab, Host::Pbx, "127.0.0.1:5080"), Agent::new(&lab, Host::Pbx, "127.0.0.1:5070"));
    gateway.send("127.0.0.1:5070", &request("INVITE", "munich"));
    munich.send("127.0.0.1:5080", &response("200 OK", "INVITE", "munich"));
    for (pbx, method, other) in [("pbx=berlin", "method=OPTIONS", "method=INVITE"), ("pbx=munich", "method=INVITE", "method=OPTIONS")] {
        daemon.counts(1, "messages_total", &[pbx, method, "dir=in"]);
        daemon.counts(1, "messages_total", &[pbx, "code=200", "dir=out"]);
        daemon.counts(0, "messages_total", &[pbx, other]);
    }
    daemon.counts(1, "session_attempts_total", &["pbx=munich", "dir=in", "peer_class=trunk"]);
    daemon.counts(1, "peer_session_attempts_total", &["pbx=munich", "peer=gateway"]);
    let summary = daemon.get("/api/v1/summary").expect("an answer").1.replace(": ", ":");
    assert!(summary.contains(r#""127.0.0.1:5070":"munich""#) && summary.contains(r#""192.0.2.1:5060":"berlin""#), "{summary}");
    servers::check_exposition(&lab, &daemon);
}

/// Frames that the kernel dropped are counted, and over such a time nobody is said not to have answered.
#[test]
fn drops_are_counted_and_withhold_what_rests_on_absence() {
    let Some(lab) = Lab::build(&[]) else { return };
    let file = lab.path("siphound.toml");
    std::fs::write(&file, "[capture]\nbuffer = \"1MiB\"\n").expect("a file");
    let daemon = Daemon::start(&lab, &["--config", file.to_str().expect("a path in UTF-8")]);
    let (pbx, phone) = (Agent::new(&lab, Host::Pbx, SERVER), Agent::new(&lab, Host::Phones, PHONE));
    // Both directions are seen to work.
    phone.send(SERVER, &request("OPTIONS", "both"));
    pbx.send(PHONE, &response("200 OK", "OPTIONS", "both"));
    daemon.counts(1, "messages_total", &["code=200", "dir=out"]);

    // A caller gives up after 64 times the time between its first two transmissions (DETECTION §0.8): here after about 6 s.
    let give_up = Duration::from_secs(40);
    let unanswered = |branch: &str| {
        phone.send(SERVER, &request("INVITE", branch));
        // Who sends a request three times has heard nothing (DETECTION §1.3).
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(90));
            phone.send(SERVER, &request("INVITE", branch));
        }
    };
    unanswered("seen");
    daemon.counts_within(give_up, 1, "session_outcomes_total", &["outcome=no_response"]);

    unanswered("dropped");
    daemon.counts(2, "session_attempts_total", &[]);
    daemon.process.signal(Signal::STOP);
    let filler = format!("{}{}", request("OPTIONS", "flood"), "x".repeat(8_000));
    for _ in 0..4_000 {
        phone.flood(SERVER, &filler);
    }
    daemon.process.signal(Signal::CONT);
    let dropped = until(SOON, || (daemon.metrics().sum("capture_dropped_total", &["where=kernel"]) > 0).then_some(()));
    assert!(dropped.is_some(), "{}", daemon.metrics().of("capture_dropped_total"));
    daemon.process.says("Frames were lost");
    daemon.counts_within(give_up, 1, "session_outcomes_total", &["outcome=unknown"]);
    daemon.counts(1, "session_outcomes_total", &["outcome=no_response"]);
}

/// A daemon that was killed knows registrations and calls again, tells nobody that they failed meanwhile, and counts from 0.
#[test]
fn a_daemon_that_was_killed_knows_registrations_and_calls_again() {
    let Some(lab) = Lab::build(&[]) else { return };
    let mut daemon = Daemon::start(&lab, &[]);
    let (pbx, phone) = (Agent::new(&lab, Host::Pbx, SERVER), Agent::new(&lab, Host::Phones, PHONE));
    phone.send(SERVER, &request("REGISTER", "reg").replace("To: <sip:100@", "Expires: 600\r\nTo: <sip:200@"));
    let accepted =
        response("200 OK", "REGISTER", "reg").replace("To: <sip:100@", "Contact: <sip:200@192.0.2.2:5080>;expires=600\r\nTo: <sip:200@");
    pbx.send(PHONE, &accepted);
    phone.send(SERVER, &request("INVITE", "call"));
    pbx.send(PHONE, &response("200 OK", "INVITE", "call"));
    phone.send(SERVER, &request("ACK", "call"));
    // Nobody answers this one while the daemon is away.
    phone.send(SERVER, &request("INVITE", "unanswered"));
    let knows = |daemon: &Daemon<'_>| {
        let metrics = daemon.metrics();
        metrics.sum("registrations", &["state=registered"]) == 1 && metrics.sum("calls_active", &["state=confirmed"]) == 1
    };
    let known = until(SOON, || knows(&daemon).then_some(()));
    assert!(known.is_some(), "{}\n{}", daemon.metrics().of("registrations"), daemon.metrics().of("calls_active"));
    // What was heard is on disk within a second; nothing is written at the end of a process that is killed.
    std::thread::sleep(Duration::from_millis(1_500));
    // Both are read while they are written.
    let state = lab.path("state").display().to_string();
    let told = |arguments: &[&str]| {
        let command = [&[env!("CARGO_BIN_EXE_siphound")], arguments, &["--state-dir", &state]].concat();
        let output = lab.run(Host::Pbx, &command);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(told(&["peers", "--open"]).contains("200@192.0.2.1"));
    assert!(told(&["calls", "--open"]).contains("call"));
    assert!(told(&["trace", "call"]).contains("Call-ID: call"));
    daemon.process.signal(Signal::KILL);
    daemon.process.wait(SOON);
    drop(daemon);

    let daemon = Daemon::start(&lab, &[]);
    daemon.process.says("Registrations and calls were taken up from the traces");
    assert!(knows(&daemon), "{}\n{}", daemon.metrics().of("registrations"), daemon.metrics().of("calls_active"));
    assert_eq!(daemon.metrics().sum("messages_total", &[]), 0, "what was counted before is not counted again");
    assert_eq!(daemon.metrics().sum("findings_total", &[]), 0);
    pbx.send(PHONE, &request("BYE", "call"));
    phone.send(SERVER, &response("200 OK", "BYE", "call"));
    daemon.counts(1, "messages_total", &["method=BYE"]);
    daemon.counts(0, "findings_total", &[]);
    daemon.counts(0, "session_outcomes_total", &["outcome=no_response"]);
    for store in ["database", "traces"] {
        assert_eq!(daemon.metrics().sum("history_up", &[&format!("store={store}")]), 1);
    }
}
