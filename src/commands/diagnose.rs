//! `siphound diagnose`: what is the matter with one user.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::exit::{Exit, Failure};
use super::options::{Color, ColorWhen, Format, severity};
use super::replay::{Input, all_there};
use super::replaying::Reading;
use super::settings;
use super::stdout::print;
use crate::config::{Config, PbxAddress, PortRange, Ports, parse_moment};
use crate::diagnose::{Moment, Question, Scene, diagnose};
use crate::report::model::{Problem, Verdict};
use crate::report::{json, text};
use crate::time::PacketTime;
use crate::track::vocabulary::Severity;

const EXAMPLES: &str = "\
Examples:
  siphound diagnose 1001 --problem cannot-receive --pcap monday.pcap
  siphound diagnose 1001@pbx.example.com --pcap *.pcap.gz
  siphound diagnose 198.51.100.7 --problem cannot-connect --pcap monday.pcap
  siphound diagnose 1001 --problem call-dropped --at '2026-01-31 10:15' --pcap monday.pcap

Exit codes: 0 done; 1 a finding as bad as --fail-on says; 2 bad arguments, missing file or bad configuration; 3 the system
refuses what is needed; 4 a file is not a capture and nothing could be read.";

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

    /// Answer as of this time, not the end of the capture: RFC 3339, 'YYYY-MM-DD HH:MM' in UTC, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    at: Option<PacketTime>,

    /// Leave out calls and findings that were over before this time
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    since: Option<PacketTime>,

    /// Leave out what happened after this time
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    until: Option<PacketTime>,

    /// How the verdict is written
    #[arg(short, long, value_enum, default_value_t)]
    format: Format,

    /// Follow SIP on these ports alone; otherwise on any port [repeat, or separate by commas]
    #[arg(short, long = "port", value_name = "PORT|FIRST-LAST", value_delimiter = ',')]
    ports: Vec<PortRange>,

    /// Addresses of the PBX; otherwise learned from the capture [repeat, or separate by commas]
    #[arg(long, value_name = "IP[:PORT]", value_delimiter = ',')]
    pbx: Vec<PbxAddress>,

    /// Exit with 1 when a finding of this severity or above was made about this user or about everybody
    #[arg(long, value_name = "SEVERITY", value_parser = severity())]
    fail_on: Option<Severity>,

    /// The configuration file; without it the built-in defaults hold, whatever is installed on this machine
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
    question: Question,
    inputs: Vec<Input>,
    ports: Option<Ports>,
    /// What came later is not read.
    until: Option<PacketTime>,
    format: Format,
    color: Color,
    fail_on: Option<Severity>,
}

impl DiagnoseArgs {
    /// Resolves the arguments.
    pub(super) fn resolve(self) -> Result<Diagnosis, Failure> {
        if self.user.is_empty() {
            return Err(Failure::new(Exit::Usage, "USER is empty").with_remedy("name an extension, an address or a dialled number"));
        }
        if self.pcap.is_empty() {
            return Err(Failure::new(Exit::Usage, "a capture is needed: --pcap FILE")
                .with_remedy("record one on the PBX, while the user tries: tcpdump -i any -w trouble.pcap port 5060"));
        }
        let until = self.at.into_iter().chain(self.until).min();
        if self.since.zip(until).is_some_and(|(since, until)| since >= until) {
            return Err(Failure::new(Exit::Usage, "--since is not before --at or --until").with_remedy("times without an offset are UTC"));
        }
        let inputs: Vec<_> = self.pcap.into_iter().map(Input::from).collect();
        all_there(&inputs)?;
        let mut config = settings::load_if_given(self.config.as_deref())?;
        if !self.pbx.is_empty() {
            config.pbx.addresses = self.pbx;
        }
        let moment = if self.at.is_some() { Moment::Named } else { Moment::Any };
        Ok(Diagnosis {
            config,
            question: Question { user: self.user, problem: self.problem, since: self.since, until: None, moment },
            inputs,
            ports: Ports::new(self.ports),
            until,
            format: self.format,
            color: self.color.decide(),
            fail_on: self.fail_on,
        })
    }
}

impl Diagnosis {
    /// Reads the captures and prints the verdict.
    pub(super) fn execute(&self) -> Result<Exit, Failure> {
        let reading = Reading { inputs: &self.inputs, ports: self.ports.as_ref(), config: &self.config, until: self.until };
        let read = reading.read(|_| {})?;
        let report = read.report();
        let engine = &read.engine;
        let scene = Scene { tracker: &engine.tracker, findings: &engine.detectors.findings, report: &report };
        let verdict = diagnose(scene, &self.question);
        print(|out| match self.format {
            Format::Json => json::write(&verdict, out),
            Format::Text => out.write_all(text::render_verdict(&verdict, self.color.style()).as_bytes()),
        })?;
        Ok(self.exit(&verdict))
    }

    fn exit(&self, verdict: &Verdict) -> Exit {
        match (verdict.worst, self.fail_on) {
            (Some(worst), Some(limit)) if worst >= limit => Exit::Found,
            _ => Exit::Done,
        }
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

    fn resolve(arguments: &[&str]) -> Result<Diagnosis, Failure> {
        let cli = Cli::try_parse_from(["diagnose"].iter().chain(arguments)).expect("arguments");
        cli.diagnose.resolve()
    }

    #[test]
    fn without_a_capture_it_says_how_to_get_one() {
        let failure = resolve(&["1001"]).expect_err("no capture");
        assert_eq!(failure.exit(), Exit::Usage);
        assert!(failure.to_string().contains("--pcap") && failure.to_string().contains("tcpdump"), "{failure}");
    }

    #[test]
    fn the_earlier_of_at_and_until_ends_the_reading() {
        let both = resolve(&["1001", "--pcap", "-", "--at", "1769850060", "--until", "1769850000"]).expect("valid");
        assert_eq!(both.until, Some(PacketTime::from_parts(1_769_850_000, 0)));
        assert_eq!(resolve(&["1001", "--pcap", "-"]).expect("valid").until, None);
        let failure = resolve(&["1001", "--pcap", "-", "--since", "1769850060", "--at", "1769850060"]).expect_err("empty");
        assert_eq!(failure.exit(), Exit::Usage);
    }

    #[test]
    fn an_unknown_problem_is_refused_with_the_known_ones() {
        let refused = Cli::try_parse_from(["diagnose", "1001", "--problem", "broken"]).err().expect("refused").to_string();
        assert!(Problem::ALL.iter().all(|problem| refused.contains(problem.as_str())), "{refused}");
    }
}
