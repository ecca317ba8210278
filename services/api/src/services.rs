//! The services that the API stands on.

use ringside_application::service::people::{ProfileService, RelationService, SessionService};
use ringside_application::service::presence::{PresenceService, ReceiptService};
use ringside_application::service::{ChannelService, MessageService, ServiceError, UserService};
use ringside_ports::Presence;
use ringside_ports::presence::{Charge, RateDecision};

/// One name for the types of all services, so that a handler has one parameter.
pub trait Services: Send + Sync + 'static {
    /// The user service: accounts, profiles, relations, sessions.
    type Users: UserService + ProfileService + RelationService + SessionService;
    type Channels: ChannelService;
    type Messages: MessageService;
    type Receipts: ReceiptService;
    type PresenceViews: PresenceService;

    fn users(&self) -> &Self::Users;
    fn channels(&self) -> &Self::Channels;
    fn messages(&self) -> &Self::Messages;
    fn receipts(&self) -> &Self::Receipts;
    fn presence_views(&self) -> &Self::PresenceViews;
    /// Takes one token of a limit; `None`: the engine does not answer.
    fn charge(&self, charge: Charge) -> impl Future<Output = Result<RateDecision, ServiceError>> + Send;
}

/// The services, one by one, as a process puts them together.
#[derive(Clone, Debug)]
pub struct Composed<U, C, M, R, V, P> {
    pub users: U,
    pub channels: C,
    pub messages: M,
    pub receipts: R,
    pub presence_views: V,
    /// Where requests are counted.
    pub limits: P,
}

impl<U, C, M, R, V, P> Services for Composed<U, C, M, R, V, P>
where
    U: UserService + ProfileService + RelationService + SessionService,
    C: ChannelService,
    M: MessageService,
    R: ReceiptService,
    V: PresenceService,
    P: Presence,
{
    type Users = U;
    type Channels = C;
    type Messages = M;
    type Receipts = R;
    type PresenceViews = V;

    fn users(&self) -> &U {
        &self.users
    }

    fn channels(&self) -> &C {
        &self.channels
    }

    fn messages(&self) -> &M {
        &self.messages
    }

    fn receipts(&self) -> &R {
        &self.receipts
    }

    fn presence_views(&self) -> &V {
        &self.presence_views
    }

    async fn charge(&self, charge: Charge) -> Result<RateDecision, ServiceError> {
        let decisions = self.limits.charge(&[charge]).await?;
        let decision = decisions.first().copied();
        decision.ok_or_else(|| ServiceError::Unavailable("the engine of limits gave no answer".into()))
    }
}
