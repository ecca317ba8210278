//! What a caller is in a channel, and what they may do there, by the one table.

use ringside_application::policy::ChannelPolicy;
use ringside_application::service::ServiceError;
use ringside_application::{authorize, reading};
use ringside_domain::rows::MessageRow;
use ringside_ports::channels::{Channel, Member};
use ringside_ports::{ChannelReader, Log, MembershipReader, Presence, UserReader};
use ringside_types::authorization::{Operation, allowed};
use ringside_types::{ChannelId, MessageId, UserId};
use ringside_wire::amendment::Change;

use crate::messages::Messages;

/// A member, in a channel that there is.
pub(crate) struct Access {
    channel: Channel,
    member: Member,
}

impl Access {
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
    S: ChannelReader,
    D: MembershipReader + UserReader,
    P: Presence,
{
    /// The caller in a channel. Whether there is no such channel or they may not know of it is one answer.
    pub(crate) async fn access(&self, caller: UserId, id: ChannelId) -> Result<Access, ServiceError> {
        let reading = authorize::channel_access(&self.directory, caller, id, Operation::ReadMessages);
        let (channel, member) = reading.await?;
        Ok(Access { channel, member: member.ok_or(ServiceError::NotAMember)? })
    }

    /// A reader of a channel: returns where their view of it begins.
    pub(crate) async fn admit_reader(
        &self,
        caller: UserId,
        channel: ChannelId,
    ) -> Result<MessageId, ServiceError> {
        self.access(caller, channel).await?.may(Operation::ReadMessages)?;
        Ok(reading::history_start(&self.store, channel, caller).await?.0)
    }

    /// A sender of a message, by the channel's policy; returns the seconds that slow mode asks of them.
    pub(crate) async fn admit_sender(&self, caller: UserId, id: ChannelId) -> Result<u32, ServiceError> {
        let Access { channel, member } = self.access(caller, id).await?;
        let decision = ChannelPolicy::from(&channel).decide(Operation::Send, member.role);
        decision.map_err(|(operation, refusal)| authorize::refused(operation, refusal))
    }
}
