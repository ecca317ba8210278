//! The export holds all that is held; after an erasure nothing personal is.

mod support;

use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{Column as _, Row as _, TypeInfo as _};
use support::{PASSWORD, Person, TestContext, person};
use uuid::Uuid;

/// Every table of the Directory, and where the export has what it holds of a user. A new table is added here, and to the
/// export where it holds something of a user.
const TABLES: [(&str, Held); 14] = [
    ("users", Held::At("/user")),
    ("sessions", Held::At("/sessions/0")),
    ("contacts", Held::At("/contacts/0")),
    ("blocks", Held::At("/blocks/0")),
    ("audit_log", Held::At("/history/0")),
    ("name_words", Held::Elsewhere("the words of the names in the profile")),
    ("channel_invitations", Held::At("/channel_invitations/0/channel")),
    ("channels", Held::At("/channels/0/channel")),
    ("channel_members", Held::At("/channels/0/channel/role")),
    ("dm_pairs", Held::Elsewhere("the DM itself is among the channels")),
    ("refresh_tokens", Held::Elsewhere("hashes of secrets; the session says when they end")),
    ("invitations", Held::Elsewhere("that one was used is in the history")),
    ("outbox", Held::Elsewhere("on its way to the log, for a second at the most")),
    ("_sqlx_migrations", Held::Elsewhere("nobody's")),
];

