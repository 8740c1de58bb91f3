//! `siphound assist`: follows one user while a support agent has that user on the telephone.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::thread;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use crossbeam_channel::{Receiver, bounded};

use super::asking::DaemonArgs;
use super::exit::{Exit, Failure};
use super::following::Following;
use super::options::{ColorWhen, Format};
use super::replay::{Input, all_there};
use super::replaying::{SEED, paths};
use super::settings::{self, finding_limits, tracker_settings};
use super::stdout::print;
use crate::assist::{Command, OnFailure, Plan, Session, Shared};
use crate::config::{Config, PbxAddress, PortRange, Ports, Tunnels, parse_moment};
use crate::decode::ports::PortFilter;
use crate::diagnose::{Moment, Question, Scene, diagnose};
use crate::pipeline::engine::{Delivery, Engine, Query};
use crate::pipeline::ingest::{Ingest, IngestConfig};
use crate::pipeline::paced::{Enough, Pace, Paced};
use crate::pipeline::replay::{Threads, replay};
use crate::pipeline::source::CaptureFiles;
use crate::pipeline::stage::{EngineStage, Finished, Notice};
use crate::report::about::about;
use crate::report::model::{AssistLine, AssistStep, Problem, Report, Verdict};
use crate::report::style::Style;
use crate::report::{json, text};
use crate::table::Digester;
use crate::time::{PacketTime, Span};

const EXAMPLES: &str = "\
Examples:
  siphound assist 1001 --echo 600
  siphound assist 1001 --steps inbound-call --idle-test --daemon https://pbx.example.com:15061 --token-file ~/.siphound --ca pbx.pem
  siphound assist 1001 --echo 600 --pcap monday.pcap --since '2026-01-31 09:01:30'
  siphound assist 1001@pbx.example.com --pcap training.pcap --pace 1
  siphound assist 1001 --steps inbound-call --pcap monday.pcap

Without --pcap the running daemon follows the user. There, and with --pace on a terminal: s and Enter skips a step, r repeats it, q asks
for the verdict at once. Ctrl-C ends the session.

Exit codes: 0 done; 2 bad arguments, missing file or bad configuration; 3 the system or the daemon refuses what is needed, no daemon
answers, or it breaks off; 4 a file is not a capture and nothing could be read.";

/// What the agent may type, each with Enter.
pub(super) const KEYS: &str = "s skips the step, r repeats it, q asks for the verdict";
/// Commands of the agent that may wait.
const COMMANDS: usize = 16;

/// Whom to follow, and how.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct AssistArgs {
    /// An extension, 1001@pbx.example.com, an address, or a Contact
    #[arg(value_name = "USER")]
    user: String,

    /// The number of the echo service: calls to other numbers do not count as the test call
    #[arg(long, value_name = "NUMBER")]
    echo: Option<String>,

    /// Capture files (pcap or pcapng, also .gz and .zst), merged by time; - is standard input
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pcap: Vec<PathBuf>,

    #[command(flatten)]
    daemon: DaemonArgs,

    /// When the agent begins; otherwise with the first packet. What comes before tells what the phone was like: RFC 3339,
    /// 'YYYY-MM-DD HH:MM' in UTC, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = parse_moment, requires = "pcap")]
    since: Option<PacketTime>,

    /// Replay at so many times the speed of the capture; otherwise as fast as possible
    #[arg(long, value_name = "TIMES", value_parser = pace(), requires = "pcap")]
    pace: Option<f64>,

    /// The steps to take, in this order: reconnection, test-call, hold, inbound-call, idle-test [separate by commas]
    #[arg(long, value_name = "STEP", value_delimiter = ',', value_parser = step())]
    steps: Vec<AssistStep>,

    /// After the other steps leave the phone idle for longer than its keep-alive interval, and call it again
    #[arg(long)]
    idle_test: bool,

    /// How many seconds a step waits
    #[arg(long, value_name = "SECONDS", default_value_t = 180, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    step_timeout: u32,

    /// How the lines are written: text, or JSON with one object a line
    #[arg(short, long, value_enum, default_value_t)]
    format: Format,

    /// Follow SIP on these ports alone; otherwise on any port [repeat, or separate by commas]
    #[arg(short, long = "port", value_name = "PORT|FIRST-LAST", value_delimiter = ',', requires = "pcap")]
    ports: Vec<PortRange>,

    /// Addresses of the PBX; otherwise learned from the capture [repeat, or separate by commas]
    #[arg(long, value_name = "IP[:PORT]", value_delimiter = ',', requires = "pcap")]
    pbx: Vec<PbxAddress>,

    /// The configuration file; without it the built-in defaults hold, whatever is installed on this machine
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// When to colour
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    color: ColorWhen,
}

