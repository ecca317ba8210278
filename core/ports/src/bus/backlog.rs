//! What waits for a listener: bounded, and the oldest gives way.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{BACKLOG_BYTES_MAX, BACKLOG_MESSAGES_MAX, BusKey, HEARD_MAX, Heard};

/// Messages that a listener has not taken yet, without a lock or a waker.
#[derive(Debug, Default)]
pub struct Backlog {
    messages: VecDeque<(BusKey, Bytes)>,
    bytes: usize,
    dropped: u64,
    was_interrupted: bool,
}

impl Backlog {
    /// Adds a message; returns how many older ones gave way.
    pub fn push(&mut self, key: BusKey, payload: Bytes) -> u64 {
        self.bytes += payload.len();
        self.messages.push_back((key, payload));
        let mut dropped = 0;
        while self.messages.len() > BACKLOG_MESSAGES_MAX || self.bytes > BACKLOG_BYTES_MAX {
            let Some((_, oldest)) = self.messages.pop_front() else { break };
            self.bytes -= oldest.len();
            dropped += 1;
        }
        self.dropped += dropped;
        dropped
    }

    /// Some keys were not heard for a while.
    pub fn interrupt(&mut self) {
        self.was_interrupted = true;
    }

    /// What there is to hear; `None`: nothing.
    pub fn take(&mut self) -> Option<Heard> {
        if self.messages.is_empty() && self.dropped == 0 && !self.was_interrupted {
            return None;
        }
        let count = self.messages.len().min(HEARD_MAX);
        let messages: Vec<_> = self.messages.drain(..count).collect();
        self.bytes -= messages.iter().map(|(_, payload)| payload.len()).sum::<usize>();
        let (dropped, was_interrupted) =
            (std::mem::take(&mut self.dropped), std::mem::take(&mut self.was_interrupted));
        Some(Heard { messages, dropped, was_interrupted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: BusKey = BusKey::Presence(1);

    #[test]
    fn the_oldest_gives_way() {
        let mut backlog = Backlog::default();
        for number in 0..BACKLOG_MESSAGES_MAX + 2 {
            backlog.push(KEY, Bytes::from(number.to_string()));
        }
        let heard = backlog.take().expect("something");
        assert_eq!((heard.dropped, heard.messages.len()), (2, HEARD_MAX));
        assert_eq!(heard.messages[0], (KEY, Bytes::from("2")));
        let mut rest = 0;
        while let Some(heard) = backlog.take() {
            assert_eq!(heard.dropped, 0, "told once");
            rest += heard.messages.len();
        }
        assert_eq!((rest, backlog.bytes), (BACKLOG_MESSAGES_MAX - HEARD_MAX, 0));
    }

    #[test]
    fn bytes_are_bounded() {
        let mut backlog = Backlog::default();
        let half = Bytes::from(vec![0; BACKLOG_BYTES_MAX / 2]);
        assert_eq!([0; 3].map(|_| backlog.push(KEY, half.clone())), [0, 0, 1]);
        assert_eq!(backlog.take().map(|heard| (heard.dropped, heard.messages.len())), Some((1, 2)));
    }

    #[test]
    fn an_interruption_is_told_once() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.take(), None);
        backlog.interrupt();
        assert_eq!(backlog.take(), Some(Heard { was_interrupted: true, ..Heard::default() }));
        assert_eq!(backlog.take(), None);
    }
}
