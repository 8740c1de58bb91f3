//! `siphound replay --metrics-out`: the metrics over the time of a capture.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};
use crate::config::parse_span;
use crate::metrics::Timeline;
use crate::time::Span;

/// Prometheus takes a series for gone when it has no sample for five minutes.
const LONGEST_STEP: Span = Span::from_secs(240);
const STEPS: &str = "a time from 1s to 4min, such as 15s";

/// What is written of the metrics.
#[derive(Args, Debug)]
pub(super) struct SeriesArgs {
    /// Also write the metrics over the time of the capture to this file, as OpenMetrics: what Prometheus would have scraped from a
    /// daemon, for `promtool tsdb create-blocks-from openmetrics`
    #[arg(long, value_name = "FILE")]
    metrics_out: Option<PathBuf>,

    /// How far the samples of --metrics-out are apart
    #[arg(long, value_name = "TIME", value_parser = step, default_value = "15s", requires = "metrics_out")]
    metrics_step: Span,

    /// The label `instance` in --metrics-out
    #[arg(long, value_name = "NAME", default_value = "replay", requires = "metrics_out")]
    metrics_instance: String,
}

/// A file for the metrics over time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Series {
    /// The file; one that is there is overwritten.
    pub path: PathBuf,
    /// How far two samples are apart.
    pub step: Span,
    /// The label `instance`.
    pub instance: String,
}

impl SeriesArgs {
    /// What was asked for, if anything.
    pub(super) fn resolve(self) -> Option<Series> {
        let Self { metrics_out, metrics_step, metrics_instance } = self;
        metrics_out.map(|path| Series { path, step: metrics_step, instance: metrics_instance })
    }
}

impl Series {
    /// The file, empty.
    pub(super) fn create(&self) -> Result<File, Failure> {
        File::create(&self.path).map_err(|error| Failure::new(Exit::Usage, format_args!("cannot write {}: {error}", self.path.display())))
    }

    /// Writes the samples.
    pub(super) fn write(&self, timeline: &Timeline, file: File) -> Result<(), Failure> {
        let mut out = BufWriter::new(file);
        let written = timeline.write(&mut out).and_then(|()| out.flush());
        written.map_err(|error| Failure::new(Exit::Refused, format_args!("cannot write {}: {error}", self.path.display())))
    }
}

fn step(text: &str) -> Result<Span, &'static str> {
    parse_span(text).filter(|step| (Span::from_secs(1)..=LONGEST_STEP).contains(step)).ok_or(STEPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_keeps_series_alive() {
        assert_eq!(step("15s"), Ok(Span::from_secs(15)));
        assert_eq!(step("4min"), Ok(LONGEST_STEP));
        for text in ["0s", "999ms", "5min", "-1s", "15"] {
            assert_eq!(step(text), Err(STEPS), "{text}");
        }
    }
}
