//! `/openapi.json` against the running API: no route without its words, no words without a route, and no answer that is
//! not as the document says.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Validator;
use ringside_api::table::UNIMPLEMENTED;
use serde_json::{Map, Value, json};
use support::{Answer, PASSWORD, Person, TestContext, person, registration};
use uuid::Uuid;

const PREFIX: &str = "/api/v1";
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// What the document says, and what of it has been seen.
struct Contract {
    document: Value,
    done: BTreeSet<String>,
}

impl Contract {
    async fn of(context: &TestContext) -> Self {
        Self { document: context.document("/openapi.json").await, done: BTreeSet::new() }
    }

    /// Every operation as `get /channels/{}`.
    fn operations(&self) -> BTreeSet<String> {
        let paths = self.document["paths"].as_object().expect("paths");
        let named = |(path, methods): (&String, &Value)| {
            let methods = methods.as_object().expect("methods").keys().cloned();
            let path = nameless(path.strip_prefix(PREFIX).expect("all are under the prefix"));
            methods.map(move |method| format!("{method} {path}")).collect::<Vec<_>>()
        };
        paths.iter().flat_map(named).collect()
    }

    /// Holds an answer against the document.
    fn check(&mut self, method: &str, path: &str, answer: &Answer) {
        let asked = path.split('?').next().unwrap_or(path);
        let (template, operation) = self.operation(&method.to_lowercase(), asked);
        let name = format!("{} {}", method.to_lowercase(), nameless(&template));
        let status = answer.status.to_string();
        let described = self.resolved(&operation["responses"][&status]);
        assert!(
            described.is_object(),
            "{name} answers {status}, which is not in the document: {}",
            answer.body
        );
        let content = described["content"].as_object();
        match content.and_then(|content| content.iter().next()) {
            None => assert_eq!(answer.body, Value::Null, "{name} {status} has no body in the document"),
            Some((kind, content)) => {
                let sent = answer.headers.get("content-type").and_then(|kind| kind.to_str().ok());
                assert_eq!(sent, Some(kind.as_str()), "{name} {status}");
                self.validate(&content["schema"], &answer.body, &format!("{name} {status}"));
            }
        }
        if answer.status < 300 {
            self.done.insert(name);
        }
    }

    /// A fixed path goes before one with a name in its place.
    fn operation(&self, method: &str, path: &str) -> (String, Value) {
        let paths = self.document["paths"].as_object().expect("paths");
        let mut fitting: Vec<_> = paths
            .iter()
            .filter_map(|(template, methods)| Some((template.strip_prefix(PREFIX)?, methods.get(method)?)))
            .filter(|(template, _)| fits(template, path))
            .collect();
        fitting.sort_by_key(|(template, _)| template.matches('{').count());
        let (template, operation) =
            fitting.first().unwrap_or_else(|| panic!("{method} {path}: not in the document"));
        ((*template).to_owned(), (*operation).clone())
    }

    fn resolved(&self, node: &Value) -> Value {
        match node["$ref"].as_str() {
            Some(reference) => {
                self.document.pointer(&reference[1..]).expect("a reference leads somewhere").clone()
            }
            None => node.clone(),
        }
    }

