//! A session with the engine: who asks, where, and how long it may take.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use scylla::client::PoolSize;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::errors::DbError;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::policies::speculative_execution::SimpleSpeculativeExecutionPolicy;
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency};

use crate::config::Config;
use crate::error::{OpenError, answer_in, of_connecting, of_statement};
use crate::statements::Statement;

/// Reads that are sent beside the first one, when it is slow.
const SPECULATIVE_READS_MAX: usize = 1;

/// How often an idle connection is asked whether it is alive, and how long it may take to say so. A node that hangs keeps its
/// connections open: until they are given up, a part of all requests goes to it first.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens a session. The engine answers, and has nodes in the data centre.
pub(crate) async fn connect(config: &Config, request_timeout: Duration) -> Result<Session, OpenError> {
    config.checked()?;
    let mut builder = SessionBuilder::new()
        .known_nodes(&config.contact_points)
        .default_execution_profile_handle(profile(config, request_timeout).into_handle())
        .connection_timeout(config.connect_timeout)
        .pool_size(PoolSize::PerHost(
            NonZeroUsize::new(config.connections_per_node).unwrap_or(NonZeroUsize::MIN),
        ))
        .schema_agreement_timeout(config.schema_timeout)
        // Token awareness needs the replication alone, not the tables of everybody.
        .keyspaces_to_fetch([&config.keyspace])
        .keepalive_interval(KEEPALIVE_INTERVAL)
        .keepalive_timeout(KEEPALIVE_TIMEOUT)
        .tcp_nodelay(true);
    let mut user = "without credentials".to_owned();
    if let Some(credentials) = &config.credentials {
        builder = builder.user(&credentials.user, &credentials.password);
        user = format!("`{}`", credentials.user);
    }
    let session = tokio::time::timeout(config.connect_timeout, builder.build());
    let session = match session.await {
        Ok(session) => session.map_err(|error| of_connecting(&error, &config.contact_points, &user))?,
        Err(_) => {
            return Err(OpenError::Unreachable {
                contact_points: config.contact_points.join(", "),
                cause: format!("no answer within {:?}", config.connect_timeout),
            });
        }
    };
    let mut known: Vec<String> = session
        .get_cluster_state()
        .get_nodes_info()
        .iter()
        .filter_map(|node| node.datacenter.clone())
        .collect();
    if known.contains(&config.datacenter) {
        return Ok(session);
    }
    known.sort_unstable();
    known.dedup();
    Err(OpenError::Datacenter { datacenter: config.datacenter.clone(), known: known.join(", ") })
}

fn profile(config: &Config, request_timeout: Duration) -> ExecutionProfile {
    let balancing = DefaultPolicy::builder()
        .prefer_datacenter(config.datacenter.clone())
        .token_aware(true)
        .permit_dc_failover(false)
        .build();
    ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .serial_consistency(Some(SerialConsistency::LocalSerial))
        .load_balancing_policy(balancing)
        // Retries are the store's own: bounded, with a budget, within the call's deadline.
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .request_timeout(Some(request_timeout))
        .build()
}

/// Prepares every statement; in the order of their numbers.
pub(crate) async fn prepare(session: &Session, config: &Config) -> Result<Vec<PreparedStatement>, OpenError> {
    let speculative = SimpleSpeculativeExecutionPolicy {
        max_retry_count: SPECULATIVE_READS_MAX,
        retry_interval: config.speculative_delay,
    };
    let writes = profile(config, config.attempt_timeout);
    let reads = writes.to_builder().speculative_execution_policy(Some(Arc::new(speculative))).build();
    let (reads, writes) = (reads.into_handle(), writes.into_handle());
    let mut prepared = Vec::with_capacity(Statement::ALL.len());
    for statement in Statement::ALL {
        let mut one =
            session.prepare(statement.text(&config.keyspace)).await.map_err(|error| {
                match answer_in(&error) {
                    Some(DbError::Invalid | DbError::SyntaxError) => {
                        OpenError::Tables { keyspace: config.keyspace.clone(), cause: error.to_string() }
                    }
                    _ => of_statement(&error),
                }
            })?;
        let handle = if statement.is_read() { &reads } else { &writes };
        one.set_execution_profile_handle(Some(handle.clone()));
        one.set_is_idempotent(true);
        one.set_page_size(config.page_rows);
        prepared.push(one);
    }
    Ok(prepared)
}
