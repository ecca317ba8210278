//! Every key of the configuration: its name in `ringside.toml`, from which its name in the environment follows.

/// What a key holds, so that text from the environment can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    /// Comma-separated in the environment.
    List,
}

/// Every key; those of a table are written `table.key`.
pub(crate) const KEYS: [(&str, Kind); 71] = [
    ("data_dir", Kind::Text),
    ("roles", Kind::List),
    ("api_addr", Kind::Text),
    ("edge_addr", Kind::Text),
    ("admin_addr", Kind::Text),
    ("admin_names", Kind::List),
    ("shards", Kind::Number),
    ("max_connections", Kind::Number),
    ("drain_window_s", Kind::Number),
    ("tls_cert", Kind::Text),
    ("tls_key", Kind::Text),
    ("trusted_proxies", Kind::List),
    ("allowed_origins", Kind::List),
    ("edge_url", Kind::Text),
    ("registration", Kind::Text),
    ("backend", Kind::Text),
    ("heartbeat_interval_ms", Kind::Number),
    ("signing_key_days", Kind::Number),
    ("recording_dir", Kind::Text),
    ("recording_bytes", Kind::Number),
    ("audit.file_bytes", Kind::Number),
    ("audit.files", Kind::Number),
    ("limits.messages_per_second", Kind::Number),
    ("limits.messages_burst", Kind::Number),
    ("limits.channel_messages_per_minute", Kind::Number),
    ("limits.channels_per_minute", Kind::Number),
    ("limits.frame_units_per_second", Kind::Number),
    ("limits.frame_units_burst", Kind::Number),
    ("limits.connections_per_user", Kind::Number),
    ("limits.rest_per_minute", Kind::Number),
    ("limits.register_per_minute_per_address", Kind::Number),
    ("limits.register_burst", Kind::Number),
    ("limits.sign_ins_per_minute_per_address", Kind::Number),
    ("limits.login_failures_per_minute", Kind::Number),
    ("limits.message_bytes", Kind::Number),
    ("limits.sync_messages", Kind::Number),
    ("engines.log", Kind::Text),
    ("engines.store", Kind::Text),
    ("engines.directory", Kind::Text),
    ("engines.presence", Kind::Text),
    ("kafka.brokers", Kind::List),
    ("kafka.prefix", Kind::Text),
    ("kafka.partitions", Kind::Number),
    ("kafka.slots", Kind::Number),
    ("kafka.replication", Kind::Number),
    ("kafka.user", Kind::Text),
    ("kafka.password", Kind::Text),
    ("kafka.password_file", Kind::Text),
    ("cassandra.nodes", Kind::List),
    ("cassandra.keyspace", Kind::Text),
    ("cassandra.datacenter", Kind::Text),
    ("cassandra.replication", Kind::Number),
    ("cassandra.user", Kind::Text),
    ("cassandra.password", Kind::Text),
    ("cassandra.password_file", Kind::Text),
    ("postgres.hosts", Kind::List),
    ("postgres.database", Kind::Text),
    ("postgres.user", Kind::Text),
    ("postgres.password", Kind::Text),
    ("postgres.password_file", Kind::Text),
    ("postgres.connections", Kind::Number),
    ("postgres.ca_file", Kind::Text),
    ("postgres.master_key", Kind::Text),
    ("postgres.master_key_file", Kind::Text),
    ("redis.mode", Kind::Text),
    ("redis.addresses", Kind::List),
    ("redis.prefix", Kind::Text),
    ("redis.user", Kind::Text),
    ("redis.password", Kind::Text),
    ("redis.password_file", Kind::Text),
    ("redis.ca_file", Kind::Text),
];

/// Names further from an unknown one than this many edits are no help.
const NEAREST_EDITS_MAX: usize = 4;

/// The key's name in the environment: `limits.message_bytes` is `RINGSIDE_LIMITS_MESSAGE_BYTES`.
pub(crate) fn environment_name(key: &str) -> String {
    format!("RINGSIDE_{}", key.replace('.', "_").to_uppercase())
}

/// Variables that are no keys: where the file is, and what is logged.
const OTHER_VARIABLES: [&str; 2] = ["RINGSIDE_CONFIG", "RINGSIDE_LOG"];

/// Whether a variable `RINGSIDE_…` means something.
pub(crate) fn is_variable(name: &str) -> bool {
    OTHER_VARIABLES.contains(&name) || KEYS.iter().any(|(key, _)| environment_name(key) == name)
}

/// The variable that an unknown one was probably meant to be.
pub(crate) fn nearest_variable(unknown: &str) -> Option<String> {
    let distance = |name: &String| strsim::damerau_levenshtein(unknown, name);
    let nearest = KEYS.iter().map(|(key, _)| environment_name(key)).min_by_key(distance)?;
    (distance(&nearest) <= NEAREST_EDITS_MAX).then_some(nearest)
}

/// The known key that an unknown one was probably meant to be.
pub(crate) fn nearest(unknown: &str) -> Option<&'static str> {
    let distance = |key: &str| strsim::damerau_levenshtein(unknown, key);
    let nearest = KEYS.iter().map(|(key, _)| *key).min_by_key(|key| distance(key))?;
    // Of a short word little is left after so many.
    let edits_max = NEAREST_EDITS_MAX.min(unknown.len() / 2);
    (distance(nearest) <= edits_max).then_some(nearest)
}
