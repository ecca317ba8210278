//! Who is in a run: users, their channels, guests, and what each channel holds in the end.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use ringside_checker::due;
use ringside_checker::history::{ChannelHistory, History};
use ringside_test_client::cursor::Cursor;
use ringside_test_client::rest::{Account, Rest, RestError, Session};
use ringside_test_client::websocket::Target;
use tokio::time::sleep;
use uuid::Uuid;

use super::agent::Persona;
use super::evicted_client::Invitation;
use super::final_check;
use super::options::{CrashError, CrashOptions};

/// Members of a group, where there are so many.
const GROUP_SIZES: std::ops::RangeInclusive<usize> = 3..=8;
/// Groups that guests are in besides.
const GUEST_CHANNELS: usize = 3;
/// Members that read each channel's final history.
const READERS: usize = 2;
/// What the edge holds of receipts is told within this time; whether it was, the checker decides.
const RECEIPTS_DEADLINE: Duration = Duration::from_secs(10);
const RECEIPTS_POLL: Duration = Duration::from_millis(100);

/// Users and channels of a run.
pub(crate) struct Cast {
    pub accounts: Vec<Account>,
    /// Members are indices of accounts.
    pub channels: Vec<(Uuid, Vec<usize>)>,
    /// Names and sessions of those who are no members of their own, and the groups that they are in besides.
    guests: Vec<(String, Session)>,
    open_to_guests: Vec<(Uuid, usize)>,
}

impl Cast {
    /// Registers users and creates channels: two-person ones and groups by turns, and one group of all.
    pub(crate) async fn gather(rest: Rest, seed: u64, options: &CrashOptions) -> Result<Self, RestError> {
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
        let open_to_guests: Vec<(Uuid, usize)> =
            groups.rev().take(GUEST_CHANNELS).map(|(channel, members)| (*channel, members[0])).collect();
        let mut guests = Vec::new();
        for guest in 0..if open_to_guests.is_empty() { 0 } else { options.guests } {
            let username = format!("guest{guest:04}");
            let session = rest.sign_up(&username).await?;
            for &(channel, owner) in &open_to_guests {
                rest.add_member(&accounts[owner].access_token, channel, session.account.user_id).await?;
            }
            guests.push((username, session));
        }
        Ok(Self { accounts, channels, guests, open_to_guests })
    }

    /// The guests, numbered behind the clients.
    pub(crate) fn guests(&self, clients: u32) -> impl Iterator<Item = Invitation> {
        let owner = |&(channel, owner): &(Uuid, usize)| (channel, self.accounts[owner].access_token.clone());
        self.guests.iter().zip(clients..).map(move |((username, session), client)| Invitation {
            client,
            username: username.clone(),
            session: session.clone(),
            channels: self.open_to_guests.iter().map(owner).collect(),
        })
    }

    pub(crate) fn persona(&self, client: u32) -> Persona {
        let user = client as usize % self.accounts.len();
        let channels = self.channels.iter().filter(|(_, members)| members.contains(&user)).map(|(id, _)| *id);
        Persona { client, account: self.accounts[user].clone(), channels: channels.collect() }
    }

    /// Reads what everything has come to, once it is quiet.
    pub(crate) async fn read_finally(
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
            let standings = Vec::new();
            history.channels.push(ChannelHistory { channel_id, members, readings, changes, standings });
        }
        self.await_receipts(rest, history).await?;
        for account in &self.accounts {
            final_check::stand(rest, target, account, &mut history.channels).await?;
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
        let due = due(&history.clients, history.undisturbed_from_us.unwrap_or(u64::MAX), exists);
        let deadline = Instant::now() + RECEIPTS_DEADLINE;
        for (channel, members) in &self.channels {
            let token = &self.accounts[members[0]].access_token;
            loop {
                let cursors = rest.receipts(token, *channel).await?;
                let is_behind = |cursor: &Cursor| {
                    due.get(&(*channel, cursor.user_id)).is_some_and(|due| cursor.is_below(due))
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
