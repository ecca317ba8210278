//! The OpenAPI 3.1 document, made of the table of operations and the schemas beside it.

use serde_json::{Map, Value, json};

use super::operations::{Access, Answer, GROUPS, Operation};

/// The version of the contract, by semantic versioning: what breaks a client raises the first number.
pub(super) const VERSION: &str = "1.0.0";
const PREFIX: &str = "/api/v1";
const SCHEMAS: &str = include_str!("schemas.json");

/// What every problem is for.
const REFUSALS: [(u16, &str); 11] = [
    (400, "The request can't be read, or a parameter is not what it must be."),
    (401, "No access token, or one that is not valid (any more)."),
    (403, "The caller may not do this; `not_a_member`: they are not in the channel."),
    (404, "There is nothing under this id that the caller may know of."),
    (408, "The request was not complete, or not done, in time."),
    (409, "It contradicts what is there; `code` says what."),
    (413, "The body is too large."),
    (415, "The body is no `application/json`."),
    (422, "Fields are not valid; `errors` names them."),
    (429, "A limit is reached; `Retry-After` says when to come back."),
    (503, "Not confirmed: it may have been done all the same. Try again."),
];

/// The document.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for (tag, operations) in GROUPS {
        for operation in *operations {
            let path = paths.entry(format!("{PREFIX}{}", operation.path)).or_insert_with(|| json!({}));
            path[operation.method] = described(tag, operation);
        }
    }
    let schemas: Value = serde_json::from_str(SCHEMAS).expect("the schemas are JSON: a test reads them");
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
        "tags": GROUPS.iter().map(|(tag, _)| json!({"name": tag})).collect::<Value>(),
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
    let mut described = json!({
        "tags": [tag],
        "summary": operation.summary,
        "operationId": operation_id(operation),
        "parameters": parameters_of(operation),
        "responses": responses(operation),
        "security": match operation.access {
            Access::Open => json!([]),
            Access::Token => json!([{"token": []}]),
        },
    });
    if let Some(schema) = operation.body {
        let content = json!({"application/json": {"schema": schema_ref(schema)}});
        described["requestBody"] = json!({"required": true, "content": content});
    }
    described
}

/// `get /channels/{channel_id}/pins` is `getChannelsByChannelIdPins`.
fn operation_id(operation: &Operation) -> String {
    let mut id = operation.method.to_owned();
    for word in operation.path.split(['/', '_', '.', '}']).filter(|word| !word.is_empty()) {
        let (by, word) = word.strip_prefix('{').map_or(("", word), |name| ("By", name));
        id.push_str(by);
        id.push_str(&word[..1].to_ascii_uppercase());
        id.push_str(&word[1..]);
    }
    id
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
    let mut schema = schema_ref(answer.schema);
    if answer.is_list {
        schema = json!({
            "type": "object",
            "required": ["items", "next_cursor"],
            "properties": {
                "items": {"type": "array", "items": schema},
                "next_cursor": schema_ref("NextCursor"),
            },
        });
    }
    let kind = if answer.schema == "KeySet" { "application/jwk-set+json" } else { "application/json" };
    let mut content = Map::new();
    content.insert(kind.into(), json!({"schema": schema}));
    json!({"description": description, "content": content})
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
    let refusal = |(status, description): (u16, &str)| {
        let content = json!({"application/problem+json": {"schema": schema_ref("Problem")}});
        (status.to_string(), json!({"description": description, "content": content}))
    };
    Value::Object(REFUSALS.into_iter().map(refusal).collect())
}

fn parameters() -> Value {
    let message = schema_ref("MessageId");
    let text = json!({"type": "string"});
    let states = json!({"type": "string", "enum": ["outgoing", "incoming", "accepted"]});
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
            "schema": schema_ref("Id"),
            "description": "Requests under one key within 24 hours are done once.",
        },
    })
}

fn schema_ref(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}
