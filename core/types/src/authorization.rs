//! Who may do what: the one table that every floor decides by.
//!
//! A cell is (operation, kind of channel, role). Roles are as the decider knows them: the Directory under the channel's
//! lock, a partition as of the record, an edge by what it has read. What an operation is done to (one's own message or
//! another's, a member or an admin) makes it another operation, so that a cell needs no further condition.

use crate::ErrorCode;
use serde::{Deserialize, Serialize};

/// What a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ChannelKind {
    /// Two people; exists once for each pair.
    Dm,
    /// Some people, without a name of its own perhaps.
    Group,
    /// Found by its members only.
    Private,
    /// Found and joined by anyone.
    Public,
}

impl ChannelKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Dm, Self::Group, Self::Private, Self::Public];

    /// The name on the wire and in the Directory.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dm => "dm",
            Self::Group => "group",
            Self::Private => "private",
            Self::Public => "public",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What a member may do. The two of a DM are plain members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Reads and writes; invited for a while.
    Guest,
    /// Reads, writes and pins.
    Member,
    /// Looks after the channel and its people.
    Admin,
    /// Everything. There is one owner.
    Owner,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Guest, Self::Member, Self::Admin, Self::Owner];

    /// The name on the wire and in the Directory.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// What somebody asks to do in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Its name, topic and settings.
    SeeChannel,
    /// Who is in it.
    ListMembers,
    /// History, threads, pins, sync.
    ReadMessages,
    /// A message, where everyone may post.
    Send,
    /// A message, where admins alone may.
    SendAmongAdmins,
    /// Whatever would bring the other something new, where a DM is closed.
    WriteClosed,
    /// An edit of one's own message.
    EditOwn,
    /// An edit of another's.
    EditForeign,
    /// One's own message goes.
    DeleteOwn,
    /// Another's goes.
    DeleteForeign,
    /// A reaction of one's own.
    React,
    /// A reaction of one's own is taken back.
    Unreact,
    /// A message is pinned.
    Pin,
    /// A message is pinned no longer.
    Unpin,
    /// No notifications for a while.
    Mute,
    /// Name, description, topic, settings.
    ChangeChannel,
    /// The channel goes.
    DeleteChannel,
    /// One becomes a member by oneself.
    Join,
    /// One is a member no longer by oneself.
    Leave,
    /// Others become members.
    AddMembers,
    /// A member or guest is removed.
    RemoveMember,
    /// An admin is removed.
    RemoveAdmin,
    /// The owner is removed.
    RemoveOwner,
    /// A guest becomes a member, or a member a guest.
    SetRole,
    /// Somebody becomes an admin, or is one no longer.
    SetAdmin,
    /// Somebody becomes the owner, and the owner an admin.
    PassOwnership,
    /// The owner's role changes while nobody else becomes the owner.
    SetOwner,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 27] = [
        Self::SeeChannel,
        Self::ListMembers,
        Self::ReadMessages,
        Self::Send,
        Self::SendAmongAdmins,
        Self::WriteClosed,
        Self::EditOwn,
        Self::EditForeign,
        Self::DeleteOwn,
        Self::DeleteForeign,
        Self::React,
        Self::Unreact,
        Self::Pin,
        Self::Unpin,
        Self::Mute,
        Self::ChangeChannel,
        Self::DeleteChannel,
        Self::Join,
        Self::Leave,
        Self::AddMembers,
        Self::RemoveMember,
        Self::RemoveAdmin,
        Self::RemoveOwner,
        Self::SetRole,
        Self::SetAdmin,
        Self::PassOwnership,
        Self::SetOwner,
    ];

    /// The removal of a member who has this role.
    pub const fn removal_of(role: Role) -> Self {
        match role {
            Role::Guest | Role::Member => Self::RemoveMember,
            Role::Admin => Self::RemoveAdmin,
            Role::Owner => Self::RemoveOwner,
        }
    }

    /// The change of a role into another.
    pub const fn role_change(from: Role, to: Role) -> Self {
        match (from, to) {
            (Role::Owner, _) => Self::SetOwner,
            (_, Role::Owner) => Self::PassOwnership,
            (Role::Admin, _) | (_, Role::Admin) => Self::SetAdmin,
            (Role::Guest | Role::Member, Role::Guest | Role::Member) => Self::SetRole,
        }
    }

    /// A message, by whether admins alone may post.
    pub const fn sending(admins_post: bool) -> Self {
        if admins_post { Self::SendAmongAdmins } else { Self::Send }
    }

    /// A reaction, by whether it is taken back.
    pub const fn reacting(removed: bool) -> Self {
        if removed { Self::Unreact } else { Self::React }
    }

    /// A pin, by whether it is to stand.
    pub const fn pinning(pinned: bool) -> Self {
        if pinned { Self::Pin } else { Self::Unpin }
    }

    /// What this comes to where the channel may be closed: one may take back what is one's own, and add nothing.
    pub const fn within(self, is_closed: bool) -> Self {
        match self {
            Self::Send
            | Self::SendAmongAdmins
            | Self::EditOwn
            | Self::EditForeign
            | Self::React
            | Self::Pin
                if is_closed =>
            {
                Self::WriteClosed
            }
            _ => self,
        }
    }

    /// An edit, by whether the message is one's own.
    pub const fn editing(is_own: bool) -> Self {
        if is_own { Self::EditOwn } else { Self::EditForeign }
    }

    /// A deletion, by whether the message is one's own.
    pub const fn deleting(is_own: bool) -> Self {
        if is_own { Self::DeleteOwn } else { Self::DeleteForeign }
    }

    /// A sentence for someone who is in the channel and may not.
    pub const fn forbidden(self) -> &'static str {
        match self {
            Self::SendAmongAdmins => "Only admins and the owner post here.",
            Self::EditForeign => "Only its sender edits a message.",
            Self::DeleteForeign => "Only its sender, an admin or the owner deletes a message.",
            Self::WriteClosed => "This conversation takes no messages.",
            Self::Pin | Self::Unpin => "Guests don't pin messages.",
            Self::ChangeChannel => "Only admins and the owner change a channel, and nobody a DM.",
            Self::DeleteChannel => "Only its owner deletes a channel, and nobody a DM.",
            Self::Join | Self::AddMembers => {
                "Only admins and the owner add people; a DM is between two for good."
            }
            Self::Leave => "A DM is between two people for good; nobody leaves it.",
            Self::RemoveMember => "Only admins and the owner remove people, and nobody from a DM.",
            Self::RemoveAdmin => "Only the owner removes admins.",
            Self::RemoveOwner => "Nobody removes the owner, who passes the ownership on first.",
            Self::SetRole => "Only admins and the owner change a role.",
            Self::SetAdmin => "Only the owner makes and unmakes admins.",
            Self::PassOwnership => "Only the owner passes the ownership on.",
            Self::SetOwner => "The owner stays the owner until the ownership is passed on.",
            Self::SeeChannel
            | Self::ListMembers
            | Self::ReadMessages
            | Self::Send
            | Self::EditOwn
            | Self::DeleteOwn
            | Self::React
            | Self::Unreact
            | Self::Mute => "You may not do this here.",
        }
    }
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// In the channel, but not allowed to.
    Forbidden,
    /// Not in the channel, which is no secret.
    NotAMember,
    /// Not in the channel, and not to know of it.
    NotFound,
}

