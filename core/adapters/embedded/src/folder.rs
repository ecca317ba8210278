//! The data folder: versioned, locked, checked when it is opened.
//!
//! `VERSION` holds the layout's number and the counts of partitions, and the word `new` until the database has been made:
//! a folder that lost its database later is damaged and not new. `lock` is held by `flock` while the process lives,
//! `log/` has the log's segments, `store/` is the database's. In format 1 the log was in the database.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock, statvfs};
use rustix::io::Errno;

use crate::config::Partitions;

/// The layout of the folder that this version writes. It reads this one and all before it.
pub const FORMAT: u32 = 2;
/// The last layout with the log in the database.
const FORMAT_OF_LOG_IN_STORE: u32 = 1;

const VERSION_FILE: &str = "VERSION";
const LOCK_FILE: &str = "lock";
const LOG_FOLDER: &str = "log";
const STORE_FOLDER: &str = "store";
/// The folder's permissions: its owner's alone.
const PRIVATE: u32 = 0o700;
/// The permissions of group and others.
const OTHERS: u32 = 0o077;
/// The line of `VERSION` that says that the database was never open.
const NEW: &str = "new";
/// `VERSION` is a few lines; a file that is longer is not ours.
const VERSION_BYTES_MAX: usize = 4 * 1024;

/// Why a data folder can't be used. Each sentence says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the lock.
    #[error(
        "the data folder {} is in use by another Ringside. Stop that one first, or start this one with another \
         --data-dir", .0.display()
    )]
    Locked(PathBuf),
    /// It holds a log and a store, and the configuration says that they are elsewhere.
    #[error(
        "the data folder {} holds a log and a store of its own, and the configuration says that they are elsewhere \
         (`engines.log`, `engines.store`). Name another folder with --data-dir, or set both to \"embedded\"", .0.display()
    )]
    Inhabited(PathBuf),
    /// A later version of Ringside made or upgraded it.
    #[error(
        "the data folder {} was written by a newer Ringside (format {found}; this one knows up to {FORMAT}). Start \
         that version or a later one, or restore a backup made before the upgrade", folder.display()
    )]
    Newer { folder: PathBuf, found: u32 },
    /// It holds other things.
    #[error(
        "{} is not a Ringside data folder: {cause}. Choose an empty folder or one that Ringside made", folder.display()
    )]
    Foreign { folder: PathBuf, cause: String },
    /// It can be read and not written.
    #[error(
        "the data folder {} can't be written ({cause}). Check its owner and permissions, and that its file system is \
         not mounted read-only", folder.display()
    )]
    ReadOnly {
        folder: PathBuf,
        /// In the system's words.
        cause: io::Error,
    },
    /// Other accounts of the machine can look into it, and it can't be closed to them.
    #[error(
        "the data folder {} is open to other accounts of this machine (mode {mode:o}) and can't be closed to them \
         ({cause}). Say `chmod 700` to it as its owner, or choose a folder of your own with --data-dir",
        folder.display()
    )]
    Open {
        folder: PathBuf,
        mode: u32,
        /// In the system's words.
        cause: io::Error,
    },
    /// There is too little room.
    #[error(
        "the disk that holds {} has {free} bytes free and Ringside needs {needed}. Free some space, or move the folder \
         to a larger disk", folder.display()
    )]
    DiskFull {
        folder: PathBuf,
        /// Bytes free.
        free: u64,
        /// Bytes needed.
        needed: u64,
    },
    /// The database in it can't be read.
    #[error(
        "the data in {} can't be read: {cause}. Nothing was changed. Copy the folder away before you try anything, \
         then restore a backup", folder.display()
    )]
    Damaged {
        folder: PathBuf,
        /// What is wrong, and where.
        cause: String,
    },
    /// Any other refusal of the system.
    #[error("the data folder {} can't be opened ({cause}). Check that it exists and is a folder", folder.display())]
    Io {
        folder: PathBuf,
        /// In the system's words.
        cause: io::Error,
    },
}

/// A data folder without log and store in it, which are elsewhere. It is ours while this lives.
#[derive(Debug)]
pub struct HeldFolder {
    /// Held by `flock`; the kernel lets go of it however the process ends.
    _lock: File,
}

