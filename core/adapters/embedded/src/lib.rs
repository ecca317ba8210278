//! Log, MessageStore and Presence on one machine
