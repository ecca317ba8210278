//! Each operation as a request.

use ringside_types::authorization::{ChannelKind, Operation};
use serde_json::{Value, json};
use tungstenite::Message;
use uuid::Uuid;

use super::Answer;
use super::context::{Actor, TestContext, World};

pub fn is_of_message(operation: Operation) -> bool {
    use Operation::{DeleteForeign, DeleteOwn, EditForeign, EditOwn, Pin, React, Unpin, Unreact};
    matches!(operation, EditOwn | EditForeign | DeleteOwn | DeleteForeign | React | Unreact | Pin | Unpin)
}

pub fn is_of_socket(operation: Operation) -> bool {
    use Operation::{Pin, ReadMessages, Send, SendAmongAdmins, Unpin, Unreact, WriteClosed};
    // Of a reaction that is not there to be taken back, nobody is told.
    (is_of_message(operation) && !matches!(operation, Pin | Unpin | Unreact))
        || matches!(operation, Send | SendAmongAdmins | WriteClosed | ReadMessages)
}

/// Whether the context is another after it was done.
pub fn changes_the_scene(operation: Operation) -> bool {
    use Operation::{
        DeleteChannel, Join, Leave, PassOwnership, RemoveAdmin, RemoveMember, SetAdmin, SetRole,
    };
    matches!(
        operation,
        DeleteChannel | Leave | Join | PassOwnership | RemoveAdmin | RemoveMember | SetAdmin | SetRole
    )
}

/// A message of the right sender, which nothing has been done to.
fn target(world: &World, context: &TestContext, operation: Operation, actor: Actor) -> String {
    let is_own = matches!(operation, Operation::EditOwn | Operation::DeleteOwn);
    let sender = if is_own { actor } else { Actor::OtherMember };
    match (sender.role_in(context.kind), context.messages.get(&sender)) {
        (Some(_), _) => world.say(context, sender),
        // Whoever is not in it has at most what they said before.
        (None, Some(said)) => said.clone(),
        (None, None) => context.messages[&Actor::OtherMember].clone(),
    }
}

/// Whom it is done to.
fn victim(operation: Operation) -> Actor {
    match operation {
        Operation::RemoveAdmin => Actor::OtherAdmin,
        Operation::RemoveOwner | Operation::SetOwner => Actor::Owner,
        _ => Actor::OtherMember,
    }
}

fn answer((status, body): &(u16, Value)) -> Answer {
    match status {
        200..300 => "ok".into(),
        _ => body["code"].as_str().map_or_else(|| format!("{status}"), str::to_owned),
    }
}

/// Tries it where admins alone post, or where a block has closed the DM, if that is what it is about.
fn prepared<T>(
    world: &World,
    context: &mut TestContext,
    operation: Operation,
    act: impl FnOnce(&mut TestContext) -> T,
) -> T {
    if operation == Operation::WriteClosed {
        let block = format!("/users/me/blocks/{}", world.id(Actor::Member));
        assert_eq!(world.ask(Actor::OtherMember, "PUT", &block, None).0, 204);
        let done = act(context);
        assert_eq!(world.ask(Actor::OtherMember, "DELETE", &block, None).0, 204);
        return done;
    }
    if operation != Operation::SendAmongAdmins {
        return act(context);
    }
    let set = |who: &str| {
        let body = json!({"settings": {"who_may_post": who}});
        assert_eq!(world.ask(Actor::Owner, "PATCH", &context.at(""), Some(&body)).0, 200);
    };
    set("admins");
    let done = act(context);
    let body = json!({"settings": {"who_may_post": "everyone"}});
    assert_eq!(world.ask(Actor::Owner, "PATCH", &context.at(""), Some(&body)).0, 200);
    done
}

pub fn by_rest(world: &World, context: &mut TestContext, operation: Operation, actor: Actor) -> Answer {
    let message = target_if_needed(world, context, operation, actor);
    prepared(world, context, operation, |context| rest(world, context, operation, actor, &message))
}

/// As it is, in a channel that can't be prepared any more.
pub fn once(world: &World, context: &TestContext, operation: Operation, actor: Actor) -> Answer {
    let said = context.messages.get(&actor).unwrap_or(&context.messages[&Actor::OtherMember]);
    rest(world, context, operation, actor, said)
}

/// On a message that its sender has deleted.
pub fn on_deleted(world: &World, context: &TestContext, operation: Operation, actor: Actor) -> Answer {
    let message = target(world, context, operation, actor);
    let is_own = matches!(operation, Operation::EditOwn | Operation::DeleteOwn);
    let sender = if is_own && actor.role_in(context.kind).is_some() { actor } else { Actor::OtherMember };
    let gone = world.ask(sender, "DELETE", &context.at(&format!("/messages/{message}")), None);
    // What somebody said who was removed, another can't delete.
    assert!(gone.0 == 204 || actor.role_in(context.kind).is_none(), "{gone:?}");
    rest(world, context, operation, actor, &message)
}

fn target_if_needed(world: &World, context: &TestContext, operation: Operation, actor: Actor) -> String {
    if is_of_message(operation) { target(world, context, operation, actor) } else { String::new() }
}

