//! What was published is kept: `published/openapi.json` is the document as clients know it. A change that breaks them is
//! refused unless the version's first number rises; any other is taken up with `RINGSIDE_REGENERATE=1`.

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::TestContext;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/published/openapi.json");

/// What of `old` a client may rely on and `new` does not have.
struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    broken: Vec<String>,
}

impl Comparison<'_> {
    fn documents(&mut self) {
        for (path, methods) in self.old["paths"].as_object().into_iter().flatten() {
            for (method, old) in methods.as_object().into_iter().flatten() {
                let name = format!("{method} {path}");
                match self.new["paths"][path].get(method) {
                    Some(new) => self.operation(&name, old, &new.clone()),
                    None => self.broken.push(format!("{name} is gone")),
                }
            }
        }
    }

    fn operation(&mut self, name: &str, old: &Value, new: &Value) {
        for (status, answer) in old["responses"].as_object().into_iter().flatten() {
            let (old, now) = (resolved(self.old, answer), resolved(self.new, &new["responses"][status]));
            if !now.is_object() {
                self.broken.push(format!("{name} answers {status} no more"));
            }
            for (kind, content) in old["content"].as_object().into_iter().flatten() {
                let place = format!("{name} {status}");
                self.answered(&place, &content["schema"], &now["content"][kind]["schema"], 0);
            }
        }
        let body =
            |operation: &Value| operation["requestBody"]["content"]["application/json"]["schema"].clone();
        self.asked(&format!("{name} body"), &body(old), &body(new), 0);
        let known: Vec<Value> = list(&old["parameters"]).iter().map(|one| resolved(self.old, one)).collect();
        for parameter in list(&new["parameters"]) {
            let parameter = resolved(self.new, parameter);
            let is_new = !known.iter().any(|one| one["name"] == parameter["name"]);
            if is_new && parameter["required"] == true {
                self.broken.push(format!("{name} needs the new parameter {}", parameter["name"]));
            }
        }
    }

    /// What is answered may grow: nothing that was always there may go, nothing may change its type.
    fn answered(&mut self, place: &str, old: &Value, new: &Value, depth: usize) {
        let (old, new) = (resolved(self.old, old), resolved(self.new, new));
        if !covers(&old["type"], &new["type"]) {
            self.broken.push(format!("{place} was {}, is {}", old["type"], new["type"]));
        }
        for name in list(&old["required"]) {
            if !list(&new["required"]).contains(name) {
                self.broken.push(format!("{place}: {name} is not always there any more"));
            }
        }
        self.inside(place, &old, &new, depth, Self::answered);
    }

    /// What is asked may become less: nothing new may be needed, nothing may become narrower.
    fn asked(&mut self, place: &str, old: &Value, new: &Value, depth: usize) {
        let (old, new) = (resolved(self.old, old), resolved(self.new, new));
        if !covers(&new["type"], &old["type"]) {
            self.broken.push(format!("{place} took {}, takes {}", old["type"], new["type"]));
        }
        for name in list(&new["required"]) {
            if !list(&old["required"]).contains(name) {
                self.broken.push(format!("{place}: {name} is needed now"));
            }
        }
        for value in list(&old["enum"]) {
            if !list(&new["enum"]).is_empty() && !list(&new["enum"]).contains(value) {
                self.broken.push(format!("{place} takes {value} no more"));
            }
        }
        self.inside(place, &old, &new, depth, Self::asked);
    }

    fn inside(
        &mut self,
        place: &str,
        old: &Value,
        new: &Value,
        depth: usize,
        compare: fn(&mut Self, &str, &Value, &Value, usize),
    ) {
        // Nothing in the contract nests deeper; a message that held messages would end here.
        if depth > 8 {
            return;
        }
        for (name, property) in old["properties"].as_object().into_iter().flatten() {
            if let Some(now) = new["properties"].get(name) {
                compare(self, &format!("{place}.{name}"), property, now, depth + 1);
            }
        }
        if old.get("items").is_some() {
            compare(self, &format!("{place}[]"), &old["items"], &new["items"], depth + 1);
        }
    }
}

/// Where a reference leads. What may be null is what else it may be; of a choice of objects it is all that any has: what
/// one of them may leave out, or takes, may be left out, or is taken.
fn resolved(document: &Value, node: &Value) -> Value {
    let node = match node["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).cloned().unwrap_or_default(),
        None => node.clone(),
    };
    let is_null = |one: &&Value| one["type"] == "null";
    let choices: Vec<Value> =
        list(&node["oneOf"]).iter().filter(|one| !is_null(one)).map(|one| resolved(document, one)).collect();
    let may_be_null = list(&node["oneOf"]).iter().any(|one| is_null(&one));
    let mut whole = match &choices[..] {
        [] => return node,
        [first, others @ ..] => others.iter().fold(first.clone(), |whole, other| either(&whole, other)),
    };
    if may_be_null {
        whole["type"] = all(&whole["type"]).into_iter().chain([json!("null")]).collect();
        if let Some(values) = whole["enum"].as_array_mut() {
            values.push(Value::Null);
        }
    }
    whole
}

