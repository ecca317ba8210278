//! Making the tables, saying what would be made, and what is said of an engine that is not as it must be.

mod support;

use std::time::Duration;

use ringside_cassandra::{CassandraStore, Config, Credentials, OpenError, Severity, Step, check, init, plan};
use support::{Keyspaces, config, run, session};

async fn refused(config: Config) -> OpenError {
    match CassandraStore::open(config).await {
        Ok(_) => panic!("it opens"),
        Err(error) => error,
    }
}

fn new_steps(steps: &[Step]) -> usize {
    steps.iter().filter(|step| step.is_new).count()
}

async fn bad_of(config: &Config) -> Vec<String> {
    let findings = check(config).await;
    findings.into_iter().filter(|it| it.severity == Severity::Bad).map(|it| it.sentence).collect()
}

#[tokio::test]
async fn a_plan_makes_nothing_and_says_what_init_makes() {
    Keyspaces::with(async |keyspaces| {
        let config = keyspaces.keep(config());
        let planned = plan(&config).await.expect("plans");
        assert_eq!(new_steps(&planned), planned.len(), "nothing is there");
        assert!(planned[0].what.contains("replicas: 1 in datacenter1"), "{planned:?}");
        assert!(
            matches!(refused(config.clone()).await, OpenError::NoKeyspace { .. }),
            "a plan makes nothing"
        );
        assert!(bad_of(&config).await.iter().any(|sentence| sentence.contains("`ringside init`")));
        assert_eq!(init(&config).await.expect("makes them"), planned, "what was planned is made");
        let again = init(&config).await.expect("makes them again");
        assert_eq!((new_steps(&again), again.len()), (0, planned.len()), "once");
        assert_eq!(plan(&config).await.expect("plans"), again);
        CassandraStore::open(config.clone()).await.expect("opens");
        assert_eq!(bad_of(&config).await, Vec::<String>::new());
    })
    .await;
}

/// Several at once, as when pods start together: all succeed, and what they made is one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_number_may_make_the_tables_at_once() {
    Keyspaces::with(async |keyspaces| {
        let config = keyspaces.keep(config());
        let makers: Vec<_> = (0..3)
            .map(|_| {
                let config = config.clone();
                tokio::spawn(async move { init(&config).await })
            })
            .collect();
        for maker in makers {
            maker.await.expect("no panic").expect("makes them");
        }
        CassandraStore::open(config).await.expect("opens");
    })
    .await;
}

#[tokio::test]
async fn tables_that_are_missing_or_different_are_named_with_the_mend() {
    Keyspaces::with(async |keyspaces| {
        let (config, session) = (keyspaces.made().await, session().await);
        let keyspace = &config.keyspace;
        run(&session, format!("DROP TABLE {keyspace}.pins")).await;
        let error = refused(config.clone()).await;
        assert!(matches!(&error, OpenError::NoTables { missing, .. } if missing == "`pins`"), "{error}");
        assert!(error.to_string().ends_with("run `ringside init`"), "{error}");
        let bad = bad_of(&config).await;
        assert!(bad.len() == 1 && bad[0].contains("`pins`"), "{bad:?}");
        let planned = plan(&config).await.expect("plans");
        let new: Vec<_> = planned.iter().filter(|step| step.is_new).map(|step| step.what.as_str()).collect();
        assert_eq!(new, [format!("table `{keyspace}.pins`")]);
        init(&config).await.expect("makes what is missing");
        CassandraStore::open(config.clone()).await.expect("opens");

        run(&session, format!("ALTER TABLE {keyspace}.channel_heads ADD later_versions_own text")).await;
        CassandraStore::open(config.clone()).await.expect("a column of a later version is no harm");
        run(&session, format!("ALTER TABLE {keyspace}.channel_heads DROP last_seq")).await;
        let error = refused(config.clone()).await;
        assert!(matches!(error, OpenError::Tables { .. }), "{error}");
        assert!(error.to_string().contains("`channel_heads` has no column `last_seq`"), "{error}");
        assert!(matches!(init(&config).await, Err(OpenError::Tables { .. })), "init does not alter");
        let bad = bad_of(&config).await;
        assert!(bad.len() == 1 && bad[0].contains("`last_seq`"), "{bad:?}");
    })
    .await;
}

