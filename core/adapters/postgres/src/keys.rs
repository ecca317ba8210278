//! Signing keys in the database, their private halves sealed: whoever reads the database, or a backup of it, signs nothing.
//!
//! A sealed half is a byte that names the form, a random nonce of 24 bytes, and what XChaCha20-Poly1305
//! (draft-irtf-cfrg-xchacha-03) makes of the half under the master key, with the key's name as associated data: a half that is
//! put under another name can't be opened.

use std::fmt;

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use ringside_ports::EngineError;
use ringside_ports::keys::{KEYS_MAX, KeySet, KeyStore, KeyStoreError, KeysVersion, SEED_BYTES, StoredKey};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::directory::Directory;
use crate::failure::Failure;
use crate::rows::{self, to_column};
use crate::transaction::Ending::{Commit, Undo};
use crate::transaction::{read, transaction};

/// The one form there is.
const FORM: u8 = 1;
/// What the associated data begins with, so that a sealed key is of use for nothing else.
const PURPOSE: &[u8] = b"ringside signing key";

/// The key that seals the others: 32 random bytes. It is nowhere in the database.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// The master key of these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn seal(&self, key: &StoredKey) -> Result<Vec<u8>, KeyStoreError> {
        // 24 bytes: so many that chance never repeats one.
        let nonce: [u8; 24] = rand::random();
        let associated = associated(key.id);
        let payload = Payload { msg: &key.seed, aad: &associated };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload).map_err(|_| {
            KeyStoreError::Unavailable(format!("the signing key {} can't be sealed; report this", key.id))
        })?;
        Ok([&[FORM][..], &nonce, &sealed].concat())
    }

    fn open(&self, id: Uuid, sealed: &[u8]) -> Result<StoredKey, KeyStoreError> {
        let opened = match sealed.split_first().map(|(form, rest)| (*form, rest.split_first_chunk())) {
            Some((FORM, Some((nonce, sealed)))) => {
                let payload = Payload { msg: sealed, aad: &associated(id) };
                self.cipher().decrypt(&XNonce::from(*nonce), payload).ok()
            }
            _ => None,
        };
        let seed: Option<[u8; SEED_BYTES]> = opened.and_then(|seed| seed.try_into().ok());
        seed.map(|seed| StoredKey { id, seed }).ok_or_else(|| {
            KeyStoreError::Damaged(format!(
                "the signing key {id} can't be opened with the configured master key: it was sealed with another one, or \
                 its row is damaged. Configure the master key that it was sealed with; or delete the rows of the table \
                 signing_keys, then all tokens end and their users refresh them"
            ))
        })
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.0.into())
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey")
    }
}

fn associated(id: Uuid) -> Vec<u8> {
    [PURPOSE, id.as_bytes()].concat()
}

/// The keys in the Directory's database. A clone is another handle.
#[derive(Clone, Debug)]
pub struct PostgresKeys {
    directory: Directory,
    master: MasterKey,
}

impl PostgresKeys {
    /// The keys in this Directory's database, over its connections.
    pub const fn new(directory: Directory, master: MasterKey) -> Self {
        Self { directory, master }
    }
}

impl KeyStore for PostgresKeys {
    async fn load(&self) -> Result<KeySet, KeyStoreError> {
        // One statement, so that the version is that of the keys.
        let found = read!(self.directory, connection, {
            let found = sqlx::query(
                "SELECT s.version, k.id, k.sealed FROM signing_key_set s LEFT JOIN signing_keys k ON TRUE LIMIT $1",
            );
            Ok(found.bind(KEYS_MAX as i64 + 1).fetch_all(connection).await?)
        })
        .map_err(key_error)?;
        let Some(first) = found.first() else {
            return Err(KeyStoreError::Damaged(
                "the table signing_key_set has lost its row; restore a backup, or insert a row with a version that is \
                 greater than any before"
                    .into(),
            ));
        };
        if found.len() > KEYS_MAX {
            return Err(KeyStoreError::TooMany(format!(
                "the table signing_keys holds more than {KEYS_MAX} keys; delete the oldest"
            )));
        }
        let version = KeysVersion(rows::number(first, "version").map_err(key_error)?);
        let key = |row: &PgRow| {
            let id: Option<Uuid> = rows::get(row, "id").map_err(key_error)?;
            let Some(id) = id else { return Ok(None) };
            let sealed: Vec<u8> = rows::get(row, "sealed").map_err(key_error)?;
            self.master.open(id, &sealed).map(Some)
        };
        let keys = found.iter().filter_map(|row| key(row).transpose()).collect::<Result<Vec<_>, _>>()?;
        Ok(KeySet::new(version, keys))
    }

