//! The files of the audit log: the one that is written, and those before it, each of a bounded size.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The file that is written.
const FILE: &str = "audit.jsonl";
/// For the folder's owner alone.
const MODE: u32 = 0o600;

/// `audit.jsonl`, then `audit.jsonl.1` and so on, the newest first.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    file: File,
    /// Bytes of whole lines in it.
    len: u64,
    bytes_max: u64,
    files_max: u32,
}

impl Files {
    /// Opens the file that is written, or makes it. A line that a crash of the machine cut short is ended.
    pub(super) fn open(folder: &Path, bytes_max: u64, files_max: u32) -> io::Result<Self> {
        let mut file = open(&folder.join(FILE))?;
        let mut len = file.seek(SeekFrom::End(0))?;
        if len > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                len += 1;
            }
        }
        Ok(Self { folder: folder.to_owned(), file, len, bytes_max, files_max })
    }

    /// Appends lines; how many of them are written, and why the others are not. The file never ends in a part of one.
    pub(super) fn append(&mut self, lines: &[String]) -> (usize, io::Result<()>) {
        let mut written = 0;
        while written < lines.len() {
            let mut len = self.len;
            let fits = |line: &&String| {
                len += line.len() as u64;
                len <= self.bytes_max
            };
            let mut count = lines[written..].iter().take_while(fits).count();
            if count == 0 {
                if self.len > 0 {
                    if let Err(error) = self.rotate() {
                        return (written, Err(error));
                    }
                    continue;
                }
                // One that is larger than a file has one to itself.
                count = 1;
            }
            let part = lines[written..written + count].concat();
            if let Err(error) = self.file.write_all(part.as_bytes()) {
                // What is left of it would stand before the next try.
                let _ = self.file.set_len(self.len);
                return (written, Err(error));
            }
            self.len += part.len() as u64;
            written += count;
        }
        (written, Ok(()))
    }

    /// Waits until the disk has it.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Begins a new file; the oldest goes.
    fn rotate(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        let older = |number: u32| self.folder.join(format!("{FILE}.{number}"));
        let current = self.folder.join(FILE);
        if self.files_max <= 1 {
            fs::remove_file(&current)?;
        } else {
            // The one that has the last number is replaced.
            for number in (1..self.files_max - 1).rev() {
                match fs::rename(older(number), older(number + 1)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            fs::rename(&current, older(1))?;
        }
        self.file = open(&current)?;
        self.len = 0;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(path)?;
    // One that was there may have been opened to others.
    file.set_permissions(Permissions::from_mode(MODE))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(numbers: std::ops::Range<u32>) -> Vec<String> {
        numbers.map(|number| format!("{number:07}\n")).collect()
    }

    fn read(folder: &Path, name: &str) -> String {
        fs::read_to_string(folder.join(name)).unwrap_or_default()
    }

    #[test]
    fn files_are_bounded_in_size_and_number() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut files = Files::open(folder.path(), 32, 3).expect("it opens");
        let (written, result) = files.append(&numbered(0..14));
        assert_eq!((written, result.is_ok()), (14, true));
        // Four lines fit into each; of sixteen files' worth the last three are kept.
        assert_eq!(read(folder.path(), "audit.jsonl"), numbered(12..14).concat());
        assert_eq!(read(folder.path(), "audit.jsonl.1"), numbered(8..12).concat());
        assert_eq!(read(folder.path(), "audit.jsonl.2"), numbered(4..8).concat());
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 3);
        for entry in fs::read_dir(folder.path()).expect("a folder") {
            let mode = entry.and_then(|entry| entry.metadata()).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, MODE);
        }
        drop(files);
        let mut files = Files::open(folder.path(), 32, 1).expect("it opens");
        assert!(files.append(&numbered(14..17)).1.is_ok());
        assert_eq!(read(folder.path(), "audit.jsonl"), numbered(16..17).concat(), "it goes on where it was");
        assert!(files.append(&["x".repeat(100)]).1.is_ok());
        assert_eq!(read(folder.path(), "audit.jsonl").len(), 100, "a large one is not split");
    }

    #[test]
    fn what_a_crash_cut_short_harms_no_later_line() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(FILE), "0000001\n00000").expect("written");
        let mut files = Files::open(folder.path(), 1_000, 3).expect("it opens");
        assert!(files.append(&numbered(2..3)).1.is_ok());
        assert_eq!(read(folder.path(), FILE), "0000001\n00000\n0000002\n");
    }
}
