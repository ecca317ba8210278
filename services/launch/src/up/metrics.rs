//! Everything that is counted, as OpenMetrics. The counters are plain atomics, read when somebody asks.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::edge::Edge;
use super::engines::DataFolder;
use super::pipeline::Pipeline;
use super::watch::Readiness;

/// Figures that go up and down; all others only grow.
const GAUGES: [&str; 8] = ["connections", "open", "channels", "users", "epoch", "seated", "lag_ms", "ready"];

type Figures = Vec<(&'static str, u64)>;
type Shard = (Arc<ringside_reactor::Counters>, Arc<ringside_gateway::Counters>);

/// A registry over all parts.
pub(super) fn registry(folder: &DataFolder, pipeline: &Pipeline, edge: &Edge, ready: &Readiness) -> Registry {
    let engine = folder.engine.clone();
    let (bridge, processors, ready) = (edge.seated(), pipeline.counters.clone(), ready.clone());
    let parts = Parts {
        shards: edge.counters().collect(),
        process: Box::new(move || {
            let mut parts: Vec<(&str, Figures)> = vec![("", vec![("ready", u64::from(ready.is_ready()))])];
            parts.push(("bridge", bridge.named().to_vec()));
            parts.push(("processor", processor_figures(&processors)));
            parts.push(("engine", engine_figures(engine.counters())));
            parts
        }),
    };
    let mut registry = Registry::with_prefix("ringside");
    registry.register_collector(Box::new(parts));
    registry
}

struct Parts {
    shards: Vec<Shard>,
    process: Box<dyn Fn() -> Vec<(&'static str, Figures)> + Send + Sync>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}

impl Collector for Parts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (part, figures) in (self.process)() {
            for (name, value) in figures {
                let full = if part.is_empty() { name.to_owned() } else { format!("{part}_{name}") };
                encode(&mut encoder, &full, name, &[(None, value)])?;
            }
        }
        let of_reactor = |shard: &Shard| shard.0.snapshot().named();
        let of_gateway = |shard: &Shard| shard.1.named();
        self.shards_of("reactor", of_reactor, &mut encoder)?;
        self.shards_of("gateway", of_gateway, &mut encoder)
    }
}

impl Parts {
    fn shards_of(
        &self,
        part: &str,
        figures: impl Fn(&Shard) -> Figures,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> fmt::Result {
        let shards: Vec<Figures> = self.shards.iter().map(figures).collect();
        let Some(first) = shards.first() else { return Ok(()) };
        for (index, (name, _)) in first.iter().enumerate() {
            let values: Vec<_> =
                shards.iter().enumerate().map(|(shard, figures)| (Some(shard), figures[index].1)).collect();
            encode(encoder, &format!("{part}_{name}"), name, &values)?;
        }
        Ok(())
    }
}

fn encode(
    encoder: &mut DescriptorEncoder<'_>,
    full: &str,
    name: &str,
    values: &[(Option<usize>, u64)],
) -> fmt::Result {
    let is_gauge = GAUGES.contains(&name);
    let kind = if is_gauge { MetricType::Gauge } else { MetricType::Counter };
    let mut metric = encoder.encode_descriptor(full, &name.replace('_', " "), None, kind)?;
    for (shard, value) in values {
        let labels = shard.map(|shard| [("shard", shard.to_string())]);
        let encoder = match &labels {
            Some(labels) => metric.encode_family(labels)?,
            None => metric.encode_family::<[(&str, String); 0]>(&[])?,
        };
        if is_gauge {
            ConstGauge::new(i64::try_from(*value).unwrap_or(i64::MAX)).encode(encoder)?;
        } else {
            ConstCounter::new(*value).encode(encoder)?;
        }
    }
    Ok(())
}

fn processor_figures(counters: &ringside_message::processor::Counters) -> Figures {
    let read = |value: &std::sync::atomic::AtomicU64| value.load(Ordering::Relaxed);
    vec![
        ("records", read(&counters.records)),
        ("messages", read(&counters.messages)),
        ("batches", read(&counters.batches)),
        ("rejections", read(&counters.rejections)),
        ("dead", read(&counters.dead)),
        ("replays", read(&counters.replays)),
        ("lag_ms", read(&counters.lag_ms)),
    ]
}

fn engine_figures(counters: &ringside_embedded::Counters) -> Figures {
    let read = |value: &std::sync::atomic::AtomicU64| value.load(Ordering::Relaxed);
    vec![
        ("batches", read(&counters.batches)),
        ("requests", read(&counters.requests)),
        ("records", read(&counters.records)),
        ("record_bytes", read(&counters.record_bytes)),
        ("rows", read(&counters.rows)),
        ("trimmed", read(&counters.trimmed)),
        ("tail_reads", read(&counters.tail_reads)),
        ("cold_reads", read(&counters.cold_reads)),
        ("write_us", read(&counters.write_us)),
    ]
}
