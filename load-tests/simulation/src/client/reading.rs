//! What a client reads, and what follows from it.

use ringside_checker::history::{Event, SeenMessage};
use ringside_test_client::amendment::Changed;
use ringside_test_client::websocket::{Message, ServerFrame, SyncedChannel, parse};
use uuid::Uuid;

use super::{Client, Line};

impl Client {
    pub(super) fn read(&mut self, line: &mut Line, text: &[u8]) {
        let frame = match parse(text) {
            Ok(frame) => frame,
            Err(error) => {
                let text = String::from_utf8_lossy(text);
                return self.record(Event::Malformed { detail: format!("{error}: {text}") });
            }
        };
        match frame {
            ServerFrame::Hello { user_id } => self.hello(line, user_id),
            ServerFrame::Ack { id } => self.acknowledged(&id),
            ServerFrame::Rejected { client_id, code } => {
                if client_id.parse::<Uuid>().is_ok_and(|id| self.sent_to.contains_key(&id)) {
                    self.rejected(&client_id, code);
                }
            }
            ServerFrame::New(message) => {
                self.wants_sync |= self.view.live(&message);
                let channel = message.channel_id;
                let message = self.seen(message);
                self.record(Event::New { channel, message });
            }
            ServerFrame::Changed { channel_id, change } => {
                self.wants_sync |= self.view.change(channel_id, change.number);
                // Who is brought in again has missed what was said meanwhile.
                let comes = matches!(&change.what, Changed::Other { kind } if kind == "channel.member_added");
                self.wants_sync |= comes && self.notices.is_some();
                self.record(Event::Changed { channel: channel_id, change });
            }
            ServerFrame::Page(page) => {
                self.view.page(page.channel_id, &page.messages, page.reset);
                let messages = page.messages.into_iter().map(|message| self.seen(message)).collect();
                let (channel, has_more, reset) = (page.channel_id, page.has_more, page.reset);
                let changes = page.changes;
                self.view.changes_reach(channel, changes.last().map_or(0, |change| change.number));
                self.record(Event::Page { channel, messages, changes, has_more, reset });
            }
            ServerFrame::Status { channel_id, cursor } => {
                self.record(Event::Status { channel: channel_id, cursor });
            }
            ServerFrame::SyncDone { channels, .. } => self.sync_done(line, &channels),
            ServerFrame::Error { id, code, message, .. } => self.error(id.as_deref(), code, &message),
            ServerFrame::Goodbye { .. } | ServerFrame::Other(_) => {}
        }
    }

    fn hello(&mut self, line: &mut Line, user_id: Uuid) {
        self.record(Event::Opened);
        if user_id != self.user.0 {
            self.record(Event::Malformed { detail: format!("hello names {user_id}") });
        }
        self.is_open = true;
        self.begin_sync(line);
        let instant = self.stage.scheduler.instant();
        for outgoing in self.outbox.unacknowledged(instant) {
            self.send(line, &outgoing);
        }
        for request in self.amendments.unanswered(instant) {
            self.ask(line, &request);
        }
    }

    fn acknowledged(&mut self, id: &str) {
        let Some((channel, client_id)) = self.sent_as(id, "an ack") else { return };
        self.outbox.acknowledged(client_id);
        self.amendments.answered(client_id);
        self.record(Event::Acked { channel, client_id });
    }

    /// The channel and key of what was sent under this id.
    fn sent_as(&mut self, id: &str, answer: &str) -> Option<(Uuid, Uuid)> {
        let known = id.parse::<Uuid>().ok().and_then(|id| Some((*self.sent_to.get(&id)?, id)));
        if known.is_none() {
            self.record(Event::Malformed { detail: format!("{answer} for {id}, which was never sent") });
        }
        known
    }

    fn refused(&mut self, id: &str, code: String) {
        let Some((channel, client_id)) = self.sent_as(id, &code) else { return };
        if matches!(code.as_str(), "unavailable" | "internal") {
            return self.record(Event::Unconfirmed { channel, client_id });
        }
        self.outbox.finished(client_id, false);
        self.amendments.answered(client_id);
        self.record(Event::Refused { channel, client_id, code });
    }

    fn rejected(&mut self, id: &str, code: String) {
        let Some((channel, client_id)) = self.sent_as(id, &code) else { return };
        self.outbox.finished(client_id, false);
        self.amendments.answered(client_id);
        self.record(Event::Rejected { channel, client_id, code });
    }

    /// A message as the history keeps it; one of our own is done with.
    fn seen(&mut self, message: Message) -> SeenMessage {
        let is_own = message.sender.id == self.user.0;
        if is_own {
            self.outbox.finished(message.client_id, true);
        }
        let channel = message.channel_id;
        let seen = SeenMessage::from(message);
        self.amendments.saw(channel, &seen, is_own);
        seen
    }

    fn sync_done(&mut self, line: &mut Line, synced: &[SyncedChannel]) {
        for channel in synced {
            self.view.changes_reach(channel.channel_id, channel.last_change);
        }
        let of_each = |what: fn(&SyncedChannel) -> u64| {
            synced.iter().map(|channel| (channel.channel_id, what(channel))).collect::<Vec<_>>()
        };
        self.record(Event::SyncDone {
            channels: of_each(|channel| channel.last_seq),
            changes: of_each(|channel| channel.last_change),
            unread: of_each(|channel| channel.unread_count),
        });
        self.view.synced(synced.iter().map(|channel| channel.channel_id));
        self.sync = None;
        for outgoing in self.outbox.acknowledged_unseen(self.stage.scheduler.instant()) {
            self.send(line, &outgoing);
        }
        self.settled = self.is_last_sync;
    }

    fn error(&mut self, id: Option<&str>, code: String, message: &str) {
        match (id, &self.sync) {
            (Some(id), Some((sync, _))) if id == sync => {
                if code == "not_a_member" {
                    self.record(Event::SyncRefused { channel: None });
                } else {
                    self.sync = None;
                    self.wants_sync = true;
                    self.is_last_sync = false;
                }
            }
            (Some(id), _) => self.refused(id, code),
            (None, _) => {
                self.record(Event::Malformed {
                    detail: format!("an error out of nothing, {code}: {message}"),
                });
            }
        }
    }
}
