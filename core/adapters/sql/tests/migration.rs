//! A data folder that an earlier version wrote opens, and everything in it is there.

use std::path::Path;

use ringside_ports::people::After;
use ringside_ports::people::profiles::{Profiles as _, SearchFor, ServerRole};
use ringside_ports::people::sessions::Sessions as _;
use ringside_ports::{Administration as _, MembershipReader as _, SignIn as _};
use ringside_sql::Directory;
use ringside_types::{SessionId, UnixMillis, UserId};
use sqlx::migrate::{Migration, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use uuid::Uuid;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Two accounts, the later one first, a session, a channel and its outbox row, as the first version wrote them.
const WRITTEN: &str = "
    INSERT INTO users (id, email, email_folded, username, username_folded, password_hash, display_name, created_at)
    VALUES (x'00000000000000000000000000000002', 'B@b', 'b@b', 'Bob', 'bob', 'hash b', 'Bob', 20),
           (x'00000000000000000000000000000001', 'a@a', 'a@a', 'ada', 'ada', 'hash a', 'ÅDA', 10);
    INSERT INTO sessions (id, user_id, device, created_at)
    VALUES (x'00000000000000000000000000000009', x'00000000000000000000000000000001', 'phone', 30);
    INSERT INTO refresh_tokens (hash, session_id, expires_at)
    VALUES (x'01', x'00000000000000000000000000000009', 1000);
    INSERT INTO channels (id, name, type, creator_id, description, created_at, version)
    VALUES (x'0000000000000000000000000000000c', 'c', 'group', x'00000000000000000000000000000001', '', 40, 1);
    INSERT INTO channel_members (channel_id, user_id, role, joined_at, version)
    VALUES (x'0000000000000000000000000000000c', x'00000000000000000000000000000001', 'owner', 40, 1);";

/// Accounts whose addresses hold letters in two forms: 3 and 4 were told apart, and are one address now.
const IN_TWO_FORMS: &str = "
    INSERT INTO users (id, email, email_folded, username, username_folded, password_hash, display_name, created_at)
    VALUES (x'00000000000000000000000000000003', 'Jü@c', 'jü@c', 'c', 'c', 'hash c', 'C', 1),
           (x'00000000000000000000000000000004', 'Ju\u{308}@c', 'ju\u{308}@c', 'd', 'd', 'hash d', 'D', 2),
           (x'00000000000000000000000000000005', 'Ju\u{308}@e', 'ju\u{308}@e', 'e', 'e', 'hash e', 'E', 3);";

/// A database of the first version.
async fn written(path: &Path, rows: &'static str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let old = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.expect("opens");
    let first: Vec<Migration> = MIGRATIONS.iter().filter(|one| one.version == 1).cloned().collect();
    Migrator::with_migrations(first).run(&old).await.expect("migrates");
    sqlx::raw_sql(rows).execute(&old).await.expect("writes");
    old.close().await;
}

#[tokio::test]
async fn an_address_in_another_form_still_signs_in() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("directory.sqlite");
    written(&path, IN_TWO_FORMS).await;
    let directory = Directory::open(&path).await.expect("opens");
    for (login, number) in [("jü@c", 3), ("JU\u{308}@C", 4), ("jü@e", 5), ("ju\u{308}@e", 5), ("d", 4)] {
        let found = directory.user_by_login(login).await.expect("looks").map(|(user, _)| user.id);
        assert_eq!(found, Some(UserId(Uuid::from_u128(number))), "{login:?}");
    }
}

#[tokio::test]
async fn what_the_first_version_wrote_is_all_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("directory.sqlite");
    written(&path, WRITTEN).await;
    let directory = Directory::open(&path).await.expect("opens");
    let [ada, bob] = [1, 2].map(|number| UserId(Uuid::from_u128(number)));
    let (found, hash) = directory.user_by_login("BOB").await.expect("looks").expect("there");
    assert_eq!((found.id, found.email.as_str(), hash.as_str()), (bob, "B@b", "hash b"));
    let profiles = directory.every_profile(After { after: None, limit: 10 }).await.expect("lists");
    let told: Vec<_> = profiles.iter().map(|one| (one.user.id, one.role, one.updated_at)).collect();
    let expected = [(ada, ServerRole::Admin, UnixMillis(10)), (bob, ServerRole::User, UnixMillis(20))];
    assert_eq!(told, expected, "the first account administers");
    let search = SearchFor { viewer: bob, text: "åd".into() };
    let found = directory.search(&search, After { after: None, limit: 10 }).await.expect("searches");
    assert_eq!(found.len(), 1, "old names are folded too");
    let open = After { after: None, limit: 10 };
    let sessions = directory.sessions(ada, Some(UnixMillis(500)), open).await.expect("lists");
    assert_eq!((sessions[0].id, sessions[0].used_at), (SessionId(Uuid::from_u128(9)), UnixMillis(30)));
    assert_eq!(directory.memberships(&[ada]).await.expect("lists").len(), 1);
    directory.close().await;
    Directory::open(&path).await.expect("opens again").close().await;
}
