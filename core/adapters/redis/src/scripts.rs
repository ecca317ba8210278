//! The Lua scripts: what happens on the server happens whole, and by the server's clock.

use std::sync::LazyLock;

/// A script by its text, and by the name that the server knows it by once it has seen the text.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) text: String,
    pub(crate) hash: String,
}

impl Script {
    fn new(parts: &[&str]) -> Self {
        let text = parts.concat();
        let hash = redis::Script::new(&text).get_hash().to_owned();
        Self { text, hash }
    }
}

/// A script, behind what it shares with others.
macro_rules! script {
    ($name:ident = $($part:literal)+; $doc:literal) => {
        #[doc = $doc]
        pub(crate) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(&[$(include_str!(concat!("scripts/", $part, ".lua"))),+]));
    };
}

script!(CONNECT = "session" "connect"; "Adds connections of a user.");
script!(DISCONNECT = "session" "disconnect"; "Removes connections of a user.");
script!(SET_STATUS = "session" "set_status"; "Sets what connections of a user say.");
script!(STATUS = "session" "status"; "A user's status over all connections.");
script!(END_LEASE = "session" "end_lease"; "Removes a user's connections of a slot's earlier leases.");
script!(INDEX_ADD = "index_add"; "Notes whose connections a slot has.");
script!(INDEX_REMOVE = "index_remove"; "Forgets connections of a slot.");
script!(INDEX_EARLIER = "index_earlier"; "Connections of a slot's earlier leases.");
script!(TAKE_EACH = "bucket" "take_each"; "Takes from a bucket, charge by charge.");
script!(TAKE_WHOLE = "bucket" "take_whole"; "Takes from a bucket, all of it or nothing.");
script!(GIVE = "bucket" "give"; "Gives back to a bucket.");
script!(PUBLISH = "publish"; "Tells messages to those who listen to a channel.");
