//! The keys that sign access tokens, with their private halves.
//!
//! A set of keys is kept whole: whoever changes it says which set the change was made from, so that of two changes at
//! once one is refused and made again. Which key signs, and until when one verifies, follows from when each was made,
//! and is nobody's business here.

use std::fmt;
use std::future::Future;

use ringside_types::UnixMillis;
use uuid::Uuid;

/// Keys of a set at the most.
pub const KEYS_MAX: usize = 64;
/// Bytes of an Ed25519 private key (RFC 8032 section 5.1.5).
pub const SEED_BYTES: usize = 32;

/// An Ed25519 signing key as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Its name, in tokens too (`kid`). A UUIDv7 says when the key was made.
    pub id: Uuid,
    /// The private half.
    pub seed: [u8; SEED_BYTES],
}

impl StoredKey {
    /// When it was made, as its name says; one that was named otherwise counts as older than all.
    pub fn made_at(&self) -> UnixMillis {
        let made = self.id.get_timestamp().filter(|_| self.id.get_version_num() == 7);
        UnixMillis(made.map_or(0, |made| {
            let (seconds, nanoseconds) = made.to_unix();
            seconds.saturating_mul(1_000) + u64::from(nanoseconds / 1_000_000)
        }))
    }
}

impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoredKey").field(&self.id).finish()
    }
}

/// Tells one set of keys from those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeysVersion(pub u64);

/// The keys at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    /// Which set this is.
    pub version: KeysVersion,
    /// Oldest first; keys of the same time in the order of their ids.
    pub keys: Vec<StoredKey>,
}

impl KeySet {
    /// A set of these keys, put in order.
    pub fn new(version: KeysVersion, mut keys: Vec<StoredKey>) -> Self {
        keys.sort_by_key(|key| (key.made_at(), key.id));
        Self { version, keys }
    }
}

/// Why keys can't be read or changed. Each holds the sentence that says which and what to do, in the engine's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyStoreError {
    /// It may work later; a change may have been made all the same.
    #[error("{0}")]
    Unavailable(String),
    /// What is kept is no key; it needs a person.
    #[error("{0}")]
    Damaged(String),
    /// There are more than [`KEYS_MAX`], or would be; nothing has changed.
    #[error("{0}")]
    TooMany(String),
}

/// Where signing keys are kept.
pub trait KeyStore: Clone + Send + Sync + 'static {
    /// The keys as they are now; none where none was ever kept.
    fn load(&self) -> impl Future<Output = Result<KeySet, KeyStoreError>> + Send;

    /// Puts these keys in the place of those of version `from`, durably, and returns the new set. `None`: the set is not
    /// that one any more, and nothing has changed.
    ///
    /// A failure in between may leave keys of both sets, never fewer than either.
    fn swap(
        &self,
        from: KeysVersion,
        keys: Vec<StoredKey>,
    ) -> impl Future<Output = Result<Option<KeySet>, KeyStoreError>> + Send;
}
