//! Which server a listener hears which channel on: what it wishes, brought about again and again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, Value};
use ringside_ports::EngineError;
use ringside_ports::bus::{BusKey, KEYS_MAX};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::ear::{Ear, Pushed, PushedState};
use crate::config::Address;
use crate::failure::{Refused, unavailable, words_of};
use crate::keys;
use crate::link::pause;
use crate::nodes::Nodes;
use crate::slots::slot_of;

/// A connection that gives no sign for this long and the time limit of a call is given up.
const PING_EVERY: Duration = Duration::from_secs(5);
/// Channels in one pipeline.
const CHANNELS_AT_ONCE: usize = 1_000;
/// How often a change follows channels that have moved, before it is left to the next attempt.
const ROUNDS_MAX: u32 = 3;

/// What a listener wishes.
#[derive(Debug)]
pub(super) enum Change {
    Subscribe(Vec<BusKey>),
    Unsubscribe(Vec<BusKey>),
}

type Answer = oneshot::Sender<Result<(), EngineError>>;

/// A listener's wishes and connections. Its task alone has it.
pub(super) struct Subscriptions {
    nodes: Nodes,
    prefix: Arc<str>,
    ear: Arc<Ear>,
    /// The channels wished for, and whether each was heard before: then it was interrupted when it is not.
    wished: HashMap<String, bool>,
    heard: BTreeMap<Address, Heard>,
    failures: u32,
    /// When what is missing is tried again.
    retry_at: Option<Instant>,
}

/// A connection, and the channels that its server has confirmed.
struct Heard {
    connection: MultiplexedConnection,
    channels: HashSet<String>,
    state: Arc<PushedState>,
}

impl Subscriptions {
    pub(super) fn new(nodes: Nodes, prefix: Arc<str>, ear: Arc<Ear>) -> Self {
        let (wished, heard) = (HashMap::new(), BTreeMap::new());
        Self { nodes, prefix, ear, wished, heard, failures: 0, retry_at: None }
    }

