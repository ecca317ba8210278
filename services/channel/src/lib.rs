//! Channels, members and the outbox
