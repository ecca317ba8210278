//! What a server lacks to keep what the Directory promises: each finding is one sentence that names the mend.

use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::config::Config;
use crate::failure::{Failure, OpenError};
use crate::pool::Pool;
use crate::rows;
use crate::schema;

/// The oldest version of PostgreSQL that will do, as `server_version_num` says it.
const VERSION_MIN: i64 = 140_000;
/// Clocks of the server and of this machine may differ so much, milliseconds.
const CLOCK_DIFFERENCE_MAX_MS: i64 = 1_000;

const SETTINGS: &str = "SELECT current_setting('server_version_num')::BIGINT AS version, \
    current_setting('synchronous_commit') AS synchronous_commit, \
    current_setting('synchronous_standby_names') AS standby_names, \
    current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes, \
    current_setting('max_connections')::BIGINT - current_setting('superuser_reserved_connections')::BIGINT AS connections, \
    pg_encoding_to_char(encoding) AS encoding, \
    (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT AS now_ms, \
    (SELECT count(*) FROM pg_stat_replication) AS standbys, \
    (SELECT count(*) FROM pg_stat_replication WHERE sync_state IS NOT NULL) AS standbys_seen, \
    (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum') AND state = 'streaming') AS synchronous \
    FROM pg_database WHERE datname = current_database()";

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// No primary takes a connection.
    Reachable,
    /// PostgreSQL's version.
    Version,
    /// Migrations that are missing, or unknown.
    Migrations,
    /// A commit is confirmed before it is safe on this server.
    Durability,
    /// A commit is confirmed before it is safe on a second server.
    Replication,
    /// There are fewer connections than the processes may open.
    Connections,
    /// The database can't hold every text.
    Encoding,
    /// The clocks differ.
    Clock,
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub subject: Subject,
    /// What is wrong, and what mends it.
    pub sentence: String,
}

/// Looks at the server that is the primary; nothing is changed. `connections_in_all`: what all processes together may open.
/// Nothing found: it is as it must be.
pub async fn check(config: &Config, connections_in_all: usize) -> Vec<Finding> {
    let pool = Pool::new(Config { connections: 1, ..config.clone() });
    let unreachable = |sentence| vec![Finding { subject: Subject::Reachable, sentence }];
    let looking = async {
        let mut lease = pool.acquire().await?;
        look(&mut lease.connection, connections_in_all).await.map_err(|failure| {
            format!("the server does not tell its settings: {}", ringside_ports::EngineError::from(failure))
        })
    };
    match tokio::time::timeout(config.deadline, looking).await {
        Ok(Ok(findings)) => findings,
        Ok(Err(sentence)) => unreachable(sentence),
        Err(_) => unreachable(format!(
            "PostgreSQL did not answer within {:?}; look at the server's load and the network",
            config.deadline
        )),
    }
}

async fn look(connection: &mut PgConnection, connections_in_all: usize) -> Result<Vec<Finding>, Failure> {
    let before = now_ms();
    let row = sqlx::query(SETTINGS).persistent(false).fetch_one(&mut *connection).await?;
    let after = now_ms();
    let mut findings = Vec::new();
    let mut find = |subject, sentence: String| findings.push(Finding { subject, sentence });
    if rows::get::<i64>(&row, "version")? < VERSION_MIN {
        find(Subject::Version, "PostgreSQL is older than version 14; upgrade it".into());
    }
    for setting in ["fsync", "full_page_writes"] {
        if rows::text(&row, setting)? != "on" {
            find(
                Subject::Durability,
                format!("{setting} is off, so a crash of the server may lose or spoil everything; set it on"),
            );
        }
    }
    if let Some(sentence) = replication(&row)? {
        find(Subject::Replication, sentence);
    }
    let connections = rows::get::<i64>(&row, "connections")?;
    if i64::try_from(connections_in_all).is_ok_and(|wanted| wanted > connections) {
        find(
            Subject::Connections,
            format!(
                "all processes together may open {connections_in_all} connections, and the server has {connections}; raise \
                 max_connections, or lower the connections of each process"
            ),
        );
    }
    let encoding = rows::text(&row, "encoding")?;
    if encoding != "UTF8" {
        find(
            Subject::Encoding,
            format!(
                "the database's encoding is {encoding}; make one anew with `createdb -E UTF8 -T template0`"
            ),
        );
    }
    let now = rows::get::<i64>(&row, "now_ms")?;
    let difference = (before - now).max(now - after).max(0);
    if difference > CLOCK_DIFFERENCE_MAX_MS {
        find(
            Subject::Clock,
            format!(
                "the server's clock differs from this machine's by {difference} ms; let both follow the same time by NTP"
            ),
        );
    }
    match schema::missing(connection).await {
        Ok(missing) if missing.is_empty() => {}
        Ok(missing) => find(Subject::Migrations, OpenError::Older(missing.len()).to_string()),
        Err(error) => find(Subject::Migrations, error.to_string()),
    }
    Ok(findings)
}

/// Why a commit may be confirmed though one server alone has it.
fn replication(row: &PgRow) -> Result<Option<String>, Failure> {
    let commit = rows::text(row, "synchronous_commit")?;
    let count = |column: &str| rows::get::<i64>(row, column);
    Ok(if !["on", "remote_apply"].contains(&commit.as_str()) {
        Some(format!(
            "synchronous_commit is {commit}, so a failover may lose what was confirmed; set it to on or remote_apply"
        ))
    } else if rows::text(row, "standby_names")?.is_empty() {
        Some(
            "no synchronous standby is named, so a failover may lose what was confirmed; set synchronous_standby_names to \
             the standby's application_name"
                .into(),
        )
    } else if count("standbys")? > count("standbys_seen")? {
        Some(
            "the role may not see whether the standby is synchronous; grant it pg_monitor with `GRANT pg_monitor TO` the role"
                .into(),
        )
    } else if count("synchronous")? == 0 {
        Some(
            "no synchronous standby is connected, so every change waits and is answered `unavailable`; start the standby that \
             synchronous_standby_names names"
                .into(),
        )
    } else {
        None
    })
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
