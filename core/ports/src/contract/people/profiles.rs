//! The contract of `Profiles` and `Administration`: what is set, who administers, what the audit log says.

use tokio::task::JoinSet;

use super::{LATER, NOW, all, peopled, user};
use crate::Directory;
use crate::contract::accounts::new_user;
use crate::people::After;
use crate::people::profiles::{Changed, Profile, ProfileChange, ServerRole, SettingsSwap};

/// Accounts that are made at once on an empty Directory.
const RACERS: u128 = 50;

/// Runs every part, each over a fresh engine.
pub async fn suite<D: Directory>(make: impl AsyncFn() -> D) {
    a_profile_begins_empty(make().await).await;
    what_is_not_changed_stays(make().await).await;
    settings_that_moved_are_not_overwritten(make().await).await;
    a_status_message_has_an_end_or_none(make().await).await;
    last_seen_only_grows(make().await).await;
    the_first_account_administers(make().await).await;
    of_first_accounts_at_once_one_administers(make().await).await;
    roles_are_given_and_audited(make().await).await;
    every_account_is_listed(make().await).await;
}

async fn profile<D: Directory>(directory: &D, number: u128) -> Profile {
    directory.profiles(&[user(number)]).await.expect("looks").remove(0)
}

async fn a_profile_begins_empty<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    let found = profile(&directory, 2).await;
    assert_eq!(found.user, new_user(2).user);
    assert_eq!((found.status_message.as_str(), found.settings.as_str()), ("", "{}"));
    assert_eq!((found.role, found.updated_at, found.erased_at), (ServerRole::User, NOW, None));
    assert_eq!(directory.profiles(&[]).await.expect("nothing"), []);
    assert_eq!(directory.profiles(&[user(99)]).await.expect("nothing"), []);
}

async fn what_is_not_changed_stays<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    let before = profile(&directory, 2).await;
    let change = ProfileChange { status_message: Some("away ☂".into()), ..ProfileChange::default() };
    let changed = directory.change_profile(user(2), change, LATER).await.expect("changes");
    let expected = Profile { status_message: "away ☂".into(), updated_at: LATER, ..before };
    assert_eq!(changed, Changed::Done(Box::new(expected.clone())));
    assert_eq!(profile(&directory, 2).await, expected);
    let change = ProfileChange {
        display_name: Some("Ädä".into()),
        avatar_url: Some("https://example.org/a.png".into()),
        ..ProfileChange::default()
    };
    directory.change_profile(user(2), change, LATER).await.expect("changes");
    let found = profile(&directory, 2).await;
    assert_eq!((found.user.display_name.as_str(), found.status_message.as_str()), ("Ädä", "away ☂"));
    assert_eq!(found.user.avatar_url, "https://example.org/a.png");
    assert_eq!(profile(&directory, 3).await.user, new_user(3).user, "nobody else's");
    let gone = directory.change_profile(user(99), ProfileChange::default(), LATER).await;
    assert_eq!(gone.expect("answers"), Changed::Gone);
}

