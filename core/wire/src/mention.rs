//! Mentions: who a text names with `@`, and what of it stands in a message's metadata.

use std::collections::BTreeMap;

use ringside_types::UserId;
use ringside_types::limits::MENTIONS_MAX;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{InvalidRecord, prose, records, user_id};

/// `@channel` names everyone in the channel. Nobody can be called so.
pub const EVERYONE: &str = "channel";
/// Where in the metadata mentions stand: user ids, and [`EVERYONE`].
const KEY: &str = "mentions";

/// Whom a message names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mentions {
    /// Members, each once.
    pub users: Vec<UserId>,
    /// Everyone in the channel.
    pub everyone: bool,
}

/// One entry of the list.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    User(UserId),
    Word(&'a str),
}

impl Mentions {
    /// Whether nobody is named.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && !self.everyone
    }

    /// Whom a message's metadata names. What a client has put there that is no mention names nobody.
    pub fn in_metadata(metadata: &str) -> Self {
        let list = if metadata.contains(KEY) {
            serde_json::from_str::<BTreeMap<String, &RawValue>>(metadata)
                .ok()
                .and_then(|object| serde_json::from_str::<Vec<Entry<'_>>>(object.get(KEY)?.get()).ok())
        } else {
            None
        };
        let mut mentions = Self::default();
        for entry in list.unwrap_or_default() {
            match entry {
                Entry::User(user) => mentions.users.push(user),
                Entry::Word(word) => mentions.everyone |= word == EVERYONE,
            }
        }
        mentions
    }

    /// As a record has them.
    pub fn to_record(&self) -> records::Mentions {
        let users = self.users.iter().map(|user| user.as_bytes().to_vec().into()).collect();
        records::Mentions { users, everyone: self.everyone }
    }

    /// What a record says.
    ///
    /// # Errors
    /// A user's id is none.
    pub fn from_record(record: &records::Mentions) -> Result<Self, InvalidRecord> {
        let users = record.users.iter().map(|user| user_id(user)).collect::<Result<_, _>>()?;
        Ok(Self { users, everyone: record.everyone })
    }

    /// A message's metadata (a JSON object, or empty) with these mentions in the place of whatever it said of mentions;
    /// where nobody is named, without any.
    pub fn written_into(&self, metadata: &str) -> String {
        let users = self.users.iter().map(|user| Entry::User(*user));
        let list: Vec<Entry<'_>> = users.chain(self.everyone.then_some(Entry::Word(EVERYONE))).collect();
        let list = serde_json::value::to_raw_value(&list).expect("ids and a word serialize");
        let mut object: BTreeMap<String, Box<RawValue>> = serde_json::from_str(metadata).unwrap_or_default();
        if self.is_empty() {
            object.remove(KEY);
        } else {
            object.insert(KEY.to_owned(), list);
        }
        serde_json::to_string(&object).expect("an object of JSON values serializes")
    }
}

/// Whether a message may name somebody: its text, or metadata that claims to.
pub fn may_mention(text: &str, metadata: &str) -> bool {
    text.contains('@') || metadata.contains(KEY)
}

/// The names after each `@` of a text, in lower case and each once, [`MENTIONS_MAX`] at the most.
///
/// An `@` within a word begins no mention, so that addresses are none; nor does one in a path, in what is shown as code, or
/// in a link. A name ends before the signs that may end a sentence or an emphasis; where an account's own name ends so, it
/// is meant as well.
pub fn names(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in prose::Mentions::new(text).flatten().map(str::to_ascii_lowercase) {
        if names.len() == MENTIONS_MAX {
            break;
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_text_names_so_many_at_the_most() {
        let many: String = (0..2 * MENTIONS_MAX).map(|number| format!("@user{number} ")).collect();
        assert_eq!(names(&many).len(), MENTIONS_MAX);
        assert!(may_mention(&many, "") && !may_mention("nobody", ""));
    }

    #[test]
    fn a_text_is_walked_through_once() {
        // A walk that begins anew at each sign would take minutes.
        for sign in [
            "`",
            "```a",
            "``\n",
            "h",
            "http://",
            "`h",
            "[",
            "[a](http://",
            "> ```\n",
            "> a ```\n",
            "_@",
            "@.",
            "(@",
            "@a@",
        ] {
            let many = sign.repeat(60_000);
            names(&many);
        }
    }

    #[test]
    fn what_is_written_is_read_and_the_rest_stays() {
        let mentions = Mentions { users: vec![UserId(Uuid::from_u128(7))], everyone: true };
        // A key with an escape can't be borrowed.
        let escaped = Mentions::in_metadata(r#"{"\n":1,"mentions":["channel"]}"#);
        assert!(escaped.everyone);
        for (before, beside) in
            [("", ""), (r#"{"mentions":5}"#, ""), (r#"{"b": [1e400], "a":{}}"#, r#""a":{},"b":[1e400],"#)]
        {
            let written = mentions.written_into(before);
            let list = r#""mentions":["00000000-0000-0000-0000-000000000007","channel"]"#;
            assert_eq!(written, format!("{{{beside}{list}}}"));
            assert_eq!(Mentions::in_metadata(&written), mentions);
        }
    }

    #[test]
    fn a_record_says_whom_they_name() {
        for everyone in [false, true] {
            let mentions = Mentions { users: vec![UserId(Uuid::from_u128(1))], everyone };
            assert_eq!(Mentions::from_record(&mentions.to_record()).ok(), Some(mentions));
        }
        let invalid = records::Mentions { users: vec![vec![1].into()], everyone: false };
        assert!(Mentions::from_record(&invalid).is_err());
    }

    #[test]
    fn what_a_client_claims_is_taken_out() {
        let claimed = r#"{"a":1,"mentions":["channel"]}"#;
        assert!(may_mention("nobody", claimed) && !may_mention("nobody", r#"{"a":1}"#));
        assert_eq!(Mentions::default().written_into(claimed), r#"{"a":1}"#);
    }

    #[test]
    fn what_is_no_mention_names_nobody() {
        for metadata in ["", "{}", r#"{"mentions":{}}"#, r#"{"mentions":[5]}"#, r#"{"x":"mentions"}"#] {
            assert!(Mentions::in_metadata(metadata).is_empty(), "{metadata}");
        }
        let unknown = Mentions::in_metadata(r#"{"mentions":["somebody","channel"]}"#);
        assert!(unknown.users.is_empty() && unknown.everyone);
    }
}
