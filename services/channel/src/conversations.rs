//! The service's contract: channels and their members.
//!
//! Every change is written to the Directory, taken to the log by the relay, and only then answered.

use ringside_application::authorize::channel_access;
use ringside_application::presence_view::announce;
use ringside_application::service::{
    ChannelService, ConflictCode, CreateChannel, FieldError, MyChannel, Page, PageRequest, ServiceError,
};
use ringside_clock::now;
use ringside_ports::channels::invitations::{ChannelInvitation, Invited};
use ringside_ports::channels::{
    ChangeRefused, Channel, ChannelChange, ChannelPatch, Created, ListRange, Member, Role,
};
use ringside_ports::{ChannelDirectory, Log};
use ringside_types::authorization::Operation;
use ringside_types::limits::LIST_MAX;
use ringside_types::{ChannelId, UnixMillis, UserId};
use uuid::Uuid;

use crate::permissions::{kept_out, not_invited, refused};
use crate::relay::Relay;
use crate::requests::{channel_of, checked};

/// People added in one request at the most.
pub const ADD_MEMBERS_MAX: usize = 100;
/// Unknown users that an error names at the most.
const UNKNOWN_NAMED_MAX: usize = 3;

/// Channels and members over a Directory, and the relay of its outbox.
#[derive(Clone, Debug)]
pub struct Conversations<D, L> {
    directory: D,
    log: L,
    relay: Relay,
}

impl<D: ChannelDirectory, L: Log> Conversations<D, L> {
    /// Over this Directory and log; the relay's task must run over the same ones.
    pub fn new(directory: D, log: L, relay: Relay) -> Self {
        Self { directory, log, relay }
    }

    /// A channel, and the caller's membership, where they may do this.
    async fn allowed(
        &self,
        caller: UserId,
        id: ChannelId,
        operation: Operation,
    ) -> Result<(Channel, Option<Member>), ServiceError> {
        channel_access(&self.directory, caller, id, operation).await
    }

    /// Makes a change, and waits until it is in the log, and with it all that it was decided by: a refusal too is
    /// told of what is confirmed.
    async fn make(
        &self,
        caller: UserId,
        id: ChannelId,
        change: ChannelChange,
    ) -> Result<Vec<UserId>, ServiceError> {
        let done = self.directory.change(id, caller, change, now()).await?;
        self.relay.publish(id).await?;
        done.map_err(refused)
    }

    /// Refuses users that there are not.
    async fn known(&self, caller: UserId, field: &'static str, users: &[UserId]) -> Result<(), ServiceError> {
        let relationships = self.directory.relationships(caller, users).await?;
        let unknown = users.iter().zip(&relationships).filter(|(_, relationship)| relationship.is_none());
        let named: Vec<String> = unknown.take(UNKNOWN_NAMED_MAX).map(|(user, _)| user.to_string()).collect();
        if named.is_empty() {
            return Ok(());
        }
        let message = format!("There is no such user: {}.", named.join(", "));
        Err(ServiceError::Invalid(vec![FieldError { field: field.into(), message }]))
    }

    async fn known_caller(&self, caller: UserId) -> Result<(), ServiceError> {
        match self.directory.users(&[caller]).await?.first() {
            Some(_) => Ok(()),
            None => Err(ServiceError::Unauthorized("This account is gone.".into())),
        }
    }
}

impl<D: ChannelDirectory, L: Log> ChannelService for Conversations<D, L> {
    async fn create(&self, caller: UserId, wish: CreateChannel) -> Result<(Channel, bool), ServiceError> {
        let new = channel_of(caller, wish, ChannelId(Uuid::now_v7()), now())?;
        self.known_caller(caller).await?;
        let created = self.directory.create_channels(std::slice::from_ref(&new)).await?;
        match created.into_iter().next() {
            Some(Created::Existing(id)) => {
                // Its maker may not have been answered yet.
                self.relay.publish(id).await?;
                let found = self.directory.channels(&[id]).await?.into_iter().next();
                let unconfirmed = || ServiceError::Unavailable("the DM is not confirmed".into());
                Ok((found.ok_or_else(unconfirmed)?, false))
            }
            Some(Created::Refused) => {
                let others: Vec<UserId> = new.members[1..].iter().map(|(user, _)| *user).collect();
                self.known(caller, "member_ids", &others).await?;
                Err(kept_out(new.channel.kind))
            }
            _ => {
                self.relay.publish(new.channel.id).await?;
                Ok((new.channel, true))
            }
        }
    }

