//! Where segments are kept. Tests have disks of their own, which lose what was not synced.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

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
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        Ok(Self(path))
    }
}

impl Disk for Folder {
    type File = File;

    fn list(&self) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        fs::read_dir(&self.0)?.map(name).collect()
    }

    fn create(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(self.0.join(name))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.0.join(name))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

impl DiskFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        self.read_exact_at(buffer, position)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.write_all_at(bytes, position)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
