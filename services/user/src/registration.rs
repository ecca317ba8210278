//! What a new account must look like.

use ringside_application::service::{FieldError, Registration, ServiceError};
use ringside_wire::mention::EVERYONE;

use crate::password::PASSWORD_BYTES_MAX;
use ringside_types::text::{composed, has_hidden, is_visible};

/// Bytes of an e-mail address at the most (RFC 5321: a path of 256 with its brackets).
pub(crate) const EMAIL_BYTES_MAX: usize = 254;
const USERNAME_CHARS_MIN: usize = 3;
const USERNAME_CHARS_MAX: usize = 32;
const PASSWORD_CHARS_MIN: usize = 8;
const PASSWORD_CHARS_MAX: usize = 128;
const DISPLAY_NAME_CHARS_MAX: usize = 80;
/// Names of erased accounts begin so; nobody else's does.
const ERASED_PREFIX: &str = "deleted-";
/// Characters of a device's name at the most.
const DEVICE_CHARS_MAX: usize = 100;

const _: () =
    assert!(PASSWORD_CHARS_MAX * 4 <= PASSWORD_BYTES_MAX, "a character takes four bytes at the most");

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationMode {
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

/// The account, where every field is valid.
pub(crate) fn valid(wish: Registration) -> Result<Valid, ServiceError> {
    let wrong = faults(&wish);
    if !wrong.is_empty() {
        return Err(ServiceError::Invalid(wrong));
    }
    let Registration { email, username, password, display_name, invitation: _, address: _ } = wish;
    let email = composed(&email).into_owned();
    let display_name = display_name.map(|name| composed(name.trim()).into_owned());
    let display_name = display_name.unwrap_or_else(|| username.clone());
    Ok(Valid { email, username, password, display_name })
}

/// Every field that is wrong, with what to do. Of a field it is the first thing that is wrong with it.
pub(crate) fn faults(wish: &Registration) -> Vec<FieldError> {
    let display_name = wish.display_name.as_deref().map(|name| composed(name.trim()));
    [
        ("email", wrong_email(&composed(&wish.email))),
        ("username", wrong_username(&wish.username)),
        ("password", wrong_password(&wish.password)),
        ("display_name", display_name.and_then(|name| wrong_display_name(&name))),
    ]
    .into_iter()
    .filter_map(|(field, wrong)| wrong.map(|message| FieldError { field: field.into(), message }))
    .collect()
}

/// What a user may call a device; the empty name too.
pub(crate) fn valid_device(device: &str) -> Result<(), ServiceError> {
    if is_text(device, 0, DEVICE_CHARS_MAX) {
        return Ok(());
    }
    let message = format!(
        "A device's name has {DEVICE_CHARS_MAX} characters at the most, none of them a control character."
    );
    Err(ServiceError::Invalid(vec![FieldError { field: "device".into(), message }]))
}

pub(crate) fn wrong_password(text: &str) -> Option<String> {
    match text.chars().count() {
        0 => Some(format!("Choose a password of at least {PASSWORD_CHARS_MIN} characters.")),
        1..PASSWORD_CHARS_MIN => {
            Some(format!("This password is too short: it needs at least {PASSWORD_CHARS_MIN} characters."))
        }
        PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX => None,
        _ => Some(format!("This password is too long: it may have up to {PASSWORD_CHARS_MAX} characters.")),
    }
}

fn wrong_email(text: &str) -> Option<String> {
    let parts = text.split_once('@');
    let is_whole =
        parts.is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty() && !domain.contains('@'));
    if text.trim().is_empty() {
        Some("Enter an e-mail address.".into())
    } else if text.chars().any(char::is_whitespace) || has_hidden(text) {
        Some("An e-mail address has no spaces or invisible characters in it.".into())
    } else if !is_whole {
        Some("This is not an e-mail address; one looks like name@example.org.".into())
    } else if text.len() > EMAIL_BYTES_MAX {
        Some(format!("This e-mail address is too long: it may have up to {EMAIL_BYTES_MAX} bytes."))
    } else {
        None
    }
}

fn wrong_username(text: &str) -> Option<String> {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let is_erased =
        text.get(..ERASED_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(ERASED_PREFIX));
    if text.is_empty() {
        Some(format!("Choose a username of at least {USERNAME_CHARS_MIN} characters."))
    } else if !text.bytes().all(is_known) {
        Some(
            "A username may have letters from A to Z, digits, underscores, dots and hyphens, nothing else."
                .into(),
        )
    } else if text.len() < USERNAME_CHARS_MIN {
        Some(format!("This username is too short: it needs at least {USERNAME_CHARS_MIN} characters."))
    } else if text.len() > USERNAME_CHARS_MAX {
        Some(format!("This username is too long: it may have up to {USERNAME_CHARS_MAX} characters."))
    } else if !text.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        Some("A username begins with a letter or a digit.".into())
    } else if is_erased || text.eq_ignore_ascii_case(EVERYONE) {
        Some("This username is reserved; choose another.".into())
    } else {
        None
    }
}

pub(crate) fn wrong_display_name(text: &str) -> Option<String> {
    if is_text(text, 1, DISPLAY_NAME_CHARS_MAX) && is_visible(text) {
        return None;
    }
    Some(format!(
        "A display name has 1 to {DISPLAY_NAME_CHARS_MAX} characters that show something, none of them a control \
         character."
    ))
}

pub(crate) fn is_text(text: &str, chars_min: usize, chars_max: usize) -> bool {
    (chars_min..=chars_max).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn wrong_fields(
        email: &str,
        username: &str,
        password: &str,
        display_name: Option<&str>,
    ) -> Vec<Cow<'static, str>> {
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
        let all = ["email", "username", "password", "display_name"];
        assert_eq!(wrong_fields("", "", "", Some("")), all);
        assert_eq!(
            wrong_fields("a@b", "", "password", None),
            ["username"],
            "the name to show is not to blame"
        );
    }

    #[test]
    fn what_is_wrong_is_a_sentence_that_says_what_to_do() {
        let check = |wrong: Option<String>, part: &str| {
            let sentence = wrong.unwrap_or_default();
            assert!(sentence.contains(part), "{sentence:?} has no {part:?}");
            assert!(sentence.starts_with(char::is_uppercase) && sentence.ends_with('.'), "{sentence:?}");
        };
        check(wrong_email(" "), "Enter an e-mail");
        check(wrong_email("ada @example.org"), "no spaces");
        check(wrong_email("ada"), "looks like name@example.org");
        check(wrong_email(&format!("{}@b", "a".repeat(300))), "up to 254 bytes");
        check(wrong_username(""), "Choose a username");
        check(wrong_username("q"), "at least 3 characters");
        check(wrong_username(&"q".repeat(33)), "up to 32 characters");
        check(wrong_username("a b"), "letters from A to Z");
        check(wrong_username("_ab"), "begins with");
        check(wrong_username("channel"), "reserved");
        check(wrong_password(""), "Choose a password");
        check(wrong_password("short"), "at least 8 characters");
        check(wrong_password(&"x".repeat(129)), "up to 128 characters");
        check(wrong_display_name(""), "1 to 80 characters");
    }

    #[test]
    fn a_device_has_a_short_name_or_none() {
        assert!(valid_device("").is_ok() && valid_device(&"é".repeat(100)).is_ok());
        assert!(valid_device(&"é".repeat(101)).is_err() && valid_device("a\r").is_err());
    }
}
