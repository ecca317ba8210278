//! Open-loop load: messages leave when they are due, whether or not the server keeps up, and every latency is counted
//! from the due time (no coordinated omission).
//!
//! `plan` decides beforehand who sends what when, from a seed. Each `worker` thread owns its connections and one epoll
//! loop; all threads mark what they see on one `scoreboard`, from which `report` tells what was lost, doubled or
//! reordered.

mod connection;
mod idle;
mod options;
mod plan;
mod report;
mod run;
mod scan;
mod scoreboard;
mod ticker;
mod tracker;
mod worker;

pub use idle::{IdleReport, idle};
pub use options::{IdleOptions, LoadError, LoadOptions, ReportFormat};
pub use report::{Latency, LoadReport};
pub use run::run;
