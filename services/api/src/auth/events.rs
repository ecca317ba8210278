//! What becomes of attempts to get access, for whoever runs the server: an extension of the answer.

use ringside_application::service::ServiceError;
use ringside_application::service::refusal::RefusalReason;
use ringside_types::UserId;

use crate::problem::Problem;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessAction {
    /// To make an account.
    Register,
    /// To sign in with a password.
    SignIn,
    /// To renew a session with a refresh token.
    Refresh,
    /// To make a request with an access token. Only refusals are told.
    Request,
    /// To change one's password.
    PasswordChange,
    /// To end one of one's sessions.
    SessionEnd,
    /// To erase one's account.
    AccountErase,
}

impl AccessAction {
    /// Its name in metrics and logs, which is stable.
    pub fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::SignIn => "sign_in",
            Self::Refresh => "refresh",
            Self::Request => "request",
            Self::PasswordChange => "password_change",
            Self::SessionEnd => "session_end",
            Self::AccountErase => "account_erase",
        }
    }
}

/// An attempt, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessEvent {
    pub action: AccessAction,
    /// Whose account it is, where that is known.
    pub account: Option<UserId>,
    /// Why it was refused: one of few words. `None`: it was granted.
    pub refused: Option<&'static str>,
}

impl AccessEvent {
    pub(crate) fn granted(action: AccessAction, account: UserId) -> Self {
        Self { action, account: Some(account), refused: None }
    }

    pub(crate) fn refused(action: AccessAction, reason: &'static str) -> Self {
        Self { action, account: None, refused: Some(reason) }
    }

    /// The answer to an attempt that a service refused.
    pub(crate) fn problem(action: AccessAction, caller: Option<UserId>, error: ServiceError) -> Problem {
        let (mut reason, mut account) = (error.reason(), caller);
        match &error {
            ServiceError::Unauthorized(refusal) => account = refusal.account.or(caller),
            // Nothing else is forbidden to who changes their own password.
            ServiceError::Forbidden(_) if action == AccessAction::PasswordChange => {
                reason = RefusalReason::WrongPassword.name();
            }
            _ => {}
        }
        Problem::from(error).of_event(Self { action, account, refused: Some(reason) })
    }
}
