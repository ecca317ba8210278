//! Several processes at once: racers over handles of their own, locks that last, and connections that are lost.

mod fresh;

use std::time::{Duration, Instant};

use fresh::{Database, execute};
use ringside_ports::EngineError;
use ringside_ports::accounts::{NewUser, SignIn as _, User, UserReader as _};
use ringside_ports::channels::{
    ChangeRefused, Channel, ChannelChange, ChannelChanges as _, ChannelKind, Created, MembershipReader as _,
    NewChannel, Outbox as _, Role,
};
use ringside_ports::keys::{KeyStore as _, KeyStoreError, StoredKey};
use ringside_ports::people::After;
use ringside_ports::people::profiles::{Administration as _, Profiles as _, ServerRole};
use ringside_ports::people::registration::{Admitted, Invitation, Registration as _};
use ringside_ports::people::relations::{Relations as _, Requested};
use ringside_postgres::{Config, Directory, MasterKey, PostgresKeys};
use ringside_types::{ChannelId, UnixMillis, UserId};
use tokio::task::JoinSet;
use uuid::Uuid;

const NOW: UnixMillis = UnixMillis(1_000_000);
const LATER: UnixMillis = UnixMillis(2_000_000);
const RACERS: u128 = 24;

fn user(number: u128) -> UserId {
    UserId(Uuid::from_u128(number))
}

fn channel_id(number: u128) -> ChannelId {
    ChannelId(Uuid::from_u128(0xc000 + number))
}

fn new_user(number: u128) -> NewUser {
    let user = User {
        id: user(number),
        email: format!("user{number}@example.org"),
        username: format!("user{number}"),
        display_name: format!("User {number}"),
        avatar_url: String::new(),
        created_at: NOW,
    };
    NewUser { user, password_hash: "hash".into() }
}

fn new_channel(number: u128, kind: ChannelKind, members: &[u128]) -> NewChannel {
    let channel = Channel::new(channel_id(number), kind, format!("channel {number}"), user(members[0]), NOW);
    let role = |index| if index == 0 { Role::Owner } else { Role::Member };
    let members = members.iter().enumerate().map(|(index, number)| (user(*number), role(index))).collect();
    NewChannel { channel, members }
}

/// Two handles, as two processes have, over users 1 to 9.
async fn two_processes() -> (Database, [Directory; 2]) {
    let database = Database::migrated().await;
    let both = [database.open().await, database.open().await];
    let users: Vec<_> = (1..10).map(new_user).collect();
    both[0].create_users(&users).await.expect("creates");
    (database, both)
}

/// Runs racers over both handles in turn, and returns their answers.
async fn race<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    both: &[Directory; 2],
    racer: impl Fn(u128, Directory) -> F,
) -> Vec<T> {
    let mut racers = JoinSet::new();
    for number in 0..RACERS {
        racers.spawn(racer(number, both[number as usize % 2].clone()));
    }
    racers.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_racer_uses_an_invitation() {
    let (_database, both) = two_processes().await;
    let invitation = Invitation { hash: [5; 32], created_at: NOW, expires_at: LATER, used_by: None };
    both[0].invite(&[invitation]).await.expect("invites");
    let answers = race(&both, |number, directory| async move {
        directory.create_invited(&new_user(100 + number), [5; 32], NOW).await.expect("answers")
    })
    .await;
    assert_eq!(answers.iter().filter(|one| **one == Admitted::Made).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|one| matches!(one, Admitted::Made | Admitted::Refused)), "{answers:?}");
    let ids: Vec<UserId> = (100..100 + RACERS).map(user).collect();
    assert_eq!(both[1].users(&ids).await.expect("looks").len(), 1, "the others left nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_racer_makes_a_dm() {
    let (_database, both) = two_processes().await;
    let answers = race(&both, |number, directory| async move {
        let pair = if number % 4 < 2 { [1, 2] } else { [2, 1] };
        let new = new_channel(number, ChannelKind::Dm, &pair);
        directory.create_channels(&[new]).await.expect("creates").remove(0)
    })
    .await;
    let made: Vec<_> = answers.iter().filter(|one| matches!(one, Created::New(_))).collect();
    let [Created::New(dm)] = made[..] else { panic!("{answers:?}") };
    assert!(answers.iter().all(|one| matches!(one, Created::New(id) | Created::Existing(id) if id == dm)));
    assert_eq!(both[0].unsent(None, 100).await.expect("lists").len(), 1, "one outbox row");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_racer_is_the_first_account() {
    let database = Database::migrated().await;
    let both = [database.open().await, database.open().await];
    race(&both, |number, directory| async move {
        directory.create_users(&[new_user(number + 1)]).await.expect("creates");
    })
    .await;
    let profiles = both[0].every_profile(After { after: None, limit: 100 }).await.expect("lists");
    assert_eq!(profiles.len(), RACERS as usize);
    assert_eq!(profiles.iter().filter(|one| one.role == ServerRole::Admin).count(), 1);
}

/// The test holds what the Directory waits for, then waits for what the Directory holds: the server ends the Directory's
/// transaction, which is run again once the test is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_is_tried_again() {
    let (database, [directory, _]) = two_processes().await;
    let mut holder = database.connection().await;
    // The Directory's connection looks for circles first.
    execute(&mut holder, "SET deadlock_timeout = '60s'; BEGIN").await;
    execute(&mut holder, &format!("SELECT 1 FROM users WHERE id = '{}' FOR UPDATE", user(2))).await;
    let asking = tokio::spawn(async move { directory.request_contact(user(1), user(2), NOW).await });
    let mut watcher = database.connection().await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut watcher).await.expect("looks") == 0 {
        tokio::task::yield_now().await;
    }
    execute(&mut holder, &format!("SELECT 1 FROM users WHERE id = '{}' FOR UPDATE", user(1))).await;
    execute(&mut holder, "COMMIT").await;
    let asked = asking.await.expect("no panic").expect("the second attempt goes through");
    assert!(matches!(asked, Requested::New(_)), "{asked:?}");
}

