//! Key files: read with suspicion, written whole or not at all, and for their owner's eyes alone.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use jsonwebtoken::EncodingKey;
use ringside_session::token::PublicKey;
use ringside_types::UnixMillis;
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
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: Uuid,
    pub(super) encoding: EncodingKey,
    pub(super) public: PublicKey,
}

impl Key {
    /// When it was made, as its name says; one that was named otherwise counts as older than all.
    pub(super) fn made_at(&self) -> UnixMillis {
        let made = self.id.get_timestamp().filter(|_| self.id.get_version_num() == 7);
        UnixMillis(made.map_or(0, |made| {
            let (seconds, nanoseconds) = made.to_unix();
            seconds.saturating_mul(1_000) + u64::from(nanoseconds / 1_000_000)
        }))
    }
}

/// All keys of a folder, oldest first.
pub(super) fn read_keys(folder: &Path) -> Result<Vec<Key>, KeysError> {
    let mut keys = key_files(folder)?.iter().map(|file| read_key(file)).collect::<Result<Vec<_>, _>>()?;
    keys.sort_by_key(|key| (key.made_at(), key.id));
    Ok(keys)
}

/// Removes a key's file, for good.
pub(super) fn remove_key(folder: &Path, key: &Key) -> Result<(), KeysError> {
    let file = folder.join(format!("{}.pem", key.id));
    let removed = fs::remove_file(&file).and_then(|()| sync_folder(folder));
    removed.map_err(|cause| KeysError::File { file, cause })
}

pub(super) fn make_folder(folder: &Path) -> Result<(), KeysError> {
    make_private(folder).map_err(|cause| KeysError::Folder { folder: folder.into(), cause })
}

fn make_private(folder: &Path) -> io::Result<()> {
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

pub(super) fn make_key(folder: &Path, now: UnixMillis) -> Result<Key, KeysError> {
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
