//! From a snapshot of numbers to the text that Prometheus reads.
//!
//! The numbers are gathered elsewhere, so no registry is involved: the families are handed to the encoder as they are.

use prometheus::proto::{self, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};

use super::catalog::{CaptureTally, Entry, Families, Gauges, HistoryTally, OutputTally, Owner, Tally, VersionLabel};
use super::family::{Kind, Sample, Value};

/// The media type of the exposition.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The name of a PBX that the configuration does not name.
const PBX: &str = "default";

/// All numbers at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What the engine counted.
    pub tally: Tally,
    /// What the capture counted.
    pub capture: CaptureTally,
    /// What is kept on disk.
    pub history: HistoryTally,
    /// What the outputs counted.
    pub outputs: OutputTally,
    /// How things stand.
    pub gauges: Gauges,
}

impl Snapshot {
    /// The exposition, families without series left out. Fails only where the encoder does, which it does not on valid families.
    pub fn to_text(self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.into_families(), &mut text)?;
        Ok(text)
    }

    /// The families that have series, by name.
    pub(super) fn into_families(mut self) -> Vec<MetricFamily> {
        self.gauges.build_info.set(VersionLabel(env!("CARGO_PKG_VERSION")), 1.0);
        let mut families = families(&self.tally);
        families.extend(self::families(&self.capture));
        families.extend(self::families(&self.history));
        families.extend(self::families(&self.outputs));
        families.extend(self::families(&self.gauges));
        families.sort_by(|a, b| a.name().cmp(b.name()));
        families
    }
}

fn families<F: Families>(group: &F) -> Vec<MetricFamily> {
    F::entries()
        .iter()
        .zip(group.samples())
        .filter(|(_, samples)| !samples.is_empty())
        .map(|(entry, samples)| family(entry, &samples))
        .collect()
}

fn family(entry: &Entry, samples: &[Sample]) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(entry.name.to_owned());
    family.set_help(entry.help.clone());
    family.set_field_type(match entry.kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram => MetricType::HISTOGRAM,
    });
    family.set_metric(samples.iter().map(|sample| metric(entry, sample)).collect());
    family
}

fn metric(entry: &Entry, sample: &Sample) -> Metric {
    let pbx = (entry.owner == Owner::Pbx).then_some(("pbx", PBX));
    let mut metric = Metric::from_label(pbx.iter().chain(&sample.labels).map(|(name, value)| label(name, value)).collect());
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
        snapshot.tally.message(MessageKind::Request(MethodLabel::Invite), Dir::In, Transport::Udp);
        snapshot.tally.message(MessageKind::Response(CodeLabel::of(Some(299))), Dir::Out, Transport::Tcp);
        snapshot.tally.session_outcome(Dir::In, PeerClass::Endpoint, Outcome::NoResponse, None);
        snapshot.tally.findings("peer-lagged", Severity::Warning, 1);
        snapshot.gauges.registrations.set(RegistrationState::Registered, 3.0);
        snapshot.gauges.set_last_packet(PacketTime::from_parts(1_769_850_000, 500_000_000));
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
            snapshot.tally.request_delay(Dir::In, DelayResult::Success, Span::from_millis(millis));
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
