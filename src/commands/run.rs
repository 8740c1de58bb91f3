//! `siphound run`: the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::exit::Failure;
use super::settings::{self, Origin};
use crate::config::{Config, ConfigError, Fault, Interfaces, Metrics, PbxAddress, PortRange, Ports, Problem, Problems};

const EXAMPLES: &str = "\
Examples:
  siphound run
  siphound run -i eth0 -i eth1 --port 5060,5080
  siphound run --config /etc/siphound/siphound.toml
  siphound run --print-filter

Options overrule the configuration file. Capturing needs CAP_NET_RAW and nothing else, and that is given up once the capture is open:
  sudo setcap cap_net_raw=ep /usr/bin/siphound

Exit codes: 0 stopped; 2 bad arguments or configuration; 3 no permission, no such interface or an address in use;
5 an interface that had gone is there again, and siphound must be started anew to capture on it.";

/// How the daemon runs.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct RunArgs {
    /// The configuration file [default: /etc/siphound/siphound.toml where it exists]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Interfaces to capture on; any is all of them [repeat, or separate by commas]
    #[arg(short, long = "interface", value_name = "IFACE", value_delimiter = ',')]
    interfaces: Vec<String>,

    /// Ports that carry SIP [repeat, or separate by commas]
    #[arg(short, long = "port", value_name = "PORT|FIRST-LAST", value_delimiter = ',')]
    ports: Vec<PortRange>,

    /// Addresses of the PBX [repeat, or separate by commas]
    #[arg(long, value_name = "IP[:PORT]", value_delimiter = ',')]
    pbx: Vec<PbxAddress>,

    /// Where the metrics, /healthz and /readyz are served, and the API unless it has an address of its own
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,

    /// Where the history and the traces are kept
    #[arg(long, value_name = "DIRECTORY")]
    state_dir: Option<PathBuf>,

    /// A filter in the language of pcap-filter(7) that narrows what is captured on the ports
    #[arg(long, value_name = "BPF")]
    filter: Option<String>,

    /// Print the filter that would be in force, as far as the kind of the interfaces can be told, and end
    #[arg(long)]
    print_filter: bool,
}

/// What the daemon is asked to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Task {
    /// Capture until it is stopped.
    Capture,
    /// Print the filter that would be in force.
    PrintFilter,
}

/// A daemon that can be started.
#[derive(Clone, Debug, PartialEq)]
pub struct Daemon {
    /// The configuration, overruled by the command line.
    pub config: Config,
    /// What it does.
    pub task: Task,
    pub(super) origin: Origin,
    /// The configuration as its file has it, which a later one is compared with.
    pub(super) written: Config,
}

impl RunArgs {
    /// Resolves the arguments.
    pub(super) fn resolve(self) -> Result<Daemon, Failure> {
        let (mut config, origin) = settings::load_or_default(self.config.as_deref())?;
        let task = if self.print_filter { Task::PrintFilter } else { Task::Capture };
        let written = config.clone();
        self.overrule(&mut config).map_err(|problem| ConfigError::CommandLine(Problems(vec![problem])))?;
        Ok(Daemon { config, task, origin, written })
    }

    fn overrule(self, config: &mut Config) -> Result<(), Problem> {
        if !self.interfaces.is_empty() {
            let refusal = || not_allowed("--interface", "an empty name".to_owned(), "the name of an interface, or any");
            config.set_interfaces(Interfaces::new(self.interfaces).ok_or_else(refusal)?);
        }
        if let Some(ports) = Ports::new(self.ports) {
            config.set_ports(ports);
        }
        if !self.pbx.is_empty() {
            config.set_pbx(self.pbx);
        }
        (config.capture.ports, config.capture.interfaces) = (config.all_ports(), config.all_interfaces());
        if let Some(filter) = self.filter {
            config.capture.filter = filter;
        }
        if let Some(directory) = &self.state_dir {
            settings::set_state_directory(config, directory);
        }
        if let Some(listen) = self.listen {
            config.metrics.listen = listen;
        }
        if config.metrics.is_exposed() {
            return Err(not_allowed("--listen", config.metrics.listen.to_string(), Metrics::LISTEN_ALLOWED));
        }
        if config.metrics.names_somebody() && !config.metrics.listen.ip().is_loopback() {
            let allowed =
                "an address of this host alone: with metrics.site_labels or metrics.aor_labels others need the token of api.listen";
            return Err(not_allowed("--listen", config.metrics.listen.to_string(), allowed));
        }
        Ok(())
    }
}

impl Daemon {
    /// Logs what the daemon starts with. The filter in force is logged for each interface once it is open.
    pub fn log_start(&self) {
        let capture = &self.config.capture;
        let systems = self.config.phone_systems();
        let named = |address| systems.name_at(address).map_or_else(|| address.to_string(), |name| format!("{name} {address}"));
        let pbx: Vec<_> = systems.sockets().into_iter().map(named).collect();
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            configuration = %self.origin,
            interfaces = capture.interfaces.names().join(", "),
            ports = %capture.ports,
            pbx = if pbx.is_empty() { "learned".to_owned() } else { pbx.join(", ") },
            listen = %self.config.metrics.listen,
            api = %self.config.api.listen.unwrap_or(self.config.metrics.listen),
            "Starting"
        );
    }
}

