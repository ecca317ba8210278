//! The OpenAPI 3.1 document, made of the table of operations, and of their words, the schemas and the examples beside it.
//!
//! It is written for generators of clients as well: every body has a name, every list says of what, where there is a choice
//! a field tells which, and an operation's id is what its function is to be called.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::operations::{Access, Answer, GROUPS, Operation};
use super::{EXAMPLES, SCHEMAS, read};

/// The version of the contract, by semantic versioning: what breaks a client raises the first number.
pub(super) const VERSION: &str = "1.1.0";
const PREFIX: &str = "/api/v1";

/// Each operation's summary and description, by its id.
static WORDS: LazyLock<Map<String, Value>> = LazyLock::new(|| read(include_str!("operations.json")));

/// A problem's status, code and sentence, and what it is for.
type Refusal = (u16, &'static str, &'static str, &'static str);

const REFUSALS: [Refusal; 11] = [
    (
        400,
        "bad_request",
        "`limit` is from 1 to 100.",
        "The request can't be read, or a parameter is not what it must be.",
    ),
    (
        401,
        "unauthorized",
        "Send an access token: `Authorization: Bearer <token>`.",
        "No access token, or one that is not valid (any more).",
    ),
    (
        403,
        "not_a_member",
        "You are not a member of this channel.",
        "The caller may not do this; `not_a_member`: they are not in the channel, which is a public one.",
    ),
    (
        404,
        "not_found",
        "There is no such channel, or you are not in it.",
        "There is nothing under this id that the caller may know of.",
    ),
    (
        408,
        "request_timeout",
        "The request was not complete, or not done, within 30 seconds.",
        "The request was not complete, or not done, in time.",
    ),
    (
        409,
        "username_taken",
        "Another account has this username; choose another, or sign in.",
        "It contradicts what is there; `code` says what.",
    ),
    (413, "payload_too_large", "The body is larger than 524288 bytes.", "The body is too large."),
    (
        415,
        "unsupported_media_type",
        "Send the body as `Content-Type: application/json`.",
        "The body is no `application/json`.",
    ),
    (
        422,
        "invalid",
        "Some fields are not valid.",
        "Fields are missing or not valid; `errors` names them all.",
    ),
    (
        429,
        "rate_limited",
        "Too many requests; try again later.",
        "A limit is reached; `Retry-After` says when to come back.",
    ),
    (
        503,
        "unavailable",
        "The request was not confirmed; it may have been done. Try again.",
        "Not confirmed: it may have been done all the same. Try again.",
    ),
];

pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for (tag, _, operations) in GROUPS {
        for operation in *operations {
            let path = paths.entry(format!("{PREFIX}{}", operation.path)).or_insert_with(|| json!({}));
            path[operation.method] = described(tag, operation);
        }
    }
    let mut schemas = SCHEMAS.clone();
    schemas.extend(lists());
    let tag = |(name, about, _): &(&str, &str, &[Operation])| json!({"name": name, "description": about});
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ringside",
            "version": VERSION,
            "summary": "A chat server that you run yourself.",
            "description": "Times are RFC 3339 UTC with milliseconds. Message ids are decimal strings. Unknown fields are \
                ignored. Live events come over the WebSocket that asyncapi.json describes.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": GROUPS.iter().map(tag).collect::<Value>(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": parameters(),
            "responses": refusals(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    })
}

fn described(tag: &str, operation: &Operation) -> Value {
    let words = &WORDS[operation.id];
    let mut described = json!({
        "tags": [tag],
        "summary": words["summary"],
        "description": words["description"],
        "operationId": operation.id,
        "parameters": parameters_of(operation),
        "responses": responses(operation),
        "security": match operation.access {
            Access::Open => json!([]),
            Access::Token => json!([{"token": []}]),
        },
    });
    if let Some(schema) = operation.body {
        let content =
            json!({"application/json": {"schema": schema_ref(schema), "example": EXAMPLES[schema]}});
        described["requestBody"] = json!({"required": true, "content": content});
    }
    described
}

/// The lists that are answered, each with a name of its own.
fn lists() -> Map<String, Value> {
    let answers = GROUPS.iter().flat_map(|(_, _, operations)| *operations).flat_map(|one| one.answers);
    let list = |answer: &Answer| {
        let schema = json!({
            "type": "object",
            "required": ["items", "next_cursor"],
            "properties": {
                "items": {"type": "array", "items": schema_ref(answer.schema)},
                "next_cursor": schema_ref("NextCursor"),
            },
        });
        (list_of(answer.schema), schema)
    };
    answers.filter(|answer| answer.is_list).map(list).collect()
}

