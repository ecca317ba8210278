//! Accounts, channels and signing keys in PostgreSQL.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringside_postgres::{Config as PostgresConfig, Directory, Host, MasterKey, PostgresKeys, Secret, Tls};

use super::of_faults;
use crate::commands::Failure;
use crate::commands::doctor::Finding;
use crate::config::{Config, ConfigError, secret};
use crate::engines::{DirectoryEngine, KeyStoreEngine};
use crate::init::Step;

pub(super) async fn open(config: &Config) -> Result<(DirectoryEngine, KeyStoreEngine), Failure> {
    let master_key = master_key(config)?;
    let directory = Directory::open(read(config)?).await?;
    let keys = PostgresKeys::new(directory.clone(), master_key);
    Ok((DirectoryEngine::Postgres(directory), KeyStoreEngine::Postgres(keys)))
}

pub(super) async fn make(config: &Config) -> Result<Vec<Step>, Failure> {
    // Before anything is made: it would be missed right afterwards.
    master_key(config)?;
    Ok(steps(config, ringside_postgres::init(&read(config)?).await?))
}

pub(super) async fn plan(config: &Config) -> Result<Vec<Step>, Failure> {
    Ok(steps(config, ringside_postgres::plan(&read(config)?).await?))
}

pub(super) async fn findings(config: &Config) -> Result<Vec<Finding>, Failure> {
    master_key(config)?;
    let config = read(config)?;
    let found = ringside_postgres::check(&config, config.connections).await;
    let hosts: Vec<String> = config.hosts.iter().map(ToString::to_string).collect();
    let faults = found.into_iter().map(|found| found.sentence).collect();
    Ok(of_faults(&format!("PostgreSQL at {}", hosts.join(", ")), faults))
}

fn steps(config: &Config, applied: Vec<ringside_postgres::Applied>) -> Vec<Step> {
    let database = &config.postgres.database;
    if applied.is_empty() {
        let what = format!("the Directory's tables in the database {database}");
        return vec![Step { what, is_new: false }];
    }
    let step = |applied: ringside_postgres::Applied| Step {
        what: format!("migration {} of the database {database}: {}", applied.version, applied.description),
        is_new: true,
    };
    applied.into_iter().map(step).collect()
}

fn read(config: &Config) -> Result<PostgresConfig, ConfigError> {
    let postgres = &config.postgres;
    let file = postgres.password_file.as_deref();
    let password = secret("postgres.password", postgres.password.as_ref(), file)?;
    let refused = |from: &str, cause: String| ConfigError::Value { from: from.into(), cause };
    let host = |text: &String| {
        let (name, port) = text.rsplit_once(':')?;
        Some(Host { name: name.trim_matches(['[', ']']).into(), port: port.parse().ok()? })
    };
    let hosts: Option<Vec<Host>> = postgres.hosts.iter().map(host).collect();
    let tls = match &postgres.ca_file {
        None => Tls::Off,
        Some(path) => Tls::Verified(Some(std::fs::read(path).map_err(|error| {
            refused("postgres.ca_file", format!("{} can't be read: {error}", path.display()))
        })?)),
    };
    Ok(PostgresConfig {
        hosts: hosts.ok_or_else(|| refused("postgres.hosts", "each is `host:port`".into()))?,
        database: postgres.database.clone(),
        user: postgres.user.clone(),
        password: password.map(Secret),
        connections: postgres.connections.into(),
        tls,
        ..PostgresConfig::default()
    })
}

fn master_key(config: &Config) -> Result<MasterKey, ConfigError> {
    let postgres = &config.postgres;
    let file = postgres.master_key_file.as_deref();
    let text = secret("postgres.master_key", postgres.master_key.as_ref(), file)?;
    let bytes = text.and_then(|text| STANDARD.decode(text.trim()).ok());
    let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map(MasterKey::new).ok_or_else(|| ConfigError::Value {
        from: "postgres.master_key".into(),
        cause: "signing keys are sealed with it: 32 random bytes in base64, which `openssl rand -base64 32` makes. Keep it \
                where the database's backups are not"
            .into(),
    })
}
