//! Replays capture files and prints what was asked for.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::exit::{Exit, Failure};
use super::options::Format;
use super::replay::{Input, Output, Part, Replay};
use super::settings::{finding_limits, tracker_settings};
use super::stdout::print;
use crate::config::{Config, Ports, Tunnels};
use crate::decode::ports::PortFilter;
use crate::metrics::Timeline;
use crate::pipeline::engine::{Delivery, Engine, Query};
use crate::pipeline::ingest::{Ingest, IngestConfig, IngestCounts};
use crate::pipeline::progress::Bar;
use crate::pipeline::replay::{Threads, replay};
use crate::pipeline::source::{CaptureError, CaptureFiles, FrameSource, Note};
use crate::pipeline::stage::{EngineStage, Finished, Notice, PipelineError};
use crate::pipeline::ticking::Ticking;
use crate::pipeline::until::Until;
use crate::report::filter::{Filter, Section};
use crate::report::ladder::Ladder;
use crate::report::model::{CaptureSummary, Report};
use crate::report::whole::{Each, Whole};
use crate::report::{build, json, ladder, text};
use crate::sip::delivery::Event;
use crate::table::Digester;
use crate::time::PacketTime;
use crate::track::vocabulary::Severity;

/// Two replays of one capture must agree to the byte, so the seed of a replay is fixed.
pub(super) const SEED: u64 = 0x5119_0c7d_1a2b_3c4d;

/// What to read, and how.
pub(super) struct Reading<'a> {
    /// The captures.
    pub(super) inputs: &'a [Input],
    /// The ports that are followed; any port where nothing is given.
    pub(super) ports: Option<&'a Ports>,
    /// The tunnels that are read.
    pub(super) tunnels: Tunnels,
    /// The configuration.
    pub(super) config: &'a Config,
    /// Frames after this moment are not read.
    pub(super) until: Option<PacketTime>,
}

/// What was read.
pub(super) struct Read {
    /// The state at the end.
    pub(super) engine: Engine,
    counts: IngestCounts,
    notes: Vec<Note>,
    files: Vec<String>,
    /// The metrics of each moment, where they were wanted.
    timeline: Option<Timeline>,
}

impl Reading<'_> {
    /// Reads everything into an engine that `prepare` has made ready.
    pub(super) fn read(&self, prepare: impl FnOnce(&mut Engine)) -> Result<Read, Failure> {
        self.read_into(None, prepare)
    }

    /// As [`Self::read`]; the metrics of each moment go to the timeline, which is given back with what was read.
    fn read_into(&self, timeline: Option<Timeline>, prepare: impl FnOnce(&mut Engine)) -> Result<Read, Failure> {
        let paths = paths(self.inputs);
        let source = CaptureFiles::open(&paths)?;
        let notes = Mutex::new(Vec::new());
        let observer = |notice: Notice<'_>| {
            if let Notice::Note(note) = notice {
                notes.lock().unwrap_or_else(PoisonError::into_inner).push(note.clone());
            }
        };
        let messages = Arc::new(AtomicU64::new(0));
        let bar = Bar::show(source.progress(), Arc::clone(&messages));
        let source = Until::new(source, self.until.unwrap_or(PacketTime::MAX));
        let digester = Digester::new(SEED);
        let ports = self.ports.map_or(PortFilter::Any, |ports| PortFilter::Only(ports.ranges().to_vec()));
        let ingest = Ingest::new(IngestConfig { ports, tunnels: self.tunnels, digester, thresholds: self.config.thresholds });
        let mut engine = Engine::new(&tracker_settings(self.config, SEED, Vec::new()), finding_limits(self.config));
        engine.label(self.config);
        prepare(&mut engine);
        let step = timeline.as_ref().map(Timeline::step);
        let mut source: Box<dyn FrameSource> = match step {
            Some(step) => Box::new(Ticking::new(source, step)),
            None => Box::new(source),
        };
        let engine = Counting { engine, messages, timeline };
        let Finished { ingest, engine: Counting { mut engine, mut timeline, .. } } =
            replay(source.as_mut(), ingest, engine, Threads::available(), &observer)?;
        drop(bar);
        engine.finish();
        if let Some(timeline) = timeline.as_mut().filter(|timeline| !timeline.is_empty()) {
            timeline.take(engine.snapshot(&[]), engine.tracker.now());
        }
        let notes = notes.into_inner().unwrap_or_else(PoisonError::into_inner);
        for note in &notes {
            tracing::warn!("{note}");
        }
        let files = paths.iter().map(|path| path.display().to_string()).collect();
        Ok(Read { engine, counts: ingest.counts(), notes, files, timeline })
    }
}

impl Read {
    /// The report on all of it.
    pub(super) fn report(&self) -> Report {
        let mut report = build::build(&self.engine.tracker, &self.engine.detectors.findings);
        report.capture = self.capture();
        report
    }

    /// Writes that report as JSON, its long lists entry by entry.
    fn write_json(&self, out: impl io::Write) -> io::Result<()> {
        let (tracker, findings) = (&self.engine.tracker, &self.engine.detectors.findings);
        let whole = Whole::of(tracker);
        let mut report = build::outline(&whole, tracker, findings);
        report.capture = self.capture();
        json::write(&report.with_lists(Each(|| whole.registrations()), Each(|| whole.calls())), out)
    }

    fn capture(&self) -> CaptureSummary {
        CaptureSummary { files: self.files.clone(), cut: self.notes.iter().any(Note::is_cut), ..self.engine.capture(&self.counts) }
    }
}

/// Where the captures are.
pub(super) fn paths(inputs: &[Input]) -> Vec<PathBuf> {
    inputs.iter().map(Input::path).collect()
}

