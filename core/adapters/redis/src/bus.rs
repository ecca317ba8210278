//! The port [`Bus`], by sharded publish and subscribe: a channel is told on the server alone that has its slot, so that a
//! cluster carries more with more servers. A listener has connections of its own, where messages are pushed.

mod ear;
mod subscriptions;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ringside_ports::EngineError;
use ringside_ports::bus::{Bus, BusKey, BusListener, Heard, MESSAGE_BYTES_MAX};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::config::{Config, ConfigError};
use crate::counters::Counters;
use crate::failure::unavailable;
use crate::keys;
use crate::nodes::{Call, Nodes, Repeat};
use crate::presence::ITEMS_MAX;
use crate::scripts;
use ear::Ear;
use subscriptions::{Change, Subscriptions};

/// Changes of a listener's keys that wait to be made; whoever makes more waits.
const CHANGES_MAX: usize = 64;

/// Tells and listens. A clone is another handle; it connects with the first call, and by itself again.
#[derive(Clone, Debug)]
pub struct RedisBus {
    nodes: Nodes,
    prefix: Arc<str>,
}

impl RedisBus {
    /// Connects to nothing yet: [`check`](crate::check()) says whether the servers are there. Listeners need a runtime of
    /// tokio.
    ///
    /// # Errors
    /// The configuration can't be used.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        Ok(Self { nodes: Nodes::new(config)?, prefix: config.prefix.as_str().into() })
    }

    /// What was done, for metrics.
    pub fn counters(&self) -> &Counters {
        self.nodes.counters()
    }
}

impl Bus for RedisBus {
    type Listener = RedisListener;

    async fn publish(&self, messages: &[(BusKey, Bytes)]) -> Result<(), EngineError> {
        if messages.iter().any(|(_, payload)| payload.len() > MESSAGE_BYTES_MAX) {
            return Err(unavailable("a message of the bus is too large"));
        }
        for some in messages.chunks(ITEMS_MAX) {
            let mut by_key: BTreeMap<BusKey, Vec<Bytes>> = BTreeMap::new();
            for (key, payload) in some {
                by_key.entry(*key).or_default().push(payload.clone());
            }
            let call = |(key, arguments)| {
                let key = keys::channel(&self.prefix, key);
                Call { script: &scripts::PUBLISH, key, arguments }
            };
            let calls: Vec<Call> = by_key.into_iter().map(call).collect();
            self.nodes.execute(&calls, Repeat::Never).await?;
        }
        Ok(())
    }

    fn listener(&self) -> RedisListener {
        let ear = Arc::new(Ear::new(Arc::clone(&self.prefix), Arc::clone(self.nodes.counters())));
        let (changes, received) = mpsc::channel(CHANGES_MAX);
        let subscriptions =
            Subscriptions::new(self.nodes.clone(), Arc::clone(&self.prefix), Arc::clone(&ear));
        tokio::spawn(subscriptions.run(received));
        RedisListener { ear, changes, timeout: self.nodes.timeout() }
    }
}

/// Hears what it has subscribed to, until it is dropped.
#[derive(Debug)]
pub struct RedisListener {
    ear: Arc<Ear>,
    changes: mpsc::Sender<(Change, oneshot::Sender<Result<(), EngineError>>)>,
    timeout: Duration,
}

impl RedisListener {
    /// The wish stands, whether the answer comes in time or not.
    async fn change(&self, change: Change) -> Result<(), EngineError> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.changes.send((change, answer)).await.ok()?;
            answered.await.ok()
        };
        match timeout(self.timeout, asked).await {
            Ok(Some(answer)) => answer,
            Ok(None) => Err(unavailable("the listener's task has ended")),
            Err(_) => Err(unavailable("a change of subscriptions was not confirmed in time")),
        }
    }
}

impl BusListener for RedisListener {
    async fn subscribe(&mut self, keys: &[BusKey]) -> Result<(), EngineError> {
        if keys.is_empty() { Ok(()) } else { self.change(Change::Subscribe(keys.to_vec())).await }
    }

    async fn unsubscribe(&mut self, keys: &[BusKey]) -> Result<(), EngineError> {
        if keys.is_empty() { Ok(()) } else { self.change(Change::Unsubscribe(keys.to_vec())).await }
    }

    async fn hear(&mut self) -> Heard {
        self.ear.hear().await
    }
}
