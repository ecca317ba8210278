//! One channel's changes inside a transaction: who may, the versions, the outbox rows.

use ringside_ports::EngineError;
use ringside_ports::channels::record::member_record;
use ringside_ports::channels::{ChangeRefused, Channel, ChannelChange, ChannelPatch, Role};
use ringside_types::authorization::ChannelKind;
use ringside_types::text::unaccented;
use ringside_types::{ChannelId, UnixMillis, UserId};
use ringside_wire::records::{self, MembershipKind};
use sqlx::SqliteConnection;

use super::{insert_member, insert_outbox, invitations};
use crate::directory::failed;
use crate::people::relationships;
use crate::rows;

/// A channel that changes, under the one writer's lock.
pub(crate) struct Changing {
    pub(super) channel: Channel,
    version: u64,
    pub(super) actor: UserId,
    pub(super) now: UnixMillis,
}

impl Changing {
    /// Takes the channel's row; `None`: there is no such channel, or no longer.
    pub(crate) async fn begin(
        connection: &mut SqliteConnection,
        channel: ChannelId,
        actor: UserId,
        now: UnixMillis,
    ) -> Result<Option<Self>, EngineError> {
        let found = sqlx::query("SELECT * FROM channels WHERE id = ? AND deleted_at IS NULL")
            .bind(channel.as_bytes().to_vec());
        let Some(row) = found.fetch_optional(connection).await.map_err(failed)? else { return Ok(None) };
        let version = rows::number(&row, "version")?;
        Ok(Some(Self { channel: rows::channel_as_written(&row)?, version, actor, now }))
    }

    /// Writes the version that the changes have come to.
    pub(crate) async fn end(self, connection: &mut SqliteConnection) -> Result<(), EngineError> {
        sqlx::query("UPDATE channels SET version = ? WHERE id = ?")
            .bind(self.version as i64)
            .bind(self.channel.id.as_bytes().to_vec())
            .execute(connection)
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// Makes a change where the actor may.
    pub(super) async fn change(
        &mut self,
        connection: &mut SqliteConnection,
        change: ChannelChange,
    ) -> Result<Result<Vec<UserId>, ChangeRefused>, EngineError> {
        let role = self.role_of(connection, self.actor).await?;
        let target = match change.target() {
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
            ChannelChange::Add(users) => self.add(connection, users).await.map(Ok),
            ChannelChange::Remove(user) => {
                let leaves_as_owner = role == Some(Role::Owner) && user == self.actor;
                if leaves_as_owner && self.members_up_to_two(connection).await? > 1 {
                    return Ok(Err(ChangeRefused::OwnerStays));
                }
                let is_done = self.remove(connection, user).await?;
                Ok(Ok(if is_done { vec![user] } else { Vec::new() }))
            }
            ChannelChange::SetRole(user, role) => self.set_role(connection, user, role).await.map(Ok),
            ChannelChange::Update(patch) => {
                self.update(connection, patch).await?;
                Ok(Ok(Vec::new()))
            }
            ChannelChange::Delete => {
                self.delete(connection).await?;
                Ok(Ok(Vec::new()))
            }
        }
    }

    /// Whether nothing keeps the actor from bringing these in; those who are not there are passed over.
    async fn may_bring_in(
        &self,
        connection: &mut SqliteConnection,
        users: &[(UserId, Role)],
    ) -> Result<bool, EngineError> {
        let others = users.iter().map(|(user, _)| *user).filter(|user| *user != self.actor);
        let relationships = relationships(connection, self.actor, &others.collect::<Vec<_>>()).await?;
        Ok(relationships.iter().flatten().all(|relationship| relationship.may_bring_into(self.channel.kind)))
    }

    pub(super) async fn add(
        &mut self,
        connection: &mut SqliteConnection,
        users: Vec<(UserId, Role)>,
    ) -> Result<Vec<UserId>, EngineError> {
        let mut added = Vec::new();
        // Nobody is in it to add anybody: whoever joins a public channel that all have left looks after it.
        let mut is_empty = self.members_up_to_two(connection).await? == 0;
        for (user, role) in users {
            let role = if std::mem::take(&mut is_empty) { Role::Owner } else { role };
            let known = sqlx::query("SELECT 1 FROM users WHERE id = ? AND erased_at IS NULL")
                .bind(user.as_bytes().to_vec());
            let known = known.fetch_optional(&mut *connection).await.map_err(failed)?.is_some();
            if !known || self.role_of(connection, user).await?.is_some() {
                continue;
            }
            self.version += 1;
            insert_member(connection, self.channel.id, user, role, self.now, self.version).await?;
            invitations::remove(connection, self.channel.id, user).await?;
            self.write(connection, MembershipKind::Added, vec![member_record(user, role)]).await?;
            added.push(user);
        }
        Ok(added)
    }

    pub(crate) async fn remove(
        &mut self,
        connection: &mut SqliteConnection,
        user: UserId,
    ) -> Result<bool, EngineError> {
        let Some(role) = self.role_of(connection, user).await? else { return Ok(false) };
        self.version += 1;
        sqlx::query("DELETE FROM channel_members WHERE channel_id = ? AND user_id = ?")
            .bind(self.channel.id.as_bytes().to_vec())
            .bind(user.as_bytes().to_vec())
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        self.write(connection, MembershipKind::Removed, vec![member_record(user, role)]).await?;
        Ok(true)
    }

    /// Makes the one next in rank, and longest in the channel, the owner, where this user is it and others are there.
    pub(crate) async fn pass_on(
        &mut self,
        connection: &mut SqliteConnection,
        user: UserId,
    ) -> Result<(), EngineError> {
        if self.role_of(connection, user).await? != Some(Role::Owner) {
            return Ok(());
        }
        let next = sqlx::query(
            "SELECT user_id FROM channel_members WHERE channel_id = ? AND user_id <> ? ORDER BY \
             CASE role WHEN 'admin' THEN 0 WHEN 'member' THEN 1 ELSE 2 END, joined_at, user_id LIMIT 1",
        )
        .bind(self.channel.id.as_bytes().to_vec())
        .bind(user.as_bytes().to_vec())
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed)?;
        if let Some(row) = next {
            self.set_role(connection, rows::user_id(&row, "user_id")?, Role::Owner).await?;
        }
        Ok(())
    }

