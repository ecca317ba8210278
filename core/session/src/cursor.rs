//! Where one connection stands in one channel: live, or reading what it missed.
//!
//! Vocabulary: `last` is the id of the last record of the channel that the shard has seen. A live connection gets every
//! event above its *floor*. One that reads gets none: its pages go on until they reach `last`, and it goes live in the
//! same turn of the loop, so that nothing is between the last page and the first event. An event of a page is never
//! delivered again as an event.

use ringside_types::MessageId;
use ringside_wire::command::SyncChannel;

/// Where a connection stands in a channel, as the shard's index knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// It gets events above this id.
    Live {
        /// What a page has brought already.
        floor: MessageId,
    },
    Reading,
}

/// What a connection that reads has still to read of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Messages above this id.
    pub after: MessageId,
    /// Changes above this number; `None`: none before the head.
    pub after_change: Option<u64>,
    /// Whether what is read goes out as events, no longer (or never) as `sync.page`.
    pub as_events: bool,
}

/// What a page says of how far it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageEnd {
    /// The last message in it.
    pub last_message: Option<MessageId>,
    /// The last change in it.
    pub last_change: Option<u64>,
    /// Whether more of either follow below the head.
    pub has_more: bool,
    /// The head's last effective record.
    pub head: MessageId,
    pub head_change: u64,
}

impl Cursor {
    /// Whether an event of the chain goes to the connection.
    pub fn takes(&self, id: MessageId) -> bool {
        matches!(self, Self::Live { floor } if id > *floor)
    }

    /// Whether the cursor says nothing that a connection which missed nothing would not do, once `last` is reached.
    pub fn is_plain(&self, last: MessageId) -> bool {
        matches!(self, Self::Live { floor } if *floor <= last)
    }
}

impl Reading {
    /// Where reading begins for a sync.
    pub fn from_sync(asked: &SyncChannel) -> Self {
        let after = asked.last_message_id.unwrap_or(MessageId::ZERO);
        Self { after, after_change: asked.last_change, as_events: false }
    }

    /// A page has been sent. `last`: the last record of the channel that the shard has seen. Returns where the connection
    /// stands; if it is still reading, `self` says what comes next.
    pub fn page_sent(&mut self, end: PageEnd, last: MessageId) -> Cursor {
        if end.has_more {
            self.after = end.last_message.unwrap_or(self.after);
            self.after_change = end.last_change.or(self.after_change);
            return Cursor::Reading;
        }
        if end.head >= last {
            return Cursor::Live { floor: end.head };
        }
        // Everything up to the head has been sent, whether its last record was a message or a change.
        self.after = self.after.max(end.head);
        self.after_change = Some(end.head_change);
        self.as_events = true;
        Cursor::Reading
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Records 1, 2, 3 … of a channel, all of them messages; a page holds `limit`.
    fn page(reading: &Reading, head: u64, limit: u64) -> (Vec<u64>, PageEnd) {
        let to = head.min(reading.after.0.saturating_add(limit));
        let found: Vec<u64> = (reading.after.0 + 1..=to).collect();
        let last_message = found.last().map(|id| MessageId(*id));
        let (last_change, has_more) = (None, to < head);
        let end = PageEnd { last_message, last_change, has_more, head: MessageId(head), head_change: 0 };
        (found, end)
    }

    #[test]
    fn changes_that_did_not_fit_are_read_next() {
        let mut reading = Reading { after: MessageId(3), after_change: Some(1), as_events: false };
        let head = MessageId(9);
        for (last_message, last_change, expected) in [
            (Some(MessageId(5)), None, Some((5, Some(1)))),
            (Some(MessageId(9)), Some(4), Some((9, Some(4)))),
            (None, Some(6), Some((9, Some(6)))),
            (None, Some(7), None),
        ] {
            let has_more = expected.is_some();
            let end = PageEnd { last_message, last_change, has_more, head, head_change: 7 };
            let stands = match reading.page_sent(end, head) {
                Cursor::Reading => Some((reading.after.0, reading.after_change)),
                Cursor::Live { .. } => None,
            };
            assert_eq!(stands, expected);
        }
    }

    #[test]
    fn only_who_is_live_up_to_the_last_record_needs_no_cursor() {
        let last = MessageId(10);
        for (cursor, is_plain) in [
            (Cursor::Live { floor: MessageId(9) }, true),
            (Cursor::Live { floor: last }, true),
            (Cursor::Live { floor: MessageId(11) }, false),
            (Cursor::Reading, false),
        ] {
            assert_eq!(cursor.is_plain(last), is_plain, "{cursor:?}");
        }
    }

    proptest! {
        /// Whatever is appended, seen by the shard, read and delivered in which order: the client has everything
        /// once, in order, and in the end the connection is live.
        #[test]
        fn any_interleaving_is_whole(
            start in 0..20_u64,
            missed in 0..20_u64,
            steps in prop::collection::vec((0..3_u8, 1..4_u64), 0..60),
        ) {
            let mut stored = start + missed;
            let mut seen_by_shard = start + missed;
            let mut reading = Reading { after: MessageId(start), after_change: None, as_events: false };
            let mut cursor = Cursor::Reading;
            let mut got: Vec<u64> = Vec::new();
            let mut pending: Option<(Vec<u64>, PageEnd)> = None;
            let settle = (0..400).map(|n| (1 + (n % 2) as u8, 4));
            for (step, amount) in steps.into_iter().chain(settle) {
                match step {
                    0 => stored += amount,
                    // The shard sees events in order; none beyond the store.
                    1 => for _ in 0..amount {
                        if seen_by_shard < stored {
                            seen_by_shard += 1;
                            if cursor.takes(MessageId(seen_by_shard)) {
                                got.push(seen_by_shard);
                            }
                        }
                    },
                    // A page is read at one time and arrives at a later one.
                    _ => match pending.take() {
                        None if cursor == Cursor::Reading => pending = Some(page(&reading, stored, amount)),
                        None => {}
                        Some((found, end)) => {
                            got.extend(found);
                            cursor = reading.page_sent(end, MessageId(seen_by_shard));
                        }
                    },
                }
            }
            prop_assert!(matches!(cursor, Cursor::Live { .. }), "it goes live in the end");
            prop_assert_eq!(got, (start + 1..=stored).collect::<Vec<_>>());
        }
    }
}
