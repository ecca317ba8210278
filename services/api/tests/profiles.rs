//! Profiles: what may be set is set, what may not is not, and others see what they are allowed to.

mod support;

use serde_json::{Value, json};
use support::TestContext;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_is_what_was_set() {
    let context = TestContext::new().await;
    let ada = context.registered("ada").await;
    let before = context.get("/users/me", &ada).await.body;
    assert_eq!((&before["role"], &before["settings"]), (&json!("admin"), &json!({})), "the first account");
    let patch = json!({
        "display_name": " Ada L. ",
        "avatar_url": "https://example.org/a.png",
        "status_message": "counting",
        "settings": {"theme": "dark", "privacy": {"email": "contacts"}},
    });
    let changed = context.patch_me(&ada, patch).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.body["display_name"], "Ada L.");
    assert_eq!(changed.body["status_message"], "counting");
    assert_eq!(changed.body["settings"], json!({"theme": "dark", "privacy": {"email": "contacts"}}));
    let merged = context.patch_me(&ada, json!({"settings": {"theme": null}, "avatar_url": null})).await.body;
    assert_eq!(merged["settings"], json!({"privacy": {"email": "contacts"}}), "merged");
    assert_eq!(merged["avatar_url"], Value::Null);
    assert_eq!(context.get("/users/me", &ada).await.body, merged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_message_may_end_by_itself() {
    let context = TestContext::new().await;
    let (ada, bob) = (context.registered("ada").await, context.registered("bob").await);
    let patch = json!({"status_message": "at lunch", "status_expires_at": "2999-01-01T12:00:00+01:00"});
    let changed = context.patch_me(&ada, patch).await;
    assert_eq!(changed.body["status_expires_at"], "2999-01-01T11:00:00.000Z", "{changed:?}");
    let seen = context.get(&format!("/presence?user_ids={}", ada.id), &bob).await.body;
    let expected = json!({
        "user_id": ada.id, "status": "offline", "status_message": "at lunch", "last_seen_at": null,
    });
    assert_eq!(seen, json!({"items": [expected], "next_cursor": null}));
    for end in [json!("2000-01-01T00:00:00Z"), json!("soon"), json!(7)] {
        let refused = context.patch_me(&ada, json!({"status_expires_at": end})).await;
        assert_eq!(refused.status, 422, "{end}");
        assert_eq!(refused.body["errors"][0]["field"], "status_expires_at", "{end}");
    }
    let changed = context.patch_me(&ada, json!({"status_message": "back"})).await;
    assert_eq!(changed.body["status_expires_at"], Value::Null, "a new one is for good");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_message_is_for_those_who_see_the_presence() {
    let context = TestContext::new().await;
    let (ada, bob) = (context.registered("ada").await, context.registered("bob").await);
    assert_eq!(context.patch_me(&ada, json!({"status_message": "at the dentist"})).await.status, 200);
    let check = async |expected: &str| {
        let presence = context.get(&format!("/presence?user_ids={}", ada.id), &bob).await.body;
        let presence = presence["items"][0]["status_message"].as_str().unwrap_or_default().to_owned();
        let profile = context.get(&format!("/users/{}", ada.id), &bob).await.body;
        assert_eq!((&presence[..], &profile["status_message"]), (expected, &json!(expected)));
        for list in ["/users/search?q=ada", "/users/me/contacts", "/users/me/blocks"] {
            let listed = context.get(list, &bob).await.body;
            for item in listed["items"].as_array().expect("a list") {
                let seen = if item["user"].is_null() { item } else { &item["user"] };
                assert_eq!(seen["status_message"], expected, "{list}");
            }
        }
        let own = context.get(&format!("/users/{}", ada.id), &ada).await.body;
        assert_eq!(own["status_message"], "at the dentist");
    };
    check("at the dentist").await;
    let hide = |from: &str| json!({"settings": {"privacy": {"presence": from}}});
    assert_eq!(context.patch_me(&ada, hide("contacts")).await.status, 200);
    context.post("/users/me/contacts", &bob, json!({"user_id": ada.id})).await;
    check("").await;
    assert_eq!(context.patch_me(&ada, hide("everyone")).await.status, 200);
    for (blocker, blocked) in [(&ada, &bob), (&bob, &ada)] {
        let block = format!("/users/me/blocks/{}", blocked.id);
        assert_eq!(context.put(&block, blocker).await.status, 204);
        check("").await;
        assert_eq!(context.delete(&block, blocker).await.status, 204);
    }
    check("at the dentist").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_assigns_what_is_not_theirs_to_assign() {
    let context = TestContext::new().await;
    context.registered("ada").await;
    let bob = context.registered("bob").await;
    let before = context.get("/users/me", &bob).await.body;
    for (field, value) in [
        ("id", json!("00000000-0000-0000-0000-000000000001")),
        ("user_id", json!("00000000-0000-0000-0000-000000000001")),
        ("email", json!("eve@example.org")),
        ("email_folded", json!("eve@example.org")),
        ("username", json!("eve")),
        ("username_folded", json!("eve")),
        ("role", json!("admin")),
        ("is_admin", json!(true)),
        ("password", json!("another horse")),
        ("password_hash", json!("x")),
        ("created_at", json!("2000-01-01T00:00:00.000Z")),
        ("updated_at", json!("2000-01-01T00:00:00.000Z")),
        ("last_seen_at", json!("2000-01-01T00:00:00.000Z")),
        ("erased_at", json!("2000-01-01T00:00:00.000Z")),
    ] {
        let answer = context.patch_me(&bob, json!({field: value})).await;
        assert_eq!(answer.status, 200, "{field}: unknown fields are ignored");
        let mut after = answer.body;
        after["updated_at"] = before["updated_at"].clone();
        assert_eq!(after, before, "{field}");
    }
    assert_eq!(context.login("bob", support::PASSWORD).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_valid_is_named() {
    let context = TestContext::new().await;
    let ada = context.registered("ada").await;
    let before = context.get("/users/me", &ada).await.body;
    for (patch, field) in [
        (json!({"display_name": ""}), "display_name"),
        (json!({"display_name": null}), "display_name"),
        (json!({"display_name": "a".repeat(81)}), "display_name"),
        (json!({"avatar_url": "javascript:alert(1)"}), "avatar_url"),
        (json!({"status_message": 7}), "status_message"),
        (json!({"status_message": "a\u{0}"}), "status_message"),
        (json!({"settings": []}), "settings"),
        (json!({"settings": {"privacy": {"email": "all"}}}), "settings"),
        (json!({"settings": {"x": "y".repeat(20_000)}, "status_message": "late"}), "settings"),
    ] {
        let answer = context.patch_me(&ada, patch.clone()).await;
        assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!(field)), "{patch}");
    }
    assert_eq!(context.get("/users/me", &ada).await.body, before, "whole or not at all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_many_change_at_once_keep_every_change() {
    let context = TestContext::new().await;
    let ada = context.registered("ada").await;
    let mut changing = tokio::task::JoinSet::new();
    for number in 0..8 {
        let body = json!({"settings": {format!("key{number}"): number}});
        changing.spawn(context.asking("PATCH", "/users/me".into(), &ada, Some(body)));
    }
    assert!(changing.join_all().await.iter().all(|answer| answer.status == 200));
    let settings = context.get("/users/me", &ada).await.body["settings"].clone();
    assert_eq!(settings.as_object().map(serde_json::Map::len), Some(8), "{settings}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_shown_to_whom_the_settings_allow() {
    let context = TestContext::new().await;
    let (ada, bob, eve) =
        (context.registered("ada").await, context.registered("bob").await, context.registered("eve").await);
    context.post("/users/me/contacts", &bob, json!({"user_id": ada.id})).await;
    assert_eq!(context.put(&format!("/users/me/contacts/{}", bob.id), &ada).await.status, 200);
    for (audience, for_bob, for_eve) in
        [(None, false, false), (Some("contacts"), true, false), (Some("everyone"), true, true)]
    {
        if let Some(audience) = audience {
            context.patch_me(&ada, json!({"settings": {"privacy": {"email": audience}}})).await;
        }
        for (viewer, shown) in [(&bob, for_bob), (&eve, for_eve), (&ada, true)] {
            let expected = if shown { json!("ada@example.org") } else { Value::Null };
            let seen = context.get(&format!("/users/{}", ada.id), viewer).await.body;
            assert_eq!(seen["email"], expected, "{audience:?}");
            assert!(
                ["settings", "role", "updated_at"].iter().all(|field| seen.get(field).is_none()),
                "{seen}"
            );
            let by_name = context.get("/users/search?q=ad", viewer).await.body;
            assert_eq!(by_name["items"][0]["email"], expected, "{audience:?}");
            let by_address = context.get("/users/search?q=ADA@example.org", viewer).await.body;
            let found = by_address["items"].as_array().map_or(0, Vec::len);
            assert_eq!(found, usize::from(shown), "{audience:?}");
        }
    }
    assert_eq!(context.put(&format!("/users/me/blocks/{}", eve.id), &ada).await.status, 204);
    let seen = context.get(&format!("/users/{}", ada.id), &eve).await.body;
    assert_eq!(seen["email"], Value::Null, "not to whom one has blocked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn search_and_login_do_not_tell_who_has_an_account() {
    let context = TestContext::new().await;
    let ada = context.registered("ada").await;
    context.registered("bob").await;
    let hidden = context.get("/users/search?q=bob@example.org", &ada).await;
    let nobody = context.get("/users/search?q=nobody@example.org", &ada).await;
    assert_eq!((hidden.status, &hidden.body), (nobody.status, &nobody.body));
    let wrong = context.login("bob@example.org", "wrong password").await;
    let nobody = context.login("nobody@example.org", "wrong password").await;
    assert_eq!((wrong.status, &wrong.body), (nobody.status, &nobody.body));
    assert_eq!(wrong.status, 401);
    let too_long = format!("/users/search?q={}", "a".repeat(1_000));
    for bad in [&too_long, "/users/search?q=a&cursor=x"] {
        assert_eq!(context.get(bad, &ada).await.status, 400, "{bad}");
    }
    for everyone in ["/users/search?q=", "/users/search?q=%20", "/users/search"] {
        let found = context.get(everyone, &ada).await.body;
        let names: Vec<_> =
            found["items"].as_array().expect("items").iter().map(|one| &one["username"]).collect();
        assert_eq!(names, ["ada", "bob"], "{everyone}");
    }
}