fn either(one: &Value, other: &Value) -> Value {
    let both =
        |name: &Value| list(&one["required"]).contains(name) && list(&other["required"]).contains(name);
    let required: Vec<Value> = list(&one["required"]).iter().filter(|name| both(name)).cloned().collect();
    let mut properties = one["properties"].as_object().cloned().unwrap_or_default();
    for (name, property) in other["properties"].as_object().into_iter().flatten() {
        let known = properties.entry(name).or_insert_with(|| property.clone());
        if known["enum"].is_array() && property["enum"].is_array() {
            known["enum"] = list(&known["enum"]).iter().chain(list(&property["enum"])).cloned().collect();
        }
    }
    json!({"type": one["type"], "required": required, "properties": properties})
}

fn list(node: &Value) -> &[Value] {
    node.as_array().map_or(&[], Vec::as_slice)
}

/// The types that a node names: one, or several.
fn all(node: &Value) -> Vec<Value> {
    if node.is_string() { vec![node.clone()] } else { list(node).to_vec() }
}

/// Whether one type is all of another, where both say one.
fn covers(wide: &Value, narrow: &Value) -> bool {
    let (wide, narrow) = (all(wide), all(narrow));
    wide.is_empty() || narrow.iter().all(|one| wide.contains(one))
}

fn broken(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison { old, new, broken: Vec::new() };
    comparison.documents();
    comparison.broken
}

fn major(document: &Value) -> u64 {
    let version = document["info"]["version"].as_str().unwrap_or_default();
    version.split('.').next().and_then(|first| first.parse().ok()).expect("a version like 1.2.3")
}

#[tokio::test]
async fn no_client_is_broken_unless_the_version_says_so() {
    let now = TestContext::new().await.document("/openapi.json").await;
    let regenerate = std::env::var_os("RINGSIDE_REGENERATE").is_some();
    if !Path::new(FILE).exists() && regenerate {
        std::fs::write(FILE, "{}").expect("writes");
    }
    let published = std::fs::read_to_string(FILE).expect("published/openapi.json");
    let published: Value = serde_json::from_str(&published).expect("JSON");
    let broken = broken(&published, &now);
    let is_announced = published["info"].is_object() && major(&now) > major(&published);
    assert!(
        broken.is_empty() || is_announced,
        "this breaks clients; raise the version's first number: {broken:#?}"
    );
    if regenerate {
        std::fs::write(FILE, format!("{now:#}\n")).expect("writes");
    } else {
        assert!(
            published == now,
            "the document has grown: run this test with RINGSIDE_REGENERATE=1, and read the diff"
        );
    }
}

#[test]
fn what_breaks_a_client_is_seen() {
    let schema = |required: Value, kind: &str| json!({"type": "object", "required": required, "properties": {"a": {"type": kind}, "b": {"type": "string"}}});
    let document = |body: Value, answer: Value| {
        let operation = json!({
            "requestBody": {"content": {"application/json": {"schema": body}}},
            "responses": {"200": {"content": {"application/json": {"schema": answer}}}},
        });
        json!({"paths": {"/x": {"post": operation}}})
    };
    let plain = || schema(json!(["a"]), "string");
    let old = document(plain(), plain());
    let check = |new: Value, expected: &[&str]| {
        let broken = broken(&old, &new);
        assert_eq!(broken, expected, "{new}");
    };
    check(old.clone(), &[]);
    check(document(schema(json!([]), "string"), schema(json!(["a", "b"]), "string")), &[]);
    check(json!({"paths": {}}), &["post /x is gone"]);
    check(document(schema(json!(["a", "b"]), "string"), plain()), &["post /x body: \"b\" is needed now"]);
    check(
        document(plain(), schema(json!([]), "string")),
        &["post /x 200: \"a\" is not always there any more"],
    );
    check(
        document(plain(), schema(json!(["a"]), "integer")),
        &["post /x 200.a was \"string\", is \"integer\""],
    );
    check(
        document(schema(json!(["a"]), "integer"), plain()),
        &["post /x body.a took \"string\", takes \"integer\""],
    );
    let choice = |kinds: [&str; 2]| {
        let one = |kind: &str| json!({"type": "object", "required": ["kind", kind], "properties": {"kind": {"type": "string", "enum": [kind]}}});
        json!({"oneOf": kinds.map(one)})
    };
    let old = document(choice(["a", "b"]), plain());
    assert_eq!(broken(&old, &document(choice(["b", "a"]), plain())), Vec::<String>::new());
    assert_eq!(
        broken(&old, &document(choice(["a", "c"]), plain())),
        ["post /x body.kind takes \"b\" no more"]
    );
}
