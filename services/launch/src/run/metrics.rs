//! Everything that is counted, as OpenMetrics. The counters are plain atomics, read when somebody asks.

mod disk;
mod process;
mod rendering;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use ringside_gateway::{AUTH_REFUSAL_REASONS, REFUSAL_REASONS};
use ringside_http::ConnectionTable;
use ringside_types::Histogram;
use tokio::sync::Mutex;

use super::readiness::Readiness;
use crate::engines::{Engines, Figure};
use crate::roles::Roles;
use crate::roles::api::Observer;
use crate::roles::message::Work;
use crate::{audit, logging};
use disk::{DataDisk, Figures};
use rendering::{durations, encode, part};

type Shard = (Arc<ringside_reactor::Counters>, Arc<ringside_gateway::Counters>);
/// The ports of this process, by name.
pub(super) type NamedPorts = [(&'static str, Arc<ConnectionTable>); 3];

/// What `/metrics` answers with.
pub(super) struct Metrics {
    registry: Registry,
    processors: Work,
    waiting: Arc<AtomicU64>,
    disk: Arc<DataDisk>,
    last: Mutex<Option<(Instant, Bytes)>>,
}

impl Metrics {
    /// Over all parts, which have been started.
    pub(super) fn new(
        data: &Path,
        engines: &Engines,
        roles: &Roles,
        ready: &Readiness,
        ports: NamedPorts,
        observer: &Observer,
    ) -> Self {
        let waiting = Arc::<AtomicU64>::default();
        let processors = roles.message.work();
        let parts = Parts {
            shards: roles.edge.counters().collect(),
            node: roles.edge.node_counters(),
            processors: processors.counters.clone(),
            engines: engines.clone(),
            ready: ready.clone(),
            ports,
            waiting: waiting.clone(),
            audit: observer.audit().counters().clone(),
        };
        let disk = Arc::new(DataDisk::of(data));
        let mut registry = Registry::default();
        registry.register_collector(Box::new(process::Process::started()));
        registry.register_collector(Box::new(Figures(disk.clone())));
        let own = registry.sub_registry_with_prefix("ringside");
        own.register_collector(Box::new(parts));
        observer.register(own);
        Self { registry, processors, waiting, disk, last: Mutex::default() }
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
        match self.processors.waiting().await {
            Ok(waiting) => self.waiting.store(waiting, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "how much waits in the log can't be told"),
        }
        self.disk.measure().await;
        let mut text = String::new();
        // Writing into a string can't fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

struct Parts {
    shards: Vec<Shard>,
    node: Arc<ringside_node::Counters>,
    processors: Arc<ringside_message::processor::Counters>,
    engines: Engines,
    ready: Readiness,
    ports: NamedPorts,
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
        part("bridge", &self.node.named(), encoder)?;
        part("processor", &processor_figures(&self.processors, &self.waiting), encoder)?;
        part("engine", &self.engines.figures(), encoder)?;
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
        self.histograms(encoder)
    }
}

impl Parts {
    /// How long things took.
    fn histograms(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let of_process = |histogram: &Histogram| vec![(None, histogram.snapshot())];
        durations(
            "processor_commit_seconds",
            "From a record's time in the log to its commit in the store.",
            &of_process(&self.processors.commit_seconds),
            encoder,
        )?;
        if let Some((write, commit)) = self.engines.durations() {
            let help = "Making a group of records durable: writing and syncing.";
            durations("engine_write_seconds", help, &[(None, write)], encoder)?;
            durations("engine_commit_seconds", "A commit to the store.", &[(None, commit)], encoder)?;
        }
        durations(
            "bridge_receive_seconds",
            "From a record's time in the edge's part of the log to reading it there.",
            &of_process(&self.node.receive_seconds),
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
