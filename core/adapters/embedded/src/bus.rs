//! The bus in memory: whoever listens is in this process.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use ringside_ports::EngineError;
use ringside_ports::bus::{Backlog, Bus, BusKey, BusListener, Heard, KEYS_MAX, MESSAGE_BYTES_MAX};
use tokio::sync::Notify;

/// Tells and listens within a process. A clone is another handle.
#[derive(Clone, Default)]
pub struct MemoryBus(Arc<Shared>);

#[derive(Default)]
struct Shared {
    listeners: Mutex<Listeners>,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Listeners {
    next: u64,
    by_key: HashMap<BusKey, Vec<(u64, Arc<Ear>)>>,
}

#[derive(Default)]
struct Ear {
    backlog: Mutex<Backlog>,
    news: Notify,
}

impl MemoryBus {
    /// Nobody listens.
    pub fn new() -> Self {
        Self::default()
    }

    /// Messages that were dropped, because whoever takes them was too slow.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        // Every change of the map is whole in itself, so what a panic left is good.
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ear {
    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bus for MemoryBus {
    type Listener = MemoryListener;

    async fn publish(&self, messages: &[(BusKey, Bytes)]) -> Result<(), EngineError> {
        if messages.iter().any(|(_, payload)| payload.len() > MESSAGE_BYTES_MAX) {
            return Err(refused("a message is too large"));
        }
        let listeners = self.listeners();
        for (key, payload) in messages {
            for (_, ear) in listeners.by_key.get(key).into_iter().flatten() {
                let dropped = ear.backlog().push(*key, payload.clone());
                self.0.dropped.fetch_add(dropped, Ordering::Relaxed);
                ear.news.notify_one();
            }
        }
        Ok(())
    }

    fn listener(&self) -> MemoryListener {
        let mut listeners = self.listeners();
        listeners.next += 1;
        let number = listeners.next;
        drop(listeners);
        MemoryListener { bus: self.clone(), number, ear: Arc::default(), keys: HashSet::new() }
    }
}

/// Hears what it has subscribed to, until it is dropped.
pub struct MemoryListener {
    bus: MemoryBus,
    number: u64,
    ear: Arc<Ear>,
    keys: HashSet<BusKey>,
}

impl MemoryListener {
    fn forget(&mut self, keys: &[BusKey]) {
        let mut listeners = self.bus.listeners();
        for key in keys.iter().filter(|key| self.keys.remove(key)) {
            let Some(ears) = listeners.by_key.get_mut(key) else { continue };
            ears.retain(|(number, _)| *number != self.number);
            if ears.is_empty() {
                listeners.by_key.remove(key);
            }
        }
    }
}

impl BusListener for MemoryListener {
    async fn subscribe(&mut self, keys: &[BusKey]) -> Result<(), EngineError> {
        let new: HashSet<BusKey> = keys.iter().filter(|key| !self.keys.contains(key)).copied().collect();
        if self.keys.len() + new.len() > KEYS_MAX {
            return Err(refused("a listener can't hear so many keys"));
        }
        let mut listeners = self.bus.listeners();
        for key in new {
            listeners.by_key.entry(key).or_default().push((self.number, Arc::clone(&self.ear)));
            self.keys.insert(key);
        }
        Ok(())
    }

    async fn unsubscribe(&mut self, keys: &[BusKey]) -> Result<(), EngineError> {
        self.forget(keys);
        Ok(())
    }

    async fn hear(&mut self) -> Heard {
        loop {
            let heard = self.ear.backlog().take();
            match heard {
                Some(heard) => return heard,
                None => self.ear.news.notified().await,
            }
        }
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        let keys: Vec<BusKey> = self.keys.iter().copied().collect();
        self.forget(&keys);
    }
}

fn refused(cause: &str) -> EngineError {
    EngineError::Unavailable { engine: "memory", cause: cause.into() }
}

impl std::fmt::Debug for MemoryBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryBus")
    }
}

impl std::fmt::Debug for MemoryListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryListener({} keys)", self.keys.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_that_is_gone_leaves_nothing() {
        let bus = MemoryBus::new();
        let mut listener = bus.listener();
        listener.subscribe(&[BusKey::Presence(1), BusKey::Presence(2)]).await.expect("subscribes");
        listener.unsubscribe(&[BusKey::Presence(1)]).await.expect("unsubscribes");
        assert_eq!(bus.listeners().by_key.len(), 1);
        drop(listener);
        assert!(bus.listeners().by_key.is_empty());
    }
}
