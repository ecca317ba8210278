//! Servers that are killed under the Directory: a standby that is gone, a primary that comes back, a failover.
//!
//! They stop nodes that other tests use, so they run one at a time, and by themselves:
//! `cargo test -p ringside-postgres --features engines --test faults`. The failover needs node 1 as the primary, and leaves node 2 as
//! it, with node 1 as its standby.

mod fresh;

use std::process::Command;
use std::time::{Duration, Instant};

use fresh::{Database, primary, server};
use ringside_ports::EngineError;
use ringside_ports::accounts::{NewUser, User, UserReader as _};
use ringside_ports::people::registration::Registration as _;
use ringside_postgres::{Config, Directory, Subject, check};
use ringside_types::{UnixMillis, UserId};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use uuid::Uuid;

/// One fault at a time.
static ONE: Mutex<()> = Mutex::const_new(());
/// What must come, comes within this time, on a busy machine too.
const SOON: Duration = Duration::from_secs(60);
const DEADLINE: Duration = Duration::from_secs(2);

/// Runs `engines WORD postgres [N]`.
fn engines(words: &[&str]) {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../deploy/local/engines");
    let script = std::env::var("RINGSIDE_TEST_ENGINES_SCRIPT").unwrap_or_else(|_| here.into());
    let done = Command::new(&script).args(words).status();
    assert!(done.as_ref().is_ok_and(std::process::ExitStatus::success), "{script} {words:?}: {done:?}");
}

/// A node that is down until this goes.
struct Down(&'static str);

impl Down {
    fn kill(node: &'static str) -> Self {
        engines(&["kill", "postgres", node]);
        Self(node)
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        engines(&["start", "postgres", self.0]);
    }
}

/// The numbers of the primary and of the standby.
async fn nodes() -> [&'static str; 2] {
    let server = server();
    let (host, _) = primary(&server, &server.database).await.expect("a primary is there");
    if server.hosts[0] == host { ["1", "2"] } else { ["2", "1"] }
}

fn new_user(number: u128) -> NewUser {
    let user = User {
        id: UserId(Uuid::from_u128(number)),
        email: format!("user{number}@example.org"),
        username: format!("user{number}"),
        display_name: String::new(),
        avatar_url: String::new(),
        created_at: UnixMillis(1),
    };
    NewUser { user, password_hash: "hash".into() }
}

async fn create(directory: &Directory, number: u128) -> Result<(), EngineError> {
    directory.create_users(&[new_user(number)]).await.map(|taken| assert_eq!(taken, [None], "user {number}"))
}

/// Tries new users from this number on until one is confirmed; returns the next number.
async fn until_confirmed(directory: &Directory, mut number: u128) -> u128 {
    let begun = Instant::now();
    loop {
        number += 1;
        match create(directory, number).await {
            Ok(()) => return number + 1,
            Err(EngineError::Unavailable { .. }) => assert!(begun.elapsed() < SOON, "it does not recover"),
            Err(error) => panic!("{error}"),
        }
    }
}

async fn open(database: &Database) -> Directory {
    let config = Config { deadline: DEADLINE, connections: 3, ..database.config.clone() };
    Directory::open(config).await.expect("opens")
}

async fn are_there(directory: &Directory, numbers: &[u128]) -> bool {
    let ids: Vec<UserId> = numbers.iter().map(|number| UserId(Uuid::from_u128(*number))).collect();
    directory.users(&ids).await.expect("reads").len() == ids.len()
}

/// A commit that no standby confirms is not acknowledged, however long it takes, and the caller hears it in time. No more
/// commits wait than there are connections, and all goes on when the standby is back.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_standby_nothing_is_confirmed() {
    let _one = ONE.lock().await;
    let [_, standby] = nodes().await;
    let database = Database::migrated().await;
    let directory = open(&database).await;
    create(&directory, 1).await.expect("creates");
    let down = Down::kill(standby);
    let findings = check(&database.config, 10).await;
    assert!(findings.iter().any(|one| one.subject == Subject::Replication), "{findings:?}");
    let mut writers = JoinSet::new();
    for number in 10..20 {
        let directory = directory.clone();
        writers.spawn(async move {
            let begun = Instant::now();
            let refused = create(&directory, number).await.expect_err("nobody has confirmed it");
            assert!(matches!(refused, EngineError::Unavailable { .. }), "{refused}");
            assert!(begun.elapsed() < DEADLINE + Duration::from_secs(1), "{:?}", begun.elapsed());
        });
    }
    writers.join_all().await;
    let mut watcher = database.connection().await;
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'SyncRep'";
    let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut watcher).await.expect("counts");
    assert_eq!(waiting, 3, "as many as there are connections");
    // What the primary alone has is shown to nobody.
    let mut visible = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM users");
    assert_eq!(visible.fetch_one(&mut watcher).await.expect("counts"), 1);
    drop(down);
    until_confirmed(&directory, 100).await;
    visible = sqlx::query_scalar("SELECT count(*) FROM users");
    assert!(visible.fetch_one(&mut watcher).await.expect("counts") >= 5, "the three were done all the same");
}

/// A primary that crashes and comes back is found again by the same handle; what was confirmed is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_crashes_comes_back() {
    let _one = ONE.lock().await;
    let [node, _] = nodes().await;
    let database = Database::migrated().await;
    let directory = open(&database).await;
    create(&directory, 1).await.expect("creates");
    {
        let _down = Down::kill(node);
        let refused = create(&directory, 2).await.expect_err("nobody is there");
        assert!(
            matches!(&refused, EngineError::Unavailable { cause, .. } if cause.contains("is a standby")),
            "{refused}"
        );
    }
    until_confirmed(&directory, 100).await;
    assert!(are_there(&directory, &[1]).await);
}

/// The primary is killed under writers, and the standby made the primary: the same handle finds it, and all that was confirmed is
/// there.
#[tokio::test(flavor = "multi_thread")]
async fn a_failover_loses_nothing_that_was_confirmed() {
    let _one = ONE.lock().await;
    assert_eq!(
        nodes().await[0],
        "1",
        "node 2 is the primary after an earlier failover: begin with fresh engines"
    );
    let database = Database::migrated().await;
    let directory = open(&database).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut writers = JoinSet::new();
    for writer in 1..5_u128 {
        let (directory, stopped) = (directory.clone(), stopped.clone());
        writers.spawn(async move {
            let mut confirmed = Vec::new();
            for number in (writer * 1_000_000).. {
                if *stopped.borrow() {
                    break;
                }
                match create(&directory, number).await {
                    Ok(()) => confirmed.push(number),
                    Err(EngineError::Unavailable { .. }) => {
                        // Not so fast that the servers have no time to start.
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            confirmed
        });
    }
    let before = until_confirmed(&directory, 1).await;
    engines(&["kill", "postgres", "1"]);
    engines(&["promote", "postgres"]);
    until_confirmed(&directory, before).await;
    stop.send_replace(true);
    let confirmed: Vec<u128> = writers.join_all().await.into_iter().flatten().collect();
    assert!(confirmed.len() > 1, "{confirmed:?}");
    assert!(are_there(&directory, &confirmed).await, "of {} confirmed some are lost", confirmed.len());
    assert_eq!(nodes().await[0], "2");
    engines(&["rejoin", "postgres"]);
    until_confirmed(&directory, before + 1_000).await;
    assert!(are_there(&directory, &confirmed).await);
}
