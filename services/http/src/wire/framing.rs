//! Where heads begin and end in what a peer sends, to find lines that end with LF alone.
//!
//! hyper takes such lines (RFC 9112 section 2.2 lets it). A proxy in front that reads them otherwise sees other requests
//! than we do, which is how requests are smuggled; the edge refuses them, and so does this port. Bodies are passed over
//! by their length or their chunks. Whatever else is wrong with a head is hyper's to refuse: a length that can't be read
//! here ends the looking, since hyper ends the connection.

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// A line of a head, or of a chunked body's trailers.
    Line {
        is_trailer: bool,
    },
    /// So many bytes of a body with a length.
    Body(u64),
    ChunkSize,
    /// A chunk's bytes and the line end behind them.
    Chunk(u64),
    /// Nothing is looked at any more.
    Over,
}

/// Longer lines are not kept whole: no header that matters here is.
const LINE_BYTES_MAX: usize = 256;

/// The place in the stream of one connection's requests.
#[derive(Debug)]
pub(crate) struct Framing {
    part: Part,
    /// The current line, as far as it is kept, lower case.
    line: Vec<u8>,
    line_len: usize,
    length: u64,
    is_chunked: bool,
    before_was_cr: bool,
}

impl Default for Framing {
    fn default() -> Self {
        Self {
            part: Part::Line { is_trailer: false },
            line: Vec::new(),
            line_len: 0,
            length: 0,
            is_chunked: false,
            before_was_cr: false,
        }
    }
}

impl Framing {
    /// Where the first line feed stands that has no carriage return before it, in a head or the like.
    pub(crate) fn bare_line_feed(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            match self.part {
                Part::Over => return None,
                Part::Body(left) | Part::Chunk(left) => {
                    let passed = left.min((bytes.len() - at) as u64);
                    at += passed as usize;
                    self.pass(left - passed);
                }
                Part::Line { .. } | Part::ChunkSize => {
                    let byte = bytes[at];
                    if byte == b'\n' && !self.before_was_cr {
                        self.part = Part::Over;
                        return Some(at);
                    }
                    self.take(byte);
                    at += 1;
                }
            }
        }
        None
    }

    /// Goes on behind some bytes of a body.
    fn pass(&mut self, left: u64) {
        self.part = match self.part {
            Part::Body(_) if left == 0 => Part::Line { is_trailer: false },
            Part::Body(_) => Part::Body(left),
            _ if left == 0 => Part::ChunkSize,
            _ => Part::Chunk(left),
        };
    }

    fn take(&mut self, byte: u8) {
        self.before_was_cr = byte == b'\r';
        if byte != b'\n' {
            self.line_len += 1;
            if self.line.len() < LINE_BYTES_MAX {
                self.line.push(byte.to_ascii_lowercase());
            }
            return;
        }
        // The carriage return before the line feed is no part of the line.
        let is_empty = self.line_len == 1;
        let line = std::mem::take(&mut self.line);
        self.line_len = 0;
        self.before_was_cr = false;
        self.part = match self.part {
            Part::ChunkSize => chunk(&line),
            Part::Line { is_trailer: true } if is_empty => Part::Line { is_trailer: false },
            Part::Line { is_trailer: false } if is_empty => self.body(),
            part => {
                self.header(&line);
                part
            }
        };
        // Its memory serves the next line, unless it is a rare long one.
        self.line = line;
        self.line.clear();
    }

    /// What follows the head that has ended.
    fn body(&mut self) -> Part {
        let (length, is_chunked) = (std::mem::take(&mut self.length), std::mem::take(&mut self.is_chunked));
        match (is_chunked, length) {
            (true, _) => Part::ChunkSize,
            (false, 0) => Part::Line { is_trailer: false },
            (false, length) => Part::Body(length),
        }
    }

    fn header(&mut self, line: &[u8]) {
        let Ok(line) = std::str::from_utf8(line) else { return };
        let Some((name, value)) = line.split_once(':') else { return };
        match name {
            "content-length" => self.length = value.trim().parse().unwrap_or(0),
            "transfer-encoding" => self.is_chunked = value.trim().ends_with("chunked"),
            _ => {}
        }
    }
}

fn chunk(line: &[u8]) -> Part {
    let digits = line.split(|byte| !byte.is_ascii_hexdigit()).next().unwrap_or_default();
    let size = std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok());
    match size {
        Some(0) => Part::Line { is_trailer: true },
        // CR and LF follow the bytes.
        Some(size) => Part::Chunk(size.saturating_add(2)),
        None => Part::Over,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\n\n\n\n";
    const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                           3;x=y\r\n\n\n\n\r\n1A\r\n\n1234567890\n1234567890\n123\r\n0\r\nTrailer: t\r\n\r\n";
    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn first_bare(text: &str, cut: usize) -> Option<usize> {
        let mut framing = Framing::default();
        let (first, second) = text.as_bytes().split_at(cut);
        framing.bare_line_feed(first).or_else(|| framing.bare_line_feed(second).map(|at| at + cut))
    }

    #[test]
    fn each_line_of_a_head_is_looked_at() {
        for bare in
            ["GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nHost: a\n", "GET / HTTP/1.1\r\nHost: a\r\n\n", "\n"]
        {
            assert_eq!(first_bare(bare, 0), Some(bare.len() - 1), "{bare:?}");
        }
        let in_chunks = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\n";
        assert_eq!(first_bare(in_chunks, 0), Some(in_chunks.len() - 1));
    }

    proptest! {
        /// However requests follow each other and wherever they are cut, only a bare line feed of a head is found.
        #[test]
        fn bodies_are_passed_over(kinds in prop::collection::vec(0..3, 0..6), is_bare: bool, cut in 0..1_000_usize) {
            let mut text: String = kinds.iter().map(|kind| [POST, CHUNKED, GET][*kind as usize]).collect();
            let end = text.len();
            text += if is_bare { "GET / HTTP/1.1\nHost: a\r\n\r\n" } else { GET };
            let bare = is_bare.then(|| end + "GET / HTTP/1.1".len());
            prop_assert_eq!(first_bare(&text, cut % text.len()), bare);
        }

        #[test]
        fn anything_may_come(bytes: Vec<u8>) {
            let _ = Framing::default().bare_line_feed(&bytes);
        }
    }
}