/// Batches that name the same accounts in opposite orders.
#[tokio::test(flavor = "multi_thread")]
async fn racing_batches_make_each_account_once() {
    let (database, both) = two_processes().await;
    let answers = race(&both, |number, directory| async move {
        let mut users: Vec<_> = (200..210).map(new_user).collect();
        if number % 2 == 1 {
            users.reverse();
        }
        directory.create_users(&users).await.expect("answers").iter().filter(|taken| taken.is_none()).count()
    })
    .await;
    assert_eq!(answers.iter().sum::<usize>(), 10, "each was made once");
    let mut connection = database.connection().await;
    let words: i64 = sqlx::query_scalar("SELECT count(DISTINCT user_id) FROM name_words")
        .fetch_one(&mut connection)
        .await
        .expect("counts");
    assert_eq!(words, 19, "and whole");
}

/// A trigger refuses the first three attempts as a serialization failure does.
#[tokio::test(flavor = "multi_thread")]
async fn a_serialization_failure_is_tried_again_within_bounds() {
    let (database, both) = two_processes().await;
    let mut connection = database.connection().await;
    execute(
        &mut connection,
        "CREATE SEQUENCE attempts; CREATE FUNCTION refuse() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN \
         IF nextval('attempts') <= 3 THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER refuse BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse();",
    )
    .await;
    assert!(both[0].set_role(user(1), ServerRole::Admin, LATER).await.expect("the fourth goes through"));
    let last: i64 = sqlx::query_scalar("SELECT last_value FROM attempts")
        .fetch_one(&mut connection)
        .await
        .expect("counts");
    assert_eq!(last, 4);
    execute(&mut connection, "ALTER SEQUENCE attempts MINVALUE -100 RESTART WITH -50").await;
    let refused = both[0].set_role(user(2), ServerRole::Admin, LATER).await.expect_err("gives up");
    assert!(matches!(refused, EngineError::Unavailable { .. }), "{refused}");
    let last: i64 = sqlx::query_scalar("SELECT last_value FROM attempts")
        .fetch_one(&mut connection)
        .await
        .expect("counts");
    assert_eq!(last, -50 + i64::from(database.config.attempts) - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_lasts_is_unavailable_and_later_free() {
    let (database, [_, directory]) = two_processes().await;
    directory.create_channels(&[new_channel(1, ChannelKind::Group, &[1, 2])]).await.expect("creates");
    let mut holder = database.connection().await;
    execute(&mut holder, "BEGIN; SELECT 1 FROM channels FOR UPDATE").await;
    let impatient = Config { lock_timeout: Duration::from_millis(100), ..database.config.clone() };
    let impatient = Directory::open(impatient).await.expect("opens");
    let leave = ChannelChange::Remove(user(2));
    let begun = Instant::now();
    let refused =
        impatient.change(channel_id(1), user(2), leave.clone(), NOW).await.expect_err("waits in vain");
    assert!(
        matches!(&refused, EngineError::Unavailable { cause, .. } if cause.contains("lock timeout")),
        "{refused}"
    );
    assert!(begun.elapsed() < database.config.deadline);
    let unconfirmed = impatient.channels(&[channel_id(1)]).await.expect("readers don't wait");
    assert_eq!(unconfirmed, []);
    execute(&mut holder, "ROLLBACK").await;
    let left = impatient.change(channel_id(1), user(2), leave, NOW).await.expect("goes");
    assert_eq!(left, Ok(vec![user(2)]));
}

/// The server ends every connection of the Directory, those inside a transaction too.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_unavailable_and_undone() {
    let (database, [_, directory]) = two_processes().await;
    directory.create_channels(&[new_channel(1, ChannelKind::Group, &[1, 2])]).await.expect("creates");
    let mut holder = database.connection().await;
    execute(&mut holder, "BEGIN; SELECT 1 FROM channels FOR UPDATE").await;
    let waiting = {
        let directory = directory.clone();
        let leave = ChannelChange::Remove(user(2));
        tokio::spawn(async move { directory.change(channel_id(1), user(2), leave, NOW).await })
    };
    let mut killer = database.connection().await;
    let killed = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                  WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(killed).fetch_one(&mut killer).await.expect("ends it") == 0 {
        tokio::task::yield_now().await;
    }
    let lost = waiting.await.expect("no panic").expect_err("is lost");
    assert!(matches!(lost, EngineError::Unavailable { .. }), "{lost}");
    execute(&mut holder, "ROLLBACK").await;
    assert_eq!(directory.unsent(None, 10).await.expect("a new connection").len(), 1, "nothing was written");
    let others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                  WHERE datname = current_database() AND application_name = 'ringside'";
    let ended: i64 = sqlx::query_scalar(others).fetch_one(&mut killer).await.expect("ends them");
    assert!(ended > 0);
    // All idle connections are dead now; no caller sees that.
    assert!(directory.user_by_login("user1").await.expect("reads").is_some());
    sqlx::query_scalar::<_, i64>(others).fetch_one(&mut killer).await.expect("ends them");
    directory.saw(&[(user(1), LATER)]).await.expect("writes");
}

/// A caller that goes away in the middle leaves nothing behind: no lock, no half transaction, no lost connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_given_up_leaves_nothing() {
    let (database, [_, directory]) = two_processes().await;
    directory.create_channels(&[new_channel(1, ChannelKind::Public, &[1])]).await.expect("creates");
    let mut holder = database.connection().await;
    for _ in 0..3 * database.config.connections {
        execute(&mut holder, "BEGIN; SELECT 1 FROM channels FOR UPDATE").await;
        let join = ChannelChange::Add(vec![(user(2), Role::Member)]);
        let given_up = directory.change(channel_id(1), user(2), join, NOW);
        let given_up = tokio::time::timeout(Duration::from_millis(20), given_up).await;
        assert!(given_up.is_err(), "it waits for the lock");
        execute(&mut holder, "ROLLBACK").await;
    }
    let join = ChannelChange::Add(vec![(user(3), Role::Member)]);
    let joined = directory.change(channel_id(1), user(3), join, NOW).await.expect("changes");
    assert_eq!(joined, Ok(vec![user(3)]));
}

