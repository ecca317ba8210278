//! A binary without the engines of a cluster. A configuration that names one was refused before it comes here.

use super::{CommitterEngine, DirectoryEngine, KeyStoreEngine, LogEngine, PresenceEngine, StoreEngine};
use crate::commands::Failure;
use crate::commands::doctor::Finding;
use crate::config::Config;
use crate::init::Step;

const REFUSAL: &str = "this binary has the embedded engines alone; build it with `--features cluster`";

/// There are none to open.
#[expect(clippy::unused_async, reason = "those of a cluster are waited for")]
pub(super) async fn pipeline(_: &Config) -> Result<(LogEngine, StoreEngine, CommitterEngine), Failure> {
    Err(REFUSAL.into())
}

/// There are none to open.
#[expect(clippy::unused_async, reason = "those of a cluster are waited for")]
pub(super) async fn directory(_: &Config) -> Result<(DirectoryEngine, KeyStoreEngine), Failure> {
    Err(REFUSAL.into())
}

/// There is none to open.
pub(super) fn presence(_: &Config) -> Result<PresenceEngine, Failure> {
    Err(REFUSAL.into())
}

/// Nothing is shared, so nothing is made.
pub(crate) async fn make(_: &Config) -> Result<Vec<Step>, Failure> {
    Ok(Vec::new())
}

/// Nothing is shared, so nothing would be made.
pub(crate) async fn plan(_: &Config) -> Result<Vec<Step>, Failure> {
    Ok(Vec::new())
}

/// Nothing is shared, so there is nothing to look at.
pub(crate) async fn findings(_: &Config) -> Vec<Finding> {
    Vec::new()
}
