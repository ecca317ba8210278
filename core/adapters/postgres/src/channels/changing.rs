//! One channel's changes inside a transaction: who may, the versions, the outbox rows.

use ringside_ports::channels::record::member_record;
use ringside_ports::channels::{ChangeRefused, Channel, ChannelChange, ChannelPatch, Role};
use ringside_types::authorization::ChannelKind;
use ringside_types::text::unaccented;
use ringside_types::{ChannelId, UnixMillis, UserId};
use ringside_wire::records::{self, MembershipKind};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{dm_of, insert_members, invitations, outbox};
use crate::failure::Failure;
use crate::people::relationships;
use crate::rows::{self, to_column};

/// A channel that changes, under its row's lock: until the transaction ends nobody else changes it.
pub(crate) struct Changing {
    pub(super) channel: Channel,
    version: u64,
    pub(super) actor: UserId,
    pub(super) now: UnixMillis,
}

impl Changing {
    /// Takes the channel's row; `None`: there is no such channel, or no longer.
    pub(crate) async fn begin(
        connection: &mut PgConnection,
        channel: ChannelId,
        actor: UserId,
        now: UnixMillis,
    ) -> Result<Option<Self>, Failure> {
        let found =
            sqlx::query("SELECT * FROM channels WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE");
        let Some(row) = found.bind(channel.0).fetch_optional(connection).await? else { return Ok(None) };
        let version = rows::number(&row, "version")?;
        Ok(Some(Self { channel: rows::channel_as_written(&row)?, version, actor, now }))
    }

    /// Writes the version that the changes have come to.
    pub(crate) async fn end(self, connection: &mut PgConnection) -> Result<(), Failure> {
        let version = sqlx::query("UPDATE channels SET version = $1 WHERE id = $2 AND version <> $1");
        version.bind(to_column(self.version)).bind(self.channel.id.0).execute(connection).await?;
        Ok(())
    }

    /// Makes a change where the actor may.
    pub(super) async fn change(
        &mut self,
        connection: &mut PgConnection,
        change: ChannelChange,
    ) -> Result<Result<Vec<UserId>, ChangeRefused>, Failure> {
        let role = self.role_of(connection, self.actor).await?;
        let target = match change.target() {
            Some(user) if user == self.actor => role,
            Some(user) => self.role_of(connection, user).await?,
            None => None,
        };
        if let Err(refused) = change.permitted(self.channel.kind, (self.actor, role), target) {
            return Ok(Err(refused));
        }
        match change {
            ChannelChange::Add(users) if !self.may_bring_in(connection, &users).await? => {
                Ok(Err(ChangeRefused::Blocked))
            }
            ChannelChange::Add(users) => self.add(connection, &users).await.map(Ok),
            ChannelChange::Remove(user) => {
                let leaves_as_owner = role == Some(Role::Owner) && user == self.actor;
                if leaves_as_owner && self.members_up_to_two(connection).await? > 1 {
                    return Ok(Err(ChangeRefused::OwnerStays));
                }
                let is_done = self.remove(connection, user).await?;
                Ok(Ok(if is_done { vec![user] } else { Vec::new() }))
            }
            ChannelChange::SetRole(user, role) => self.set_role(connection, user, role).await.map(Ok),
            ChannelChange::Update(patch) => self.update(connection, patch).await.map(|()| Ok(Vec::new())),
            ChannelChange::Delete => self.delete(connection).await.map(|()| Ok(Vec::new())),
        }
    }

    /// Whether nothing keeps the actor from bringing these in; those who are not there are passed over.
    async fn may_bring_in(
        &self,
        connection: &mut PgConnection,
        users: &[(UserId, Role)],
    ) -> Result<bool, Failure> {
        let others = users.iter().map(|(user, _)| *user).filter(|user| *user != self.actor);
        let relationships = relationships(connection, self.actor, &others.collect::<Vec<_>>()).await?;
        Ok(relationships.iter().flatten().all(|relationship| relationship.may_bring_into(self.channel.kind)))
    }

