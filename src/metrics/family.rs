//! Families of series as plain numbers: cheap to bump from one thread, cheap to clone for a scrape.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use super::labels::{Labels, Pair};
use crate::time::Span;

/// A family with at most this many series shows all of them from the start, so that `rate()` sees the first increment of each; a larger
/// one shows those that counted.
const SHOWN_FROM_START: usize = 16;

/// One series of a family, ready to be shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) labels: Vec<Pair>,
    pub(super) value: Value,
}

impl Sample {
    /// Whether nothing was counted in it.
    pub(super) fn is_zero(&self) -> bool {
        match &self.value {
            Value::Number(number) => *number == 0.0,
            Value::Distribution { counts, .. } => counts.iter().all(|count| *count == 0),
        }
    }
}

/// The value of a series.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A counter or a gauge.
    Number(f64),
    /// A histogram.
    Distribution {
        /// Observations in each bucket and not in the one before, the last without upper bound.
        counts: Vec<u64>,
        /// Sum of the observations.
        sum: f64,
    },
}

/// What the exposition says a family is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A label of a family and the values it can have; no values where they are not known here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct LabelValues {
    pub(super) name: &'static str,
    pub(super) values: Vec<&'static str>,
}

/// A family that can be shown.
pub(super) trait Family {
    const KIND: Kind;

    /// A family without observations; `bounds` are the upper bounds of the buckets, and empty for what is no histogram.
    fn new(bounds: &'static [f64]) -> Self;

    /// The series that have something to show.
    fn samples(&self) -> Vec<Sample>;

    /// The labels.
    fn labels() -> Vec<LabelValues>;
}

/// Counters, one for each combination of labels.
#[derive(Clone, Debug)]
pub struct Counter<L>(Box<[u64]>, PhantomData<L>);

/// Counters of time, one for each combination of labels, in nanoseconds.
#[derive(Clone, Debug)]
pub struct TimeCounter<L>(Box<[u64]>, PhantomData<L>);

/// Gauges, one for each combination of labels; one that was never set is not shown.
#[derive(Clone, Debug)]
pub struct Gauge<L>(Box<[Option<f64>]>, PhantomData<L>);

/// Histograms of times, one for each combination of labels.
#[derive(Clone, Debug)]
pub struct Histogram<L> {
    bounds: &'static [f64],
    counts: Box<[u64]>,
    sums: Box<[f64]>,
    labels: PhantomData<L>,
}

/// Label values that are names fixed in the source of other modules, such as the ids of findings; never text from the wire.
pub trait Names: Ord {
    /// The labels in the order of [`values`](Self::values).
    const LABELS: &'static [&'static str];

    /// Their values.
    fn values(&self) -> Vec<&'static str>;
}

/// Counters for each combination of names that occurred.
#[derive(Clone, Debug)]
pub struct NamedCounter<N>(BTreeMap<N, u64>);

/// Gauges for each combination of names that was set.
#[derive(Clone, Debug)]
pub struct NamedGauge<N>(BTreeMap<N, f64>);

impl<L: Labels> Counter<L> {
    /// Counts one more.
    pub fn bump(&mut self, labels: L) {
        self.add(labels, 1);
    }

    /// Counts `n` more.
    pub fn add(&mut self, labels: L, n: u64) {
        if let Some(count) = self.0.get_mut(labels.index()) {
            *count += n;
        }
    }

    /// Sets a count that is kept elsewhere.
    pub(super) fn set(&mut self, labels: L, count: u64) {
        if let Some(cell) = self.0.get_mut(labels.index()) {
            *cell = count;
        }
    }

    /// The count so far.
    pub fn get(&self, labels: L) -> u64 {
        self.0.get(labels.index()).copied().unwrap_or_default()
    }

    /// The count over all labels.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl<L: Labels> TimeCounter<L> {
    /// Counts `span` more; a negative one counts nothing.
    pub fn add(&mut self, labels: L, span: Span) {
        if let Some(nanos) = self.0.get_mut(labels.index()) {
            *nanos = nanos.saturating_add(u64::try_from(span.as_nanos()).unwrap_or_default());
        }
    }
}

