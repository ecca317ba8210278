//! Who may add and remove whom. The channel is one that the caller sees: a member's, or a public one.

use ringside_ports::channels::{ChannelKind, Role};
use ringside_ports::people::relations::Standing;
use ringside_ports::service::ServiceError;

fn forbidden(sentence: &str) -> ServiceError {
    ServiceError::Forbidden(sentence.into())
}

/// Whether someone of this role (`None`: not a member) may add people; `alone`: themselves and nobody else.
pub(crate) fn may_add(kind: ChannelKind, role: Option<Role>, alone: bool) -> Result<(), ServiceError> {
    match (kind, role) {
        (ChannelKind::Dm, _) => Err(forbidden("A DM is between two people for good; make a group instead.")),
        (_, Some(Role::Owner | Role::Admin)) => Ok(()),
        (ChannelKind::Public, _) if alone => Ok(()),
        (_, None) => Err(ServiceError::NotAMember),
        (_, Some(Role::Member | Role::Guest)) => {
            Err(forbidden("Owners and admins add people; ask one of them."))
        }
    }
}

/// Whether someone may bring another into a channel. One answer whatever is in the way: it doesn't tell whether that is a
/// block, and whose.
pub(crate) fn may_bring_in(kind: ChannelKind, standing: &Standing) -> Result<(), ServiceError> {
    match kind {
        ChannelKind::Dm if standing.may_open_dm() => Ok(()),
        ChannelKind::Dm => Err(forbidden("You and this user can't have a DM.")),
        _ if standing.is_apart() => Err(forbidden("Some of these users can't be added by you.")),
        _ => Ok(()),
    }
}

/// Who is to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The caller leaves.
    Oneself,
    /// Someone else, of this role; `None`: not a member.
    Other(Option<Role>),
}

/// Whether someone of this role (`None`: not a member) may remove the target.
pub(crate) fn may_remove(kind: ChannelKind, role: Option<Role>, target: Target) -> Result<(), ServiceError> {
    let Some(role) = role else {
        return match target {
            Target::Oneself => Err(not_there()),
            Target::Other(_) => Err(ServiceError::NotAMember),
        };
    };
    match (kind, role, target) {
        (ChannelKind::Dm, ..) => Err(forbidden("A DM is between two people for good; nobody leaves it.")),
        (_, _, Target::Oneself) => Ok(()),
        (_, Role::Member | Role::Guest, _) => {
            Err(forbidden("Owners and admins remove people; ask one of them."))
        }
        (_, _, Target::Other(None)) => Err(not_there()),
        (_, Role::Admin, Target::Other(Some(Role::Owner | Role::Admin))) => {
            Err(forbidden("Only an owner removes owners and admins; ask one of them."))
        }
        (_, Role::Owner | Role::Admin, Target::Other(Some(_))) => Ok(()),
    }
}

fn not_there() -> ServiceError {
    ServiceError::NotFound("There is no such member in this channel.".into())
}
