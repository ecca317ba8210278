//! The backend of an edge that stands in one process with its engines.

use std::collections::HashMap;

use ringside_clock::now;
use ringside_domain::attention::Attention;
use ringside_domain::rows::Prefetch;
use ringside_ports::channels::{Channel, ChannelKind, Member};
use ringside_ports::people::After;
use ringside_ports::people::profiles::{ProfileChange, Profiles};
use ringside_ports::people::relations::Relationships;
use ringside_ports::presence::{Connection, Status, StatusChange};
use ringside_ports::{ChannelReader, EngineError, MembershipReader, Presence, UserReader};
use ringside_types::{ChannelId, MessageId, PublicKey, UserId};

use crate::backend::{
    Admission, AdmitRefusal, AuthorizeAnswer, AuthorizeRequest, Backend, BackendError, ChannelMembership,
    ConnectionEvent, LookAnswer, LookRequest, Position, ReadAnswer, ReadRequest,
};
use crate::pages::{profile_of, read_gap, read_pages};
use crate::{presence_view, reading, senders};

/// Blocks of a user that are read at once.
const BLOCKS_PAGE: usize = 500;

/// What a backend needs of the Directory.
pub trait BackendDirectory: UserReader + MembershipReader + Profiles + Relationships {}

impl<D: UserReader + MembershipReader + Profiles + Relationships> BackendDirectory for D {}

/// Who has the keys that sign access tokens.
pub trait KeyHolder: Clone + Send + Sync + 'static {
    /// Their public halves as their store has them now, oldest first.
    fn public_keys(&self) -> impl Future<Output = Result<Vec<PublicKey>, BackendError>> + Send;
}

/// Over a store, a Directory, who is connected, and the signing keys.
#[derive(Clone, Debug)]
pub struct DirectBackend<S, D, P, K> {
    store: S,
    directory: D,
    presence: P,
    keys: K,
}

impl<S: ChannelReader, D: BackendDirectory, P: Presence, K: KeyHolder> DirectBackend<S, D, P, K> {
    pub fn new(store: S, directory: D, presence: P, keys: K) -> Self {
        Self { store, directory, presence, keys }
    }

    /// What the engines say of connections that are within their users' limits; `None`: the session has ended.
    async fn admissions(&self, connections: &[Connection]) -> Result<Vec<Option<Admission>>, EngineError> {
        let sessions: Vec<_> = connections.iter().map(|connection| connection.session_id).collect();
        let open = self.directory.sessions_open(&sessions).await?;
        let mut users: Vec<UserId> = connections.iter().map(|connection| connection.user_id).collect();
        users.sort_unstable();
        users.dedup();
        let found = self.directory.users(&users).await?;
        let profiles: HashMap<UserId, _> =
            found.into_iter().map(|user| (user.id, profile_of(user))).collect();
        let memberships = self.memberships(&users).await?;
        let admission = |(connection, is_open): (&Connection, bool)| {
            let profile = profiles.get(&connection.user_id).filter(|_| is_open)?.clone();
            let memberships = memberships.get(&connection.user_id).cloned().unwrap_or_default();
            Some(Admission { profile, memberships })
        };
        Ok(connections.iter().zip(open).map(admission).collect())
    }

    async fn memberships(
        &self,
        users: &[UserId],
    ) -> Result<HashMap<UserId, Vec<ChannelMembership>>, EngineError> {
        let listed = self.directory.memberships(users).await?;
        let pairs: Vec<_> = listed.iter().map(|member| (member.channel_id, member.user_id)).collect();
        let hidden = reading::history_starts(&self.store, &pairs).await?;
        let mut memberships: HashMap<UserId, Vec<ChannelMembership>> = HashMap::new();
        for Member { channel_id, user_id, version, .. } in listed {
            let sees_above = hidden.get(&(channel_id, user_id)).copied().unwrap_or_default();
            let membership = ChannelMembership { channel_id, version, sees_above };
            memberships.entry(user_id).or_default().push(membership);
        }
        Ok(memberships)
    }