/// A session that can begin.
#[derive(Debug)]
pub(super) struct Assistance {
    /// The configuration, with the addresses of the PBX from the command line where there are any.
    pub(super) config: Config,
    source: Source,
}

/// Who follows the user.
#[derive(Debug)]
enum Source {
    /// This process, through captures.
    Captures(Box<Captures>),
    /// A daemon.
    Daemon(Following),
}

/// A session over captures.
#[derive(Debug)]
struct Captures {
    plan: Plan,
    inputs: Vec<Input>,
    ports: Option<Ports>,
    since: Option<PacketTime>,
    pace: Pace,
    writer: Writer,
}

impl AssistArgs {
    /// Resolves the arguments.
    pub(super) fn resolve(self) -> Result<Assistance, Failure> {
        if self.user.is_empty() {
            return Err(Failure::new(Exit::Usage, "USER is empty").with_remedy("name an extension or an address"));
        }
        let mut config = settings::load_if_given(self.config.as_deref())?;
        if !self.pbx.is_empty() {
            config.set_pbx(self.pbx.clone());
        }
        let source = if self.pcap.is_empty() { Source::Daemon(self.follow()) } else { Source::Captures(Box::new(self.read()?)) };
        Ok(Assistance { config, source })
    }

    fn read(self) -> Result<Captures, Failure> {
        let inputs: Vec<_> = self.pcap.iter().cloned().map(Input::from).collect();
        all_there(&inputs)?;
        let pace = self.pace.map_or(Pace::Unbound, Pace::Times);
        let on_failure = if is_watched(pace, &inputs) { OnFailure::Wait } else { OnFailure::Conclude };
        Ok(Captures {
            plan: self.plan(on_failure),
            inputs,
            pace,
            since: self.since,
            writer: Writer { format: self.format, style: self.color.decide().style() },
            ports: Ports::new(self.ports),
        })
    }

    fn follow(self) -> Following {
        // Without a terminal nobody is expected to repeat a step.
        let on_failure = if std::io::stdin().is_terminal() { OnFailure::Wait } else { OnFailure::Conclude };
        Following { plan: self.plan(on_failure), daemon: self.daemon, format: self.format, color: self.color.decide() }
    }

    fn plan(&self, on_failure: OnFailure) -> Plan {
        let mut steps = if self.steps.is_empty() { Plan::STEPS.to_vec() } else { self.steps.clone() };
        if self.idle_test && !steps.contains(&AssistStep::IdleTest) {
            steps.push(AssistStep::IdleTest);
        }
        let timeout = Span::from_secs(i64::from(self.step_timeout));
        Plan { echo: self.echo.clone(), steps, timeout, on_failure, ..Plan::new(self.user.clone()) }
    }
}

/// Whether somebody sits there who can answer.
fn is_watched(pace: Pace, inputs: &[Input]) -> bool {
    pace != Pace::Unbound && std::io::stdin().is_terminal() && !inputs.contains(&Input::Stdin)
}

impl Assistance {
    /// Prints the session.
    pub(super) fn execute(self) -> Result<Exit, Failure> {
        match self.source {
            Source::Captures(captures) => captures.execute(&self.config),
            Source::Daemon(following) => following.execute(),
        }
    }
}

impl Captures {
    /// Replays the captures and prints the session.
    fn execute(self, config: &Config) -> Result<Exit, Failure> {
        let paths = paths(&self.inputs);
        let enough = Enough::default();
        let mut source = Paced::new(CaptureFiles::open(&paths)?, self.since, self.pace, enough.clone());
        let ports = self.ports.as_ref().map_or(PortFilter::Any, |ports| PortFilter::Only(ports.ranges().to_vec()));
        let ingest =
            Ingest::new(IngestConfig { ports, tunnels: Tunnels::ALL, digester: Digester::new(SEED), thresholds: config.thresholds });
        let engine = Assisting {
            engine: Engine::new(&tracker_settings(config, SEED, Vec::new()), finding_limits(config)),
            commands: (self.plan.on_failure == OnFailure::Wait).then(commands),
            plan: self.plan,
            since: self.since,
            session: None,
            writer: self.writer,
            enough,
            failure: None,
        };
        let observer = |notice: Notice<'_>| {
            if let Notice::Note(note) = notice {
                tracing::warn!("{note}");
            }
        };
        // What is printed hangs on which batch brings it: on one thread that is always the same.
        let Finished { engine: mut assisting, .. } = replay(&mut source, ingest, engine, Threads::One, &observer)?;
        assisting.finish();
        match (assisting.failure, assisting.session) {
            (Some(failure), _) => Err(failure),
            (None, None) => Err(Failure::new(Exit::Usage, "the capture ends before the agent begins")
                .with_remedy("check --since: times without an offset are UTC")),
            (None, Some(_)) => Ok(Exit::Done),
        }
    }
}