fn not_allowed(option: &str, value: String, allowed: &str) -> Problem {
    Problem { line: None, fault: Fault::NotAllowed { key: option.to_owned(), value, allowed: allowed.to_owned() } }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use clap::Parser;

    use super::*;
    use crate::commands::exit::Exit;
    use crate::time::Span;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        run: RunArgs,
    }

    /// Resolves `arguments` over a configuration file with `text`.
    fn resolve(text: &str, arguments: &[&str]) -> Result<Daemon, Failure> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("write");
        let path = file.path().to_str().expect("a path in UTF-8");
        let cli = Cli::try_parse_from(["run", "--config", path].iter().chain(arguments)).expect("arguments");
        cli.run.resolve()
    }

    #[test]
    fn frames_of_several_interfaces_have_as_long_to_find_their_order_as_one_may_hold_them() {
        let window = |text: &str, interfaces: &[&str]| resolve(text, interfaces).expect("a daemon").ingest_thresholds().reorder_window;
        let slow = "[capture]\ntimeout = \"200ms\"\n";
        assert_eq!(window(slow, &["-i", "eth0"]), Span::from_millis(50), "one hands all over in order");
        assert_eq!(window(slow, &["-i", "eth0", "-i", "eth1"]), Span::from_millis(250));
        let longer = format!("{slow}[thresholds]\nreorder_window = \"1s\"\n");
        assert_eq!(window(&longer, &["-i", "eth0", "-i", "eth1"]), Span::from_secs(1), "what is configured is the least");
    }

    #[test]
    fn options_overrule_the_file_and_leave_the_rest_of_it() {
        let text = "[capture]\ninterfaces = [\"eth0\"]\nports = [5070]\n[log]\nlevel = \"warn\"\n";
        let daemon = resolve(text, &["-i", "eth1,eth2", "--listen", "127.0.0.1:9100"]).expect("valid");
        assert_eq!(daemon.config.capture.interfaces.names(), ["eth1", "eth2"]);
        assert_eq!(daemon.config.capture.ports.to_string(), "5070");
        assert_eq!(daemon.config.metrics.listen.port(), 9100);
        assert_eq!(daemon.task, Task::Capture);
    }

    #[test]
    fn an_address_that_others_reach_needs_leave_in_the_file() {
        let failure = resolve("", &["--listen", "0.0.0.0:15060"]).expect_err("refused");
        assert_eq!(failure.exit(), Exit::Usage);
        assert!(failure.to_string().contains("metrics.allow_remote"), "{failure}");
        assert!(resolve("[metrics]\nallow_remote = true\n", &["--listen", "0.0.0.0:15060"]).is_ok());
    }

    #[test]
    fn metrics_that_name_somebody_stay_on_this_host_whatever_the_options_say() {
        let text = "[metrics]\nallow_remote = true\nsite_labels = \"top\"\n";
        let failure = resolve(text, &["--listen", "0.0.0.0:15060"]).expect_err("refused");
        assert!(failure.to_string().contains("api.listen"), "{failure}");
        assert!(resolve(text, &["--listen", "127.0.0.1:9100"]).is_ok());
    }

    #[test]
    fn what_several_phone_systems_need_is_captured_unless_an_option_says_otherwise() {
        let text = "[[pbx]]\nname = \"a\"\naddresses = [\"192.0.2.1\"]\nports = [5070]\ninterfaces = [\"eth0\"]\n\
                    [[pbx]]\nname = \"b\"\naddresses = [\"192.0.2.2\"]\ninterfaces = [\"eth1\"]\n";
        let capture = resolve(text, &[]).expect("valid").config.capture;
        assert_eq!((capture.ports.to_string(), capture.interfaces.names().join(" ")), ("5060, 5070".to_owned(), "eth0 eth1".to_owned()));
        let capture = resolve(text, &["-i", "any", "-p", "5080"]).expect("valid").config.capture;
        assert_eq!((capture.ports.to_string(), capture.interfaces.names().join(" ")), ("5080".to_owned(), "any".to_owned()));
    }

    #[test]
    fn a_bad_file_starts_nothing_and_tells_all_its_mistakes() {
        let failure = resolve("[capture]\nsnaplen = 1\nbuffer = 2\n[log]\nlevle = \"info\"\n", &[]).expect_err("refused");
        assert_eq!(failure.exit(), Exit::Usage);
        for mistake in ["capture.snaplen", "capture.buffer", "did you mean log.level?"] {
            assert!(failure.to_string().contains(mistake), "{failure}");
        }
    }

    #[test]
    fn an_interface_needs_a_name() {
        let failure = resolve("", &["-i", ""]).expect_err("refused");
        assert!(failure.to_string().contains("--interface"), "{failure}");
    }
}
