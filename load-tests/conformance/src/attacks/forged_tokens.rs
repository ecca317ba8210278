//! Access tokens that the server did not make, or made for something else: none is accepted, on REST or on the edge.
//!
//! Tokens with wrong claims are signed with the server's own key, taken from its data folder: only the claims can refuse
//! them. Where its keys are elsewhere these are left out, and the check says so.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hyper::Method;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use ringside_test_client::server::ServerProcess;
use serde_json::{Value, json};

use super::{request, value};
use crate::bad_input::bad_handshakes::upgrade;
use crate::test_server::{Failed, TestServer, expect};

/// What stands before the 32 bytes of an Ed25519 private key in PKCS #8 (RFC 8410 section 7).
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// A key that nobody vouches for.
fn foreign_key() -> EncodingKey {
    EncodingKey::from_ed_der(&[&PKCS8[..], &rand::random::<[u8; 32]>()].concat())
}

/// The one signing key of a fresh data folder; none where keys are kept elsewhere.
fn signing_key(data_dir: &Path) -> Result<Option<EncodingKey>, Failed> {
    let folder = data_dir.join("keys");
    if !folder.is_dir() {
        return Ok(None);
    }
    let keys = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let [key] = keys.as_slice() else { return Err(Failed(format!("{} signing keys", keys.len()))) };
    let pem = fs::read_to_string(key.path())?;
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    Ok(Some(EncodingKey::from_ed_der(&STANDARD.decode(body)?)))
}

fn part(text: &str) -> Result<Value, Failed> {
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text)?)?)
}

fn raw(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A good token taken apart.
struct Parts {
    header: Value,
    claims: Value,
    signature: String,
}

fn parts(token: &str) -> Result<Parts, Failed> {
    let parts: Vec<&str> = token.split('.').collect();
    let &[header, claims, signature] = parts.as_slice() else {
        return Err(Failed("an access token is no JWT".to_owned()));
    };
    Ok(Parts { header: part(header)?, claims: part(claims)?, signature: signature.to_owned() })
}

fn header(of: &Value, algorithm: Algorithm) -> Header {
    Header { kid: of["kid"].as_str().map(str::to_owned), ..Header::new(algorithm) }
}

/// Wrong signatures, and headers that say where to find another key.
fn forged(good: &Parts, jwk: &Value, foreign: &EncodingKey) -> Result<Vec<(String, String)>, Failed> {
    let (claims, signature) = (raw(&good.claims), &good.signature);
    let mut forged = Vec::new();
    for algorithm in ["none", "None", "NONE", ""] {
        let unsigned = raw(&json!({ "alg": algorithm, "typ": "JWT", "kid": good.header["kid"] }));
        forged.push((format!("alg {algorithm:?}"), format!("{unsigned}.{claims}.")));
        forged.push((format!("alg {algorithm:?}, signed"), format!("{unsigned}.{claims}.{signature}")));
    }
    let public = jwk["x"].as_str().unwrap_or_default();
    let secrets = [
        public.as_bytes().to_vec(),
        URL_SAFE_NO_PAD.decode(public)?,
        jwk.to_string().into_bytes(),
        Vec::new(),
    ];
    for secret in &secrets {
        let key = EncodingKey::from_secret(secret);
        for algorithm in [Algorithm::HS256, Algorithm::HS512] {
            let token = encode(&header(&good.header, algorithm), &good.claims, &key)?;
            forged.push((format!("{algorithm:?} with the public key, {} bytes", secret.len()), token));
        }
    }
    let by_foreign = |name: &str, change: &dyn Fn(&mut Header)| -> Result<(String, String), Failed> {
        let mut header = header(&good.header, Algorithm::EdDSA);
        change(&mut header);
        Ok((format!("a foreign key, {name}"), encode(&header, &good.claims, foreign)?))
    };
    forged.push(by_foreign("our kid", &|_| {})?);
    forged.push(by_foreign("no kid", &|header| header.kid = None)?);
    for kid in ["../../../../dev/null", "' OR 1=1 --", "/etc/passwd", ""] {
        forged.push(by_foreign(&format!("kid {kid:?}"), &|header| header.kid = Some(kid.to_owned()))?);
    }
    forged.push(by_foreign("jku", &|header| header.jku = Some("http://127.0.0.1:1/jwks.json".to_owned()))?);
    forged.push(by_foreign("x5u", &|header| header.x5u = Some("http://127.0.0.1:1/cert".to_owned()))?);
    // The foreign key, offered by the token itself.
    let offered = raw(&json!({ "alg": "EdDSA", "typ": "JWT", "kid": good.header["kid"], "jwk": jwk }));
    let foreign_token = encode(&header(&good.header, Algorithm::EdDSA), &good.claims, foreign)?;
    let foreign_signature = foreign_token.rsplit('.').next().unwrap_or_default();
    forged.push(("a jwk in the header".to_owned(), format!("{offered}.{claims}.{foreign_signature}")));
    let mut tampered = good.claims.clone();
    tampered["sub"] = "01a20eb5-8eef-7290-9b05-602c8f4dc1af".into();
    let head = raw(&good.header);
    forged.push(("another sub".to_owned(), format!("{head}.{}.{signature}", raw(&tampered))));
    Ok(forged)
}

/// Tokens that the server would never sign, signed with its key.
fn by_own_key(good: &Parts, own: &EncodingKey) -> Result<Vec<(String, String)>, Failed> {
    let mut tokens = with_wrong_claims(good, own)?;
    // An unknown kid with the right key: nobody vouches for such a key.
    let mut unknown = header(&good.header, Algorithm::EdDSA);
    unknown.kid = Some("01a20eb5-0000-7290-9b05-602c8f4dc1af".to_owned());
    tokens.push(("an unknown kid".to_owned(), encode(&unknown, &good.claims, own)?));
    Ok(tokens)
}

/// Claims that the server would never sign, signed with its key.
fn with_wrong_claims(good: &Parts, own: &EncodingKey) -> Result<Vec<(String, String)>, Failed> {
    let hour_ago = now_s() - 3600;
    let changes: Vec<(&str, Option<Value>)> = vec![
        ("exp", Some(hour_ago.into())),
        ("exp", Some((now_s() - 1).into())),
        ("exp", Some("4102444800".into())),
        ("exp", Some(Value::Null)),
        ("exp", Some((-1).into())),
        ("exp", Some(json!([4_102_444_800_u64]))),
        ("exp", None),
        ("aud", Some("another".into())),
        ("aud", Some(json!(["another"]))),
        ("aud", Some("".into())),
        ("aud", None),
        ("iss", Some("another".into())),
        ("iss", None),
        ("sub", Some("nobody".into())),
        ("sub", None),
        ("sid", Some("nothing".into())),
        ("sid", None),
        ("typ", Some("refresh".into())),
        ("typ", Some("id".into())),
        ("typ", None),
    ];
    let mut tokens = Vec::new();
    for (name, change) in changes {
        let mut claims = good.claims.clone();
        let object = claims.as_object_mut().ok_or(Failed("the claims are no object".to_owned()))?;
        let what = match change {
            Some(value) => {
                let what = format!("{name} {value}");
                object.insert(name.to_owned(), value);
                what
            }
            None => {
                object.remove(name);
                format!("no {name}")
            }
        };
        tokens.push((what, encode(&header(&good.header, Algorithm::EdDSA), &claims, own)?));
    }
    Ok(tokens)
}

async fn accepted(server: &ServerProcess, token: &str) -> Result<Vec<&'static str>, Failed> {
    let mut accepted = Vec::new();
    let rest = server.addresses.rest();
    if request(&rest, Method::GET, "/users/me", Some(token), None).await?.status != 401 {
        accepted.push("REST");
    }
    if !upgrade(server.addresses.edge, token, "").await?.starts_with("HTTP/1.1 401") {
        accepted.push("the edge");
    }
    Ok(accepted)
}

