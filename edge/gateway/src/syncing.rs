//! Pages: asked for one after the other, sent as `sync.page` or, where nobody asked, as events.

use ringside_domain::page::{ChannelPage, ChannelRead, ReadOutcome};
use ringside_domain::rows::{ChangeRow, MessageRow};
use ringside_domain::tally::Tally;
use ringside_domain::{edited_message, effective_of, effective_of_change};
use ringside_edge_protocol::{ReadRequest, ToNode};
use ringside_reactor::{ConnectionId, Io};
use ringside_session::cursor::{Cursor, PageEnd, Reading};
use ringside_session::reader::{Reader, Wish};
use ringside_types::{ChannelId, CloseCode, ErrorCode, MessageId, UserId};
use ringside_wire::InvalidRecord;
use ringside_wire::command::SyncChannel;
use ringside_wire::event::{ErrorPayload, Event, GoodbyeReason, SyncDone, SyncPage, SyncedChannel};
use ringside_wire::message::{Message, MessageReaction, Sender, metadata};
use ringside_wire::records::{Effective, Profile};

use crate::config::READ_BELOW_BYTES;
use crate::connection::{Client, Phase};
use crate::counters::add;
use crate::frames;
use crate::gateway::Gateway;

const NOT_A_MEMBER: &str = "You are not a member of this channel.";

impl Gateway {
    /// Lets a connection's reading go on: the next sync, the next pages, or `sync.done`.
    pub(crate) fn read(&mut self, io: &mut Io, connection: ConnectionId, client: &mut Client) {
        let Some(mut reader) = client.reader.take() else { return };
        if client.ending {
            return;
        }
        loop {
            if let Some(wish) = reader.poll_wish() {
                self.begin_sync(connection, client.user_id, &mut reader, wish);
            }
            let Some((frame_id, channels)) = reader.poll_done() else { break };
            self.answer(
                io,
                connection,
                frame_id.as_deref(),
                &Event::SyncDone(SyncDone { channels: &channels }),
            );
        }
        self.ask_pages(io, connection, client.user_id, &mut reader);
        if !reader.is_idle() {
            client.reader = Some(reader);
        }
    }

    /// The cursors of all channels of a sync stand at what the client has: from here on it gets pages of them, and no
    /// events.
    /// A channel that the shard does not know the user in may be one that was made a moment ago: the node is asked.
    fn begin_sync(&mut self, connection: ConnectionId, user: UserId, reader: &mut Reader, mut wish: Wish) {
        wish.channels.sort_by_key(|asked| asked.channel_id);
        wish.channels.dedup_by_key(|asked| asked.channel_id);
        let mut accepted: Vec<ChannelId> = Vec::with_capacity(wish.channels.len());
        let mut expected = Vec::new();
        for asked in &wish.channels {
            if !self.index.is_member(user, asked.channel_id) {
                expected.push(*asked);
                continue;
            }
            let Some(channel) = self.index.channel(asked.channel_id) else { continue };
            channel.set_cursor(connection, Cursor::Reading(reading_of(asked)));
            accepted.push(asked.channel_id);
        }
        reader.run(wish.frame_id, wish.limit, &accepted, expected);
    }

    /// Asks for as many pages as the budget allows; a client that has not taken what was sent waits.
    fn ask_pages(&mut self, io: &Io, connection: ConnectionId, user_id: UserId, reader: &mut Reader) {
        if io.queued_bytes(connection) > READ_BELOW_BYTES || self.outgoing.is_full() {
            return self.stalled.push(connection);
        }
        let mut channels = Vec::new();
        while let Some(channel_id) = reader.poll_read() {
            let cursor =
                self.index.channel(channel_id).and_then(|channel| channel.cursor(connection)).copied();
            let reading = match cursor {
                Some(Cursor::Reading(reading)) => Some(reading),
                _ => reader.expected(channel_id).as_ref().map(reading_of),
            };
            let Some(reading) = reading else {
                reader.answered();
                reader.dropped(channel_id);
                continue;
            };
            channels.push(ChannelRead {
                channel_id,
                after: reading.after,
                after_change: reading.after_change,
                limit: reader.limit(channel_id),
                reset_above: if reading.as_events { 0 } else { self.config.limits.sync_messages },
            });
        }
        if !channels.is_empty() {
            let (connection, pages_max) = (self.reference(connection), channels.len());
            self.outgoing.push(ToNode::Read(ReadRequest { connection, user_id, channels, pages_max }));
        }
    }

