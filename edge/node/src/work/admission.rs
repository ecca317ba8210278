//! Letting a connection in: the limit of connections, the session, the Directory's list.

use ringside_application::reading;
use ringside_edge_protocol::AdmitRefusal;
use ringside_ports::channels::Member;
use ringside_ports::presence::Connection;
use ringside_ports::{Accounts, Channels, EngineError, MessageStore, Presence};
use ringside_types::{ChannelId, MessageId};
use ringside_wire::records::Profile;

use crate::pages::profile;

/// What the engines say of a connection that asks to be let in.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) profile: Profile,
    pub(crate) memberships: Vec<Member>,
    /// Channels of which something is hidden from the user, and up to which record.
    pub(crate) horizons: Vec<(ChannelId, MessageId)>,
}

/// Asks the engines. On a refusal nothing is left behind.
pub(crate) async fn admit<S: MessageStore, D: Accounts + Channels, P: Presence>(
    store: &S,
    directory: &D,
    presence: &P,
    connection: Connection,
    limit: u32,
) -> Result<Admission, AdmitRefusal> {
    let unavailable = |error: EngineError| {
        tracing::warn!(%error, "a connection could not be admitted");
        AdmitRefusal::Unavailable
    };
    if !presence.connect(connection, limit).await.map_err(unavailable)? {
        return Err(AdmitRefusal::TooManyConnections);
    }
    let looked_up = look_up(store, directory, &connection).await;
    if !matches!(looked_up, Ok(Some(_))) {
        // A connection that stays counted would keep its user out; one that can't be removed now dies with the epoch.
        let _ = presence.disconnect(&[connection]).await;
    }
    looked_up.map_err(unavailable)?.ok_or(AdmitRefusal::SessionEnded)
}

async fn look_up<S: MessageStore, D: Accounts + Channels>(
    store: &S,
    directory: &D,
    connection: &Connection,
) -> Result<Option<Admission>, EngineError> {
    if directory.sessions_open(&[connection.session_id]).await?.first() != Some(&true) {
        return Ok(None);
    }
    let Some(user) = directory.users(&[connection.user_id]).await?.into_iter().next() else {
        return Ok(None);
    };
    let memberships = directory.memberships(connection.user_id, None).await?;
    let channels: Vec<ChannelId> = memberships.iter().map(|member| member.channel_id).collect();
    let horizons = reading::horizons(store, &channels, connection.user_id).await?;
    Ok(Some(Admission { profile: profile(user), memberships, horizons }))
}