/// A block that is being written is waited for, and then decides: nobody is brought in past it.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_brought_in_past_a_block() {
    let (database, [directory, _]) = two_processes().await;
    directory.create_channels(&[new_channel(1, ChannelKind::Group, &[1])]).await.expect("creates");
    let mut watcher = database.connection().await;
    for is_created in [true, false] {
        let mut blocker = database.connection().await;
        execute(&mut blocker, "BEGIN; DELETE FROM blocks").await;
        // As `block` does it.
        execute(&mut blocker, &format!("SELECT 1 FROM users WHERE id = '{}' FOR NO KEY UPDATE", user(2)))
            .await;
        execute(&mut blocker, &format!("INSERT INTO blocks VALUES ('{}', '{}', 1)", user(2), user(1))).await;
        let bringing = directory.clone();
        let bringing = tokio::spawn(async move {
            if is_created {
                let created = bringing.create_channels(&[new_channel(2, ChannelKind::Group, &[1, 2])]).await;
                created.expect("answers") == [Created::Refused]
            } else {
                let add = ChannelChange::Add(vec![(user(2), Role::Member)]);
                let added = bringing.change(channel_id(1), user(1), add, NOW).await;
                added.expect("answers") == Err(ChangeRefused::Blocked)
            }
        });
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while !bringing.is_finished()
            && sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut watcher).await.expect("looks") == 0
        {
            tokio::task::yield_now().await;
        }
        execute(&mut blocker, "COMMIT").await;
        assert!(bringing.await.expect("no panic"), "refused, creating: {is_created}");
    }
}

