//! What a new channel must look like.

use ringside_application::service::{CreateChannel, FieldError, ServiceError};
use ringside_ports::channels::{Channel, ChannelKind, ChannelPatch, NewChannel, Role};
use ringside_types::limits::{
    CHANNEL_CREATE_MEMBERS_MAX, CHANNEL_DESCRIPTION_BYTES_MAX, CHANNEL_NAME_BYTES_MAX,
    CHANNEL_TOPIC_BYTES_MAX, SLOW_MODE_S_MAX,
};
use ringside_types::text::{composed, is_visible};
use ringside_types::{ChannelId, UnixMillis, UserId};

/// The channel to make, its creator the owner; or all that is wrong with the wish.
pub(crate) fn channel_of(
    creator: UserId,
    wish: CreateChannel,
    id: ChannelId,
    created_at: UnixMillis,
) -> Result<NewChannel, ServiceError> {
    let CreateChannel { name, kind, mut member_ids, description } = wish;
    // A DM has no name of its own: one that is given is passed over.
    let name = if kind == ChannelKind::Dm { String::new() } else { composed(name.trim()).into_owned() };
    let named_oneself = member_ids.contains(&creator);
    member_ids.sort_unstable();
    member_ids.dedup();
    member_ids.retain(|member| *member != creator);
    let wrong: Vec<FieldError> = [
        wrong_name(kind, &name).map(|message| ("name", message)),
        wrong_members(kind, &member_ids, named_oneself).map(|message| ("member_ids", message)),
        wrong_description(&description).map(|message| ("description", message)),
    ]
    .into_iter()
    .flatten()
    .map(|(field, message)| FieldError { field: field.into(), message })
    .collect();
    if !wrong.is_empty() {
        return Err(ServiceError::Invalid(wrong));
    }
    let others = member_ids.into_iter().map(|member| (member, Role::Member));
    let creators = if kind == ChannelKind::Dm { Role::Member } else { Role::Owner };
    let members = std::iter::once((creator, creators)).chain(others).collect();
    Ok(NewChannel {
        channel: Channel { description, ..Channel::new(id, kind, name, creator, created_at) },
        members,
    })
}

/// A change of a channel of this kind as it is written, or all that is wrong with it.
pub(crate) fn checked(kind: ChannelKind, patch: ChannelPatch) -> Result<ChannelPatch, ServiceError> {
    let ChannelPatch { name, description, topic, slow_mode_s, .. } = &patch;
    let name = name.as_ref().map(|name| composed(name.trim()).into_owned());
    let wrong: Vec<FieldError> = [
        name.as_deref().and_then(|name| wrong_name(kind, name)).map(|message| ("name", message)),
        description.as_deref().and_then(wrong_description).map(|message| ("description", message)),
        topic.as_deref().and_then(wrong_topic).map(|message| ("topic", message)),
        slow_mode_s.and_then(wrong_slow_mode).map(|message| ("settings.slow_mode_s", message)),
    ]
    .into_iter()
    .flatten()
    .map(|(field, message)| FieldError { field: field.into(), message })
    .collect();
    if wrong.is_empty() { Ok(ChannelPatch { name, ..patch }) } else { Err(ServiceError::Invalid(wrong)) }
}

fn wrong_slow_mode(seconds: u32) -> Option<String> {
    (seconds > SLOW_MODE_S_MAX).then(|| format!("Slow mode is from 0 (off) to {SLOW_MODE_S_MAX} seconds."))
}

fn wrong_topic(topic: &str) -> Option<String> {
    let is_valid = topic.len() <= CHANNEL_TOPIC_BYTES_MAX && !topic.chars().any(char::is_control);
    (!is_valid).then(|| {
        format!("A topic has {CHANNEL_TOPIC_BYTES_MAX} bytes at the most, and no control characters.")
    })
}

fn wrong_name(kind: ChannelKind, name: &str) -> Option<String> {
    match kind {
        ChannelKind::Private | ChannelKind::Public if name.is_empty() => {
            return Some("A private or public channel needs a name.".into());
        }
        _ if !name.is_empty() && !is_visible(name) => {
            return Some("This name shows nothing; choose another.".into());
        }
        _ => {}
    }
    let is_valid = name.len() <= CHANNEL_NAME_BYTES_MAX && !name.chars().any(char::is_control);
    (!is_valid)
        .then(|| format!("A name has {CHANNEL_NAME_BYTES_MAX} bytes at the most, and no control characters."))
}