impl Replay {
    /// Replays and prints.
    pub(super) fn execute(&self) -> Result<Exit, Failure> {
        // A file that cannot be written is told of before anything is read.
        let series = self.series.as_ref().map(|series| series.create().map(|file| (series, file))).transpose()?;
        let timeline = self.series.as_ref().map(|series| Timeline::new(series.step, series.instance.clone()));
        let reading =
            Reading { inputs: &self.inputs, ports: self.ports.as_ref(), tunnels: Tunnels::ALL, config: &self.config, until: None };
        let mut read = reading.read_into(timeline, |engine| {
            if let Output::Ladder { call_id } = &self.output {
                engine.draw(call_id);
            }
        })?;
        if let (Some((series, file)), Some(timeline)) = (series, &read.timeline) {
            series.write(timeline, file)?;
        }
        let exit = self.print(&mut read);
        // The process ends now: the state goes with it, and is not taken apart entry by entry.
        std::mem::forget(read);
        exit
    }

    fn print(&self, read: &mut Read) -> Result<Exit, Failure> {
        let style = self.color.style();
        match &self.output {
            Output::Metrics => {
                let text = read.engine.snapshot(&[]).to_text().map_err(|error| Failure::new(Exit::Refused, error))?;
                print(|out| out.write_all(&text))?;
            }
            Output::Ladder { call_id } => {
                let messages = read.engine.ladder();
                if messages.is_empty() {
                    return Err(Failure::new(Exit::Usage, format_args!("no message of the call {call_id:?} is in the capture"))
                        .with_remedy("the calls and their Call-IDs: --format json --only calls"));
                }
                let roles = read.engine.tracker.world.peers.pbx_roles();
                let drawing = ladder::render(&Ladder { roles, messages }, style);
                print(|out| out.write_all(drawing.as_bytes()))?;
            }
            // The long lists are a third of what a replay of an hour would hold.
            Output::Report { format: Format::Json, only } if self.filter(only) == Filter::default() => print(|out| read.write_json(out))?,
            Output::Report { format, only } => {
                let mut report = read.report();
                // What is left out of the print alone still counts for the exit code.
                self.filter(&[]).apply(&mut report);
                let worst = worst(&report);
                let filter = self.filter(only);
                filter.apply(&mut report);
                if *format == Format::Text && filter.user.is_none() && filter.call_id.is_none() {
                    report.leave_out_scans();
                }
                print(|out| match format {
                    Format::Json => json::write(&report, out),
                    Format::Text => out.write_all(text::render(&report, &filter, style).as_bytes()),
                })?;
                std::mem::forget(report);
                return Ok(self.exit(worst));
            }
        }
        let worst = read.engine.detectors.findings.all().iter().map(|finding| finding.severity).max();
        Ok(self.exit(worst))
    }

    fn filter(&self, only: &[Part]) -> Filter {
        let only = only.iter().map(|part| match part {
            Part::Calls => Section::Calls,
            Part::Registrations => Section::Registrations,
            Part::Findings => Section::Findings,
        });
        let subject = &self.subject;
        Filter {
            only: only.collect::<BTreeSet<_>>(),
            user: subject.user.clone(),
            call_id: subject.call_id.clone(),
            since: subject.since,
            until: subject.until,
        }
    }
}

impl Input {
    /// Its path; - stands for standard input.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::Stdin => PathBuf::from("-"),
            Self::File(path) => path.clone(),
        }
    }
}

/// The engine with a counter for the progress bar, and what looks at its metrics.
struct Counting {
    engine: Engine,
    messages: Arc<AtomicU64>,
    timeline: Option<Timeline>,
}

impl Counting {
    /// Takes the metrics as they were before the first record, and after each tick.
    fn look(&mut self, delivery: &Delivery, moment: Moment) {
        let Some(timeline) = &mut self.timeline else { return };
        let records = delivery.batch.records();
        let time = match moment {
            Moment::Before => records.first().filter(|_| timeline.is_empty()).map(|(arrival, _)| arrival.time.floor(timeline.step())),
            Moment::After => records.last().filter(|(_, event)| matches!(event, Event::Tick)).map(|(arrival, _)| arrival.time),
        };
        if let Some(time) = time {
            timeline.take(self.engine.snapshot(&[]), time);
        }
    }
}

/// When the metrics are looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Moment {
    Before,
    After,
}

impl EngineStage for Counting {
    type Batch = Delivery;
    type Query = Query;

    fn handle(&mut self, batch: &Delivery) {
        self.look(batch, Moment::Before);
        self.engine.take(batch);
        self.look(batch, Moment::After);
        self.messages.fetch_add(batch.batch.len() as u64, Ordering::Relaxed);
    }

    fn answer(&mut self, query: Query) {
        query(&mut self.engine);
    }
}

fn worst(report: &Report) -> Option<Severity> {
    report.findings.iter().map(|finding| finding.severity).max()
}

impl From<CaptureError> for Failure {
    fn from(error: CaptureError) -> Self {
        let exit = match error {
            CaptureError::NotACapture { .. } => Exit::NotACapture,
            CaptureError::NoInterface { .. }
            | CaptureError::NoPermission { .. }
            | CaptureError::Down { .. }
            | CaptureError::Interface { .. } => Exit::Refused,
            _ => Exit::Usage,
        };
        Self::new(exit, error)
    }
}

impl From<PipelineError> for Failure {
    fn from(error: PipelineError) -> Self {
        match error {
            PipelineError::Capture(error) => error.into(),
            PipelineError::MustRestart { .. } => {
                Self::new(Exit::Restart, error).with_remedy("what it knew is saved; the unit starts it again by itself")
            }
            other => Self::new(Exit::Refused, other),
        }
    }
}
