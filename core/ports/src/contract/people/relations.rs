//! The contract of `Relations` and `Relationships`: contacts, blocks, and where one stands with another.

use tokio::task::JoinSet;

use super::{LATER, NOW, all, part, peopled, user};
use crate::Directory;
use crate::channels::{Channel, ChannelKind, NewChannel, Role};
use crate::people::profiles::{ProfileChange, SettingsSwap};
use crate::people::relations::{Block, Contact, ContactState, Relationship, Requested};
use ringside_types::ChannelId;
use uuid::Uuid;

/// People who ask each other at once.
const RACERS: u128 = 40;

/// Runs every part, each over a fresh engine.
pub async fn suite<D: Directory>(make: impl AsyncFn() -> D) {
    a_contact_is_asked_for_and_accepted(make().await).await;
    who_ask_each_other_are_contacts(make().await).await;
    a_contact_ends_for_both(make().await).await;
    a_block_ends_the_contact_and_keeps_apart(make().await).await;
    lists_go_on_where_they_ended(make().await).await;
    relationships_are_seen_from_both_sides(make().await).await;
}

fn contact(number: u128, state: ContactState) -> Contact {
    let accepted_at = (state == ContactState::Accepted).then_some(LATER);
    Contact { user_id: user(number), state, created_at: NOW, accepted_at }
}

async fn contacts<D: Directory>(directory: &D, number: u128) -> Vec<Contact> {
    directory.contacts(user(number), None, all()).await.expect("lists")
}

async fn a_contact_is_asked_for_and_accepted<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    let asked = directory.request_contact(user(1), user(2), NOW).await.expect("asks");
    assert_eq!(asked, Requested::New(contact(2, ContactState::Outgoing)));
    let again = directory.request_contact(user(1), user(2), LATER).await.expect("asks");
    assert_eq!(again, Requested::Known(contact(2, ContactState::Outgoing)));
    assert_eq!(contacts(&directory, 2).await, [contact(1, ContactState::Incoming)]);
    let own = directory.accept_contact(user(1), user(2), LATER).await.expect("answers");
    assert_eq!(own, None, "nobody accepts their own asking");
    assert_eq!(directory.accept_contact(user(3), user(1), LATER).await.expect("answers"), None);
    for _ in 0..2 {
        let accepted = directory.accept_contact(user(2), user(1), LATER).await.expect("accepts");
        assert_eq!(accepted, Some(contact(1, ContactState::Accepted)));
    }
    assert_eq!(contacts(&directory, 1).await, [contact(2, ContactState::Accepted)]);
    let gone = directory.request_contact(user(1), user(99), NOW).await.expect("answers");
    assert_eq!(gone, Requested::Gone);
}

async fn who_ask_each_other_are_contacts<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    let mut racers = JoinSet::new();
    for racer in 0..RACERS {
        let directory = directory.clone();
        let (one, other) = if racer % 2 == 0 { (1, 2) } else { (2, 1) };
        racers.spawn(async move { directory.request_contact(user(one), user(other), NOW).await });
    }
    let answers = racers.join_all().await;
    let new = answers.iter().filter(|answer| matches!(answer, Ok(Requested::New(_)))).count();
    assert_eq!(new, 2, "one asks, one accepts: {answers:?}");
    let both = [contacts(&directory, 1).await, contacts(&directory, 2).await];
    assert!(both.iter().all(|list| list.len() == 1 && list[0].state == ContactState::Accepted), "{both:?}");
}

async fn a_contact_ends_for_both<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    for ends in [1, 2] {
        directory.request_contact(user(1), user(2), NOW).await.expect("asks");
        let other = 3 - ends;
        assert!(directory.remove_contact(user(ends), user(other)).await.expect("ends"));
        assert!(!directory.remove_contact(user(ends), user(other)).await.expect("answers"));
        assert_eq!((contacts(&directory, 1).await, contacts(&directory, 2).await), (vec![], vec![]));
    }
    directory.request_contact(user(1), user(2), NOW).await.expect("asks");
    assert!(!directory.remove_contact(user(3), user(1)).await.expect("answers"), "nobody else's");
    assert_eq!(contacts(&directory, 1).await.len(), 1);
}