/// Erasure against joining: whoever is erased is in no channel, in whichever order the two come.
#[tokio::test(flavor = "multi_thread")]
async fn an_erased_account_is_in_no_channel() {
    let (database, both) = two_processes().await;
    let channels: Vec<_> = (0..8).map(|number| new_channel(number, ChannelKind::Public, &[1])).collect();
    both[0].create_channels(&channels).await.expect("creates");
    for number in 2..10 {
        let joining = race(&both, |racer, directory| async move {
            if racer == 4 {
                directory.erase(user(number), None, LATER).await.expect("erases");
            } else {
                let join = ChannelChange::Add(vec![(user(number), Role::Member)]);
                directory
                    .change(channel_id(racer % 8), user(number), join, NOW)
                    .await
                    .expect("answers")
                    .expect("may");
            }
        });
        joining.await;
    }
    let mut connection = database.connection().await;
    let left: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM channel_members m JOIN users u ON u.id = m.user_id WHERE u.erased_at IS NOT NULL",
    )
    .fetch_one(&mut connection)
    .await
    .expect("counts");
    assert_eq!(left, 0);
}

/// Relays see each channel's rows in the order of its versions, without a gap, while two processes change it.
#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_keeps_the_order_of_a_channel() {
    let (_database, both) = two_processes().await;
    both[0].create_channels(&[new_channel(1, ChannelKind::Public, &[1])]).await.expect("creates");
    let changing = race(&both, |racer, directory| async move {
        let someone = user(2 + racer % 8);
        let change = if racer < 8 {
            ChannelChange::Add(vec![(someone, Role::Member)])
        } else {
            ChannelChange::Remove(someone)
        };
        // Whoever is not in it yet can't leave: that is an answer, too.
        let _ = directory.change(channel_id(1), someone, change, NOW).await.expect("answers");
    });
    let relay = both[1].clone();
    let relaying = async {
        let mut seen = Vec::new();
        loop {
            let rows = relay.unsent(None, 3).await.expect("lists");
            if rows.is_empty() && seen.len() >= 9 {
                return seen;
            }
            seen.extend(rows.iter().map(|row| row.version));
            relay.confirm(&rows.iter().map(|row| row.id).collect::<Vec<_>>()).await.expect("confirms");
        }
    };
    let (_, mut seen) = tokio::join!(changing, relaying);
    let rest = both[0].unsent(Some(channel_id(1)), 100).await.expect("lists");
    seen.extend(rest.iter().map(|row| row.version));
    assert_eq!(seen, (1..=seen.len() as u64).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_need_the_master_key_that_sealed_them() {
    let database = Database::migrated().await;
    let directory = database.open().await;
    let keys = PostgresKeys::new(directory.clone(), MasterKey::new([1; 32]));
    let fresh = keys.load().await.expect("loads");
    let key = StoredKey { id: Uuid::now_v7(), seed: [9; 32] };
    keys.swap(fresh.version, vec![key.clone()]).await.expect("swaps").expect("as it was");
    let other = PostgresKeys::new(directory, MasterKey::new([2; 32]));
    let refused = other.load().await.expect_err("refuses");
    assert!(
        matches!(&refused, KeyStoreError::Damaged(sentence) if sentence.contains("master key")),
        "{refused}"
    );
    let mut connection = database.connection().await;
    let sealed: Vec<u8> = sqlx::query_scalar("SELECT sealed FROM signing_keys")
        .fetch_one(&mut connection)
        .await
        .expect("reads");
    assert!(sealed.windows(32).all(|part| part != key.seed), "the private half is not in the database");
    execute(&mut connection, "UPDATE signing_keys SET id = gen_random_uuid()").await;
    assert!(matches!(keys.load().await, Err(KeyStoreError::Damaged(_))), "a half under another name");
    keys.swap(keys_version(&mut connection).await, vec![]).await.expect("swaps").expect("as it was");
    assert_eq!(keys.load().await.expect("loads").keys, []);
}

async fn keys_version(connection: &mut sqlx::PgConnection) -> ringside_ports::keys::KeysVersion {
    let version: i64 =
        sqlx::query_scalar("SELECT version FROM signing_key_set").fetch_one(connection).await.expect("reads");
    ringside_ports::keys::KeysVersion(version as u64)
}