    pub(super) async fn add(
        &mut self,
        connection: &mut PgConnection,
        users: &[(UserId, Role)],
    ) -> Result<Vec<UserId>, Failure> {
        // Nobody is in it to add anybody: whoever joins a public channel that all have left looks after it.
        let mut is_empty = self.members_up_to_two(connection).await? == 0;
        let mut coming = self.not_in_it(connection, users).await?;
        let mut added = Vec::new();
        for (user, role) in users {
            let role = if std::mem::take(&mut is_empty) { Role::Owner } else { *role };
            let Some(place) = coming.iter().position(|one| one == user) else { continue };
            coming.swap_remove(place);
            self.version += 1;
            insert_members(connection, self.channel.id, &[(*user, role)], self.now, self.version).await?;
            invitations::remove(connection, self.channel.id, *user).await?;
            self.write(connection, MembershipKind::Added, vec![member_record(*user, role)]).await?;
            added.push(*user);
        }
        Ok(added)
    }

    /// Those of these that are there and no members.
    async fn not_in_it(
        &self,
        connection: &mut PgConnection,
        users: &[(UserId, Role)],
    ) -> Result<Vec<UserId>, Failure> {
        let ids: Vec<Uuid> = users.iter().map(|(user, _)| user.0).collect();
        let found = sqlx::query_scalar(
            "SELECT u.id FROM users u WHERE u.id = ANY($1) AND u.erased_at IS NULL AND NOT EXISTS \
             (SELECT 1 FROM channel_members m WHERE m.channel_id = $2 AND m.user_id = u.id)",
        );
        let found: Vec<Uuid> = found.bind(ids).bind(self.channel.id.0).fetch_all(connection).await?;
        Ok(found.into_iter().map(UserId).collect())
    }

    pub(crate) async fn remove(
        &mut self,
        connection: &mut PgConnection,
        user: UserId,
    ) -> Result<bool, Failure> {
        let removed =
            sqlx::query("DELETE FROM channel_members WHERE channel_id = $1 AND user_id = $2 RETURNING role");
        let removed = removed.bind(self.channel.id.0).bind(user.0).fetch_optional(&mut *connection).await?;
        let Some(row) = removed else { return Ok(false) };
        self.version += 1;
        let member = member_record(user, rows::role(&row)?);
        self.write(connection, MembershipKind::Removed, vec![member]).await?;
        Ok(true)
    }

    /// Makes the one next in rank, and longest in the channel, the owner, where this user is it and others are there.
    pub(crate) async fn pass_on(
        &mut self,
        connection: &mut PgConnection,
        user: UserId,
    ) -> Result<(), Failure> {
        if self.role_of(connection, user).await? != Some(Role::Owner) {
            return Ok(());
        }
        let next = sqlx::query_scalar(
            "SELECT user_id FROM channel_members WHERE channel_id = $1 AND user_id <> $2 ORDER BY \
             CASE role WHEN 'admin' THEN 0 WHEN 'member' THEN 1 ELSE 2 END, joined_at, user_id LIMIT 1",
        );
        let next: Option<Uuid> =
            next.bind(self.channel.id.0).bind(user.0).fetch_optional(&mut *connection).await?;
        if let Some(next) = next {
            self.set_role(connection, UserId(next), Role::Owner).await?;
        }
        Ok(())
    }

    async fn set_role(
        &mut self,
        connection: &mut PgConnection,
        user: UserId,
        role: Role,
    ) -> Result<Vec<UserId>, Failure> {
        if self.role_of(connection, user).await? == Some(role) {
            return Ok(Vec::new());
        }
        let mut changes = vec![(user, role)];
        if role == Role::Owner {
            let owners = sqlx::query_scalar(
                "SELECT user_id FROM channel_members WHERE channel_id = $1 AND role = 'owner'",
            );
            let owners: Vec<Uuid> = owners.bind(self.channel.id.0).fetch_all(&mut *connection).await?;
            changes.extend(owners.into_iter().map(|owner| (UserId(owner), Role::Admin)));
        }
        self.version += 1;
        let ids: Vec<Uuid> = changes.iter().map(|(user, _)| user.0).collect();
        let roles: Vec<&str> = changes.iter().map(|(_, role)| role.name()).collect();
        // Until this version is confirmed, the role shows that was confirmed last.
        sqlx::query(
            "UPDATE channel_members AS m SET former_role = CASE WHEN EXISTS (SELECT 1 FROM outbox o WHERE \
             o.channel_id = m.channel_id AND o.version = m.role_version) THEN m.former_role ELSE m.role END, \
             role = new.role, role_version = $4 FROM unnest($2::UUID[], $3::TEXT[]) AS new (id, role) \
             WHERE m.channel_id = $1 AND m.user_id = new.id",
        )
        .bind(self.channel.id.0)
        .bind(ids)
        .bind(roles)
        .bind(to_column(self.version))
        .execute(&mut *connection)
        .await?;
        let members = changes.iter().map(|(user, role)| member_record(*user, *role)).collect();
        self.write(connection, MembershipKind::Role, members).await?;
        Ok(changes.into_iter().map(|(user, _)| user).collect())
    }

