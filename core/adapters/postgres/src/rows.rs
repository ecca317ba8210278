//! Columns to values. What was written is what comes back; anything else is damage.

use ringside_ports::EngineError;
use ringside_ports::accounts::User;
use ringside_ports::channels::{Channel, ChannelKind, ChannelSettings, Member, Role};
use ringside_ports::people::profiles::{Profile, ServerRole};
use ringside_types::{ChannelId, SessionId, UnixMillis, UserId};
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row as _, Type};
use uuid::Uuid;

use crate::failure::damaged;

pub(crate) fn get<'r, T: Decode<'r, Postgres> + Type<Postgres>>(
    row: &'r PgRow,
    column: &str,
) -> Result<T, EngineError> {
    row.try_get(column).map_err(damaged)
}

pub(crate) fn user_id(row: &PgRow, column: &str) -> Result<UserId, EngineError> {
    get::<Uuid>(row, column).map(UserId)
}

pub(crate) fn channel_id(row: &PgRow, column: &str) -> Result<ChannelId, EngineError> {
    get::<Uuid>(row, column).map(ChannelId)
}

pub(crate) fn session_id(row: &PgRow, column: &str) -> Result<SessionId, EngineError> {
    get::<Uuid>(row, column).map(SessionId)
}

pub(crate) fn optional_user_id(row: &PgRow, column: &str) -> Result<Option<UserId>, EngineError> {
    Ok(get::<Option<Uuid>>(row, column)?.map(UserId))
}

pub(crate) fn text(row: &PgRow, column: &str) -> Result<String, EngineError> {
    get(row, column)
}

pub(crate) fn flag(row: &PgRow, column: &str) -> Result<bool, EngineError> {
    get(row, column)
}

pub(crate) fn number(row: &PgRow, column: &str) -> Result<u64, EngineError> {
    from_column(get(row, column)?)
}

pub(crate) fn time(row: &PgRow, column: &str) -> Result<UnixMillis, EngineError> {
    number(row, column).map(UnixMillis)
}

pub(crate) fn optional_time(row: &PgRow, column: &str) -> Result<Option<UnixMillis>, EngineError> {
    get::<Option<i64>>(row, column)?.map(|number| from_column(number).map(UnixMillis)).transpose()
}

pub(crate) fn hash(row: &PgRow, column: &str) -> Result<[u8; 32], EngineError> {
    get::<Vec<u8>>(row, column)?.try_into().map_err(|_| damaged(format!("{column} is no SHA-256")))
}

/// A number as a column holds it; PostgreSQL has none without a sign. What no time and no count reaches is the same to all.
pub(crate) fn to_column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn from_column(number: i64) -> Result<u64, EngineError> {
    u64::try_from(number).map_err(damaged)
}

pub(crate) fn profile(row: &PgRow) -> Result<Profile, EngineError> {
    let role = text(row, "role")?;
    Ok(Profile {
        user: user(row)?,
        status_message: text(row, "status_message")?,
        status_expires_at: optional_time(row, "status_expires_at")?,
        last_seen_at: optional_time(row, "last_seen_at")?,
        settings: text(row, "settings")?,
        role: ServerRole::from_name(&role).ok_or_else(|| damaged(format!("role {role:?}")))?,
        updated_at: time(row, "updated_at")?,
        erased_at: optional_time(row, "erased_at")?,
    })
}

pub(crate) fn user(row: &PgRow) -> Result<User, EngineError> {
    Ok(User {
        id: user_id(row, "id")?,
        email: text(row, "email")?,
        username: text(row, "username")?,
        display_name: text(row, "display_name")?,
        avatar_url: text(row, "avatar_url")?,
        created_at: time(row, "created_at")?,
    })
}

/// A channel as its row says, confirmed or not.
pub(crate) fn channel_as_written(row: &PgRow) -> Result<Channel, EngineError> {
    let kind = text(row, "type")?;
    Ok(Channel {
        id: channel_id(row, "id")?,
        name: text(row, "name")?,
        kind: ChannelKind::from_name(&kind).ok_or_else(|| damaged(format!("channel type {kind:?}")))?,
        creator_id: user_id(row, "creator_id")?,
        description: text(row, "description")?,
        created_at: time(row, "created_at")?,
        topic: text(row, "topic")?,
        settings: ChannelSettings {
            slow_mode_s: u32::try_from(number(row, "slow_mode_s")?).map_err(damaged)?,
            admins_post: flag(row, "admins_post")?,
            history_from_join: flag(row, "history_from_join")?,
        },
        is_closed: flag(row, "closed")?,
        version: number(row, "changed_version")?,
    })
}

/// A channel as it is confirmed; `is_pending` says that a change of it is on its way to the log.
pub(crate) fn channel(row: &PgRow) -> Result<Channel, EngineError> {
    let written = channel_as_written(row)?;
    let former: Option<Vec<u8>> = get(row, "former")?;
    match former {
        Some(former) if flag(row, "is_pending")? => {
            Ok(written.as_before(ringside_wire::decode(former.into()).map_err(damaged)?))
        }
        _ => Ok(written),
    }
}

/// A role as its row says, confirmed or not.
pub(crate) fn role(row: &PgRow) -> Result<Role, EngineError> {
    named_role(&text(row, "role")?)
}

fn named_role(name: &str) -> Result<Role, EngineError> {
    Role::from_name(name).ok_or_else(|| damaged(format!("role {name:?}")))
}

/// A member as they are confirmed; `is_pending` says that a change of their role is on its way to the log.
pub(crate) fn member(row: &PgRow) -> Result<Member, EngineError> {
    let former: Option<String> = get(row, "former_role")?;
    let former = if flag(row, "is_pending")? { former } else { None };
    Ok(Member {
        channel_id: channel_id(row, "channel_id")?,
        user_id: user_id(row, "user_id")?,
        role: former.as_deref().map_or_else(|| role(row), named_role)?,
        joined_at: time(row, "joined_at")?,
        version: number(row, "version")?,
        muted_until: optional_time(row, "muted_until")?,
    })
}