impl<L: Labels> Gauge<L> {
    /// Sets the gauge.
    pub fn set(&mut self, labels: L, value: f64) {
        if let Some(cell) = self.0.get_mut(labels.index()) {
            *cell = Some(value);
        }
    }
}

impl<L: Labels> Histogram<L> {
    /// Counts one observation; a bound belongs to its bucket.
    pub fn observe(&mut self, labels: L, span: Span) {
        let series = labels.index();
        let seconds = span.as_secs_f64();
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        if let (Some(count), Some(sum)) = (self.counts.get_mut(series * (self.bounds.len() + 1) + bucket), self.sums.get_mut(series)) {
            *count += 1;
            *sum += seconds;
        }
    }

    /// How many observations there were.
    pub fn count(&self, labels: L) -> u64 {
        self.buckets(labels.index()).iter().sum()
    }

    fn buckets(&self, series: usize) -> &[u64] {
        let width = self.bounds.len() + 1;
        self.counts.get(series * width..(series + 1) * width).unwrap_or_default()
    }
}

impl<N: Names> NamedCounter<N> {
    /// Sets a count that is kept elsewhere; 0 shows the series too.
    pub(super) fn set(&mut self, names: N, count: u64) {
        self.0.insert(names, count);
    }

    /// Counts `n` more; 0 shows the series from now on.
    pub fn add(&mut self, names: N, n: u64) {
        *self.0.entry(names).or_default() += n;
    }

    /// The count so far.
    pub fn get(&self, names: &N) -> u64 {
        self.0.get(names).copied().unwrap_or_default()
    }
}

impl<N: Names> NamedGauge<N> {
    /// Sets the gauge.
    pub fn set(&mut self, names: N, value: f64) {
        self.0.insert(names, value);
    }
}

impl<L: Labels> Family for Counter<L> {
    const KIND: Kind = Kind::Counter;

    fn new(_: &'static [f64]) -> Self {
        Self(vec![0; L::COUNT].into(), PhantomData)
    }

    fn samples(&self) -> Vec<Sample> {
        let shown = self.0.iter().enumerate().filter(|(_, count)| **count > 0 || L::COUNT <= SHOWN_FROM_START);
        shown.map(|(index, count)| sample::<L>(index, Value::Number(*count as f64))).collect()
    }

    fn labels() -> Vec<LabelValues> {
        label_values::<L>()
    }
}

impl<L: Labels> Family for TimeCounter<L> {
    const KIND: Kind = Kind::Counter;

    fn new(_: &'static [f64]) -> Self {
        Self(vec![0; L::COUNT].into(), PhantomData)
    }

    fn samples(&self) -> Vec<Sample> {
        self.0.iter().enumerate().map(|(index, nanos)| sample::<L>(index, Value::Number(*nanos as f64 / 1e9))).collect()
    }

    fn labels() -> Vec<LabelValues> {
        label_values::<L>()
    }
}

impl<L: Labels> Family for Gauge<L> {
    const KIND: Kind = Kind::Gauge;

    fn new(_: &'static [f64]) -> Self {
        Self(vec![None; L::COUNT].into(), PhantomData)
    }

    fn samples(&self) -> Vec<Sample> {
        let set = self.0.iter().enumerate().filter_map(|(index, value)| Some((index, (*value)?)));
        set.map(|(index, value)| sample::<L>(index, Value::Number(value))).collect()
    }

    fn labels() -> Vec<LabelValues> {
        label_values::<L>()
    }
}

impl<L: Labels> Family for Histogram<L> {
    const KIND: Kind = Kind::Histogram;

    fn new(bounds: &'static [f64]) -> Self {
        let counts = vec![0; L::COUNT * (bounds.len() + 1)].into();
        Self { bounds, counts, sums: vec![0.0; L::COUNT].into(), labels: PhantomData }
    }

    fn samples(&self) -> Vec<Sample> {
        let observed = self.sums.iter().enumerate().filter(|(index, _)| self.buckets(*index).iter().any(|count| *count > 0));
        observed.map(|(index, sum)| sample::<L>(index, Value::Distribution { counts: self.buckets(index).to_vec(), sum: *sum })).collect()
    }

