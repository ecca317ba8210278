//! Amendments over REST: what can be refused is refused before the log has it, and the answer waits until it is done.

use std::collections::HashSet;

use ringside_application::charges;
use ringside_application::mentions::in_text;
use ringside_application::reading;
use ringside_application::service::{Amendment, FieldError, SendOutcome, ServiceError};
use ringside_domain::rows::{Key, MessageRow, Prefetch};
use ringside_ports::{ChannelReader, Log, MembershipReader, Presence, UserReader};
use ringside_types::limits::{MESSAGE_EMOJI_MAX, PINS_MAX};
use ringside_types::{MessageId, UserId};
use ringside_wire::amendment::Change;
use ringside_wire::records::{self, Command, command};

use crate::messages::{Applied, Messages};

impl<L, S, D, P> Messages<L, S, D, P>
where
    L: Log,
    S: ChannelReader,
    D: MembershipReader + UserReader,
    P: Presence,
{
    pub(crate) async fn amended(&self, caller: UserId, wish: Amendment) -> Result<SendOutcome, ServiceError> {
        let Amendment { client_id, channel_id, message_id, change } = wish;
        let access = self.access(caller, channel_id).await?;
        let (history_start, _) = reading::history_start(&self.store, channel_id, caller).await?;
        let row = self.visible(channel_id, message_id, history_start).await?;
        if row.is_deleted() && change == Change::Delete {
            return Ok(SendOutcome::Stored(row.into()));
        }
        if row.is_deleted() {
            return Err(ServiceError::NotFound("This message has been deleted.".into()));
        }
        let may = access.may_amend(&row, &change);
        let is_idle = may.is_ok() && self.is_so_already(caller, &row, &change).await?;
        let has_room = if is_idle { Ok(()) } else { self.has_room(&row, &change).await };
        let mentions = match &change {
            Change::Edit(text) => Some(in_text(&self.directory, channel_id, text).await?.to_record()),
            _ => None,
        };
        let record = records::Amend {
            channel_id: channel_id.as_bytes().to_vec().into(),
            sender_id: caller.as_bytes().to_vec().into(),
            client_id: client_id.as_bytes().to_vec().into(),
            message_id: message_id.0,
            sender: Some(self.profile(caller).await?),
            origin: None,
            mentions,
            change: Some(change.into_record()),
        };
        let key = Key::of_amend(&record).expect("the record is whole");
        // What was done is answered as it was then, whatever its limits say now.
        if is_idle || self.made_before(key).await?.is_some() {
            return Ok(SendOutcome::Stored(row.into()));
        }
        may?;
        has_room?;
        self.charge(charges::of_message(&self.limits, caller, channel_id, 0)).await?;
        let command =
            |origin| Command { body: Some(command::Body::Amend(records::Amend { origin, ..record })) };
        let applied = self.apply(channel_id, command).await;
        let row = self.visible(channel_id, message_id, history_start).await?;
        match applied {
            Ok(Applied::Made(_)) => Ok(SendOutcome::Stored(row.into())),
            // A deletion came first.
            _ if row.is_deleted() => Err(ServiceError::NotFound("This message has been deleted.".into())),
            Ok(Applied::Unknown) => Ok(SendOutcome::Received),
            Err(refused) => Err(refused),
        }
    }

    /// Whether the message takes one more emoji, or the channel one more pin. Of emoji the partition has the last word.
    async fn has_room(&self, row: &MessageRow, change: &Change<'_>) -> Result<(), ServiceError> {
        let channel = row.channel_id;
        match change {
            Change::React { emoji, removed: false } => {
                let reacted = vec![(channel, row.message_id, row.message_id)];
                let mut standing =
                    self.store.load(&Prefetch { reacted, ..Prefetch::default() }).await?.reactions;
                standing.retain(|row| row.to_id == MessageId::ZERO);
                let kinds: HashSet<&str> = standing.iter().map(|row| row.emoji.as_str()).collect();
                if kinds.len() >= MESSAGE_EMOJI_MAX && !kinds.contains(&**emoji) {
                    let full = format!(
                        "The message has {MESSAGE_EMOJI_MAX} different emoji, which are all it takes."
                    );
                    return Err(ServiceError::Invalid(vec![FieldError {
                        field: "emoji".into(),
                        message: full,
                    }]));
                }
            }
            Change::Pin(true) => {
                let pinned = vec![channel];
                let mut pins = self.store.load(&Prefetch { pinned, ..Prefetch::default() }).await?.pins;
                pins.retain(|row| row.to_id == MessageId::ZERO);
                if pins.len() < PINS_MAX {
                    return Ok(());
                }
                // A deleted message can't be unpinned, and takes no room.
                let records = pins.iter().map(|row| (channel, row.message_id)).collect();
                let pinned = self.store.load(&Prefetch { records, ..Prefetch::default() }).await?.messages;
                if pinned.iter().filter(|row| !row.is_deleted()).count() >= PINS_MAX {
                    let message =
                        format!("The channel has {PINS_MAX} pins, which are all it takes; unpin one first.");
                    return Err(ServiceError::Invalid(vec![FieldError {
                        field: "message_id".into(),
                        message,
                    }]));
                }
            }
            _ => {}
        }
        Ok(())
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
                let loaded = self.store.load(&Prefetch { reactions, ..Prefetch::default() }).await?;
                let stands =
                    loaded.reactions.iter().any(|row| row.user_id == caller && row.to_id == MessageId::ZERO);
                stands != *removed
            }
            Change::Pin(pinned) => {
                let pins = vec![(channel, message)];
                let loaded = self.store.load(&Prefetch { pins, ..Prefetch::default() }).await?;
                loaded.pins.iter().any(|row| row.to_id == MessageId::ZERO) == *pinned
            }
        })
    }
}