#[tokio::test]
async fn tables_of_another_version_are_not_opened() {
    Keyspaces::with(async |keyspaces| {
        let (config, session) = (keyspaces.made().await, session().await);
        let version = format!("{}.schema_version", config.keyspace);
        run(
            &session,
            format!("INSERT INTO {version} (component, version) VALUES ('messages', 2) USING TIMESTAMP 2"),
        )
        .await;
        let error = refused(config.clone()).await;
        assert!(matches!(error, OpenError::Version { found: 2, needed: 1, .. }), "{error}");
        assert!(matches!(init(&config).await, Err(OpenError::Version { found: 2, .. })));
        assert!(matches!(plan(&config).await, Err(OpenError::Version { found: 2, .. })));
        assert!(bad_of(&config).await[0].contains("version 2"));
        run(&session, format!("TRUNCATE {version}")).await;
        let error = refused(config.clone()).await;
        assert!(matches!(error, OpenError::Version { found: 0, mend: "run `ringside init`", .. }), "{error}");
        assert_eq!(new_steps(&init(&config).await.expect("writes it")), 1);
        CassandraStore::open(config).await.expect("opens");
    })
    .await;
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_named() {
    let config = || Config { connect_timeout: Duration::from_secs(5), ..config() };
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port");
    let away = Config { contact_points: vec![free.to_string()], ..config() };
    let error = refused(away.clone()).await;
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&free.to_string()), "{error}");
    assert!(matches!(init(&away).await, Err(OpenError::Unreachable { .. })));
    let bad = bad_of(&away).await;
    assert!(bad.len() == 1 && bad[0].contains("start it"), "{bad:?}");
    // One that takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("is bound").to_string();
    let error = refused(Config { contact_points: vec![address], ..config() }).await;
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    let elsewhere =
        Config { datacenter: "atlantis".into(), replication: [("atlantis".into(), 1)].into(), ..config() };
    let error = refused(elsewhere).await;
    assert!(matches!(&error, OpenError::Datacenter { known, .. } if known == "datacenter1"), "{error}");
}

/// A keyspace that wants more replicas than there are nodes is made, and then said to be out of reach. The version can't be
/// written to it.
#[tokio::test]
async fn replicas_that_do_not_exist_are_found() {
    Keyspaces::with(async |keyspaces| {
        let replication = [("datacenter1".into(), 7)].into();
        let config = Config { schema_timeout: Duration::from_secs(20), replication, ..config() };
        let config = keyspaces.keep(config);
        let error = init(&config).await.expect_err("no quorum of seven");
        assert!(error.to_string().contains("did not confirm"), "{error}");
        let bad = bad_of(&config).await;
        assert!(bad.iter().any(|it| it.contains("fewer than 4 of 7 replicas")), "{bad:?}");
    })
    .await;
}

/// Credentials that the engine does not ask for do no harm; of those that it refuses `RINGSIDE_TEST_CASSANDRA_PASSWORD` makes a
/// test: the contact point of an engine with passwords.
#[tokio::test]
async fn wrong_credentials_are_named() {
    let credentials = Some(Credentials { user: "nobody".into(), password: "s3cret".into() });
    let Ok(point) = std::env::var("RINGSIDE_TEST_CASSANDRA_PASSWORD") else {
        let error = refused(Config { credentials, ..config() }).await;
        assert!(matches!(error, OpenError::NoKeyspace { .. }), "{error}");
        return;
    };
    let there = Config { contact_points: vec![point], ..config() };
    for credentials in [credentials, None] {
        let error = refused(Config { credentials, ..there.clone() }).await;
        assert!(matches!(error, OpenError::Credentials { .. }), "{error:?}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    let credentials = Some(Credentials { user: "cassandra".into(), password: "cassandra".into() });
    let error = refused(Config { credentials, ..there }).await;
    assert!(matches!(error, OpenError::NoKeyspace { .. }), "{error:?}");
}
