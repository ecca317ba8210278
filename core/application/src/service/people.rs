//! What the services offer of people: profiles, relations, sessions.

use std::future::Future;
use std::net::IpAddr;

use ringside_types::{SessionId, UnixMillis, UserId};

use super::{Caller, Page, PageRequest, ServiceError};
use ringside_ports::people::profiles::{AuditEntry, Profile};
use ringside_ports::people::relations::{Block, Contact, ContactState};
use ringside_ports::people::sessions::Session;

/// A change of one's own profile, as it was asked for; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct ProfilePatch {
    /// The name to show.
    pub display_name: Option<String>,
    /// The picture's address; empty: none.
    pub avatar_url: Option<String>,
    /// What the user says of themselves; empty: nothing.
    pub status_message: Option<String>,
    /// Until when; `Some(None)`: for good.
    pub status_expires_at: Option<Option<UnixMillis>>,
    /// A JSON object that is merged into the settings (RFC 7396: `null` takes a key away).
    pub settings: Option<String>,
}

/// A profile as someone else sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisibleProfile {
    /// The profile, without a status message that the viewer may not see; its e-mail address is for `sees_email` alone.
    pub profile: Profile,
    /// Whether the viewer sees the e-mail address.
    pub sees_email: bool,
}

pub trait ProfileService: Clone + Send + Sync + 'static {
    /// The caller's own.
    fn own(&self, caller: UserId) -> impl Future<Output = Result<Profile, ServiceError>> + Send;
    /// Changes the caller's own, whole or not at all.
    fn change(
        &self,
        caller: UserId,
        patch: ProfilePatch,
    ) -> impl Future<Output = Result<Profile, ServiceError>> + Send;
    /// The profiles that there are among these, erased ones too, as the caller sees them; in no order.
    fn seen(
        &self,
        caller: UserId,
        ids: &[UserId],
    ) -> impl Future<Output = Result<Vec<VisibleProfile>, ServiceError>> + Send;
    /// Accounts by what a username or display name begins with; by their e-mail address where they show it.
    fn search(
        &self,
        caller: UserId,
        text: &str,
        part: PageRequest,
    ) -> impl Future<Output = Result<Page<VisibleProfile>, ServiceError>> + Send;
    /// Erases the caller's account, its sessions with it.
    fn erase(&self, caller: UserId) -> impl Future<Output = Result<(), ServiceError>> + Send;
    /// What was done to the caller's account, oldest first.
    fn audit(
        &self,
        caller: UserId,
        part: PageRequest,
    ) -> impl Future<Output = Result<Page<AuditEntry>, ServiceError>> + Send;
}

pub trait RelationService: Clone + Send + Sync + 'static {
    /// The caller's contacts: those in one state, or in any.
    fn contacts(
        &self,
        caller: UserId,
        state: Option<ContactState>,
        part: PageRequest,
    ) -> impl Future<Output = Result<Page<Contact>, ServiceError>> + Send;
    /// Asks for a contact; says whether that is new.
    fn request_contact(
        &self,
        caller: UserId,
        other: UserId,
    ) -> impl Future<Output = Result<(Contact, bool), ServiceError>> + Send;
    /// Accepts a contact that the other has asked for.
    fn accept_contact(
        &self,
        caller: UserId,
        other: UserId,
    ) -> impl Future<Output = Result<Contact, ServiceError>> + Send;
    /// Ends a contact, declines one, or takes the asking back.
    fn remove_contact(
        &self,
        caller: UserId,
        other: UserId,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send;
    /// Whom the caller has blocked.
    fn blocks(
        &self,
        caller: UserId,
        part: PageRequest,
    ) -> impl Future<Output = Result<Page<Block>, ServiceError>> + Send;
    /// Blocks someone; a second time is no error.
    fn block(&self, caller: UserId, other: UserId) -> impl Future<Output = Result<(), ServiceError>> + Send;
    /// Takes a block back; one that is not there is no error.
    fn unblock(&self, caller: UserId, other: UserId)
    -> impl Future<Output = Result<(), ServiceError>> + Send;
}

/// Sessions, and the password that they hang on.
pub trait SessionService: Clone + Send + Sync + 'static {
    /// The caller's sessions: the open ones, or `all` that there ever were.
    fn sessions(
        &self,
        caller: UserId,
        all: bool,
        part: PageRequest,
    ) -> impl Future<Output = Result<Page<Session>, ServiceError>> + Send;
    /// Ends one of the caller's sessions; one that has ended is no error.
    fn end_session(
        &self,
        caller: UserId,
        session: SessionId,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send;
    /// Changes the caller's password, for a request from this address; all their other sessions end.
    fn change_password(
        &self,
        caller: Caller,
        address: IpAddr,
        current: String,
        new: String,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send;
}
