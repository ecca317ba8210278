//! The port [`Presence`]: who is connected.

use std::collections::BTreeMap;
use std::iter;
use std::sync::Arc;

use bytes::Bytes;
use redis::Value;
use ringside_ports::presence::{Charge, Connection, JointDecision, RateDecision, Status, StatusChange};
use ringside_ports::{EngineError, Presence};
use ringside_types::{Epoch, Slot, UserId};

use crate::config::{Config, ConfigError};
use crate::counters::Counters;
use crate::failure::unexpected;
use crate::nodes::{Call, Nodes, Repeat};
use crate::scripts::{self, Script};
use crate::{keys, limits};

/// Items of one question to the servers; what is more goes after it.
pub const ITEMS_MAX: usize = 1_000;
/// Connections that a user without a limit may have: each of their scripts reads all of them.
pub const CONNECTIONS_OF_USER_MAX: u32 = 10_000;
/// The index of a slot outlives what it names by so much.
const INDEX_LIVES: u64 = 2;

const UNCHANGED: StatusChange = StatusChange { before: Status::Offline, after: Status::Offline };

/// Who is connected, and limits. A clone is another handle; it connects with the first call, and by itself again.
#[derive(Clone, Debug)]
pub struct RedisPresence {
    pub(crate) nodes: Nodes,
    pub(crate) prefix: Arc<str>,
    life_s: u64,
}

