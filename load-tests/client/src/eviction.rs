//! The ways in which somebody loses their events, each by a request of the public contract.

use serde::{Deserialize, Serialize};

/// How somebody loses their events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// `POST /auth/logout`.
    Logout,
    /// `DELETE /auth/sessions/{id}`, from another session.
    Revoked,
    /// `PUT /users/me/password`, from another session.
    Password,
    /// `DELETE /channels/{id}/members/{user}`, by the owner.
    Removed,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Logout, Self::Revoked, Self::Password, Self::Removed];
}
