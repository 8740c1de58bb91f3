//! `siphound diagnose`: what is the matter with one user.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::asking::DaemonArgs;
use super::bundle::{must_be_free, of_captures};
use super::exit::{Exit, Failure};
use super::options::{Color, ColorWhen, Format, severity};
use super::replay::{Input, all_there};
use super::replaying::Reading;
use super::settings;
use super::stdout::print;
use crate::config::{Config, PbxAddress, PortRange, Ports, Tunnels, parse_moment};
use crate::diagnose::{Moment, Question, Scene, diagnose};
use crate::report::model::Problem;
use crate::report::{json, text};
use crate::time::PacketTime;
use crate::track::vocabulary::Severity;

const EXAMPLES: &str = "\
Examples:
  siphound diagnose 1001 --problem cannot-receive --pcap monday.pcap
  siphound diagnose 1001@pbx.example.com --pcap *.pcap.gz
  siphound diagnose 198.51.100.7 --problem cannot-connect --pcap monday.pcap
  siphound diagnose 1001 --problem call-dropped --at '2026-01-31 10:15' --pcap monday.pcap
  siphound diagnose 1001 --problem cannot-receive --pcap monday.pcap --bundle case-4711.tar.gz
  siphound diagnose 1001 --problem cannot-receive
  siphound diagnose 1001 --daemon https://pbx.example.com:15061 --token-file ~/.siphound --ca pbx.pem

Without --pcap the running daemon is asked.

Exit codes: 0 done; 1 a finding as bad as --fail-on says; 2 bad arguments, missing file or bad configuration; 3 the system
or the daemon refuses what is needed, or no daemon answers; 4 a file is not a capture and nothing could be read.";

/// Whose problem, which problem, and when.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct DiagnoseArgs {
    /// An extension, 1001@pbx.example.com, an address, a Contact, or a dialled number
    #[arg(value_name = "USER")]
    user: String,

    /// What the user complains about; otherwise whether anything is wrong
    #[arg(long, value_name = "PROBLEM", value_parser = problem())]
    problem: Option<Problem>,

    /// Capture files (pcap or pcapng, also .gz and .zst), merged by time; - is standard input
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pcap: Vec<PathBuf>,

    #[command(flatten)]
    daemon: DaemonArgs,

    /// Answer as of this time, not the end of the capture: RFC 3339, 'YYYY-MM-DD HH:MM' in UTC, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = parse_moment, requires = "pcap")]
    at: Option<PacketTime>,

    /// Leave out calls and findings that were over before this time
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    since: Option<PacketTime>,

    /// Leave out what happened after this time; a daemon tells of registrations as they are now
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    until: Option<PacketTime>,

    /// How the verdict is written
    #[arg(short, long, value_enum, default_value_t)]
    format: Format,

    /// Follow SIP on these ports alone; otherwise on any port [repeat, or separate by commas]
    #[arg(short, long = "port", value_name = "PORT|FIRST-LAST", value_delimiter = ',', requires = "pcap")]
    ports: Vec<PortRange>,

    /// Addresses of the PBX; otherwise learned from the capture [repeat, or separate by commas]
    #[arg(long, value_name = "IP[:PORT]", value_delimiter = ',', requires = "pcap")]
    pbx: Vec<PbxAddress>,

    /// Also write what an escalation needs to this file: a .tar.gz with the verdict, the report, the calls and the packets of the user,
    /// which for a daemon on this host come from its traces
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,

    /// Exit with 1 when a finding of this severity or above was made about this user or about everybody
    #[arg(long, value_name = "SEVERITY", value_parser = severity())]
    fail_on: Option<Severity>,

    /// The configuration file; without it the built-in defaults hold for captures, whatever is installed on this machine
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// When to colour
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    color: ColorWhen,
}

/// A question that can be answered: the arguments agree with each other, the files are there, the configuration is valid.
#[derive(Clone, Debug)]
pub(super) struct Diagnosis {
    /// The configuration, with the addresses of the PBX from the command line where there are any.
    pub(super) config: Config,
    source: Source,
    bundle: Option<PathBuf>,
    fail_on: Option<Severity>,
}

/// Who is asked.
#[derive(Clone, Debug)]
enum Source {
    /// Captures that are read.
    Captures(Box<Captures>),
    /// A daemon.
    Daemon(Asked),
}

/// A question to captures.
#[derive(Clone, Debug)]
struct Captures {
    question: Question,
    inputs: Vec<Input>,
    ports: Option<Ports>,
    /// What came later is not read.
    until: Option<PacketTime>,
    format: Format,
    color: Color,
}

/// A question to a daemon.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Which.
    pub(super) daemon: DaemonArgs,
    /// The user.
    pub(super) user: String,
    /// The complaint.
    pub(super) problem: Option<Problem>,
    /// What was over before does not count.
    pub(super) since: Option<PacketTime>,
    /// What began later does not count.
    pub(super) until: Option<PacketTime>,
    /// How the verdict is written.
    pub(super) format: Format,
    /// Whether it has colours.
    pub(super) color: Color,
    /// The configuration of a daemon on this host, where it is not in its usual place.
    pub(super) config: Option<PathBuf>,
}

