//! The keys that sign access tokens.

use ringside_embedded::KeyFiles;
use ringside_ports::KeyStore;
use ringside_ports::keys::{KeySet, KeyStoreError, KeysVersion, StoredKey};

/// The keys that sign access tokens.
#[derive(Clone, Debug)]
pub(crate) enum KeyStoreEngine {
    /// Files in the data folder.
    Embedded(KeyFiles),
    /// Sealed, in the Directory's database.
    #[cfg(feature = "cluster")]
    Postgres(ringside_postgres::PostgresKeys),
}

delegate! {
    KeyStore for KeyStoreEngine [Embedded, #[cfg(feature = "cluster")] Postgres] {
        fn load() -> Result<KeySet, KeyStoreError>;
        fn swap(from: KeysVersion, keys: Vec<StoredKey>) -> Result<Option<KeySet>, KeyStoreError>;
    }
}
