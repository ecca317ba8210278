//! Who may see and do what of a user, as their settings say.

use serde_json::{Map, Value};

/// Whom a setting lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Everyone who is signed in, but those that a block keeps out.
    Everyone,
    /// Contacts: requested and accepted.
    Contacts,
    /// Nobody but the user.
    Nobody,
}

impl Audience {
    /// The audience of that name in the settings.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "everyone" => Some(Self::Everyone),
            "contacts" => Some(Self::Contacts),
            "nobody" => Some(Self::Nobody),
            _ => None,
        }
    }

    /// Whether someone is let in.
    pub const fn admits(self, is_contact: bool) -> bool {
        match self {
            Self::Everyone => true,
            Self::Contacts => is_contact,
            Self::Nobody => false,
        }
    }
}

/// The object in a user's settings that holds them.
pub const PRIVACY: &str = "privacy";
/// Its keys, and what holds where one is absent.
pub const PRIVACY_KEYS: [(&str, Audience); 6] = [
    ("presence", Audience::Everyone),
    ("last_seen", Audience::Everyone),
    ("receipts", Audience::Everyone),
    ("email", Audience::Nobody),
    ("direct_messages", Audience::Everyone),
    ("add_to_channels", Audience::Everyone),
];

/// A user's privacy settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privacy {
    /// Who sees whether they are online.
    pub presence: Audience,
    /// Who sees when they were last seen.
    pub last_seen: Audience,
    /// Who sees what they have read.
    pub receipts: Audience,
    /// Who sees their e-mail address, and finds them by it.
    pub email: Audience,
    /// Who may begin a DM with them, or bring them into a group or channel, where it could be had all the same.
    pub direct_messages: Audience,
    /// Who may bring them into groups and channels.
    pub add_to_channels: Audience,
}

impl Privacy {
    /// What the settings (a JSON object) say; what they don't, or not validly, is as by default.
    pub fn of(settings: &str) -> Self {
        let settings: Map<String, Value> = serde_json::from_str(settings).unwrap_or_default();
        let said = |key: &str| settings.get(PRIVACY)?.get(key)?.as_str().and_then(Audience::from_name);
        let [presence, last_seen, receipts, email, direct_messages, add_to_channels] =
            PRIVACY_KEYS.map(|(key, default)| said(key).unwrap_or(default));
        Self { presence, last_seen, receipts, email, direct_messages, add_to_channels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_by_default() {
        let default = Privacy::of("{}");
        assert_eq!((default.presence, default.email), (Audience::Everyone, Audience::Nobody));
        for same in ["", "[]", r#"{"privacy": 1}"#, r#"{"privacy": {"email": "all"}}"#] {
            assert_eq!(Privacy::of(same), default, "{same}");
        }
        let said =
            Privacy::of(r#"{"privacy": {"email": "contacts", "presence": "nobody"}, "theme": "dark"}"#);
        let expected = Privacy { email: Audience::Contacts, presence: Audience::Nobody, ..default };
        assert_eq!(said, expected);
    }

    #[test]
    fn an_audience_lets_in_whom_it_names() {
        let check = |audience: Audience, admitted: [bool; 2]| {
            assert_eq!([audience.admits(false), audience.admits(true)], admitted, "{audience:?}");
        };
        check(Audience::Everyone, [true, true]);
        check(Audience::Contacts, [false, true]);
        check(Audience::Nobody, [false, false]);
    }
}
