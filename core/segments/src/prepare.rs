//! Segments made in advance, and indexes of those that are complete: a thread does what an append must not wait for.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use crate::disk::{Disk, DiskFile};
use crate::index;
use crate::segment::{self, Segment};

/// Bytes written and synced at once: a longer sync would hold up the one that an append waits for.
const STEP_BYTES: u64 = 1024 * 1024;

enum Job<F> {
    Prepare {
        number: u64,
        bytes: u64,
    },
    /// The segment is complete.
    Index(Arc<Segment<F>>),
}

/// The thread. It ends with this.
pub(crate) struct Preparer<D: Disk> {
    disk: D,
    jobs: Option<Sender<Job<D::File>>>,
    prepared: Receiver<(u64, io::Result<D::File>)>,
    /// The number that was asked for and not taken yet.
    asked: Option<u64>,
    thread: Option<JoinHandle<()>>,
}

impl<D: Disk> Preparer<D> {
    pub(crate) fn start(disk: &D) -> io::Result<Self> {
        let (jobs, taken) = mpsc::channel();
        let (done, prepared) = mpsc::channel();
        let working = disk.clone();
        let work = move || {
            for job in taken {
                match job {
                    Job::Prepare { number, bytes } => {
                        // Nobody waits any more: the log is closed.
                        let _ = done.send((number, prepare(&working, number, bytes)));
                    }
                    Job::Index(segment) => keep_index(&working, &segment),
                }
            }
        };
        let thread = thread::Builder::new().name("log-preparer".into()).spawn(work)?;
        Ok(Self { disk: disk.clone(), jobs: Some(jobs), prepared, asked: None, thread: Some(thread) })
    }

    /// Has the segment of this number made, of so many bytes.
    pub(crate) fn ask(&mut self, number: u64, bytes: u64) {
        self.asked = Some(number);
        self.send(Job::Prepare { number, bytes });
    }

    pub(crate) fn keep_index(&self, segment: Arc<Segment<D::File>>) {
        self.send(Job::Index(segment));
    }

    fn send(&self, job: Job<D::File>) {
        // A thread that has ended answers nothing; `take` makes the segment then.
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }

    /// The segment of this number, with at least so many bytes: waited for where it was asked for, or made now.
    pub(crate) fn take(&mut self, number: u64, bytes: u64) -> io::Result<D::File> {
        while self.asked.is_some() {
            let Ok((made, file)) = self.prepared.recv() else { break };
            self.asked = None;
            match file {
                Ok(file) if made == number && file.length()? >= bytes => return Ok(file),
                // The disk was full, perhaps; or a record is longer than anybody thought.
                Ok(_) | Err(_) => {}
            }
        }
        prepare(&self.disk, number, bytes)
    }
}

impl<D: Disk> Drop for Preparer<D> {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that prepares segments of the log panicked");
        }
    }
}

/// Makes a segment's file, full of zeros that are on the disk, instead of one that is there already.
pub(crate) fn prepare<D: Disk>(disk: &D, number: u64, bytes: u64) -> io::Result<D::File> {
    let name = segment::name(number);
    match disk.remove(&name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&name)?;
    let filled = fill(&file, bytes).and_then(|()| disk.sync_names());
    if let Err(error) = filled {
        // Half a segment is no use, and the room that it takes may be what is missing.
        let _ = disk.remove(&name);
        return Err(error);
    }
    Ok(file)
}

fn fill(file: &impl DiskFile, bytes: u64) -> io::Result<()> {
    let zeros = vec![0; STEP_BYTES.min(bytes) as usize];
    let mut position = 0;
    while position < bytes {
        let step = STEP_BYTES.min(bytes - position);
        file.write_at(&zeros[..step as usize], position)?;
        file.sync()?;
        position += step;
    }
    Ok(())
}

/// An index that can't be kept, or is lost, is made anew when the log is opened.
fn keep_index<D: Disk>(disk: &D, segment: &Segment<D::File>) {
    let bytes = segment.index.read().unwrap_or_else(PoisonError::into_inner).encode(segment.written());
    let name = index::name(segment.header.number);
    let keep = || {
        match disk.remove(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        disk.create(&name)?.write_at(&bytes, 0)
    };
    if let Err(error) = keep() {
        tracing::warn!(%error, name, "the index of a segment could not be written; it will be made when the log is opened");
    }
}
