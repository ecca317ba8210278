//! What comes in on the connections of a listener.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use redis::aio::{AsyncPushSender, SendError};
use redis::{PushInfo, PushKind, Value};
use ringside_ports::bus::{Backlog, Heard};
use tokio::sync::Notify;

use crate::counters::Counters;
use crate::keys;

/// Where all connections of a listener put what they hear.
#[derive(Debug)]
pub(super) struct Ear {
    prefix: Arc<str>,
    counters: Arc<Counters>,
    backlog: Mutex<Backlog>,
    news: Notify,
    /// A connection broke.
    pub(super) broken: Notify,
}

impl Ear {
    pub(super) fn new(prefix: Arc<str>, counters: Arc<Counters>) -> Self {
        let (backlog, news, broken) = (Mutex::default(), Notify::new(), Notify::new());
        Self { prefix, counters, backlog, news, broken }
    }

    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn hear(&self) -> Heard {
        loop {
            let heard = self.backlog().take();
            match heard {
                Some(heard) => return heard,
                None => self.news.notified().await,
            }
        }
    }

    /// Keys that were not heard for a while are heard again.
    pub(super) fn interrupt(&self) {
        self.backlog().interrupt();
        self.news.notify_one();
    }

    fn push(&self, data: Vec<Value>) {
        let Ok([Value::BulkString(channel), Value::BulkString(payload)]) = <[Value; 2]>::try_from(data)
        else {
            return;
        };
        let key = std::str::from_utf8(&channel).ok().and_then(|channel| keys::key_of(&self.prefix, channel));
        let Some(key) = key else { return };
        let dropped = self.backlog().push(key, Bytes::from(payload));
        self.counters.messages_dropped.fetch_add(dropped, Ordering::Relaxed);
        self.news.notify_one();
    }
}

/// What one connection's task tells. It runs on that task, and must not wait.
#[derive(Clone, Debug)]
pub(super) struct Pushed {
    pub(super) ear: Arc<Ear>,
    pub(super) state: Arc<PushedState>,
}

/// What is known of one connection.
#[derive(Debug, Default)]
pub(super) struct PushedState {
    /// It is closed, or hears less than it was asked to.
    pub(super) is_broken: AtomicBool,
    /// Channels that it was asked to leave.
    pub(super) leaving: Mutex<HashSet<String>>,
}

impl PushedState {
    pub(super) fn leaving(&self) -> MutexGuard<'_, HashSet<String>> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pushed {
    fn breaks(&self) {
        self.state.is_broken.store(true, Ordering::Release);
        self.ear.broken.notify_one();
    }

    /// A channel is heard no more. Where nobody asked for that, its slot has gone to another server.
    fn left(&self, data: &[Value]) {
        let channel = match data.first() {
            Some(Value::BulkString(channel)) => std::str::from_utf8(channel).unwrap_or_default(),
            _ => "",
        };
        if !self.state.leaving().remove(channel) {
            self.breaks();
        }
    }
}

impl AsyncPushSender for Pushed {
    fn send(&self, PushInfo { kind, data }: PushInfo) -> Result<(), SendError> {
        match kind {
            PushKind::SMessage => self.ear.push(data),
            PushKind::SUnsubscribe => self.left(&data),
            PushKind::Disconnection => self.breaks(),
            _ => {}
        }
        Ok(())
    }
}
