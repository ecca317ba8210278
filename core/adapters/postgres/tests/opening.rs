//! Opening, migrating and checking: what is wrong is said in a sentence that names the mend.

mod fresh;

use std::time::Duration;

use fresh::{Database, execute, server};
use ringside_ports::MembershipReader as _;
use ringside_ports::UserReader as _;
use ringside_postgres::{Config, Directory, Host, OpenError, Secret, Subject, check, init, plan};

async fn refusal(config: Config) -> String {
    let error = Directory::open(config).await.expect_err("refuses");
    assert!(matches!(error, OpenError::NoPrimary(_)), "{error}");
    error.to_string()
}

#[tokio::test]
async fn two_migrations_at_once_make_one_database() {
    let database = Database::make().await;
    let planned = plan(&database.config).await.expect("plans");
    assert!(!planned.is_empty());
    let (one, other) = tokio::join!(init(&database.config), init(&database.config));
    let done = [one.expect("migrates"), other.expect("migrates")];
    assert!(done.contains(&planned) && done.contains(&Vec::new()), "one did it all: {done:?}");
    assert_eq!(plan(&database.config).await.expect("plans"), []);
    let directory = database.open().await;
    assert_eq!(directory.users(&[]).await.expect("asks"), []);
}

#[tokio::test]
async fn an_empty_database_is_not_opened() {
    let database = Database::make().await;
    let refused = Directory::open(database.config.clone()).await.expect_err("refuses");
    assert!(refused.to_string().contains("ringside init"), "{refused}");
    let findings = check(&database.config, 1).await;
    assert!(findings.iter().any(|one| one.subject == Subject::Migrations), "{findings:?}");
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let database = Database::migrated().await;
    let mut connection = database.connection().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'later', TRUE, '', 0)";
    execute(&mut connection, newer).await;
    let refused = Directory::open(database.config.clone()).await.expect_err("refuses");
    assert!(matches!(refused, OpenError::Newer), "{refused}");
    let refused = init(&database.config).await.expect_err("refuses");
    assert!(matches!(refused, OpenError::Newer), "{refused}");
}

#[tokio::test]
async fn a_migration_that_was_applied_otherwise_is_refused() {
    let database = Database::migrated().await;
    let mut connection = database.connection().await;
    execute(&mut connection, "UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 1").await;
    let refused = Directory::open(database.config.clone()).await.expect_err("refuses");
    assert!(matches!(refused, OpenError::Migration(_)), "{refused}");
}

#[tokio::test]
async fn what_is_away_or_missing_is_named() {
    // Nobody listens on a port that has just been given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("bound").port();
    let away = Host { name: "127.0.0.1".into(), port };
    let refused = refusal(Config { hosts: vec![away], ..server() }).await;
    assert!(refused.contains("nothing listens on") && refused.contains("start PostgreSQL"), "{refused}");
    let refused = refusal(Config { database: "is_not_there".into(), ..server() }).await;
    assert!(
        refused.contains("has no database \"is_not_there\"") && refused.contains("createdb"),
        "{refused}"
    );
    let refused = refusal(Config { user: "is_not_there".into(), ..server() }).await;
    assert!(refused.contains("role \"is_not_there\"") && refused.contains("Create the role"), "{refused}");
    let refused = refusal(Config { hosts: Vec::new(), ..server() }).await;
    assert!(refused.contains("name at least one"), "{refused}");
}

/// A server that takes connections and says nothing is given up after its time, and the next host is tried.
#[tokio::test]
async fn a_silent_host_is_passed_over() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let silent = Host { name: "127.0.0.1".into(), port: silent.local_addr().expect("bound").port() };
    let connect_timeout = Duration::from_millis(200);
    let refused = refusal(Config { hosts: vec![silent.clone()], connect_timeout, ..server() }).await;
    assert!(refused.contains("did not answer within"), "{refused}");
    let database = Database::migrated().await;
    let hosts = [&[silent][..], &database.config.hosts].concat();
    let config = Config { hosts, connect_timeout: Duration::from_secs(2), ..database.config.clone() };
    let directory = Directory::open(config).await.expect("opens by the second");
    assert_eq!(directory.channels(&[]).await.expect("asks"), []);
}

/// The server asks for no password on this machine; the sentence is that of its answer to a wrong one.
#[tokio::test]
async fn a_password_is_never_printed() {
    let config =
        Config { password: Some(Secret("hidden".into())), database: "is_not_there".into(), ..server() };
    assert!(!format!("{config:?}").contains("hidden"));
    let refused = Directory::open(config).await.expect_err("refuses");
    assert!(!format!("{refused} {refused:?}").contains("hidden"), "{refused:?}");
}

/// The standby of the test server, by its port: it must not be taken for the primary, wherever it stands in the list.
#[tokio::test]
async fn a_standby_is_refused_and_the_primary_found() {
    let database = Database::migrated().await;
    let primary = database.primary().await;
    let mut connection = database.connection().await;
    let standbys: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_stat_replication")
        .fetch_one(&mut connection)
        .await
        .expect("counts");
    assert!(standbys > 0, "the test server has no standby: start it with one");
    let standby = database.config.hosts.iter().find(|host| **host != primary).expect("two nodes").clone();
    let refused = refusal(Config { hosts: vec![standby.clone()], ..server() }).await;
    assert!(refused.contains("is a standby"), "{refused}");
    let config = Config { hosts: vec![standby, primary], ..database.config.clone() };
    assert_eq!(Directory::open(config).await.expect("opens").channels(&[]).await.expect("asks"), []);
}

#[tokio::test]
async fn a_good_server_leaves_nothing_to_mend() {
    let database = Database::migrated().await;
    assert_eq!(check(&database.config, 10).await, []);
    let findings = check(&database.config, 1_000_000).await;
    assert_eq!(findings.iter().map(|one| one.subject).collect::<Vec<_>>(), [Subject::Connections]);
    let mut connection = database.connection().await;
    let name = &database.config.database;
    execute(&mut connection, &format!("ALTER DATABASE {name} SET synchronous_commit = local")).await;
    let findings = check(&database.config, 10).await;
    assert_eq!(findings.iter().map(|one| one.subject).collect::<Vec<_>>(), [Subject::Replication]);
    assert!(findings[0].sentence.contains("remote_apply"), "{findings:?}");
    let away = Config { database: "is_not_there".into(), ..database.config.clone() };
    assert_eq!(check(&away, 10).await[0].subject, Subject::Reachable);
}

#[tokio::test]
async fn a_database_of_another_encoding_is_found() {
    let server = server();
    let name = format!("ringside_test_{}", uuid::Uuid::new_v4().simple());
    let mut connection = fresh::connection_to(&server, &server.database).await;
    let make = format!("CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    execute(&mut connection, &make).await;
    let database = Database { config: Config { database: name, ..server } };
    let findings = check(&database.config, 10).await;
    assert!(findings.iter().any(|one| one.subject == Subject::Encoding), "{findings:?}");
}
