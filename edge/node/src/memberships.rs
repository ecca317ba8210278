//! What `control` says of channels, members and sessions, and which shards are to be told.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringside_edge_protocol::{ShardId, Subscription, ToShard};
use ringside_types::{ChannelId, MessageId, SessionId, UserId};
use ringside_wire::records::{Departed, MemberAdded, Membership, MembershipKind, Revoked, control};
use ringside_wire::{InvalidRecord, channel_id, user_id};

use crate::chains::Chains;
use crate::deliveries::Deliveries;
use crate::doubts::Doubt;
use crate::policies::ChannelPolicies;
use crate::registry::{ChannelInterest, ConnectionRegistry};

/// What a record of `control` means for other parts of the node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Notice {
    /// The edge begins or ceases to listen to a channel for somebody.
    Interest(ChannelInterest),
    /// A partition tells of a member, who may not be here, or not yet.
    Added(Box<Doubt>),
    /// A member of whom a partition tells, and whom nobody has named: the backend is to be asked.
    Doubtful(Box<Doubt>),
    /// A channel has lost members.
    MembersLeft(ChannelId),
    /// A user's shards know now that they are a member of a channel.
    Told(UserId, ChannelId),
}

/// Takes in a record.
pub(crate) fn handle(
    body: control::Body,
    registry: &mut ConnectionRegistry,
    policies: &mut ChannelPolicies,
    chains: &Chains,
    deliveries: &mut Deliveries,
) -> Result<Vec<Notice>, InvalidRecord> {
    match body {
        control::Body::Membership(change) => changed(&change, registry, policies, deliveries),
        control::Body::MemberAdded(added) => member_added(&added, registry, chains, deliveries),
        control::Body::Departed(departed) => self::departed(departed, registry, deliveries),
        control::Body::Revoked(revoked) => self::revoked(&revoked, registry, deliveries),
        _ => Ok(Vec::new()),
    }
}

/// A change from the Directory's outbox: a removal is in force at once, an addition lets the edge listen early.
fn changed(
    change: &Membership,
    registry: &mut ConnectionRegistry,
    policies: &mut ChannelPolicies,
    deliveries: &mut Deliveries,
) -> Result<Vec<Notice>, InvalidRecord> {
    let channel_id = channel_id(&change.channel_id)?;
    let users = match change.kind() {
        MembershipKind::Created | MembershipKind::Added | MembershipKind::Removed => members_of(change)?,
        MembershipKind::Deleted => registry.of_channel(channel_id, None),
        MembershipKind::Updated | MembershipKind::Closed => {
            policies.change(channel_id, change);
            return Ok(Vec::new());
        }
        MembershipKind::Role => return Ok(Vec::new()),
    };
    let is_removal = matches!(change.kind(), MembershipKind::Removed | MembershipKind::Deleted);
    let mut notices: Vec<Notice> =
        is_removal.then_some(Notice::MembersLeft(channel_id)).into_iter().collect();
    for user_id in users {
        let Some(interest) = registry.change(user_id, channel_id, change.version, !is_removal) else {
            continue;
        };
        notices.push(Notice::Interest(interest));
        if is_removal {
            for shard in registry.shards_of(user_id) {
                deliveries.send(shard, ToShard::MemberRemoved { user_id, channel_id });
            }
        }
    }
    Ok(notices)
}

fn members_of(change: &Membership) -> Result<Vec<UserId>, InvalidRecord> {
    change.members.iter().map(|member| user_id(&member.user_id)).collect()
}

/// A partition's word that memberships ended as of a record: those who are here and not members again are told.
fn departed(
    departed: Departed,
    registry: &mut ConnectionRegistry,
    deliveries: &mut Deliveries,
) -> Result<Vec<Notice>, InvalidRecord> {
    let channel_id = channel_id(&departed.channel_id)?;
    let change = departed.membership.ok_or(InvalidRecord::Field("membership"))?;
    let users = match change.kind() {
        MembershipKind::Deleted => registry.of_channel(channel_id, Some(change.version)),
        _ => members_of(&change)?,
    };
    let version = change.version;
    let membership = Arc::new(change);
    let mut per_shard: BTreeMap<u16, Vec<UserId>> = BTreeMap::new();
    for user in users {
        if registry.tell_departed(user, channel_id, version) {
            for shard in registry.shards_of(user) {
                per_shard.entry(shard.0).or_default().push(user);
            }
        }
    }
    for (shard, users) in per_shard {
        let (membership, change) = (membership.clone(), departed.change);
        deliveries.send(ShardId(shard), ToShard::Departed { users, channel_id, change, membership });
    }
    Ok(Vec::new())
}

