//! Signing keys in files: one each, in a folder that only the server reads. Read with suspicion, written whole or not at
//! all, and for their owner's eyes alone.
//!
//! A set's version is made of the names in the folder, so a file that a person puts there or takes away is a change like
//! any other. One process holds the folder: whoever has locked the data folder.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use ringside_ports::keys::{KEYS_MAX, KeySet, KeyStore, KeyStoreError, KeysVersion, StoredKey};
use uuid::Uuid;

/// Bytes of a key file at the most.
pub const KEY_FILE_BYTES_MAX: u64 = 4_096;
/// A new key is written under this name first: a crash leaves no half key under a key's name.
const UNFINISHED: &str = "new.unfinished";
/// Whoever has one of these bits in a key's mode besides its owner could sign tokens, or spoil the key.
const OTHERS: u32 = 0o077;

/// Why key files can't be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The folder can't be made or read.
    #[error("the folder of signing keys {folder} can't be opened: {cause}. Check its owner and permissions")]
    Folder {
        folder: PathBuf,
        /// In the system's words.
        cause: io::Error,
    },
    /// A file can't be read or written.
    #[error("the signing key {file} can't be read or written: {cause}. Check its owner and permissions")]
    File {
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
        file: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// There are more than [`KEYS_MAX`].
    #[error("the folder of signing keys {0} holds more than {KEYS_MAX} keys; move the oldest out of it")]
    TooMany(PathBuf),
}

impl From<KeyFileError> for KeyStoreError {
    fn from(error: KeyFileError) -> Self {
        let sentence = error.to_string();
        match error {
            KeyFileError::Folder { .. } | KeyFileError::File { .. } => Self::Unavailable(sentence),
            KeyFileError::Damaged { .. } => Self::Damaged(sentence),
            KeyFileError::TooMany(_) => Self::TooMany(sentence),
        }
    }
}

/// The keys in a folder. A clone is another handle.
#[derive(Clone, Debug)]
pub struct KeyFiles(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Held by whoever changes the files.
    changing: Mutex<()>,
}

impl KeyFiles {
    /// The keys in this folder, which is made when the first one is written.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Folder { path: folder.into(), changing: Mutex::default() }))
    }

    /// Reads or writes files on a thread where that may take its time.
    async fn on_a_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T, KeyFileError> + Send + 'static,
    ) -> Result<T, KeyStoreError> {
        let folder = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&folder)).await;
        done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())).map_err(Into::into)
    }
}

impl KeyStore for KeyFiles {
    async fn load(&self) -> Result<KeySet, KeyStoreError> {
        self.on_a_thread(|folder| folder.read()).await
    }

    async fn swap(&self, from: KeysVersion, keys: Vec<StoredKey>) -> Result<Option<KeySet>, KeyStoreError> {
        self.on_a_thread(move |folder| folder.swap(from, &keys)).await
    }
}

impl Folder {
    fn read(&self) -> Result<KeySet, KeyFileError> {
        let keys = key_files(&self.path)?.iter().map(|file| read_key(file)).collect::<Result<Vec<_>, _>>()?;
        Ok(set_of(keys))
    }

    fn swap(&self, from: KeysVersion, keys: &[StoredKey]) -> Result<Option<KeySet>, KeyFileError> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.read()?;
        if before.version != from {
            return Ok(None);
        }
        if keys.len() > KEYS_MAX {
            return Err(KeyFileError::TooMany(self.path.clone()));
        }
        make_folder(&self.path)?;
        // New ones first: a failure in between leaves more keys, not fewer.
        for key in keys.iter().filter(|key| before.keys.iter().all(|kept| kept.id != key.id)) {
            write_key(&self.path, key)?;
        }
        for key in before.keys.iter().filter(|kept| keys.iter().all(|key| key.id != kept.id)) {
            remove_key(&self.path, key)?;
        }
        Ok(Some(set_of(keys.to_vec())))
    }
}

fn set_of(keys: Vec<StoredKey>) -> KeySet {
    let mut set = KeySet::new(KeysVersion(0), keys);
    let mut hasher = DefaultHasher::new();
    set.keys.iter().for_each(|key| key.id.hash(&mut hasher));
    set.version = KeysVersion(hasher.finish());
    set
}

fn file_of(folder: &Path, id: Uuid) -> PathBuf {
    folder.join(format!("{id}.pem"))
}

/// Removes a key's file, for good.
fn remove_key(folder: &Path, key: &StoredKey) -> Result<(), KeyFileError> {
    let file = file_of(folder, key.id);
    let removed = fs::remove_file(&file).and_then(|()| sync_folder(folder));
    removed.map_err(|cause| KeyFileError::File { file, cause })
}

fn make_folder(folder: &Path) -> Result<(), KeyFileError> {
    make_private(folder).map_err(|cause| KeyFileError::Folder { folder: folder.into(), cause })
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
fn key_files(folder: &Path) -> Result<Vec<PathBuf>, KeyFileError> {
    let failed = |cause| KeyFileError::Folder { folder: folder.into(), cause };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "pem") {
            files.push(path);
        }
        if files.len() > KEYS_MAX {
            return Err(KeyFileError::TooMany(folder.into()));
        }
    }
    Ok(files)
}

fn read_key(file: &Path) -> Result<StoredKey, KeyFileError> {
    let unreadable = |cause| KeyFileError::File { file: file.into(), cause };
    let damaged = |cause: String| KeyFileError::Damaged { file: file.into(), cause };
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
    let key = SigningKey::from_pkcs8_pem(&text).map_err(|error| damaged(error.to_string()))?;
    Ok(StoredKey { id, seed: key.to_bytes() })
}

fn write_key(folder: &Path, key: &StoredKey) -> Result<(), KeyFileError> {
    let file = file_of(folder, key.id);
    let text = SigningKey::from_bytes(&key.seed).to_pkcs8_pem(LineEnding::LF);
    let text =
        text.map_err(|error| KeyFileError::Damaged { file: file.clone(), cause: error.to_string() })?;
    let written = write_file(folder, &file, text.as_bytes());
    written.map_err(|cause| KeyFileError::File { file, cause })
}

fn write_file(folder: &Path, file: &Path, text: &[u8]) -> io::Result<()> {
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