    async fn set_role(
        &mut self,
        connection: &mut SqliteConnection,
        user: UserId,
        role: Role,
    ) -> Result<Vec<UserId>, EngineError> {
        if self.role_of(connection, user).await? == Some(role) {
            return Ok(Vec::new());
        }
        let mut changes = vec![(user, role)];
        if role == Role::Owner {
            let owners =
                sqlx::query("SELECT user_id FROM channel_members WHERE channel_id = ? AND role = 'owner'")
                    .bind(self.channel.id.as_bytes().to_vec());
            for row in owners.fetch_all(&mut *connection).await.map_err(failed)? {
                changes.push((rows::user_id(&row, "user_id")?, Role::Admin));
            }
        }
        self.version += 1;
        for (user, role) in &changes {
            // Until this version is confirmed, the role shows that was confirmed last.
            sqlx::query(
                "UPDATE channel_members AS m SET former_role = CASE WHEN EXISTS (SELECT 1 FROM outbox o WHERE \
                 o.channel_id = m.channel_id AND o.version = m.role_version) THEN m.former_role ELSE m.role END, \
                 role = ?, role_version = ? WHERE channel_id = ? AND user_id = ?",
            )
            .bind(role.name())
            .bind(self.version as i64)
            .bind(self.channel.id.as_bytes().to_vec())
            .bind(user.as_bytes().to_vec())
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        }
        let members = changes.iter().map(|(user, role)| member_record(*user, *role)).collect();
        self.write(connection, MembershipKind::Role, members).await?;
        Ok(changes.into_iter().map(|(user, _)| user).collect())
    }

    async fn update(
        &mut self,
        connection: &mut SqliteConnection,
        patch: ChannelPatch,
    ) -> Result<(), EngineError> {
        let changed = patch.applied_to(&self.channel);
        if changed == self.channel {
            return Ok(());
        }
        self.rewrite(connection, changed, MembershipKind::Updated).await
    }

