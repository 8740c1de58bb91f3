//! `siphound run` as the operator meets it. Capturing needs root here; without it the tests say that they were left out.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// How long anything may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(20);
/// Nobody, on every Linux.
const NOBODY: u32 = 65_534;

/// Where a daemon that is refused would keep things: nowhere.
const STATE: &str = "/proc/siphound";

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}

/// Tells whether the test can run, and says so where it cannot.
fn may_capture() -> bool {
    let may = is_root();
    if !may {
        println!("left out: capturing needs root");
    }
    may
}

fn run(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_siphound"));
    command.arg("run").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[track_caller]
fn refused(output: &Output, code: i32, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
}

/// A daemon on the loopback interface, ended when the test is.
struct Daemon {
    child: Child,
    log: Receiver<String>,
    address: SocketAddr,
    files: TempDir,
}

impl Daemon {
    /// Starts one with this configuration and waits until it captures.
    fn start(config: &str) -> Self {
        let files = tempfile::tempdir().expect("a folder");
        let path = files.path().join("siphound.toml");
        std::fs::write(&path, config).expect("a file can be written");
        let address = free_address();
        let state = files.path().join("state").display().to_string();
        let path = path.to_str().expect("a path in UTF-8");
        let mut child =
            run(&["--config", path, "--state-dir", &state, "-i", "lo", "--listen", &address.to_string()]).spawn().expect("siphound starts");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let (lines, log) = channel();
        // The reader of the lines may be gone before the daemon is.
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
        let daemon = Self { child, log, address, files };
        daemon.wait_for("Capturing");
        daemon
    }

    fn configure(&self, config: &str) {
        std::fs::write(self.files.path().join("siphound.toml"), config).expect("a file can be written");
    }

    /// Reads the log until a line says `what`.
    #[track_caller]
    fn wait_for(&self, what: &str) -> String {
        let mut seen = String::new();
        while let Ok(line) = self.log.recv_timeout(PATIENCE) {
            if line.contains(what) {
                return line;
            }
            seen.push_str(&line);
            seen.push('\n');
        }
        panic!("siphound does not say {what:?}:\n{seen}");
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(status.success());
    }

    /// The body of a page.
    fn page(&self, path: &str) -> String {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE).expect("the daemon listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("a request can be sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer in text");
        answer
    }

    /// Asks again and again until the page satisfies `ready`.
    #[track_caller]
    fn page_until(&self, path: &str, ready: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        for _ in 0..2_000 {
            last = self.page(path);
            if ready(&last) {
                return last;
            }
        }
        panic!("{path} stays at:\n{last}");
    }

    fn exit_code(mut self) -> Option<i32> {
        self.child.wait().expect("siphound ends").code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address nobody listens on at the moment.
fn free_address() -> SocketAddr {
    let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.local_addr().expect("an address")
}

/// A number of the metrics page.
fn value(page: &str, series: &str) -> f64 {
    let line = page.lines().find(|line| line.starts_with(series));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
}

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
    // Nobody may look into the folder of the build.
    let files = tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir().expect("a folder");
    let copy = files.path().join("siphound");
    std::fs::copy(env!("CARGO_BIN_EXE_siphound"), &copy).expect("the program can be copied");
    let mut command = Command::new(&copy);
    command.args(["run", "-i", "lo", "--listen", "127.0.0.1:0"]).uid(NOBODY).gid(NOBODY);
    let output = command.output().expect("siphound starts");
    refused(&output, 3, &["no permission to capture on lo", &format!("sudo setcap cap_net_raw=ep {}", copy.display()), "AmbientCapabilities=CAP_NET_RAW"]);
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
