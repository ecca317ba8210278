//! People: profiles, relations, sessions, and the export of all that is held about one.

pub(crate) mod export;
pub(crate) mod places;
pub(crate) mod profiles;
pub(crate) mod relations;
pub(crate) mod sessions;
pub(crate) mod show;

use ringside_application::service::PageRequest;
use serde::Deserialize;

use crate::client::list_limit;
use crate::problem::Problem;

/// The query of a list.
#[derive(Deserialize)]
pub(crate) struct ListQuery {
    limit: Option<usize>,
    cursor: Option<String>,
}

impl ListQuery {
    fn part(self) -> Result<PageRequest, Problem> {
        Ok(PageRequest { cursor: self.cursor, limit: list_limit(self.limit)? })
    }
}
