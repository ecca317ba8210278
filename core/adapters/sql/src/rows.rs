//! Columns to values. What was written is what comes back; anything else is damage.

use ringside_ports::EngineError;
use ringside_ports::accounts::User;
use ringside_ports::channels::{Channel, ChannelKind, ChannelSettings, Member, Role};
use ringside_ports::people::profiles::{Profile, ServerRole};
use ringside_types::{ChannelId, SessionId, UnixMillis, UserId};
use ringside_wire::records;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::directory::failed;

pub(crate) fn damaged(cause: impl std::fmt::Display) -> EngineError {
    EngineError::Damaged { engine: "Directory", cause: cause.to_string() }
}

fn uuid(row: &SqliteRow, column: &str) -> Result<Uuid, EngineError> {
    let bytes: Vec<u8> = row.try_get(column).map_err(failed)?;
    Uuid::from_slice(&bytes).map_err(damaged)
}

pub(crate) fn user_id(row: &SqliteRow, column: &str) -> Result<UserId, EngineError> {
    uuid(row, column).map(UserId)
}

pub(crate) fn channel_id(row: &SqliteRow, column: &str) -> Result<ChannelId, EngineError> {
    uuid(row, column).map(ChannelId)
}

pub(crate) fn session_id(row: &SqliteRow, column: &str) -> Result<SessionId, EngineError> {
    uuid(row, column).map(SessionId)
}

pub(crate) fn text(row: &SqliteRow, column: &str) -> Result<String, EngineError> {
    row.try_get(column).map_err(failed)
}

pub(crate) fn number(row: &SqliteRow, column: &str) -> Result<u64, EngineError> {
    let number: i64 = row.try_get(column).map_err(failed)?;
    u64::try_from(number).map_err(damaged)
}

pub(crate) fn optional_number(row: &SqliteRow, column: &str) -> Result<Option<u64>, EngineError> {
    let number: Option<i64> = row.try_get(column).map_err(failed)?;
    number.map(|number| u64::try_from(number).map_err(damaged)).transpose()
}

pub(crate) fn optional_user_id(row: &SqliteRow, column: &str) -> Result<Option<UserId>, EngineError> {
    let bytes: Option<Vec<u8>> = row.try_get(column).map_err(failed)?;
    bytes.map(|bytes| Uuid::from_slice(&bytes).map(UserId).map_err(damaged)).transpose()
}

pub(crate) fn hash(row: &SqliteRow, column: &str) -> Result<[u8; 32], EngineError> {
    let bytes: Vec<u8> = row.try_get(column).map_err(failed)?;
    bytes.try_into().map_err(|_| damaged(format!("{column} is no SHA-256")))
}

pub(crate) fn profile(row: &SqliteRow) -> Result<Profile, EngineError> {
    let role = text(row, "role")?;
    Ok(Profile {
        user: user(row)?,
        status_message: text(row, "status_message")?,
        status_expires_at: optional_number(row, "status_expires_at")?.map(UnixMillis),
        last_seen_at: optional_number(row, "last_seen_at")?.map(UnixMillis),
        settings: text(row, "settings")?,
        role: ServerRole::from_name(&role).ok_or_else(|| damaged(format!("role {role:?}")))?,
        updated_at: UnixMillis(number(row, "updated_at")?),
        erased_at: optional_number(row, "erased_at")?.map(UnixMillis),
    })
}

pub(crate) fn user(row: &SqliteRow) -> Result<User, EngineError> {
    Ok(User {
        id: user_id(row, "id")?,
        email: text(row, "email")?,
        username: text(row, "username")?,
        display_name: text(row, "display_name")?,
        avatar_url: text(row, "avatar_url")?,
        created_at: UnixMillis(number(row, "created_at")?),
    })
}

/// A channel as its row says, confirmed or not.
pub(crate) fn channel_as_written(row: &SqliteRow) -> Result<Channel, EngineError> {
    let kind = text(row, "type")?;
    let flag = |column: &str| Ok::<bool, EngineError>(number(row, column)? != 0);
    Ok(Channel {
        id: channel_id(row, "id")?,
        name: text(row, "name")?,
        kind: ChannelKind::from_name(&kind).ok_or_else(|| damaged(format!("channel type {kind:?}")))?,
        creator_id: user_id(row, "creator_id")?,
        description: text(row, "description")?,
        created_at: UnixMillis(number(row, "created_at")?),
        topic: text(row, "topic")?,
        settings: ChannelSettings {
            slow_mode_s: u32::try_from(number(row, "slow_mode_s")?).map_err(damaged)?,
            admins_post: flag("admins_post")?,
            history_from_join: flag("history_from_join")?,
        },
        is_closed: flag("closed")?,
        version: number(row, "changed_version")?,
    })
}

/// A channel as it is confirmed; `is_pending` says whether that is what its row says.
pub(crate) fn channel(row: &SqliteRow) -> Result<Channel, EngineError> {
    let written = channel_as_written(row)?;
    let former: Option<Vec<u8>> = row.try_get("former").map_err(failed)?;
    let Some(former) = former.filter(|_| number(row, "is_pending").is_ok_and(|pending| pending != 0)) else {
        return Ok(written);
    };
    let former: records::Channel = ringside_wire::decode(former.into()).map_err(damaged)?;
    Ok(written.as_before(former))
}

/// A role as its row says, confirmed or not.
pub(crate) fn role(row: &SqliteRow) -> Result<Role, EngineError> {
    named_role(&text(row, "role")?)
}

fn named_role(name: &str) -> Result<Role, EngineError> {
    Role::from_name(name).ok_or_else(|| damaged(format!("role {name:?}")))
}

/// A member as they are confirmed; `is_pending` says whether their role is what the row says.
pub(crate) fn member(row: &SqliteRow) -> Result<Member, EngineError> {
    let former: Option<String> = row.try_get("former_role").map_err(failed)?;
    let former = former.filter(|_| number(row, "is_pending").is_ok_and(|pending| pending != 0));
    Ok(Member {
        channel_id: channel_id(row, "channel_id")?,
        user_id: user_id(row, "user_id")?,
        role: former.as_deref().map_or_else(|| role(row), named_role)?,
        joined_at: UnixMillis(number(row, "joined_at")?),
        version: number(row, "version")?,
        muted_until: optional_number(row, "muted_until")?.map(UnixMillis),
    })
}
