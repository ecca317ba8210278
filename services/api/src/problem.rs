//! Errors as `application/problem+json` (RFC 9457).

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ringside_application::service::{FieldError, ServiceError};
use ringside_wire::command::Refused;
use serde_json::{Value, json};

use crate::auth::events::AccessEvent;

/// A field by its name, and a sentence on what is wrong with it.
pub(crate) type FieldProblem = (Cow<'static, str>, String);

#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// What a 422 is about.
    fields: Vec<FieldProblem>,
    retry_after_ms: Option<u64>,
    /// The limit that was reached.
    limit: Option<u32>,
    /// What the operator is told of it.
    event: Option<Box<AccessEvent>>,
}

impl Problem {
    /// Any but a 422, which says of which fields it speaks: [`invalid`](Self::invalid).
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        debug_assert_ne!(status, StatusCode::UNPROCESSABLE_ENTITY, "a 422 names its fields");
        Self::bare(status, code, detail)
    }

    fn bare(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let (fields, detail) = (Vec::new(), detail.into());
        Self { status, code, detail, fields, retry_after_ms: None, limit: None, event: None }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// 422, field by field.
    pub(crate) fn invalid(detail: impl Into<String>, fields: Vec<FieldProblem>) -> Self {
        debug_assert!(!fields.is_empty(), "a 422 names its fields");
        Self { fields, ..Self::bare(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail) }
    }

    /// 422: what is written in them is no message, or no change of one.
    pub(crate) fn unfit(refused: Vec<Refused>) -> Self {
        let detail = refused.first().map(ToString::to_string).unwrap_or_default();
        let named = |refused: Refused| (refused.field.into(), refused.message.into_owned());
        Self::invalid(detail, refused.into_iter().map(named).collect())
    }

    /// A 422 with what else is wrong, of fields that it does not name yet.
    pub(crate) fn and(mut self, others: Vec<FieldError>) -> Self {
        if self.status == StatusCode::UNPROCESSABLE_ENTITY {
            let is_new = |error: &FieldError| self.fields.iter().all(|(field, _)| *field != error.field);
            let others: Vec<_> = others.into_iter().filter(is_new).collect();
            self.fields.extend(others.into_iter().map(|error| (error.field, error.message)));
        }
        self
    }

    /// The fields that it names.
    #[cfg(test)]
    pub(crate) fn fields(&self) -> Vec<String> {
        self.fields.iter().map(|(field, _)| field.to_string()).collect()
    }

    pub(crate) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    pub(crate) fn rate_limited(retry_after_ms: u64) -> Self {
        let detail = "Too many requests; try again later.";
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail);
        Self { retry_after_ms: Some(retry_after_ms), ..problem }
    }

    /// Names the limit that was reached, for the `RateLimit-*` headers.
    pub(crate) fn of_limit(self, limit: u32) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// The same, where it is a limit that was reached.
    pub(crate) fn of_limit_if_limited(self, per_minute: u32) -> Self {
        if self.status == StatusCode::TOO_MANY_REQUESTS { self.of_limit(per_minute) } else { self }
    }

    /// Tells the operator of it, too.
    pub(crate) fn of_event(self, event: AccessEvent) -> Self {
        Self { event: Some(Box::new(event)), ..self }
    }

    fn body(&self) -> Value {
        let mut body = json!({
            "type": format!("urn:ringside:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
        });
        if !self.fields.is_empty() {
            let field = |(field, message): &FieldProblem| json!({"field": field, "message": message});
            body["errors"] = self.fields.iter().map(field).collect();
        }
        if let Some(ms) = self.retry_after_ms {
            body["retry_after_ms"] = ms.into();
        }
        body
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(ms) = self.retry_after_ms {
            let seconds = ms.div_ceil(1_000).max(1);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            headers.insert("ratelimit-remaining", HeaderValue::from(0));
            headers.insert("ratelimit-reset", HeaderValue::from(seconds));
        }
        if let Some(limit) = self.limit {
            headers.insert("ratelimit-limit", HeaderValue::from(limit));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(event) = self.event {
            response.extensions_mut().insert(*event);
        }
        response
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let detail = error.to_string();
        match error {
            ServiceError::BadRequest(_) => Self::bad_request(detail),
            ServiceError::Unauthorized(_) => Self::unauthorized(detail),
            ServiceError::Forbidden(_) => Self::new(StatusCode::FORBIDDEN, "forbidden", detail),
            ServiceError::NotAMember => Self::new(StatusCode::FORBIDDEN, "not_a_member", detail),
            ServiceError::NotFound(_) => Self::not_found(detail),
            ServiceError::Conflict { code, .. } => Self::new(StatusCode::CONFLICT, code.name(), detail),
            ServiceError::Invalid(fields) => {
                let named = |error: FieldError| (error.field, error.message);
                Self::invalid(detail, fields.into_iter().map(named).collect())
            }
            ServiceError::RateLimited { retry_after_ms, limit } => {
                Self::rate_limited(retry_after_ms).of_limit(limit)
            }
            ServiceError::Unavailable(_) => {
                tracing::warn!(%detail, "a request was not confirmed");
                let detail = "The request was not confirmed; it may have been done. Try again.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            }
        }
    }
}
