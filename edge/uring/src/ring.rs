//! The ring itself: setup, submission, waiting, and an end that leaves the kernel no pointer.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use io_uring::types::CancelBuilder;
use io_uring::{IoUring, cqueue, opcode, squeue};

use crate::enter::{Entrance, Look};
use crate::held::Held;
use crate::pool::{self, BufferPool};
use crate::probe::{self, Unsupported};
use crate::slots::{Descriptor, Slots};
use crate::token::{Operation, SLOT_LIMIT, Token};

/// The buffer group of the one receive pool.
pub(crate) const BUFFER_GROUP: u16 = 0;
/// How long a ring that goes away waits for the kernel before it leaks its memory.
const FAREWELL: Duration = Duration::from_secs(1);
/// One wait of it, after which what is left is cancelled again.
const FAREWELL_STEP: Duration = Duration::from_millis(20);
/// Attempts to submit when the kernel has no memory or no space for completions.
const SUBMIT_ATTEMPTS: u32 = 1000;

const _: () = assert!(FAREWELL.as_millis() > FAREWELL_STEP.as_millis());

/// The sizes of a ring.
#[derive(Clone, Copy, Debug)]
pub struct RingConfig {
    /// Entries of the submission queue: a power of two up to 32,768.
    pub submission_entries: u32,
    /// Entries of the completion queue: a power of two up to 65,536.
    pub completion_entries: u32,
    /// Direct descriptors; the kernel allows up to RLIMIT_NOFILE of them.
    pub descriptors: u32,
    /// Receive buffers: a power of two up to 32,768.
    pub buffers: u16,
    /// Bytes of each.
    pub buffer_bytes: u32,
}

/// Why a ring could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The kernel can't or may not: another interface must do.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The kernel allows no table of this size: RLIMIT_NOFILE is lower, or memory short.
    #[error("no table of {descriptors} direct descriptors (RLIMIT_NOFILE?): {source}")]
    Descriptors {
        /// The size asked for.
        descriptors: u32,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel refused the receive pool.
    #[error("no pool of {buffers} receive buffers: {source}")]
    Buffers {
        /// The size asked for.
        buffers: u16,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// What a ring counts; all only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// System calls.
    pub enters: u64,
    /// Enters at which the completion queue had overflowed.
    pub completion_overflows: u64,
    /// Completions of an earlier generation, ignored.
    pub stale_completions: u64,
    /// Cancels that were repeated because a request was on its way inside the kernel.
    pub repeated_cancels: u64,
}

/// A completion queue entry, copied out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) user_data: u64,
    pub(crate) result: i32,
    pub(crate) flags: u32,
}

impl From<cqueue::Entry> for Entry {
    fn from(entry: cqueue::Entry) -> Entry {
        Entry { user_data: entry.user_data(), result: entry.result(), flags: entry.flags() }
    }
}

/// One io_uring with its descriptors. Made and used by one thread.
pub struct Ring {
    pub(crate) ring: IoUring,
    entrance: Entrance,
    pub(crate) pool: Rc<pool::Memory>,
    pub(crate) slots: Slots,
    pub(crate) held: Held,
    /// Completions taken out of the queue early, in order.
    pub(crate) stash: VecDeque<Entry>,
    /// Requests without their final completion.
    pub(crate) outstanding: u64,
    /// Closing descriptors of which a cancel found no request though one is outstanding.
    pub(crate) cancel_again: Vec<Descriptor>,
    pub(crate) listener: Option<OwnedFd>,
    /// Accepts and cancels of accepts outstanding.
    pub(crate) accepts: u32,
    pub(crate) listener_closing: bool,
    pub(crate) doorbell: Option<Arc<OwnedFd>>,
    pub(crate) doorbell_word: Box<[u8; 8]>,
    pub(crate) calls: u32,
    pub(crate) statistics: Statistics,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("outstanding", &self.outstanding)
            .field("statistics", &self.statistics)
            .finish_non_exhaustive()
    }
}

