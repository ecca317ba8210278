//! The service's contract: accounts, and signing in.

mod known_addresses;

use std::net::IpAddr;
use std::sync::Arc;

use ringside_application::presence_view::announce;
use ringside_application::service::refusal::{Refusal, RefusalReason};
use ringside_application::service::{
    Caller, ConflictCode, Credentials, FieldError, Registration, ServiceError, SignedIn, UserService,
};
use ringside_clock::now;
use ringside_ports::accounts::{NewUser, Taken, User};
use ringside_ports::people::registration::Admitted;
use ringside_ports::{Log, People, Presence};
use ringside_session::token::TokenError;
use ringside_types::limits::RETRY_WITHIN_MS;
use ringside_types::{Limits, UserId};
use uuid::Uuid;

use crate::keys::SigningKeys;
use crate::registration::{RegistrationMode, Valid, faults, valid, valid_device};
use crate::{password, refresh, throttle};
use known_addresses::KnownAddresses;

/// Accounts and sessions over a Directory, the limits and the log. A clone is another handle.
pub struct Users<D, P, L>(Arc<Parts<D, P, L>>, RegistrationMode);

struct Parts<D, P, L> {
    directory: D,
    presence: P,
    log: L,
    keys: Arc<SigningKeys>,
    limits: Limits,
    /// What the password of an unknown account is held against, so that the answer takes its time all the same.
    nobodys_hash: String,
    /// Where accounts signed in before.
    known_addresses: KnownAddresses,
}

impl<D, P, L> Clone for Users<D, P, L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), self.1)
    }
}

impl<D, P, L> std::fmt::Debug for Users<D, P, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Users").field("keys", &self.0.keys).finish_non_exhaustive()
    }
}

impl<D: People, P: Presence, L: Log> Users<D, P, L> {
    /// Over these engines, signing with these keys, held to these limits, open to everyone. Takes the time of one hash.
    pub fn new(directory: D, presence: P, log: L, keys: Arc<SigningKeys>, limits: Limits) -> Self {
        let nobodys_hash = password::hash_now(&Uuid::new_v4().to_string());
        let known_addresses = KnownAddresses::default();
        let parts = Parts { directory, presence, log, keys, limits, nobodys_hash, known_addresses };
        Self(Arc::new(parts), RegistrationMode::Open)
    }

    /// The same, where these may make accounts.
    #[must_use]
    pub fn with_registration(self, mode: RegistrationMode) -> Self {
        Self(self.0, mode)
    }

    pub(crate) fn directory(&self) -> &D {
        &self.0.directory
    }

