//! Rotation: the keys that are due are made, those that are spent go, and the edges are told.

use std::sync::Arc;
use std::time::Duration;

use ringside_application::backend::BackendError;
use ringside_application::direct::KeyHolder;
use ringside_clock::now;
use ringside_ports::keys::{KeySet, KeyStore, KeyStoreError, StoredKey};
use ringside_ports::log::Append;
use ringside_ports::{EngineError, Log};
use ringside_types::{PartitionId, PublicKey, Topic, UnixMillis};
use ringside_wire::records::{Control, KeysChanged, control};
use tokio::sync::{Mutex, watch};

use super::{SHOWN_FIRST_MS, SigningKeys, schedule};

/// The keys are looked at when the service starts, and then this often.
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// A store that refused is tried again after this long.
const RETRY_STORE: Duration = Duration::from_secs(60 * 60);
/// A log that refused is tried again after this long, so often: edges hear of a key before it signs, or a person does.
const RETRY_LOG: Duration = Duration::from_secs(1);
const LOG_ATTEMPTS: u32 = 10;
/// A set that others changed meanwhile is read again so often.
const SWAP_ATTEMPTS: u32 = 8;

const _: () = assert!(RETRY_LOG.as_millis() * (LOG_ATTEMPTS as u128) < SHOWN_FIRST_MS as u128);

/// The keys in a store, and how they change. A clone is another handle.
#[derive(Debug)]
pub struct KeyRotation<K, L> {
    store: K,
    log: L,
    keys: Arc<SigningKeys>,
    /// Held from a set's being read until it is taken up, so that an older one never replaces a newer.
    taking_up: Arc<Mutex<()>>,
}

impl<K: Clone, L: Clone> Clone for KeyRotation<K, L> {
    fn clone(&self) -> Self {
        let (store, log) = (self.store.clone(), self.log.clone());
        Self { store, log, keys: self.keys.clone(), taking_up: self.taking_up.clone() }
    }
}

/// What becomes of a set of keys.
enum Change {
    None,
    To(Vec<StoredKey>),
}

impl<K: KeyStore, L: Log> KeyRotation<K, L> {
    /// Makes the first key of a store that has none; says whether it did.
    ///
    /// # Errors
    /// See [`KeyStoreError`].
    pub async fn init(store: &K, now: UnixMillis) -> Result<bool, KeyStoreError> {
        let first = |set: &KeySet| match set.keys.is_empty() {
            true => Change::To(vec![new_key(now)]),
            false => Change::None,
        };
        Ok(changed(store, first).await?.1)
    }

    /// Reads the keys of a store, and makes the first one where there is none.
    ///
    /// # Errors
    /// See [`KeyStoreError`].
    pub async fn open(store: K, log: L, now: UnixMillis) -> Result<Self, KeyStoreError> {
        Self::init(&store, now).await?;
        let keys = Arc::new(SigningKeys::new(&store.load().await?.keys));
        Ok(Self { store, log, keys, taking_up: Arc::default() })
    }

    /// What signs and verifies.
    pub fn keys(&self) -> &Arc<SigningKeys> {
        &self.keys
    }

    /// Takes up what others have changed in the store.
    ///
    /// # Errors
    /// See [`KeyStoreError`]; then the keys are those of before.
    pub async fn reload(&self) -> Result<(), KeyStoreError> {
        let _alone = self.taking_up.lock().await;
        let set = self.store.load().await?;
        if !set.keys.is_empty() {
            self.keys.replace(&set.keys);
        }
        Ok(())
    }

    /// Adds a key, which signs a minute after it was shown, tells the edges, and returns its name.
    ///
    /// # Errors
    /// See [`KeyStoreError`]; then nothing has changed.
    pub async fn rotate(&self, now: UnixMillis) -> Result<String, KeyStoreError> {
        let set = self.change(|set| Change::To(with_new(&set.keys, now))).await?.0;
        Ok(set.keys.last().map(|key| key.id.to_string()).unwrap_or_default())
    }

