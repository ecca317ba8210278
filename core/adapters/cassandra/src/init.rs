//! Making keyspace and tables. Any number may do it at once, and making them again changes nothing.

use std::time::Duration;

use scylla::client::session::Session;

use crate::config::Config;
use crate::connection::connect;
use crate::error::{OpenError, of_statement};
use crate::requests::about;
use crate::schema::observed::Observed;
use crate::schema::{COMPONENT, SCHEMA_VERSION, TABLES, VERSION};

/// How often a statement that did not succeed is sent at the most: nodes that change the schema at once get in each other's
/// way, and each statement does nothing where its work is done.
const TRIES_MAX: u32 = 5;
/// How long to wait before the second try, on the average; before each further one twice as long.
const TRY_DELAY: Duration = Duration::from_millis(250);

/// Something that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// In the operator's words.
    pub what: String,
    /// Whether it was made now; of [`plan`]: whether it would be.
    pub is_new: bool,
}

/// A step with the statement that takes it.
struct Making {
    step: Step,
    statement: String,
}

/// Makes the keyspace and its tables, as far as they are not there, and says what it has made. Of a keyspace that is there
/// the replication is left as it is. Any number of processes may do this at once.
///
/// # Errors
/// The engine does not answer, does not let the caller in, or refuses a statement; or the tables there are of a later
/// version, or are not what they must be. What was made until then stays, and the next run goes on from it.
pub async fn init(config: &Config) -> Result<Vec<Step>, OpenError> {
    let session = connect(config, config.schema_timeout).await?;
    let makings = makings(&session, config).await?;
    for making in makings.iter().filter(|making| making.step.is_new) {
        make(&session, &making.statement).await?;
    }
    // Another one may have made the rest.
    session.await_schema_agreement().await.map_err(|error| of_statement(&error))?;
    Observed::of(&session, config).await?.is_ours(config)?;
    Ok(makings.into_iter().map(|making| making.step).collect())
}

/// Says what [`init`] would make, and makes nothing.
///
/// # Errors
/// As those of [`init`].
pub async fn plan(config: &Config) -> Result<Vec<Step>, OpenError> {
    let session = connect(config, config.schema_timeout).await?;
    Ok(makings(&session, config).await?.into_iter().map(|making| making.step).collect())
}

async fn makings(session: &Session, config: &Config) -> Result<Vec<Making>, OpenError> {
    let there = Observed::of(session, config).await?;
    there.is_not_newer(config)?;
    let keyspace = &config.keyspace;
    if let Some(cause) = there.differences().into_iter().next() {
        return Err(OpenError::Tables { keyspace: keyspace.clone(), cause });
    }
    let replicas = config.replication.iter().map(|(datacenter, count)| format!("{count} in {datacenter}"));
    let replicas: Vec<String> = replicas.collect();
    let what = match there.replication {
        None => format!("keyspace `{keyspace}`, replicas: {}", replicas.join(", ")),
        Some(_) => format!("keyspace `{keyspace}`"),
    };
    let is_new = there.replication.is_none();
    let mut makings = vec![Making { step: Step { what, is_new }, statement: create_keyspace(config) }];
    for table in TABLES {
        let step = Step { what: format!("table `{keyspace}.{}`", table.name), is_new: !there.has(table) };
        makings.push(Making { step, statement: table.create(keyspace) });
    }
    let is_new = there.version != Some(SCHEMA_VERSION);
    let step = Step { what: format!("version {SCHEMA_VERSION} of the tables"), is_new };
    // With itself as timestamp: a later version stays, whoever writes last.
    let statement = format!(
        "INSERT INTO {keyspace}.{} (component, version) VALUES ('{COMPONENT}', {SCHEMA_VERSION}) USING TIMESTAMP {SCHEMA_VERSION}",
        VERSION.name
    );
    makings.push(Making { step, statement });
    Ok(makings)
}

fn create_keyspace(config: &Config) -> String {
    let replicas = config.replication.iter().map(|(datacenter, count)| format!(", '{datacenter}': {count}"));
    let replicas: String = replicas.collect();
    format!(
        "CREATE KEYSPACE IF NOT EXISTS {} WITH replication = {{'class': 'NetworkTopologyStrategy'{replicas}}} AND durable_writes = true",
        config.keyspace
    )
}

/// Runs a statement until it succeeds, and all nodes have the same schema.
async fn make(session: &Session, statement: &str) -> Result<(), OpenError> {
    let mut delay = TRY_DELAY;
    let mut tries_left = TRIES_MAX;
    loop {
        tries_left -= 1;
        let error = match session.query_unpaged(statement, ()).await {
            Ok(_) => return Ok(()),
            Err(error) => of_statement(&error),
        };
        if tries_left == 0 || matches!(error, OpenError::Forbidden { .. }) {
            return Err(error);
        }
        tracing::debug!(%error, statement, "a statement is repeated");
        tokio::time::sleep(about(delay)).await;
        delay *= 2;
    }
}
