//! What the operator does at the command line: accounts, roles, invitations, passwords, sessions.

use ringside_application::service::{Registration, ServiceError};
use ringside_clock::now;
use ringside_ports::People;
use ringside_ports::accounts::{NewUser, User};
use ringside_ports::people::After;
use ringside_ports::people::profiles::{Profile, ServerRole};
use ringside_ports::people::registration::Invitation;
use ringside_ports::people::sessions::{PasswordChange, Session, Which};
use ringside_ports::{Log, Presence};
use ringside_types::UserId;
use uuid::Uuid;

use crate::password;
use crate::profile::gone;
use crate::refresh::RefreshToken;
use crate::registration::{Valid, valid};
use crate::sessions::revoked;
use crate::users::{Users, conflict};

/// Sessions of one account that are listed at the most.
const SESSIONS_LISTED_MAX: usize = 1_000;

impl<D: People, P: Presence, L: Log> Users<D, P, L> {
    /// The account with this e-mail address, username or id.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]: there is none.
    pub async fn find(&self, named: &str) -> Result<Profile, ServiceError> {
        let id = match named.parse() {
            Ok(id) => Some(id),
            Err(_) => self.directory().user_by_login(named).await?.map(|(user, _)| user.id),
        };
        let found = match id {
            Some(id) => self.directory().profiles(&[id]).await?.into_iter().next(),
            None => None,
        };
        found.ok_or_else(|| ServiceError::NotFound(format!("there is no account {named:?}")))
    }

    /// All accounts, by id.
    ///
    /// # Errors
    /// An engine's.
    pub async fn everyone(&self, after: Option<UserId>, limit: usize) -> Result<Vec<Profile>, ServiceError> {
        Ok(self.directory().every_profile(After { after, limit }).await?)
    }

    /// Makes an account whatever the server's registration says, with a password that is returned.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`], [`ServiceError::Conflict`], or an engine's.
    pub async fn create(&self, username: &str, email: &str) -> Result<(User, String), ServiceError> {
        let password = RefreshToken::random().text;
        let wish = Registration {
            email: email.into(),
            username: username.into(),
            password: password.clone(),
            display_name: None,
            invitation: None,
            address: [0, 0, 0, 0].into(),
        };
        let Valid { email, username, display_name, .. } = valid(wish)?;
        let (id, created_at) = (UserId(Uuid::now_v7()), now());
        let user = User { id, email, username, display_name, avatar_url: String::new(), created_at };
        let new = NewUser {
            user: user.clone(),
            password_hash: password::hash_for_operator(password.clone()).await?,
        };
        match self.directory().create_users(&[new]).await?.first() {
            Some(Some(taken)) => Err(conflict(*taken)),
            _ => Ok((user, password)),
        }
    }

    /// Gives an account a role.
    ///
    /// # Errors
    /// [`ServiceError::Unauthorized`]: it is gone; or an engine's.
    pub async fn give_role(&self, user: UserId, role: ServerRole) -> Result<(), ServiceError> {
        if self.directory().set_role(user, role, now()).await? { Ok(()) } else { Err(gone()) }
    }

    /// Makes an invitation that is good for `life_ms`, and returns its code.
    ///
    /// # Errors
    /// An engine's.
    pub async fn invite(&self, life_ms: u64) -> Result<String, ServiceError> {
        let (code, created_at) = (RefreshToken::random(), now());
        let expires_at = created_at.plus_ms(life_ms);
        let invitation = Invitation { hash: code.hash, created_at, expires_at, used_by: None };
        self.directory().invite(&[invitation]).await?;
        Ok(code.text)
    }

    /// Gives an account a new password, which is returned, and ends all its sessions.
    ///
    /// # Errors
    /// [`ServiceError::Unauthorized`]: it is gone; or an engine's.
    pub async fn reset_password(&self, user: UserId) -> Result<String, ServiceError> {
        let password = RefreshToken::random().text;
        let to = password::hash_for_operator(password.clone()).await?;
        let change = PasswordChange { user_id: user, from: None, to, keep: None, actor: None, now: now() };
        if self.replace_password(change).await? { Ok(password) } else { Err(gone()) }
    }

    /// An account's open sessions, the first thousand of them.
    ///
    /// # Errors
    /// An engine's.
    pub async fn open_sessions(&self, user: UserId) -> Result<Vec<Session>, ServiceError> {
        let all = After { after: None, limit: SESSIONS_LISTED_MAX };
        Ok(self.directory().sessions(user, Some(now()), all).await?)
    }

    /// Ends all sessions of an account; how many there were.
    ///
    /// # Errors
    /// An engine's.
    pub async fn end_all(&self, user: UserId) -> Result<usize, ServiceError> {
        let ended = self.directory().end_sessions(user, Which::All).await?;
        self.revoke(vec![revoked(user, None)]).await?;
        Ok(ended.len())
    }

    /// Erases an account, as its user could.
    ///
    /// # Errors
    /// [`ServiceError::Unauthorized`]: there is none; or an engine's.
    pub async fn erase_for_operator(&self, user: UserId) -> Result<(), ServiceError> {
        self.erase_account(user, None).await
    }
}