    async fn swap(&self, from: KeysVersion, keys: Vec<StoredKey>) -> Result<Option<KeySet>, KeyStoreError> {
        if keys.len() > KEYS_MAX {
            return Err(KeyStoreError::TooMany(format!(
                "{} signing keys are more than {KEYS_MAX}; nothing was changed",
                keys.len()
            )));
        }
        let ids: Vec<Uuid> = keys.iter().map(|key| key.id).collect();
        let sealed = keys.iter().map(|key| self.master.seal(key)).collect::<Result<Vec<_>, _>>()?;
        let swapped: Result<Option<KeysVersion>, EngineError> = async {
            transaction!(self.directory, connection, {
                match next_version(connection, from).await? {
                    None => Ok(Undo(None)),
                    Some(version) => {
                        replace(connection, &ids, &sealed).await?;
                        Ok(Commit(Some(version)))
                    }
                }
            })
        }
        .await;
        Ok(swapped.map_err(key_error)?.map(|version| KeySet::new(version, keys)))
    }
}

/// Takes the next version, if the set is still of this one; whoever swaps at the same time waits here, and comes too late.
async fn next_version(
    connection: &mut PgConnection,
    from: KeysVersion,
) -> Result<Option<KeysVersion>, Failure> {
    let next =
        sqlx::query("UPDATE signing_key_set SET version = version + 1 WHERE version = $1 RETURNING version");
    let next = next.bind(to_column(from.0)).fetch_optional(connection).await?;
    Ok(next.map(|row| rows::number(&row, "version").map(KeysVersion)).transpose()?)
}

async fn replace(connection: &mut PgConnection, ids: &[Uuid], sealed: &[Vec<u8>]) -> Result<(), Failure> {
    sqlx::query("DELETE FROM signing_keys").execute(&mut *connection).await?;
    let inserted =
        sqlx::query("INSERT INTO signing_keys (id, sealed) SELECT * FROM unnest($1::UUID[], $2::BYTEA[])");
    inserted.bind(ids).bind(sealed).execute(connection).await?;
    Ok(())
}

#[allow(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn key_error(error: EngineError) -> KeyStoreError {
    match error {
        EngineError::Unavailable { .. } => KeyStoreError::Unavailable(format!(
            "the signing keys can't be read or changed: {error}. Look whether PostgreSQL runs, and try again"
        )),
        EngineError::Damaged { .. } => KeyStoreError::Damaged(format!(
            "the signing keys can't be read: {error}. Restore a backup of the table signing_keys"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u128) -> StoredKey {
        StoredKey { id: Uuid::from_u128(number), seed: [number as u8; SEED_BYTES] }
    }

    #[test]
    fn a_sealed_key_opens_again() {
        let master = MasterKey::new([7; 32]);
        let sealed = master.seal(&key(1)).expect("seals");
        assert_eq!(master.open(key(1).id, &sealed), Ok(key(1)));
        assert_ne!(master.seal(&key(1)).expect("seals"), sealed, "no nonce twice");
        assert!(sealed.windows(SEED_BYTES).all(|part| part != key(1).seed), "the half is not in it");
    }

    #[test]
    fn what_was_changed_does_not_open() {
        let master = MasterKey::new([7; 32]);
        let sealed = master.seal(&key(1)).expect("seals");
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            let refused = master.open(key(1).id, &changed);
            assert!(matches!(refused, Err(KeyStoreError::Damaged(_))), "byte {place}");
        }
        for length in 0..sealed.len() {
            let refused = master.open(key(1).id, &sealed[..length]);
            assert!(matches!(refused, Err(KeyStoreError::Damaged(_))), "{length} bytes");
        }
        assert!(master.open(key(2).id, &sealed).is_err(), "under another name");
        assert!(MasterKey::new([8; 32]).open(key(1).id, &sealed).is_err(), "with another master key");
    }

    #[test]
    fn a_master_key_is_not_printed() {
        assert_eq!(format!("{:?}", MasterKey::new([7; 32])), "MasterKey");
    }
}
