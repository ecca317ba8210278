//! The crash test: many clients send, vanish and come back while the server is killed under them; then the checker
//! decides from what the clients wrote down.
//!
//! Every decision (who sends what, who vanishes, when the server dies) comes from one seed. Time is real, so a replay
//! repeats the decisions and not the interleaving.

mod agent;
mod cast;
mod finale;
mod guest;
mod options;
mod run;
mod schedule;
mod stage;

pub use options::{CrashError, CrashOptions};
pub(crate) use run::limits_off;
pub use run::{CrashReport, run};