    async fn positions(&self, messages: &[(ChannelId, MessageId)]) -> Result<Vec<Position>, EngineError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let channels = messages.iter().map(|(channel, _)| *channel).collect();
        let wanted = Prefetch { channels, records: messages.to_vec(), ..Prefetch::default() };
        let loaded = self.store.load(&wanted).await?;
        let heads: HashMap<ChannelId, MessageId> =
            loaded.heads.iter().map(|head| (head.channel_id, head.last_message_id)).collect();
        let seqs: HashMap<(ChannelId, MessageId), u64> =
            loaded.messages.iter().map(|row| ((row.channel_id, row.message_id), row.seq)).collect();
        let position = |message: &(ChannelId, MessageId)| {
            // Rows come before their head: what is above it is not there yet.
            if heads.get(&message.0).is_none_or(|head| message.1 > *head) {
                return Position::AboveHead;
            }
            seqs.get(message).map_or(Position::Unknown, |seq| Position::At(*seq))
        };
        Ok(messages.iter().map(position).collect())
    }

    async fn change_presence(&self, change: ConnectionEvent) -> Result<Vec<UserId>, EngineError> {
        match change {
            ConnectionEvent::Disconnected(connection) => {
                let changes = self.presence.disconnect(&[connection]).await?;
                self.note_departure(connection.user_id, changes.first().copied()).await;
                Ok(vec![connection.user_id])
            }
            ConnectionEvent::StatusSet { connection, status, status_message } => {
                let user = connection.user_id;
                if status_message.is_some() {
                    let change = ProfileChange { status_message, ..ProfileChange::default() };
                    self.directory.change_profile(user, change, now()).await?;
                }
                let changes = self.presence.set_status(&[(connection, status)]).await?;
                self.note_departure(user, changes.first().copied()).await;
                Ok(vec![user])
            }
            ConnectionEvent::LeaseEnded { slot, before } => self.presence.end_leases(slot, before).await,
        }
    }

    /// When somebody went survives a restart; where it can't be written, nobody is told of it later. Who was not to be seen
    /// before, has not gone now.
    async fn note_departure(&self, user: UserId, change: Option<StatusChange>) {
        let is_gone =
            change.is_some_and(|change| change.before != Status::Offline && change.after == Status::Offline);
        if is_gone && let Err(error) = self.directory.saw(&[(user, now())]).await {
            tracing::warn!(%error, "when a user was last seen could not be written");
        }
    }

    async fn attention(&self, users: &[UserId]) -> Result<Vec<Option<Attention>>, EngineError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let statuses = self.presence.statuses(users).await?;
        let mut attention = Vec::with_capacity(users.len());
        for (user, status) in users.iter().zip(statuses) {
            let is_away = status == Status::Away;
            attention.push(if is_away { Some(self.notification_rules(*user).await?) } else { None });
        }
        Ok(attention)
    }

    async fn notification_rules(&self, user: UserId) -> Result<Attention, EngineError> {
        let memberships = self.directory.memberships(&[user]).await?;
        let muted = memberships.iter().filter_map(|member| Some((member.channel_id, member.muted_until?)));
        let ids: Vec<_> = memberships.iter().map(|member| member.channel_id).collect();
        let channels = self.directory.channels(&ids).await?;
        let is_direct = |channel: &&Channel| channel.kind == ChannelKind::Dm;
        let direct = channels.iter().filter(is_direct).map(|channel| channel.id).collect();
        Ok(Attention { muted: muted.collect(), direct, blocked: self.blocked(user).await? })
    }

    async fn blocked(&self, user: UserId) -> Result<Vec<UserId>, EngineError> {
        let mut blocked: Vec<UserId> = Vec::new();
        loop {
            let part = After { after: blocked.last().copied(), limit: BLOCKS_PAGE };
            let page = self.directory.blocks(user, part).await?;
            blocked.extend(page.iter().map(|block| block.user_id));
            if page.len() < BLOCKS_PAGE {
                return Ok(blocked);
            }
        }
    }
}

