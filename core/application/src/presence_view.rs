//! Who is there, as others may see it: put together from Presence and the Directory, the same way for the edges and the
//! API.

use ringside_types::{PartitionId, Topic, UnixMillis, UserId};
use ringside_wire::records::PresenceChanged;
use serde::{Deserialize, Serialize};

use ringside_ports::EngineError;
use ringside_ports::log::{Append, Log};
use ringside_ports::people::privacy::Privacy;
use ringside_ports::people::profiles::{Profile, Profiles};
use ringside_ports::people::relations::{Relationship, Relationships};
use ringside_ports::presence::{Presence, Status};

/// A user's presence, as one other sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PresenceView {
    pub user_id: UserId,
    /// What their connections come to.
    pub status: Status,
    /// What they say of themselves; empty: nothing.
    pub status_message: String,
    /// Until when they say so; `None`: for good.
    pub says_until: Option<UnixMillis>,
    /// When they were last there.
    pub last_seen_at: Option<UnixMillis>,
}

/// What is known of a user before anybody's rights are asked.
struct Known {
    profile: Profile,
    status: Status,
}

impl Known {
    /// Whoever may not know of the presence sees somebody who is not there.
    fn seen(&self, sees: impl Fn(fn(&Relationship) -> bool) -> bool, now: UnixMillis) -> PresenceView {
        let Profile { user, status_message, status_expires_at, last_seen_at, .. } = &self.profile;
        let says =
            sees(Relationship::sees_status_message) && status_expires_at.is_none_or(|until| until > now);
        PresenceView {
            user_id: user.id,
            status: if sees(Relationship::sees_presence) { self.status } else { Status::Offline },
            status_message: if says { status_message.clone() } else { String::new() },
            says_until: status_expires_at.filter(|_| says),
            last_seen_at: last_seen_at.filter(|_| sees(Relationship::sees_last_seen)),
        }
    }
}

async fn known<P: Presence, D: Profiles>(
    presence: &P,
    directory: &D,
    users: &[UserId],
) -> Result<Vec<Known>, EngineError> {
    let mut profiles = directory.profiles(users).await?;
    profiles.retain(|profile| profile.erased_at.is_none());
    let ids: Vec<UserId> = profiles.iter().map(|profile| profile.user.id).collect();
    let statuses = presence.statuses(&ids).await?;
    Ok(profiles.into_iter().zip(statuses).map(|(profile, status)| Known { profile, status }).collect())
}

/// Tells the edges that these users may be seen otherwise now, or want to be notified otherwise.
pub async fn announce<L: Log>(log: &L, users: &[UserId]) -> Result<(), EngineError> {
    let user_ids = users.iter().map(|user| user.as_bytes().to_vec().into()).collect();
    let payload = ringside_wire::encode(&PresenceChanged { user_ids });
    log.append(vec![Append { topic: Topic::Presence, partition: PartitionId(0), payload }]).await.map(drop)
}

/// Users as one viewer sees them, in no order; those that there are not, are absent.
pub async fn seen_by<P: Presence, D: Profiles + Relationships>(
    presence: &P,
    directory: &D,
    viewer: UserId,
    users: &[UserId],
    now: UnixMillis,
) -> Result<Vec<PresenceView>, EngineError> {
    let known = known(presence, directory, users).await?;
    let ids: Vec<UserId> = known.iter().map(|one| one.profile.user.id).collect();
    let relationships = directory.relationships(viewer, &ids).await?;
    let views = known.iter().zip(relationships).map(|(one, relationship)| {
        let own = one.profile.user.id == viewer;
        let sees = |may: fn(&Relationship) -> bool| own || relationship.as_ref().is_some_and(may);
        one.seen(sees, now)
    });
    Ok(views.collect())
}

/// One user as each of these viewers sees them, in their order. One that there is no more is not there for anybody.
///
/// Blocks and contacts are the same from both sides, so one question from the user's side answers for all viewers.
pub async fn seen_by_each<P: Presence, D: Profiles + Relationships>(
    presence: &P,
    directory: &D,
    user: UserId,
    viewers: &[UserId],
    now: UnixMillis,
) -> Result<Vec<PresenceView>, EngineError> {
    let Some(one) = known(presence, directory, &[user]).await?.pop() else {
        return Ok(vec![gone(user); viewers.len()]);
    };
    let privacy = Privacy::of(&one.profile.settings);
    let relationships = directory.relationships(user, viewers).await?;
    let views = viewers.iter().zip(relationships).map(|(viewer, relationship)| {
        // As the viewer stands with the user: the same but for whose settings count.
        let relationship = relationship.map(|relationship| Relationship { privacy, ..relationship });
        let sees = |may: fn(&Relationship) -> bool| *viewer == user || relationship.as_ref().is_some_and(may);
        one.seen(sees, now)
    });
    Ok(views.collect())
}

fn gone(user_id: UserId) -> PresenceView {
    let (status, status_message) = (Status::Offline, String::new());
    PresenceView { user_id, status, status_message, says_until: None, last_seen_at: None }
}
