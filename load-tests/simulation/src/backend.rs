//! What stands behind the edges: the pages, gaps and judgement of senders of the product over the simulated store and
//! Directory; admissions are the simulation's own. Presence is nobody's concern here.

use ringside_application::backend::{
    Admission, AdmitRefusal, AuthorizeAnswer, AuthorizeRequest, Backend, BackendError, ChannelMembership,
    ConnectionEvent, LookAnswer, LookRequest, Position, ReadAnswer, ReadRequest,
};
use ringside_application::pages::{profile_of, read_gap, read_pages};
use ringside_application::senders;
use ringside_ports::presence::{Connection, JointDecision};
use ringside_ports::{EngineError, MembershipReader as _, UserReader as _};
use ringside_types::{PublicKey, UserId};

use crate::directory::SimulatedDirectory;
use crate::store::SimulatedStore;
use crate::tokens;

#[derive(Clone)]
pub struct SimulatedBackend {
    pub store: SimulatedStore,
    pub directory: SimulatedDirectory,
}

impl SimulatedBackend {
    async fn admission(&self, user: UserId) -> Result<Admission, EngineError> {
        let found = self.directory.users(&[user]).await?;
        let profile = found.into_iter().next().map(profile_of).unwrap_or_default();
        let membership = |member: ringside_ports::channels::Member| ChannelMembership {
            channel_id: member.channel_id,
            version: member.version,
            sees_above: ringside_types::MessageId::ZERO,
        };
        let memberships = self.directory.memberships(&[user]).await?.into_iter().map(membership).collect();
        Ok(Admission { profile, memberships })
    }
}

impl Backend for SimulatedBackend {
    async fn admit(&self, connections: Vec<Connection>, _: u32) -> Vec<Result<Admission, AdmitRefusal>> {
        let mut answers = Vec::with_capacity(connections.len());
        for connection in connections {
            answers.push(self.admission(connection.user_id).await.map_err(|_| AdmitRefusal::Unavailable));
        }
        answers
    }

    async fn authorize(&self, asked: AuthorizeRequest) -> Result<AuthorizeAnswer, BackendError> {
        let mut answer = AuthorizeAnswer::default();
        for sender in asked.senders {
            answer.senders.push(senders::answer(&self.store, &self.directory, sender).await);
        }
        if !asked.members.is_empty() {
            let found = self.directory.membership(&asked.members).await?;
            answer.members = found.iter().map(Option::is_some).collect();
        }
        answer.positions = vec![Position::Unknown; asked.positions.len()];
        if !asked.policies.is_empty() {
            let channels = self.directory.channels(&asked.policies).await?;
            answer.policies = channels.iter().map(|channel| (channel.id, channel.into())).collect();
        }
        answer.charges = asked.charges.iter().map(|_| JointDecision::Granted).collect();
        Ok(answer)
    }

    async fn read(&self, asked: ReadRequest) -> ReadAnswer {
        let mut answer = ReadAnswer::default();
        if !asked.readers.is_empty() {
            answer.readers = read_pages(&self.store, &self.directory, &asked.readers).await;
        }
        for range in asked.gaps {
            answer.gaps.push(read_gap(&self.store, &self.directory, range).await.map_err(Into::into));
        }
        answer
    }

    async fn presence(&self, changes: Vec<ConnectionEvent>) -> Vec<Result<Vec<UserId>, BackendError>> {
        changes.iter().map(|_| Ok(Vec::new())).collect()
    }

    async fn look(&self, asked: LookRequest) -> Result<LookAnswer, BackendError> {
        Ok(LookAnswer {
            viewers: vec![Vec::new(); asked.viewers.len()],
            seen: vec![Vec::new(); asked.seen.len()],
            away: vec![None; asked.away.len()],
        })
    }

    async fn public_keys(&self) -> Result<Vec<PublicKey>, BackendError> {
        Ok(vec![tokens::public_key()])
    }
}
