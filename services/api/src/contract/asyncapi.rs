//! The AsyncAPI 3.0 document: the WebSocket's frames, made of their table and the schemas beside it.

use serde_json::{Map, Value, json};

use super::frames::{COMMANDS, EVENTS, Frame};
use super::openapi::VERSION;
use super::{EXAMPLES, SCHEMAS, read};

/// The client's name for a command, in the examples.
const ID: &str = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";
/// Commands whose answer is a frame of its own: it has the command's `id`.
const ANSWERS: [&str; 6] = ["message.ack", "sync.page", "sync.done", "auth.ok", "pong", "error"];

pub(super) fn document() -> Value {
    let frames = || COMMANDS.iter().chain(EVENTS);
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Ringside, live",
            "version": VERSION,
            "description": "One WebSocket, `/ws`, on the edge and on the API's port. The access token goes into the handshake: \
                `Authorization: Bearer <token>`, or, in a browser, the subprotocols `ringside.v1` and `bearer.<token>`. Every \
                frame is one JSON text message. Close codes: 40xx don't come back; 41xx back off and come back; 42xx come \
                back at once.",
            "license": {"name": "Apache-2.0"},
        },
        "servers": {
            "edge": {
                "host": "{host}",
                "protocol": "wss",
                "description": "The edge, or the API's port, where TLS is on or a proxy ends it. `GET /api/v1/edge` says \
                    which.",
                "variables": {"host": {"default": "chat.example.org", "description": "Name and port."}},
                "security": [{"$ref": "#/components/securitySchemes/token"}],
            },
            "local": {
                "host": "{host}",
                "protocol": "ws",
                "description": "The same without TLS, as a server is found on one's own machine.",
                "variables": {"host": {"default": "127.0.0.1:8081", "description": "Address and port."}},
                "security": [{"$ref": "#/components/securitySchemes/token"}],
            },
        },
        "defaultContentType": "application/json",
        "channels": {
            "live": {
                "address": "/ws",
                "messages": frames().map(|frame| (frame.kind.to_owned(), reference("messages", frame.kind))).collect::<Value>(),
                "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
            },
        },
        "operations": {
            "command": operation("receive", "What clients send.", COMMANDS),
            "event": operation("send", "What the server sends.", EVENTS),
        },
        "components": {
            "messages": frames().map(|frame| (frame.kind.to_owned(), message(frame))).collect::<Value>(),
            "schemas": schemas(),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "From `POST /api/v1/auth/login`."},
            },
        },
    })
}

fn operation(action: &str, summary: &str, frames: &[Frame]) -> Value {
    let place = |frame: &Frame| json!({"$ref": format!("#/channels/live/messages/{}", frame.kind)});
    json!({
        "action": action,
        "summary": summary,
        "channel": {"$ref": "#/channels/live"},
        "messages": frames.iter().map(place).collect::<Value>(),
    })
}

fn message(frame: &Frame) -> Value {
    let mut properties = json!({
        "type": {"const": frame.kind},
        "id": {"type": "string", "maxLength": 128, "description": "The client's name for a command, echoed on the answer to it."},
    });
    let mut required = vec!["type"];
    if frame.payload.is_empty() {
        properties["payload"] = json!({});
    } else {
        properties["payload"] = reference("schemas", frame.payload);
        required.push("payload");
    }
    json!({
        "name": frame.kind,
        "summary": frame.summary,
        "examples": [example(frame)],
        "payload": {"type": "object", "required": required, "properties": properties},
    })
}

/// A frame as it is sent.
fn example(frame: &Frame) -> Value {
    let mut example = json!({"type": frame.kind});
    let is_command = COMMANDS.iter().any(|command| command.kind == frame.kind);
    if is_command || ANSWERS.contains(&frame.kind) {
        example["id"] = ID.into();
    }
    if frame.payload.is_empty() {
        example["payload"] = json!({"at": 1});
    } else {
        example["payload"] = EXAMPLES[frame.payload].clone();
    }
    json!({"name": frame.kind, "summary": frame.summary, "payload": example})
}

/// The schemas of the frames, and of REST as far as they lead there.
fn schemas() -> Map<String, Value> {
    let (mut schemas, mut shared) = (read(include_str!("frames.json")), SCHEMAS.clone());
    schemas.extend(COMMANDS.iter().chain(EVENTS).filter_map(|frame| shared.remove_entry(frame.payload)));
    loop {
        let text = Value::Object(schemas.clone()).to_string();
        let named = text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next());
        let missing: Vec<_> = named.filter_map(|name| shared.remove_entry(name)).collect();
        if missing.is_empty() {
            return schemas;
        }
        schemas.extend(missing);
    }
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}
