//! A channel as its records in the log tell it, and what the Directory keeps of a former state.

use ringside_types::UserId;
use ringside_wire::records::{self, Membership, MembershipKind};

use super::{Channel, ChannelSettings, Role};

/// A member as a record tells them.
pub fn member_record(user: UserId, role: Role) -> records::Member {
    records::Member { user_id: user.as_bytes().to_vec().into(), role: role.name().to_owned() }
}

impl Channel {
    /// The channel as a record tells it.
    pub fn record(&self) -> records::Channel {
        let settings = self.settings;
        records::Channel {
            name: self.name.clone(),
            r#type: self.kind.name().to_owned(),
            creator_id: self.creator_id.as_bytes().to_vec().into(),
            description: self.description.clone(),
            created_at_ms: self.created_at.0,
            topic: self.topic.clone(),
            settings: Some(records::Settings {
                slow_mode_s: settings.slow_mode_s,
                admins_post: settings.admins_post,
                history_from_join: settings.history_from_join,
                closed: self.is_closed,
            }),
        }
    }

    /// A change of the channel, or of who is in it, as it goes to the log.
    pub fn change_record(
        &self,
        version: u64,
        actor: UserId,
        kind: MembershipKind,
        members: Vec<records::Member>,
    ) -> Membership {
        Membership {
            channel_id: self.id.as_bytes().to_vec().into(),
            version,
            actor_id: actor.as_bytes().to_vec().into(),
            kind: kind.into(),
            channel: Some(self.record()),
            members,
        }
    }

    /// The channel as it was before the change that made it what it is, by the record that was kept of it.
    #[must_use]
    pub fn as_before(self, former: records::Channel) -> Self {
        let settings = former.settings.unwrap_or_default();
        Self {
            name: former.name,
            description: former.description,
            topic: former.topic,
            settings: ChannelSettings {
                slow_mode_s: settings.slow_mode_s,
                admins_post: settings.admins_post,
                history_from_join: settings.history_from_join,
            },
            is_closed: settings.closed,
            // Older than the version that comes; which one is not kept, and nobody asks.
            version: self.version.saturating_sub(1),
            ..self
        }
    }
}
