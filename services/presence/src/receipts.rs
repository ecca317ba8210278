//! The service's contract: what each member has received and read.

use ringside_application::authorize::channel_access;
use ringside_application::service::presence::{ReceiptService, ReceiptView};
use ringside_application::service::{Page, PageRequest, ServiceError};
use ringside_domain::rows::Prefetch;
use ringside_ports::people::relations::Relationships;
use ringside_ports::{ChannelReader, MembershipReader};
use ringside_types::authorization::Operation;
use ringside_types::{ChannelId, MessageId, UserId};

/// Receipts over a store and a Directory.
#[derive(Clone, Debug)]
pub struct Receipts<S, D> {
    store: S,
    directory: D,
}

impl<S: ChannelReader, D: MembershipReader + Relationships> Receipts<S, D> {
    pub fn new(store: S, directory: D) -> Self {
        Self { store, directory }
    }
}

impl<S: ChannelReader, D: MembershipReader + Relationships> ReceiptService for Receipts<S, D> {
    async fn receipts(
        &self,
        caller: UserId,
        channel: ChannelId,
        part: PageRequest,
    ) -> Result<Page<ReceiptView>, ServiceError> {
        channel_access(&self.directory, caller, channel, Operation::ListMembers).await?;
        let after = part.cursor.as_deref().map(str::parse::<UserId>).transpose();
        let after =
            after.map_err(|_| ServiceError::BadRequest("`cursor` is not from a former answer.".into()))?;
        let members = self.directory.members(channel, after, part.limit + 1).await?;
        let mut users: Vec<UserId> = members.iter().map(|member| member.user_id).collect();
        let has_more = users.len() > part.limit;
        users.truncate(part.limit);
        let next_cursor = users.last().filter(|_| has_more).map(ToString::to_string);
        let reads = users.iter().map(|user| (*user, channel)).collect();
        let loaded = self.store.load(&Prefetch { reads, ..Prefetch::default() }).await?;
        let relationships = self.directory.relationships(caller, &users).await?;
        let mut items = Vec::with_capacity(users.len());
        for (user_id, relationship) in users.into_iter().zip(relationships) {
            // Somebody who lets nobody see is listed like somebody who has read nothing.
            let sees =
                user_id == caller || relationship.is_some_and(|relationship| relationship.sees_receipts());
            let read = loaded.reads.iter().find(|row| sees && row.user_id == user_id);
            let delivered = loaded.delivered.iter().find(|row| sees && row.user_id == user_id);
            let last_read_id = read.map_or(MessageId::ZERO, |row| row.last_read_id);
            let last_delivered_id = delivered.map_or(MessageId::ZERO, |row| row.last_delivered_id);
            items.push(ReceiptView {
                user_id,
                last_delivered_id: last_delivered_id.max(last_read_id).non_zero(),
                last_read_id: last_read_id.non_zero(),
            });
        }
        Ok(Page { items, next_cursor })
    }
}
