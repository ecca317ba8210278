//! Profiles: what an account shows and has set, its erasure, and what was done to it.

use std::future::Future;

use ringside_types::{ChannelId, UnixMillis, UserId};

use super::After;
use crate::EngineError;
use crate::accounts::User;

/// What an account may do to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerRole {
    /// Nothing but use it.
    User,
    /// Administer it. The first account that is made has this role.
    Admin,
}

impl ServerRole {
    /// The name on the wire and in the Directory.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::User, Self::Admin].into_iter().find(|role| role.name() == name)
    }
}

/// An account, and all that it has set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The account. Of an erased one the names are replaced and the rest is empty.
    pub user: User,
    /// What the user says of themselves; may be empty.
    pub status_message: String,
    /// Until when they say so; `None`: for good.
    pub status_expires_at: Option<UnixMillis>,
    /// When they were last there, for all to see; `None`: never.
    pub last_seen_at: Option<UnixMillis>,
    /// A JSON object; see [`super::privacy`].
    pub settings: String,
    /// What the account may do to the server.
    pub role: ServerRole,
    /// When any of it changed last.
    pub updated_at: UnixMillis,
    /// When the account was erased.
    pub erased_at: Option<UnixMillis>,
}

/// A change of settings: written only where they are still as they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsSwap {
    /// As they were read.
    pub from: String,
    /// As they are to be.
    pub to: String,
}

/// A change of a profile; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// The name to show.
    pub display_name: Option<String>,
    /// The picture; empty: none.
    pub avatar_url: Option<String>,
    /// What the user says of themselves; empty: nothing. It is for good, where no end is given.
    pub status_message: Option<String>,
    /// Until when; `Some(None)`: for good.
    pub status_expires_at: Option<Option<UnixMillis>>,
    /// The settings.
    pub settings: Option<SettingsSwap>,
}

impl ProfileChange {
    /// Changes a profile, or nothing: false where its settings are not as they were read.
    pub fn apply(self, profile: &mut Profile, now: UnixMillis) -> bool {
        if let Some(settings) = self.settings {
            if settings.from != profile.settings {
                return false;
            }
            profile.settings = settings.to;
        }
        if let Some(name) = self.display_name {
            profile.user.display_name = name;
        }
        if let Some(url) = self.avatar_url {
            profile.user.avatar_url = url;
        }
        if let Some(text) = self.status_message {
            // A new text is for good, unless an end is given with it.
            (profile.status_message, profile.status_expires_at) = (text, None);
        }
        profile.status_expires_at = self.status_expires_at.unwrap_or(profile.status_expires_at);
        profile.updated_at = now;
        true
    }
}

/// Hexadecimal digits of the id in the name of an erased account: the random ones at its end.
const SHORT_ID_DIGITS: usize = 12;

/// What an erased account is called: the first of these that nobody has.
pub fn erased_names(user: UserId) -> [String; 2] {
    let digits = user.0.simple().to_string();
    [format!("deleted-{}", &digits[digits.len() - SHORT_ID_DIGITS..]), format!("deleted-{digits}")]
}

/// What an erased account has for an address: none has a form like this, so it is in nobody's way.
pub fn erased_email(user: UserId) -> String {
    format!("erased:{user}")
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is written; this is the profile now.
    Done(Box<Profile>),
    /// The settings were not as they were read: nothing was written. Read again.
    Moved,
    /// There is no such account, or it is erased.
    Gone,
}

/// Where a search goes on: with the match after this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It was found by its username.
    ByUsername(UserId),
    /// It was found by its display name.
    ByDisplayName(UserId),
}

impl Found {
    /// The account.
    pub const fn id(self) -> UserId {
        match self {
            Self::ByUsername(id) | Self::ByDisplayName(id) => id,
        }
    }
}

/// What is looked for, and on whose behalf.
#[derive(Clone, Debug)]
pub struct SearchFor {
    /// Who asks: accounts that have blocked them are not found.
    pub viewer: UserId,
    /// What a username or display name begins with, or what an e-mail address is; without case.
    pub text: String,
}

/// Something that was done to an account or by it. It outlives the account's erasure, and names nobody but by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number; later ones are greater.
    pub id: i64,
    /// When.
    pub at: UnixMillis,
    /// By whom; `None`: by the operator, at the command line.
    pub actor_id: Option<UserId>,
    /// What: a stable name like `password_changed`.
    pub action: String,
    /// To whom.
    pub subject_id: UserId,
}

/// Profiles, as others see them and as their owners change them.
pub trait Profiles: Clone + Send + Sync + 'static {
    /// The profiles that there are among these, erased ones too, in no order.
    fn profiles(&self, ids: &[UserId]) -> impl Future<Output = Result<Vec<Profile>, EngineError>> + Send;

    /// Changes a profile, whole or not at all.
    fn change_profile(
        &self,
        user: UserId,
        change: ProfileChange,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Changed, EngineError>> + Send;

    /// Accounts by what their username begins with, in its order, then by what their display name begins with, in
    /// its order; those of a text with `@` by their e-mail address, where their privacy settings show it to the
    /// viewer. Each once; erased ones and those that have blocked the viewer never.
    fn search(
        &self,
        search: &SearchFor,
        part: After<Found>,
    ) -> impl Future<Output = Result<Vec<(Found, Profile)>, EngineError>> + Send;

    /// These were there until now, as far as others may know. Times only grow; unknown and erased accounts are passed over.
    fn saw(&self, users: &[(UserId, UnixMillis)]) -> impl Future<Output = Result<(), EngineError>> + Send;
}

/// What admins and operators do to accounts, and what is written down of it.
pub trait Administration: Clone + Send + Sync + 'static {
    /// All accounts, erased ones too, by id.
    fn every_profile(
        &self,
        part: After<UserId>,
    ) -> impl Future<Output = Result<Vec<Profile>, EngineError>> + Send;

    /// Gives an account a role; false: there is no such account, or it is erased.
    fn set_role(
        &self,
        user: UserId,
        role: ServerRole,
        now: UnixMillis,
    ) -> impl Future<Output = Result<bool, EngineError>> + Send;

    /// Erases an account in one step: its names are replaced, its address, picture, password and settings are gone, and
    /// so are its sessions, relations and invitations; its memberships end with an outbox row each, and the channels are
    /// returned. The id stays, so that what it wrote has an author, and so does what the audit log says. E-mail
    /// address and username may be taken again. An account that is erased already is no error: nothing is changed.
    /// `None`: there is no such account.
    fn erase(
        &self,
        user: UserId,
        actor: Option<UserId>,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Option<Vec<ChannelId>>, EngineError>> + Send;

    /// What the audit log says of an account as its subject, oldest first.
    fn audit(
        &self,
        subject: UserId,
        part: After<i64>,
    ) -> impl Future<Output = Result<Vec<AuditEntry>, EngineError>> + Send;
}
