//! Valid bodies, made from the server's own document.

use ringside_test_client::rest::password_of;
use serde_json::{Map, Value, json};

use super::test_context::TestContext;
use crate::test_server::Failed;

/// Deeper than this no body is.
const MAX_DEPTH: usize = 8;

/// `/openapi.json`.
pub(super) struct Document(pub Value);

impl Document {
    /// Every operation: its path, method and description.
    pub(super) fn operations(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        let paths = self.0["paths"].as_object().into_iter().flatten();
        paths.flat_map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
    }

    /// What a `$ref` stands for, or the thing itself.
    pub(super) fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        while let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix('#')) {
            schema = self.0.pointer(name).unwrap_or(&Value::Null);
        }
        schema
    }

    /// The fields that a body may have by its own schema.
    pub(super) fn names(&self, schema: Option<&Value>) -> Vec<String> {
        let Some(schema) = schema else { return Vec::new() };
        let (properties, _) = self.parts(self.resolve(schema));
        properties.into_iter().map(|(name, _)| name).collect()
    }

    /// A body as this schema wants it.
    pub(super) fn body(&self, schema: &Value, context: &TestContext) -> Result<Value, Failed> {
        self.value("", schema, context, 0)
    }

    /// Properties and required names of an object, with those of its first alternative.
    fn parts(&self, schema: &Value) -> (Map<String, Value>, Vec<String>) {
        let mut properties = Map::new();
        let mut required = Vec::new();
        let alternative = schema["anyOf"].get(0).or_else(|| schema["oneOf"].get(0));
        for part in [Some(schema), alternative].into_iter().flatten() {
            let part = self.resolve(part);
            for (name, property) in part["properties"].as_object().into_iter().flatten() {
                let property = self.resolve(property);
                let known = properties.entry(name.clone()).or_insert_with(|| json!({}));
                if let (Some(known), Some(property)) = (known.as_object_mut(), property.as_object()) {
                    known.extend(property.clone());
                }
                if !property["const"].is_null() {
                    required.push(name.clone());
                }
            }
            let names = part["required"].as_array().into_iter().flatten();
            required.extend(names.filter_map(Value::as_str).map(str::to_owned));
        }
        (properties, required)
    }

    fn value(
        &self,
        name: &str,
        schema: &Value,
        context: &TestContext,
        depth: usize,
    ) -> Result<Value, Failed> {
        let schema = self.resolve(schema);
        if depth > MAX_DEPTH {
            return Err(Failed(format!("{name} is nested too deep")));
        }
        if !schema["const"].is_null() {
            return Ok(schema["const"].clone());
        }
        let choice = schema["enum"].as_array().into_iter().flatten().find(|choice| !choice.is_null());
        if let Some(choice) = choice {
            return Ok(choice.clone());
        }
        // Of alternatives the first has its turn below.
        if schema["oneOf"].is_null()
            && let Some(known) = by_name(name, context)
        {
            return Ok(known);
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
            kind => kind.as_str(),
        };
        Ok(match kind {
            Some("string") if schema["format"] == "date-time" => json!("2099-01-01T00:00:00.000Z"),
            Some("string") => json!("words"),
            Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
            Some("boolean") => json!(true),
            Some("array") => json!([self.value(name, &schema["items"], context, depth + 1)?]),
            None if schema["properties"].is_null() && !schema["oneOf"].is_null() => {
                self.value(name, &schema["oneOf"][0], context, depth + 1)?
            }
            Some("object") | None if !schema["properties"].is_null() => {
                let (properties, required) = self.parts(schema);
                let mut object = Map::new();
                for (name, property) in properties {
                    if required.is_empty() || required.contains(&name) {
                        let value = self.value(&name, &property, context, depth + 1)?;
                        object.insert(name, value);
                    }
                }
                Value::Object(object)
            }
            Some("object") => json!({}),
            _ => return Err(Failed(format!("no value is known for {name}: {schema}"))),
        })
    }
}

/// What only the context knows.
fn by_name(name: &str, context: &TestContext) -> Option<Value> {
    let friend = context.friend.session.account.user_id;
    Some(match name {
        "user_id" => json!(friend),
        "user_ids" | "member_ids" => json!([friend]),
        "channel_id" => json!(context.own.channel),
        "message_id" | "reply_to" => json!(context.own.message),
        "login" => json!(context.mallory.username),
        "current" | "password" => json!(password_of(&context.mallory.username)),
        "new" => json!("a wholly new password"),
        "refresh_token" => json!(context.mallory.session.refresh_token),
        "email" => json!(format!("new{}@example.org", context.tag)),
        "username" => json!(format!("new{}", context.tag)),
        "avatar_url" => json!("https://example.org/a.png"),
        _ => return None,
    })
}
