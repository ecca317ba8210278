//! How far a client has come in each channel: what it names when it syncs, and whether it notices a jump.

use std::collections::BTreeMap;

use ringside_test_client::websocket::Message;
use uuid::Uuid;

/// Position in one channel.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    /// Last message known without a hole before it: (id, seq).
    known: (u64, u64),
    /// Newest that came live on this connection.
    live: (u64, u64),
    /// The same two for changes.
    known_change: u64,
    live_change: u64,
}

/// How far a client has come in a channel without a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    pub channel: Uuid,
    /// Of the last message.
    pub seq: u64,
    /// The number of the last change.
    pub change: u64,
}

/// One client's view of its channels.
#[derive(Debug)]
pub struct View {
    positions: BTreeMap<Uuid, Position>,
    /// Whether this connection's first sync has ended; before that a live message says nothing about holes.
    is_synced: bool,
}

impl View {
    pub fn new(channels: &[Uuid]) -> Self {
        Self {
            positions: channels.iter().map(|&channel| (channel, Position::default())).collect(),
            is_synced: false,
        }
    }

    pub fn connected(&mut self) {
        self.is_synced = false;
        for position in self.positions.values_mut() {
            position.live = (0, 0);
            position.live_change = 0;
        }
    }

    /// What a sync asks for.
    pub fn last_ids(&self) -> Vec<(Uuid, Option<u64>)> {
        let named =
            |(&channel, position): (&Uuid, &Position)| (channel, Some(position.known.0).filter(|&id| id > 0));
        self.positions.iter().map(named).collect()
    }

    /// How far the client has come in each channel.
    pub fn reached(&self) -> Vec<Reached> {
        let of = |(&channel, position): (&Uuid, &Position)| Reached {
            channel,
            seq: position.known.1,
            change: position.known_change,
        };
        self.positions.iter().map(of).collect()
    }

    /// And the last change of each.
    pub fn last_changes(&self) -> Vec<(Uuid, u64)> {
        self.positions.iter().map(|(&channel, position)| (channel, position.known_change)).collect()
    }

    /// A live change. True when it jumps.
    pub fn change(&mut self, channel: Uuid, number: u64) -> bool {
        let Some(position) = self.positions.get_mut(&channel) else { return false };
        position.live_change = position.live_change.max(number);
        if !self.is_synced {
            return false;
        }
        if number > position.known_change + 1 {
            return true;
        }
        position.known_change = position.known_change.max(number);
        false
    }

    /// A page brought changes up to this one, or `sync.done` names it.
    pub fn changes_reach(&mut self, channel: Uuid, number: u64) {
        if let Some(position) = self.positions.get_mut(&channel) {
            position.known_change = position.known_change.max(number);
        }
    }

    /// A live message. True when it jumps: something was missed, and a sync is due.
    pub fn live(&mut self, message: &Message) -> bool {
        let Some(position) = self.positions.get_mut(&message.channel_id) else { return false };
        let place = (message.message_id, message.seq);
        position.live = position.live.max(place);
        if !self.is_synced {
            return false;
        }
        if message.seq > position.known.1 + 1 {
            return true;
        }
        position.known = position.known.max(place);
        false
    }

    pub fn page(&mut self, channel: Uuid, messages: &[Message], reset: bool) {
        let Some(position) = self.positions.get_mut(&channel) else { return };
        if reset {
            position.known = (0, 0);
        }
        for message in messages {
            position.known = position.known.max((message.message_id, message.seq));
        }
    }

    /// A sync has ended with these channels. Of others nothing is known: their user may be no member at the moment.
    pub fn synced(&mut self, channels: impl IntoIterator<Item = Uuid>) {
        self.is_synced = true;
        for channel in channels {
            let Some(position) = self.positions.get_mut(&channel) else { continue };
            position.known = position.known.max(position.live);
            position.known_change = position.known_change.max(position.live_change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringside_test_client::websocket::{ServerFrame, parse};

    fn message(seq: u64) -> Message {
        let id = Uuid::from_u128(1);
        let text = format!(
            r#"{{"type":"message.new","payload":{{"message_id":"{}","seq":{seq},"client_id":"{id}","channel_id":"{id}","sender":{{"id":"{id}"}}}}}}"#,
            seq * 10
        );
        match parse(text.as_bytes()) {
            Ok(ServerFrame::New(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    fn last(view: &View) -> Option<u64> {
        view.last_ids()[0].1
    }

    #[test]
    fn live_messages_count_only_after_a_sync() {
        let channel = Uuid::from_u128(1);
        let mut view = View::new(&[channel]);
        view.connected();
        assert!(!view.live(&message(7)));
        assert_eq!(last(&view), None);
        view.page(channel, &[message(1), message(2)], false);
        assert_eq!(last(&view), Some(20));
        // Live messages dropped with the connection were never without a hole.
        view.connected();
        view.synced([channel]);
        assert_eq!(last(&view), Some(20));
        assert!(!view.live(&message(3)) && view.live(&message(5)));
        assert_eq!(last(&view), Some(30));
        // A sync in which the channel was refused says nothing of it.
        view.synced([]);
        assert_eq!(last(&view), Some(30));
    }

    #[test]
    fn reset_forgets() {
        let channel = Uuid::from_u128(1);
        let mut view = View::new(&[channel]);
        view.page(channel, &[message(9)], false);
        view.page(channel, &[], true);
        assert_eq!(last(&view), None);
    }
}
