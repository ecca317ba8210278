//! Every row of `/openapi.json` that takes a body, tried with fields that are not the caller's to set.
//!
//! Each row is done three times, in three contexts that are alike: with a plain body, with one that names what is somebody
//! else's, and with one that names what is nobody's yet. Then all that can be read is read by the one who tries and by the
//! victim: nothing but the names of people and things may differ. The rows come from the running server, so a new one is
//! tried as well, or named here as one that can't be.

mod bodies;
mod snapshot;
mod test_context;

use std::time::{Duration, Instant};

use hyper::Method;
use ringside_test_client::rest::{Answer, Rest};
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use super::{request, value};
use crate::test_server::{Failed, TestServer, expect};
use bodies::Document;
use snapshot::Snapshot;
use test_context::TestContext;

/// What is done behind an answer (presence, receipts) is done within this time.
const QUIET_WITHIN: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);
/// A context of which less can be read proves nothing.
const ANSWERED_MIN: usize = 20;
/// Sent along where a row has no such field.
const DESCRIPTION: &str = "not asked for";
/// Rows that this can't do, and why.
const NOT_TRIED: &[(&str, &str)] = &[];

/// Of whom the fields speak that are sent along.
#[derive(Clone, Copy)]
enum Whose {
    Victims,
    Nobodys,
}

/// Half of the rows lie below it, and are a check of their own: each has its time limit.
const CHANNELS: &str = "/api/v1/channels";

/// A row to try.
struct Row {
    method: Method,
    path: String,
    /// The schema of its body; none: it takes none, and is sent one all the same.
    schema: Option<Value>,
}

pub(crate) async fn none_of_channels_takes_what_is_not_theirs(
    test_server: &TestServer,
) -> Result<(), Failed> {
    try_rows(test_server, |path| path.starts_with(CHANNELS)).await
}

pub(crate) async fn no_other_takes_what_is_not_theirs(test_server: &TestServer) -> Result<(), Failed> {
    try_rows(test_server, |path| !path.starts_with(CHANNELS)).await
}

async fn try_rows(test_server: &TestServer, is_wanted: impl Fn(&str) -> bool) -> Result<(), Failed> {
    let limits = [
        "rest_per_minute",
        "channels_per_minute",
        "register_per_minute_per_address",
        "login_failures_per_minute",
    ];
    let server = test_server.start(&limits.map(|name| (name, 0))).await?;
    let rest = server.addresses.rest();
    // The first account administers; those who try are others.
    rest.sign_up("first").await?;
    let document = Document(value(&rest.call(Method::GET, "/openapi.json", None, None).await?));
    let mut rows = rows(&document)?;
    rows.retain(|row| is_wanted(&row.path));
    expect(rows.len() > 5, || format!("only {} rows take a body", rows.len()))?;
    a_field_that_is_taken_is_found(&rest, &document).await?;
    let mut wrong = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        if let Err(Failed(reason)) = try_row(&rest, &document, row, number).await {
            wrong.push(format!("{} {}: {reason}", row.method, row.path));
        }
    }
    expect(wrong.is_empty(), || wrong.join("\n"))
}

/// The trap works: a row that is said to take no description, and does, is caught.
async fn a_field_that_is_taken_is_found(rest: &Rest, document: &Document) -> Result<(), Failed> {
    let schema = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    let path = "/api/v1/channels/{channel_id}".to_owned();
    let row = Row { method: Method::PATCH, path, schema: Some(schema) };
    match try_row(rest, document, &row, 99).await {
        Err(Failed(reason)) if reason.contains(DESCRIPTION) => Ok(()),
        other => Err(Failed(format!("a description that was set was not found: {other:?}"))),
    }
}

fn rows(document: &Document) -> Result<Vec<Row>, Failed> {
    let mut rows = Vec::new();
    for (path, method, operation) in document.operations() {
        let method = match method {
            "post" => Method::POST,
            "put" => Method::PUT,
            "patch" => Method::PATCH,
            _ => continue,
        };
        if NOT_TRIED.iter().any(|(row, _)| *row == format!("{method} {path}")) {
            continue;
        }
        let body = &operation["requestBody"];
        let schema = &body["content"]["application/json"]["schema"];
        expect(body.is_null() || !schema.is_null(), || format!("{method} {path} takes no JSON"))?;
        let schema = (!schema.is_null()).then(|| schema.clone());
        rows.push(Row { method, path: path.to_owned(), schema });
    }
    Ok(rows)
}

/// A context after the row was done in it.
struct Attempted {
    context: TestContext,
    answer: Answer,
    body: Option<Value>,
}