    pub(crate) fn presence(&self) -> &P {
        &self.0.presence
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(crate) fn log(&self) -> &L {
        &self.0.log
    }

    /// Tells the edges that these users may be seen otherwise now. Nothing waits for it: presence may be late.
    pub(crate) async fn presence_changed(&self, users: &[UserId]) {
        if let Err(error) = announce(&self.0.log, users).await {
            tracing::warn!(%error, "watchers of a user are not told of a change");
        }
    }

    pub(crate) fn keys(&self) -> &SigningKeys {
        &self.0.keys
    }

    /// The account that this login and password belong to. An unknown one takes as long as a wrong password.
    async fn authenticated(
        &self,
        found: Option<(User, String)>,
        address: IpAddr,
        password: String,
    ) -> Result<Option<(User, String)>, ServiceError> {
        let (user, hash) = match found {
            Some((user, hash)) if password.len() <= password::PASSWORD_BYTES_MAX => (Some(user), hash),
            _ => (None, self.0.nobodys_hash.clone()),
        };
        let fits = password::verify(address, password, hash.clone()).await?;
        Ok(user.filter(|_| fits).map(|user| (user, hash)))
    }

    /// Makes an account, as far as the server's registration lets its maker.
    async fn create_account(&self, new: &NewUser, invitation: Option<&str>) -> Result<(), ServiceError> {
        let taken = match self.1 {
            RegistrationMode::Closed => return Err(closed()),
            RegistrationMode::Open => {
                self.0.directory.create_users(std::slice::from_ref(new)).await?.into_iter().next().flatten()
            }
            RegistrationMode::Invitation => {
                let hash = invitation.and_then(refresh::presented).ok_or_else(uninvited)?;
                match self.0.directory.create_invited(new, hash, now()).await? {
                    Admitted::Made => None,
                    Admitted::Taken(taken) => Some(taken),
                    Admitted::Refused => return Err(uninvited()),
                }
            }
        };
        taken.map_or(Ok(()), |taken| Err(conflict(taken)))
    }

    /// The account that this very registration has made a moment ago, with an invitation that is used up since: its answer
    /// was lost.
    async fn made_before(
        &self,
        email: &str,
        username: &str,
        address: IpAddr,
        password: &str,
        invitation: Option<&str>,
    ) -> Result<Option<(User, String)>, ServiceError> {
        let directory = &self.0.directory;
        let presented =
            invitation.and_then(refresh::presented).filter(|_| self.1 == RegistrationMode::Invitation);
        let Some(presented) = presented else { return Ok(None) };
        let Some(maker) = directory.invitation(presented).await?.and_then(|known| known.used_by) else {
            return Ok(None);
        };
        let is_it = |user: &User| {
            user.email == email
                && user.username == username
                && now().since(user.created_at) <= RETRY_WITHIN_MS
        };
        let Some(user) = directory.users(&[maker]).await?.into_iter().find(is_it) else { return Ok(None) };
        let Some(hash) = directory.password_hash(user.id).await? else { return Ok(None) };
        let fits = password::verify(address, password.to_owned(), hash.clone()).await?;
        Ok(fits.then_some((user, hash)))
    }

    /// The session that an account begins with.
    async fn signed_in(
        &self,
        (user, hash): (User, String),
        address: IpAddr,
    ) -> Result<SignedIn, ServiceError> {
        let id = user.id;
        let signed = self.sign_in(user, String::new(), &hash).await?;
        let changed = || ServiceError::Unauthorized("This account has changed already; sign in.".into());
        let signed = signed.ok_or_else(changed)?;
        self.0.known_addresses.remember(id, address);
        Ok(signed)
    }
}

impl<D: People, P: Presence, L: Log> UserService for Users<D, P, L> {
    async fn faults(&self, wish: &Registration) -> Result<Vec<FieldError>, ServiceError> {
        Ok(faults(wish))
    }

    async fn register(&self, wish: Registration) -> Result<SignedIn, ServiceError> {
        if self.1 == RegistrationMode::Closed {
            return Err(closed());
        }
        let address = wish.address;
        let cost = throttle::of_registration(&self.0.limits, address);
        let invitation = wish.invitation.clone();
        let Valid { email, username, password, display_name } = valid(wish)?;
        throttle::charge(&self.0.presence, &cost).await?;
        if let Some(made) =
            self.made_before(&email, &username, address, &password, invitation.as_deref()).await?
        {
            return self.signed_in(made, address).await;
        }
        let password_hash = password::hash(address, password).await?;
        let (id, created_at) = (UserId(Uuid::now_v7()), now());
        let user = User { id, email, username, display_name, avatar_url: String::new(), created_at };
        let new = NewUser { user: user.clone(), password_hash };
        self.create_account(&new, invitation.as_deref()).await?;
        self.signed_in((user, new.password_hash), address).await
    }

