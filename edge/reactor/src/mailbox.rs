//! Mail from other threads to a shard: a bounded queue, and a doorbell that is rung once per batch.

mod asleep;
mod atomic;

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_queue::ArrayQueue;

use self::asleep::Asleep;

/// The mailbox is full; the mail comes back.
#[derive(Debug)]
pub struct Full<M>(pub M);

impl<M> fmt::Display for Full<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the shard's mailbox is full")
    }
}

impl<M: fmt::Debug> std::error::Error for Full<M> {}

/// What both ends share: everything but the queue is free of the mail's type.
#[derive(Debug)]
pub(crate) struct Bell {
    asleep: Asleep,
    stopping: AtomicBool,
    /// Blocking on purpose: a ring's read of a non-blocking one would complete at once.
    event: Arc<OwnedFd>,
}

impl Bell {
    pub(crate) fn new() -> std::io::Result<Bell> {
        let event = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC)?;
        Ok(Bell { asleep: Asleep::new(), stopping: AtomicBool::new(false), event: Arc::new(event) })
    }

    pub(crate) fn event(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.event)
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.ring_if_asleep();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn ring_if_asleep(&self) {
        if self.asleep.must_ring() {
            // A counter that is at its maximum would block; it holds one per batch and is read on
            // each wake, so it can't get there. No other error can happen to an eventfd we own.
            let rung = rustix::io::write(self.event.as_fd(), &1u64.to_ne_bytes());
            debug_assert!(rung.is_ok(), "ringing an eventfd failed: {rung:?}");
        }
    }
}

/// The sending side of a shard's mail: clone it, send from any thread.
pub struct Mailbox<M> {
    queue: Arc<ArrayQueue<M>>,
    bell: Arc<Bell>,
}

impl<M> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        Mailbox { queue: Arc::clone(&self.queue), bell: Arc::clone(&self.bell) }
    }
}

impl<M> fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("queued", &self.queue.len())
            .field("capacity", &self.queue.capacity())
            .finish()
    }
}

impl<M> Mailbox<M> {
    /// A mailbox of `capacity` mails.
    ///
    /// # Errors
    /// No eventfd could be made.
    pub(crate) fn new(capacity: usize) -> std::io::Result<Mailbox<M>> {
        Ok(Mailbox { queue: Arc::new(ArrayQueue::new(capacity)), bell: Arc::new(Bell::new()?) })
    }

    /// Queues `mail` and wakes the shard if it sleeps. Mail to a shard that has stopped is
    /// accepted until the queue is full, and never read.
    ///
    /// # Errors
    /// [`Full`] gives the mail back.
    pub fn try_send(&self, mail: M) -> Result<(), Full<M>> {
        self.queue.push(mail).map_err(Full)?;
        self.bell.ring_if_asleep();
        Ok(())
    }

    /// Queues as many of `mails` as fit, with at most one ring of the doorbell. Returns those
    /// that did not fit, in order.
    pub fn try_send_batch(&self, mails: impl IntoIterator<Item = M>) -> Vec<M> {
        let mut mails = mails.into_iter();
        let mut rest = Vec::new();
        for mail in mails.by_ref() {
            if let Err(mail) = self.queue.push(mail) {
                rest.push(mail);
                break;
            }
        }
        rest.extend(mails);
        self.bell.ring_if_asleep();
        rest
    }

    /// Mails that wait now.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Mails that fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    pub(crate) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Receiver only.
    pub(crate) fn take(&self) -> Option<M> {
        self.queue.pop()
    }

    /// Receiver only: true if it may wait for the kernel.
    pub(crate) fn may_sleep(&self) -> bool {
        self.bell.asleep.may_sleep(|| !self.queue.is_empty() || self.bell.is_stopping())
    }

    /// Receiver only: back from waiting.
    pub(crate) fn woke(&self) {
        self.bell.asleep.woke();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_mailbox_gives_the_mail_back() {
        let mailbox = Mailbox::new(2).expect("an eventfd");
        assert!(mailbox.try_send(1).is_ok());
        assert!(mailbox.try_send(2).is_ok());
        let Full(mail) = mailbox.try_send(3).expect_err("it is full");
        assert_eq!(mail, 3);
        assert_eq!(mailbox.take(), Some(1));
        assert_eq!(mailbox.try_send_batch([4, 5, 6]), [5, 6]);
        assert_eq!((mailbox.queued(), mailbox.capacity()), (2, 2));
    }

    #[test]
    fn the_doorbell_rings_once_per_batch_and_only_for_a_sleeper() {
        let mailbox = Mailbox::new(8).expect("an eventfd");
        mailbox.try_send(0).expect("room");
        assert!(!mailbox.may_sleep(), "work is waiting");
        mailbox.take();
        assert!(mailbox.may_sleep());
        for mail in 1..4 {
            mailbox.try_send(mail).expect("room");
        }
        mailbox.woke();
        let mut count = [0; 8];
        let event = mailbox.bell().event();
        rustix::io::read(event.as_fd(), &mut count).expect("it was rung");
        assert_eq!(u64::from_ne_bytes(count), 1);
    }
}
