//! What the log says, and whom it concerns.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringside_clock::now;
use ringside_domain::feed::{GapRange, Output};
use ringside_domain::seat::SeatChange;
use ringside_edge_protocol::{ChannelEvent, ShardId, Subscription, ToShard};
use ringside_ports::log::Record;
use ringside_ports::{Log, MessageStore, Presence};
use ringside_types::{ChannelId, Epoch, MessageId, SessionId, Slot, UserId};
use ringside_wire::records::{
    Control, Departed, EdgeBatch, EdgeItem, Effective, MemberAdded, Membership, MembershipKind, Revoked,
    control, edge_item, effective,
};
use ringside_wire::{InvalidRecord, channel_id, user_id};

use crate::config::EVENTS_BATCH_MAX;
use crate::counters::add;
use crate::presence::EdgeDirectory;
use crate::runner::Node;
use crate::work;

impl<L, S, D, P> Node<L, S, D, P>
where
    L: Log,
    S: MessageStore,
    D: EdgeDirectory,
    P: Presence,
{
    /// Records of this edge's slot, in order.
    pub(crate) fn receive(&mut self, records: Vec<Record>) {
        let mut out = Vec::new();
        let now = now();
        for record in records {
            let offset = record.offset;
            self.counters.receive_seconds.record(now.since(record.time).saturating_mul(1_000), 1);
            let batch: EdgeBatch = match ringside_wire::decode(record.payload) {
                Ok(batch) => batch,
                Err(error) => {
                    tracing::error!(%error, %offset, "a record to this edge can't be read; the chain will show what it held");
                    continue;
                }
            };
            if batch.epoch != self.epoch.0 {
                continue;
            }
            for item in batch.items {
                if let Err(error) = self.item(item, &mut out) {
                    tracing::error!(%error, %offset, "an event to this edge can't be read; the chain will show it");
                }
            }
        }
        self.hand_on(out);
    }

    fn item(&mut self, item: EdgeItem, out: &mut Vec<Output>) -> Result<(), InvalidRecord> {
        let channel = channel_id(&item.channel_id)?;
        match item.body {
            Some(edge_item::Body::Effective(event)) => self.feed.handle_event(channel, event, out),
            Some(edge_item::Body::Join(answer)) => self.feed.handle_answer(channel, &answer, out),
            Some(edge_item::Body::Rejection(rejection)) => {
                let sender = user_id(&rejection.sender_id)?;
                for shard in self.roster.shards_of(sender) {
                    let rejection = rejection.clone();
                    self.outbox.send(shard, ToShard::Rejected { user_id: sender, rejection });
                }
            }
            Some(edge_item::Body::Status(status)) => self.status(channel, &status)?,
            Some(edge_item::Body::Typing(sign)) => {
                self.typing(channel, user_id(&sign.user_id)?, sign.stopped);
            }
            None => return Err(InvalidRecord::Field("body")),
        }
        Ok(())
    }

    pub(crate) fn gap_read(&mut self, range: GapRange, found: Vec<Effective>) {
        let mut out = Vec::new();
        self.feed.handle_gap(range, found, &mut out);
        self.hand_on(out);
    }

    /// Hands what the feed lets through to all shards: the same events, shared. Order within a channel is kept.
    fn hand_on(&mut self, out: Vec<Output>) {
        let mut events: Vec<ChannelEvent> = Vec::new();
        for output in out {
            match output {
                Output::Deliver(channel_id, effective) => {
                    self.note_message(channel_id, &effective);
                    events.push(ChannelEvent { channel_id, effective });
                    if events.len() >= EVENTS_BATCH_MAX {
                        self.hand_on_events(&mut events);
                    }
                }
                Output::Live { channel_id, last } => {
                    self.hand_on_events(&mut events);
                    self.outbox.send_to_all(|| ToShard::Live { channel_id, last });
                    self.channel_is_live(channel_id);
                }
                Output::ReadGap(range) => {
                    add(&self.counters.gaps, 1);
                    self.work.push(Box::pin(work::gap(self.engines.clone(), range)));
                }
            }
        }
        self.hand_on_events(&mut events);
    }

    fn note_message(&mut self, channel: ChannelId, effective: &Effective) {
        if let Some(effective::Event::Message(new)) = &effective.event
            && let Ok(sender) = user_id(&new.sender_id)
        {
            self.passing.message(channel, MessageId(effective.id), effective.seq, sender);
        }
    }

    fn hand_on_events(&mut self, events: &mut Vec<ChannelEvent>) {
        if events.is_empty() {
            return;
        }
        add(&self.counters.events, events.len());
        // A gap may be read while the fence is closed: a shard that gets it late closes its connections, and nothing
        // is lost for the clients, who sync.
        let valid_until = self.seat.fence().unwrap_or_default();
        let events: Arc<[ChannelEvent]> = std::mem::take(events).into();
        self.outbox.send_to_all(|| ToShard::Events { valid_until, events: events.clone() });
    }

    /// Records of `control`, in order.
    pub(crate) fn control(&mut self, records: Vec<Record>) -> Option<SeatChange> {
        for record in records {
            let (offset, time) = (record.offset, record.time);
            let body = ringside_wire::decode::<Control>(record.payload).map(|control| control.body);
            let Ok(Some(body)) = body else {
                tracing::error!(%offset, "a control record can't be read by this version; it is passed over");
                continue;
            };
            if self.seat.handle_control(offset, time, &body) == Some(SeatChange::Lost) {
                return Some(SeatChange::Lost);
            }
            let handled = match body {
                control::Body::Membership(change) => self.membership(&change),
                control::Body::MemberAdded(added) => self.member_added(&added),
                control::Body::Departed(departed) => self.departed(departed),
                control::Body::Revoked(revoked) => self.revoked(&revoked),
                control::Body::Claim(claim) => {
                    if let Ok(slot) = u16::try_from(claim.slot) {
                        self.tenure_began(Slot(slot), Epoch(offset.0));
                    }
                    Ok(())
                }
                control::Body::Tick(_) => Ok(()),
            };
            if let Err(error) = handled {
                tracing::error!(%error, %offset, "a control record is malformed; it is passed over");
            }
        }
        None
    }

    /// A change from the Directory's outbox: a removal is in force at once, an addition lets the edge listen early.
    fn membership(&mut self, change: &Membership) -> Result<(), InvalidRecord> {
        let channel = channel_id(&change.channel_id)?;
        let users = match change.kind() {
            MembershipKind::Created | MembershipKind::Added | MembershipKind::Removed => {
                let members = change.members.iter();
                members.map(|member| user_id(&member.user_id)).collect::<Result<_, _>>()?
            }
            MembershipKind::Deleted => self.roster.of_channel(channel, None),
            MembershipKind::Updated | MembershipKind::Closed => {
                self.standards.change(channel, change);
                return Ok(());
            }
            MembershipKind::Role => return Ok(()),
        };
        let removed = matches!(change.kind(), MembershipKind::Removed | MembershipKind::Deleted);
        for user in users {
            let listen = self.roster.change(user, channel, change.version, !removed);
            let Some(listen) = listen else { continue };
            self.listen(&[listen]);
            if removed {
                for shard in self.roster.shards_of(user) {
                    self.outbox.send(shard, ToShard::MemberRemoved { user_id: user, channel_id: channel });
                }
            }
        }
        Ok(())
    }

    /// A partition's word that memberships ended as of a record: those who are here and not members again are told.
    fn departed(&mut self, departed: Departed) -> Result<(), InvalidRecord> {
        let channel_id = channel_id(&departed.channel_id)?;
        let change = departed.membership.ok_or(InvalidRecord::Field("membership"))?;
        let users = match change.kind() {
            MembershipKind::Deleted => self.roster.of_channel(channel_id, Some(change.version)),
            _ => change.members.iter().map(|member| user_id(&member.user_id)).collect::<Result<_, _>>()?,
        };
        let version = change.version;
        let membership = Arc::new(change);
        let mut per_shard: BTreeMap<u16, Vec<UserId>> = BTreeMap::new();
        for user in users {
            if self.roster.tell_departed(user, channel_id, version) {
                for shard in self.roster.shards_of(user) {
                    per_shard.entry(shard.0).or_default().push(user);
                }
            }
        }
        for (shard, users) in per_shard {
            let (membership, change) = (membership.clone(), departed.change);
            self.outbox.send(ShardId(shard), ToShard::Departed { users, channel_id, change, membership });
        }
        Ok(())
    }

    /// A partition's word that users are members as of a record: from there on the channel is theirs.
    fn member_added(&mut self, added: &MemberAdded) -> Result<(), InvalidRecord> {
        let channel = channel_id(&added.channel_id)?;
        let Some(change) = &added.membership else { return Err(InvalidRecord::Field("membership")) };
        let membership = Arc::new(change.clone());
        for member in &change.members {
            let user = user_id(&member.user_id)?;
            if let Some(listen) = self.roster.change(user, channel, change.version, true) {
                self.listen(&[listen]);
            }
            // Not a member any more: a later version has been seen.
            if self.roster.is_member(user, channel) != Some(true) {
                continue;
            }
            self.tell_added(user, channel, added, &membership);
        }
        Ok(())
    }

    fn tell_added(
        &mut self,
        user_id: UserId,
        channel_id: ChannelId,
        added: &MemberAdded,
        membership: &Arc<Membership>,
    ) {
        let sees_above = MessageId(added.sees_above);
        let subscription = Subscription { channel_id, last: self.feed.last(channel_id), sees_above };
        self.roster.hide(user_id, channel_id, sees_above);
        self.roster.tell(user_id, channel_id);
        for shard in self.roster.shards_of(user_id) {
            let delivery = ToShard::MemberAdded {
                user_id,
                subscription,
                from_id: MessageId(added.from_id),
                change: added.change,
                membership: membership.clone(),
            };
            self.outbox.send(shard, delivery);
        }
        self.member_is_told(user_id, channel_id);
    }

    fn revoked(&mut self, revoked: &Revoked) -> Result<(), InvalidRecord> {
        let user = user_id(&revoked.user_id)?;
        let session_id = SessionId::from_slice(&revoked.session_id);
        if session_id.is_none() && !revoked.session_id.is_empty() {
            return Err(InvalidRecord::Field("session_id"));
        }
        self.roster.revoke(user, session_id);
        for shard in self.roster.shards_of(user) {
            self.outbox.send(shard, ToShard::SessionEnded { user_id: user, session_id });
        }
        Ok(())
    }
}
