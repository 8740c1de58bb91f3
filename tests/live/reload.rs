//! A HUP changes who is told, at once and without a packet lost.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::process::Signal;
use serde_json::Value as Json;

use super::daemon::Daemon;
use super::lab::{Host, Lab, SOON};
use super::sip::{Agent, request};
use super::{PHONE, SERVER};

/// A service that takes webhooks on the host of the PBX; gives its port and what it is told.
fn service(lab: &Lab) -> (u16, Receiver<Json>) {
    let listener = lab.on(Host::Pbx, || TcpListener::bind("127.0.0.1:0")).expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let (tell, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).is_err() || line.trim().is_empty() {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or(0);
                }
            }
            let mut body = vec![0; length];
            let whole = reader.read_exact(&mut body);
            let _ = reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            if let (Ok(()), Ok(message)) = (whole, serde_json::from_slice(&body))
                && tell.send(message).is_err()
            {
                return;
            }
        }
    });
    (port, told)
}

/// A registration that the PBX refuses so often that it is a finding.
fn refused(phone: &Agent, pbx: &Agent, user: &str) {
    for call in 1..=3 {
        let common = format!(
            "Via: SIP/2.0/UDP 192.0.2.2:5080;branch=z9hG4bK{user}{call}\r\nFrom: <sip:{user}@192.0.2.1>;tag=f{user}{call}\r\n\
             Call-ID: r{user}\r\nCSeq: {call} REGISTER\r\nContact: <sip:{user}@192.0.2.2:5080>;expires=3600\r\nContent-Length: 0\r\n"
        );
        phone.send(SERVER, &format!("REGISTER sip:192.0.2.1 SIP/2.0\r\nMax-Forwards: 70\r\nTo: <sip:{user}@192.0.2.1>\r\n{common}\r\n"));
        pbx.send(PHONE, &format!("SIP/2.0 403 Forbidden\r\nTo: <sip:{user}@192.0.2.1>;tag=t{user}\r\n{common}\r\n"));
    }
}

fn subjects(message: &Json) -> Vec<&str> {
    message["findings"].as_array().expect("a list").iter().filter_map(|finding| finding["subject"].as_str()).collect()
}

#[test]
fn a_hup_changes_who_is_told_and_names_what_needs_a_restart() {
    let Some(lab) = Lab::build(&[]) else { return };
    let file = lab.path("siphound.toml");
    let write = |text: &str| std::fs::write(&file, text).expect("a file");
    let (port, told) = service(&lab);
    let sink = format!("[[notify.webhook]]\nname = \"chat\"\nurl = \"http://127.0.0.1:{port}\"\n");
    let rules = "[notify]\nwatch = [\"100\", \"300\"]\ngroup_wait = \"0s\"\n";
    write(&sink);
    let daemon = Daemon::start(&lab, &["--config", file.to_str().expect("a path in UTF-8")]);
    let (pbx, phone) = (Agent::new(&lab, Host::Pbx, SERVER), Agent::new(&lab, Host::Phones, PHONE));
    refused(&phone, &pbx, "100");
    daemon.counts(1, "findings_active", &["finding=registration-rejected"]);

    // What the process gave up when it started, it cannot get back.
    write(&sink.replace(&port.to_string(), "9"));
    daemon.process.signal(Signal::HUP);
    daemon.process.says("this process gave up when it started; restart to apply");

    // A secret that is not there: all stays as it was.
    write(&format!("{rules}{sink}secret_file = \"{}\"\n", lab.path("nowhere").display()));
    daemon.process.signal(Signal::HUP);
    daemon.process.says("The notifications cannot be changed; nothing is changed");

    write(&format!("[capture]\nports = [5070]\n{rules}{sink}"));
    daemon.process.signal(Signal::HUP);
    daemon.process.says("Notifications follow the changed configuration");
    daemon.process.says("keys=\"capture.ports\"");
    // What was found before is told to those who are told from here on, what is found later too; of other phones nobody asked to be told.
    let message = told.recv_timeout(SOON).expect("a message");
    assert_eq!(subjects(&message), ["100@192.0.2.1"]);
    refused(&phone, &pbx, "200");
    refused(&phone, &pbx, "300");
    let message = told.recv_timeout(SOON).expect("a message");
    let about = subjects(&message);
    assert!(about.contains(&"300@192.0.2.1") && !about.contains(&"200@192.0.2.1"), "{message}");

    // Without the sink nobody is told, and the capture on the old port went on all the time.
    write("[capture]\nports = [5070]\n");
    daemon.process.signal(Signal::HUP);
    daemon.process.says("sinks=0");
    phone.send(SERVER, &request("OPTIONS", "after"));
    daemon.counts(1, "messages_total", &["method=OPTIONS"]);
    assert!(told.try_recv().is_err(), "nobody is told any more");
    daemon.counts(2, "notifications_total", &["sink=webhook", "result=sent"]);
}
