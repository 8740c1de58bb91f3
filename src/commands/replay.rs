//! `siphound replay`: what capture files say.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::exit::{Exit, Failure};
use super::options::{Color, ColorWhen, Format, severity};
use super::series::{Series, SeriesArgs};
use super::settings;
use crate::config::{Config, PbxAddress, PortRange, Ports, parse_moment};
use crate::time::PacketTime;
use crate::track::vocabulary::Severity;

const EXAMPLES: &str = "\
Examples:
  siphound replay monday.pcap
  siphound replay --user 1001 --since '2026-01-31 09:00' --until '2026-01-31 10:00' *.pcap.gz
  siphound replay --format json --fail-on error night.pcapng > report.json
  siphound replay --ladder 3c26700c1a2b@192.168.1.20 monday.pcap
  tcpdump -w - port 5060 | siphound replay -
  siphound replay --metrics-out monday.om monday.pcap && promtool tsdb create-blocks-from openmetrics monday.om data/

Exit codes: 0 done; 1 a finding as bad as --fail-on says; 2 bad arguments, missing file or bad configuration; 3 the system
refuses what is needed; 4 a file is not a capture and nothing could be read.";

/// What to replay, and what to print.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReplayArgs {
    /// Capture files (pcap or pcapng, also .gz and .zst), merged by time; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// How the report is written
    #[arg(short, long, value_enum, default_value_t)]
    format: Format,

    /// Follow SIP on these ports alone; otherwise on any port [repeat, or separate by commas]
    #[arg(short, long = "port", value_name = "PORT|FIRST-LAST", value_delimiter = ',')]
    ports: Vec<PortRange>,

    /// Addresses of the PBX; otherwise learned from the capture [repeat, or separate by commas]
    #[arg(long, value_name = "IP[:PORT]", value_delimiter = ',')]
    pbx: Vec<PbxAddress>,

    /// Report on this user alone: 1001, or 1001@pbx.example.com
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,

    /// Report on the call with this Call-ID alone
    #[arg(long, value_name = "ID")]
    call_id: Option<String>,

    /// Report on what happened at or after this time: RFC 3339, 'YYYY-MM-DD HH:MM' in UTC, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    since: Option<PacketTime>,

    /// Report on what happened before this time
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    until: Option<PacketTime>,

    /// Print these parts of the report alone [repeat, or separate by commas]
    #[arg(long, value_enum, value_name = "PART", value_delimiter = ',')]
    only: Vec<Part>,

    /// Print the metrics as Prometheus would scrape them at the end, in place of the report
    #[arg(long, conflicts_with_all = ["format", "only", "ladder"])]
    metrics: bool,

    /// Draw the messages of the call with this Call-ID, in place of the report
    #[arg(long, value_name = "CALL-ID", conflicts_with_all = ["format", "only"])]
    ladder: Option<String>,

    #[command(flatten)]
    series: SeriesArgs,

    /// Exit with 1 when a finding of this severity or above was made
    #[arg(long, value_name = "SEVERITY", value_parser = severity())]
    fail_on: Option<Severity>,

    /// The configuration file; without it the built-in defaults hold, whatever is installed on this machine
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// When to colour
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    color: ColorWhen,
}

/// A part of the report.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Part {
    /// The calls.
    Calls,
    /// The registrations.
    Registrations,
    /// The findings.
    Findings,
}

/// A replay that can be done: the arguments agree with each other, the files are there, the configuration is valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// What to read.
    pub inputs: Vec<Input>,
    /// The ports that are followed; any port where nothing is given.
    pub ports: Option<Ports>,
    /// The configuration, with the addresses of the PBX from the command line where there are any.
    pub config: Config,
    /// What is reported on.
    pub subject: Subject,
    /// What is printed.
    pub output: Output,
    /// Where the metrics of each moment are written.
    pub series: Option<Series>,
    /// Whether the output has colours.
    pub color: Color,
    /// From which severity on a finding makes the exit code 1.
    pub fail_on: Option<Severity>,
}

/// Something to read captured frames from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Input {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

/// What the report is about; everything where nothing is given.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Subject {
    /// This user, with or without its domain.
    pub user: Option<String>,
    /// This call.
    pub call_id: Option<String>,
    /// What happened at or after this time.
    pub since: Option<PacketTime>,
    /// What happened before this time.
    pub until: Option<PacketTime>,
}

/// What a replay prints.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    /// The report.
    Report {
        /// How it is written.
        format: Format,
        /// Its parts; all where none is given.
        only: Vec<Part>,
    },
    /// The metrics in the exposition format.
    Metrics,
    /// The ladder of one call.
    Ladder {
        /// Its Call-ID.
        call_id: String,
    },
}

