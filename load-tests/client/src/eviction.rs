//! The ways in which somebody loses their events, each by a request of the public contract.

use serde::{Deserialize, Serialize};

/// A way to lose one's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Eviction {
    /// `POST /auth/logout`.
    Logout,
    /// `DELETE /auth/sessions/{id}`, from another session.
    Revoked,
    /// `PUT /users/me/password`, from another session.
    Password,
    /// `DELETE /channels/{id}/members/{user}`, by the owner.
    Removed,
}

impl Eviction {
    /// In the order of reports.
    pub const ALL: [Self; 4] = [Self::Logout, Self::Revoked, Self::Password, Self::Removed];
}
