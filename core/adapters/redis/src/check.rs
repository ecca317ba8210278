//! What is wrong with the servers, as a person is told before anything runs on them.

use std::collections::BTreeMap;
use std::fmt;

use redis::{Pipeline, Value};
use ringside_ports::Presence as _;
use ringside_types::UserId;
use tokio::time::Instant;

use crate::config::{Address, Config, Mode};
use crate::nodes::{GIVEN_AS_CLUSTER, GIVEN_AS_SINGLE, Nodes};
use crate::presence::RedisPresence;
use crate::slots::SLOTS;

/// The oldest version that has sharded publish and subscribe.
const VERSION_MIN: (u32, u32) = (7, 0);

/// Something that is not as it has to be: a sentence that says what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding(pub String);

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Looks at every server of the configuration, and at every primary of a cluster, and changes nothing. No findings: it can be used.
pub async fn check(config: &Config) -> Vec<Finding> {
    let presence = match RedisPresence::new(config) {
        Ok(presence) => presence,
        Err(error) => return vec![Finding(error.to_string())],
    };
    let nodes = &presence.nodes;
    let (mut findings, mut places) = (Vec::new(), nodes.seeds().to_vec());
    if config.mode == Mode::Cluster
        && let Ok(map) = nodes.find_map(Instant::now() + config.timeout).await
    {
        let more = map.primaries().into_iter().map(|address| (*address).clone());
        places.extend(more.filter(|address| !nodes.seeds().contains(address)));
        match map.uncovered() {
            0 => {}
            missing => findings.push(Finding(format!(
                "Redis: {missing} of the cluster's {SLOTS} slots have no server: give them one \
                 (`redis-cli --cluster fix`)."
            ))),
        }
    }
    let mut is_any_reached = false;
    for address in &places {
        match look_at(nodes, address, config).await {
            Ok(found) => {
                is_any_reached = true;
                findings
                    .extend(found.into_iter().map(|what| Finding(format!("Redis at {address}: {what}."))));
            }
            Err(cause) => findings.push(Finding(format!(
                "Redis can't be used at {cause}. Start it, or correct the address in the configuration."
            ))),
        }
    }
    // A script that only reads; where something else is wrong already, that is the reason.
    if is_any_reached
        && findings.is_empty()
        && let Err(error) = presence.statuses(&[UserId(uuid::Uuid::nil())]).await
    {
        findings.push(Finding(format!("Redis runs no script of Ringside's: {error}.")));
    }
    findings
}

/// What one server says of itself.
async fn look_at(nodes: &Nodes, address: &Address, config: &Config) -> Result<Vec<String>, String> {
    let mut pipeline = Pipeline::new();
    for section in ["server", "memory", "cluster", "replication"] {
        pipeline.cmd("INFO").arg(section);
    }
    pipeline.cmd("CLUSTER").arg("INFO");
    let replies = nodes.link(address).send(&pipeline, Instant::now() + config.timeout).await;
    let mut replies = replies.map_err(|error| error.cause)?;
    let of_cluster = replies.pop().as_ref().and_then(text_of).unwrap_or_default();
    let mut told = String::new();
    for reply in &replies {
        let Some(text) = text_of(reply) else {
            return Ok(vec![format!(
                "it does not tell of itself ({reply:?}): allow its user the command INFO"
            )]);
        };
        told.push_str(&text);
    }
    let (told, of_cluster) = (fields(&told), fields(&of_cluster));
    Ok(findings(config.mode, &told, &of_cluster))
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

fn fields(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.trim().split_once(':')).collect()
}

fn findings(mode: Mode, told: &BTreeMap<&str, &str>, of_cluster: &BTreeMap<&str, &str>) -> Vec<String> {
    let of = |name: &str| told.get(name).copied().unwrap_or("unknown");
    let mut findings = Vec::new();
    let (major, minor) = VERSION_MIN;
    if version_of(of("redis_version")).is_none_or(|version| version < VERSION_MIN) {
        let version = of("redis_version");
        findings.push(format!("its version is {version}: take {major}.{minor} or newer"));
    }
    match (mode, of("cluster_enabled")) {
        (Mode::Single, "1") => findings.push(GIVEN_AS_SINGLE.into()),
        (Mode::Cluster, "0") => findings.push(GIVEN_AS_CLUSTER.into()),
        _ => {}
    }
    if mode == Mode::Single && of("role") != "master" {
        findings.push("it is a replica: give the address of its primary".into());
    }
    let policy = of("maxmemory_policy");
    if policy != "noeviction" {
        findings.push(format!(
            "it forgets keys when its memory is full (maxmemory-policy {policy}): set `noeviction`"
        ));
    }
    let state = of_cluster.get("cluster_state").copied().unwrap_or("unknown");
    if mode == Mode::Cluster && of("cluster_enabled") == "1" && state != "ok" {
        findings.push(format!(
            "its cluster's state is {state}: start the servers that are missing, or give their slots to others"
        ));
    }
    findings
}

fn version_of(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "redis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\ncluster_enabled:0\r\nrole:master\r\n";

    #[test]
    fn every_fault_has_its_mend() {
        let check = |mode, change: (&str, &str), of_cluster: &str, says: &str| {
            let text = GOOD.replace(change.0, change.1);
            let found = findings(mode, &fields(&text), &fields(of_cluster));
            match says {
                "" => assert_eq!(found, [""; 0]),
                says => assert!(found.len() == 1 && found[0].contains(says), "{found:?}"),
            }
        };
        let same = ("", "");
        let cluster = ("enabled:0", "enabled:1");
        check(Mode::Single, same, "", "");
        check(Mode::Single, ("7.0.15", "8.2.0"), "", "");
        check(Mode::Single, ("7.0.15", "6.2.14"), "", "take 7.0 or newer");
        check(Mode::Single, ("7.0.15", "new"), "", "take 7.0 or newer");
        check(Mode::Single, ("noeviction", "allkeys-lru"), "", "set `noeviction`");
        check(Mode::Single, ("role:master", "role:slave"), "", "primary");
        check(Mode::Single, cluster, "cluster_state:ok\r\n", "configure a cluster");
        check(Mode::Cluster, same, "", "configure a single Redis");
        check(Mode::Cluster, cluster, "cluster_state:ok\r\n", "");
        check(Mode::Cluster, cluster, "cluster_state:fail\r\n", "state is fail");
    }
}
