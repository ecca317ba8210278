//! The services that the API stands on, in process.

use ringside_channel::Conversations;
use ringside_embedded::{EmbeddedLog, EmbeddedStore, MemoryPresence};
use ringside_message::messages::Messages;
use ringside_ports::Presence as _;
use ringside_ports::presence::{Charge, RateDecision};
use ringside_presence::{Receipts, Whereabouts};
use ringside_sql::Directory;
use ringside_user::Users;

use super::engines::DataFolder;
use super::pipeline::Pipeline;
use crate::config::Config;

/// Accounts and sessions, over the embedded engines.
pub(crate) type People = Users<Directory, MemoryPresence, EmbeddedLog>;
type Embedded = Messages<EmbeddedLog, EmbeddedStore, Directory, MemoryPresence>;

/// All of them, over the embedded engines.
pub(super) struct Services {
    users: People,
    channels: Conversations<Directory, EmbeddedLog>,
    messages: Embedded,
    receipts: Receipts<EmbeddedStore, Directory>,
    whereabouts: Whereabouts<MemoryPresence, Directory>,
    presence: MemoryPresence,
}

impl Services {
    pub(super) fn new(config: &Config, folder: &DataFolder, pipeline: &Pipeline) -> Self {
        let DataFolder { engine, directory, presence, keys, .. } = folder;
        let (directory, presence, limits) = (directory.clone(), presence.clone(), config.limits.clone());
        Self {
            users: Users::new(
                directory.clone(),
                presence.clone(),
                engine.log(),
                keys.keys().clone(),
                limits.clone(),
            )
            .with_registration(config.registration.into()),
            channels: Conversations::new(directory.clone(), engine.log(), pipeline.relay.clone()),
            receipts: Receipts::new(engine.store(), directory.clone()),
            whereabouts: Whereabouts::new(presence.clone(), directory.clone()),
            messages: Messages::new(
                engine.log(),
                engine.store(),
                directory,
                presence.clone(),
                limits,
                pipeline.replies.clone(),
            ),
            presence,
        }
    }

    /// Another handle to the accounts.
    pub(super) fn people(&self) -> People {
        self.users.clone()
    }
}

impl ringside_api::Services for Services {
    type Users = People;
    type Profiles = People;
    type Relations = People;
    type Sessions = People;
    type Channels = Conversations<Directory, EmbeddedLog>;
    type Messages = Embedded;
    type Receipts = Receipts<EmbeddedStore, Directory>;
    type Whereabouts = Whereabouts<MemoryPresence, Directory>;

    fn users(&self) -> &Self::Users {
        &self.users
    }

    fn profiles(&self) -> &Self::Profiles {
        &self.users
    }

    fn relations(&self) -> &Self::Relations {
        &self.users
    }

    fn sessions(&self) -> &Self::Sessions {
        &self.users
    }

    fn channels(&self) -> &Self::Channels {
        &self.channels
    }

    fn messages(&self) -> &Self::Messages {
        &self.messages
    }

    fn receipts(&self) -> &Self::Receipts {
        &self.receipts
    }

    fn whereabouts(&self) -> &Self::Whereabouts {
        &self.whereabouts
    }

    async fn charge(&self, charge: Charge) -> Option<RateDecision> {
        self.presence.charge(&[charge]).await.ok()?.first().copied()
    }
}
