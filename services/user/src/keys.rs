//! The keys that sign access tokens.
//!
//! The newest key signs, all of them verify. A key is rotated by adding one. It is shown to whoever verifies for a while
//! before it signs, and its predecessor verifies until the last token that it signed has expired; then it goes. All of
//! that follows from the times in the keys' names (`schedule`), so that a restart in between changes nothing, and
//! whoever shares a store of keys does the same.

mod rotation;
mod schedule;

use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ringside_ports::keys::StoredKey;
use ringside_session::token::{Claims, TokenError, Verifier};
use ringside_types::limits::ACCESS_TOKEN_LIFE_MAX_S;
use ringside_types::{PublicKey, SessionId, UnixMillis, UserId};
use serde_json::json;

pub use rotation::KeyRotation;
use schedule::SHOWN_FIRST_MS;

/// What whoever verifies access tokens may know.
pub struct PublicKeys {
    /// Oldest first.
    pub keys: Vec<PublicKey>,
    /// They as a JWK set (RFC 7517, RFC 8037).
    pub jwks: String,
    pub verifier: Verifier,
}

/// The keys as they are known here: what was last read from their store.
pub struct SigningKeys(RwLock<Arc<Ring>>);

/// The keys at one time.
pub(crate) struct Ring {
    /// Oldest first; never empty.
    keys: Vec<Key>,
    public: Arc<PublicKeys>,
}

struct Key {
    stored: StoredKey,
    encoding: EncodingKey,
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.ring().keys.iter().map(|key| key.stored.id)).finish()
    }
}

impl SigningKeys {
    /// Of these keys, oldest first.
    ///
    /// # Panics
    /// When there is none.
    pub fn new(keys: &[StoredKey]) -> Self {
        Self(RwLock::new(Arc::new(Ring::new(keys))))
    }

    fn ring(&self) -> Arc<Ring> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, keys: &[StoredKey]) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Ring::new(keys));
    }

    /// Signs an access token, with the newest key that has been shown for long enough when it is issued.
    pub fn sign(&self, claims: &Claims) -> String {
        let ring = self.ring();
        let issued_at = UnixMillis(claims.iat.saturating_mul(1_000));
        let made: Vec<UnixMillis> = ring.keys.iter().map(|key| key.stored.made_at()).collect();
        let key = &ring.keys[schedule::signer(&made, issued_at)];
        let header = Header { kid: Some(key.stored.id.to_string()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &key.encoding)
            .expect("the key is an Ed25519 key, and claims are texts and numbers")
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
        self.ring().public.verifier.verify(token, now)
    }

    /// What verifies tokens now.
    pub fn public(&self) -> Arc<PublicKeys> {
        self.ring().public.clone()
    }
}

impl Ring {
    fn new(stored: &[StoredKey]) -> Self {
        assert!(!stored.is_empty(), "there is always a key that signs");
        let keys: Vec<Key> = stored.iter().map(Key::of).collect();
        let public: Vec<PublicKey> = stored.iter().map(public_of).collect();
        let jwk = |PublicKey { id, x }: &PublicKey| json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": id, "x": x});
        let jwks = json!({"keys": public.iter().map(jwk).collect::<Vec<_>>()}).to_string();
        let verifier = Verifier::new(&public).expect("the keys encode themselves in base64url");
        Self { keys, public: Arc::new(PublicKeys { keys: public, jwks, verifier }) }
    }
}

impl Key {
    fn of(stored: &StoredKey) -> Self {
        let der = ed25519_dalek::SigningKey::from_bytes(&stored.seed).to_pkcs8_der();
        let der = der.expect("a key of this length has an encoding");
        Self { stored: stored.clone(), encoding: EncodingKey::from_ed_der(der.as_bytes()) }
    }
}

fn public_of(stored: &StoredKey) -> PublicKey {
    let key = ed25519_dalek::SigningKey::from_bytes(&stored.seed).verifying_key();
    PublicKey { id: stored.id.to_string(), x: URL_SAFE_NO_PAD.encode(key.as_bytes()) }
}
