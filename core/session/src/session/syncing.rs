//! Reading what was missed: pages, asked for in batches and sent as `sync.page` or, where no sync asked, as events.

use ringside_domain::page::{ChannelPage, ChannelRead, ReadOutcome};
use ringside_types::{ChannelId, CloseCode, ErrorCode, MessageId};
use ringside_wire::event::{ErrorPayload, Event, GoodbyeReason, SyncDone, SyncedChannel};

use super::Client;
use crate::context::Context;
use crate::cursor::{Cursor, PageEnd, Reading};
use crate::frames::pages;
use crate::limits::READ_BELOW_BYTES;
use crate::output::Output;
use crate::reader::{Parts, Reader};

const NOT_A_MEMBER: &str = "You are not a member of this channel.";

impl Client {
    /// Goes on with reading: the next sync, the next parts, or `sync.done`.
    pub(super) fn read(&mut self, context: &mut Context<'_>) {
        let Some(mut reader) = self.reader.take() else { return };
        if self.is_closing {
            return;
        }
        loop {
            self.begin_sync(&mut reader, context);
            let Some((frame_id, channels)) = reader.poll_done() else { break };
            context.send(frame_id.as_deref(), &Event::SyncDone(SyncDone { channels: &channels }));
        }
        self.ask(&mut reader, context);
        if !reader.is_idle() {
            self.reader = Some(reader);
        }
    }

    /// From here on the connection gets pages of the channels of a sync, and no events. A channel in which the shard does
    /// not know the user may be one that was made a moment ago: the node is asked all the same, and says so before it
    /// answers.
    fn begin_sync(&self, reader: &mut Reader, context: &mut Context<'_>) {
        for asked in reader.poll_sync().into_iter().flatten() {
            if context.host.is_member(self.user_id, asked.channel_id) {
                context.output(Output::SetCursor(asked.channel_id, Cursor::Reading));
            }
        }
    }

    /// Asks for as much as may be under way; a client that has not taken what was sent waits.
    fn ask(&self, reader: &mut Reader, context: &mut Context<'_>) {
        if !reader.has_queued() {
            return;
        }
        if context.host.queued_bytes() > READ_BELOW_BYTES || context.is_node_full() {
            if !reader.is_stalled {
                reader.is_stalled = true;
                context.output(Output::Stalled);
            }
            return;
        }
        while let Some(Parts { channels, pages_max }) =
            reader.poll_parts(context.settings.limits.sync_messages)
        {
            context.output(Output::Read { user_id: self.user_id, channels, pages_max });
        }
    }

    pub(super) fn handle_pages(&mut self, pages: &[(ChannelRead, ReadOutcome)], context: &mut Context<'_>) {
        let Some(mut reader) = self.reader.take() else { return };
        for (read, outcome) in pages {
            match outcome {
                ReadOutcome::Page(page) => {
                    let is_empty = page.messages.is_empty() && page.changes.is_empty();
                    reader.answered(!is_empty);
                    self.handle_page(&mut reader, read, page, context);
                }
                ReadOutcome::Deferred => {
                    reader.answered(false);
                    reader.deferred(read);
                }
            }
        }
        self.reader = Some(reader);
        self.read(context);
    }

    fn handle_page(
        &self,
        reader: &mut Reader,
        read: &ChannelRead,
        page: &ChannelPage,
        context: &mut Context<'_>,
    ) {
        let channel_id = read.channel_id;
        if !context.host.is_member(self.user_id, channel_id) {
            return;
        }
        let Some(as_events) = reader.takes(read) else { return };
        send_page(page, as_events, context);
        let end = PageEnd {
            last_message: page.messages.last().map(|row| row.message_id),
            last_change: page.changes.last().map(|row| row.change),
            has_more: page.has_more,
            head: page.head.last_effective_id,
            head_change: page.head.last_change,
        };
        let last = context.host.last_record(channel_id).unwrap_or(MessageId::ZERO);
        let Some(cursor @ Cursor::Live { .. }) = reader.page_sent(channel_id, end, last) else { return };
        context.output(Output::SetCursor(channel_id, cursor));
        reader.finished(SyncedChannel {
            channel_id,
            last_message_id: page.head.last_message_id.non_zero(),
            last_seq: page.head.last_seq,
            last_change: page.head.last_change,
            unread_count: page.unread_count,
        });
    }

    /// A part can't be had. A connection that can't be kept whole is dismissed: it syncs when it comes back.
    pub(super) fn handle_page_refused(
        &mut self,
        channel: ChannelId,
        code: ErrorCode,
        context: &mut Context<'_>,
    ) {
        if let Some(reader) = &mut self.reader {
            reader.answered(false);
        }
        if code == ErrorCode::NotAMember {
            self.drop_channel(channel, context);
        } else {
            self.dismiss(GoodbyeReason::Overloaded, CloseCode::Overloaded, context);
        }
    }

    /// A membership begins: the connection starts where it does.
    pub(super) fn handle_joined(
        &mut self,
        channel: ChannelId,
        from_id: MessageId,
        change: u64,
        comes_live: bool,
        context: &mut Context<'_>,
    ) {
        // A sync that asked for the channel has it under way.
        if self.reader.as_ref().is_some_and(|reader| reader.is_reading(channel)) {
            return context.output(Output::SetCursor(channel, Cursor::Reading));
        }
        if comes_live {
            return context.output(Output::SetCursor(channel, Cursor::Live { floor: from_id }));
        }
        context.output(Output::SetCursor(channel, Cursor::Reading));
        let reading = Reading { after: from_id, after_change: Some(change), as_events: true };
        self.reader.get_or_insert_default().read(channel, reading);
        self.read(context);
    }

    /// A channel can't be read any more; a sync that asked for it is told.
    pub(super) fn drop_channel(&mut self, channel: ChannelId, context: &mut Context<'_>) {
        let Some(reader) = &mut self.reader else { return };
        if let Some(id) = reader.asked_by(channel) {
            context.send_error_payload(
                id,
                ErrorPayload {
                    code: ErrorCode::NotAMember,
                    message: NOT_A_MEMBER,
                    retry_after_ms: None,
                    channel_id: Some(channel),
                },
            );
        }
        reader.dropped(channel);
        self.read(context);
    }
}

fn send_page(page: &ChannelPage, as_events: bool, context: &mut Context<'_>) {
    context.counts.pages += 1;
    let queue = context.host.queue();
    let written = if as_events {
        pages::write_as_events(queue, context.scratch, page)
    } else {
        pages::write_sync_page(queue, context.scratch, page)
    };
    if let Err(error) = written {
        context.output(Output::InvalidPage(page.head.channel_id, error));
    }
}
