//! What `ringside doctor` says of the engine.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use scylla::client::session::Session;
use scylla::cluster::Node;
use scylla::cluster::metadata::Strategy;
use scylla::frame::response::result::TableSpec;
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::statement::{Consistency, Statement};
use scylla::value::CqlTimestamp;

use crate::config::Config;
use crate::connection::connect;
use crate::error::OpenError;
use crate::schema::observed::{Observed, ask, rows};
use crate::schema::{MESSAGES, SCHEMA_VERSION};

/// The oldest Cassandra that this store is made for.
const CASSANDRA_OLDEST: (u32, u32) = (4, 1);
/// Replicas below which the loss of one machine stops everything.
const REPLICAS_LEAST: usize = 3;
/// How far a node's clock may be from this machine's. By clocks alone idempotency keys expire, and void interest goes.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(1);

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is as it should be.
    Good,
    /// It works, and should be mended.
    Warning,
    /// It does not work.
    Bad,
}

/// What was found: one sentence, which names the mend where there is something to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What was found, and what mends it where it is not good.
    pub sentence: String,
}

fn good(sentence: String) -> Finding {
    Finding { severity: Severity::Good, sentence }
}

fn warning(sentence: String) -> Finding {
    Finding { severity: Severity::Warning, sentence }
}

fn bad(sentence: String) -> Finding {
    Finding { severity: Severity::Bad, sentence }
}

/// Looks at nodes, keyspace, tables and clocks. Changes nothing. Takes `config.connect_timeout` and some requests of
/// `config.schema_timeout` each at the most.
pub async fn check(config: &Config) -> Vec<Finding> {
    let session = match connect(config, config.schema_timeout).await {
        Ok(session) => session,
        Err(error) => return vec![bad(error.to_string())],
    };
    let mut findings = nodes(&session, config).await;
    match Observed::without_version(&session, config).await {
        Ok(there) => findings.extend(keyspace(&session, config, there).await),
        Err(error) => findings.push(bad(error.to_string())),
    }
    findings
}

async fn nodes(session: &Session, config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let state = session.get_cluster_state();
    let is_local = |node: &&Arc<Node>| node.datacenter.as_deref() == Some(&config.datacenter);
    for node in state.get_nodes_info().iter().filter(is_local) {
        let name = node.address.to_string();
        if !node.is_connected() {
            findings.push(warning(format!(
                "the node {name} does not answer: start it, or remove it from the ring"
            )));
            continue;
        }
        match about(session, node).await {
            Ok(of_node) => findings.extend(of_node.findings(&name)),
            Err(error) => findings.push(warning(format!("the node {name} does not answer: {error}"))),
        }
    }
    findings
}

/// What a node says of itself.
struct AboutNode {
    version: String,
    is_scylla: bool,
    /// `commitlog_sync`; ScyllaDB doesn't tell.
    commit_log: Option<String>,
    /// How far its clock is from this machine's, and whether it is ahead.
    skew: Duration,
    is_ahead: bool,
}