impl DiagnoseArgs {
    /// Resolves the arguments.
    pub(super) fn resolve(self) -> Result<Diagnosis, Failure> {
        if self.user.is_empty() {
            return Err(Failure::new(Exit::Usage, "USER is empty").with_remedy("name an extension, an address or a dialled number"));
        }
        let until = self.at.into_iter().chain(self.until).min();
        if self.since.zip(until).is_some_and(|(since, until)| since >= until) {
            return Err(Failure::new(Exit::Usage, "--since is not before --at or --until").with_remedy("times without an offset are UTC"));
        }
        let mut config = settings::load_if_given(self.config.as_deref())?;
        if !self.pbx.is_empty() {
            config.set_pbx(self.pbx.clone());
        }
        let (fail_on, bundle) = (self.fail_on, self.bundle.clone());
        bundle.as_deref().map_or(Ok(()), must_be_free)?;
        let source = if self.pcap.is_empty() { Source::Daemon(self.ask()) } else { Source::Captures(Box::new(self.read(until)?)) };
        Ok(Diagnosis { config, source, bundle, fail_on })
    }

    fn read(self, until: Option<PacketTime>) -> Result<Captures, Failure> {
        let inputs: Vec<_> = self.pcap.into_iter().map(Input::from).collect();
        all_there(&inputs)?;
        let moment = if self.at.is_some() { Moment::Named } else { Moment::Any };
        Ok(Captures {
            question: Question { user: self.user, problem: self.problem, since: self.since, until: None, moment },
            inputs,
            ports: Ports::new(self.ports),
            until,
            format: self.format,
            color: self.color.decide(),
        })
    }

    fn ask(self) -> Asked {
        Asked {
            daemon: self.daemon,
            user: self.user,
            problem: self.problem,
            since: self.since,
            until: self.until,
            format: self.format,
            color: self.color.decide(),
            config: self.config,
        }
    }
}

impl Diagnosis {
    /// Has the question answered and prints the verdict.
    pub(super) fn execute(&self) -> Result<Exit, Failure> {
        let worst = match &self.source {
            Source::Captures(captures) => captures.execute(&self.config, self.bundle.as_deref())?,
            Source::Daemon(asked) => asked.execute(self.bundle.as_deref())?,
        };
        Ok(match (worst, self.fail_on) {
            (Some(worst), Some(limit)) if worst >= limit => Exit::Found,
            _ => Exit::Done,
        })
    }
}

impl Captures {
    /// Reads the captures, prints the verdict and writes the bundle; tells the worst finding.
    fn execute(&self, config: &Config, bundle: Option<&Path>) -> Result<Option<Severity>, Failure> {
        let reading = Reading { inputs: &self.inputs, ports: self.ports.as_ref(), tunnels: Tunnels::ALL, config, until: self.until };
        let read = reading.read(|_| {})?;
        let report = read.report();
        let engine = &read.engine;
        let scene = Scene { tracker: &engine.tracker, findings: &engine.detectors.findings, report: &report };
        let verdict = diagnose(scene, &self.question);
        print(|out| match self.format {
            Format::Json => json::write(&verdict, out),
            Format::Text => out.write_all(text::render_verdict(&verdict, self.color.style()).as_bytes()),
        })?;
        if let Some(path) = bundle {
            of_captures(&reading, &verdict, report)?.write(path)?;
        }
        Ok(verdict.worst)
    }
}

/// Reads the name of a problem.
fn problem() -> impl TypedValueParser<Value = Problem> {
    PossibleValuesParser::new(Problem::ALL.iter().map(|problem| problem.as_str())).try_map(|name| {
        let named = Problem::ALL.iter().copied().find(|problem| problem.as_str() == name);
        named.ok_or("a problem is wanted")
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        diagnose: DiagnoseArgs,
    }

    fn until(diagnosis: Diagnosis) -> Option<PacketTime> {
        match diagnosis.source {
            Source::Captures(captures) => captures.until,
            Source::Daemon(_) => panic!("a daemon"),
        }
    }

    fn resolve(arguments: &[&str]) -> Result<Diagnosis, Failure> {
        let cli = Cli::try_parse_from(["diagnose"].iter().chain(arguments)).expect("arguments");
        cli.diagnose.resolve()
    }

    #[test]
    fn without_a_capture_the_daemon_is_asked_and_with_one_it_is_not() {
        let Source::Daemon(asked) = resolve(&["1001"]).expect("valid").source else { panic!("no daemon") };
        assert_eq!(asked.daemon.url(), "http://127.0.0.1:15060");
        let mixed = [["1001", "--pcap", "-", "--daemon", "http://127.0.0.1"], ["1001", "--at", "1769850000", "--port", "5060"]];
        for arguments in mixed {
            assert!(Cli::try_parse_from(["diagnose"].iter().chain(&arguments)).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn the_earlier_of_at_and_until_ends_the_reading() {
        let both = resolve(&["1001", "--pcap", "-", "--at", "1769850060", "--until", "1769850000"]).expect("valid");
        assert_eq!(until(both), Some(PacketTime::from_parts(1_769_850_000, 0)));
        assert_eq!(until(resolve(&["1001", "--pcap", "-"]).expect("valid")), None);
        let failure = resolve(&["1001", "--pcap", "-", "--since", "1769850060", "--at", "1769850060"]).expect_err("empty");
        assert_eq!(failure.exit(), Exit::Usage);
    }

    #[test]
    fn an_unknown_problem_is_refused_with_the_known_ones() {
        let refused = Cli::try_parse_from(["diagnose", "1001", "--problem", "broken"]).err().expect("refused").to_string();
        assert!(Problem::ALL.iter().all(|problem| refused.contains(problem.as_str())), "{refused}");
    }
}