    fn labels() -> Vec<LabelValues> {
        label_values::<L>()
    }
}

impl<N: Names> Family for NamedCounter<N> {
    const KIND: Kind = Kind::Counter;

    fn new(_: &'static [f64]) -> Self {
        Self(BTreeMap::new())
    }

    fn samples(&self) -> Vec<Sample> {
        self.0.iter().map(|(names, count)| named_sample(names, *count as f64)).collect()
    }

    fn labels() -> Vec<LabelValues> {
        open_labels::<N>()
    }
}

impl<N: Names> Family for NamedGauge<N> {
    const KIND: Kind = Kind::Gauge;

    fn new(_: &'static [f64]) -> Self {
        Self(BTreeMap::new())
    }

    fn samples(&self) -> Vec<Sample> {
        self.0.iter().map(|(names, value)| named_sample(names, *value)).collect()
    }

    fn labels() -> Vec<LabelValues> {
        open_labels::<N>()
    }
}

fn sample<L: Labels>(index: usize, value: Value) -> Sample {
    let mut labels = Vec::new();
    L::pairs(index, &mut labels);
    Sample { labels, value }
}

fn named_sample<N: Names>(names: &N, value: f64) -> Sample {
    Sample { labels: N::LABELS.iter().copied().zip(names.values()).collect(), value: Value::Number(value) }
}

/// The labels of `L` in order, each with its values in order.
fn label_values<L: Labels>() -> Vec<LabelValues> {
    let mut pairs = Vec::new();
    (0..L::COUNT).for_each(|index| L::pairs(index, &mut pairs));
    let mut labels: Vec<LabelValues> = Vec::new();
    for (name, value) in pairs {
        match labels.iter_mut().find(|label| label.name == name) {
            Some(label) if label.values.contains(&value) => {}
            Some(label) => label.values.push(value),
            None => labels.push(LabelValues { name, values: vec![value] }),
        }
    }
    labels
}

fn open_labels<N: Names>() -> Vec<LabelValues> {
    N::LABELS.iter().map(|name| LabelValues { name, values: Vec::new() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::labels::{DelayResult, Dir, MessageKind};

    #[test]
    fn an_observation_on_a_bound_belongs_to_its_bucket() {
        let mut histogram = Histogram::<DelayResult>::new(&[0.1, 1.0]);
        for millis in [0, 100, 101, 1_000, 60_000] {
            histogram.observe(DelayResult::Failure, Span::from_millis(millis));
        }
        let labels = vec![("result", "failure")];
        let value = Value::Distribution { counts: vec![2, 2, 1], sum: 61.201 };
        assert_eq!(histogram.samples(), [Sample { labels, value }]);
        assert_eq!((histogram.count(DelayResult::Success), histogram.count(DelayResult::Failure)), (0, 5));
    }

    #[test]
    fn small_families_show_zeros_and_large_ones_only_what_counted() {
        assert_eq!(Counter::<Dir>::new(&[]).samples().len(), 2);
        let mut messages = Counter::<(MessageKind, Dir)>::new(&[]);
        assert!(messages.samples().is_empty());
        messages.bump((MessageKind::Response(crate::metrics::labels::CodeLabel::of(Some(200))), Dir::Out));
        assert_eq!(messages.samples()[0].labels, [("code", "200"), ("dir", "out")]);
    }

    #[test]
    fn a_gauge_that_was_never_set_is_not_shown() {
        let mut gauge = Gauge::<Dir>::new(&[]);
        assert!(gauge.samples().is_empty());
        gauge.set(Dir::In, 0.0);
        assert_eq!(gauge.samples(), [Sample { labels: vec![("dir", "in")], value: Value::Number(0.0) }]);
    }

    #[test]
    fn time_counts_in_seconds_and_never_backwards() {
        let mut counter = TimeCounter::<()>::new(&[]);
        counter.add((), Span::from_millis(1_500));
        counter.add((), Span::from_secs(-60));
        assert_eq!(counter.samples()[0].value, Value::Number(1.5));
    }
}
