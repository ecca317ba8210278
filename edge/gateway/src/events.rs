//! Fan-out: an event of a channel goes to every connection of every member that takes it.

use ringside_clock::boot_time;
use ringside_edge_protocol::ChannelEvent;
use ringside_reactor::ConnectionId;
use ringside_session::frames::{self, Departing};
use ringside_types::{BootTime, MessageId};

use crate::counters::add;
use crate::gateway::Gateway;
use crate::sockets::Sockets;

impl Gateway {
    /// Events of channels: encoded once, queued to every connection of every member; once more for those from whom the
    /// message is hidden.
    pub(crate) fn events(&mut self, io: &mut impl Sockets, valid_until: BootTime, events: &[ChannelEvent]) {
        if boot_time() >= valid_until {
            return self.fenced(io);
        }
        let (time, now) = (self.time(io), io.now());
        for ChannelEvent { channel_id, effective } in events {
            let Self { index, encoded, scratch, counters, .. } = self;
            let id = MessageId(effective.id);
            encoded.clear();
            let mut hidden = Vec::new();
            let mut failed = None;
            let mut deliveries = 0;
            let mut deliver = |connection: ConnectionId, is_hidden: bool| {
                let (encoded, sees_above) = match is_hidden {
                    true => (&mut hidden, MessageId::MAX),
                    false => (&mut *encoded, MessageId::ZERO),
                };
                if encoded.is_empty() && failed.is_none() {
                    failed =
                        frames::write_effective(encoded, scratch, *channel_id, effective, sees_above).err();
                }
                if let Some(queue) = io.queue(connection) {
                    queue.extend_from_slice(encoded);
                    deliveries += 1;
                }
            };
            let skipped = match frames::departing(effective) {
                Departing::Nobody => Some(Vec::new()),
                Departing::These(users) => {
                    Some(users.iter().flat_map(|user| index.connections(*user)).copied().collect())
                }
                Departing::Everyone => None,
            };
            // Acknowledged before their membership ended: whoever said it is told, and who was told as a member is not twice.
            let mut own = frames::author(effective)
                .map_or_else(Vec::new, |author| index.heard_out(author, *channel_id, id, now).to_vec());
            let tells_of = frames::tells_of(effective);
            let is_news = index.fan_out(*channel_id, id, tells_of, |connection, is_hidden| {
                own.retain(|one| *one != connection);
                if skipped.as_ref().is_some_and(|skipped| !skipped.contains(&connection)) {
                    deliver(connection, is_hidden);
                }
            });
            if is_news || index.channel(*channel_id).is_none() {
                own.into_iter().for_each(|connection| deliver(connection, false));
            }
            if let Some(error) = failed {
                tracing::error!(%error, channel = %channel_id, id = effective.id, "an event can't be shown to clients");
            }
            add(&counters.events, 1);
            add(&counters.deliveries, deliveries);
            // An id begins with the time at which the log took its record.
            let age_ms = time.since(id.time());
            counters.delivery_seconds.record(age_ms.saturating_mul(1_000), deliveries);
            if is_news {
                self.notify(io, *channel_id, effective);
            }
        }
    }
}
