//! What the daemon gives up once its capture is open.

use std::path::{Path, PathBuf};

use super::exit::{Exit, Failure};
use super::run::Daemon;
use super::settings::places;
use crate::config::{Config, HttpUrl};
use crate::history::make_directory;
use crate::process::calls;
use crate::process::privileges::{self, PrivilegeError};
use crate::process::reach::{Manager, Programs, Reach};

/// What is read by the C library, by TLS and by siphound itself: names of hosts, certificates, libraries, interfaces, its own threads.
const READ: [&str; 12] = [
    "/etc",
    "/usr",
    "/lib",
    "/lib64",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/sys/class/net",
    "/sys/devices",
    "/sys/fs/cgroup",
    "/proc/self",
    "/dev/urandom",
];
/// Variables that name certificates.
const CERTIFICATES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
/// Variables that name proxies.
const PROXIES: [&str; 6] = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
/// The port of DNS.
const DNS: u16 = 53;

impl Daemon {
    /// Gives up root and all capabilities, and has the kernel keep this process to what its configuration names.
    ///
    /// Must be called once the capture is open and while there is one thread.
    ///
    /// # Errors
    ///
    /// When a privilege is left. That a kernel knows no Landlock or seccomp is logged.
    pub(super) fn confine(&self) -> Result<(), Failure> {
        let places = places(&self.config);
        let kept: Vec<PathBuf> = [places.database, places.traces].into_iter().flatten().map(|place| place.directory).collect();
        if let Some(user) = privileges::become_owner(kept.iter().map(PathBuf::as_path))? {
            tracing::info!(user, directory = %kept[0].display(), "Going on as the owner of the history instead of root");
        }
        privileges::give_up()?;
        let threads = privileges::verify()?;
        for directory in &kept {
            // What cannot be made now is tried again, and told, by whoever writes there.
            let _ = make_directory(directory);
        }
        let reach = self.reach(kept);
        let files = reach.enforce().unwrap_or_else(|error| format!("no rules ({error})"));
        let refused = calls::refuse().map_or_else(|error| format!("none ({error})"), |calls| calls.to_string());
        tracing::info!(threads, files_and_ports = files, system_calls_refused = refused, "All capabilities are given up");
        Ok(())
    }

    /// What this daemon needs to reach, besides what is open already.
    fn reach(&self, kept: Vec<PathBuf>) -> Reach {
        let config = &self.config;
        let named = |variables: &[&str]| variables.iter().filter_map(std::env::var_os).map(PathBuf::from).collect::<Vec<_>>();
        let mut read: Vec<_> = READ.iter().map(PathBuf::from).collect();
        read.extend(named(&CERTIFICATES));
        // Backtraces name functions only where the program itself can be read.
        read.extend(std::env::current_exe());
        if let Some(path) = self.origin.path() {
            // Editors and packages put another file in the place of the old one, so that a rule for the file would not last.
            read.extend([path.canonicalize().unwrap_or_else(|_| path.clone()), path].iter().map(|path| folder(path)));
        }
        let mut write: Vec<_> = kept.iter().map(|directory| nearest(directory)).collect();
        write.push(PathBuf::from("/dev/null"));
        let listen = config.api.listen.iter().chain([&config.metrics.listen]).map(std::net::SocketAddr::port).collect();
        let programs = if config.commands.is_empty() { Programs::None } else { Programs::Any };
        let manager = match std::env::var("NOTIFY_SOCKET") {
            Ok(name) if name.starts_with('@') => Manager::Abstract,
            _ => Manager::Path,
        };
        Reach { read, write, listen, connect: sink_ports(config), programs, manager }
    }
}

/// Whether a process that was confined for the one configuration can tell of findings as the other one says.
pub(super) fn reaches(started: &Config, wanted: &Config) -> bool {
    if !started.commands.is_empty() {
        return true;
    }
    let reached = sink_ports(started);
    wanted.commands.is_empty() && sink_ports(wanted).iter().all(|port| reached.contains(port))
}

/// The ports of whatever is told of findings, of the proxies on the way there, and of the names of both.
fn sink_ports(config: &Config) -> Vec<u16> {
    let urls = config.alertmanagers.iter().flat_map(|group| &group.urls).chain(config.webhooks.iter().map(|webhook| &webhook.url));
    let mut ports: Vec<u16> = urls.map(port).collect();
    if ports.is_empty() {
        return ports;
    }
    let proxies = PROXIES.iter().filter_map(|variable| std::env::var(variable).ok()?.parse::<http::Uri>().ok()?.port_u16());
    ports.extend(proxies.chain([DNS]));
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn port(url: &HttpUrl) -> u16 {
    let standard = if url.uri().scheme_str() == Some("https") { 443 } else { 80 };
    url.uri().port_u16().unwrap_or(standard)
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
        Some(folder) => folder.to_owned(),
        None => path.to_owned(),
    }
}

/// The directory, or what is there of the way to it.
fn nearest(directory: &Path) -> PathBuf {
    directory.ancestors().find(|directory| directory.is_dir()).unwrap_or(directory).to_owned()
}

impl From<PrivilegeError> for Failure {
    fn from(error: PrivilegeError) -> Self {
        Self::new(Exit::Refused, error).with_remedy("siphound does not run with privileges that it does not need")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text).expect("valid")
    }

    #[test]
    fn other_ports_and_a_first_command_are_out_of_reach() {
        let webhook = |url: &str| config(&format!("[[notify.webhook]]\nurl = \"{url}\"\n"));
        let command = config("[[notify.command]]\nargv = [\"/usr/bin/logger\"]\n");
        let started = webhook("https://hooks.example.com/pbx");
        let cases = [
            (&started, webhook("https://other.example.com/"), true),
            (&started, webhook("https://hooks.example.com:8443/pbx"), false),
            (&started, config(""), true),
            (&started, command.clone(), false),
            (&command, webhook("http://127.0.0.1:9000/"), true),
        ];
        for (started, wanted, expected) in cases {
            assert_eq!(reaches(started, &wanted), expected, "{wanted:?}");
        }
    }

    #[test]
    fn without_sinks_nothing_is_connected_to() {
        assert!(sink_ports(&config("")).is_empty());
    }

    #[test]
    fn the_ports_of_the_sinks_are_connected_to_and_that_of_dns() {
        let text = "[[notify.alertmanager]]\nurls = [\"http://127.0.0.1:9093\", \"http://alerts.example.com\"]\n\
                    [[notify.webhook]]\nurl = \"http://hooks.example.com:8080/x\"\n";
        let ports = sink_ports(&config(text));
        assert!([53, 80, 8080, 9093].iter().all(|port| ports.contains(port)), "{ports:?}");
    }

    #[test]
    fn what_is_not_there_yet_is_reached_through_what_is() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(nearest(&folder.path().join("a/b")), folder.path());
        assert_eq!(nearest(folder.path()), folder.path());
    }

    #[test]
    fn the_folder_of_a_file_here_is_this_one() {
        assert_eq!(folder(Path::new("siphound.toml")), Path::new("."));
        assert_eq!(folder(Path::new("/etc/siphound/siphound.toml")), Path::new("/etc/siphound"));
    }
}
