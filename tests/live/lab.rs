//! Two hosts in network namespaces of their own, where wanted a third behind a NAT, and what runs on them.
//!
//! Nothing leaves the namespaces, and they are gone, with all that runs in them, when the [`Lab`] is dropped.

#![expect(clippy::disallowed_types, reason = "what runs on the hosts goes by the clock")]

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

/// The address of the host with the PBX.
pub(crate) const PBX: &str = "192.0.2.1";
/// The address of the host with the phones, which is also the NAT's.
pub(crate) const PHONES: &str = "192.0.2.2";
/// A further address of the host with the phones: another site, where there is a NAT.
pub(crate) const OTHER_SITE: &str = "192.0.2.3";
/// The address of the host behind the NAT.
pub(crate) const BEHIND: &str = "192.168.77.11";
/// The interface of either host that leads to the other.
pub(crate) const LINK: &str = "link0";
/// How long anything may take that should come at once.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Which host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Host {
    Pbx,
    Phones,
    /// Behind the NAT that the host with the phones becomes: see [`Lab::add_nat`].
    BehindNat,
}

/// Two hosts with a link between them, and a folder for what runs there.
pub(crate) struct Lab {
    name: String,
    folder: TempDir,
}

impl Lab {
    /// Builds the hosts, or says why the test is skipped: it needs root, network namespaces and the `programs`.
    pub(crate) fn build(programs: &[&str]) -> Option<Self> {
        if !geteuid().is_root() {
            return skipped(format_args!("network namespaces need root"));
        }
        installed(&["ip"])?;
        installed(programs)?;
        static BUILT: AtomicU32 = AtomicU32::new(0);
        let name = format!("siphound-{}-{}", std::process::id(), BUILT.fetch_add(1, Ordering::Relaxed));
        let lab = Self { name, folder: tempfile::tempdir().expect("a folder") };
        let made = ip(&["netns", "add", &lab.namespace(Host::Pbx)]);
        if !made.status.success() {
            return skipped(format_args!("network namespaces are refused: {}", String::from_utf8_lossy(&made.stderr).trim()));
        }
        must(&["netns", "add", &lab.namespace(Host::Phones)]);
        for host in [Host::Pbx, Host::Phones] {
            must(&["-n", &lab.namespace(host), "link", "set", "lo", "up"]);
        }
        lab.connect();
        Some(lab)
    }

    /// Puts the link between the hosts, or puts it back.
    pub(crate) fn connect(&self) {
        let [pbx, phones] = [Host::Pbx, Host::Phones].map(|host| self.namespace(host));
        must(&["link", "add", LINK, "netns", &pbx, "type", "veth", "peer", "name", LINK, "netns", &phones]);
        for (namespace, address) in [(&pbx, PBX), (&phones, PHONES)] {
            must(&["-n", namespace, "address", "add", &format!("{address}/24"), "dev", LINK]);
            must(&["-n", namespace, "link", "set", LINK, "up"]);
        }
    }

