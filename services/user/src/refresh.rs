//! Refresh tokens: 32 random bytes that the Directory knows by their SHA-256 alone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ringside_application::service::refusal::{Refusal, RefusalReason};
use sha2::{Digest as _, Sha256};

const TOKEN_BYTES: usize = 32;
/// The token as a client holds it: base64url without padding.
const TEXT_BYTES: usize = (TOKEN_BYTES * 8).div_ceil(6);

/// A new token, and what the Directory keeps of it.
pub(crate) struct RefreshToken {
    pub(crate) text: String,
    pub(crate) hash: [u8; 32],
}

impl RefreshToken {
    /// No two are alike, and none can be guessed.
    pub(crate) fn random() -> Self {
        let bytes: [u8; TOKEN_BYTES] = rand::random();
        Self { text: URL_SAFE_NO_PAD.encode(bytes), hash: Sha256::digest(bytes).into() }
    }
}

/// The hash of a token that a client presents; `None`: it can't be one.
pub(crate) fn presented(text: &str) -> Option<[u8; 32]> {
    if text.len() != TEXT_BYTES {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    Some(Sha256::digest(bytes).into())
}

/// One answer for whatever is wrong with a token: a thief learns nothing from it. The operator learns the reason.
pub(crate) fn refused(reason: RefusalReason) -> Refusal {
    Refusal::new(reason, "This refresh token is not good any more; sign in again.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_as_its_hash() {
        let token = RefreshToken::random();
        assert_eq!(token.text.len(), TEXT_BYTES);
        assert_eq!(presented(&token.text), Some(token.hash));
        assert_ne!(RefreshToken::random().text, token.text);
        for none in ["", "x", &token.text[1..], &format!("{}=", &token.text[1..]), &"ü".repeat(TEXT_BYTES)] {
            assert_eq!(presented(none), None, "{none}");
        }
    }
}
