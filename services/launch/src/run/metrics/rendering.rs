//! Figures as OpenMetrics: what each of them is, and its value for the process or for every shard.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use ringside_types::HistogramSnapshot;
use ringside_types::histogram::BOUNDS_US;

use crate::engines::Figure;

/// What is said of a figure that goes up and down begins so; all others only grow.
const GAUGE: &str = "Gauge: ";

/// The figures of a part that there is once.
pub(super) fn part(part: &str, figures: &[Figure], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    for (name, help, value) in figures {
        let full = if part.is_empty() { (*name).to_owned() } else { format!("{part}_{name}") };
        encode(&full, help, &[(None, *value)], encoder)?;
    }
    Ok(())
}

pub(super) fn encode(
    full: &str,
    help: &str,
    values: &[(Option<usize>, u64)],
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let is_gauge = help.trim().starts_with(GAUGE);
    let kind = if is_gauge { MetricType::Gauge } else { MetricType::Counter };
    let metric = encoder.encode_descriptor(full, &sentence(help), None, kind)?;
    each(metric, values, |encoder, value| {
        if is_gauge {
            ConstGauge::new(i64::try_from(*value).unwrap_or(i64::MAX)).encode(encoder)
        } else {
            ConstCounter::new(*value).encode(encoder)
        }
    })
}

pub(super) fn durations(
    full: &str,
    help: &str,
    values: &[(Option<usize>, HistogramSnapshot)],
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let metric = encoder.encode_descriptor(full, &sentence(help), None, MetricType::Histogram)?;
    each(metric, values, |mut encoder, histogram| {
        let bounds = BOUNDS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(histogram.buckets).collect();
        let sum = histogram.sum_us as f64 / 1e6;
        encoder.encode_histogram::<NoLabelSet>(sum, histogram.count(), &buckets, None)
    })
}

/// Writes the one value of the process, or each shard's with its number.
fn each<V>(
    mut metric: MetricEncoder<'_>,
    values: &[(Option<usize>, V)],
    write: impl Fn(MetricEncoder<'_>, &V) -> fmt::Result,
) -> fmt::Result {
    if let [(None, value)] = values {
        return write(metric, value);
    }
    for (shard, value) in values {
        let labels = [("shard", shard.unwrap_or_default().to_string())];
        write(metric.encode_family(&labels)?, value)?;
    }
    Ok(())
}

/// A line of documentation as HELP has it: the encoder ends it with a full stop, and TYPE says what is a gauge.
fn sentence(help: &str) -> String {
    let help = help.trim().trim_end_matches('.');
    let help = help.strip_prefix(GAUGE).unwrap_or(help);
    let mut letters = help.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
