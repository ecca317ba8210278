//! A user's sessions as they see them, and the password that all of them hang on.

use std::net::IpAddr;

use ringside_application::service::people::SessionService;
use ringside_application::service::{Caller, FieldError, Page, PageRequest, ServiceError};
use ringside_clock::now;
use ringside_ports::People;
use ringside_ports::people::After;
use ringside_ports::people::sessions::{PasswordChange, Session, Which};
use ringside_ports::{Log, Presence};
use ringside_types::{SessionId, UserId};

use crate::profile::gone;
use crate::registration::wrong_password;
use crate::sessions::{revoked, to_the_end};
use crate::users::Users;
use crate::{lists, password, throttle};

impl<D: People, P: Presence, L: Log> SessionService for Users<D, P, L> {
    async fn sessions(
        &self,
        caller: UserId,
        all: bool,
        part: PageRequest,
    ) -> Result<Page<Session>, ServiceError> {
        let (limit, after) = (lists::limit(&part), lists::cursor(part.cursor)?);
        let open_at = (!all).then(now);
        let sessions = self.directory().sessions(caller, open_at, After { after, limit: limit + 1 }).await?;
        Ok(lists::listed(sessions, limit, |session| session.id.to_string()))
    }

    async fn end_session(&self, caller: UserId, session: SessionId) -> Result<(), ServiceError> {
        let users = self.clone();
        to_the_end(async move {
            if users.directory().end_sessions(caller, Which::One(session)).await?.is_empty() {
                return Err(ServiceError::NotFound("You have no such session.".into()));
            }
            users.revoke(vec![revoked(caller, Some(session))]).await
        })
        .await
    }

    async fn change_password(
        &self,
        caller: Caller,
        address: IpAddr,
        current: String,
        new: String,
    ) -> Result<(), ServiceError> {
        if let Some(message) = wrong_password(&new) {
            return Err(ServiceError::Invalid(vec![FieldError { field: "new".into(), message }]));
        }
        let Some(from) = self.current_hash(caller.user_id, address, current, &new).await? else {
            return Ok(());
        };
        let change = PasswordChange {
            user_id: caller.user_id,
            from: Some(from),
            to: password::hash(address, new).await?,
            keep: Some(caller.session_id),
            actor: Some(caller.user_id),
            now: now(),
        };
        let users = self.clone();
        to_the_end(async move {
            // Of changes at once one wins: for the others the current password is another by now.
            if !users.replace_password(change).await? {
                return Err(not_the_current_one());
            }
            Ok(())
        })
        .await
    }
}

impl<D: People, P: Presence, L: Log> Users<D, P, L> {
    /// The hash that the current password fits; guesses are counted like those of a login. `None`: the new password is the
    /// current one, because the answer to an earlier request was lost. Who knows it may know that.
    async fn current_hash(
        &self,
        user: UserId,
        address: IpAddr,
        current: String,
        new: &str,
    ) -> Result<Option<String>, ServiceError> {
        let cost = throttle::of_failed_change(self.limits(), user);
        throttle::charge(self.presence(), &cost).await?;
        let fits = async {
            let hash = self.directory().password_hash(user).await?.ok_or_else(gone)?;
            let is_short = current.len() <= password::PASSWORD_BYTES_MAX;
            if is_short && password::verify(address, current, hash.clone()).await? {
                return Ok(Some(Some(hash)));
            }
            Ok(password::verify(address, new.to_owned(), hash).await?.then_some(None))
        };
        let fits: Result<Option<Option<String>>, ServiceError> = fits.await;
        if !matches!(fits, Ok(None)) {
            throttle::refund(self.presence(), &cost).await;
        }
        fits?.ok_or_else(not_the_current_one)
    }

    /// Writes the new hash and tells every edge of the sessions that ended; false: the old one was not the one to replace.
    pub(crate) async fn replace_password(&self, change: PasswordChange) -> Result<bool, ServiceError> {
        let user = change.user_id;
        let Some(ended) = self.directory().change_password(change).await? else { return Ok(false) };
        self.revoke(ended.into_iter().map(|session| revoked(user, Some(session))).collect()).await?;
        Ok(true)
    }
}

fn not_the_current_one() -> ServiceError {
    ServiceError::Forbidden("The current password is another; nothing was changed.".into())
}
