//! A session's life: opened, renewed with refresh tokens, ended and revoked.
//!
//! Ending has two halves: the Directory, from which tokens are refused, and the log, from which edges learn to close
//! its sockets. Neither is left undone because a client hung up in between.

use std::time::Duration;

use ringside_application::service::refusal::RefusalReason;
use ringside_application::service::{ServiceError, SignedIn};
use ringside_clock::now;
use ringside_ports::accounts::{Exchange, Exchanged, NewSession, User};
use ringside_ports::log::Append;
use ringside_ports::people::sessions::Which;
use ringside_ports::{Log, People, Presence};
use ringside_types::limits::{ACCESS_TOKEN_LIFE_S, REFRESH_TOKEN_LIFE_S};
use ringside_types::{PartitionId, SessionId, Topic, UnixMillis, UserId};
use ringside_wire::records::{Control, Revoked, control};
use uuid::Uuid;

use crate::refresh::{self, RefreshToken};
use crate::users::Users;

/// How often a revocation is appended before the request is answered `unavailable`.
const REVOKE_TRIES: u32 = 4;
/// The pause after the first try; it doubles.
const REVOKE_PAUSE: Duration = Duration::from_millis(100);

impl<D: People, P: Presence, L: Log> Users<D, P, L> {
    /// Opens a session, on a password with this hash. `None`: the password is not that any more.
    pub(crate) async fn sign_in(
        &self,
        user: User,
        device: String,
        password_hash: &str,
    ) -> Result<Option<SignedIn>, ServiceError> {
        let (refresh, created_at) = (RefreshToken::random(), now());
        let id = SessionId(Uuid::now_v7());
        let expires_at = refresh_end(created_at);
        let session =
            NewSession { id, user_id: user.id, device, refresh_hash: refresh.hash, created_at, expires_at };
        self.directory().open_sessions(&[session]).await?;
        // A password that was changed before the session was there could not end it; after, it did.
        if self.directory().password_hash(user.id).await?.as_deref() != Some(password_hash) {
            self.directory().end_sessions(user.id, Which::One(id)).await?;
            return Ok(None);
        }
        Ok(Some(self.signed(user, id, refresh.text)))
    }

    /// Renews the session of a refresh token.
    pub(crate) async fn renew(&self, presented: [u8; 32]) -> Result<SignedIn, ServiceError> {
        let (next, now) = (RefreshToken::random(), now());
        let exchange = Exchange { presented, replacement: next.hash, now, expires_at: refresh_end(now) };
        let users = self.clone();
        let (user_id, session_id) = to_the_end(async move { users.exchanged(exchange).await }).await?;
        let user = self.directory().users(&[user_id]).await?.into_iter().next();
        let user = user.ok_or_else(|| ServiceError::Unauthorized("This account is gone.".into()))?;
        Ok(self.signed(user, session_id, next.text))
    }

    /// Ends the session of a refresh token, if it has one.
    pub(crate) async fn end(&self, presented: [u8; 32]) -> Result<(), ServiceError> {
        let users = self.clone();
        to_the_end(async move {
            match users.directory().end_session(presented).await? {
                Some((user_id, session_id)) => users.revoke(vec![revoked(user_id, Some(session_id))]).await,
                None => Ok(()),
            }
        })
        .await
    }

    async fn exchanged(&self, exchange: Exchange) -> Result<(UserId, SessionId), ServiceError> {
        match self.directory().exchange(exchange).await? {
            Exchanged::Rotated { user_id, session_id } => Ok((user_id, session_id)),
            Exchanged::Replayed { user_id, session_id } => {
                tracing::warn!(%user_id, %session_id, "a refresh token was used twice; its session has been ended");
                self.revoke(vec![revoked(user_id, Some(session_id))]).await?;
                Err(ServiceError::Unauthorized(
                    refresh::refused(RefusalReason::ReusedToken).of(Some(user_id)),
                ))
            }
            Exchanged::Refused => {
                Err(ServiceError::Unauthorized(refresh::refused(RefusalReason::InvalidToken)))
            }
        }
    }

    /// Tells every edge that sessions have ended; returns once the log has it.
    pub(crate) async fn revoke(&self, ended: Vec<Revoked>) -> Result<(), ServiceError> {
        if ended.is_empty() {
            return Ok(());
        }
        let append = |revoked| {
            let payload = ringside_wire::encode(&Control { body: Some(control::Body::Revoked(revoked)) });
            Append { topic: Topic::Control, partition: PartitionId(0), payload }
        };
        let appends: Vec<Append> = ended.into_iter().map(append).collect();
        let mut pause = REVOKE_PAUSE;
        for _ in 1..REVOKE_TRIES {
            match self.log().append(appends.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) => {
                    tracing::warn!(%error, "a revocation was not confirmed; trying again");
                }
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.log().append(appends).await?;
        Ok(())
    }

    fn signed(&self, user: User, session: SessionId, refresh_token: String) -> SignedIn {
        let access_token = self.keys().issue(user.id, session, now(), ACCESS_TOKEN_LIFE_S);
        SignedIn { user, access_token, refresh_token, expires_in: ACCESS_TOKEN_LIFE_S }
    }
}

/// The record that a session of a user has ended; `None`: every one of theirs.
pub(crate) fn revoked(user: UserId, session: Option<SessionId>) -> Revoked {
    let session_id = session.map(|session| session.as_bytes().to_vec()).unwrap_or_default();
    Revoked { user_id: user.as_bytes().to_vec().into(), session_id: session_id.into() }
}

fn refresh_end(now: UnixMillis) -> UnixMillis {
    now.plus_ms(REFRESH_TOKEN_LIFE_S * 1_000)
}

/// Does the work to its end, even when the request that asked for it is given up.
pub(crate) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ServiceError>> + Send + 'static,
) -> Result<T, ServiceError> {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(error) => Err(ServiceError::Unavailable(format!("the work was cut off: {error}"))),
    }
}
