//! `siphound run` as the operator meets it. Capturing needs root here; without it the tests say that they were left out.

mod harness;
mod service;

use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use harness::{Daemon, NOBODY, Program, STATE, may_capture, refused, run, value};

#[test]
fn no_such_interface_lists_those_there_are() {
    if !may_capture() {
        return;
    }
    let output = run(&["-i", "nosuch0", "--listen", "127.0.0.1:0", "--state-dir", STATE]).output().expect("siphound starts");
    refused(&output, 3, &["no interface nosuch0; there are:", "lo"]);
}

#[test]
fn without_permission_the_line_that_grants_it_is_told() {
    if !may_capture() {
        return;
    }
    let program = Program::copied();
    let mut command = Command::new(program.path());
    command.args(["run", "-i", "lo", "--listen", "127.0.0.1:0"]).uid(NOBODY).gid(NOBODY);
    let output = command.output().expect("siphound starts");
    refused(
        &output,
        3,
        &[
            "no permission to capture on lo",
            &format!("sudo setcap cap_net_raw=ep {}", program.path().display()),
            "AmbientCapabilities=CAP_NET_RAW",
        ],
    );
}

#[test]
fn an_address_in_use_is_named() {
    if !may_capture() {
        return;
    }
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let address = taken.local_addr().expect("an address").to_string();
    refused(&run(&["-i", "lo", "--listen", &address, "--state-dir", STATE]).output().expect("siphound starts"), 3, &[&address]);
}

#[test]
fn a_filter_that_is_none_is_refused_before_anything_starts() {
    let output = run(&["--filter", "port port port"]).output().expect("siphound starts");
    refused(&output, 2, &["port port port", "is not accepted"]);
}

#[test]
fn the_filter_in_force_can_be_printed_by_anybody() {
    let output = run(&["--print-filter", "--port", "5062"]).output().expect("siphound starts");
    refused(&output, 0, &[]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("port 5062"));
}

#[test]
fn term_and_int_end_the_daemon_in_order() {
    if !may_capture() {
        return;
    }
    for signal in ["TERM", "INT"] {
        let daemon = Daemon::start("");
        daemon.signal(signal);
        daemon.wait_for("Stopped");
        assert_eq!(daemon.exit_code(), Some(0), "{signal}");
    }
}

#[test]
fn hup_checks_the_configuration_and_a_bad_one_changes_nothing() {
    if !may_capture() {
        return;
    }
    let daemon = Daemon::start("[log]\nlevel = \"info\"\n");
    daemon.signal("HUP");
    daemon.wait_for("The configuration is unchanged");
    daemon.configure("[limits]\ncalls = -1\ncallz = 1\n");
    daemon.signal("HUP");
    let complaint = daemon.wait_for("limits.calls");
    assert!(complaint.contains("ERROR") || complaint.contains("line 2"), "{complaint}");
    assert!(daemon.page("/healthz").ends_with("ok\n"));
    daemon.configure("[limits]\ncalls = 1000\n");
    daemon.signal("HUP");
    daemon.wait_for("restart to apply it");
    daemon.signal("TERM");
    daemon.wait_for("Stopped");
    assert_eq!(daemon.exit_code(), Some(0));
}

/// From a packet on the wire to a number on the page.
#[test]
fn what_crosses_the_wire_is_counted() {
    if !may_capture() {
        return;
    }
    let daemon = Daemon::start("[capture]\nports = [15099]\n");
    daemon.page_until("/readyz", |page| page.contains("200 OK"));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let options = "OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:x>\r\n\
                   Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    socket.send_to(options.as_bytes(), (Ipv4Addr::LOCALHOST, 15_099)).expect("a datagram can be sent");
    let page = daemon.page_until("/metrics", |page| value(page, "siphound_capture_frames_total{outcome=\"sip\"}") >= 1.0);
    assert!(page.contains("200 OK"), "{page}");
}