    /// Rotates where the newest key is older than `days` (0: never), and lets go of keys whose last token has expired.
    /// Says whether anything changed; then the edges are told.
    ///
    /// # Errors
    /// See [`KeyStoreError`]; the next call goes on.
    pub async fn maintain(&self, days: u64, now: UnixMillis) -> Result<bool, KeyStoreError> {
        let known = self.keys.public();
        let (set, has_gone) = self.change(|set| without_spent(&set.keys, now)).await?;
        let is_kept = |id: &str| set.keys.iter().any(|key| key.id.to_string() == id);
        for key in known.keys.iter().filter(|key| !is_kept(&key.id)) {
            tracing::info!(key = key.id, "a signing key whose tokens have all expired is removed");
        }
        let is_due = |set: &KeySet| schedule::is_due(&times(&set.keys), days, now);
        let due =
            |set: &KeySet| if is_due(set) { Change::To(with_new(&set.keys, now)) } else { Change::None };
        let (set, has_come) = self.change(due).await?;
        if has_come && let Some(key) = set.keys.last() {
            tracing::info!(key = %key.id, "a new key signs access tokens from a minute from now on");
        }
        Ok(has_gone || has_come)
    }

    /// Maintains the keys until `stop` turns true.
    pub async fn run(self, days: u64, mut stop: watch::Receiver<bool>) {
        loop {
            let mut pause = EVERY;
            if let Err(error) = self.maintain(days, now()).await {
                tracing::error!(%error, "the signing keys could not be rotated; it is tried again in an hour");
                pause = RETRY_STORE;
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Changes the set, takes it up here, and tells the edges.
    async fn change(&self, change: impl Fn(&KeySet) -> Change) -> Result<(KeySet, bool), KeyStoreError> {
        let changed = {
            let _alone = self.taking_up.lock().await;
            let changed = changed(&self.store, change).await?;
            if changed.1 {
                self.keys.replace(&changed.0.keys);
            }
            changed
        };
        if changed.1 {
            self.tell().await;
        }
        Ok(changed)
    }

    /// Appends to `control` that the keys are others now.
    async fn tell(&self) {
        for attempt in 1..=LOG_ATTEMPTS {
            match append_changed(&self.log).await {
                Ok(()) => return,
                Err(error) if attempt == LOG_ATTEMPTS => {
                    tracing::error!(%error, "the edges don't know the new signing keys: restart them");
                }
                Err(_) => tokio::time::sleep(RETRY_LOG).await,
            }
        }
    }
}

impl<K: KeyStore, L: Log> KeyHolder for KeyRotation<K, L> {
    async fn public_keys(&self) -> Result<Vec<PublicKey>, BackendError> {
        self.reload().await.map_err(|error| BackendError(error.to_string()))?;
        Ok(self.keys.public().keys.clone())
    }
}

async fn append_changed<L: Log>(log: &L) -> Result<(), EngineError> {
    let control = Control { body: Some(control::Body::KeysChanged(KeysChanged {})) };
    let payload = ringside_wire::encode(&control);
    log.append(vec![Append { topic: Topic::Control, partition: PartitionId(0), payload }]).await?;
    Ok(())
}

/// Changes what a store holds, however often others do meanwhile. The set that there is then, and whether it changed.
async fn changed<K: KeyStore>(
    store: &K,
    change: impl Fn(&KeySet) -> Change,
) -> Result<(KeySet, bool), KeyStoreError> {
    for _ in 0..SWAP_ATTEMPTS {
        let set = store.load().await?;
        let Change::To(keys) = change(&set) else { return Ok((set, false)) };
        if let Some(set) = store.swap(set.version, keys).await? {
            return Ok((set, true));
        }
    }
    Err(KeyStoreError::Unavailable("the signing keys are changed by others all the time; try again".into()))
}

fn times(keys: &[StoredKey]) -> Vec<UnixMillis> {
    keys.iter().map(StoredKey::made_at).collect()
}

fn with_new(keys: &[StoredKey], now: UnixMillis) -> Vec<StoredKey> {
    let new = new_key(schedule::next_made_at(&times(keys), now));
    keys.iter().cloned().chain([new]).collect()
}

fn without_spent(keys: &[StoredKey], now: UnixMillis) -> Change {
    match schedule::spent(&times(keys), now) {
        0 => Change::None,
        spent => Change::To(keys[spent..].to_vec()),
    }
}

fn new_key(made_at: UnixMillis) -> StoredKey {
    let id = uuid::Builder::from_unix_timestamp_millis(made_at.0, &rand::random()).into_uuid();
    StoredKey { id, seed: rand::random() }
}
