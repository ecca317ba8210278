//! The services that the API stands on: those of the roles in this process.

use ringside_ports::Presence as _;
use ringside_ports::presence::{Charge, RateDecision};

use crate::engines::PresenceEngine;
use crate::roles::presence::{ReceiptService, WhereaboutsService};
use crate::roles::{Roles, channel, message, user};

pub(super) struct Services {
    users: user::Service,
    channels: channel::Service,
    messages: message::Service,
    receipts: ReceiptService,
    presence_views: WhereaboutsService,
    limits: PresenceEngine,
}

impl Services {
    pub(super) fn of(roles: &Roles) -> Self {
        Self {
            users: roles.user.service(),
            channels: roles.channel.service(),
            messages: roles.message.service(),
            receipts: roles.presence.receipts(),
            presence_views: roles.presence.presence_views(),
            limits: roles.presence.limits(),
        }
    }
}

impl ringside_api::Services for Services {
    type Users = user::Service;
    type Profiles = user::Service;
    type Relations = user::Service;
    type Sessions = user::Service;
    type Channels = channel::Service;
    type Messages = message::Service;
    type Receipts = ReceiptService;
    type PresenceViews = WhereaboutsService;

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

    fn presence_views(&self) -> &Self::PresenceViews {
        &self.presence_views
    }

    async fn charge(&self, charge: Charge) -> Option<RateDecision> {
        self.limits.charge(&[charge]).await.ok()?.first().copied()
    }
}
