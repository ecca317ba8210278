//! The journal of the store's database after a power loss.
//!
//! The database cuts a journal off where a batch is incomplete. Where a batch is all there by its length and not by its
//! contents, it refuses to open, for it can't know whether somebody relies on that batch. Here nobody does: the store is a
//! function of the log. So before the database is opened, the journal is cut before such a batch, and the log replays what
//! was behind it.
//!
//! Layout of a journal in fjall 3.1 (`src/journal/entry.rs`), little-endian: start (tag 1, count u32, number u64), items
//! (tag 2, kind u8, compression u8, keyspace u64, key length u16, value length u32, length on disk u32, key, value) or
//! cleared keyspaces (tag 4, keyspace u64), end (tag 3, XXH3 of the items u64, four bytes of magic).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

const START_BYTES: usize = 1 + 4 + 8;
const ITEM_HEADER_BYTES: usize = 1 + 1 + 1 + 8 + 2 + 4 + 4;
const CLEAR_BYTES: usize = 1 + 8;
const END_BYTES: usize = 1 + 8 + 4;
const END_MAGIC: [u8; 4] = *b"FJL\x03";

/// Cuts the newest journal in a database's folder before its first batch that is not what was written. Returns where, and
/// how long it was; `None`: nothing is wrong with it.
pub(crate) fn cut_at_damage(store: &Path) -> io::Result<Option<(u64, u64)>> {
    let path = match newest(store) {
        Ok(Some(path)) => path,
        Ok(None) => return Ok(None),
        // The folder is new.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let bytes = fs::read(&path)?;
    let whole = whole_batches(&bytes);
    let zeros = [0; 4_096];
    if bytes[whole..].chunks(zeros.len()).all(|chunk| chunk == &zeros[..chunk.len()]) {
        return Ok(None);
    }
    let file: File = OpenOptions::new().write(true).open(&path)?;
    file.set_len(whole as u64)?;
    file.sync_all()?;
    Ok(Some((whole as u64, bytes.len() as u64)))
}

/// Has the system write what the newest journal holds, without anybody's waiting for it. The database syncs its journal
/// whenever it is about to write a table, and commits wait for that: it must find little to do.
pub(crate) fn write_back(store: &Path) -> io::Result<()> {
    match newest(store)? {
        Some(path) => File::open(path)?.sync_data(),
        None => Ok(()),
    }
}

fn newest(store: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(store)? {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jnl")?.parse().ok());
        if let Some(number) = number
            && newest.as_ref().is_none_or(|(known, _)| number > *known)
        {
            newest = Some((number, path));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// Bytes of the batches at the beginning that are whole.
fn whole_batches(bytes: &[u8]) -> usize {
    let mut whole = 0;
    while let Some(length) = batch(&bytes[whole..]) {
        whole += length;
    }
    whole
}

/// The length of the batch that `bytes` begin with; `None`: it is not whole.
fn batch(bytes: &[u8]) -> Option<usize> {
    let start = bytes.get(..START_BYTES).filter(|start| start[0] == 1)?;
    let count = u32::from_le_bytes(start[1..5].try_into().ok()?);
    let mut at = START_BYTES;
    for _ in 0..count {
        at += item(bytes.get(at..)?)?;
    }
    let end = bytes.get(at..at + END_BYTES)?;
    let sum = xxh3_64(&bytes[START_BYTES..at]).to_le_bytes();
    (end[0] == 3 && end[1..9] == sum && end[9..] == END_MAGIC).then_some(at + END_BYTES)
}

fn item(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        2 => {
            let header = bytes.get(..ITEM_HEADER_BYTES)?;
            let key = usize::from(u16::from_le_bytes(header[11..13].try_into().ok()?));
            let value = u32::from_le_bytes(header[17..21].try_into().ok()?) as usize;
            Some(ITEM_HEADER_BYTES + key + value).filter(|length| *length <= bytes.len())
        }
        4 => Some(CLEAR_BYTES),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;
    use std::process::Command;

    use fjall::{Database, KeyspaceCreateOptions, PersistMode};

    use super::*;

    /// A database whose journal holds so many batches, and where each of them ends.
    fn with_batches(folder: &Path, count: u8) -> Vec<u64> {
        let database = Database::builder(folder).manual_journal_persist(true).open().expect("opens");
        let rows = database.keyspace("rows", KeyspaceCreateOptions::default).expect("opens");
        let mut ends = vec![0];
        for number in 0..count {
            let mut batch = database.batch().durability(Some(PersistMode::SyncAll));
            for key in 0..3_u8 {
                batch.insert(&rows, [number, key], vec![number + 1; 40]);
            }
            batch.remove(&rows, [number, 9]);
            batch.commit().expect("commits");
            ends.push(
                whole_batches(&fs::read(newest(folder).expect("lists").expect("one")).expect("reads")) as u64
            );
        }
        ends
    }

    fn rows(folder: &Path) -> usize {
        let database = Database::builder(folder).open().expect("opens");
        database.keyspace("rows", KeyspaceCreateOptions::default).expect("opens").iter().count()
    }

    #[test]
    fn what_the_database_writes_is_read_to_its_end() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ends = with_batches(folder.path(), 5);
        assert!(ends.windows(2).all(|pair| pair[1] > pair[0] + 100), "each batch is seen: {ends:?}");
        assert_eq!(cut_at_damage(folder.path()).expect("reads"), None);
        assert_eq!(rows(folder.path()), 15);
    }

    #[test]
    fn a_journal_with_any_byte_changed_opens_with_the_batches_before_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ends = with_batches(folder.path(), 3);
        // The number of a batch is in no checksum of the database's.
        let is_number =
            |position: &u64| ends.iter().any(|end| (5..13).contains(&position.wrapping_sub(*end)));
        for position in (ends[1]..ends[3]).step_by(7).filter(|position| !is_number(position)) {
            let copy = tempfile::tempdir().expect("a temporary folder");
            let from = folder.path().join(".");
            let done = Command::new("cp").args(["-a", "--sparse=always"]).arg(from).arg(copy.path()).status();
            assert!(done.expect("cp").success());
            let path = newest(copy.path()).expect("lists").expect("one");
            let file = OpenOptions::new().read(true).write(true).open(path).expect("opens");
            let mut byte = [0];
            file.read_exact_at(&mut byte, position).expect("reads");
            file.write_all_at(&[byte[0] ^ 0xff], position).expect("writes");
            let (cut, _) = cut_at_damage(copy.path()).expect("cuts").expect("it is damaged");
            let before = ends.iter().filter(|end| **end <= cut).count() - 1;
            assert!(ends.contains(&cut) && cut <= position, "{cut} for {position}");
            assert_eq!(rows(copy.path()), 3 * before, "at {position}");
        }
    }
}