    /// Until the listener is dropped.
    pub(super) async fn run(mut self, mut changes: mpsc::Receiver<(Change, Answer)>) {
        let mut pings = interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ear = Arc::clone(&self.ear);
        loop {
            let retry_at = self.retry_at;
            tokio::select! {
                change = changes.recv() => {
                    let Some((change, answer)) = change else { return };
                    let changed = self.change(change).await;
                    // Who does not wait any more, hears it all the same.
                    let _ = answer.send(changed);
                }
                () = ear.broken.notified() => { let _ = self.bring_about().await; }
                () = async { match retry_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                } } => { let _ = self.bring_about().await; }
                _ = pings.tick() => self.ping().await,
            }
        }
    }

    async fn change(&mut self, change: Change) -> Result<(), EngineError> {
        match change {
            Change::Subscribe(keys) => {
                let channels = keys.into_iter().map(|key| keys::channel(&self.prefix, key));
                let new: HashSet<String> =
                    channels.filter(|channel| !self.wished.contains_key(channel)).collect();
                if self.wished.len() + new.len() > KEYS_MAX {
                    return Err(unavailable("a listener can't hear so many keys"));
                }
                self.wished.extend(new.into_iter().map(|channel| (channel, false)));
            }
            Change::Unsubscribe(keys) => {
                for key in keys {
                    self.wished.remove(&keys::channel(&self.prefix, key));
                }
            }
        }
        self.bring_about().await
    }

    /// Hears what is wished for and nothing else; what fails is tried again later.
    async fn bring_about(&mut self) -> Result<(), EngineError> {
        let mut outcome = self.bring_about_once().await;
        for _ in 1..ROUNDS_MAX {
            let Ok(false) = outcome else { break };
            outcome = self.bring_about_once().await;
        }
        match outcome {
            Ok(true) => {
                (self.failures, self.retry_at) = (0, None);
                return Ok(());
            }
            Ok(false) => {}
            Err(_) => self.nodes.doubt_map(),
        }
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(Instant::now() + pause(self.failures));
        Err(match outcome {
            Err(cause) => {
                tracing::warn!(cause, "a listener of the bus does not hear all that it should");
                unavailable(cause)
            }
            Ok(_) => unavailable("channels of the bus are moving"),
        })
    }

    /// True: all is heard. False: something has moved to where it must be asked for again.
    async fn bring_about_once(&mut self) -> Result<bool, String> {
        self.heard.retain(|_, heard| !heard.state.is_broken.load(Ordering::Acquire));
        let map = self.nodes.sure_map().await?;
        let mut of_server: BTreeMap<Address, BTreeSet<String>> = BTreeMap::new();
        let mut cause = None;
        for channel in self.wished.keys() {
            match map.owner(slot_of(channel.as_bytes())) {
                Some(address) => {
                    of_server.entry((**address).clone()).or_default().insert(channel.clone());
                }
                None => cause = Some(String::from("no server has the slot of a channel")),
            }
        }
        // A connection that has nothing to hear any more goes.
        self.heard.retain(|address, _| of_server.contains_key(address));
        let mut is_whole = true;
        for (address, channels) in of_server {
            match self.hear_at(&address, &channels).await {
                Ok(whole) => is_whole &= whole,
                Err(error) => {
                    self.heard.remove(&address);
                    cause = Some(format!("{address}: {error}"));
                }
            }
        }
        match cause {
            Some(cause) => Err(cause),
            None => Ok(is_whole),
        }
    }

    /// Hears these channels at a server, and no others.
    async fn hear_at(&mut self, address: &Address, wished: &BTreeSet<String>) -> Result<bool, String> {
        if !self.heard.contains_key(address) {
            let made = self.connect(address).await?;
            self.heard.insert(address.clone(), made);
        }
        let limit = self.nodes.timeout();
        let Some(heard) = self.heard.get_mut(address) else { return Ok(false) };
        let leave: Vec<String> = heard.channels.iter().filter(|it| !wished.contains(*it)).cloned().collect();
        for some in leave.chunks(CHANNELS_AT_ONCE) {
            heard.state.leaving().extend(some.iter().cloned());
            ask(heard, "SUNSUBSCRIBE", some, limit).await?;
        }
        heard.channels.retain(|channel| wished.contains(channel));
        let enter: Vec<String> = wished.iter().filter(|it| !heard.channels.contains(*it)).cloned().collect();
        let (mut is_whole, mut is_heard_again) = (true, false);
        for some in enter.chunks(CHANNELS_AT_ONCE) {
            let replies = ask(heard, "SSUBSCRIBE", some, limit).await?;
            for (channel, reply) in some.iter().zip(replies) {
                let Value::ServerError(error) = reply else {
                    heard.channels.insert(channel.clone());
                    let was_heard = self.wished.insert(channel.clone(), true);
                    is_heard_again |= was_heard == Some(true);
                    continue;
                };
                match Refused::of(&error, address) {
                    Refused::Moved(slot, owner) => self.nodes.moved(slot, owner),
                    Refused::For(error) => return Err(error.to_string()),
                    _ => self.nodes.doubt_map(),
                }
                is_whole = false;
            }
        }
        if is_heard_again {
            self.ear.interrupt();
        }
        Ok(is_whole)
    }

    async fn connect(&self, address: &Address) -> Result<Heard, String> {
        let state = Arc::new(PushedState::default());
        let pushed = Pushed { ear: Arc::clone(&self.ear), state: Arc::clone(&state) };
        let client = self.nodes.dialing().client(address).map_err(|error| words_of(&error))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_push_sender(pushed);
        let made = client.get_multiplexed_async_connection_with_config(&config);
        match timeout(self.nodes.dialing().connect_timeout, made).await {
            Ok(Ok(connection)) => Ok(Heard { connection, channels: HashSet::new(), state }),
            Ok(Err(error)) => Err(words_of(&error)),
            Err(_) => Err("it could not be reached in time".into()),
        }
    }

    /// A server that went without a word is found by its silence.
    async fn ping(&mut self) {
        let limit = self.nodes.timeout();
        let mut is_broken = false;
        for (address, heard) in &mut self.heard {
            if let Err(cause) = ask(heard, "PING", &[], limit).await {
                tracing::warn!(server = %address, cause, "a connection of the bus is given up");
                heard.state.is_broken.store(true, Ordering::Release);
                is_broken = true;
            }
        }
        if is_broken {
            let _ = self.bring_about().await;
        }
    }
}

/// Sends a command for each channel, or one alone, at once; the replies are in order.
async fn ask(
    heard: &mut Heard,
    command: &str,
    channels: &[String],
    limit: Duration,
) -> Result<Vec<Value>, String> {
    let mut pipeline = Pipeline::with_capacity(channels.len().max(1));
    for channel in channels {
        pipeline.cmd(command).arg(channel);
    }
    if channels.is_empty() {
        pipeline.cmd(command);
    }
    let sent = heard.connection.send_packed_commands(&pipeline, 0, pipeline.len());
    match timeout(limit, sent).await {
        Ok(Ok(replies)) if replies.len() == pipeline.len() => Ok(replies),
        Ok(Ok(_)) => Err("another number of replies than of commands".into()),
        Ok(Err(error)) => Err(words_of(&error)),
        Err(_) => Err("no reply in time".into()),
    }
}