impl HeldFolder {
    /// Takes the folder, making it where it isn't there.
    ///
    /// # Errors
    /// See [`OpenError`]; [`OpenError::Inhabited`] where it holds a log and a store.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        make(path)?;
        let lock = lock(path)?;
        if read_version(path)?.is_some() {
            return Err(OpenError::Inhabited(path.to_owned()));
        }
        check_writable(path)?;
        close_to_others(path)?;
        Ok(Self { _lock: lock })
    }
}

/// A folder that is ours while this lives.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    partitions: Partitions,
    is_new: bool,
    format: u32,
    /// Held by `flock`; the kernel lets go of it however the process ends.
    _lock: File,
}

impl Folder {
    /// Takes the folder, making it where it isn't there. `wished` counts for a new one only.
    pub(crate) fn open(path: &Path, wished: Partitions, free_bytes_min: u64) -> Result<Self, OpenError> {
        make(path)?;
        let lock = lock(path)?;
        let Version { partitions, is_new, format } = match read_version(path)? {
            Some(known) => known,
            None => {
                refuse_foreign(path)?;
                check_room(path, free_bytes_min)?;
                let version = Version { partitions: wished, is_new: true, format: FORMAT };
                write_version(path, version)?;
                version
            }
        };
        check_writable(path)?;
        close_to_others(path)?;
        check_room(path, free_bytes_min)?;
        let folder = Self { path: path.to_owned(), partitions, is_new, format, _lock: lock };
        if is_new {
            // A first start that was cut short may have left a part of a database; nobody was ever answered from it.
            for part in [folder.store(), folder.log()] {
                match fs::remove_dir_all(part) {
                    Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                        return Err(refused(path, cause));
                    }
                    _ => {}
                }
            }
        } else if let Some(missing) = folder.missing() {
            let cause = format!("its folder {missing} is missing");
            return Err(OpenError::Damaged { folder: path.to_owned(), cause });
        }
        Ok(folder)
    }

    /// The database is there and open: from now on a folder without it is damaged.
    pub(crate) fn made(&mut self) -> Result<(), OpenError> {
        if self.is_new {
            self.is_new = false;
            write_version(&self.path, self.version())?;
        }
        Ok(())
    }

    /// The log is in segments now: the folder is of today's format.
    pub(crate) fn has_log(&mut self) -> Result<(), OpenError> {
        self.format = FORMAT;
        write_version(&self.path, self.version())
    }

    fn version(&self) -> Version {
        Version { partitions: self.partitions, is_new: self.is_new, format: self.format }
    }

    /// Whether the log is in the database still.
    pub(crate) fn keeps_log_in_store(&self) -> bool {
        self.format <= FORMAT_OF_LOG_IN_STORE
    }

    /// A folder that must be there and isn't.
    fn missing(&self) -> Option<&'static str> {
        let is_log_missing = !self.keeps_log_in_store() && !holds_segments(&self.log());
        let parts = [(STORE_FOLDER, !self.store().is_dir()), (LOG_FOLDER, is_log_missing)];
        parts.into_iter().find_map(|(name, is_missing)| is_missing.then_some(name))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The counts that the folder was made with.
    pub(crate) fn partitions(&self) -> Partitions {
        self.partitions
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path.join(STORE_FOLDER)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join(LOG_FOLDER)
    }
}

/// Whether a folder has files: the log has a segment from the start.
fn holds_segments(log: &Path) -> bool {
    fs::read_dir(log).is_ok_and(|mut files| files.next().is_some())
}

/// What `VERSION` says.
#[derive(Clone, Copy, Debug)]
struct Version {
    partitions: Partitions,
    /// Log and store were never open.
    is_new: bool,
    format: u32,
}

/// Takes every permission of group and others from a folder that was there before: what earlier versions wrote in it
/// could be read by all, and behind a closed folder nothing can.
fn close_to_others(path: &Path) -> Result<(), OpenError> {
    let mode = mode(path).map_err(|cause| refused(path, cause))?;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let open = |cause| OpenError::Open { folder: path.to_owned(), mode, cause };
    fs::set_permissions(path, fs::Permissions::from_mode(PRIVATE)).map_err(open)?;
    // Some file systems (FAT, some network mounts) take a mode and keep their own.
    match self::mode(path).map_err(|cause| refused(path, cause))? & OTHERS {
        0 => Ok(()),
        _ => Err(open(io::Error::other("its file system keeps no permissions"))),
    }
}

fn mode(path: &Path) -> io::Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o777)
}

/// Bytes free for this process on the disk that holds `path`.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