    async fn channel(
        &self,
        caller: UserId,
        id: ChannelId,
    ) -> Result<(Channel, Option<Member>), ServiceError> {
        self.allowed(caller, id, Operation::SeeChannel).await
    }

    async fn change(
        &self,
        caller: UserId,
        id: ChannelId,
        patch: ChannelPatch,
    ) -> Result<(Channel, Option<Member>), ServiceError> {
        let (channel, _) = self.allowed(caller, id, Operation::SeeChannel).await?;
        let patch = checked(channel.kind, patch)?;
        self.make(caller, id, ChannelChange::Update(patch)).await?;
        self.allowed(caller, id, Operation::SeeChannel).await
    }

    async fn delete(&self, caller: UserId, id: ChannelId) -> Result<(), ServiceError> {
        self.make(caller, id, ChannelChange::Delete).await.map(drop)
    }

    async fn discover(&self, text: &str, part: PageRequest) -> Result<Page<(Channel, u64)>, ServiceError> {
        let limit = part.limit.clamp(1, LIST_MAX);
        let found = self.directory.discover(text.trim(), cursor(part.cursor)?, limit + 1).await?;
        Ok(listed(found, limit, |(channel, _)| channel.id.to_string()))
    }

    async fn list(&self, caller: UserId, part: PageRequest) -> Result<Page<MyChannel>, ServiceError> {
        let limit = part.limit.clamp(1, LIST_MAX);
        let range = ListRange { before: cursor(part.cursor)?, limit: limit + 1 };
        let memberships = self.directory.list_memberships(caller, range).await?;
        let listed = listed(memberships, limit, |membership| membership.channel_id.to_string());
        let ids: Vec<ChannelId> = listed.items.iter().map(|membership| membership.channel_id).collect();
        let channels = self.directory.channels(&ids).await?;
        let mine = |membership: Member| {
            let channel = channels.iter().find(|channel| channel.id == membership.channel_id)?.clone();
            Some(MyChannel { channel, membership })
        };
        Ok(Page {
            items: listed.items.into_iter().filter_map(mine).collect(),
            next_cursor: listed.next_cursor,
        })
    }

    async fn peers(
        &self,
        caller: UserId,
        channels: &[ChannelId],
    ) -> Result<Vec<(ChannelId, UserId)>, ServiceError> {
        Ok(self.directory.peers(caller, channels).await?)
    }

    async fn members(
        &self,
        caller: UserId,
        id: ChannelId,
        part: PageRequest,
    ) -> Result<Page<Member>, ServiceError> {
        let after = cursor(part.cursor)?;
        self.allowed(caller, id, Operation::ListMembers).await?;
        let limit = part.limit.clamp(1, LIST_MAX);
        let members = self.directory.members(id, after, limit + 1).await?;
        Ok(listed(members, limit, |member| member.user_id.to_string()))
    }

    async fn add_members(
        &self,
        caller: UserId,
        id: ChannelId,
        mut users: Vec<UserId>,
    ) -> Result<Vec<Member>, ServiceError> {
        users.sort_unstable();
        users.dedup();
        if !(1..=ADD_MEMBERS_MAX).contains(&users.len()) {
            let message = format!("Name from 1 to {ADD_MEMBERS_MAX} users.");
            return Err(ServiceError::Invalid(vec![FieldError { field: "user_ids".into(), message }]));
        }
        let operation = if users[..] == [caller] { Operation::Join } else { Operation::AddMembers };
        self.allowed(caller, id, operation).await?;
        self.known(caller, "user_ids", &users).await?;
        let add = ChannelChange::Add(users.iter().map(|user| (*user, Role::Member)).collect());
        self.make(caller, id, add).await?;
        let pairs: Vec<(ChannelId, UserId)> = users.into_iter().map(|user| (id, user)).collect();
        Ok(self.directory.membership(&pairs).await?.into_iter().flatten().collect())
    }