impl RedisPresence {
    /// Connects to nothing yet: [`check`](crate::check()) says whether the servers are there.
    ///
    /// # Errors
    /// The configuration can't be used.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let (prefix, life_s) = (config.prefix.as_str().into(), config.connection_life.as_secs());
        Ok(Self { nodes: Nodes::new(config)?, prefix, life_s })
    }

    /// What was done, for metrics.
    pub fn counters(&self) -> &Counters {
        self.nodes.counters()
    }

    fn index_call(&self, script: &'static Script, slot: Slot, members: Vec<String>) -> Call {
        let arguments = members.into_iter().map(Bytes::from).collect();
        Call { script, key: keys::slot(&self.prefix, slot), arguments }
    }

    /// Adds connections to the indexes of their slots, or only says that they are there still.
    fn index(&self, connections: &[Connection], adds: bool) -> Vec<Call> {
        let mut slots: BTreeMap<u16, Vec<String>> = BTreeMap::new();
        for connection in connections {
            let index_life_s = self.life_s.saturating_mul(INDEX_LIVES).to_string();
            let members = slots.entry(connection.slot.0).or_insert_with(|| vec![index_life_s]);
            if adds {
                members.push(keys::member(connection));
            }
        }
        let call = |(slot, members)| self.index_call(&scripts::INDEX_ADD, Slot(slot), members);
        slots.into_iter().map(call).collect()
    }

    fn unindex(&self, connections: impl IntoIterator<Item = Connection>) -> Vec<Call> {
        let mut slots: BTreeMap<u16, Vec<String>> = BTreeMap::new();
        for connection in connections {
            slots.entry(connection.slot.0).or_default().push(keys::member(&connection));
        }
        let call = |(slot, members)| self.index_call(&scripts::INDEX_REMOVE, Slot(slot), members);
        slots.into_iter().map(call).collect()
    }

    /// One call for each user, over all of what concerns them; the places say where each answer of a call belongs.
    fn of_users(
        &self,
        script: &'static Script,
        leading: &[String],
        items: impl Iterator<Item = (UserId, Vec<String>)>,
    ) -> (Vec<Call>, Vec<Vec<usize>>) {
        let mut users: BTreeMap<UserId, usize> = BTreeMap::new();
        let (mut calls, mut places): (Vec<Call>, Vec<Vec<usize>>) = (Vec::new(), Vec::new());
        for (place, (user, arguments)) in items.enumerate() {
            let at = *users.entry(user).or_insert_with(|| {
                let leading = leading.iter().cloned();
                let first = iter::once(self.life_s.to_string()).chain(leading).map(Bytes::from).collect();
                calls.push(Call { script, key: keys::session(&self.prefix, user), arguments: first });
                places.push(Vec::new());
                calls.len() - 1
            });
            calls[at].arguments.extend(arguments.into_iter().map(Bytes::from));
            places[at].push(place);
        }
        (calls, places)
    }

    async fn connect_some(&self, connections: &[Connection], limit: u32) -> Result<Vec<bool>, EngineError> {
        let limit = if limit == 0 { CONNECTIONS_OF_USER_MAX } else { limit };
        // Whose connection it is, is written first, so that whoever ends the lease finds all of them.
        let mut calls = self.index(connections, true);
        let indexes = calls.len();
        let fields = connections.iter().map(|it| (it.user_id, vec![keys::field(it)]));
        let (sessions, places) = self.of_users(&scripts::CONNECT, &[limit.to_string()], fields);
        calls.extend(sessions);
        let answers = self.nodes.execute(&calls, Repeat::Harmless).await?;
        let is_added = |value: &Value| match value {
            Value::Int(1) => Some(true),
            Value::Int(0) => Some(false),
            _ => None,
        };
        let added = scatter(&answers[indexes..], &places, vec![false; connections.len()], is_added)?;
        let refused = connections.iter().zip(&added).filter(|(_, added)| !**added);
        let leftover = self.unindex(refused.map(|(connection, _)| *connection));
        if !leftover.is_empty() {
            // What stays is named once too often when the lease ends, no more.
            let _ = self.nodes.execute(&leftover, Repeat::Harmless).await;
        }
        Ok(added)
    }

    async fn disconnect_some(&self, connections: &[Connection]) -> Result<Vec<StatusChange>, EngineError> {
        let fields = connections.iter().map(|it| (it.user_id, vec![keys::field(it)]));
        let (mut calls, places) = self.of_users(&scripts::DISCONNECT, &[], fields);
        let users = calls.len();
        calls.extend(self.unindex(connections.iter().copied()));
        let answers = self.nodes.execute(&calls, Repeat::Never).await?;
        scatter(&answers[..users], &places, vec![UNCHANGED; connections.len()], change_of)
    }

    async fn set_some(&self, statuses: &[(Connection, Status)]) -> Result<Vec<StatusChange>, EngineError> {
        let said = statuses
            .iter()
            .map(|(it, status)| (it.user_id, vec![keys::field(it), letter_of(*status).into()]));
        let (mut calls, places) = self.of_users(&scripts::SET_STATUS, &[], said);
        let users = calls.len();
        let connections: Vec<Connection> = statuses.iter().map(|(connection, _)| *connection).collect();
        calls.extend(self.index(&connections, false));
        let answers = self.nodes.execute(&calls, Repeat::Never).await?;
        scatter(&answers[..users], &places, vec![UNCHANGED; statuses.len()], change_of)
    }

    async fn statuses_of_some(&self, users: &[UserId]) -> Result<Vec<Status>, EngineError> {
        let asked = users.iter().map(|user| (*user, Vec::new()));
        let (calls, places) = self.of_users(&scripts::STATUS, &[], asked);
        let answers = self.nodes.execute(&calls, Repeat::Harmless).await?;
        let mut statuses = vec![Status::Offline; users.len()];
        for (answer, places) in answers.iter().zip(places) {
            let status = text_of(answer).and_then(status_of).ok_or_else(|| unexpected("a status"))?;
            places.into_iter().for_each(|place| statuses[place] = status);
        }
        Ok(statuses)
    }

    /// Ends some of the leases' connections; says whose they were, and whether there may be more.
    async fn end_some(&self, slot: Slot, before: &str) -> Result<(Vec<UserId>, bool), EngineError> {
        let asked = vec![before.to_owned(), ITEMS_MAX.to_string()];
        let earlier = [self.index_call(&scripts::INDEX_EARLIER, slot, asked)];
        let answers = self.nodes.execute(&earlier, Repeat::Harmless).await?;
        let Some(Value::Array(members)) = answers.first() else { return Err(unexpected("an index")) };
        let members: Option<Vec<String>> = members.iter().map(|it| text_of(it).map(str::to_owned)).collect();
        let members = members.ok_or_else(|| unexpected("an index"))?;
        let mut users: Vec<UserId> = members.iter().filter_map(|member| keys::user_of(member)).collect();
        users.sort_unstable();
        users.dedup();
        let lease = [slot.0.to_string(), before.to_owned()];
        let (calls, _) = self.of_users(&scripts::END_LEASE, &lease, users.iter().map(|it| (*it, Vec::new())));
        self.nodes.execute(&calls, Repeat::Harmless).await?;
        let is_full = members.len() >= ITEMS_MAX;
        // Only now: what fails before is found again.
        let over = [self.index_call(&scripts::INDEX_REMOVE, slot, members)];
        self.nodes.execute(&over, Repeat::Harmless).await?;
        Ok((users, is_full))
    }
}

