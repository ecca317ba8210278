//! The Directory, as far as the simulation needs it: accounts, who is in which channel, and the outbox. What is added is
//! answered from once its outbox row is confirmed; what is removed is gone at once, as the port's contract has it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ringside_ports::EngineError;
use ringside_ports::accounts::{User, UserReader};
use ringside_ports::channels::{Channel, ChannelKind, Member, MembershipReader, Outbox, OutboxRow, Role};
use ringside_types::{ChannelId, SessionId, UnixMillis, UserId};
use ringside_wire::records::{self, Membership, MembershipKind};

use crate::network::{Engine, Network};
use crate::scheduler::ProcessId;

#[derive(Default)]
struct State {
    users: BTreeMap<UserId, User>,
    channels: BTreeMap<ChannelId, Channel>,
    /// Written, confirmed or not.
    members: BTreeMap<(ChannelId, UserId), Member>,
    confirmed: BTreeMap<(ChannelId, UserId), Member>,
    outbox: BTreeMap<i64, (OutboxRow, Vec<UserId>)>,
    next: i64,
}

/// The Directory, from one process.
#[derive(Clone)]
pub struct SimulatedDirectory {
    network: Network,
    state: Arc<Mutex<State>>,
}

impl SimulatedDirectory {
    pub fn new(network: Network) -> Self {
        Self { network, state: Arc::default() }
    }

    /// The same Directory, from another process.
    pub fn of(&self, process: ProcessId) -> Self {
        Self { network: self.network.of(process), state: self.state.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add_user(&self, id: UserId, username: &str) {
        let (username, display_name) = (username.to_owned(), username.to_owned());
        let email = format!("{username}@example.org");
        let user =
            User { id, email, username, display_name, avatar_url: String::new(), created_at: UnixMillis(0) };
        self.state().users.insert(id, user);
    }

    /// Makes a group of these users; the first is its owner.
    pub fn create(&self, id: ChannelId, users: &[UserId]) {
        let mut state = self.state();
        let channel = Channel::new(id, ChannelKind::Group, "group".into(), users[0], UnixMillis(0));
        state.channels.insert(id, channel);
        state.change(id, MembershipKind::Created, users);
    }

    /// Takes a user out of a group, or brings them in again.
    pub fn set_member(&self, id: ChannelId, user: UserId, is_member: bool) {
        let mut state = self.state();
        if let Some(channel) = state.channels.get_mut(&id) {
            channel.version += 1;
        }
        state.change(id, if is_member { MembershipKind::Added } else { MembershipKind::Removed }, &[user]);
    }

    /// Whether everything that was changed is confirmed.
    pub fn is_confirmed(&self) -> bool {
        self.state().outbox.is_empty()
    }
}

impl State {
    fn confirm(&mut self, rows: &[i64]) {
        for row in rows {
            let Some((row, users)) = self.outbox.remove(row) else { continue };
            for user in users {
                let key = (row.channel_id, user);
                match self.members.get(&key).cloned() {
                    Some(member) => drop(self.confirmed.insert(key, member)),
                    None => drop(self.confirmed.remove(&key)),
                }
            }
        }
    }

    fn change(&mut self, id: ChannelId, kind: MembershipKind, users: &[UserId]) {
        let channel = self.channels.get(&id).expect("the channel was made").clone();
        let role = |user: &UserId| if *user == channel.creator_id { Role::Owner } else { Role::Member };
        for user in users {
            if kind == MembershipKind::Removed {
                self.members.remove(&(id, *user));
                self.confirmed.remove(&(id, *user));
                continue;
            }
            let member = Member {
                channel_id: id,
                user_id: *user,
                role: role(user),
                joined_at: UnixMillis(0),
                version: channel.version,
                muted_until: None,
            };
            self.members.insert((id, *user), member);
        }
        let bytes = |id: &[u8; 16]| id.to_vec().into();
        let member = |user: &UserId| records::Member {
            user_id: bytes(user.as_bytes()),
            role: role(user).name().to_owned(),
        };
        let record = Membership {
            channel_id: bytes(id.as_bytes()),
            version: channel.version,
            actor_id: bytes(channel.creator_id.as_bytes()),
            kind: kind.into(),
            channel: Some(records::Channel {
                name: channel.name.clone(),
                r#type: channel.kind.name().to_owned(),
                creator_id: bytes(channel.creator_id.as_bytes()),
                settings: Some(records::Settings::default()),
                ..records::Channel::default()
            }),
            members: users.iter().map(member).collect(),
        };
        self.next += 1;
        let row = OutboxRow {
            id: self.next,
            channel_id: id,
            version: channel.version,
            record: ringside_wire::encode(&record),
        };
        self.outbox.insert(self.next, (row, users.to_vec()));
    }
}

impl UserReader for SimulatedDirectory {
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, EngineError> {
        self.network.travel(Engine::Backend).await?;
        Ok(ids.iter().filter_map(|id| self.state().users.get(id).cloned()).collect())
    }

    async fn users_named(&self, names: &[String]) -> Result<Vec<User>, EngineError> {
        self.network.travel(Engine::Backend).await?;
        Ok(self.state().users.values().filter(|user| names.contains(&user.username)).cloned().collect())
    }

    async fn sessions_open(&self, sessions: &[SessionId]) -> Result<Vec<bool>, EngineError> {
        Ok(vec![true; sessions.len()])
    }
}

impl MembershipReader for SimulatedDirectory {
    async fn channels(&self, ids: &[ChannelId]) -> Result<Vec<Channel>, EngineError> {
        self.network.travel(Engine::Backend).await?;
        Ok(ids.iter().filter_map(|id| self.state().channels.get(id).cloned()).collect())
    }

    async fn memberships(&self, users: &[UserId]) -> Result<Vec<Member>, EngineError> {
        self.network.travel(Engine::Backend).await?;
        let state = self.state();
        Ok(state.confirmed.values().filter(|member| users.contains(&member.user_id)).cloned().collect())
    }

    async fn members(
        &self,
        channel: ChannelId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, EngineError> {
        self.network.travel(Engine::Backend).await?;
        let state = self.state();
        let of_channel = state.confirmed.values().filter(|member| member.channel_id == channel);
        Ok(of_channel.filter(|member| Some(member.user_id) > after).take(limit).cloned().collect())
    }

    async fn membership(&self, pairs: &[(ChannelId, UserId)]) -> Result<Vec<Option<Member>>, EngineError> {
        self.network.travel(Engine::Backend).await?;
        Ok(pairs.iter().map(|pair| self.state().confirmed.get(pair).cloned()).collect())
    }
}

impl Outbox for SimulatedDirectory {
    async fn unsent(&self, channel: Option<ChannelId>, limit: usize) -> Result<Vec<OutboxRow>, EngineError> {
        self.network.travel(Engine::Backend).await?;
        let state = self.state();
        let rows = state.outbox.values().map(|(row, _)| row);
        Ok(rows
            .filter(|row| channel.is_none_or(|channel| channel == row.channel_id))
            .take(limit)
            .cloned()
            .collect())
    }

    async fn confirm(&self, rows: &[i64]) -> Result<(), EngineError> {
        self.network.travel(Engine::Backend).await?;
        self.state().confirm(rows);
        self.network.travel(Engine::Backend).await
    }
}
