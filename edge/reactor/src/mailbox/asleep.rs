//! Whether the receiver of a mailbox sleeps: decides who must ring the doorbell.
//!
//! The danger is the lost wake-up: the sender pushes and sees "awake" while the receiver sees an
//! empty queue and goes to sleep. Each side therefore writes first, fences, then reads the other's
//! word: in the one order of the fences, whoever comes second sees what the first wrote. The model
//! test `tests/asleep_model.rs` compiles this very file against loom.

use super::atomic::{AtomicBool, Ordering, fence};

/// The receiver's flag. One receiver, any number of senders.
#[derive(Debug)]
pub(crate) struct Asleep {
    flag: AtomicBool,
}

impl Asleep {
    /// A receiver that is awake.
    pub(crate) fn new() -> Asleep {
        Asleep { flag: AtomicBool::new(false) }
    }

    /// Called by the receiver before it waits. It may wait only if `has_work` (its look into the
    /// queue) says no *after* the flag was raised. True: wait; the flag stays up.
    pub(crate) fn may_sleep(&self, has_work: impl FnOnce() -> bool) -> bool {
        self.flag.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if has_work() {
            self.flag.store(false, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// Called by the receiver when it is back from waiting, before it looks into the queue.
    pub(crate) fn woke(&self) {
        self.flag.store(false, Ordering::Relaxed);
    }

    /// Called by a sender after its push. True for one sender of a batch: it rings.
    pub(crate) fn must_ring(&self) -> bool {
        fence(Ordering::SeqCst);
        // Reading first keeps the usual case, a receiver that is awake, free of a contended write.
        self.flag.load(Ordering::Relaxed) && self.flag.swap(false, Ordering::AcqRel)
    }
}
