//! What comes in for a task, in order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A queue with one reader. A clone is another handle.
pub struct Inbox<T>(Arc<Mutex<Queue<T>>>);

struct Queue<T> {
    items: VecDeque<T>,
    reader: Option<Waker>,
}

impl<T> Clone for Inbox<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Queue { items: VecDeque::new(), reader: None })))
    }
}

impl<T> Inbox<T> {
    fn queue(&self) -> MutexGuard<'_, Queue<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds something, and wakes the reader.
    pub fn push(&self, item: T) {
        let mut queue = self.queue();
        queue.items.push_back(item);
        let reader = queue.reader.take();
        drop(queue);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    pub fn pop(&self) -> Option<T> {
        self.queue().items.pop_front()
    }

    pub fn len(&self) -> usize {
        self.queue().items.len()
    }

    /// Ready while there is something.
    pub fn poll_filled(&self, context: &Context<'_>) -> Poll<()> {
        let mut queue = self.queue();
        if !queue.items.is_empty() {
            return Poll::Ready(());
        }
        queue.reader = Some(context.waker().clone());
        Poll::Pending
    }
}
