//! One connection's life, and the mail between shards and bridge.
//!
//! Today it holds [`mail`] alone: the words that gateway and bridge share, which never import one another.

pub mod mail;
