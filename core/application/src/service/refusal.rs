//! Why somebody is not let in: a sentence for them, and what the operator is told besides.

use std::fmt;

use ringside_types::UserId;

/// Why it is: for metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// No account has this login.
    UnknownAccount,
    WrongPassword,
    /// Too many wrong passwords for this account: this one was not looked at.
    AccountLimit,
    /// Not a token of ours, or one that was replaced, or whose session has ended.
    InvalidToken,
    ExpiredToken,
    /// A refresh token came a second time: somebody else may have it.
    ReusedToken,
    /// The request brings no token.
    NoToken,
    SessionEnded,
    AccountGone,
}

impl RefusalReason {
    /// A word that is one of few, and stable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownAccount => "unknown_account",
            Self::WrongPassword => "wrong_password",
            Self::AccountLimit => "account_limit",
            Self::InvalidToken => "invalid_token",
            Self::ExpiredToken => "expired_token",
            Self::ReusedToken => "reused_token",
            Self::NoToken => "no_token",
            Self::SessionEnded => "session_ended",
            Self::AccountGone => "account_gone",
        }
    }
}

/// Somebody is not let in.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What the client is told.
    pub message: String,
    /// For the operator alone: a client must not learn which accounts there are.
    pub reason: RefusalReason,
    /// The account that it is about, where one is known.
    pub account: Option<UserId>,
}

impl Refusal {
    /// For this reason, in these words.
    pub fn new(reason: RefusalReason, message: impl Into<String>) -> Self {
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
        Self::new(RefusalReason::AccountGone, message)
    }
}
