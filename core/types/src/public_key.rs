//! The public keys that verify access tokens.

use serde::{Deserialize, Serialize};

/// A public key that verifies access tokens, by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// The `kid` of the tokens that it verifies.
    pub id: String,
    /// The 32 bytes of the Ed25519 public key, in base64url without padding: the JWK's `x` (RFC 8037).
    pub x: String,
}
