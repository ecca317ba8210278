//! What the client says by itself, and calls of it that wait.

use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use ringside_ports::EngineError;
use tokio::sync::Semaphore;

use crate::error::{of_kafka, unavailable};

/// Calls that wait for brokers at once; each holds a thread.
const CALLS_MAX: usize = 16;

/// Takes the client's own words into the log of this process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told;

impl ClientContext for Told {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => tracing::error!(facility, "kafka: {text}"),
            RDKafkaLogLevel::Warning => tracing::warn!(facility, "kafka: {text}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(facility, "kafka: {text}"),
            RDKafkaLogLevel::Debug => tracing::debug!(facility, "kafka: {text}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, "kafka: {reason}");
    }
}

impl ConsumerContext for Told {}

/// Runs calls that block, a bounded number of them at once.
#[derive(Debug)]
pub(crate) struct Calls(Semaphore);

impl Default for Calls {
    fn default() -> Self {
        Self(Semaphore::new(CALLS_MAX))
    }
}

impl Calls {
    /// Runs one; `within` is how long it may wait for its turn.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        within: Duration,
        call: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let turn = tokio::time::timeout(within, self.0.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(unavailable("too many calls wait for brokers")) };
        match tokio::task::spawn_blocking(call).await {
            Ok(answer) => answer.map_err(of_kafka),
            Err(ended) => Err(unavailable(ended.to_string())),
        }
    }
}
