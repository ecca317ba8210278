//! Identifiers of things that people and clients make: UUIDs, one type for each kind of thing.

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// Characters of a UUID as it is written here (RFC 9562 section 4).
const HYPHENATED_BYTES: usize = 36;

/// The text is no UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is a UUID: 36 characters, like 0190a000-0000-7000-8000-000000000001")]
pub struct ParseIdError;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The 16 bytes of the UUID, in network order.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// Reads the 16 bytes of a UUID; `None` for any other length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                Uuid::from_slice(bytes).ok().map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                // Other spellings of a UUID would make one id of several texts.
                let parsed = if text.len() == HYPHENATED_BYTES { Uuid::try_parse(text).ok() } else { None };
                parsed.map(Self).ok_or(ParseIdError)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;

                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        std::fmt::Display::fmt(&ParseIdError, f)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Visitor)
            }
        }
    };
}

uuid_id!(
    /// An account.
    UserId
);
uuid_id!(
    /// A conversation: DM, group, private or public channel.
    ChannelId
);
uuid_id!(
    /// The client's own id of a request: the idempotency key.
    ClientId
);
uuid_id!(
    /// One signed-in device: the family that its refresh tokens belong to.
    SessionId
);

impl ClientId {
    /// The id of one of the things that were asked for under this one (a UUID v5, RFC 9562 §5.5).
    #[must_use]
    pub fn of_request(self, request: &str) -> Self {
        Self(Uuid::new_v5(&self.0, request.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_is_read() {
        let text = "0190a000-0000-7000-8000-000000000001";
        let id: UserId = text.parse().expect("an id");
        assert_eq!(
            (id.to_string(), serde_json::to_string(&id).expect("JSON")),
            (text.into(), format!("\"{text}\""))
        );
        for other in
            ["0190a00000007000800000000000000 1", "{0190a000-0000-7000-8000-000000000001}", "", "0190a000"]
        {
            assert!(other.parse::<UserId>().is_err(), "{other}");
        }
        let compact = text.replace('-', "");
        assert!(serde_json::from_str::<UserId>(&format!("\"{compact}\"")).is_err());
    }
}
