//! Masking (RFC 6455 §5.3), a word at a time.

/// XORs `payload` with the repeated `key` and returns the key rotated to where the payload ended, so that the
/// rest of a frame can go on with it. Masking and unmasking are the same operation.
#[must_use = "the rest of a frame goes on with the rotated key"]
pub fn apply_mask(payload: &mut [u8], key: [u8; 4]) -> [u8; 4] {
    let key_word = u64::from(u32::from_ne_bytes(key)) * 0x0000_0001_0000_0001;
    let mut rotated = key;
    rotated.rotate_left(payload.len() % 4);
    // A plain loop over words: the compiler makes vectors of it, and short payloads pay no set-up.
    let (words, tail) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ key_word).to_ne_bytes();
    }
    for (byte, key_byte) in tail.iter_mut().zip(key_word.to_ne_bytes()) {
        *byte ^= key_byte;
    }
    rotated
}

#[cfg(test)]
mod tests {
    use super::apply_mask;
    use proptest::prelude::*;

    fn by_definition(payload: &[u8], key: [u8; 4]) -> Vec<u8> {
        payload.iter().enumerate().map(|(index, byte)| byte ^ key[index % 4]).collect()
    }

    proptest! {
        #[test]
        fn words_equal_the_definition(payload: Vec<u8>, key: [u8; 4]) {
            let mut masked = payload.clone();
            let _ = apply_mask(&mut masked, key);
            prop_assert_eq!(masked, by_definition(&payload, key));
        }

        #[test]
        fn pieces_equal_the_whole(
            payload: Vec<u8>,
            key: [u8; 4],
            cuts in proptest::collection::vec(0..64_usize, 0..8),
        ) {
            let mut pieces = payload.clone();
            let mut rest = &mut pieces[..];
            let mut running = key;
            for cut in cuts {
                let (piece, later) = rest.split_at_mut(cut.min(rest.len()));
                running = apply_mask(piece, running);
                rest = later;
            }
            let _ = apply_mask(rest, running);
            prop_assert_eq!(pieces, by_definition(&payload, key));
        }
    }
}