fn rest(world: &World, context: &TestContext, operation: Operation, actor: Actor, message: &str) -> Answer {
    use Operation as O;
    let of_message = format!("/messages/{message}");
    let of_victim = format!("/members/{}", world.id(victim(operation)));
    let unique = Uuid::new_v4().to_string();
    let own = format!("/members/{}", world.id(actor));
    let adds = |who: Actor| json!({"user_ids": [world.id(who)]});
    let role = |role: &str| Some(json!({"role": role}));
    let (method, path, body) = match operation {
        O::SeeChannel => ("GET", String::new(), None),
        O::ListMembers => ("GET", "/members".into(), None),
        O::ReadMessages => ("GET", "/messages".into(), None),
        O::Send | O::SendAmongAdmins | O::WriteClosed => {
            ("POST", "/messages".into(), Some(json!({"content": unique, "content_type": "text"})))
        }
        O::EditOwn | O::EditForeign => ("PATCH", of_message, Some(json!({"content": unique}))),
        O::DeleteOwn | O::DeleteForeign => ("DELETE", of_message, None),
        O::React => ("PUT", format!("{of_message}/reactions/{}", &unique[..8]), None),
        O::Unreact => ("DELETE", format!("{of_message}/reactions/{}", &unique[..8]), None),
        O::Pin => ("PUT", format!("/pins/{message}"), None),
        O::Unpin => ("DELETE", format!("/pins/{message}"), None),
        O::Mute => ("PUT", "/mute".into(), Some(json!({"until": null}))),
        O::ChangeChannel => ("PATCH", String::new(), Some(json!({"topic": unique}))),
        O::DeleteChannel => ("DELETE", String::new(), None),
        O::Join => ("POST", "/members".into(), Some(adds(actor))),
        O::Leave => ("DELETE", own, None),
        O::AddMembers => ("POST", "/members".into(), Some(adds(Actor::Stranger))),
        O::RemoveMember | O::RemoveAdmin | O::RemoveOwner => ("DELETE", of_victim, None),
        O::SetRole => ("PATCH", of_victim, role("guest")),
        O::SetAdmin => ("PATCH", of_victim, role("admin")),
        O::PassOwnership => ("PATCH", of_victim, role("owner")),
        O::SetOwner => ("PATCH", of_victim, role("member")),
    };
    answer(&world.ask(actor, method, &context.at(&path), body.as_ref()))
}

pub fn by_socket(world: &World, context: &mut TestContext, operation: Operation, actor: Actor) -> Answer {
    let message = target_if_needed(world, context, operation, actor);
    prepared(world, context, operation, |context| socket(world, context, operation, actor, &message))
}

fn socket(
    world: &World,
    context: &mut TestContext,
    operation: Operation,
    actor: Actor,
    message: &str,
) -> Answer {
    use Operation as O;
    let (id, channel) = (Uuid::new_v4().to_string(), context.id().to_owned());
    let emoji = &id[..8];
    let (kind, payload, told) = match operation {
        O::Send | O::SendAmongAdmins | O::WriteClosed => {
            let payload =
                json!({"channel_id": channel, "content": id, "content_type": "text", "reply_to": null});
            ("message.send", payload, "message.new")
        }
        O::EditOwn | O::EditForeign => {
            let payload = json!({"channel_id": channel, "message_id": message, "content": id});
            ("message.edit", payload, "message.updated")
        }
        O::DeleteOwn | O::DeleteForeign => {
            ("message.delete", json!({"channel_id": channel, "message_id": message}), "message.deleted")
        }
        O::React => {
            let payload = json!({"channel_id": channel, "message_id": message, "emoji": emoji});
            ("reaction.add", payload, "reaction.updated")
        }
        _ => {
            let asked = json!({"channels": [{"channel_id": channel, "last_message_id": null}]});
            ("sync", asked, "sync.page")
        }
    };
    let socket = context.socket(world, actor);
    let frame = json!({"type": kind, "id": id, "payload": payload}).to_string();
    socket.send(Message::text(frame)).expect("it takes it");
    loop {
        let Message::Text(text) = socket.read().expect("it answers") else { continue };
        let frame: Value = serde_json::from_str(&text).expect("JSON");
        let payload = &frame["payload"];
        // Of what others did there may be more to read: nobody else does this, with this, to this.
        let is_it = match told {
            "message.new" | "message.updated" => payload["content"] == id.as_str(),
            "message.deleted" => payload["message_id"] == message,
            "reaction.updated" => payload["emoji"] == emoji,
            _ => payload["channel_id"] == channel.as_str(),
        };
        if frame["type"] == told && is_it {
            return "ok".into();
        }
        let is_refused = frame["type"] == "error" && frame["id"] == id.as_str()
            || frame["type"] == "message.rejected" && payload["client_id"] == id.as_str();
        if is_refused {
            return payload["code"].as_str().expect("a code").into();
        }
    }
}

const _: () = assert!(ChannelKind::ALL.len() == 4 && Operation::ALL.len() == 27);
