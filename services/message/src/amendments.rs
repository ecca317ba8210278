//! Amendments over REST: what can be refused is refused before the log has it, and the answer waits until it is done.

use ringside_domain::rows::{Key, MessageRow, Wanted};
use ringside_ports::reading;
use ringside_ports::service::{Amendment, Sent, ServiceError};
use ringside_ports::{Accounts, Channels, Log, MessageStore, Presence};
use ringside_types::{MessageId, UserId};
use ringside_wire::amendment::Change;
use ringside_wire::records::{self, Command, command};

use crate::messages::Messages;

impl<L, S, D, P> Messages<L, S, D, P>
where
    L: Log,
    S: MessageStore,
    D: Channels + Accounts,
    P: Presence,
{
    pub(crate) async fn amended(&self, caller: UserId, wish: Amendment) -> Result<Sent, ServiceError> {
        let Amendment { client_id, channel_id, message_id, change } = wish;
        let standing = self.standing(caller, channel_id).await?;
        let (horizon, _) = reading::horizon(&self.store, channel_id, caller).await?;
        let row = self.visible(channel_id, message_id, horizon).await?;
        if row.is_deleted() && change == Change::Delete {
            return Ok(Sent::Stored(row));
        }
        if row.is_deleted() {
            return Err(ServiceError::NotFound("This message has been deleted.".into()));
        }
        let may = standing.may_amend(&row, &change);
        let is_idle = may.is_ok() && self.is_so_already(caller, &row, &change).await?;
        let record = records::Amend {
            channel_id: channel_id.as_bytes().to_vec().into(),
            sender_id: caller.as_bytes().to_vec().into(),
            client_id: client_id.as_bytes().to_vec().into(),
            message_id: message_id.0,
            sender: Some(self.profile(caller).await?),
            origin: None,
            change: Some(change.into_record()),
        };
        let key = Key::of_amend(&record).expect("the record is whole");
        // What was done is answered as it was then, whatever its limits say now.
        if is_idle || self.made_before(key).await?.is_some() {
            return Ok(Sent::Stored(row));
        }
        may?;
        self.charge(caller, channel_id).await?;
        self.append(channel_id, Command { body: Some(command::Body::Amend(record)) }).await?;
        let made = self.made(key).await?;
        let row = self.visible(channel_id, message_id, horizon).await?;
        match made {
            Some(_) => Ok(Sent::Stored(row)),
            // A deletion came first.
            None if row.is_deleted() => Err(ServiceError::NotFound("This message has been deleted.".into())),
            None => Ok(Sent::Received),
        }
    }

    /// Whether a reaction or pin stands (or doesn't) as it is asked for: then nothing would be made.
    async fn is_so_already(
        &self,
        caller: UserId,
        row: &MessageRow,
        change: &Change<'_>,
    ) -> Result<bool, ServiceError> {
        let (channel, message) = (row.channel_id, row.message_id);
        Ok(match change {
            Change::Edit(_) | Change::Delete => false,
            Change::React { emoji, removed } => {
                let reactions = vec![(channel, message, emoji.to_string())];
                let loaded = self.store.load(&Wanted { reactions, ..Wanted::default() }).await?;
                let stands =
                    loaded.reactions.iter().any(|row| row.user_id == caller && row.to_id == MessageId::ZERO);
                stands != *removed
            }
            Change::Pin(pinned) => {
                let pins = vec![(channel, message)];
                let loaded = self.store.load(&Wanted { pins, ..Wanted::default() }).await?;
                loaded.pins.iter().any(|row| row.to_id == MessageId::ZERO) == *pinned
            }
        })
    }
}
