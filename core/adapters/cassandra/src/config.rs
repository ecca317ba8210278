//! What the caller decides: where the engine is, who asks, and every limit.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::error::OpenError;

/// Characters of a keyspace's name at the most (Cassandra: `SchemaConstants.NAME_LENGTH`).
const KEYSPACE_NAME_MAX: usize = 48;

/// How to reach the engine, and how much to ask of it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Some nodes to begin with, as `host:port`. The others are learned from them.
    pub contact_points: Vec<String>,
    /// The data centre that this process is in: only its nodes are asked, and its replicas are the quorum.
    pub datacenter: String,
    /// The keyspace: lower-case letters, digits and `_`, at most 48 of them.
    pub keyspace: String,
    /// Replicas by data centre, for a keyspace that is made. An existing one is left as it is.
    pub replication: BTreeMap<String, u8>,
    /// Who asks; `None`: the engine lets in everybody.
    pub credentials: Option<Credentials>,
    /// How long a call of the port takes at the most, with all its requests, their waiting and their retries.
    pub deadline: Duration,
    /// How long one attempt of a request takes at the most, so that one node that hangs leaves time for another.
    pub attempt_timeout: Duration,
    /// After this time a read is sent to a second replica as well; the first answer counts.
    pub speculative_delay: Duration,
    /// How often one request is repeated.
    pub retries_max: u32,
    /// Requests in flight at once, over all calls. One call takes a quarter of them at the most.
    pub in_flight_max: usize,
    /// How long a request waits for its turn when so many are in flight; then it is refused.
    pub turn_wait: Duration,
    /// Bytes of values in one batch of rows of one partition. Cassandra warns above 5 KiB and refuses above 50 KiB.
    pub batch_bytes_max: usize,
    /// Rows in one page of an answer.
    pub page_rows: i32,
    /// Connections to each node.
    pub connections_per_node: usize,
    /// How long opening a connection takes at the most.
    pub connect_timeout: Duration,
    /// How long a change of the schema takes at the most, until all nodes agree on it.
    pub schema_timeout: Duration,
}

impl Default for Config {
    /// One node on this machine, as Cassandra comes.
    fn default() -> Self {
        Self {
            contact_points: vec!["127.0.0.1:9042".into()],
            datacenter: "datacenter1".into(),
            keyspace: "ringside".into(),
            replication: BTreeMap::from([("datacenter1".into(), 3)]),
            credentials: None,
            deadline: Duration::from_secs(1),
            attempt_timeout: Duration::from_millis(450),
            speculative_delay: Duration::from_millis(100),
            retries_max: 2,
            in_flight_max: 512,
            turn_wait: Duration::from_millis(500),
            batch_bytes_max: 4 * 1024,
            page_rows: 1_000,
            connections_per_node: 2,
            connect_timeout: Duration::from_secs(5),
            schema_timeout: Duration::from_secs(60),
        }
    }
}

impl Config {
    /// Whether it can be worked with: names go into statements as they are.
    pub(crate) fn checked(&self) -> Result<(), OpenError> {
        let is_name = |name: &str| {
            let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.len() <= KEYSPACE_NAME_MAX
                && name.chars().all(rest)
        };
        let is_datacenter = |name: &str| !name.is_empty() && !name.contains(['\'', '\\']);
        let refused = |reason: String| Err(OpenError::Config { reason });
        if self.contact_points.is_empty() {
            return refused("name at least one contact point, as `host:port`".into());
        }
        if !is_name(&self.keyspace) {
            return refused(format!(
                "`{}` is no name of a keyspace: lower-case letters, digits and `_`, a letter first, at most {KEYSPACE_NAME_MAX}",
                self.keyspace
            ));
        }
        if let Some(name) =
            self.replication.keys().chain([&self.datacenter]).find(|name| !is_datacenter(name))
        {
            return refused(format!("`{name}` is no name of a data centre: `nodetool status` shows them"));
        }
        if !self.replication.contains_key(&self.datacenter)
            || self.replication.values().any(|count| *count == 0)
        {
            return refused(format!(
                "name the replicas of every data centre, at least 1, `{}` among them",
                self.datacenter
            ));
        }
        let limits = [
            ("in_flight_max", self.in_flight_max),
            ("batch_bytes_max", self.batch_bytes_max),
            ("page_rows", usize::try_from(self.page_rows).unwrap_or(0)),
            ("connections_per_node", self.connections_per_node),
        ];
        match limits.iter().find(|(_, limit)| *limit == 0) {
            Some((name, _)) => refused(format!("`{name}` is at least 1")),
            None => Ok(()),
        }
    }
}

/// A user name and its password.
#[derive(Clone)]
pub struct Credentials {
    /// The role that signs in, as `CREATE ROLE` names it.
    pub user: String,
    /// Its password, which is never printed.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_worked_with_is_refused() {
        let check = |change: &dyn Fn(&mut Config), word: &str| {
            let mut config = Config::default();
            change(&mut config);
            let refusal = config.checked().expect_err(word).to_string();
            assert!(refusal.contains(word), "{refusal}");
        };
        assert!(Config::default().checked().is_ok());
        check(&|config| config.contact_points.clear(), "contact point");
        for name in ["", "Ringside", "1st", "a-b", "a;drop", &"a".repeat(49)] {
            check(&|config| config.keyspace = name.into(), "name of a keyspace");
        }
        check(&|config| config.datacenter = "it's".into(), "data centre");
        check(&|config| config.datacenter = "elsewhere".into(), "`elsewhere` among them");
        check(&|config| config.replication.values_mut().for_each(|count| *count = 0), "at least 1");
        check(&|config| config.page_rows = -1, "page_rows");
        check(&|config| config.in_flight_max = 0, "in_flight_max");
    }

    #[test]
    fn a_password_is_not_printed() {
        let credentials = Some(Credentials { user: "ringside".into(), password: "s3cret".into() });
        let printed = format!("{:?}", Config { credentials, ..Config::default() });
        assert!(printed.contains("user: \"ringside\"") && !printed.contains("s3cret"), "{printed}");
    }
}
