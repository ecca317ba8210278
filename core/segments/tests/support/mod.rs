//! A disk in memory that may lose power: what was not synced survives in any part, sector by sector.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use ringside_segments::{Config, Disk, DiskFile, Reader, Stream, Writer};
use ringside_types::{Offset, PartitionId, Topic, UnixMillis};

const SECTOR: usize = 512;

pub const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

/// Segments of a few records.
pub fn config() -> Config {
    Config { segment_bytes_min: 2_048, segment_bytes_max: 8_192, segment_age_ms: 1_000_000 }
}

pub fn stream(number: u16) -> Stream {
    let topics = [Topic::MessagesSend, Topic::Control, Topic::MessagesStatus];
    Stream { topic: topics[usize::from(number) % 3], partition: PartitionId(number / 3) }
}

pub fn open(disk: &VirtualDisk) -> Writer<VirtualDisk> {
    Writer::open(disk.clone(), config(), 7, NOW, &[]).expect("opens")
}

/// All records of a stream, as payloads.
pub fn all<F: DiskFile>(reader: &Reader<F>, stream: Stream, end: Offset) -> Vec<Bytes> {
    let from = reader.start(stream);
    let found = reader.read(stream, from, end, (usize::MAX, usize::MAX)).expect("reads");
    assert_eq!(found.len() as u64, end.0 - from.0, "{stream}: dense from the start to the end");
    found.into_iter().map(|record| record.payload).collect()
}

#[derive(Default, Clone)]
struct Contents {
    durable: Vec<u8>,
    current: Vec<u8>,
    /// Writes since the last sync.
    pending: Vec<(usize, Vec<u8>)>,
}

#[derive(Default)]
struct State {
    /// By name; a name is durable or not, and what it names, too.
    files: BTreeMap<String, Arc<Mutex<Contents>>>,
    durable_names: BTreeMap<String, Arc<Mutex<Contents>>>,
    /// Operations that change something, so far; and how many there may be.
    operations: u64,
    operations_max: Option<u64>,
    /// What the next syncs answer.
    failing_syncs: u32,
    is_full: bool,
}

#[derive(Clone, Default)]
pub struct VirtualDisk(Arc<Mutex<State>>);

pub struct VirtualFile {
    disk: VirtualDisk,
    contents: Arc<Mutex<Contents>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl VirtualDisk {
    /// From now on the power fails after so many operations.
    pub fn cut_after(&self, operations: u64) {
        let mut state = lock(&self.0);
        state.operations_max = Some(state.operations + operations);
    }

    pub fn operations(&self) -> u64 {
        lock(&self.0).operations
    }

    pub fn fail_syncs(&self, count: u32) {
        lock(&self.0).failing_syncs = count;
    }

    pub fn set_full(&self, is_full: bool) {
        lock(&self.0).is_full = is_full;
    }

    pub fn names(&self) -> Vec<String> {
        lock(&self.0).files.keys().cloned().collect()
    }

    pub fn length(&self, name: &str) -> usize {
        lock(&lock(&self.0).files[name]).current.len()
    }

    /// Changes a byte behind everybody's back.
    pub fn flip(&self, name: &str, position: usize) {
        let state = lock(&self.0);
        let mut contents = lock(&state.files[name]);
        contents.current[position] ^= 0x10;
        contents.durable = contents.current.clone();
    }

    /// A copy that shares nothing.
    pub fn copy(&self) -> Self {
        self.after(|contents| contents.current.clone(), |state| state.files.clone())
    }

    /// The disk as it is after a power loss.
    pub fn after_power_loss(&self, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut names = StdRng::seed_from_u64(seed ^ 1);
        self.after(
            |contents| survivors(contents, &mut random),
            |state| {
                let mut kept = state.durable_names.clone();
                for (name, file) in &state.files {
                    if !kept.contains_key(name) && names.random_bool(0.5) {
                        kept.insert(name.clone(), Arc::clone(file));
                    }
                }
                kept.retain(|name, _| state.files.contains_key(name) || names.random_bool(0.5));
                kept
            },
        )
    }

    fn after(
        &self,
        mut of: impl FnMut(&Contents) -> Vec<u8>,
        names: impl FnOnce(&State) -> BTreeMap<String, Arc<Mutex<Contents>>>,
    ) -> Self {
        let state = lock(&self.0);
        let copy = |(name, file): (String, Arc<Mutex<Contents>>)| {
            let bytes = of(&lock(&file));
            let contents = Contents { durable: bytes.clone(), current: bytes, pending: Vec::new() };
            (name, Arc::new(Mutex::new(contents)))
        };
        let files: BTreeMap<_, _> = names(&state).into_iter().map(copy).collect();
        Self(Arc::new(Mutex::new(State { durable_names: files.clone(), files, ..State::default() })))
    }

    /// Counts an operation; an error once the power is gone.
    fn operate(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = lock(&self.0);
        if state.operations_max.is_some_and(|max| state.operations >= max) {
            return Err(io::Error::other("the power is gone"));
        }
        state.operations += 1;
        Ok(state)
    }
}

/// The durable bytes with any of the sectors written since.
fn survivors(contents: &Contents, random: &mut StdRng) -> Vec<u8> {
    let mut bytes = contents.durable.clone();
    for (position, written) in &contents.pending {
        let mut from = 0;
        while from < written.len() {
            let to = ((position + from) / SECTOR + 1) * SECTOR - position;
            let to = to.min(written.len());
            if random.random_bool(0.5) {
                if bytes.len() < position + to {
                    bytes.resize(position + to, 0);
                }
                bytes[position + from..position + to].copy_from_slice(&written[from..to]);
            }
            from = to;
        }
    }
    bytes
}

impl Disk for VirtualDisk {
    type File = VirtualFile;

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    fn create(&self, name: &str) -> io::Result<VirtualFile> {
        let mut state = self.operate()?;
        if state.is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let contents = Arc::<Mutex<Contents>>::default();
        state.files.insert(name.to_owned(), Arc::clone(&contents));
        Ok(VirtualFile { disk: self.clone(), contents })
    }

    fn open(&self, name: &str) -> io::Result<VirtualFile> {
        let contents = lock(&self.0).files.get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(VirtualFile { disk: self.clone(), contents })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.operate()?;
        state.files.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.operate()?;
        state.durable_names = state.files.clone();
        Ok(())
    }
}

impl DiskFile for VirtualFile {
    fn length(&self) -> io::Result<u64> {
        Ok(lock(&self.contents).current.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        let contents = lock(&self.contents);
        let from = position as usize;
        let bytes = contents.current.get(from..from + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        // A write that the power interrupts is there in part.
        let ended = self.disk.operate().map(drop);
        let mut contents = lock(&self.contents);
        let from = position as usize;
        if contents.current.len() < from + bytes.len() {
            contents.current.resize(from + bytes.len(), 0);
        }
        contents.current[from..from + bytes.len()].copy_from_slice(bytes);
        contents.pending.push((from, bytes.to_vec()));
        ended
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.operate()?;
        if state.failing_syncs > 0 {
            state.failing_syncs -= 1;
            return Err(io::Error::other("the disk is broken"));
        }
        let mut contents = lock(&self.contents);
        contents.durable = contents.current.clone();
        contents.pending.clear();
        Ok(())
    }
}