impl Refusal {
    /// The code on the wire.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Forbidden => ErrorCode::Forbidden,
            Self::NotAMember => ErrorCode::NotAMember,
            Self::NotFound => ErrorCode::NotFound,
        }
    }
}

/// How someone who is not in the channel fares.
#[derive(Clone, Copy)]
enum Outsider {
    /// The channel is not found, unless it is a public one: `not_a_member` then.
    Hidden,
    /// The same, but for a public one anyone may.
    Welcome,
}

/// A row of the table.
struct Row {
    /// The least role that may in a DM; `None`: nobody.
    dm: Option<Role>,
    /// The same elsewhere.
    elsewhere: Option<Role>,
    outsider: Outsider,
}

/// The table.
const fn row(operation: Operation) -> Row {
    use Operation as O;
    use Outsider::{Hidden, Welcome};
    const ANYONE: Option<Role> = Some(Role::Guest);
    const MEMBERS: Option<Role> = Some(Role::Member);
    const ADMINS: Option<Role> = Some(Role::Admin);
    const OWNER: Option<Role> = Some(Role::Owner);
    const NOBODY: Option<Role> = None;
    let (dm, elsewhere, outsider) = match operation {
        O::SeeChannel => (ANYONE, ANYONE, Welcome),
        O::ListMembers
        | O::Mute
        | O::ReadMessages
        | O::Send
        | O::EditOwn
        | O::DeleteOwn
        | O::React
        | O::Unreact => (ANYONE, ANYONE, Hidden),
        O::SendAmongAdmins | O::DeleteForeign => (NOBODY, ADMINS, Hidden),
        O::EditForeign | O::WriteClosed => (NOBODY, NOBODY, Hidden),
        O::Pin | O::Unpin => (ANYONE, MEMBERS, Hidden),
        O::ChangeChannel | O::AddMembers | O::RemoveMember | O::SetRole => (NOBODY, ADMINS, Hidden),
        O::DeleteChannel | O::RemoveAdmin | O::SetAdmin | O::PassOwnership => (NOBODY, OWNER, Hidden),
        O::RemoveOwner | O::SetOwner => (NOBODY, NOBODY, Hidden),
        O::Join => (NOBODY, ADMINS, Welcome),
        O::Leave => (NOBODY, ANYONE, Hidden),
    };
    Row { dm, elsewhere, outsider }
}

