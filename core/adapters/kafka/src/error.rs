//! How Kafka's errors are told.

use rdkafka::error::KafkaError;
use ringside_ports::EngineError;

const ENGINE: &str = "kafka";

/// Why the log can't be opened, or its topics not be made. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No broker answers.
    #[error(
        "no Kafka broker answers at {brokers}: {cause}. Check that the brokers run, that `kafka.brokers` names them, \
         and that they advertise addresses which this machine can reach (`advertised.listeners`)"
    )]
    Unreachable {
        /// Those that were asked.
        brokers: String,
        /// In the client's words.
        cause: String,
    },
    /// The client refuses its settings.
    #[error("the Kafka client can't be set up: {0}. Check the table `kafka` of the configuration")]
    Client(String),
    /// Topics are not there.
    #[error("the Kafka topics {0} are not there: run `ringside init`, which makes them")]
    Missing(String),
    /// A topic can't be made.
    #[error("the Kafka topic {topic} can't be made: {cause}")]
    Refused {
        /// Its name in the cluster.
        topic: String,
        /// In the broker's words.
        cause: String,
    },
    /// Topics are other than they must be; what was acknowledged could be lost.
    #[error("{}", .0.join("\n"))]
    Wrong(Vec<String>),
}

pub(crate) fn unavailable(cause: impl Into<String>) -> EngineError {
    EngineError::Unavailable { engine: ENGINE, cause: cause.into() }
}

pub(crate) fn damaged(cause: String) -> EngineError {
    EngineError::Damaged { engine: ENGINE, cause }
}

/// What a broker or the client says; nothing of it is known to be done.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
pub(crate) fn of_kafka(error: KafkaError) -> EngineError {
    unavailable(error.to_string())
}