impl ReplayArgs {
    /// Resolves the arguments.
    pub(super) fn resolve(self) -> Result<Replay, Failure> {
        let inputs: Vec<_> = self.files.into_iter().map(Input::from).collect();
        all_there(&inputs)?;
        if self.since.zip(self.until).is_some_and(|(since, until)| since >= until) {
            return Err(Failure::new(Exit::Usage, "--since is not before --until").with_remedy("times without an offset are UTC"));
        }
        let mut config = settings::load_if_given(self.config.as_deref())?;
        if !self.pbx.is_empty() {
            config.set_pbx(self.pbx);
        }
        let output = match (self.ladder, self.metrics) {
            (Some(call_id), _) => Output::Ladder { call_id },
            (None, true) => Output::Metrics,
            (None, false) => Output::Report { format: self.format, only: self.only },
        };
        Ok(Replay {
            inputs,
            ports: Ports::new(self.ports),
            config,
            subject: Subject { user: self.user, call_id: self.call_id, since: self.since, until: self.until },
            output,
            series: self.series.resolve(),
            color: self.color.decide(),
            fail_on: self.fail_on,
        })
    }
}

impl From<PathBuf> for Input {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "-" { Self::Stdin } else { Self::File(path) }
    }
}

impl Replay {
    /// The exit code of a replay whose worst finding has this severity.
    pub fn exit(&self, worst: Option<Severity>) -> Exit {
        match (worst, self.fail_on) {
            (Some(worst), Some(limit)) if worst >= limit => Exit::Found,
            _ => Exit::Done,
        }
    }
}

/// Fails with the name of each file that is not there, before anything is read.
pub(super) fn all_there(inputs: &[Input]) -> Result<(), Failure> {
    let missing = inputs.iter().filter_map(|input| match input {
        Input::File(path) => std::fs::metadata(path).err().map(|error| format!("{}: {error}", path.display())),
        Input::Stdin => None,
    });
    let missing: Vec<_> = missing.collect();
    if missing.is_empty() { Ok(()) } else { Err(Failure::new(Exit::Usage, format_args!("cannot read {}", missing.join("\n  and ")))) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        replay: ReplayArgs,
    }

    fn resolve(arguments: &[&str]) -> Result<Replay, Failure> {
        let cli = Cli::try_parse_from(["replay"].iter().chain(arguments)).expect("arguments");
        cli.replay.resolve()
    }

    fn refused(arguments: &[&str]) -> String {
        Cli::try_parse_from(["replay"].iter().chain(arguments)).err().expect("refused").to_string()
    }

    #[test]
    fn a_bare_file_is_a_text_report_about_everything_on_any_port() {
        let replay = resolve(&["-"]).expect("valid");
        assert_eq!(replay.inputs, [Input::Stdin]);
        assert_eq!((replay.ports.as_ref(), &replay.subject), (None, &Subject::default()));
        assert_eq!(replay.output, Output::Report { format: Format::Text, only: vec![] });
    }

    #[test]
    fn ports_and_addresses_may_be_repeated_or_separated_by_commas() {
        let replay = resolve(&["-", "-p", "5060,5070-5080", "--port", "5081", "--pbx", "192.0.2.1,[2001:db8::1]:5060"]).expect("valid");
        assert_eq!(replay.ports.expect("ports").to_string(), "5060, 5070-5081");
        assert_eq!(replay.config.pbx.addresses.len(), 2);
        assert!(refused(&["-", "-p", "sip"]).contains("a port from 1 to 65535"));
        assert!(refused(&["-", "--pbx", "pbx.example.com"]).contains("an IP address"));
    }

    #[test]
    fn one_output_at_a_time() {
        assert_eq!(resolve(&["-", "--metrics"]).expect("valid").output, Output::Metrics);
        assert_eq!(resolve(&["-", "--ladder", "a@b"]).expect("valid").output, Output::Ladder { call_id: "a@b".to_owned() });
        for both in
            [["--metrics", "--only=calls"], ["--metrics", "--format=json"], ["--ladder=a", "--only=calls"], ["--ladder=a", "--metrics"]]
        {
            assert!(refused(&["-", both[0], both[1]]).contains("cannot be used with"), "{both:?}");
        }
    }

    #[test]
    fn every_missing_file_is_named() {
        let failure = resolve(&["/nonexistent/a.pcap", "-", "/nonexistent/b.pcap"]).expect_err("missing");
        assert_eq!(failure.exit(), Exit::Usage);
        assert!(failure.to_string().contains("/nonexistent/a.pcap") && failure.to_string().contains("/nonexistent/b.pcap"));
    }

    #[test]
    fn a_time_range_that_is_empty_is_refused() {
        let failure = resolve(&["-", "--since", "2026-01-31 10:00", "--until", "2026-01-31T10:00:00Z"]).expect_err("empty");
        assert_eq!(failure.exit(), Exit::Usage);
        assert!(refused(&["-", "--since", "yesterday"]).contains("2026-01-31 09:00"));
    }

    #[test]
    fn fail_on_counts_its_own_severity_and_those_above() {
        let replay = resolve(&["-", "--fail-on", "error"]).expect("valid");
        assert_eq!(replay.exit(None), Exit::Done);
        assert_eq!(replay.exit(Some(Severity::Warning)), Exit::Done);
        assert_eq!(replay.exit(Some(Severity::Error)), Exit::Found);
        assert_eq!(replay.exit(Some(Severity::Critical)), Exit::Found);
        assert_eq!(resolve(&["-"]).expect("valid").exit(Some(Severity::Critical)), Exit::Done);
        assert!(refused(&["-", "--fail-on", "fatal"]).contains("critical"));
    }
}