    fn validate(&self, schema: &Value, body: &Value, what: &str) {
        let mut whole = closed(schema.clone());
        whole["components"] = json!({"schemas": {}});
        for (name, schema) in self.document["components"]["schemas"].as_object().expect("schemas") {
            whole["components"]["schemas"][name] = closed(schema.clone());
        }
        let validator: Validator =
            jsonschema::options().should_validate_formats(true).build(&whole).expect("a schema");
        let errors: Vec<String> =
            validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{what}: {errors:#?} in {body}");
    }
}

/// Every node of a document, with where it is.
fn nodes<'a>(node: &'a Value, place: &str, visit: &mut impl FnMut(&str, &'a Value)) {
    visit(place, node);
    match node {
        Value::Object(object) => {
            object.iter().for_each(|(key, value)| nodes(value, &format!("{place}/{key}"), visit));
        }
        Value::Array(items) => items.iter().for_each(|item| nodes(item, place, visit)),
        _ => {}
    }
}

/// The same, but nothing may be in an object that is not in the document.
fn closed(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(object) => {
            let is_closed = object.get("properties").is_some_and(|all| !is_free(object, all));
            for value in object.values_mut() {
                *value = closed(value.take());
            }
            if is_closed {
                object.insert("additionalProperties".into(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = closed(item.take())),
        _ => {}
    }
    schema
}

/// The user's own settings hold what the user likes.
fn is_free(object: &Map<String, Value>, properties: &Value) -> bool {
    object.get("required").is_none() && properties.get("privacy").is_some()
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len() && template.iter().zip(&path).all(|(t, p)| t.starts_with('{') || t == p)
}

/// The path with nameless places: `/channels/{}`.
fn nameless(path: &str) -> String {
    let place = |part: &str| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() };
    path.split('/').map(place).collect::<Vec<_>>().join("/")
}

/// Every path that the router is told of, as its source says.
fn routed() -> BTreeSet<String> {
    let source = include_str!("../src/router.rs");
    let paths = source.split(".route(").skip(1).filter_map(|rest| rest.split('"').nth(1));
    paths.filter(|path| path.starts_with('/')).map(nameless).collect()
}

#[tokio::test]
async fn every_route_has_its_words_and_all_words_their_route() {
    let context = TestContext::new().await;
    let documented = Contract::of(&context).await.operations();
    let ada = context.registered("ada").await;
    let mut there = BTreeSet::new();
    for path in routed() {
        let id = Uuid::now_v7().to_string();
        let refused = context.ask("PROPFIND", &path.replace("{}", &id), Some(&ada), None).await;
        assert_eq!(refused.status, 405, "{path}");
        let allowed = refused.headers.get("allow").and_then(|allow| allow.to_str().ok()).unwrap_or("");
        let allowed = allowed.split(',').map(|method| method.trim().to_lowercase());
        there.extend(allowed.filter(|m| METHODS.contains(&m.as_str())).map(|m| format!("{m} {path}")));
    }
    for (path, methods) in UNIMPLEMENTED {
        for method in methods {
            there.remove(&format!("{} {}", method.to_lowercase(), nameless(path)));
        }
    }
    assert_eq!(there, documented);
}

/// One walk through everything, each answer held against the document.
struct Walk {
    context: TestContext,
    contract: Contract,
}

impl Walk {
    async fn ask(&mut self, method: &str, path: &str, who: Option<&Person>, body: Option<Value>) -> Answer {
        let answer = self.context.ask(method, path, who, body).await;
        self.contract.check(method, path, &answer);
        answer
    }

    async fn as_user(&mut self, method: &str, path: &str, who: &Person, body: Option<Value>) -> Answer {
        let answer = self.ask(method, path, Some(who), body).await;
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        answer
    }

    async fn registered(&mut self, username: &str) -> Person {
        person(&self.ask("POST", "/auth/register", None, Some(registration(username))).await)
    }

    async fn accounts(&mut self, ada: &Person, bob: &Person) {
        let (bob_id, bye) = (&bob.id, self.registered("bye").await);
        let login = json!({"login": "ada", "password": PASSWORD, "device": "phone"});
        let phone = person(&self.ask("POST", "/auth/login", None, Some(login)).await);
        let refresh = |token: &str| Some(json!({"refresh_token": token}));
        let renewed = self.ask("POST", "/auth/refresh", None, refresh(&phone.refresh_token)).await;
        let token = renewed.body["refresh_token"].as_str().expect("a token").to_owned();
        self.ask("POST", "/auth/logout", None, refresh(&token)).await;
        self.ask("GET", "/auth/jwks.json", None, None).await;
        let other = self.context.login("ada", PASSWORD).await;
        let sessions = self.as_user("GET", "/auth/sessions?limit=10", ada, None).await;
        assert_eq!(sessions.body["items"].as_array().map(Vec::len), Some(2));
        let session =
            sessions.body["items"].as_array().expect("items").iter().find(|item| item["current"] == false);
        let session = session.and_then(|item| item["id"].as_str()).expect("the other session").to_owned();
        self.as_user("DELETE", &format!("/auth/sessions/{session}"), ada, None).await;
        assert_eq!(other.status, 200);
        let change = json!({"current": PASSWORD, "new": "another horse"});
        self.as_user("PUT", "/users/me/password", ada, Some(change)).await;
        let settings = json!({"privacy": {"email": "everyone"}, "theme": "dark"});
        let patch =
            json!({"display_name": "Ada", "avatar_url": "https://example.org/a.png", "settings": settings});
        self.as_user("PATCH", "/users/me", ada, Some(patch)).await;
        self.as_user("GET", "/users/me", ada, None).await;
        self.as_user("GET", "/users/me/export", ada, None).await;
        self.as_user("GET", "/users/search?q=bob", ada, None).await;
        self.as_user("GET", &format!("/users/{bob_id}"), ada, None).await;
        let contacts = "/users/me/contacts";
        self.as_user("POST", contacts, ada, Some(json!({"user_id": bob_id}))).await;
        self.as_user("GET", "/users/me/contacts?state=outgoing", ada, None).await;
        self.as_user("PUT", &format!("{contacts}/{}", ada.id), bob, None).await;
        self.as_user("DELETE", &format!("{contacts}/{}", ada.id), bob, None).await;
        self.as_user("PUT", &format!("/users/me/blocks/{}", bye.id), ada, None).await;
        self.as_user("GET", "/users/me/blocks", ada, None).await;
        self.as_user("DELETE", &format!("/users/me/blocks/{}", bye.id), ada, None).await;
        self.as_user("GET", &format!("/presence?user_ids={bob_id}"), ada, None).await;
        self.as_user("GET", "/edge", ada, None).await;
        self.as_user("DELETE", "/users/me", &bye, None).await;
    }

    async fn channels(&mut self, ada: &Person, bob: &Person) {
        let carl = self.registered("carl").await;
        let dm = json!({"type": "dm", "member_ids": [bob.id]});
        self.as_user("POST", "/channels", ada, Some(dm.clone())).await;
        self.as_user("POST", "/channels", ada, Some(dm)).await;
        let wish = json!({"type": "private", "name": "ring", "member_ids": [bob.id], "description": "talk"});
        let made = self.as_user("POST", "/channels", ada, Some(wish)).await;
        let channel = format!("/channels/{}", made.body["id"].as_str().expect("an id"));
        self.as_user("GET", &channel, ada, None).await;
        self.as_user("POST", &format!("{channel}/members"), ada, Some(json!({"user_ids": [carl.id]}))).await;
        self.as_user("GET", &format!("{channel}/members"), ada, None).await;
        let role = Some(json!({"role": "admin"}));
        self.as_user("PATCH", &format!("{channel}/members/{}", carl.id), ada, role).await;
        self.as_user("DELETE", &format!("{channel}/members/{}", carl.id), ada, None).await;
        let invitation = format!("{channel}/invitations/{}", carl.id);
        self.as_user("PUT", &invitation, ada, None).await;
        self.as_user("DELETE", &invitation, ada, None).await;
        self.as_user("PUT", &invitation, ada, None).await;
        self.as_user("GET", "/users/me/invitations", &carl, None).await;
        let waiting = format!("/users/me/invitations/{}", made.body["id"].as_str().expect("an id"));
        self.as_user("PUT", &waiting, &carl, None).await;
        self.as_user("DELETE", &waiting, &carl, None).await;
        let change = json!({"topic": "tea", "settings": {"who_may_post": "everyone"}});
        self.as_user("PATCH", &channel, ada, Some(change)).await;
        self.as_user("PUT", &format!("{channel}/mute"), ada, Some(json!({"until": null}))).await;
        self.as_user("GET", &channel, ada, None).await;
        self.as_user("DELETE", &format!("{channel}/mute"), ada, None).await;
        self.messages(ada, bob, &channel).await;
        self.as_user("GET", &format!("{channel}/receipts?limit=1"), ada, None).await;
        self.as_user("GET", "/channels", ada, None).await;
        let wish = json!({"type": "public", "name": "square"});
        let public = self.as_user("POST", "/channels", ada, Some(wish)).await;
        self.as_user("GET", "/channels/discover?q=squ", ada, None).await;
        let public = format!("/channels/{}", public.body["id"].as_str().expect("an id"));
        self.as_user("DELETE", &public, ada, None).await;
    }

    async fn messages(&mut self, ada: &Person, bob: &Person, channel: &str) {
        let messages = format!("{channel}/messages");
        let text = json!({"content": "hello", "metadata": {"mood": 1}});
        let first = self.as_user("POST", &messages, ada, Some(text)).await;
        let id = first.body["message_id"].as_str().expect("an id").to_owned();
        let reply = json!({"content": "hi", "content_type": "reply", "reply_to": id});
        self.as_user("POST", &messages, bob, Some(reply)).await;
        let message = format!("{messages}/{id}");
        self.as_user("GET", &message, bob, None).await;
        self.as_user("GET", &format!("{message}/thread"), bob, None).await;
        self.as_user("PATCH", &message, ada, Some(json!({"content": "hello you"}))).await;
        self.as_user("PUT", &format!("{message}/reactions/%F0%9F%91%8D"), bob, None).await;
        self.as_user("DELETE", &format!("{message}/reactions/%F0%9F%91%8D"), bob, None).await;
        let pin = format!("{channel}/pins/{id}");
        self.as_user("PUT", &pin, ada, None).await;
        self.as_user("GET", &format!("{channel}/pins"), bob, None).await;
        self.as_user("DELETE", &pin, ada, None).await;
        self.as_user("DELETE", &message, ada, None).await;
        self.as_user("GET", &format!("{messages}?limit=1"), bob, None).await;
        self.as_user("GET", &format!("{messages}?around={id}"), bob, None).await;
    }

    /// Each operation asked wrongly: as nobody, of nothing, with nonsense.
    async fn nonsense(&mut self, ada: &Person) {
        for operation in self.contract.operations() {
            let (method, path) = operation.split_once(' ').expect("method and path");
            let path = path.replace("{}", &Uuid::now_v7().to_string());
            for who in [None, Some(ada)] {
                for body in [
                    None,
                    Some(json!({})),
                    Some(json!([1])),
                    Some(json!({"type": 7, "content": [], "user_id": 1})),
                ] {
                    // The account is needed to the end.
                    if (method, path.as_str()) != ("delete", "/users/me") {
                        self.ask(&method.to_uppercase(), &path, who, body).await;
                    }
                }
                self.ask(
                    &method.to_uppercase(),
                    &format!("{path}?limit=0&before=x&q="),
                    who,
                    Some(json!({})),
                )
                .await;
            }
        }
    }
}

#[tokio::test]
async fn every_operation_answers_as_its_words_say() {
    let context = TestContext::new().await;
    let contract = Contract::of(&context).await;
    let mut walk = Walk { context, contract };
    let (ada, bob) = (walk.registered("ada").await, walk.registered("bob").await);
    walk.accounts(&ada, &bob).await;
    walk.channels(&ada, &bob).await;
    let missing: Vec<_> = walk.contract.operations().difference(&walk.contract.done).cloned().collect();
    assert!(missing.is_empty(), "not walked through: {missing:?}");
    walk.nonsense(&ada).await;
}

/// What generators of clients stumble over, or name badly.
#[tokio::test]
async fn a_generator_finds_what_it_needs() {
    let context = TestContext::new().await;
    let contract = Contract::of(&context).await;
    let document = &contract.document;
    nodes(&document["components"]["schemas"], "", &mut |place, node| {
        assert!(node["type"] != "array" || node["items"].is_object(), "{place} is a list of what?");
        let choices = node["oneOf"].as_array().into_iter().flatten().filter(|one| one["type"] != "null");
        if choices.count() > 1 {
            let name = node["discriminator"]["propertyName"].as_str();
            let name = name.unwrap_or_else(|| panic!("{place}: which of them is it?"));
            for choice in node["oneOf"].as_array().expect("choices") {
                let choice = contract.resolved(choice);
                let kinds = choice["properties"][name]["enum"].as_array().expect("what tells it");
                for kind in kinds.iter().filter_map(Value::as_str) {
                    let mapped = &node["discriminator"]["mapping"][kind];
                    assert_eq!(contract.resolved(&json!({"$ref": mapped})), choice, "{place}: {kind}");
                }
            }
        }
    });
    for (name, parameter) in document["components"]["parameters"].as_object().expect("parameters") {
        let is_text = contract.resolved(&parameter["schema"])["format"].is_null();
        assert!(parameter["in"] != "header" || is_text, "{name}: clients put it into a header as it is");
    }
    let mut ids = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let id = operation["operationId"].as_str().expect("an id");
            assert!(ids.insert(id), "{id} is there twice");
            let is_word = id.bytes().all(|byte| byte.is_ascii_alphanumeric()) && id.len() <= 20;
            assert!(is_word && id.starts_with(|first: char| first.is_ascii_lowercase()), "{id}");
            for field in ["summary", "description"] {
                let text = operation[field].as_str().unwrap_or_default();
                assert!(text.len() > 3, "{method} {path} has no {field}");
            }
            if !operation["requestBody"].is_null() {
                let content = &operation["requestBody"]["content"]["application/json"];
                exemplified(&contract, content, &format!("{id} body"));
            }
            for (status, answer) in operation["responses"].as_object().expect("responses") {
                let answer = contract.resolved(answer);
                for content in answer["content"].as_object().into_iter().flat_map(Map::values) {
                    exemplified(&contract, content, &format!("{id} {status}"));
                }
            }
        }
    }
}

