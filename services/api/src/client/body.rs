//! A JSON body: read whole, within bounds, and refused with the names of all fields that are missing or don't fit.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::problem::{FieldProblem, Problem};

/// Bytes of a JSON body at the most: a message of the largest size, escaped.
pub(crate) const BODY_BYTES_MAX: usize = 512 * 1024;
/// A body must be complete within this time: 17 KB a second for the largest.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What most fields must be.
pub(crate) const TEXT: &str = "text";

/// A JSON body, read whole.
pub(crate) struct JsonBody(Vec<u8>);

/// What is read from an object of these fields.
pub(crate) trait Fields {
    /// All that it reads. A test holds it against the schema in the document.
    const FIELDS: &'static [Field];
}

/// A body's field.
pub(crate) struct Field {
    name: &'static str,
    is_required: bool,
    /// What its value must be, in words.
    must_be: &'static str,
    /// Where in a value it is that something else stands; empty: it is the value itself.
    misfit: fn(&Value) -> Option<String>,
    /// The fields inside it, where it is an object.
    inner: &'static [Field],
}

impl Field {
    /// One that must be there.
    pub(crate) const fn required<T: DeserializeOwned>(name: &'static str, must_be: &'static str) -> Self {
        Self { is_required: true, ..Self::optional::<T>(name, must_be) }
    }

    /// One that may be absent.
    pub(crate) const fn optional<T: DeserializeOwned>(name: &'static str, must_be: &'static str) -> Self {
        Self { name, is_required: false, must_be, misfit: misfit::<T>, inner: &[] }
    }

    /// An object that may be absent.
    pub(crate) const fn object<T: Fields>(name: &'static str) -> Self {
        let inner = T::FIELDS;
        Self { inner, ..Self::optional::<Map<String, Value>>(name, "an object") }
    }
}

fn misfit<T: DeserializeOwned>(value: &Value) -> Option<String> {
    let error = serde_path_to_error::deserialize::<_, T>(value).err()?;
    let path = error.path().to_string();
    Some(if path == "." { String::new() } else { path })
}

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind =
            request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
        let kind = kind.split(';').next().unwrap_or("").trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let detail = "Send the body as `Content-Type: application/json`.";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
        }
        let too_large = || {
            let detail = format!("The body is larger than {BODY_BYTES_MAX} bytes.");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail)
        };
        let body: Body = request.into_body();
        // What says beforehand that it is too large is not kept; nor is a client that asks told to go on.
        if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
            return Err(too_large());
        }
        let too_late = || {
            let detail = format!("The body was not complete within {} seconds.", BODY_TIMEOUT.as_secs());
            Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", detail)
        };
        let read = timeout(BODY_TIMEOUT, whole(body)).await.map_err(|_| too_late())?;
        match read {
            Ok(Some(bytes)) => Ok(Self(bytes)),
            Ok(None) => Err(too_large()),
            Err(_) => Err(Problem::bad_request("The body ended early, or its chunks can't be read.")),
        }
    }
}

/// All of a body; `None`: it is larger than [`BODY_BYTES_MAX`]. What comes is copied: a piece of a few bytes would keep
/// the whole buffer that it was read into.
async fn whole(mut body: Body) -> Result<Option<Vec<u8>>, axum::Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if bytes.len() + data.len() > BODY_BYTES_MAX {
            return Ok(None);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Some(bytes))
}

impl JsonBody {
    /// Reads the body; unknown fields are ignored.
    pub(crate) fn read<'a, T: Deserialize<'a> + Fields>(&'a self) -> Result<T, Problem> {
        // A derived reader would take an array for an object.
        if self.0.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(Problem::bad_request("The body is a JSON object."));
        }
        let mut json = serde_json::Deserializer::from_slice(&self.0);
        let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let (path, error) = (error.path().to_string(), error.into_inner());
            if error.is_data() { self.misfits(T::FIELDS, &path, &error) } else { no_json(&error) }
        })?;
        json.end().map_err(|error| no_json(&error))?;
        Ok(read)
    }

    /// The object as it is, whether its fields fit or not; empty where the body is none.
    pub(crate) fn object(&self) -> Map<String, Value> {
        serde_json::from_slice(&self.0).unwrap_or_default()
    }

    /// Names all fields that are missing or don't fit. The reader has stopped at the first, at this path.
    fn misfits(&self, fields: &[Field], path: &str, error: &serde_json::Error) -> Problem {
        let object: Map<String, Value> = match serde_json::from_slice(&self.0) {
            Ok(object) => object,
            Err(error) => return no_json(&error),
        };
        let mut wrong = Vec::new();
        look_through(fields, &object, "", &mut wrong);
        if wrong.is_empty() {
            // One that is there twice, for example.
            let words = error.to_string();
            let words = words.rsplit_once(" at line ").map_or(words.as_str(), |(words, _)| words);
            let field = if path == "." { words.split('`').nth(1).unwrap_or(path) } else { path };
            wrong.push((field.to_owned().into(), format!("`{field}` does not fit: {words}.")));
        }
        Problem::invalid("Some fields are not valid.", wrong)
    }
}

fn look_through(fields: &[Field], object: &Map<String, Value>, within: &str, wrong: &mut Vec<FieldProblem>) {
    for field in fields {
        let name = format!("{within}{}", field.name);
        match (object.get(field.name), field.is_required) {
            (None, true) => {
                let message = format!("`{name}` is missing.");
                wrong.push((name.into(), message));
            }
            (None, false) => {}
            (Some(Value::Object(inside)), _) if !field.inner.is_empty() => {
                look_through(field.inner, inside, &format!("{name}."), wrong);
            }
            (Some(value), _) => {
                if let Some(place) = (field.misfit)(value) {
                    let message = format!("`{name}` must be {}.", field.must_be);
                    wrong.push((format!("{name}{place}").into(), message));
                }
            }
        }
    }
}

fn no_json(error: &serde_json::Error) -> Problem {
    Problem::bad_request(format!("The body is not JSON: {error}."))
}

/// Fields that a handler reads one by one.
impl Fields for Map<String, Value> {
    const FIELDS: &'static [Field] = &[];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[serde(default)]
        _depth: Option<u32>,
    }

    impl Fields for Inner {
        const FIELDS: &'static [Field] = &[Field::optional::<Option<u32>>("_depth", "a number")];
    }

    #[derive(Debug, Deserialize)]
    struct Outer {
        _name: String,
        _ids: Vec<u32>,
        #[serde(default)]
        _inner: Option<Inner>,
    }

    impl Fields for Outer {
        const FIELDS: &'static [Field] = &[
            Field::required::<String>("_name", "text"),
            Field::required::<Vec<u32>>("_ids", "a list of numbers"),
            Field::object::<Inner>("_inner"),
        ];
    }

    #[test]
    fn all_fields_that_do_not_fit_are_named_at_once() {
        let check = |text: &str, expected: &[&str]| {
            let body = JsonBody(text.as_bytes().to_vec());
            let named = body.read::<Outer>().map_or_else(|problem| problem.fields(), |_| Vec::new());
            assert_eq!(named, expected, "{text}");
        };
        check(r#"{"_name":"a","_ids":[1],"_inner":{}}"#, &[]);
        check("{}", &["_name", "_ids"]);
        check(
            r#"{"_name":7,"_ids":[1,"x"],"_inner":{"_depth":"x"}}"#,
            &["_name", "_ids[1]", "_inner._depth"],
        );
        check(r#"{"_ids":[],"_inner":3}"#, &["_name", "_inner"]);
        check(r#"{"_name":"a","_name":"b","_ids":[]}"#, &["_name"]);
    }
}