    async fn update(&mut self, connection: &mut PgConnection, patch: ChannelPatch) -> Result<(), Failure> {
        let changed = patch.applied_to(&self.channel);
        if changed == self.channel {
            return Ok(());
        }
        self.rewrite(connection, changed, MembershipKind::Updated).await
    }

    /// Writes the channel's row anew. Until the change is confirmed, what was confirmed last shows.
    async fn rewrite(
        &mut self,
        connection: &mut PgConnection,
        changed: Channel,
        kind: MembershipKind,
    ) -> Result<(), Failure> {
        let former = ringside_wire::encode(&self.channel.record());
        self.version += 1;
        self.channel = Channel { version: self.version, ..changed };
        sqlx::query(
            "UPDATE channels AS c SET former = CASE WHEN EXISTS (SELECT 1 FROM outbox o WHERE o.channel_id = c.id \
             AND o.version = c.changed_version) THEN c.former ELSE $1 END, changed_version = $2, name = $3, \
             name_bare = $4, description = $5, topic = $6, slow_mode_s = $7, admins_post = $8, \
             history_from_join = $9, closed = $10 WHERE id = $11",
        )
        .bind(&former[..])
        .bind(to_column(self.version))
        .bind(&self.channel.name)
        .bind(unaccented(&self.channel.name))
        .bind(&self.channel.description)
        .bind(&self.channel.topic)
        .bind(i64::from(self.channel.settings.slow_mode_s))
        .bind(self.channel.settings.admins_post)
        .bind(self.channel.settings.history_from_join)
        .bind(self.channel.is_closed)
        .bind(self.channel.id.0)
        .execute(&mut *connection)
        .await?;
        self.write(connection, kind, Vec::new()).await
    }

    async fn delete(&mut self, connection: &mut PgConnection) -> Result<(), Failure> {
        self.version += 1;
        let id = self.channel.id;
        let deleted = sqlx::query("UPDATE channels SET deleted_at = $1 WHERE id = $2");
        deleted.bind(to_column(self.now.0)).bind(id.0).execute(&mut *connection).await?;
        let members = sqlx::query("DELETE FROM channel_members WHERE channel_id = $1");
        members.bind(id.0).execute(&mut *connection).await?;
        invitations::remove_all(connection, id).await?;
        self.write(connection, MembershipKind::Deleted, Vec::new()).await
    }

    async fn write(
        &self,
        connection: &mut PgConnection,
        kind: MembershipKind,
        members: Vec<records::Member>,
    ) -> Result<(), Failure> {
        let record = self.channel.change_record(self.version, self.actor, kind, members);
        outbox::insert(connection, self.channel.id, self.version, &record).await
    }

    pub(super) async fn role_of(
        &self,
        connection: &mut PgConnection,
        user: UserId,
    ) -> Result<Option<Role>, Failure> {
        let found = sqlx::query("SELECT role FROM channel_members WHERE channel_id = $1 AND user_id = $2");
        let found = found.bind(self.channel.id.0).bind(user.0).fetch_optional(connection).await?;
        Ok(found.as_ref().map(rows::role).transpose()?)
    }

    async fn members_up_to_two(&self, connection: &mut PgConnection) -> Result<usize, Failure> {
        let found = sqlx::query("SELECT 1 FROM channel_members WHERE channel_id = $1 LIMIT 2");
        Ok(found.bind(self.channel.id.0).fetch_all(connection).await?.len())
    }
}

/// The DM of two people takes messages while neither blocks the other, who may just have begun or ceased to.
pub(crate) async fn reconsider_dm(
    connection: &mut PgConnection,
    actor: UserId,
    other: UserId,
    is_closed: bool,
    now: UnixMillis,
) -> Result<(), Failure> {
    let Some(dm) = dm_of(connection, actor, other).await? else { return Ok(()) };
    let Some(mut changing) = Changing::begin(connection, dm, actor, now).await? else { return Ok(()) };
    if changing.channel.kind == ChannelKind::Dm && changing.channel.is_closed != is_closed {
        let changed = Channel { is_closed, ..changing.channel.clone() };
        changing.rewrite(connection, changed, MembershipKind::Closed).await?;
        changing.end(connection).await?;
    }
    Ok(())
}
