//! A TCP connection's way in one direction: late, in order, whole.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::inbox::Inbox;
use crate::scheduler::{Scheduler, WORLD};

/// Bytes on their way take this long, in microseconds.
const DELAY_US: std::ops::Range<u64> = 100..20_000;

pub struct Wire<T> {
    scheduler: Scheduler,
    to: Inbox<T>,
    /// When what was sent last arrives.
    last: Arc<Mutex<Duration>>,
}

impl<T> Clone for Wire<T> {
    fn clone(&self) -> Self {
        Self { scheduler: self.scheduler.clone(), to: self.to.clone(), last: self.last.clone() }
    }
}

impl<T: Send + 'static> Wire<T> {
    pub fn new(scheduler: Scheduler, to: Inbox<T>) -> Self {
        Self { scheduler, to, last: Arc::default() }
    }

    pub fn send(&self, item: T) {
        let soonest = self.scheduler.now() + self.scheduler.draw_us(DELAY_US);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let at = soonest.max(*last + Duration::from_nanos(1));
        *last = at;
        let (scheduler, to) = (self.scheduler.clone(), self.to.clone());
        self.scheduler.spawn(WORLD, async move {
            scheduler.sleep_until(at).await;
            to.push(item);
        });
    }
}