    /// Writes the channel's row anew. Until the change is confirmed, what was confirmed last shows.
    async fn rewrite(
        &mut self,
        connection: &mut SqliteConnection,
        changed: Channel,
        kind: MembershipKind,
    ) -> Result<(), EngineError> {
        let former = ringside_wire::encode(&self.channel.record()).to_vec();
        self.version += 1;
        self.channel = Channel { version: self.version, ..changed };
        sqlx::query(
            "UPDATE channels AS c SET former = CASE WHEN EXISTS (SELECT 1 FROM outbox o WHERE o.channel_id = c.id \
             AND o.version = c.changed_version) THEN c.former ELSE ? END, changed_version = ?, name = ?, name_bare = ?, \
             description = ?, topic = ?, slow_mode_s = ?, admins_post = ?, history_from_join = ?, closed = ? WHERE id = ?",
        )
        .bind(former)
        .bind(self.version as i64)
        .bind(&self.channel.name)
        .bind(unaccented(&self.channel.name))
        .bind(&self.channel.description)
        .bind(&self.channel.topic)
        .bind(self.channel.settings.slow_mode_s)
        .bind(self.channel.settings.admins_post)
        .bind(self.channel.settings.history_from_join)
        .bind(self.channel.is_closed)
        .bind(self.channel.id.as_bytes().to_vec())
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
        self.write(connection, kind, Vec::new()).await
    }

    async fn delete(&mut self, connection: &mut SqliteConnection) -> Result<(), EngineError> {
        self.version += 1;
        let id = self.channel.id.as_bytes().to_vec();
        sqlx::query("UPDATE channels SET deleted_at = ? WHERE id = ?")
            .bind(self.now.0 as i64)
            .bind(&id)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        sqlx::query("DELETE FROM channel_members WHERE channel_id = ?")
            .bind(&id)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        invitations::remove_all(connection, self.channel.id).await?;
        self.write(connection, MembershipKind::Deleted, Vec::new()).await
    }

    async fn write(
        &self,
        connection: &mut SqliteConnection,
        kind: MembershipKind,
        members: Vec<records::Member>,
    ) -> Result<(), EngineError> {
        let record = self.channel.change_record(self.version, self.actor, kind, members);
        insert_outbox(connection, self.channel.id, self.version, &record).await
    }

    pub(super) async fn role_of(
        &self,
        connection: &mut SqliteConnection,
        user: UserId,
    ) -> Result<Option<Role>, EngineError> {
        let found = sqlx::query("SELECT role FROM channel_members WHERE channel_id = ? AND user_id = ?")
            .bind(self.channel.id.as_bytes().to_vec())
            .bind(user.as_bytes().to_vec())
            .fetch_optional(connection)
            .await
            .map_err(failed)?;
        found.as_ref().map(rows::role).transpose()
    }

    async fn members_up_to_two(&self, connection: &mut SqliteConnection) -> Result<usize, EngineError> {
        let found = sqlx::query("SELECT 1 FROM channel_members WHERE channel_id = ? LIMIT 2")
            .bind(self.channel.id.as_bytes().to_vec())
            .fetch_all(connection)
            .await
            .map_err(failed)?;
        Ok(found.len())
    }
}

/// The DM of two people takes messages while neither blocks the other, who may just have begun or ceased to.
pub(crate) async fn reconsider_dm(
    connection: &mut SqliteConnection,
    actor: UserId,
    other: UserId,
    is_closed: bool,
    now: UnixMillis,
) -> Result<(), EngineError> {
    let Some(dm) = super::lists::dm_of(connection, actor, other).await? else { return Ok(()) };
    let Some(mut changing) = Changing::begin(connection, dm, actor, now).await? else { return Ok(()) };
    if changing.channel.kind == ChannelKind::Dm && changing.channel.is_closed != is_closed {
        let changed = Channel { is_closed, ..changing.channel.clone() };
        changing.rewrite(connection, changed, MembershipKind::Closed).await?;
        changing.end(connection).await?;
    }
    Ok(())
}
