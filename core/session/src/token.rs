//! Access tokens: JWTs signed with Ed25519 (RFC 7519, RFC 8037), verified with public keys alone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use ringside_types::{PublicKey, SessionId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};

/// Who issues tokens, and whom they are for.
pub const ISSUER: &str = "ringside";
/// The `typ` claim of an access token.
pub const ACCESS: &str = "access";
/// Bytes of an Ed25519 public key (RFC 8032 section 5.1.5).
const PUBLIC_KEY_BYTES: usize = 32;
/// A token longer than this is none.
pub const TOKEN_BYTES_MAX: usize = 4_096;

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// [`ISSUER`].
    pub iss: String,
    /// [`ISSUER`], too.
    pub aud: String,
    pub sub: UserId,
    /// The session that it was issued to.
    pub sid: SessionId,
    /// When it was issued, in seconds since the Unix epoch.
    pub iat: u64,
    /// When it expires, in seconds since the Unix epoch.
    pub exp: u64,
    /// From when on it is good, in seconds since the Unix epoch; `None`: from its issue on. Ours have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// [`ACCESS`].
    pub typ: String,
}

impl Claims {
    /// An access token's claims.
    pub fn access(user_id: UserId, session_id: SessionId, now: UnixMillis, life_s: u64) -> Self {
        let iat = now.0 / 1_000;
        let (iss, aud, typ) = (ISSUER.to_owned(), ISSUER.to_owned(), ACCESS.to_owned());
        Self { iss, aud, sub: user_id, sid: session_id, iat, exp: iat + life_s, nbf: None, typ }
    }

    /// When the token expires.
    pub fn expires_at(&self) -> UnixMillis {
        UnixMillis(self.exp.saturating_mul(1_000))
    }
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token of ours, or changed on the way.
    #[error("The access token is not valid; sign in again.")]
    Invalid,
    #[error("The access token has expired; refresh it.")]
    Expired,
}

#[derive(Clone)]
pub struct Verifier {
    keys: Vec<(String, DecodingKey)>,
    validation: Validation,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Trusts these keys and no other, whatever a token's header says.
    ///
    /// # Errors
    /// A key's `x` is not the base64url of 32 bytes.
    pub fn new(keys: &[PublicKey]) -> Result<Self, TokenError> {
        let key = |key: &PublicKey| {
            // Verifying with a key of another length would panic.
            let bytes = URL_SAFE_NO_PAD.decode(&key.x).map_err(|_| TokenError::Invalid)?;
            if bytes.len() != PUBLIC_KEY_BYTES {
                return Err(TokenError::Invalid);
            }
            let decoding = DecodingKey::from_ed_components(&key.x).map_err(|_| TokenError::Invalid)?;
            Ok((key.id.clone(), decoding))
        };
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Time is an argument here: expiry is held against it, not against the library's clock.
        validation.validate_exp = false;
        validation.leeway = 0;
        Ok(Self { keys: keys.iter().map(key).collect::<Result<_, _>>()?, validation })
    }

