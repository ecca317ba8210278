//! How channels are made, whole or not at all.

use ringside_ports::channels::record::member_record;
use ringside_ports::channels::{Channel, ChannelKind, Created, NewChannel};
use ringside_types::UserId;
use ringside_types::text::unaccented;
use ringside_wire::records::MembershipKind;
use sqlx::PgConnection;

use super::{dm_of, insert_members, outbox};
use crate::failure::Failure;
use crate::people::relationships;
use crate::rows::to_column;

/// Makes a channel, whose people are held as they are.
pub(super) async fn create(connection: &mut PgConnection, new: &NewChannel) -> Result<Created, Failure> {
    let channel = &new.channel;
    let others = new.members.iter().map(|(user, _)| *user).filter(|user| *user != channel.creator_id);
    let relationships = relationships(connection, channel.creator_id, &others.collect::<Vec<_>>()).await?;
    let may_come = relationships
        .iter()
        .all(|one| one.is_some_and(|relationship| relationship.may_bring_into(channel.kind)));
    let pair = match (channel.kind, &new.members[..]) {
        (ChannelKind::Dm, [(one, _), (other, _)]) => Some((*one, *other)),
        _ => None,
    };
    if let Some((one, other)) = pair {
        // An account that is erased is no reason to lose what was said with it.
        let is_erased = relationships.contains(&None);
        let found = |dm| if may_come || is_erased { Created::Existing(dm) } else { Created::Refused };
        if let Some(dm) = dm_of(connection, one, other).await? {
            return Ok(found(dm));
        }
        if may_come && !pair_up(connection, one, other, channel).await? {
            // Of racers the first has made it; the others waited for it above.
            return Ok(dm_of(connection, one, other).await?.map_or(Created::Refused, found));
        }
    }
    if !may_come {
        return Ok(Created::Refused);
    }
    insert(connection, channel).await?;
    insert_members(connection, channel.id, &new.members, channel.created_at, 1).await?;
    let members = new.members.iter().map(|(user, role)| member_record(*user, *role)).collect();
    let record = channel.change_record(1, channel.creator_id, MembershipKind::Created, members);
    outbox::insert(connection, channel.id, 1, &record).await?;
    Ok(Created::New(channel.id))
}

/// Writes the pair of a DM, before its channel; false: the two have one.
async fn pair_up(
    connection: &mut PgConnection,
    one: UserId,
    other: UserId,
    channel: &Channel,
) -> Result<bool, Failure> {
    let done = sqlx::query(
        "INSERT INTO dm_pairs (lower_id, higher_id, channel_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    );
    let done = done.bind(one.min(other).0).bind(one.max(other).0).bind(channel.id.0);
    Ok(done.execute(connection).await?.rows_affected() == 1)
}

async fn insert(connection: &mut PgConnection, channel: &Channel) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO channels (id, name, type, creator_id, description, created_at, version, topic, slow_mode_s, \
         admins_post, history_from_join, closed, name_bare) VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, $10, $11, $12)",
    )
    .bind(channel.id.0)
    .bind(&channel.name)
    .bind(channel.kind.name())
    .bind(channel.creator_id.0)
    .bind(&channel.description)
    .bind(to_column(channel.created_at.0))
    .bind(&channel.topic)
    .bind(i64::from(channel.settings.slow_mode_s))
    .bind(channel.settings.admins_post)
    .bind(channel.settings.history_from_join)
    .bind(channel.is_closed)
    .bind(unaccented(&channel.name))
    .execute(connection)
    .await?;
    Ok(())
}