enum Held {
    At(&'static str),
    Elsewhere(&'static str),
}

async fn database(context: &TestContext) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(context.folder.path().join("directory.sqlite"));
    SqlitePool::connect_with(options.read_only(true)).await.expect("opens")
}

async fn tables(database: &SqlitePool) -> Vec<String> {
    let found =
        sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
    let found = found.fetch_all(database).await.expect("lists");
    found.iter().map(|row| row.get::<String, _>("name")).collect()
}

/// Someone who has left a trace in everything that there is.
async fn settled(context: &TestContext) -> Person {
    let ada = context.registered("ada").await;
    let (bob, eve) = (context.registered("bob").await, context.registered("eve").await);
    context.login("ada", PASSWORD).await;
    let patch =
        json!({"display_name": "Ada Lovelace", "status_message": "counting", "settings": {"theme": "dark"}});
    assert_eq!(context.patch_me(&ada, patch).await.status, 200);
    context.post("/users/me/contacts", &ada, json!({"user_id": bob.id})).await;
    assert_eq!(context.put(&format!("/users/me/blocks/{}", eve.id), &ada).await.status, 204);
    let body = json!({"current": PASSWORD, "new": PASSWORD});
    assert_eq!(context.ask("PUT", "/users/me/password", Some(&ada), Some(body)).await.status, 204);
    let ring = context.post("/channels", &bob, json!({"type": "private", "name": "ring"})).await.body;
    let invitation = format!("/channels/{}/invitations/{}", ring["id"].as_str().expect("an id"), ada.id);
    assert_eq!(context.put(&invitation, &bob).await.status, 204);
    let group = json!({"type": "group", "name": "engine", "member_ids": [bob.id]});
    let group = context.post("/channels", &ada, group).await.body;
    let dm = context.post("/channels", &ada, json!({"type": "dm", "member_ids": [bob.id]})).await.body;
    for channel in [&group, &dm] {
        let path = format!("/channels/{}/messages", channel["id"].as_str().expect("an id"));
        for (who, text) in [(&ada, "mine"), (&bob, "not mine")] {
            let sent = context.post(&path, who, json!({"content": text, "content_type": "text"})).await;
            assert!(matches!(sent.status, 201 | 202), "{sent:?}");
        }
    }
    ada
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_holds_all_that_is_held() {
    let context = TestContext::new().await;
    let ada = settled(&context).await;
    let mut export = context.get("/users/me/export", &ada).await;
    for _ in 0..100 {
        if export.body["channels"][0]["messages"] != json!([])
            && export.body["channels"][1]["messages"] != json!([])
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        export = context.get("/users/me/export", &ada).await;
    }
    assert_eq!(export.status, 200);
    let download = export.headers["content-disposition"].to_str().expect("text");
    assert_eq!(download, "attachment; filename=\"ringside-ada.json\"");
    let body = &export.body;
    for table in tables(&database(&context).await).await {
        let (_, held) = TABLES
            .iter()
            .find(|(name, _)| *name == table)
            .unwrap_or_else(|| panic!("say in TABLES where the export has what `{table}` holds of a user"));
        match held {
            Held::At(pointer) => assert!(body.pointer(pointer).is_some(), "{table}: no {pointer} in {body}"),
            Held::Elsewhere(why) => assert!(!why.is_empty()),
        }
    }
    let user = &body["user"];
    assert_eq!((&user["email"], &user["settings"]), (&json!("ada@example.org"), &json!({"theme": "dark"})));
    assert_eq!(body["sessions"].as_array().map(Vec::len), Some(2), "ended ones too");
    assert_eq!(body["history"][0]["action"], "password_changed");
    let messages: Vec<&Value> = body["channels"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|one| one["messages"].as_array())
        .flatten()
        .collect();
    assert_eq!(messages.len(), 2, "{body}");
    assert!(messages.iter().all(|message| message["content"] == "mine"), "only what is the user's own");
    assert!(!body.to_string().contains("argon2"), "no secret");
}

/// What somebody wrote in a channel that they have left is held as before; so are their reactions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_holds_what_is_ones_own_wherever_it_is() {
    let context = TestContext::new().await;
    let (ada, bob) = (context.registered("ada").await, context.registered("bob").await);
    let wish = json!({"type": "group", "name": "left", "member_ids": [ada.id]});
    let channel = context.post("/channels", &bob, wish).await.body["id"].as_str().expect("an id").to_owned();
    let path = format!("/channels/{channel}/messages");
    let sent = context.post(&path, &ada, json!({"content": "mine"})).await;
    assert_eq!(sent.status, 201, "{sent:?}");
    let other = context.post(&path, &bob, json!({"content": "not mine"})).await.body["message_id"].clone();
    let reaction = format!("{path}/{}/reactions/heart", other.as_str().expect("an id"));
    assert_eq!(context.put(&reaction, &ada).await.status, 204);
    let here = context.get("/users/me/export", &ada).await.body;
    let reactions = json!([{"message_id": other, "emoji": "heart"}]);
    assert_eq!(here["channels"][0]["reactions"], reactions, "{here}");
    assert_eq!(context.delete(&format!("/channels/{channel}/members/{}", ada.id), &ada).await.status, 204);
    let left = context.get("/users/me/export", &ada).await.body;
    assert_eq!((&left["channels"], &left["left_channels"][0]["channel_id"]), (&json!([]), &json!(channel)));
    assert_eq!(left["left_channels"][0]["messages"][0]["content"], "mine", "{left}");
    assert_eq!(left["left_channels"][0]["messages"].as_array().map(Vec::len), Some(1));
    assert_eq!(left["left_channels"][0]["reactions"], reactions);
    let position = json!([{"channel_id": channel, "last_read_id": sent.body["message_id"]}]);
    assert_eq!(left["read_positions"], position);
}

/// The columns that hold an account's id; none may hold anything that it wrote of itself.
async fn places_that_name(context: &TestContext, ada: &Person) -> Vec<String> {
    let id = ada.id.parse::<Uuid>().expect("an id").into_bytes().to_vec();
    let database = database(context).await;
    let mut names_it = Vec::new();
    for table in tables(&database).await {
        for row in sqlx::query(sqlx::AssertSqlSafe(format!("SELECT * FROM \"{table}\"")))
            .fetch_all(&database)
            .await
            .expect("reads")
        {
            for column in row.columns() {
                let text = format!("{table}.{}", column.name());
                match column.type_info().name() {
                    "TEXT" => {
                        let held: Option<String> = row.get(column.name());
                        let held = held.unwrap_or_default().to_lowercase();
                        let traces = ["ada@", "lovelace", "counting", "dark"];
                        assert!(
                            table == "_sqlx_migrations" || !traces.iter().any(|it| held.contains(it)),
                            "{text}: {held}"
                        );
                        assert_ne!(held, "ada", "{text}");
                    }
                    "BLOB" if row.get::<Option<Vec<u8>>, _>(column.name()) == Some(id.clone()) => {
                        names_it.push(text);
                    }
                    _ => {}
                }
            }
        }
    }
    names_it
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_erasure_nothing_personal_is_left() {
    let context = TestContext::new().await;
    let ada = settled(&context).await;
    let answer = context.delete("/users/me", &ada).await;
    assert_eq!((answer.status, answer.body), (204, Value::Null));
    assert_eq!(context.get("/users/me", &ada).await.status, 401);
    let body = json!({"refresh_token": ada.refresh_token});
    assert_eq!(context.ask("POST", "/auth/refresh", None, Some(body)).await.status, 401);
    for login in ["ada", "ada@example.org"] {
        assert_eq!(context.login(login, PASSWORD).await.status, 401, "{login}");
    }
    let bob = person(&context.login("bob", PASSWORD).await);
    let seen = context.get(&format!("/users/{}", ada.id), &bob).await.body;
    assert_eq!((&seen["deleted"], &seen["display_name"]), (&json!(true), &json!("")), "{seen}");
    let open_dm = async |who: &Person| {
        context.post("/channels", who, json!({"type": "dm", "member_ids": [ada.id]})).await
    };
    let dm = open_dm(&bob).await;
    assert_eq!((dm.status, &dm.body["peer"]["id"]), (200, &json!(ada.id)), "what was said is found: {dm:?}");
    let peer = dm.body["peer"]["username"].as_str().unwrap_or_default();
    assert!(peer.starts_with("deleted-"), "as with their messages: {dm:?}");
    let eve = person(&context.login("eve", PASSWORD).await);
    assert_eq!(open_dm(&eve).await.status, 422, "none begins with an account that is gone");
    // Memberships end through the outbox.
    for _ in 0..200 {
        if ringside_ports::Outbox::unsent(&context.directory, None, 1).await.expect("lists").is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let mine = context.get("/channels", &bob).await.body;
    for channel in mine["items"].as_array().expect("a list") {
        let members = format!("/channels/{}/members", channel["id"].as_str().expect("an id"));
        let members = context.get(&members, &bob).await.body;
        assert_eq!(members["items"].as_array().map(Vec::len), Some(1), "{members}");
    }
    for file in ["directory.sqlite", "directory.sqlite-wal"] {
        let held = std::fs::read(context.folder.path().join(file)).unwrap_or_default();
        for trace in ["ada@example.org", "Ada Lovelace", "counting"] {
            let found = held.windows(trace.len()).any(|bytes| bytes == trace.as_bytes());
            assert!(!found, "{file} still holds {trace}");
        }
    }
    let mut names_it = places_that_name(&context, &ada).await;
    names_it.sort_unstable();
    names_it.dedup();
    let allowed = [
        "audit_log.actor_id",
        "audit_log.subject_id",
        "channels.creator_id",
        "dm_pairs.higher_id",
        "dm_pairs.lower_id",
        "users.id",
    ];
    assert!(names_it.iter().all(|place| allowed.contains(&place.as_str())), "{names_it:?}");
    assert_eq!(context.register(support::registration("ada")).await.status, 201, "its names are free again");
}
