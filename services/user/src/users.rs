//! The service's contract: accounts, and signing in.

use std::sync::Arc;

use ringside_ports::accounts::{NewUser, Taken, User};
use ringside_ports::service::{Caller, Credentials, Registration, ServiceError, SignedIn, UserService};
use ringside_ports::{Accounts, Log, Presence};
use ringside_session::token::Verifier;
use ringside_types::{Limits, UserId};
use uuid::Uuid;

use crate::clock::now;
use crate::keys::SigningKeys;
use crate::registration::{Valid, valid, valid_device};
use crate::{password, refresh, throttle};

/// Accounts and sessions over a Directory, the limits and the log. A clone is another handle.
pub struct Users<D, P, L>(Arc<Parts<D, P, L>>);

struct Parts<D, P, L> {
    directory: D,
    presence: P,
    log: L,
    keys: Arc<SigningKeys>,
    verifier: Verifier,
    limits: Limits,
    /// What the password of an unknown account is held against, so that the answer takes its time all the same.
    nobodys_hash: String,
}

impl<D, P, L> Clone for Users<D, P, L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D, P, L> std::fmt::Debug for Users<D, P, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Users").field("keys", &self.0.keys).finish_non_exhaustive()
    }
}

impl<D: Accounts, P: Presence, L: Log> Users<D, P, L> {
    /// Over these engines, signing with these keys, held to these limits. Takes the time of one hash.
    pub fn new(directory: D, presence: P, log: L, keys: Arc<SigningKeys>, limits: Limits) -> Self {
        let verifier = Verifier::new(&keys.public()).expect("the keys encode themselves in base64url");
        let nobodys_hash = password::hash_now(&Uuid::new_v4().to_string());
        Self(Arc::new(Parts { directory, presence, log, keys, verifier, limits, nobodys_hash }))
    }

    pub(crate) fn directory(&self) -> &D {
        &self.0.directory
    }

    pub(crate) fn log(&self) -> &L {
        &self.0.log
    }

    pub(crate) fn keys(&self) -> &SigningKeys {
        &self.0.keys
    }

    /// The account that this login and password belong to. An unknown one takes as long as a wrong password.
    async fn authenticated(
        &self,
        found: Option<(User, String)>,
        password: String,
    ) -> Result<Option<User>, ServiceError> {
        let (user, hash) = match found {
            Some((user, hash)) if password.len() <= password::PASSWORD_BYTES_MAX => (Some(user), hash),
            _ => (None, self.0.nobodys_hash.clone()),
        };
        let fits = password::verify(password, hash).await?;
        Ok(user.filter(|_| fits))
    }
}

impl<D: Accounts, P: Presence, L: Log> UserService for Users<D, P, L> {
    async fn register(&self, wish: Registration) -> Result<SignedIn, ServiceError> {
        let cost = throttle::of_registration(&self.0.limits, wish.address);
        let Valid { email, username, password, display_name } = valid(wish)?;
        throttle::charge(&self.0.presence, &cost).await?;
        let password_hash = password::hash(password).await?;
        let (id, created_at) = (UserId(Uuid::now_v7()), now());
        let user = User { id, email, username, display_name, avatar_url: String::new(), created_at };
        let new = NewUser { user: user.clone(), password_hash };
        match self.0.directory.create_users(&[new]).await?.first() {
            Some(Some(taken)) => Err(conflict(*taken)),
            _ => self.sign_in(user, String::new()).await,
        }
    }

    async fn login(&self, credentials: Credentials) -> Result<SignedIn, ServiceError> {
        let Credentials { login, password, device } = credentials;
        valid_device(&device)?;
        // Charged before the password is looked at, so that guesses at once are counted like guesses in a row.
        // An account has one limit, whether it is named by e-mail or by username.
        let known = self.0.directory.user_by_login(&login).await?;
        let named = known.as_ref().map_or(login, |(user, _)| user.id.to_string());
        let cost = throttle::of_failed_login(&self.0.limits, &named);
        throttle::charge(&self.0.presence, &cost).await?;
        let found = self.authenticated(known, password).await;
        if !matches!(found, Ok(None)) {
            throttle::refund(&self.0.presence, &cost).await;
        }
        match found? {
            Some(user) => self.sign_in(user, device).await,
            None => Err(ServiceError::Unauthorized("Login or password is wrong; check both.".into())),
        }
    }

    async fn refresh(&self, refresh_token: &str) -> Result<SignedIn, ServiceError> {
        match refresh::presented(refresh_token) {
            Some(presented) => self.renew(presented).await,
            None => Err(refresh::refused()),
        }
    }

    async fn logout(&self, refresh_token: &str) -> Result<(), ServiceError> {
        match refresh::presented(refresh_token) {
            Some(presented) => self.end(presented).await,
            None => Ok(()),
        }
    }

    async fn verify(&self, access_token: &str) -> Result<Caller, ServiceError> {
        let refused =
            |error: ringside_session::token::TokenError| ServiceError::Unauthorized(error.to_string());
        let claims = self.0.verifier.verify(access_token, now()).map_err(refused)?;
        let caller = Caller { user_id: claims.sub, session_id: claims.sid };
        match self.0.directory.sessions_open(&[caller.session_id]).await?.first() {
            Some(true) => Ok(caller),
            _ => Err(ServiceError::Unauthorized("This session has ended; sign in again.".into())),
        }
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, ServiceError> {
        Ok(self.0.directory.users(ids).await?)
    }

    fn jwks(&self) -> String {
        self.0.keys.jwks()
    }
}

fn conflict(taken: Taken) -> ServiceError {
    let (code, what) = match taken {
        Taken::Email => ("email_taken", "e-mail address"),
        Taken::Username => ("username_taken", "username"),
    };
    ServiceError::Conflict {
        code,
        message: format!("Another account has this {what}; choose another, or sign in."),
    }
}
