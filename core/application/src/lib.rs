//! What the edge and the REST services decide alike, and the contracts between them. No engine, no transport.
//!
//! * [`authorize`]: who may do what in a channel, and what they are told who may not.
//! * [`mentions`]: whom a text names. [`presence_view`]: who is there, as another may see it.
//! * [`reading`]: a channel as of its head: pages, horizons, unread counts, reactions.
//! * [`service`]: what services offer one another and the API.

pub mod authorize;
pub mod mentions;
pub mod presence_view;
pub mod reading;
pub mod service;
