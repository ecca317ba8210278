//! Memberships that begin and end while their users are connected.

use ringside_edge_protocol::Subscription;
use ringside_session::delivery::Delivery;
use ringside_session::frames;
use ringside_types::{ChannelId, MessageId, UserId};
use ringside_wire::records::Membership;

use crate::gateway::Gateway;
use crate::sockets::Sockets;

impl Gateway {
    /// A user who is connected became a member: every connection of theirs starts where the membership does.
    pub(crate) fn member_added(
        &mut self,
        io: &mut impl Sockets,
        user: UserId,
        subscription: Subscription,
        from_id: MessageId,
        change: u64,
        membership: &Membership,
    ) {
        let channel_id = subscription.channel_id;
        self.index.came_back(user, channel_id, from_id);
        if !self.index.join(user, subscription) {
            return;
        }
        self.queue_membership(io, user, channel_id, change, membership);
        // If the shard has not yet seen what is above the membership's own record, all of that comes live.
        let comes_live = self.index.last_record(channel_id).is_some_and(|last| last <= from_id);
        self.tell_user(io, user, || Delivery::Joined { channel_id, from_id, change, comes_live });
    }

    /// From here on not one more event of the channel goes to the user, but what became of their own words. What ended the
    /// membership, they are told once its number is known.
    pub(crate) fn member_removed(&mut self, io: &mut impl Sockets, user: UserId, channel_id: ChannelId) {
        if !self.index.leave(user, channel_id) {
            return;
        }
        self.index.hear_out(user, channel_id, io.now());
        self.tell_user(io, user, || Delivery::Left { channel_id });
    }

    /// What ended the memberships of these users.
    pub(crate) fn departed(
        &mut self,
        io: &mut impl Sockets,
        users: &[UserId],
        channel: ChannelId,
        change: u64,
        membership: &Membership,
    ) {
        for user in users {
            self.queue_membership(io, *user, channel, change, membership);
        }
    }

    fn queue_membership(
        &mut self,
        io: &mut impl Sockets,
        user: UserId,
        channel: ChannelId,
        change: u64,
        membership: &Membership,
    ) {
        match frames::membership_events(channel, membership, Some(user), change) {
            Ok(events) => {
                self.encoded.clear();
                for event in &events {
                    frames::write(&mut self.encoded, &mut self.scratch, None, event);
                }
                self.queue_encoded(io, user);
            }
            Err(error) => tracing::error!(%error, %channel, "a change of membership can't be shown"),
        }
    }
}
