//! A binary without the engines of a cluster.

use super::{CommitterEngine, LogEngine, StoreEngine};
use crate::commands::Failure;
use crate::commands::doctor::Finding;
use crate::config::Config;
use crate::init::Step;

/// There are none to open: the configuration was refused.
#[expect(clippy::unused_async, reason = "that of a cluster waits")]
pub(super) async fn open(_: &Config) -> Result<(LogEngine, StoreEngine, CommitterEngine), Failure> {
    Err("this binary has the embedded engines alone; build it with `--features cluster`".into())
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
