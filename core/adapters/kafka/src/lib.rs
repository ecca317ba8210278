//! The log on Kafka.
//!
//! * [`KafkaLog`]: the port [`ringside_ports::Log`] over a cluster of brokers.
//! * [`topics`]: what Ringside's topics are, how they are made, and what is wrong with those that are there.

#![warn(missing_docs)]

mod client;
mod config;
mod cursor;
mod error;
mod groups;
mod log;
mod partition;
mod producer;
pub mod topics;

pub use config::{Config, Partitions, Secret};
pub use error::OpenError;
pub use log::KafkaLog;
