//! The keys that sign access tokens: one file each, in a folder that only the server reads.
//!
//! The newest key signs, all of them verify. A key is rotated by adding one. It is shown to whoever verifies for a while
//! before it signs, and its predecessor verifies until the last token that it signed has expired; then its file goes.
//! All of that follows from the times in the keys' names, so that a restart in between changes nothing.

mod files;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use jsonwebtoken::{Algorithm, Header};
use ringside_session::token::{Claims, PublicKey, TokenError, Verifier};
use ringside_types::limits::ACCESS_TOKEN_LIFE_MAX_S;
use ringside_types::{SessionId, UnixMillis, UserId};
use serde_json::json;

use files::Key;
pub use files::{KEY_FILE_BYTES_MAX, KEYS_MAX, KeysError};

/// A new key is shown for so long before it signs: every edge has it then, and every reader of the JWK set that asks at
/// least once a minute.
pub const SHOWN_FIRST_MS: u64 = 60_000;
/// Clocks may be so far apart.
const SKEW_MS: u64 = 5 * 60 * 1_000;
/// A key verifies for so long after its successor was made.
const KEPT_MS: u64 = SHOWN_FIRST_MS + ACCESS_TOKEN_LIFE_MAX_S * 1_000 + SKEW_MS;

/// The keys that sign and verify access tokens.
pub struct SigningKeys {
    folder: PathBuf,
    /// Replaced as a whole; held for no longer than it takes to copy the pointer.
    ring: RwLock<Arc<Ring>>,
    /// Held by whoever changes the keys: of two changes at once one would be undone by the other.
    changing: Mutex<()>,
}

/// The keys at one time.
struct Ring {
    /// Oldest first; never empty.
    keys: Vec<Key>,
    jwks: String,
    verifier: Arc<Verifier>,
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ring = self.ring();
        f.debug_list().entries(ring.keys.iter().map(|key| key.id)).finish()
    }
}

impl SigningKeys {
    /// Reads the keys in a folder, and makes the first one where there is none. One process at a time: whoever has
    /// locked the data folder.
    ///
    /// # Errors
    /// See [`KeysError`].
    pub fn open(folder: &Path, now: UnixMillis) -> Result<Self, KeysError> {
        files::make_folder(folder)?;
        let mut keys = files::read_keys(folder)?;
        if keys.is_empty() {
            keys.push(files::make_key(folder, now)?);
        }
        let ring = RwLock::new(Arc::new(Ring::new(keys)));
        Ok(Self { folder: folder.into(), ring, changing: Mutex::default() })
    }

    /// Adds a key, which signs from [`SHOWN_FIRST_MS`] on, and returns its name.
    ///
    /// # Errors
    /// See [`KeysError`]; then nothing has changed.
    pub fn rotate(&self, now: UnixMillis) -> Result<String, KeysError> {
        self.add(now, &self.change())
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, now: UnixMillis, _: &MutexGuard<'_, ()>) -> Result<String, KeysError> {
        let mut keys = self.ring().keys.clone();
        if keys.len() >= KEYS_MAX {
            return Err(KeysError::TooMany(self.folder.clone()));
        }
        // A clock that stepped back must not make a key that is older than the one before.
        let made_at = keys.last().map_or(now, |last| now.max(last.made_at().plus_ms(1)));
        let key = files::make_key(&self.folder, made_at)?;
        let name = key.public.id.clone();
        keys.push(key);
        self.replace(keys);
        Ok(name)
    }

    /// Rotates where the newest key is older than `days` (0: never), and lets go of keys whose last token has expired.
    /// Says whether anything changed.
    ///
    /// # Errors
    /// See [`KeysError`]; what was done before stays done, and the next call goes on.
    pub fn tend(&self, days: u64, now: UnixMillis) -> Result<bool, KeysError> {
        const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
        let changing = self.change();
        let gone = self.let_go(now, &changing)?;
        let newest = self.ring().keys.last().map(Key::made_at).unwrap_or_default();
        let is_due = days > 0 && newest.plus_ms(days * DAY_MS) <= now;
        if is_due {
            let key = self.add(now, &changing)?;
            tracing::info!(key, "a new key signs access tokens from a minute from now on");
        }
        Ok(gone || is_due)
    }

    /// Removes keys whose successor was made long enough ago.
    fn let_go(&self, now: UnixMillis, _: &MutexGuard<'_, ()>) -> Result<bool, KeysError> {
        let keys = self.ring().keys.clone();
        let needed = |pair: &&[Key]| pair[1].made_at().plus_ms(KEPT_MS) > now;
        let spent = keys.windows(2).position(|pair| needed(&pair)).unwrap_or(keys.len() - 1);
        if spent == 0 {
            return Ok(false);
        }
        // Nobody verifies with it any more before its file goes.
        self.replace(keys[spent..].to_vec());
        for key in &keys[..spent] {
            files::remove_key(&self.folder, key)?;
            tracing::info!(key = key.public.id, "a signing key whose tokens have all expired is removed");
        }
        Ok(true)
    }

    fn ring(&self) -> Arc<Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, keys: Vec<Key>) {
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Ring::new(keys));
    }

    /// Signs an access token, with the newest key that has been shown for long enough when it is issued.
    pub fn sign(&self, claims: &Claims) -> String {
        let ring = self.ring();
        let issued_at = UnixMillis(claims.iat.saturating_mul(1_000));
        let is_known = |key: &&Key| key.made_at().plus_ms(SHOWN_FIRST_MS) <= issued_at;
        let known = ring.keys.iter().rev().find(is_known);
        // Where all are new, nobody knows an older one.
        let key = known.or(ring.keys.last()).expect("`open` leaves no folder without a key");
        let header = Header { kid: Some(key.public.id.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &key.encoding)
            .expect("the key was read as an Ed25519 key, and claims are texts and numbers")
    }

    /// Signs an access token of a session, good from `now` on for `life_s` seconds: no longer than
    /// [`ACCESS_TOKEN_LIFE_MAX_S`].
    pub fn issue(&self, user: UserId, session: SessionId, now: UnixMillis, life_s: u64) -> String {
        self.sign(&Claims::access(user, session, now, life_s.min(ACCESS_TOKEN_LIFE_MAX_S)))
    }

    /// Verifies a token as of `now`.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify(&self, token: &str, now: UnixMillis) -> Result<Claims, TokenError> {
        self.ring().verifier.verify(token, now)
    }

    /// What verifies tokens now, for those who verify without asking.
    pub fn verifier(&self) -> Arc<Verifier> {
        self.ring().verifier.clone()
    }

    /// The public keys, oldest first.
    pub fn public(&self) -> Vec<PublicKey> {
        self.ring().keys.iter().map(|key| key.public.clone()).collect()
    }

    /// The public keys as a JWK set (RFC 7517, RFC 8037).
    pub fn jwks(&self) -> String {
        self.ring().jwks.clone()
    }
}

impl Ring {
    fn new(keys: Vec<Key>) -> Self {
        let public: Vec<PublicKey> = keys.iter().map(|key| key.public.clone()).collect();
        let jwk = |PublicKey { id, x }: &PublicKey| json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": id, "x": x});
        let jwks = json!({"keys": public.iter().map(jwk).collect::<Vec<_>>()}).to_string();
        let verifier = Verifier::new(&public).expect("the keys encode themselves in base64url");
        Self { keys, jwks, verifier: Arc::new(verifier) }
    }
}