async fn about(session: &Session, node: &Arc<Node>) -> Result<AboutNode, OpenError> {
    let of_node = |text: &str| {
        let mut statement = Statement::new(text);
        statement.set_consistency(Consistency::One);
        let target = NodeIdentifier::Node(Arc::clone(node));
        statement.set_load_balancing_policy(Some(SingleTargetLoadBalancingPolicy::new(target, None)));
        statement
    };
    let before = SystemTime::now();
    let found =
        ask(session, of_node("SELECT release_version, toTimestamp(now()) FROM system.local"), ()).await?;
    // Half way between asking and hearing.
    let here = before + before.elapsed().unwrap_or_default() / 2;
    let (version, CqlTimestamp(there)) = rows::<(String, CqlTimestamp)>(&found)?
        .into_iter()
        .next()
        .ok_or_else(|| OpenError::Failed { cause: "`system.local` is empty".into() })?;
    let text = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = 'system' AND table_name = 'scylla_local'";
    let is_scylla = !rows::<(String,)>(&ask(session, of_node(text), ()).await?)?.is_empty();
    let text = "SELECT value FROM system_views.settings WHERE name = 'commitlog_sync'";
    let commit_log = match is_scylla {
        true => None,
        false => rows::<(String,)>(&ask(session, of_node(text), ()).await?)?.pop().map(|(value,)| value),
    };
    let here =
        i64::try_from(here.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(i64::MAX);
    let skew = Duration::from_millis(there.abs_diff(here));
    Ok(AboutNode { version, is_scylla, commit_log, skew, is_ahead: there > here })
}

impl AboutNode {
    fn findings(&self, name: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        let (oldest_major, oldest_minor) = CASSANDRA_OLDEST;
        findings.push(match (self.is_scylla, numbers(&self.version)) {
            (true, _) => good(format!("the node {name} is ScyllaDB")),
            (false, Some(numbers)) if numbers >= CASSANDRA_OLDEST => {
                good(format!("the node {name} is Cassandra {}", self.version))
            }
            _ => bad(format!(
                "the node {name} is Cassandra {}: upgrade it to {oldest_major}.{oldest_minor} or later",
                self.version
            )),
        });
        if self.commit_log.as_deref() == Some("periodic") {
            findings.push(warning(format!(
                "the node {name} confirms writes before its commit log is on the disk, and loses the last of them when it \
                 dies: set `commitlog_sync: batch` or `group` in its cassandra.yaml, and restart it"
            )));
        }
        if self.skew > CLOCK_SKEW_MAX {
            let side = if self.is_ahead { "ahead of" } else { "behind" };
            findings.push(warning(format!(
                "the clock of the node {name} is {:?} {side} this machine's: let both follow NTP",
                self.skew
            )));
        }
        findings
    }
}

/// The first two numbers of a version.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(['.', '-']).map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

async fn keyspace(session: &Session, config: &Config, mut there: Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    if there.replication.is_some() {
        findings.extend(replication(session, config));
    }
    let judged = match there.read_version(session, config).await {
        Ok(()) => there.is_ours(config),
        Err(error) => Err(error),
    };
    match judged {
        Ok(()) => findings.push(good(format!("the tables are there, in version {SCHEMA_VERSION}"))),
        Err(OpenError::Tables { .. }) => {}
        Err(error) => findings.push(bad(error.to_string())),
    }
    let mend = "restore it from a backup, or take an empty keyspace and run `ringside init`";
    let differences = there.differences().into_iter();
    findings.extend(differences.map(|difference| bad(format!("{difference}: {mend}"))));
    findings
}

fn replication(session: &Session, config: &Config) -> Vec<Finding> {
    let (name, datacenter) = (&config.keyspace, &config.datacenter);
    let state = session.get_cluster_state();
    let Some(keyspace) = state.get_keyspace(name) else {
        return vec![warning(format!("the keyspace `{name}` was made a moment ago: look again"))];
    };
    let Strategy::NetworkTopologyStrategy { datacenter_repfactors } = &keyspace.strategy else {
        let mend = format!(
            "ALTER KEYSPACE {name} WITH replication = {{'class': 'NetworkTopologyStrategy', '{datacenter}': 3}}"
        );
        return vec![bad(format!(
            "the keyspace `{name}` is not replicated by data centre: run `{mend}` and `nodetool repair`"
        ))];
    };
    let replicas = datacenter_repfactors.get(datacenter).copied().unwrap_or_default();
    if replicas == 0 {
        return vec![bad(format!(
            "the keyspace `{name}` has no replica in `{datacenter}`: add the data centre by ALTER KEYSPACE, then `nodetool rebuild`"
        ))];
    }
    let mut findings = Vec::new();
    if replicas < REPLICAS_LEAST {
        findings.push(warning(format!(
            "the keyspace `{name}` has {replicas} of {REPLICAS_LEAST} replicas in `{datacenter}`, so that a node that is lost takes \
             the service with it: add nodes, raise the number by ALTER KEYSPACE, then `nodetool repair`"
        )));
    }
    let quorum = replicas / 2 + 1;
    let table = TableSpec::borrowed(name, MESSAGES.name);
    let locator = state.replica_locator();
    let short = locator.ring().iter().filter(|(token, _)| {
        let replicas = locator.replicas_for_token(*token, &keyspace.strategy, Some(datacenter), &table);
        replicas.into_iter().filter(|(node, _)| node.is_connected()).count() < quorum
    });
    let nodes: HashSet<String> = short.map(|(_, node)| node.address.to_string()).collect();
    if nodes.is_empty() {
        findings.push(good(format!(
            "{quorum} of {replicas} replicas in `{datacenter}` can be reached everywhere"
        )));
    } else {
        let mut nodes: Vec<String> = nodes.into_iter().collect();
        nodes.sort_unstable();
        findings.push(bad(format!(
            "fewer than {quorum} of {replicas} replicas in `{datacenter}` can be reached of what belongs to {}: start the nodes that \
             are down, or lower the number by ALTER KEYSPACE if there never were so many",
            nodes.join(", ")
        )));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> AboutNode {
        let (version, commit_log) = ("5.0.8".into(), Some("batch".into()));
        AboutNode { version, is_scylla: false, commit_log, skew: Duration::ZERO, is_ahead: false }
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let check = |version: &str, is_scylla, expected| {
            let node = AboutNode { version: version.into(), is_scylla, ..node() };
            assert_eq!(node.findings("a")[0].severity, expected, "{version}");
        };
        check("4.1.0", false, Severity::Good);
        check("4.10.0", false, Severity::Good);
        check("5.0.8", false, Severity::Good);
        check("5.1-SNAPSHOT", false, Severity::Good);
        check("4.0.17", false, Severity::Bad);
        check("3.11.19", false, Severity::Bad);
        check("later", false, Severity::Bad);
        check("3.0.8", true, Severity::Good);
    }

    #[test]
    fn a_clock_that_is_off_is_named_with_its_side() {
        let node = |skew, is_ahead| AboutNode { skew, is_ahead, ..node() };
        assert_eq!(node(CLOCK_SKEW_MAX, true).findings("a").len(), 1);
        let skew = CLOCK_SKEW_MAX + Duration::from_millis(1);
        assert!(node(skew, true).findings("a")[1].sentence.contains("ahead of"));
        assert!(node(skew, false).findings("a")[1].sentence.contains("behind"));
    }

    #[test]
    fn a_node_that_confirms_before_its_disk_has_it_is_named() {
        let check = |commit_log: Option<&str>, expected: usize| {
            let node = AboutNode { commit_log: commit_log.map(Into::into), ..node() };
            assert_eq!(node.findings("a").len(), expected, "{commit_log:?}");
        };
        check(None, 1);
        check(Some("batch"), 1);
        check(Some("group"), 1);
        check(Some("periodic"), 2);
    }
}