impl Presence for RedisPresence {
    async fn connect(&self, connections: &[Connection], limit: u32) -> Result<Vec<bool>, EngineError> {
        let mut added = Vec::with_capacity(connections.len());
        for some in connections.chunks(ITEMS_MAX) {
            added.extend(self.connect_some(some, limit).await?);
        }
        Ok(added)
    }

    async fn disconnect(&self, connections: &[Connection]) -> Result<Vec<StatusChange>, EngineError> {
        let mut changes = Vec::with_capacity(connections.len());
        for some in connections.chunks(ITEMS_MAX) {
            changes.extend(self.disconnect_some(some).await?);
        }
        Ok(changes)
    }

    async fn set_status(&self, statuses: &[(Connection, Status)]) -> Result<Vec<StatusChange>, EngineError> {
        let mut changes = Vec::with_capacity(statuses.len());
        for some in statuses.chunks(ITEMS_MAX) {
            changes.extend(self.set_some(some).await?);
        }
        Ok(changes)
    }

    async fn statuses(&self, users: &[UserId]) -> Result<Vec<Status>, EngineError> {
        let mut statuses = Vec::with_capacity(users.len());
        for some in users.chunks(ITEMS_MAX) {
            statuses.extend(self.statuses_of_some(some).await?);
        }
        Ok(statuses)
    }

    /// Whoever has many connections on the slot takes several round trips, so the time limit holds for each of them.
    async fn end_leases(&self, slot: Slot, before: Epoch) -> Result<Vec<UserId>, EngineError> {
        let before = format!("{:016x}", before.0);
        let mut ended = Vec::new();
        loop {
            let (users, may_be_more) = self.end_some(slot, &before).await?;
            ended.extend(users);
            if !may_be_more {
                break;
            }
        }
        ended.sort_unstable();
        ended.dedup();
        Ok(ended)
    }

    async fn charge(&self, charges: &[Charge]) -> Result<Vec<RateDecision>, EngineError> {
        limits::charge(self, charges).await
    }

    async fn charge_jointly(&self, groups: &[Vec<Charge>]) -> Result<Vec<JointDecision>, EngineError> {
        limits::charge_jointly(self, groups).await
    }

    async fn refund(&self, charges: &[Charge]) -> Result<(), EngineError> {
        limits::refund(self, charges).await
    }
}

/// Puts the answers of calls, over several items each, to the places of the items.
pub(crate) fn scatter<T>(
    answers: &[Value],
    places: &[Vec<usize>],
    mut items: Vec<T>,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Vec<T>, EngineError> {
    for (answer, places) in answers.iter().zip(places) {
        let Value::Array(values) = answer else { return Err(unexpected("no list")) };
        if values.len() != places.len() {
            return Err(unexpected("a list of another length"));
        }
        for (value, place) in values.iter().zip(places) {
            items[*place] = read(value).ok_or_else(|| unexpected("an item of a list"))?;
        }
    }
    Ok(items)
}

fn text_of(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn letter_of(status: Status) -> &'static str {
    match status {
        Status::Online => "o",
        Status::Away => "a",
        Status::Dnd => "d",
        Status::Offline => "f",
    }
}

fn status_of(letter: &str) -> Option<Status> {
    [Status::Online, Status::Away, Status::Dnd, Status::Offline]
        .into_iter()
        .find(|status| letter_of(*status) == letter)
}

fn change_of(value: &Value) -> Option<StatusChange> {
    let (before, after) = text_of(value)?.split_at_checked(1)?;
    Some(StatusChange { before: status_of(before)?, after: status_of(after)? })
}
