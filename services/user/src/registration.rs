//! What a new account must look like.

use ringside_ports::service::{FieldError, Registration, ServiceError};
use ringside_wire::mention::EVERYONE;

use crate::password::PASSWORD_BYTES_MAX;
use ringside_types::text::{composed, has_hidden, is_visible};

/// Bytes of an e-mail address at the most (RFC 5321: a path of 256 with its brackets).
pub(crate) const EMAIL_BYTES_MAX: usize = 254;
const USERNAME_CHARS_MIN: usize = 3;
const USERNAME_CHARS_MAX: usize = 32;
const PASSWORD_CHARS_MIN: usize = 8;
const PASSWORD_CHARS_MAX: usize = 128;
pub(crate) const DISPLAY_NAME_CHARS_MAX: usize = 80;
/// What a password must look like; the test holds it to the limits.
pub(crate) const PASSWORD_RULE: &str = "has 8 to 128 characters";
/// Names of erased accounts begin so; nobody else's does.
const ERASED_PREFIX: &str = "deleted-";
/// Characters of a device's name at the most.
const DEVICE_CHARS_MAX: usize = 100;

const _: () =
    assert!(PASSWORD_CHARS_MAX * 4 <= PASSWORD_BYTES_MAX, "a character takes four bytes at the most");

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationMode {
    /// Everyone.
    Open,
    /// Whoever has an invitation.
    Invitation,
    /// Nobody; the operator makes accounts at the command line.
    Closed,
}

/// An account as it may be made.
#[derive(Debug)]
pub(crate) struct Valid {
    pub(crate) email: String,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) display_name: String,
}

/// Checks every field, and names all that are wrong.
pub(crate) fn valid(wish: Registration) -> Result<Valid, ServiceError> {
    let Registration { email, username, password, display_name, invitation: _, address: _ } = wish;
    let email = composed(&email).into_owned();
    let display_name = display_name.map(|name| composed(&name).into_owned());
    let display_name = display_name.map_or_else(|| username.clone(), |name| name.trim().to_owned());
    let checks = [
        (
            "email",
            is_email(&email),
            format!("is an address like `name@example.org`, up to {EMAIL_BYTES_MAX} bytes"),
        ),
        (
            "username",
            is_username(&username),
            format!(
                "has {USERNAME_CHARS_MIN} to {USERNAME_CHARS_MAX} characters of A–Z, a–z, 0–9, `_`, `.`, `-`, and \
                 begins with a letter or digit, but not with `{ERASED_PREFIX}`, and is not `{EVERYONE}`"
            ),
        ),
        ("password", is_password(&password), PASSWORD_RULE.into()),
        (
            "display_name",
            is_text(&display_name, 1, DISPLAY_NAME_CHARS_MAX) && is_visible(&display_name),
            format!(
                "has 1 to {DISPLAY_NAME_CHARS_MAX} characters that show something, none of them a control character"
            ),
        ),
    ];
    let wrong: Vec<FieldError> = checks
        .into_iter()
        .filter(|(_, is_valid, _)| !is_valid)
        .map(|(field, _, message)| FieldError { field, message })
        .collect();
    if wrong.is_empty() {
        Ok(Valid { email, username, password, display_name })
    } else {
        Err(ServiceError::Invalid(wrong))
    }
}

/// What a user may call a device; the empty name too.
pub(crate) fn valid_device(device: &str) -> Result<(), ServiceError> {
    if is_text(device, 0, DEVICE_CHARS_MAX) {
        return Ok(());
    }
    let message = format!("has {DEVICE_CHARS_MAX} characters at the most, none of them a control character");
    Err(ServiceError::Invalid(vec![FieldError { field: "device", message }]))
}

pub(crate) fn is_password(text: &str) -> bool {
    (PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&text.chars().count())
}

fn is_email(text: &str) -> bool {
    let Some((name, domain)) = text.split_once('@') else { return false };
    let is_whole = !name.is_empty() && !domain.is_empty() && !domain.contains('@');
    is_whole && text.len() <= EMAIL_BYTES_MAX && !text.chars().any(char::is_whitespace) && !has_hidden(text)
}

fn is_username(text: &str) -> bool {
    let may_follow = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (USERNAME_CHARS_MIN..=USERNAME_CHARS_MAX).contains(&text.len())
        && text.bytes().all(may_follow)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && !text.get(..ERASED_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(ERASED_PREFIX))
        && !text.eq_ignore_ascii_case(EVERYONE)
}

pub(crate) fn is_text(text: &str, chars_min: usize, chars_max: usize) -> bool {
    (chars_min..=chars_max).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong_fields(
        email: &str,
        username: &str,
        password: &str,
        display_name: Option<&str>,
    ) -> Vec<&'static str> {
        let wish = Registration {
            email: email.into(),
            username: username.into(),
            password: password.into(),
            display_name: display_name.map(Into::into),
            invitation: None,
            address: [127, 0, 0, 1].into(),
        };
        match valid(wish) {
            Ok(_) => Vec::new(),
            Err(ServiceError::Invalid(fields)) => fields.into_iter().map(|field| field.field).collect(),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_field_within_its_bounds() {
        let check = |field: &str, text: &str, is_valid: bool| {
            let wrong = match field {
                "email" => wrong_fields(text, "ada", "password", None),
                "username" => wrong_fields("a@b", text, "password", Some("Ada")),
                "password" => wrong_fields("a@b", "ada", text, None),
                _ => wrong_fields("a@b", "ada", "password", Some(text)),
            };
            let expected = if is_valid { vec![] } else { vec![field] };
            assert_eq!(wrong, expected, "{field} {text:?}");
        };
        for (email, is_valid) in [("ada@example.org", true), ("ü+x@exämple.org", true), ("ada", false)] {
            check("email", email, is_valid);
        }
        for none in ["@b", "a@", "a@b@c", "a b@c", "a\u{a0}b@c", "a\n@c", "a\0@c", ""] {
            check("email", none, false);
        }
        check("email", &format!("{}@b", "a".repeat(252)), true);
        check("email", &format!("{}@b", "a".repeat(253)), false);
        for (username, is_valid) in
            [("ada", true), ("0_.-", true), ("ab", false), ("_ab", false), ("äda", false)]
        {
            check("username", username, is_valid);
        }
        check("username", &"a".repeat(32), true);
        check("username", &"a".repeat(33), false);
        check("username", "a@b", false);
        check("username", "Deleted-1", false);
        check("username", "Channel", false);
        check("username", "deleted", true);
        for (chars, is_valid) in [(7, false), (8, true), (128, true), (129, false)] {
            check("password", &"🔑".repeat(chars), is_valid);
        }
        for (name, is_valid) in [("  Ada \n", true), ("   ", false), ("", false), ("A\u{7}da", false)] {
            check("display_name", name, is_valid);
        }
        check("display_name", &"ü".repeat(80), true);
        check("display_name", &"ü".repeat(81), false);
    }

    #[test]
    fn all_that_is_wrong_is_named_at_once() {
        assert_eq!(PASSWORD_RULE, format!("has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters"));
        let all = ["email", "username", "password", "display_name"];
        assert_eq!(wrong_fields("", "", "", Some("")), all);
    }

    #[test]
    fn a_device_has_a_short_name_or_none() {
        assert!(valid_device("").is_ok() && valid_device(&"é".repeat(100)).is_ok());
        assert!(valid_device(&"é".repeat(101)).is_err() && valid_device("a\r").is_err());
    }
}