    /// Makes the host with the phones a router with a NAT in front of a third host; the kernel forgets a UDP flow after `timeout`. Says
    /// why the test is skipped where the kernel has no NAT.
    ///
    /// The router keeps ports, as most do, and takes what comes from outside without a binding without a word.
    pub(crate) fn add_nat(&self, timeout: Duration) -> Option<()> {
        let [router, behind] = [Host::Phones, Host::BehindNat].map(|host| self.namespace(host));
        let rules = format!(
            "table ip nat {{
               chain after {{ type nat hook postrouting priority srcnat; ip saddr 192.168.77.0/24 masquerade; }}
               chain to_router {{ type filter hook input priority filter; ip daddr {PHONES} udp dport 1-65535 ct state new drop; }}
             }}"
        );
        let seconds = timeout.as_secs();
        let timeouts =
            ["udp_timeout", "udp_timeout_stream"].map(|name| format!("echo {seconds} > /proc/sys/net/netfilter/nf_conntrack_{name}"));
        let script = format!("set -e; nft '{rules}'; {}; echo 1 > /proc/sys/net/ipv4/ip_forward", timeouts.join("; "));
        let made = self.run(Host::Phones, &["sh", "-c", &script]);
        if !made.status.success() {
            return skipped(format_args!("this kernel has no NAT: {}", String::from_utf8_lossy(&made.stderr).trim()));
        }
        must(&["netns", "add", &behind]);
        must(&["-n", &behind, "link", "set", "lo", "up"]);
        must(&["link", "add", "lan0", "netns", &router, "type", "veth", "peer", "name", LINK, "netns", &behind]);
        must(&["-n", &router, "address", "add", "192.168.77.1/24", "dev", "lan0"]);
        must(&["-n", &router, "link", "set", "lan0", "up"]);
        must(&["-n", &behind, "address", "add", &format!("{BEHIND}/24"), "dev", LINK]);
        must(&["-n", &behind, "link", "set", LINK, "up"]);
        must(&["-n", &behind, "route", "add", "default", "via", "192.168.77.1"]);
        must(&["-n", &router, "address", "add", &format!("{OTHER_SITE}/24"), "dev", LINK]);
        Some(())
    }

    /// Takes the link away.
    pub(crate) fn disconnect(&self) {
        must(&["-n", &self.namespace(Host::Pbx), "link", "delete", LINK]);
    }

    /// Takes the interface of the PBX down, or up again.
    pub(crate) fn set_link(&self, state: &str) {
        must(&["-n", &self.namespace(Host::Pbx), "link", "set", LINK, state]);
    }

    /// A path in the folder of this lab.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a program on a host, with what it says in the file `NAME.log`.
    pub(crate) fn start(&self, host: Host, name: &str, command: &[&str]) -> Process {
        let log = self.path(&format!("{name}.log"));
        let output = File::create(&log).expect("a log");
        let child = self
            .command(host, command)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a log"))
            .stderr(output)
            .spawn()
            .expect("a process");
        Process { child, log }
    }

    /// Runs a program on a host to its end.
    pub(crate) fn run(&self, host: Host, command: &[&str]) -> Output {
        self.command(host, command).output().expect("a process")
    }

    /// Does `work` on a thread of a host. Sockets that it opens stay on that host.
    pub(crate) fn on<T: Send>(&self, host: Host, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(Path::new("/run/netns").join(self.namespace(host))).expect("a namespace");
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("entering a namespace");
                work()
            });
            worker.join().expect("the work on a host")
        })
    }

    fn command(&self, host: Host, command: &[&str]) -> Command {
        let mut run = Command::new("ip");
        run.args(["netns", "exec", &self.namespace(host)]).args(command).current_dir(self.folder.path());
        run
    }

    fn namespace(&self, host: Host) -> String {
        let suffix = match host {
            Host::Pbx => "pbx",
            Host::Phones => "phones",
            Host::BehindNat => "nat",
        };
        format!("{}-{suffix}", self.name)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for host in [Host::Pbx, Host::Phones, Host::BehindNat] {
            let namespace = self.namespace(host);
            let pids = ip(&["netns", "pids", &namespace]).stdout;
            for pid in String::from_utf8_lossy(&pids).split_whitespace() {
                // One that has just ended is as good as killed.
                let _ = pid.parse().ok().and_then(Pid::from_raw).map(|pid| kill_process(pid, Signal::KILL));
            }
            ip(&["netns", "delete", &namespace]);
        }
    }
}

/// A running program; it is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a signal that is taken");
    }

    /// Waits for its end, and says how it ended and after what time.
    pub(crate) fn wait(&mut self, patience: Duration) -> (ExitStatus, Duration) {
        let since = Instant::now();
        let status = until(patience, || self.child.try_wait().expect("a child"));
        (status.unwrap_or_else(|| panic!("still running after {patience:?}:\n{}", self.log())), since.elapsed())
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// What it said so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until it says `text`.
    pub(crate) fn says(&self, text: &str) {
        let said = until(SOON, || self.log().contains(text).then_some(()));
        assert!(said.is_some(), "{text:?} is not in the log:\n{}", self.log());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until there is an answer, or patience ends.
pub(crate) fn until<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience;
    loop {
        match ask() {
            None if Instant::now() < end => thread::sleep(Duration::from_millis(10)),
            answer => return answer,
        }
    }
}

fn skipped<T>(reason: fmt::Arguments<'_>) -> Option<T> {
    // Not with `eprintln!`, which is only shown of tests that fail.
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
    None
}

/// Says why the test is skipped where one of the programs is missing.
pub(crate) fn installed(programs: &[&str]) -> Option<()> {
    match programs.iter().find(|program| !is_installed(program)) {
        Some(missing) => skipped(format_args!("{missing} is not installed")),
        None => Some(()),
    }
}

fn is_installed(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

fn ip(arguments: &[&str]) -> Output {
    Command::new("ip").args(arguments).output().expect("ip")
}

fn must(arguments: &[&str]) {
    let done = ip(arguments);
    assert!(done.status.success(), "ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr));
}
