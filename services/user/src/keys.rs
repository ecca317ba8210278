//! The keys that sign access tokens: one file each, in a folder that only the server reads.
//!
//! The newest key signs, all of them verify. So a key is rotated by adding one, and an old one may go once the last
//! token that it signed has expired.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ringside_session::token::{Claims, PublicKey};
use ringside_types::{SessionId, UnixMillis, UserId};
use serde_json::json;
use uuid::Uuid;

/// Key files in the folder at the most.
pub const KEYS_MAX: usize = 64;
/// Bytes of a key file at the most.
pub const KEY_FILE_BYTES_MAX: u64 = 4_096;
/// A new key is written under this name first: a crash leaves no half key under a key's name.
const UNFINISHED: &str = "new.unfinished";
/// Whoever has one of these bits in a key's mode besides its owner could sign tokens, or spoil the key.
const OTHERS: u32 = 0o077;

/// Why the keys can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The folder can't be made or read.
    #[error("the folder of signing keys {folder} can't be opened: {cause}. Check its owner and permissions")]
    Folder {
        /// Which.
        folder: PathBuf,
        /// In the system's words.
        cause: io::Error,
    },
    /// A file can't be read or written.
    #[error("the signing key {file} can't be read or written: {cause}. Check its owner and permissions")]
    File {
        /// Which.
        file: PathBuf,
        /// In the system's words.
        cause: io::Error,
    },
    /// A file is no key, or has a name that is none.
    #[error(
        "{file} is no signing key: {cause}. Restore it from a backup; or move it out of the folder, then the tokens \
         that it signed end and their users refresh them"
    )]
    Damaged {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// There are more than [`KEYS_MAX`].
    #[error("the folder of signing keys {0} holds more than {KEYS_MAX} keys; move the oldest out of it")]
    TooMany(PathBuf),
}

/// A key, by the name of its file.
struct Key {
    id: Uuid,
    encoding: EncodingKey,
    public: PublicKey,
}

/// The keys that sign and verify access tokens.
pub struct SigningKeys {
    /// Oldest first; never empty.
    keys: Vec<Key>,
    jwks: String,
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids = self.keys.iter().map(|key| key.id);
        f.debug_list().entries(ids).finish()
    }
}

impl SigningKeys {
    /// Reads the keys in a folder, and makes the first one where there is none. One process at a time: whoever has
    /// locked the data folder.
    ///
    /// # Errors
    /// See [`KeysError`].
    pub fn open(folder: &Path, now: UnixMillis) -> Result<Self, KeysError> {
        make_folder(folder).map_err(|cause| KeysError::Folder { folder: folder.into(), cause })?;
        let mut keys = Vec::new();
        for file in key_files(folder)? {
            keys.push(read_key(&file)?);
        }
        if keys.is_empty() {
            keys.push(make_key(folder, now)?);
        }
        keys.sort_by_key(|key| key.id);
        let jwks = jwks(&keys);
        Ok(Self { keys, jwks })
    }

    /// Signs an access token.
    pub fn sign(&self, claims: &Claims) -> String {
        let key = self.keys.last().expect("`open` leaves no folder without a key");
        let header = Header { kid: Some(key.public.id.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &key.encoding)
            .expect("the key was read as an Ed25519 key, and claims are texts and numbers")
    }

    /// Signs an access token of a session, good from `now` on for `life_s` seconds.
    pub fn issue(&self, user: UserId, session: SessionId, now: UnixMillis, life_s: u64) -> String {
        self.sign(&Claims::access(user, session, now, life_s))
    }

    /// What verifies tokens: for [`ringside_session::token::Verifier::new`].
    pub fn public(&self) -> Vec<PublicKey> {
        self.keys.iter().map(|key| key.public.clone()).collect()
    }

    /// The public keys as a JWK set (RFC 7517, RFC 8037).
    pub fn jwks(&self) -> String {
        self.jwks.clone()
    }
}

fn jwks(keys: &[Key]) -> String {
    let jwk = |key: &Key| {
        let PublicKey { id, x } = &key.public;
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": id, "x": x})
    };
    json!({"keys": keys.iter().map(jwk).collect::<Vec<_>>()}).to_string()
}

fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

/// Names in a folder are on the disk once the folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Everything that ends in `.pem`; other files are none of ours.
fn key_files(folder: &Path) -> Result<Vec<PathBuf>, KeysError> {
    let failed = |cause| KeysError::Folder { folder: folder.into(), cause };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "pem") {
            files.push(path);
        }
        if files.len() > KEYS_MAX {
            return Err(KeysError::TooMany(folder.into()));
        }
    }
    Ok(files)
}

fn read_key(file: &Path) -> Result<Key, KeysError> {
    let unreadable = |cause| KeysError::File { file: file.into(), cause };
    let damaged = |cause: String| KeysError::Damaged { file: file.into(), cause };
    let id = file.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| Uuid::try_parse(stem).ok());
    let id = id.ok_or_else(|| damaged("its name is not a UUID".into()))?;
    let opened = File::open(file).map_err(unreadable)?;
    if opened.metadata().map_err(unreadable)?.mode() & OTHERS != 0 {
        let file = file.display();
        tracing::warn!(%file, "others than its owner may use this signing key; run `chmod 600` on it");
    }
    let mut text = String::new();
    opened.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text).map_err(|cause| match cause.kind() {
        io::ErrorKind::InvalidData => damaged("it is not text".into()),
        _ => unreadable(cause),
    })?;
    let key = ed25519_dalek::SigningKey::from_pkcs8_pem(&text).map_err(|error| damaged(error.to_string()))?;
    named(id, &key).ok_or_else(|| damaged("it can't be encoded".into()))
}

fn make_key(folder: &Path, now: UnixMillis) -> Result<Key, KeysError> {
    let id = uuid::Builder::from_unix_timestamp_millis(now.0, &rand::random()).into_uuid();
    let key = ed25519_dalek::SigningKey::from_bytes(&rand::random());
    let file = folder.join(format!("{id}.pem"));
    let damaged = |cause: String| KeysError::Damaged { file: file.clone(), cause };
    let text = key.to_pkcs8_pem(LineEnding::LF).map_err(|error| damaged(error.to_string()))?;
    let written = write_key(folder, &file, text.as_bytes());
    written.map_err(|cause| KeysError::File { file: file.clone(), cause })?;
    named(id, &key).ok_or_else(|| damaged("it can't be encoded".into()))
}

fn write_key(folder: &Path, file: &Path, text: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(UNFINISHED);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    // The umask may have taken bits away.
    new.set_permissions(Permissions::from_mode(0o600))?;
    new.write_all(text)?;
    new.sync_all()?;
    fs::rename(&unfinished, file)?;
    sync_folder(folder)
}

fn named(id: Uuid, key: &ed25519_dalek::SigningKey) -> Option<Key> {
    let der = key.to_pkcs8_der().ok()?;
    let x = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
    let encoding = EncodingKey::from_ed_der(der.as_bytes());
    Some(Key { id, encoding, public: PublicKey { id: id.to_string(), x } })
}
