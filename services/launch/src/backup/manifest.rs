//! What a backup holds, file by file: written last, checked before anything is restored.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path};

use ringside_clock::now;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::settle_file;

/// The layout of a backup that this version writes; it reads this one and all before it.
const FORMAT: u32 = 1;
const FILE: &str = "manifest.json";
const UNFINISHED: &str = "manifest.unfinished";
/// A manifest is no longer than this: room for some hundred thousand files.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    /// The version of Ringside that made it.
    pub(super) made_by: String,
    /// In milliseconds since the Unix epoch.
    made_at: u64,
    /// In the order of their names.
    pub(super) files: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Inside of the data folder.
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Manifest {
    /// Of all files in a folder, which are made private and put on the disk.
    pub(super) fn of(data: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        list(data, "", &mut files)?;
        files.sort_by(|one: &Entry, other| one.path.cmp(&other.path));
        let made_by = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Self { format: FORMAT, made_by, made_at: now().0, files })
    }

    /// Beside first, then under its name: a backup that was cut short has none.
    pub(super) fn write(&self, backup: &Path) -> io::Result<()> {
        let beside = backup.join(UNFINISHED);
        fs::write(&beside, serde_json::to_vec_pretty(self)?)?;
        settle_file(&beside)?;
        fs::rename(&beside, backup.join(FILE))?;
        File::open(backup)?.sync_all()
    }

    /// Reads a backup's manifest, and checks that it stays inside of the folder.
    pub(super) fn read(backup: &Path) -> Result<Self, String> {
        let path = backup.join(FILE);
        let is_no_backup = |cause: &dyn std::fmt::Display| {
            let folder = backup.display();
            format!("{folder} is no backup, or one that was not finished ({cause}); name another with --from")
        };
        let file = File::open(&path).map_err(|error| is_no_backup(&error))?;
        let manifest: Self = serde_json::from_reader(io::BufReader::new(file.take(BYTES_MAX)))
            .map_err(|error| is_no_backup(&error))?;
        if manifest.format > FORMAT {
            let Self { format, made_by, .. } = &manifest;
            return Err(format!(
                "the backup has the format {format} and was made by Ringside {made_by}; this one knows up to {FORMAT}. \
                 Restore it with that version or a later one"
            ));
        }
        let is_inside = |entry: &Entry| {
            Path::new(&entry.path).components().all(|part| matches!(part, Component::Normal(_)))
        };
        match manifest.files.iter().find(|entry| entry.path.is_empty() || !is_inside(entry)) {
            Some(entry) => Err(is_no_backup(&format!("its file {:?} is none of a data folder", entry.path))),
            None => Ok(manifest),
        }
    }
}

fn list(folder: &Path, prefix: &str, files: &mut Vec<Entry>) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name =
            entry.file_name().into_string().map_err(|_| io::Error::other("a file's name is not text"))?;
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{prefix}{name}/"), files)?;
        } else {
            settle_file(&entry.path())?;
            let (bytes, sha256) = digest(&entry.path(), |_| Ok(()))?;
            files.push(Entry { path: format!("{prefix}{name}"), bytes, sha256 });
        }
    }
    File::open(folder)?.sync_all()
}

/// A file's length and SHA-256; each piece is shown on the way.
pub(super) fn digest(
    path: &Path,
    mut show: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<(u64, String)> {
    let (mut file, mut buffer, mut bytes) = (File::open(path)?, vec![0; READ_BYTES], 0);
    let mut hash = Sha256::new();
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            let hex = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            return Ok((bytes, hex));
        }
        hash.update(&buffer[..count]);
        show(&buffer[..count])?;
        bytes += count as u64;
    }
}
