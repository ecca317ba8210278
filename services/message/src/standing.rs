//! What a caller is in a channel, and what they may do there, by the one table.

use ringside_application::service::ServiceError;
use ringside_application::{authorize, reading};
use ringside_domain::rows::MessageRow;
use ringside_ports::channels::{Channel, Member, Role};
use ringside_ports::presence::{Account, Charge};
use ringside_ports::{Accounts, Channels, Log, MessageStore, Presence};
use ringside_types::authorization::{Operation, allowed};
use ringside_types::{ChannelId, MessageId, UserId};
use ringside_wire::amendment::Change;

use crate::messages::Messages;

/// A member, in a channel that there is.
pub(crate) struct Standing {
    channel: Channel,
    member: Member,
}

impl Standing {
    /// Whether they may, as the channel is.
    pub(crate) fn may(&self, operation: Operation) -> Result<(), ServiceError> {
        let operation = operation.within(self.channel.is_closed);
        allowed(operation, self.channel.kind, Some(self.member.role))
            .map_err(|refusal| authorize::refused(operation, refusal))
    }

    /// Whether they may change this message so.
    pub(crate) fn may_amend(&self, row: &MessageRow, change: &Change<'_>) -> Result<(), ServiceError> {
        self.may(change.clone().into_record().operation(row.sender_id == self.member.user_id))
    }
}

impl<L, S, D, P> Messages<L, S, D, P>
where
    L: Log,
    S: MessageStore,
    D: Channels + Accounts,
    P: Presence,
{
    /// The caller in a channel. Whether there is no such channel or they may not know of it is one answer.
    pub(crate) async fn standing(&self, caller: UserId, id: ChannelId) -> Result<Standing, ServiceError> {
        let reading = authorize::channel_access(&self.directory, caller, id, Operation::ReadMessages);
        let (channel, member) = reading.await?;
        Ok(Standing { channel, member: member.ok_or(ServiceError::NotAMember)? })
    }

    /// A reader of a channel: returns where their view of it begins.
    pub(crate) async fn admit_reader(
        &self,
        caller: UserId,
        channel: ChannelId,
    ) -> Result<MessageId, ServiceError> {
        self.standing(caller, channel).await?.may(Operation::ReadMessages)?;
        Ok(reading::horizon(&self.store, channel, caller).await?.0)
    }

    /// A sender of a message by the table; returns what slow mode asks of them.
    pub(crate) async fn admit_sender(&self, caller: UserId, id: ChannelId) -> Result<Charge, ServiceError> {
        let standing = self.standing(caller, id).await?;
        let settings = standing.channel.settings;
        standing.may(Operation::sending(settings.admins_post))?;
        let is_held = standing.member.role < Role::Admin;
        Ok(Account::slow_mode(id, caller, if is_held { settings.slow_mode_s } else { 0 }))
    }
}