/// `others` are the members but the creator, each once.
fn wrong_members(kind: ChannelKind, others: &[UserId], named_oneself: bool) -> Option<String> {
    if kind == ChannelKind::Dm && others.len() != 1 {
        let alone = if others.is_empty() && named_oneself { "; there is no DM with oneself" } else { "" };
        return Some(format!("A DM is with one other user{alone}."));
    }
    let is_too_many = others.len() >= CHANNEL_CREATE_MEMBERS_MAX;
    is_too_many.then(|| {
        format!(
            "A new channel has {CHANNEL_CREATE_MEMBERS_MAX} members at the most, its creator one of them; add others later."
        )
    })
}

fn wrong_description(description: &str) -> Option<String> {
    let is_out_of_place = |one: char| one.is_control() && !matches!(one, '\n' | '\r' | '\t');
    let is_valid =
        description.len() <= CHANNEL_DESCRIPTION_BYTES_MAX && !description.chars().any(is_out_of_place);
    (!is_valid).then(|| {
        format!(
            "A description has {CHANNEL_DESCRIPTION_BYTES_MAX} bytes at the most, and no control characters but line \
             breaks."
        )
    })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use uuid::Uuid;

    fn user(number: u128) -> UserId {
        UserId(Uuid::from_u128(number))
    }

    fn made(kind: ChannelKind, name: &str, members: &[u128]) -> Result<NewChannel, Vec<Cow<'static, str>>> {
        let member_ids = members.iter().map(|number| user(*number)).collect();
        let wish = CreateChannel { name: name.into(), kind, member_ids, description: "line\nline".into() };
        channel_of(user(1), wish, ChannelId(Uuid::from_u128(9)), UnixMillis(1)).map_err(|error| match error {
            ServiceError::Invalid(fields) => fields.into_iter().map(|field| field.field).collect(),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn each_kind_has_its_fields() {
        use ChannelKind::{Dm, Group, Private, Public};
        let check = |kind, name: &str, members: &[u128], wrong: &[&str]| {
            let answer = made(kind, name, members).err().unwrap_or_default();
            assert_eq!(answer, wrong, "{kind:?} {name:?} {members:?}");
        };
        check(Dm, "", &[2], &[]);
        check(Dm, " ", &[2, 2, 1], &[]);
        check(Dm, "name", &[2], &[]);
        check(Dm, "", &[], &["member_ids"]);
        check(Dm, "", &[1], &["member_ids"]);
        check(Dm, "", &[2, 3], &["member_ids"]);
        check(Dm, "name", &[], &["member_ids"]);
        check(Group, "", &[2, 3], &[]);
        check(Group, "a\0b", &[], &["name"]);
        check(Group, "\u{200b}", &[], &["name"]);
        check(Private, "\u{3164}\u{200d}", &[], &["name"]);
        check(Private, "name", &[], &[]);
        for kind in [Private, Public] {
            check(kind, " \t", &[2], &["name"]);
        }
        check(Public, &"é".repeat(100), &[], &[]);
        check(Public, &"é".repeat(101), &[], &["name"]);
        let many: Vec<u128> = (1..=1_001).collect();
        check(Group, "", &many[..1_000], &[]);
        check(Group, "", &many[1..1_000], &[]);
        check(Group, "", &many, &["member_ids"]);
    }

    #[test]
    fn the_creator_owns_it_and_everyone_is_in_it_once() {
        let made = made(ChannelKind::Group, " nu\u{308}me ", &[3, 2, 3, 1]).expect("valid");
        assert_eq!(made.channel.name, "nüme");
        assert_eq!(made.members, [(user(1), Role::Owner), (user(2), Role::Member), (user(3), Role::Member)]);
    }

    #[test]
    fn a_description_has_its_bounds() {
        assert_eq!(wrong_description(&"x".repeat(4_000)), None);
        assert!(wrong_description(&"x".repeat(4_001)).is_some() && wrong_description("\u{1b}[1m").is_some());
    }
}