fn check_room(path: &Path, needed: u64) -> Result<(), OpenError> {
    let free = free_bytes(path).map_err(|cause| refused(path, cause))?;
    if free < needed { Err(OpenError::DiskFull { folder: path.to_owned(), free, needed }) } else { Ok(()) }
}

/// Makes the folder, its owner's alone, and its name durable.
fn make(path: &Path) -> Result<(), OpenError> {
    // Password hashes and messages are its owner's alone.
    let made = fs::DirBuilder::new().recursive(true).mode(PRIVATE).create(path);
    made.map_err(|cause| refused(path, cause))?;
    let name_is_durable = || File::open(path.canonicalize()?.parent().unwrap_or(path))?.sync_all();
    // A parent that may be entered and not read can't be synced; its file system orders it.
    match name_is_durable() {
        Err(cause) if cause.kind() != io::ErrorKind::PermissionDenied => Err(refused(path, cause)),
        _ => Ok(()),
    }
}

fn lock(path: &Path) -> Result<File, OpenError> {
    // Never truncated: the holder's file is not ours to change.
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.join(LOCK_FILE))
        .map_err(|cause| refused(path, cause))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(OpenError::Locked(path.to_owned())),
        Err(errno) => Err(refused(path, errno.into())),
    }
}

/// What an existing folder says of itself; `None`: nobody made it yet.
fn read_version(path: &Path) -> Result<Option<Version>, OpenError> {
    let foreign = |cause: &str| OpenError::Foreign { folder: path.to_owned(), cause: cause.to_owned() };
    let text = match fs::read(path.join(VERSION_FILE)) {
        Ok(bytes) if bytes.len() > VERSION_BYTES_MAX => return Err(foreign("VERSION is too long")),
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| foreign("VERSION is not text"))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(refused(path, cause)),
    };
    let number = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    let found: u32 = number("format ").ok_or_else(|| foreign("VERSION names no format"))?;
    if found > FORMAT {
        return Err(OpenError::Newer { folder: path.to_owned(), found });
    }
    let count = |name| number(name).and_then(|count| u16::try_from(count).ok());
    let counts = count("messages.send ").zip(count("messages.receive "));
    let partitions = counts.map(|(messages, slots)| Partitions { messages, slots });
    match partitions.filter(|partitions| partitions.are_valid()) {
        Some(partitions) => {
            let is_new = text.lines().any(|line| line == NEW);
            Ok(Some(Version { partitions, is_new, format: if is_new { FORMAT } else { found } }))
        }
        None => Err(foreign("VERSION names no counts of partitions")),
    }
}

/// Written beside, synced and renamed: a crash leaves the old file, or none, or the new one.
fn write_version(path: &Path, version: Version) -> Result<(), OpenError> {
    let Version { partitions: Partitions { messages, slots }, is_new, format } = version;
    let mut text = format!("format {format}\nmessages.send {messages}\nmessages.receive {slots}\n");
    if is_new {
        text.push_str(NEW);
        text.push('\n');
    }
    let write = || -> io::Result<()> {
        let beside = path.join("VERSION.new");
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path.join(VERSION_FILE))?;
        File::open(path)?.sync_all()
    };
    write().map_err(|cause| refused(path, cause))
}

/// A folder without a `VERSION` must be empty but for what a crash in the middle of making it leaves.
fn refuse_foreign(path: &Path) -> Result<(), OpenError> {
    for entry in fs::read_dir(path).map_err(|cause| refused(path, cause))? {
        let name = entry.map_err(|cause| refused(path, cause))?.file_name();
        if name != LOCK_FILE && name != "VERSION.new" && name != "lost+found" {
            let cause = format!("it holds {} and no VERSION", name.display());
            return Err(OpenError::Foreign { folder: path.to_owned(), cause });
        }
    }
    Ok(())
}

/// A lock file that was there before opens on a read-only folder; only making a file tells.
fn check_writable(path: &Path) -> Result<(), OpenError> {
    let probe = path.join("VERSION.new");
    File::create(&probe).and_then(|_| fs::remove_file(&probe)).map_err(|cause| refused(path, cause))
}

pub(crate) fn refused(path: &Path, cause: io::Error) -> OpenError {
    let folder = path.to_owned();
    match cause.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenError::ReadOnly { folder, cause }
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            OpenError::DiskFull { folder, free: 0, needed: 1 }
        }
        _ => OpenError::Io { folder, cause },
    }
}
