//! Everything that is counted, as OpenMetrics. The counters are plain atomics, read when somebody asks.

mod disk;
mod process;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use ringside_embedded::EmbeddedLog;
use ringside_gateway::{AUTH_REFUSAL_REASONS, REFUSAL_REASONS};
use ringside_ports::{EngineError, Log as _};
use ringside_types::histogram::BOUNDS_US;
use ringside_types::{Histogram, HistogramSnapshot, PartitionId, Topic};
use tokio::sync::Mutex;

use crate::{audit, logging};

use disk::{DataDisk, Figures};

use super::edge::Edge;
use super::engines::DataFolder;
use super::observe::Observer;
use super::pipeline::Pipeline;
use super::watch::Readiness;
use ringside_http::ConnectionTable;

/// What is said of a figure that goes up and down begins so; all others only grow.
const GAUGE: &str = "Gauge: ";

/// Name, meaning, value.
type Figure = (&'static str, &'static str, u64);
type Shard = (Arc<ringside_reactor::Counters>, Arc<ringside_gateway::Counters>);

/// What `/metrics` answers with.
pub(super) struct Metrics {
    registry: Registry,
    log: EmbeddedLog,
    processors: Arc<ringside_message::processor::Counters>,
    waiting: Arc<AtomicU64>,
    disk: Arc<DataDisk>,
    last: Mutex<Option<(Instant, Bytes)>>,
}