/// A partition's word that users are members as of a record: from there on the channel is theirs.
fn member_added(
    added: &MemberAdded,
    registry: &mut ConnectionRegistry,
    chains: &Chains,
    deliveries: &mut Deliveries,
) -> Result<Vec<Notice>, InvalidRecord> {
    let channel_id = channel_id(&added.channel_id)?;
    let Some(change) = &added.membership else { return Err(InvalidRecord::Field("membership")) };
    let mut notices = Vec::new();
    let of_nobody = Membership { members: Vec::new(), ..change.clone() };
    for (user_id, member) in members_of(change)?.into_iter().zip(&change.members) {
        let membership = Membership { members: vec![member.clone()], ..of_nobody.clone() };
        let alone = MemberAdded { membership: Some(membership), ..added.clone() };
        let addition = Doubt { user_id, channel_id, added: alone, answers: 0 };
        notices.push(Notice::Added(Box::new(addition.clone())));
        match registry.is_member(user_id, channel_id) {
            Some(true) => tell_added(user_id, channel_id, added, registry, chains, deliveries, &mut notices),
            // Nobody has named them: it may be of long ago.
            _ if registry.would_change(user_id, channel_id, change.version) => {
                notices.push(Notice::Doubtful(Box::new(addition)));
            }
            // Not here, or a later version has been seen.
            _ => {}
        }
    }
    Ok(notices)
}

/// The backend knows a member of whom a partition has told.
pub(crate) fn confirmed(
    doubt: &Doubt,
    registry: &mut ConnectionRegistry,
    chains: &Chains,
    deliveries: &mut Deliveries,
) -> Vec<Notice> {
    let Doubt { user_id, channel_id, added, .. } = doubt;
    let version = added.membership.as_ref().map_or(0, |membership| membership.version);
    let interest = registry.change(*user_id, *channel_id, version, true);
    let mut notices: Vec<Notice> = interest.map(Notice::Interest).into_iter().collect();
    if registry.is_member(*user_id, *channel_id) == Some(true) {
        tell_added(*user_id, *channel_id, added, registry, chains, deliveries, &mut notices);
    }
    notices
}

/// Tells a member's shards from where on the channel is theirs.
fn tell_added(
    user_id: UserId,
    channel_id: ChannelId,
    added: &MemberAdded,
    registry: &mut ConnectionRegistry,
    chains: &Chains,
    deliveries: &mut Deliveries,
    notices: &mut Vec<Notice>,
) {
    let Some(change) = &added.membership else { return };
    let interest = registry.change(user_id, channel_id, change.version, true);
    notices.extend(interest.map(Notice::Interest));
    let membership = Arc::new(change.clone());
    let sees_above = MessageId(added.sees_above);
    let (last, waiting) = (chains.last(channel_id), MessageId::ZERO);
    let subscription = Subscription { channel_id, last, sees_above, waiting };
    registry.hide(user_id, channel_id, sees_above);
    registry.tell(user_id, channel_id);
    for shard in registry.shards_of(user_id) {
        let (from_id, membership) = (MessageId(added.from_id), membership.clone());
        let change = added.change;
        deliveries.send(shard, ToShard::MemberAdded { user_id, subscription, from_id, change, membership });
    }
    notices.push(Notice::Told(user_id, channel_id));
}

fn revoked(
    revoked: &Revoked,
    registry: &mut ConnectionRegistry,
    deliveries: &mut Deliveries,
) -> Result<Vec<Notice>, InvalidRecord> {
    let user_id = user_id(&revoked.user_id)?;
    let session_id = SessionId::from_slice(&revoked.session_id);
    if session_id.is_none() && !revoked.session_id.is_empty() {
        return Err(InvalidRecord::Field("session_id"));
    }
    registry.revoke(user_id, session_id);
    for shard in registry.shards_of(user_id) {
        deliveries.send(shard, ToShard::SessionEnded { user_id, session_id });
    }
    Ok(Vec::new())
}
