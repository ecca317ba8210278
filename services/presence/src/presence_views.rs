//! The service's contract: who is there.

use ringside_application::presence_view::{self, PresenceView};
use ringside_application::service::ServiceError;
use ringside_application::service::presence::PresenceService;
use ringside_clock::now;
use ringside_ports::Presence;
use ringside_ports::people::profiles::Profiles;
use ringside_ports::people::relations::Relationships;
use ringside_types::UserId;

/// Presence over its engine and a Directory.
#[derive(Clone, Debug)]
pub struct PresenceViews<P, D> {
    presence: P,
    directory: D,
}

impl<P: Presence, D: Profiles + Relationships> PresenceViews<P, D> {
    pub fn new(presence: P, directory: D) -> Self {
        Self { presence, directory }
    }
}

impl<P: Presence, D: Profiles + Relationships> PresenceService for PresenceViews<P, D> {
    async fn presence(&self, caller: UserId, users: &[UserId]) -> Result<Vec<PresenceView>, ServiceError> {
        Ok(presence_view::seen_by(&self.presence, &self.directory, caller, users, now()).await?)
    }
}
