//! One connection's life as a machine without I/O, and the mail between shards and bridge.

pub mod mail;
