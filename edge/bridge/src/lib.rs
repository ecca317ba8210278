//! The one door between the shards and tokio