async fn settings_that_moved_are_not_overwritten<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    let swap = |from: &str, to: &str| ProfileChange {
        settings: Some(SettingsSwap { from: from.into(), to: to.into() }),
        status_message: Some(to.into()),
        ..ProfileChange::default()
    };
    let changed = directory.change_profile(user(2), swap("{}", r#"{"a":1}"#), LATER).await.expect("changes");
    assert!(matches!(changed, Changed::Done(_)), "{changed:?}");
    let moved = directory.change_profile(user(2), swap("{}", r#"{"b":2}"#), LATER).await;
    assert_eq!(moved.expect("answers"), Changed::Moved);
    let found = profile(&directory, 2).await;
    assert_eq!((found.settings.as_str(), found.status_message.as_str()), (r#"{"a":1}"#, r#"{"a":1}"#));
}

async fn a_status_message_has_an_end_or_none<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    let change = async |text: Option<&str>, until| {
        let (status_message, status_expires_at) = (text.map(Into::into), until);
        let change = ProfileChange { status_message, status_expires_at, ..ProfileChange::default() };
        directory.change_profile(user(2), change, NOW).await.expect("changes");
        let found = profile(&directory, 2).await;
        (found.status_message, found.status_expires_at)
    };
    assert_eq!(change(Some("away"), Some(Some(LATER))).await, ("away".into(), Some(LATER)));
    assert_eq!(change(None, None).await, ("away".into(), Some(LATER)), "what is not changed stays");
    assert_eq!(change(None, Some(None)).await, ("away".into(), None));
    assert_eq!(change(None, Some(Some(LATER))).await, ("away".into(), Some(LATER)));
    assert_eq!(change(Some("back"), None).await, ("back".into(), None), "a new one is for good");
}

async fn last_seen_only_grows<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    let seen = async |number| profile(&directory, number).await.last_seen_at;
    assert_eq!(seen(2).await, None);
    directory.saw(&[]).await.expect("nothing to do");
    directory
        .saw(&[(user(2), LATER), (user(99), LATER), (user(3), NOW)])
        .await
        .expect("unknown ones are passed over");
    directory.saw(&[(user(2), NOW)]).await.expect("writes");
    assert_eq!((seen(2).await, seen(3).await, seen(4).await), (Some(LATER), Some(NOW), None));
    directory.erase(user(2), None, LATER).await.expect("erases");
    directory.saw(&[(user(2), LATER)]).await.expect("writes");
    assert_eq!(seen(2).await, None, "nobody was there");
}

async fn the_first_account_administers<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    for number in 1..10 {
        let expected = if number == 1 { ServerRole::Admin } else { ServerRole::User };
        assert_eq!(profile(&directory, number).await.role, expected, "{number}");
    }
    directory.erase(user(1), None, LATER).await.expect("erases");
    directory.create_users(&[new_user(20)]).await.expect("creates");
    assert_eq!(profile(&directory, 20).await.role, ServerRole::User, "the first there ever was");
}

async fn of_first_accounts_at_once_one_administers<D: Directory>(directory: D) {
    let mut racers = JoinSet::new();
    for number in 0..RACERS {
        let directory = directory.clone();
        racers.spawn(async move { directory.create_users(&[new_user(number)]).await.expect("creates") });
    }
    assert!(racers.join_all().await.iter().all(|taken| taken[..] == [None]));
    let everyone = directory.every_profile(all()).await.expect("lists");
    assert_eq!(everyone.len() as u128, RACERS);
    assert_eq!(everyone.iter().filter(|one| one.role == ServerRole::Admin).count(), 1);
}

async fn roles_are_given_and_audited<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    assert!(directory.set_role(user(2), ServerRole::Admin, LATER).await.expect("sets"));
    assert!(directory.set_role(user(1), ServerRole::User, LATER).await.expect("sets"));
    assert!(!directory.set_role(user(99), ServerRole::Admin, LATER).await.expect("answers"));
    assert_eq!(profile(&directory, 2).await.role, ServerRole::Admin);
    assert_eq!(profile(&directory, 1).await.role, ServerRole::User);
    let entries = directory.audit(user(2), all()).await.expect("lists");
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((entry.action.as_str(), entry.actor_id, entry.at), ("made_admin", None, LATER));
    let after = After { after: Some(entry.id), limit: 10 };
    assert_eq!(directory.audit(user(2), after).await.expect("lists"), []);
}

async fn every_account_is_listed<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    let mut listed = Vec::new();
    while let part =
        directory.every_profile(After { after: listed.last().copied(), limit: 4 }).await.expect("lists")
        && !part.is_empty()
    {
        listed.extend(part.iter().map(|profile| profile.user.id));
    }
    assert_eq!(listed, (1..10).map(user).collect::<Vec<_>>());
}