    /// Those that waited until the client took what was queued.
    pub(crate) fn read_on(&mut self, io: &mut Io) {
        for connection in std::mem::take(&mut self.stalled) {
            self.with_client(connection, |gateway, client| gateway.read(io, connection, client));
        }
    }

    /// Queues a channel to be read as events.
    pub(crate) fn read_later(&mut self, io: &mut Io, connection: ConnectionId, channel: ChannelId) {
        self.with_client(connection, |gateway, client| {
            client.reader.get_or_insert_default().read(channel);
            gateway.read(io, connection, client);
        });
    }

    /// A channel can't be read any more; a sync that asked for it is told.
    pub(crate) fn drop_read(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        channel: ChannelId,
        code: ErrorCode,
    ) {
        self.with_client(connection, |gateway, client| {
            let Some(reader) = &mut client.reader else { return };
            if let Some(id) = reader.asked_by(channel) {
                let payload = ErrorPayload {
                    code,
                    message: NOT_A_MEMBER,
                    retry_after_ms: None,
                    channel_id: Some(channel),
                };
                gateway.answer_error(io, connection, id, payload);
            }
            reader.dropped(channel);
            gateway.read(io, connection, client);
        });
    }

    fn with_client(&mut self, connection: ConnectionId, act: impl FnOnce(&mut Self, &mut Client)) {
        match self.table.take(connection) {
            Some(Phase::Open(mut open)) => {
                act(self, &mut open.client);
                self.table.put(connection, Phase::Open(open));
            }
            Some(other) => self.table.put(connection, other),
            None => {}
        }
    }

    /// Pages came.
    pub(crate) fn pages(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        pages: &[(ChannelRead, ReadOutcome)],
    ) {
        self.with_client(connection, |gateway, client| {
            let Some(reader) = &mut client.reader else { return };
            for (read, outcome) in pages {
                reader.answered();
                match outcome {
                    ReadOutcome::Page(page) => gateway.take_page(io, connection, reader, *read, page),
                    ReadOutcome::Deferred => reader.read_on(read.channel_id),
                }
            }
            gateway.read(io, connection, client);
        });
    }

    fn take_page(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        reader: &mut Reader,
        read: ChannelRead,
        page: &ChannelPage,
    ) {
        let ChannelRead { channel_id, after, after_change, .. } = read;
        let Some(channel) = self.index.channel(channel_id) else { return };
        let last = channel.last.unwrap_or(MessageId::ZERO);
        // The user left, or a later sync began anew elsewhere: its own page follows.
        let Some(Cursor::Reading(reading)) = channel.cursor(connection).copied() else { return };
        if reading.after != after || reading.after_change != after_change {
            return;
        }
        let mut cursor = Cursor::Reading(reading);
        cursor.page_sent(
            PageEnd {
                last_message: page.messages.last().map(|row| row.message_id),
                last_change: page.changes.last().map(|row| row.change),
                has_more: page.has_more,
                head: page.head.last_effective_id,
                head_change: page.head.last_change,
            },
            last,
        );
        channel.set_cursor(connection, cursor);
        self.write_page(io, connection, page, reading.as_events);
        match cursor {
            Cursor::Live { .. } => reader.finished(SyncedChannel {
                channel_id,
                last_message_id: page.head.last_message_id.non_zero(),
                last_seq: page.head.last_seq,
                last_change: page.head.last_change,
                unread_count: page.unread_count,
            }),
            Cursor::Reading(_) => reader.read_on(channel_id),
        }
    }

    fn write_page(&mut self, io: &mut Io, connection: ConnectionId, page: &ChannelPage, as_events: bool) {
        add(&self.counters.pages, 1);
        let Some(queue) = io.queue(connection) else { return };
        let written = if as_events {
            write_as_events(queue, &mut self.scratch, page)
        } else {
            write_sync_page(queue, &mut self.scratch, page)
        };
        if let Err(error) = written {
            tracing::error!(%error, channel = %page.head.channel_id, "a page can't be shown to a client");
        }
    }

