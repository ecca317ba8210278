//! What every engine behind a port must do, as tests that an adapter runs over its own.
//!
//! A suite takes a way to make a fresh engine; each of its parts gets one of its own and panics where the contract is
//! broken. They run under tokio, with time as it is: no part waits for luck, only for what must come.

pub mod accounts;
pub mod bus;
pub mod channels;
pub mod committer;
pub mod keys;
pub mod log;
pub mod people;
pub mod presence;
mod rows;
pub mod store;

use std::future::Future;
use std::time::Duration;

/// What must come, comes within this time; an engine that is only slow is not failed by it.
const SOON: Duration = Duration::from_secs(20);

/// Waits for what must come.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(SOON, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not come within {SOON:?}"),
    }
}
