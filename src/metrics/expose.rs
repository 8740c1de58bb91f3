//! From a snapshot of numbers to the text that Prometheus reads.
//!
//! The numbers are gathered elsewhere, so no registry is involved: the families are handed to the encoder as they are.

use prometheus::proto::{self, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};

use super::catalog::{CaptureTally, Entry, Families, Gauges, HistoryTally, OutputTally, Tally, ToolGauges, VersionLabel};
use super::family::{Kind, Sample, Value};
use super::fold::Fold;
use super::labels::Subject;
use super::standing::{PeerStanding, SiteStanding, sites, standings};
use super::subjects::SubjectNumbers;
use crate::config::Label;
use crate::detect::store::FindingStore;
use crate::track::Tracker;

/// The media type of the exposition.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The numbers of one phone system.
#[derive(Clone, Debug)]
pub struct PbxNumbers {
    /// Its name.
    pub name: String,
    /// What the engine counted.
    pub tally: Tally,
    /// How things stand.
    pub gauges: Gauges,
}

impl Default for PbxNumbers {
    fn default() -> Self {
        Self { name: Label::default().to_string(), tally: Tally::default(), gauges: Gauges::default() }
    }
}

/// All numbers at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The phone systems in the order of the configuration; with several, after them what concerns none in particular.
    pub pbxs: Vec<PbxNumbers>,
    /// What the capture counted.
    pub capture: CaptureTally,
    /// What is kept on disk.
    pub history: HistoryTally,
    /// What the outputs counted.
    pub outputs: OutputTally,
    /// How siphound stands.
    pub tool: ToolGauges,
    /// Whether sites or users are named in it.
    pub names_somebody: bool,
    subjects: Vec<SubjectNumbers>,
    peers: Vec<PeerStanding>,
    sites: Vec<SiteStanding>,
}

/// One phone system without a name, and nothing counted.
impl Default for Snapshot {
    fn default() -> Self {
        Self {
            pbxs: vec![PbxNumbers::default()],
            capture: CaptureTally::default(),
            history: HistoryTally::default(),
            outputs: OutputTally::default(),
            tool: ToolGauges::default(),
            names_somebody: false,
            subjects: Vec::new(),
            peers: Vec::new(),
            sites: Vec::new(),
        }
    }
}

/// A group of families with the labels that all its series carry.
type Labelled<'a, F> = (Vec<(&'static str, &'a str)>, &'a F);

impl Snapshot {
    /// What tracking and detection know, as `fold` counts it.
    pub fn of(tracker: &Tracker, findings: &FindingStore, fold: &Fold) -> Self {
        let systems = tracker.world.peers.systems();
        let names = systems.names().chain(std::iter::once(Label::OTHER)).map(str::to_owned);
        let (gauges, peers) = standings(tracker, findings, fold);
        let numbers = names.zip(fold.tallies().iter().cloned()).zip(gauges);
        let mut capture = CaptureTally::default();
        for (subject, times) in fold.subjects.overflow() {
            capture.set_label_overflow(subject, times);
        }
        Self {
            pbxs: numbers.map(|((name, tally), gauges)| PbxNumbers { name, tally, gauges }).collect(),
            capture,
            names_somebody: fold.subjects.name_somebody(),
            subjects: fold.subjects.numbers(tracker.now()),
            peers,
            sites: sites(tracker, fold),
            ..Self::default()
        }
    }

    /// The exposition, families without series left out. Fails only where the encoder does, which it does not on valid families.
    pub fn to_text(self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.into_families(), &mut text)?;
        Ok(text)
    }

    /// The families that have series, by name.
    pub(super) fn into_families(mut self) -> Vec<MetricFamily> {
        self.tool.build_info.set(VersionLabel(env!("CARGO_PKG_VERSION")), 1.0);
        let pbx = |number: usize| self.pbxs.get(number).map_or(Label::OTHER, |pbx| &pbx.name);
        let mut families = families(&self.pbxs.iter().map(|pbx| (vec![("pbx", pbx.name.as_str())], &pbx.tally)).collect::<Vec<_>>());
        families.extend(self::families(&self.pbxs.iter().map(|pbx| (vec![("pbx", pbx.name.as_str())], &pbx.gauges)).collect::<Vec<_>>()));
        for what in Subject::ALL {
            let of_kind = self.subjects.iter().filter(|subject| subject.what == *what);
            let labelled = of_kind.map(|one| (vec![("pbx", pbx(one.pbx)), (what.as_str(), one.name.as_str())], &one.tally));
            families.extend(self::families(&labelled.collect::<Vec<_>>()));
        }
        let peers = self.peers.iter().map(|peer| (vec![("pbx", pbx(peer.pbx)), ("peer", peer.name.as_str())], &peer.gauges));
        families.extend(self::families(&peers.collect::<Vec<_>>()));
        let sites = self.sites.iter().map(|site| (vec![("pbx", pbx(site.pbx)), ("site", site.name.as_str())], &site.gauges));
        families.extend(self::families(&sites.collect::<Vec<_>>()));
        families.extend(self::families(&[(Vec::new(), &self.capture)]));
        families.extend(self::families(&[(Vec::new(), &self.history)]));
        families.extend(self::families(&[(Vec::new(), &self.outputs)]));
        families.extend(self::families(&[(Vec::new(), &self.tool)]));
        families.sort_by(|a, b| a.name().cmp(b.name()));
        families
    }
}

