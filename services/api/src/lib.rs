//! REST over the services' contracts.
//!
//! * [`router`] builds all of it over any implementation of the contracts.
//! * [`table::NOT_YET`] is every row of the public contract that has no handler yet: it answers 501.

mod amendments;
mod auth;
mod channels;
mod client;
mod contract;
mod edge;
mod messages;
mod people;
mod presence;
mod problem;
mod router;
mod users;
mod views;

pub use auth::Authenticated;
pub use auth::events::{AccessAction, AccessEvent};
pub use client::{Reached, forwarded_headers};
pub use edge::EdgeAddress;
pub use router::{Config, Services, nothing_here, router, secured, table, wrong_method};
