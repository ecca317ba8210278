//! UTF-8 checked as the bytes arrive: bad text is refused inside an unfinished frame, not at its end.

use crate::Violation;

/// Checks one text in pieces that may be cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct Utf8Stream {
    /// The beginning of a character that the last piece ended in: a valid prefix, never a whole character.
    pending: [u8; 4],
    pending_len: u8,
}

impl Utf8Stream {
    /// Takes the next piece; refuses the first byte that no valid text can have here.
    pub(crate) fn push(&mut self, mut piece: &[u8]) -> Result<(), Violation> {
        while self.pending_len > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            self.push_pending(byte)?;
        }
        match simdutf8::compat::from_utf8(piece) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(Violation::InvalidUtf8),
            Err(error) => {
                let tail = &piece[error.valid_up_to()..];
                self.pending[..tail.len()].copy_from_slice(tail);
                self.pending_len = tail.len() as u8;
                Ok(())
            }
        }
    }

    /// Adds a byte to the unfinished character; a character has four bytes at most, so that a fifth is never
    /// pending.
    fn push_pending(&mut self, byte: u8) -> Result<(), Violation> {
        let len = usize::from(self.pending_len) + 1;
        self.pending[len - 1] = byte;
        match std::str::from_utf8(&self.pending[..len]) {
            Ok(_) => self.pending_len = 0,
            Err(error) if error.error_len().is_some() => return Err(Violation::InvalidUtf8),
            Err(_) => self.pending_len = len as u8,
        }
        Ok(())
    }

    /// Refuses a text that ends inside a character.
    pub(crate) fn finish(&self) -> Result<(), Violation> {
        if self.pending_len == 0 { Ok(()) } else { Err(Violation::InvalidUtf8) }
    }
}

#[cfg(test)]
mod tests {
    use super::Utf8Stream;
    use crate::Violation;
    use proptest::prelude::*;

    /// Byte by byte: the number of bytes taken before the refusal, or `None` for a valid text.
    fn refused_after(text: &[u8]) -> Option<usize> {
        let mut stream = Utf8Stream::default();
        for (index, byte) in text.iter().enumerate() {
            if stream.push(std::slice::from_ref(byte)).is_err() {
                return Some(index);
            }
        }
        stream.finish().err().map(|_| text.len())
    }

    #[test]
    fn refuses_at_the_first_impossible_byte() {
        let check =
            |text: &[u8], refused: Option<usize>| assert_eq!(refused_after(text), refused, "{text:02x?}");
        check(b"", None);
        check("κόσμε".as_bytes(), None);
        check("\u{10ffff}".as_bytes(), None);
        check(b"\x80", Some(0));
        check(b"\xc0\x80", Some(0)); // overlong
        check(b"\xe0\x9f", Some(1)); // overlong
        check(b"\xed\xa0", Some(1)); // a surrogate
        check(b"\xf4\x90", Some(1)); // above U+10FFFF
        check(b"\xf5", Some(0));
        check(b"a\xce", Some(2)); // cut short
        check(b"\xf0\x9f\x92", Some(3));
        check(b"\xf0\x9f\x92a", Some(3));
    }

    /// Texts near the edge of validity: valid ones with a few bytes changed.
    fn nearly_text() -> impl Strategy<Value = Vec<u8>> {
        let edits = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
        (any::<String>(), edits).prop_map(|(text, edits)| {
            let mut bytes = text.into_bytes();
            for (index, byte) in edits {
                if !bytes.is_empty() {
                    let at = index.index(bytes.len());
                    bytes[at] = byte;
                }
            }
            bytes
        })
    }

    proptest! {
        #[test]
        fn agrees_with_std_in_any_pieces(
            text in nearly_text(),
            cuts in proptest::collection::vec(0..200_usize, 0..6),
        ) {
            let mut stream = Utf8Stream::default();
            let mut rest = &text[..];
            let mut outcome: Result<(), Violation> = Ok(());
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (piece, later) = rest.split_at(cut.min(rest.len()));
                outcome = outcome.and_then(|()| stream.push(piece));
                rest = later;
            }
            outcome = outcome.and_then(|()| stream.finish());
            prop_assert_eq!(outcome.is_ok(), std::str::from_utf8(&text).is_ok());
        }
    }
}
