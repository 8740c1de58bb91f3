//! A daemon on the loopback interface.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// How long anything may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Nobody, on every Linux.
pub(crate) const NOBODY: u32 = 65_534;

/// Where a daemon that is refused would keep things: nowhere.
pub(crate) const STATE: &str = "/proc/siphound";

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}

/// Tells whether the test can run, and says so where it cannot.
pub(crate) fn may_capture() -> bool {
    let may = is_root();
    if !may {
        println!("left out: capturing needs root");
    }
    may
}

pub(crate) fn run(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_siphound"));
    command.arg("run").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[track_caller]
pub(crate) fn refused(output: &Output, code: i32, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
}

/// A daemon on the loopback interface, ended when the test is.
pub(crate) struct Daemon {
    child: Child,
    log: Receiver<String>,
    address: SocketAddr,
    pub(crate) files: TempDir,
}

impl Daemon {
    /// Starts one with this configuration and waits until it captures.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_as(config, |_, arguments| run(arguments))
    }

    /// As [`Self::start`], with a command of the test's own; it is given the folder of the files and the arguments.
    pub(crate) fn start_as(config: &str, command: impl FnOnce(&Path, &[&str]) -> Command) -> Self {
        let files = open_folder();
        let path = files.path().join("siphound.toml");
        std::fs::write(&path, config).expect("a file can be written");
        let address = free_address();
        let state = files.path().join("state").display().to_string();
        let path = path.to_str().expect("a path in UTF-8");
        let arguments = ["--config", path, "--state-dir", &state, "-i", "lo", "--listen", &address.to_string()];
        let mut child = command(files.path(), &arguments).spawn().expect("siphound starts");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let (lines, log) = channel();
        // The reader of the lines may be gone before the daemon is.
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
        let daemon = Self { child, log, address, files };
        daemon.wait_for("Capturing");
        daemon
    }

    pub(crate) fn configure(&self, config: &str) {
        std::fs::write(self.files.path().join("siphound.toml"), config).expect("a file can be written");
    }

    /// Reads the log until a line says `what`.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str) -> String {
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

    /// What it said so far and nobody waited for.
    pub(crate) fn rest_of_log(&self) -> String {
        self.log.iter().fold(String::new(), |log, line| log + &line + "\n")
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it keeps things.
    pub(crate) fn state(&self) -> PathBuf {
        self.files.path().join("state")
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(status.success());
    }

    /// The body of a page.
    pub(crate) fn page(&self, path: &str) -> String {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE).expect("the daemon listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("a request can be sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer in text");
        answer
    }

    /// Asks again and again until the page satisfies `ready`.
    #[track_caller]
    pub(crate) fn page_until(&self, path: &str, ready: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        for _ in 0..2_000 {
            last = self.page(path);
            if ready(&last) {
                return last;
            }
        }
        panic!("{path} stays at:\n{last}");
    }

    pub(crate) fn exit_code(mut self) -> Option<i32> {
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

/// A folder that everybody may look into.
fn open_folder() -> TempDir {
    tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().expect("a folder")
}

/// A copy of the program where everybody may run it: nobody else may look into the folder of the build.
pub(crate) struct Program {
    folder: TempDir,
}

impl Program {
    pub(crate) fn copied() -> Self {
        let folder = open_folder();
        std::fs::copy(env!("CARGO_BIN_EXE_siphound"), folder.path().join("siphound")).expect("the program can be copied");
        Self { folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("siphound")
    }
}

/// An address nobody listens on at the moment.
fn free_address() -> SocketAddr {
    let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.local_addr().expect("an address")
}

/// A number of the metrics page.
pub(crate) fn value(page: &str, series: &str) -> f64 {
    let line = page.lines().find(|line| line.starts_with(series));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
}
