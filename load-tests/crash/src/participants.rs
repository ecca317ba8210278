//! Who is in a run: users, their channels, clients that are evicted, and what each channel holds in the end.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use ringside_checker::certain_cursors;
use ringside_checker::history::{ChannelHistory, History};
use ringside_test_client::cursor::Cursor;
use ringside_test_client::rest::{Account, Rest, RestError, Session};
use ringside_test_client::websocket::Target;
use tokio::time::sleep;
use uuid::Uuid;

use crate::agent::Persona;
use crate::evicted_client::EvictedPersona;
use crate::final_check;
use crate::options::{CrashError, CrashOptions};

/// Members of a group, if there are that many users.
const GROUP_SIZES: std::ops::RangeInclusive<usize> = 3..=8;
/// Groups that evicted clients are in besides.
const EVICTED_CLIENT_CHANNELS: usize = 3;
/// Members that read each channel's final history.
const READERS: usize = 2;
/// What the edge holds of receipts is told within this time; whether it was, the checker decides.
const RECEIPTS_DEADLINE: Duration = Duration::from_secs(10);
const RECEIPTS_POLL: Duration = Duration::from_millis(100);

/// Users and channels of a run.
pub(crate) struct Participants {
    pub accounts: Vec<Account>,
    /// Members are indices of accounts.
    pub channels: Vec<(Uuid, Vec<usize>)>,
    /// Names and sessions of those who are no members of their own, and the groups that they are in besides.
    evicted_clients: Vec<(String, Session)>,
    shared_channels: Vec<(Uuid, usize)>,
}

impl Participants {
    /// Registers users and creates channels: two-person ones and groups by turns, and one group of all.
    pub(crate) async fn register(rest: Rest, seed: u64, options: &CrashOptions) -> Result<Self, RestError> {
        let users = (options.clients as usize * 4 / 5).max(2);
        let mut accounts = Vec::with_capacity(users);
        for user in 0..users {
            accounts.push(rest.register(&format!("crash{user:04}")).await?);
        }
        let mut random = SmallRng::seed_from_u64(seed ^ 0x6361_7374);
        let mut channels = Vec::new();
        for number in 0..options.channels as usize {
            let members = if number + 1 == options.channels as usize {
                (0..users).collect()
            } else if number % 2 == 0 {
                let first = number % users;
                let second = (first + 1 + number / users) % users;
                if first == second { vec![0, 1] } else { vec![first, second] }
            } else {
                pick(&mut random, users)
            };
            let kind = if members.len() == 2 { "dm" } else { "group" };
            let others: Vec<Uuid> = members[1..].iter().map(|&member| accounts[member].user_id).collect();
            let token = &accounts[members[0]].access_token;
            let channel = rest.create_channel(token, kind, &format!("crash {number}"), &others).await?;
            if channels.iter().all(|(known, _)| *known != channel) {
                channels.push((channel, members));
            }
        }
        let groups = channels.iter().filter(|(_, members)| members.len() > 2);
        let shared_channels: Vec<(Uuid, usize)> = groups
            .rev()
            .take(EVICTED_CLIENT_CHANNELS)
            .map(|(channel, members)| (*channel, members[0]))
            .collect();
        let mut evicted_clients = Vec::new();
        for evicted_client in 0..if shared_channels.is_empty() { 0 } else { options.evicted_clients } {
            let username = format!("guest{evicted_client:04}");
            let session = rest.sign_up(&username).await?;
            for &(channel, owner) in &shared_channels {
                rest.add_member(&accounts[owner].access_token, channel, session.account.user_id).await?;
            }
            evicted_clients.push((username, session));
        }
        Ok(Self { accounts, channels, evicted_clients, shared_channels })
    }

    /// The evicted clients, numbered behind the others.
    pub(crate) fn evicted_clients(&self, clients: u32) -> impl Iterator<Item = EvictedPersona> {
        let owner = |&(channel, owner): &(Uuid, usize)| (channel, self.accounts[owner].access_token.clone());
        self.evicted_clients.iter().zip(clients..).map(move |((username, session), client)| EvictedPersona {
            client,
            username: username.clone(),
            session: session.clone(),
            channels: self.shared_channels.iter().map(owner).collect(),
        })
    }

    pub(crate) fn persona(&self, client: u32) -> Persona {
        let user = client as usize % self.accounts.len();
        let channels = self.channels.iter().filter(|(_, members)| members.contains(&user)).map(|(id, _)| *id);
        Persona { client, account: self.accounts[user].clone(), channels: channels.collect() }
    }

    /// Reads what everything has come to, once it is quiet.
    pub(crate) async fn read_final_state(
        &self,
        rest: Rest,
        target: &Target,
        history: &mut History,
    ) -> Result<(), CrashError> {
        for (channel_id, members) in &self.channels {
            let mut readings = Vec::new();
            for &member in members.iter().rev().take(READERS) {
                readings.push(final_check::reading(rest, &self.accounts[member], *channel_id).await?);
            }
            let changes = final_check::changes(target, &self.accounts[members[0]], *channel_id).await?;
            let members = members.iter().map(|&member| self.accounts[member].user_id).collect();
            let channel_id = *channel_id;
            let final_cursors = Vec::new();
            history.channels.push(ChannelHistory { channel_id, members, readings, changes, final_cursors });
        }
        self.await_receipts(rest, history).await?;
        for account in &self.accounts {
            final_check::read_cursors(rest, target, account, &mut history.channels).await?;
        }
        Ok(())
    }

    /// The edge holds a receipt for a second; what it took has to be told soon afterwards.
    async fn await_receipts(&self, rest: Rest, history: &History) -> Result<(), CrashError> {
        let exists = |channel: Uuid, id: u64| {
            let found = history.channels.iter().find(|it| it.channel_id == channel);
            let reading = found.and_then(|channel| channel.readings.first());
            reading.is_some_and(|reading| reading.messages.iter().any(|seen| seen.message_id == id))
        };
        let certain =
            certain_cursors(&history.clients, history.undisturbed_from_us.unwrap_or(u64::MAX), exists);
        let deadline = Instant::now() + RECEIPTS_DEADLINE;
        for (channel, members) in &self.channels {
            let token = &self.accounts[members[0]].access_token;
            loop {
                let cursors = rest.receipts(token, *channel).await?;
                let is_behind = |cursor: &Cursor| {
                    certain.get(&(*channel, cursor.user_id)).is_some_and(|certain| cursor.is_below(certain))
                };
                if Instant::now() > deadline || !cursors.iter().any(is_behind) {
                    break;
                }
                sleep(RECEIPTS_POLL).await;
            }
        }
        Ok(())
    }
}

fn pick(random: &mut SmallRng, users: usize) -> Vec<usize> {
    let size = random.random_range(GROUP_SIZES).min(users);
    let mut members: Vec<usize> = Vec::with_capacity(size);
    while members.len() < size {
        let user = random.random_range(0..users);
        if !members.contains(&user) {
            members.push(user);
        }
    }
    members
}
