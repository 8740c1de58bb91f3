//! The API of a running daemon, as the support desk and a stranger meet it.

use serde_json::Value as Json;

use super::daemon::{Daemon, get};
use super::lab::{Host, Lab, SOON, until};
use super::sip::{Agent, request, response};
use super::{PHONE, SERVER};

/// A call to a number that the PBX does not know.
fn mistyped(lab: &Lab, daemon: &Daemon<'_>) {
    let (phone, pbx) = (Agent::new(lab, Host::Phones, PHONE), Agent::new(lab, Host::Pbx, SERVER));
    phone.send(SERVER, &request("INVITE", "mistyped"));
    daemon.counts(1, "session_attempts_total", &[]);
    pbx.send(PHONE, &response("404 Not Found", "INVITE", "mistyped"));
    // An outcome is settled once time has passed, and other traffic shows that it has.
    let settled = until(SOON, || {
        phone.send(SERVER, &request("OPTIONS", "meanwhile"));
        (daemon.metrics().sum("session_outcomes_total", &["outcome=not_found"]) == 1).then_some(())
    });
    assert!(settled.is_some(), "{}", daemon.metrics().of("session_outcomes_total"));
}

/// Runs `siphound diagnose` on the host of the PBX.
fn diagnose(lab: &Lab, arguments: &[&str]) -> (Option<i32>, String, String) {
    let command = [&[env!("CARGO_BIN_EXE_siphound"), "diagnose"], arguments].concat();
    let output = lab.run(Host::Pbx, &command);
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn diagnose_asks_the_running_daemon() {
    let Some(lab) = Lab::build(&[]) else { return };
    let (code, _, said) = diagnose(&lab, &["200"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("no daemon answers at http://127.0.0.1:15060") && said.contains("siphound run"), "{said}");

    let daemon = Daemon::start(&lab, &[]);
    mistyped(&lab, &daemon);
    let (code, out, said) = diagnose(&lab, &["200", "--problem", "cannot-call", "--format", "json"]);
    assert_eq!(code, Some(0), "{said}");
    let verdict: Json = serde_json::from_str(&out).expect("a verdict");
    assert_eq!(verdict["verdict"], "not-an-issue", "{out}");
    assert!(verdict["headline"].as_str().is_some_and(|headline| headline.contains("100")), "{out}");
    let (code, out, _) = diagnose(&lab, &["4711"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("no-traffic"), "{out}");
}

#[test]
fn the_metrics_are_for_others_and_the_api_is_not() {
    let Some(lab) = Lab::build(&[]) else { return };
    let file = lab.path("siphound.toml");
    std::fs::write(&file, "[metrics]\nlisten = \"0.0.0.0:15060\"\nallow_remote = true\n").expect("a file");
    let daemon = Daemon::start(&lab, &["--config", file.to_str().expect("a path in UTF-8")]);
    mistyped(&lab, &daemon);
    let from_afar = |page: &str| {
        lab.on(Host::Phones, || {
            let client = siphound::http::Client::new("http://192.0.2.1:15060", None, None).expect("a client");
            let answer = client.get(page, &[]).expect("an answer");
            (answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned())
        })
    };
    let (status, calls) = from_afar("/api/v1/calls");
    assert_eq!(status, 403, "{calls}");
    assert!(!calls.contains("mistyped") && calls.contains("api.token_file"), "{calls}");
    assert_eq!(from_afar("/metrics").0, 200);
    let here = until(SOON, || get(&lab, "127.0.0.1:15060", "/api/v1/calls").filter(|(status, _)| *status == 200));
    assert!(here.is_some_and(|(_, calls)| calls.contains("mistyped")));
}

/// A bundle of a daemon on this host has the packets of its traces, with the secrets of digests blanked.
#[test]
fn a_bundle_of_the_running_daemon_has_packets() {
    let Some(lab) = Lab::build(&[]) else { return };
    let file = lab.path("siphound.toml");
    let state = lab.path("state");
    let places = format!("[history]\ndirectory = {state:?}\n[traces]\ndirectory = {:?}\n", state.join("traces"));
    std::fs::write(&file, places).expect("a file");
    let config = file.to_str().expect("a path in UTF-8");
    let daemon = Daemon::start(&lab, &["--config", config]);
    let phone = Agent::new(&lab, Host::Phones, PHONE);
    let secret = "0123456789abcdef0123456789abcdef";
    let credentials =
        format!("Authorization: Digest username=\"200\", realm=\"r\", nonce=\"n\", uri=\"sip:x\", response=\"{secret}\"\r\nContact");
    phone.send(SERVER, &request("REGISTER", "secret").replacen("Contact", &credentials, 1));
    drop(phone);
    mistyped(&lab, &daemon);
    let packets = until(SOON, || {
        let bundle = lab.path("case.tar.gz");
        let _ = std::fs::remove_file(&bundle);
        let (code, _, said) = diagnose(&lab, &["200", "--config", config, "--bundle", bundle.to_str().expect("a path in UTF-8")]);
        assert_eq!(code, Some(0), "{said}");
        let done = lab.run(Host::Pbx, &["tar", "-xzf", bundle.to_str().expect("a path in UTF-8")]);
        assert!(done.status.success(), "{done:?}");
        std::fs::read(lab.path("siphound").join("packets.pcap"))
            .ok()
            .filter(|bytes| String::from_utf8_lossy(bytes).contains("Call-ID: mistyped"))
    });
    let readme = std::fs::read_to_string(lab.path("siphound").join("README.txt")).expect("a text");
    let packets = String::from_utf8_lossy(&packets.unwrap_or_else(|| panic!("no packets: {readme}"))).into_owned();
    assert!(packets.contains("REGISTER") && !packets.contains(secret), "the response is blanked");
    assert!(readme.contains("blanked") && !readme.contains("no packets"), "{readme}");
}
