//! How deep JSON nests, counted before anything parses it recursively.

/// Whether `json` opens more than `limit` arrays and objects inside one another.
///
/// One pass over the bytes; brackets in strings don't count. Whether the text is JSON at all is the parser's
/// to say.
pub(crate) fn exceeds(json: &[u8], limit: usize) -> bool {
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
    }
}
