//! The roles of the server. Each has a module with what it starts, how it fails and how it ends; here they are put
//! together in one process.

pub(crate) mod api;
pub(crate) mod channel;
pub(crate) mod edge;
pub(crate) mod message;
mod pipeline;
pub(crate) mod presence;
mod tasks;
pub(crate) mod user;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::commands::Failure;
use crate::config::Config;
use crate::engines::{Engines, Port};
use crate::run::Ports;
use channel::Channel;
use edge::Edge;
use message::Message;
use pipeline::Pipeline;
use presence::Presence;
use user::User;

/// A part of the server that can be a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Edge,
    /// REST and the web client.
    Api,
    /// Messages: their order, the store, their way to the edges.
    Message,
    User,
    /// Channels and their members.
    Channel,
    Presence,
}

impl Role {
    pub const ALL: [Self; 6] =
        [Self::Edge, Self::Api, Self::Message, Self::User, Self::Channel, Self::Presence];

    /// As an operator writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Api => "api",
            Self::Message => "message",
            Self::User => "user",
            Self::Channel => "channel",
            Self::Presence => "presence",
        }
    }

    /// The ports whose engines it uses.
    pub(crate) const fn ports(self) -> &'static [Port] {
        match self {
            Self::Edge | Self::Message => &[Port::Log, Port::Store, Port::Directory, Port::Presence],
            Self::Api => &[Port::Presence],
            Self::User => &[Port::Log, Port::Directory, Port::Presence, Port::Keys],
            Self::Channel => &[Port::Log, Port::Directory],
            Self::Presence => &[Port::Log, Port::Store, Port::Directory, Port::Presence],
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a role still lacks before it can serve; `None`: nothing.
pub(crate) type Probe = Arc<dyn Fn() -> Option<&'static str> + Send + Sync>;

/// The roles behind the API's port, started.
pub(crate) struct Roles {
    pub(crate) user: User,
    pub(crate) channel: Channel,
    pub(crate) presence: Presence,
    pub(crate) message: Message,
    pub(crate) edge: Edge,
    /// The last field: it ends when nothing runs on it.
    _pipeline: Pipeline,
}

impl Roles {
    /// Starts them, those first that others stand on.
    ///
    /// # Errors
    /// The sentence that says which could not start, and why.
    pub(crate) async fn start(
        config: &Config,
        engines: &Engines,
        ports: &Ports,
        stop: &watch::Receiver<bool>,
    ) -> Result<Self, Failure> {
        let pipeline = Pipeline::start()?;
        let message = Message::start(engines, config, pipeline.handle(), stop);
        let presence = Presence::start(engines, stop);
        let channel = Channel::start(engines, stop);
        let user = User::start(engines, config, stop).await?;
        let edge = Edge::start(config, engines, ports, user.keys(), pipeline.handle(), stop).await?;
        Ok(Self { user, channel, presence, message, edge, _pipeline: pipeline })
    }

    /// What tells whether they can serve. The others can once they have started.
    pub(crate) fn probes(&self) -> Vec<Probe> {
        vec![self.edge.probe()]
    }

    /// Waits until a part of one has ended before it was told to; says which, and why. A panic is passed on.
    pub(crate) async fn failed(&self) -> Failure {
        tokio::select! {
            failure = self.message.failed() => failure,
            failure = self.presence.failed() => failure,
            failure = self.channel.failed() => failure,
            failure = self.user.failed() => failure,
            failure = self.edge.failed() => failure,
        }
    }

    /// Waits until they have ended, which they have been told to.
    pub(crate) async fn stopped(&self) {
        self.edge.stopped().await;
        tokio::join!(self.user.stopped(), self.channel.stopped(), self.presence.stopped());
        self.message.stopped().await;
    }
}
