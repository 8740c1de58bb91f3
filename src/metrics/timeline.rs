//! The numbers of many moments, as OpenMetrics with timestamps: what Prometheus would hold had it scraped at those moments.

use std::collections::BTreeMap;
use std::io;

use prometheus::proto::{Metric, MetricFamily, MetricType};

use super::expose::Snapshot;
use crate::time::{PacketTime, Span};

/// Collects snapshots. Values that stay as they are take no room, so that it grows with what happens and not with time.
#[derive(Debug)]
pub struct Timeline {
    step: Span,
    instance: String,
    families: BTreeMap<String, Family>,
    last: Option<i64>,
}

/// A family of series.
#[derive(Debug)]
struct Family {
    help: String,
    kind: &'static str,
    series: BTreeMap<String, Series>,
}

/// The values of one combination of labels.
#[derive(Debug)]
struct Series {
    /// What follows the name of the family, and the upper bound of a bucket: one for each value of a moment.
    columns: Vec<Column>,
    runs: Vec<Run>,
}

/// The ending of a name, and the upper bound of a bucket where it is one.
type Column = (&'static str, Option<String>);

/// Moments that follow each other with the same values, as multiples of the step.
#[derive(Debug)]
struct Run {
    first: i64,
    last: i64,
    values: Vec<f64>,
}

impl Timeline {
    /// Nothing collected yet; `step`, at least a second, lies between two moments, and `instance` is the label of that name.
    pub fn new(step: Span, instance: impl Into<String>) -> Self {
        Self { step: step.max(Span::from_secs(1)), instance: instance.into(), families: BTreeMap::new(), last: None }
    }

    /// How far two moments are apart.
    pub fn step(&self) -> Span {
        self.step
    }

    /// Whether nothing was collected.
    pub fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Takes the numbers as of `time`, which is rounded up to a multiple of the step; one that was taken already stays as it was.
    pub fn take(&mut self, snapshot: Snapshot, time: PacketTime) {
        let floor = time.floor(self.step);
        let moment = floor.as_nanos() / self.step.as_nanos() + i64::from(floor < time);
        if self.last.is_some_and(|last| moment <= last) {
            return;
        }
        self.last = Some(moment);
        for family in snapshot.into_families() {
            self.note(&family, moment);
        }
    }

    fn note(&mut self, family: &MetricFamily, moment: i64) {
        let kind = match family.get_field_type() {
            MetricType::COUNTER => "counter",
            MetricType::HISTOGRAM => "histogram",
            _ => "gauge",
        };
        let name = family.name();
        let base = name.strip_suffix("_total").filter(|_| kind == "counter").unwrap_or(name);
        let held = self.families.entry(base.to_owned());
        let held = held.or_insert_with(|| Family { help: family.help().to_owned(), kind, series: BTreeMap::new() });
        for metric in family.get_metric() {
            let (columns, values): (Vec<_>, Vec<_>) = values(metric, kind).into_iter().unzip();
            let series = held.series.entry(labels(metric, &self.instance));
            series.or_insert_with(|| Series { columns, runs: Vec::new() }).note(moment, values);
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    ///
    /// When `out` fails.
    pub fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        for (name, family) in &self.families {
            writeln!(out, "# HELP {name} {}", escaped(&family.help))?;
            writeln!(out, "# TYPE {name} {}", family.kind)?;
            for (labels, series) in &family.series {
                self.write_series(name, labels, series, out)?;
            }
        }
        writeln!(out, "# EOF")
    }

    fn write_series(&self, name: &str, labels: &str, series: &Series, out: &mut dyn io::Write) -> io::Result<()> {
        for run in &series.runs {
            for moment in run.first..=run.last {
                let time = PacketTime::from_nanos(moment.saturating_mul(self.step.as_nanos())).as_secs_f64();
                for ((ending, bound), value) in series.columns.iter().zip(&run.values) {
                    match bound {
                        Some(bound) => writeln!(out, "{name}{ending}{{{labels},le=\"{bound}\"}} {value} {time}")?,
                        None => writeln!(out, "{name}{ending}{{{labels}}} {value} {time}")?,
                    }
                }
            }
        }
        Ok(())
    }
}

impl Series {
    fn note(&mut self, moment: i64, values: Vec<f64>) {
        match self.runs.last_mut() {
            Some(run) if run.last + 1 == moment && run.values == values => run.last = moment,
            _ => self.runs.push(Run { first: moment, last: moment, values }),
        }
    }
}

/// What a metric says, in the order in which it is written.
fn values(metric: &Metric, kind: &str) -> Vec<(Column, f64)> {
    match kind {
        "counter" => vec![(("_total", None), metric.get_counter().get_value())],
        "gauge" => vec![(("", None), metric.get_gauge().get_value())],
        _ => {
            let histogram = metric.get_histogram();
            let count = histogram.get_sample_count() as f64;
            let bucket = |bound: String, count| (("_bucket", Some(bound)), count);
            let finite = histogram.get_bucket().iter();
            let finite = finite.map(|counted| bucket(counted.upper_bound().to_string(), counted.cumulative_count() as f64));
            let rest = [bucket("+Inf".to_owned(), count), (("_sum", None), histogram.get_sample_sum()), (("_count", None), count)];
            finite.chain(rest).collect()
        }
    }
}

/// The labels, with those that Prometheus gives to what it scrapes.
fn labels(metric: &Metric, instance: &str) -> String {
    let given = [("instance", instance), ("job", "siphound")];
    let own = metric.get_label().iter().map(|label| (label.name(), label.value()));
    given.into_iter().chain(own).map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect::<Vec<_>>().join(",")
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('\n', r"\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{DelayResult, Dir};
    use crate::track::vocabulary::{PeerClass, RegistrationState, Severity};

    fn at(seconds: i64) -> PacketTime {
        PacketTime::from_parts(seconds, 0)
    }

    fn written(timeline: &Timeline) -> String {
        let mut out = Vec::new();
        timeline.write(&mut out).expect("written");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn each_moment_has_its_value_and_a_series_that_went_has_none() {
        let mut timeline = Timeline::new(Span::from_secs(15), "pbx \"1\"");
        let mut snapshot = Snapshot::default();
        snapshot.pbxs[0].gauges.registrations.set(RegistrationState::Registered, 3.0);
        timeline.take(snapshot.clone(), at(30));
        snapshot.pbxs[0].tally.registration_attempt(PeerClass::Endpoint);
        snapshot.pbxs[0].gauges.set_findings("peer-lagged", Severity::Warning, 1);
        timeline.take(snapshot.clone(), at(31));
        timeline.take(Snapshot::default(), at(40));
        timeline.take(Snapshot::default(), at(60));
        let text = written(&timeline);
        let labels = r#"instance="pbx \"1\"",job="siphound",pbx="default""#;
        let lines = |of: &str| text.lines().filter(|line| line.starts_with(of)).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            lines("siphound_registrations{"),
            [30, 45].map(|time| format!("siphound_registrations{{{labels},state=\"registered\"}} 3 {time}"))
        );
        assert_eq!(
            lines("siphound_findings_active{"),
            [format!("siphound_findings_active{{{labels},finding=\"peer-lagged\",severity=\"warning\"}} 1 45")]
        );
        let attempts = lines(&format!("siphound_registration_attempts_total{{{labels},peer_class=\"endpoint\"}}"));
        let values: Vec<_> = attempts.iter().map(|line| line.rsplit_once('}').expect("labels").1).collect();
        assert_eq!(values, [" 0 30", " 1 45", " 0 60"], "the number of 40 is that of 45, which was taken");
        assert!(text.contains("# TYPE siphound_registration_attempts counter\n"), "{text}");
        assert!(text.ends_with("\n# EOF\n"));
    }

    #[test]
    fn a_histogram_ends_with_sum_and_count() {
        let mut snapshot = Snapshot::default();
        snapshot.pbxs[0].tally.request_delay(Dir::In, DelayResult::Success, Span::from_millis(200));
        let mut timeline = Timeline::new(Span::from_secs(60), "replay");
        timeline.take(snapshot, at(600));
        let text = written(&timeline);
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("siphound_session_request_delay_seconds_")).collect();
        let series = r#"{instance="replay",job="siphound",pbx="default",dir="in",result="success""#;
        assert_eq!(lines[0], format!("siphound_session_request_delay_seconds_bucket{series},le=\"0.1\"}} 0 600"));
        assert_eq!(lines[1], format!("siphound_session_request_delay_seconds_bucket{series},le=\"0.25\"}} 1 600"));
        let last: Vec<_> = lines.iter().rev().take(3).rev().copied().collect();
        assert_eq!(
            last,
            [
                format!("siphound_session_request_delay_seconds_bucket{series},le=\"+Inf\"}} 1 600"),
                format!("siphound_session_request_delay_seconds_sum{series}}} 0.2 600"),
                format!("siphound_session_request_delay_seconds_count{series}}} 1 600"),
            ]
        );
    }
}
