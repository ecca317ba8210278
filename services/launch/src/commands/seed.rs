//! `ringside seed`: accounts, channels and a token file in a stopped data folder, for load tests.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ringside_clock::now;
use ringside_ports::accounts::SignIn as _;
use ringside_ports::accounts::{NewSession, NewUser, User};
use ringside_ports::channels::ChannelChanges as _;
use ringside_ports::channels::{Channel, ChannelKind, Created, NewChannel, Role};
use ringside_ports::people::registration::Registration as _;
use ringside_ports::{Log as _, Outbox as _, PartitionStore as _};
use ringside_types::limits::CHANNEL_CREATE_MEMBERS_MAX;
use ringside_types::{ChannelId, PartitionId, SessionId, Topic, UnixMillis, UserId};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::watch;
use uuid::Uuid;

use crate::commands::Failure;
use crate::config::Config;
use crate::engines::Engines;
use crate::init;
use crate::roles::channel;
use crate::roles::message::Message;
use crate::roles::user::{self, Keys};

/// The file, in the data folder.
const FILE: &str = "seed.json";
/// The version of its layout.
const VERSION: u32 = 1;
/// Everybody's password: one hash is made, and used for all.
const PASSWORD: &str = "ringside-seed";
/// How long the tokens in the file live, in seconds.
const TOKEN_LIFE_S: u64 = ringside_types::limits::ACCESS_TOKEN_LIFE_MAX_S;
/// Rows of one transaction.
const CHUNK: usize = 1_000;
/// Accounts at the most.
const USERS_MAX: usize = 1_000_000;
/// Channels at the most.
const CHANNELS_MAX: usize = 10_000_000;
/// All changes must have gone through the log within this time.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(1_800);
const PUBLISH_POLL: Duration = Duration::from_millis(50);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    pub users: usize,
    pub channels: usize,
    /// Members of each channel; 2 makes DMs.
    pub members: usize,
}

#[derive(Serialize)]
struct SeedFile {
    version: u32,
    users: Vec<SeededUser>,
    channels: Vec<SeededChannel>,
}

#[derive(Serialize)]
struct SeededUser {
    user_id: UserId,
    username: String,
    password: &'static str,
    access_token: String,
}

#[derive(Serialize)]
struct SeededChannel {
    channel_id: ChannelId,
    #[serde(rename = "type")]
    kind: &'static str,
    /// Indices into the users.
    members: Vec<usize>,
}

/// Writes everything and returns the token file's path.
///
/// # Errors
/// The sentence to print: what is asked for makes no sense, or the data folder can't be used.
pub fn run(config: &Config, wish: &Wish) -> Result<PathBuf, Failure> {
    check(wish)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let path = config.data_dir.join(FILE);
    runtime.block_on(async {
        let (engines, _) = init::open(config).await?;
        let (_, keys) = user::open(&engines, config).await?;
        let users = make_users(config, &engines, &keys, wish.users).await?;
        let channels = make_channels(&engines, wish, &users).await?;
        publish(config, &engines).await?;
        write(&path, &SeedFile { version: VERSION, users, channels })
    })?;
    Ok(path)
}

fn check(wish: &Wish) -> Result<(), Failure> {
    let Wish { users, channels, members } = *wish;
    if !(1..=USERS_MAX).contains(&users) || channels > CHANNELS_MAX {
        return Err(format!("--users is from 1 to {USERS_MAX}, --channels at most {CHANNELS_MAX}").into());
    }
    if !(2..=CHANNEL_CREATE_MEMBERS_MAX).contains(&members) || members > users {
        let most = CHANNEL_CREATE_MEMBERS_MAX.min(users);
        return Err(format!("--members is from 2 to {most}, for {users} users").into());
    }
    // Each pair has one DM: the pairs run out.
    if members == 2 && channels > users * (users - 1) / 2 {
        return Err(format!("{users} users have {} DMs at the most", users * (users - 1) / 2).into());
    }
    Ok(())
}

async fn make_users(
    config: &Config,
    engines: &Engines,
    keys: &Keys,
    count: usize,
) -> Result<Vec<SeededUser>, Failure> {
    let password_hash = ringside_user::password::hash_now(PASSWORD);
    let time = now();
    let mut seeded = Vec::with_capacity(count);
    for start in (0..count).step_by(CHUNK) {
        let numbers = start..count.min(start + CHUNK);
        let users: Vec<NewUser> =
            numbers.map(|number| new_user(number, password_hash.clone(), time)).collect();
        let taken = engines.directory.create_users(&users).await?;
        if taken.iter().any(Option::is_some) {
            let path = config.data_dir.display();
            return Err(format!("{path} holds seeded accounts already; seed another --data-dir").into());
        }
        let sessions: Vec<NewSession> = users.iter().map(|user| new_session(user.user.id, time)).collect();
        engines.directory.open_sessions(&sessions).await?;
        seeded.extend(users.into_iter().zip(&sessions).map(|(NewUser { user, .. }, session)| SeededUser {
            user_id: user.id,
            username: user.username,
            password: PASSWORD,
            access_token: keys.keys().issue(user.id, session.id, time, TOKEN_LIFE_S),
        }));
    }
    Ok(seeded)
}

