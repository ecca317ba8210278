//! The AsyncAPI 3.0 document: the WebSocket's frames, made of their table and the schemas beside it.

use serde_json::{Map, Value, json};

use super::frames::{COMMANDS, EVENTS, Frame};
use super::openapi::VERSION;

const SCHEMAS: &str = include_str!("frames.json");
const SHARED: &str = include_str!("schemas.json");

/// The document.
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
        "payload": {"type": "object", "required": required, "properties": properties},
    })
}

/// The schemas of the frames, and of REST as far as they lead there.
fn schemas() -> Map<String, Value> {
    let read = |text| {
        serde_json::from_str::<Map<String, Value>>(text).expect("the schemas are JSON: a test reads them")
    };
    let (mut schemas, mut shared) = (read(SCHEMAS), read(SHARED));
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
