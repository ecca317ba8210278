//! Parts of lists: a cursor is the key that ended the part before.

use ringside_application::service::{Page, PageRequest, ServiceError};
use ringside_types::limits::LIST_MAX;

pub(crate) fn limit(part: &PageRequest) -> usize {
    part.limit.clamp(1, LIST_MAX)
}

pub(crate) fn cursor<T: std::str::FromStr>(text: Option<String>) -> Result<Option<T>, ServiceError> {
    text.map(|text| text.parse().map_err(|_| invalid_cursor())).transpose()
}

pub(crate) fn invalid_cursor() -> ServiceError {
    ServiceError::BadRequest("`cursor` is not from an earlier answer; leave it out.".into())
}

/// A part of a list, from one item more than it may hold.
pub(crate) fn listed<T>(mut items: Vec<T>, limit: usize, cursor_of: impl Fn(&T) -> String) -> Page<T> {
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| has_more).map(cursor_of);
    Page { items, next_cursor }
}
