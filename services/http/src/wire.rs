//! A connection as hyper sees it: with the bytes that were looked at before, and with whole refusals.
//!
//! What hyper's parser refuses never reaches the router: it is answered with a status and nothing else. Such an answer
//! is known by its shape, and a problem with the headers of every other answer goes out in its slot.

mod framing;
mod progress;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ringside_types::security::SECURITY_HEADERS;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::answers::refusal;
use crate::connections::ConnectionState;
use crate::stream::Stream;
use framing::Framing;
use progress::{Progress, Taken};

/// An answer of hyper's own is a few lines.
const BARE_BYTES_MAX: usize = 256;
/// Takes the place of a bare line feed and of all behind it. No head may hold a zero byte, so hyper answers 400; and it looks
/// at once, since the head ends here.
const BROKEN_HEAD: &[u8] = b"\0\r\n\r\n";
/// What goes out in place of a bare refusal; `None`: these bytes are none. Bodies are JSON, pages and styles, in which
/// no line ends with CR LF, so no part of one is taken for a head.
fn whole(bytes: &[u8]) -> Option<Vec<u8>> {
    let is_bare =
        bytes.len() <= BARE_BYTES_MAX && bytes.starts_with(b"HTTP/1.1 4") && bytes.ends_with(b"\r\n\r\n");
    let text = std::str::from_utf8(bytes).ok().filter(|_| is_bare)?;
    if !text.contains("content-length: 0\r\n") || text.contains(SECURITY_HEADERS[0].0) {
        return None;
    }
    let status: u16 = text.get(9..12)?.parse().ok()?;
    let (code, detail) = match status {
        431 => ("headers_too_large", "The request's headers are larger than this port takes."),
        414 => ("uri_too_long", "The request's target is longer than this port takes."),
        _ => ("bad_request", "This is not an HTTP/1.1 request."),
    };
    Some(refusal(status, code, detail, &[]))
}

pub(crate) struct Wire<S> {
    stream: S,
    /// Read before hyper was there; given to it first.
    first: Vec<u8>,
    given: usize,
    /// Goes out in place of what was written, and how much of it has gone.
    instead: Option<(Vec<u8>, usize)>,
    framing: Framing,
    progress: Progress,
    state: Arc<ConnectionState>,
}

impl<S> Wire<S> {
    pub(crate) fn new(stream: S, first: Vec<u8>, state: Arc<ConnectionState>) -> Self {
        let (framing, progress) = (Framing::default(), Progress::default());
        Self { stream, first, given: 0, instead: None, framing, progress, state }
    }

    /// The connection itself, once all that was read before has been given.
    pub(crate) fn into_inner(self) -> S {
        debug_assert_eq!(self.given, self.first.len(), "hyper reads before it parses");
        self.stream
    }
}

impl<S: Stream> Wire<S> {
    /// See [`Stream::reset_on_close`].
    pub(crate) fn reset_on_close(&self) {
        self.stream.reset_on_close();
    }

    /// What was read before, then what comes.
    fn read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let rest = &self.first[self.given..];
        if rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        self.given += count;
        Poll::Ready(Ok(()))
    }

    /// Passes on what a write came to. One that had to wait for too long gives the connection up.
    fn judge<T: Taken>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let judged = self.progress.judge(cx, polled);
        match &judged {
            Poll::Ready(Ok(_)) => self.state.touch(),
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                self.stream.reset_on_close();
            }
            Poll::Ready(Err(_)) | Poll::Pending => {}
        }
        judged
    }
}

impl<S: Stream> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let before = buffer.filled().len();
        ready!(wire.read(cx, buffer))?;
        let new = &mut buffer.filled_mut()[before..];
        if !new.is_empty() {
            wire.state.touch();
        }
        let Some(at) = wire.framing.bare_line_feed(new) else { return Poll::Ready(Ok(())) };
        buffer.set_filled(before + at);
        (wire.first, wire.given) = (BROKEN_HEAD.to_vec(), 0);
        // Nothing read would be the end.
        if at == 0 { wire.read(cx, buffer) } else { Poll::Ready(Ok(())) }
    }
}

impl<S: Stream> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        if wire.instead.is_none() {
            wire.instead = whole(bytes).map(|answer| (answer, 0));
        }
        let Some((answer, mut written)) = wire.instead.take() else {
            let polled = Pin::new(&mut wire.stream).poll_write(cx, bytes);
            return wire.judge(cx, polled);
        };
        while written < answer.len() {
            let polled = Pin::new(&mut wire.stream).poll_write(cx, &answer[written..]);
            match wire.judge(cx, polled) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => written += count,
                unfinished => {
                    wire.instead = Some((answer, written));
                    return unfinished;
                }
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        // With TLS, records that a write has left wait here.
        let polled = Pin::new(&mut wire.stream).poll_flush(cx);
        let flushed = wire.judge(cx, polled);
        if flushed.is_ready() {
            wire.progress.caught_up();
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let polled = Pin::new(&mut wire.stream).poll_shutdown(cx);
        wire.judge(cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_refusal_is_replaced() {
        let bare = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let answer = String::from_utf8(whole(bare).expect("replaced")).expect("text");
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        for (name, value) in SECURITY_HEADERS {
            assert!(answer.contains(&format!("{name}: {value}\r\n")), "{name} is missing");
        }
        for other in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 404 Not Found\r\nstrict-transport-security: x\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 5\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\nmore",
            b"{}",
        ] {
            assert_eq!(whole(other), None);
        }
    }
}
