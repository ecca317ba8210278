//! Finds the end of a head in bytes that come in pieces, and holds them until then.

use super::refusal::Malformed;

/// The largest head: first line, headers and the blank line, in bytes.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Why a head was refused before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadError {
    Malformed(Malformed),
    TooLarge,
}

impl From<Malformed> for HeadError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// Between two bytes of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Position {
    #[default]
    LineStart,
    InLine,
    /// Behind the CR of a line with something in it.
    LineEnd,
    /// Behind the CR of an empty line.
    BlankLineEnd,
    Done,
    Refused(HeadError),
}

/// Looks at every byte exactly once: it is never given one again.
#[derive(Debug, Default)]
struct Scanner {
    position: Position,
    scanned: usize,
}

impl Scanner {
    /// Scans the next piece up to the end of the head; `Some(n)` says that it ends with the piece's first `n`
    /// bytes.
    fn scan(&mut self, piece: &[u8]) -> Result<Option<usize>, HeadError> {
        for (index, &byte) in piece.iter().enumerate() {
            if self.scanned == MAX_HEAD_BYTES {
                return Err(self.refuse(HeadError::TooLarge));
            }
            self.scanned += 1;
            self.position = match self.step(byte) {
                Ok(Position::Done) => {
                    self.position = Position::Done;
                    return Ok(Some(index + 1));
                }
                Ok(position) => position,
                Err(error) => return Err(self.refuse(error)),
            };
        }
        Ok(None)
    }

    fn refuse(&mut self, error: HeadError) -> HeadError {
        self.position = Position::Refused(error);
        error
    }

    #[inline]
    fn step(&self, byte: u8) -> Result<Position, HeadError> {
        Ok(match (self.position, byte) {
            (Position::Refused(error), _) => return Err(error),
            (Position::LineEnd, b'\n') => Position::LineStart,
            (Position::BlankLineEnd, b'\n') => Position::Done,
            (Position::LineEnd | Position::BlankLineEnd, _) => Err(Malformed::BareCarriageReturn)?,
            (_, b'\n') => Err(Malformed::BareLineFeed)?,
            // An empty first line: nothing was asked.
            (Position::LineStart, b'\r') if self.scanned == 1 => Err(Malformed::FirstLine)?,
            (Position::LineStart, b'\r') => Position::BlankLineEnd,
            (Position::LineStart, b' ' | b'\t') => Err(Malformed::FoldedLine)?,
            (_, b'\r') => Position::LineEnd,
            (_, b'\t') => Position::InLine,
            (_, 0..=0x1f | 0x7f) => Err(Malformed::ControlCharacter)?,
            _ => Position::InLine,
        })
    }
}

/// A head as it arrives.
#[derive(Debug, Default)]
pub(super) struct Head {
    scanner: Scanner,
    bytes: Vec<u8>,
}

const CRLF: &[u8] = b"\r\n";

impl Head {
    /// Takes the next piece of the transport's bytes; `Some(n)` says that the head ended with the piece's
    /// first `n`.
    pub(super) fn receive(&mut self, piece: &[u8]) -> Result<Option<usize>, HeadError> {
        if self.scanner.position == Position::Done {
            return Ok(Some(0));
        }
        let end = self.scanner.scan(piece)?;
        self.bytes.extend_from_slice(&piece[..end.unwrap_or(piece.len())]);
        Ok(end)
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn starts_with(&self, prefix: &[u8]) -> bool {
        self.bytes.starts_with(prefix)
    }

    /// The first line without its end, and the header lines, each with its end. Only of a head that is
    /// complete: its lines end in CRLF, hold no other CR or LF, and a blank line ends them.
    pub(super) fn split(&self) -> (&[u8], &[u8]) {
        debug_assert_eq!(self.scanner.position, Position::Done);
        let lines = &self.bytes[..self.bytes.len() - CRLF.len()];
        let first_len =
            lines.iter().position(|&byte| byte == b'\r').expect("a complete head has a first line");
        (&lines[..first_len], &lines[first_len + CRLF.len()..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_at_each_byte_once_however_it_comes() {
        let mut head = b"GET / HTTP/1.1\r\n".to_vec();
        while head.len() < MAX_HEAD_BYTES - 100 {
            head.extend_from_slice(b"x: y\r\n");
        }
        head.extend_from_slice(b"\r\n");
        for piece_len in [1, 2, 7, 1000, head.len()] {
            let mut scanner = Scanner::default();
            let mut end = None;
            for piece in head.chunks(piece_len) {
                end = scanner.scan(piece).expect("well-formed");
            }
            assert!(end.is_some());
            assert_eq!(scanner.scanned, head.len());
        }
    }

    #[test]
    fn the_limit_holds_to_the_byte() {
        let check = |len: usize, outcome: Result<Option<usize>, HeadError>| {
            let mut bytes = b"GET / HTTP/1.1\r\nx: ".to_vec();
            bytes.resize(len - 4, b'y');
            bytes.extend_from_slice(b"\r\n\r\n");
            let mut head = Head::default();
            assert_eq!(head.receive(&bytes), outcome);
            assert!(head.bytes.capacity() <= 2 * MAX_HEAD_BYTES);
        };
        check(MAX_HEAD_BYTES, Ok(Some(MAX_HEAD_BYTES)));
        check(MAX_HEAD_BYTES + 1, Err(HeadError::TooLarge));
        check(100 * MAX_HEAD_BYTES, Err(HeadError::TooLarge));
    }

    #[test]
    fn a_refusal_stays() {
        let mut head = Head::default();
        let refused = Err(HeadError::Malformed(Malformed::BareLineFeed));
        assert_eq!(head.receive(b"GET / HTTP/1.1\n"), refused);
        assert_eq!(head.receive(b"\r\n\r\n"), refused);
    }

    #[test]
    fn what_follows_is_not_touched() {
        let mut head = Head::default();
        assert_eq!(head.receive(b"GET / HTTP/1.1\r"), Ok(None));
        assert_eq!(head.receive(b"\n\r\n\x81\x00\n"), Ok(Some(3)));
        assert_eq!(head.receive(b"more"), Ok(Some(0)));
        assert_eq!(head.split(), (&b"GET / HTTP/1.1"[..], &b""[..]));
    }
}
