//! Access tokens of the simulation's users, and the key that signs them.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ringside_session::token::Claims;
use ringside_types::{PublicKey, SessionId, UnixMillis, UserId};

const ID: &str = "simulated";
/// Longer than a simulation lasts, however its clocks are set.
const LIFE_S: u64 = 30 * 24 * 60 * 60;

static KEY: LazyLock<ed25519_dalek::SigningKey> =
    LazyLock::new(|| ed25519_dalek::SigningKey::from_bytes(&[7; 32]));

pub fn public_key() -> PublicKey {
    PublicKey { id: ID.into(), x: URL_SAFE_NO_PAD.encode(KEY.verifying_key().as_bytes()) }
}

/// A token of a user's session.
pub fn token(user: UserId, session: SessionId, now: UnixMillis) -> String {
    let claims = Claims::access(user, session, now, LIFE_S);
    let header = Header { kid: Some(ID.into()), ..Header::new(Algorithm::EdDSA) };
    let der = KEY.to_pkcs8_der().expect("a key has a form");
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(der.as_bytes()))
        .expect("claims can be signed")
}
