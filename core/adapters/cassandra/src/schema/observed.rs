//! What is there of the schema, and how it differs from what must be.

use std::collections::HashMap;

use scylla::client::session::Session;
use scylla::deserialize::row::DeserializeRow;
use scylla::response::query_result::QueryRowsResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::{Consistency, Statement};

use super::{COMPONENT, Column, Place, SCHEMA_VERSION, TABLES, Table, VERSION};
use crate::config::Config;
use crate::error::{OpenError, of_statement};

/// A column as the engine describes it: type, kind, position in its key, order.
type Described = (String, String, i32, String);

/// A keyspace as it is.
#[derive(Debug)]
pub(crate) struct Observed {
    /// How it is replicated; `None`: there is no such keyspace.
    pub(crate) replication: Option<HashMap<String, String>>,
    /// Columns by table and name.
    tables: HashMap<String, HashMap<String, Described>>,
    /// The version of the tables; `None`: none was written, or there is no table of it.
    pub(crate) version: Option<i32>,
}

impl Observed {
    pub(crate) async fn of(session: &Session, config: &Config) -> Result<Self, OpenError> {
        let mut there = Self::without_version(session, config).await?;
        there.read_version(session, config).await?;
        Ok(there)
    }

    /// What any node knows by itself.
    pub(crate) async fn without_version(session: &Session, config: &Config) -> Result<Self, OpenError> {
        let keyspace = &config.keyspace;
        let text = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?";
        let found = select(session, text, (keyspace,)).await?;
        let replication = rows::<(HashMap<String, String>,)>(&found)?.into_iter().next().map(|(map,)| map);
        let text = "SELECT table_name, column_name, type, kind, position, clustering_order \
                    FROM system_schema.columns WHERE keyspace_name = ?";
        let found = select(session, text, (keyspace,)).await?;
        let mut tables: HashMap<String, HashMap<String, Described>> = HashMap::new();
        for (table, column, kind, place, position, order) in
            rows::<(String, String, String, String, i32, String)>(&found)?
        {
            tables.entry(table).or_default().insert(column, (kind, place, position, order));
        }
        Ok(Self { replication, tables, version: None })
    }

    /// What a quorum knows.
    pub(crate) async fn read_version(&mut self, session: &Session, config: &Config) -> Result<(), OpenError> {
        if self.replication.is_none() || !self.has(&VERSION) {
            return Ok(());
        }
        let text = format!("SELECT version FROM {}.{} WHERE component = ?", config.keyspace, VERSION.name);
        let mut statement = Statement::new(text);
        statement.set_consistency(Consistency::LocalQuorum);
        let found = ask(session, statement, (COMPONENT,)).await?;
        self.version = rows::<(Option<i32>,)>(&found)?.into_iter().find_map(|(version,)| version);
        Ok(())
    }

    pub(crate) fn has(&self, table: &Table) -> bool {
        self.tables.contains_key(table.name)
    }

    /// Whether a store may work with it.
    pub(crate) fn is_ours(&self, config: &Config) -> Result<(), OpenError> {
        let keyspace = config.keyspace.clone();
        if self.replication.is_none() {
            return Err(OpenError::NoKeyspace { keyspace });
        }
        self.is_not_newer(config)?;
        let missing = TABLES.iter().filter(|table| !self.has(table)).map(|table| format!("`{}`", table.name));
        let missing: Vec<String> = missing.collect();
        if !missing.is_empty() {
            return Err(OpenError::NoTables { keyspace, missing: missing.join(", ") });
        }
        if let Some(cause) = self.differences().into_iter().next() {
            return Err(OpenError::Tables { keyspace, cause });
        }
        let found = self.version.unwrap_or_default();
        if found < SCHEMA_VERSION {
            let mend = "run `ringside init`";
            return Err(OpenError::Version { keyspace, found, needed: SCHEMA_VERSION, mend });
        }
        Ok(())
    }

    /// Whether this program may change it.
    pub(crate) fn is_not_newer(&self, config: &Config) -> Result<(), OpenError> {
        match self.version {
            Some(found) if found > SCHEMA_VERSION => Err(OpenError::Version {
                keyspace: config.keyspace.clone(),
                found,
                needed: SCHEMA_VERSION,
                mend: "start a program as new as the one that made them",
            }),
            _ => Ok(()),
        }
    }

    /// What is wrong with the tables that are there, a sentence for each column. Columns that nobody here knows are
    /// fine: a later version adds them before this one is gone.
    pub(crate) fn differences(&self) -> Vec<String> {
        let mut differences = Vec::new();
        for table in TABLES {
            let Some(there) = self.tables.get(table.name) else { continue };
            for column in table.columns {
                let expected = described(table, column);
                match there.get(column.name) {
                    Some(found) if *found == expected => {}
                    Some(found) => differences.push(format!(
                        "the column `{}` of table `{}` is {found:?} instead of {expected:?}",
                        column.name, table.name
                    )),
                    None => differences
                        .push(format!("the table `{}` has no column `{}`", table.name, column.name)),
                }
            }
            let is_strange_key = |(name, described): (&String, &Described)| {
                described.1 != "regular" && !table.columns.iter().any(|column| column.name == name)
            };
            if there.iter().any(is_strange_key) {
                differences.push(format!("the key of table `{}` has a column too many", table.name));
            }
        }
        differences
    }
}

/// A column as the engine would describe it.
fn described(table: &Table, column: &Column) -> Described {
    let position = |place: fn(Place) -> bool| {
        let before = table.columns.iter().take_while(|other| other.name != column.name);
        i32::try_from(before.filter(|other| place(other.place)).count()).unwrap_or(i32::MAX)
    };
    let (kind, position, order) = match column.place {
        Place::Partition => ("partition_key", position(|place| place == Place::Partition), "none"),
        Place::Rising => ("clustering", position(|place| place != Place::Partition), "asc"),
        Place::Falling => ("clustering", position(|place| place != Place::Partition), "desc"),
        Place::Value => ("regular", -1, "none"),
    };
    (column.kind.name().into(), kind.into(), position, order.into())
}

/// Asks one node's own tables.
pub(crate) async fn select(
    session: &Session,
    text: &str,
    values: impl SerializeRow,
) -> Result<QueryRowsResult, OpenError> {
    let mut statement = Statement::new(text);
    // Each node has its own of them.
    statement.set_consistency(Consistency::One);
    ask(session, statement, values).await
}

pub(crate) async fn ask(
    session: &Session,
    mut statement: Statement,
    values: impl SerializeRow,
) -> Result<QueryRowsResult, OpenError> {
    statement.set_is_idempotent(true);
    let result = session.query_unpaged(statement, values).await.map_err(|error| of_statement(&error))?;
    result.into_rows_result().map_err(|error| OpenError::Failed { cause: error.to_string() })
}

/// The rows of an answer.
pub(crate) fn rows<R: for<'f> DeserializeRow<'f, 'f>>(result: &QueryRowsResult) -> Result<Vec<R>, OpenError> {
    let failed = |error: &dyn std::fmt::Display| OpenError::Failed { cause: error.to_string() };
    let rows = result.rows::<R>().map_err(|error| failed(&error))?;
    rows.map(|row| row.map_err(|error| failed(&error))).collect()
}