    async fn login(&self, credentials: Credentials) -> Result<SignedIn, ServiceError> {
        let Credentials { login, password, device, address } = credentials;
        valid_device(&device)?;
        // Keyboards of phones leave a space behind a name; no name or address has one.
        let login = login.trim();
        let (limits, presence) = (&self.0.limits, &self.0.presence);
        // Charged before the password is looked at, so that guesses at once are counted like guesses in a row. This
        // limit is told of: it is the same for a login that nobody has.
        let typed = throttle::of_typed_login(limits, address, login);
        throttle::charge(presence, &typed).await?;
        // An account has one limit more, whether it is named by e-mail or by username. Who reached it is answered as if
        // the password was wrong, and as late: else it would tell that two logins are one account.
        let named = self.0.directory.user_by_login(login).await?;
        let user = named.as_ref().map(|(user, _)| user.id);
        let is_known = user.is_some_and(|user| self.0.known_addresses.knows(user, address));
        let cost = throttle::of_failed_login(limits, user, address, is_known);
        let is_spent = throttle::charge(presence, &cost).await.is_err();
        let found = self.authenticated(named.filter(|_| !is_spent), address, password).await;
        if !matches!(found, Ok(None)) {
            throttle::refund(presence, &typed).await;
            if !is_spent {
                throttle::refund(presence, &cost).await;
            }
        }
        let signed = match found? {
            Some((user, hash)) => self.sign_in(user, device, &hash).await?,
            None => None,
        };
        let signed = signed.ok_or_else(|| {
            let reason = match user {
                None => RefusalReason::UnknownAccount,
                Some(_) if is_spent => RefusalReason::AccountLimit,
                Some(_) => RefusalReason::WrongPassword,
            };
            let refusal = Refusal::new(reason, "Login or password is wrong; check both.");
            ServiceError::Unauthorized(refusal.of(user))
        })?;
        self.0.known_addresses.remember(signed.user.id, address);
        Ok(signed)
    }

    async fn refresh(&self, refresh_token: &str) -> Result<SignedIn, ServiceError> {
        match refresh::presented(refresh_token) {
            Some(presented) => self.renew(presented).await,
            None => Err(ServiceError::Unauthorized(refresh::refused(RefusalReason::InvalidToken))),
        }
    }

    async fn logout(&self, refresh_token: &str) -> Result<(), ServiceError> {
        match refresh::presented(refresh_token) {
            Some(presented) => self.end(presented).await,
            None => Ok(()),
        }
    }

    async fn verify(&self, access_token: &str) -> Result<Caller, ServiceError> {
        let claims = self.0.keys.verify(access_token, now()).map_err(|error| {
            let reason = match error {
                TokenError::Invalid => RefusalReason::InvalidToken,
                TokenError::Expired => RefusalReason::ExpiredToken,
            };
            ServiceError::Unauthorized(Refusal::new(reason, error.to_string()))
        })?;
        let caller = Caller { user_id: claims.sub, session_id: claims.sid };
        match self.0.directory.sessions_open(&[caller.session_id]).await?.first() {
            Some(true) => Ok(caller),
            _ => {
                let ended =
                    Refusal::new(RefusalReason::SessionEnded, "This session has ended; sign in again.");
                Err(ServiceError::Unauthorized(ended.of(Some(caller.user_id))))
            }
        }
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, ServiceError> {
        Ok(self.0.directory.users(ids).await?)
    }

    async fn jwks(&self) -> Result<String, ServiceError> {
        Ok(self.0.keys.public().jwks.clone())
    }
}

fn closed() -> ServiceError {
    ServiceError::Forbidden("Nobody can register here; ask the server's operator for an account.".into())
}

fn uninvited() -> ServiceError {
    ServiceError::Forbidden(
        "Registering here takes an invitation that is still good; ask for a new one.".into(),
    )
}

pub(crate) fn conflict(taken: Taken) -> ServiceError {
    let (code, what) = match taken {
        Taken::Email => (ConflictCode::EmailTaken, "e-mail address"),
        Taken::Username => (ConflictCode::UsernameTaken, "username"),
    };
    ServiceError::Conflict {
        code,
        message: format!("Another account has this {what}; choose another, or sign in."),
    }
}
