//! A deadline for answers that are not read.
//!
//! A peer that reads nothing holds its place and what waits for it. A write that waits ends its connection when nothing
//! was taken for [`STALL_MAX`], whatever the peer sends, or when a window of [`WINDOW`] that began with waiting took fewer
//! than [`WINDOW_BYTES_MIN`]: a few bytes now and then are no reading. A peer that takes all it is given never waits.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A write that waits must take something within this time.
const STALL_MAX: Duration = Duration::from_secs(20);
/// So long a slow peer is looked at.
const WINDOW: Duration = Duration::from_secs(60);
/// Within [`WINDOW`] a slow peer must take so many bytes: about 1 KB a second.
const WINDOW_BYTES_MIN: usize = 64 * 1024;

const _: () = assert!(STALL_MAX.as_secs() < WINDOW.as_secs(), "the window is the second look");

/// What the peer took, while it is slow.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Ends the wait of the write that is under way.
    deadline: Option<Pin<Box<Sleep>>>,
    /// When the window began, and what was taken since.
    window: Option<(Instant, usize)>,
}

/// How many bytes an operation has got rid of, as far as it says.
pub(crate) trait Taken {
    fn bytes(&self) -> usize;
}

impl Taken for usize {
    fn bytes(&self) -> usize {
        *self
    }
}

impl Taken for () {
    fn bytes(&self) -> usize {
        0
    }
}

impl Progress {
    /// Passes on what a write, a flush or a shutdown came to, unless the peer has been too slow.
    pub(crate) fn judge<T: Taken>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match polled {
            Poll::Ready(Ok(taken)) => {
                self.deadline = None;
                self.took(taken.bytes());
                Poll::Ready(Ok(taken))
            }
            Poll::Ready(failed) => Poll::Ready(failed),
            Poll::Pending => {
                let now = Instant::now();
                let (began, _) = *self.window.get_or_insert((now, 0));
                let window_ends = began + WINDOW;
                let ends = (now + STALL_MAX).min(window_ends.max(now));
                let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep_until(ends)));
                match deadline.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    /// All that there was has been taken: what comes later is another answer, and may be as slow.
    pub(crate) fn caught_up(&mut self) {
        self.window = None;
    }

    /// A window in which enough was taken is over.
    fn took(&mut self, count: usize) {
        if let Some((_, taken)) = &mut self.window {
            *taken = taken.saturating_add(count);
            if *taken >= WINDOW_BYTES_MIN {
                self.window = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::sleep;

    use super::super::Wire;
    use super::*;
    use crate::connections::{ConnectionTable, EvictionPolicy};

    /// How long a peer is written to that takes so many bytes after each pause.
    async fn patience(bytes: usize, pause: Duration) -> Duration {
        let (mut peer, stream) = tokio::io::duplex(1_024);
        let since = Instant::now();
        let reading = tokio::spawn(async move {
            let mut buffer = vec![0; bytes];
            loop {
                sleep(pause).await;
                if peer.read_exact(&mut buffer).await.is_err() {
                    return;
                }
            }
        });
        let slot = ConnectionTable::new(1, EvictionPolicy::Any).take([127, 0, 0, 1].into()).expect("a slot");
        let mut wire = Wire::new(stream, Vec::new(), slot.state().clone());
        let written = wire.write_all(&[7; 1_000_000]).await;
        reading.abort();
        if let Err(error) = written {
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
        since.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_read_ends_its_connection() {
        let silent = patience(1, Duration::from_secs(3_600)).await;
        assert!((STALL_MAX..STALL_MAX * 2).contains(&silent), "{silent:?}");
        let dripping = patience(1, Duration::from_secs(5)).await;
        assert!((WINDOW..WINDOW * 2).contains(&dripping), "{dripping:?}");
        let slow = patience(10_000, Duration::from_secs(5)).await;
        assert!(slow > WINDOW * 5, "a slow reader is served to its end: {slow:?}");
    }
}
