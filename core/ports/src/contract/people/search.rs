//! The contract of `Profiles::search`: who is found, by what, in which order.

use ringside_types::UserId;

use super::{LATER, all, part, peopled, user};
use crate::Directory;
use crate::contract::accounts::new_user;
use crate::people::profiles::{Changed, Found, ProfileChange, SearchFor, SettingsSwap};

/// Runs every part, each over a fresh engine.
pub async fn suite<D: Directory>(make: impl AsyncFn() -> D) {
    names_are_found_by_their_beginning(make().await).await;
    any_word_of_a_name_is_found(make().await).await;
    an_empty_search_finds_everyone(make().await).await;
    pages_go_on_where_they_ended(make().await).await;
    the_erased_and_those_who_block_are_not_found(make().await).await;
    an_address_is_found_where_it_is_shown(make().await).await;
}

async fn found<D: Directory>(directory: &D, viewer: u128, text: &str) -> Vec<UserId> {
    let search = SearchFor { viewer: user(viewer), text: text.into() };
    let found = directory.search(&search, all()).await.expect("searches");
    found
        .iter()
        .map(|(found, profile)| {
            assert_eq!(found.id(), profile.user.id);
            profile.user.id
        })
        .collect()
}

async fn rename<D: Directory>(directory: &D, number: u128, name: &str) {
    let change = ProfileChange { display_name: Some(name.into()), ..ProfileChange::default() };
    directory.change_profile(user(number), change, LATER).await.expect("changes");
}

async fn names_are_found_by_their_beginning<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    rename(&directory, 3, "User-friendly").await;
    rename(&directory, 4, "Åsa").await;
    rename(&directory, 5, "100% _sure_").await;
    let check = async |text: &str, expected: &[u128]| {
        let expected: Vec<UserId> = expected.iter().copied().map(user).collect();
        assert_eq!(found(&directory, 1, text).await, expected, "{text:?}");
    };
    check("uSER2", &[2]).await;
    check("user", &[1, 2, 3, 4, 5, 6, 7, 8, 9]).await;
    check("user-", &[3]).await;
    check("ÅS", &[4]).await;
    check("as", &[4]).await;
    check("A\u{30a}s", &[4]).await;
    check("friend", &[3]).await;
    check("sure", &[5]).await;
    check("ser", &[]).await;
    check("%", &[]).await;
    check("user2\0", &[]).await;
    check("_", &[]).await;
    check("100%", &[5]).await;
    check("ünïcode", &[1, 2, 6, 7, 8, 9]).await;
}

async fn any_word_of_a_name_is_found<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    rename(&directory, 2, "Zoë  van der Meer").await;
    rename(&directory, 3, "Meera Zoe").await;
    rename(&directory, 4, "José Meer Meerkat").await;
    let check = async |text: &str, expected: &[u128]| {
        let expected: Vec<UserId> = expected.iter().copied().map(user).collect();
        assert_eq!(found(&directory, 1, text).await, expected, "{text:?}");
    };
    // By the word that matches; who has two of them is found once.
    check("meer", &[2, 4, 3]).await;
    check("MEERK", &[4]).await;
    check("zoe", &[3, 2]).await;
    check("ZOË", &[3, 2]).await;
    check("van der m", &[2]).await;
    check("van  DER", &[2]).await;
    check("jose meer", &[4]).await;
    check("eer", &[]).await;
    let search = SearchFor { viewer: user(1), text: "meer".into() };
    let mut paged: Vec<Found> = Vec::new();
    while let page = directory.search(&search, part(paged.last().copied(), 1)).await.expect("searches")
        && let [(found, _)] = &page[..]
    {
        paged.push(*found);
    }
    assert_eq!(paged, [2, 4, 3].map(|number| Found::ByDisplayName(user(number))));
    rename(&directory, 4, "Ana").await;
    check("meerk", &[]).await;
    directory.erase(user(2), None, LATER).await.expect("erases");
    check("meer", &[3]).await;
}

