//! What passes by, as the API sees it: receipts, and who is there.

use std::future::Future;

use ringside_types::{ChannelId, MessageId, UserId};

use super::{Page, PageRequest, ServiceError};
use crate::presence_view::PresenceView;

/// How far a member has come, as another may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptView {
    pub user_id: UserId,
    /// The last message that came to a device of theirs; `None`: none, or it is hidden.
    pub last_delivered_id: Option<MessageId>,
    /// The last message that they have read; `None`: none, or it is hidden.
    pub last_read_id: Option<MessageId>,
}

pub trait ReceiptService: Clone + Send + Sync + 'static {
    /// What each member of a channel has received and read, by user id; for members.
    fn receipts(
        &self,
        caller: UserId,
        channel: ChannelId,
        part: PageRequest,
    ) -> impl Future<Output = Result<Page<ReceiptView>, ServiceError>> + Send;
}

pub trait PresenceService: Clone + Send + Sync + 'static {
    /// Users as the caller sees them, in no order; those that there are not, are absent.
    fn presence(
        &self,
        caller: UserId,
        users: &[UserId],
    ) -> impl Future<Output = Result<Vec<PresenceView>, ServiceError>> + Send;
}