/// The families of a group, which may be there several times under different labels.
fn families<F: Families>(groups: &[Labelled<'_, F>]) -> Vec<MetricFamily> {
    let mut metrics: Vec<Vec<Metric>> = Vec::new();
    let entries = F::entries();
    metrics.resize_with(entries.len(), Vec::new);
    let mut what = "";
    for (labels, group) in groups {
        what = labels.last().map_or("", |(name, _)| *name);
        // The series of those whom the configuration does not name are shown once they count, to keep their number low.
        let shows_zeros = !labels.iter().any(|(name, value)| matches!(*name, "site" | "aor") || (*name == "pbx" && *value == Label::OTHER));
        for ((entry, samples), metrics) in entries.iter().zip(group.samples()).zip(&mut metrics) {
            let shown = samples.iter().filter(|sample| shows_zeros || !sample.is_zero());
            metrics.extend(shown.map(|sample| metric(entry, labels, sample)));
        }
    }
    let filled = entries.iter().zip(metrics).filter(|(_, metrics)| !metrics.is_empty());
    filled.map(|(entry, metrics)| family(entry, what, metrics)).collect()
}

fn family(entry: &Entry, what: &str, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(entry.name_of(what));
    family.set_help(entry.help.clone());
    family.set_field_type(match entry.kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram => MetricType::HISTOGRAM,
    });
    family.set_metric(metrics);
    family
}

fn metric(entry: &Entry, labels: &[(&'static str, &str)], sample: &Sample) -> Metric {
    let own = sample.labels.iter().map(|(name, value)| label(name, value));
    let mut metric = Metric::from_label(labels.iter().map(|(name, value)| label(name, value)).chain(own).collect());
    match (&sample.value, entry.kind) {
        (Value::Number(number), Kind::Counter) => {
            let mut counter = proto::Counter::default();
            counter.set_value(*number);
            metric.set_counter(counter);
        }
        (Value::Number(number), _) => {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(*number);
            metric.set_gauge(gauge);
        }
        (Value::Distribution { counts, sum }, _) => metric.set_histogram(histogram(entry.bounds, counts, *sum)),
    }
    metric
}

fn histogram(bounds: &[f64], counts: &[u64], sum: f64) -> proto::Histogram {
    let mut cumulative = 0;
    let buckets = bounds.iter().zip(counts).map(|(bound, count)| {
        cumulative += count;
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(cumulative);
        bucket
    });
    let mut histogram = proto::Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(counts.iter().sum());
    histogram.set_sample_sum(sum);
    histogram
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::flow::Transport;
    use crate::metrics::{CodeLabel, DelayResult, Dir, MessageKind, MethodLabel};
    use crate::time::{PacketTime, Span};
    use crate::track::vocabulary::{Outcome, PeerClass, RegistrationState, Severity};

    fn text(snapshot: Snapshot) -> String {
        String::from_utf8(snapshot.to_text().expect("valid families")).expect("text")
    }

    #[test]
    fn samples_carry_their_labels_and_the_pbx() {
        let mut snapshot = Snapshot::default();
        snapshot.pbxs[0].tally.message(MessageKind::Request(MethodLabel::Invite), Dir::In, Transport::Udp);
        snapshot.pbxs[0].tally.message(MessageKind::Response(CodeLabel::of(Some(299))), Dir::Out, Transport::Tcp);
        snapshot.pbxs[0].tally.session_outcome(Dir::In, PeerClass::Endpoint, Outcome::NoResponse, None);
        snapshot.pbxs[0].tally.findings("peer-lagged", Severity::Warning, 1);
        snapshot.pbxs[0].gauges.registrations.set(RegistrationState::Registered, 3.0);
        snapshot.tool.set_last_packet(PacketTime::from_parts(1_769_850_000, 500_000_000));
        let text = text(snapshot);
        for line in [
            r#"siphound_messages_total{pbx="default",method="INVITE",dir="in",transport="udp"} 1"#,
            r#"siphound_messages_total{pbx="default",code="other",dir="out",transport="tcp"} 1"#,
            r#"siphound_session_outcomes_total{pbx="default",dir="in",peer_class="endpoint",outcome="no_response",code="none"} 1"#,
            r#"siphound_findings_total{pbx="default",finding="peer-lagged",severity="warning"} 1"#,
            r#"siphound_registrations{pbx="default",state="registered"} 3"#,
            "siphound_capture_last_packet_timestamp_seconds 1769850000.5",
            "# TYPE siphound_messages_total counter",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn buckets_are_cumulative_and_end_with_the_count() {
        let mut snapshot = Snapshot::default();
        for millis in [50, 200, 60_000] {
            snapshot.pbxs[0].tally.request_delay(Dir::In, DelayResult::Success, Span::from_millis(millis));
        }
        let text = text(snapshot);
        let series = r#"siphound_session_request_delay_seconds_bucket{pbx="default",dir="in",result="success",le="#;
        let counts: Vec<_> = text.lines().filter_map(|line| line.strip_prefix(series)).collect();
        assert_eq!(counts[0], r#""0.1"} 1"#);
        assert_eq!(counts[1], r#""0.25"} 2"#);
        assert_eq!(counts.last(), Some(&r#""+Inf"} 3"#));
        assert!(text.contains(r#"siphound_session_request_delay_seconds_sum{pbx="default",dir="in",result="success"} 60.25"#));
    }

    #[test]
    fn families_without_series_are_left_out() {
        let text = text(Snapshot::default());
        for absent in ["siphound_messages_total", "siphound_post_dial_delay_seconds", "siphound_registrations", "siphound_findings_active"]
        {
            assert!(!text.contains(&format!("# TYPE {absent} ")), "{absent}");
        }
        assert!(text.contains(&format!("siphound_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))));
        assert!(text.contains(r#"siphound_qualify_probes_total{pbx="default",result="lost"} 0"#));
    }
}
