//! What a refusal says. Who may do what is [`ringside_types::authorization`]'s to say.

use ringside_application::authorize;
use ringside_application::service::{ConflictCode, ServiceError};
use ringside_ports::channels::{ChangeRefused, ChannelKind};

fn forbidden(sentence: &str) -> ServiceError {
    ServiceError::Forbidden(sentence.into())
}

/// A refusal as callers are told.
pub(crate) fn refused(refusal: ChangeRefused) -> ServiceError {
    match refusal {
        ChangeRefused::NotAllowed(operation, refusal) => authorize::refused(operation, refusal),
        ChangeRefused::NoSuchMember => {
            ServiceError::NotFound("There is no such member in this channel.".into())
        }
        ChangeRefused::OwnerStays => ServiceError::Conflict {
            code: ConflictCode::OwnerStays,
            message: "You own this channel; make somebody else its owner, then leave.".into(),
        },
        ChangeRefused::Blocked => kept_out(ChannelKind::Group),
    }
}

/// The answer where somebody may not be brought into a channel of this kind, whatever is in the way: it doesn't tell
/// whether that is a block, and whose.
pub(crate) fn kept_out(kind: ChannelKind) -> ServiceError {
    forbidden(match kind {
        ChannelKind::Dm => "You and this user can't have a DM.",
        _ => "Some of these users can't be added by you; send them an invitation, which waits for their yes.",
    })
}

/// A refusal as those are told who would invite someone: like [`kept_out`], it doesn't tell of a block.
pub(crate) fn not_invited(refusal: ChangeRefused) -> ServiceError {
    match refusal {
        ChangeRefused::Blocked => forbidden("This user can't be invited by you."),
        refusal => refused(refusal),
    }
}