fn new_user(number: usize, password_hash: String, created_at: UnixMillis) -> NewUser {
    let username = format!("u{number:06}");
    let user = User {
        id: UserId(Uuid::now_v7()),
        email: format!("{username}@example.org"),
        display_name: format!("Seeded user {number}"),
        username,
        avatar_url: String::new(),
        created_at,
    };
    NewUser { user, password_hash }
}

fn new_session(user_id: UserId, created_at: UnixMillis) -> NewSession {
    NewSession {
        id: SessionId(Uuid::now_v7()),
        user_id,
        device: "seed".into(),
        refresh_hash: rand::random(),
        created_at,
        expires_at: created_at.plus_ms(TOKEN_LIFE_S * 1_000),
    }
}

async fn make_channels(
    engines: &Engines,
    wish: &Wish,
    users: &[SeededUser],
) -> Result<Vec<SeededChannel>, Failure> {
    let kind = if wish.members == 2 { ChannelKind::Dm } else { ChannelKind::Group };
    let mut seeded = Vec::with_capacity(wish.channels);
    for start in (0..wish.channels).step_by(CHUNK) {
        let rosters: Vec<Vec<usize>> =
            (start..wish.channels.min(start + CHUNK)).map(|number| roster(number, wish)).collect();
        let channels: Vec<NewChannel> =
            rosters.iter().map(|members| new_channel(kind, members, users)).collect();
        let created = engines.directory.create_channels(&channels).await?;
        for (created, members) in created.into_iter().zip(rosters) {
            let channel_id = match created {
                Created::New(id) | Created::Existing(id) => id,
                Created::Refused => unreachable!("accounts made a moment ago keep nobody out"),
            };
            seeded.push(SeededChannel { channel_id, kind: kind.name(), members });
        }
    }
    Ok(seeded)
}

/// Who is in channel `number`: spread evenly over all users, and no pair twice.
fn roster(number: usize, wish: &Wish) -> Vec<usize> {
    let Wish { users, members, .. } = *wish;
    if members == 2 {
        let first = number % users;
        return vec![first, (first + 1 + number / users) % users];
    }
    (0..members).map(|member| (number * members + member) % users).collect()
}

fn new_channel(kind: ChannelKind, members: &[usize], users: &[SeededUser]) -> NewChannel {
    let role = |place| if place == 0 && kind != ChannelKind::Dm { Role::Owner } else { Role::Member };
    let members: Vec<(UserId, Role)> =
        members.iter().enumerate().map(|(place, user)| (users[*user].user_id, role(place))).collect();
    let id = ChannelId(Uuid::now_v7());
    let channel = Channel::new(id, kind, String::new(), members[0].0, now());
    NewChannel { channel, members }
}

/// Takes all changes through the log, so that a load begins on a server at rest.
async fn publish(config: &Config, engines: &Engines) -> Result<(), Failure> {
    let (stop, stopping) = watch::channel(false);
    let message = Message::start(engines, config, &Handle::current(), &stopping);
    let relay = channel::Channel::start(engines, &stopping);
    let until = Instant::now() + PUBLISH_DEADLINE;
    while !engines.directory.unsent(None, 1).await?.is_empty() || lag(engines).await? > 0 {
        if Instant::now() > until {
            return Err("the seeded channels did not go through the log; is the disk very slow?".into());
        }
        tokio::time::sleep(PUBLISH_POLL).await;
    }
    stop.send_replace(true);
    relay.stopped().await;
    message.stopped().await;
    Ok(())
}

/// Records that are not processed yet.
async fn lag(engines: &Engines) -> Result<u64, Failure> {
    let Engines { log, store, .. } = engines;
    let mut lag = 0;
    for partition in (0..log.partitions(Topic::MessagesSend)).map(PartitionId) {
        let end = log.bounds(Topic::MessagesSend, partition).await?.end;
        let progress = store.partition(partition).await?.progress.map_or(0, |progress| progress.offset.0);
        lag += end.0.saturating_sub(progress);
    }
    Ok(lag)
}

/// Whoever reads the file can act for everybody in it.
fn write(path: &PathBuf, seeded: &SeedFile) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let file = file.map_err(|error| format!("{} can't be written: {error}", path.display()))?;
    let mut out = BufWriter::new(file);
    serde_json::to_writer(&mut out, seeded)?;
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_pair_has_one_dm_and_everybody_as_many() {
        let wish = Wish { users: 9, channels: 36, members: 2 };
        assert!(check(&wish).is_ok());
        let pairs: BTreeSet<Vec<usize>> = (0..36)
            .map(|number| {
                let mut pair = roster(number, &wish);
                pair.sort_unstable();
                pair
            })
            .collect();
        assert_eq!(pairs.len(), 36);
        assert!(check(&Wish { channels: 37, ..wish }).is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (users, channels, members) in [(0, 1, 2), (5, 1, 1), (5, 1, 6), (2, 2, 2), (USERS_MAX + 1, 1, 2)]
        {
            assert!(check(&Wish { users, channels, members }).is_err(), "{users} {channels} {members}");
        }
        assert_eq!(roster(1, &Wish { users: 5, channels: 2, members: 3 }), [3, 4, 0]);
    }
}