/// How lines are written.
#[derive(Clone, Copy, Debug)]
struct Writer {
    format: Format,
    style: Style,
}

impl Writer {
    fn write(self, line: &AssistLine) -> Result<(), Failure> {
        print(|out| match self.format {
            Format::Text => out.write_all(text::render_assist(line, self.style).as_bytes()),
            Format::Json => json::write_line(line, out),
        })
    }
}

/// The engine with a session that hears it.
struct Assisting {
    engine: Engine,
    plan: Plan,
    since: Option<PacketTime>,
    session: Option<Shared>,
    commands: Option<Receiver<Command>>,
    writer: Writer,
    enough: Enough,
    failure: Option<Failure>,
}

impl EngineStage for Assisting {
    type Batch = Delivery;
    type Query = Query;

    fn handle(&mut self, batch: &Delivery) {
        let first = batch.batch.records().first().map(|(arrival, _)| arrival.time);
        if let (None, Some(first)) = (&self.session, first)
            && self.since.is_none_or(|since| since <= first)
        {
            self.begin(self.since.unwrap_or(first));
        }
        self.engine.take(batch);
        self.obey();
        self.tell();
    }

    fn answer(&mut self, query: Query) {
        query(&mut self.engine);
    }
}

impl Assisting {
    fn begin(&mut self, now: PacketTime) {
        let session = Session::begin(self.plan.clone(), &self.engine.tracker, &self.engine.detectors.findings, now);
        let shared = Shared::new(session);
        self.engine.listen(Box::new(shared.clone()));
        self.session = Some(shared);
    }

    /// Does what the agent asked for meanwhile.
    fn obey(&mut self) {
        let (Some(session), Some(commands)) = (&self.session, &self.commands) else { return };
        for command in commands.try_iter() {
            session.session().command(command, &self.engine.tracker, self.engine.tracker.now());
        }
    }

    /// Prints what the session has to say, and asks for the diagnosis once its steps are over.
    fn tell(&mut self) {
        let Some(shared) = self.session.clone() else { return };
        let question = shared.session().question();
        if let Some(problem) = question {
            let user = shared.session().user().to_owned();
            let verdict = self.diagnose(user, problem);
            shared.session().conclude(verdict);
        }
        let mut session = shared.session();
        while let Some(line) = session.next_line() {
            if let Err(failure) = self.writer.write(&line) {
                self.failure.get_or_insert(failure);
                self.enough.say();
            }
        }
        if session.is_over() {
            self.enough.say();
        }
    }

    fn diagnose(&self, user: String, problem: Option<Problem>) -> Verdict {
        let engine = &self.engine;
        let capture = engine.counts.as_ref().map(|counts| engine.capture(counts)).unwrap_or_default();
        let report = Report { capture, ..about(&engine.tracker, &user) };
        let scene = Scene { tracker: &engine.tracker, findings: &engine.detectors.findings, report: &report };
        diagnose(scene, &Question { user, problem, since: None, until: None, moment: Moment::Any })
    }

    /// The capture is at its end.
    fn finish(&mut self) {
        self.engine.finish();
        if let Some(session) = &self.session {
            session.session().end_of_capture(&self.engine.tracker, self.engine.tracker.now());
        }
        self.tell();
    }
}

/// What the agent types, line by line.
pub(super) fn commands() -> Receiver<Command> {
    let (sender, commands) = bounded(COMMANDS);
    // It ends with the process: nobody can take back a read of a terminal.
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let command = match line.trim() {
                "s" => Command::Skip,
                "r" => Command::Repeat,
                "q" => Command::Finish,
                _ => {
                    let _ = writeln!(std::io::stderr(), "{KEYS}");
                    continue;
                }
            };
            if sender.send(command).is_err() {
                return;
            }
        }
    });
    commands
}

/// Reads the name of a step.
fn step() -> impl TypedValueParser<Value = AssistStep> {
    PossibleValuesParser::new(AssistStep::ALL.iter().map(|step| step.as_str())).try_map(|name| {
        let named = AssistStep::ALL.iter().copied().find(|step| step.as_str() == name);
        named.ok_or("a step is wanted")
    })
}

/// Reads a pace.
fn pace() -> impl TypedValueParser<Value = f64> {
    fn read(text: &str) -> Result<f64, &'static str> {
        let pace: f64 = text.parse().map_err(|_| "a number is wanted")?;
        if (0.01..=10_000.0).contains(&pace) { Ok(pace) } else { Err("a number from 0.01 to 10000 is wanted") }
    }
    read
}