fn list_of(schema: &str) -> String {
    format!("{schema}List")
}

fn parameters_of(operation: &Operation) -> Value {
    let in_path = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| {
        let schema = match name {
            "emoji" => "Emoji",
            "message_id" => "MessageId",
            _ => "Id",
        };
        json!({"name": name, "in": "path", "required": true, "schema": schema_ref(schema)})
    });
    let named = operation.query.iter().chain(operation.headers);
    in_path.chain(named.map(|name| json!({"$ref": format!("#/components/parameters/{name}")}))).collect()
}

fn responses(operation: &Operation) -> Value {
    let mut responses = Map::new();
    for answer in operation.answers {
        responses.insert(answer.status.to_string(), answered(*answer));
    }
    for status in implied(operation) {
        let refusal = json!({"$ref": format!("#/components/responses/{status}")});
        responses.insert(status.to_string(), refusal);
    }
    responses.into()
}

fn answered(answer: Answer) -> Value {
    let description = match answer.status {
        200 => "Done.",
        201 => "Made.",
        202 => "The log has it durably; it will be done.",
        _ => "Done; there is nothing to say.",
    };
    if answer.schema.is_empty() {
        return json!({"description": description});
    }
    let example = &EXAMPLES[answer.schema];
    let content = if answer.is_list {
        let example = json!({"items": [example], "next_cursor": null});
        json!({"schema": schema_ref(&list_of(answer.schema)), "example": example})
    } else {
        json!({"schema": schema_ref(answer.schema), "example": example})
    };
    let kind = if answer.schema == "KeySet" { "application/jwk-set+json" } else { "application/json" };
    json!({"description": description, "content": {kind: content}})
}

/// What an operation may refuse with: what it says itself, and what its parts imply.
fn implied(operation: &Operation) -> Vec<u16> {
    let mut statuses = vec![408, 429, 503];
    statuses.extend(operation.refusals);
    if operation.access == Access::Token {
        statuses.push(401);
    }
    if operation.path.contains('{') {
        statuses.push(404);
    }
    if !operation.query.is_empty() || !operation.headers.is_empty() || operation.path.contains('{') {
        statuses.push(400);
    }
    if operation.body.is_some() {
        statuses.extend([400, 413, 415, 422]);
    }
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

fn refusals() -> Value {
    let refusal = |(status, code, detail, description): Refusal| {
        let title =
            axum::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        let mut example = json!({
            "type": format!("urn:ringside:problem:{code}"),
            "title": title,
            "status": status,
            "detail": detail,
            "code": code,
        });
        match status {
            422 => example["errors"] = json!([{"field": "username", "message": "`username` is missing."}]),
            429 => example["retry_after_ms"] = 1_500.into(),
            _ => {}
        }
        let problem = json!({"schema": schema_ref("Problem"), "example": example});
        let content = json!({"application/problem+json": problem});
        (status.to_string(), json!({"description": description, "content": content}))
    };
    Value::Object(REFUSALS.into_iter().map(refusal).collect())
}

fn parameters() -> Value {
    let message = schema_ref("MessageId");
    // A UUID; generated clients would put one of that format into a header as it is, which is no text.
    let key = json!({
        "type": "string",
        "minLength": 36,
        "maxLength": 36,
        "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    });
    let text = json!({"type": "string"});
    let states = schema_ref("ContactState");
    let limit = json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 50});
    let words = json!({"type": "string"});
    let query = |name: &str, schema: &Value, description: &str| json!({"name": name, "in": "query", "schema": schema, "description": description});
    let text_asked = query(
        "q",
        &words,
        "The beginning of any word of a name, or a whole e-mail address; nothing: everyone.",
    );
    let mut users_asked = query("user_ids", &text, "Up to 100 user ids, with commas between.");
    users_asked["required"] = true.into();
    json!({
        "UserIds": users_asked,
        "Limit": query("limit", &limit, "Items at the most."),
        "Cursor": query("cursor", &text, "`next_cursor` of the answer before."),
        "MessageCursor": query("cursor", &message, "`next_cursor` of the answer before."),
        "Text": text_asked,
        "NamePart": query("q", &json!({"type": "string"}), "Only channels whose names hold this."),
        "ContactState": query("state", &states, "Only contacts in this state."),
        "Before": query("before", &message, "Only messages older than this one."),
        "After": query("after", &message, "Only messages newer than this one."),
        "Around": query("around", &message, "This message, and what stands around it."),
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "schema": key,
            "description": "A UUID. Requests under one key within 24 hours are done once.",
        },
    })
}

fn schema_ref(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}
