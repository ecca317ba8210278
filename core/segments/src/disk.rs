//! Where segments are kept. Tests have disks of their own, which lose what was not synced.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::OFlags;

/// What a disk writes at once: a sector.
pub const BLOCK_BYTES: usize = 512;

/// A folder of files.
pub trait Disk: Clone + Send + Sync + 'static {
    /// One of its files.
    type File: DiskFile;

    /// The names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes a file, which must not be there.
    fn create(&self, name: &str) -> io::Result<Self::File>;
    /// Opens a file.
    fn open(&self, name: &str) -> io::Result<Self::File>;
    /// Removes a file. Who has it open goes on reading it.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the names of the files durable.
    fn sync_names(&self) -> io::Result<()>;
}

/// A file, read and written at positions.
pub trait DiskFile: Send + Sync + 'static {
    /// Its length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Fills `buffer` from a position on; a file that ends before is an error.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()>;
    /// Writes all of it.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;
    /// Makes what was written durable, and the length.
    fn sync(&self) -> io::Result<()>;

    /// Nothing is written to it any more.
    fn close_for_writing(&self) {}

    /// Writes whole blocks, and makes them durable. The bytes begin in memory, and stand in the file, at multiples of
    /// [`BLOCK_BYTES`], and are as many.
    fn write_blocks(&self, blocks: &[u8], position: u64) -> io::Result<()> {
        self.write_at(blocks, position)?;
        self.sync()
    }
}

/// A folder of the file system.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at `path`, made where it isn't there.
    ///
    /// # Errors
    /// The system refuses.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => {
                made?;
                File::open(path.parent().unwrap_or(&path))?.sync_all()?;
            }
        }
        Ok(Self(path))
    }
}

impl Disk for Folder {
    type File = FolderFile;

    fn list(&self) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        fs::read_dir(&self.0)?.map(name).collect()
    }

    fn create(&self, name: &str) -> io::Result<FolderFile> {
        FolderFile::open(OpenOptions::new().create_new(true).mode(0o600), &self.0.join(name))
    }

    fn open(&self, name: &str) -> io::Result<FolderFile> {
        FolderFile::open(&mut OpenOptions::new(), &self.0.join(name))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

/// A file of a folder.
#[derive(Debug)]
pub struct FolderFile {
    path: PathBuf,
    file: File,
    direct: Mutex<Direct>,
}

/// The same file, written past the page cache.
#[derive(Debug)]
enum Direct {
    /// It is opened with the first blocks.
    Closed,
    Open(File),
    /// The file system can't.
    Unable,
}

impl FolderFile {
    fn open(options: &mut OpenOptions, path: &Path) -> io::Result<Self> {
        let file = options.read(true).write(true).open(path)?;
        Ok(Self { path: path.to_owned(), file, direct: Mutex::new(Direct::Closed) })
    }

    /// Opens the file for whole blocks that are durable when they are written. That is one system call instead of two, and
    /// no page of some hundred kilobytes is looked through for the few bytes that have changed.
    fn open_direct(&self) -> Direct {
        let flags = OFlags::DIRECT | OFlags::DSYNC;
        let opened = OpenOptions::new().write(true).custom_flags(flags.bits() as i32).open(&self.path);
        opened.map_or(Direct::Unable, Direct::Open)
    }
}

impl DiskFile for FolderFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, position)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, position)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn close_for_writing(&self) {
        *self.direct.lock().unwrap_or_else(PoisonError::into_inner) = Direct::Closed;
    }

    fn write_blocks(&self, blocks: &[u8], position: u64) -> io::Result<()> {
        let mut direct = self.direct.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*direct, Direct::Closed) {
            *direct = self.open_direct();
        }
        if let Direct::Open(file) = &*direct {
            match file.write_all_at(blocks, position) {
                // A disk with larger blocks: nothing was written.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => *direct = Direct::Unable,
                written => return written,
            }
        }
        self.write_at(blocks, position)?;
        self.sync()
    }
}
