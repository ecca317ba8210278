//! Contacts and blocks. Answers don't tell who has blocked whom.

use ringside_application::service::people::RelationService;
use ringside_application::service::{ConflictCode, Page, PageRequest, ServiceError};
use ringside_clock::now;
use ringside_ports::People;
use ringside_ports::people::After;
use ringside_ports::people::relations::{Block, Contact, ContactState, Requested};
use ringside_ports::{Log, Presence};
use ringside_types::UserId;

use crate::lists;
use crate::users::Users;

impl<D: People, P: Presence, L: Log> RelationService for Users<D, P, L> {
    async fn contacts(
        &self,
        caller: UserId,
        state: Option<ContactState>,
        part: PageRequest,
    ) -> Result<Page<Contact>, ServiceError> {
        let (limit, after) = (lists::limit(&part), lists::cursor(part.cursor)?);
        let contacts = self.directory().contacts(caller, state, After { after, limit: limit + 1 }).await?;
        Ok(lists::listed(contacts, limit, |contact| contact.user_id.to_string()))
    }

    async fn request_contact(&self, caller: UserId, other: UserId) -> Result<(Contact, bool), ServiceError> {
        not_oneself(caller, other)?;
        match self.directory().request_contact(caller, other, now()).await? {
            Requested::New(contact) => Ok((contact, true)),
            Requested::Known(contact) => Ok((contact, false)),
            Requested::Blocked => Err(ServiceError::Forbidden("You and this user can't be contacts.".into())),
            Requested::Gone => Err(no_user()),
        }
    }

    async fn accept_contact(&self, caller: UserId, other: UserId) -> Result<Contact, ServiceError> {
        let accepted = self.directory().accept_contact(caller, other, now()).await?;
        let accepted = accepted
            .ok_or_else(|| ServiceError::NotFound("This user has not asked to be your contact.".into()))?;
        self.presence_changed(&[caller, other]).await;
        Ok(accepted)
    }

    async fn remove_contact(&self, caller: UserId, other: UserId) -> Result<(), ServiceError> {
        if self.directory().remove_contact(caller, other).await? {
            self.presence_changed(&[caller, other]).await;
            return Ok(());
        }
        Err(ServiceError::NotFound("This user is none of your contacts.".into()))
    }

    async fn blocks(&self, caller: UserId, part: PageRequest) -> Result<Page<Block>, ServiceError> {
        let (limit, after) = (lists::limit(&part), lists::cursor(part.cursor)?);
        let blocks = self.directory().blocks(caller, After { after, limit: limit + 1 }).await?;
        Ok(lists::listed(blocks, limit, |block| block.user_id.to_string()))
    }

    async fn block(&self, caller: UserId, other: UserId) -> Result<(), ServiceError> {
        not_oneself(caller, other)?;
        if !self.directory().block(caller, other, now()).await? {
            return Err(no_user());
        }
        self.presence_changed(&[caller, other]).await;
        Ok(())
    }

    async fn unblock(&self, caller: UserId, other: UserId) -> Result<(), ServiceError> {
        if self.directory().unblock(caller, other).await? {
            self.presence_changed(&[caller, other]).await;
        }
        Ok(())
    }
}

fn no_user() -> ServiceError {
    ServiceError::NotFound("There is no such user.".into())
}

fn not_oneself(caller: UserId, other: UserId) -> Result<(), ServiceError> {
    if caller == other {
        let message = "This is yourself; name another user.".into();
        return Err(ServiceError::Conflict { code: ConflictCode::Yourself, message });
    }
    Ok(())
}
