//! All that the attacker and the victim of a context can read, with the names of people and things made the same in
//! every context.

use std::collections::HashMap;

use hyper::Method;
use ringside_test_client::rest::{Answer, Rest};
use serde_json::Value;
use uuid::Uuid;

use super::bodies::Document;
use super::test_context::TestContext;
use crate::attacks::{request, value};
use crate::test_server::Failed;

/// Digits of a message id at the least; smaller numbers are shown as they are.
const ID_DIGITS: usize = 12;
/// The times that were asked for; any other is when something happened.
const NAMED_YEARS: [&str; 3] = ["2001-", "2098-", "2099-"];
/// Never the same twice.
const SECRETS: [&str; 2] = ["access_token", "refresh_token"];

/// What was asked, and what was answered.
pub(super) struct Snapshot(Vec<(String, Value)>);

impl Snapshot {
    /// Reads everything, after the answer to the row that was tried.
    pub(super) async fn take(
        rest: &Rest,
        document: &Document,
        context: &TestContext,
        tried: &Answer,
    ) -> Result<Self, Failed> {
        let mut names = Aliases::of(context);
        let mut shown = vec![("the answer itself".to_owned(), names.same(&answered(tried)))];
        for (path, method, operation) in document.operations() {
            let Some(path) = path.strip_prefix("/api/v1").filter(|_| method == "get") else { continue };
            let Some(query) = query(document, operation, context) else { continue };
            for filled in context.fill_with_all(path) {
                for person in [&context.mallory, &context.victim] {
                    let token = Some(person.session.account.access_token.as_str());
                    let answer = request(rest, Method::GET, &format!("{filled}{query}"), token, None).await?;
                    let asked = Value::from(format!("{filled} by {}", person.username));
                    let asked = names.same(&asked).as_str().unwrap_or_default().to_owned();
                    shown.push((asked, names.same(&answered(&answer))));
                }
            }
        }
        Ok(Self(shown))
    }

    /// How many questions were answered with something.
    pub(super) fn answered(&self) -> usize {
        self.0.iter().filter(|(_, answer)| answer["status"] == 200).count()
    }

    /// The first thing that is not the same in both.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let pairs = self.0.iter().zip(&other.0);
        for ((asked, one), (also_asked, two)) in pairs {
            if (asked, one) != (also_asked, two) {
                return Some(format!("{asked} is {one} with a plain body, {also_asked} is {two}"));
            }
        }
        (self.0.len() != other.0.len()).then(|| "there is more to read in one".to_owned())
    }
}

fn answered(answer: &Answer) -> Value {
    serde_json::json!({ "status": answer.status, "body": value(answer) })
}

/// What the row's query has to hold; none: it can't be known here.
fn query(document: &Document, operation: &Value, context: &TestContext) -> Option<String> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let mut query = String::new();
    for parameter in parameters.map(|parameter| document.resolve(parameter)) {
        let value = match parameter["name"].as_str() {
            Some("limit") if parameter["in"] == "query" => "100".to_owned(),
            Some("q") => format!("victim{}", context.tag),
            Some("user_ids") => {
                context.people().map(|person| person.session.account.user_id.to_string()).join(",")
            }
            _ if parameter["in"] == "query" && parameter["required"] == true => return None,
            _ => continue,
        };
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(&format!("{}={value}", parameter["name"].as_str().unwrap_or_default()));
    }
    Some(query)
}

/// Ids by the order in which they are first seen, those of the context by what they are.
struct Aliases {
    tag: String,
    known: HashMap<String, String>,
}

impl Aliases {
    fn of(context: &TestContext) -> Self {
        let mut known = HashMap::new();
        for (person, name) in context.people().into_iter().zip(["mallory", "victim", "friend"]) {
            known.insert(person.session.account.user_id.to_string(), name.to_owned());
        }
        for (owned_channel, name) in [(&context.own, "own"), (&context.theirs, "theirs")] {
            known.insert(owned_channel.channel.to_string(), format!("{name} channel"));
            known.insert(owned_channel.message.clone(), format!("{name} message"));
        }
        known.insert(context.unused_id.to_string(), "nobody's".to_owned());
        Self { tag: context.tag.clone(), known }
    }

    fn same(&mut self, value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                let shown = fields.iter().filter(|(name, _)| !SECRETS.contains(&name.as_str()));
                shown.map(|(name, value)| (name.clone(), self.same(value))).collect()
            }
            Value::Array(items) => items.iter().map(|item| self.same(item)).collect(),
            Value::String(text) => Value::from(self.same_text(text)),
            other => other.clone(),
        }
    }

    fn same_text(&mut self, text: &str) -> String {
        let is_time = text.len() == 24 && text.ends_with('Z') && text.as_bytes()[10] == b'T';
        if is_time && !NAMED_YEARS.iter().any(|year| text.starts_with(year)) {
            return "a time".to_owned();
        }
        let is_id = text.parse::<Uuid>().is_ok()
            || (text.len() >= ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()));
        if is_id {
            let next = format!("id {}", self.known.len());
            return self.known.entry(text.to_owned()).or_insert(next).clone();
        }
        let mut text = text.replace(&self.tag, "");
        for (id, name) in &self.known {
            text = text.replace(id, name);
        }
        text
    }
}
