//! Why somebody is not let in: a sentence for them, and what the operator is told besides.

use std::fmt;

use ringside_types::UserId;

/// Why it is, in a word that metrics and logs hold: stable, and one of few.
pub mod reason {
    /// No account has this login.
    pub const UNKNOWN_ACCOUNT: &str = "unknown_account";
    /// The password is another.
    pub const WRONG_PASSWORD: &str = "wrong_password";
    /// Too many wrong passwords for this account: this one was not looked at.
    pub const ACCOUNT_LIMIT: &str = "account_limit";
    /// Not a token of ours, or one that was replaced, or whose session has ended.
    pub const INVALID_TOKEN: &str = "invalid_token";
    /// The token was good once.
    pub const EXPIRED_TOKEN: &str = "expired_token";
    /// A refresh token came a second time: somebody else may have it.
    pub const REUSED_TOKEN: &str = "reused_token";
    /// The request brings no token.
    pub const NO_TOKEN: &str = "no_token";
    /// The session has ended.
    pub const SESSION_ENDED: &str = "session_ended";
    /// The account is gone.
    pub const ACCOUNT_GONE: &str = "account_gone";
}

/// Somebody is not let in.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What the client is told.
    pub message: String,
    /// One of [`reason`], for the operator alone: a client must not learn which accounts there are.
    pub reason: &'static str,
    /// The account that it is about, where one is known.
    pub account: Option<UserId>,
}

impl Refusal {
    /// For this reason, in these words.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { message: message.into(), reason, account: None }
    }

    /// The same, about this account.
    #[must_use]
    pub fn of(self, account: Option<UserId>) -> Self {
        Self { account, ..self }
    }
}

/// Two are equal where the client is told the same.
impl PartialEq for Refusal {
    fn eq(&self, other: &Self) -> bool {
        self.message == other.message
    }
}

impl Eq for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The account is gone, where nothing else is said.
impl From<&str> for Refusal {
    fn from(message: &str) -> Self {
        Self::new(reason::ACCOUNT_GONE, message)
    }
}