async fn an_empty_search_finds_everyone<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    directory.erase(user(2), None, LATER).await.expect("erases");
    directory.block(user(3), user(1), LATER).await.expect("blocks");
    assert_eq!(found(&directory, 1, "").await, [1, 4, 5, 6, 7, 8, 9].map(user));
}

async fn pages_go_on_where_they_ended<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    directory.create_users(&[new_user(30), new_user(31)]).await.expect("creates");
    for (number, name) in [(30, "user b"), (31, "user a"), (4, "user of both")] {
        rename(&directory, number, name).await;
    }
    // Their usernames begin otherwise.
    let search = SearchFor { viewer: user(1), text: "user".into() };
    let whole = directory.search(&search, all()).await.expect("searches");
    let mut paged: Vec<(Found, UserId)> = Vec::new();
    while let part = part(paged.last().map(|(found, _)| *found), 2)
        && let page = directory.search(&search, part).await.expect("searches")
        && !page.is_empty()
    {
        paged.extend(page.iter().map(|(found, profile)| (*found, profile.user.id)));
    }
    let whole: Vec<_> = whole.iter().map(|(found, profile)| (*found, profile.user.id)).collect();
    assert_eq!(paged, whole);
    assert_eq!(whole.len(), 11, "each once");
    let search = SearchFor { viewer: user(1), text: "ünïcode".into() };
    let named = directory.search(&search, part(None, 2)).await.expect("searches");
    let last = named.last().map(|(found, _)| *found);
    let next = directory.search(&search, part(last, 2)).await.expect("searches");
    let ids: Vec<UserId> = named.iter().chain(&next).map(|(found, _)| found.id()).collect();
    assert_eq!(ids, [1, 2, 3, 5].map(user), "by display name alone");
}

async fn the_erased_and_those_who_block_are_not_found<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    directory.erase(user(2), None, LATER).await.expect("erases");
    directory.block(user(3), user(1), LATER).await.expect("blocks");
    directory.block(user(1), user(4), LATER).await.expect("blocks");
    assert_eq!(found(&directory, 1, "user").await, [1, 4, 5, 6, 7, 8, 9].map(user));
    assert_eq!(found(&directory, 1, "deleted").await, []);
    assert_eq!(found(&directory, 5, "user3").await, [user(3)], "others find who blocks someone");
}

async fn show_email<D: Directory>(directory: &D, number: u128, to: &str) {
    let from = directory.profiles(&[user(number)]).await.expect("looks").remove(0).settings;
    let to = format!(r#"{{"privacy":{{"email":"{to}"}}}}"#);
    let change = ProfileChange { settings: Some(SettingsSwap { from, to }), ..ProfileChange::default() };
    let changed = directory.change_profile(user(number), change, LATER).await.expect("changes");
    assert!(matches!(changed, Changed::Done(_)), "{changed:?}");
}

async fn an_address_is_found_where_it_is_shown<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    for (number, to) in [(2, "nobody"), (3, "contacts"), (4, "contacts"), (5, "everyone"), (6, "everyone")] {
        show_email(&directory, number, to).await;
    }
    directory.request_contact(user(1), user(3), LATER).await.expect("asks");
    directory.request_contact(user(4), user(1), LATER).await.expect("asks");
    directory.accept_contact(user(1), user(4), LATER).await.expect("accepts");
    directory.block(user(6), user(1), LATER).await.expect("blocks");
    let check = async |number: u128, is_found: bool| {
        let expected = if is_found { vec![user(number)] } else { Vec::new() };
        assert_eq!(found(&directory, 1, &format!("uSER{number}@example.ORG")).await, expected, "{number}");
    };
    check(1, true).await;
    check(2, false).await;
    check(3, false).await;
    check(4, true).await;
    check(5, true).await;
    check(6, false).await;
    check(7, false).await;
    assert_eq!(found(&directory, 1, "user5@").await, [], "whole or not at all");
}
