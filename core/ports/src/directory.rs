//! The Directory, whole and by the services that stand on it. Its parts are drawn by use case: who only reads who is in a
//! channel depends on nothing that changes one.

use crate::accounts::{SignIn, UserReader};
use crate::channels::invitations::ChannelInvitations;
use crate::channels::{ChannelChanges, ChannelLists, MembershipReader, Outbox};
use crate::people::profiles::{Administration, Profiles};
use crate::people::registration::Registration;
use crate::people::relations::{Relations, Relationships};
use crate::people::sessions::Sessions;

/// What the user service asks.
pub trait People:
    UserReader + SignIn + Registration + Sessions + Profiles + Administration + Relations + Relationships
{
}

impl<D> People for D where
    D: UserReader + SignIn + Registration + Sessions + Profiles + Administration + Relations + Relationships
{
}

/// What the channel service asks.
pub trait ChannelDirectory:
    MembershipReader + ChannelChanges + ChannelLists + ChannelInvitations + Relationships + UserReader
{
}

impl<D> ChannelDirectory for D where
    D: MembershipReader + ChannelChanges + ChannelLists + ChannelInvitations + Relationships + UserReader
{
}

/// All of it: what an adapter implements.
pub trait Directory: People + ChannelDirectory + Outbox {}

impl<D: People + ChannelDirectory + Outbox> Directory for D {}