pub(crate) async fn no_forged_token_is_accepted(test_server: &TestServer) -> Result<(), Failed> {
    let server = test_server.start(&[("rest_per_minute", 0), ("connections_per_user", 0)]).await?;
    let own = signing_key(&test_server.spec(&[]).data_dir)?;
    let rest = server.addresses.rest();
    let session = rest.sign_up("ada").await?;
    let good = parts(&session.account.access_token)?;
    let jwks = value(&request(&rest, Method::GET, "/auth/jwks.json", None, None).await?);
    let mut tokens = forged(&good, &jwks["keys"][0], &foreign_key())?;
    match &own {
        Some(own) => tokens.extend(by_own_key(&good, own)?),
        None => println!(
            "        (the server's signing key is not in its data folder: nothing is forged with it)"
        ),
    }
    tokens.push(("the refresh token".to_owned(), session.refresh_token.clone()));
    tokens.push(("nothing".to_owned(), String::new()));
    let mut wrong = Vec::new();
    for (what, token) in &tokens {
        for place in accepted(&server, token).await? {
            wrong.push(format!("{place} accepted {what}"));
        }
    }
    expect(wrong.is_empty(), || wrong.join("; "))?;
    // The forger's tools are sound: the same claims, signed as the server does, are accepted.
    let Some(own) = own else { return Ok(()) };
    let control = encode(&header(&good.header, Algorithm::EdDSA), &good.claims, &own)?;
    let places = accepted(&server, &control).await?;
    expect(places.len() == 2, || format!("a token as the server makes them was accepted by {places:?} alone"))
}
