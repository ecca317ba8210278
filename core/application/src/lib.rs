//! What the edge and the REST services decide alike, and the contracts between them. No engine, no transport.
//!
//! * [`authorize`]: who may do what in a channel, and what they are told who may not; [`policy`]: what a channel asks of
//!   its senders; [`charges`]: what a command costs.
//! * [`backend`]: what an edge asks of the rest; [`direct`]: its answers in one process, [`senders`] among them.
//! * [`consumer`]: how topics are read.
//! * [`mentions`]: whom a text names. [`presence_view`]: who is there, as another may see it.
//! * [`open_limits`]: what becomes of limits when their engine is gone.
//! * [`reading`]: a channel as of its head; [`pages`]: parts of many channels at once.
//! * [`service`]: what services offer one another and the API.

pub mod authorize;
pub mod backend;
pub mod charges;
pub mod consumer;
pub mod direct;
pub mod mentions;
pub mod open_limits;
pub mod pages;
pub mod policy;
pub mod presence_view;
pub mod reading;
pub mod senders;
pub mod service;