impl Ring {
    /// Makes a ring and its receive pool for the calling thread.
    ///
    /// # Errors
    /// [`SetupError::Unsupported`] where another interface must do; the others name a limit.
    ///
    /// # Panics
    /// If a size breaks the rules that [`RingConfig`] states.
    pub fn new(config: &RingConfig) -> Result<(Ring, BufferPool), SetupError> {
        assert!(config.descriptors < SLOT_LIMIT, "a token names fewer descriptors");
        let ring = IoUring::builder()
            .setup_submit_all()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_cqsize(config.completion_entries)
            .build(config.submission_entries)
            .map_err(Unsupported::Setup)?;
        probe::check(&ring)?;
        ring.submitter()
            .register_files_sparse(config.descriptors)
            .map_err(|source| SetupError::Descriptors { descriptors: config.descriptors, source })?;
        let (buffers, memory) = BufferPool::new(config.buffers, config.buffer_bytes);
        // SAFETY: invariants 1 and 4: the ring co-owns the memory and gives it up only after it
        // was unregistered with nothing outstanding.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(
                memory.entries_address(),
                memory.count(),
                BUFFER_GROUP,
                0,
            )
        }
        .map_err(|source| SetupError::Buffers { buffers: config.buffers, source })?;
        let ring = Ring {
            entrance: Entrance::new(&ring),
            ring,
            pool: memory,
            slots: Slots::default(),
            held: Held::default(),
            stash: VecDeque::new(),
            outstanding: 0,
            cancel_again: Vec::new(),
            listener: None,
            accepts: 0,
            listener_closing: false,
            doorbell: None,
            doorbell_word: Box::new([0; 8]),
            calls: 0,
            statistics: Statistics::default(),
        };
        Ok((ring, buffers))
    }

    /// What was counted.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Submits what was asked and waits until a completion is there or `timeout` has passed
    /// (`None`: for ever). A signal ends the wait early.
    ///
    /// # Errors
    /// The ring can't be entered: it is of no more use.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        for descriptor in std::mem::take(&mut self.cancel_again) {
            if self.slots.cancel_again(descriptor) {
                self.statistics.repeated_cancels += 1;
                self.push_cancel(descriptor);
            }
        }
        let something_there = !self.stash.is_empty() || !self.ring.completion().is_empty();
        let look =
            if something_there || timeout == Some(Duration::ZERO) { Look::Now } else { Look::Wait(timeout) };
        match self.enter(look) {
            Err(error) if is_passing(&error) => Ok(()),
            result => result,
        }
    }

    /// True if requests wait to be submitted.
    pub fn has_requests(&mut self) -> bool {
        !self.ring.submission().is_empty() || !self.cancel_again.is_empty()
    }

    /// True if [`Ring::next_completion`] has something now.
    pub fn has_completions(&mut self) -> bool {
        !self.stash.is_empty() || !self.ring.completion().is_empty()
    }

    /// Puts a request into the submission queue, submitting first if that is full.
    ///
    /// # Safety
    /// What `entry` points to must stay as invariant 1 says.
    pub(crate) unsafe fn push(&mut self, entry: squeue::Entry, token: Token) {
        let entry = entry.user_data(token.to_user_data());
        for _ in 0..SUBMIT_ATTEMPTS {
            // SAFETY: the caller's promise.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                self.outstanding += 1;
                return;
            }
            self.submit_full_queue();
        }
        panic!("the kernel takes no requests: out of memory");
    }

    /// Invariant 8: makes room in both queues.
    fn submit_full_queue(&mut self) {
        match self.enter(Look::No) {
            Ok(()) => {}
            Err(error) if is_passing(&error) => {
                // No room for completions: take them, and let the kernel flush its own list.
                self.stash_completions();
                match self.enter(Look::Now) {
                    Err(error) if !is_passing(&error) => panic!("entering the ring: {error}"),
                    _ => {}
                }
            }
            Err(error) => panic!("entering the ring: {error}"),
        }
        let completion = self.ring.completion();
        let half_full = completion.len() > completion.capacity() / 2;
        drop(completion);
        if half_full {
            self.stash_completions();
        }
    }

    pub(crate) fn stash_completions(&mut self) {
        self.stash.extend(self.ring.completion().map(Entry::from));
    }

    pub(crate) fn enter(&mut self, look: Look) -> io::Result<()> {
        let submission = self.ring.submission();
        let count = submission.len() as u32;
        if submission.cq_overflow() {
            self.statistics.completion_overflows += 1;
        }
        drop(submission);
        self.statistics.enters += 1;
        self.entrance.enter(count, look)
    }

    /// Cancels everything and waits for the last completion. False: the kernel still holds pointers.
    fn say_farewell(&mut self) -> bool {
        let give_up = Instant::now() + FAREWELL;
        loop {
            self.stash_completions();
            while let Some(entry) = self.stash.pop_front() {
                if !cqueue::more(entry.flags) {
                    self.outstanding -= 1;
                }
            }
            if self.outstanding == 0 {
                return true;
            }
            if Instant::now() >= give_up {
                return false;
            }
            let cancel = opcode::AsyncCancel2::new(CancelBuilder::any().all()).build();
            let cancel = cancel.user_data(Token::of_ring(Operation::CancelAll).to_user_data());
            // SAFETY: the request points to nothing.
            if unsafe { self.ring.submission().push(&cancel) }.is_ok() {
                self.outstanding += 1;
            }
            if let Err(error) = self.enter(Look::Wait(Some(FAREWELL_STEP)))
                && !is_passing(&error)
            {
                return false;
            }
        }
    }
}

/// An interrupted call, or one for which memory or room for completions lacks at the moment.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN | libc::EBUSY))
}

impl Drop for Ring {
    fn drop(&mut self) {
        let parted = self.say_farewell();
        self.entrance.leave(&self.ring);
        if parted {
            // Nothing is outstanding, so nothing refers to the pool; a refusal changes nothing.
            let _ = self.ring.submitter().unregister_buf_ring(BUFFER_GROUP);
            return;
        }
        // Invariant 4: the kernel may still write; what it may write to is never freed.
        std::mem::forget(Rc::clone(&self.pool));
        std::mem::forget(std::mem::take(&mut self.held));
        let word = std::mem::replace(&mut self.doorbell_word, Box::new([0; 8]));
        let _ = Box::leak(word);
    }
}
