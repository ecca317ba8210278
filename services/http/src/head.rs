//! The first request's head, before anything is built that answers it: who sends half of one and waits costs its bytes.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A method is no longer than this; what is longer is no HTTP.
const METHOD_BYTES_MAX: usize = 16;

/// Reads until the head is whole, or will never be one, or holds `max` bytes; what was read is in `first`.
///
/// # Errors
/// The peer sent nothing before its end, or is gone.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    first: &mut Vec<u8>,
    max: usize,
) -> io::Result<()> {
    let mut seen = 0;
    loop {
        if first.len() >= max || is_settled(first, seen) {
            return Ok(());
        }
        seen = first.len();
        if stream.read_buf(first).await? == 0 {
            return if first.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) };
        }
    }
}

/// Whether more bytes change nothing for who decides what becomes of the request; the first `seen` bytes settled nothing.
fn is_settled(bytes: &[u8], seen: usize) -> bool {
    let method_len = bytes.iter().position(|byte| !byte.is_ascii_uppercase());
    let is_http = match method_len {
        Some(len) => (1..=METHOD_BYTES_MAX).contains(&len) && bytes[len] == b' ',
        None => bytes.len() <= METHOD_BYTES_MAX,
    };
    // A line ends with CR LF; the head ends with an empty one.
    let ends =
        |at: usize| bytes[at] == b'\n' && (!bytes[..at].ends_with(b"\r") || bytes[..at].ends_with(b"\r\n\r"));
    !is_http || (seen..bytes.len()).any(ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    /// What is read of these bytes, which come one by one.
    async fn read_of(bytes: &[u8]) -> Vec<u8> {
        let (mut ours, mut theirs) = tokio::io::duplex(1);
        let mut first = Vec::new();
        let reading = read(&mut ours, &mut first, 64);
        let writing = async {
            let _ = theirs.write_all(bytes).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            read = reading => read.expect("reads"),
            () = writing => unreachable!("it never ends"),
        }
        first
    }

    #[tokio::test]
    async fn it_ends_where_something_can_be_decided() {
        for (bytes, read) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\nbody", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", "GET / HTTP/1.1\n"),
            ("get / HTTP/1.1\r\n", "g"),
            ("\x16\x03\x01", "\x16"),
            ("GET\r\n", "GET\r"),
            ("ABCDEFGHIJKLMNOPQRST", "ABCDEFGHIJKLMNOPQ"),
        ] {
            assert_eq!(String::from_utf8_lossy(&read_of(bytes.as_bytes()).await), read, "{bytes:?}");
        }
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(100));
        assert_eq!(read_of(long.as_bytes()).await.len(), 64, "no more than may be");
    }

    #[tokio::test]
    async fn an_end_is_an_answer_or_none() {
        for (bytes, is_something) in [("", false), ("GET / HT", true)] {
            let mut first = Vec::new();
            let read = read(&mut bytes.as_bytes(), &mut first, 64).await;
            assert_eq!((read.is_ok(), first), (is_something, bytes.as_bytes().to_vec()));
        }
    }
}
