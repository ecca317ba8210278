//! Close frames (RFC 6455 §5.5.1, §7.4).

use crate::frame::{MAX_CONTROL_BYTES, Opcode, write_frame};
use crate::{Event, Violation};

/// The longest reason that fits a close frame beside its code.
pub const MAX_CLOSE_REASON_BYTES: usize = MAX_CONTROL_BYTES - 2;

/// Whether `code` may stand in a close frame: those that RFC 6455 and the IANA registry define for the wire,
/// and 3000–4999. 1004, 1005, 1006 and 1015 are reserved and never sent.
#[must_use]
pub fn is_valid_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Appends a close frame. Without a code the frame is empty, as the answer to an empty one is; a reason
/// above [`MAX_CLOSE_REASON_BYTES`] is cut at a character. A client passes a `mask`, a server `None`.
///
/// # Panics
/// If the code must not be sent, or a reason comes without a code: both are the caller's mistakes.
pub fn write_close(out: &mut Vec<u8>, code: Option<u16>, reason: &str, mask: Option<[u8; 4]>) {
    let Some(code) = code else {
        assert!(reason.is_empty(), "a close reason needs a code");
        return write_frame(out, Opcode::Close, &[], mask);
    };
    assert!(is_valid_close_code(code), "close code {code} must not be sent");
    let reason = &reason.as_bytes()[..reason.floor_char_boundary(MAX_CLOSE_REASON_BYTES)];
    let mut payload = [0; MAX_CONTROL_BYTES];
    payload[..2].copy_from_slice(&code.to_be_bytes());
    payload[2..2 + reason.len()].copy_from_slice(reason);
    write_frame(out, Opcode::Close, &payload[..2 + reason.len()], mask);
}

/// Reads the payload of a close frame.
pub(crate) fn read_close(payload: &[u8]) -> Result<Event<'_>, Violation> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() {
            Ok(Event::Close { code: None, reason: "" })
        } else {
            Err(Violation::TruncatedCloseCode)
        };
    };
    let code = u16::from_be_bytes(*code);
    if !is_valid_close_code(code) {
        return Err(Violation::InvalidCloseCode);
    }
    let reason = std::str::from_utf8(reason).map_err(|_| Violation::InvalidUtf8)?;
    Ok(Event::Close { code: Some(code), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        let valid =
            [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
        let invalid = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535];
        for code in valid {
            assert!(is_valid_close_code(code), "{code}");
        }
        for code in invalid {
            assert!(!is_valid_close_code(code), "{code}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let mut out = Vec::new();
        write_close(&mut out, Some(1000), &"ä".repeat(100), None);
        assert_eq!(out.len(), 2 + 2 + 122);
        let payload = &out[2..];
        assert_eq!(read_close(payload), Ok(Event::Close { code: Some(1000), reason: &"ä".repeat(61) }));
    }

    #[test]
    #[should_panic(expected = "close code 1006 must not be sent")]
    fn a_reserved_code_is_never_sent() {
        write_close(&mut Vec::new(), Some(1006), "", None);
    }
}