impl<S: ChannelReader, D: BackendDirectory, P: Presence, K: KeyHolder> Backend for DirectBackend<S, D, P, K> {
    async fn admit(
        &self,
        connections: Vec<Connection>,
        connections_max: u32,
    ) -> Vec<Result<Admission, AdmitRefusal>> {
        let unavailable = |error: EngineError| {
            tracing::warn!(%error, "connections could not be admitted");
            AdmitRefusal::Unavailable
        };
        let added = match self.presence.connect(&connections, connections_max).await.map_err(unavailable) {
            Ok(added) => added,
            Err(refusal) => return vec![Err(refusal); connections.len()],
        };
        let within = connections.iter().zip(&added).filter(|(_, added)| **added);
        let within: Vec<Connection> = within.map(|(connection, _)| *connection).collect();
        let admissions = self.admissions(&within).await.map_err(unavailable);
        let mut answers: Vec<Result<Admission, AdmitRefusal>> = match admissions {
            Ok(admissions) => {
                admissions.into_iter().map(|admission| admission.ok_or(AdmitRefusal::SessionEnded)).collect()
            }
            Err(refusal) => vec![Err(refusal); within.len()],
        };
        // A connection that stays counted would keep its user out; one that can't be removed now dies with the epoch.
        let refused = within.iter().zip(&answers).filter(|(_, answer)| answer.is_err());
        let refused: Vec<Connection> = refused.map(|(connection, _)| *connection).collect();
        if !refused.is_empty() {
            let _ = self.presence.disconnect(&refused).await;
        }
        let mut of_those_within = answers.drain(..);
        let answer = |added: bool| match added {
            true => of_those_within.next().unwrap_or(Err(AdmitRefusal::Unavailable)),
            false => Err(AdmitRefusal::TooManyConnections),
        };
        added.into_iter().map(answer).collect()
    }

    async fn authorize(&self, asked: AuthorizeRequest) -> Result<AuthorizeAnswer, BackendError> {
        let AuthorizeRequest { senders, members, positions, policies, charges } = asked;
        let mut answer = AuthorizeAnswer::default();
        for sender in senders {
            answer.senders.push(senders::answer(&self.store, &self.directory, sender).await);
        }
        if !members.is_empty() {
            let found = self.directory.membership(&members).await?;
            answer.members = found.iter().map(Option::is_some).collect();
        }
        answer.positions = self.positions(&positions).await?;
        if !policies.is_empty() {
            let channels = self.directory.channels(&policies).await?;
            answer.policies = channels.iter().map(|channel| (channel.id, channel.into())).collect();
        }
        if !charges.is_empty() {
            answer.charges = self.presence.charge_jointly(&charges).await?;
        }
        Ok(answer)
    }

    async fn read(&self, asked: ReadRequest) -> ReadAnswer {
        let ReadRequest { readers, gaps } = asked;
        let mut answer = ReadAnswer::default();
        if !readers.is_empty() {
            answer.readers = read_pages(&self.store, &self.directory, &readers).await;
        }
        for range in gaps {
            let found = read_gap(&self.store, &self.directory, range).await;
            answer.gaps.push(found.map_err(Into::into));
        }
        answer
    }

    async fn presence(&self, changes: Vec<ConnectionEvent>) -> Vec<Result<Vec<UserId>, BackendError>> {
        let mut told = Vec::with_capacity(changes.len());
        for change in changes {
            told.push(self.change_presence(change).await.map_err(Into::into));
        }
        told
    }

    async fn look(&self, asked: LookRequest) -> Result<LookAnswer, BackendError> {
        let LookRequest { viewers, seen, away } = asked;
        let (presence, directory) = (&self.presence, &self.directory);
        let mut answer = LookAnswer { away: self.attention(&away).await?, ..LookAnswer::default() };
        for (viewer, users) in &viewers {
            let views = presence_view::seen_by(presence, directory, *viewer, users, now()).await?;
            answer.viewers.push(views);
        }
        for (user, viewers) in &seen {
            let views = presence_view::seen_by_each(presence, directory, *user, viewers, now()).await?;
            answer.seen.push(views);
        }
        Ok(answer)
    }

    async fn public_keys(&self) -> Result<Vec<PublicKey>, BackendError> {
        self.keys.public_keys().await
    }
}
