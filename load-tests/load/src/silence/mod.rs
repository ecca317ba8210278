//! From a revocation to silence: how long after its answer events still reach the sockets, and when these close.
//!
//! Nothing is asserted but the contract's two seconds; the distributions are what it is for.

mod listener;
mod participants;
mod report;
mod run;

pub use report::SilenceReport;
pub use run::{SilenceError, SilenceOptions, run};