impl Metrics {
    /// Over all parts, which have been started.
    pub(super) fn new(
        folder: &DataFolder,
        pipeline: &Pipeline,
        edge: &Edge,
        ready: &Readiness,
        ports: [(&'static str, &Arc<ConnectionTable>); 3],
        observer: &Observer,
    ) -> Self {
        let waiting = Arc::<AtomicU64>::default();
        let parts = Parts {
            shards: edge.counters().collect(),
            bridge: edge.seated(),
            processors: pipeline.counters.clone(),
            engine: folder.engine.clone(),
            ready: ready.clone(),
            ports: ports.map(|(name, connections)| (name, connections.clone())),
            waiting: waiting.clone(),
            audit: observer.audit().counters().clone(),
        };
        let disk = Arc::new(DataDisk::of(folder.path()));
        let mut registry = Registry::default();
        registry.register_collector(Box::new(process::Process::started()));
        registry.register_collector(Box::new(Figures(disk.clone())));
        let own = registry.sub_registry_with_prefix("ringside");
        own.register_collector(Box::new(parts));
        observer.register(own);
        let (log, processors) = (folder.engine.log(), pipeline.counters.clone());
        Self { registry, log, processors, waiting, disk, last: Mutex::default() }
    }

    /// All figures, as text. Who waits while it is made for another gets the next one, which is made once for all.
    pub(super) async fn text(&self) -> Bytes {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        if let Some((_, text)) = last.as_ref().filter(|(made, _)| *made >= asked) {
            return text.clone();
        }
        let made = Instant::now();
        let text = Bytes::from(self.make().await);
        *last = Some((made, text.clone()));
        text
    }

    async fn make(&self) -> String {
        match self.waiting().await {
            Ok(waiting) => self.waiting.store(waiting, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "how much waits in the log can't be told"),
        }
        self.disk.measure().await;
        let mut text = String::new();
        // Writing into a string can't fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }

    /// Records of the log that no processor has committed.
    async fn waiting(&self) -> Result<u64, EngineError> {
        // The position first: it never passes an end that is read later.
        let position = self.processors.position.load(Ordering::Relaxed);
        let mut end: u64 = 0;
        for partition in (0..self.log.partitions(Topic::MessagesSend)).map(PartitionId) {
            end += self.log.bounds(Topic::MessagesSend, partition).await?.end.0;
        }
        Ok(end.saturating_sub(position))
    }
}

struct Parts {
    shards: Vec<Shard>,
    bridge: Arc<ringside_node::Counters>,
    processors: Arc<ringside_message::processor::Counters>,
    engine: ringside_embedded::Engine,
    ready: Readiness,
    ports: [(&'static str, Arc<ConnectionTable>); 3],
    waiting: Arc<AtomicU64>,
    audit: Arc<audit::Counters>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}

impl Collector for Parts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let ready = ("ready", "Gauge: 1 while everything answers.", u64::from(self.ready.is_ready()));
        part("", &[ready], encoder)?;
        part(
            "log",
            &[("suppressed_lines", "Lines left out: too many of one kind.", logging::suppressed())],
            encoder,
        )?;
        let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let written = ("entries", "Entries written to the audit log.", read(&self.audit.entries));
        let lost = ("lost", "Entries of the audit log that could not be written.", read(&self.audit.lost));
        part("audit", &[written, lost], encoder)?;
        for (name, connections) in &self.ports {
            let held = ("connections", "Gauge: connections held.", connections.held() as u64);
            let displaced = ("evicted", "Connections that gave way to others.", connections.evictions());
            part(name, &[held, displaced], encoder)?;
        }
        part("bridge", &self.bridge.named(), encoder)?;
        part("processor", &processor_figures(&self.processors, &self.waiting), encoder)?;
        part("engine", &engine_figures(self.engine.counters()), encoder)?;
        self.of_shards("reactor", |shard| shard.0.snapshot().named(), encoder)?;
        self.of_shards("gateway", |shard| shard.1.named(), encoder)?;
        let help = "Handshakes refused, by the reason";
        self.refusals("gateway_refused", help, &REFUSAL_REASONS, |gateway| &gateway.refused, encoder)?;
        let help = "Fresh tokens of open connections refused, by the reason";
        let reasons = &AUTH_REFUSAL_REASONS;
        self.refusals("gateway_auth_refused", help, reasons, |gateway| &gateway.auth_refused, encoder)?;
        let lag = Duration::from_millis(read(&self.processors.lag_ms));
        let help = "Age of the last record applied when its batch was committed";
        let metric = encoder.encode_descriptor("processor_lag_seconds", help, None, MetricType::Gauge)?;
        ConstGauge::new(lag.as_secs_f64()).encode(metric)?;
        let of_process = |histogram: &Histogram| vec![(None, histogram.snapshot())];
        durations(
            "processor_commit_seconds",
            "From a record's time in the log to its commit in the store.",
            &of_process(&self.processors.commit_seconds),
            encoder,
        )?;
        durations(
            "engine_write_seconds",
            "Making a batch durable: writing, syncing, applying.",
            &of_process(&self.engine.counters().write_seconds),
            encoder,
        )?;
        durations(
            "bridge_receive_seconds",
            "From a record's time in the edge's part of the log to reading it there.",
            &of_process(&self.bridge.receive_seconds),
            encoder,
        )?;
        let of_shards = |which: fn(&ringside_gateway::Counters) -> &Histogram| -> Vec<_> {
            let shards = self.shards.iter().enumerate();
            shards.map(|(shard, (_, gateway))| (Some(shard), which(gateway).snapshot())).collect()
        };
        durations(
            "gateway_ack_seconds",
            "From taking a command to queueing its acknowledgement.",
            &of_shards(|gateway| &gateway.ack_seconds),
            encoder,
        )?;
        durations(
            "gateway_delivery_seconds",
            "From a record's time in the log to queueing it for a member, once for each.",
            &of_shards(|gateway| &gateway.delivery_seconds),
            encoder,
        )
    }
}

impl Parts {
    /// What each shard refused, by reason.
    fn refusals(
        &self,
        name: &str,
        help: &str,
        reasons: &[&str],
        counts: fn(&ringside_gateway::Counters) -> &[AtomicU64],
        encoder: &mut DescriptorEncoder<'_>,
    ) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (shard, (_, gateway)) in self.shards.iter().enumerate() {
            for (reason, count) in reasons.iter().zip(counts(gateway)) {
                let labels = [("shard", shard.to_string()), ("reason", (*reason).to_owned())];
                ConstCounter::new(count.load(Ordering::Relaxed)).encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn of_shards(
        &self,
        part: &str,
        figures: impl Fn(&Shard) -> Vec<Figure>,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> fmt::Result {
        let shards: Vec<Vec<Figure>> = self.shards.iter().map(figures).collect();
        let Some(first) = shards.first() else { return Ok(()) };
        for (index, (name, help, _)) in first.iter().enumerate() {
            let values: Vec<_> =
                shards.iter().enumerate().map(|(shard, figures)| (Some(shard), figures[index].2)).collect();
            encode(&format!("{part}_{name}"), help, &values, encoder)?;
        }
        Ok(())
    }
}

/// The figures of a part that there is once.
fn part(part: &str, figures: &[Figure], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    for (name, help, value) in figures {
        let full = if part.is_empty() { (*name).to_owned() } else { format!("{part}_{name}") };
        encode(&full, help, &[(None, *value)], encoder)?;
    }
    Ok(())
}

fn encode(
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

fn durations(
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

fn processor_figures(counters: &ringside_message::processor::Counters, waiting: &AtomicU64) -> Vec<Figure> {
    let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
    vec![
        ("records", "Records applied.", read(&counters.records)),
        ("messages", "Messages stored.", read(&counters.messages)),
        ("batches", "Batches committed.", read(&counters.batches)),
        ("rejections", "Messages rejected after their acknowledgement.", read(&counters.rejections)),
        ("dead", "Records that could not be processed.", read(&counters.dead)),
        ("replays", "Times that a partition was opened anew after a failure.", read(&counters.replays)),
        ("waiting", "Gauge: records of the log that are not committed yet.", read(waiting)),
    ]
}

fn engine_figures(counters: &ringside_embedded::Counters) -> Vec<Figure> {
    let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
    vec![
        ("batches", "Batches written.", read(&counters.batches)),
        ("requests", "Requests in those batches.", read(&counters.requests)),
        ("records", "Records appended to the log.", read(&counters.records)),
        ("record_bytes", "Bytes of those records.", read(&counters.record_bytes)),
        ("rows", "Rows written.", read(&counters.rows)),
        ("trimmed", "Records removed from the log for their age.", read(&counters.trimmed)),
        ("tail_reads", "Reads of the log that memory answered.", read(&counters.tail_reads)),
        ("cold_reads", "Reads of the log that went to the disk.", read(&counters.cold_reads)),
    ]
}