async fn a_block_ends_the_contact_and_keeps_apart<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    directory.request_contact(user(1), user(2), NOW).await.expect("asks");
    directory.accept_contact(user(2), user(1), LATER).await.expect("accepts");
    for _ in 0..2 {
        assert!(directory.block(user(1), user(2), NOW).await.expect("blocks"));
    }
    assert_eq!((contacts(&directory, 1).await, contacts(&directory, 2).await), (vec![], vec![]));
    for (one, other) in [(1, 2), (2, 1)] {
        let asked = directory.request_contact(user(one), user(other), NOW).await.expect("answers");
        assert_eq!(asked, Requested::Blocked);
    }
    let blocked = Block { user_id: user(2), created_at: NOW };
    assert_eq!(directory.blocks(user(1), all()).await.expect("lists"), [blocked]);
    assert_eq!(directory.blocks(user(2), all()).await.expect("lists"), []);
    assert!(!directory.unblock(user(2), user(1)).await.expect("answers"), "nobody takes back another's");
    assert!(directory.unblock(user(1), user(2)).await.expect("unblocks"));
    assert!(!directory.unblock(user(1), user(2)).await.expect("answers"));
    let asked = directory.request_contact(user(2), user(1), NOW).await.expect("asks");
    assert!(matches!(asked, Requested::New(_)), "{asked:?}");
    assert!(!directory.block(user(1), user(99), NOW).await.expect("answers"));
}

async fn lists_go_on_where_they_ended<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    for other in 2..9 {
        directory.request_contact(user(1), user(other), NOW).await.expect("asks");
        if other % 2 == 0 {
            directory.accept_contact(user(other), user(1), LATER).await.expect("accepts");
        }
        directory.block(user(9), user(other), NOW).await.expect("blocks");
    }
    for (state, expected) in
        [(None, vec![2, 3, 4, 5, 6, 7, 8]), (Some(ContactState::Accepted), vec![2, 4, 6, 8])]
    {
        let mut listed = Vec::new();
        while let part = part(listed.last().copied(), 3)
            && let page = directory.contacts(user(1), state, part).await.expect("lists")
            && !page.is_empty()
        {
            listed.extend(page.iter().map(|contact| contact.user_id));
        }
        assert_eq!(listed, expected.into_iter().map(user).collect::<Vec<_>>());
    }
    let blocks = directory.blocks(user(9), part(Some(user(5)), 2)).await.expect("lists");
    assert_eq!(blocks.iter().map(|block| block.user_id).collect::<Vec<_>>(), [user(6), user(7)]);
}

async fn relationships_are_seen_from_both_sides<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    directory.request_contact(user(1), user(2), NOW).await.expect("asks");
    directory.accept_contact(user(2), user(1), NOW).await.expect("accepts");
    directory.request_contact(user(1), user(3), NOW).await.expect("asks");
    directory.block(user(1), user(4), NOW).await.expect("blocks");
    directory.block(user(5), user(1), NOW).await.expect("blocks");
    directory.erase(user(6), None, NOW).await.expect("erases");
    let to = r#"{"privacy":{"direct_messages":"contacts"}}"#;
    for number in [2, 3, 7] {
        let settings = Some(SettingsSwap { from: "{}".into(), to: to.into() });
        let change = ProfileChange { settings, ..ProfileChange::default() };
        directory.change_profile(user(number), change, NOW).await.expect("changes");
    }
    let id = ChannelId(Uuid::from_u128(0xd));
    let dm = Channel::new(id, ChannelKind::Dm, String::new(), user(7), NOW);
    let members = vec![(user(7), Role::Owner), (user(1), Role::Member)];
    directory.create_channels(&[NewChannel { channel: dm, members }]).await.expect("creates");
    let asked = [5, 4, 3, 2, 6, 99, 7, 8, 2].map(user);
    let relationships = directory.relationships(user(1), &asked).await.expect("answers");
    let told: Vec<_> = relationships
        .iter()
        .map(|one| one.map(|one| (one.is_contact, one.blocks, one.is_blocked, one.has_dm, one.may_open_dm())))
        .collect();
    let expected = [
        Some((false, false, true, false, false)),
        Some((false, true, false, false, false)),
        Some((false, false, false, false, false)),
        Some((true, false, false, false, true)),
        None,
        None,
        Some((false, false, false, true, true)),
        Some((false, false, false, false, true)),
        Some((true, false, false, false, true)),
    ];
    assert_eq!(told, expected);
    let sees: fn(&Relationship) -> bool = Relationship::sees_presence;
    assert!(relationships[7].as_ref().is_some_and(sees) && !relationships[0].as_ref().is_some_and(sees));
    assert!(!relationships[7].as_ref().is_some_and(Relationship::sees_email), "hidden unless allowed");
}
