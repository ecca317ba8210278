//! The keys that sign access tokens.

use ringside_embedded::KeyFiles;
use ringside_ports::KeyStore;
use ringside_ports::keys::{KeySet, KeyStoreError, KeysVersion, StoredKey};

/// The keys that sign access tokens.
#[derive(Clone, Debug)]
pub(crate) enum KeyStoreEngine {
    /// Files in the data folder.
    Embedded(KeyFiles),
}

delegate! {
    KeyStore for KeyStoreEngine [Embedded] {
        fn load() -> Result<KeySet, KeyStoreError>;
        fn swap(from: KeysVersion, keys: Vec<StoredKey>) -> Result<Option<KeySet>, KeyStoreError>;
    }
}
