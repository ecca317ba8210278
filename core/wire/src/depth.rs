//! How deep JSON nests, counted before anything parses it recursively.

/// Bytes whose brackets are counted in one `u8`.
const BLOCK_BYTES: usize = 128;

const _: () = assert!(BLOCK_BYTES <= u8::MAX as usize);

/// Whether `json` opens more than `limit` arrays and objects inside one another. Brackets in strings don't count.
/// Whether the text is JSON at all is the parser's to say.
///
/// What has at most `limit` opening brackets anywhere can't nest deeper: counting them takes no look at strings and
/// becomes vector instructions (`bench/journal/2026-11-24-codec.md`); that settles nearly every frame.
pub(crate) fn exceeds(json: &[u8], limit: usize) -> bool {
    opening_brackets(json) > limit && nests_deeper(json, limit)
}

fn opening_brackets(json: &[u8]) -> usize {
    // `[` and `{` differ in this one bit, and no other byte becomes `{` by it.
    let is_opening = |byte: &u8| u8::from(byte | 0x20 == b'{');
    json.chunks(BLOCK_BYTES).map(|block| usize::from(block.iter().map(is_opening).sum::<u8>())).sum()
}

fn nests_deeper(json: &[u8], limit: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::exceeds;

    #[test]
    fn counts_brackets_outside_strings() {
        for (json, deep) in [
            ("[[1]]", false),
            ("[[[1]]]", true),
            ("[[],[],[]]", false),
            (r#"{"a":"[[[["}"#, false),
            (r#"{"a":"\"[[[["}"#, false),
            (r#"{"a":"\\","b":[[1]]}"#, true),
            (r#"{"a":{"b":{}}}"#, true),
        ] {
            assert_eq!(exceeds(json.as_bytes(), 2), deep, "{json}");
        }
        let strings = format!("[\"{}\"]", "[".repeat(1_000));
        assert!(!exceeds(strings.as_bytes(), 2), "counted, then looked at");
        assert!(exceeds("[".repeat(1_000).as_bytes(), 32));
    }
}
