//! The crash test: many clients send, vanish and come back while the server is killed under them; then the checker
//! decides from what the clients wrote down.
//!
//! Every decision (who sends what, who vanishes, when the server dies) comes from one seed. Time is real, so a replay
//! repeats the decisions and not the interleaving.

mod agent;
mod context;
mod evicted_client;
mod final_check;
mod options;
mod participants;
mod report;
mod run;
mod schedule;

pub use agent::amendments::{Amendments, Request};
pub use agent::outbox::{Outbox, Outgoing};
pub use agent::view::{Reached, View};
pub use options::{CrashError, CrashOptions};
pub use report::CrashReport;
pub use run::run;
