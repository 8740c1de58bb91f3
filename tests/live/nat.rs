//! A NAT of the kernel that forgets a phone, as the agent sees it who has the user on the telephone.

#![expect(clippy::disallowed_types, reason = "the NAT goes by the clock")]

use std::thread;
use std::time::{Duration, Instant};

use super::daemon::Daemon;
use super::lab::{BEHIND, Host, Lab, OTHER_SITE, Process, SOON};
use super::phone::Phone;
use super::servers::{fixture, listens};

const SIPHOUND: &str = env!("CARGO_BIN_EXE_siphound");
/// How long the NAT remembers a phone that is silent.
const LIFETIME: Duration = Duration::from_secs(5);

/// The phone keeps its NAT open every 10 s, and the NAT forgets it after 5 s: what reaches it within 5 s is answered, what comes later
/// is lost until the phone sends something by itself.
#[test]
fn the_agent_sees_the_nat_forget_the_phone() {
    let Some(lab) = Lab::build(&["nft", "kamailio"]) else { return };
    let Some(()) = lab.add_nat(LIFETIME) else { return };
    let _kamailio = start_kamailio(&lab);
    let daemon = Daemon::start(&lab, &[]);
    let phone = Phone::new(&lab, Host::BehindNat, BEHIND, "1001");
    let other = Phone::new(&lab, Host::Phones, OTHER_SITE, "2001");

    let clock = Clock::start();
    phone.register();
    other.register();
    let ask = |seconds| {
        clock.wait_until(seconds);
        phone_and_other(&other);
    };
    ask(3.0);
    ask(9.0);
    clock.wait_until(10.0);
    phone.keep_alive();
    ask(14.0);
    ask(19.6);
    clock.wait_until(20.0);
    phone.keep_alive();

    let mut assist = assist(&lab, &["1001", "--steps", "reconnection,inbound-call"]);
    assist.says("Waiting up to 180 s for REGISTER");
    clock.wait_until(22.0);
    phone.register();
    assist.says("STEP 1 PASSED");
    assist.says("Waiting up to 180 s for INVITE");
    clock.wait_until(28.0);
    other.options("2001");
    other.call("1001");
    clock.wait_until(32.0);
    phone.keep_alive();
    let (status, _) = assist.wait(2 * SOON);
    let told = assist.log();
    println!("$ siphound assist 1001 --steps reconnection,inbound-call\n{told}");
    let diagnosed = diagnose(&lab, &["1001", "--problem", "cannot-receive"]);
    println!("$ siphound diagnose 1001 --problem cannot-receive\n{diagnosed}");

    assert_eq!(status.code(), Some(0), "{told}\n{}", daemon.process.log());
    assert!(told.contains("STEP 4 FAILED"), "{told}");
    for verdict in [&told[told.find("VERDICT").expect("a verdict")..], &diagnosed] {
        assert!(verdict.contains("cannot receive calls"), "{verdict}");
        assert!(verdict.lines().any(|line| line.starts_with("  nat-binding-timeout  ")), "{verdict}");
        let (least, most) = bounds(verdict);
        assert!((3.0..5.5).contains(&least) && (4.5..7.0).contains(&most) && least < most, "{least} to {most}: {verdict}");
    }
}

/// The other phone asks whether the phone is there, and whether it is there itself: the PBX is seen to work.
fn phone_and_other(other: &Phone) {
    other.options("1001");
    other.options("2001");
}

/// `NAT forgets 1001@192.0.2.1 after 4.0–5.9 s`
fn bounds(verdict: &str) -> (f64, f64) {
    let text = verdict.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, rest) = text.split_once("NAT forgets 1001@192.0.2.1 after ").unwrap_or_else(|| panic!("no bounds: {verdict}"));
    let (least, rest) = rest.split_once('–').expect("two bounds");
    let (most, _) = rest.split_once(' ').expect("a unit");
    (least.parse().expect("a number"), most.parse().expect("a number"))
}

/// Seconds since the phone registered.
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn wait_until(&self, seconds: f64) {
        thread::sleep((self.0 + Duration::from_secs_f64(seconds)).saturating_duration_since(Instant::now()));
    }
}

fn start_kamailio(lab: &Lab) -> Process {
    let folder = lab.path("kamailio");
    std::fs::create_dir(&folder).expect("a folder");
    let config = fixture("nat.cfg");
    let (config, folder) = (config.to_str().expect("a path"), folder.to_str().expect("a path"));
    let process = lab.start(Host::Pbx, "kamailio", &["kamailio", "-f", config, "-DD", "-E", "-m", "32", "-M", "8", "-Y", folder]);
    listens(lab, Host::Pbx, 5060);
    process
}

fn assist(lab: &Lab, arguments: &[&str]) -> Process {
    lab.start(Host::Pbx, "assist", &[&[SIPHOUND, "assist"], arguments].concat())
}

fn diagnose(lab: &Lab, arguments: &[&str]) -> String {
    let output = lab.run(Host::Pbx, &[&[SIPHOUND, "diagnose"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}