/// Whether someone of this role (`None`: not a member) may, in a channel of this kind.
///
/// # Errors
/// They may not.
pub const fn allowed(operation: Operation, kind: ChannelKind, role: Option<Role>) -> Result<(), Refusal> {
    let Row { dm, elsewhere, outsider } = row(operation);
    let is_public = matches!(kind, ChannelKind::Public);
    let Some(role) = role else {
        return match outsider {
            Outsider::Welcome if is_public => Ok(()),
            Outsider::Hidden if is_public => Err(Refusal::NotAMember),
            Outsider::Welcome | Outsider::Hidden => Err(Refusal::NotFound),
        };
    };
    // Whoever is in a public channel joins it again without effect.
    if is_public && matches!(operation, Operation::Join) {
        return Ok(());
    }
    let least = if matches!(kind, ChannelKind::Dm) { dm } else { elsewhere };
    match least {
        Some(least) if role as u8 >= least as u8 => Ok(()),
        _ => Err(Refusal::Forbidden),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_role_may_whatever_a_lower_one_may() {
        for operation in Operation::ALL {
            for kind in ChannelKind::ALL {
                for pair in Role::ALL.windows(2) {
                    let may = |role| allowed(operation, kind, Some(role)).is_ok();
                    assert!(!may(pair[0]) || may(pair[1]), "{operation:?} {kind:?} {pair:?}");
                }
            }
        }
    }

    #[test]
    fn a_channel_that_is_no_secret_is_the_only_one_that_outsiders_learn_of() {
        for operation in Operation::ALL {
            let public = allowed(operation, ChannelKind::Public, None);
            assert!(matches!(public, Ok(()) | Err(Refusal::NotAMember)), "{operation:?}");
            for kind in [ChannelKind::Dm, ChannelKind::Group, ChannelKind::Private] {
                assert_eq!(allowed(operation, kind, None), Err(Refusal::NotFound), "{operation:?} {kind:?}");
            }
        }
    }

    #[test]
    fn a_closed_channel_lets_one_take_back_and_add_nothing() {
        use Operation as O;
        let adds =
            [O::Send, O::SendAmongAdmins, O::EditOwn, O::EditForeign, O::React, O::Pin, O::WriteClosed];
        for operation in Operation::ALL {
            let closed = operation.within(true);
            assert_eq!(closed == O::WriteClosed, adds.contains(&operation), "{operation:?}");
            assert!(closed == O::WriteClosed || closed == operation);
            assert_eq!(operation.within(false), operation);
        }
        let answer = allowed(O::WriteClosed, ChannelKind::Dm, Some(Role::Member));
        assert_eq!(answer, Err(Refusal::Forbidden));
    }

    #[test]
    fn names_come_back() {
        assert!(Role::ALL.into_iter().all(|role| Role::from_name(role.name()) == Some(role)));
        assert!(ChannelKind::ALL.into_iter().all(|kind| ChannelKind::from_name(kind.name()) == Some(kind)));
        assert_eq!(Operation::role_change(Role::Member, Role::Owner), Operation::PassOwnership);
        assert_eq!(Operation::role_change(Role::Owner, Role::Admin), Operation::SetOwner);
    }
}
