//! Cursors and unread counts in the model, and what it tells of them.

use rand::RngExt;
use ringside_checker::history::{Event, FinalCursors};
use ringside_test_client::cursor::{Cursor, Unread};
use uuid::Uuid;

use super::{CHANNELS, CLIENTS, Model, channel_id, is_member, user_of};

impl Model {
    /// A receipt, or a question over REST, which is answered at once.
    pub(super) fn tell_or_ask(&mut self, device: usize) {
        let channel = self.random.random_range(0..CHANNELS);
        if !self.devices[device].link.open || !is_member(device, channel) {
            return;
        }
        let (user, asked_us) = (user_of(device), self.now_us);
        match self.random.random_range(0..4u32) {
            0 => {
                let cursors = self.listed(channel, &users_of(channel));
                self.record(device, Event::Receipts { channel: channel_id(channel), asked_us, cursors });
            }
            1 => {
                let own = (0..CHANNELS).filter(|&channel| is_member(device, channel));
                let channels = own.map(|channel| self.unread(channel, user)).collect();
                self.record(device, Event::Listed { asked_us, channels });
            }
            _ => self.tell(device, channel),
        }
    }

    /// Registers take it at once, and only the status travels.
    fn tell(&mut self, device: usize, channel: usize) {
        let count = self.stored[channel].len();
        if count == 0 {
            return;
        }
        let at = self.random.random_range(0..count);
        let (id, is_read) = (self.stored[channel][at].message_id, self.random.random_bool(0.5));
        let (frame_id, is_wrong) = (Uuid::from_u128(self.random.random()), self.random.random_bool(0.1));
        let channel_name = channel_id(channel);
        let message_id = if is_wrong { id + 1_000_000_000 } else { id };
        self.record(device, Event::Receipt { channel: channel_name, frame_id, message_id, is_read });
        if is_wrong {
            let refused = Event::ReceiptRefused { frame_id, code: "bad_request".into() };
            return self.devices[device].link.down.push_back(refused);
        }
        let cursor = self.has_come(channel, user_of(device), id, is_read);
        let status = Event::Status { channel: channel_name, cursor };
        for other in (0..CLIENTS).filter(|&other| is_member(other, channel)) {
            let link = &mut self.devices[other].link;
            if link.open {
                link.down.push_back(status.clone());
            }
        }
    }

    pub(super) fn has_come(&mut self, channel: usize, user: Uuid, id: u64, is_read: bool) -> Cursor {
        let cursor = self.cursors.entry((channel, user)).or_insert(Cursor::nothing(user));
        cursor.raise(&Cursor { user_id: user, delivered: Some(id), read: Some(id).filter(|_| is_read) });
        *cursor
    }

    fn listed(&self, channel: usize, users: &[Uuid]) -> Vec<Cursor> {
        let cursor = |user: &Uuid| self.cursors.get(&(channel, *user)).copied();
        users.iter().map(|user| cursor(user).unwrap_or(Cursor::nothing(*user))).collect()
    }

    pub(super) fn unread(&self, channel: usize, user: Uuid) -> Unread {
        let read = self.cursors.get(&(channel, user)).and_then(|cursor| cursor.read);
        let unread = self.stored[channel].iter().filter(|seen| Some(seen.message_id) > read);
        let (last_seq, count) = (self.stored[channel].len() as u64, unread.count() as u64);
        Unread { channel: channel_id(channel), last_seq, count }
    }

    pub(super) fn final_cursors(&self, channel: usize, members: &[Uuid]) -> Vec<FinalCursors> {
        let end = |reader: &Uuid| FinalCursors {
            reader: *reader,
            cursors: self.listed(channel, members),
            listed: Some(self.unread(channel, *reader)),
            synced: Some(self.unread(channel, *reader)),
        };
        members.iter().map(end).collect()
    }
}

fn users_of(channel: usize) -> Vec<Uuid> {
    (0..CLIENTS - 1).filter(|&device| is_member(device, channel)).map(user_of).collect()
}
