//! What a command costs its sender, and its channel.

use ringside_ports::presence::{Account, Charge, Rate};
use ringside_types::{ChannelId, Limits, UserId};

/// What one message, or one change of a message, costs: a token of the sender's and one of the channel's, and the wait
/// that slow mode asks for (in seconds; 0: none). They are taken together or not at all.
pub fn of_message(limits: &Limits, user: UserId, channel: ChannelId, slow_mode_s: u32) -> Vec<Charge> {
    let user_rate =
        Rate { per_minute: limits.messages_per_second.saturating_mul(60), burst: limits.messages_burst };
    let channel_rate =
        Rate { per_minute: limits.channel_messages_per_minute, burst: limits.channel_messages_per_minute };
    let mut charges = vec![
        Charge::one(Account::UserMessages(user), user_rate),
        Charge::one(Account::ChannelMessages(channel), channel_rate),
    ];
    if slow_mode_s > 0 {
        charges.push(Account::slow_mode(channel, user, slow_mode_s));
    }
    charges
}

/// Whether a message without slow mode costs nothing at all.
pub fn is_message_free(limits: &Limits) -> bool {
    limits.messages_per_second == 0 && limits.channel_messages_per_minute == 0
}
