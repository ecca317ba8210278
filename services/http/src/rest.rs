//! The rest of a request's body, when its answer comes first: it is too large, or the token is not good.
//!
//! A client that is still sending would lose such an answer: what it sends to a connection that we have closed resets it,
//! and what the client has not read goes with it. So the rest is read and thrown away before the answer goes out, within
//! bounds of size and time.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::EXPECT;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Bytes of a body that are thrown away at the most. Who says beforehand that there are more is answered at once.
const DISCARDED_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// They must come within this time: about 35 KB a second for a body of a megabyte.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(30);

/// A body that comes back when whoever read it is done.
pub(crate) struct Lent<B: Body> {
    body: Option<B>,
    back: Option<oneshot::Sender<B>>,
    /// The client waits to be told to go on: what nobody reads, it does not send.
    is_awaited: bool,
}

/// What may come back of a body.
pub(crate) struct Rest<B>(oneshot::Receiver<B>);

/// The request with a body that comes back, and where.
pub(crate) fn lent(request: hyper::Request<Incoming>) -> (hyper::Request<Lent<Incoming>>, Rest<Incoming>) {
    let is_awaited = request.headers().contains_key(EXPECT);
    let (back, rest) = oneshot::channel();
    (request.map(|body| Lent { body: Some(body), back: Some(back), is_awaited }), Rest(rest))
}

impl<B: Body + Unpin> Body for Lent<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let lent = self.get_mut();
        lent.is_awaited = false;
        lent.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl<B: Body> Drop for Lent<B> {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !self.is_awaited && !body.is_end_stream());
        if let (Some(body), Some(back)) = (rest, self.back.take()) {
            // The connection may have ended meanwhile.
            let _ = back.send(body);
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Rest<B> {
    /// Reads to the end what came back, or as far as the bounds go. What a handler still holds is not waited for.
    pub(crate) async fn discard(mut self) {
        let Ok(mut body) = self.0.try_recv() else { return };
        if body.size_hint().lower() > DISCARDED_BYTES_MAX {
            return;
        }
        let mut count = 0;
        let reading = async {
            while count <= DISCARDED_BYTES_MAX {
                let next = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
                let Some(Ok(frame)) = next else { break };
                count += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
        };
        // Whoever is slower than that loses the answer, perhaps.
        let _ = timeout(DISCARD_TIMEOUT, reading).await;
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A body of so many pieces of a kilobyte; it counts what is taken of it.
    struct Pieces {
        left: usize,
        taken: Arc<AtomicUsize>,
    }

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.left == 0 {
                return Poll::Ready(None);
            }
            self.left -= 1;
            self.taken.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![0; 1_024])))))
        }

        fn is_end_stream(&self) -> bool {
            self.left == 0
        }
    }

    /// How many of these pieces are read off, when one or none was read before.
    async fn taken(pieces: usize, is_read: bool, is_awaited: bool) -> usize {
        let taken = Arc::<AtomicUsize>::default();
        let (back, rest) = oneshot::channel();
        let body = Some(Pieces { left: pieces, taken: taken.clone() });
        let mut lent = Lent { body, back: Some(back), is_awaited };
        if is_read {
            let _ = std::future::poll_fn(|cx| Pin::new(&mut lent).poll_frame(cx)).await;
        }
        drop(lent);
        Rest(rest).discard().await;
        taken.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn a_body_is_read_off_within_bounds() {
        assert_eq!(taken(0, false, false).await, 0);
        assert_eq!(taken(1_024, false, false).await, 1_024);
        assert_eq!(taken(1_024, true, false).await, 1_024);
        assert_eq!(taken(1_024, false, true).await, 0, "it was not asked for, so it does not come");
        assert_eq!(taken(1_024, true, true).await, 1_024, "it was");
        let bound = usize::try_from(DISCARDED_BYTES_MAX / 1_024).expect("a number");
        assert_eq!(taken(2 * bound, false, false).await, bound + 1);
    }
}
