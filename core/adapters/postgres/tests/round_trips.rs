//! What a call costs: turns on the way to the server, counted there, once its statements are prepared.

mod fresh;

use fresh::Database;
use fresh::proxy::Proxy;
use ringside_ports::accounts::{NewSession, NewUser, SignIn as _, User, UserReader as _};
use ringside_ports::channels::invitations::ChannelInvitations as _;
use ringside_ports::channels::{
    Channel, ChannelChange, ChannelChanges as _, ChannelKind, ChannelLists as _, MembershipReader as _,
    NewChannel, Outbox as _, Role,
};
use ringside_ports::people::registration::Registration as _;
use ringside_ports::people::relations::Relationships as _;
use ringside_postgres::{Config, Directory};
use ringside_types::{ChannelId, SessionId, UnixMillis, UserId};
use uuid::Uuid;

const NOW: UnixMillis = UnixMillis(1_000_000);
const USERS: u128 = 100;
const CHANNELS: u128 = 20;

fn user(number: u128) -> UserId {
    UserId(Uuid::from_u128(number))
}

fn channel_id(number: u128) -> ChannelId {
    ChannelId(Uuid::from_u128(0xc000 + number))
}

fn users() -> Vec<UserId> {
    (1..=USERS).map(user).collect()
}

fn sessions() -> Vec<SessionId> {
    (1..=USERS).map(|number| SessionId(Uuid::from_u128(number))).collect()
}

/// A Directory with one connection, whose way is counted, and a hundred users in twenty channels.
async fn counted() -> (Database, Proxy, Directory) {
    let database = Database::migrated().await;
    let proxy = Proxy::to(&database.primary().await).await;
    let config = Config { hosts: vec![proxy.host.clone()], connections: 1, ..database.config.clone() };
    let directory = Directory::open(config).await.expect("opens");
    let new_user = |id: UserId| {
        let number = id.0.as_u128();
        let user = User {
            id,
            email: format!("user{number}@example.org"),
            username: format!("user{number}"),
            display_name: format!("User {number}"),
            avatar_url: String::new(),
            created_at: NOW,
        };
        NewUser { user, password_hash: "hash".into() }
    };
    directory.create_users(&users().into_iter().map(new_user).collect::<Vec<_>>()).await.expect("creates");
    let session = |id: SessionId| NewSession {
        id,
        user_id: UserId(id.0),
        device: String::new(),
        refresh_hash: [id.0.as_u128() as u8; 32],
        created_at: NOW,
        expires_at: UnixMillis(2_000_000),
    };
    directory.open_sessions(&sessions().into_iter().map(session).collect::<Vec<_>>()).await.expect("opens");
    let channel = |number| {
        let channel = Channel::new(channel_id(number), ChannelKind::Public, "c".into(), user(1), NOW);
        let role = |id| if id == user(1) { Role::Owner } else { Role::Member };
        NewChannel { channel, members: users().into_iter().map(|id| (id, role(id))).collect() }
    };
    directory.create_channels(&(0..CHANNELS).map(channel).collect::<Vec<_>>()).await.expect("creates");
    let rows = directory.unsent(None, 1_000).await.expect("lists");
    directory.confirm(&rows.iter().map(|row| row.id).collect::<Vec<_>>()).await.expect("confirms");
    (database, proxy, directory)
}

/// Who connects is looked for with their session and all their memberships: one statement each, for a hundred as for one.
#[tokio::test(flavor = "multi_thread")]
async fn admission_costs_three_round_trips_for_a_hundred_users() {
    let (_database, proxy, directory) = counted().await;
    for _ in 0..2 {
        for count in [1, USERS as usize] {
            proxy.turns();
            let (ids, sessions) = (&users()[..count], &sessions()[..count]);
            assert_eq!(directory.users(ids).await.expect("reads").len(), count);
            assert_eq!(directory.sessions_open(sessions).await.expect("reads"), vec![true; count]);
            let memberships = directory.memberships(ids).await.expect("reads");
            assert_eq!(memberships.len(), count * CHANNELS as usize);
            let turns = proxy.turns();
            // The first time each statement is prepared: once more.
            assert!(turns == 3 || turns == 6, "{turns} turns for {count}");
        }
    }
    proxy.turns();
    directory.users(&users()).await.expect("reads");
    directory.sessions_open(&sessions()).await.expect("reads");
    directory.memberships(&users()).await.expect("reads");
    assert_eq!(proxy.turns(), 3);
}

/// Each call in its second run: what it costs once its statements are prepared.
#[tokio::test(flavor = "multi_thread")]
async fn batches_cost_what_one_costs() {
    let (_database, proxy, directory) = counted().await;
    let (ids, channels) = (users(), (0..CHANNELS).map(channel_id).collect::<Vec<_>>());
    let pairs: Vec<_> = ids.iter().map(|id| (channel_id(1), *id)).collect();
    for is_prepared in [false, true] {
        let check = |what: &str, allowed: usize| {
            let turns = proxy.turns();
            assert!(!is_prepared || turns == allowed, "{what} took {turns} round trips, not {allowed}");
        };
        proxy.turns();
        directory.membership(&pairs).await.expect("reads");
        check("membership", 1);
        directory.channels(&channels).await.expect("reads");
        check("channels", 1);
        directory.relationships(user(1), &ids).await.expect("reads");
        check("relationships", 1);
        directory.peers(user(1), &channels).await.expect("reads");
        check("peers", 1);
        directory.unsent(None, 256).await.expect("reads");
        check("unsent", 1);
        directory.user_by_login("user1").await.expect("reads");
        check("user_by_login", 1);
        directory.invitations_of(user(1)).await.expect("reads");
        check("invitations_of", 2);
        // BEGIN, the rows, COMMIT.
        directory.confirm(&[1, 2, 3]).await.expect("writes");
        check("confirm", 3);
        // BEGIN, the channel, the actor's role, the removal, the outbox row, the version, COMMIT.
        let who = user(if is_prepared { 5 } else { 4 });
        directory
            .change(channel_id(1), who, ChannelChange::Remove(who), NOW)
            .await
            .expect("writes")
            .expect("may");
        check("a leave", 7);
    }
}