    /// A page can't be had. A connection that can't be kept whole is let go: it syncs when it comes back.
    pub(crate) fn page_refused(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        channel: ChannelId,
        code: ErrorCode,
    ) {
        if let Some(reader) = self.table.client(connection).and_then(|client| client.reader.as_mut()) {
            reader.answered();
        }
        if code == ErrorCode::NotAMember {
            self.drop_read(io, connection, channel, code);
        } else {
            self.let_go_by_id(io, connection, GoodbyeReason::Overloaded, CloseCode::Overloaded);
        }
    }
}

/// Where a channel's reading begins, as a sync asks for it.
pub(crate) fn reading_of(asked: &SyncChannel) -> Reading {
    let after = asked.last_message_id.unwrap_or(MessageId::ZERO);
    Reading { after, after_change: asked.last_change, as_events: false }
}

fn write_sync_page(
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
    page: &ChannelPage,
) -> Result<(), InvalidRecord> {
    let channel_id = page.head.channel_id;
    let nobody = Profile::default();
    let messages: Vec<Message<'_>> = page
        .messages
        .iter()
        .map(|row| Message {
            message_id: row.message_id,
            seq: row.seq,
            client_id: row.client_id,
            channel_id,
            sender: Sender::from_record(row.sender_id, sender(page, row.sender_id).unwrap_or(&nobody)),
            content: row.content.as_str().into(),
            content_type: row.content_type,
            reply_to: row.reply_to.non_zero(),
            metadata: metadata(&row.metadata),
            created_at: row.message_id.time(),
            edited_at: row.edited_record.non_zero().map(MessageId::time),
            deleted: row.is_deleted(),
            reactions: reactions(page, row),
        })
        .collect();
    let rows: Vec<Effective> =
        page.changes.iter().map(|row| change_of(page, row)).collect::<Result<_, _>>()?;
    let mut changes = Vec::with_capacity(rows.len());
    for row in &rows {
        changes.extend(frames::change_events(channel_id, row, page.sees_above)?);
    }
    let (has_more, reset) = (page.has_more, page.reset);
    let page = SyncPage { channel_id, messages: &messages, changes, has_more, reset };
    frames::write(out, scratch, None, &Event::SyncPage(page));
    Ok(())
}

/// How reactions stand on a message; on a tombstone none are shown.
fn reactions<'a>(page: &'a ChannelPage, row: &MessageRow) -> Vec<MessageReaction<'a>> {
    let of_message =
        page.tallies.iter().filter(|tally| tally.message_id == row.message_id && !row.is_deleted());
    of_message
        .map(|Tally { emoji, count, users, is_own, .. }| MessageReaction {
            emoji,
            count: *count,
            users,
            me: *is_own,
        })
        .collect()
}

/// Messages and changes in the order of their records.
fn write_as_events(
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
    page: &ChannelPage,
) -> Result<(), InvalidRecord> {
    let messages = page.messages.iter().map(|row| effective_of(row, sender(page, row.sender_id).cloned()));
    let mut events: Vec<Effective> = messages.collect();
    for row in &page.changes {
        events.push(change_of(page, row)?);
    }
    events.sort_unstable_by_key(|event| event.id);
    for event in &events {
        frames::write_effective(out, scratch, page.head.channel_id, event, page.sees_above)?;
    }
    Ok(())
}

/// A change as an event: an edit says the message as it is.
fn change_of(page: &ChannelPage, row: &ChangeRow) -> Result<Effective, InvalidRecord> {
    let edited = edited_message(row)?;
    let message = edited.and_then(|id| page.edited.iter().find(|message| message.message_id == id));
    let profile = message.and_then(|message| sender(page, message.sender_id)).cloned();
    effective_of_change(row, message, profile)
}

fn sender(page: &ChannelPage, id: UserId) -> Option<&Profile> {
    page.senders.iter().find(|(of, _)| *of == id).map(|(_, profile)| profile)
}