    /// Verifies a token as of `now`.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify(&self, token: &str, now: UnixMillis) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        let named = header.kid.as_deref().and_then(|kid| self.keys.iter().find(|(id, _)| id == kid));
        let (_, key) = named.ok_or(TokenError::Invalid)?;
        let decoded = jsonwebtoken::decode::<Claims>(token, key, &self.validation);
        let claims = decoded.map_err(|_| TokenError::Invalid)?.claims;
        if claims.typ != ACCESS {
            return Err(TokenError::Invalid);
        }
        // An `exp` or `nbf` is a promise of whoever signed; both are held, to the second.
        if claims.nbf.is_some_and(|from| from.saturating_mul(1_000) > now.0) {
            return Err(TokenError::Invalid);
        }
        if claims.exp.saturating_mul(1_000) <= now.0 {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::pkcs8::EncodePrivateKey as _;
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::{Value, json};
    use uuid::Uuid;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn key(seed: u8) -> (EncodingKey, PublicKey) {
        let signing = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
        let der = signing.to_pkcs8_der().expect("a key");
        let x = URL_SAFE_NO_PAD.encode(signing.verifying_key().as_bytes());
        (EncodingKey::from_ed_der(der.as_bytes()), PublicKey { id: format!("key{seed}"), x })
    }

    fn claims() -> Claims {
        Claims::access(UserId(Uuid::from_u128(1)), SessionId(Uuid::from_u128(2)), NOW, 900)
    }

    fn header(kid: Option<&str>) -> Header {
        Header { kid: kid.map(Into::into), ..Header::new(Algorithm::EdDSA) }
    }

    fn signed(header: &Header, claims: &Value, seed: u8) -> String {
        jsonwebtoken::encode(header, claims, &key(seed).0).expect("signs")
    }

    fn verifier() -> Verifier {
        Verifier::new(&[key(1).1, key(2).1]).expect("keys")
    }

    #[test]
    fn good_until_the_second_of_its_expiry() {
        let token = signed(&header(Some("key2")), &json!(claims()), 2);
        assert_eq!(verifier().verify(&token, NOW), Ok(claims()));
        assert_eq!(verifier().verify(&token, NOW.plus_ms(899_999)), Ok(claims()));
        assert_eq!(verifier().verify(&token, NOW.plus_ms(900_000)), Err(TokenError::Expired));
    }

    #[test]
    fn nothing_is_good_before_its_time() {
        let check = |nbf: Value, wanted: bool| {
            let mut claims = json!(claims());
            claims["nbf"] = nbf.clone();
            let token = signed(&header(Some("key1")), &claims, 1);
            assert_eq!(verifier().verify(&token, NOW).is_ok(), wanted, "{nbf}");
        };
        let now_s = NOW.0 / 1_000;
        check(json!(now_s), true);
        check(json!(now_s + 1), false);
        check(json!(u64::MAX), false);
        check(json!("soon"), false);
        check(json!(-1), false);
    }

    #[test]
    fn attacks_are_refused() {
        let good = json!(claims());
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            signed(&header(Some("key1")), &claims, 1)
        };
        let without = |name: &str| {
            let mut claims = good.clone();
            claims.as_object_mut().expect("an object").remove(name);
            signed(&header(Some("key1")), &claims, 1)
        };
        let raw = |header: Value| {
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            format!("{}.{}.", part(&header), part(&good))
        };
        let token = signed(&header(Some("key1")), &good, 1);
        let hmac = Header { kid: Some("key1".into()), ..Header::new(Algorithm::HS256) };
        let public = EncodingKey::from_secret(key(1).1.x.as_bytes());
        let attacks = [
            ("none", raw(json!({"alg": "none", "kid": "key1"}))),
            ("None", raw(json!({"alg": "None", "kid": "key1"}))),
            ("no signature", raw(json!({"alg": "EdDSA", "kid": "key1"}))),
            ("HS256 with the public key", jsonwebtoken::encode(&hmac, &good, &public).expect("signs")),
            ("another's key", signed(&header(Some("key1")), &good, 3)),
            ("one key under the name of another", signed(&header(Some("key2")), &good, 1)),
            ("unknown kid", signed(&header(Some("../../key1")), &good, 1)),
            ("no kid", signed(&header(None), &good, 1)),
            ("exp as text", with("exp", json!("1900000000"))),
            ("exp negative", with("exp", json!(-1))),
            ("no exp", without("exp")),
            ("another aud", with("aud", json!("other"))),
            ("another iss", with("iss", json!("other"))),
            ("no iss", without("iss")),
            ("a refresh token", with("typ", json!("refresh"))),
            ("no typ", without("typ")),
            ("sub is no id", with("sub", json!("root"))),
            ("truncated", token[..token.len() - 1].to_owned()),
            ("trailing bytes", format!("{token}A")),
            ("a fourth part", format!("{token}.e30")),
            ("too long", "A".repeat(TOKEN_BYTES_MAX + 1)),
            ("empty", String::new()),
        ];
        for (name, token) in attacks {
            assert_eq!(verifier().verify(&token, NOW), Err(TokenError::Invalid), "{name}");
        }
    }

    #[test]
    fn a_good_token_has_so_many_bytes_and_no_more() {
        let of_length = |pad: usize| {
            let mut claims = json!(claims());
            claims["pad"] = json!("x".repeat(pad));
            signed(&header(Some("key1")), &claims, 1)
        };
        let (mut fitting, mut longer) = (0, 0);
        for pad in 2_700..2_800 {
            let token = of_length(pad);
            let is_fitting = token.len() <= TOKEN_BYTES_MAX;
            assert_eq!(verifier().verify(&token, NOW).is_ok(), is_fitting, "{} bytes", token.len());
            if is_fitting { fitting = fitting.max(token.len()) } else { longer += 1 }
        }
        assert!(fitting == TOKEN_BYTES_MAX && longer > 0, "{fitting} bytes at the most");
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        for x in ["AAAA", "", "*", &"A".repeat(44)] {
            let key = PublicKey { id: "short".into(), x: x.into() };
            assert!(Verifier::new(&[key]).is_err(), "{x}");
        }
    }

    #[test]
    fn a_key_that_comes_with_the_token_is_not_looked_at() {
        let mut with_url = header(Some("key9"));
        with_url.jku = Some("https://example.org/keys".into());
        let token = signed(&with_url, &json!(claims()), 3);
        assert_eq!(verifier().verify(&token, NOW), Err(TokenError::Invalid));
    }
}
