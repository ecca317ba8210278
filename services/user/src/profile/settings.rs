//! Settings: a JSON object of the user's, merged as RFC 7396 says, in which the server reads the privacy settings.

use ringside_ports::people::privacy::{Audience, PRIVACY, PRIVACY_KEYS};
use serde_json::{Map, Value};

/// Bytes of a user's settings at the most, as JSON.
pub const SETTINGS_BYTES_MAX: usize = 16 * 1_024;
/// Objects and arrays inside one another at the most.
pub const SETTINGS_DEPTH_MAX: usize = 16;

/// The settings with a patch merged in; or what is wrong with them.
pub(crate) fn merged(settings: &str, patch: &str) -> Result<String, String> {
    let patch: Value = serde_json::from_str(patch).map_err(|error| format!("Settings are JSON: {error}."))?;
    let Value::Object(patch) = patch else { return Err("Settings are a JSON object.".into()) };
    // What can't be read any more is no reason to refuse what replaces it.
    let mut merged: Map<String, Value> = serde_json::from_str(settings).unwrap_or_default();
    merge(&mut merged, patch);
    if let Some(cause) = wrong(&merged) {
        return Err(cause);
    }
    let text = Value::Object(merged).to_string();
    if text.len() > SETTINGS_BYTES_MAX {
        return Err(format!("Settings have {SETTINGS_BYTES_MAX} bytes at the most."));
    }
    Ok(text)
}

/// The parser has bounded how deep a patch nests.
fn merge(into: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => drop(into.remove(&key)),
            Value::Object(inner) => {
                let entry = into.entry(key).or_insert_with(|| Value::Object(Map::new()));
                if !entry.is_object() {
                    *entry = Value::Object(Map::new());
                }
                if let Value::Object(entry) = entry {
                    merge(entry, inner);
                }
            }
            other => drop(into.insert(key, other)),
        }
    }
}

fn wrong(settings: &Map<String, Value>) -> Option<String> {
    if settings.values().any(|value| depth(value) >= SETTINGS_DEPTH_MAX) {
        return Some(format!("Settings nest {SETTINGS_DEPTH_MAX} deep at the most."));
    }
    // It would look set, and have no effect.
    if let Some(key) = settings.keys().find(|key| key.starts_with("privacy.")) {
        return Some(format!("`{key}` stands inside an object `{PRIVACY}`, not beside it."));
    }
    let privacy = settings.get(PRIVACY)?;
    let Value::Object(privacy) = privacy else { return Some(format!("`{PRIVACY}` is an object.")) };
    for (key, value) in privacy {
        if !PRIVACY_KEYS.iter().any(|(known, _)| known == key) {
            let known = PRIVACY_KEYS.map(|(known, _)| known).join("`, `");
            return Some(format!("There is no `{PRIVACY}.{key}`; there are `{known}`."));
        }
        if value.as_str().and_then(Audience::from_name).is_none() {
            return Some(format!("`{PRIVACY}.{key}` is `everyone`, `contacts` or `nobody`."));
        }
    }
    None
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(items) => 1 + items.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_merged() {
        let check = |settings: &str, patch: &str, expected: &str| {
            assert_eq!(merged(settings, patch).as_deref(), Ok(expected), "{settings} {patch}");
        };
        check("{}", r#"{"theme":"dark"}"#, r#"{"theme":"dark"}"#);
        check(r#"{"a":1,"b":{"c":2,"d":3}}"#, r#"{"a":null,"b":{"c":4}}"#, r#"{"b":{"c":4,"d":3}}"#);
        check(r#"{"a":1}"#, r#"{"a":{"b":null}}"#, r#"{"a":{}}"#);
        check(
            r#"{"privacy":{"email":"nobody"}}"#,
            r#"{"privacy":{"presence":"contacts"}}"#,
            r#"{"privacy":{"email":"nobody","presence":"contacts"}}"#,
        );
        check("damaged", r#"{"a":1}"#, r#"{"a":1}"#);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let check = |patch: &str, part: &str| {
            let cause = merged("{}", patch).expect_err(patch);
            assert!(cause.contains(part), "{patch}: {cause}");
        };
        check("[]", "object");
        check("x", "JSON");
        check(r#"{"privacy":1}"#, "`privacy` is an object");
        check(r#"{"privacy":{"email":"all"}}"#, "`privacy.email`");
        check(r#"{"privacy":{"e-mail":"nobody"}}"#, "there are `presence`");
        check(r#"{"privacy.email":"everyone"}"#, "inside an object");
        check(&format!(r#"{{"a":"{}"}}"#, "x".repeat(SETTINGS_BYTES_MAX)), "bytes");
        check(&format!(r#"{{"a":{}{}}}"#, "[".repeat(16), "]".repeat(16)), "deep");
        assert!(merged("{}", &format!(r#"{{"a":{}{}}}"#, "[".repeat(15), "]".repeat(15))).is_ok());
    }
}
