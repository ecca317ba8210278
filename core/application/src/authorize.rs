//! What somebody is in a channel, and what they are told who may not do a thing there: every service says the same.

use ringside_types::authorization::{Operation, Refusal, allowed};
use ringside_types::{ChannelId, UserId};

use crate::service::ServiceError;
use ringside_ports::channels::{Channel, Member, MembershipReader};

/// A channel, and the caller's membership, where they may do this by what is confirmed. A channel that there is not is
/// answered as one that they may not know of.
///
/// # Errors
/// They may not, or the Directory does not answer.
pub async fn channel_access<D: MembershipReader>(
    directory: &D,
    caller: UserId,
    id: ChannelId,
    operation: Operation,
) -> Result<(Channel, Option<Member>), ServiceError> {
    let channel = directory.channels(&[id]).await?.into_iter().next();
    let channel = channel.ok_or_else(|| refused(Operation::SeeChannel, Refusal::NotFound))?;
    let membership = directory.membership(&[(id, caller)]).await?.into_iter().next().flatten();
    let role = membership.as_ref().map(|member| member.role);
    allowed(operation, channel.kind, role).map_err(|refusal| refused(operation, refusal))?;
    Ok((channel, membership))
}

/// A refusal of the table as callers are told.
pub fn refused(operation: Operation, refusal: Refusal) -> ServiceError {
    match refusal {
        Refusal::Forbidden => ServiceError::Forbidden(operation.forbidden().into()),
        Refusal::NotAMember => ServiceError::NotAMember,
        Refusal::NotFound => ServiceError::NotFound("There is no such channel, or you are not in it.".into()),
    }
}
