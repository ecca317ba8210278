//! The thread that messages go through.
//!
//! The edge's node and the processors of the partitions run on one thread, with a runtime of their own. What the log
//! confirms wakes that thread once: it answers the sender, applies the record, commits it, and hands it to the shards. On
//! a runtime of several threads each of these steps may wake another.

use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The thread gets this long to end.
const END: Duration = Duration::from_secs(5);
const END_POLL: Duration = Duration::from_millis(1);

/// The thread; it ends with this, and what runs on it.
pub(crate) struct Pipeline {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Pipeline {
    /// Starts it.
    ///
    /// # Errors
    /// The system refuses a thread, or what its runtime needs.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().thread_name("pipeline-reads").build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = move || {
            // An end of the sender is a stop as well.
            let _ = runtime.block_on(stopped);
        };
        let thread = thread::Builder::new().name("pipeline".into()).spawn(run)?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Where to spawn what runs on it.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else { return };
        let until = Instant::now() + END;
        while !thread.is_finished() && Instant::now() < until {
            thread::sleep(END_POLL);
        }
        // One that hangs on a disk must not keep the process.
        if thread.is_finished() && thread.join().is_err() {
            tracing::error!("the pipeline's thread panicked");
        }
    }
}