async fn try_row(rest: &Rest, document: &Document, row: &Row, number: usize) -> Result<(), Failed> {
    let plain = attempt(rest, document, row, (number, None)).await?;
    let mut wanted = Snapshot::take(rest, document, &plain.context, &plain.answer).await?;
    let answered = wanted.answered();
    expect(answered >= ANSWERED_MIN, || format!("only {answered} things can be read afterwards"))?;
    for whose in [Whose::Victims, Whose::Nobodys] {
        let other = attempt(rest, document, row, (number, Some(whose))).await?;
        let since = Instant::now();
        // What both contexts show is the same, now or a little later.
        loop {
            let found = Snapshot::take(rest, document, &other.context, &other.answer).await?;
            let Some(difference) = wanted.difference(&found) else { break };
            if since.elapsed() > QUIET_WITHIN {
                let body = other.body.unwrap_or_default();
                return Err(Failed(format!("{difference}, by the body {body}")));
            }
            sleep(POLL).await;
            wanted = Snapshot::take(rest, document, &plain.context, &plain.answer).await?;
        }
    }
    Ok(())
}

async fn attempt(
    rest: &Rest,
    document: &Document,
    row: &Row,
    (number, whose): (usize, Option<Whose>),
) -> Result<Attempted, Failed> {
    let variant = match whose {
        None => "p",
        Some(Whose::Victims) => "v",
        Some(Whose::Nobodys) => "n",
    };
    let context = TestContext::make(rest, &format!("w{number:02}{variant}z")).await?;
    let mut body = row.schema.as_ref().map(|schema| document.body(schema, &context)).transpose()?;
    if let Some(whose) = whose
        && let Some(body) = body.get_or_insert_with(|| json!({})).as_object_mut()
    {
        add_forbidden(body, &document.names(row.schema.as_ref()), forbidden_fields(&context, whose));
    }
    let path = context.fill(&row.path)?;
    let token = Some(context.mallory.session.account.access_token.as_str());
    let answer = request(rest, row.method.clone(), &path, token, body.clone()).await?;
    expect((200..300).contains(&answer.status), || {
        let text = String::from_utf8_lossy(&answer.body);
        format!("the body {body:?} was answered {}: {text}", answer.status)
    })?;
    context.settle(rest).await?;
    Ok(Attempted { context, answer, body })
}

/// Adds what is wanted beyond what the row's own schema names.
fn add_forbidden(body: &mut Map<String, Value>, own: &[String], forbidden_fields: [Value; 4]) {
    for group in forbidden_fields {
        let Value::Object(group) = group else { continue };
        body.extend(group.into_iter().filter(|(name, _)| !own.contains(name)));
    }
}

/// What nobody may set by a body: of the victim's, or such as there is none of yet.
fn forbidden_fields(context: &TestContext, whose: Whose) -> [Value; 4] {
    let fresh = context.unused_id;
    let (user, channel, message) = match whose {
        Whose::Victims => {
            let message = context.theirs.message.as_str();
            (context.victim.session.account.user_id, context.theirs.channel, message)
        }
        Whose::Nobodys => (fresh, fresh, "7"),
    };
    let time = "2001-01-01T00:00:00.000Z";
    let tag = &context.tag;
    let ids = json!({
        "id": channel, "user_id": user, "user": { "id": user }, "owner_id": user, "creator_id": user, "created_by": user,
        "sender": { "id": user, "username": "x" }, "sender_id": user, "actor_id": user, "author_id": user,
        "channel_id": channel, "message_id": message, "client_id": user, "reply_to": message, "session_id": user,
        "device_id": user, "members": [user], "member_ids": [user], "user_ids": [user],
    });
    let rank = json!({
        "role": "owner", "roles": ["owner", "admin"], "server_role": "administrator", "is_admin": true, "admin": true,
        "is_owner": true, "permissions": ["*"], "scope": "admin", "state": "accepted", "verified": true,
        "email": format!("x{tag}@example.org"), "username": format!("x{tag}"), "password": "taken over by x",
        "email_verified": true, "password_hash": "x", "type": "public", "kind": "public", "status": "dnd",
        "description": DESCRIPTION,
    });
    let numbers = json!({
        "seq": 990_099, "change": 990_099, "version": 990_099, "last_seq": 990_099, "last_change": 990_099,
        "from_id": 990_099, "to_id": 990_099, "partition": 3, "offset": 990_099, "stamp": 990_099, "count": 990_099,
        "unread_count": 990_099, "last_read_id": message, "last_delivered_id": message, "last_message_id": message,
    });
    let times = json!({
        "created_at": time, "updated_at": time, "edited_at": time, "deleted_at": time, "joined_at": time,
        "accepted_at": time, "erased_at": time, "ended_at": time, "last_seen_at": time, "expires_at": time,
        "muted_until": "2098-01-01T00:00:00.000Z", "deleted": true, "edited": true, "muted": true, "pinned": true,
        "ended": false, "current": true,
    });
    [ids, rank, numbers, times]
}