    async fn invite(&self, caller: UserId, id: ChannelId, user: UserId) -> Result<(), ServiceError> {
        let invited = self.directory.invite_into(id, caller, user, now()).await?;
        // A refusal too is told of what is confirmed.
        self.relay.publish(id).await?;
        match invited.map_err(not_invited)? {
            Invited::Waiting | Invited::Member => Ok(()),
            Invited::Gone => Err(ServiceError::NotFound("There is no such user.".into())),
            Invited::Full => Err(ServiceError::Conflict {
                code: ConflictCode::InvitationsWait,
                message: "Too many invitations wait for this user already; try again when some are answered."
                    .into(),
            }),
        }
    }

    async fn withdraw_invitation(
        &self,
        caller: UserId,
        id: ChannelId,
        user: UserId,
    ) -> Result<(), ServiceError> {
        self.directory.withdraw_invitation(id, caller, user).await?.map_err(refused)
    }

    async fn invitations(&self, caller: UserId) -> Result<Vec<ChannelInvitation>, ServiceError> {
        Ok(self.directory.invitations_of(caller).await?)
    }

    async fn accept_invitation(
        &self,
        caller: UserId,
        id: ChannelId,
    ) -> Result<(Channel, Option<Member>), ServiceError> {
        let accepted = self.directory.accept_invitation(id, caller, now()).await?;
        self.relay.publish(id).await?;
        accepted.map_err(|_| ServiceError::NotFound("You have no invitation into this channel.".into()))?;
        self.allowed(caller, id, Operation::SeeChannel).await
    }

    async fn remove_member(&self, caller: UserId, id: ChannelId, user: UserId) -> Result<(), ServiceError> {
        self.make(caller, id, ChannelChange::Remove(user)).await.map(drop)
    }

    async fn set_role(
        &self,
        caller: UserId,
        id: ChannelId,
        user: UserId,
        role: Role,
    ) -> Result<Member, ServiceError> {
        self.make(caller, id, ChannelChange::SetRole(user, role)).await?;
        let member = self.directory.membership(&[(id, user)]).await?.into_iter().next().flatten();
        member.ok_or_else(|| refused(ChangeRefused::NoSuchMember))
    }

    async fn mute(
        &self,
        caller: UserId,
        id: ChannelId,
        until: Option<UnixMillis>,
    ) -> Result<(), ServiceError> {
        self.allowed(caller, id, Operation::Mute).await?;
        if !self.directory.mute(id, caller, until).await? {
            return Err(ServiceError::NotAMember);
        }
        // Nothing waits for it: an edge that is not told notifies as before until something else changes.
        if let Err(error) = announce(&self.log, &[caller]).await {
            tracing::warn!(%error, "the edges are not told that a channel was muted");
        }
        Ok(())
    }

    async fn settled(&self, one: UserId, other: UserId) -> Result<(), ServiceError> {
        match self.directory.dm_of(one, other).await? {
            Some(dm) => self.relay.publish(dm).await,
            None => Ok(()),
        }
    }
}

/// A cursor is the id that ended the part before.
fn cursor<T: std::str::FromStr>(text: Option<String>) -> Result<Option<T>, ServiceError> {
    let invalid =
        |_| ServiceError::BadRequest("`cursor` is not from an earlier answer; leave it out.".into());
    text.map(|text| text.parse().map_err(invalid)).transpose()
}

/// A part of a list, from one item more than it may hold.
fn listed<T>(mut items: Vec<T>, limit: usize, cursor_of: impl Fn(&T) -> String) -> Page<T> {
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| has_more).map(cursor_of);
    Page { items, next_cursor }
}
