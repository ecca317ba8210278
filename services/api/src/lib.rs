//! REST over the services' contracts.
//!
//! * [`router`] builds all of it over any implementation of the contracts.
//! * [`table::UNIMPLEMENTED`] is every row of the public contract that has no handler yet: it answers 501.

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
mod services;
mod users;
mod views;

pub use auth::events::{AccessAction, AccessEvent};
pub use router::{Config, router, table};
pub use services::{Composed, Services};
