//! The descriptions of metric families.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;

/// A metric family: its name, its labels and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// The name; that of a counter is without `_total`, which the encoder adds.
    name: &'static str,
    /// How its values change.
    pub kind: Type,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// One sentence without a full stop.
    pub help: &'static str,
}

/// The type of a metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Grows until the process ends.
    Counter,
    /// Any value.
    Gauge,
    /// Counts of observations in buckets, and their sum.
    Histogram,
}

impl Type {
    /// The name in the exposition format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Family {
    pub(super) const fn new(
        kind: Type,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, kind, labels, help }
    }

    /// The name in queries. A histogram has `_bucket`, `_sum` and `_count` after it.
    #[must_use]
    pub fn query_name(&self) -> String {
        let suffix = if self.kind == Type::Counter { "_total" } else { "" };
        format!("{}{suffix}", self.name)
    }

    /// Writes the header; the series follow with what it returns.
    pub(super) fn start<'a>(&self, encoder: &'a mut DescriptorEncoder<'_>) -> Result<Series<'a>, fmt::Error> {
        let kind = match self.kind {
            Type::Counter => MetricType::Counter,
            Type::Gauge => MetricType::Gauge,
            Type::Histogram => MetricType::Histogram,
        };
        // With the full stop that `Registry` adds.
        let help = format!("{}.", self.help);
        // The encoder borrows the name as long as the help.
        encoder.encode_descriptor(self.name, &help, None, kind).map(Series)
    }
}

/// Writes the series of a family.
pub(super) struct Series<'a>(MetricEncoder<'a>);

impl Series<'_> {
    pub(super) fn counter(&mut self, labels: &impl EncodeLabelSet, value: u64) -> fmt::Result {
        self.0.encode_family(labels)?.encode_counter(&value, NO_EXEMPLAR)
    }

    pub(super) fn float_counter(&mut self, value: f64) -> fmt::Result {
        self.0.encode_counter(&value, NO_EXEMPLAR)
    }

    pub(super) fn gauge(&mut self, labels: &impl EncodeLabelSet, value: u64) -> fmt::Result {
        self.0.encode_family(labels)?.encode_gauge(&value)
    }

    /// The only series of a family without labels.
    pub(super) fn only_counter(&mut self, value: u64) -> fmt::Result {
        self.0.encode_counter(&value, NO_EXEMPLAR)
    }

    /// The only series of a family without labels.
    pub(super) fn only_gauge(&mut self, value: u64) -> fmt::Result {
        self.0.encode_gauge(&value)
    }

    pub(super) fn float_gauge(&mut self, value: f64) -> fmt::Result {
        self.0.encode_gauge(&value)
    }

    /// The only series of a family without labels.
    pub(super) fn only_histogram(&mut self, sum: f64, buckets: &[(f64, u64)]) -> fmt::Result {
        let count = buckets.iter().map(|(_, count)| count).sum();
        self.0.encode_histogram::<NoLabelSet>(sum, count, buckets, None)
    }

    pub(super) fn histogram(&mut self, labels: &impl EncodeLabelSet, sum: f64, buckets: &[(f64, u64)]) -> fmt::Result {
        let count = buckets.iter().map(|(_, count)| count).sum();
        self.0.encode_family(labels)?.encode_histogram::<NoLabelSet>(sum, count, buckets, None)
    }
}

const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, u64>> = None;
