//! Contacts and blocks, and what they mean for DMs and groups.

mod support;

use serde_json::{Value, json};
use support::{Answer, Person, TestContext};

async fn three(context: &TestContext) -> [Person; 3] {
    [context.registered("ada").await, context.registered("bob").await, context.registered("eve").await]
}

async fn contacts(context: &TestContext, who: &Person) -> Vec<(Value, Value)> {
    let listed = context.get("/users/me/contacts", who).await.body;
    let items = listed["items"].as_array().expect("a list");
    items.iter().map(|one| (one["user"]["username"].clone(), one["state"].clone())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_is_asked_for_accepted_and_removed() {
    let context = TestContext::new().await;
    let [ada, bob, eve] = three(&context).await;
    let ask = async || context.post("/users/me/contacts", &ada, json!({"user_id": bob.id})).await;
    let asked = ask().await;
    assert_eq!((asked.status, &asked.body["state"]), (201, &json!("outgoing")), "{asked:?}");
    assert_eq!(ask().await.status, 200, "a second time changes nothing");
    assert_eq!(contacts(&context, &bob).await, [(json!("ada"), json!("incoming"))]);
    let of = |who: &Person| format!("/users/me/contacts/{}", who.id);
    assert_eq!(context.put(&of(&bob), &ada).await.status, 404, "nobody accepts for the other");
    for id in [&ada, &bob] {
        assert_eq!(context.put(&of(id), &eve).await.status, 404, "nor for somebody else");
        assert_eq!(context.delete(&of(id), &eve).await.status, 404);
    }
    let accepted = context.put(&of(&ada), &bob).await;
    assert_eq!((accepted.status, &accepted.body["state"]), (200, &json!("accepted")));
    assert_eq!(contacts(&context, &ada).await, [(json!("bob"), json!("accepted"))]);
    let incoming = context.get("/users/me/contacts?state=incoming", &bob).await.body;
    assert_eq!(incoming["items"], json!([]));
    assert_eq!(context.get("/users/me/contacts?state=x", &bob).await.status, 400);
    assert_eq!(context.delete(&of(&ada), &bob).await.status, 204);
    assert_eq!(context.delete(&of(&ada), &bob).await.status, 404);
    assert_eq!(contacts(&context, &ada).await, []);
    let oneself = context.post("/users/me/contacts", &ada, json!({"user_id": ada.id})).await;
    assert_eq!((oneself.status, &oneself.body["code"]), (409, &json!("yourself")));
    let nobody = json!({"user_id": "00000000-0000-0000-0000-000000000001"});
    assert_eq!(context.post("/users/me/contacts", &ada, nobody).await.status, 404);
}

async fn open_dm(context: &TestContext, who: &Person, with: &Person) -> Answer {
    context.post("/channels", who, json!({"type": "dm", "member_ids": [with.id]})).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_keeps_both_out_of_dms_and_groups() {
    let context = TestContext::new().await;
    let [ada, bob, eve] = three(&context).await;
    let path = format!("/users/me/blocks/{}", bob.id);
    for _ in 0..2 {
        assert_eq!(context.put(&path, &ada).await.status, 204);
    }
    let listed = context.get("/users/me/blocks", &ada).await.body;
    assert_eq!(listed["items"][0]["user"]["username"], "bob");
    assert_eq!(context.get("/users/me/blocks", &bob).await.body["items"], json!([]));
    let mut answers = Vec::new();
    for (who, other) in [(&ada, &bob), (&bob, &ada)] {
        let dm = open_dm(&context, who, other).await;
        assert_eq!((dm.status, &dm.body["code"]), (403, &json!("forbidden")), "{dm:?}");
        let group = json!({"type": "group", "member_ids": [eve.id, other.id]});
        let group = context.post("/channels", who, group).await;
        assert_eq!(group.status, 403, "{group:?}");
        let own = context.post("/channels", who, json!({"type": "group", "member_ids": [eve.id]})).await.body;
        let members = format!("/channels/{}/members", own["id"].as_str().expect("an id"));
        let added = context.post(&members, who, json!({"user_ids": [other.id]})).await;
        assert_eq!(added.status, 403, "{added:?}");
        let asked = context.post("/users/me/contacts", who, json!({"user_id": other.id})).await;
        assert_eq!(asked.status, 403);
        answers.push([dm.body, group.body, added.body, asked.body]);
    }
    assert_eq!(answers[0], answers[1], "it is not told who has blocked whom");
    let found = async |who: &Person, name: &str| {
        let found = context.get(&format!("/users/search?q={name}"), who).await.body;
        found["items"].as_array().map_or(0, Vec::len)
    };
    assert_eq!((found(&bob, "ada").await, found(&ada, "bob").await), (0, 1));
    assert_eq!(open_dm(&context, &eve, &bob).await.status, 201, "others are not concerned");
    assert_eq!(context.delete(&path, &bob).await.status, 204);
    assert_eq!(open_dm(&context, &bob, &ada).await.status, 403, "nobody takes back another's block");
    assert_eq!(context.delete(&path, &ada).await.status, 204);
    assert_eq!(open_dm(&context, &bob, &ada).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_begin_a_dm_is_the_others_to_say() {
    let context = TestContext::new().await;
    let [ada, bob, eve] = three(&context).await;
    let allow = async |audience: &str| {
        let body = json!({"settings": {"privacy": {"direct_messages": audience}}});
        assert_eq!(context.patch_me(&ada, body).await.status, 200);
    };
    allow("contacts").await;
    assert_eq!(open_dm(&context, &bob, &ada).await.status, 403);
    context.post("/users/me/contacts", &bob, json!({"user_id": ada.id})).await;
    assert_eq!(open_dm(&context, &bob, &ada).await.status, 403, "asking is not being one");
    context.post("/users/me/contacts", &ada, json!({"user_id": bob.id})).await;
    assert_eq!(open_dm(&context, &bob, &ada).await.status, 201);
    allow("nobody").await;
    assert_eq!(open_dm(&context, &eve, &ada).await.status, 403);
    assert_eq!(open_dm(&context, &bob, &ada).await.status, 200, "the one that there is, is found");
    let group = json!({"type": "group", "member_ids": [ada.id]});
    let refused = context.post("/channels", &eve, group.clone()).await;
    assert_eq!((refused.status, &refused.body["code"]), (403, &json!("forbidden")), "nor a group of two");
    let own = context.post("/channels", &eve, json!({"type": "public", "name": "open"})).await.body;
    let members = format!("/channels/{}/members", own["id"].as_str().expect("an id"));
    assert_eq!(context.post(&members, &eve, json!({"user_ids": [ada.id]})).await.status, 403);
    assert_eq!(context.post(&members, &ada, json!({"user_ids": [ada.id]})).await.status, 201, "she may join");
    assert_eq!(context.post("/channels", &bob, group.clone()).await.status, 201, "they have a DM");
    assert_eq!(open_dm(&context, &ada, &eve).await.status, 201, "she may begin one herself");
    let body = json!({"settings": {"privacy": {"add_to_channels": "contacts"}}});
    assert_eq!(context.patch_me(&ada, body).await.status, 200);
    assert_eq!(
        context.post("/channels", &eve, group.clone()).await.status,
        403,
        "a DM is not enough for this"
    );
    assert_eq!(context.post("/channels", &bob, group).await.status, 201, "contacts may");
}

/// Who may not be added can be asked: nothing of the channel reaches them before their yes.
#[tokio::test]
async fn an_invitation_waits_for_a_yes() {
    let context = TestContext::new().await;
    let (ada, bob, eve) =
        (context.registered("ada").await, context.registered("bob").await, context.registered("eve").await);
    let nobody = json!({"settings": {"privacy": {"add_to_channels": "nobody"}}});
    assert_eq!(context.patch_me(&ada, nobody).await.status, 200);
    let made = context.post("/channels", &bob, json!({"type": "private", "name": "ring"})).await.body;
    let id = made["id"].as_str().expect("an id");
    let channel = format!("/channels/{id}");
    let members = format!("{channel}/members");
    let invite = format!("{channel}/invitations/{}", ada.id);
    let waiting = format!("/users/me/invitations/{id}");
    let body = json!({"user_ids": [ada.id]});
    assert_eq!(context.post(&members, &bob, body).await.status, 403);
    assert_eq!(context.put(&waiting, &ada).await.status, 404, "nobody has invited her");
    assert_eq!(context.put(&invite, &eve).await.status, 404, "a stranger to the channel");
    assert_eq!(context.put(&invite, &bob).await.status, 204);
    assert_eq!(context.get(&channel, &ada).await.status, 404, "not before her yes");
    let listed = context.get("/users/me/invitations", &ada).await.body;
    let items = listed["items"].as_array().expect("items");
    assert_eq!(items.len(), 1);
    assert_eq!(
        (&items[0]["channel"]["name"], &items[0]["inviter"]["username"]),
        (&json!("ring"), &json!("bob"))
    );
    let export = context.get("/users/me/export", &ada).await.body;
    assert_eq!(export["channel_invitations"][0]["channel"]["id"], id);
    assert_eq!(context.delete(&waiting, &ada).await.status, 204, "she declines");
    assert_eq!(context.put(&waiting, &ada).await.status, 404);
    assert_eq!(context.put(&invite, &bob).await.status, 204);
    let accepted = context.put(&waiting, &ada).await;
    assert_eq!((accepted.status, &accepted.body["id"]), (200, &json!(id)));
    assert_eq!(context.get(&channel, &ada).await.body["role"], "member");
    assert_eq!(context.get("/users/me/invitations", &ada).await.body["items"], json!([]));
    assert_eq!(context.put(&format!("/users/me/blocks/{}", bob.id), &eve).await.status, 204);
    let blocked = context.put(&format!("{channel}/invitations/{}", eve.id), &bob).await;
    assert_eq!((blocked.status, &blocked.body["code"]), (403, &json!("forbidden")));
}