/// A body's schema has a name, and its example is as the schema says.
fn exemplified(contract: &Contract, content: &Value, what: &str) {
    let reference = content["schema"]["$ref"].as_str().unwrap_or_default();
    assert!(reference.starts_with("#/components/schemas/"), "{what} has no name");
    assert!(!content["example"].is_null(), "{what} has no example");
    contract.validate(&content["schema"], &content["example"], what);
}

/// A 422 names every field that is missing, or is of another type than the document says, all at once.
#[tokio::test]
async fn every_field_that_is_missing_or_mistyped_is_named() {
    let context = TestContext::new().await;
    let contract = Contract::of(&context).await;
    let ada = context.registered("ada").await;
    let wish = json!({"type": "group", "name": "ring"});
    let channel = context.post("/channels", &ada, wish).await.body["id"].as_str().expect("an id").to_owned();
    let sent =
        context.post(&format!("/channels/{channel}/messages"), &ada, json!({"content": "hello"})).await;
    let message = sent.body["message_id"].as_str().expect("an id").to_owned();
    for (path, methods) in contract.document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            if body.is_null() {
                continue;
            }
            let schema = contract.resolved(body);
            let asked = path.strip_prefix(PREFIX).expect("the prefix").replace("{channel_id}", &channel);
            let asked = asked.replace("{message_id}", &message).replace("{user_id}", &ada.id);
            let named = async |body: Value| {
                let answer = context.ask(&method.to_uppercase(), &asked, Some(&ada), Some(body)).await;
                let errors = answer.body["errors"].as_array().cloned().unwrap_or_default();
                assert!(answer.status != 422 || !errors.is_empty(), "{method} {path}: {answer:?}");
                let fields = errors.iter().filter_map(|error| error["field"].as_str().map(str::to_owned));
                fields.collect::<BTreeSet<_>>()
            };
            let choices = schema["oneOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
            for choice in choices.iter().map(|choice| contract.resolved(choice)) {
                let required = choice["required"].as_array().cloned().unwrap_or_default();
                let tag = schema["discriminator"]["propertyName"].as_str();
                // What kind it is, is said.
                let kind = tag.map(|tag| (tag, choice["properties"][tag]["enum"][0].clone()));
                let missing =
                    named(kind.iter().map(|(tag, kind)| ((*tag).to_owned(), kind.clone())).collect());
                let missing = missing.await;
                for field in required.iter().filter_map(Value::as_str).filter(|field| Some(*field) != tag) {
                    assert!(missing.contains(field), "{method} {path}: {field} is not in {missing:?}");
                }
                let properties = choice["properties"].as_object().expect("properties");
                let mistyped: Map<String, Value> =
                    properties.keys().map(|name| (name.clone(), json!([[7]]))).collect();
                let wrong = named(mistyped.into()).await;
                for name in properties.keys() {
                    let is_named = wrong.iter().any(|field| field.split(['[', '.']).next() == Some(name));
                    assert!(is_named, "{method} {path}: {name} is not in {wrong:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere_and_every_component_is_used() {
    let context = TestContext::new().await;
    let document = Contract::of(&context).await.document;
    let text = document.to_string();
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for rest in text.split("\"$ref\":\"").skip(1) {
        let reference = rest.split('"').next().unwrap_or_default();
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
        *uses.entry(reference).or_default() += 1;
    }
    for kind in ["schemas", "parameters"] {
        for name in document["components"][kind].as_object().expect("components").keys() {
            assert!(
                uses.contains_key(format!("#/components/{kind}/{name}").as_str()),
                "{kind}/{name} is unused"
            );
        }
    }
}
