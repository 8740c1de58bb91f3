//! siphound is killed while it is busy, and its interface goes down: what is lost is what is named.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::daemon::Daemon;
use super::lab::{Host, LINK, Lab, SOON, until};
use super::sip::{Agent, request, response};
use super::{PHONE, SERVER};

/// What is heard is on disk within this time (docs/faults.md).
const ON_DISK: Duration = Duration::from_millis(1_500);

/// A registration of a user with a port of its own, and its answer.
fn register(phone: &Agent, pbx: &Agent, user: u32) {
    let common = format!(
        "Via: SIP/2.0/UDP 192.0.2.2:5080;branch=z9hG4bKr{user}\r\nFrom: <sip:{user}@192.0.2.1>;tag=f{user}\r\nCall-ID: r{user}\r\n\
         CSeq: 1 REGISTER\r\nContact: <sip:{user}@192.0.2.2:5080>;expires=3600\r\nContent-Length: 0\r\n"
    );
    phone.send(SERVER, &format!("REGISTER sip:192.0.2.1 SIP/2.0\r\nMax-Forwards: 70\r\nTo: <sip:{user}@192.0.2.1>\r\n{common}\r\n"));
    pbx.send(PHONE, &format!("SIP/2.0 200 OK\r\nTo: <sip:{user}@192.0.2.1>;tag=t{user}\r\n{common}\r\n"));
}

/// A daemon that is killed while phones register without pause knows again each one that registered longer than a moment before.
#[test]
fn a_kill_amid_traffic_loses_no_more_than_the_last_moment() {
    let Some(lab) = Lab::build(&[]) else { return };
    let mut daemon = Daemon::start(&lab, &[]);
    let (pbx, phone) = (Agent::new(&lab, Host::Pbx, SERVER), Agent::new(&lab, Host::Phones, PHONE));
    phone.send(SERVER, &request("INVITE", "call"));
    pbx.send(PHONE, &response("200 OK", "INVITE", "call"));
    phone.send(SERVER, &request("ACK", "call"));
    let registered = AtomicU32::new(0);
    let (kept, all) = thread::scope(|scope| {
        let (done, stop) = std::sync::mpsc::channel::<()>();
        scope.spawn(|| {
            let stop = stop;
            for user in 1.. {
                register(&phone, &pbx, 10_000 + user);
                registered.store(user, Ordering::Relaxed);
                if stop.recv_timeout(Duration::from_millis(2)) != Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        let known = until(SOON, || (daemon.metrics().sum("registrations", &["state=registered"]) > 300).then_some(()));
        assert!(known.is_some(), "{}", daemon.metrics().of("registrations"));
        let kept = daemon.metrics().sum("registrations", &["state=registered"]);
        thread::sleep(ON_DISK);
        daemon.process.signal(Signal::KILL);
        drop(done);
        (kept, u64::from(registered.load(Ordering::Relaxed)))
    });
    daemon.process.wait(SOON);
    drop(daemon);

    let daemon = Daemon::start(&lab, &[]);
    daemon.process.says("Registrations and calls were taken up from the traces");
    let again = daemon.metrics().sum("registrations", &["state=registered"]);
    assert!((kept..=all).contains(&again), "{kept} were on disk, {again} are known again, {all} registered");
    assert_eq!(daemon.metrics().sum("calls_active", &["state=confirmed"]), 1);
    assert_eq!(daemon.metrics().sum("findings_total", &[]), 0, "nothing failed while nobody looked");
    for store in ["store=database", "store=traces"] {
        assert_eq!(daemon.metrics().sum("history_up", &[store]), 1, "{}", daemon.process.log());
    }
    daemon.counts(0, "history_dropped_total", &[]);
    let listed = until(SOON, || {
        let command = [env!("CARGO_BIN_EXE_siphound"), "peers", "--open", "--limit", "100000", "--format", "csv", "--state-dir"];
        let output = lab.run(Host::Pbx, &[&command[..], &[&lab.path("state").display().to_string()]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let users = String::from_utf8_lossy(&output.stdout).lines().count() as u64 - 1;
        (users == again).then_some(())
    });
    assert!(listed.is_some(), "the history does not list the {again} users that are known");
}

/// An interface that was down is captured on again, and a call that was answered meanwhile is not said to have had no answer.
#[test]
fn what_an_interface_that_was_down_did_not_show_is_unknown() {
    let Some(lab) = Lab::build(&[]) else { return };
    let mut daemon = Daemon::start(&lab, &["-i", LINK]);
    let (pbx, phone) = (Agent::new(&lab, Host::Pbx, SERVER), Agent::new(&lab, Host::Phones, PHONE));
    phone.send(SERVER, &request("OPTIONS", "both"));
    pbx.send(PHONE, &response("200 OK", "OPTIONS", "both"));
    daemon.counts(1, "messages_total", &["code=200", "dir=out"]);
    // The caller gives up after 64 times the time between these two (DETECTION §0.8): here after about 6 s.
    phone.send(SERVER, &request("INVITE", "meanwhile"));
    thread::sleep(Duration::from_millis(90));
    phone.send(SERVER, &request("INVITE", "meanwhile"));
    daemon.counts(1, "session_attempts_total", &[]);

    lab.set_link("down");
    let told = until(SOON, || (!daemon.process.is_running() || daemon.get("/readyz")?.0 == 503).then_some(()));
    assert!(told.is_some(), "{}", daemon.process.log());
    daemon.process.says("Capture failed; absences are not concluded until it is back");
    lab.set_link("up");
    let before = daemon.process.log().len();
    daemon.captures_again();
    let restarted = daemon.process.log().len() < before;
    // Other traffic shows that time has passed.
    let settled = until(4 * SOON, || {
        phone.send(SERVER, &request("OPTIONS", "later"));
        thread::sleep(Duration::from_millis(100));
        (restarted || daemon.metrics().sum("session_outcomes_total", &["outcome=unknown"]) == 1).then_some(())
    });
    assert!(settled.is_some(), "{}", daemon.metrics().of("session_outcomes_total"));
    daemon.counts(0, "session_outcomes_total", &["outcome=no_response"]);
}
