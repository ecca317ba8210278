//! `ringside restore`: a backup into an empty folder, each file checked on its way.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::manifest::{Manifest, digest};
use super::{DATA, make_folder};
use crate::commands::Failure;
use crate::config::Config;

/// Copied last: a restore that was cut short leaves a folder that no server takes for its own.
const VERSION_FILE: &str = "VERSION";

/// Restores into the configured data folder.
///
/// # Errors
/// The sentence to print. Nothing is left of what was copied.
pub(crate) fn run(config: &Config, from: &Path) -> Result<(), Failure> {
    let to = &config.data_dir;
    let manifest = Manifest::read(from)?;
    match fs::read_dir(to) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                let path = to.display();
                return Err(
                    format!("{path} is not empty; name an empty or a new folder with --data-dir").into()
                );
            }
            // Made again with the right mode.
            fs::remove_dir(to)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(format!("{} can't be read: {error}", to.display()).into()),
    }
    make_folder(to).map_err(|error| format!("{} can't be made: {error}", to.display()))?;
    let copied = copy(&manifest, &from.join(DATA), to);
    if copied.is_err() {
        let _ = fs::remove_dir_all(to);
    }
    copied?;
    println!(
        "Restored {} files into {}. Start it with: ringside up --data-dir {}",
        manifest.files.len(),
        to.display(),
        to.display()
    );
    Ok(())
}

fn copy(manifest: &Manifest, from: &Path, to: &Path) -> Result<(), String> {
    let is_version = |path: &str| path == VERSION_FILE;
    if !manifest.files.iter().any(|entry| is_version(&entry.path)) {
        return Err("the backup lacks the file VERSION; name another with --from".into());
    }
    let (last, first): (Vec<_>, Vec<_>) = manifest.files.iter().partition(|entry| is_version(&entry.path));
    for entry in first.into_iter().chain(last) {
        let copied = copy_file(from, to, &entry.path);
        let (bytes, sha256) = copied.map_err(|error| format!("{} can't be restored: {error}", entry.path))?;
        if (bytes, &sha256) != (entry.bytes, &entry.sha256) {
            return Err(format!(
                "{} is not what was backed up: it has changed or is damaged. Nothing was restored; name another backup \
                 with --from",
                entry.path
            ));
        }
    }
    File::open(to).and_then(|folder| folder.sync_all()).map_err(|error| error.to_string())
}

fn copy_file(from: &Path, to: &Path, path: &str) -> io::Result<(u64, String)> {
    let target = to.join(path);
    let folders: Vec<_> = target.ancestors().skip(1).take_while(|folder| *folder != to).collect();
    for folder in folders.into_iter().rev() {
        match make_folder(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target)?;
    let told = digest(&from.join(path), |piece| file.write_all(piece))?;
    file.sync_all()?;
    Ok(told)
}
