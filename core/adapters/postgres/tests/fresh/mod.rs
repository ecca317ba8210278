//! Databases of a test's own on the real server, dropped with their value.

#![allow(dead_code, reason = "each test file takes what it needs")]

pub mod proxy;

use std::cell::RefCell;

use ringside_postgres::{Config, Directory, Host, init};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// Connections of a test's Directory: enough for racers to meet, few enough for many tests at once.
const CONNECTIONS: usize = 6;

/// Where the server is.
pub fn server() -> Config {
    let url = std::env::var("RINGSIDE_TEST_POSTGRES").expect(
        "start the engines with `deploy/local/engines up`, then `eval \"$(deploy/local/engines env)\"`",
    );
    let mut config = Config::from_url(&url).expect("RINGSIDE_TEST_POSTGRES is a PostgreSQL URL");
    if let [only] = &config.hosts[..] {
        // The other node of the local engines; after a failover it is the primary.
        config.hosts.push(Host { port: only.port + 1, ..only.clone() });
    }
    Config { connections: CONNECTIONS, ..config }
}

/// Which of the hosts is the primary now, and a connection to a database of it.
pub async fn primary(config: &Config, database: &str) -> Option<(Host, PgConnection)> {
    for host in &config.hosts {
        if let Ok(mut connection) = connect(config, host, database).await
            && let Ok(false) =
                sqlx::query_scalar::<_, bool>("SELECT pg_is_in_recovery()").fetch_one(&mut connection).await
        {
            return Some((host.clone(), connection));
        }
    }
    None
}

/// A connection of the test's own to a database of the primary.
pub async fn connection_to(config: &Config, database: &str) -> PgConnection {
    primary(config, database).await.expect("a primary is there").1
}

async fn connect(config: &Config, host: &Host, database: &str) -> Result<PgConnection, sqlx::Error> {
    let options = PgConnectOptions::new_without_pgpass()
        .host(&host.name)
        .port(host.port)
        .username(&config.user)
        .database(database);
    let options = match &config.password {
        Some(password) => options.password(&password.0),
        None => options,
    };
    PgConnection::connect_with(&options).await
}

/// Runs one statement.
pub async fn execute(connection: &mut PgConnection, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await.expect(statement);
}

/// An empty database with a random name.
pub struct Database {
    pub config: Config,
}

impl Database {
    pub async fn make() -> Self {
        let server = server();
        let name = format!("ringside_test_{}", uuid::Uuid::new_v4().simple());
        let mut connection = connection_to(&server, &server.database).await;
        execute(&mut connection, &format!("CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")).await;
        Self { config: Config { database: name, ..server } }
    }

    /// With the tables of this version.
    pub async fn migrated() -> Self {
        let database = Self::make().await;
        init(&database.config).await.expect("migrates");
        database
    }

    /// A handle as another process would have.
    pub async fn open(&self) -> Directory {
        Directory::open(self.config.clone()).await.expect("opens")
    }

    /// The host that is the primary.
    pub async fn primary(&self) -> Host {
        primary(&self.config, &self.config.database).await.expect("a primary is there").0
    }

    /// A connection of the test's own.
    pub async fn connection(&self) -> PgConnection {
        connection_to(&self.config, &self.config.database).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let name = self.config.database.clone();
        // A test that has failed must not wait for the server to give up.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let server = server();
                let mut connection = connection_to(&server, &server.database).await;
                execute(&mut connection, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
            });
        });
        if dropping.join().is_err() {
            eprintln!("the database {} was not dropped", self.config.database);
        }
    }
}

/// Makes fresh Directories, and keeps their databases.
pub async fn fresh(databases: &RefCell<Vec<Database>>) -> Directory {
    let database = Database::migrated().await;
    let directory = database.open().await;
    databases.borrow_mut().push(database);
    directory
}
