//! What a client tells of how far it has come, and asks of how far everybody has.

use rand::RngExt;
use ringside_checker::history::Event;
use ringside_test_client::websocket::Socket;
use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Agent, REST_DEADLINE};

/// Added to an id, this makes one that no message has before the run is over: an hour in the id's milliseconds.
const FAR_AHEAD: u64 = 3_600_000 << 22;
/// Of so many receipts one names an id above the head, and one a message of another channel.
const ONE_IN: u32 = 40;

impl Agent {
    /// A receipt of something that was seen, new or old; now and then of what can't be.
    pub(super) fn send_receipt(&mut self, socket: &mut Socket) {
        let Some((channel, message_id)) = self.amendments.any(&mut self.random) else { return };
        let is_read = self.random.random_bool(0.5);
        match self.random.random_range(0..ONE_IN) {
            0 => self.receipt(socket, channel, message_id + FAR_AHEAD, is_read),
            1 => {
                let other = self.random.random_range(0..self.persona.channels.len());
                self.receipt(socket, self.persona.channels[other], message_id, is_read);
            }
            _ => self.receipt(socket, channel, message_id, is_read),
        }
    }

    /// Before the last sync: half of the channels are read to their end, some of them to an older message.
    pub(super) fn send_last_receipts(&mut self, socket: &mut Socket) {
        for (channel, last) in self.view.last_ids() {
            match (last, self.random.random_range(0..4u32)) {
                (Some(last), 0 | 1) => self.receipt(socket, channel, last, true),
                (_, 2) => self.send_receipt(socket),
                _ => {}
            }
        }
    }

    fn receipt(&mut self, socket: &mut Socket, channel: Uuid, message_id: u64, is_read: bool) {
        let frame_id = uuid::Builder::from_random_bytes(self.random.random()).into_uuid();
        let kind = if is_read { "message.read" } else { "message.delivered" };
        let payload = json!({ "channel_id": channel, "message_id": message_id.to_string() });
        socket.queue(&json!({ "type": kind, "id": frame_id, "payload": payload }).to_string());
        self.receipts.insert(frame_id);
        self.record(Event::Receipt { channel, frame_id, message_id, is_read });
    }

    /// The list of receipts; without an answer nothing is known.
    pub(super) async fn fetch_receipts(&mut self, channel: Uuid) {
        let asked_us = self.context.now_us();
        let asked = self.context.rest.receipts(&self.persona.account.access_token, channel);
        if let Ok(Ok(cursors)) = timeout(REST_DEADLINE, asked).await {
            self.record(Event::Receipts { channel, asked_us, cursors });
        }
    }

    /// The list of channels, for what it says of unread messages.
    pub(super) async fn fetch_channels(&mut self) {
        let asked_us = self.context.now_us();
        let asked = self.context.rest.unread(&self.persona.account.access_token);
        if let Ok(Ok(channels)) = timeout(REST_DEADLINE, asked).await {
            self.record(Event::Listed { asked_us, channels });
        }
    }
}
